//! The slots of this core that transactions have locked, and what waits for them.
//!
//! While a slot is locked its keys are the transaction's alone: operations of others wait here, in the order in which they
//! came. A lock is held from when it is granted until the transaction's last operation here: about a round trip, once the
//! other cores have granted theirs. What waits needs no bound of its own: for each a client is owed a reply, and how many
//! that may be is bounded.

use super::super::letter::Ticket;
use crate::protocol::command::{Command, spec};
use crate::protocol::resp::{OwnedArgs, Proto};
use crate::replica::Fold;
use crate::types::{ConnId, CoreId, KeyHash, SLOTS, Slot};
use std::collections::{BTreeMap, VecDeque};

/// What one transaction needs of one core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotSet {
    /// In order, each once.
    These(Vec<Slot>),
    All,
}

impl SlotSet {
    pub fn is_one(&self) -> bool {
        matches!(self, SlotSet::These(slots) if slots.len() == 1)
    }

    pub fn contains(&self, slot: Slot) -> bool {
        match self {
            SlotSet::These(slots) => slots.binary_search(&slot).is_ok(),
            SlotSet::All => true,
        }
    }
}

/// A transaction, by the core that runs it and that core's number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    pub core: CoreId,
    pub number: u32,
}

/// Asks a core for a lock.
#[derive(Debug)]
pub struct LockRequest {
    pub number: u32,
    /// Its client: what that has asked before comes first.
    pub conn: ConnId,
    pub slots: SlotSet,
    /// Whether it waits for others to let go, or is refused.
    pub waits: bool,
    /// Whether the keys that its client watches must be as they were.
    pub watches: bool,
}

/// One operation that waits, on one key or on all.
#[derive(Debug)]
pub struct WaitingRequest {
    pub from: CoreId,
    pub ticket: Ticket,
    pub proto: Proto,
    /// Bits of what is to be heeded, as in its letter.
    pub heed: u8,
    pub command: Command,
    pub slot: Slot,
    pub hash: KeyHash,
    pub args: OwnedArgs,
}

impl WaitingRequest {
    /// Who has asked.
    fn who(&self) -> (CoreId, ConnId) {
        (self.from, self.ticket.conn())
    }

    /// `None`: it is on the keys of all slots.
    pub fn slot(&self) -> Option<Slot> {
        spec(self.command).keys.names_keys().then_some(self.slot)
    }
}

#[derive(Debug)]
pub enum Waiting {
    Request(WaitingRequest),
    /// Another core's fold, or one of this core's own.
    Fold(CoreId, Box<Fold>),
    Lock(CoreId, LockRequest),
}

/// See the module. Nothing waits while no lock is held.
///
/// Every operation looks here while a lock is held, and thousands may be: so what is held and what waits is counted by slot
/// and by connection, and no look goes through all of it.
#[derive(Debug, Default)]
pub struct Locks {
    held: BTreeMap<Holder, SlotSet>,
    covered: Cover,
    queue: VecDeque<Waiting>,
    /// All that is in the queue.
    line: Line,
    /// What was released since somebody waits and was last looked for.
    freed: Vec<SlotSet>,
    /// Empty but while the queue is gone through: what is known to stay.
    ahead: Line,
}

impl Locks {
    pub fn is_idle(&self) -> bool {
        self.held.is_empty()
    }

    /// How many are held, or wait, with what else waits.
    #[cfg(feature = "faults")]
    pub fn len(&self) -> usize {
        self.held.len() + self.queue.len()
    }

    /// Whether operations on a slot wait.
    pub fn is_locked(&self, slot: Slot) -> bool {
        self.covered.contains(slot)
    }

    /// Whether an operation of a connection on a slot, or on the keys of all (`None`), has to wait: for a lock, or for what
    /// the connection has asked before. What is on all keys stands in order with everything else of its connection.
    pub fn must_wait(&self, from: CoreId, conn: ConnId, slot: Option<Slot>) -> bool {
        slot.is_some_and(|slot| self.is_locked(slot)) || self.line.delays((from, conn), slot)
    }

