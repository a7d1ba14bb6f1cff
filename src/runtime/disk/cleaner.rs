//! Reads a segment of an earlier run again, a piece a turn: what of it still counts is logged once more, and then it counts
//! no more. What this run wrote the engine has a list of.
//!
//! A log of first-in, first-out segments needs no index of what lies where: a record counts if its key was last logged in
//! the age of its segment. Nobody forks, nothing stops, and how large the log gets is a matter of when the next segment's turn
//! comes. (Rosenblum, Ousterhout, "The Design and Implementation of a Log-Structured File System", 1992, clean by benefit
//! and cost; here the oldest goes first, since any other order would bring back what was removed.)

use super::LoadError;
use super::folder::{FileError, open_segment};
use crate::engine::Engine;
use crate::log::{Chain, PIECE_BYTES, Replay, SegmentName, Step};
use rustix::fs::{Advice, fadvise};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How far ahead the kernel is asked to read.
const AHEAD_BYTES: u64 = 4 * PIECE_BYTES as u64;

/// See the module.
pub struct Cleaner {
    path: PathBuf,
    file: File,
    replay: Replay,
    bytes: u64,
    frames: u64,
}

impl Cleaner {
    /// A segment of which so many frames were loaded. All of them have to be there: what has been damaged at its end since
    /// then nothing behind it in the file can tell from a torn end.
    pub fn open(dir: &Path, name: SegmentName, frames: u64) -> Result<Cleaner, LoadError> {
        let (file, segment) = open_segment(dir, name)?;
        let (path, bytes) = (dir.join(name.to_string()), segment.file_bytes);
        Ok(Cleaner { path, file, replay: Replay::new(Chain::of(segment)), bytes, frames })
    }

    /// Goes through about so many bytes of a segment of this age; true at the end.
    pub fn turn(&mut self, engine: &mut Engine, age: u64, bytes: u64) -> Result<bool, LoadError> {
        let mut left = bytes;
        while left > 0 {
            let damaged = |source| LoadError::Log { dir: self.path.clone(), source };
            let done = match self.replay.advance().map_err(damaged)? {
                Step::Read { offset, .. } => {
                    let read = self.file.read_at(self.replay.space(), offset).map_err(FileError::on(&self.path))?;
                    self.replay.filled(read);
                    // Only advice: what is not there yet is waited for.
                    let (ahead, length) = (offset + read as u64, std::num::NonZeroU64::new(AHEAD_BYTES));
                    let _ = fadvise(&self.file, ahead, length, Advice::WillNeed);
                    // A read costs as going through some of it does.
                    read as u64 / 8
                }
                Step::Frame(frame) => {
                    engine.renew(age, frame.records());
                    frame.bytes()
                }
                Step::End => {
                    let (found, expected) = (self.replay.summary().frames, self.frames);
                    if found != expected {
                        return Err(LoadError::Frames { path: self.path.clone(), expected, found });
                    }
                    // Nobody reads it again.
                    let _ = fadvise(&self.file, 0, std::num::NonZeroU64::new(self.bytes), Advice::DontNeed);
                    return Ok(true);
                }
            };
            left = left.saturating_sub(done.max(64));
        }
        Ok(false)
    }
}
