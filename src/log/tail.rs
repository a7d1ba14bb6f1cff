//! The last frames that a run left: nothing in the log says yet that they are durable. Served once, they are; and if one of
//! their bytes went bad later, they would pass for frames that were being written as the power failed. So whoever starts
//! with them logs their keys once more, before it says that it has loaded. A server that ended in peace leaves none.

use super::name::SegmentName;
use super::replay::Frame;

/// See the module.
#[derive(Default)]
pub struct Tail {
    /// The chain that was read last.
    run: u64,
    /// Its segments, each with its last frame that holds records.
    segments: Vec<(SegmentName, u64)>,
    vouched: u64,
}

impl Tail {
    /// Takes a frame that was read, one after the other.
    pub fn pass(&mut self, frame: &Frame) {
        if self.run != frame.name.run {
            *self = Tail { run: frame.name.run, ..Tail::default() };
        }
        self.vouched = self.vouched.max(frame.durable);
        match self.segments.last_mut() {
            _ if frame.bytes() == 0 => {}
            Some((name, last)) if *name == frame.name => *last = frame.sequence,
            _ => self.segments.push((frame.name, frame.sequence)),
        }
    }

    /// The segments that hold frames which nothing vouches for, and records.
    pub fn segments(&self) -> impl Iterator<Item = SegmentName> + '_ {
        self.segments.iter().filter(|(_, last)| *last > self.vouched).map(|(name, _)| *name)
    }

    /// Whether nothing vouches for a frame of them.
    pub fn has(&self, frame: &Frame) -> bool {
        frame.sequence > self.vouched
    }
}
