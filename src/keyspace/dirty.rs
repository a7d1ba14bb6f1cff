//! Which keys have changed since they were last written to the log. A key that changed often is one entry, with the value
//! that it has in the end: what lies between was never answered alone.
//!
//! The log is written in ages, which are counted, and an item says in two bits in which of the last four its key was last
//! logged. So whoever meets an old record knows whether it may still count. What is stored and not logged yet has no age
//! in particular; it is dirty.

use super::item::{self, Header, RAW};
use super::shard::{Key, NewValue, Shard};
use super::slab::ItemRef;
use crate::types::{KeyHash, SLOTS, Slot};
use std::ops::Range;

/// Rows that are looked up to see whether a key is there already, by the low bits of its hash.
const RECENT: usize = 1024;
/// Past every place in a table.
const TAGS: u64 = 1 << 16;
/// Keys of old records that are looked up together: see [`Shard::soil_old`].
const OLD_KEYS: usize = 32;
/// Items of old records of which the next is asked for so far ahead.
const OLD_ITEMS_AHEAD: usize = 16;
const KEPT_ROWS_MAX: usize = 4096;
const KEPT_BYTES_MAX: usize = 256 * 1024;

struct Row {
    slot: Slot,
    hash: KeyHash,
    key: Range<usize>,
    /// Where it was when it changed; it may have moved since.
    hint: Option<ItemRef>,
    /// It did change, and is not only logged once more.
    changed: bool,
}

/// What is to be logged of one key, or of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dirt<'a> {
    /// All keys have gone; those that follow came after.
    Cleared,
    /// The item says where it is: [`Shard::soil_items`].
    Put(ItemRef, Stored<'a>),
    Removed {
        slot: Slot,
        key: &'a [u8],
    },
}

/// A key as it is stored: all that it takes to bring it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored<'a> {
    pub slot: Slot,
    pub key: &'a [u8],
    pub value: &'a [u8],
    pub expiry_ms: Option<u64>,
    /// An edit made it, so its encoding is `raw`.
    pub raw: bool,
}

/// How far [`Shard::soil`] has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoilPlace {
    slot: Slot,
    tag: u32,
}

#[derive(Default)]
pub(super) struct Dirty {
    cleared: bool,
    /// What is logged now is of this age.
    age: u8,
    rows: Vec<Row>,
    text: Vec<u8>,
    /// One more than the row that was last written for such a hash; none while nothing is logged.
    recent: Vec<u32>,
    /// Keys that were handed out, and may not last yet.
    unsure: Vec<KeyHash>,
    /// Nor may it that all keys have gone.
    unsure_cleared: bool,
}

impl Dirty {
    /// A key has changed.
    pub fn note(&mut self, key: &Key) {
        self.add(key, true);
    }

    /// A key that is in the log is to be logged once more: that may last or not, the key does.
    fn soil(&mut self, key: &Key) {
        self.add(key, false);
    }

    #[inline]
    fn add(&mut self, key: &Key, changed: bool) {
        let recent = &mut self.recent[key.hash.0 as usize % RECENT];
        if let Some(row) = (*recent as usize).checked_sub(1).map(|row| &mut self.rows[row])
            && row.hash == key.hash
            && self.text[row.key.clone()] == *key.bytes
        {
            row.changed |= changed;
            return;
        }
        let from = self.text.len();
        self.text.extend_from_slice(key.bytes);
        self.rows.push(Row { slot: key.slot, hash: key.hash, key: from..self.text.len(), hint: key.hint, changed });
        *recent = self.rows.len() as u32;
    }

    /// All keys have gone.
    pub fn note_all(&mut self) {
        self.soil_all();
        self.unsure_cleared = true;
    }

    fn soil_all(&mut self) {
        self.forget(self.rows.len());
        self.cleared = true;
    }

    /// Forgets the first rows.
    fn forget(&mut self, count: usize) {
        // Those that stay may be noted once more, which is harmless.
        for row in &self.rows {
            self.recent[row.hash.0 as usize % RECENT] = 0;
        }
        self.unsure.extend(self.rows.drain(..count).filter(|row| row.changed).map(|row| row.hash));
        if self.rows.is_empty() {
            self.text.clear();
            self.rows.shrink_to(KEPT_ROWS_MAX);
            self.text.shrink_to(KEPT_BYTES_MAX);
        }
    }

    fn is_empty(&self) -> bool {
        self.rows.is_empty() && !self.cleared
    }
}

impl Shard {
    /// Notes changed keys from now on, or no more. All keys that are there count as logged in age 0.
    pub fn keep_dirt(&mut self, keep: bool) {
        self.watch.dirty = keep.then(|| Dirty { recent: vec![0; RECENT], ..Dirty::default() });
        self.watch.arm();
    }

