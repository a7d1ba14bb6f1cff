//! How a core's log ends: with the server, or because it is switched off.

use super::spare::Spare;
use super::{Disk, LOOK_US};
use crate::engine::Engine;
use std::io;
use std::time::Duration;

impl Disk {
    /// Logs the keys that are still missing in a log that begins anew: without them it would be nothing.
    pub fn finish_rewrite(&mut self, engine: &mut Engine) {
        let mut goes_on = self.marker.is_some() && !self.failed;
        while goes_on && !engine.is_rewritten() {
            engine.rewrite_more(self.rewrite_bytes());
            goes_on = self.write_rest(engine);
        }
        while goes_on && !self.is_begun() {
            goes_on = self.write_some(engine);
        }
    }

    /// Writes and syncs what is left; whether all of it is on stable storage.
    pub fn finish(&mut self, engine: &mut Engine) -> bool {
        if self.failed {
            return false;
        }
        let is_written = self.write_rest(engine);
        if !is_written && !self.failed {
            log::error!("the last changes are lost: there is no room for them");
        }
        // What was made for later and never begun is nothing to come back to.
        if let Spare::There { .. } | Spare::Asked { .. } = self.spare {
            self.drop_spare();
        }
        if self.failed {
            return false;
        }
        if let Err(error) = self.sync_at_end(engine) {
            self.failed = true;
            log::error!("the log in {} failed (sync: {error})", self.dir.display());
        }
        if is_written && engine.is_rewritten() && self.is_begun() {
            self.outlived.rewritten(self.durable);
        }
        is_written && !self.failed
    }

    /// Writes all that has changed; false if there is no room for it, or the log fails. The keeper is asked for whatever is
    /// missing, and answers while this waits.
    fn write_rest(&mut self, engine: &mut Engine) -> bool {
        while engine.fill_log().is_some() {
            if !self.write_some(engine) {
                return false;
            }
        }
        true
    }

    /// Writes what there is room for, or waits a little for some.
    fn write_some(&mut self, engine: &mut Engine) -> bool {
        self.look_for_spare(engine, 0);
        let before = (self.written, self.next.name);
        if let Err(error) = self.write_at_end(engine) {
            self.fail("write", &error);
            return false;
        }
        if (self.written, self.next.name) == before {
            match &self.spare {
                Spare::Asked { .. } => std::thread::sleep(Duration::from_micros(LOOK_US)),
                Spare::There { .. } => {}
                Spare::Failed { .. } => return false,
            }
        }
        true
    }

    /// What the kernel still syncs is synced once more: nobody waits for its answer. Then the last frame is said to be
    /// durable; that this is written need not be.
    fn sync_at_end(&mut self, engine: &mut Engine) -> io::Result<()> {
        for file in self.left.iter().chain(&self.syncing).chain(self.segment.iter().map(|segment| &segment.file)) {
            file.sync_data()?;
        }
        self.durable = self.written;
        engine.log_durable(self.durable);
        let is_marked = self.written == self.seen_written && self.mark_us.is_none();
        if is_marked { Ok(()) } else { self.write_mark(engine) }
    }

    fn write_at_end(&mut self, engine: &mut Engine) -> io::Result<()> {
        self.syncs_pending = 0;
        self.write(engine)
    }
}
