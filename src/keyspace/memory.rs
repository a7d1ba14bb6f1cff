//! The memory gate: what a shard may use, and making room before a write.

use super::eviction::Policy;
use super::shard::Shard;

/// Keys that one write, or one tick, evicts at most: a limit lowered by gigabytes is reached in steps.
const EVICTIONS_MAX: usize = 512;

/// What the shard may use, as the sum over all cores leaves it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// All cores together are past the limit.
    pub over: bool,
    /// While over: this shard evicts down to so many bytes. Its fair share at least.
    pub bytes: u64,
}

impl Shard {
    pub fn set_policy(&mut self, policy: Policy, samples: usize) {
        self.policy = policy;
        self.eviction.configure(policy, samples);
    }

    pub fn set_allowance(&mut self, allowance: Allowance) {
        self.allowance = allowance;
    }

    /// Whether a write must make room first.
    #[inline]
    pub fn is_short(&self) -> bool {
        self.allowance.over || self.slab.is_full()
    }

    /// Evicts until the shard is within its allowance, a bounded number of keys. False: the write must be refused.
    pub fn make_room(&mut self) -> bool {
        if self.slab.is_full() || self.policy == Policy::NoEviction {
            return !self.is_short();
        }
        for _ in 0..EVICTIONS_MAX {
            if (self.used_bytes() as u64) <= self.allowance.bytes {
                return true;
            }
            if !self.evict_one() {
                return false;
            }
        }
        true
    }
}
