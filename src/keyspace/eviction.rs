//! Which key goes when memory is short: sampling, scored by one byte of history an item.
//!
//! Like Redis, draw a few items, keep the best candidates of past draws in a small pool, evict the best
//! of all. Unlike it the byte counts in *cache turnover*, not in wall time: for LRU it is the epoch of the
//! last access, for LFU five bits of logarithmic frequency and three of epoch. An epoch is a share of the
//! cache's own insertions and accesses, so that the history is as fine for a cache that turns over in a
//! second as for one that does in a day. Draws come from item memory, so they are uniform and O(1).

use super::event::EventClasses;
use super::item::{self, Header};
use super::shard::Shard;
use super::slab::ItemRef;

/// What to evict, under Redis's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Policy {
    #[default]
    NoEviction,
    AllKeysLru,
    AllKeysLfu,
    AllKeysRandom,
    VolatileLru,
    VolatileLfu,
    VolatileRandom,
    VolatileTtl,
}

impl Policy {
    /// In the order in which Redis's errors name them.
    pub const ALL: [(&'static str, Policy); 8] = [
        ("volatile-lru", Policy::VolatileLru),
        ("volatile-lfu", Policy::VolatileLfu),
        ("volatile-random", Policy::VolatileRandom),
        ("volatile-ttl", Policy::VolatileTtl),
        ("allkeys-lru", Policy::AllKeysLru),
        ("allkeys-lfu", Policy::AllKeysLfu),
        ("allkeys-random", Policy::AllKeysRandom),
        ("noeviction", Policy::NoEviction),
    ];

    pub fn parse(name: &str) -> Option<Policy> {
        Policy::ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, policy)| *policy)
    }

    pub fn name(self) -> &'static str {
        Policy::ALL.iter().find(|(_, policy)| *policy == self).expect("every policy is in the list").0
    }

    fn history(self) -> History {
        match self {
            Policy::AllKeysLru | Policy::VolatileLru => History::Recency,
            Policy::AllKeysLfu | Policy::VolatileLfu => History::Frequency,
            _ => History::None,
        }
    }

    /// Whether each item keeps one.
    pub(super) fn has_history(self) -> bool {
        self.history() != History::None
    }

    fn expiring_only(self) -> bool {
        matches!(self, Policy::VolatileLru | Policy::VolatileLfu | Policy::VolatileRandom | Policy::VolatileTtl)
    }
}

/// What an item's clock byte means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum History {
    None,
    Recency,
    Frequency,
}

const POOL_CANDIDATES_MAX: usize = 16;
/// Draws that may miss (vacant places, items without expiry) before the pages are walked instead.
const DRAWS_MAX: usize = 64;
/// An epoch of LRU is this share of the cache in insertions, or in accesses, whichever comes first: fine
/// enough to order by, and 256 epochs long enough that an item seldom outlives them unevicted.
const RECENCY_INSERTIONS: u64 = 64;
const RECENCY_ACCESSES: u64 = 4;
/// A frequency of the byte's upper five bits halves its meaning over this many cache sizes of accesses.
const FREQUENCY_EPOCH_CACHES: u64 = 4;
const FREQUENCY_MAX: u8 = 31;
const FREQUENCY_NEW: u8 = 1;

struct Candidate {
    score: u64,
    item: ItemRef,
}

/// The policy's state in one shard.
pub struct Eviction {
    policy: Policy,
    /// Items drawn for one eviction.
    samples: usize,
    dice: u64,
    epoch: u8,
    insertions: u64,
    accesses: u64,
    /// Items in the cache, as of the last insertion.
    items: u64,
    pool: Vec<Candidate>,
}

impl Eviction {
    pub fn new(seed: u64) -> Eviction {
        Eviction {
            policy: Policy::NoEviction,
            samples: 5,
            dice: seed | 1,
            epoch: 0,
            insertions: 0,
            accesses: 0,
            items: 0,
            pool: Vec::with_capacity(POOL_CANDIDATES_MAX + 1),
        }
    }

    /// Changes the policy; the history of another kind of policy means nothing and is worn off in use.
    pub fn configure(&mut self, policy: Policy, samples: usize) {
        (self.policy, self.samples) = (policy, samples.clamp(1, DRAWS_MAX));
        self.forget_candidates();
    }

    pub fn forget_candidates(&mut self) {
        self.pool.clear();
    }

    #[inline]
    pub fn tracks_access(&self) -> bool {
        self.policy.history() != History::None
    }

    /// The clock of an item accessed now.
    #[inline]
    pub fn touched(&mut self, clock: u8) -> u8 {
        let history = self.policy.history();
        if history == History::None {
            return clock;
        }
        self.accesses += 1;
        if history == History::Recency {
            if self.accesses >= self.items / RECENCY_ACCESSES {
                self.turn_epoch();
            }
            return self.epoch;
        }
        let frequency = self.frequency(clock);
        // One step for every 2^(frequency / 2) accesses: 31 steps count to about 2^17.
        let steps_up = frequency < FREQUENCY_MAX && self.draw() & ((1 << (frequency / 2)) - 1) == 0;
        (frequency + u8::from(steps_up)) << 3 | self.epoch & 7
    }

