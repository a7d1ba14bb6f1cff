//! Proves what HOTKEYS and INFO tell of hot keys: two engines without a shell, a client on each, a clock that the test
//! turns by hand. One key is made hot through both cores, and each command is asked on both.

use coldplate::engine::{
    Batch, Effects, Engine, EngineOptions, Event, Host, HostReport, Ledger, Settings, ShellCounts,
};
use coldplate::keyspace::ShardOptions;
use coldplate::routing::{SlotTable, slot_of};
use coldplate::types::{ConnId, CoreId, Now};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const CORES: usize = 2;
const EPOCH_US: u64 = 1_700_000_000_000_000;

/// A clock that moves only when it is looked at.
#[derive(Default)]
struct Watched {
    us: AtomicU64,
    step_us: AtomicU64,
}

impl Host for Watched {
    fn elapsed_us(&self) -> u64 {
        let step_us = self.step_us.load(Ordering::Relaxed);
        self.us.fetch_add(step_us, Ordering::Relaxed) + step_us
    }
    fn report(&self) -> HostReport {
        HostReport::default()
    }
    fn set_log_level(&self, _: &str) {}
}

/// Some cores and the time they share.
struct Rig {
    engines: Vec<Engine>,
    host: Arc<Watched>,
    mono_us: u64,
    /// CPU time that each core is said to have used.
    cpu_us: u64,
    received: Vec<Vec<u8>>,
    /// A core whose client reads nothing.
    deaf: Option<usize>,
}

impl Rig {
    fn new() -> Rig {
        Rig::with(Settings::default())
    }

    fn with(settings: Settings) -> Rig {
        let host = Arc::new(Watched::default());
        let ledger = Arc::new(Ledger::new(CORES));
        let table = Arc::new(SlotTable::compile(CORES, 64, &[]).expect("two cores"));
        let engine = |core| {
            Engine::new(EngineOptions {
                core: CoreId(core as u16),
                table: Arc::clone(&table),
                ledger: Arc::clone(&ledger),
                shard: ShardOptions { hash_seed: [1, 2, 3, 4], draw_seed: 5, place: slot_of },
                settings: settings.clone(),
                host: Arc::clone(&host) as Arc<dyn Host + Send + Sync>,
            })
        };
        let mut rig = Rig {
            engines: (0..CORES).map(engine).collect(),
            host: Arc::clone(&host),
            mono_us: 1,
            cpu_us: 0,
            received: vec![Vec::new(); CORES],
            deaf: None,
        };
        for core in 0..CORES {
            rig.turn(core, |now, engine, effects| {
                let opened = Event::Opened { conn: Rig::CONN, peer: "peer:1".into(), local: String::new() };
                engine.handle(now, opened, effects);
            });
        }
        rig
    }

    const CONN: ConnId = ConnId { index: 0, generation: 1 };

    fn now(&self) -> Now {
        Now { mono_us: self.mono_us, unix_us: EPOCH_US + self.mono_us }
    }

    /// One turn of a core, and its letters to the others handled in theirs.
    fn turn(&mut self, core: usize, events: impl FnOnce(Now, &mut Engine, &mut Effects)) {
        let (now, mut effects) = (self.now(), Effects::default());
        self.host.us.fetch_max(now.mono_us, Ordering::Relaxed);
        let counts = ShellCounts { cpu_us: self.cpu_us, ..ShellCounts::default() };
        let engine = &mut self.engines[core];
        engine.turn_begins(now, &mut effects);
        events(now, engine, &mut effects);
        if engine.deadline().is_some_and(|at_us| at_us <= now.mono_us) {
            engine.handle(now, Event::Tick, &mut effects);
        }
        engine.turn_ends(now, counts);
        if self.deaf == Some(core) {
            return;
        }
        while let Some(output) = engine.take_output(Rig::CONN) {
            self.received[core].extend_from_slice(&output.flatten());
            engine.handle(now, Event::Sent { conn: Rig::CONN, output }, &mut effects);
        }
    }

