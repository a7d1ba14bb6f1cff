//! The end of a core: what clients have sent is answered, and all cores leave together.

use super::{TOKEN_LISTENER, Worker};
use crate::engine::Event;
use crate::runtime::uring::Armed;
use crate::types::Now;
use std::sync::atomic::Ordering;

/// While draining, how long without a receive counts as quiet, and how long to drain at most.
pub(super) const DRAIN_QUIET_US: u64 = 20_000;
const DRAIN_US_MAX: u64 = 5_000_000;

/// How far the end of the process is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Drain {
    Serving,
    /// Takes what clients have sent already, until they are quiet.
    Quieting {
        since_us: u64,
        last_receive_us: u64,
    },
    /// Answers what is owed and closes.
    Closing {
        since_us: u64,
    },
}

impl Worker {
    /// Stops accepting; what clients have sent so far is still taken and answered.
    pub(super) fn start_drain(&mut self, now: Now) {
        self.drain = Drain::Quieting { since_us: now.mono_us, last_receive_us: now.mono_us };
        for (listener, token) in self.listeners.iter_mut().zip(TOKEN_LISTENER..) {
            listener.again_us = None;
            self.ring.cancel(Armed::Accept, token);
        }
        log::info!("core {}: draining {} connections", self.core.0, self.engine.connections());
    }

    /// Moves the drain on; true when this core has nothing left to do for anybody.
    pub(super) fn is_drained(&mut self, now: Now) -> bool {
        match self.drain {
            Drain::Serving => false,
            Drain::Quieting { since_us, last_receive_us } => {
                let last_receive_us = last_receive_us.max(self.pace.last_receive_us());
                let quiet = now.mono_us >= last_receive_us + DRAIN_QUIET_US;
                if quiet || now.mono_us >= since_us + DRAIN_US_MAX / 10 {
                    self.engine.handle(now, Event::Drain, &mut self.effects);
                    self.perform(now);
                    self.drain = Drain::Closing { since_us };
                } else {
                    self.drain = Drain::Quieting { since_us, last_receive_us };
                }
                false
            }
            Drain::Closing { since_us } => {
                // Other cores' clients may still wait for letters from here: all cores leave together. A core that has
                // failed lets go of no connection, and takes none.
                let others_gone = self.ledger.connections() == 0 && self.unplaced.is_empty();
                let all_gone = self.sockets.is_empty() && (others_gone || self.control.failed.load(Ordering::Acquire));
                all_gone || now.mono_us >= since_us + DRAIN_US_MAX
            }
        }
    }
}
