//! What one core ingests: every operation is counted, some are looked at, and each window ends with the hottest keys.
//!
//! Sampled operations of candidates are counted key by key; all others go to the sketch, out of which a key that
//! outgrows the lightest candidate takes its place. Memory depends on the options, not on the traffic.

use super::candidates::{Candidate, Candidates, Operation};
use super::gap::{Dice, Gap};
use super::rates::{Access, Report};
use super::sketch::Sketch;
use crate::types::{KeyHash, Slot};

/// A longer key is never a candidate, so that candidates have a bound in bytes too.
pub const KEY_BYTES_MAX: usize = 1024;
/// A core's CPU time is apportioned by operations, and so many bytes weigh as much as an operation: a command costs
/// about 0.4 µs, and copying a KiB in and out through the kernel's TCP costs about that again.
const BYTES_AN_OPERATION: f64 = 1024.0;

/// A newcomer ends a window before its time with so many operations, if they are one in so many of all that were counted;
/// and no sooner than after such a part of a window.
const CRY_OPS_MIN: u32 = 500;
const CRY_PART: u64 = 4;
const CRY_WINDOW_PART: u64 = 25;

/// How a core counts.
#[derive(Clone, Debug)]
pub struct HeatOptions {
    /// Of what is drawn at random: which operations are sampled, which entries of the sketch give way.
    pub seed: u64,
    /// How long a window is; reports are made, and counts halved, when it ends.
    pub window_us: u64,
    /// Operations of a window that are looked at. While there are fewer, all are.
    pub samples_per_window: u32,
    /// The most keys that are counted one by one, and so the most reports of a window. At most 65,535.
    pub candidates_max: usize,
    /// Candidates with fewer operations per second are not reported. A key that all cores ingest alike has only a part of
    /// its rate on each: best is what a hot key may sink to, divided by the number of cores.
    pub report_ops_min: f64,
}

impl Default for HeatOptions {
    fn default() -> HeatOptions {
        HeatOptions {
            seed: 0,
            window_us: 100_000,
            samples_per_window: 8192,
            candidates_max: 128,
            report_ops_min: 100.0,
        }
    }
}

/// One core's view of its traffic. Call [`turn`](Heat::turn) once a turn, [`counts`](Heat::counts) for each operation
/// and [`sample`](Heat::sample) where that says so, and [`window_ends`](Heat::window_ends) from the
/// [`deadline`](Heat::deadline) on.
pub struct Heat {
    gap: Gap,
    /// When the window began; None before the first turn.
    begun_us: Option<u64>,
    candidates: Candidates,
    sketch: Sketch,
    dice: Dice,
    /// Bytes of this window, as the samples have it.
    bytes: u64,
    load_ops: f64,
    /// The last window was cut short.
    cried: bool,
    options: HeatOptions,
}

impl Heat {
    pub fn new(options: HeatOptions) -> Heat {
        Heat {
            gap: Gap::new(options.samples_per_window, options.seed),
            begun_us: None,
            candidates: Candidates::new(options.candidates_max),
            sketch: Sketch::new(options.samples_per_window),
            dice: Dice::new(!options.seed),
            bytes: 0,
            load_ops: 0.0,
            cried: false,
            options,
        }
    }

    /// Counts an operation; true when this one is to be handed to [`sample`](Heat::sample).
    #[inline]
    pub fn counts(&mut self) -> bool {
        self.gap.counts()
    }

    /// As [`counts`](Heat::counts) for up to `count` operations at once, not 0: the place of the first one to be handed
    /// to [`sample`](Heat::sample), behind which nothing is counted yet. `None`: all are counted.
    #[inline]
    pub fn counts_up_to(&mut self, count: u32) -> Option<u32> {
        self.gap.counts_up_to(count)
    }

