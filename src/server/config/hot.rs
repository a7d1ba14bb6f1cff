//! `[[hot.policy]]`: an array of tables, each of which says what holds for the hot keys of a pattern.
//!
//! One small table of keys makes reading, checks and printing, as `table` does for everything else. A flag could hardly
//! say which policy it means, so there is none.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::file::{Contents, describe, text_of};
use super::kind::{Kind, Value, shown};
use super::mistake::{Mistake, Place};
use super::nearest::nearest;
use super::parameter::Stored;
use super::print::comment;
use super::settings::{Hot, PatternPolicy};
use crate::engine::{HotPolicy, HotSettings};
use crate::heat::{KEY_BYTES_MAX, Limits, Thresholds};

/// The section and the key that hold the array.
pub const SECTION: &str = "hot";
pub const KEY: &str = "policy";
/// Each key whose heat is weighed tries the patterns in turn, so there is a bound.
pub const POLICIES_MAX: usize = 64;

/// What the array is for, in the printed configuration.
const WHY: &str = "What holds for hot keys by pattern. The first table whose pattern matches a key holds for it; keys \
                   that match none are replicated and folded. Files only: there is no flag.";

/// A key of such a table.
struct PolicyKey {
    key: &'static str,
    kind: Kind,
    unit: &'static str,
    /// What holds where the key is left out; empty where it must not be.
    absent: &'static str,
    /// Its value in the example that is printed while there is no policy.
    example: &'static str,
    why: &'static str,
    /// `None`: the key was left out.
    get: fn(&PatternPolicy) -> Option<Value>,
    set: fn(&mut PatternPolicy, Value),
}

const FITS: &str = "a key's kind and range fit its field, as a test proves";

const KEYS: &[PolicyKey] = &[
    PolicyKey {
        key: "match",
        kind: Kind::Pattern { bytes_max: KEY_BYTES_MAX as u64 },
        unit: "",
        absent: "",
        example: "session:*",
        why: "The keys that this is about.",
        get: |policy| Some(policy.pattern.to_value()),
        set: |policy, value| policy.pattern = Stored::from_value(value).expect(FITS),
    },
    PolicyKey {
        key: "replicate",
        kind: Kind::Switch,
        unit: "",
        absent: "on",
        example: "on",
        why: "Whether every core may answer reads from a copy of its own.",
        get: |policy| Some(policy.replicate.to_value()),
        set: |policy, value| policy.replicate = Stored::from_value(value).expect(FITS),
    },
    PolicyKey {
        key: "fold",
        kind: Kind::Switch,
        unit: "",
        absent: "on",
        example: "off",
        why: "Whether operations that wait for the key's core may be combined into one.",
        get: |policy| Some(policy.fold.to_value()),
        set: |policy, value| policy.fold = Stored::from_value(value).expect(FITS),
    },
    PolicyKey {
        key: "promote_ops",
        kind: PROMOTE_OPS,
        unit: "operations per second",
        absent: "the section's",
        example: "500",
        why: "Overrides the section's key of that name.",
        get: |policy| policy.promote_ops.as_ref().map(Stored::to_value),
        set: |policy, value| policy.promote_ops = Some(Stored::from_value(value).expect(FITS)),
    },
    PolicyKey {
        key: "promote_share_permille",
        kind: PROMOTE_SHARE,
        unit: "thousandths of a core's load",
        absent: "the section's",
        example: "5",
        why: "Overrides the section's key of that name.",
        get: |policy| policy.promote_share_permille.as_ref().map(Stored::to_value),
        set: |policy, value| policy.promote_share_permille = Some(Stored::from_value(value).expect(FITS)),
    },
];

/// What the section and a policy ask alike.
pub(super) const PROMOTE_OPS: Kind = Kind::Count { min: 1, max: 1_000_000_000 };
pub(super) const PROMOTE_SHARE: Kind = Kind::Count { min: 0, max: 1000 };

impl PolicyKey {
    fn allowed(&self) -> String {
        let allowed = self.kind.allowed();
        if self.unit.is_empty() { allowed } else { format!("{allowed} ({})", self.unit) }
    }

    fn facts(&self) -> String {
        let absent = if self.absent.is_empty() { "required".into() } else { format!("default: {}", self.absent) };
        format!("{}: {} Allowed: {}; {absent}.", self.key, self.why, self.allowed())
    }
}

