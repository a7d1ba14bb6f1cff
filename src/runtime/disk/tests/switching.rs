//! Proves what is on the disk while a log is switched off and on: what was logged stays until all keys are in the new log,
//! and counts alone until then.

use super::*;
use crate::log::unfinished_name;

impl Desk {
    /// As CONFIG SET appendonly no does.
    fn switch_off(&mut self) -> bool {
        let lasts = self.disk.finish(&mut self.engine);
        self.engine.end_log();
        self.is_off = true;
        lasts
    }

    /// As CONFIG SET appendonly yes does; the marker is answered.
    fn switch_on(&mut self) -> PathBuf {
        let contents = Contents::list(&self.dir).expect("it can be read");
        let (run, keeper) = (contents.next_run(), self.disk.keeper.clone());
        let marker = self.dir.join(unfinished_name(run));
        File::create_new(&marker).expect("there is room");
        let switches = self.ledger.next_switches(true);
        self.ledger.expect_rewriting(switches);
        self.ledger.switch_log(switches);
        let first = SegmentHeader::first(SegmentName { run, core: CoreId(0), number: 0 }, run ^ 77, SEGMENT_BYTES);
        let markers = contents.unfinished.iter().map(|run| unfinished_name(*run));
        let names = contents.segments.iter().map(SegmentName::to_string).chain(markers);
        let options = DiskOptions {
            dir: self.dir.clone(),
            segment_bytes: SEGMENT_BYTES,
            amplification: 2,
            earlier: Vec::new(),
            next: SegmentHeader { runs_from: run, ..first },
            keeper,
            outlived: Some(names.map(|name| self.dir.join(name)).collect()),
            marker: Some(marker.clone()),
            switches,
        };
        (self.disk, self.is_off) = (Disk::new(options, &mut self.engine), false);
        self.engine.begin_log();
        self.engine.begin_rewrite();
        marker
    }

    /// A turn, and what follows of it where there is one core.
    fn turn_and_bury(&mut self) {
        self.turn();
        let switches = self.disk.switches;
        if self.disk.is_newly_rewritten() {
            self.ledger.core_rewritten(switches);
        }
        if !self.ledger.is_rewriting(switches) {
            self.disk.bury_outlived(&mut self.engine, &self.ledger, self.now.mono_us).expect("there is room");
        }
        if !self.ledger.has_outlived(switches) {
            self.disk.forget_outlived();
        }
    }
}

/// A log of a few segments, switched off, and keys that came later.
fn switched_off(folder: &Folder) -> Desk {
    let mut desk = Desk::open(folder, Fsync::Always);
    for number in 0..2000 {
        desk.tell(&format!("SET key:{number} {}", "x".repeat(100)));
    }
    desk.until("all is written", |desk| desk.disk.written == desk.engine.log_position());
    assert!(desk.switch_off());
    assert_eq!(keys_of(folder), 2000);
    desk.tell("DEL key:1 key:2\nSET late 1");
    desk
}

/// How many keys a start would find.
fn keys_of(folder: &Folder) -> usize {
    let mut keys = std::collections::BTreeSet::new();
    for (records, _) in folder.records() {
        for record in records {
            match record.strip_prefix('-') {
                Some(key) => keys.remove(key),
                None => record.split_once('=').is_some_and(|(key, _)| keys.insert(key.to_owned())),
            };
        }
    }
    keys.len()
}

/// Whenever it ends meanwhile, the log is the older one as it was, or the new one whole.
#[test]
fn a_log_that_begins_anew_counts_once_it_is_whole() {
    let folder = Folder::new("anew");
    let mut desk = switched_off(&folder);
    let marker = desk.switch_on();
    let mut turns = 0;
    while marker.exists() {
        turns += 1;
        desk.turn_and_bury();
        if desk.disk.outlived.is_settled() {
            break;
        }
        desk.tell(&format!("SET turn:{turns} 1"));
        // Looked at before: the keeper may take the marker away at any time.
        let kept = keys_of(&folder);
        assert!(kept == 2000 || !marker.exists(), "{kept} keys after {turns} turns");
    }
    assert!(turns > 5, "in pieces: {turns} turns");
    desk.until("it is noticed", |desk| {
        desk.turn_and_bury();
        !desk.ledger.is_beginning_log() && desk.disk.outlived.is_settled()
    });
    desk.tell("SET last 1");
    let kept = desk.engine.keys();
    desk.finish();
    assert_eq!(keys_of(&folder), kept);
    let names = folder.segments();
    assert!(names.iter().all(|name| name.starts_with("0000000002-")), "what was before is gone: {names:?}");
    let desk = Desk::open(&folder, Fsync::Always);
    assert_eq!(desk.engine.keys(), kept);
    desk.crash();
}

