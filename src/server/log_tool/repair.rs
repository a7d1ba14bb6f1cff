//! `coldplate log repair`: gives up what lies behind a torn tail or a damaged place.
//!
//! Later segments get another name, the latest first; then the rest of the damaged one is copied and overwritten with
//! zeros. Each step is on stable storage before the next, and at every point between a second repair goes on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::ToolError;
use super::check::check;
use super::folder::{Folder, failed, title};
use crate::log::{Chain, LogError, Replay, SegmentName, Summary, Torn, Verdict};

/// Zeros that are written at once.
const ZEROS_BYTES: u64 = 1024 * 1024;

/// Says what is given up, and does it if that was asked for. Whether a server can start with what is there afterwards; while
/// nothing is changed, whether nothing has to be.
pub fn repair(folder: &Folder, yes: bool, out: &mut impl Write) -> Result<bool, ToolError> {
    let mut cuts = Vec::new();
    for chain in &folder.catalog.chains {
        let (summary, error) = folder.read(Replay::new(chain.clone()), |_| Ok(()))?;
        let Some((name, offset)) = cut(&folder.dir, &summary, error.as_ref())? else { continue };
        if let Some(error) = &error {
            writeln!(out, "{}: CORRUPT: {}/{error}", title(chain), folder.dir.display())?;
        }
        let later = chain.segments().iter().filter(|segment| segment.name > name).count();
        let later = if later > 0 { format!(" and {later} later segments") } else { String::new() };
        let place = format!("{} from byte {offset} on{later}", folder.path(name).display());
        writeln!(out, "{}: gives up {place}{}", title(chain), worth(folder, chain)?)?;
        cuts.push((chain, name, offset));
    }
    if cuts.is_empty() {
        writeln!(out, "{}: nothing to repair", folder.dir.display())?;
        return Ok(true);
    }
    if !yes {
        writeln!(out, "Nothing was changed. With --yes it is, and what is given up stays as *.damaged.")?;
        return Ok(false);
    }
    for (chain, name, offset) in cuts {
        give_up(folder, chain, name, offset, out)?;
    }
    check(&folder.again()?, out)
}

/// From where on a chain is given up, if at all.
fn cut(dir: &Path, summary: &Summary, error: Option<&LogError>) -> Result<Option<(SegmentName, u64)>, ToolError> {
    match (error, &summary.verdict) {
        (Some(error), _) => {
            let refused = || ToolError::Refused { dir: dir.to_path_buf(), source: error.clone() };
            error.cut().ok_or_else(refused).map(Some)
        }
        (None, Verdict::Clean) => Ok(None),
        (None, Verdict::Torn(torn)) => Ok(Some((torn.name, torn.offset))),
    }
}

/// What can still be read of what is given up.
fn worth(folder: &Folder, chain: &Chain) -> Result<String, ToolError> {
    let (summary, error) = folder.read(Replay::forgiving(chain.clone()), |_| Ok(()))?;
    Ok(match (summary.verdict, error) {
        (Verdict::Torn(Torn { bytes, frames, records, .. }), None) => {
            format!(": {bytes} bytes, with {frames} whole frames of {records} records")
        }
        _ => String::new(),
    })
}

fn give_up(
    folder: &Folder,
    chain: &Chain,
    name: SegmentName,
    offset: u64,
    out: &mut impl Write,
) -> Result<(), ToolError> {
    for segment in chain.segments().iter().rev().take_while(|segment| segment.name >= name) {
        let path = folder.path(segment.name);
        let kept = free_name(&path);
        if segment.name > name || offset == 0 {
            fs::rename(&path, &kept).map_err(failed(&path))?;
        } else {
            fs::copy(&path, &kept).and_then(|_| File::open(&kept)?.sync_all()).map_err(failed(&kept))?;
            sync_names(&folder.dir)?;
            let whole = segment.header.as_ref().map_or(0, |header| header.segment_bytes);
            wipe(&path, offset, segment.file_bytes.max(whole)).map_err(failed(&path))?;
        }
        sync_names(&folder.dir)?;
        writeln!(out, "  {} is kept as {}", path.display(), kept.display())?;
    }
    Ok(())
}

/// `NAME.damaged`, or with a number behind it where that is taken.
fn free_name(path: &Path) -> PathBuf {
    let name = |suffix: String| PathBuf::from(format!("{}.damaged{suffix}", path.display()));
    let mut names = std::iter::once(name(String::new())).chain((1..).map(|number: u64| name(format!(".{number}"))));
    names.find(|name| !name.exists()).expect("numbers do not end")
}

/// Zeros from `offset` to `end`, where the file then ends, on stable storage.
fn wipe(path: &Path, offset: u64, end: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    let zeros = vec![0; ZEROS_BYTES as usize];
    let mut at = offset;
    while at < end {
        let bytes = (end - at).min(ZEROS_BYTES);
        file.write_all_at(&zeros[..bytes as usize], at)?;
        at += bytes;
    }
    file.sync_all()
}

/// Brings a directory's names to stable storage.
fn sync_names(dir: &Path) -> Result<(), ToolError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed(dir))
}
