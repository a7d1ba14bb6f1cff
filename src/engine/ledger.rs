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

/// A row a core.
pub struct Ledger {
    rows: Box<[Row]>,
}

impl Ledger {
    pub fn new(cores: usize) -> Ledger {
        Ledger { rows: (0..cores).map(|_| Row::default()).collect() }
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

    /// Takes a place on the core with the fewest connections. Called by the one core that accepts for all, so that 50
    /// connections on 2 cores are 25 and 25.
    pub fn place_connection(&self) -> CoreId {
        let fewest = (0..self.rows.len()).min_by_key(|core| self.rows[*core].connections.load(Ordering::Relaxed));
        let core = fewest.expect("there is at least one core");
        self.take_place(CoreId(core as u16))
    }

    /// Takes a place on this core, whatever the others have.
    pub fn take_place(&self, core: CoreId) -> CoreId {
        self.rows[core.index()].connections.fetch_add(1, Ordering::Relaxed);
        core
    }

    /// Gives a place back.
    pub fn drop_connection(&self, core: CoreId) {
        self.rows[core.index()].connections.fetch_sub(1, Ordering::Relaxed);
    }
}
