//! What is told of changes, and that a log from which old segments were cleaned away still brings everything back.

use super::super::shard::ShardOptions;
use super::super::soil::SoilPlace;
use super::*;
use crate::log::Records;
use std::collections::{BTreeMap, VecDeque};

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

fn text(record: Record) -> String {
    let lossy = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let Record { kind, key, value, expiry_ms, raw, .. } = record;
    match kind {
        Kind::Clear => "cleared".into(),
        Kind::Put => {
            format!(
                "{}={}{}{}",
                lossy(key),
                lossy(value),
                expiry_ms.map_or(String::new(), |at| format!("@{at}")),
                if raw { "!" } else { "" }
            )
        }
        Kind::Remove => format!("-{}", lossy(key)),
    }
}

/// Fills a frame and takes it, with the items of its puts.
fn filled<R>(shard: &mut Shard, bytes_max: usize, take: impl FnOnce(Records) -> R) -> (R, Vec<ItemRef>) {
    let bytes = shard.fill_frame(bytes_max, || [0; SLOTS / 8]);
    assert_eq!(bytes.is_some(), shard.has_frame());
    let (found, mut items) = (take(shard.filled_frame().records()), Vec::new());
    let puts = shard.filled_frame().records().filter(|record| record.kind == Kind::Put).count();
    shard.frame_written(Some(&mut items));
    assert_eq!(items.len(), puts, "an item for each put");
    (found, items)
}

fn taken(shard: &mut Shard) -> Vec<String> {
    filled(shard, usize::MAX, |records| records.map(text).collect()).0
}

/// What changed comes as it is in the end, behind whatever it was before; what changed before all was cleared, too.
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
    assert_eq!(taken(&mut shard), ["a=2", "b=1@99", "b=1x@99!"]);
    assert!(!shard.is_dirty() && taken(&mut shard).is_empty());
    let item = shard.find(&b, 0).expect("it is there");
    shard.set_expiry(&b, item, Some(5));
    put(&mut shard, b"c", b"1", None);
    let c = key(&shard, b"c");
    let item = shard.find(&c, 0).expect("it was put");
    shard.remove(&c, item);
    assert!(shard.find(&b, 6).is_none(), "expired");
    assert_eq!(taken(&mut shard), ["c=1", "-b", "-c"]);
    put(&mut shard, b"d", b"1", None);
    shard.clear();
    put(&mut shard, b"e", &[b'v'; 3], None);
    assert_eq!(taken(&mut shard), ["d=1", "cleared", "e=vvv"]);
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
        place = shard.soil(from, 256);
        rows.append(&mut taken(&mut shard));
        pieces += 1;
    }
    rows.sort_unstable();
    rows.dedup();
    assert!(rows.len() == 5000 && pieces > 10, "{} keys in {pieces} pieces", rows.len());
    shard.unrestore_slot(SLOT);
    assert!(shard.is_empty());
}

/// A shard whose keys were logged in five ages, with a sixth begun, and the items of all records.
fn logged() -> (Shard, Vec<ItemRef>) {
    let (mut shard, mut items) = (shard(), Vec::new());
    for (age, names) in (1..).zip([&b"abc"[..], b"b", b"c", b"a", b"b", b""]) {
        // What was written down before an age began is logged in it.
        for name in names.chunks(1) {
            put(&mut shard, name, format!("{age}").as_bytes(), None);
        }
        shard.begin_age(age);
        items.append(&mut filled(&mut shard, usize::MAX, |_| ()).1);
    }
    // One that never was.
    items.push(ItemRef(u32::MAX));
    (shard, items)
}

/// Of old records those keys are noted that were last logged in the age that is asked for.
#[test]
fn an_old_key_is_noted_in_its_age_alone() {
    for (age, expected) in [(3, "c=3"), (4, "a=4"), (5, "b=5"), (6, "")] {
        let (mut shard, items) = logged();
        shard.soil_old(age, [&b"c"[..], b"a", b"b", b"a", b"d"].map(|name| (SLOT, name)).into_iter());
        assert_eq!(taken(&mut shard).join(" "), expected, "age {age}");
        let (mut shard, items) = (logged().0, items);
        shard.soil_items(age, &items, items.len());
        assert_eq!(taken(&mut shard).join(" "), expected, "age {age}, by items");
        shard.clear();
        shard.soil_items(age, &items, items.len());
        assert_eq!(taken(&mut shard).join(" "), "cleared");
    }
}

