//! What is done about which hot keys.

use crate::heat::{Limits, Thresholds};
use crate::keyspace::glob;
use std::sync::Arc;

/// What holds for the keys that match a pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct HotPolicy {
    /// A glob, as in KEYS.
    pub pattern: Vec<u8>,
    /// Whether reads may be answered from copies.
    pub replicate: bool,
    /// Whether waiting operations may be combined.
    pub fold: bool,
    /// Where none is given, what holds for all keys counts, also after it has changed.
    pub promote_ops: Option<f64>,
    pub promote_share: Option<f64>,
}

impl HotPolicy {
    fn thresholds(&self, general: Thresholds) -> Thresholds {
        Thresholds {
            promote_ops: self.promote_ops.unwrap_or(general.promote_ops),
            promote_share: self.promote_share.unwrap_or(general.promote_share),
            demote_part: general.demote_part,
        }
    }
}

/// What one core knows about treating hot keys; the same on all.
#[derive(Clone, Debug, PartialEq)]
pub struct HotSettings {
    pub on: bool,
    pub window_us: u64,
    pub thresholds: Thresholds,
    pub limits: Limits,
    /// The first that matches holds.
    pub policies: Arc<[HotPolicy]>,
}

impl Default for HotSettings {
    fn default() -> HotSettings {
        HotSettings {
            on: true,
            window_us: 100_000,
            thresholds: Thresholds::default(),
            limits: Limits::default(),
            policies: Arc::new([]),
        }
    }
}

impl HotSettings {
    /// The policy by pattern that a key falls under.
    pub fn policy(&self, key: &[u8]) -> Option<&HotPolicy> {
        self.policies.iter().find(|policy| glob::matches(&policy.pattern, key))
    }

    /// When a key counts as hot; `None`: nothing is to be done about it whatever its heat.
    pub fn thresholds(&self, key: &[u8]) -> Option<Thresholds> {
        match self.policy(key) {
            _ if !self.on => None,
            Some(policy) => (policy.replicate || policy.fold).then(|| policy.thresholds(self.thresholds)),
            None => Some(self.thresholds),
        }
    }

    /// The rate below which a core need not tell an owner of a key: even if all cores see as much of it, the key is cool.
    pub fn report_ops_min(&self, cores: usize) -> f64 {
        let all = self.policies.iter().map(|policy| policy.thresholds(self.thresholds)).chain([self.thresholds]);
        let coolest = all.map(|thresholds| thresholds.promote_ops * thresholds.demote_part).fold(f64::MAX, f64::min);
        coolest / cores as f64
    }

    /// Whether reads of a hot key may be answered from copies, and whether operations on it may be combined.
    pub fn treatment(&self, key: &[u8]) -> (bool, bool) {
        self.policy(key).map_or((true, true), |policy| (policy.replicate, policy.fold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(pattern: &str, promote_ops: Option<f64>) -> HotPolicy {
        HotPolicy { pattern: pattern.into(), replicate: true, fold: false, promote_ops, promote_share: None }
    }

    /// The first policy that matches holds, and what it leaves open follows what holds for all keys as that changes.
    #[test]
    fn a_policy_overrides_what_it_names_and_inherits_the_rest() {
        let policies = [policy("a:*", Some(40.0)), policy("a:*", Some(1.0)), policy("b:*", None)];
        let mut settings = HotSettings { policies: Arc::new(policies), ..HotSettings::default() };
        settings.thresholds = Thresholds { promote_ops: 800.0, promote_share: 0.01, demote_part: 0.5 };
        let asked = |settings: &HotSettings, key: &[u8]| settings.thresholds(key).expect("it is on");
        assert_eq!(asked(&settings, b"a:1"), Thresholds { promote_ops: 40.0, ..settings.thresholds });
        for key in [&b"b:1"[..], b"c"] {
            assert_eq!(asked(&settings, key), settings.thresholds);
        }
        settings.thresholds.promote_ops = 10.0;
        assert_eq!(asked(&settings, b"b:1").promote_ops, 10.0);
        assert_eq!((settings.treatment(b"a:1"), settings.treatment(b"c")), ((true, false), (true, true)));
        settings.on = false;
        assert_eq!(settings.thresholds(b"a:1"), None);
    }

    /// A core reports what the least demanding policy may want to know, and follows the thresholds as they change.
    #[test]
    fn the_least_that_is_reported_follows_the_thresholds() {
        let policies = [policy("a:*", Some(100.0))];
        let mut settings = HotSettings { policies: Arc::new(policies), ..HotSettings::default() };
        assert_eq!(settings.report_ops_min(4), 100.0 * 0.25 / 4.0);
        settings.thresholds.promote_ops = 10.0;
        assert_eq!(settings.report_ops_min(4), 10.0 * 0.25 / 4.0);
        settings.thresholds.demote_part = 0.5;
        assert_eq!(settings.report_ops_min(1), 5.0);
    }
}
