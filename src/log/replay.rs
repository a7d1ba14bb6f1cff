//! Reading a chain: segments in order and in pieces, whole frames out, and at the end a verdict.
//!
//! Whoever has the files asks [`Replay::advance`] again and again and does what it says:
//!
//! ```text
//! Read    read file `name` from `offset` into replay.space(), then replay.filled(bytes); 0 is the file's end
//! Frame   apply its records
//! End     replay.summary() says how it went
//! ```
//!
//! The chain is *followed* while frame after frame is as it should be. Where one is not it is *lost*, and all that is
//! behind is searched, at every place where a frame can begin, for one that says that the lost one was durable. See
//! `FORMAT.md` for why that parts a torn tail from a corrupt middle.

use super::catalog::{Chain, Segment};
use super::error::{Fault, LogError};
use super::frame::{FRAME_ALIGN, FRAME_HEADER_BYTES, FrameHeader, checksum, mark, seed};
use super::header::{HEADER_BYTES, nonce};
use super::name::SegmentName;
use super::record::{RECORD_HEADER_BYTES, Record};
use super::verdict::{Summary, Torn, Verdict};

/// How much is read at once, unless a frame is longer.
pub const PIECE_BYTES: usize = 256 * 1024;

/// What is to be done next.
#[derive(Debug)]
pub enum Step<'a> {
    /// Read this file from this offset on into [`Replay::space`].
    Read { name: SegmentName, offset: u64 },
    /// Whole, and the next of its chain.
    Frame(Frame<'a>),
    /// Nothing: the chain is read.
    End,
}

/// One turn of a shard: its records are applied in order, all of them.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Where it lies.
    pub name: SegmentName,
    pub offset: u64,
    pub sequence: u64,
    pub durable: u64,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Bytes of its records.
    pub fn bytes(&self) -> u64 {
        self.payload.len() as u64
    }

    pub fn records(&self) -> Records<'a> {
        Records { rest: self.payload }
    }
}

/// The records of a frame, which are known to be well formed.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        let (record, rest) = Record::decode(self.rest)?;
        self.rest = rest;
        Some(record)
    }
}

/// Where the chain is lost.
#[derive(Debug)]
struct Lost {
    name: SegmentName,
    offset: u64,
    sequence: u64,
    fault: Fault,
    /// What the frame there says of itself, as far as the file goes.
    announced_bytes: u64,
    frames: u64,
    records: u64,
    frame_bytes: u64,
    segments: u64,
}

/// What tells a segment's frames from all others.
#[derive(Clone, Copy, Debug)]
struct Seal {
    mark: u32,
    seed: u32,
}

/// What the bytes at hand come to.
enum Look {
    /// So many bytes are needed from here.
    Short(usize),
    /// The frame that is next, of so many bytes.
    Frame(FrameHeader, usize),
    /// They were passed over, or how to look at them has changed: look again.
    Passed,
    SegmentEnds,
}

/// The state of reading one chain.
#[derive(Debug)]
pub struct Replay {
    segments: Vec<Segment>,
    secret: Option<u64>,
    /// Which segment is read.
    at: usize,
    /// None where no header of the chain can be read.
    seal: Option<Seal>,
    /// What was read and not yet used lies from `start` to `end`; in the file it begins at `offset`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    offset: u64,
    /// How many bytes [`Look::Short`] asked for.
    needed: usize,
    sequence: u64,
    lost: Option<Lost>,
    refused: Option<LogError>,
    forgiving: bool,
    summary: Summary,
}

impl Replay {
    pub fn new(chain: Chain) -> Replay {
        let summary = Summary::new(chain.run(), chain.core());
        let first = chain.segments[0].header.as_ref();
        let mut replay = Replay {
            sequence: first.map_or(1, |header| header.first_sequence),
            segments: chain.segments,
            secret: chain.secret,
            at: 0,
            seal: None,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            offset: 0,
            needed: 0,
            lost: None,
            refused: chain.refused,
            forgiving: false,
            summary,
        };
        replay.open().expect("the first segment begins where it begins");
        replay
    }

