//! How reading a chain went.

use std::fmt;

use super::error::Fault;
use super::frame::FrameHeader;
use super::name::SegmentName;
use crate::types::CoreId;

/// What a chain holds, and how it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub run: u64,
    pub core: CoreId,
    /// Segments that were looked at.
    pub segments: u64,
    pub frames: u64,
    pub records: u64,
    /// Bytes of these frames.
    pub bytes: u64,
    /// The last frame's; 0 if there is none.
    pub sequence: u64,
    pub verdict: Verdict,
}

impl Summary {
    pub(super) fn new(run: u64, core: CoreId) -> Summary {
        Summary { run, core, segments: 0, frames: 0, records: 0, bytes: 0, sequence: 0, verdict: Verdict::Clean }
    }

    pub(super) fn count(&mut self, header: &FrameHeader) {
        self.frames += 1;
        self.records += u64::from(header.records);
        self.bytes += header.frame_bytes();
        self.sequence = header.sequence;
    }
}

/// How a chain ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Behind its last frame there is no trace of another.
    Clean,
    Torn(Torn),
}

/// What was dropped at a chain's end: nobody was promised it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    pub name: SegmentName,
    pub offset: u64,
    /// The frame that should be there.
    pub sequence: u64,
    pub fault: Fault,
    /// Bytes of the frame as far as it is there, and of whole frames behind it.
    pub bytes: u64,
    /// Whole frames behind it, and their records.
    pub frames: u64,
    pub records: u64,
    /// Segments behind it.
    pub segments: u64,
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Torn { name, offset, sequence, fault, bytes, frames, records, segments } = self;
        write!(f, "{name}: at {offset}: torn at frame {sequence}: {fault}; dropped {bytes} bytes")?;
        if *frames > 0 {
            write!(f, ", with {frames} whole frames of {records} records")?;
        }
        if *segments > 0 {
            write!(f, ", of {segments} more segments")?;
        }
        Ok(())
    }
}
