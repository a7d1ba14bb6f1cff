//! The one word of a hot key that all cores share: its version.
//!
//! The owner is the only writer. It applies a write, stores the next version (`Release`), and only then lets the reply
//! leave. A reader loads the version (`Acquire`) after its request has arrived and answers from its copy if the copy
//! was made at that version. So a read that follows an acknowledged write in real time cannot miss it: the version was
//! stored before the acknowledgement left, and whatever carried the news to the reader (a socket, a letter) orders the
//! store before the load. The processor's cache coherence is the invalidation message. A copy made at a version that
//! is no longer current is never used, so it does not matter when it arrives or how old it is.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering};

/// The version of a key that is hot no more: no copy was ever made at it.
const RETIRED: u64 = u64::MAX;

/// A version, alone on its cache lines: neighbours would be invalidated with it. Two lines, since processors fetch them
/// in pairs.
#[derive(Debug)]
#[repr(align(128))]
pub struct Cell {
    version: AtomicU64,
}

impl Default for Cell {
    fn default() -> Cell {
        Cell { version: AtomicU64::new(1) }
    }
}

impl Cell {
    /// The current version, for whoever holds a copy.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Makes every copy stale, after a write was applied and before its reply leaves; answers the new version. For the
    /// owner alone.
    pub fn advance(&self) -> u64 {
        let next = self.version.load(Ordering::Relaxed) + 1;
        assert!(next < RETIRED, "a retired version does not advance");
        self.version.store(next, Ordering::Release);
        next
    }

    /// Makes every copy stale for good.
    pub fn retire(&self) {
        self.version.store(RETIRED, Ordering::Release);
    }
}
