//! Proves that a power cut loses nothing that was synced, at each write of a run and whichever sectors had arrived; and that
//! what is written is read, however it is cut into segments and pieces.

use proptest::prelude::*;

use super::super::*;
use super::disk::*;

const SECTOR_BYTES: usize = 512;

fn record() -> impl Strategy<Value = Owned> {
    let key = prop::collection::vec(any::<u8>(), 0..20);
    let value = prop::collection::vec(any::<u8>(), 0..400);
    let small = prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        8 => (0..16384u16, key.clone(), small, prop::option::of(1..u64::MAX))
            .prop_map(|(slot, key, value, expiry)| (Kind::Put, slot, key, value, expiry)),
        1 => (0..16384u16, key.clone(), value).prop_map(|(slot, key, value)| (Kind::Put, slot, key, value, None)),
        3 => (0..16384u16, key).prop_map(|(slot, key)| (Kind::Remove, slot, key, Vec::new(), None)),
        1 => Just((Kind::Clear, 0, Vec::new(), Vec::new(), None)),
    ]
}

/// Frames; behind each, whether a sync follows.
fn run() -> impl Strategy<Value = Vec<(Vec<Owned>, bool)>> {
    prop::collection::vec((prop::collection::vec(record(), 0..5), prop::bool::weighted(0.08)), 1..60)
}

/// A run on a disk on which every segment is there before it begins, empty or with another's bytes.
fn write(run: &[(Vec<Owned>, bool)], stale: bool) -> (Disk, Files, Vec<(usize, u64)>) {
    let mut disk = Disk::new(HEADER_BYTES + 2 * 1024);
    let mut fresh = Files::new();
    let other = fill(Disk::of(99, HEADER_BYTES + 1024));
    let mut syncs = vec![(1, 0)];
    for (records, sync) in run {
        disk.write(records);
        if *sync {
            disk.sync();
            syncs.push((disk.writes.len(), disk.durable));
        }
    }
    for (at, name) in disk.files.keys().enumerate() {
        let mut bytes = vec![0; disk.segment_bytes];
        if stale {
            // Taken over: wiped are header and first frame's header.
            let old = other.files.values().nth(at % 5).expect("five of them");
            (HEADER_BYTES + FRAME_HEADER_BYTES..bytes.len()).for_each(|at| bytes[at] = old[HEADER_BYTES + at % 1024]);
        }
        fresh.insert(*name, bytes);
    }
    (disk, fresh, syncs)
}

proptest! {
    #[test]
    fn what_is_written_is_read(run in run(), piece in 1usize..5000) {
        let (disk, _, _) = write(&run, false);
        let (frames, ended) = replay(&disk.files, piece);
        prop_assert_eq!(prefix(&disk.frames, &frames), disk.frames.len());
        let summaries = ended.expect("it is sound");
        let records: usize = disk.frames.iter().map(Vec::len).sum();
        prop_assert_eq!(summaries[0].records, records as u64);
        prop_assert_eq!(summaries[0].sequence, disk.sequence());
        prop_assert_eq!(&summaries[0].verdict, &Verdict::Clean);
        prop_assert_eq!(summaries[0].segments, disk.files.len() as u64);
    }

    #[test]
    fn a_power_cut_loses_nothing_that_was_synced(
        run in run(),
        stale in any::<bool>(),
        cut in any::<prop::sample::Index>(),
        arrived in prop::collection::vec(any::<bool>(), 1..64),
    ) {
        let (disk, mut files, syncs) = write(&run, stale);
        let cut = cut.index(disk.writes.len()) + 1;
        let (synced, durable) = *syncs.iter().rev().find(|(writes, _)| *writes <= cut).expect("the first header is");
        let mut arrived = arrived.iter().cycle();
        for (at, (name, offset, bytes)) in disk.writes[..cut].iter().enumerate() {
            let file = files.get_mut(name).expect("all are there");
            for place in 0..bytes.len() {
                let begins = place == 0 || (offset + place) % SECTOR_BYTES == 0;
                let end = bytes.len().min(place + SECTOR_BYTES - (offset + place) % SECTOR_BYTES);
                if begins && (at < synced || *arrived.next().expect("it goes round")) {
                    file[offset + place..offset + end].copy_from_slice(&bytes[place..end]);
                }
            }
        }
        let (frames, ended) = replay(&files, 4096);
        prop_assert!(ended.is_ok(), "refused: {}", ended.expect_err("it is"));
        prop_assert!(prefix(&disk.frames, &frames) as u64 >= durable);
    }

    #[test]
    fn garbage_does_no_harm(
        run in run(),
        holes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1usize..300, any::<u8>()), 1..6),
    ) {
        let (disk, _, _) = write(&run, false);
        let mut files = disk.files.clone();
        for (which, at, length, fill) in holes {
            let file = files.values_mut().nth(which.index(disk.files.len())).expect("it is there");
            let at = at.index(file.len());
            let end = file.len().min(at + length);
            file[at..end].fill(fill);
        }
        prefix(&disk.frames, &replay(&files, 1000).0);
    }
}
