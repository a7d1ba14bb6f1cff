//! How long commands take: the time of each group of requests shared out evenly among them, summed and counted by
//! duration. INFO's commandstats and latencystats, and LATENCY HISTOGRAM.
//!
//! No request is timed for this. The clock is looked at once a group for SLOWLOG anyway (`slow.rs`), behind it; a request
//! that came alone is thus measured, 32 pipelined ones get a 32nd of their time each. What is timed is this core's
//! work: of a request on another core's key, that is sending it there.

use super::Engine;
use crate::protocol::command::{Command, Spec};

/// Shorter ones fall into the first bucket; so do those that a look at the clock each microsecond cannot see.
const FIRST_BITS: u32 = 6;
/// Each doubling is cut into so many buckets.
const PARTS_BITS: u32 = 2;
/// Up to a minute; longer ones fall into the last.
const LAST_BITS: u32 = 36;
const BUCKETS: usize = (((LAST_BITS - FIRST_BITS) << PARTS_BITS) + 1) as usize;

/// How many requests took how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BUCKETS],
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: [0; BUCKETS] }
    }
}

fn bucket(ns: u64) -> usize {
    let Some(octave) = ns.checked_ilog2().and_then(|bits| bits.checked_sub(FIRST_BITS)) else { return 0 };
    let part = ns >> (octave + FIRST_BITS - PARTS_BITS) & ((1 << PARTS_BITS) - 1);
    (1 + ((u64::from(octave) << PARTS_BITS) | part) as usize).min(BUCKETS - 1)
}

/// The first duration past a bucket.
fn end_ns(bucket: usize) -> u64 {
    let (octave, part) = (bucket as u32 >> PARTS_BITS, bucket as u64 & ((1 << PARTS_BITS) - 1));
    ((1 << PARTS_BITS) + part) << (octave + FIRST_BITS - PARTS_BITS)
}

impl Histogram {
    #[inline]
    pub fn add(&mut self, ns: u64, count: u64) {
        self.counts[bucket(ns)] += count;
    }

    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn take_shortest(&mut self, mut count: u64) {
        for bucket in &mut self.counts {
            let taken = count.min(*bucket);
            (*bucket, count) = (*bucket - taken, count - taken);
        }
    }

    /// Buckets that hold something, with their counts.
    pub fn filled(&self) -> impl Iterator<Item = (u64, u64)> {
        (0..).zip(self.counts).filter(|(_, count)| *count > 0)
    }

    pub fn fill(&mut self, bucket: u64, count: u64) {
        self.counts[(bucket as usize).min(BUCKETS - 1)] += count;
    }

    /// The duration that `percent` of all stay below, in microseconds.
    pub fn percentile_us(&self, percent: f64) -> f64 {
        let wanted = (self.total() as f64 * percent / 100.0).ceil().max(1.0) as u64;
        let mut sum = 0;
        let found = self.counts.iter().position(|count| {
            sum += count;
            sum >= wanted
        });
        found.map_or(0.0, |bucket| (end_ns(bucket) - 1) as f64 / 1000.0)
    }

    /// As LATENCY HISTOGRAM shows it: microseconds, and how many took no longer; by powers of two, of 1,024 ns on, each
    /// named as Redis names it.
    pub fn doublings(&self) -> Vec<(u64, u64)> {
        let mut doublings: Vec<(u64, u64)> = Vec::new();
        let mut sum = 0;
        for (bucket, count) in self.filled() {
            sum += count;
            let bits = end_ns(bucket as usize).saturating_sub(1).max(1).ilog2().max(9) + 1;
            // The end of a bucket of two significant digits, as Redis's histogram has it.
            let us = ((1u64 << bits) + (1 << (bits - 7)) - 1) / 1000;
            match doublings.last_mut() {
                Some((last_us, total)) if *last_us == us => *total = sum,
                _ => doublings.push((us, sum)),
            }
        }
        doublings
    }
}

/// The histograms of one core, of the commands that ran.
pub struct Durations {
    rows: Vec<Option<Box<Histogram>>>,
    /// How many of each are to be taken off again: they were only queued, and that is counted as if they had run.
    put_off: Vec<u64>,
}