/// Reads the array; policies that are right and mistakes in the others go to `contents`.
pub(super) fn read(value: &DeValue<'_>, at: Place, place: impl Fn(Range<usize>) -> Place, contents: &mut Contents) {
    let mut mistake = |at: Place, found: String, allowed: String| {
        contents.mistakes.push(Mistake::Value { at, key: format!("{SECTION}.{KEY}"), found, allowed });
    };
    let allowed = format!("at most {POLICIES_MAX} tables, each under [[{SECTION}.{KEY}]]");
    let DeValue::Array(tables) = value else {
        return mistake(at, describe(value), allowed);
    };
    if let Some(beyond) = tables.get(POLICIES_MAX) {
        mistake(place(beyond.span()), format!("{} tables", tables.len()), allowed.clone());
    }
    for (index, table) in tables.iter().enumerate().take(POLICIES_MAX) {
        let at = place(table.span());
        match table.get_ref() {
            DeValue::Table(keys) => read_policy(index, keys, at, &place, contents),
            other => {
                let (key, found) = (format!("{SECTION}.{KEY}[{index}]"), describe(other));
                contents.mistakes.push(Mistake::Value { at, key, found, allowed: allowed.clone() });
            }
        }
    }
}

fn read_policy(
    index: usize,
    keys: &DeTable<'_>,
    at: Place,
    place: &impl Fn(Range<usize>) -> Place,
    contents: &mut Contents,
) {
    let path = |key: &str| format!("{SECTION}.{KEY}[{index}].{key}");
    let mut policy = PatternPolicy::default();
    for (name, value) in keys {
        let at = place(name.span());
        let Some(key) = KEYS.iter().find(|key| key.key == name.get_ref()) else {
            let nearest = nearest(name.get_ref(), KEYS.iter().map(|key| key.key)).expect("there are keys");
            let (key, nearest) = (path(name.get_ref()), path(nearest));
            contents.mistakes.push(Mistake::UnknownKey { at, key, nearest });
            continue;
        };
        let read = text_of(&key.kind, value.get_ref())
            .and_then(|text| key.kind.parse(&text).ok_or_else(|| shown(&text)))
            .map(|value| (key.set)(&mut policy, value));
        if let Err(found) = read {
            contents.mistakes.push(Mistake::Value { at, key: path(key.key), found, allowed: key.allowed() });
        }
    }
    for key in KEYS.iter().filter(|key| key.absent.is_empty()) {
        if !keys.iter().any(|(name, _)| name.get_ref() == key.key) {
            let (at, found) = (at.clone(), "missing".to_owned());
            contents.mistakes.push(Mistake::Value { at, key: path(key.key), found, allowed: key.allowed() });
        }
    }
    contents.policies.push((policy, at));
}

/// The array as TOML that reads back; while it is empty, an example in a comment.
pub(super) fn print(out: &mut String, policies: &[PatternPolicy], origins: &[Place]) {
    out.push('\n');
    comment(out, &format!("{WHY} At most {POLICIES_MAX} tables."));
    for key in KEYS {
        comment(out, &key.facts());
    }
    if policies.is_empty() {
        let _ = writeln!(out, "\n#[[{SECTION}.{KEY}]]");
        for key in KEYS {
            let value = key.kind.parse(key.example).expect("each example is allowed, as a test proves");
            let _ = writeln!(out, "#{} = {}", key.key, key.kind.print_toml(&value));
        }
    }
    for (policy, origin) in policies.iter().zip(origins) {
        out.push('\n');
        comment(out, &format!("Set by: {origin}."));
        let _ = writeln!(out, "[[{SECTION}.{KEY}]]");
        for (key, value) in KEYS.iter().filter_map(|key| Some((key, (key.get)(policy)?))) {
            let _ = writeln!(out, "{} = {}", key.key, key.kind.print_toml(&value));
        }
    }
}

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

    /// Proves that no allowed value can miss its field, that what is left out has its default, and that examples are
    /// allowed.
    #[test]
    fn the_keys_are_sound() {
        for key in KEYS {
            let mut values = vec![key.kind.parse(key.example).expect(key.key)];
            if let Kind::Count { min, max } = key.kind {
                values.extend([Value::Count(min), Value::Count(max)]);
            }
            for value in values {
                let mut policy = PatternPolicy::default();
                (key.set)(&mut policy, value.clone());
                assert_eq!((key.get)(&policy), Some(value), "{}", key.key);
            }
            if key.kind == Kind::Switch {
                assert_eq!((key.get)(&PatternPolicy::default()), key.kind.parse(key.absent), "{}", key.key);
            }
        }
    }
}
