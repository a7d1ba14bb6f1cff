//! The counts of commands as they travel to the core that was asked, and what they add up to there.

use super::Engine;
use super::durations::Histogram;
use super::figures::{self, CommandFigures, DurationFigures, WordFigures};
use crate::protocol::command::{Command, Row};
use std::collections::BTreeMap;

/// Which counts somebody wants to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub commands: bool,
    pub errors: bool,
    pub durations: bool,
}

/// The counts of all cores that have answered.
#[derive(Default)]
pub struct Census {
    rows: BTreeMap<usize, Row>,
    words: BTreeMap<Vec<u8>, u64>,
    durations: BTreeMap<usize, Histogram>,
}

impl Census {
    /// Takes one core's counts off the front of its answer.
    pub fn add(&mut self, bytes: &mut &[u8]) {
        let [commands, words, durations] = figures::read::<[u64; 3]>(bytes);
        for _ in 0..commands {
            let CommandFigures { command, calls, ns, rejected, failed } = figures::read(bytes);
            let row = self.rows.entry(command as usize).or_default();
            *row = row.plus(Row { calls, ns, rejected, failed });
        }
        for _ in 0..words {
            let WordFigures { count, word_bytes } = figures::read(bytes);
            let word = figures::take(bytes, word_bytes as usize).to_vec();
            *self.words.entry(word).or_default() += count;
        }
        for _ in 0..durations {
            let DurationFigures { command, bucket, count } = figures::read(bytes);
            self.durations.entry(command as usize).or_default().fill(bucket, count);
        }
    }

    /// Commands that were asked for at all, by their place in the list of commands.
    pub fn rows(&self) -> impl Iterator<Item = (Command, Row)> {
        let seen = self.rows.iter().filter(|(_, row)| !row.is_blank());
        seen.map(|(command, row)| (Command::ALL[*command], *row))
    }

    /// First words of errors.
    pub fn words(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.words.iter().map(|(word, count)| (&word[..], *count))
    }

    pub fn durations(&self) -> impl Iterator<Item = (Command, &Histogram)> {
        self.durations.iter().map(|(command, histogram)| (Command::ALL[*command], histogram))
    }
}

impl Engine {
    /// Writes this core's counts, as far as they are wanted, and those of the servers that it passes requests on to.
    pub(super) fn write_census(&mut self, wanted: Wanted, out: &mut Vec<u8>) {
        let tally = &self.shard.counts.tally;
        let rows: Vec<_> = tally.rows().filter(|(_, row)| wanted.commands && !row.is_blank()).collect();
        let words: Vec<_> = tally.words().filter(|_| wanted.errors).collect();
        let durations: Vec<_> = self.durations.rows().filter(|_| wanted.durations).collect();
        let buckets = durations.iter().map(|(_, histogram)| histogram.filled().count() as u64).sum();
        figures::write(out, &[rows.len() as u64, words.len() as u64, buckets]);
        for (command, row) in rows {
            let Row { calls, ns, rejected, failed } = *row;
            figures::write(out, &CommandFigures { command: command as u64, calls, ns, rejected, failed });
        }
        for (word, count) in words {
            figures::write(out, &WordFigures { count, word_bytes: word.len() as u64 });
            out.extend_from_slice(word);
        }
        for (command, histogram) in &durations {
            for (bucket, count) in histogram.filled() {
                figures::write(out, &DurationFigures { command: *command as u64, bucket, count });
            }
        }
        self.write_servers(out);
    }
}
