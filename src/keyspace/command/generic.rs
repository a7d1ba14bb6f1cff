//! Commands on any key, and the ones that walk all keys of a shard.

use super::Request;
use crate::keyspace::event::EventClasses;
use crate::keyspace::glob;
use crate::keyspace::shard::Shard;
use crate::protocol::resp::Reply;
use crate::types::{SLOTS, Slot};

/// DEL, UNLINK of one key
pub fn delete(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    let key = request.key();
    let item = shard.find(&key, now_ms);
    if let Some(item) = item {
        shard.remove(&key, item);
        shard.notify(EventClasses::GENERIC, "del", key.bytes);
    }
    reply.integer(i64::from(item.is_some()));
}

/// EXISTS of one key
pub fn exists(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    let item = shard.read_untouched(&request.key(), now_ms);
    reply.integer(i64::from(item.is_some()));
}

/// TOUCH of one key
pub fn touch(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    let item = shard.read(&request.key(), now_ms);
    reply.integer(i64::from(item.is_some()));
}

/// TYPE key
pub fn kind(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    let item = shard.read_untouched(&request.key(), now_ms);
    reply.simple(if item.is_some() { "string" } else { "none" });
}

/// Where a scan of one shard stands: a slot, and in it a place among the hash tags of its entries. Both orders
/// are fixed, so a key that stays is met exactly once however the tables grow meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ScanPlace {
    pub slot: u16,
    pub tag: u16,
}

/// What a scan answers, as a place, when it has walked the shard.
pub const SCAN_END: Option<ScanPlace> = None;

/// Entries of one slot that a scan may pass over at once, beyond what it was asked for. A slot that holds more
/// (a hash tag on millions of keys) is walked in as many parts.
const SLOT_PARTS_MAX: u32 = 256;
const TAGS: u32 = 1 << 16;

/// What a scan keeps.
pub struct ScanFilter<'a> {
    pub pattern: Option<&'a [u8]>,
    /// False when TYPE names a type that no key here has.
    pub strings: bool,
}

impl Shard {
    /// Walks keys from `place` on until about `count` were met, hands those that pass the filter and have not
    /// expired to `found`, and answers where to go on.
    pub fn scan(
        &self,
        place: ScanPlace,
        count: usize,
        now_ms: u64,
        filter: &ScanFilter,
        mut found: impl FnMut(&[u8]),
    ) -> Option<ScanPlace> {
        let (mut slot, mut from, mut met) = (place.slot, u32::from(place.tag), 0);
        while usize::from(slot) < SLOTS {
            let entries = self.tables.slot_len(Slot(slot));
            let parts = (entries as u32 / (count.max(1) as u32)).clamp(1, SLOT_PARTS_MAX);
            let to = if entries == 0 { TAGS } else { (from + TAGS / parts).min(TAGS) };
            for item in self.tables.items_in(Slot(slot), from, to) {
                met += 1;
                let key = self.key_of(item);
                let expired = self.expiry_ms(item).is_some_and(|at_ms| at_ms <= now_ms);
                if !expired && filter.strings && filter.pattern.is_none_or(|pattern| glob::matches(pattern, key)) {
                    found(key);
                }
            }
            (slot, from) = if to == TAGS { (slot + 1, 0) } else { (slot, to) };
            if met >= count && usize::from(slot) < SLOTS {
                return Some(ScanPlace { slot, tag: from as u16 });
            }
        }
        SCAN_END
    }
}
