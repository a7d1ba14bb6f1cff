//! The keys of one core: how they are found and read, and what is accounted. How they change is in `change.rs`; every
//! command is built from these two.

use super::event::{EventClasses, KeyEvent};
use super::eviction::{Eviction, Policy};
use super::item::{self, Header, LARGE};
use super::large::Records;
use super::memory::Allowance;
use super::slab::{ItemRef, Slab};
use super::table::Tables;
use super::watch::Watch;
use crate::types::{KeyHash, Slot};
use std::sync::Arc;

/// A key as a request names it: its bytes, its place, and perhaps where a probe saw it.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    pub bytes: &'a [u8],
    pub slot: Slot,
    pub hash: KeyHash,
    /// What [`Shard::probe`] answered; stale or absent is fine, it only saves a second look-up.
    pub hint: Option<ItemRef>,
}

/// A value to store: bytes to copy, or a large argument to move in.
pub enum NewValue<'a> {
    Bytes(&'a [u8]),
    Owned(Vec<u8>),
}

impl NewValue<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            NewValue::Bytes(bytes) => bytes.len(),
            NewValue::Owned(bytes) => bytes.len(),
        }
    }
}

/// A stored value, as a reader sees it.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    Bytes(&'a [u8]),
    Shared(&'a Arc<Vec<u8>>),
}

impl<'a> Value<'a> {
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Value::Bytes(bytes) => bytes,
            Value::Shared(value) => value,
        }
    }
}

/// What a shard is made with: everything that would otherwise be global or random.
pub struct ShardOptions {
    /// Keys the hash of every table, the same on all cores, so that a key is hashed once and a slot can move.
    pub hash_seed: [u64; 4],
    /// Seeds the draws of eviction and RANDOMKEY.
    pub draw_seed: u64,
    /// Where a key belongs, for items that are found by sweeping and not by request.
    pub place: fn(&[u8]) -> Slot,
}

/// Counts since the start or the last CONFIG RESETSTAT.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub hits: u64,
    pub misses: u64,
    pub expired: u64,
    pub evicted: u64,
    pub tally: crate::protocol::command::Tally,
}

/// See the module.
pub struct Shard {
    pub(super) tables: Tables,
    pub(super) slab: Slab,
    pub(super) large: Records,
    pub(super) eviction: Eviction,
    pub(super) sweep_hand: usize,
    pub(super) policy: Policy,
    pub(super) allowance: Allowance,
    pub(super) refuses_writes: bool,
    /// Keys that no command may show, in the order of their hashes.
    pub(super) doubtful: Vec<KeyHash>,
    /// Nor any other: all have gone, or maybe not.
    pub(super) doubts_all: bool,
    /// A read is more than a look: it is noted for eviction, or keys are in doubt.
    minds_reads: bool,
    pub(super) watch: Watch,
    /// Which events are told; none while they would be published in no channel.
    pub(super) event_classes: EventClasses,
    /// Those that nobody has taken yet.
    pub(super) events: Vec<KeyEvent>,
    pub counts: Counts,
    pub(super) hasher: ahash::RandomState,
    pub(super) place: fn(&[u8]) -> Slot,
    pub(super) expiring: usize,
    /// A buffer for edits, kept so that an edit allocates nothing.
    pub(super) scratch: Vec<u8>,
    /// Changes by commands, but for SET.
    pub(super) changes: u64,
    /// Nobody who only reads removes what has expired.
    pub keeps_expired: bool,
}

impl Shard {
    pub fn new(options: &ShardOptions) -> Shard {
        let [a, b, c, d] = options.hash_seed;
        Shard {
            tables: Tables::default(),
            slab: Slab::default(),
            large: Records::default(),
            eviction: Eviction::new(options.draw_seed),
            sweep_hand: 0,
            policy: Policy::NoEviction,
            allowance: Allowance::default(),
            refuses_writes: false,
            doubtful: Vec::new(),
            doubts_all: false,
            minds_reads: false,
            watch: Watch::default(),
            event_classes: EventClasses::NONE,
            events: Vec::new(),
            counts: Counts::default(),
            hasher: ahash::RandomState::with_seeds(a, b, c, d),
            place: options.place,
            expiring: 0,
            scratch: Vec::new(),
            changes: 0,
            keeps_expired: false,
        }
    }

