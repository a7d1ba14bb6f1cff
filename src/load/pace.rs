//! When a client may send, if its rate is limited.

/// A closed loop that fell behind catches up with no more than this: memtier_benchmark's interval.
const CATCH_UP_NS_MAX: u64 = 20_000_000;
const SECOND_NS: u128 = 1_000_000_000;

/// One client's timetable: request `n` is due at `start + n / rate`, whatever happened to those before.
#[derive(Clone, Debug)]
pub struct Pace {
    rate: u64,
    open_loop: bool,
    start_ns: u64,
    taken: u64,
}

impl Pace {
    /// `phase` of 0 to 1: where in its first interval the client begins, so that clients do not beat in time.
    pub fn new(rate: u64, open_loop: bool, phase: f64) -> Self {
        Self { rate, open_loop, start_ns: (SECOND_NS as f64 / rate as f64 * phase) as u64, taken: 0 }
    }

    /// When the next request is due.
    #[inline]
    pub fn due_ns(&self) -> u64 {
        self.start_ns + (u128::from(self.taken) * SECOND_NS / u128::from(self.rate)) as u64
    }

    /// Takes the next request, if it is due: the time from which its latency counts.
    ///
    /// In an open loop that is the time when it was due: what a slow server made wait here, waited for the server. A
    /// closed loop counts from the sending, and lets go of what it could not send in time.
    #[inline]
    pub fn take(&mut self, now_ns: u64) -> Option<u64> {
        let due_ns = self.due_ns();
        if due_ns > now_ns {
            return None;
        }
        self.taken += 1;
        if self.open_loop {
            return Some(due_ns);
        }
        if now_ns - due_ns > CATCH_UP_NS_MAX {
            self.start_ns = now_ns;
            self.taken = 1;
        }
        Some(now_ns)
    }

    /// How many are due by `now_ns` that nobody took.
    pub fn overdue(&self, now_ns: u64) -> u64 {
        if now_ns < self.start_ns {
            return 0;
        }
        let due = u128::from(now_ns - self.start_ns) * u128::from(self.rate) / SECOND_NS;
        (due as u64 + 1).saturating_sub(self.taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Proves that an open loop keeps its timetable through a stall and counts from it.
    #[test]
    fn an_open_loop_keeps_its_timetable() {
        let mut pace = Pace::new(100, true, 0.5);
        assert_eq!(pace.take(4 * MS), None);
        assert_eq!(pace.take(5 * MS), Some(5 * MS));
        assert_eq!(pace.take(14 * MS), None);
        assert_eq!(pace.overdue(1_000 * MS), 99);
        let stalled: Vec<u64> = (0..3).filter_map(|_| pace.take(1_000 * MS)).collect();
        assert_eq!(stalled, [15 * MS, 25 * MS, 35 * MS]);
    }

    /// Proves that a closed loop counts from the sending, and does not make up for a long stall.
    #[test]
    fn a_closed_loop_lets_go() {
        let mut pace = Pace::new(1_000, false, 0.0);
        assert_eq!((pace.take(0), pace.take(0)), (Some(0), None));
        let short: Vec<u64> = (0..20).filter_map(|_| pace.take(10 * MS)).collect();
        assert_eq!(short, [10 * MS; 10], "ten were due");
        assert_eq!(pace.take(1_000 * MS), Some(1_000 * MS));
        assert_eq!(pace.take(1_000 * MS), None, "the rest of the second is gone");
        assert_eq!(pace.due_ns(), 1_001 * MS);
    }

    /// Proves that a rate is exact over an hour.
    #[test]
    fn a_rate_does_not_drift() {
        let mut pace = Pace::new(7, true, 0.0);
        let sent = (0..).take_while(|_| pace.take(3_600 * 1_000 * MS).is_some()).count();
        assert_eq!(sent, 7 * 3_600 + 1);
    }
}
