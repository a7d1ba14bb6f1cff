//! WATCH, at the owner: whose transaction depends on which of this core's keys, and whether one has changed since.

use super::super::Engine;
use crate::keyspace::Key;
use crate::types::{ConnId, CoreId, KeyHash, Now, Slot};
use std::collections::HashMap;

/// A key as it was when it was watched.
struct Watched {
    key: Box<[u8]>,
    slot: Slot,
    hash: KeyHash,
    changes: u64,
    /// The reply slot of the WATCH.
    number: u32,
}

/// The watched keys of this core, by the connection that watches them.
#[derive(Default)]
pub struct Watches {
    rows: HashMap<(CoreId, ConnId), Vec<Watched>>,
}

impl Engine {
    /// From now on changes to the key are counted for a client. One that has expired is removed first: that is no change.
    /// `number` is the reply slot of the WATCH.
    pub(in super::super) fn watch_key(&mut self, now: Now, who: (CoreId, ConnId), key: &Key, number: u32) {
        self.shard.find(key, now.unix_ms());
        let rows = self.transactions.watches.rows.entry(who).or_default();
        let of_key = |row: &Watched| row.hash == key.hash && *row.key == *key.bytes;
        match rows.iter().rposition(of_key) {
            Some(last) if rows[last].changes == self.shard.changes(key.hash) => return rows[last].number = number,
            // What has changed stays so, unless an UNWATCH is on its way; one row suffices for that.
            Some(last) => {
                if let Some(first) = rows[..last].iter().position(of_key) {
                    rows.remove(first);
                    self.shard.stop_counting(key.hash);
                }
            }
            None => {}
        }
        self.shard.count_changes(key.slot, key.hash);
        let changes = self.shard.changes(key.hash);
        rows.push(Watched { key: key.bytes.into(), slot: key.slot, hash: key.hash, changes, number });
    }

    /// Whether all keys that a client watches here are as they were; an expiry counts as a change when its time has come.
    pub(super) fn is_as_watched(&mut self, now: Now, who: (CoreId, ConnId)) -> bool {
        let Some(rows) = self.transactions.watches.rows.get(&who) else { return true };
        rows.iter().all(|row| {
            let key = Key { bytes: &row.key, slot: row.slot, hash: row.hash, hint: None };
            self.shard.find(&key, now.unix_ms());
            self.shard.changes(row.hash) == row.changes
        })
    }

    /// Forgets what a client watches here, or is about to, by a WATCH whose reply slot comes before this number: one behind
    /// an UNWATCH may overtake it, as letters are served before notes. `None`: all of it.
    pub(in super::super) fn unwatch_here(&mut self, who: (CoreId, ConnId), before: Option<u32>) {
        let is_before = |number: u32| before.is_none_or(|before| (number.wrapping_sub(before) as i32) < 0);
        self.transactions.locks.forget_watches(who, is_before);
        let Some(rows) = self.transactions.watches.rows.get_mut(&who) else { return };
        for row in rows.extract_if(.., |row| is_before(row.number)) {
            self.shard.stop_counting(row.hash);
        }
        if rows.is_empty() {
            self.transactions.watches.rows.remove(&who);
        }
    }
}
