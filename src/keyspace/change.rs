//! How keys change: put, edit, remove, expire.
//!
//! All changes to the keyspace go through `put`, `edit`, `set_expiry` and `remove`, so that whoever must see each
//! change (the log, the copies of a hot key) has one place to stand.

use super::event::EventClasses;
use super::item::{self, EXPIRES, Header, LARGE, RAW};
use super::large::{self, Records};
use super::shard::{Key, NewValue, Shard, stored_hash, stored_key};
use super::slab::{ItemRef, Slab, class_bytes};
use super::table::Tables;
use crate::log::{Kind, Record};
use crate::types::{KeyHash, Slot};
use std::sync::Arc;

const ROOM: &str = "the memory gate refuses writes before the slab's pages run out";

impl Shard {
    /// Stores a value under a key; `existing` is what [`Shard::find`] answered for it. The expiry is replaced.
    pub fn put(&mut self, key: &Key, existing: Option<ItemRef>, value: NewValue, expiry_ms: Option<u64>) {
        self.count_change();
        self.put_flagged(key, existing, value, expiry_ms, 0);
    }

    /// As [`Shard::put`], for SET, whose calls are counted anyway: [`Shard::change_count`] leaves them out.
    #[inline]
    pub fn put_uncounted(&mut self, key: &Key, existing: Option<ItemRef>, value: NewValue, expiry_ms: Option<u64>) {
        self.put_flagged(key, existing, value, expiry_ms, 0);
    }

    /// Stores the value of a new key that an edit has made, as SETRANGE does.
    pub fn put_edited(&mut self, key: &Key, value: Vec<u8>) {
        self.count_change();
        self.put_flagged(key, None, NewValue::Owned(value), None, RAW);
    }

    /// Changes the value of an existing key; its expiry stays.
    pub fn edit(&mut self, key: &Key, existing: ItemRef, change: impl FnOnce(&mut Vec<u8>)) {
        self.count_change();
        let bytes = self.slab.bytes(existing);
        let header = Header::read(bytes);
        if header.has(LARGE) {
            self.watch.note(&Key { hint: Some(existing), ..*key });
            return self.large.edit(header.row(bytes), |value| change(Arc::make_mut(value)));
        }
        self.rewrite(key, existing, header.expiry_ms(bytes), RAW, change);
    }

    /// Gives an existing key another expiry, or none.
    pub fn set_expiry(&mut self, key: &Key, existing: ItemRef, expiry_ms: Option<u64>) {
        self.count_change();
        self.watch.note(&Key { hint: Some(existing), ..*key });
        let bytes = self.slab.bytes_mut(existing);
        let header = Header::read(bytes);
        match expiry_ms {
            None if !header.has(EXPIRES) => {}
            Some(at_ms) if header.has(EXPIRES) => {
                header.write_expiry(bytes, at_ms);
                self.slab.note_expiry(existing, at_ms);
            }
            _ if header.has(LARGE) => {
                let row = header.row(bytes);
                let new = self.new_large_item(row, expiry_ms, item::clock(self.slab.bytes(existing)));
                self.tables.replace(key.slot, key.hash, existing, new);
                self.free_item(existing);
            }
            _ => {
                let flags = if header.has(RAW) { RAW } else { 0 };
                self.rewrite(key, existing, expiry_ms, flags, |_| {});
            }
        }
    }

    /// Notes that an edit has been at a value, also where it left the bytes as they were.
    pub fn mark_edited(&mut self, item: ItemRef) {
        let bytes = self.slab.bytes_mut(item);
        let header = Header::read(bytes);
        if !header.has(LARGE) {
            header.with(RAW).write(bytes);
        }
    }

    /// Removes a key's item.
    pub fn remove(&mut self, key: &Key, item: ItemRef) {
        self.count_change();
        self.remove_item(key.slot, key.hash, item);
    }

    /// Counts one change.
    pub fn count_change(&mut self) {
        self.changes = self.changes.wrapping_add(1);
    }

    /// Takes one change off the count: of two, Redis counts one, or what counts as one has changed nothing.
    pub fn uncount_change(&mut self) {
        self.changes = self.changes.wrapping_sub(1);
    }

