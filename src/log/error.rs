//! Why a log is not replayed. Each names the file, the place in it, and what to do.

use thiserror::Error;

use super::header::VERSION;
use super::name::SegmentName;

/// What is wrong with a log. Displays without the directory: whoever opened the file knows it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LogError {
    #[error("{name}: {bytes} bytes are no whole header")]
    HeaderCut { name: SegmentName, bytes: usize },
    #[error("{name}: at 0: does not begin as a segment does")]
    HeaderMagic { name: SegmentName },
    #[error("{name}: at 12: header's checksum is {found:08x}, expected {expected:08x}")]
    HeaderChecksum { name: SegmentName, expected: u32, found: u32 },
    #[error("{name}: at 8: format {version}, and this program reads {VERSION}; use the version that wrote it")]
    Version { name: SegmentName, version: u32 },
    #[error("{name}: the file is {inside} by its header; was it renamed?")]
    Misnamed { name: SegmentName, inside: SegmentName },
}
