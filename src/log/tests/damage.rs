//! Proves that damage is noticed wherever it is, and that it never makes a record that nobody wrote.

use super::super::*;
use super::disk::*;

/// What a damaged directory gives: how many frames, and whether anything was said.
fn read(disk: &Disk, files: &Files) -> (usize, Result<Verdict, LogError>) {
    let (frames, ended) = replay(files, usize::MAX);
    let verdict = ended.map(|summaries| summaries[0].verdict.clone());
    (prefix(&disk.frames, &frames), verdict)
}

// Every byte of all files is changed in turn. Frames that later ones call durable are there, or the log is refused; the
// last ones may be taken for a torn tail, which is said.
#[test]
fn no_changed_byte_is_served() {
    let disk = sample();
    let all = disk.frames.len();
    let mut refused = 0;
    for (name, bytes) in &disk.files {
        let mut files = disk.files.clone();
        for (at, byte) in bytes.iter().enumerate() {
            files.get_mut(name).expect("it is there")[at] ^= 1 << (at % 8);
            match read(&disk, &files) {
                (_, Err(LogError::Corrupt { name: found, offset, .. })) => {
                    refused += 1;
                    assert!(found == *name && offset <= at as u64, "{name} {at}: said to be in {found} at {offset}");
                }
                (_, Err(error)) => panic!("{name} {at}: {error}"),
                (frames, Ok(Verdict::Clean)) => assert_eq!(frames, all, "{name} {at}: lost in silence"),
                (frames, Ok(Verdict::Torn(_))) => assert_eq!(frames, all - 1, "{name} {at}: promised, and dropped"),
            }
            files.get_mut(name).expect("it is there")[at] = *byte;
        }
    }
    assert!(refused > 20_000, "{refused}");
}

// A damaged header leaves its frames to be found, since their nonces are known from the chain's other headers.
#[test]
fn what_was_not_promised_is_torn_wherever_the_damage_is() {
    let mut disk = Disk::new(HEADER_BYTES + 1024);
    (0..40).for_each(|number| disk.write(&[put(number)]));
    for (name, bytes) in &disk.files {
        for at in (0..bytes.len()).step_by(7) {
            let mut files = disk.files.clone();
            files.get_mut(name).expect("it is there")[at] ^= 0x80;
            let (frames, verdict) = read(&disk, &files);
            let verdict = verdict.unwrap_or_else(|error| panic!("{name} {at}: {error}"));
            assert!(frames == 40 || matches!(verdict, Verdict::Torn(_)), "{name} {at}");
        }
    }
}

#[test]
fn a_file_that_is_cut_short_is_noticed() {
    let disk = sample();
    for (name, bytes) in &disk.files {
        for length in 0..bytes.len() {
            let mut files = disk.files.clone();
            files.get_mut(name).expect("it is there").truncate(length);
            match read(&disk, &files) {
                (_, Err(LogError::Corrupt { .. })) => assert_ne!(*name, disk.last(), "{length}"),
                (_, Err(error)) => panic!("{name} {length}: {error}"),
                // Behind its frames a file may end; the next segment says that none is missing.
                (frames, Ok(Verdict::Clean)) => assert!(frames == 41 && *name != disk.last(), "{name} {length}"),
                (_, Ok(Verdict::Torn(torn))) => assert_eq!(torn.name, disk.last(), "{name} {length}"),
            }
        }
    }
}

// Zeros, garbage, and a frame of which only parts arrived, at every place where the last frame may end.
#[test]
fn a_tail_does_not_keep_from_starting() {
    let disk = sample();
    let last = disk.last();
    let end = disk.end();
    for from in end - 32..disk.segment_bytes {
        let tail = |fill: fn(usize) -> u8| {
            let mut files = disk.files.clone();
            let file = files.get_mut(&last).expect("it is there");
            (from..file.len()).for_each(|at| file[at] = fill(at));
            files
        };
        for files in [tail(|_| 0), tail(|_| 0xff), tail(|at| (at as u8).wrapping_mul(167).wrapping_add(13))] {
            let (frames, verdict) = read(&disk, &files);
            verdict.expect("nothing promised is missing");
            assert_eq!(frames, if from < end { 40 } else { 41 }, "{from}");
        }
    }
}

// A power cut before the last segment had its header: zeros, an empty file, the beginning of a file.
#[test]
fn a_segment_that_was_being_made_is_no_obstacle() {
    let disk = sample();
    let next = disk.last().next();
    for (length, torn) in [(disk.segment_bytes, false), (HEADER_BYTES, false), (0, true), (100, true)] {
        let mut files = disk.files.clone();
        files.insert(next, vec![0; length]);
        let (frames, verdict) = read(&disk, &files);
        assert_eq!((frames, matches!(verdict, Ok(Verdict::Torn(_)))), (41, torn), "{length} {verdict:?}");
        let only: Files = [(name(0), vec![0; length])].into();
        assert!(replay(&only, 100).1.is_ok(), "{length}");
    }
}

