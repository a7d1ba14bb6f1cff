//! Owns: the bytes of the durable log: segments, frames, records; what is written, and what is made of it at a start.
//! Knows: slots, keys, values, expiries; which frames were promised, and so what a torn tail is and what a corrupt middle.
//! Must never know: files, clocks, randomness, when something is written or synced: bytes go in, bytes and verdicts come out.
//! Read first: `FORMAT.md` (every byte), then `frame.rs` (writing), `replay.rs` (reading).

mod catalog;
mod error;
mod frame;
mod header;
mod name;
mod record;
mod replay;
#[cfg(test)]
mod tests;
mod verdict;

pub use catalog::{Catalog, Chain, Segment};
pub use error::{Fault, LogError};
pub use frame::{FRAME_ALIGN, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FrameBuffer};
pub use header::{HEADER_BYTES, SEGMENT_BYTES_DEFAULT, SegmentHeader, VERSION};
pub use name::SegmentName;
pub use record::{Kind, RECORD_HEADER_BYTES, Record, record_bytes};
pub use replay::{Frame, PIECE_BYTES, Records, Replay, Step};
pub use verdict::{Summary, Torn, Verdict};
