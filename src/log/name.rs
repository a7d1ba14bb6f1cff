//! What a segment's file is called.

use std::fmt;

use crate::types::CoreId;

const RUN_DIGITS: usize = 10;
const CORE_DIGITS: usize = 4;
const NUMBER_DIGITS: usize = 12;

/// What the name of a file ends with that says of a run, in digits before it, that it is not finished.
const UNFINISHED: &str = ".unfinished";

/// As long as a file of this name is there, nothing counts of what the run has written.
pub fn unfinished_name(run: u64) -> String {
    format!("{run:0RUN_DIGITS$}{UNFINISHED}")
}

/// The run that a file's name says this of.
pub fn parse_unfinished(name: &str) -> Option<u64> {
    let run = name.strip_suffix(UNFINISHED)?.parse().ok()?;
    (unfinished_name(run) == name).then_some(run)
}

/// Which segment a file is: `RUN-CORE-NUMBER.log`, in digits of a fixed width, so that names sort as segments do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentName {
    /// Which start of the server wrote it.
    pub run: u64,
    /// Whose chain it belongs to.
    pub core: CoreId,
    /// Its place in the chain.
    pub number: u64,
}

impl SegmentName {
    /// What a file's name stands for; none if it is no segment's.
    pub fn parse(name: &str) -> Option<SegmentName> {
        let mut parts = name.strip_suffix(".log")?.split('-');
        let mut part = |digits: usize| {
            let text = parts.next().filter(|text| text.len() >= digits && text.bytes().all(|b| b.is_ascii_digit()))?;
            text.parse::<u64>().ok()
        };
        let (run, core, number) = (part(RUN_DIGITS)?, part(CORE_DIGITS)?, part(NUMBER_DIGITS)?);
        let parsed = SegmentName { run, core: CoreId(core.try_into().ok()?), number };
        // One spelling a segment: two files never claim to be the same one.
        (parts.next().is_none() && parsed.to_string() == name).then_some(parsed)
    }

    /// The segment behind this one.
    pub fn next(self) -> SegmentName {
        SegmentName { number: self.number.saturating_add(1), ..self }
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SegmentName { run, core, number } = *self;
        write!(f, "{run:0RUN_DIGITS$}-{:0CORE_DIGITS$}-{number:0NUMBER_DIGITS$}.log", core.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_runs_have_one_name() {
        assert_eq!(unfinished_name(3), "0000000003.unfinished");
        assert_eq!(parse_unfinished(&unfinished_name(u64::MAX)), Some(u64::MAX));
        for other in ["3.unfinished", "000000000x.unfinished", "0000000003", "+000000003.unfinished", ".unfinished"] {
            assert_eq!(parse_unfinished(other), None, "{other}");
        }
    }

    // A name is printed and read back; everything that is not printed so is no segment's.
    #[test]
    fn names_are_read_as_they_are_printed() {
        let name = SegmentName { run: 7, core: CoreId(3), number: 42 };
        assert_eq!(name.to_string(), "0000000007-0003-000000000042.log");
        let last = SegmentName { run: u64::MAX, core: CoreId(u16::MAX), number: u64::MAX };
        assert_eq!(last.next(), last, "a file's name can be anything");
        for name in [name, name.next(), last] {
            assert_eq!(SegmentName::parse(&name.to_string()), Some(name));
        }
        for other in [
            "",
            ".log",
            "7-3-42.log",
            "0000000007-0003-000000000042",
            "0000000007-0003-000000000042.log.damaged",
            "0000000007-0003-000000000042-0.log",
            "0000000007-0003-00000000004x.log",
            "00000000007-0003-000000000042.log",
            "0000000007-65536-000000000042.log",
            "99999999999999999999-0003-000000000042.log",
        ] {
            assert_eq!(SegmentName::parse(other), None, "{other}");
        }
    }
}
