//! What cores have counted, for a thread that is none of them: it asks, rings each core's alarm, and takes what comes.

use crate::engine::Snapshot;
use crate::types::CoreId;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One core's answer, to the question of that number.
struct Part {
    core: CoreId,
    asked: u64,
    bytes: Vec<u8>,
}

/// Between one thread that asks and all cores.
pub struct Scrape {
    cores: usize,
    /// How often it was asked.
    asked: AtomicU64,
    parts: (Sender<Part>, Receiver<Part>),
}

impl Scrape {
    pub fn new(cores: usize) -> Scrape {
        // A core that answers an earlier question late leaves room for the others' answers to this one.
        Scrape { cores, asked: AtomicU64::new(0), parts: bounded(2 * cores) }
    }

    /// Asks all cores, whose alarms `ring` rings, and waits so long at most. A core that does not turn is left out.
    pub fn ask(&self, ring: impl FnOnce(), patience: Duration) -> Snapshot {
        let (_, parts) = &self.parts;
        while parts.try_recv().is_ok() {}
        let asked = self.asked.fetch_add(1, Ordering::Release) + 1;
        ring();
        let (deadline, mut snapshot) = (Instant::now() + patience, Snapshot::default());
        while snapshot.cores().len() < self.cores {
            match parts.recv_deadline(deadline) {
                Ok(part) if part.asked == asked => snapshot.add(part.core, &part.bytes),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        snapshot
    }

    /// Called by a core whose alarm rang, with the number of the last question that it has answered.
    pub fn answer(&self, core: CoreId, answered: &mut u64, count: impl FnOnce() -> Vec<u8>) {
        let asked = self.asked.load(Ordering::Acquire);
        if asked != *answered {
            *answered = asked;
            // Whoever asked may have given up; then there may be no room.
            let _ = self.parts.0.try_send(Part { core, asked, bytes: count() });
        }
    }
}
