//! The files of a log, and reading them as the pure layer asks.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::ToolError;
use crate::log::{Catalog, Chain, Frame, LogError, Replay, SegmentName, Step, Summary};
use crate::runtime::disk::folder::{Contents, FOLDER, FileError, LOCK, hold};

/// A log's directory, held against a server that starts meanwhile.
pub struct Folder {
    pub dir: PathBuf,
    pub catalog: Catalog,
    _lock: Option<File>,
}

/// Names the file that an operation failed on.
pub fn failed(path: &Path) -> impl FnOnce(io::Error) -> ToolError {
    let named = FileError::on(path);
    move |source| named(source).into()
}

impl Folder {
    pub fn open(dir: PathBuf) -> Result<Folder, ToolError> {
        let inner = dir.join(FOLDER);
        let dir = if inner.is_dir() { inner } else { dir };
        let lock = lock(&dir)?;
        let catalog = sort_out(&dir)?;
        if catalog.chains.is_empty() && catalog.dead.is_empty() {
            return Err(ToolError::Empty(dir));
        }
        Ok(Folder { dir, catalog, _lock: lock })
    }

    /// What is there after it was changed; the first stays the one that holds it.
    pub fn again(&self) -> Result<Folder, ToolError> {
        let catalog = sort_out(&self.dir)?;
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

fn sort_out(dir: &Path) -> Result<Catalog, ToolError> {
    let contents = Contents::list(dir)?;
    Ok(Catalog::sort_out(contents.open(dir)?, &contents.unfinished))
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
    if hold(&file).map_err(failed(&path))? { Ok(Some(file)) } else { Err(ToolError::InUse(dir.to_path_buf())) }
}