    /// Whether any key has changed since [`Shard::take_dirt`].
    #[inline]
    pub fn is_dirty(&self) -> bool {
        self.watch.dirty.as_ref().is_some_and(|dirty| !dirty.is_empty())
    }

    /// Bytes that it takes to remember which keys have changed.
    pub fn dirt_bytes(&self) -> usize {
        self.watch.dirty.as_ref().map_or(0, |dirty| dirty.text.len() + size_of_val(&dirty.rows[..]))
    }

    /// Hands out what has changed, as it is now, in the order of the first change, until `take` says that it has enough:
    /// what is left comes the next time.
    pub fn take_dirt(&mut self, mut take: impl FnMut(Dirt) -> bool) {
        let Some(mut dirty) = self.watch.dirty.take() else { return };
        let mut goes_on = !std::mem::take(&mut dirty.cleared) || take(Dirt::Cleared);
        let mut taken = 0;
        while goes_on && let Some(row) = dirty.rows.get(taken) {
            let bytes = &dirty.text[row.key.clone()];
            let key = Key { bytes, slot: row.slot, hash: row.hash, hint: row.hint };
            let item = self.locate(&key);
            goes_on = match item {
                Some(item) => {
                    let stored = self.slab.bytes_mut(item);
                    Header::read(stored).with_age(dirty.age).write(stored);
                    take(Dirt::Put(item, self.stored_item(&key, item)))
                }
                None => take(Dirt::Removed { slot: row.slot, key: bytes }),
            };
            taken += 1;
        }
        dirty.forget(taken);
        self.watch.dirty = Some(dirty);
    }

    /// What was handed out lasts, or is as good as if it did.
    pub fn dirt_is_safe(&mut self) {
        if let Some(dirty) = &mut self.watch.dirty {
            dirty.unsure.clear();
            dirty.unsure.shrink_to(KEPT_ROWS_MAX);
            dirty.unsure_cleared &= dirty.cleared;
        }
    }

    /// Nobody knows whether the last changes will last: no command shows these keys until [`Shard::trust`].
    pub fn doubt(&mut self) {
        if let Some(dirty) = &self.watch.dirty {
            let changed = dirty.rows.iter().filter(|row| row.changed);
            self.doubtful.extend(dirty.unsure.iter().copied().chain(changed.map(|row| row.hash)));
            self.doubtful.sort_unstable_by_key(|hash| hash.0);
            self.doubtful.dedup();
            self.doubts_all |= dirty.unsure_cleared;
        }
        self.mind_reads();
    }

    pub fn trust(&mut self) {
        (self.doubtful, self.doubts_all) = (Vec::new(), false);
        self.mind_reads();
    }

    /// Whether a key's last change may not last. Another key with the same hash is doubted too.
    pub fn doubts(&self, hash: KeyHash) -> bool {
        let is_listed = |list: &[KeyHash]| list.binary_search_by_key(&hash.0, |doubted| doubted.0).is_ok();
        self.doubts_all || !self.doubtful.is_empty() && is_listed(&self.doubtful)
    }

    /// Notes about so many keys as if they had changed, from `place` on; answers where to go on, none behind the last key.
    pub fn soil(&mut self, place: SoilPlace, keys: u64) -> Option<SoilPlace> {
        let mut dirty = self.watch.dirty.take()?;
        let (mut next, mut left) = (Some(place), keys.clamp(1, TAGS));
        while left > 0
            && let Some(SoilPlace { slot, tag }) = next
        {
            let step = (TAGS * left / self.tables.slot_len(slot).max(1) as u64).clamp(1, TAGS) as u32;
            for item in self.tables.items_in(slot, tag, tag + step) {
                let bytes = self.key_of(item);
                dirty.soil(&Key { bytes, slot, hash: self.hash(bytes), hint: Some(item) });
                left = left.saturating_sub(1);
            }
            next = match u64::from(tag + step) < TAGS {
                true => Some(SoilPlace { slot, tag: tag + step }),
                false => self.slot_behind(slot).map(|slot| SoilPlace { slot, tag: 0 }),
            };
        }
        self.watch.dirty = Some(dirty);
        next
    }

    /// The next slot that has keys.
    fn slot_behind(&self, slot: Slot) -> Option<Slot> {
        (slot.index() + 1..SLOTS).map(|slot| Slot(slot as u16)).find(|slot| self.tables.slot_len(*slot) > 0)
    }

    /// What is logged from now on is of this age. Items of an age four older would pass for it, and be logged once more for
    /// nothing.
    pub fn begin_age(&mut self, age: u64) {
        if let Some(dirty) = &mut self.watch.dirty {
            dirty.age = item::age_bits(age);
        }
    }

