//! Proves what is written and what is made of it, on bytes in memory.

mod catalog;
mod damage;
mod disk;
mod power;

use super::frame::{FrameHeader, checksum, mark, seed};
use super::*;
use crate::types::{CoreId, Slot};

const NAME: SegmentName = SegmentName { run: 3, core: CoreId(1), number: 5 };

fn header(name: SegmentName) -> SegmentHeader {
    SegmentHeader {
        name,
        cores: 2,
        first_sequence: 9,
        durable: 4,
        oldest_run: 3,
        oldest: 2,
        runs_from: 1,
        layout: 0xabc,
        secret: 0x1234_5678_9abc_def0,
        segment_bytes: SEGMENT_BYTES_DEFAULT,
    }
}

// Every byte of the block counts: what is encoded is read back, and with any byte changed it is refused.
#[test]
fn a_header_is_read_as_it_was_written_or_not_at_all() {
    let block = header(NAME).encode();
    assert_eq!(SegmentHeader::decode(NAME, &block), Ok(header(NAME)));
    for at in 0..block.len() {
        let mut changed = block;
        changed[at] ^= 0x10;
        assert!(SegmentHeader::decode(NAME, &changed).is_err(), "{at}");
        assert!(SegmentHeader::decode(NAME, &block[..at]).is_err(), "{at}");
    }
    assert!(matches!(SegmentHeader::decode(NAME.next(), &block), Err(LogError::Misnamed { inside: NAME, .. })));
}

#[test]
fn segments_of_one_chain_have_nonces_of_their_own() {
    let other = SegmentName { core: CoreId(2), ..NAME };
    let nonces =
        [NAME, NAME.next(), other, other.next(), SegmentName { run: 4, ..NAME }].map(|name| header(name).nonce());
    for (at, nonce) in nonces.iter().enumerate() {
        assert!(!nonces[..at].contains(nonce));
    }
}

// The bytes themselves, so that the format does not change unnoticed.
#[test]
fn a_frame_is_these_bytes() {
    let mut frame = FrameBuffer::new();
    assert!(frame.is_empty());
    frame.put(Slot(0x0102), b"key", b"value", Some(0x0304));
    frame.remove(Slot(0x0506), b"gone");
    frame.clear_all();
    assert_eq!((frame.is_empty(), frame.records().count(), frame.len_bytes()), (false, 3, 112));
    let nonce = 0x1111_2222_3333_4444;
    let bytes = frame.seal(7, 6, nonce).to_vec();
    let mut expected = vec![0x23, 0x22, 0x11, 0x11, 72, 0, 0, 0];
    expected.extend_from_slice(&[7, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0]);
    expected.extend_from_slice(&bytes[28..32]);
    expected.extend_from_slice(&[1, 0, 2, 1, 3, 0, 0, 0, 5, 0, 0, 0, 4, 3, 0, 0, 0, 0, 0, 0]);
    expected.extend_from_slice(b"keyvalue");
    expected.extend_from_slice(&[2, 0, 6, 5, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expected.extend_from_slice(b"gone");
    expected.extend_from_slice(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expected.resize(112, 0);
    assert_eq!(bytes, expected);
    let read = FrameHeader::read(&bytes);
    assert_eq!((read.mark, read.frame_bytes()), (mark(nonce), 112));
    assert_eq!(read.crc, checksum(seed(nonce), &bytes));
    assert_ne!(frame.seal(7, 6, nonce ^ 1)[28..32], bytes[28..32], "another segment, another checksum");
    assert_eq!(frame.seal(7, 6, nonce), bytes, "sealed again it is the same");
    frame.put(Slot(0), b"", b"", None);
    assert_eq!(FrameHeader::read(frame.seal(7, 6, nonce)).payload_bytes, 92, "padding is no record");
    frame.reset();
    assert_eq!((frame.is_empty(), frame.seal(8, 7, nonce).len()), (true, FRAME_HEADER_BYTES));
}