    /// Whether a fold on a slot has to wait. It stands behind all that is on the keys of all slots: a member of it may have
    /// been asked behind that by the same connection.
    pub fn fold_must_wait(&self, slot: Slot) -> bool {
        self.is_locked(slot) || self.line.keyless > 0
    }

    /// Whether a lock would have to wait: for one that is held, for one that waits itself, or for what its client has asked
    /// before.
    pub fn is_in_the_way(&self, slots: &SlotSet, who: (CoreId, ConnId)) -> bool {
        self.covered.meets(slots) || self.line.delays_lock(slots, who)
    }

    pub fn hold(&mut self, holder: Holder, slots: SlotSet) {
        self.covered.add(&slots);
        let before = self.held.insert(holder, slots);
        assert!(before.is_none(), "a transaction holds one lock of a core");
    }

    pub fn release(&mut self, holder: Holder) {
        let slots = self.held.remove(&holder).expect("a lock is released once, by its holder");
        self.covered.remove(&slots);
        if !self.queue.is_empty() {
            self.freed.push(slots);
        }
    }

    /// Makes WATCHes of a client that wait here name no key: the client watches nothing any more.
    pub fn forget_watches(&mut self, who: (CoreId, ConnId)) {
        if !self.line.asked.contains_key(&who) {
            return;
        }
        for waiting in &mut self.queue {
            if let Waiting::Request(request) = waiting
                && (request.who(), request.command) == (who, Command::Watch)
            {
                request.args = OwnedArgs::default();
            }
        }
    }

    pub fn wait(&mut self, waiting: Waiting) {
        self.line.add(&waiting);
        self.queue.push_back(waiting);
    }

    /// Takes out, in order, what can go on. Locks among them are held from here on.
    ///
    /// An operation waits for locks that are held, and only for these: it takes no time, so it delays no lock that waits,
    /// and an operation that comes later finds the same slot locked and stands behind it. A lock waits for those that wait
    /// before it, too.
    pub fn take_ready(&mut self) -> Vec<Waiting> {
        let (mut ready, mut stay, mut only_locks) = (Vec::new(), Vec::new(), true);
        while let Some(waiting) = self.queue.pop_front() {
            let stays = match &waiting {
                Waiting::Request(request) => {
                    let slot = request.slot();
                    slot.is_some_and(|slot| self.is_locked(slot)) || self.ahead.delays(request.who(), slot)
                }
                Waiting::Fold(_, fold) => self.is_locked(fold.slot) || self.ahead.keyless > 0,
                Waiting::Lock(from, lock) => {
                    self.covered.meets(&lock.slots) || self.ahead.delays_lock(&lock.slots, (*from, lock.conn))
                }
            };
            if stays {
                self.ahead.add(&waiting);
                stay.push(waiting);
                continue;
            }
            self.line.remove(&waiting);
            only_locks &= matches!(waiting, Waiting::Lock(..));
            if let Waiting::Lock(from, lock) = &waiting {
                self.hold(Holder { core: *from, number: lock.number }, lock.slots.clone());
            }
            ready.push(waiting);
            // All that was released is held again: nobody behind has anything new to go by.
            if only_locks && self.freed.iter().all(|slots| self.covered.has_all(slots)) {
                break;
            }
        }
        for waiting in stay.into_iter().rev() {
            self.ahead.remove(&waiting);
            self.queue.push_front(waiting);
        }
        self.freed.clear();
        ready
    }
}

/// What of those that wait makes others wait behind it.
#[derive(Debug, Default)]
struct Line {
    /// Slots of locks.
    wanted: Cover,
    /// Operations, by whose they are: all, and those on all keys.
    asked: BTreeMap<(CoreId, ConnId), (usize, usize)>,
    /// Operations on all keys.
    keyless: usize,
}