// The rest of a segment that was taken over: frames of another segment, whole, at the very places.
#[test]
fn stale_frames_are_none() {
    let disk = sample();
    let last = disk.last();
    for (name, stale) in disk.files.iter().filter(|(name, _)| **name != last) {
        let mut files = disk.files.clone();
        let end = disk.end();
        files.get_mut(&last).expect("it is there")[end..].copy_from_slice(&stale[end..]);
        let (frames, verdict) = read(&disk, &files);
        assert_eq!((frames, verdict), (41, Ok(Verdict::Clean)), "{name}");
    }
}

// A value that is a frame, whole with the nonce of another segment: nobody knows that of this one.
#[test]
fn a_value_that_looks_like_a_frame_is_none() {
    let mut disk = Disk::new(HEADER_BYTES + 8192);
    let mut frame = FrameBuffer::new();
    frame.put(crate::types::Slot(1), b"key", b"value", None);
    let forged = frame.seal(1000, 999, 0x1234).repeat(20);
    disk.write(&[(Kind::Put, 1, b"k".to_vec(), forged, None)]);
    let mut files = disk.files.clone();
    files.get_mut(&name(0)).expect("it is there")[HEADER_BYTES + 40] ^= 1;
    assert!(matches!(verdict(&files), Ok(Verdict::Torn(Torn { frames: 0, .. }))));
}

#[test]
fn what_is_missing_is_named() {
    let disk = sample();
    for number in 0..disk.last().number {
        let mut files = disk.files.clone();
        files.remove(&name(number));
        let missing = LogError::Missing { name: name(number), later: name(number + 1) };
        assert_eq!(verdict(&files), Err(missing));
    }
    let mut files = disk.files.clone();
    files.insert(disk.last().next().next(), vec![0; 5000]);
    assert_eq!(verdict(&files), Ok(Verdict::Clean), "nothing was ever in it");
}

#[test]
fn what_is_no_part_of_the_chain_is_refused() {
    let disk = sample();
    let copied = |from: u64, to: u64| {
        let mut files = disk.files.clone();
        files.insert(name(to), files[&name(from)].clone());
        verdict(&files)
    };
    assert_eq!(copied(2, 3), Err(LogError::Misnamed { name: name(3), inside: name(2) }));
    assert_eq!(copied(4, 5), Err(LogError::Misnamed { name: name(5), inside: name(4) }));
    let replaced = |number: u64, header: SegmentHeader| {
        let mut files = disk.files.clone();
        files.get_mut(&name(number)).expect("it is there")[..HEADER_BYTES].copy_from_slice(&header.encode());
        verdict(&files)
    };
    let header = SegmentHeader::decode(name(3), &disk.files[&name(3)]).expect("it is sound");
    let foreign = SegmentHeader { secret: 5, ..header };
    assert_eq!(replaced(3, foreign), Err(LogError::Foreign { name: name(3) }));
    let overlaps = SegmentHeader { first_sequence: header.first_sequence - 1, ..header };
    let overlap =
        LogError::Overlap { name: name(3), expected: header.first_sequence, found: header.first_sequence - 1 };
    assert_eq!(replaced(3, overlaps), Err(overlap));
    let skips = SegmentHeader { first_sequence: header.first_sequence + 1, ..header };
    assert!(matches!(replaced(3, skips), Err(LogError::Corrupt { sequence, .. }) if sequence == header.first_sequence));
}

// Of the only segment of a chain no frame can be told once its header is lost; whether there are any can.
#[test]
fn the_only_header_is_lost() {
    let mut disk = Disk::new(HEADER_BYTES + 1024);
    let mut files = disk.files.clone();
    files.get_mut(&name(0)).expect("it is there")[20] ^= 1;
    assert!(matches!(verdict(&files), Ok(Verdict::Torn(Torn { bytes: 0, .. }))), "{:?}", verdict(&files));
    disk.write(&[put(1)]);
    let mut files = disk.files.clone();
    files.get_mut(&name(0)).expect("it is there")[..HEADER_BYTES].fill(0);
    let error = verdict(&files).expect_err("there is a frame");
    assert!(matches!(error, LogError::HeaderLost { .. }), "{error}");
    assert_eq!(error.cut(), Some((name(0), 0)));
}

// A start goes on behind a torn tail with a segment of its own, and later starts read past the tear.
#[test]
fn a_chain_goes_on_behind_a_torn_tail() {
    let mut disk = sample();
    let (last, torn_at) = (disk.last(), disk.end());
    disk.write(&[put(1), put(2)]);
    disk.write(&[put(3)]);
    disk.files.get_mut(&last).expect("it is there")[torn_at + 40] ^= 1;
    let (frames, verdict) = read(&disk, &disk.files);
    assert_eq!(frames, 41);
    let Ok(Verdict::Torn(torn)) = verdict else { panic!("{verdict:?}") };
    assert_eq!((torn.name, torn.offset, torn.sequence, torn.frames), (last, torn_at as u64, 42, 1));
    disk.frames.truncate(41);
    disk.sync();
    disk.next_segment();
    disk.write(&[put(4)]);
    disk.sync();
    disk.mark();
    let (frames, verdict) = read(&disk, &disk.files);
    assert_eq!((frames, verdict), (43, Ok(Verdict::Clean)));
}

