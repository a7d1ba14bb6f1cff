//! Faults that tests plant, to prove that they would be noticed. Without the feature `faults` none is ever committed.

use super::router::Router;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What a lost link owes is asked again, writes that may have been done as well.
    AskWritesAgain,
    /// Redirects are handed on to clients.
    FollowNothing,
    /// Each reply goes to the request behind its own.
    #[cfg(feature = "faults")]
    ShiftReplies,
    /// What a server has not got any more is asked elsewhere as if it were there already.
    ForgetAsking,
    /// Requests on a slot that has moved overtake those that are still on their way to its old server.
    OvertakeMoves,
    /// What is to be asked later is not asked any more.
    ForgetLater,
    /// Clients that wait for room on a link wait for ever.
    ForgetWaiting,
    /// Links take more than they may have in flight.
    NoBound,
    /// A write on several hot keys goes its way as if none of them were hot.
    ForgetBar,
    /// What servers say of changes is not listened to.
    IgnorePushes,
}

impl Router {
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

    /// The reply that came before this one, in its place, by [`Fault::ShiftReplies`].
    #[cfg(feature = "faults")]
    pub fn shifted(&mut self, reply: &[u8]) -> Option<Vec<u8>> {
        self.commits(Fault::ShiftReplies).then(|| self.last_reply.replace(reply.to_vec())).flatten()
    }

    #[cfg(not(feature = "faults"))]
    #[inline(always)]
    pub fn shifted(&mut self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

#[cfg(feature = "faults")]
impl crate::engine::Engine {
    /// Has this core's way to servers go wrong from now on.
    pub fn plant_in_upstream(&mut self, fault: Fault) {
        if let Some(router) = self.router.as_deref_mut() {
            router.fault = Some(fault);
        }
    }
}
