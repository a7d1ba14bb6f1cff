//! A directory in memory, a core that writes its chain there, and reading it back.

use std::collections::BTreeMap;

use super::super::*;
use crate::types::{CoreId, Slot};

/// A record that owns its bytes.
pub type Owned = (Kind, u16, Vec<u8>, Vec<u8>, Option<u64>);
pub type Files = BTreeMap<SegmentName, Vec<u8>>;

pub fn owned(record: Record) -> Owned {
    (record.kind, record.slot.0, record.key.to_vec(), record.value.to_vec(), record.expiry_ms)
}

pub const RUN: u64 = 3;
pub const CORE: CoreId = CoreId(1);

pub fn name(number: u64) -> SegmentName {
    SegmentName { run: RUN, core: CORE, number }
}

/// Files, and who writes them.
#[derive(Clone)]
pub struct Disk {
    pub files: Files,
    /// What was written: each frame's records.
    pub frames: Vec<Vec<Owned>>,
    pub segment_bytes: usize,
    pub durable: u64,
    /// Writes in order: which file, where, what. Only if somebody wants them.
    pub writes: Vec<(SegmentName, usize, Vec<u8>)>,
    header: SegmentHeader,
    at: usize,
}

impl Disk {
    pub fn new(segment_bytes: usize) -> Disk {
        Disk::of(0x1357_9bdf_0246_8ace, segment_bytes)
    }

    pub fn of(secret: u64, segment_bytes: usize) -> Disk {
        let header = SegmentHeader {
            name: name(0),
            cores: 2,
            first_sequence: 1,
            durable: 0,
            oldest_run: RUN,
            oldest: 0,
            runs_from: 0,
            layout: 7,
            secret,
            segment_bytes: segment_bytes as u64,
        };
        let mut disk = Disk {
            files: Files::new(),
            frames: Vec::new(),
            segment_bytes,
            durable: 0,
            writes: Vec::new(),
            header,
            at: 0,
        };
        disk.begin();
        disk
    }

    pub fn sequence(&self) -> u64 {
        self.frames.len() as u64
    }

    pub fn last(&self) -> SegmentName {
        self.header.name
    }

    /// Where the next frame goes.
    pub fn end(&self) -> usize {
        self.at
    }

    /// Begins the next segment; the first is there at once.
    pub fn next_segment(&mut self) {
        self.header.name = self.header.name.next();
        self.begin();
    }

    pub fn begin(&mut self) {
        self.header.first_sequence = self.sequence() + 1;
        self.header.durable = self.durable;
        self.put(0, &self.header.encode());
        self.at = HEADER_BYTES;
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        let file = self.files.entry(self.header.name).or_insert_with(|| vec![0; self.segment_bytes]);
        file[at..at + bytes.len()].copy_from_slice(bytes);
        self.writes.push((self.header.name, at, bytes.to_vec()));
    }

    /// Writes a frame, into the next segment if this one has no room.
    pub fn write(&mut self, records: &[Owned]) {
        let mut frame = FrameBuffer::new();
        for (kind, slot, key, value, expiry_ms) in records {
            let (kind, slot, expiry_ms) = (*kind, Slot(*slot), *expiry_ms);
            frame.append(&Record { kind, slot, key, value, expiry_ms, ..Record::default() });
        }
        if self.at + frame.len_bytes() > self.segment_bytes {
            self.next_segment();
        }
        let bytes = frame.seal(self.sequence() + 1, self.durable, self.header.nonce()).to_vec();
        self.put(self.at, &bytes);
        self.at += bytes.len();
        self.frames.push(records.to_vec());
    }

    /// All that is written is durable from here on.
    pub fn sync(&mut self) {
        self.durable = self.sequence();
    }

    /// A frame that only says what is durable.
    pub fn mark(&mut self) {
        self.write(&[]);
    }
}

pub fn put(number: u16) -> Owned {
    let key = format!("key:{number}").into_bytes();
    (Kind::Put, number, key, vec![number as u8; usize::from(number % 50)], number.is_multiple_of(3).then_some(1 << 41))
}

/// Some segments, of which all but the last frames are known to be durable.
pub fn sample() -> Disk {
    fill(Disk::new(HEADER_BYTES + 1024))
}

pub fn fill(mut disk: Disk) -> Disk {
    for number in 0..40u16 {
        let remove = (Kind::Remove, number, format!("key:{}", number / 2).into_bytes(), Vec::new(), None);
        disk.write(&[put(number), remove]);
        if number % 4 == 3 {
            disk.sync();
        }
    }
    disk.sync();
    disk.mark();
    assert_eq!((disk.files.len(), disk.sequence()), (5, 41));
    disk
}

/// The segments as a start finds them.
pub fn find(files: &Files) -> Vec<Segment> {
    files.iter().map(|(name, bytes)| Segment::found(*name, bytes.len() as u64, bytes)).collect()
}

/// What replay made of a directory: the frames that it handed out, and how it ended.
pub type Replayed = (Vec<Vec<Owned>>, Result<Vec<Summary>, LogError>);

/// Reads everything, `piece` bytes at a time.
pub fn replay(files: &Files, piece: usize) -> Replayed {
    let mut frames = Vec::new();
    let catalog = match Catalog::new(find(files), &[]) {
        Ok(catalog) => catalog,
        Err(error) => return (frames, Err(error)),
    };
    let mut summaries = Vec::new();
    for chain in catalog.chains {
        let mut replay = Replay::new(chain);
        loop {
            match replay.advance() {
                Ok(Step::Read { name, offset }) => {
                    let rest = &files[&name][offset as usize..];
                    let space = replay.space();
                    let bytes = space.len().min(piece).min(rest.len());
                    space[..bytes].copy_from_slice(&rest[..bytes]);
                    replay.filled(bytes);
                }
                Ok(Step::Frame(frame)) => frames.push(frame.records().map(owned).collect()),
                Ok(Step::End) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
        let (done, all) = replay.progress();
        assert_eq!(done, all);
        summaries.push(replay.summary());
    }
    (frames, Ok(summaries))
}

/// The verdict about the only chain.
pub fn verdict(files: &Files) -> Result<Verdict, LogError> {
    replay(files, usize::MAX).1.map(|summaries| match &summaries[..] {
        [summary] => summary.verdict.clone(),
        _ => panic!("one chain: {summaries:?}"),
    })
}

/// How many of the frames that were written are there; none that was not written is.
pub fn prefix(written: &[Vec<Owned>], read: &[Vec<Owned>]) -> usize {
    assert!(read.len() <= written.len() && written[..read.len()] == *read, "a record that nobody wrote");
    read.len()
}
