//! Proves how old segments go, and that those stay which cannot be read.

use super::*;

/// A log that is written over and over keeps its bound: old segments are gone through, said to be dead, and taken away, and
/// what is left holds all keys.
#[test]
fn old_segments_are_cleaned() {
    let folder = Folder::new("clean");
    let mut desk = Desk::open(&folder, Fsync::Always);
    desk.tell("SET stays 1\nSET goes 2");
    desk.tell("DEL goes");
    for number in 0..400_u64 {
        desk.tell(&format!("SET key:{} {number}{}", number % 3, "x".repeat(4000)));
        desk.until("it is written", |desk| desk.disk.written == desk.engine.log_position());
    }
    let oldest = SegmentName { run: 1, core: CoreId(0), number: 0 };
    desk.until("the first segment goes", |desk| {
        let is_there = desk.dir.join(oldest.to_string()).exists();
        !is_there || desk.disk.free.contains(&oldest)
    });
    // One that is dead is kept.
    let bound = 2 * desk.engine.live_log_bytes() + 5 * SEGMENT_BYTES;
    desk.until("it keeps its bound", |desk| desk.disk.counts.disk_bytes <= bound);
    desk.finish();
    let mut desk = Desk::open(&folder, Fsync::Always);
    assert_eq!(desk.engine.keys(), 4);
    desk.answers();
    desk.tell("GET stays\nEXISTS goes");
    assert_eq!(desk.answers(), "$1\r\n1\r\n:0\r\n");
    desk.crash();
}

/// The steps of an old segment's end, one by one: it counts until what was cleaned is durable, and stays until a header
/// that calls it dead is.
#[test]
fn a_segment_goes_after_its_death_is_durable() {
    let folder = Folder::new("elders");
    let mut desk = Desk::open(&folder, Fsync::Always);
    desk.tell("SET a 1");
    desk.finish();
    let mut desk = Desk::open(&folder, Fsync::Always);
    let name = |run| SegmentName { run, core: CoreId(0), number: 0 };
    let mut cleaning =
        Cleaning::new(Elders::new(vec![(name(1), 100)], SEGMENT_BYTES, 2, Pace::default()), &mut desk.engine);
    cleaning.elders.loaded(&[(name(1), 2)]);
    assert_eq!(
        (cleaning.elders.oldest(), cleaning.elders.bytes(), cleaning.elders.wants_age(false)),
        (Some(name(1)), 100, false)
    );
    cleaning.elders.ask_for_round(true);
    assert!(cleaning.elders.wants_age(false));
    cleaning.begin_age(&mut desk.engine);
    cleaning.elders.push(name(2), 50);
    assert!(!cleaning.elders.wants_age(false));
    let room_bytes = 1 << 30;
    let turn = |now_us, durable| Account { now_us, room_bytes, durable, ..Account::default() };
    let mut now_us = 0;
    while !cleaning.elders.waits() {
        now_us += CLEAN_US;
        cleaning.turn(&mut desk.engine, &folder.0, &turn(now_us, 0));
    }
    // The key was logged before the age began, so it is logged again: in the next frame.
    assert_eq!((desk.engine.log_position(), cleaning.elders.oldest()), (1, Some(name(1))));
    cleaning.turn(&mut desk.engine, &folder.0, &turn(now_us, 0));
    assert_eq!(cleaning.elders.oldest(), Some(name(1)), "what replaces it is not durable");
    cleaning.turn(&mut desk.engine, &folder.0, &turn(now_us, 1));
    assert_eq!(
        (cleaning.elders.oldest(), cleaning.elders.bytes()),
        (Some(name(2)), 150),
        "it does not count, and is there"
    );
    assert_eq!(cleaning.elders.take_buried(), [], "no header says so");
    cleaning.elders.state();
    assert_eq!(cleaning.elders.take_buried(), [(name(1), 100)]);
    assert_eq!((cleaning.elders.bytes(), cleaning.elders.waits()), (50, false));
    desk.crash();
}

/// Without room for what would be logged once more nothing is cleaned, and a segment that cannot be read stays, whatever
/// else happens.
#[test]
fn a_segment_that_cannot_be_cleaned_stays() {
    let folder = Folder::new("stuck");
    let mut desk = Desk::open(&folder, Fsync::Always);
    let lost = SegmentName { run: 1, core: CoreId(0), number: 7 };
    let mut cleaning =
        Cleaning::new(Elders::new(vec![(lost, 100)], SEGMENT_BYTES, 2, Pace::default()), &mut desk.engine);
    cleaning.elders.loaded(&[(lost, 1)]);
    cleaning.elders.ask_for_round(true);
    cleaning.begin_age(&mut desk.engine);
    let turn = |room_bytes| Account { now_us: 1, room_bytes, durable: 9, ..Account::default() };
    cleaning.turn(&mut desk.engine, &folder.0, &turn(0));
    cleaning.elders.ask_for_round(true);
    assert!(cleaning.elders.wants_age(false), "it has not been tried");
    cleaning.turn(&mut desk.engine, &folder.0, &turn(1 << 30));
    cleaning.elders.ask_for_round(true);
    assert_eq!(
        (cleaning.elders.oldest(), cleaning.elders.wants_age(false), cleaning.elders.waits()),
        (Some(lost), false, false)
    );
    assert_eq!(cleaning.elders.take_buried(), []);
    desk.crash();
}