    /// How often keys were changed by commands, but for SET. May stay below zero.
    pub fn change_count(&self) -> u64 {
        self.changes
    }

    /// Forgets every key.
    pub fn clear(&mut self) {
        self.changes = self.changes.wrapping_add(self.tables.len() as u64);
        let tables = &self.tables;
        self.watch.note_all(|slot, hash| tables.probe(slot, hash).is_some());
        (self.tables, self.slab, self.large) = (Tables::default(), Slab::default(), Records::default());
        (self.sweep_hand, self.expiring) = (0, 0);
        self.eviction.forget_candidates();
    }

    /// Stores the changed value of an item that holds it itself, by way of the scratch buffer.
    fn rewrite(
        &mut self,
        key: &Key,
        existing: ItemRef,
        expiry_ms: Option<u64>,
        flags: u32,
        change: impl FnOnce(&mut Vec<u8>),
    ) {
        let bytes = self.slab.bytes(existing);
        let mut value = std::mem::take(&mut self.scratch);
        value.clear();
        value.extend_from_slice(Header::read(bytes).value(bytes));
        change(&mut value);
        if item::is_inline(item::inline_bytes(key.bytes.len(), value.len(), expiry_ms.is_some())) {
            self.put_flagged(key, Some(existing), NewValue::Bytes(&value), expiry_ms, flags);
            self.scratch = value;
        } else {
            self.put_flagged(key, Some(existing), NewValue::Owned(value), expiry_ms, flags);
        }
    }

    pub(super) fn put_flagged(
        &mut self,
        key: &Key,
        existing: Option<ItemRef>,
        value: NewValue,
        expiry_ms: Option<u64>,
        flags: u32,
    ) {
        let bytes = item::inline_bytes(key.bytes.len(), value.len(), expiry_ms.is_some());
        if !item::is_inline(bytes) {
            return self.put_large(key, existing, value, expiry_ms);
        }
        let value = match &value {
            NewValue::Bytes(bytes) => bytes,
            NewValue::Owned(bytes) => &bytes[..],
        };
        let record =
            Record { kind: Kind::Put, slot: key.slot, key: key.bytes, value, raw: flags & RAW != 0, expiry_ms };
        let flags = if expiry_ms.is_some() { flags | EXPIRES } else { flags };
        let header = Header::inline(key.bytes.len(), value.len(), flags).with_age(self.watch.age());
        let item = match existing {
            Some(old) if self.overwrite(old, header, bytes, value, expiry_ms) => old,
            _ => self.put_anew(key, existing, header, bytes, value, expiry_ms),
        };
        if self.watch.is_armed() {
            self.watch.note_put(key, &record, item, existing != Some(item));
        }
    }

    /// Writes a key and its value to an item of their own.
    fn put_anew(
        &mut self,
        key: &Key,
        existing: Option<ItemRef>,
        header: Header,
        bytes: usize,
        value: &[u8],
        expiry_ms: Option<u64>,
    ) -> ItemRef {
        let clock = self.clock_for(existing);
        let new = self.slab.allocate(bytes, expiry_ms.is_some()).expect(ROOM);
        let item = self.slab.bytes_mut(new);
        header.write(item);
        item::set_clock(item, clock);
        let value_at = header.value_at();
        item[value_at - key.bytes.len()..value_at].copy_from_slice(key.bytes);
        item[value_at..value_at + value.len()].copy_from_slice(value);
        self.stamp_expiry(new, expiry_ms);
        self.install(key, existing, new);
        new
    }

    /// Writes a value over one of the same size class and shape.
    fn overwrite(&mut self, old: ItemRef, header: Header, bytes: usize, value: &[u8], expiry_ms: Option<u64>) -> bool {
        let item = self.slab.bytes_mut(old);
        let before = Header::read(item);
        if before.has(LARGE) || before.has(EXPIRES) != header.has(EXPIRES) || item.len() != class_bytes(bytes) {
            return false;
        }
        header.write(item);
        item[header.value_at()..][..value.len()].copy_from_slice(value);
        if let Some(at_ms) = expiry_ms {
            header.write_expiry(item, at_ms);
            self.slab.note_expiry(old, at_ms);
        }
        self.touch(old);
        true
    }