    /// Turns until no letter is under way.
    fn settle(&mut self) {
        loop {
            let mut mail: Vec<(usize, usize, Box<Batch>)> = Vec::new();
            for from in 0..CORES {
                for to in (0..CORES).filter(|to| *to != from) {
                    mail.extend(self.engines[from].take_mail(CoreId(to as u16)).map(|batch| (from, to, batch)));
                }
            }
            let waits = |engine: &Engine| engine.wants_turn() || engine.deadline() == Some(0);
            if mail.is_empty() && !self.engines.iter().any(waits) {
                return;
            }
            for core in 0..CORES {
                let own: Vec<_> = mail.extract_if(.., |(_, to, _)| *to == core).collect();
                self.turn(core, |now, engine, effects| {
                    for (from, _, batch) in own {
                        engine.handle(now, Event::Mail { from: CoreId(from as u16), batch }, effects);
                    }
                });
            }
        }
    }

    /// Sends a request on a core's connection and waits for all it brings.
    fn ask(&mut self, core: usize, words: &[&str]) -> String {
        self.received[core].clear();
        self.send(core, words, 1);
        self.settle();
        String::from_utf8(self.received[core].clone()).expect("these replies are text")
    }

    fn send(&mut self, core: usize, words: &[&str], times: usize) {
        let mut bytes = format!("*{}\r\n", words.len());
        for word in words {
            bytes += &format!("${}\r\n{word}\r\n", word.len());
        }
        let bytes = bytes.repeat(times);
        self.turn(core, |now, engine, effects| {
            engine.handle(now, Event::Received { chunks: &[(Rig::CONN, bytes.as_bytes())] }, effects);
        });
    }

    /// Half a second of `ops` requests a window on each core.
    fn heat(&mut self, words: &[&str], ops: usize) {
        for _ in 0..50 {
            for core in 0..CORES {
                self.send(core, words, ops / 10);
            }
            self.settle();
            self.mono_us += 10_000;
            self.cpu_us += 1_000;
        }
        for core in 0..CORES {
            self.turn(core, |_, _, _| {});
        }
        self.settle();
    }

    /// The number behind a field of a RESP3 reply.
    fn number(text: &str, name: &str) -> u64 {
        let field = format!("${}\r\n{name}\r\n:", name.len());
        let at = text.find(&field).unwrap_or_else(|| panic!("{name} is missing: {text}")) + field.len();
        text[at..].split('\r').next().and_then(|digits| digits.parse().ok()).expect("it is a number")
    }
}

fn owner_of(key: &str) -> usize {
    let table = SlotTable::compile(CORES, 64, &[]).expect("two cores");
    table.owner(slot_of(key.as_bytes())).index()
}

#[test]
fn list_names_the_hot_keys_of_all_cores() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(0, &["HOTKEYS", "LIST"]), "*0\r\n");
    rig.heat(&["GET", "famous"], 500);
    for core in 0..CORES {
        let list = rig.ask(core, &["HOTKEYS", "LIST"]);
        assert!(list.starts_with("*1\r\n*18\r\n$3\r\nkey\r\n$6\r\nfamous\r\n"), "{list}");
        assert!(list.contains("replicated,folded"));
        assert_eq!(Rig::number(&list, "owner"), owner_of("famous") as u64);
        assert!((8_000..12_000).contains(&Rig::number(&list, "reads")), "{list}");
        assert_eq!((Rig::number(&list, "writes"), Rig::number(&list, "copies")), (0, 1));
        assert!((100..600).contains(&Rig::number(&list, "since-ms")), "{list}");
    }
    assert!(rig.ask(0, &["HELLO", "3"]).starts_with("%7"));
    assert!(rig.ask(0, &["HOTKEYS", "LIST"]).starts_with("*1\r\n%9\r\n"));
}

#[test]
fn explain_says_why_and_what_it_saved() {
    let mut rig = Rig::new();
    let cool = rig.ask(0, &["HOTKEYS", "EXPLAIN", "famous"]);
    assert!(cool.contains("\r\ncool\r\n") && cool.contains("since-ms\r\n$-1\r\n") && cool.contains("no core reports"));
    rig.heat(&["GET", "famous"], 500);
    rig.heat(&["INCR", "tepid"], 40);
    rig.heat(&["GET", "famous"], 500);
    for core in 0..CORES {
        let hot = rig.ask(core, &["HOTKEYS", "EXPLAIN", "famous"]);
        assert!(hot.starts_with("*22\r\n") && hot.contains("replicated,folded"), "{hot}");
        assert!(hot.contains("ops/s; asked: 1000 ops/s"), "{hot}");
        assert!(hot.contains("$4\r\ncore\r\n:0\r\n") && hot.contains("$4\r\ncore\r\n:1\r\n"), "{hot}");
        assert_eq!(Rig::number(&hot, "slot"), u64::from(slot_of(b"famous").0));
        assert_eq!(Rig::number(&hot, "copies"), 1);
        assert!(Rig::number(&hot, "hits") > 1_000 && Rig::number(&hot, "letters-saved") > 1_000, "{hot}");
    }
    assert_eq!(rig.ask(1, &["HOTKEYS", "EXPLAIN"]), "-ERR wrong number of arguments for 'hotkeys|explain' command\r\n");
}

