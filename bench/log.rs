//! What the log costs the processor: frames sealed, and a segment of them replayed; no disk.
//!
//! Records are Puts of 15-byte keys and 32-byte values, as in `bench/compare`: one a frame, as a client that waits for each
//! reply makes them, and 16 a frame, as a pipeline does.

mod draw;

use coldplate::log::{Catalog, FrameBuffer, HEADER_BYTES, Replay, Segment, SegmentHeader, SegmentName, Step};
use coldplate::routing::slot_of;
use coldplate::types::{CoreId, Slot};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use draw::{Draw, VALUE, key};
use std::hint::black_box;

const SEGMENT_BYTES: usize = 8 * 1024 * 1024;
const FRAMES: [(usize, &str); 2] = [(1, "one record a frame"), (16, "16 records a frame")];

fn header() -> SegmentHeader {
    let name = SegmentName { run: 1, core: CoreId(0), number: 0 };
    SegmentHeader::first(name, 1, SEGMENT_BYTES as u64)
}

/// A full segment, and how many records are in it.
fn segment(records: usize) -> (Vec<u8>, usize) {
    let (mut draw, mut frame, nonce) = (Draw::new(1), FrameBuffer::new(), header().nonce());
    let (mut file, mut sequence) = (header().encode().to_vec(), 1);
    loop {
        frame.reset();
        for _ in 0..records {
            let key = key(draw.below(1_000_000));
            frame.put(slot_of(key.as_bytes()), key.as_bytes(), VALUE, None);
        }
        if file.len() + frame.len_bytes() > SEGMENT_BYTES {
            file.resize(SEGMENT_BYTES, 0);
            return (file, (sequence as usize - 1) * records);
        }
        file.extend_from_slice(frame.seal(sequence, sequence - 1, nonce));
        sequence += 1;
    }
}

fn replay(file: &[u8]) -> usize {
    let found = Segment::found(header().name, file.len() as u64, &file[..HEADER_BYTES]);
    let mut replay = Replay::new(Catalog::new(vec![found], &[]).expect("it is sound").chains.remove(0));
    let mut records = 0;
    loop {
        match replay.advance().expect("it is sound") {
            Step::Read { offset, .. } => {
                let space = replay.space();
                let bytes = space.len();
                space.copy_from_slice(&file[offset as usize..offset as usize + bytes]);
                replay.filled(bytes);
            }
            Step::Frame(frame) => frame.records().for_each(|record| {
                black_box(record);
                records += 1;
            }),
            Step::End => return records,
        }
    }
}

fn sealing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("seal");
    for (records, name) in FRAMES {
        group.throughput(Throughput::Elements(records as u64));
        let (mut frame, key, mut sequence) = (FrameBuffer::new(), key(1), 0);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                frame.reset();
                (0..records).for_each(|_| frame.put(Slot(1), black_box(key.as_bytes()), VALUE, None));
                sequence += 1;
                black_box(frame.seal(sequence, 0, 1).len())
            });
        });
    }
}

fn replaying(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("replay");
    for (records, name) in FRAMES {
        let (file, written) = segment(records);
        assert_eq!(replay(&file), written);
        group.throughput(Throughput::Elements(written as u64));
        group.bench_function(name, |bencher| bencher.iter(|| replay(black_box(&file))));
    }
}

criterion_group!(benches, sealing, replaying);
criterion_main!(benches);