/// Whose end or header is damaged after it was loaded is not taken for one that was torn, or never begun: keys in it would
/// be lost with it.
#[test]
fn a_segment_that_is_damaged_later_stays() {
    let folder = Folder::new("damaged");
    let mut desk = Desk::open(&folder, Fsync::Always);
    for number in 0..4 {
        desk.tell(&format!("SET key:{number} {}", "x".repeat(SEGMENT_BYTES as usize / 3)));
        desk.until("it is written", |desk| desk.disk.written == number + 1);
    }
    desk.finish();
    let first = SegmentName { run: 1, core: CoreId(0), number: 0 };
    let path = folder.0.join(first.to_string());
    let sound = fs::read(&path).expect("it is there");
    let end = sound.iter().rposition(|byte| *byte == b'x').expect("a value");
    for at in [20, end] {
        let mut desk = Desk::open(&folder, Fsync::Always);
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        fs::write(&path, bytes).expect("there is room");
        desk.tell("BGREWRITEAOF\nSET late 1");
        desk.until("it gives up", |desk| !desk.disk.cleaning.elders.is_busy());
        assert_eq!(desk.disk.cleaning.elders.oldest(), Some(first), "byte {at}");
        desk.crash();
        fs::write(&path, &sound).expect("there is room");
    }
}

/// Cleaning that was asked for needs nothing else to happen, neither a first write nor room in the ages; then the core
/// sleeps.
#[test]
fn cleaning_that_was_asked_for_is_done() {
    let folder = Folder::new("asked");
    let mut desk = Desk::open(&folder, Fsync::Always);
    desk.tell("SET a 1");
    desk.finish();
    let mut desk = Desk::open(&folder, Fsync::Always);
    desk.tell("BGREWRITEAOF");
    desk.until("all is logged anew", |desk| desk.disk.cleaning.elders.oldest().is_none() && desk.disk.written > 0);
    desk.now.mono_us += MARK_US;
    desk.turn();
    assert_eq!(desk.disk.deadline(&desk.engine, desk.now.mono_us), None);
    desk.tell("BGREWRITEAOF");
    let name = |number| SegmentName { run: 2, core: CoreId(0), number };
    let mut cleaning = Cleaning::new(Elders::new(Vec::new(), SEGMENT_BYTES, 2, Pace::default()), &mut desk.engine);
    for number in 100..103 {
        cleaning.elders.push(name(number), 100);
        cleaning.begin_age(&mut desk.engine);
    }
    cleaning.elders.ask_for_round(true);
    assert!(!cleaning.elders.wants_age(false), "there are as many ages as there may be");
    let turn = Account { now_us: 1, room_bytes: 1 << 30, durable: 9, ..Account::default() };
    cleaning.turn(&mut desk.engine, &folder.0, &turn);
    cleaning.turn(&mut desk.engine, &folder.0, &turn);
    assert_eq!((cleaning.elders.oldest(), cleaning.elders.wants_age(false)), (Some(name(101)), true));
    desk.crash();
}

/// A dead segment is taken over for one to come. What it still holds behind the last frame is nothing, whenever that ends.
#[test]
fn a_dead_segment_is_taken_over() {
    let folder = Folder::new("taken");
    let mut desk = Desk::open(&folder, Fsync::Always);
    let has_stale = |desk: &Desk| {
        let Some(segment) = &desk.disk.segment else { return false };
        let mut rest = vec![0; (segment.bytes - segment.at) as usize];
        segment.file.read_exact_at(&mut rest, segment.at).expect("it can be read");
        // Files that are made are zeros.
        rest.iter().any(|byte| *byte != 0)
    };
    let mut number = 0_u64;
    desk.until("one is taken over", |desk| {
        number += 1;
        desk.tell(&format!("SET key:{} {number}{}", number % 5, "x".repeat(3000)));
        has_stale(desk)
    });
    desk.tell("SET last 1");
    desk.until("all is written", |desk| desk.disk.written == desk.engine.log_position());
    let kept = desk.engine.keys();
    desk.crash();
    let records = folder.records();
    assert_eq!(records.last().expect("a chain").1, Verdict::Clean);
    let mut desk = Desk::open(&folder, Fsync::Always);
    assert_eq!(desk.engine.keys(), kept);
    desk.answers();
    desk.tell("GET last");
    assert_eq!(desk.answers(), "$1\r\n1\r\n");
    desk.crash();
}

/// One that cannot be taken over is made anew.
#[test]
fn what_cannot_be_taken_over_is_made() {
    let folder = Folder::new("untaken");
    let mut desk = Desk::open(&folder, Fsync::Always);
    let lost = SegmentName { run: 1, core: CoreId(0), number: 77 };
    fs::write(folder.0.join(lost.to_string()), b"short").expect("there is room");
    for free in [lost, lost.next()] {
        desk.disk.free = vec![free];
        let value = "x".repeat(SEGMENT_BYTES as usize / 3 * 2);
        let before = desk.disk.next.name.number;
        desk.until("the next begins", |desk| {
            desk.tell(&format!("SET a {value}"));
            desk.disk.next.name.number > before
        });
        desk.until("one is made", |desk| matches!(desk.disk.spare, Spare::There { .. }));
        assert!(desk.disk.free.is_empty() && !folder.0.join(free.to_string()).exists());
    }
    desk.finish();
}
