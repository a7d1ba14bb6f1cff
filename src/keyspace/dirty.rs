//! What is to be logged: which keys have changed since the last frame, and the frame that says so.
//!
//! A value that lies in its item is written down as it changes, while it is in the caches. All else is noted by the key's
//! name, a row, and looked up when the frame is filled: what changes again at another length, large values, removals.
//! So a key that changes often has a record or two, and the last is what it is in the end: what lies between was never
//! answered alone.
//!
//! The log is written in ages, which are counted, and an item says in two bits in which of the last four its key was last
//! logged. So whoever meets an old record knows whether it may still count. Old keys are noted in `soil.rs`.

use super::item::{self, Header, RAW};
use super::shard::{Key, NewValue, Shard};
use super::slab::ItemRef;
use crate::log::{FrameBuffer, Kind, Record, RecordAt};
use crate::types::{KeyHash, SLOTS, Slot};
use std::ops::Range;

/// Keys are looked up by the low bits of their hashes, to see whether one is there already.
const RECENT: usize = 512;
/// A frame takes no more values as they change once it is so large: by names, what changes often stays small.
const VALUES_BYTES_MAX: usize = 1 << 20;
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

/// Where a changed key was noted.
#[derive(Clone, Copy, Default)]
enum Place {
    #[default]
    Nowhere,
    Row(u32),
    Record(RecordAt),
}

/// The key that was noted last for such a hash.
#[derive(Clone, Copy, Default)]
struct Recent {
    /// More of the hash: another key's row or record is seldom looked at.
    tag: u32,
    place: Place,
}

#[derive(Default)]
pub(super) struct Dirty {
    /// All keys have gone; the rows came after.
    cleared: bool,
    /// What is logged now is of this age.
    pub age: u8,
    /// What is written next.
    frame: FrameBuffer,
    /// The items of its puts.
    items: Vec<ItemRef>,
    /// It was filled, and takes no more.
    is_filled: bool,
    rows: Vec<Row>,
    text: Vec<u8>,
    /// Empty while nothing is logged.
    recent: Vec<Recent>,
    /// Changed keys that are in frames, and may not last yet.
    unsure: Vec<KeyHash>,
    /// Nor may it that all keys have gone.
    unsure_cleared: bool,
}

impl Dirty {
    fn new() -> Dirty {
        Dirty { recent: vec![Recent::default(); RECENT], ..Dirty::default() }
    }

    /// A key has changed.
    pub fn note(&mut self, key: &Key) {
        match self.place(key) {
            Place::Row(row) => self.rows[row as usize].changed = true,
            Place::Nowhere | Place::Record(_) => self.add_row(key, true),
        }
    }

    /// A key has this value now, in this item, to which it may have moved.
    pub fn note_put(&mut self, key: &Key, record: &Record, item: ItemRef, moved: bool) {
        match self.place(key) {
            Place::Row(row) => self.rows[row as usize].changed = true,
            Place::Record(at) if !moved && self.frame.replace(at, record) => {}
            Place::Nowhere if self.has_room(record) => {
                let at = self.put(record, item);
                self.unsure.push(key.hash);
                self.set_place(key.hash, Place::Record(at));
            }
            Place::Nowhere | Place::Record(_) => self.add_row(&Key { hint: Some(item), ..*key }, true),
        }
    }

    /// A key that is in the log is to be logged once more: that may last or not, the key does.
    pub fn soil(&mut self, key: &Key) {
        if let Place::Nowhere = self.place(key) {
            self.add_row(key, false);
        }
    }

    /// Whether a value can be written down as it is. Behind a clearing, which is not written down yet, none is.
    #[inline]
    pub fn has_room(&self, record: &Record) -> bool {
        !self.is_filled && !self.cleared && self.frame.len_bytes() + record.bytes() <= VALUES_BYTES_MAX
    }

    /// Writes a value down.
    #[inline]
    fn put(&mut self, record: &Record, item: ItemRef) -> RecordAt {
        self.items.push(item);
        self.frame.append(record)
    }

    /// Where this very key was noted.
    #[inline]
    fn place(&self, key: &Key) -> Place {
        let recent = self.recent[key.hash.0 as usize % RECENT];
        let is_this = recent.tag == tag(key.hash)
            && match recent.place {
                Place::Nowhere => false,
                Place::Row(row) => self.text[self.rows[row as usize].key.clone()] == *key.bytes,
                Place::Record(at) => self.frame.key_at(at) == key.bytes,
            };
        if is_this { recent.place } else { Place::Nowhere }
    }

    #[inline]
    fn set_place(&mut self, hash: KeyHash, place: Place) {
        self.recent[hash.0 as usize % RECENT] = Recent { tag: tag(hash), place };
    }

    fn add_row(&mut self, key: &Key, changed: bool) {
        self.set_place(key.hash, Place::Row(self.rows.len() as u32));
        let from = self.text.len();
        self.text.extend_from_slice(key.bytes);
        self.rows.push(Row { slot: key.slot, hash: key.hash, key: from..self.text.len(), hint: key.hint, changed });
    }

    /// All keys have gone.
    pub fn note_all(&mut self) {
        self.soil_all();
        self.unsure_cleared = true;
    }

    /// The same, as if it were so.
    pub fn soil_all(&mut self) {
        self.forget(self.rows.len());
        self.cleared = true;
    }

    /// Forgets the first rows, and where keys were noted: those that stay may be noted once more, which is harmless.
    fn forget(&mut self, count: usize) {
        self.recent.fill(Recent::default());
        self.unsure.extend(self.rows.drain(..count).filter(|row| row.changed).map(|row| row.hash));
        if self.rows.is_empty() {
            self.text.clear();
            self.rows.shrink_to(KEPT_ROWS_MAX);
            self.text.shrink_to(KEPT_BYTES_MAX);
        }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.rows.is_empty() && !self.cleared && (self.is_filled || self.frame.is_empty())
    }
}