/// Whatever is noted once more, a value that changes again before it is written is the last that is said of its key.
#[test]
fn what_changes_last_is_logged_last() {
    let mut shard = shard();
    shard.begin_age(1);
    put(&mut shard, b"a", b"1", None);
    let (_, items) = filled(&mut shard, usize::MAX, |_| ());
    for age in [1, 2] {
        shard.begin_age(age);
        put(&mut shard, b"a", b"2", None);
        shard.soil_items(1, &items, items.len());
        shard.soil_old(1, [(SLOT, &b"a"[..])].into_iter());
        put(&mut shard, b"a", b"3", None);
        assert_eq!(taken(&mut shard).last().expect("it has changed"), "a=3", "age {age}");
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
            filled(&mut one, 10_000, |records| {
                for record in records {
                    match record.kind {
                        Kind::Clear => other.clear(),
                        Kind::Put => other.restore(&record),
                        Kind::Remove => other.unrestore(record.slot, record.key),
                    }
                }
            });
        }
        let all = |shard: &Shard| {
            let mut rows: Vec<String> = shard.slot_keys(SLOT).map(|bytes| text(stored(shard, bytes))).collect();
            rows.sort_unstable();
            rows
        };
        assert_eq!(all(&one), all(&other));
        assert_eq!((one.len(), one.expiring()), (other.len(), other.expiring()));
    }
}

/// Numbers that a seed decides (SplitMix64).
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

enum Entry {
    Cleared,
    Put { item: ItemRef, key: Vec<u8>, value: Vec<u8>, expiry_ms: Option<u64>, raw: bool },
    Removed(Vec<u8>),
}

/// A key as it is stored.
fn stored<'a>(shard: &'a Shard, bytes: &[u8]) -> Record<'a> {
    shard.record_of(SLOT, shard.locate(&key(shard, bytes)).expect("it is there"))
}

/// What is kept of a key: value, expiry, whether it was edited.
type Kept<'a> = (&'a [u8], Option<u64>, bool);

/// A log in memory: segments of some age, from the oldest on.
struct Logged {
    shard: Shard,
    segments: VecDeque<(u64, Vec<Entry>)>,
}

impl Logged {
    /// Fills a frame with what has changed, or some of it; it waits to be written.
    fn fill(&mut self, bytes_max: u64) {
        self.shard.fill_frame(bytes_max as usize, || [0; SLOTS / 8]);
    }

    /// Logs what has changed, or some of it.
    fn log(&mut self, bytes_max: u64) {
        let (entries, items) = filled(&mut self.shard, bytes_max as usize, |records| {
            let entry = |Record { kind, key, value, expiry_ms, raw, .. }| match kind {
                Kind::Clear => Entry::Cleared,
                Kind::Put => {
                    let (key, value) = (key.to_vec(), value.to_vec());
                    Entry::Put { item: ItemRef(0), key, value, expiry_ms, raw }
                }
                Kind::Remove => Entry::Removed(key.to_vec()),
            };
            records.map(entry).collect::<Vec<_>>()
        });
        let (_, segment) = self.segments.back_mut().expect("one is being written");
        let mut items = items.into_iter();
        segment.extend(entries.into_iter().map(|entry| match entry {
            Entry::Put { key, value, expiry_ms, raw, .. } => {
                let item = items.next().expect("an item for each put");
                Entry::Put { item, key, value, expiry_ms, raw }
            }
            other => other,
        }));
    }

    fn log_all(&mut self) {
        while self.shard.is_dirty() || self.shard.has_frame() {
            self.log(u64::MAX);
        }
    }

    /// Another segment begins, of another age if four are not there already and no frame waits that was filled in the last.
    fn begin(&mut self, ages: bool) {
        let (age, oldest) = (self.segments.back().expect("one is there").0, self.segments[0].0);
        let ages = ages && !self.shard.has_frame();
        let next = if ages && age + 1 < oldest + 4 { age + 1 } else { age };
        self.shard.begin_age(next);
        self.segments.push_back((next, Vec::new()));
    }

