//! The folder that a log is in: what it is called, who holds it, which segments are there.

use crate::log::{HEADER_BYTES, Segment, SegmentName};
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

/// The segments that are there, in no order.
pub fn segments(dir: &Path) -> Result<Vec<Segment>, FileError> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(FileError::on(dir))? {
        let entry = entry.map_err(FileError::on(dir))?;
        if let Some(name) = entry.file_name().to_str().and_then(SegmentName::parse) {
            segments.push(open_segment(dir, name)?.1);
        }
    }
    Ok(segments)
}
