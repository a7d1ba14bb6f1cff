//! What took too long on this core, event by event: LATENCY, as Redis's latency monitor keeps it.
//!
//! Commands are those that SLOWLOG would log (`slow.rs`); the cycles are timed while `latency-monitor-threshold` asks for
//! it.

use super::Engine;
use crate::protocol::command::{Spec, flags::flag};
use crate::types::Now;
use std::collections::VecDeque;

/// As in Redis: samples that an event keeps.
pub const SAMPLES_MAX: usize = 160;

/// The worst that an event took in one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    pub unix_s: u64,
    pub ms: u64,
}

/// The samples of one event, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    pub event: String,
    pub samples: VecDeque<Sample>,
    /// Since the last reset, samples that were dropped included.
    pub ms_max: u64,
}

impl Series {
    pub fn new(event: &str) -> Series {
        Series { event: event.to_owned(), samples: VecDeque::new(), ms_max: 0 }
    }

    pub fn add(&mut self, sample: Sample) {
        self.ms_max = self.ms_max.max(sample.ms);
        match self.samples.back_mut() {
            Some(last) if last.unix_s == sample.unix_s => last.ms = last.ms.max(sample.ms),
            _ => self.samples.push_back(sample),
        }
        if self.samples.len() > SAMPLES_MAX {
            self.samples.pop_front();
        }
    }
}

/// The events of one core, by name.
#[derive(Default)]
pub struct LatencyEvents {
    pub series: Vec<Series>,
}

impl LatencyEvents {
    fn add(&mut self, event: &str, sample: Sample) {
        let at = self.series.iter().position(|series| series.event == event).unwrap_or_else(|| {
            self.series.push(Series::new(event));
            self.series.len() - 1
        });
        self.series[at].add(sample);
    }
}

impl Engine {
    /// Notes that something took so long, if that is long.
    pub(super) fn note_latency(&mut self, now: Now, event: &str, us: u64) {
        let ms = us / 1000;
        if self.settings.latency_threshold_ms > 0 && ms >= self.settings.latency_threshold_ms {
            self.latency.add(event, Sample { unix_s: now.unix_us / 1_000_000, ms });
        }
    }

    pub(super) fn note_command_latency(&mut self, now: Now, spec: &'static Spec, us: u64) {
        self.note_latency(now, if spec.has(flag::FAST) { "fast-command" } else { "command" }, us);
    }

    /// Runs a cycle of this core's own, and notes how long it took if somebody wants to know.
    pub(super) fn timed_cycle<R>(&mut self, now: Now, event: &str, cycle: impl FnOnce(&mut Engine) -> R) -> R {
        if self.settings.latency_threshold_ms == 0 {
            return cycle(self);
        }
        let from_us = self.host.elapsed_us();
        let result = cycle(self);
        self.note_latency(now, event, self.host.elapsed_us().saturating_sub(from_us));
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One sample a second, its worst; the oldest go; the maximum stays.
    #[test]
    fn a_series_keeps_the_worst_of_each_second() {
        let mut series = Series::new("command");
        for (unix_s, ms) in [(1, 5), (1, 9), (1, 7), (2, 3)] {
            series.add(Sample { unix_s, ms });
        }
        assert_eq!(series.samples, [Sample { unix_s: 1, ms: 9 }, Sample { unix_s: 2, ms: 3 }]);
        (3..3 + SAMPLES_MAX as u64).for_each(|unix_s| series.add(Sample { unix_s, ms: 1 }));
        assert_eq!((series.samples.len(), series.samples[0].unix_s, series.ms_max), (SAMPLES_MAX, 3, 9));
    }
}