    /// Cleans the oldest, if it is of an earlier age, and drops it.
    fn clean(&mut self, by_items: bool) {
        let (age, segment) = &self.segments[0];
        if *age == self.segments.back().expect("one is there").0 {
            return;
        }
        let puts = segment.iter().filter_map(|entry| match entry {
            Entry::Put { item, key, .. } => Some((*item, &key[..])),
            _ => None,
        });
        if by_items {
            let items: Vec<ItemRef> = puts.map(|(item, _)| item).collect();
            self.shard.soil_items(*age, &items, items.len());
        } else {
            self.shard.soil_old(*age, puts.map(|(_, key)| (SLOT, key)));
        }
        self.log_all();
        self.segments.pop_front();
    }

    fn change(&mut self, draw: &mut Draw) {
        let name = format!("key{}", draw.below(60));
        let key = key(&self.shard, name.as_bytes());
        let item = self.shard.find(&key, 0);
        match (draw.below(12), item) {
            (0, Some(item)) => self.shard.remove(&key, item),
            (1, Some(item)) => self.shard.set_expiry(&key, item, (draw.below(2) == 0).then_some(99)),
            (2 | 3, Some(item)) => self.shard.edit(&key, item, |value| value.push(b'+')),
            (4, _) if draw.below(40) == 0 => self.shard.clear(),
            _ => {
                // Often as long as the last.
                let bytes = if draw.below(10) == 0 { 100_000 } else { 20 * draw.below(4) as usize };
                let expiry_ms = (draw.below(3) == 0).then_some(77);
                put(&mut self.shard, name.as_bytes(), &vec![b'a' + draw.below(26) as u8; bytes], expiry_ms);
            }
        }
    }

    /// What a start would bring back.
    fn replayed(&self) -> BTreeMap<&[u8], Kept<'_>> {
        let mut found = BTreeMap::new();
        for entry in self.segments.iter().flat_map(|(_, entries)| entries) {
            match entry {
                Entry::Cleared => found.clear(),
                Entry::Put { key, value, expiry_ms, raw, .. } => {
                    found.insert(&key[..], (&value[..], *expiry_ms, *raw));
                }
                Entry::Removed(key) => {
                    found.remove(&key[..]);
                }
            }
        }
        found
    }
}

/// Whatever is cleaned away, by names or by items, what is left brings back every key as it is.
#[test]
fn nothing_that_counts_is_cleaned_away() {
    for seed in 0..60 {
        let mut draw = Draw(seed);
        let mut logged = Logged { shard: shard(), segments: VecDeque::from([(1, Vec::new())]) };
        logged.shard.begin_age(1);
        for step in 0..3000 {
            match draw.below(40) {
                0 => logged.begin(draw.below(2) == 0),
                1 => logged.clean(draw.below(3) > 0),
                2..7 => logged.log(draw.below(2000)),
                7 => logged.fill(draw.below(2000)),
                _ => logged.change(&mut draw),
            }
            if step % 100 == 99 {
                logged.log_all();
                let rows = logged.shard.slot_keys(SLOT).map(|bytes| {
                    let Record { value, expiry_ms, raw, .. } = stored(&logged.shard, bytes);
                    (bytes, (value, expiry_ms, raw))
                });
                assert_eq!(logged.replayed(), rows.collect(), "seed {seed}, step {step}");
            }
        }
    }
}

/// Keys are noted as if they had changed, also where they are gone, and behind a clearing of which nobody else speaks.
#[test]
fn keys_can_be_noted_by_name() {
    let mut shard = shard();
    put(&mut shard, b"a", b"1", None);
    put(&mut shard, b"b", b"2", Some(9));
    taken(&mut shard);
    shard.soil_key(SLOT, b"b");
    shard.soil_key(SLOT, b"gone");
    shard.soil_key(SLOT, b"b");
    assert_eq!(taken(&mut shard), ["b=2@9", "-gone"]);
    shard.soil_key(SLOT, b"a");
    shard.soil_all();
    shard.soil_key(SLOT, b"b");
    assert_eq!(taken(&mut shard), ["cleared", "b=2@9"]);
}
