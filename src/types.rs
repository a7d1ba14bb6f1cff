//! The words that every layer shares: identities, time, limits.
//!
//! Knows nothing of protocols, tables or I/O. ARCHITECTURE.md lists the words; this file is that vocabulary as types.

/// Number of slots that the keys hash into, as in Redis Cluster.
pub const SLOTS: usize = 16_384;
/// The longest value, and the longest argument, that is accepted (Redis's `proto-max-bulk-len`).
pub const VALUE_BYTES_MAX: usize = 512 * 1024 * 1024;
/// The most cores that one process serves on; letters and scan cursors carry a core in ten bits.
pub const CORES_MAX: usize = 1024;

/// A core: one pinned thread with its ring, its connections and its shard. Dense from 0, not a CPU number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CoreId(pub u16);

impl CoreId {
    /// All cores of a process that has so many, in order.
    pub fn all(cores: usize) -> impl Iterator<Item = CoreId> {
        (0..cores).map(|core| CoreId(core as u16))
    }

    /// The core's place in tables that have one row a core.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A client connection of one core: a row of its tables, and which tenant of that row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId {
    pub index: u32,
    pub generation: u32,
}

/// A connection of one core to a server of an upstream: a row of its table of links, and the how-manieth of that row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId {
    pub index: u32,
    pub attempt: u32,
}

/// The time of one loop turn, read once by the shell and handed down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Now {
    /// Microseconds since an arbitrary start; never goes back.
    pub mono_us: u64,
    /// Microseconds since 1970; expiries are counted in it, and it can jump.
    pub unix_us: u64,
}

impl Now {
    /// Milliseconds since 1970, the grain of expiries.
    pub fn unix_ms(self) -> u64 {
        self.unix_us / 1000
    }
}

/// The place of a key: its slot (CRC16 of its hash tag, modulo [`SLOTS`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u16);

impl Slot {
    /// The slot's place in tables that have one row a slot.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A key's hash inside its slot's table, keyed per process against chosen collisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(pub u64);
