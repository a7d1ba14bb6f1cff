//! How a simulated log ends: `runtime/disk/ending.rs`, on the medium.

use crate::disk::{Ailment, Disk, Hands, Spare};
use coldplate::engine::Engine;
use coldplate::log::SegmentName;

impl Disk {
    /// Writes and syncs what is left; whether all of it is safe.
    pub fn finish(&mut self, engine: &mut Engine, hands: &mut Hands) -> bool {
        while !self.failed && engine.fill_log().is_some() {
            hands.medium.hurry();
            hands.medium.keep(hands.event);
            self.look_for_spare(engine, hands);
            let before = self.written;
            if self.write(engine, hands).is_err() {
                self.failed = true;
            }
            if self.written == before && matches!(self.spare, Spare::Failed { .. }) {
                return false;
            }
        }
        if self.failed {
            return false;
        }
        hands.medium.remove(self.next.name, hands.event);
        let files: Vec<SegmentName> = self.left.drain(..).chain(self.segment.as_ref().map(|one| one.name)).collect();
        if self.ailment == Some(Ailment::Sync) {
            files.iter().for_each(|name| hands.medium.fail_sync(*name, hands.rng));
            self.failed = true;
            return false;
        }
        files.iter().for_each(|name| hands.medium.sync(*name));
        self.durable = self.written;
        engine.log_durable(self.durable);
        true
    }
}
