//! What cores tell each other about keys when somebody asks: plain records, each with bytes behind it.

use bytemuck::{Pod, Zeroable};

/// A key as its owner sees it; `key_bytes` of key follow. Rates are per second.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct KeyFigures {
    pub ops: u64,
    pub reads: u64,
    pub writes: u64,
    pub bytes: u64,
    /// For how long it has been hot, or not.
    pub since_ms: u64,
    /// Cores that were given a copy.
    pub copies: u32,
    /// Bits of [`mode`].
    pub mode: u32,
    pub key_bytes: u64,
}

/// What is done about a key. No bit: it is warm and nothing is done.
pub mod mode {
    pub const REPLICATED: u32 = 1;
    pub const FOLDED: u32 = 2;
    /// No core reports it.
    pub const COOL: u32 = 4;

    /// Its words, as HOTKEYS answers them.
    pub fn name(bits: u32) -> &'static str {
        match bits {
            0 => "warm",
            REPLICATED => "replicated",
            FOLDED => "folded",
            bits if bits & COOL != 0 => "cool",
            _ => "replicated,folded",
        }
    }
}

/// One core's part of HOTKEYS EXPLAIN. If `owns` is 1, `cores` of [`CoreRates`] and `why_bytes` of text follow.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Explanation {
    pub hits: u64,
    pub folds: u64,
    pub members: u64,
    pub copies: u64,
    pub since_ms: u64,
    pub mode: u32,
    pub owns: u32,
    pub cores: u64,
    pub why_bytes: u64,
}

/// What one core ingests of a key, per second.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct CoreRates {
    pub core: u64,
    pub reads: u64,
    pub writes: u64,
}

/// One core's part of HOTKEYS GET: `keys` of [`TrackedKey`] follow, then [`KeyFigures`] to the end.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Tracked {
    pub cpu_us: u64,
    pub net_bytes: u64,
    pub keys: u64,
}

/// What a key used since HOTKEYS START; `key_bytes` of key follow.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct TrackedKey {
    pub cpu_us: u64,
    pub net_bytes: u64,
    pub key_bytes: u64,
}

/// A request that took long; `peer_bytes` and `name_bytes` follow, then each argument behind its length in 64 bits.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct SlowFigures {
    pub id: u64,
    pub unix_us: u64,
    pub duration_us: u64,
    pub mode: u32,
    pub args: u32,
    pub peer_bytes: u32,
    pub name_bytes: u32,
}

/// CLUSTER SLOT-STATS: a slot and the keys in it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct SlotFigures {
    pub slot: u64,
    pub keys: u64,
}

/// What became of one command's requests; see [`crate::protocol::command::Row`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct CommandFigures {
    pub command: u64,
    pub calls: u64,
    pub ns: u64,
    pub rejected: u64,
    pub failed: u64,
}

/// Errors that begin with one word, which follows.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct WordFigures {
    pub count: u64,
    pub word_bytes: u64,
}

/// Requests of one command that took about as long.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct DurationFigures {
    pub command: u64,
    pub bucket: u64,
    pub count: u64,
}

/// One event of LATENCY; `event_bytes` of its name and `samples` of [`SampleFigures`] follow.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct EventFigures {
    pub ms_max: u64,
    pub event_bytes: u64,
    pub samples: u64,
}

/// The worst that an event took in one second.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct SampleFigures {
    pub unix_s: u64,
    pub ms: u64,
}

/// What a core has had to do with a server; `pool_bytes` and `name_bytes` follow, then `buckets` of the times that it took,
/// each with its count.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct ServerFigures {
    pub requests: u64,
    pub errors: u64,
    pub unanswered: u64,
    pub redirects: u64,
    pub in_flight: u64,
    pub connections: u64,
    pub dials: u64,
    pub ejections: u64,
    /// 1 while the core leaves it alone.
    pub ejected: u64,
    pub hot_hits: u64,
    pub coalesced: u64,
    pub folded: u64,
    pub stale: u64,
    pub pool_bytes: u64,
    pub name_bytes: u64,
    pub buckets: u64,
}

impl ServerFigures {
    /// Both together, but for what tells how much follows.
    pub fn plus(self, other: ServerFigures) -> ServerFigures {
        ServerFigures {
            requests: self.requests + other.requests,
            errors: self.errors + other.errors,
            unanswered: self.unanswered + other.unanswered,
            redirects: self.redirects + other.redirects,
            in_flight: self.in_flight + other.in_flight,
            connections: self.connections + other.connections,
            dials: self.dials + other.dials,
            ejections: self.ejections + other.ejections,
            ejected: self.ejected + other.ejected,
            hot_hits: self.hot_hits + other.hot_hits,
            coalesced: self.coalesced + other.coalesced,
            folded: self.folded + other.folded,
            stale: self.stale + other.stale,
            ..self
        }
    }
}

/// Appends a record.
pub fn write<T: Pod>(out: &mut Vec<u8>, record: &T) {
    out.extend_from_slice(bytemuck::bytes_of(record));
}

/// Takes a record off the front.
///
/// # Panics
/// If there are fewer bytes: another core wrote them, in this process.
pub fn read<T: Pod>(bytes: &mut &[u8]) -> T {
    bytemuck::pod_read_unaligned(take(bytes, size_of::<T>()))
}

/// Takes so many bytes off the front.
pub fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records and the bytes between them come back as they were written, at any alignment.
    #[test]
    fn records_round_trip() {
        let mut out = vec![7];
        let figures = KeyFigures { ops: 1, key_bytes: 3, mode: mode::FOLDED, ..KeyFigures::default() };
        let rates = CoreRates { core: 2, reads: 3, writes: 4 };
        write(&mut out, &figures);
        out.extend_from_slice(b"key");
        write(&mut out, &rates);
        let mut bytes = &out[1..];
        assert_eq!(read::<KeyFigures>(&mut bytes), figures);
        assert_eq!(take(&mut bytes, 3), b"key");
        assert_eq!(read::<CoreRates>(&mut bytes), rates);
        assert!(bytes.is_empty());
    }
}
