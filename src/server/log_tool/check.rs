//! `coldplate log check`: what each chain holds, and how it ends.

use std::io::Write;

use super::ToolError;
use super::folder::{Folder, title};
use crate::log::{Replay, Summary, Verdict};

/// Prints a line a chain; whether a server can start with the log.
pub fn check(folder: &Folder, out: &mut impl Write) -> Result<bool, ToolError> {
    let mut sound = true;
    for chain in &folder.catalog.chains {
        let title = title(chain);
        let (summary, error) = folder.read(Replay::new(chain.clone()), |_| Ok(()))?;
        let verdict = match (error, &summary.verdict) {
            (Some(error), _) => {
                sound = false;
                format!("CORRUPT: {}/{error}", folder.dir.display())
            }
            (None, Verdict::Clean) => "clean".to_owned(),
            (None, Verdict::Torn(torn)) => format!("torn tail: {}/{torn}", folder.dir.display()),
        };
        writeln!(out, "{title}: {}: {verdict}", holds(&summary))?;
    }
    if !folder.catalog.dead.is_empty() {
        writeln!(out, "{} segments do not count any more", folder.catalog.dead.len())?;
    }
    let end = if sound { "a server can start with it" } else { "no server starts with it" };
    writeln!(out, "{}: {end}", folder.dir.display())?;
    Ok(sound)
}

fn holds(summary: &Summary) -> String {
    let Summary { segments, frames, records, bytes, .. } = summary;
    format!("{segments} segments, {frames} frames, {records} records, {bytes} bytes")
}
