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
    desk.until("the first segment goes", |desk| !desk.dir.join(oldest.to_string()).exists());
    let bound = 2 * desk.engine.live_log_bytes() + 4 * SEGMENT_BYTES;
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
    let mut elders = Elders::new(vec![(name(1), 100)], SEGMENT_BYTES, 2, &mut desk.engine);
    elders.loaded(&[(name(1), 2)]);
    assert_eq!((elders.oldest(), elders.bytes(), elders.wants_age(false)), (Some(name(1)), 100, false));
    elders.ask_for_round(true);
    assert!(elders.wants_age(false));
    elders.begin_age(&mut desk.engine);
    elders.push(name(2), 50);
    assert!(!elders.wants_age(false));
    let room_bytes = 1 << 30;
    let turn =
        |now_us, durable| Turn { dir: &folder.0, now_us, written_bytes: 0, current_bytes: 0, room_bytes, durable };
    let mut now_us = 0;
    while !elders.waits() {
        now_us += CLEAN_US;
        elders.turn(&mut desk.engine, &turn(now_us, 0));
    }
    // The key was logged before the age began, so it is logged again: in the next frame.
    assert_eq!((desk.engine.log_position(), elders.oldest()), (1, Some(name(1))));
    elders.turn(&mut desk.engine, &turn(now_us, 0));
    assert_eq!(elders.oldest(), Some(name(1)), "what replaces it is not durable");
    elders.turn(&mut desk.engine, &turn(now_us, 1));
    assert_eq!((elders.oldest(), elders.bytes()), (Some(name(2)), 150), "it does not count, and is there");
    assert_eq!(elders.take_buried(), [], "no header says so");
    elders.state();
    assert_eq!(elders.take_buried(), [name(1)]);
    assert_eq!((elders.bytes(), elders.waits()), (50, false));
    desk.crash();
}

/// Without room for what would be logged once more nothing is cleaned, and a segment that cannot be read stays, whatever
/// else happens.
#[test]
fn a_segment_that_cannot_be_cleaned_stays() {
    let folder = Folder::new("stuck");
    let mut desk = Desk::open(&folder, Fsync::Always);
    let lost = SegmentName { run: 1, core: CoreId(0), number: 7 };
    let mut elders = Elders::new(vec![(lost, 100)], SEGMENT_BYTES, 2, &mut desk.engine);
    elders.loaded(&[(lost, 1)]);
    elders.ask_for_round(true);
    elders.begin_age(&mut desk.engine);
    let turn =
        |room_bytes| Turn { dir: &folder.0, now_us: 1, written_bytes: 0, current_bytes: 0, room_bytes, durable: 9 };
    elders.turn(&mut desk.engine, &turn(0));
    elders.ask_for_round(true);
    assert!(elders.wants_age(false), "it has not been tried");
    elders.turn(&mut desk.engine, &turn(1 << 30));
    elders.ask_for_round(true);
    assert_eq!((elders.oldest(), elders.wants_age(false), elders.waits()), (Some(lost), false, false));
    assert_eq!(elders.take_buried(), []);
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
        desk.until("it gives up", |desk| !desk.disk.elders.is_busy());
        assert_eq!(desk.disk.elders.oldest(), Some(first), "byte {at}");
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
    desk.until("all is logged anew", |desk| desk.disk.elders.oldest().is_none() && desk.disk.written > 0);
    desk.now.mono_us += MARK_US;
    desk.turn();
    assert_eq!(desk.disk.deadline(&desk.engine, desk.now.mono_us), None);
    desk.tell("BGREWRITEAOF");
    let name = |number| SegmentName { run: 2, core: CoreId(0), number };
    let mut elders = Elders::new(Vec::new(), SEGMENT_BYTES, 2, &mut desk.engine);
    for number in 100..103 {
        elders.push(name(number), 100);
        elders.begin_age(&mut desk.engine);
    }
    elders.ask_for_round(true);
    assert!(!elders.wants_age(false), "there are as many ages as there may be");
    let turn = Turn { dir: &folder.0, now_us: 1, written_bytes: 0, current_bytes: 0, room_bytes: 1 << 30, durable: 9 };
    elders.turn(&mut desk.engine, &turn);
    elders.turn(&mut desk.engine, &turn);
    assert_eq!((elders.oldest(), elders.wants_age(false)), (Some(name(101)), true));
    desk.crash();
}
