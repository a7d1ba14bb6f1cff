//! The closed sets of words that parameters take.

use super::kind::Name;
use super::upstream::{ReadFrom, UpstreamKind};
use crate::engine::{Endpoint, Fsync};
use crate::keyspace::Policy;
use crate::routing::{Distribution, Hash};

/// The names of an enumeration that lists itself.
macro_rules! names_of {
    ($list:expr) => {{
        const NAMES: [Name; $list.len()] = {
            let mut names = [Name::plain(""); $list.len()];
            let mut at = 0;
            while at < names.len() {
                names[at] = Name::plain($list[at].0);
                at += 1;
            }
            names
        };
        &NAMES
    }};
}

pub const POLICIES: &[Name] = names_of!(Policy::ALL);
pub const DISTRIBUTIONS: &[Name] = names_of!(Distribution::ALL);
pub const HASHES: &[Name] = names_of!(Hash::ALL);
pub const UPSTREAM_KINDS: &[Name] = names_of!(UpstreamKind::ALL);
pub const READS: &[Name] = names_of!(ReadFrom::ALL);

pub const ENDPOINTS: &[Name] =
    &[Name::plain(Endpoint::ALL[0].0), Name::plain(Endpoint::ALL[1].0), Name::plain(Endpoint::ALL[2].0)];

/// Redis has no level above warning, so error is shown as warning; its verbose is chatty enough to be our debug.
pub const LEVELS: &[Name] = &[
    Name { name: "debug", redis: "debug", aliases: &["verbose"] },
    Name { name: "info", redis: "notice", aliases: &[] },
    Name { name: "warn", redis: "warning", aliases: &[] },
    Name { name: "error", redis: "warning", aliases: &[] },
];

pub const DEBUG_ACCESS: &[Name] = &[Name::plain("no"), Name::plain("local"), Name::plain("yes")];

pub const FSYNCS: &[Name] = &[Name::plain(Fsync::ALL[0].0), Name::plain(Fsync::ALL[1].0), Name::plain(Fsync::ALL[2].0)];
