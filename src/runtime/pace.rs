//! How many completions a turn waits for: one when clients are few, several when they come thick and fast.
//!
//! Waiting for a few more requests before serving any spares system calls and context switches, and costs at
//! most the minimum wait. It must cost nothing to a client that is alone, so the target is bounded by the number
//! of connections that asked something lately, and by how many requests the minimum wait can be expected to bring.

/// Connections count as active for this long after a request, twice that at most.
const WINDOW_US: u64 = 10_000;
/// The arrival rate is averaged over about so many turns.
const RATE_TURNS: f64 = 8.0;

/// Per-core pacing. Time and arrivals come in as arguments.
pub struct Pace {
    min_wait_us: u32,
    /// Receives a microsecond, a moving average.
    rate: f64,
    last_turn_us: u64,
    last_receive_us: u64,
    window: u32,
    window_ends_us: u64,
    active: u32,
    active_before: u32,
}

impl Pace {
    pub fn new(min_wait_us: u32) -> Pace {
        Pace {
            min_wait_us,
            rate: 0.0,
            last_turn_us: 0,
            last_receive_us: 0,
            window: 1,
            window_ends_us: 0,
            active: 0,
            active_before: 0,
        }
    }

    /// The current window's number: a connection whose own differs is active for the first time in it.
    pub fn window(&self) -> u32 {
        self.window
    }

    pub fn connection_active(&mut self) {
        self.active += 1;
    }

    /// Ends a turn that handled so many receives.
    pub fn turn(&mut self, now_us: u64, receives: u32) {
        let elapsed_us = now_us.saturating_sub(self.last_turn_us).max(1) as f64;
        self.last_turn_us = now_us;
        if receives > 0 {
            self.last_receive_us = now_us;
        }
        self.rate += (f64::from(receives) / elapsed_us - self.rate) / RATE_TURNS;
        if now_us >= self.window_ends_us {
            // After a silence longer than a window the one before says nothing any more.
            let stale = now_us >= self.window_ends_us + WINDOW_US;
            (self.active_before, self.active) = (if stale { 0 } else { self.active }, 0);
            self.window = self.window.wrapping_add(1);
            self.window_ends_us = now_us + WINDOW_US;
        }
    }

    /// When the last turn with a receive ended.
    pub fn last_receive_us(&self) -> u64 {
        self.last_receive_us
    }

    /// How many receives the next wait hopes for; at least one.
    pub fn target(&self) -> u32 {
        let active = self.active.max(self.active_before);
        let expected = (self.rate * f64::from(self.min_wait_us)) as u32;
        expected.min(active).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drive(connections: u32, receives: u32, turn_us: u64) -> u32 {
        let mut pace = Pace::new(50);
        let mut seen = 0;
        for turn in 0..1000 {
            if seen != pace.window() {
                seen = pace.window();
                (0..connections).for_each(|_| pace.connection_active());
            }
            pace.turn(turn * turn_us, receives);
        }
        pace.target()
    }

    #[test]
    fn a_lone_client_never_waits() {
        assert_eq!(drive(1, 1, 15), 1);
    }

    #[test]
    fn rare_requests_never_wait() {
        assert_eq!(drive(50, 1, 5_000), 1);
    }

    #[test]
    fn a_crowd_is_served_in_groups() {
        let target = drive(50, 5, 35);
        assert!((6..=8).contains(&target), "{target}");
    }
}
