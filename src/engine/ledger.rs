//! What cores tell each other without letters: a few numbers a core, each written by one core and read by all.
//!
//! Only sums of them decide anything (the memory limit, where a connection lands), so plain relaxed loads do.

use crate::types::CoreId;
use std::sync::atomic::{AtomicU64, Ordering};

/// One core's row, alone on its cache lines.
#[repr(align(128))]
#[derive(Default)]
struct Row {
    used_bytes: AtomicU64,
    connections: AtomicU64,
}

/// Alone on its cache lines: whoever tracks no keys never touches it.
#[repr(align(128))]
#[derive(Default)]
struct Tracked(AtomicU64);

/// A row a core.
pub struct Ledger {
    rows: Box<[Row]>,
    /// Keys that clients of CLIENT TRACKING have read, over all cores.
    tracked_keys: Tracked,
}

impl Ledger {
    pub fn new(cores: usize) -> Ledger {
        Ledger { rows: (0..cores).map(|_| Row::default()).collect(), tracked_keys: Tracked::default() }
    }

    pub fn cores(&self) -> usize {
        self.rows.len()
    }

    /// Publishes the bytes that a core's keys take; skips the write when nothing changed.
    pub fn set_used_bytes(&self, core: CoreId, bytes: u64) {
        let used = &self.rows[core.index()].used_bytes;
        if used.load(Ordering::Relaxed) != bytes {
            used.store(bytes, Ordering::Relaxed);
        }
    }

    /// The bytes that the keys of all cores take.
    pub fn used_bytes(&self) -> u64 {
        self.rows.iter().map(|row| row.used_bytes.load(Ordering::Relaxed)).sum()
    }

    /// Connections over all cores.
    pub fn connections(&self) -> u64 {
        self.rows.iter().map(|row| row.connections.load(Ordering::Relaxed)).sum()
    }

    /// A core's tracked keys were so many and are now so many.
    pub fn count_tracked(&self, before: u64, now: u64) {
        // Wrapping, which is exact in the end: a difference below zero is added as its complement.
        self.tracked_keys.0.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
    }

    /// Takes one of the tracked keys off the sum if there are more than `max`. So cores that look at the same time take
    /// out as many as there are too many, and no more.
    pub fn claim_tracked_above(&self, max: u64) -> bool {
        let less = |keys: u64| (keys > max).then(|| keys - 1);
        self.tracked_keys.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    /// Takes a place on the core with the fewest connections. Called by the one core that accepts, so that 50
    /// connections on 2 cores are 25 and 25.
    pub fn place_connection(&self) -> CoreId {
        let fewest = (0..self.rows.len()).min_by_key(|core| self.rows[*core].connections.load(Ordering::Relaxed));
        let core = fewest.expect("there is at least one core");
        self.rows[core].connections.fetch_add(1, Ordering::Relaxed);
        CoreId(core as u16)
    }

    /// Gives a place back.
    pub fn drop_connection(&self, core: CoreId) {
        self.rows[core.index()].connections.fetch_sub(1, Ordering::Relaxed);
    }
}