#[test]
fn info_counts_what_hot_keys_save() {
    let mut rig = Rig::new();
    rig.heat(&["GET", "famous"], 500);
    rig.heat(&["INCR", "counter"], 500);
    for core in 0..CORES {
        let info = rig.ask(core, &["INFO", "hotkeys"]);
        let figure = |name: &str| -> u64 {
            let line = info.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{name} is missing: {info}"))
        };
        assert!(info.contains("# Hotkeys\r\nhot:on\r\n"), "{info}");
        assert_eq!(figure("promotions"), figure("hot_keys") + figure("demotions"));
        assert!(figure("replica_hits") > 1_000 && figure("fold_members") > figure("folds"), "{info}");
        assert_eq!(figure("letters_saved"), figure("replica_hits") + figure("fold_members") - figure("folds"));
        assert!(info.contains(&format!("hotkey0:key=counter,owner={},ops=", owner_of("counter"))), "{info}");
    }
    let rows = rig.ask(0, &["INFO", "cores"]);
    assert!(rows.contains(",hot_keys=") && rows.contains("skew_ratio_cpu:"), "{rows}");
}

#[test]
fn get_speaks_valkey_while_no_session_exists() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(0, &["HOTKEYS", "GET"]), "*0\r\n");
    rig.heat(&["GET", "famous"], 500);
    rig.heat(&["SET", "second", "v"], 100);
    rig.heat(&["GET", "famous"], 500);
    for core in 0..CORES {
        let got = rig.ask(core, &["HOTKEYS", "GET"]);
        assert!(got.starts_with("*1\r\n*6\r\n$3\r\nkey\r\n$6\r\nfamous\r\n$2\r\ndb\r\n:0\r\n$3\r\nqps\r\n:"), "{got}");
        assert!((8_000..12_000).contains(&Rig::number(&got, "qps")), "{got}");
    }
}

#[test]
fn a_session_counts_on_all_cores() {
    let mut rig = Rig::new();
    let start = ["HOTKEYS", "START", "METRICS", "2", "CPU", "NET", "COUNT", "2"];
    let (none, ok) = ("$-1\r\n", "+OK\r\n");
    assert_eq!(rig.ask(0, &["HOTKEYS", "STOP"]), none);
    assert_eq!(rig.ask(0, &["HOTKEYS", "RESET"]), ok);
    assert_eq!(rig.ask(0, &start[..2]), "-ERR METRICS parameter is required\r\n");
    assert_eq!(rig.ask(0, &start), ok);
    let refused = "-ERR hotkey tracking session already in progress\r\n";
    assert_eq!((rig.ask(1, &start).as_str(), rig.ask(0, &start[..2]).as_str()), (refused, refused));
    let refused = "-ERR hotkey tracking session in progress, stop tracking first\r\n";
    assert_eq!(rig.ask(1, &["HOTKEYS", "RESET"]), refused);
    rig.heat(&["SET", "famous", "0123456789"], 500);
    rig.heat(&["GET", "second"], 100);
    rig.heat(&["GET", "third"], 20);
    assert!(rig.ask(0, &["INFO", "hotkeys"]).contains("hotkeys-tracking-active:1\r\n"));
    let running = rig.ask(0, &["HOTKEYS", "GET"]);
    assert!(
        running.starts_with("*1\r\n*24\r\n$15\r\ntracking-active\r\n:1\r\n$12\r\nsample-ratio\r\n:1\r\n"),
        "{running}"
    );
    rig.mono_us += 1_000_000;
    assert_eq!((rig.ask(1, &["HOTKEYS", "STOP"]).as_str(), rig.ask(0, &["HOTKEYS", "STOP"]).as_str()), (ok, none));
    for core in 0..CORES {
        let got = rig.ask(core, &["HOTKEYS", "GET"]);
        assert_eq!(Rig::number(&got, "tracking-active"), 0);
        assert_eq!(Rig::number(&got, "collection-duration-ms"), 2_500);
        assert!(got.contains("selected-slots\r\n*1\r\n*2\r\n:0\r\n:16383\r\n"), "{got}");
        // 2,500 requests of 42 bytes on each core, and their replies of five where the key lives.
        let bytes = Rig::number(&got, "famous");
        let by_net = &got[got.find("by-net-bytes").expect("it was asked for")..];
        assert_eq!(Rig::number(by_net, "famous"), 222_500);
        assert!(bytes > 50_000, "of 300 ms of CPU time, {bytes} us went there");
        assert!(by_net.starts_with("by-net-bytes\r\n*4\r\n") && !by_net.contains("third"), "{got}");
    }
    assert_eq!(rig.ask(1, &["HOTKEYS", "RESET"]), ok);
    assert!(rig.ask(0, &["HOTKEYS", "GET"]).starts_with('*'), "Valkey's form again");
}

