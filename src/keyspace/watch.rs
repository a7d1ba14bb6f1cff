//! Keys whose changes somebody asked to hear of, without the keyspace knowing why.
//!
//! Named by their hashes: should another key share one, its changes are told too, which does no harm.

use super::shard::Shard;
use crate::types::{KeyHash, Slot};
use hashbrown::HashTable;

/// The watched keys of a shard, which of them have changed, and how often those did whose changes are counted.
#[derive(Default)]
pub struct Watch {
    keys: HashTable<KeyHash>,
    changed: Vec<KeyHash>,
    counted: HashTable<Counted>,
}

/// A key whose changes are counted.
struct Counted {
    hash: KeyHash,
    slot: Slot,
    changes: u64,
    /// Who counts.
    watchers: u32,
}

impl Watch {
    /// Notes a change, if it is one of a watched key. One branch while nothing is watched.
    #[inline]
    pub(super) fn note(&mut self, hash: KeyHash) {
        if !self.keys.is_empty() || !self.counted.is_empty() {
            self.note_watched(hash);
        }
    }

    fn note_watched(&mut self, hash: KeyHash) {
        if let Some(counted) = self.counted.find_mut(hash.0, |counted| counted.hash == hash) {
            counted.changes += 1;
        }
        // A key that changes often changes often in a row; the same one twice is harmless otherwise.
        if self.keys.find(hash.0, |known| *known == hash).is_some() && self.changed.last() != Some(&hash) {
            self.changed.push(hash);
        }
    }

    /// Every key is about to go; `exists` tells which there are.
    pub(super) fn note_all(&mut self, exists: impl Fn(Slot, KeyHash) -> bool) {
        self.changed.extend(self.keys.iter());
        for counted in self.counted.iter_mut().filter(|counted| exists(counted.slot, counted.hash)) {
            counted.changes += 1;
        }
    }
}

impl Shard {
    /// Tells of every change to keys with this hash from now on: writes, removals, expiry, eviction.
    pub fn watch(&mut self, hash: KeyHash) {
        self.watch.keys.entry(hash.0, |known| *known == hash, |known| known.0).or_insert(hash);
    }

    pub fn unwatch(&mut self, hash: KeyHash) {
        if let Ok(found) = self.watch.keys.find_entry(hash.0, |known| *known == hash) {
            found.remove();
        }
    }

    /// Counts the changes to keys with this hash from now on, until as many have called [`Shard::stop_counting`] as this.
    pub fn count_changes(&mut self, slot: Slot, hash: KeyHash) {
        let new = || Counted { hash, slot, changes: 0, watchers: 0 };
        let counted =
            self.watch.counted.entry(hash.0, |known| known.hash == hash, |known| known.hash.0).or_insert_with(new);
        counted.into_mut().watchers += 1;
    }

    pub fn stop_counting(&mut self, hash: KeyHash) {
        if let Ok(mut found) = self.watch.counted.find_entry(hash.0, |known| known.hash == hash) {
            found.get_mut().watchers -= 1;
            if found.get().watchers == 0 {
                found.remove();
            }
        }
    }

    /// The changes counted so far.
    ///
    /// # Panics
    /// If nobody counts them.
    pub fn changes(&self, hash: KeyHash) -> u64 {
        let found = self.watch.counted.find(hash.0, |known| known.hash == hash);
        found.expect("its changes are counted").changes
    }

    /// Moves the hashes of watched keys that have changed since the last call to `changed`; one may be named again.
    pub fn take_changes(&mut self, changed: &mut Vec<KeyHash>) {
        changed.append(&mut self.watch.changed);
    }

    /// Whether a watched key has changed since the changes were taken.
    #[inline]
    pub fn has_changes(&self) -> bool {
        !self.watch.changed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::shard::{Key, NewValue, ShardOptions};
    use super::*;
    use crate::types::Slot;

    const SLOT: Slot = Slot(7);

    fn shard() -> Shard {
        Shard::new(&ShardOptions { hash_seed: [1, 2, 3, 4], draw_seed: 1, place: |_| SLOT })
    }

    fn key<'a>(shard: &Shard, bytes: &'a [u8]) -> Key<'a> {
        Key { bytes, slot: SLOT, hash: shard.hash(bytes), hint: None }
    }

    fn changes(shard: &mut Shard) -> Vec<KeyHash> {
        let mut changed = Vec::new();
        shard.take_changes(&mut changed);
        changed
    }

    /// Every way in which a key can change is told, and what leaves it as it was is not.
    #[test]
    fn every_change_is_told() {
        let mut shard = shard();
        let (hot, cold) = (key(&shard, b"hot"), key(&shard, b"cold"));
        shard.watch(hot.hash);
        type Step = fn(&mut Shard, &Key);
        let steps: [(&str, bool, Step); 9] = [
            ("put", true, |shard, key| shard.put(key, None, NewValue::Bytes(b"1"), None)),
            ("overwrite", true, |shard, key| {
                let item = shard.find(key, 0);
                shard.put(key, item, NewValue::Bytes(b"2"), None);
            }),
            ("find", false, |shard, key| assert!(shard.find(key, 0).is_some())),
            ("edit", true, |shard, key| {
                let item = shard.find(key, 0).expect("it is there");
                shard.edit(key, item, |value| value.extend_from_slice(&[b'x'; 100_000]));
            }),
            ("edit large", true, |shard, key| {
                let item = shard.find(key, 0).expect("it is there");
                shard.edit(key, item, |value| value.push(b'y'));
            }),
            ("expire", true, |shard, key| {
                let item = shard.find(key, 0).expect("it is there");
                shard.set_expiry(key, item, Some(50));
            }),
            ("expire later", true, |shard, key| {
                let item = shard.find(key, 0).expect("it is there");
                shard.set_expiry(key, item, Some(60));
            }),
            ("met after its expiry", true, |shard, key| assert!(shard.find(key, 60).is_none())),
            ("looked for in vain", false, |shard, key| assert!(shard.find(key, 60).is_none())),
        ];
        for (name, told, step) in steps {
            step(&mut shard, &cold);
            assert_eq!(changes(&mut shard), [], "{name}, not watched");
            step(&mut shard, &hot);
            assert_eq!(changes(&mut shard).contains(&hot.hash), told, "{name}");
        }
        shard.put(&hot, None, NewValue::Bytes(b"1"), Some(5));
        changes(&mut shard);
        assert!(!shard.sweep(10, 1000));
        assert_eq!(changes(&mut shard), [hot.hash], "swept");
        shard.clear();
        assert_eq!(changes(&mut shard), [hot.hash], "cleared");
        shard.unwatch(hot.hash);
        shard.put(&hot, None, NewValue::Bytes(b"1"), None);
        assert!(!shard.has_changes());
    }
}
