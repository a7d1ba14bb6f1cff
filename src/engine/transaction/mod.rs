//! Owns: what makes several operations one step: MULTI and EXEC, WATCH, and commands whose keys live on several cores.
//! Knows: slots locked at their owners, programs of requests, clients that wait for them.
//! Must never know: what an operation does to its key.
//! Read first: `coordinator.rs` (locks asked for, then the program), `locks.rs` (the owner's side), `moves.rs`.
//!
//! Operations on one slot need no lock: they run in one go at its owner, or wait in a row while another has locked it.
//! Nor do those on this core's slots while none of these is locked. For all others, all slots are locked first: some that
//! waited while the rest ran would show a state between.

mod coordinator;
mod fault;
mod footprint;
mod locks;
#[cfg(test)]
mod locks_tests;
mod moves;
mod multi;
mod owner;
mod program;
mod watches;

pub use fault::Fault;
pub use locks::{Holder, LockRequest};
pub use moves::is_move;
pub use multi::is_queued;

use crate::types::{ConnId, CoreId, Slot};
use coordinator::Transaction;
use locks::Locks;
use std::collections::{BTreeMap, VecDeque};
use watches::Watches;

/// What became of a request for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Granted,
    /// Others are in the way, and the request was not to wait.
    Refused,
    /// A watched key is not as it was; nothing is locked.
    Changed,
}

/// What is to be done about transactions once no client is in the middle of a request.
pub(super) enum Errand {
    /// A client waits for a transaction that has not asked for its locks yet.
    Begin(u32),
    /// A core asks for a lock here.
    Lock(CoreId, LockRequest),
    /// What a core has answered to a request for a lock.
    Locked {
        number: u32,
        core: CoreId,
        outcome: Outcome,
    },
    /// A round of a command that moves values has been answered.
    GoOn(u32),
    Unlock(Holder),
}

/// One core's part in all transactions.
#[derive(Default)]
pub(super) struct Transactions {
    /// Of clients of this core, by number.
    under_way: BTreeMap<u32, Transaction>,
    next_number: u32,
    errands: VecDeque<Errand>,
    locks: Locks,
    watches: Watches,
    /// A program's requests run now: no copy and no fold has a part in it.
    runs: bool,
    #[cfg(feature = "faults")]
    fault: Option<Fault>,
}

impl Transactions {
    /// Whether operations need a second look: some slots are locked, or a program runs.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.runs || !self.locks.is_idle()
    }

    /// Whether a slot's keys are a transaction's alone: operations on them wait, and no copy of them is given out.
    #[inline]
    pub fn locks_slot(&self, slot: Slot) -> bool {
        !self.locks.is_idle() && self.locks.is_locked(slot)
    }

    /// Whether an operation of another core's connection has to wait here.
    pub fn must_wait(&self, from: CoreId, conn: ConnId, slot: Option<Slot>) -> bool {
        self.locks.must_wait(from, conn, slot)
    }

    pub fn errand(&mut self, errand: Errand) {
        self.errands.push_back(errand);
    }
}
