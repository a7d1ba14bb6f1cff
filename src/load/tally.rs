//! What comes back, counted: by row for the whole run, and by row for each second of it.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

/// Histograms hold microseconds; a slower reply counts as this one (100 minutes, as in memtier_benchmark).
const LATENCY_US_MAX: u64 = 6_000_000_000;
const DIGITS: u8 = 3;
/// Seconds are many, so theirs are coarser.
const SECOND_LATENCY_US_MAX: u64 = 600_000_000;
const SECOND_DIGITS: u8 = 2;
/// Kinds of errors that are told apart.
const ERROR_KINDS_MAX: usize = 16;

/// Counts of one kind of operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub ops: u64,
    pub hits: u64,
    pub misses: u64,
    pub moved: u64,
    pub ask: u64,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    /// The sum over all operations.
    pub latency_us: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.ops += other.ops;
        self.hits += other.hits;
        self.misses += other.misses;
        self.moved += other.moved;
        self.ask += other.ask;
        self.received_bytes += other.received_bytes;
        self.sent_bytes += other.sent_bytes;
        self.latency_us += other.latency_us;
    }

    pub fn average_ms(&self) -> f64 {
        if self.ops == 0 { 0.0 } else { self.latency_us as f64 / self.ops as f64 / 1_000.0 }
    }
}

/// Counts with the latencies behind them.
#[derive(Clone, Debug)]
pub struct Row {
    pub counts: Counts,
    pub latencies: Histogram<u64>,
}

impl Row {
    pub fn new() -> Self {
        let latencies = Histogram::new_with_bounds(1, LATENCY_US_MAX, DIGITS);
        Self { counts: Counts::default(), latencies: latencies.expect("the bounds are constants and in order") }
    }

    fn second() -> Self {
        let latencies = Histogram::new_with_bounds(1, SECOND_LATENCY_US_MAX, SECOND_DIGITS);
        Self { counts: Counts::default(), latencies: latencies.expect("the bounds are constants and in order") }
    }

    pub fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.latencies.add(&other.latencies).expect("histograms of one kind have the same bounds");
    }

    /// The latency that `percentile` of 100 do not exceed, in milliseconds.
    pub fn percentile_ms(&self, percentile: f64) -> f64 {
        if self.latencies.is_empty() { 0.0 } else { self.latencies.value_at_percentile(percentile) as f64 / 1_000.0 }
    }

    pub fn min_ms(&self) -> f64 {
        if self.latencies.is_empty() { 0.0 } else { self.latencies.min() as f64 / 1_000.0 }
    }

    pub fn max_ms(&self) -> f64 {
        if self.latencies.is_empty() { 0.0 } else { self.latencies.max() as f64 / 1_000.0 }
    }

    fn record(&mut self, latency_us: u64, count: u64) {
        self.counts.latency_us += latency_us * count;
        self.latencies.saturating_record_n(latency_us, count);
    }
}

/// Errors that a server answered with, by their text up to what a request may have put in: how many, and the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    pub kinds: BTreeMap<String, (u64, String)>,
    /// Errors of further kinds.
    pub others: u64,
}

impl Errors {
    pub fn total(&self) -> u64 {
        self.kinds.values().map(|(count, _)| count).sum::<u64>() + self.others
    }

    pub fn take(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        let varies = |c: char| c == '\'' || c == '"' || c == '`' || c.is_ascii_digit();
        self.count(text.split(varies).next().unwrap_or("").trim_end(), 1, text.trim_end());
    }

    pub fn add(&mut self, other: &Self) {
        other.kinds.iter().for_each(|(kind, (count, first))| self.count(kind, *count, first));
        self.others += other.others;
    }

    fn count(&mut self, kind: &str, count: u64, text: &str) {
        if let Some((total, _)) = self.kinds.get_mut(kind) {
            *total += count;
        } else if self.kinds.len() < ERROR_KINDS_MAX {
            self.kinds.insert(kind.to_owned(), (count, text.chars().filter(|c| !c.is_control()).collect()));
        } else {
            self.others += count;
        }
    }
}

/// One thread's second, by row.
pub struct Interval {
    pub second: u32,
    pub rows: Vec<Row>,
    pub connection_errors: u64,
}

