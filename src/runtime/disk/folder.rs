//! The folder that a log is in: what it is called, who holds it, which segments are there.

use crate::log::{HEADER_BYTES, Segment, SegmentName, parse_unfinished};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Below a server's `dir`: its files are nobody else's.
pub const FOLDER: &str = "coldplate-log";
/// A running server has this file in it locked.
pub const LOCK: &str = "lock";

/// An operation on a file that failed.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", .path.display())]
pub struct FileError {
    path: PathBuf,
    source: io::Error,
}

impl FileError {
    /// Names the file that an operation failed on.
    pub fn on(path: &Path) -> impl FnOnce(io::Error) -> FileError + use<> {
        let path = path.to_path_buf();
        move |source| FileError { path, source }
    }
}

/// Locks a log's [`LOCK`] as long as the file is open; false if somebody else has.
pub fn hold(lock: &File) -> io::Result<bool> {
    match flock(lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A segment, and what its header says.
pub fn open_segment(dir: &Path, name: SegmentName) -> Result<(File, Segment), FileError> {
    let path = dir.join(name.to_string());
    let file = File::open(&path).map_err(FileError::on(&path))?;
    let bytes = file.metadata().map_err(FileError::on(&path))?.len();
    let mut block = vec![0; bytes.min(HEADER_BYTES as u64) as usize];
    file.read_exact_at(&mut block, 0).map_err(FileError::on(&path))?;
    let segment = Segment::found(name, bytes, &block);
    Ok((file, segment))
}

/// What is there, in no order.
#[derive(Default)]
pub struct Contents {
    pub segments: Vec<SegmentName>,
    /// Runs of which nothing counts.
    pub unfinished: Vec<u64>,
}

impl Contents {
    pub fn list(dir: &Path) -> Result<Contents, FileError> {
        let mut contents = Contents::default();
        for entry in std::fs::read_dir(dir).map_err(FileError::on(dir))? {
            let entry = entry.map_err(FileError::on(dir))?.file_name();
            let Some(name) = entry.to_str() else { continue };
            contents.segments.extend(SegmentName::parse(name));
            contents.unfinished.extend(parse_unfinished(name));
        }
        Ok(contents)
    }

    /// A run's number that is larger than all that are there.
    pub fn next_run(&self) -> u64 {
        let runs = self.segments.iter().map(|segment| segment.run).chain(self.unfinished.iter().copied());
        runs.max().unwrap_or(0) + 1
    }

    /// The segments with what their headers say.
    pub fn open(&self, dir: &Path) -> Result<Vec<Segment>, FileError> {
        self.segments.iter().map(|name| Ok(open_segment(dir, *name)?.1)).collect()
    }
}
