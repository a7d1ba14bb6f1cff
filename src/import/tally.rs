//! What became of the keys of a file, and how that is told.

use std::fmt::Write;
use std::time::Duration;

use crate::load::text;

/// So many keys of a type are named, and so many errors told.
const EXAMPLES_MAX: usize = 3;
const FAILURES_MAX: usize = 5;
/// So many databases are counted one by one.
const DATABASES_MAX: usize = 32;
/// A key or an error is told up to this length.
const NAME_BYTES_MAX: usize = 64;
const ERROR_BYTES_MAX: usize = 200;

/// A key as text: quoted, shortened, and nothing in it that a terminal would obey.
pub fn name(key: &[u8]) -> String {
    match key.get(..NAME_BYTES_MAX) {
        Some(start) if key.len() > NAME_BYTES_MAX => format!("\"{}...\"", start.escape_ascii()),
        _ => format!("\"{}\"", key.escape_ascii()),
    }
}

fn strings(count: u64) -> String {
    format!("{count} string{}", if count == 1 { "" } else { "s" })
}

/// What the server has answered.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answers {
    pub set: u64,
    /// Of keys and values that were set.
    pub bytes: u64,
    pub existing: u64,
    pub failed: u64,
    /// The first keys that could not be set, and why.
    failures: Vec<(String, String)>,
}

impl Answers {
    pub fn fail(&mut self, key: String, error: &[u8]) {
        self.failed += 1;
        if self.failures.len() < FAILURES_MAX {
            let error = String::from_utf8_lossy(&error[..error.len().min(ERROR_BYTES_MAX)]);
            self.failures.push((key, error.replace(char::is_control, " ")));
        }
    }
}

/// Keys of one type, or what belongs to no key.
#[derive(Debug)]
struct Skipped {
    kind: &'static str,
    count: u64,
    examples: Vec<String>,
}

/// What the file holds.
#[derive(Debug, Default)]
pub struct Tally {
    /// Strings of the chosen database that have not expired, and the bytes of their keys and values.
    pub strings: u64,
    pub bytes: u64,
    expired: u64,
    skipped: Vec<Skipped>,
    databases: Vec<(u64, u64)>,
    /// Keys of further databases.
    elsewhere: u64,
}

impl Tally {
    pub fn count_string(&mut self, key: &[u8], value: &[u8]) {
        self.strings += 1;
        self.bytes += (key.len() + value.len()) as u64;
    }

    pub fn count_expired(&mut self) {
        self.expired += 1;
    }

    /// A key whose database was not chosen.
    pub fn count_elsewhere(&mut self, database: u64) {
        match self.databases.iter().position(|(number, _)| *number == database) {
            Some(place) => self.databases[place].1 += 1,
            None if self.databases.len() < DATABASES_MAX => self.databases.push((database, 1)),
            None => self.elsewhere += 1,
        }
    }

    pub fn count_skipped(&mut self, kind: &'static str, key: Option<&[u8]>) {
        let place = self.skipped.iter().position(|skipped| skipped.kind == kind).unwrap_or(self.skipped.len());
        if place == self.skipped.len() {
            self.skipped.push(Skipped { kind, count: 0, examples: Vec::new() });
        }
        let skipped = &mut self.skipped[place];
        skipped.count += 1;
        if skipped.examples.len() < EXAMPLES_MAX {
            skipped.examples.extend(key.map(name));
        }
    }

    /// `answers`: none if no server was asked.
    pub fn summary(&self, answers: Option<&Answers>, took: Duration) -> String {
        let mut text = String::new();
        let mut line = |label: &str, rest: String| {
            let _ = writeln!(text, "{label:<10} {rest}");
        };
        let secs = took.as_secs_f64();
        match answers {
            None => line("strings", format!("{} of {}", self.strings, text::size(self.bytes as f64))),
            Some(answers) => {
                let size = text::size(answers.bytes as f64);
                line("imported", format!("{} of {size} in {secs:.1} s", strings(answers.set)));
                if answers.existing > 0 {
                    let kept = "were there already and are kept; --replace overwrites";
                    line("existing", format!("{} {kept}", strings(answers.existing)));
                }
            }
        }
        if self.expired > 0 {
            line("expired", format!("{} whose time was over", strings(self.expired)));
        }
        for skipped in &self.skipped {
            let examples = if skipped.examples.is_empty() { "" } else { ", such as " };
            let examples = format!("{examples}{}", skipped.examples.join(" "));
            line("skipped", format!("{} of type {}{examples}", skipped.count, skipped.kind));
        }
        for (database, keys) in &self.databases {
            line("skipped", format!("{keys} of database {database}; --db {database} imports its strings"));
        }
        if self.elsewhere > 0 {
            line("skipped", format!("{} of further databases", self.elsewhere));
        }
        if let Some(answers) = answers.filter(|answers| answers.failed > 0) {
            line("failed", format!("{}; the first:", strings(answers.failed)));
            answers.failures.iter().for_each(|(key, error)| line("", format!("{key}: {error}")));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves the text letter by letter, and that nothing in it grows with the file.
    #[test]
    fn everything_is_counted_and_little_is_named() {
        let (mut tally, mut answers) = (Tally::default(), Answers::default());
        (answers.set, answers.bytes, answers.existing) = (7, 2048, 2);
        tally.count_string(b"key", b"value");
        tally.count_expired();
        for key in [&b"a"[..], b"b\n", &[b'x'; 65], b"d"] {
            tally.count_skipped("list", Some(key));
            answers.fail(name(key), b"OOM no");
        }
        tally.count_skipped("function library", None);
        (0..100).for_each(|database| tally.count_elsewhere(database % 40));
        answers.fail("\"y\"".into(), b"not 'so'\x1b[2J");
        (0..9).for_each(|_| answers.fail("\"z\"".into(), &[b'!'; 999]));
        let text = tally.summary(Some(&answers), Duration::from_millis(1_250));
        let lines: Vec<&str> = text.lines().collect();
        let long = "x".repeat(64);
        assert_eq!(
            lines[..2],
            [
                "imported   7 strings of 2.00KB in 1.2 s",
                "existing   2 strings were there already and are kept; --replace overwrites",
            ]
        );
        assert_eq!(lines[2], "expired    1 string whose time was over");
        assert_eq!(lines[3], format!("skipped    4 of type list, such as \"a\" \"b\\n\" \"{long}...\""));
        assert_eq!(lines[4], "skipped    1 of type function library");
        assert_eq!(lines[5], "skipped    3 of database 0; --db 0 imports its strings");
        assert_eq!(lines[5 + DATABASES_MAX], "skipped    16 of further databases");
        assert_eq!(lines[6 + DATABASES_MAX], "failed     14 strings; the first:");
        assert_eq!(lines[7 + DATABASES_MAX], "           \"a\": OOM no");
        assert_eq!(lines[11 + DATABASES_MAX], "           \"y\": not 'so' [2J");
        assert_eq!(lines.len(), 7 + DATABASES_MAX + FAILURES_MAX);
        assert!(text.len() < 8192, "{}", text.len());
        assert!(tally.summary(None, Duration::ZERO).starts_with("strings    1 of 8B\n"));
    }
}
