//! SCAN's arguments and cursor. A cursor is a core, a slot and a place in the slot, packed into 40 bits.

use super::SYNTAX;
use crate::keyspace::command::{ScanFilter, ScanPlace};
use crate::protocol::resp::{Args, parse_i64};
use crate::types::{CoreId, SLOTS};

const COUNT_DEFAULT: usize = 10;

/// SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]
pub struct Scan<'a> {
    pub core: CoreId,
    pub place: ScanPlace,
    pub count: usize,
    pattern: Option<&'a [u8]>,
    strings: bool,
}

impl<'a> Scan<'a> {
    pub fn parse(args: &'a Args, cores: usize) -> Result<Scan<'a>, String> {
        let cursor = std::str::from_utf8(args.get(1)).ok().and_then(|text| text.parse::<u64>().ok());
        let cursor = cursor.ok_or("ERR invalid cursor")?;
        let (core, slot) = ((cursor >> 30) as usize, (cursor >> 16) as usize & (SLOTS - 1));
        let place = ScanPlace { slot: slot as u16, tag: cursor as u16 };
        let mut scan = Scan { core: CoreId(core as u16), place, count: COUNT_DEFAULT, pattern: None, strings: true };
        if core >= cores {
            // A cursor from nowhere: as with Redis the scan just ends.
            (scan.core, scan.place.slot) = (CoreId(cores as u16 - 1), SLOTS as u16);
        }
        for at in (2..args.len()).step_by(2) {
            let value = args.try_get(at + 1).ok_or(SYNTAX)?;
            match args.get(at).to_ascii_lowercase().as_slice() {
                b"match" => scan.pattern = Some(value).filter(|pattern| *pattern != b"*"),
                b"type" => scan.strings = value.eq_ignore_ascii_case(b"string"),
                b"count" => {
                    let count = parse_i64(value).ok_or("ERR value is not an integer or out of range")?;
                    scan.count = usize::try_from(count).ok().filter(|count| *count > 0).ok_or(SYNTAX)?;
                }
                _ => return Err(SYNTAX.to_string()),
            }
        }
        Ok(scan)
    }

    pub fn filter(&self) -> ScanFilter<'a> {
        ScanFilter { pattern: self.pattern, strings: self.strings }
    }

    /// The cursor to go on with: further on in this core, the next core, or 0 at the end.
    pub fn next_cursor(&self, next: Option<ScanPlace>, cores: usize) -> u64 {
        let core = self.core.index() as u64;
        match next {
            Some(place) => core << 30 | u64::from(place.slot) << 16 | u64::from(place.tag),
            None if self.core.index() + 1 < cores => (core + 1) << 30,
            None => 0,
        }
    }
}