impl Interval {
    pub fn new(second: u32, rows: usize) -> Self {
        Self { second, rows: (0..rows).map(|_| Row::second()).collect(), connection_errors: 0 }
    }

    pub fn totals(&self) -> Counts {
        let mut totals = Counts::default();
        self.rows.iter().for_each(|row| totals.add(&row.counts));
        totals
    }
}

/// What one reply was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Plain,
    Hit,
    Miss,
    Moved,
    Ask,
}

/// One thread's counts.
pub struct Tally {
    pub rows: Vec<Row>,
    pub errors: Errors,
    pub connection_errors: u64,
    /// Requests whose replies never came.
    pub lost: u64,
    interval: Interval,
    now_ns: u64,
    /// Replies in a row of the same kind whose requests left together: recorded at once.
    run_row: usize,
    run_since_ns: u64,
    run: u64,
}

impl Tally {
    pub fn new(rows: usize) -> Self {
        Self {
            rows: (0..rows).map(|_| Row::new()).collect(),
            errors: Errors::default(),
            connection_errors: 0,
            lost: 0,
            interval: Interval::new(0, rows),
            now_ns: 0,
            run_row: 0,
            run_since_ns: 0,
            run: 0,
        }
    }

    /// Replies counted from here on came at `now_ns`. Call [`settle`](Self::settle) behind them.
    pub fn begin(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
    }

    #[inline]
    pub fn reply(&mut self, row: usize, since_ns: u64, bytes: (u64, u64), verdict: Verdict) {
        if self.run_row != row || self.run_since_ns != since_ns {
            self.settle();
            (self.run_row, self.run_since_ns) = (row, since_ns);
        }
        self.run += 1;
        let counts = &mut self.interval.rows[row].counts;
        counts.ops += 1;
        counts.sent_bytes += bytes.0;
        counts.received_bytes += bytes.1;
        match verdict {
            Verdict::Plain => {}
            Verdict::Hit => counts.hits += 1,
            Verdict::Miss => counts.misses += 1,
            Verdict::Moved => counts.moved += 1,
            Verdict::Ask => counts.ask += 1,
        }
    }

    #[inline]
    pub fn settle(&mut self) {
        if self.run > 0 {
            let latency_us = self.now_ns.saturating_sub(self.run_since_ns) / 1_000;
            self.rows[self.run_row].record(latency_us, self.run);
            self.interval.rows[self.run_row].record(latency_us, self.run);
            self.run = 0;
        }
    }

    pub fn lose(&mut self, requests: u64) {
        self.lost += requests;
        self.connection_errors += 1;
        self.interval.connection_errors += 1;
    }

    /// Ends the second and begins the next. Totals are kept second by second, histograms as they come.
    pub fn end_second(&mut self) -> Interval {
        self.settle();
        let next = Interval::new(self.interval.second + 1, self.rows.len());
        let ended = std::mem::replace(&mut self.interval, next);
        for (row, second) in self.rows.iter_mut().zip(&ended.rows) {
            let latency_us = row.counts.latency_us;
            row.counts.add(&second.counts);
            // Recorded into both already.
            row.counts.latency_us = latency_us;
        }
        ended
    }
}

/// A second of all threads, in the figures that a report shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Second {
    pub counts: Counts,
    pub min_ms: f64,
    pub max_ms: f64,
    pub percentiles_ms: Vec<f64>,
}

/// The seconds of a run. Histograms are kept only until every thread has handed its part in.
pub struct Timeline {
    threads: usize,
    percentiles: Vec<f64>,
    open: BTreeMap<u32, (usize, Interval)>,
    /// By second: each row, then all of them.
    pub seconds: BTreeMap<u32, Vec<Second>>,
}

impl Timeline {
    pub fn new(threads: usize, percentiles: Vec<f64>) -> Self {
        Self { threads, percentiles, open: BTreeMap::new(), seconds: BTreeMap::new() }
    }

    pub fn add(&mut self, interval: Interval) {
        let second = interval.second;
        let reports = match self.open.get_mut(&second) {
            Some((reports, sum)) => {
                sum.rows.iter_mut().zip(&interval.rows).for_each(|(sum, row)| sum.add(row));
                *reports += 1;
                *reports
            }
            None => {
                self.open.insert(second, (1, interval));
                1
            }
        };
        if reports == self.threads {
            self.close(second);
        }
    }