impl Line {
    fn add(&mut self, waiting: &Waiting) {
        match waiting {
            Waiting::Request(request) => {
                let (all, keyless) = self.asked.entry(request.who()).or_default();
                *all += 1;
                if request.slot().is_none() {
                    *keyless += 1;
                    self.keyless += 1;
                }
            }
            Waiting::Lock(_, lock) => self.wanted.add(&lock.slots),
            Waiting::Fold(..) => {}
        }
    }

    fn remove(&mut self, waiting: &Waiting) {
        match waiting {
            Waiting::Request(request) => {
                let (all, keyless) = self.asked.get_mut(&request.who()).expect("who waits is counted");
                *all -= 1;
                if request.slot().is_none() {
                    *keyless -= 1;
                    self.keyless -= 1;
                }
                if *all == 0 {
                    self.asked.remove(&request.who());
                }
            }
            Waiting::Lock(_, lock) => self.wanted.remove(&lock.slots),
            Waiting::Fold(..) => {}
        }
    }

    /// Whether an operation stands behind others of its connection: one on all keys behind any, another behind those on all
    /// keys.
    fn delays(&self, who: (CoreId, ConnId), slot: Option<Slot>) -> bool {
        match slot {
            None => self.asked.contains_key(&who),
            Some(_) => self.keyless > 0 && self.asked.get(&who).is_some_and(|(_, keyless)| *keyless > 0),
        }
    }

    fn delays_lock(&self, slots: &SlotSet, who: (CoreId, ConnId)) -> bool {
        self.wanted.meets(slots) || self.asked.contains_key(&who)
    }
}

/// How many sets of slots have each slot.
#[derive(Debug, Default)]
struct Cover {
    /// By slot; empty until the first is counted.
    slots: Vec<u32>,
    /// Their sum, and how many sets have all slots.
    sum: usize,
    all: usize,
}

impl Cover {
    fn contains(&self, slot: Slot) -> bool {
        self.all > 0 || self.sum > 0 && self.slots[slot.index()] > 0
    }

    fn meets(&self, slots: &SlotSet) -> bool {
        match slots {
            SlotSet::These(slots) => slots.iter().any(|slot| self.contains(*slot)),
            SlotSet::All => self.all + self.sum > 0,
        }
    }

    fn has_all(&self, slots: &SlotSet) -> bool {
        match slots {
            SlotSet::These(slots) => slots.iter().all(|slot| self.contains(*slot)),
            SlotSet::All => self.all > 0,
        }
    }

