//! When to ask a cluster for its map: on a timer, when a server's word contradicts it, and often while a slot has nobody
//! that answers; never in quicker succession than a bound.

/// The times of [`Refresh`].
#[derive(Clone, Copy, Debug)]
pub struct RefreshPolicy {
    /// With nothing to doubt.
    pub every_us: u64,
    /// While a primary does not answer, or a slot has none: how soon a failover is seen.
    pub unsettled_us: u64,
    /// Never sooner after another, whatever is heard.
    pub gap_us: u64,
    /// For how long an answer is awaited.
    pub timeout_us: u64,
}

impl Default for RefreshPolicy {
    fn default() -> RefreshPolicy {
        RefreshPolicy { every_us: 60_000_000, unsettled_us: 250_000, gap_us: 100_000, timeout_us: 2_000_000 }
    }
}

/// After so many failures in a row the gap is at its longest, [`FAILURES_MAX`] doublings of it.
const FAILURES_MAX: u32 = 4;

#[derive(Clone, Debug)]
pub struct Refresh {
    policy: RefreshPolicy,
    asked_us: Option<u64>,
    is_asking: bool,
    is_wanted: bool,
    failures: u32,
}

impl Refresh {
    /// Nothing is known: the first is due at once.
    pub fn new(policy: RefreshPolicy) -> Refresh {
        Refresh { policy, asked_us: None, is_asking: false, is_wanted: true, failures: 0 }
    }

    /// Something was heard that the map does not say.
    pub fn want(&mut self) {
        self.is_wanted = true;
    }

    /// When to call [`begin`](Self::begin), or, while an answer is awaited, [`failed`](Self::failed).
    pub fn due_us(&self, is_settled: bool) -> u64 {
        let Some(asked_us) = self.asked_us else { return 0 };
        let policy = &self.policy;
        let gap_us = policy.gap_us << self.failures.min(FAILURES_MAX);
        asked_us.saturating_add(match (self.is_asking, self.is_wanted, is_settled) {
            (true, ..) => policy.timeout_us,
            (false, true, _) => gap_us,
            (false, false, false) => policy.unsettled_us.max(gap_us),
            (false, false, true) => policy.every_us,
        })
    }

    pub fn is_asking(&self) -> bool {
        self.is_asking
    }

    pub fn failures(&self) -> u32 {
        self.failures
    }

    pub fn begin(&mut self, now_us: u64) {
        assert!(!self.is_asking, "one question at a time");
        (self.asked_us, self.is_asking, self.is_wanted) = (Some(now_us), true, false);
    }

    pub fn answered(&mut self) {
        (self.is_asking, self.failures) = (false, 0);
    }

    /// No answer, or none that says anything: somebody else is asked next.
    pub fn failed(&mut self) {
        (self.is_asking, self.is_wanted) = (false, true);
        self.failures = self.failures.saturating_add(1);
    }
}
