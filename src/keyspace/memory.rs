//! The memory gate: what a shard may use, and making room before a write.

use super::command::{IN_DOUBT, LOG_FAILED, OUT_OF_MEMORY};
use super::eviction::Policy;
use super::item::{Header, LARGE};
use super::shard::Shard;
use super::slab::ItemRef;
use super::table::ENTRY_BYTES;
use crate::protocol::command::{Command, flags::flag, spec};
use crate::types::KeyHash;

/// Keys that one write, or one round without, evicts at most: a limit lowered by gigabytes is reached in steps.
const EVICTIONS_MAX: usize = 512;

/// What the shard may use, as the sum over all cores leaves it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// All cores together are past the limit.
    pub over: bool,
    /// While over: this shard evicts down to so many bytes. Its fair share at least.
    pub bytes: u64,
}

impl Shard {
    /// Bytes that an item takes: its place in a page, its entry and the entry's tag, and its record if it is large. The
    /// free entries of its slot's table are not shared out.
    pub fn item_bytes(&self, item: ItemRef) -> usize {
        let bytes = self.slab.bytes(item);
        let header = Header::read(bytes);
        let record_bytes = if header.has(LARGE) { self.large.get(header.row(bytes)).bytes() } else { 0 };
        bytes.len() + ENTRY_BYTES + 1 + record_bytes
    }

    /// Bytes of the tables alone.
    pub fn table_bytes(&self) -> usize {
        self.tables.used_bytes()
    }

    pub fn set_policy(&mut self, policy: Policy, samples: usize) {
        self.policy = policy;
        self.eviction.configure(policy, samples);
        self.mind_reads();
    }

    pub fn set_allowance(&mut self, allowance: Allowance) {
        self.allowance = allowance;
    }

    /// Whether a write must make room first.
    #[inline]
    pub fn is_short(&self) -> bool {
        self.allowance.over || self.slab.is_full()
    }

    /// Refuses writes from now on, as Redis does while its append-only file cannot be written; or no more.
    pub fn refuse_writes(&mut self, refuse: bool) {
        self.refuses_writes = refuse;
    }

    pub fn refuses_writes(&self) -> bool {
        self.refuses_writes
    }

    /// Why an operation on a key with this hash may not run, if so. Makes room for it where memory is short.
    #[inline]
    pub(super) fn refusal(&mut self, command: Command, hash: KeyHash) -> Option<&'static str> {
        if !self.refuses_writes && !self.is_short() {
            return None;
        }
        let spec = spec(command);
        if self.refuses_writes && spec.has(flag::WRITE) {
            return Some(LOG_FAILED);
        }
        if self.doubts(hash) {
            return Some(IN_DOUBT);
        }
        (self.is_short() && spec.has(flag::DENYOOM) && !self.make_room()).then_some(OUT_OF_MEMORY)
    }

    /// Evicts as [`Shard::make_room`] does, for no write; true if there is more to evict.
    pub fn shrink(&mut self) -> bool {
        self.make_room() && self.used_bytes() as u64 > self.allowance.bytes
    }

    /// Evicts until the shard is within its allowance, a bounded number of keys. False: the write must be refused.
    pub fn make_room(&mut self) -> bool {
        if self.slab.is_full() || self.policy == Policy::NoEviction {
            return !self.is_short();
        }
        for _ in 0..EVICTIONS_MAX {
            if (self.used_bytes() as u64) <= self.allowance.bytes {
                return true;
            }
            if !self.evict_one() {
                return false;
            }
        }
        true
    }
}
