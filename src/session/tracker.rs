//! What a connection has asked for by CLIENT TRACKING: to be told when keys change that it may keep copies of.

use std::collections::BTreeSet;

/// CLIENT TRACKING is on. A connection without it has none of this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tracker {
    /// Changes of all keys with one of the prefixes, instead of keys that were read.
    pub bcast: bool,
    /// Keys count as read only in the request behind CLIENT CACHING YES.
    pub optin: bool,
    /// All but those in the request behind CLIENT CACHING NO.
    pub optout: bool,
    /// Nothing is told of the connection's own changes.
    pub noloop: bool,
    /// CLIENT CACHING was given for the next request.
    pub caching: bool,
    /// The connection that is told instead, by its id; 0 for this one.
    pub redirect: u64,
    /// That one is gone.
    pub broken: bool,
    pub prefixes: BTreeSet<Vec<u8>>,
}

impl Tracker {
    /// Whether the owner of a key has to know who asks: not if all changes are told anyway, its own too.
    pub fn is_heeded(&self) -> bool {
        !self.bcast || self.noloop
    }

    /// Whether keys that are read now count as kept.
    pub fn remembers(&self) -> bool {
        match (self.optin, self.optout) {
            _ if self.bcast => false,
            (true, _) => self.caching,
            (_, true) => !self.caching,
            _ => true,
        }
    }

    /// The words of CLIENT TRACKINGINFO.
    pub fn flags(&self) -> Vec<&'static str> {
        let flags = [
            (true, "on"),
            (self.bcast, "bcast"),
            (self.optin, "optin"),
            (self.optin && self.caching, "caching-yes"),
            (self.optout, "optout"),
            (self.optout && self.caching, "caching-no"),
            (self.noloop, "noloop"),
            (self.broken, "broken_redirect"),
        ];
        flags.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is remembered, by mode and by whether CLIENT CACHING came before.
    #[test]
    fn modes_decide_what_is_remembered() {
        let plain = Tracker::default();
        let optin = Tracker { optin: true, ..plain.clone() };
        let optout = Tracker { optout: true, ..plain.clone() };
        let bcast = Tracker { bcast: true, ..plain.clone() };
        for (tracker, alone, behind_caching) in
            [(plain, true, true), (optin, false, true), (optout, true, false), (bcast, false, false)]
        {
            assert_eq!(tracker.remembers(), alone, "{tracker:?}");
            assert_eq!(Tracker { caching: true, ..tracker }.remembers(), behind_caching);
        }
    }
}
