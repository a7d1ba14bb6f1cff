//! Owns: the bytes of the durable log: segments, frames, records; what is written, and what is made of it at a start.
//! Knows: slots, keys, values, expiries; which frames were promised, and so what a torn tail is and what a corrupt middle.
//! Must never know: files, clocks, randomness, when something is written or synced: bytes go in, bytes and verdicts come out.
//! Read first: `FORMAT.md` (every byte), then `frame.rs` (writing), `replay.rs` (reading), `elders.rs` (cleaning).

mod catalog;
mod elders;
mod error;
mod frame;
mod header;
mod name;
mod outlived;
mod record;
mod replay;
mod tail;
#[cfg(test)]
mod tests;
mod verdict;

pub use catalog::{Catalog, Chain, Segment};
pub use elders::{Account, Due, Elder, Elders, Pace};
pub use error::{Fault, LogError};
pub use frame::{FRAME_ALIGN, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FrameBuffer, RecordAt, zeros_behind};
pub use header::{HEADER_BYTES, SEGMENT_BYTES_DEFAULT, SegmentHeader, VERSION, WIPED_BYTES};
pub use name::{SegmentName, parse_unfinished, unfinished_name};
pub use outlived::Outlived;
pub use record::{Kind, RECORD_HEADER_BYTES, Record, record_bytes};
pub use replay::{Frame, PIECE_BYTES, Records, Replay, Step};
pub use tail::Tail;
pub use verdict::{Summary, Torn, Verdict};
