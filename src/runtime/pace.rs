//! How long a turn waits for company: not at all when clients are few, a little when requests come thick and fast.
//!
//! A turn has a price of its own, whatever it serves: the way to sleep and back, a timer, a system call. Waiting for
//! a few more requests before serving any shares that price among them. It must cost nothing to a client that is
//! alone, so a core gathers at most as many requests as there are connections that can send one: those that asked
//! something lately and are not waiting for another core's answer themselves. And it must stay in proportion, so it
//! gathers at most a few times as long as its turns take in CPU time.

/// Connections count as active for this long after a request, twice that at most.
const WINDOW_US: u64 = 10_000;
/// The arrival rate is averaged over about so many turns.
const RATE_TURNS: f64 = 8.0;
/// A core gathers at most so many times as long as it computes a turn.
const GATHER_TURNS: u64 = 4;

/// What a wait gathers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gather {
    /// So many receives end it.
    pub receives: u32,
    /// So much time ends it, whatever has come.
    pub us: u32,
}

/// Per-core pacing. Time and arrivals come in as arguments.
pub struct Pace {
    gather_us_max: u32,
    gather_us: u32,
    /// Receives a microsecond, a moving average.
    rate: f64,
    turns: u64,
    last_turn_us: u64,
    last_receive_us: u64,
    window: u32,
    window_ends_us: u64,
    active: u32,
    active_before: u32,
}

impl Pace {
    pub fn new(gather_us_max: u32) -> Pace {
        Pace {
            gather_us_max,
            gather_us: 0,
            rate: 0.0,
            turns: 0,
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
        self.turns += 1;
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

    /// Takes the CPU time of all turns since the last call.
    pub fn spent(&mut self, cpu_us: u64) {
        let gather_us = GATHER_TURNS * cpu_us / std::mem::take(&mut self.turns).max(1);
        self.gather_us = gather_us.min(u64::from(self.gather_us_max)) as u32;
    }

    /// When the last turn with a receive ended.
    pub fn last_receive_us(&self) -> u64 {
        self.last_receive_us
    }

    /// What the next wait gathers while so many connections await another core's answer; `None`: whatever comes first
    /// ends it.
    pub fn gather(&self, awaiting: usize) -> Option<Gather> {
        let active = self.active.max(self.active_before);
        let expected = (self.rate * f64::from(self.gather_us)) as u32;
        let receives = expected.min(active.div_ceil(2)).min(active.saturating_sub(awaiting as u32));
        (receives > 1).then_some(Gather { receives, us: self.gather_us })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns of `turn_us` that take half of it in CPU time, each with so many receives.
    fn drive(connections: u32, receives: u32, turn_us: u64) -> Pace {
        let mut pace = Pace::new(200);
        let mut seen = 0;
        for turn in 0..1000 {
            if seen != pace.window() {
                seen = pace.window();
                (0..connections).for_each(|_| pace.connection_active());
            }
            pace.turn(turn * turn_us, receives);
        }
        pace.spent(1000 * turn_us / 2);
        pace
    }

    #[test]
    fn a_lone_client_never_waits() {
        assert_eq!(drive(1, 1, 15).gather(0), None);
    }

    #[test]
    fn rare_requests_never_wait() {
        assert_eq!(drive(50, 1, 5_000).gather(0), None);
    }

    #[test]
    fn a_crowd_is_served_in_groups() {
        let Some(Gather { receives, us }) = drive(50, 5, 35).gather(0) else { panic!("it gathers") };
        assert_eq!(us, 4 * 35 / 2);
        assert!((8..=10).contains(&receives), "{receives}");
    }

    #[test]
    fn short_turns_gather_shortly_and_long_ones_up_to_the_limit() {
        assert_eq!(drive(50, 5, 4).gather(0).map(|gather| gather.us), Some(8));
        assert_eq!(drive(50, 50, 400).gather(0).map(|gather| gather.us), Some(200));
    }

    #[test]
    fn clients_that_wait_for_another_core_are_not_waited_for() {
        let pace = drive(8, 8, 100);
        assert_eq!(pace.gather(3).map(|gather| gather.receives), Some(4), "half of those that are active");
        assert_eq!(pace.gather(5).map(|gather| gather.receives), Some(3));
        assert_eq!(pace.gather(7), None);
        assert_eq!(pace.gather(9), None);
    }
}
