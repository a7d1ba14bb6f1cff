//! WATCH, at the owner: whose transaction depends on which of this core's keys, and whether one has changed since.

use super::super::Engine;
use super::Fault;
use crate::keyspace::Key;
use crate::types::{ConnId, CoreId, KeyHash, Now, Slot};
use std::collections::{BTreeMap, HashMap};

/// A key as it was when it was watched.
struct Watched {
    slot: Slot,
    hash: KeyHash,
    changes: u64,
}

/// What one client watches: it may watch very many keys, and each once.
type Rows = BTreeMap<Box<[u8]>, Watched>;

/// The watched keys of this core, by the connection that watches them.
#[derive(Default)]
pub struct Watches {
    rows: HashMap<(CoreId, ConnId), Rows>,
}

#[cfg(feature = "faults")]
impl Watches {
    pub fn len(&self) -> usize {
        self.rows.values().map(BTreeMap::len).sum()
    }
}

impl Engine {
    /// From now on changes to the key are counted for a client. One that has expired is removed first: that is no change.
    pub(in super::super) fn watch_key(&mut self, now: Now, who: (CoreId, ConnId), key: &Key) {
        self.shard.find(key, now.unix_ms());
        let rows = self.transactions.watches.rows.entry(who).or_default();
        if rows.contains_key(key.bytes) {
            return;
        }
        self.shard.count_changes(key.slot, key.hash);
        let changes = self.shard.changes(key.hash);
        rows.insert(key.bytes.into(), Watched { slot: key.slot, hash: key.hash, changes });
    }

    /// Whether all keys that a client watches here are as they were; an expiry counts as a change when its time has come.
    pub(super) fn is_as_watched(&mut self, now: Now, who: (CoreId, ConnId)) -> bool {
        let Some(rows) = self.transactions.watches.rows.get(&who) else { return true };
        if self.transactions.commits(Fault::MissChanges) || self.transactions.commits(Fault::ImagineChanges) {
            return self.transactions.commits(Fault::MissChanges);
        }
        rows.iter().all(|(bytes, row)| {
            let key = Key { bytes, slot: row.slot, hash: row.hash, hint: None };
            self.shard.find(&key, now.unix_ms());
            self.shard.changes(row.hash) == row.changes
        })
    }

    /// Forgets what a client watches here.
    pub(in super::super) fn unwatch_here(&mut self, who: (CoreId, ConnId)) {
        self.transactions.locks.forget_watches(who);
        for row in self.transactions.watches.rows.remove(&who).unwrap_or_default().into_values() {
            self.shard.stop_counting(row.hash);
        }
    }
}
