//! Faults that tests plant, to prove that they would be noticed. Without the feature `faults` none is ever committed.

use super::PubSub;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Other cores never learn that somebody here listens.
    ForgetInterest,
    /// An interest ends with the first connection that leaves a channel.
    DropInterest,
    /// Messages of other cores reach nobody here.
    LoseMessage,
    /// They reach everybody twice.
    RepeatMessage,
    /// Messages go to who has left the channel.
    StayListening,
    /// What PUBLISH answers leaves its own core out.
    Miscount,
    /// Listeners by pattern alone hear nothing.
    LosePattern,
    /// The last of a turn's key events is not told.
    LoseEvent,
    /// A turn's key events are told backwards.
    ReverseEvents,
}

impl PubSub {
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
    /// Has this core's part in messages go wrong from now on.
    pub fn plant_in_messages(&mut self, fault: Fault) {
        self.pubsub.fault = Some(fault);
    }
}
