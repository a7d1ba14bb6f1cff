//! Keys whose changes somebody asked to hear of, without the keyspace knowing why.
//!
//! Named by their hashes: should another key share one, its changes are told too, which does no harm. A key can be
//! watched for several reasons at once, and its changes are kept apart by reason, since each has its own listener and
//! its own time to ask. Changes of some keys are counted besides, for those who ask later whether there was one.

use super::dirty::Dirty;
use super::shard::{Key, Shard};
use super::slab::ItemRef;
use crate::log::Record;
use crate::types::{KeyHash, Slot};
use hashbrown::HashTable;
use std::ops::Range;

/// Why a key is watched: one bit each.
pub mod interest {
    /// There are copies of it, which become stale. Told until the watch ends.
    pub const COPIES: u8 = 1;
    /// Clients have read it and keep what they read. Told once, then the watch for this reason is over.
    pub const READERS: u8 = 2;
}

/// Whoever makes a change, as a number that is handed back with it and never looked at here. 0 is nobody in particular.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark(pub u128);

struct Watched {
    hash: KeyHash,
    interests: u8,
}

/// A change to a key that readers keep, or to any key while all changes are listened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub hash: KeyHash,
    /// Readers of the key were waiting for it.
    pub read: bool,
    pub mark: Mark,
    /// Where its key is; empty unless all changes are listened to.
    key: Range<usize>,
}

/// Changes in their order, with the keys of those that have one.
#[derive(Debug, Default)]
pub struct Changes {
    rows: Vec<Change>,
    text: Vec<u8>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Change, &[u8])> {
        self.rows.iter().map(|change| (change, &self.text[change.key.clone()]))
    }

    /// Forgets them and keeps the memory, unless it grew large.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.rows.shrink_to(KEPT_CHANGES_MAX);
        self.text.clear();
        self.text.shrink_to(KEPT_BYTES_MAX);
    }
}

const KEPT_CHANGES_MAX: usize = 1024;
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// The watched keys of a shard, which of them have changed, and how often those did whose changes are counted.
#[derive(Default)]
pub struct Watch {
    /// Any key is watched, or all are, or changed keys are logged. The one thing that is looked at while none is.
    armed: bool,
    /// Any key is watched, or all are.
    minds: bool,
    /// Every change is told, whatever its key.
    every: bool,
    mark: Mark,
    keys: HashTable<Watched>,
    /// Changes of keys with copies.
    changed: Vec<KeyHash>,
    /// All others that somebody waits for.
    told: Changes,
    counted: HashTable<Counted>,
    /// What is to be logged.
    pub(super) dirty: Option<Dirty>,
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
    /// Whether anything is watched. A caller that has to look for the key asks first.
    #[inline]
    pub(super) fn is_armed(&self) -> bool {
        self.armed
    }

    /// Notes a change, if it is one of a watched key. One branch while nothing is watched. The hint says where the key's
    /// item is now, or was.
    #[inline]
    pub(super) fn note(&mut self, key: &Key) {
        if self.armed {
            self.note_watched(key);
        }
    }

    #[inline(never)]
    pub(super) fn note_watched(&mut self, key: &Key) {
        if let Some(dirty) = &mut self.dirty {
            dirty.note(key);
        }
        if self.minds {
            self.note_minded(key);
        }
    }

    /// As [`Watch::note_watched`], of a key that has this value now, in this item, to which it may have moved.
    #[inline(never)]
    pub(super) fn note_put(&mut self, key: &Key, record: &Record, item: ItemRef, moved: bool) {
        if let Some(dirty) = &mut self.dirty {
            dirty.note_put(key, record, item, moved);
        }
        if self.minds {
            self.note_minded(key);
        }
    }

    /// The age of what is logged now.
    #[inline]
    pub(super) fn age(&self) -> u8 {
        self.dirty.as_ref().map_or(0, |dirty| dirty.age)
    }