/// It is switched off before it was whole: nothing counts of it, and the next one makes an end of it as well.
#[test]
fn a_log_that_was_never_whole_goes_with_the_next() {
    let folder = Folder::new("halves");
    let mut desk = switched_off(&folder);
    let half = desk.switch_on();
    desk.until("it has begun", |desk| desk.disk.written > 2);
    assert!(!desk.engine.is_rewritten());
    desk.switch_off();
    assert!(half.exists());
    assert_eq!(keys_of(&folder), 2000);
    let marker = desk.switch_on();
    assert_ne!(half, marker);
    desk.until("it is whole", |desk| {
        desk.turn_and_bury();
        !marker.exists()
    });
    let kept = desk.engine.keys();
    desk.until("it is noticed", |desk| {
        desk.turn_and_bury();
        desk.disk.outlived.is_settled()
    });
    desk.finish();
    assert!(!half.exists());
    assert_eq!(keys_of(&folder), kept);
}

/// A server that ends before its log is whole makes it so first.
#[test]
fn the_end_of_the_server_waits_for_all_keys() {
    let folder = Folder::new("ending");
    let mut desk = switched_off(&folder);
    let marker = desk.switch_on();
    desk.turn();
    desk.disk.finish_rewrite(&mut desk.engine);
    assert!(desk.disk.finish(&mut desk.engine) && desk.disk.is_newly_rewritten());
    fs::remove_file(marker).expect("it is there");
    assert_eq!(keys_of(&folder), desk.engine.keys());
    desk.crash();
}

/// A log without a key makes an end of what was before all the same.
#[test]
fn an_empty_log_is_whole_as_well() {
    for ends in [false, true] {
        let folder = Folder::new("empty");
        let mut desk = switched_off(&folder);
        desk.tell("FLUSHALL");
        let marker = desk.switch_on();
        if ends {
            desk.disk.finish_rewrite(&mut desk.engine);
            assert!(desk.disk.finish(&mut desk.engine) && desk.disk.is_newly_rewritten());
            fs::remove_file(marker).expect("it is there");
        } else {
            desk.until("it is whole", |desk| {
                desk.turn_and_bury();
                !marker.exists()
            });
        }
        assert_eq!(keys_of(&folder), 0);
        desk.crash();
    }
}

/// A log that failed is ended and begun anew: writes are taken, and nothing is in doubt.
#[test]
fn a_failed_log_can_be_begun_anew() {
    let folder = Folder::new("failed");
    let mut desk = Desk::open(&folder, Fsync::Always);
    desk.tell("SET a 1");
    desk.tell("SET b 1");
    desk.answers();
    // As the worker does.
    desk.disk.fail("write", &io::Error::other("it is planted"));
    desk.engine.give_up_answers(&mut desk.effects);
    desk.engine.log_failed();
    desk.answers();
    desk.tell("SET c 1");
    assert!(desk.answers().starts_with("-MISCONF"));
    assert!(!desk.switch_off());
    desk.tell("SET c 1\nGET b");
    assert_eq!(desk.answers(), "+OK\r\n$1\r\n1\r\n");
    let marker = desk.switch_on();
    desk.until("it is whole", |desk| {
        desk.turn_and_bury();
        !marker.exists()
    });
    desk.crash();
    let desk = Desk::open(&folder, Fsync::Always);
    assert_eq!(desk.engine.keys(), 3);
    desk.crash();
}
