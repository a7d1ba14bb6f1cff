//! The one word of a hot key that all cores share: its version.
//!
//! The owner is the only writer. It applies a write, stores the next version (`Release`), and only then lets the reply
//! leave. A reader loads the version (`Acquire`) after its request has arrived and answers from its copy if the copy
//! was made at that version. So a read that follows an acknowledged write in real time cannot miss it: the version was
//! stored before the acknowledgement left, and whatever carried the news to the reader (a socket, a letter) orders the
//! store before the load. The processor's cache coherence is the invalidation message. A copy made at a version that
//! is no longer current is never used, so it does not matter when it arrives or how old it is.
//!
//! The key of another server has no owner here: every core writes to it over a link of its own. Such a cell counts, in its
//! low bits, the writes that were sent and are not answered. While there are any, no copy is made, since nobody can say
//! whether a read that comes back now saw them; and as each write moves the version when it begins and when it ends, a
//! copy made before, or of a read that was sent before, is current no more.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering};

/// From here on versions are those of a key that is hot no more: no copy was ever made at one.
const RETIRED: u64 = 1 << 63;

/// One write under way, and one version, of a cell that all cores write. There are 39 bits of versions; a key that has used
/// them up has no copies any more.
const WRITE: u64 = 1;
const VERSION: u64 = 1 << 24;

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

    /// A write leaves this core for another server: every copy is stale, and none is made before [`Cell::end_write`].
    pub fn begin_write(&self) {
        self.version.fetch_add(VERSION + WRITE, Ordering::AcqRel);
    }

    /// It was answered, or never will be; its reply has not left yet. Each write that began ends once.
    pub fn end_write(&self) {
        self.version.fetch_add(VERSION - WRITE, Ordering::AcqRel);
    }

    /// Somebody else has written: every copy is stale.
    pub fn invalidate(&self) {
        self.version.fetch_add(VERSION, Ordering::AcqRel);
    }

    /// The version at which a copy may be made of a read that is sent now; none while a write is under way.
    pub fn settled(&self) -> Option<u64> {
        let word = self.version();
        (word < RETIRED && word.is_multiple_of(VERSION)).then_some(word)
    }

    /// A cell that all cores write, with so many writes under way.
    pub fn shared(writes: usize) -> Cell {
        Cell { version: AtomicU64::new(VERSION + writes as u64) }
    }

    /// Makes every copy stale for good.
    pub fn retire(&self) {
        self.version.store(RETIRED, Ordering::Release);
    }
}