    /// The hash of a key in its slot's table.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> KeyHash {
        KeyHash(self.hasher.hash_one(key))
    }

    /// Number of keys, expired ones that nobody met yet included.
    pub fn len(&self) -> usize {
        self.tables.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of keys that have an expiry.
    pub fn expiring(&self) -> usize {
        self.expiring
    }

    /// Bytes of items, tables and large records.
    pub fn used_bytes(&self) -> usize {
        self.slab.used_bytes() + self.tables.used_bytes() + self.large.used_bytes()
    }

    /// First step for a group of commands: asks for the head of the key's table.
    #[inline]
    pub fn prefetch_table(&self, slot: Slot) {
        self.tables.prefetch(slot);
    }

    /// Second step: the lines of the table that a look-up reads.
    #[inline]
    pub fn prefetch_entry(&self, slot: Slot, hash: KeyHash) {
        self.tables.prefetch_entry(slot, hash);
    }

    /// Third step: the item that is probably the key's, asked for, as a hint for the command to come.
    #[inline]
    pub fn probe(&self, slot: Slot, hash: KeyHash) -> Option<ItemRef> {
        let found = self.tables.probe(slot, hash)?;
        item::prefetch(&self.slab, found);
        Some(found)
    }

    #[inline]
    fn holds(&self, item: ItemRef, key: &[u8]) -> bool {
        let bytes = self.slab.bytes(item);
        let header = Header::read(bytes);
        if header.has(LARGE) { *self.large.get(header.row(bytes)).key == *key } else { header.key(bytes) == key }
    }

    /// The key's item, whether or not it has expired. A hint is right exactly if it is live and holds the
    /// key, because a key has one item at a time.
    #[inline]
    pub(super) fn locate(&self, key: &Key) -> Option<ItemRef> {
        if let Some(hint) = key.hint
            && self.slab.is_live(hint)
            && self.holds(hint, key.bytes)
        {
            return Some(hint);
        }
        self.tables.find(key.slot, key.hash, |item| self.holds(item, key.bytes))
    }

    /// The key's item; one that has expired is removed on the way.
    #[inline]
    pub fn find(&mut self, key: &Key, now_ms: u64) -> Option<ItemRef> {
        self.find_to::<false>(key, now_ms)
    }

    /// For who only reads, one that has expired may stay.
    #[inline(always)]
    fn find_to<const READ: bool>(&mut self, key: &Key, now_ms: u64) -> Option<ItemRef> {
        let item = self.locate(key)?;
        if let Some(at_ms) = self.expiry_ms(item)
            && at_ms <= now_ms
        {
            if READ && self.keeps_expired {
                return None;
            }
            self.counts.expired += 1;
            self.remove_unmarked(key.slot, key.hash, item);
            self.notify(EventClasses::EXPIRED, "expired", key.bytes);
            return None;
        }
        Some(item)
    }

    /// As [`Shard::find`] for a command that reads: counts hit or miss and notes the access for eviction.
    #[inline]
    pub fn read(&mut self, key: &Key, now_ms: u64) -> Option<ItemRef> {
        let found = self.find_to::<true>(key, now_ms);
        self.count_read(key, found)
    }

    /// As [`Shard::read`] for a command that may write what it has not found.
    pub fn read_to_write(&mut self, key: &Key, now_ms: u64) -> Option<ItemRef> {
        let found = self.find(key, now_ms);
        self.count_read(key, found)
    }

    #[inline]
    fn count_read(&mut self, key: &Key, found: Option<ItemRef>) -> Option<ItemRef> {
        let Some(item) = found else {
            self.counts.misses += 1;
            self.notify(EventClasses::KEY_MISS, "keymiss", key.bytes);
            return None;
        };
        self.counts.hits += 1;
        self.touch(item);
        Some(item)
    }

    /// The value of a key that a probe has found and that is as most are: in a page, without expiry. `None` decides
    /// nothing. This is all that a GET does.
    #[inline]
    pub fn read_plain(&mut self, key: &Key) -> Option<&[u8]> {
        if self.minds_reads {
            return self.read_plain_noted(key);
        }
        let value = plain_value(&self.slab, key)?;
        self.counts.hits += 1;
        Some(value)
    }

    pub(super) fn mind_reads(&mut self) {
        self.minds_reads = self.eviction.tracks_access() || self.doubts_all || !self.doubtful.is_empty();
    }

    /// As [`Shard::read_plain`] while an eviction policy wants to know of accesses, or keys are in doubt.
    #[inline(never)]
    fn read_plain_noted(&mut self, key: &Key) -> Option<&[u8]> {
        if self.doubts(key.hash) {
            return None;
        }
        plain_value(&self.slab, key)?;
        self.touch(key.hint?);
        self.counts.hits += 1;
        plain_value(&self.slab, key)
    }

    /// As [`Shard::read`] for a command that asks about a key and does not use it: no access is noted.
    pub fn read_untouched(&mut self, key: &Key, now_ms: u64) -> Option<ItemRef> {
        let item = self.inspect(key, now_ms);
        if item.is_none() {
            self.notify(EventClasses::KEY_MISS, "keymiss", key.bytes);
        }
        item
    }

    /// As [`Shard::read_untouched`] for a command that asks about the item: no event tells that the key is missing.
    pub fn inspect(&mut self, key: &Key, now_ms: u64) -> Option<ItemRef> {
        let item = self.find_to::<true>(key, now_ms);
        let count = if item.is_some() { &mut self.counts.hits } else { &mut self.counts.misses };
        *count += 1;
        item
    }

    /// Notes an access for the eviction policy; costs nothing while no policy asks for it.
    #[inline]
    pub fn touch(&mut self, item: ItemRef) {
        if self.eviction.tracks_access() {
            let bytes = self.slab.bytes_mut(item);
            let clock = self.eviction.touched(item::clock(bytes));
            item::set_clock(bytes, clock);
        }
    }

    #[inline]
    pub fn value(&self, item: ItemRef) -> Value<'_> {
        let bytes = self.slab.bytes(item);
        let header = Header::read(bytes);
        if header.has(LARGE) {
            return Value::Shared(&self.large.get(header.row(bytes)).value);
        }
        Value::Bytes(header.value(bytes))
    }

    /// The key of an item.
    pub fn key_of(&self, item: ItemRef) -> &[u8] {
        stored_key(&self.slab, &self.large, item)
    }

    /// When the item expires, in milliseconds since 1970.
    #[inline]
    pub fn expiry_ms(&self, item: ItemRef) -> Option<u64> {
        let bytes = self.slab.bytes(item);
        Header::read(bytes).expiry_ms(bytes)
    }
}

pub(super) fn stored_hash(slab: &Slab, large: &Records, hasher: &ahash::RandomState, item: ItemRef) -> KeyHash {
    KeyHash(hasher.hash_one(stored_key(slab, large, item)))
}

/// The key of an item, with no more of its shard borrowed than holds it.
pub(super) fn stored_key<'a>(slab: &'a Slab, large: &'a Records, item: ItemRef) -> &'a [u8] {
    let bytes = slab.bytes(item);
    let header = Header::read(bytes);
    if header.has(LARGE) { &large.get(header.row(bytes)).key } else { header.key(bytes) }
}

/// The value of an item that [`Shard::read_plain`] may answer from, with no more of its shard borrowed than holds it.
#[inline(always)]
fn plain_value<'a>(slab: &'a Slab, key: &Key) -> Option<&'a [u8]> {
    let bytes = slab.try_bytes(key.hint?)?;
    let header = Header::read(bytes);
    (header.is_plain() && header.key(bytes) == key.bytes).then(|| header.value(bytes))
}
