//! What happened in the last moments, for INFO's `instantaneous_` figures.

use crate::types::Now;

/// A window is so long at least.
const WINDOW_US: u64 = 500_000;
/// A window that ended so long ago says nothing about now.
const STALE_US: u64 = 2_000_000;

/// Counts that only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub commands: u64,
    pub input_bytes: u64,
    pub output_bytes: u64,
}

/// Rates of one core, a second.
#[derive(Default)]
pub struct Pulse {
    began_us: u64,
    at_start: Counted,
    ended_us: u64,
    rates: Counted,
}

impl Pulse {
    /// Called once a turn.
    #[inline]
    pub fn turn(&mut self, now: Now, counted: Counted) {
        if now.mono_us >= self.began_us + WINDOW_US {
            self.end_window(now.mono_us, counted);
        }
    }

    fn end_window(&mut self, now_us: u64, counted: Counted) {
        let took_us = (now_us - self.began_us).max(1);
        let rate =
            |now: u64, before: u64| (now.saturating_sub(before) as u128 * 1_000_000 / u128::from(took_us)) as u64;
        self.rates = Counted {
            commands: rate(counted.commands, self.at_start.commands),
            input_bytes: rate(counted.input_bytes, self.at_start.input_bytes),
            output_bytes: rate(counted.output_bytes, self.at_start.output_bytes),
        };
        (self.began_us, self.ended_us, self.at_start) = (now_us, now_us, counted);
    }

    pub fn rates(&self, now: Now) -> Counted {
        if now.mono_us > self.ended_us + STALE_US { Counted::default() } else { self.rates }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rate is that of the last whole window, and of none once that is long past.
    #[test]
    fn rates_are_of_the_last_window() {
        let mut pulse = Pulse::default();
        let at = |mono_us| Now { mono_us, unix_us: 0 };
        let counted = |commands| Counted { commands, input_bytes: commands * 10, output_bytes: 0 };
        pulse.turn(at(1_000_000), counted(0));
        pulse.turn(at(1_400_000), counted(90));
        pulse.turn(at(2_000_000), counted(100));
        assert_eq!(pulse.rates(at(2_500_000)), Counted { commands: 100, input_bytes: 1000, output_bytes: 0 });
        assert_eq!(pulse.rates(at(9_000_000)), Counted::default());
        pulse.turn(at(2_600_000), counted(0));
        assert_eq!(pulse.rates(at(2_600_000)).commands, 0, "CONFIG RESETSTAT took the counts back");
    }
}
