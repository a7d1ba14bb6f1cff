//! Slot tables: from a key's slot and hash to where its item lies.
//!
//! One hashbrown table a slot, six bytes an entry: where the item lies and 16 bits of its hash. Those 16
//! are the seven that hashbrown keeps as a tag and the nine lowest, so a table of up to 512 buckets grows
//! without looking at an item, and a probe that compares them alone is wrong about once in 1,000 keys.

use super::item::{TableMemory, prefetch_line};
use super::slab::ItemRef;
use crate::types::{KeyHash, SLOTS, Slot};
use hashbrown::HashTable;

const LOW_BITS: u32 = 9;
const LOW_MASK: u64 = (1 << LOW_BITS) - 1;
/// A table of at most so many entries has at most 512 buckets after it has doubled.
const SHORT_GROWTH_ENTRIES_MAX: usize = 224;
/// A table this large whose entries have shrunk to an eighth gives memory back.
const SHRINK_ENTRIES_MIN: usize = 256;

pub(super) const ENTRY_BYTES: usize = size_of::<Entry>();
/// Under Miri few, since all would take it a minute to make; its tests keep to the first slots.
const TABLES: usize = if cfg!(miri) { 16 } else { SLOTS };
/// hashbrown aligns and searches its tags in groups of so many.
const TAG_GROUP_BYTES: usize = 16;
/// An entry is seldom further than this from where its hash points.
const NEIGHBOURS: usize = 6;

/// A table entry.
#[derive(Clone, Copy)]
struct Entry {
    item: [u16; 2],
    tag: u16,
}

impl Entry {
    fn new(item: ItemRef, hash: KeyHash) -> Entry {
        Entry { item: [item.0 as u16, (item.0 >> 16) as u16], tag: tag_of(hash) }
    }
    #[inline]
    fn item(self) -> ItemRef {
        ItemRef(u32::from(self.item[0]) | u32::from(self.item[1]) << 16)
    }
    /// The bits of the hash that a table of at most 512 buckets uses.
    fn short_hash(self) -> u64 {
        u64::from(self.tag >> LOW_BITS) << 57 | u64::from(self.tag) & LOW_MASK
    }
}

#[inline]
fn tag_of(hash: KeyHash) -> u16 {
    ((hash.0 >> 57 << LOW_BITS) | (hash.0 & LOW_MASK)) as u16
}

/// The tables of all slots; those of slots that live on other cores stay empty and allocate nothing.
pub struct Tables {
    slots: Vec<HashTable<Entry, TableMemory>>,
    entries: usize,
    used_bytes: usize,
}

impl Default for Tables {
    fn default() -> Tables {
        Tables {
            slots: (0..TABLES).map(|_| HashTable::new_in(TableMemory::default())).collect(),
            entries: 0,
            used_bytes: 0,
        }
    }
}

impl Tables {
    /// Number of entries in all slots.
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Bytes allocated by all tables.
    pub fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    /// Number of entries of one slot.
    pub fn slot_len(&self, slot: Slot) -> usize {
        self.slots[slot.index()].len()
    }

    /// Asks for the slot's table head, the first of the cache lines on the way to an item.
    #[inline]
    pub fn prefetch(&self, slot: Slot) {
        prefetch_line(std::ptr::from_ref(&self.slots[slot.index()]).addr());
    }

    /// Asks for the lines of the table that a look-up starts with. hashbrown keeps entries, then a byte of tag for
    /// each; entry `n` lies `n + 1` entries before the tags. Were that to change, the hints would only miss.
    #[inline]
    pub fn prefetch_entry(&self, slot: Slot, hash: KeyHash) {
        let table = &self.slots[slot.index()];
        let buckets = table.num_buckets();
        let tags = table.allocator().address() + (buckets * ENTRY_BYTES).next_multiple_of(TAG_GROUP_BYTES);
        let bucket = hash.0 as usize & (buckets - 1);
        prefetch_line(tags + bucket);
        prefetch_line(tags.wrapping_sub((bucket + 1) * ENTRY_BYTES));
        prefetch_line(tags.wrapping_sub((bucket + NEIGHBOURS) * ENTRY_BYTES));
    }

    /// An item that is probably the one: its hash agrees. Its key is not looked at.
    #[inline]
    pub fn probe(&self, slot: Slot, hash: KeyHash) -> Option<ItemRef> {
        let tag = tag_of(hash);
        self.slots[slot.index()].find(hash.0, |entry| entry.tag == tag).map(|entry| entry.item())
    }

    /// The item for which `is_it` holds among those whose hash agrees.
    #[inline]
    pub fn find(&self, slot: Slot, hash: KeyHash, mut is_it: impl FnMut(ItemRef) -> bool) -> Option<ItemRef> {
        let tag = tag_of(hash);
        self.slots[slot.index()].find(hash.0, |entry| entry.tag == tag && is_it(entry.item())).map(|entry| entry.item())
    }

    /// Adds an item that is not in the table. `hash_of` hashes a stored item's key, for a large table that grows.
    pub fn insert(&mut self, slot: Slot, hash: KeyHash, item: ItemRef, hash_of: impl Fn(ItemRef) -> KeyHash) {
        let table = &mut self.slots[slot.index()];
        let (short, before) = (table.capacity() <= SHORT_GROWTH_ENTRIES_MAX, table.allocation_size());
        table.insert_unique(hash.0, Entry::new(item, hash), |entry| {
            if short { entry.short_hash() } else { hash_of(entry.item()).0 }
        });
        self.used_bytes = self.used_bytes + table.allocation_size() - before;
        self.entries += 1;
    }

    /// Points the entry of `old` to `new`, after its item has moved.
    pub fn replace(&mut self, slot: Slot, hash: KeyHash, old: ItemRef, new: ItemRef) {
        let entry = self.slots[slot.index()].find_mut(hash.0, |entry| entry.item() == old);
        *entry.expect("a live item has an entry") = Entry::new(new, hash);
    }

    /// Removes the entry of `item`.
    pub fn remove(&mut self, slot: Slot, hash: KeyHash, item: ItemRef, hash_of: impl Fn(ItemRef) -> KeyHash) {
        let table = &mut self.slots[slot.index()];
        let entry = table.find_entry(hash.0, |entry| entry.item() == item);
        entry.ok().expect("a live item has an entry").remove();
        self.entries -= 1;
        let (entries, capacity, before) = (table.len(), table.capacity(), table.allocation_size());
        if entries == 0 {
            *table = HashTable::new_in(TableMemory::default());
        } else if capacity > SHRINK_ENTRIES_MIN && entries < capacity / 8 {
            table.shrink_to(entries * 2, |entry| hash_of(entry.item()).0);
        } else {
            return;
        }
        self.used_bytes = self.used_bytes + self.slots[slot.index()].allocation_size() - before;
    }

    /// The items of one slot whose tag lies in `from..to` (of 0..65536), in no order.
    pub fn items_in(&self, slot: Slot, from: u32, to: u32) -> impl Iterator<Item = ItemRef> {
        self.slots[slot.index()]
            .iter()
            .filter(move |entry| (from..to).contains(&u32::from(entry.tag)))
            .map(|entry| entry.item())
    }
}