    fn note_minded(&mut self, key: &Key) {
        let Key { bytes, hash, .. } = *key;
        if let Some(counted) = self.counted.find_mut(hash.0, |counted| counted.hash == hash) {
            counted.changes += 1;
        }
        let mut read = false;
        if let Ok(mut found) = self.keys.find_entry(hash.0, |known| known.hash == hash) {
            let watched = found.get_mut();
            // A key that changes often changes often in a row; the same one twice is harmless otherwise.
            if watched.interests & interest::COPIES != 0 && self.changed.last() != Some(&hash) {
                self.changed.push(hash);
            }
            read = watched.interests & interest::READERS != 0;
            watched.interests &= !interest::READERS;
            if watched.interests == 0 {
                found.remove();
                self.arm();
            }
        }
        let again = |last: &Change| last.hash == hash && last.mark == self.mark;
        if read || self.every && !self.told.rows.last().is_some_and(again) {
            let from = self.told.text.len();
            if self.every {
                self.told.text.extend_from_slice(bytes);
            }
            let key = from..self.told.text.len();
            self.told.rows.push(Change { hash, read, mark: self.mark, key });
        }
    }

    /// Every key is about to go; `exists` tells which there are. Whoever has readers or listens to all changes does it, and
    /// tells them in one word.
    pub(super) fn note_all(&mut self, exists: impl Fn(Slot, KeyHash) -> bool) {
        if let Some(dirty) = &mut self.dirty {
            dirty.note_all();
        }
        for counted in self.counted.iter_mut().filter(|counted| exists(counted.slot, counted.hash)) {
            counted.changes += 1;
        }
        let copies = self.keys.iter().filter(|watched| watched.interests & interest::COPIES != 0);
        self.changed.extend(copies.map(|watched| watched.hash));
        self.keys.retain(|watched| {
            watched.interests &= !interest::READERS;
            watched.interests != 0
        });
        self.arm();
    }

    pub(super) fn arm(&mut self) {
        self.minds = self.every || !self.keys.is_empty() || !self.counted.is_empty();
        self.armed = self.minds || self.dirty.is_some();
    }
}

impl Shard {
    /// Tells of changes to keys with this hash from now on, for a reason of [`interest`]: writes, removals, expiry,
    /// eviction.
    pub fn watch(&mut self, hash: KeyHash, interest: u8) {
        let watched = Watched { hash, interests: 0 };
        let keys = &mut self.watch.keys;
        let mut found = keys.entry(hash.0, |known| known.hash == hash, |known| known.hash.0).or_insert(watched);
        found.get_mut().interests |= interest;
        self.watch.arm();
    }

    pub fn unwatch(&mut self, hash: KeyHash, interest: u8) {
        if let Ok(mut found) = self.watch.keys.find_entry(hash.0, |known| known.hash == hash) {
            found.get_mut().interests &= !interest;
            if found.get().interests == 0 {
                found.remove();
            }
        }
        self.watch.arm();
    }

    /// Counts the changes to keys with this hash from now on, until as many have called [`Shard::stop_counting`] as this.
    pub fn count_changes(&mut self, slot: Slot, hash: KeyHash) {
        let new = || Counted { hash, slot, changes: 0, watchers: 0 };
        let counted =
            self.watch.counted.entry(hash.0, |known| known.hash == hash, |known| known.hash.0).or_insert_with(new);
        counted.into_mut().watchers += 1;
        self.watch.arm();
    }

    pub fn stop_counting(&mut self, hash: KeyHash) {
        if let Ok(mut found) = self.watch.counted.find_entry(hash.0, |known| known.hash == hash) {
            found.get_mut().watchers -= 1;
            if found.get().watchers == 0 {
                found.remove();
            }
        }
        self.watch.arm();
    }

    /// The changes counted so far.
    ///
    /// # Panics
    /// If nobody counts them.
    pub fn changes(&self, hash: KeyHash) -> u64 {
        let found = self.watch.counted.find(hash.0, |known| known.hash == hash);
        found.expect("its changes are counted").changes
    }

    /// Tells of every change from now on, with its key; or no more.
    pub fn watch_every(&mut self, every: bool) {
        self.watch.every = every;
        self.watch.arm();
    }

    /// Says who makes the changes that follow. What expires or is evicted meanwhile is nobody's doing.
    pub fn mark(&mut self, mark: Mark) {
        self.watch.mark = mark;
    }

