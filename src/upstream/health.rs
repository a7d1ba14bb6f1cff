//! Whether a server may be connected to: after failures it is left alone for a while, longer each time, then tried once.

/// The first wait; each failure doubles it.
const BACKOFF_US_MIN: u64 = 20_000;

/// When a server counts as gone, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthPolicy {
    /// So many failures in a row eject it.
    pub eject_after: u32,
    /// How long an ejected server is left alone before it is tried again.
    pub eject_us: u64,
}

/// What is known of one server, on one core.
#[derive(Debug)]
pub struct Health {
    policy: HealthPolicy,
    /// In a row.
    failures: u32,
    /// Nobody connects to it before that.
    rests_until_us: u64,
    /// Times that it was ejected.
    pub ejections: u64,
    dice: u64,
}

impl Health {
    /// `seed` spreads the tries of many cores and routers over time.
    pub fn new(policy: HealthPolicy, seed: u64) -> Health {
        Health { policy, failures: 0, rests_until_us: 0, ejections: 0, dice: seed }
    }

    /// Whether it may be connected to now.
    pub fn may_try(&self, now_us: u64) -> bool {
        now_us >= self.rests_until_us
    }

    /// When that is.
    pub fn tries_at_us(&self) -> u64 {
        self.rests_until_us
    }

    /// Whether keys should go to other servers, where a pool allows that.
    pub fn is_ejected(&self) -> bool {
        self.failures >= self.policy.eject_after
    }

    /// It could not be connected to, refused the greeting, or was silent for too long.
    pub fn failed(&mut self, now_us: u64) {
        self.failures = self.failures.saturating_add(1);
        if self.failures == self.policy.eject_after {
            self.ejections += 1;
        }
        let doubled = BACKOFF_US_MIN << (self.failures - 1).min(20);
        let rest_us = if self.is_ejected() { self.policy.eject_us } else { doubled.min(self.policy.eject_us) };
        // Three quarters to five quarters of it.
        let jitter_us = self.draw() % (rest_us / 2).max(1);
        self.rests_until_us = now_us + rest_us - rest_us / 4 + jitter_us;
    }

    /// It answered.
    #[inline]
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.rests_until_us = 0;
    }

    /// SplitMix64.
    fn draw(&mut self) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: HealthPolicy = HealthPolicy { eject_after: 3, eject_us: 1_000_000 };

    /// Proves that rests grow, within their jitter, up to the time of an ejection, and end with the first answer.
    #[test]
    fn rests_grow_and_end() {
        let mut health = Health::new(POLICY, 7);
        assert!(health.may_try(0));
        for (failure, rest_us) in [20_000, 40_000, 1_000_000, 1_000_000].into_iter().enumerate() {
            health.failed(0);
            assert_eq!(health.is_ejected(), failure >= 2);
            assert!(!health.may_try(rest_us * 3 / 4 - 1), "failure {failure}");
            assert!(health.may_try(rest_us * 5 / 4), "failure {failure}");
        }
        assert_eq!(health.ejections, 1);
        health.succeeded();
        assert!(health.may_try(0) && !health.is_ejected());
        (0..3).for_each(|_| health.failed(0));
        assert_eq!(health.ejections, 2);
    }

    /// Proves that two that failed at one time are not tried at one time.
    #[test]
    fn tries_are_spread() {
        let when = |seed| {
            let mut health = Health::new(POLICY, seed);
            (0..3).for_each(|_| health.failed(0));
            (0..).step_by(1000).find(|at_us| health.may_try(*at_us)).expect("it is tried again")
        };
        let times: std::collections::BTreeSet<u64> = (0..20).map(when).collect();
        assert!(times.len() > 15, "{times:?}");
    }
}