    /// The clock of a new item, when there are `items`.
    pub fn inserted(&mut self, items: usize) -> u8 {
        self.items = items as u64;
        self.insertions += 1;
        match self.policy.history() {
            History::None => 0,
            History::Recency => {
                if self.insertions > self.items / RECENCY_INSERTIONS {
                    self.turn_epoch();
                }
                self.epoch
            }
            History::Frequency => {
                if self.insertions + self.accesses > self.items * FREQUENCY_EPOCH_CACHES {
                    self.turn_epoch();
                }
                FREQUENCY_NEW << 3 | self.epoch & 7
            }
        }
    }

    /// A uniform 64-bit number (xorshift64*, Vigna 2016).
    pub fn draw(&mut self) -> u64 {
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        self.dice.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn turn_epoch(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        (self.insertions, self.accesses) = (0, 0);
    }

    /// How often an item is used, logarithmic, from 0 to 255 as in Redis; `None` unless the policy counts that.
    fn frequency_of(&self, item: &[u8]) -> Option<u8> {
        let counts = self.policy.history() == History::Frequency;
        counts.then(|| (u16::from(self.frequency(item::clock(item))) * 255 / u16::from(FREQUENCY_MAX)) as u8)
    }

    /// The frequency of a clock, one less for each epoch since its last access.
    fn frequency(&self, clock: u8) -> u8 {
        let epochs = self.epoch.wrapping_sub(clock) & 7;
        (clock >> 3).saturating_sub(epochs)
    }

    /// The higher the score the sooner the item goes.
    fn score(&self, item: &[u8]) -> u64 {
        let clock = item::clock(item);
        match self.policy {
            Policy::VolatileTtl => u64::MAX - Header::read(item).expiry_ms(item).unwrap_or(u64::MAX),
            policy => match policy.history() {
                History::None => 0,
                History::Recency => u64::from(self.epoch.wrapping_sub(clock)),
                History::Frequency => {
                    let epochs = u64::from(self.epoch.wrapping_sub(clock) & 7);
                    u64::from(FREQUENCY_MAX - self.frequency(clock)) << 3 | epochs
                }
            },
        }
    }

    fn offer(&mut self, score: u64, item: ItemRef) {
        if self.pool.iter().any(|known| known.item == item) {
            return;
        }
        let at = self.pool.partition_point(|known| known.score <= score);
        self.pool.insert(at, Candidate { score, item });
        if self.pool.len() > POOL_CANDIDATES_MAX {
            self.pool.remove(0);
        }
    }
}

impl Shard {
    /// Evicts one key by the policy; false when the policy finds none.
    pub fn evict_one(&mut self) -> bool {
        if self.eviction.policy == Policy::NoEviction {
            return false;
        }
        let expiring_only = self.eviction.policy.expiring_only();
        self.draw_candidates(expiring_only);
        while let Some(Candidate { score, item }) = self.eviction.pool.pop() {
            // The item may have been accessed, freed or replaced since it was drawn.
            let bytes = if self.slab.is_live(item) { self.slab.bytes(item) } else { continue };
            let eligible = !expiring_only || Header::read(bytes).has(item::EXPIRES);
            if eligible && self.eviction.score(bytes) >= score {
                return self.evict(item);
            }
        }
        match self.first_item(expiring_only) {
            Some(item) => self.evict(item),
            None => false,
        }
    }

    /// How often an item is used, from 0 to 255; `None` unless the eviction policy counts that.
    pub fn frequency(&self, item: ItemRef) -> Option<u8> {
        self.eviction.frequency_of(self.slab.bytes(item))
    }

    /// Notes how often an item was used elsewhere, from 0 to 255, if the eviction policy counts that.
    pub fn set_frequency(&mut self, item: ItemRef, frequency: u8) {
        if self.eviction.policy.history() == History::Frequency {
            let steps = (u16::from(frequency) * u16::from(FREQUENCY_MAX)).div_ceil(255) as u8;
            item::set_clock(self.slab.bytes_mut(item), steps << 3 | self.eviction.epoch & 7);
        }
    }

    /// A uniform 64-bit number from the shard's dice.
    pub fn draw(&mut self) -> u64 {
        self.eviction.draw()
    }

    /// A live key drawn at random, for RANDOMKEY.
    pub fn random_item(&mut self) -> Option<ItemRef> {
        for _ in 0..DRAWS_MAX {
            let dice = self.eviction.draw();
            if let Some(item) = self.slab.sample(dice, false) {
                return Some(item);
            }
        }
        self.first_item(false)
    }

    fn draw_candidates(&mut self, expiring_only: bool) {
        let mut drawn = 0;
        for _ in 0..DRAWS_MAX {
            let dice = self.eviction.draw();
            let Some(item) = self.slab.sample(dice, expiring_only) else { continue };
            let score = self.eviction.score(self.slab.bytes(item));
            self.eviction.offer(score, item);
            drawn += 1;
            if drawn == self.eviction.samples {
                break;
            }
        }
    }

    /// The first live item from a random page on, for when draws keep missing.
    fn first_item(&mut self, expiring_only: bool) -> Option<ItemRef> {
        let rows = self.slab.page_rows();
        let start = self.eviction.draw() as usize % rows.max(1);
        (0..rows).find_map(|step| {
            let (mut items, expires) = self.slab.page_items((start + step) % rows);
            if expiring_only && !expires { None } else { items.find(|item| self.slab.is_live(*item)) }
        })
    }

    fn evict(&mut self, item: ItemRef) -> bool {
        self.notify_item(EventClasses::EVICTED, "evicted", item);
        self.remove_found(item);
        self.counts.evicted += 1;
        true
    }
}