// A checksum can be right and the records wrong only if they were written like this.
#[test]
fn a_frame_of_no_known_records_is_refused() {
    let mut disk = Disk::new(HEADER_BYTES + 1024);
    disk.write(&[put(1)]);
    let at = disk.end();
    disk.write(&[put(2)]);
    let bytes = disk.files.get_mut(&name(0)).expect("it is there");
    let nonce = SegmentHeader::decode(name(0), bytes).expect("it is sound").nonce();
    bytes[at + FRAME_HEADER_BYTES] = 9;
    let length = bytes[at + 4] as usize + FRAME_HEADER_BYTES;
    let crc = super::checksum(super::seed(nonce), &bytes[at..at + length.next_multiple_of(FRAME_ALIGN)]);
    bytes[at + 28..at + 32].copy_from_slice(&crc.to_le_bytes());
    let malformed = LogError::Malformed { name: name(0), offset: at as u64, sequence: 2 };
    assert_eq!(verdict(&disk.files), Err(malformed));
}

// A length that no file has is not believed: nothing is read or allocated for it.
#[test]
fn an_announced_length_takes_no_memory() {
    let mut disk = Disk::new(HEADER_BYTES + 1024);
    disk.write(&[put(1)]);
    let file = disk.files.get_mut(&name(0)).expect("it is there");
    file[HEADER_BYTES + 4..HEADER_BYTES + 8].copy_from_slice(&u32::MAX.to_le_bytes());
    let chain = Catalog::new(find(&disk.files), &[]).expect("a log").chains.remove(0);
    let mut replay = Replay::new(chain);
    while let Ok(Step::Read { offset, .. }) = replay.advance() {
        let space = replay.space();
        assert!(space.len() <= 1024, "{}", space.len());
        space.copy_from_slice(&disk.files[&name(0)][offset as usize..offset as usize + space.len()]);
        let bytes = space.len();
        replay.filled(bytes);
    }
    assert!(matches!(replay.summary().verdict, Verdict::Torn(_)));
}

// A frame longer than what is read at once is read whole, and the buffer is no longer than it needs.
#[test]
fn a_frame_may_be_longer_than_a_piece() {
    let mut disk = Disk::new(HEADER_BYTES + 8 * PIECE_BYTES);
    let value: Vec<u8> = (0..3 * PIECE_BYTES + 5).map(|at| at as u8).collect();
    disk.write(&[put(1)]);
    disk.write(&[(Kind::Put, 1, b"long".to_vec(), value, None), put(2)]);
    disk.write(&[put(3)]);
    for piece in [usize::MAX, 4096, 100_001] {
        let (frames, ended) = replay(&disk.files, piece);
        assert_eq!(prefix(&disk.frames, &frames), 3);
        assert_eq!(ended.expect("it is sound")[0].verdict, Verdict::Clean);
    }
}

// A file that has become shorter since it was found ends where it ends.
#[test]
fn a_file_that_shrinks_while_it_is_read() {
    let disk = sample();
    let chain = Catalog::new(find(&disk.files), &[]).expect("a log").chains.remove(0);
    let mut replay = Replay::new(chain);
    let mut frames = 0;
    let ended = loop {
        match replay.advance() {
            Ok(Step::Read { .. }) if frames > 0 => replay.filled(0),
            Ok(Step::Read { name, offset }) => {
                let space = replay.space();
                let bytes = space.len().min(150);
                space[..bytes].copy_from_slice(&disk.files[&name][offset as usize..offset as usize + bytes]);
                replay.filled(bytes);
            }
            Ok(Step::Frame(_)) => frames += 1,
            ended => break ended.map(|_| ()),
        }
    };
    assert!(matches!(ended, Err(LogError::Corrupt { sequence: 2, .. })), "{ended:?}");
    assert_eq!(frames, 1);
}

// Each message says where, and what to do.
#[test]
fn messages() {
    let disk = sample();
    let mut files = disk.files.clone();
    files.get_mut(&name(2)).expect("it is there")[HEADER_BYTES + 40] ^= 1;
    let text = verdict(&files).expect_err("it is durable").to_string();
    let (start, rest) = text.split_once(": its checksum is ").expect("a checksum");
    assert_eq!(start, "0000000003-0001-000000000002.log: at 4096: frame 20 is damaged");
    let end = "; by 0000000003-0001-000000000002.log at 4208 it was durable; restore the file, or give up what is behind \
               with coldplate log repair";
    assert!(rest.ends_with(end), "{text}");
}
