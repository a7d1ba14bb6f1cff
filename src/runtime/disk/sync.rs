//! How what was written gets to stable storage.

use super::Disk;
use crate::engine::Engine;
use crate::runtime::Ring;
use crate::types::Now;
use std::io;
use std::os::fd::AsRawFd;

impl Disk {
    /// Waits for the disk. Nothing of what this turn has to say could leave meanwhile, and a sync through the ring is one
    /// that a thread of the kernel's waits for: with 1 connection that took 210 µs a SET, and so 120.
    pub(super) fn sync_here(&mut self, engine: &mut Engine, now: Now) -> io::Result<()> {
        for file in self.left.drain(..) {
            file.sync_data()?;
        }
        self.segment.as_ref().expect("what was written is in a segment").file.sync_data()?;
        (self.durable, self.owes_sync) = (self.written, false);
        self.counts.syncs += 1;
        self.counts.synced_unix_s = now.unix_us / 1_000_000;
        engine.log_durable(self.durable);
        Ok(())
    }

    pub(super) fn sync(&mut self, ring: &mut Ring, now_us: u64) -> io::Result<()> {
        let segment = self.segment.as_ref().expect("what was written is in a segment");
        self.syncing.append(&mut self.left);
        self.syncing.push(segment.file.try_clone()?);
        for file in &self.syncing {
            ring.sync(file.as_raw_fd(), self.switches);
        }
        self.syncs_pending = self.syncing.len() as u32;
        self.counts.syncs += u64::from(self.syncs_pending);
        (self.covers, self.last_sync_us, self.owes_sync) = (self.written, now_us, false);
        Ok(())
    }

    /// Whether a sync through the ring is under way.
    pub fn is_syncing(&self) -> bool {
        self.syncs_pending > 0
    }
}