    fn put_large(&mut self, key: &Key, existing: Option<ItemRef>, value: NewValue, expiry_ms: Option<u64>) {
        self.watch.note(&Key { hint: existing, ..*key });
        let value = Arc::new(match value {
            NewValue::Bytes(bytes) => bytes.to_vec(),
            NewValue::Owned(bytes) => bytes,
        });
        if let Some(old) = existing {
            let bytes = self.slab.bytes(old);
            let header = Header::read(bytes);
            if header.has(LARGE) && header.has(EXPIRES) == expiry_ms.is_some() {
                self.large.edit(header.row(bytes), |old| *old = value);
                self.rewrite_expiry(old, expiry_ms);
                return self.touch(old);
            }
        }
        let clock = self.clock_for(existing);
        let row = self.large.insert(large::Record { key: key.bytes.into(), value });
        let new = self.new_large_item(row, expiry_ms, clock);
        self.install(key, existing, new);
    }

    fn new_large_item(&mut self, row: u32, expiry_ms: Option<u64>, clock: u8) -> ItemRef {
        let expires = expiry_ms.is_some();
        let new = self.slab.allocate(item::large_bytes(expires), expires).expect(ROOM);
        let header = Header::large(if expires { EXPIRES } else { 0 });
        let item = self.slab.bytes_mut(new);
        header.write(item);
        header.write_row(item, row);
        item::set_clock(item, clock);
        self.stamp_expiry(new, expiry_ms);
        new
    }

    fn rewrite_expiry(&mut self, item: ItemRef, expiry_ms: Option<u64>) {
        if let Some(at_ms) = expiry_ms {
            let bytes = self.slab.bytes_mut(item);
            Header::read(bytes).write_expiry(bytes, at_ms);
            self.slab.note_expiry(item, at_ms);
        }
    }

    fn stamp_expiry(&mut self, new: ItemRef, expiry_ms: Option<u64>) {
        self.rewrite_expiry(new, expiry_ms);
        self.expiring += usize::from(expiry_ms.is_some());
    }

    /// The access clock for an item about to be written: a new key's, or the old one touched.
    fn clock_for(&mut self, existing: Option<ItemRef>) -> u8 {
        match existing {
            Some(old) => self.eviction.touched(item::clock(self.slab.bytes(old))),
            None => self.eviction.inserted(self.tables.len()),
        }
    }

    fn install(&mut self, key: &Key, existing: Option<ItemRef>, new: ItemRef) {
        match existing {
            Some(old) => {
                self.tables.replace(key.slot, key.hash, old, new);
                self.release(old);
            }
            None => {
                let (slab, large, hasher) = (&self.slab, &self.large, &self.hasher);
                self.tables.insert(key.slot, key.hash, new, |item| stored_hash(slab, large, hasher, item));
                self.notify(EventClasses::NEW, "new", key.bytes);
            }
        }
    }

    /// Removes an item found by sweeping: its place is worked out from its key.
    pub(super) fn remove_found(&mut self, item: ItemRef) {
        let key = self.key_of(item);
        let (slot, hash) = ((self.place)(key), self.hash(key));
        self.remove_unmarked(slot, hash, item);
    }

    pub(super) fn remove_item(&mut self, slot: Slot, hash: KeyHash, item: ItemRef) {
        if self.watch.is_armed() {
            let bytes = stored_key(&self.slab, &self.large, item);
            self.watch.note_watched(&Key { bytes, slot, hash, hint: None });
        }
        let (slab, large, hasher) = (&self.slab, &self.large, &self.hasher);
        self.tables.remove(slot, hash, item, |item| stored_hash(slab, large, hasher, item));
        self.release(item);
    }

    /// Frees an item and the large record it points to.
    fn release(&mut self, item: ItemRef) {
        let bytes = self.slab.bytes(item);
        let header = Header::read(bytes);
        if header.has(LARGE) {
            self.large.remove(header.row(bytes));
        }
        self.free_item(item);
    }

    fn free_item(&mut self, item: ItemRef) {
        self.expiring -= usize::from(Header::read(self.slab.bytes(item)).has(EXPIRES));
        self.slab.free(item);
    }
}