    /// Moves the hashes of keys with copies that have changed since the last call to `changed`; one may be named again.
    pub fn take_changes(&mut self, changed: &mut Vec<KeyHash>) {
        changed.append(&mut self.watch.changed);
    }

    /// Whether a key with copies has changed since the changes were taken.
    #[inline]
    pub fn has_changes(&self) -> bool {
        !self.watch.changed.is_empty()
    }

    /// Whether there are changes for [`Shard::swap_told`].
    #[inline]
    pub fn has_told(&self) -> bool {
        !self.watch.told.is_empty()
    }

    /// Hands out the changes to keys that readers keep, or to all keys, since the last call, for an empty list.
    pub fn swap_told(&mut self, changes: &mut Changes) {
        assert!(changes.is_empty(), "changes that were handed out have been dealt with");
        std::mem::swap(&mut self.watch.told, changes);
    }

    /// Removes an item that nobody asked to remove: it has expired or is evicted.
    pub(super) fn remove_unmarked(&mut self, slot: Slot, hash: KeyHash, item: ItemRef) {
        let mark = std::mem::take(&mut self.watch.mark);
        self.remove_item(slot, hash, item);
        self.watch.mark = mark;
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
        shard.watch(hot.hash, interest::COPIES);
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
        shard.unwatch(hot.hash, interest::COPIES);
        shard.put(&hot, None, NewValue::Bytes(b"1"), None);
        assert!(!shard.has_changes());
    }

    fn told(shard: &mut Shard) -> Vec<(KeyHash, bool, u128, Vec<u8>)> {
        let mut changes = Changes::default();
        shard.swap_told(&mut changes);
        changes.iter().map(|(change, key)| (change.hash, change.read, change.mark.0, key.to_vec())).collect()
    }

    /// A key can be watched for two reasons: readers are told once, copies until their watch ends, and neither loses what
    /// the other has taken.
    #[test]
    fn reasons_are_kept_apart() {
        let mut shard = shard();
        let key = key(&shard, b"both");
        shard.watch(key.hash, interest::COPIES);
        shard.watch(key.hash, interest::READERS);
        for _ in 0..2 {
            let item = shard.find(&key, 0);
            shard.put(&key, item, NewValue::Bytes(b"1"), None);
        }
        assert_eq!(told(&mut shard), [(key.hash, true, 0, Vec::new())], "once");
        assert_eq!(changes(&mut shard), [key.hash]);
        let item = shard.find(&key, 0);
        shard.put(&key, item, NewValue::Bytes(b"1"), None);
        assert_eq!((changes(&mut shard), shard.has_told()), (vec![key.hash], false));
        shard.watch(key.hash, interest::READERS);
        shard.unwatch(key.hash, interest::COPIES);
        let item = shard.find(&key, 0).expect("it is there");
        shard.remove(&key, item);
        assert!(shard.has_told() && !shard.has_changes());
        assert!(!shard.watch.is_armed(), "nothing is watched any more");
    }

    /// While all changes are listened to each is told with its key and with who made it, but for what nobody did.
    #[test]
    fn all_changes_are_told_with_their_keys() {
        let mut shard = shard();
        let (one, two) = (key(&shard, b"one"), key(&shard, b"two"));
        shard.watch_every(true);
        shard.mark(Mark(7));
        shard.put(&one, None, NewValue::Bytes(b"1"), None);
        let item = shard.find(&one, 0);
        shard.put(&one, item, NewValue::Bytes(&[b'x'; 100_000]), Some(5));
        shard.mark(Mark(8));
        shard.put(&two, None, NewValue::Bytes(b"1"), Some(5));
        assert!(shard.find(&one, 5).is_none(), "it has expired");
        shard.mark(Mark::default());
        assert!(!shard.sweep(10, 1000));
        let rows = [(&one, 7), (&two, 8), (&one, 0), (&two, 0)];
        assert_eq!(told(&mut shard), rows.map(|(key, mark)| (key.hash, false, mark, key.bytes.to_vec())));
        shard.watch_every(false);
        shard.put(&one, None, NewValue::Bytes(b"1"), None);
        assert!(!shard.has_told());
    }
}
