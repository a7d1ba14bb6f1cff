//! Reads a segment once more, a piece at a time.

use super::LoadError;
use super::folder::{FileError, open_segment};
use crate::log::{Chain, Frame, PIECE_BYTES, Replay, SegmentName, Step};
use rustix::fs::{Advice, fadvise};
use std::fs::File;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How far ahead the kernel is asked to read.
const AHEAD_BYTES: u64 = 4 * PIECE_BYTES as u64;

/// See the module.
pub struct Reader {
    pub path: PathBuf,
    file: File,
    bytes: u64,
    replay: Replay,
}

impl Reader {
    pub fn open(dir: &Path, name: SegmentName) -> Result<Reader, LoadError> {
        let (file, segment) = open_segment(dir, name)?;
        let (path, bytes) = (dir.join(name.to_string()), segment.file_bytes);
        Ok(Reader { path, file, bytes, replay: Replay::new(Chain::of(segment)) })
    }

    /// Hands out the frames of about so many bytes; true at the end.
    pub fn read(&mut self, bytes: u64, mut take: impl FnMut(Frame)) -> Result<bool, LoadError> {
        let mut left = bytes;
        while left > 0 {
            let damaged = |source| LoadError::Log { dir: self.path.clone(), source };
            let done = match self.replay.advance().map_err(damaged)? {
                Step::Read { offset, .. } => {
                    let read = self.file.read_at(self.replay.space(), offset).map_err(FileError::on(&self.path))?;
                    self.replay.filled(read);
                    // Only advice: what is not there yet is waited for.
                    let _ = fadvise(&self.file, offset + read as u64, NonZeroU64::new(AHEAD_BYTES), Advice::WillNeed);
                    // A read costs as going through some of it does.
                    read as u64 / 8
                }
                Step::Frame(frame) => {
                    let bytes = frame.bytes();
                    take(frame);
                    bytes
                }
                Step::End => return Ok(true),
            };
            left = left.saturating_sub(done.max(64));
        }
        Ok(false)
    }

    /// Frames that were handed out.
    pub fn frames(&self) -> u64 {
        self.replay.summary().frames
    }

    /// Nobody reads it again.
    pub fn close(self) {
        // Only advice.
        let _ = fadvise(&self.file, 0, NonZeroU64::new(self.bytes), Advice::DontNeed);
    }
}
