//! Requests that servers send around, in the order in which their client asked them.
//!
//! What one client asks on one slot goes by one link, so it is done in order. When its server sends it elsewhere, two such
//! requests may be told different places, and the second be at its place first: the slot moved once more in between. So
//! they travel together. What is told the place of those before it follows them at once; what is told another one waits
//! until those are answered, and so does one that is sent elsewhere once more until its fellows have come back too.
//!
//! What cannot be kept in order is what was sent by then to a server that gets the slot back: it answers the first of two
//! that somebody else has it, and does the second.

use super::cluster::Next;
use super::fault::Fault;
use super::router::{Asked, Router, Whose};
use crate::engine::Engine;
use crate::engine::event::Effects;
use crate::protocol::resp::Output;
use crate::types::{ConnId, Now, Slot};
use std::collections::{BTreeMap, VecDeque};

/// Whose order is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Asker {
    Client(ConnId),
    /// A fold of a hot key, by its number.
    Fold(u32),
}

/// The requests of one asker on one slot of a pool.
type Key = (Asker, u16, Slot);

/// A request that is to go elsewhere.
pub struct Stray {
    pub asked: Asked,
    pub request: Output,
    pub next: Next,
}

/// Those of one key.
#[derive(Default)]
struct Detour {
    /// Requests that are asked and not answered, all by this link. None: nothing may follow them.
    under_way: u32,
    row: Option<u32>,
    /// Those of them that were sent elsewhere once more. They come before all that waits.
    back: VecDeque<Stray>,
    waiting: VecDeque<Stray>,
}

#[derive(Default)]
pub struct Detours {
    open: BTreeMap<Key, Detour>,
    /// Those that have something to send and may.
    ripe: Vec<Key>,
}

impl Asked {
    fn key(&self) -> Key {
        let asker = match self.whose {
            Whose::Client(ticket) => Asker::Client(ticket.conn()),
            Whose::Fold(flight, _) => Asker::Fold(flight),
            Whose::Own(..) | Whose::Asking | Whose::Map => unreachable!("nobody sends it around"),
        };
        (asker, self.pool, self.slot)
    }
}

impl Detours {
    /// A request of which somebody has sent it around is answered, by a server or in its place.
    #[cold]
    pub fn answered(&mut self, asked: &Asked) {
        let key = asked.key();
        let detour = self.open.get_mut(&key).expect("what was sent around is on a detour");
        detour.under_way -= 1;
        if detour.under_way > 0 {
            return;
        }
        if detour.back.is_empty() && detour.waiting.is_empty() {
            self.open.remove(&key);
        } else {
            self.ripe.push(key);
        }
    }

    /// Whether a request belongs behind others that are sent around.
    pub fn concern(&self, asked: &Asked) -> bool {
        !self.open.is_empty() && asked.whose.is_a_clients() && self.open.contains_key(&asked.key())
    }

    /// What waits for its turn.
    pub fn waiting(&mut self) -> impl Iterator<Item = &mut Asked> {
        let strays = self.open.values_mut().flat_map(|detour| detour.back.iter_mut().chain(&mut detour.waiting));
        strays.map(|stray| &mut stray.asked)
    }

    pub fn clear(&mut self) {
        *self = Detours::default();
    }
}

impl Router {
    /// The next request of a detour that may go, which is under way from now on.
    fn next_stray(&mut self, key: Key) -> Option<Stray> {
        let detour = self.detours.open.get_mut(&key)?;
        if detour.under_way == 0 {
            detour.row = None;
            while let Some(stray) = detour.back.pop_back() {
                detour.waiting.push_front(stray);
            }
        } else if !detour.back.is_empty() {
            return None;
        }
        let (stray, under_way, row) = (detour.waiting.front()?, detour.under_way, detour.row);
        let to = match stray.next {
            Next::Ask { server, .. } => {
                let way = stray.asked.way();
                Some(self.row_to(server, way))
            }
            _ => None,
        };
        if under_way > 0 && (to.is_none() || to != row) {
            return None;
        }
        let detour = self.detours.open.get_mut(&key).expect("it was there just now");
        (detour.under_way, detour.row) = (under_way + 1, to);
        detour.waiting.pop_front()
    }

    /// Those in front of a detour that are to wait for a time, if that is what comes next: they wait together.
    fn next_to_wait(&mut self, key: Key) -> Vec<Stray> {
        let mut strays = Vec::new();
        let Some(detour) = self.detours.open.get_mut(&key) else { return strays };
        while matches!(detour.waiting.front(), Some(Stray { next: Next::Later { .. }, .. })) {
            strays.extend(detour.waiting.pop_front());
        }
        detour.under_way += strays.len() as u32;
        strays
    }
}

impl Engine {
    /// A request is to be asked elsewhere, or later; at once if nothing before it is in its way.
    pub(super) fn send_around(&mut self, now: Now, mut stray: Stray, effects: &mut Effects) {
        self.widen_bar(&mut stray.asked);
        let (key, is_first) = (stray.asked.key(), stray.asked.hops.is_first());
        let waits = matches!(stray.next, Next::Later { .. });
        let router = self.router.as_deref_mut().expect("there is a router");
        let detour = router.detours.open.entry(key).or_default();
        if is_first {
            detour.waiting.push_back(stray);
        } else {
            detour.under_way -= 1;
            detour.back.push_back(stray);
        }
        self.send_strays(now, key, effects);
        let router = self.router.as_deref().expect("it was there just now");
        let waits = waits || router.detours.open.get(&key).is_some_and(|detour| !detour.waiting.is_empty());
        if let (true, Asker::Client(conn), false) = (waits, key.0, router.commits(Fault::OvertakeMoves))
            && let Some(client) = self.sessions.get_mut(conn).filter(|client| !client.queue.is_empty())
        {
            // Nothing new of it goes ahead, nor without bound behind.
            (client.stalled, client.settles) = (true, true);
        }
    }

    /// Sends what a detour may send.
    fn send_strays(&mut self, now: Now, key: Key, effects: &mut Effects) {
        loop {
            let router = self.router.as_deref_mut().expect("there is a router");
            let Some(Stray { asked, request, next }) = router.next_stray(key) else { return };
            match next {
                Next::Ask { server, asking } => self.ask_again(now, server, asked, asking, &request, effects),
                Next::Later { due_us } => {
                    let with = router.next_to_wait(key);
                    let of = |stray: &Stray| if let Next::Later { due_us } = stray.next { due_us } else { 0 };
                    let due_us = with.iter().map(of).fold(due_us, u64::max);
                    if router.commits(Fault::ForgetLater) {
                        return;
                    }
                    router.later.push((due_us, asked, request));
                    router.later.extend(with.into_iter().map(|stray| (due_us, stray.asked, stray.request)));
                }
                Next::Reply | Next::Error(_) => unreachable!("it is answered"),
            }
        }
    }

    /// Goes on with the detours of which all that was under way is answered.
    pub(super) fn go_round(&mut self, now: Now, effects: &mut Effects) {
        while let Some(key) = self.router.as_deref_mut().and_then(|router| router.detours.ripe.pop()) {
            self.send_strays(now, key, effects);
        }
    }
}