#[inline]
fn tag(hash: KeyHash) -> u32 {
    (hash.0 >> 32) as u32
}

impl Shard {
    /// Notes changed keys from now on, or no more. All keys that are there count as logged in age 0.
    pub fn keep_dirt(&mut self, keep: bool) {
        self.watch.dirty = keep.then(Dirty::new);
        self.watch.arm();
    }

    /// Whether any key has changed that the filled frame, if there is one, does not have.
    #[inline]
    pub fn is_dirty(&self) -> bool {
        self.watch.dirty.as_ref().is_some_and(|dirty| !dirty.is_empty())
    }

    /// Bytes that it takes to remember which keys have changed.
    pub fn dirt_bytes(&self) -> usize {
        self.watch.dirty.as_ref().map_or(0, |dirty| dirty.text.len() + size_of_val(&dirty.rows[..]))
    }

    /// Fills the next frame with what has changed, as it is now, unless one is filled already: it takes no more names once
    /// it has so many bytes, and what is left comes into the next. How long it is; none: nothing has changed.
    pub fn fill_frame(&mut self, bytes_max: usize, all_slots: impl FnOnce() -> [u8; SLOTS / 8]) -> Option<usize> {
        let mut dirty = self.watch.dirty.take()?;
        if !dirty.is_filled {
            if std::mem::take(&mut dirty.cleared) {
                dirty.frame.append(&Record { kind: Kind::Clear, value: &all_slots(), ..Record::default() });
            }
            self.write_rows(&mut dirty, bytes_max);
            dirty.is_filled = !dirty.frame.is_empty();
        }
        let bytes = dirty.is_filled.then(|| dirty.frame.len_bytes());
        self.watch.dirty = Some(dirty);
        bytes
    }

    /// Writes down what was noted by name, in the order of the first change.
    fn write_rows(&mut self, dirty: &mut Dirty, bytes_max: usize) {
        let mut taken = 0;
        while dirty.frame.len_bytes() < bytes_max
            && let Some(&Row { slot, hash, ref key, hint, .. }) = dirty.rows.get(taken)
        {
            let bytes = &dirty.text[key.clone()];
            match self.locate(&Key { bytes, slot, hash, hint }) {
                Some(item) => self.write_down(dirty, slot, item),
                None => dirty.frame.remove(slot, bytes),
            }
            taken += 1;
        }
        dirty.forget(taken);
    }

    /// Writes down what an item holds, in the age that goes on.
    pub(super) fn write_down(&mut self, dirty: &mut Dirty, slot: Slot, item: ItemRef) {
        item::set_age(self.slab.bytes_mut(item), dirty.age);
        dirty.put(&self.record_of(slot, item), item);
    }

    /// Whether a frame was filled and not written yet.
    pub fn has_frame(&self) -> bool {
        self.watch.dirty.as_ref().is_some_and(|dirty| dirty.is_filled)
    }

    /// The frame that was filled, to be sealed; an empty one, if none was.
    ///
    /// # Panics
    /// If what changes is not noted, or is in a frame that was not filled.
    pub fn filled_frame(&mut self) -> &mut FrameBuffer {
        let dirty = self.watch.dirty.as_mut().expect("changes are noted");
        assert!(dirty.is_filled || dirty.frame.is_empty(), "a frame is filled before it is sealed");
        &mut dirty.frame
    }

    /// The frame was written. The items of its puts go to a list, if there is one.
    pub fn frame_written(&mut self, list: Option<&mut Vec<ItemRef>>) {
        let Some(dirty) = &mut self.watch.dirty else { return };
        dirty.frame.reset();
        dirty.is_filled = false;
        match list {
            Some(list) => list.append(&mut dirty.items),
            None => dirty.items.clear(),
        }
    }

    /// What was written lasts, or is as good as if it did. What a frame has taken that was not written does not.
    pub fn dirt_is_safe(&mut self) {
        if let Some(dirty) = &mut self.watch.dirty
            && dirty.frame.is_empty()
        {
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

    /// What is logged from now on is of this age, and with it the frame that is not written yet. Items of an age four older
    /// would pass for it, and be logged once more for nothing.
    pub fn begin_age(&mut self, age: u64) {
        let Some(dirty) = &mut self.watch.dirty else { return };
        dirty.age = item::age_bits(age);
        for item in &dirty.items {
            // Another key may have come into its place: that one is in this frame too, or will be.
            if self.slab.is_live(*item) {
                item::set_age(self.slab.bytes_mut(*item), dirty.age);
            }
        }
    }

    /// A key as it is stored, expired or not: all that it takes to bring it back.
    pub(super) fn record_of(&self, slot: Slot, item: ItemRef) -> Record<'_> {
        let header = Header::read(self.slab.bytes(item));
        let (key, value, expiry_ms) = (self.key_of(item), self.value(item).bytes(), self.expiry_ms(item));
        Record { kind: Kind::Put, slot, key, value, expiry_ms, raw: header.has(RAW) }
    }

    /// Brings a key back as it was stored. Not a change that anybody is told of.
    pub fn restore(&mut self, record: &Record) {
        let hash = self.hash(record.key);
        let key = Key { bytes: record.key, slot: record.slot, hash, hint: None };
        let existing = self.locate(&key);
        let value = NewValue::Bytes(record.value);
        self.put_flagged(&key, existing, value, record.expiry_ms, if record.raw { RAW } else { 0 });
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