    fn add(&mut self, slots: &SlotSet) {
        let SlotSet::These(slots) = slots else { return self.all += 1 };
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, 0);
        }
        self.sum += slots.len();
        slots.iter().for_each(|slot| self.slots[slot.index()] += 1);
    }

    fn remove(&mut self, slots: &SlotSet) {
        let SlotSet::These(slots) = slots else { return self.all -= 1 };
        self.sum -= slots.len();
        slots.iter().for_each(|slot| self.slots[slot.index()] -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn these(slots: &[u16]) -> SlotSet {
        SlotSet::These(slots.iter().map(|slot| Slot(*slot)).collect())
    }

    fn holder(number: u32) -> Holder {
        Holder { core: CoreId(0), number }
    }

    fn conn(index: u32) -> ConnId {
        ConnId { index, generation: 0 }
    }

    fn request(slot: u16, mark: u32) -> Waiting {
        Waiting::Request(WaitingRequest {
            from: CoreId(1),
            ticket: Ticket::new(conn(mark), 0, 0),
            proto: Proto::Resp2,
            heed: 0,
            command: Command::Get,
            slot: Slot(slot),
            hash: KeyHash(0),
            args: OwnedArgs::default(),
        })
    }

    fn lock(slots: &[u16], number: u32) -> Waiting {
        Waiting::Lock(
            CoreId(1),
            LockRequest { number, conn: conn(number), slots: these(slots), waits: true, watches: false },
        )
    }

    fn ready(locks: &mut Locks) -> Vec<u32> {
        let mark = |waiting: Waiting| match waiting {
            Waiting::Request(request) => request.ticket.conn().index,
            Waiting::Lock(_, lock) => lock.number,
            Waiting::Fold(..) => unreachable!("none was put in"),
        };
        locks.take_ready().into_iter().map(mark).collect()
    }

    /// Whoever waits goes on in order of arrival, and nobody passes one that waits for the same slot.
    #[test]
    fn first_come_first_served() {
        let mut locks = Locks::default();
        locks.hold(holder(1), these(&[3, 5]));
        locks.hold(holder(2), these(&[7]));
        assert!(locks.is_locked(Slot(5)) && !locks.is_locked(Slot(4)));
        for waiting in [request(3, 10), lock(&[3, 7], 11), request(3, 12), request(5, 13), lock(&[5, 9], 14)] {
            locks.wait(waiting);
        }
        assert!(ready(&mut locks).is_empty());
        locks.release(holder(1));
        assert_eq!(ready(&mut locks), [10, 12, 13, 14]);
        locks.wait(request(9, 15));
        locks.wait(request(3, 16));
        assert_eq!(ready(&mut locks), [16], "a lock that waits for 7, too, keeps nobody from 3");
        locks.release(holder(2));
        assert_eq!(ready(&mut locks), [11]);
        locks.release(Holder { core: CoreId(1), number: 14 });
        assert_eq!(ready(&mut locks), [15]);
        locks.wait(request(3, 17));
        assert!(ready(&mut locks).is_empty());
        locks.release(Holder { core: CoreId(1), number: 11 });
        assert_eq!(ready(&mut locks), [17]);
        assert!(locks.is_idle());
    }

    /// A lock that does not wait is refused where another waits, too: otherwise that one could wait for ever.
    #[test]
    fn nobody_pushes_in() {
        let mut locks = Locks::default();
        locks.hold(holder(1), these(&[1]));
        locks.wait(lock(&[1, 2], 2));
        let in_the_way = |slots| locks.is_in_the_way(&slots, (CoreId(1), conn(3)));
        assert!(in_the_way(these(&[2])) && !in_the_way(these(&[3])));
        assert!(in_the_way(SlotSet::All) && !in_the_way(these(&[])));
    }

    /// A fold may hold what a connection has asked behind a DBSIZE that waits: it waits as well.
    #[test]
    fn folds_stand_behind_what_is_on_all_keys() {
        let mut locks = Locks::default();
        locks.hold(holder(1), these(&[1]));
        locks.wait(request(1, 7));
        assert!(locks.fold_must_wait(Slot(1)) && !locks.fold_must_wait(Slot(2)));
        let mut on_all = request(0, 7);
        if let Waiting::Request(request) = &mut on_all {
            request.command = Command::DbSize;
        }
        locks.wait(on_all);
        assert!(locks.fold_must_wait(Slot(2)));
        locks.release(holder(1));
        assert_eq!(ready(&mut locks), [7, 7]);
        assert!(!locks.fold_must_wait(Slot(2)));
    }

    /// A client's lock stands behind what the client has asked before, whatever slot that waits for.
    #[test]
    fn nobody_passes_itself() {
        let mut locks = Locks::default();
        locks.hold(holder(1), these(&[1]));
        locks.wait(request(1, 7));
        let of = |index| (CoreId(1), conn(index));
        assert!(locks.is_in_the_way(&these(&[2]), of(7)) && !locks.is_in_the_way(&these(&[2]), of(8)));
        locks.wait(lock(&[2], 7));
        locks.wait(lock(&[3], 8));
        assert_eq!(ready(&mut locks), [8]);
        locks.release(holder(1));
        assert_eq!(ready(&mut locks), [7, 7]);
    }
}
