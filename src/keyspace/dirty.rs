//! Which keys have changed since they were last written to the log. A key that changed often is one entry, with the value
//! that it has in the end: what lies between was never answered alone.

use super::item::{Header, LOGGED, RAW};
use super::shard::{Key, NewValue, Shard};
use super::slab::ItemRef;
use crate::types::{KeyHash, SLOTS, Slot};
use std::ops::Range;

/// Rows that are looked up to see whether a key is there already, by the low bits of its hash.
const RECENT: usize = 1024;
/// About how many keys [`Shard::soil`] notes at a time.
const SOILED_KEYS: u64 = 256;
/// Past every place in a table.
const TAGS: u64 = 1 << 16;
/// Keys of an old segment that are looked up together: see [`Shard::soil_old`].
const OLD_KEYS: usize = 32;
const KEPT_ROWS_MAX: usize = 4096;
const KEPT_BYTES_MAX: usize = 256 * 1024;

struct Row {
    slot: Slot,
    hash: KeyHash,
    key: Range<usize>,
    /// Where it was when it changed; it may have moved since.
    hint: Option<ItemRef>,
}

/// What is to be logged of one key, or of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dirt<'a> {
    /// All keys have gone; those that follow came after.
    Cleared,
    Put(Stored<'a>),
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
    /// What [`LOGGED`] is in keys that were logged since the log is being cleaned.
    round: bool,
    rows: Vec<Row>,
    text: Vec<u8>,
    /// One more than the row that was last written for such a hash; none while nothing is logged.
    recent: Vec<u32>,
}

impl Dirty {
    pub fn note(&mut self, key: &Key) {
        let recent = &mut self.recent[key.hash.0 as usize % RECENT];
        if let Some(row) = (*recent as usize).checked_sub(1).map(|row| &self.rows[row])
            && row.hash == key.hash
            && self.text[row.key.clone()] == *key.bytes
        {
            return;
        }
        let from = self.text.len();
        self.text.extend_from_slice(key.bytes);
        self.rows.push(Row { slot: key.slot, hash: key.hash, key: from..self.text.len(), hint: key.hint });
        *recent = self.rows.len() as u32;
    }

    pub fn note_all(&mut self) {
        self.forget(self.rows.len());
        self.cleared = true;
    }

    /// Forgets the first rows.
    fn forget(&mut self, count: usize) {
        // Those that stay may be noted once more, which is harmless.
        for row in &self.rows {
            self.recent[row.hash.0 as usize % RECENT] = 0;
        }
        self.rows.drain(..count);
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
    /// Notes changed keys from now on, or no more.
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
                    Header::read(stored).with_if(LOGGED, dirty.round).write(stored);
                    take(Dirt::Put(self.stored_item(&key, item)))
                }
                None => take(Dirt::Removed { slot: row.slot, key: bytes }),
            };
            taken += 1;
        }
        dirty.forget(taken);
        self.watch.dirty = Some(dirty);
    }

    /// Notes some keys as if they had changed, from `place` on; answers where to go on, none behind the last key.
    pub fn soil(&mut self, place: SoilPlace) -> Option<SoilPlace> {
        let mut dirty = self.watch.dirty.take()?;
        let SoilPlace { slot, tag } = place;
        let step = (TAGS * SOILED_KEYS / self.tables.slot_len(slot).max(1) as u64).clamp(1, TAGS) as u32;
        for item in self.tables.items_in(slot, tag, tag + step) {
            let bytes = self.key_of(item);
            dirty.note(&Key { bytes, slot, hash: self.hash(bytes), hint: Some(item) });
        }
        self.watch.dirty = Some(dirty);
        if u64::from(tag + step) < TAGS {
            return Some(SoilPlace { slot, tag: tag + step });
        }
        let next = (slot.index() + 1..SLOTS).map(|slot| Slot(slot as u16)).find(|slot| self.tables.slot_len(*slot) > 0);
        next.map(|slot| SoilPlace { slot, tag: 0 })
    }

    /// The log is about to be cleaned: no key has been logged since.
    pub fn begin_round(&mut self) {
        if let Some(dirty) = &mut self.watch.dirty {
            dirty.round = !dirty.round;
        }
    }

    /// Notes keys as if they had changed, but those that were logged since the round began, or are gone.
    ///
    /// They come from an old segment in the order in which they were written, so nothing of them is in the caches: as with
    /// requests, a group of them waits for memory about once for each step of the look-up.
    pub fn soil_old<'a>(&mut self, mut keys: impl Iterator<Item = (Slot, &'a [u8])>) {
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
                    && Header::read(self.slab.bytes(item)).has(LOGGED) != dirty.round
                {
                    dirty.note(&Key { hint: Some(item), ..*key });
                }
            }
        }
        self.watch.dirty = Some(dirty);
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
mod tests {
    use super::super::shard::ShardOptions;
    use super::*;