    /// Takes a sampled operation. `bytes` are those of request and reply, as far as they are known.
    pub fn sample(&mut self, key: &[u8], slot: Slot, hash: KeyHash, access: Access, bytes: u64) {
        let weight = self.gap.weight();
        let operation = Operation { access, bytes };
        self.bytes = self.bytes.saturating_add(bytes.saturating_mul(u64::from(weight)));
        let mixed = (hash.0 ^ self.options.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = mixed ^ mixed >> 32;
        if self.candidates.add(mixed, hash, operation, weight) {
            return;
        }
        let seen = self.sketch.add(mixed, weight, &mut self.dice);
        if key.len() > KEY_BYTES_MAX || !self.candidates.admits(seen.ops) {
            return;
        }
        self.sketch.take(mixed);
        if let Some((mixed, seen)) = self.candidates.admit((mixed, key, slot, hash), operation, seen, weight) {
            self.sketch.put(mixed, seen);
        }
    }

    /// When the current window ends, in microseconds of the monotonic clock. None while nothing was counted since the
    /// last window ended and no candidate is left: an idle core needs no ticks.
    pub fn deadline(&self) -> Option<u64> {
        let begun_us = self.begun_us?;
        (!self.is_idle()).then(|| begun_us.saturating_add(self.options.window_us))
    }

    /// Starts a window if none runs; called once a turn with the turn's time, before the turn's operations.
    #[inline]
    pub fn turn(&mut self, now_us: u64) {
        if self.begun_us.is_none() || self.is_idle() {
            self.begin_after_idling(now_us);
        }
    }

    /// Ends the window if its time has come, or, soon after it began, if a key that was cool has a good part of what is
    /// counted: true, and `reports` holds the candidates, hottest first. A window that was
    /// late to end is as long as it was.
    ///
    /// `cpu_us` is the core's CPU time since the last window. A key's part of it is its part of all operations, with
    /// 1,024 bytes weighing as much as one operation: a model, not a measurement. It knows nothing of slow commands.
    pub fn window_ends(&mut self, now_us: u64, cpu_us: u64, reports: &mut Vec<Report>) -> bool {
        let Some(begun_us) = self.begun_us else { return false };
        let elapsed_us = now_us.saturating_sub(begun_us);
        let is_whole = elapsed_us >= self.options.window_us.max(1);
        if !is_whole && !self.cries(elapsed_us) || self.is_idle() {
            return false;
        }
        self.close(now_us, cpu_us, reports);
        self.cried = !is_whole;
        true
    }

    /// Whether a newcomer has so large a part of the load that it should not wait for the window's end. After a window that
    /// it cut short comes a whole one.
    fn cries(&self, elapsed_us: u64) -> bool {
        let loudest = self.candidates.loudest();
        let loud = loudest >= CRY_OPS_MIN && u64::from(loudest) * CRY_PART >= self.gap.counted();
        !self.cried && elapsed_us >= self.options.window_us / CRY_WINDOW_PART && loud
    }

    /// Ends the window now, however short it is; answers how many seconds it had, at least a microsecond. For whoever
    /// adds windows up and asks in the middle of one.
    pub fn close(&mut self, now_us: u64, cpu_us: u64, reports: &mut Vec<Report>) -> f64 {
        let elapsed_us = now_us.saturating_sub(self.begun_us.unwrap_or(now_us)).max(1);
        let (seconds, ops) = (elapsed_us as f64 / 1e6, self.gap.counted());
        let worth = |ops: f64, bytes: f64| ops + bytes / BYTES_AN_OPERATION;
        let worth_all = worth(ops as f64, self.bytes as f64).max(1.0);
        let exact = self.gap.is_exact();
        reports.clear();
        for candidate in self.candidates.iter_mut() {
            let believed = candidate.is_believed(exact);
            let rates = candidate.close(seconds, |ops, bytes| cpu_us as f64 * worth(ops, bytes) / worth_all);
            if believed && rates.ops() > 0.0 && rates.ops() >= self.options.report_ops_min {
                candidate.reported = true;
                reports.push(Report { rates, ..report_of(candidate) });
            }
        }
        sort(reports);
        self.candidates.halve();
        self.sketch.halve();
        self.load_ops = ops as f64 / seconds;
        self.bytes = 0;
        self.begun_us = Some(now_us);
        self.gap.open((self.load_ops * self.options.window_us as f64 / 1e6) as u64);
        seconds
    }

    /// Changes [`HeatOptions::report_ops_min`]; the reports of the next window go by it.
    pub fn set_report_ops_min(&mut self, ops: f64) {
        self.options.report_ops_min = ops;
    }

    /// Operations per second of the last whole window, of all keys.
    pub fn load_ops(&self) -> f64 {
        self.load_ops
    }

    /// The hottest candidates now, for introspection: rates of whole windows, the latest counting half.
    pub fn top(&self, count: usize) -> Vec<Report> {
        let mut reports: Vec<Report> =
            self.candidates.iter().map(report_of).filter(|report| report.rates.ops() > 0.0).collect();
        sort(&mut reports);
        reports.truncate(count);
        reports
    }

    /// Bytes of memory in use; it stops growing once there are as many candidates as there may be.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Heat>() + self.candidates.memory_bytes() + self.sketch.memory_bytes()
    }

    /// Forgets everything that was counted.
    pub fn reset(&mut self) {
        self.candidates.clear();
        self.sketch.clear();
        self.gap.open(0);
        (self.begun_us, self.bytes, self.load_ops) = (None, 0, 0.0);
    }

    #[inline]
    fn is_idle(&self) -> bool {
        self.gap.counted() == 0 && self.candidates.is_empty()
    }

    /// Time in which nothing happened is no part of a window, or the first operations after it would count for little.
    fn begin_after_idling(&mut self, now_us: u64) {
        if self.begun_us.is_some_and(|begun_us| now_us.saturating_sub(begun_us) >= self.options.window_us) {
            self.load_ops = 0.0;
            self.gap.open(0);
        }
        self.begun_us = Some(now_us);
    }
}

fn report_of(candidate: &Candidate) -> Report {
    Report { key: candidate.key[..].into(), slot: candidate.slot, hash: candidate.hash, rates: candidate.rates }
}

/// Hottest first; what is equally hot in an order that repeats.
fn sort(reports: &mut [Report]) {
    reports.sort_unstable_by(|a, b| b.rates.ops().total_cmp(&a.rates.ops()).then(a.hash.0.cmp(&b.hash.0)));
}
