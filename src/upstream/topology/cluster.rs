//! A cluster as one core knows it: the map of slots, and the questions that keep it true.
//!
//! The caller sends what it is told to, reports what came of it, and looks at the clock when [`Cluster::due_us`] says.

use super::refresh::{Refresh, RefreshPolicy};
use super::{Change, Hops, NodeId, Question, Redirect, Step, Topology, TopologyError};
use crate::types::Slot;

/// Whom to ask for the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToAsk {
    /// A place in the list of seeds that the caller keeps.
    Seed(usize),
    Node(NodeId),
}

#[derive(Debug)]
pub struct Cluster {
    topology: Topology,
    refresh: Refresh,
    seeds: usize,
    /// Whose turn it is; each core begins elsewhere.
    turn: usize,
    question: Question,
    /// How CLUSTER SHARDS is read.
    shards: Question,
    /// The server that is being asked, and the question.
    asked: Option<ToAsk>,
}

impl Cluster {
    /// `seeds`: how many addresses the configuration names. `turn`: where to begin, a different number on each core.
    pub fn new(seeds: usize, turn: usize, policy: RefreshPolicy) -> Cluster {
        assert!(seeds > 0, "a cluster is found by somebody");
        let topology = Topology::default();
        let (question, shards) = (Question::Shards, Question::Shards);
        Cluster { topology, refresh: Refresh::new(policy), seeds, turn, question, shards, asked: None }
    }

    /// The same, of servers that are reached under TLS, by ports of their own.
    pub fn under_tls(self) -> Cluster {
        Cluster { question: Question::SecureShards, shards: Question::SecureShards, ..self }
    }

    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    #[inline]
    pub fn owner(&self, slot: Slot) -> Option<NodeId> {
        self.topology.owner(slot)
    }

    /// When to call [`tick`](Self::tick).
    pub fn due_us(&self) -> u64 {
        self.refresh.due_us(self.topology.is_settled())
    }

    /// Whom to ask what, if it is time. What came of it is for [`answered`](Self::answered) or [`unanswered`](Self::unanswered).
    pub fn tick(&mut self, now_us: u64) -> Option<(ToAsk, Question)> {
        if now_us < self.due_us() {
            return None;
        }
        if self.refresh.is_asking() {
            self.unanswered();
            if now_us < self.due_us() {
                return None;
            }
        }
        self.refresh.begin(now_us);
        let asked = self.next_to_ask();
        self.asked = Some(asked);
        Some((asked, self.question))
    }

    /// The whole reply to what [`tick`](Self::tick) asked, from a server that was reached as `host`.
    pub fn answered(&mut self, reply: &[u8], host: &str) -> Result<Change, TopologyError> {
        if self.asked.take().is_none() {
            // It came too late: somebody else was asked, or is about to be.
            return Ok(Change::default());
        }
        match self.question.read(reply, host) {
            Ok(view) => {
                self.refresh.answered();
                Ok(self.topology.learn(&view))
            }
            Err(error) => {
                // Redis 6.2 knows SLOTS alone; a server behind a proxy may know only the other.
                self.question = match self.question {
                    Question::Shards | Question::SecureShards => Question::Slots,
                    Question::Slots => self.shards,
                };
                self.refresh.failed();
                Err(error)
            }
        }
    }

    /// What was asked will not be answered: no connection, or too late.
    pub fn unanswered(&mut self) {
        if self.asked.take().is_some() {
            self.refresh.failed();
        }
    }

    /// A connection to a server was made or lost.
    pub fn reached(&mut self, node: NodeId, is_reachable: bool) {
        self.topology.reached(node, is_reachable);
        if !is_reachable {
            self.refresh.want();
        }
    }

    /// A request was answered by this, by a server that was asked about it: what becomes of it.
    pub fn follow(&mut self, redirect: &Redirect<'_>, asked: NodeId, hops: &mut Hops) -> Step {
        if redirect.doubts_the_map() {
            self.refresh.want();
        }
        self.topology.follow(redirect, asked, hops)
    }

    /// Servers that can answer, in turn; seeds while there are none, and after every other failure, since a cluster may have
    /// moved as a whole.
    fn next_to_ask(&mut self) -> ToAsk {
        self.turn = self.turn.wrapping_add(1);
        let able = || self.topology.nodes().filter(|(_, node)| node.can_answer());
        let count = able().count();
        let from_seeds = self.refresh.failures() % 2 == 1;
        match able().nth(self.turn.checked_rem(count).unwrap_or(0)) {
            Some((node, _)) if !from_seeds => ToAsk::Node(node),
            _ => ToAsk::Seed(self.turn % self.seeds),
        }
    }
}