#[test]
fn object_asks_where_the_key_lives() {
    let mut rig = Rig::new();
    for key in ["one", "two", "three", "four"] {
        assert_eq!(rig.ask(0, &["SET", key, "12"]), "+OK\r\n");
        for core in 0..CORES {
            assert_eq!(rig.ask(core, &["OBJECT", "ENCODING", key]), "$3\r\nint\r\n");
            assert!(rig.ask(core, &["object", "freq", key]).starts_with("-ERR An LFU maxmemory policy is not"));
        }
    }
    assert_eq!(rig.ask(1, &["CONFIG", "SET", "maxmemory-policy", "allkeys-lfu"]), "+OK\r\n");
    assert_eq!(rig.ask(1, &["OBJECT", "FREQ", "none"]), "$-1\r\n");
    rig.heat(&["INCR", "famous"], 500);
    for core in 0..CORES {
        let count = rig.ask(core, &["OBJECT", "FREQ", "famous"]);
        assert!(count.starts_with(':') && count != ":0\r\n", "{count}");
        assert_eq!(rig.ask(core, &["OBJECT", "IDLETIME", "none"]), "$-1\r\n");
    }
    assert_eq!(rig.ask(0, &["OBJECT", "FREQ"]), "-ERR wrong number of arguments for 'object|freq' command\r\n");
    assert!(rig.ask(0, &["OBJECT", "HELP"]).starts_with("*11\r\n+OBJECT <subcommand>"));
}

/// Listeners on any core are told once of each turn, behind whole replies; others are told nothing.
#[test]
fn listeners_are_told_between_replies() {
    let mut rig = Rig::new();
    let resp2 = rig.ask(0, &["HOTKEYS", "NOTIFY", "ON"]);
    assert!(resp2.starts_with("-ERR HOTKEYS NOTIFY sends push messages"), "{resp2}");
    for core in 0..CORES {
        rig.ask(core, &["HELLO", "3"]);
        assert_eq!(rig.ask(core, &["HOTKEYS", "NOTIFY", "on"]), "+OK\r\n");
    }
    let pushes = |rig: &mut Rig, core: usize| {
        let text = String::from_utf8(std::mem::take(&mut rig.received[core])).expect("it is text");
        // Whatever else came is whole replies to GET.
        let (start, rest) = text.split_once(">4\r\n").unwrap_or((&text, ""));
        let start = start.trim_start_matches("+OK\r\n");
        assert!(start.split_inclusive("_\r\n").all(|reply| reply == "_\r\n"), "{start}");
        (text.matches(">4\r\n$7\r\nhotkeys\r\n").count(), rest.to_string())
    };
    rig.heat(&["GET", "famous"], 500);
    for core in 0..CORES {
        let (count, push) = pushes(&mut rig, core);
        assert_eq!(count, 1, "{push}");
        assert!(push.starts_with("$7\r\nhotkeys\r\n$3\r\nhot\r\n$6\r\nfamous\r\n$"), "{push}");
    }
    assert_eq!(rig.ask(1, &["HOTKEYS", "NOTIFY", "OFF"]), "+OK\r\n");
    for _ in 0..100 {
        rig.mono_us += 10_000;
        (0..CORES).for_each(|core| rig.turn(core, |_, _, _| {}));
        rig.settle();
    }
    assert_eq!(pushes(&mut rig, 1).0, 0);
    let (count, push) = pushes(&mut rig, 0);
    assert!(count == 1 && push.contains("$4\r\ncool\r\n$6\r\nfamous\r\n"), "{push}");
}

