//! The files of a log, and reading them as the pure layer asks.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::ToolError;
use crate::log::{Catalog, Chain, Frame, HEADER_BYTES, LogError, Replay, Segment, SegmentName, Step, Summary};

/// Where a server keeps its log, below its `--dir`.
const FOLDER: &str = "coldplate-log";
/// A running server has this file locked.
const LOCK: &str = "lock";

/// A log's directory, held against a server that starts meanwhile.
pub struct Folder {
    pub dir: PathBuf,
    pub catalog: Catalog,
    _lock: Option<File>,
}

/// Names the file that an operation failed on.
pub fn failed(path: &Path) -> impl FnOnce(io::Error) -> ToolError {
    let path = path.to_path_buf();
    move |source| ToolError::Io { path, source }
}

impl Folder {
    pub fn open(dir: PathBuf) -> Result<Folder, ToolError> {
        let inner = dir.join(FOLDER);
        let dir = if inner.is_dir() { inner } else { dir };
        let lock = lock(&dir)?;
        let catalog = Catalog::sort_out(find(&dir)?);
        if catalog.chains.is_empty() && catalog.dead.is_empty() {
            return Err(ToolError::Empty(dir));
        }
        Ok(Folder { dir, catalog, _lock: lock })
    }

    /// What is there after it was changed; the first stays the one that holds it.
    pub fn again(&self) -> Result<Folder, ToolError> {
        let catalog = Catalog::sort_out(find(&self.dir)?);
        Ok(Folder { dir: self.dir.clone(), catalog, _lock: None })
    }

    pub fn path(&self, name: SegmentName) -> PathBuf {
        self.dir.join(name.to_string())
    }

    /// Reads a chain to its end, or to where it is refused. `take` sees each frame.
    pub fn read(
        &self,
        mut replay: Replay,
        mut take: impl FnMut(Frame) -> Result<(), ToolError>,
    ) -> Result<(Summary, Option<LogError>), ToolError> {
        let mut open: Option<(SegmentName, File)> = None;
        loop {
            match replay.advance() {
                Ok(Step::Read { name, offset }) => {
                    let path = self.path(name);
                    let file = match open.take() {
                        Some((of, file)) if of == name => file,
                        _ => File::open(&path).map_err(failed(&path))?,
                    };
                    let bytes = file.read_at(replay.space(), offset).map_err(failed(&path))?;
                    replay.filled(bytes);
                    open = Some((name, file));
                }
                Ok(Step::Frame(frame)) => take(frame)?,
                Ok(Step::End) => return Ok((replay.summary(), None)),
                Err(error) => return Ok((replay.summary(), Some(error))),
            }
        }
    }
}

/// `run 3, core 1`.
pub fn title(chain: &Chain) -> String {
    format!("run {}, core {}", chain.run(), chain.core().0)
}

/// Locks what a server would lock; none where no server of this machine ever was.
fn lock(dir: &Path) -> Result<Option<File>, ToolError> {
    let path = dir.join(LOCK);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&path)(error)),
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Err(ToolError::InUse(dir.to_path_buf())),
        Err(error) => Err(failed(&path)(error.into())),
    }
}

/// The segments that are there.
fn find(dir: &Path) -> Result<Vec<Segment>, ToolError> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed(dir))? {
        let entry = entry.map_err(failed(dir))?;
        let Some(name) = entry.file_name().to_str().and_then(SegmentName::parse) else { continue };
        let path = entry.path();
        let file = File::open(&path).map_err(failed(&path))?;
        let file_bytes = file.metadata().map_err(failed(&path))?.len();
        let mut block = vec![0; file_bytes.min(HEADER_BYTES as u64) as usize];
        file.read_exact_at(&mut block, 0).map_err(failed(&path))?;
        segments.push(Segment::found(name, file_bytes, &block));
    }
    Ok(segments)
}
