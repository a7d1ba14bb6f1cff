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
    pub thresholds: Thresholds,
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
            Some(policy) => (policy.replicate || policy.fold).then_some(policy.thresholds),
            None => Some(self.thresholds),
        }
    }

    /// The rate below which a core need not tell an owner of a key: even if all cores see as much of it, the key is cool.
    pub fn report_ops_min(&self, cores: usize) -> f64 {
        let all = self.policies.iter().map(|policy| policy.thresholds).chain([self.thresholds]);
        let coolest = all.map(|thresholds| thresholds.promote_ops * thresholds.demote_part).fold(f64::MAX, f64::min);
        coolest / cores as f64
    }

    /// Whether reads of a hot key may be answered from copies, and whether operations on it may be combined.
    pub fn treatment(&self, key: &[u8]) -> (bool, bool) {
        self.policy(key).map_or((true, true), |policy| (policy.replicate, policy.fold))
    }
}
