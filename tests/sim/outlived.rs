//! What earlier runs left and will not count: `runtime/disk/outlived.rs`, on the medium.

use crate::disk::{Disk, Hands, Spare};
use coldplate::engine::Engine;
use coldplate::log::SegmentName;
use coldplate::types::CoreId;

/// How soon to ask once more for the end of a marker.
const FINISH_AGAIN_US: u64 = 50_000;

/// Segments of earlier runs, and runs that were never whole.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub segments: Vec<SegmentName>,
    pub unfinished: Vec<u64>,
}

impl Disk {
    /// Whether there is a header that makes an end of what was before, if one is needed.
    pub fn is_begun(&self) -> bool {
        self.marker.is_none() || self.segment.is_some()
    }

    pub fn is_newly_rewritten(&mut self) -> bool {
        self.outlived.is_newly_done(self.durable)
    }

    /// Whether earlier logs could be buried, as far as this core is concerned.
    pub fn can_bury(&self, now_us: u64) -> bool {
        let can = match self.marker {
            Some(_) => now_us >= self.finish_us,
            None => matches!(self.spare, Spare::There { .. }),
        };
        self.outlived.is_done() && can && !self.failed
    }

    pub fn forget_outlived(&mut self, hands: &mut Hands) {
        let Some(found) = self.outlived.take() else { return };
        if self.marker.take().is_some() && self.next.name.core == CoreId(0) {
            let due = hands.due();
            found.segments.iter().for_each(|name| hands.medium.remove(*name, due));
            found.unfinished.iter().for_each(|run| hands.medium.unmark(*run, due));
        }
    }

    /// Whether it is done.
    pub fn bury_outlived(&mut self, engine: &mut Engine, hands: &mut Hands) -> bool {
        if !self.can_bury(hands.now_us) {
            return false;
        }
        if let Some(run) = self.marker {
            let due = hands.due();
            hands.medium.finish(run, self.switches, due);
            self.finish_us = hands.now_us + FINISH_AGAIN_US;
            return false;
        }
        let found = self.outlived.take().expect("it was done just now");
        self.next.runs_from = self.next.name.run;
        if self.begin_segment(engine, hands).is_err() {
            self.failed = true;
            return false;
        }
        for segment in found.segments {
            let due = hands.due();
            hands.medium.remove(segment, due);
        }
        true
    }
}