    /// Closes what threads that ended early left open. A last second in which nothing happened is none.
    pub fn finish(&mut self) {
        for second in self.open.keys().copied().collect::<Vec<_>>() {
            self.close(second);
        }
        let empty = |rows: &Vec<Second>| rows.iter().all(|row| row.counts.ops == 0);
        while self.seconds.len() > 1 && self.seconds.last_key_value().is_some_and(|(_, rows)| empty(rows)) {
            self.seconds.pop_last();
        }
    }

    fn close(&mut self, second: u32) {
        let Some((_, interval)) = self.open.remove(&second) else { return };
        let mut total = Row::second();
        interval.rows.iter().for_each(|row| total.add(row));
        let figures = |row: &Row| Second {
            counts: row.counts,
            min_ms: row.min_ms(),
            max_ms: row.max_ms(),
            percentiles_ms: self.percentiles.iter().map(|percentile| row.percentile_ms(*percentile)).collect(),
        };
        let rows = interval.rows.iter().chain([&total]).map(figures).collect();
        self.seconds.insert(second, rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves that runs, rows and seconds add up to what was counted, and latencies to what passed.
    #[test]
    fn counts_add_up() {
        let mut tally = Tally::new(2);
        tally.begin(5_000_000);
        for (row, since_ns, verdict) in
            [(0, 3_000_000, Verdict::Plain), (0, 3_000_000, Verdict::Plain), (1, 4_000_000, Verdict::Hit)]
        {
            tally.reply(row, since_ns, (10, 20), verdict);
        }
        let first = tally.end_second();
        tally.begin(1_500_000_000);
        tally.reply(1, 1_400_000_000, (1, 2), Verdict::Miss);
        let second = tally.end_second();
        assert_eq!((first.second, second.second), (0, 1));
        assert_eq!(
            tally.rows[0].counts,
            Counts { ops: 2, sent_bytes: 20, received_bytes: 40, latency_us: 4_000, ..Counts::default() }
        );
        let gets = &tally.rows[1];
        assert_eq!((gets.counts.ops, gets.counts.hits, gets.counts.misses), (2, 1, 1));
        assert_eq!((gets.counts.latency_us, gets.latencies.len()), (101_000, 2));
        assert!((gets.max_ms() - 100.0).abs() < 0.1 && (gets.min_ms() - 1.0).abs() < 0.001);

        let mut timeline = Timeline::new(1, vec![50.0]);
        timeline.add(first);
        timeline.add(second);
        timeline.add(Interval::new(2, 2));
        timeline.finish();
        assert_eq!(timeline.seconds.keys().copied().collect::<Vec<_>>(), [0, 1]);
        let totals = &timeline.seconds[&0][2];
        assert_eq!((totals.counts.ops, totals.counts.latency_us), (3, 5_000));
        assert!((totals.percentiles_ms[0] - 2.0).abs() < 0.02);
    }

    /// Proves that a second is closed when the last thread has told of it, or by the end.
    #[test]
    fn a_second_waits_for_all_threads() {
        let mut timeline = Timeline::new(2, Vec::new());
        timeline.add(Interval::new(0, 1));
        timeline.add(Interval::new(1, 1));
        assert!(timeline.seconds.is_empty());
        timeline.add(Interval::new(0, 1));
        assert_eq!(timeline.seconds.len(), 1);
        timeline.finish();
        assert_eq!(timeline.seconds.len(), 1, "the empty one at the end is dropped");
    }

    /// Proves that errors are told apart by what does not come from a request, and that their kinds are bounded.
    #[test]
    fn errors_have_kinds() {
        let mut errors = Errors::default();
        ["ERR no 'a'", "ERR no 'b'", "ERR yes", "NOAUTH Authentication required."]
            .iter()
            .for_each(|text| errors.take(text.as_bytes()));
        assert_eq!(errors.kinds["ERR no"], (2, "ERR no 'a'".to_owned()));
        (0..40).for_each(|kind| errors.take("K".repeat(kind + 1).as_bytes()));
        assert_eq!((errors.kinds.len(), errors.total()), (ERROR_KINDS_MAX, 44));
        let mut sum = errors.clone();
        sum.add(&errors);
        assert_eq!(sum.total(), 88);
    }
}
