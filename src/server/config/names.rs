//! The closed sets of words that parameters take.

use super::kind::Name;
use crate::engine::{Endpoint, Fsync};
use crate::keyspace::Policy;

pub const POLICIES: &[Name] = &policies();

const fn policies() -> [Name; Policy::ALL.len()] {
    let mut names = [Name::plain(""); Policy::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = Name::plain(Policy::ALL[at].0);
        at += 1;
    }
    names
}

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
