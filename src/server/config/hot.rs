//! `[[hot.policy]]`: an array of tables, each of which says what holds for the hot keys of a pattern.
//!
//! A flag could hardly say which policy it means, so there is none.

use std::sync::Arc;

use super::arrays::{Array, FITS, Field, Key, field};
use super::kind::Kind;
use super::parameter::Stored;
use super::settings::{Hot, PatternPolicy};
use crate::engine::{HotPolicy, HotSettings};
use crate::heat::{KEY_BYTES_MAX, Limits, Thresholds};

/// The section and the key that hold the array.
pub const SECTION: &str = "hot";
pub const KEY: &str = "policy";
/// Each key whose heat is weighed tries the patterns in turn, so there is a bound.
pub const POLICIES_MAX: usize = 64;

/// The policies, in the order in which they are tried.
pub(super) const ARRAY: Array<PatternPolicy> = Array {
    path: "hot.policy",
    why: "What holds for hot keys by pattern. The first table whose pattern matches a key holds for it; keys \
          that match none are replicated and folded. Files only: there is no flag.",
    tables_max: POLICIES_MAX,
    keys: KEYS,
};

const OPS: Field<PatternPolicy> = Field {
    get: |policy| policy.promote_ops.as_ref().map(Stored::to_value),
    set: |policy, value| policy.promote_ops = Some(Stored::from_value(value).expect(FITS)),
};

const SHARE: Field<PatternPolicy> = Field {
    get: |policy| policy.promote_share_permille.as_ref().map(Stored::to_value),
    set: |policy, value| policy.promote_share_permille = Some(Stored::from_value(value).expect(FITS)),
};

const KEYS: &[Key<PatternPolicy>] = &[
    Key::row("match", field!(PatternPolicy.pattern))
        .kind(Kind::Pattern { bytes_max: KEY_BYTES_MAX as u64 }, "")
        .example("session:*")
        .why("The keys that this is about."),
    Key::row("replicate", field!(PatternPolicy.replicate))
        .kind(Kind::Switch, "on")
        .example("on")
        .why("Whether every core may answer reads from a copy of its own."),
    Key::row("fold", field!(PatternPolicy.fold))
        .kind(Kind::Switch, "on")
        .example("off")
        .why("Whether operations that wait for the key's core may be combined into one."),
    Key::row("promote_ops", OPS)
        .kind(PROMOTE_OPS, "the section's")
        .unit("operations per second")
        .example("500")
        .why("Overrides the section's key of that name."),
    Key::row("promote_share_permille", SHARE)
        .kind(PROMOTE_SHARE, "the section's")
        .unit("thousandths of a core's load")
        .example("5")
        .why("Overrides the section's key of that name."),
];

/// What the section and a policy ask alike.
pub(super) const PROMOTE_OPS: Kind = Kind::Count { min: 1, max: 1_000_000_000 };
pub(super) const PROMOTE_SHARE: Kind = Kind::Count { min: 0, max: 1000 };

impl Hot {
    /// The section as a core's engine takes it.
    pub fn settings(&self) -> HotSettings {
        let policy = |policy: &PatternPolicy| HotPolicy {
            pattern: policy.pattern.clone().into_bytes(),
            replicate: policy.replicate,
            fold: policy.fold,
            promote_ops: policy.promote_ops.map(|ops| ops as f64),
            promote_share: policy.promote_share_permille.map(|share| f64::from(share) / 1000.0),
        };
        HotSettings {
            on: self.enabled,
            window_us: u64::from(self.window_ms) * 1000,
            thresholds: Thresholds {
                promote_ops: self.promote_ops as f64,
                promote_share: f64::from(self.promote_share_permille) / 1000.0,
                demote_part: f64::from(self.demote_percent) / 100.0,
            },
            limits: Limits { keys_max: self.keys_max, bytes_max: self.bytes_max },
            policies: self.policies.iter().map(policy).collect::<Arc<[_]>>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::config::arrays::assert_sound;

    #[test]
    fn the_keys_are_sound() {
        assert_sound(&ARRAY);
    }
}