    /// Notes a key as if it had changed, whether it is there or not.
    pub fn soil_key(&mut self, slot: Slot, key: &[u8]) {
        let key = Key { bytes: key, slot, hash: self.hash(key), hint: None };
        if let Some(dirty) = &mut self.watch.dirty {
            dirty.soil(&key);
        }
    }

    /// Notes that all keys have gone, as if those that are there had come later. They are to be noted behind it.
    pub fn soil_all(&mut self) {
        if let Some(dirty) = &mut self.watch.dirty {
            dirty.soil_all();
        }
    }

    /// Notes keys as if they had changed if they were last logged in this age.
    ///
    /// They come from an old segment in the order in which they were written, so nothing of them is in the caches: as with
    /// requests, a group of them waits for memory about once for each step of the look-up.
    pub fn soil_old<'a>(&mut self, age: u64, mut keys: impl Iterator<Item = (Slot, &'a [u8])>) {
        let Some(mut dirty) = self.watch.dirty.take() else { return };
        let mut group = [Key { bytes: &[], slot: Slot(0), hash: KeyHash(0), hint: None }; OLD_KEYS];
        loop {
            let mut count = 0;
            for ((slot, bytes), key) in keys.by_ref().take(OLD_KEYS).zip(&mut group) {
                self.prefetch_table(slot);
                *key = Key { bytes, slot, hash: self.hash(bytes), hint: None };
                count += 1;
            }
            if count == 0 {
                break;
            }
            let group = &mut group[..count];
            group.iter().for_each(|key| self.prefetch_entry(key.slot, key.hash));
            group.iter_mut().for_each(|key| key.hint = self.probe(key.slot, key.hash));
            for key in group {
                if let Some(item) = self.locate(key)
                    && self.is_of_age(item, age)
                {
                    dirty.soil(&Key { hint: Some(item), ..*key });
                }
            }
        }
        self.watch.dirty = Some(dirty);
    }

    /// Notes the keys of items as if they had changed if they were last logged in this age. The items are those of old
    /// records: whose key has gone or moved since, it has been logged since, and what is there now may be logged once more.
    pub fn soil_items(&mut self, age: u64, items: &[ItemRef]) {
        let Some(mut dirty) = self.watch.dirty.take() else { return };
        for (at, item) in items.iter().enumerate() {
            if let Some(later) = items.get(at + OLD_ITEMS_AHEAD) {
                item::prefetch_header(&self.slab, *later);
            }
            if self.slab.is_live(*item) && self.is_of_age(*item, age) {
                let bytes = self.key_of(*item);
                let (slot, hash) = ((self.place)(bytes), self.hash(bytes));
                dirty.soil(&Key { bytes, slot, hash, hint: Some(*item) });
            }
        }
        self.watch.dirty = Some(dirty);
    }

    fn is_of_age(&self, item: ItemRef, age: u64) -> bool {
        Header::read(self.slab.bytes(item)).age() == item::age_bits(age)
    }

    /// Takes all keys of a slot away that were removed after they had been stored.
    pub fn unrestore_slot(&mut self, slot: Slot) {
        let items: Vec<ItemRef> = self.tables.items_in(slot, 0, TAGS as u32).collect();
        for item in items {
            let hash = self.hash(self.key_of(item));
            self.remove_item(slot, hash, item);
        }
    }

    /// A key as it is stored, expired or not.
    pub fn stored<'a>(&'a self, key: &Key<'a>) -> Option<Stored<'a>> {
        Some(self.stored_item(key, self.locate(key)?))
    }

    fn stored_item<'a>(&'a self, key: &Key<'a>, item: ItemRef) -> Stored<'a> {
        let header = Header::read(self.slab.bytes(item));
        let (value, expiry_ms) = (self.value(item).bytes(), self.expiry_ms(item));
        Stored { slot: key.slot, key: key.bytes, value, expiry_ms, raw: header.has(RAW) }
    }

    /// Brings a key back as it was stored. Not a change that anybody is told of.
    pub fn restore(&mut self, stored: &Stored) {
        let hash = self.hash(stored.key);
        let key = Key { bytes: stored.key, slot: stored.slot, hash, hint: None };
        let existing = self.locate(&key);
        let value = NewValue::Bytes(stored.value);
        self.put_flagged(&key, existing, value, stored.expiry_ms, if stored.raw { RAW } else { 0 });
    }

    /// Takes a key away that was removed after it had been stored.
    pub fn unrestore(&mut self, slot: Slot, key: &[u8]) {
        let key = Key { bytes: key, slot, hash: self.hash(key), hint: None };
        if let Some(item) = self.locate(&key) {
            self.remove_item(slot, key.hash, item);
        }
    }
}

#[cfg(test)]
#[path = "dirty_tests.rs"]
mod tests;
