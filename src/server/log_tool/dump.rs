//! `coldplate log dump`: every record, one a line, with bytes quoted as redis-cli quotes them.

use std::io::{self, Write};

use super::ToolError;
use super::cli::Detail;
use super::folder::Folder;
use crate::log::{Kind, Record, Replay, Verdict};

/// Prints the records of all chains; whether all could be read.
pub fn dump(folder: &Folder, detail: Detail, out: &mut impl Write) -> Result<bool, ToolError> {
    let mut sound = true;
    for chain in &folder.catalog.chains {
        let (run, core) = (chain.run(), chain.core().0);
        let (summary, error) = folder.read(Replay::new(chain.clone()), |frame| {
            for record in frame.records() {
                if detail != Detail::Keys {
                    write!(out, "{run} {core} {} ", frame.sequence)?;
                }
                line(out, &record, detail)?;
            }
            Ok(())
        })?;
        // Beside the records, so that these stay a table.
        if let Verdict::Torn(torn) = &summary.verdict {
            eprintln!("coldplate: {}/{torn}", folder.dir.display());
        }
        if let Some(error) = error {
            out.flush()?;
            eprintln!("coldplate: {}/{error}", folder.dir.display());
            sound = false;
        }
    }
    Ok(sound)
}

/// Run, core and sequence; what is done to which slot and key; the value or its length; the expiry.
fn line(out: &mut impl Write, record: &Record, detail: Detail) -> io::Result<()> {
    let Record { kind, slot, key, value, expiry_ms, .. } = record;
    match (kind, detail) {
        (Kind::Clear, Detail::Keys) => return Ok(()),
        (Kind::Clear, _) => return writeln!(out, "clear"),
        (_, Detail::Keys) => {
            quote(out, key)?;
            return writeln!(out);
        }
        (Kind::Remove, _) => write!(out, "remove {} ", slot.0)?,
        (Kind::Put, _) => write!(out, "put {} ", slot.0)?,
    }
    quote(out, key)?;
    match (kind, detail) {
        (Kind::Put, Detail::Values) => {
            out.write_all(b" ")?;
            quote(out, value)?;
        }
        (Kind::Put, _) => write!(out, " {} bytes", value.len())?,
        _ => {}
    }
    if let Some(at_ms) = expiry_ms {
        write!(out, " expires {at_ms}")?;
    }
    writeln!(out)
}

/// Bytes as redis-cli shows them.
pub(super) fn quote(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    out.write_all(b"\"")?;
    for byte in bytes {
        match byte {
            b'\\' | b'"' => out.write_all(&[b'\\', *byte])?,
            b'\n' => out.write_all(b"\\n")?,
            b'\r' => out.write_all(b"\\r")?,
            b'\t' => out.write_all(b"\\t")?,
            0x07 => out.write_all(b"\\a")?,
            0x08 => out.write_all(b"\\b")?,
            b' '..=b'~' => out.write_all(&[*byte])?,
            _ => write!(out, "\\x{byte:02x}")?,
        }
    }
    out.write_all(b"\"")
}
