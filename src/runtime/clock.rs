//! The only clock: read once a loop turn and handed down as [`Now`].

use crate::types::Now;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Counts from its start. Copies count from the same start, so that all cores agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Default for Clock {
    fn default() -> Clock {
        Clock { start: Instant::now() }
    }
}

impl Clock {
    /// [`Now::mono_us`] alone.
    #[inline]
    pub fn elapsed_us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    #[inline]
    pub fn now(&self) -> Now {
        // A wall clock before 1970 reads as 1970; expiries then lie in the future, and nothing is lost.
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono_us: self.elapsed_us(), unix_us: unix.as_micros() as u64 }
    }
}
