//! Proves what a core's log does with real files: how it is written, synced, cleaned and read back, and what it says when
//! there is no room. Each test has a folder of its own, which goes with it, and a clock that it turns by hand.

mod cleaning;
mod switching;

use super::folder::Contents;
use super::*;
use crate::engine::{Effects, EngineOptions, Event, Host, HostReport, Ledger, Settings, ShellCounts};
use crate::keyspace::ShardOptions;
use crate::log::{Chain, Kind, Replay, Step, Verdict};
use crate::routing::{SlotTable, slot_of};
use crate::runtime::uring::{Completion, RingConfig, Wait};
use crate::types::{ConnId, CoreId};
use std::fs;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

const CONN: ConnId = ConnId { index: 0, generation: 1 };
const SEGMENT_BYTES: u64 = 64 * 1024;
const TURN_US: u64 = 100;
/// Long enough for any machine; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

struct Machine;

impl Host for Machine {
    fn report(&self) -> HostReport {
        HostReport::default()
    }

    fn set_log_level(&self, _level: &str) {}
}

/// A directory that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Folder {
        let folder = Folder(std::env::temp_dir().join(format!("coldplate-disk-{}-{test}", std::process::id())));
        let _ = fs::remove_dir_all(&folder.0);
        fs::create_dir_all(&folder.0).expect("there is room");
        folder
    }

    /// What is in its segments: each chain's records in order, and how it ends.
    fn records(&self) -> Vec<(Vec<String>, Verdict)> {
        loop {
            // The keeper may take away what was there when it was listed.
            if let Some(all) = self.chains().into_iter().map(|chain| self.read(chain)).collect() {
                return all;
            }
            std::thread::yield_now();
        }
    }

    fn chains(&self) -> Vec<Chain> {
        loop {
            let contents = Contents::list(&self.0).expect("it can be read");
            match find(&self.0, &contents) {
                // The keeper has taken away what was there just now.
                Err(LoadError::File(_)) => std::thread::yield_now(),
                found => return found.expect("the log is sound").chains,
            }
        }
    }

    /// None: a file of it is there no more.
    fn read(&self, chain: Chain) -> Option<(Vec<String>, Verdict)> {
        let (mut replay, mut lines) = (Replay::new(chain), Vec::new());
        loop {
            match replay.advance().expect("it is sound") {
                Step::Read { name, offset } => {
                    let file = match File::open(self.0.join(name.to_string())) {
                        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
                        opened => opened.expect("it can be opened"),
                    };
                    let bytes = file.read_at(replay.space(), offset).expect("it can be read");
                    replay.filled(bytes);
                }
                Step::Frame(frame) => {
                    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                    lines.extend(frame.records().map(|record| match record.kind {
                        Kind::Put => format!("{}={}", text(record.key), text(record.value)),
                        Kind::Remove => format!("-{}", text(record.key)),
                        Kind::Clear => "clear".to_owned(),
                    }));
                    if frame.bytes() == 0 {
                        lines.push(format!("{} durable", frame.durable));
                    }
                }
                Step::End => return Some((lines, replay.summary().verdict)),
            }
        }
    }

    fn segments(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("it is there").map(|entry| entry.expect("it can be read"));
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One core with a log, without its loop.
struct Desk {
    dir: PathBuf,
    engine: Engine,
    ledger: Arc<Ledger>,
    effects: Effects,
    ring: Ring,
    disk: Disk,
    /// The log is switched off, and the disk that of the last one.
    is_off: bool,
    now: Now,
    keeper: JoinHandle<()>,
}

impl Desk {
    /// Starts over what is in the folder, as a server does.
    fn open(folder: &Folder, fsync: Fsync) -> Desk {
        let table = Arc::new(SlotTable::compile(1, 1, &[]).expect("one core"));
        let ledger = Arc::new(Ledger::new(1));
        let mut engine = Engine::new(EngineOptions {
            core: CoreId(0),
            table,
            ledger: Arc::clone(&ledger),
            shard: ShardOptions { hash_seed: [1, 2, 3, 4], draw_seed: 5, place: slot_of },
            settings: Settings { fsync, ..Settings::default() },
            host: Arc::new(Machine),
        });
        let chains = folder.chains();
        let segments = chains.iter().flat_map(Chain::segments);
        let earlier = segments.map(|segment| (segment.name, segment.file_bytes)).collect();
        let run = chains.last().map_or(0, Chain::run) + 1;
        let (keeper, thread) = start_keeper().expect("a thread starts");
        let options = DiskOptions {
            dir: folder.0.clone(),
            segment_bytes: SEGMENT_BYTES,
            amplification: 2,
            earlier,
            next: SegmentHeader::first(SegmentName { run, core: CoreId(0), number: 0 }, run ^ 77, SEGMENT_BYTES),
            keeper,
            outlived: None,
            marker: None,
            switches: 1,
        };
        let mut disk = Disk::open(options, &mut engine);
        engine.begin_loading();
        let now = Now { mono_us: 1, unix_us: 1_700_000_000_000_000 };
        let mut loader = Loader::new(folder.0.clone(), chains, false);
        while !loader.turn(&mut engine, now).expect("the log is sound") {}
        assert_eq!(loader.loaded_bytes(), loader.bytes());
        disk.loaded(loader.frames());
        engine.end_loading();
        let ring = Ring::new(&RingConfig { entries: 8, completions: 32, buffers: 2, ..RingConfig::default() });
        let ring = ring.expect("the kernel has io_uring");
        let mut desk = Desk {
            dir: folder.0.clone(),
            engine,
            ledger,
            effects: Effects::default(),
            ring,
            disk,
            is_off: false,
            now,
            keeper: thread,
        };
        let opened = Event::Opened { conn: CONN, peer: String::new(), local: String::new() };
        desk.engine.handle(now, opened, &mut desk.effects);
        desk
    }

    /// What a client asks for, and the turn that it brings.
    fn tell(&mut self, lines: &str) -> Standing {
        let bytes: String = lines.lines().map(request).collect();
        self.engine.handle(self.now, Event::Received { chunks: &[(CONN, bytes.as_bytes())] }, &mut self.effects);
        self.turn()
    }

    fn turn(&mut self) -> Standing {
        self.now.mono_us += TURN_US;
        self.engine.turn_begins(self.now, &mut self.effects);
        self.engine.turn_ends(
            self.now,
            ShellCounts { log: self.disk.counts, ..ShellCounts::default() },
            &mut self.effects,
        );
        match self.is_off {
            true => Standing::Up(0),
            false => self.disk.turn(&mut self.engine, &mut self.ring, self.now),
        }
    }

    /// The end of a sync through the ring.
    fn await_sync(&mut self) -> Standing {
        loop {
            self.ring.enter(Wait { completions: 1, min_wait_us: 0, timeout: Some(PATIENCE) }).expect("it waits");
            if let Some(Completion::Synced { result, .. }) = self.ring.next() {
                return self.disk.synced(&mut self.engine, 1, result);
            }
        }
    }

    /// Turns until something is so. Only the keeper's thread is waited for.
    fn until(&mut self, what: &str, mut is: impl FnMut(&mut Desk) -> bool) {
        let end = std::time::Instant::now() + PATIENCE;
        while !is(self) {
            assert!(std::time::Instant::now() < end, "{what}");
            self.turn();
            std::thread::yield_now();
        }
    }

    /// Sets four keys and has no room for the last of them. The keeper makes files by their names, and there is no such folder
    /// until the one that is away comes back.
    fn use_up(&mut self, folder: &Folder, away: &Folder) {
        self.tell("SET a 1");
        self.until("the next segment", |desk| matches!(desk.disk.spare, Spare::There { .. }));
        fs::remove_dir(&away.0).and_then(|()| fs::rename(&folder.0, &away.0)).expect("it can be renamed");
        for number in 0..3 {
            self.tell(&format!("SET key:{number} {}", "x".repeat(SEGMENT_BYTES as usize / 2)));
        }
        self.until("it is known that there is no room", |desk| desk.engine.refuses_writes());
    }

    /// What clients have been answered since they were last looked at.
    fn answers(&mut self) -> String {
        let output = self.engine.take_output(CONN).map_or_else(Vec::new, |output| output.flatten());
        String::from_utf8(output).expect("text")
    }

    /// In peace.
    fn finish(mut self) {
        self.disk.finish(&mut self.engine);
        self.crash();
    }

    /// As kill -9 does; what was asked of the keeper is done all the same.
    fn crash(self) {
        drop(self.disk);
        self.keeper.join().expect("it ends with the last who may ask it");
    }
}

/// A line of words as a request; typed as it is, it could not be long.
fn request(line: &str) -> String {
    let words = line.split(' ').map(|word| format!("${}\r\n{word}\r\n", word.len()));
    format!("*{}\r\n{}", line.split(' ').count(), words.collect::<String>())
}

fn lines(records: &[&str]) -> Vec<String> {
    records.iter().map(|line| (*line).to_owned()).collect()
}

/// A turn's changes are one frame, durable before anything may leave; another start has the keys, in a chain of its own.
#[test]
fn what_was_written_comes_back() {
    let folder = Folder::new("back");
    let mut desk = Desk::open(&folder, Fsync::Always);
    assert_eq!(desk.turn(), Standing::Up(0));
    assert_eq!(desk.tell("SET a 1\nSET b 2\nINCR a\nSET c 3"), Standing::Up(1));
    assert_eq!(desk.tell("DEL c"), Standing::Up(2));
    assert_eq!((desk.disk.counts.frames, desk.disk.counts.syncs), (2, 2));
    desk.crash();
    assert_eq!(folder.records()[0], (lines(&["a=2", "b=2", "c=3", "-c"]), Verdict::Clean));
    let mut desk = Desk::open(&folder, Fsync::Always);
    assert_eq!(desk.engine.keys(), 2);
    desk.tell("SET d 4");
    desk.crash();
    let names = folder.segments();
    assert!(names.contains(&"0000000002-0000-000000000000.log".to_owned()), "{names:?}");
}

/// Under `everysec` what was written may leave at once, and is durable once the sync has ended; one is under way at a time.
#[test]
fn everysec_syncs_behind_what_leaves() {
    let folder = Folder::new("everysec");
    let mut desk = Desk::open(&folder, Fsync::EverySecond);
    desk.now.mono_us += SYNC_US;
    assert_eq!(desk.tell("SET a 1"), Standing::Up(1));
    assert_eq!((desk.disk.syncs_pending, desk.disk.durable), (1, 0));
    assert_eq!(desk.tell("SET a 2"), Standing::Up(2));
    assert_eq!(desk.await_sync(), Standing::Up(2));
    assert_eq!((desk.disk.syncs_pending, desk.disk.durable), (0, 1), "what came later is not covered");
    let due = desk.disk.deadline(&desk.engine, desk.now.mono_us).expect("a sync is due");
    assert_eq!(due, desk.disk.last_sync_us + SYNC_US);
    desk.now.mono_us = due;
    desk.turn();
    desk.await_sync();
    assert_eq!(desk.disk.durable, 2);
    desk.crash();
}

/// A core at rest says in an empty frame that its last one is durable, once; so does one that ends.
#[test]
fn the_last_frame_is_vouched_for() {
    let folder = Folder::new("mark");
    let mut desk = Desk::open(&folder, Fsync::Always);
    desk.tell("SET a 1");
    desk.turn();
    for _ in 0..3 {
        desk.now.mono_us += MARK_US;
        desk.turn();
    }
    assert_eq!(folder.records()[0].0, lines(&["a=1", "1 durable"]));
    desk.tell("SET a 2");
    desk.finish();
    assert_eq!(folder.records()[0].0, lines(&["a=1", "1 durable", "a=2", "3 durable"]));
    let desk = Desk::open(&folder, Fsync::Always);
    desk.finish();
    assert_eq!(folder.records().len(), 1, "who changes nothing begins nothing");
}

/// What a killed server left is served, so it has to last: the next start logs it once more, and a byte of it that goes bad
/// afterwards takes nothing away. What somebody vouches for is left alone.
#[test]
fn what_nothing_vouches_for_is_logged_again() {
    let folder = Folder::new("again");
    let mut desk = Desk::open(&folder, Fsync::Always);
    for line in ["SET old 1\nSET b 1", "FLUSHALL\nSET a 1", "SET b 2\nSET c 3", "SET d 4\nDEL c"] {
        desk.tell(line);
    }
    desk.crash();
    let desk = Desk::open(&folder, Fsync::Always);
    desk.finish();
    // Of the first run, all but the last frame are called durable by the next one.
    assert_eq!(folder.records().last().expect("a second chain").0, lines(&["d=4", "-c", "1 durable"]));
    let desk = Desk::open(&folder, Fsync::Always);
    desk.finish();
    assert_eq!(folder.records().len(), 2, "the third run has nothing to say");
    let last = folder.0.join("0000000001-0000-000000000000.log");
    let mut bytes = fs::read(&last).expect("it is there");
    let at = bytes.windows(4).rposition(|four| four == b"\0\0d4").expect("the last frame's value");
    bytes[at + 3] ^= 1;
    fs::write(&last, bytes).expect("there is room");
    let mut desk = Desk::open(&folder, Fsync::Always);
    assert_eq!(desk.engine.keys(), 3);
    desk.answers();
    desk.tell("MGET old a b c d");
    assert_eq!(desk.answers(), "*5\r\n$-1\r\n$1\r\n1\r\n$1\r\n2\r\n$-1\r\n$1\r\n4\r\n");
    desk.crash();
}

/// A FLUSHALL that nothing vouches for is logged again in one frame with what came behind it.
#[test]
fn a_flush_is_logged_again_with_what_is_behind_it() {
    let folder = Folder::new("flush");
    let mut desk = Desk::open(&folder, Fsync::Never);
    for line in ["SET a 1\nSET b 1", "FLUSHALL", "SET b 2", "SET c 3"] {
        desk.tell(line);
    }
    desk.crash();
    let mut desk = Desk::open(&folder, Fsync::Never);
    desk.turn();
    assert_eq!(desk.disk.counts.frames, 1);
    desk.crash();
    assert_eq!(folder.records().last().expect("a second chain").0, lines(&["clear", "b=2", "c=3"]));
}

/// Full segments make room for the next, which was made ahead; a frame that fits in none gets one of its own size.
#[test]
fn segments_follow_each_other() {
    let folder = Folder::new("segments");
    let mut desk = Desk::open(&folder, Fsync::Always);
    let value = "x".repeat(SEGMENT_BYTES as usize / 3);
    for number in 0..4 {
        let line = format!("SET key:{number} {value}");
        desk.tell(&line);
        desk.until("it is written", |desk| desk.disk.written == number + 1);
    }
    let current = desk.disk.segment.as_ref().expect("it writes");
    assert_eq!((current.name.number, desk.disk.cleaning.elders.oldest().expect("the first is full").number), (1, 0));
    let large = "y".repeat(2 * SEGMENT_BYTES as usize);
    desk.tell(&format!("SET large {large}"));
    desk.until("a larger segment", |desk| desk.disk.written == 5);
    let current = desk.disk.segment.as_ref().expect("it writes");
    assert!(current.bytes > 2 * SEGMENT_BYTES && current.name.number == 2, "{} bytes", current.bytes);
    desk.finish();
    let desk = Desk::open(&folder, Fsync::Always);
    assert_eq!(desk.engine.keys(), 5);
    desk.crash();
}

/// Without room for the next segment writes are refused and reads go on, and all is well again once there is room.
#[test]
fn no_room_refuses_writes_until_there_is_some() {
    let folder = Folder::new("room");
    let away = Folder::new("room-away");
    let mut desk = Desk::open(&folder, Fsync::Always);
    desk.use_up(&folder, &away);
    let position = desk.engine.log_position();
    desk.answers();
    let standing = desk.tell("SET late 1\nGET a");
    assert_eq!(standing, if position > desk.disk.written { Standing::Short(position) } else { Standing::Up(position) });
    let answers = desk.answers();
    assert!(answers.starts_with("-MISCONF") && answers.ends_with("$1\r\n1\r\n"), "{answers}");
    fs::rename(&away.0, &folder.0).expect("it can be renamed");
    desk.now.mono_us += 2 * MARK_US;
    desk.until("writes are taken", |desk| !desk.engine.refuses_writes());
    desk.until("all is written", |desk| desk.disk.written == desk.engine.log_position());
    desk.tell("SET late 1");
    desk.finish();
    let desk = Desk::open(&folder, Fsync::Always);
    assert_eq!(desk.engine.keys(), 5);
    desk.crash();
}

/// Whoever ends while a frame waits for room leaves it out, and all that was written comes back.
#[test]
fn what_finds_no_room_at_the_end_is_left_out() {
    let folder = Folder::new("no-end");
    let away = Folder::new("no-end-away");
    let mut desk = Desk::open(&folder, Fsync::EverySecond);
    desk.use_up(&folder, &away);
    assert!(desk.engine.has_frame());
    fs::rename(&away.0, &folder.0).expect("it can be renamed");
    assert!(!desk.disk.finish(&mut desk.engine));
    for name in folder.segments() {
        let bytes = fs::metadata(folder.0.join(&name)).expect("it is there").len();
        assert_eq!(bytes, SEGMENT_BYTES, "{name}");
    }
    desk.crash();
    let desk = Desk::open(&folder, Fsync::EverySecond);
    assert_eq!(desk.engine.keys(), 3);
    desk.crash();
}

/// A frame that waits for room is in doubt with its keys, whatever becomes durable before it.
#[test]
fn what_waits_for_room_is_not_shown() {
    let folder = Folder::new("doubt");
    let mut desk = Desk::open(&folder, Fsync::Always);
    desk.tell("SET a 1");
    let bytes: String = ["SET b 1", "GET b"].map(request).concat();
    desk.engine.handle(desk.now, Event::Received { chunks: &[(CONN, bytes.as_bytes())] }, &mut desk.effects);
    assert!(desk.engine.fill_log().is_some());
    desk.engine.log_durable(1);
    assert!(desk.answers().ends_with("$1\r\n1\r\n"));
    desk.engine.log_is_short();
    desk.engine.give_up_answers(&mut desk.effects);
    desk.tell("GET b\nGET a");
    let answers = desk.answers();
    assert!(answers.starts_with("-MISCONF") && answers.ends_with("$1\r\n1\r\n"), "{answers}");
    desk.crash();
}
