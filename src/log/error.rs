//! Why a log is not replayed, and why a chain ends where it does. Each names the file and the place in it.

use thiserror::Error;

use super::header::VERSION;
use super::name::SegmentName;

/// What is wrong with a log. Displays without the directory: whoever opened the files knows it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LogError {
    #[error("{name}: has no header yet")]
    HeaderBlank { name: SegmentName },
    #[error("{name}: {bytes} bytes are no whole header")]
    HeaderCut { name: SegmentName, bytes: usize },
    #[error("{name}: at 0: does not begin as a segment does")]
    HeaderMagic { name: SegmentName },
    #[error("{name}: at 12: the header's checksum is {found:08x}, expected {expected:08x}")]
    HeaderChecksum { name: SegmentName, expected: u32, found: u32 },
    #[error("{name}: at 8: format {version}, and this program reads {VERSION}; use the version that wrote it")]
    Version { name: SegmentName, version: u32 },
    #[error("{name}: at 16: is {inside} by its header; give it back that name")]
    Misnamed { name: SegmentName, inside: SegmentName },
    #[error("{name}: at 80: is of another log than the segments before it; take it out of this directory")]
    Foreign { name: SegmentName },
    #[error("{name}: is missing, and {later} is there; bring it back, or {GIVE_UP}")]
    Missing { name: SegmentName, later: SegmentName },
    /// Nothing tells its frames from stale ones, but there is one.
    #[error("{header}, yet at {at} there is a frame; restore the file, or {GIVE_UP}", at = super::HEADER_BYTES)]
    HeaderLost { name: SegmentName, header: Box<LogError> },
    #[error("{name}: at 32: begins with frame {found}, expected {expected}; restore the file, or {GIVE_UP}")]
    Overlap { name: SegmentName, expected: u64, found: u64 },
    /// Written like this: no fault of the disk.
    #[error("{name}: at {offset}: frame {sequence} is whole and has records of no known kind; report it, or {GIVE_UP}")]
    Malformed { name: SegmentName, offset: u64, sequence: u64 },
    #[error(
        "{name}: at {offset}: frame {sequence} is damaged: {fault}; by {witness} at {witness_offset} it was durable; \
         restore the file, or {GIVE_UP}"
    )]
    Corrupt { name: SegmentName, offset: u64, sequence: u64, fault: Fault, witness: SegmentName, witness_offset: u64 },
}

const GIVE_UP: &str = "give up what is behind with coldplate log repair";

impl LogError {
    /// The place from which on the log has to be given up so that the rest can be read; none if that is no remedy.
    pub fn cut(&self) -> Option<(SegmentName, u64)> {
        match *self {
            LogError::Missing { later, .. } => Some((later, 0)),
            LogError::HeaderLost { name, .. } | LogError::Overlap { name, .. } => Some((name, 0)),
            LogError::Malformed { name, offset, .. } | LogError::Corrupt { name, offset, .. } => Some((name, offset)),
            _ => None,
        }
    }
}

/// Why a frame is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    #[error("nothing was written here")]
    Blank,
    #[error("no frame of this segment begins here")]
    Unmarked,
    #[error("the segment has no room for it")]
    Full,
    #[error("the file has {found} bytes of {expected}")]
    FileCut { expected: u64, found: u64 },
    #[error("it has {announced} bytes, and the file {left}")]
    Cut { announced: u64, left: u64 },
    #[error("its mark is {found:08x}, expected {expected:08x}")]
    Mark { expected: u32, found: u32 },
    #[error("frame {found} is in its place")]
    Sequence { found: u64 },
    #[error("its checksum is {found:08x}, expected {expected:08x}")]
    Checksum { expected: u32, found: u32 },
    #[error("{0}")]
    Header(Box<LogError>),
}

impl Fault {
    /// Whether there is a trace of the frame. If not, the end may be where it was meant to be.
    pub(super) fn has_trace(&self) -> bool {
        !matches!(self, Fault::Blank | Fault::Unmarked | Fault::Full)
            && !matches!(self, Fault::Header(error) if matches!(**error, LogError::HeaderBlank { .. }))
    }
}
