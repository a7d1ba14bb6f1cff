//! Owns: which server of a cluster has which slots, and when to ask again.
//! Knows: CLUSTER SHARDS and SLOTS of Redis 6.2 to 8 and Valkey, in RESP2 and RESP3; MOVED, ASK and their kin.
//! Must never know: connections, requests, whose key a slot was.
//! Read first: `cluster.rs` (all of it together), then this file (the tables), `view.rs`, `redirect.rs`, `refresh.rs`.

mod cluster;
mod redirect;
mod refresh;
#[cfg(test)]
mod tests;
mod view;

pub use cluster::{Cluster, ToAsk};
pub use redirect::{HOPS_MAX, Hops, Redirect, Step};
pub use refresh::{Refresh, RefreshPolicy};
pub use view::{Question, Seen, View};

use crate::types::{SLOTS, Slot};

/// More servers than clusters are made of: a gossip of thousands is slower than what it would gain.
pub const NODES_MAX: usize = 2048;
/// In the table of owners: nobody.
const NOBODY: u16 = u16::MAX;

/// A server of a cluster, by number. It keeps its number as long as it is known, however the slots move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u16);

/// What a cluster says of a server's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    Online,
    Loading,
    Failing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// A name or an IP address, IPv6 without brackets.
    pub host: String,
    pub port: u16,
    /// The address behind `host`, where the cluster tells both.
    ip: String,
    pub health: Health,
    pub is_primary: bool,
    /// Whoever asked it last was answered, or has not come to know.
    pub is_reachable: bool,
    replicas: Vec<NodeId>,
}

/// Why a reply says nothing of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopologyError {
    #[error("not a reply: {line}")]
    NotAReply { line: String },
    #[error("refused: {text}")]
    Refused { text: String },
    #[error("{bytes} bytes; allowed: {bytes_max}")]
    TooLong { bytes: usize, bytes_max: usize },
    #[error("{what} is missing, or is none")]
    Missing { what: &'static str },
    #[error("slots {first} to {last}")]
    SlotRange { first: i64, last: i64 },
    #[error("more than {slots_max} slots, counted with those that are told twice")]
    TooManySlots { slots_max: usize },
    #[error("more than {nodes_max} nodes")]
    TooManyNodes { nodes_max: usize },
    #[error("no slot has a node that can be reached")]
    NoSlots,
}

/// What [`Topology::learn`] changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Servers that nobody speaks of any more: their numbers may be given to others the next time.
    pub gone: Vec<NodeId>,
    pub came: Vec<NodeId>,
    /// Slots that have another primary than before.
    pub slots_moved: usize,
}

/// Which server has which slots: one load a request.
#[derive(Clone, Debug)]
pub struct Topology {
    /// By slot, the number of its primary.
    owners: Vec<u16>,
    /// How many each number has, so that nobody looks at all of them each turn.
    shares: Vec<u16>,
    /// By number; `None` where a server is gone.
    nodes: Vec<Option<Node>>,
}

impl Default for Topology {
    fn default() -> Topology {
        Topology { owners: vec![NOBODY; SLOTS], shares: Vec::new(), nodes: Vec::new() }
    }
}

impl Topology {
    /// The primary of a slot; `None` while nobody is known to have it.
    #[inline]
    pub fn owner(&self, slot: Slot) -> Option<NodeId> {
        let owner = self.owners[slot.index()];
        (owner != NOBODY).then_some(NodeId(owner))
    }

    /// The replicas of a node that can answer as far as is known.
    pub fn replicas(&self, primary: NodeId) -> impl Iterator<Item = NodeId> + Clone {
        let replicas = self.node(primary).map_or(&[][..], |node| &node.replicas[..]);
        replicas.iter().copied().filter(|replica| self.node(*replica).is_some_and(Node::can_answer))
    }

    /// Who answers a read that may be stale: the replicas in turn, by a count that the caller keeps; the primary where there
    /// is none that can.
    pub fn reader(&self, slot: Slot, turn: usize) -> Option<NodeId> {
        let primary = self.owner(slot)?;
        let able = self.replicas(primary).count();
        if able == 0 { Some(primary) } else { self.replicas(primary).nth(turn % able) }
    }