/// A client that reads nothing loses pushes once its output is at its bound, and the loss is counted.
#[test]
fn who_does_not_read_loses_pushes() {
    let mut rig = Rig::with(Settings { client_output_bytes_max: 4096, ..Settings::default() });
    rig.ask(0, &["HELLO", "3"]);
    rig.ask(0, &["HOTKEYS", "NOTIFY", "ON"]);
    let value = "x".repeat(10_000);
    rig.ask(1, &["SET", "large", &value]);
    rig.deaf = Some(0);
    rig.send(0, &["GET", "large"], 1);
    rig.settle();
    for _ in 0..30 {
        rig.send(1, &["INCR", "famous"], 100);
        rig.mono_us += 10_000;
        rig.settle();
        (0..CORES).for_each(|core| rig.turn(core, |_, _, _| {}));
    }
    rig.settle();
    assert!(rig.ask(1, &["INFO", "hotkeys"]).contains("pushes_lost:1\r\n"));
    rig.deaf = None;
    rig.turn(0, |_, _, _| {});
    let received = String::from_utf8(rig.received[0].clone()).expect("it is text");
    assert!(received.contains(&value) && !received.contains(">4"));
}

/// A slow request alone is logged with its time; of a slow group the largest is, and then each is timed by itself.
#[test]
fn slow_requests_are_logged() {
    let mut rig = Rig::new();
    let slow = |rig: &Rig, us| rig.host.step_us.store(us, Ordering::Relaxed);
    assert_eq!(rig.ask(0, &["CLIENT", "SETNAME", "me"]), "+OK\r\n");
    slow(&rig, 9_999);
    rig.ask(0, &["PING"]);
    slow(&rig, 20_000);
    rig.ask(0, &["GET", "alone"]);
    slow(&rig, 0);
    rig.mono_us += 1_000_000;
    assert_eq!(rig.ask(1, &["SLOWLOG", "LEN"]), ":1\r\n");
    let got = rig.ask(1, &["SLOWLOG", "GET"]);
    let body = "\r\n:20000\r\n*2\r\n$3\r\nGET\r\n$5\r\nalone\r\n$6\r\npeer:1\r\n$2\r\nme\r\n";
    assert!(got.starts_with("*1\r\n*6\r\n:0\r\n:1700000000\r\n:20000") && got.ends_with(body), "{got}");
    rig.mono_us += 2_000_000;
    slow(&rig, 20_000);
    let pipeline = b"PING\r\nSET largest 0123456789\r\nPING\r\n";
    for _ in 0..2 {
        rig.turn(1, |now, engine, effects| {
            engine.handle(now, Event::Received { chunks: &[(Rig::CONN, pipeline)] }, effects);
        });
    }
    slow(&rig, 0);
    rig.settle();
    let got = rig.ask(0, &["SLOWLOG", "GET", "-1"]);
    assert_eq!((got.matches("largest").count(), got.matches("PING").count()), (2, 2), "{got}");
    assert!(rig.ask(0, &["HOTKEYS", "SLOW", "2"]).starts_with("*2\r\n*7\r\n"));
    assert!(rig.ask(0, &["SLOWLOG", "GET", "0"]) == "*0\r\n" && got.starts_with("*5\r\n"), "{got}");
    for (words, error) in [
        (&["SLOWLOG", "GET", "-2"][..], "ERR count should be greater than or equal to -1"),
        (&["SLOWLOG", "GET", "x"], "ERR count should be greater than or equal to -1"),
        (
            &["slowlog", "gEt", "1", "2"],
            "ERR unknown subcommand or wrong number of arguments for 'gEt'. Try SLOWLOG HELP.",
        ),
        (&["SLOWLOG", "LEN", "x"], "ERR wrong number of arguments for 'slowlog|len' command"),
        (&["SLOWLOG", "x"], "ERR unknown subcommand 'x'. Try SLOWLOG HELP."),
    ] {
        assert_eq!(rig.ask(0, words), format!("-{error}\r\n"));
    }
    assert_eq!(rig.ask(0, &["CONFIG", "SET", "slowlog-max-len", "3"]), "+OK\r\n");
    assert_eq!(rig.ask(0, &["SLOWLOG", "LEN"]), ":3\r\n");
    assert_eq!(rig.ask(1, &["SLOWLOG", "RESET"]), "+OK\r\n");
    assert_eq!(rig.ask(0, &["SLOWLOG", "LEN"]), ":0\r\n");
    assert_eq!(rig.ask(0, &["CONFIG", "SET", "slowlog-log-slower-than", "0"]), "+OK\r\n");
    rig.ask(0, &["PING"]);
    assert!(rig.ask(0, &["SLOWLOG", "GET"]).contains("$4\r\nPING\r\n"), "zero logs everything");
}

