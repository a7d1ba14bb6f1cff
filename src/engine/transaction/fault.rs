//! Faults that tests plant, to prove that they would be noticed. Without the feature `faults` none is ever committed.

use super::Transactions;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A lock is granted though another transaction holds its slots.
    GrantTwice,
    /// Letters on locked slots are served.
    IgnoreLocks,
    /// Copies on other cores stay current while their slot is locked.
    KeepCopies,
    /// Locks are let go as the program begins, not when its last request has run.
    UnlockEarly,
    /// Keys that are watched never seem to change.
    MissChanges,
    /// Keys that are watched always seem to have changed.
    ImagineChanges,
    /// RENAME removes its source and writes nothing.
    LoseSecondPart,
    /// The program of a client that is lost stops where it is.
    StopWithClient,
    /// What waited for a lock is forgotten when it is let go.
    ForgetWaiting,
    /// A transaction that was refused a lock keeps those that it was granted.
    KeepRefused,
    /// A client that is lost while it waits for its locks keeps them.
    KeepAbandoned,
}

impl Transactions {
    /// Whether this fault was planted here.
    #[cfg(feature = "faults")]
    pub fn commits(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    #[cfg(not(feature = "faults"))]
    #[inline(always)]
    pub fn commits(&self, _: Fault) -> bool {
        false
    }
}

#[cfg(feature = "faults")]
impl super::super::Engine {
    /// Has this core's part in transactions go wrong from now on.
    pub fn plant_in_transactions(&mut self, fault: Fault) {
        self.transactions.fault = Some(fault);
    }

    /// All that transactions have left here: locks, what waits for them, programs, watched keys, clients that are gone.
    pub fn transactions_left(&self) -> usize {
        let Transactions { under_way, errands, locks, watches, .. } = &self.transactions;
        under_way.len() + errands.len() + locks.len() + watches.len() + self.sessions.shadows()
    }
}
