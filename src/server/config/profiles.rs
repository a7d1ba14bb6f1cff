//! The tuning profiles, embedded so that a binary alone can apply them.

use super::mistake::{Mistake, Place};

/// Name and text of each profile; the files say what each line is for.
pub const PROFILES: &[(&str, &str)] = &[
    ("throughput", include_str!("../../../tuning/profiles/throughput.toml")),
    ("latency", include_str!("../../../tuning/profiles/latency.toml")),
    ("appliance", include_str!("../../../tuning/profiles/appliance.toml")),
    ("small", include_str!("../../../tuning/profiles/small.toml")),
];

/// The text of a profile.
pub(super) fn text(name: &str) -> Option<&'static str> {
    PROFILES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// `latency` is a profile, `latencyy` is a mistake.
pub(super) fn unknown(at: Place, key: &str, found: String) -> Mistake {
    let names: Vec<_> = PROFILES.iter().map(|(name, _)| *name).collect();
    Mistake::Value { at, key: key.to_owned(), found, allowed: format!("one of {}", names.join(", ")) }
}
