//! Frames: what one turn of a shard changes, under one checksum, so that it is there as a whole or not at all.

use bytemuck::{Pod, Zeroable};

use super::record::{Kind, Record, record_bytes};
use super::replay::Records;
use crate::types::Slot;

/// Each frame begins at a multiple of this.
pub const FRAME_ALIGN: usize = 16;
/// What stands before a frame's records.
pub const FRAME_HEADER_BYTES: usize = size_of::<FrameHeader>();
/// A frame's records take no more: lengths are of 32 bits.
pub const FRAME_BYTES_MAX: usize = u32::MAX as usize - FRAME_ALIGN;

/// What the kernel keeps of a file at a time.
const PAGE_BYTES: u64 = 4096;

/// Where the checksum stands, which leaves itself out.
const CRC_AT: usize = FRAME_HEADER_BYTES - 4;
/// Memory that is kept from one frame to the next.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// A frame's header as it lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct FrameHeader {
    /// [`mark`] of the segment's nonce.
    pub mark: u32,
    /// Bytes of all records, without header and padding.
    pub payload_bytes: u32,
    pub sequence: u64,
    pub durable: u64,
    pub records: u32,
    pub crc: u32,
}

impl FrameHeader {
    /// Reads the header that `bytes` begin with.
    #[inline]
    pub fn read(bytes: &[u8]) -> FrameHeader {
        bytemuck::pod_read_unaligned(&bytes[..FRAME_HEADER_BYTES])
    }

    /// Bytes of the whole frame, padding too.
    #[inline]
    pub fn frame_bytes(&self) -> u64 {
        (FRAME_HEADER_BYTES as u64 + u64::from(self.payload_bytes)).next_multiple_of(FRAME_ALIGN as u64)
    }
}

/// What the frames of a segment begin with: half of the nonce, so that stale frames are passed over at a glance. Never 0,
/// as what was never written is.
pub(super) fn mark(nonce: u64) -> u32 {
    (nonce >> 32) as u32 | 1
}

/// The checksum's start for a segment.
pub(super) fn seed(nonce: u64) -> u32 {
    crc32c::crc32c(&nonce.to_le_bytes())
}

/// The checksum of a whole frame, padding too.
#[inline]
pub(super) fn checksum(seed: u32, frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &frame[..CRC_AT]), &frame[FRAME_HEADER_BYTES..])
}

/// How many zeros are written behind a frame that ends here, in a file of so many bytes: up to the page's end. A page of
/// which only a part is written would have to be read first, if the file is one that was taken over.
pub fn zeros_behind(frame_end: u64, file_bytes: u64) -> usize {
    (frame_end.next_multiple_of(PAGE_BYTES).min(file_bytes) - frame_end) as usize
}

/// Where a record stands in a frame under construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordAt(u32);

/// One frame under construction. Its memory is used again for the next.
#[derive(Debug)]
pub struct FrameBuffer {
    /// Room for the header, then records, and once it is sealed padding. What follows is memory for more.
    bytes: Vec<u8>,
    /// Where the records end.
    end: usize,
    records: u32,
}

impl Default for FrameBuffer {
    fn default() -> FrameBuffer {
        FrameBuffer::new()
    }
}

impl FrameBuffer {
    pub fn new() -> FrameBuffer {
        FrameBuffer { bytes: vec![0; FRAME_HEADER_BYTES], end: FRAME_HEADER_BYTES, records: 0 }
    }