    #[inline]
    pub fn node(&self, node: NodeId) -> Option<&Node> {
        self.nodes.get(usize::from(node.0))?.as_ref()
    }

    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate().filter_map(|(place, node)| Some((NodeId(place as u16), node.as_ref()?)))
    }

    /// The servers that have slots, each once.
    pub fn primaries(&self) -> impl Iterator<Item = NodeId> {
        (0..).zip(&self.shares).filter(|(_, slots)| **slots > 0).map(|(place, _)| NodeId(place))
    }

    /// Each slot has a primary that can answer, as far as is known.
    pub fn is_settled(&self) -> bool {
        let slots: usize = self.shares.iter().map(|slots| usize::from(*slots)).sum();
        slots == SLOTS && self.primaries().all(|primary| self.can_answer(primary))
    }

    fn can_answer(&self, node: NodeId) -> bool {
        self.node(node).is_some_and(Node::can_answer)
    }

    /// What the caller has seen itself of a server: a connection that was made, or lost.
    pub fn reached(&mut self, node: NodeId, is_reachable: bool) {
        if let Some(Some(node)) = self.nodes.get_mut(usize::from(node.0)) {
            node.is_reachable = is_reachable;
        }
    }

    fn is_loading(&mut self, node: NodeId) {
        if let Some(Some(node)) = self.nodes.get_mut(usize::from(node.0)) {
            node.health = Health::Loading;
        }
    }

    /// Takes a view of the cluster in place of what was known. Slots that nobody has in it go to nobody.
    pub fn learn(&mut self, view: &View) -> Change {
        let mut change = Change::default();
        // Numbers that are free before any become free.
        let mut free: Vec<u16> =
            (0..self.nodes.len() as u16).filter(|&at| self.nodes[usize::from(at)].is_none()).collect();
        free.reverse();
        let known: Vec<Option<NodeId>> =
            view.nodes.iter().map(|seen| self.find(&seen.host, &seen.ip, seen.port)).collect();
        let mut is_known = vec![false; self.nodes.len()];
        known.iter().flatten().for_each(|node| is_known[usize::from(node.0)] = true);
        for gone in (0..self.nodes.len()).filter(|&at| !is_known[at]) {
            if self.nodes[gone].take().is_some() {
                change.gone.push(NodeId(gone as u16));
            }
        }
        let numbers: Vec<NodeId> = known
            .into_iter()
            .map(|known| {
                known.unwrap_or_else(|| {
                    let node = NodeId(free.pop().unwrap_or(self.nodes.len() as u16));
                    if usize::from(node.0) == self.nodes.len() {
                        self.nodes.push(None);
                    }
                    change.came.push(node);
                    node
                })
            })
            .collect();
        for (seen, number) in view.nodes.iter().zip(&numbers) {
            let place = &mut self.nodes[usize::from(number.0)];
            let is_reachable = place.as_ref().is_none_or(|node| node.is_reachable);
            let replicas = seen.replicas.iter().map(|&at| numbers[at]).collect();
            *place = Some(Node { is_reachable, replicas, ..seen.node() });
        }
        let mut owners = vec![NOBODY; SLOTS];
        for &(first, last, node) in &view.ranges {
            owners[usize::from(first)..=usize::from(last)].fill(numbers[node].0);
        }
        change.slots_moved = owners.iter().zip(&self.owners).filter(|(new, old)| new != old).count();
        self.owners = owners;
        self.shares = vec![0; self.nodes.len()];
        for owner in self.owners.iter().filter(|owner| **owner != NOBODY) {
            self.shares[usize::from(*owner)] += 1;
        }
        change
    }

    /// Takes the word of a server that another one has a slot. `None`: the address says nothing, or too many came.
    fn assign(&mut self, slot: Slot, host: &str, port: u16, asked: NodeId) -> Option<NodeId> {
        let node = self.place(host, port, asked)?;
        let before = std::mem::replace(&mut self.owners[slot.index()], node.0);
        self.shares.resize(self.nodes.len(), 0);
        self.shares[usize::from(node.0)] += 1;
        if before != NOBODY {
            self.shares[usize::from(before)] -= 1;
        }
        if let Some(node) = &mut self.nodes[usize::from(node.0)] {
            node.is_primary = true;
        }
        Some(node)
    }

    /// The number of the server at an address that another server has told; a new one gets one.
    fn place(&mut self, host: &str, port: u16, asked: NodeId) -> Option<NodeId> {
        let host = match host {
            // It names its port alone: its host is the one asked.
            "" => self.node(asked)?.host.clone(),
            // It knows no name of it. A port that only one has says as much.
            "?" => {
                let mut of_port = self.nodes().filter(|(_, node)| node.port == port);
                return of_port.next().filter(|_| of_port.next().is_none()).map(|(number, _)| number);
            }
            _ => host.to_owned(),
        };
        if let Some(node) = self.find(&host, "", port) {
            return Some(node);
        }
        let free = self.nodes.iter().position(Option::is_none).unwrap_or(self.nodes.len());
        if free == NODES_MAX {
            return None;
        }
        if free == self.nodes.len() {
            self.nodes.push(None);
        }
        self.nodes[free] = Some(Node::new(host, port));
        Some(NodeId(free as u16))
    }

    /// A server is the same by its name or by its address.
    fn find(&self, host: &str, ip: &str, port: u16) -> Option<NodeId> {
        let is_it = |node: &Node| {
            node.port == port
                && (node.host == host || node.ip == host || !ip.is_empty() && (node.host == ip || node.ip == ip))
        };
        self.nodes().find(|(_, node)| is_it(node)).map(|(number, _)| number)
    }
}

impl Node {
    fn new(host: String, port: u16) -> Node {
        let (health, ip) = (Health::Online, String::new());
        Node { host, port, ip, health, is_primary: false, is_reachable: true, replicas: Vec::new() }
    }

    /// As far as is known.
    pub fn can_answer(&self) -> bool {
        self.is_reachable && self.health == Health::Online
    }
}