impl Default for Durations {
    fn default() -> Durations {
        Durations { rows: vec![None; Command::ALL.len()], put_off: vec![0; Command::ALL.len()] }
    }
}

impl Durations {
    #[inline]
    fn add(&mut self, command: Command, ns: u64, count: u64) {
        self.rows[command as usize].get_or_insert_default().add(ns, count);
    }

    /// A request that is counted here, or will be when its group has run, was only queued.
    pub fn put_off(&mut self, command: Command) {
        self.put_off[command as usize] += 1;
    }

    /// What is left of those that ran. Queueing takes next to nothing, so what was queued is among the shortest.
    pub fn rows(&self) -> impl Iterator<Item = (Command, Histogram)> {
        let rows = Command::ALL.into_iter().zip(&self.rows);
        rows.filter_map(|(command, row)| {
            let mut histogram = row.as_deref()?.clone();
            histogram.take_shortest(self.put_off[command as usize]);
            (histogram.total() > 0).then_some((command, histogram))
        })
    }
}

impl Engine {
    /// Counts the requests of a group, which took `us` together. Equal neighbours are counted as one.
    #[inline]
    pub(super) fn count_ran(&mut self, specs: impl Iterator<Item = &'static Spec>, ran: usize, us: u64) {
        let ns = us * 1000 / ran.max(1) as u64;
        let mut commands = specs.map(|spec| spec.command);
        let Some(mut command) = commands.next() else { return };
        let mut count = 1;
        for next in commands {
            if next != command {
                self.count_run(command, count, ns);
                (command, count) = (next, 0);
            }
            count += 1;
        }
        self.count_run(command, count, ns);
    }

    /// Counts some runs of one command, each of which took `ns`.
    pub(super) fn count_run(&mut self, command: Command, count: u64, ns: u64) {
        self.stats.commands += count;
        self.count_run_of_exec(command, count, ns);
    }

    /// As [`Engine::count_run`], for what was already counted as a request when it was queued.
    pub(super) fn count_run_of_exec(&mut self, command: Command, count: u64, ns: u64) {
        self.shard.counts.tally.ran(command, count, ns * count);
        if self.settings.latency_tracking {
            self.durations.add(command, ns, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each duration lies in a bucket that ends behind it, and the one before ends at or before it.
    #[test]
    fn buckets_tile_the_line() {
        for ns in (0..5000).chain((12..40).flat_map(|bits| [(1 << bits) - 1, 1 << bits, (1 << bits) + 1])) {
            let bucket = bucket(ns);
            if bucket < BUCKETS - 1 {
                assert!(ns < end_ns(bucket), "{ns} in {bucket}");
            }
            if bucket > 0 {
                assert!(ns >= end_ns(bucket - 1), "{ns} in {bucket}");
            }
        }
    }

    /// The names are those that redis-server 7.0 gives its buckets; counts run on.
    #[test]
    fn doublings_are_named_as_in_redis() {
        let mut histogram = Histogram::default();
        for us in [0, 1, 9, 9, 20, 60, 120, 250, 500, 1000, 2000, 50_000] {
            histogram.add(us * 1000, 1);
        }
        let wanted =
            [(1, 2), (16, 4), (33, 5), (66, 6), (132, 7), (264, 8), (528, 9), (1056, 10), (2113, 11), (67633, 12)];
        assert_eq!(histogram.doublings(), wanted);
        assert_eq!(Histogram::default().doublings(), []);
    }

    /// A percentile is never below the durations that it covers, and at most a quarter above.
    #[test]
    fn percentiles_cover_what_they_name() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|us| histogram.add(us * 1000, 1));
        for (percent, us) in [(0.0, 1.0), (50.0, 500.0), (99.0, 990.0), (99.9, 999.0), (100.0, 1000.0)] {
            let got = histogram.percentile_us(percent);
            assert!(got >= us && got <= us * 1.26, "p{percent}: {got}");
        }
        assert_eq!(Histogram::default().percentile_us(50.0), 0.0);
    }
}