    /// Whether it has no record. Sealed like this it only says what is durable.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Its records, in their order.
    pub fn records(&self) -> Records<'_> {
        Records { rest: &self.bytes[FRAME_HEADER_BYTES..self.end] }
    }

    /// Bytes that the frame takes once it is sealed.
    pub fn len_bytes(&self) -> usize {
        self.end.next_multiple_of(FRAME_ALIGN)
    }

    /// Whether one more record of so much fits. Of an empty frame every record does.
    pub fn has_room(&self, key_bytes: usize, value_bytes: usize) -> bool {
        self.end - FRAME_HEADER_BYTES + record_bytes(key_bytes, value_bytes) <= FRAME_BYTES_MAX
    }

    /// The key has this value from here on.
    pub fn put(&mut self, slot: Slot, key: &[u8], value: &[u8], expiry_ms: Option<u64>) {
        self.append(&Record { kind: Kind::Put, slot, key, value, raw: false, expiry_ms });
    }

    /// The key is gone from here on.
    pub fn remove(&mut self, slot: Slot, key: &[u8]) {
        self.append(&Record { kind: Kind::Remove, slot, key, ..Record::default() });
    }

    /// All keys of the shard are gone from here on.
    pub fn clear_all(&mut self) {
        self.append(&Record { kind: Kind::Clear, ..Record::default() });
    }

    /// Appends any record; answers where it stands.
    #[inline]
    pub fn append(&mut self, record: &Record) -> RecordAt {
        assert!(self.has_room(record.key.len(), record.value.len()), "a frame stays below 4 GiB: see has_room");
        let at = self.end;
        self.end += record.bytes();
        self.make_room(self.end);
        record.encode(&mut self.bytes[at..self.end]);
        self.records += 1;
        RecordAt(at as u32)
    }

    /// Puts a record where one of the same key stands, if it is as long as that; answers whether it did.
    #[inline]
    pub fn replace(&mut self, at: RecordAt, record: &Record) -> bool {
        record.replace(&mut self.bytes[at.0 as usize..self.end])
    }

    /// The key of a record.
    #[inline]
    pub fn key_at(&self, at: RecordAt) -> &[u8] {
        let (record, _) = Record::decode(&self.bytes[at.0 as usize..self.end]).expect("it stands there");
        record.key
    }

    #[inline]
    fn make_room(&mut self, bytes: usize) {
        if bytes > self.bytes.len() {
            self.bytes.resize(bytes, 0);
        }
    }

    /// Zeros from the last record's end to this one.
    fn pad(&mut self, end: usize) {
        self.make_room(end);
        self.bytes[self.end..end].fill(0);
    }

    /// The whole frame, ready to be written at a multiple of [`FRAME_ALIGN`]. Sequences count from 1; `durable` is the
    /// highest that is on stable storage, 0 for none; `nonce` is the [segment's](super::SegmentHeader::nonce).
    /// May be called again, for another segment; then [`reset`](Self::reset).
    pub fn seal(&mut self, sequence: u64, durable: u64, nonce: u64) -> &[u8] {
        assert!(durable < sequence, "a frame is not durable before it is written");
        let mut header = FrameHeader {
            mark: mark(nonce),
            payload_bytes: (self.end - FRAME_HEADER_BYTES) as u32,
            sequence,
            durable,
            records: self.records,
            crc: 0,
        };
        let bytes = self.len_bytes();
        self.pad(bytes);
        let frame = &mut self.bytes[..bytes];
        frame[..FRAME_HEADER_BYTES].copy_from_slice(bytemuck::bytes_of(&header));
        header.crc = checksum(seed(nonce), frame);
        frame[..FRAME_HEADER_BYTES].copy_from_slice(bytemuck::bytes_of(&header));
        frame
    }

    /// The sealed frame and so many zeros behind it, until it is [`reset`](Self::reset) or sealed again.
    pub fn with_zeros(&mut self, zeros: usize) -> &[u8] {
        let bytes = self.len_bytes() + zeros;
        self.pad(bytes);
        &self.bytes[..bytes]
    }

    /// Empties it for the next frame.
    pub fn reset(&mut self) {
        self.bytes.truncate(KEPT_BYTES_MAX);
        self.bytes.shrink_to(KEPT_BYTES_MAX);
        self.end = FRAME_HEADER_BYTES;
        self.records = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record takes another's place if it is of the same key and as long, and nothing around it changes.
    #[test]
    fn a_record_is_replaced_where_it_stands() {
        let mut frame = FrameBuffer::new();
        let put = |key, value, expiry_ms| Record { slot: Slot(1), key, value, expiry_ms, ..Record::default() };
        frame.append(&put(b"key", b"one", None));
        let at = frame.append(&put(b"other", b"one", Some(5)));
        frame.remove(Slot(1), b"gone");
        assert_eq!(frame.key_at(at), b"other");
        let before = frame.seal(1, 0, 7).to_vec();
        for no in [put(b"other", b"longer", None), put(b"other", b"", None), put(b"wrong", b"two", None)] {
            assert!(!frame.replace(at, &no));
        }
        assert_eq!(frame.seal(1, 0, 7), before);
        assert!(frame.replace(at, &Record { raw: true, ..put(b"other", b"two", None) }));
        let records: Vec<Record> = frame.records().collect();
        let [first, second, third] = records[..] else { panic!("{records:?}") };
        assert_eq!((first, third.key), (put(b"key", b"one", None), &b"gone"[..]));
        assert_eq!(second, Record { raw: true, ..put(b"other", b"two", None) });
        assert_eq!(frame.len_bytes(), before.len());
    }

    /// Zeros go to the page's end and not beyond the file's; they are no part of the frame.
    #[test]
    fn zeros_end_with_the_page() {
        let zeros = |end| zeros_behind(end, 3 * 4096 + 16);
        assert_eq!([4096, 4112, 3 * 4096 - 16, 3 * 4096 + 16].map(zeros), [0, 4080, 16, 0]);
        let mut frame = FrameBuffer::new();
        frame.put(Slot(1), b"key", b"value", None);
        let sealed = frame.seal(1, 0, 7).to_vec();
        assert_eq!(frame.with_zeros(32), [&sealed[..], &[0; 32]].concat());
        assert_eq!(frame.with_zeros(0), sealed);
        assert_eq!(frame.len_bytes(), sealed.len());
        frame.remove(Slot(1), b"other");
        let longer = frame.seal(1, 0, 7).to_vec();
        assert!(
            longer.len() > sealed.len()
                && longer[FRAME_HEADER_BYTES..].starts_with(&sealed[FRAME_HEADER_BYTES..][..28])
        );
    }
}
