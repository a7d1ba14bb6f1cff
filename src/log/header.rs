//! The first block of a segment: whose it is, where in the chain, and what tells its frames from stale ones.

use bytemuck::{Pod, Zeroable};

use super::error::LogError;
use super::name::SegmentName;
use crate::types::CoreId;

/// The header is a block of its own, so that frames begin where direct writes may.
pub const HEADER_BYTES: usize = 4096;
/// A file that is taken over has zeros up to here: where its header and its first frame will be.
pub const WIPED_BYTES: usize = 2 * HEADER_BYTES;
/// The size of a segment's file, unless one frame needs more.
pub const SEGMENT_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;
/// The format that is written, and the only one that is read.
pub const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"COLDPLOG";
/// Where the checksum stands, which leaves itself out.
const CRC_AT: usize = 12;

/// The header as it lies in the file; zeros follow up to [`HEADER_BYTES`].
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Wire {
    magic: [u8; 8],
    version: u32,
    crc: u32,
    run: u64,
    number: u64,
    first_sequence: u64,
    durable: u64,
    oldest_run: u64,
    oldest: u64,
    runs_from: u64,
    layout: u64,
    secret: u64,
    segment_bytes: u64,
    core: u16,
    cores: u16,
    reserved: u32,
}

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Which segment this is.
    pub name: SegmentName,
    /// How many cores the run had.
    pub cores: u16,
    /// The sequence of the first frame in it.
    pub first_sequence: u64,
    /// The highest sequence known to be on stable storage when the segment began; 0 for none.
    pub durable: u64,
    /// The run and the number of the oldest segment of this core that still counts: those of this core before it are
    /// dead. They may be taken away, or be taken for a new segment, once this header is on stable storage.
    pub oldest_run: u64,
    pub oldest: u64,
    /// Segments of runs before this one are dead, whichever core's.
    pub runs_from: u64,
    /// A digest of the table from slots to cores, so that replay knows whether the keys are placed as they were.
    pub layout: u64,
    /// Random, and the same in all segments of a chain. Frames are sealed with [`nonce`](Self::nonce), so nobody who does
    /// not know it can write a value that passes for a frame.
    pub secret: u64,
    /// The size of the file when the segment began.
    pub segment_bytes: u64,
}

impl SegmentHeader {
    /// A run of one core begins: nothing is durable yet, and nothing dead.
    pub fn first(name: SegmentName, secret: u64, segment_bytes: u64) -> SegmentHeader {
        SegmentHeader {
            name,
            cores: 1,
            first_sequence: 1,
            durable: 0,
            oldest_run: 0,
            oldest: 0,
            runs_from: 0,
            layout: 0,
            secret,
            segment_bytes,
        }
    }

    /// What seals the frames of this segment, and of no other.
    pub fn nonce(&self) -> u64 {
        nonce(self.secret, self.name)
    }

    /// The block as it is written.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut wire = Wire {
            magic: MAGIC,
            version: VERSION,
            crc: 0,
            run: self.name.run,
            number: self.name.number,
            first_sequence: self.first_sequence,
            durable: self.durable,
            oldest_run: self.oldest_run,
            oldest: self.oldest,
            runs_from: self.runs_from,
            layout: self.layout,
            secret: self.secret,
            segment_bytes: self.segment_bytes,
            core: self.name.core.0,
            cores: self.cores,
            reserved: 0,
        };
        let mut block = [0; HEADER_BYTES];
        block[..size_of::<Wire>()].copy_from_slice(bytemuck::bytes_of(&wire));
        wire.crc = checksum(&block);
        block[..size_of::<Wire>()].copy_from_slice(bytemuck::bytes_of(&wire));
        block
    }

    /// Reads a block, the first [`HEADER_BYTES`] of the file `name`.
    pub fn decode(name: SegmentName, block: &[u8]) -> Result<SegmentHeader, LogError> {
        let Some(block) = block.first_chunk::<HEADER_BYTES>() else {
            return Err(LogError::HeaderCut { name, bytes: block.len() });
        };
        if block.iter().all(|byte| *byte == 0) {
            return Err(LogError::HeaderBlank { name });
        }
        let wire: Wire = bytemuck::pod_read_unaligned(&block[..size_of::<Wire>()]);
        if wire.magic != MAGIC {
            return Err(LogError::HeaderMagic { name });
        }
        let expected = checksum(block);
        if wire.crc != expected {
            return Err(LogError::HeaderChecksum { name, expected, found: wire.crc });
        }
        if wire.version != VERSION {
            return Err(LogError::Version { name, version: wire.version });
        }
        let inside = SegmentName { run: wire.run, core: CoreId(wire.core), number: wire.number };
        if inside != name {
            return Err(LogError::Misnamed { name, inside });
        }
        Ok(SegmentHeader {
            name,
            cores: wire.cores,
            first_sequence: wire.first_sequence,
            durable: wire.durable,
            oldest_run: wire.oldest_run,
            oldest: wire.oldest,
            runs_from: wire.runs_from,
            layout: wire.layout,
            secret: wire.secret,
            segment_bytes: wire.segment_bytes,
        })
    }
}

/// A segment's own number out of its chain's secret: two rounds of SplitMix64's mixer, so that numbers do not show it.
pub(super) fn nonce(secret: u64, name: SegmentName) -> u64 {
    mix(mix(secret ^ mix(name.run) ^ u64::from(name.core.0)).wrapping_add(name.number))
}

fn mix(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// The whole block but the checksum itself.
fn checksum(block: &[u8; HEADER_BYTES]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&block[..CRC_AT]), &block[CRC_AT + 4..])
}