    /// Reads a corrupt middle as if it were a torn tail, so that whoever gives up what is behind it learns what that is.
    pub fn forgiving(chain: Chain) -> Replay {
        Replay { forgiving: true, ..Replay::new(chain) }
    }

    /// Says what is to be done next, or why this is no log. It is over with the first error.
    pub fn advance(&mut self) -> Result<Step<'_>, LogError> {
        if let Some(refused) = &self.refused {
            return Err(refused.clone());
        }
        while let Some(segment) = self.segments.get(self.at) {
            let name = segment.name;
            let look = match self.lost {
                None => self.follow()?,
                Some(_) => self.search()?,
            };
            match look {
                Look::Passed => {}
                Look::Short(bytes) => {
                    self.needed = bytes;
                    return Ok(Step::Read { name, offset: self.offset + (self.end - self.start) as u64 });
                }
                Look::SegmentEnds => {
                    self.at += 1;
                    self.open()?;
                }
                Look::Frame(header, bytes) => {
                    let (offset, from) = (self.offset, self.start + FRAME_HEADER_BYTES);
                    self.pass(bytes);
                    self.sequence = self.sequence.saturating_add(1);
                    self.summary.count(&header);
                    let payload = &self.buffer[from..from + header.payload_bytes as usize];
                    let FrameHeader { sequence, durable, .. } = header;
                    return Ok(Step::Frame(Frame { name, offset, sequence, durable, payload }));
                }
            }
        }
        Ok(Step::End)
    }

    /// Where to read to: a piece, or as much as the file has left, or what a long frame lacks.
    pub fn space(&mut self) -> &mut [u8] {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let left = self.file_bytes().saturating_sub(self.offset + self.end as u64);
        let wanted =
            PIECE_BYTES.max(self.needed - self.end.min(self.needed)).min(left.try_into().unwrap_or(usize::MAX));
        if self.buffer.len() < self.end + wanted {
            self.buffer.resize(self.end + wanted, 0);
        }
        &mut self.buffer[self.end..self.end + wanted]
    }

    /// So many bytes were read into [`space`](Self::space).
    pub fn filled(&mut self, bytes: usize) {
        assert!(self.end + bytes <= self.buffer.len(), "no more is read than there is space for");
        self.end += bytes;
        if let (0, Some(segment)) = (bytes, self.segments.get_mut(self.at)) {
            // Shorter than it was when it was found.
            segment.file_bytes = self.offset + (self.end - self.start) as u64;
        }
    }

    /// What was read so far, and, once all is, the verdict.
    pub fn summary(&self) -> Summary {
        let mut summary = self.summary.clone();
        if let Some(lost) = self.lost.as_ref().filter(|lost| lost.fault.has_trace() || lost.frames > 0) {
            summary.verdict = Verdict::Torn(Torn {
                name: lost.name,
                offset: lost.offset,
                sequence: lost.sequence,
                fault: lost.fault.clone(),
                bytes: lost.announced_bytes + lost.frame_bytes,
                frames: lost.frames,
                records: lost.records,
                segments: lost.segments,
            });
        }
        summary
    }

    /// Bytes of the chain's files that are done with, and all of them.
    pub fn progress(&self) -> (u64, u64) {
        let bytes = |segments: &[Segment]| segments.iter().map(|segment| segment.file_bytes).sum::<u64>();
        let here = if self.at < self.segments.len() { self.offset.min(self.file_bytes()) } else { 0 };
        (bytes(&self.segments[..self.at]) + here, bytes(&self.segments))
    }

    fn file_bytes(&self) -> u64 {
        self.segments[self.at].file_bytes
    }

    fn pass(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// Begins with the segment that is next.
    fn open(&mut self) -> Result<(), LogError> {
        let Some(segment) = self.segments.get(self.at) else { return Ok(()) };
        let name = segment.name;
        (self.start, self.end, self.offset) = (0, 0, HEADER_BYTES as u64);
        self.seal = self.secret.map(|secret| {
            let nonce = nonce(secret, name);
            Seal { mark: mark(nonce), seed: seed(nonce) }
        });
        self.summary.segments += 1;
        let header = match &segment.header {
            Ok(header) => header,
            Err(error) => {
                let fault = Fault::Header(Box::new(error.clone()));
                // What ended without a trace ends here rather.
                if self.lost.as_ref().is_none_or(|lost| !lost.fault.has_trace() && lost.frames == 0) {
                    self.lose(name, 0, fault, 0);
                } else if let Some(lost) = &mut self.lost {
                    lost.segments += 1;
                }
                return Ok(());
            }
        };
        let (expected, found) = (self.sequence, header.first_sequence);
        if found < expected {
            return Err(LogError::Overlap { name, expected, found });
        }
        if found == expected {
            self.lost = None;
            return Ok(());
        }
        let durable = header.durable;
        if let Some(lost) = &mut self.lost {
            lost.segments += 1;
        }
        self.testify(name, 0, durable)
    }

    fn lose(&mut self, name: SegmentName, offset: u64, fault: Fault, announced_bytes: u64) {
        let sequence = self.sequence;
        let (frames, records, frame_bytes, segments) = (0, 0, 0, 0);
        self.lost =
            Some(Lost { name, offset, sequence, fault, announced_bytes, frames, records, frame_bytes, segments });
    }

    /// Refuses the log if what says that so much was durable says it of the lost frame.
    fn testify(&self, witness: SegmentName, witness_offset: u64, durable: u64) -> Result<(), LogError> {
        let Some(Lost { name, offset, sequence, fault, .. }) = &self.lost else { return Ok(()) };
        if durable < *sequence || self.forgiving {
            return Ok(());
        }
        let (name, offset, sequence, fault) = (*name, *offset, *sequence, fault.clone());
        Err(LogError::Corrupt { name, offset, sequence, fault, witness, witness_offset })
    }

    /// Looks for the next frame right here.
    fn follow(&mut self) -> Result<Look, LogError> {
        let rest = &self.buffer[self.start..self.end];
        let left = self.file_bytes().saturating_sub(self.offset);
        let seal = self.seal.expect("a chain that is followed has a header");
        let name = self.segments[self.at].name;
        if left < FRAME_HEADER_BYTES as u64 {
            return Ok(self.lose_here(Fault::Full, 0));
        }
        if rest.len() < FRAME_HEADER_BYTES {
            return Ok(Look::Short(FRAME_HEADER_BYTES));
        }
        let header = FrameHeader::read(rest);
        let bytes = header.frame_bytes();
        if header.mark != seal.mark || header.sequence != self.sequence {
            let fault = match header.mark == seal.mark {
                true => Fault::Sequence { found: header.sequence },
                false if header.sequence == self.sequence => Fault::Mark { expected: seal.mark, found: header.mark },
                false if rest[..FRAME_HEADER_BYTES].iter().all(|byte| *byte == 0) => Fault::Blank,
                false => Fault::Unmarked,
            };
            let announced = if matches!(fault, Fault::Mark { .. }) { bytes.min(left) } else { 0 };
            return Ok(self.lose_here(fault, announced));
        }
        if bytes > left {
            return Ok(self.lose_here(Fault::Cut { announced: bytes, left }, left));
        }
        let bytes = bytes as usize;
        let Some(frame) = rest.get(..bytes) else { return Ok(Look::Short(bytes)) };
        let expected = checksum(seal.seed, frame);
        if header.crc != expected {
            return Ok(self.lose_here(Fault::Checksum { expected, found: header.crc }, bytes as u64));
        }
        if !is_well_formed(&header, frame) {
            return Err(LogError::Malformed { name, offset: self.offset, sequence: header.sequence });
        }
        Ok(Look::Frame(header, bytes))
    }

    fn lose_here(&mut self, fault: Fault, announced_bytes: u64) -> Look {
        let segment = &self.segments[self.at];
        let (name, found) = (segment.name, segment.file_bytes);
        let expected = segment.header.as_ref().map_or(0, |header| header.segment_bytes);
        let cut = found < expected && !fault.has_trace();
        let fault = if cut { Fault::FileCut { expected, found } } else { fault };
        self.lose(name, self.offset, fault, announced_bytes);
        Look::Passed
    }

    /// Looks for any frame of this segment.
    fn search(&mut self) -> Result<Look, LogError> {
        let rest = &self.buffer[self.start..self.end];
        let left = self.file_bytes().saturating_sub(self.offset);
        if left < FRAME_HEADER_BYTES as u64 {
            return Ok(Look::SegmentEnds);
        }
        if rest.len() < FRAME_HEADER_BYTES {
            return Ok(Look::Short(FRAME_HEADER_BYTES));
        }
        let Some(seal) = self.seal else { return self.glance() };
        let places = rest.len() - FRAME_HEADER_BYTES + 1;
        let marks = rest.chunks(FRAME_ALIGN).take(places.div_ceil(FRAME_ALIGN));
        let Some(passed) = marks.clone().position(|place| place[..4] == seal.mark.to_le_bytes()) else {
            let passed = marks.len() * FRAME_ALIGN;
            self.pass(passed);
            return Ok(Look::Passed);
        };
        let rest = &rest[passed * FRAME_ALIGN..];
        let left = left - (passed * FRAME_ALIGN) as u64;
        let header = FrameHeader::read(rest);
        let bytes = header.frame_bytes();
        let needed = usize::try_from(bytes).unwrap_or(usize::MAX);
        let frame = rest.get(..needed);
        let plausible = bytes <= left && header.sequence >= self.sequence && is_plausible(&header);
        let whole = plausible && frame.is_some_and(|frame| checksum(seal.seed, frame) == header.crc);
        let cut_off = frame.is_none();
        self.pass(passed * FRAME_ALIGN);
        if plausible && cut_off {
            return Ok(Look::Short(needed));
        }
        if !whole {
            self.pass(FRAME_ALIGN);
            return Ok(Look::Passed);
        }
        let name = self.segments[self.at].name;
        self.testify(name, self.offset, header.durable)?;
        if let Some(lost) = &mut self.lost {
            lost.frames += 1;
            lost.records += u64::from(header.records);
            lost.frame_bytes += bytes;
        }
        self.pass(needed);
        Ok(Look::Passed)
    }

    /// Where no frame can be told from a stale one: is there one at all? A segment that was never begun has none in the
    /// first place.
    fn glance(&mut self) -> Result<Look, LogError> {
        let segment = &self.segments[self.at];
        let first = &self.buffer[self.start..self.start + FRAME_HEADER_BYTES];
        match &segment.header {
            Err(error) if first.iter().any(|byte| *byte != 0) => {
                Err(LogError::HeaderLost { name: segment.name, header: Box::new(error.clone()) })
            }
            _ => Ok(Look::SegmentEnds),
        }
    }
}

/// What holds for every frame that is written.
fn is_plausible(header: &FrameHeader) -> bool {
    let records_bytes_min = u64::from(header.records) * RECORD_HEADER_BYTES as u64;
    header.durable < header.sequence && records_bytes_min <= u64::from(header.payload_bytes)
}

/// Whether a whole frame holds the records that it announces and nothing else.
fn is_well_formed(header: &FrameHeader, frame: &[u8]) -> bool {
    let mut records = Records { rest: &frame[FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + header.payload_bytes as usize] };
    let count = records.by_ref().count();
    is_plausible(header) && records.rest.is_empty() && count == header.records as usize
}
