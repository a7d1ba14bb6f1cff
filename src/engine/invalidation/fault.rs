//! Faults that tests plant, to prove that they would be noticed. Without the feature `faults` none is ever committed.

use super::Invalidation;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The owner of a key does not remember that a client of another core has read it.
    ForgetReader,
    /// Changes before a read are found out after it is remembered.
    SettleLate,
    /// Copies and folds answer clients whom the owner has to know.
    AnswerFromCopies,
    /// The word about keys that have changed gets lost between two cores.
    LoseStale,
    /// So does the word about changed keys with a prefix.
    LoseBroadcast,
    /// The owner of a key does not know who listens to its prefix elsewhere.
    LoseListener,
    /// Nobody is told of a flush.
    LoseFlush,
    /// A client that did not read is never told what it was spared.
    ForgetSpared,
    /// A push stands before the replies that its client awaits.
    OvertakeReplies,
    /// What a NOLOOP client changes is told to nobody.
    MuteAuthors,
    /// A NOLOOP client is told of its own changes.
    LoopBack,
    /// CLIENT CACHING holds for ever.
    KeepCaching,
}

impl Invalidation {
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
    /// Has this core's part in CLIENT TRACKING go wrong from now on.
    pub fn plant_in_invalidation(&mut self, fault: Fault) {
        self.invalidation.fault = Some(fault);
    }
}
