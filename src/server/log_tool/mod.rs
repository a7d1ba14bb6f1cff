//! Owns: `coldplate log check|repair|dump DIR`: looking at a log whose server is not running, and mending it.
//! Knows: the log's verdicts, files, and who asks on the command line.
//! Must never know: how a server writes its log, and what it does with the keys.
//! Read first: `cli.rs` (what can be asked for), then `check.rs`, `repair.rs`, `dump.rs`.

mod check;
mod cli;
mod dump;
mod folder;
mod repair;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::log::LogError;
use crate::runtime::disk::folder::FileError;
use cli::Task;
use folder::Folder;

/// Why a log cannot be looked at or mended.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{}: a server is using it; end that first", .0.display())]
    InUse(PathBuf),
    #[error("{}: no segments of a log are here", .0.display())]
    Empty(PathBuf),
    #[error("{}/{source}", .dir.display())]
    Refused { dir: PathBuf, source: LogError },
    /// Whoever reads what is printed has heard enough.
    #[error("printing: {0}")]
    Print(#[from] io::Error),
}

/// Does what the arguments behind `coldplate log` ask for: 0 if the log can be served, 1 if not.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (task, dir) = cli::parse(arguments).unwrap_or_else(|refusal| refusal.exit());
    let mut out = BufWriter::new(io::stdout().lock());
    let done = run(task, dir, &mut out).and_then(|sound| out.flush().map(|()| sound).map_err(ToolError::Print));
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(ToolError::Print(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("coldplate: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the log can be served.
fn run(task: Task, dir: PathBuf, out: &mut impl Write) -> Result<bool, ToolError> {
    let folder = Folder::open(dir)?;
    match task {
        Task::Check => check::check(&folder, out),
        Task::Repair { yes } => repair::repair(&folder, yes, out),
        Task::Dump(detail) => dump::dump(&folder, detail, out),
    }
}
