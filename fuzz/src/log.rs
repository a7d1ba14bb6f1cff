//! A directory of the log: segments that were written and then damaged, as the input says.

use coldplate::log::{
    Catalog, FRAME_HEADER_BYTES, FrameBuffer, HEADER_BYTES, LogError, PIECE_BYTES, Replay, Segment, SegmentHeader,
    SegmentName, Step, Verdict,
};
use coldplate::types::{CoreId, Slot};
use crc::{CRC_32_ISCSI, Crc};
use std::collections::{BTreeMap, HashSet};

static CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
const SEGMENTS_MAX: usize = 12;

type Files = BTreeMap<SegmentName, Vec<u8>>;

/// What is left of the input.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let length = usize::from(self.byte()?).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(bytes.to_vec())
    }
}

/// A number near `to`, mostly `to` itself.
fn near(to: u64, byte: u8) -> u64 {
    match byte >> 4 {
        15 => to.wrapping_add_signed(i64::from(byte & 15) - 7),
        _ => to,
    }
}

/// Who writes, and what was written as it should be.
struct Writer {
    files: Files,
    header: SegmentHeader,
    sequence: u64,
    durable: u64,
    sealed: HashSet<(SegmentName, u64, Vec<u8>)>,
}

/// The first byte says how long the pieces are that are read; then each step's kind and what it needs.
pub fn log(data: &[u8]) {
    let mut input = Input(data);
    let piece = usize::from(input.byte().unwrap_or(0)) * 16 + 1;
    let name = SegmentName { run: 1, core: CoreId(0), number: 0 };
    let header = SegmentHeader { cores: 2, oldest_run: 1, ..SegmentHeader::first(name, 0x0123_4567_89ab_cdef, 0) };
    let mut writer = Writer { files: Files::new(), header, sequence: 1, durable: 0, sealed: HashSet::new() };
    writer.begin();
    while writer.step(&mut input).is_some() {}
    let at_once = read(&writer, usize::MAX, Replay::new);
    assert_eq!(at_once, read(&writer, piece, Replay::new), "pieces make no difference");
    for (_, ended) in read(&writer, piece, Replay::forgiving) {
        assert!(!matches!(ended, Err(LogError::Corrupt { .. })), "what is given up is not refused");
    }
}

impl Writer {
    fn begin(&mut self) {
        (self.header.first_sequence, self.header.durable) = (self.sequence, self.durable);
        self.files.insert(self.header.name, self.header.encode().to_vec());
    }

    fn step(&mut self, input: &mut Input) -> Option<()> {
        let step = input.byte()?;
        match step & 7 {
            0 => {
                let [run, core, number, place] = [input.byte()?, input.byte()?, input.byte()?, input.byte()?];
                if self.files.len() < SEGMENTS_MAX {
                    let name = self.header.name.next();
                    let core = CoreId(near(u64::from(name.core.0), core) as u16);
                    self.header.name =
                        SegmentName { run: near(name.run, run), core, number: near(name.number, number) };
                    self.header.oldest = near(self.header.oldest, place);
                    self.begin();
                }
            }
            1 => self.durable = near(self.sequence - 1, input.byte()?).min(self.sequence - 1),
            2 | 3 => {
                let (key, value) = (input.bytes()?, input.bytes()?);
                self.seal(Some((&key, &value)), None);
            }
            4 => {
                let records = input.bytes()?;
                self.seal(None, Some(records));
            }
            5 => {
                let bytes = input.bytes()?;
                self.file().extend_from_slice(&bytes);
            }
            6 => {
                let (high, low, bytes) = (input.byte()?, input.byte()?, input.bytes()?);
                let file = self.file();
                // From the end, where the frames are.
                let at = file.len().saturating_sub(usize::from(high) << 8 | usize::from(low));
                let end = file.len().min(at + bytes.len());
                file[at..end].copy_from_slice(&bytes[..end - at]);
            }
            _ => {
                let cut = usize::from(input.byte()?) << (step >> 4);
                let file = self.file();
                file.truncate(file.len().saturating_sub(cut));
            }
        }
        Some(())
    }

    fn file(&mut self) -> &mut Vec<u8> {
        self.files.get_mut(&self.header.name).expect("it was begun")
    }

    /// Appends a frame of one record, or one whose checksum is right and whose records are any bytes.
    fn seal(&mut self, put: Option<(&[u8], &[u8])>, records: Option<Vec<u8>>) {
        let nonce = self.header.nonce();
        let mut frame = FrameBuffer::new();
        if let Some((key, value)) = put {
            frame.put(Slot(key.len() as u16), key, value, None);
        }
        let mut bytes = frame.seal(self.sequence, self.durable, nonce).to_vec();
        if let Some(records) = records {
            bytes[4..8].copy_from_slice(&(records.len() as u32).to_le_bytes());
            bytes[24] = records.first().copied().unwrap_or(0) & 3;
            bytes.extend_from_slice(&records);
            bytes.resize(bytes.len().next_multiple_of(16), 0);
            let mut digest = CHECKSUM.digest();
            [&nonce.to_le_bytes()[..], &bytes[..28], &bytes[32..]].iter().for_each(|part| digest.update(part));
            bytes[28..32].copy_from_slice(&digest.finalize().to_le_bytes());
        }
        self.sealed.insert((self.header.name, self.sequence, bytes.clone()));
        self.file().extend_from_slice(&bytes);
        self.sequence += 1;
    }
}

/// How each chain ends, and how many frames come before that; each of them is one that was sealed, next to its last.
fn read(
    writer: &Writer,
    piece: usize,
    open: fn(coldplate::log::Chain) -> Replay,
) -> Vec<(u64, Result<Verdict, LogError>)> {
    let found = |(name, bytes): (&SegmentName, &Vec<u8>)| Segment::found(*name, bytes.len() as u64, bytes);
    let catalog = Catalog::sort_out(writer.files.iter().map(found).collect(), &[]);
    let mut ends = Vec::new();
    for chain in catalog.chains {
        let (mut replay, mut frames, mut last) = (open(chain), 0, None);
        let ended = loop {
            match replay.advance() {
                Ok(Step::Read { name, offset }) => {
                    let rest = writer.files[&name].get(offset as usize..).unwrap_or(&[]);
                    let space = replay.space();
                    assert!(!space.is_empty() && space.len() <= rest.len().min(PIECE_BYTES), "{}", space.len());
                    let bytes = space.len().min(piece);
                    space[..bytes].copy_from_slice(&rest[..bytes]);
                    replay.filled(bytes);
                }
                Ok(Step::Frame(frame)) => {
                    assert!(last.is_none_or(|last| last + 1 == frame.sequence));
                    let file = &writer.files[&frame.name][frame.offset as usize..];
                    let bytes = u32::from_le_bytes(*file[4..].first_chunk().expect("a header")) as usize;
                    let whole = file[..(FRAME_HEADER_BYTES + bytes).next_multiple_of(16)].to_vec();
                    assert!(writer.sealed.contains(&(frame.name, frame.sequence, whole)), "nobody wrote it");
                    assert!(frame.offset >= HEADER_BYTES as u64 && frame.records().count() <= bytes);
                    (last, frames) = (Some(frame.sequence), frames + 1);
                }
                Ok(Step::End) => break Ok(replay.summary().verdict),
                Err(error) => break Err(error),
            }
        };
        assert_eq!(replay.summary().frames, frames);
        ends.push((frames, ended));
    }
    ends
}
