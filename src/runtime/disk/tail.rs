//! The last frames that a run left: nothing in the log says yet that they are durable. Served once, they are; and if one of
//! their bytes went bad later, they would pass for frames that were being written as the power failed. So whoever starts
//! with them logs their keys once more, before it says that it has loaded. A server that ended in peace leaves none.

use super::LoadError;
use super::folder::{FileError, open_segment};
use crate::engine::Engine;
use crate::log::{Chain, Frame, Replay, SegmentName, Step};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// See the module.
#[derive(Default)]
pub(super) struct Tail {
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

    /// Logs the keys of frames that nothing vouches for, in one turn: all of them stand in one frame, and a FLUSHALL among
    /// them is not apart from what came behind it.
    pub fn log_again(&self, dir: &Path, engine: &mut Engine) -> Result<(), LoadError> {
        for (name, _) in self.segments.iter().filter(|(_, last)| *last > self.vouched) {
            let path = dir.join(name.to_string());
            let (file, segment) = open_segment(dir, *name)?;
            let mut replay = Replay::new(Chain::of(segment));
            loop {
                match replay.advance().map_err(|source| LoadError::Log { dir: dir.to_path_buf(), source })? {
                    Step::Read { offset, .. } => {
                        let read = file.read_at(replay.space(), offset).map_err(FileError::on(&path))?;
                        replay.filled(read);
                    }
                    Step::Frame(frame) if frame.sequence > self.vouched => {
                        frame.records().for_each(|record| engine.log_again(&record));
                    }
                    Step::Frame(_) => {}
                    Step::End => break,
                }
            }
        }
        Ok(())
    }
}