    const SLOT: Slot = Slot(7);

    fn shard() -> Shard {
        let mut shard = Shard::new(&ShardOptions { hash_seed: [1, 2, 3, 4], draw_seed: 1, place: |_| SLOT });
        shard.keep_dirt(true);
        shard
    }

    fn key<'a>(shard: &Shard, bytes: &'a [u8]) -> Key<'a> {
        Key { bytes, slot: SLOT, hash: shard.hash(bytes), hint: None }
    }

    fn put(shard: &mut Shard, bytes: &[u8], value: &[u8], expiry_ms: Option<u64>) {
        let key = key(shard, bytes);
        let existing = shard.find(&key, 0);
        shard.put(&key, existing, NewValue::Bytes(value), expiry_ms);
    }

    fn text(dirt: Dirt) -> String {
        let lossy = |bytes| String::from_utf8_lossy(bytes).into_owned();
        match dirt {
            Dirt::Cleared => "cleared".into(),
            Dirt::Put(Stored { key, value, expiry_ms, raw, .. }) => {
                format!(
                    "{}={}{}{}",
                    lossy(key),
                    lossy(value),
                    expiry_ms.map_or(String::new(), |at| format!("@{at}")),
                    if raw { "!" } else { "" }
                )
            }
            Dirt::Removed { key, .. } => format!("-{}", lossy(key)),
        }
    }

    fn taken(shard: &mut Shard) -> Vec<String> {
        let mut rows = Vec::new();
        shard.take_dirt(|dirt| {
            rows.push(text(dirt));
            true
        });
        rows
    }

    /// Each changed key comes once, as it is in the end; what was there before all was cleared does not come.
    #[test]
    fn the_end_of_each_key_is_told() {
        let mut shard = shard();
        assert!(!shard.is_dirty());
        put(&mut shard, b"a", b"1", None);
        put(&mut shard, b"b", b"1", Some(99));
        put(&mut shard, b"a", b"2", None);
        let b = key(&shard, b"b");
        let item = shard.find(&b, 0).expect("it was put");
        shard.edit(&b, item, |value| value.push(b'x'));
        assert!(shard.is_dirty() && shard.dirt_bytes() > 0);
        assert_eq!(taken(&mut shard), ["a=2", "b=1x@99!"]);
        assert!(!shard.is_dirty() && taken(&mut shard).is_empty());
        let item = shard.find(&b, 0).expect("it is there");
        shard.set_expiry(&b, item, Some(5));
        put(&mut shard, b"c", b"1", None);
        let c = key(&shard, b"c");
        let item = shard.find(&c, 0).expect("it was put");
        shard.remove(&c, item);
        assert!(shard.find(&b, 6).is_none(), "expired");
        assert_eq!(taken(&mut shard), ["-b", "-c"]);
        put(&mut shard, b"d", b"1", None);
        shard.clear();
        put(&mut shard, b"e", &[b'v'; 3], None);
        assert_eq!(taken(&mut shard), ["cleared", "e=vvv"]);
        shard.keep_dirt(false);
        put(&mut shard, b"a", b"1", None);
        assert!(!shard.is_dirty());
    }

    /// All keys are noted, piece by piece, each once.
    #[test]
    fn all_keys_can_be_noted() {
        let mut shard = shard();
        for index in 0..5000 {
            put(&mut shard, format!("{index}").as_bytes(), b"1", None);
        }
        while shard.is_dirty() {
            taken(&mut shard);
        }
        let (mut rows, mut place, mut pieces) = (Vec::new(), Some(SoilPlace::default()), 0);
        while let Some(from) = place {
            place = shard.soil(from);
            rows.append(&mut taken(&mut shard));
            pieces += 1;
        }
        rows.sort_unstable();
        rows.dedup();
        assert!(rows.len() == 5000 && pieces > 10, "{} keys in {pieces} pieces", rows.len());
        shard.unrestore_slot(SLOT);
        assert!(shard.is_empty());
    }

    /// Of keys that are met again each is noted once a round, and not at all if it has changed in it.
    #[test]
    fn a_round_takes_each_key_once() {
        let mut shard = shard();
        for (round, fresh) in [b"a", b"b", b"c"].into_iter().enumerate() {
            for key in [b"a", b"b", b"c"] {
                put(&mut shard, key, format!("{round}").as_bytes(), None);
            }
            assert_eq!(taken(&mut shard).len(), 3);
            shard.begin_round();
            put(&mut shard, fresh, b"x", None);
            taken(&mut shard);
            let mut met = Vec::new();
            for key in [b"c", b"a", b"b", b"a", b"c", b"d"] {
                shard.soil_old([(SLOT, &key[..])].into_iter());
                met.extend(taken(&mut shard));
            }
            let expected = ["c", "a", "b"].into_iter().filter(|key| key.as_bytes() != fresh);
            assert_eq!(met, expected.map(|key| format!("{key}={round}")).collect::<Vec<_>>());
        }
    }

    /// What was taken from one shard makes another alike, values of every size and encoding.
    #[test]
    fn what_was_stored_comes_back() {
        let (mut one, mut other) = (shard(), shard());
        for round in 0..4u8 {
            for index in 0..2000u32 {
                let bytes = format!("key{}", index % (500 + 300 * u32::from(round)));
                let value = vec![b'a' + round; (index as usize * 7919) % if index % 100 == 0 { 100_000 } else { 90 }];
                put(&mut one, bytes.as_bytes(), &value, (index % 3 == 0).then_some(u64::from(index) + 1));
                if index % 7 == 0 {
                    let key = key(&one, bytes.as_bytes());
                    let item = one.find(&key, 0).expect("it was put");
                    one.edit(&key, item, |value| value.push(b'!'));
                }
                if index % 11 == 0 {
                    let key = key(&one, bytes.as_bytes());
                    let item = one.find(&key, 0).expect("it was put");
                    one.remove(&key, item);
                }
            }
            while one.is_dirty() {
                let mut room = 100;
                one.take_dirt(|dirt| {
                    match dirt {
                        Dirt::Cleared => other.clear(),
                        Dirt::Put(stored) => other.restore(&stored),
                        Dirt::Removed { slot, key } => other.unrestore(slot, key),
                    }
                    room -= 1;
                    room > 0
                });
            }
            let all = |shard: &Shard| {
                let mut rows: Vec<String> = shard
                    .slot_keys(SLOT)
                    .map(|bytes| text(Dirt::Put(shard.stored(&key(shard, bytes)).expect("it is there"))))
                    .collect();
                rows.sort_unstable();
                rows
            };
            assert_eq!(all(&one), all(&other));
            assert_eq!((one.len(), one.expiring()), (other.len(), other.expiring()));
        }
    }
}
