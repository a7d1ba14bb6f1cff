//! Keys that are logged once more though they have not changed: those of old records that count, so that these count no
//! more, or all.

use super::dirty::Dirty;
use super::item::{self, Header, LARGE};
use super::shard::{Key, Shard};
use super::slab::ItemRef;
use crate::types::{KeyHash, SLOTS, Slot};

/// Past every place in a table.
const TAGS: u64 = 1 << 16;
/// Keys of old records that are looked up together: see [`Shard::soil_old`].
const OLD_KEYS: usize = 32;
/// Items of old records of which the next is asked for so far ahead.
const OLD_ITEMS_AHEAD: usize = 40;

/// How far [`Shard::soil`] has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoilPlace {
    slot: Slot,
    tag: u32,
}

impl Shard {
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

    /// Notes keys as if they had changed if they were last logged in this age, which is over.
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
                if let Some(item) = self.locate(key) {
                    self.soil_item(&mut dirty, age, item);
                }
            }
        }
        self.watch.dirty = Some(dirty);
    }

    /// Notes the keys of the first items as if they had changed if they were last logged in this age, which is over. The
    /// items are those of old records: whose key has gone or moved since, it has been logged since, and what is there now may
    /// be logged once more. Those behind the first are asked for, since their turn comes next.
    pub fn soil_items(&mut self, age: u64, items: &[ItemRef], count: usize) {
        let Some(mut dirty) = self.watch.dirty.take() else { return };
        for (at, item) in items[..count].iter().enumerate() {
            if let Some(later) = items.get(at + OLD_ITEMS_AHEAD) {
                item::prefetch_header(&self.slab, *later);
            }
            if self.slab.is_live(*item) {
                self.soil_item(&mut dirty, age, *item);
            }
        }
        self.watch.dirty = Some(dirty);
    }

    /// Its value is written down at once where it can be: it is of an age that is over, so what has been written down since
    /// the last frame is of another key.
    #[inline]
    fn soil_item(&mut self, dirty: &mut Dirty, age: u64, item: ItemRef) {
        let header = Header::read(self.slab.bytes(item));
        if header.age() != item::age_bits(age) {
            return;
        }
        let bytes = self.key_of(item);
        let slot = (self.place)(bytes);
        if header.has(LARGE) || header.age() == dirty.age || !dirty.has_room(&self.record_of(slot, item)) {
            return dirty.soil(&Key { bytes, slot, hash: self.hash(bytes), hint: Some(item) });
        }
        self.write_down(dirty, slot, item);
    }

    /// Takes all keys of a slot away that were removed after they had been stored.
    pub fn unrestore_slot(&mut self, slot: Slot) {
        let items: Vec<ItemRef> = self.tables.items_in(slot, 0, TAGS as u32).collect();
        for item in items {
            let hash = self.hash(self.key_of(item));
            self.remove_item(slot, hash, item);
        }
    }
}