/// A command on several keys of one slot is one step, though one of them is hot: its parts travel together, past the fold
/// that they must not overtake, and no copy answers the same client before they have been answered.
#[test]
fn keys_of_one_slot_are_one_step() {
    let mut rig = Rig::new();
    let (owner, holder) = (owner_of("{s}1"), 1 - owner_of("{s}1"));
    rig.heat(&["GET", "{s}1"], 500);
    rig.ask(holder, &["SET", "{s}1", "10"]);
    assert_eq!(rig.ask(holder, &["GET", "{s}1"]), "$2\r\n10\r\n");
    let to = CoreId(owner as u16);
    let requests = |rig: &mut Rig| {
        let batch = rig.engines[holder].take_mail(to);
        let counts = batch.as_ref().map_or((0, 0), |batch| (batch.requests(), batch.notes.len()));
        batch.into_iter().for_each(|batch| rig.engines[holder].return_mail(to, batch));
        counts
    };
    rig.received[holder].clear();
    rig.send(holder, &["INCR", "{s}1"], 1);
    rig.send(holder, &["MSET", "{s}1", "20", "{s}2", "21"], 1);
    assert_eq!(requests(&mut rig), (0, 1), "the fold has left, and the MSET waits for it");
    rig.settle();
    assert_eq!(String::from_utf8_lossy(&rig.received[holder]), ":11\r\n+OK\r\n");

    rig.received[holder].clear();
    rig.send(holder, &["MSET", "{s}1", "30", "{s}2", "31"], 1);
    assert_eq!(requests(&mut rig), (2, 0), "both keys in one batch, no fold");
    rig.send(holder, &["GET", "{s}1"], 1);
    rig.send(holder, &["MGET", "{s}1", "{s}2"], 1);
    rig.settle();
    let expected = "+OK\r\n$2\r\n30\r\n*2\r\n$2\r\n30\r\n$2\r\n31\r\n";
    assert_eq!(String::from_utf8_lossy(&rig.received[holder]), expected);
    assert_eq!(rig.ask(owner, &["MGET", "{s}1", "{s}2", "{s}1"]), "*3\r\n$2\r\n30\r\n$2\r\n31\r\n$2\r\n30\r\n");
    // Keys of different slots have parts of their own: copies answer what they can.
    assert_eq!(rig.ask(holder, &["MGET", "{s}1", "elsewhere"]), "*2\r\n$2\r\n30\r\n$-1\r\n");
}

/// No copy answers a client whose FLUSHALL, or anything else that went to all cores, is still on its way.
#[test]
fn no_copy_answers_behind_a_flush() {
    let mut rig = Rig::new();
    let holder = 1 - owner_of("famous");
    rig.ask(holder, &["SET", "famous", "10"]);
    rig.heat(&["GET", "famous"], 500);
    for (command, reply) in [("KEYS", "*1\r\n$6\r\nfamous\r\n$2\r\n10\r\n"), ("FLUSHALL", "+OK\r\n$-1\r\n")] {
        assert_eq!(rig.ask(holder, &["GET", "famous"]), "$2\r\n10\r\n");
        rig.received[holder].clear();
        let words = if command == "KEYS" { vec![command, "*"] } else { vec![command] };
        rig.send(holder, &words, 1);
        rig.send(holder, &["GET", "famous"], 1);
        rig.settle();
        assert_eq!(String::from_utf8_lossy(&rig.received[holder]), reply);
    }
}
