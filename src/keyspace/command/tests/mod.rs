//! Commands against what redis-server answered to the same ones, and against the events that it told.

use super::{BitOp, LcsOptions, Request, apply, bitop, lcs};
use crate::keyspace::{Changes, EventClasses, Key, KeyEvent, NewValue, Policy, Shard, ShardOptions, Value, interest};
use crate::protocol::command::{Command, lookup, lookup_full};
use crate::protocol::resp::{Arg, Args, Output, Proto, Reply};
use crate::types::{SLOTS, Slot};
use std::collections::BTreeSet;

/// The end of 2023: behind the expiries that have passed in the files, before those that lie ahead.
const NOW_MS: u64 = 1_700_000_000_000;

/// One shard, and a client of a protocol.
struct Stage {
    shard: Shard,
    proto: Proto,
    now_ms: u64,
}

impl Stage {
    fn new(proto: Proto) -> Stage {
        let options = ShardOptions { hash_seed: [1, 2, 3, 4], draw_seed: 5, place: |_| Slot(0) };
        Stage { shard: Shard::new(&options), proto, now_ms: NOW_MS }
    }

    /// Runs a command in the notation of the files, key by key as an engine would; each end of line becomes a space.
    fn run(&mut self, line: &str) -> String {
        let words: Vec<Vec<u8>> = line.split(' ').map(bytes).collect();
        let mut out = Output::default();
        if words[0] == b"LCS" {
            self.lcs(&words, &mut out);
        } else if words[0] == b"OBJECT" {
            self.apply(Command::ObjectEncoding, &[&words[1], &words[2]], &mut out);
        } else {
            let spec = lookup(&words[0]).expect("the command is in the table");
            let (first, last) = (usize::from(spec.keys.first), spec.keys.last);
            let args: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            if last < 0 {
                args[first..].chunks(usize::from(spec.keys.step)).for_each(|part| {
                    self.apply(spec.command, &[&[args[0]], part].concat(), &mut out);
                });
            } else {
                self.apply(spec.command, &args, &mut out);
            }
        }
        text(&out.flatten())
    }

    fn apply(&mut self, command: Command, words: &[&[u8]], out: &mut Output) {
        let hash = self.shard.hash(words[1]);
        with_args(words, |args| {
            let mut request = Request { command, args, slot: Slot(0), hash, hint: None };
            apply(&mut self.shard, self.now_ms, &mut request, &mut Reply { out, proto: self.proto });
        });
    }

    fn lcs(&mut self, words: &[Vec<u8>], out: &mut Output) {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let [a, b] = [words[1], words[2]].map(|key| self.value(key));
        let mut reply = Reply { out, proto: self.proto };
        with_args(&words, |args| match LcsOptions::parse(&args) {
            Ok(options) => lcs(&a, &b, &options, &mut reply),
            Err(error) => reply.error(error),
        });
    }

    fn value(&mut self, bytes: &[u8]) -> Vec<u8> {
        let key = Key { bytes, slot: Slot(0), hash: self.shard.hash(bytes), hint: None };
        let item = self.shard.find(&key, self.now_ms);
        item.map_or(Vec::new(), |item| Value::bytes(self.shard.value(item)).to_vec())
    }

    fn events(&mut self) -> Vec<KeyEvent> {
        let mut events = Vec::new();
        self.shard.take_events(&mut events);
        assert!(!self.shard.has_events());
        events
    }
}

fn with_args(words: &[&[u8]], run: impl FnOnce(Args)) {
    let (text, mut at) = (words.concat(), 0);
    let args: Vec<Arg> = words
        .iter()
        .map(|word| {
            at += word.len();
            Arg::text(at - word.len(), word.len())
        })
        .collect();
    run(Args::new(&text, &args, &mut []));
}

/// A word of the files: `\xNN` is a byte, `\\` a backslash.
fn bytes(word: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), word);
    while let Some((plain, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        rest = match escape.strip_prefix('x') {
            Some(hex) => {
                bytes.push(u8::from_str_radix(&hex[..2], 16).expect("two digits"));
                &hex[2..]
            }
            None => {
                bytes.push(b'\\');
                &escape[1..]
            }
        };
    }
    [&bytes, rest.as_bytes()].concat()
}

/// A reply in the notation of the files.
fn text(reply: &[u8]) -> String {
    let shown = |byte: &u8| match byte {
        b'\\' => "\\\\".to_owned(),
        0x20..0x7f => char::from(*byte).to_string(),
        byte => format!("\\x{byte:02x}"),
    };
    let mut text: String = reply.iter().map(shown).collect();
    text = text.replace("\\x0d\\x0a", " ");
    text.trim().to_owned()
}

/// The lines of a file behind its head: a command and what is expected of it.
fn cases(file: &str) -> impl Iterator<Item = (&str, &str)> {
    file.lines().skip(1).map(|line| line.split_once('\t').expect("a tab between the columns"))
}

#[test]
fn replies_are_those_of_redis() {
    for (proto, file) in [
        (Proto::Resp2, include_str!("bits.txt")),
        (Proto::Resp2, include_str!("bitfield.txt")),
        (Proto::Resp2, include_str!("dump.txt")),
        (Proto::Resp2, include_str!("lcs.txt")),
        (Proto::Resp3, include_str!("lcs_resp3.txt")),
    ] {
        let mut stage = Stage::new(proto);
        for (command, reply) in cases(file) {
            assert_eq!(stage.run(command), reply, "{command}");
        }
    }
}

/// The lines of `events.txt`: a command, its events, the keys that it changes.
fn event_cases() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    cases(include_str!("events.txt")).map(|(command, expected)| {
        let (events, changed) = expected.split_once('\t').expect("a tab between the columns");
        (command, events, changed)
    })
}

/// Names, keys and order are Redis's, whatever classes are told; and a class is told alone where it is asked for alone.
#[test]
fn events_are_those_of_redis() {
    for letters in ["KEAnm", "Em", "K$", "Eg", "En", "mng$", ""] {
        let classes = EventClasses::parse(letters).expect("they are known");
        let mut stage = Stage::new(Proto::Resp2);
        stage.shard.set_event_classes(classes);
        for (command, expected, _) in event_cases() {
            stage.run(command);
            let told: Vec<String> = stage
                .events()
                .iter()
                .map(|event| format!("{} {}", event.name, String::from_utf8_lossy(&event.key)))
                .collect();
            let published = letters.contains(['K', 'E']);
            let asked = |event: &&str| published && classes.has(class_of(event));
            let expected: Vec<&str> = expected.split(", ").filter(|event| !event.is_empty()).filter(asked).collect();
            assert_eq!(told, expected, "{command} with {letters:?}");
        }
    }
}

/// What changes a key is seen by whoever watches it or keeps it, and what leaves it as it was is not.
#[test]
fn changes_are_those_of_redis() {
    let mut stage = Stage::new(Proto::Resp2);
    stage.shard.watch_every(true);
    for (command, _, expected) in event_cases() {
        stage.run(command);
        let mut changes = Changes::default();
        stage.shard.swap_told(&mut changes);
        let changed: BTreeSet<String> =
            changes.iter().map(|(_, key)| String::from_utf8_lossy(key).into_owned()).collect();
        let expected: BTreeSet<String> =
            expected.split(' ').filter(|key| !key.is_empty()).map(|key| key.replace(['(', ')'], "")).collect();
        assert_eq!(changed, expected, "{command}");
    }
}

fn class_of(event: &str) -> EventClasses {
    match event.split(' ').next() {
        Some("new") => EventClasses::NEW,
        Some("keymiss") => EventClasses::KEY_MISS,
        Some("del" | "expire" | "persist" | "restore") => EventClasses::GENERIC,
        _ => EventClasses::STRING,
    }
}

/// What goes by itself is told under the name of why it went: met too late, swept, evicted.
#[test]
fn keys_that_go_by_themselves_are_told() {
    let event = |class, name, key: &[u8]| KeyEvent { class, name, key: key.into() };
    let mut stage = Stage::new(Proto::Resp2);
    stage.shard.set_event_classes(EventClasses::parse("KA").expect("they are known"));
    for line in ["PSETEX met 10 v", "PSETEX swept 10 v", "SETRANGE large 100000 v", "PEXPIRE large 10"] {
        stage.run(line);
    }
    stage.events();
    stage.now_ms += 10;
    assert_eq!(stage.run("GET met"), "$-1");
    assert_eq!(stage.events(), [event(EventClasses::EXPIRED, "expired", b"met")]);
    assert!(!stage.shard.sweep(stage.now_ms, 100));
    let mut swept = stage.events();
    swept.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(swept, [b"large", &b"swept"[..]].map(|key| event(EventClasses::EXPIRED, "expired", key)));
    stage.run("SET evicted v");
    stage.events();
    stage.shard.set_policy(Policy::AllKeysLru, 5);
    assert!(stage.shard.evict_one());
    assert_eq!(stage.events(), [event(EventClasses::EVICTED, "evicted", b"evicted")]);
}

/// RESTORE gives a key the frequency that it had elsewhere, where the policy counts that.
#[test]
fn a_frequency_is_restored() {
    const PAYLOAD: &str = "\\x00\\xc0\\x00\\x0a\\x00\\x98@\\xa7x\\xf8P\\x03\\x08";
    let mut stage = Stage::new(Proto::Resp2);
    stage.shard.set_policy(Policy::AllKeysLfu, 5);
    for (frequency, least, greatest) in [(0, 0, 0), (1, 1, 8), (100, 95, 107), (255, 255, 255)] {
        stage.run(&format!("RESTORE k 0 {PAYLOAD} REPLACE FREQ {frequency}"));
        let key = Key { bytes: b"k", slot: Slot(0), hash: stage.shard.hash(b"k"), hint: None };
        let item = stage.shard.find(&key, NOW_MS).expect("it was restored");
        let restored = stage.shard.frequency(item).expect("the policy counts it");
        assert!((least..=greatest).contains(&restored), "{frequency} {restored}");
    }
}

/// Values in records of their own, and ones that grow into one, take bits as small ones do.
#[test]
fn large_values_have_bits_too() {
    let mut stage = Stage::new(Proto::Resp2);
    assert_eq!(stage.run("SETBIT k 9999999 1"), ":0");
    assert_eq!(stage.run("SETBIT k 3 1"), ":0");
    assert_eq!(stage.run("STRLEN k"), ":1250000");
    assert_eq!(stage.run("BITCOUNT k"), ":2");
    assert_eq!(stage.run("BITPOS k 1 1"), ":9999999");
    assert_eq!(stage.run("BITFIELD k SET u8 9999992 255 GET u16 9999984"), "*2 :1 :255");
    assert_eq!(stage.run("BITFIELD k SET u8 20000000 7"), "*1 :0");
    assert_eq!(stage.run("BITCOUNT k 1250000 -1"), ":3");
    stage.run("SET small abc");
    assert_eq!(stage.run("SETBIT small 9999999 1"), ":0");
    assert_eq!(stage.run("GETRANGE small 0 3"), "$4 abc\\x00");
    assert_eq!(stage.run("BITPOS small 1 3"), ":9999999");
}

/// What LCS and BITOP refuse, in the words of Redis.
#[test]
fn several_values_are_bounded_and_checked() {
    let mut out = Output::default();
    let long = vec![b'x'; 12_000];
    lcs(&long, &long, &LcsOptions::default(), &mut Reply { out: &mut out, proto: Proto::Resp2 });
    assert_eq!(text(&out.flatten()), "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
    let parse = |line: &str| {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let mut parsed = Err("");
        with_args(&words, |args| parsed = BitOp::parse(&args));
        parsed
    };
    assert_eq!(parse("BITOP and d a b"), Ok(BitOp::And));
    assert_eq!(parse("BITOP NOT d a"), Ok(BitOp::Not));
    assert_eq!(parse("BITOP NOT d a b"), Err("ERR BITOP NOT must be called with a single source key."));
    assert_eq!(parse("BITOP NAND d a b"), Err("ERR syntax error"));
    assert_eq!(bitop(BitOp::Not, &[b""]), b"");
    assert_eq!(bitop(BitOp::And, &[b"abc", b""]), b"\0\0\0");
}

/// The letters of `notify-keyspace-events` come back as redis-server's CONFIG GET shows them.
#[test]
fn classes_are_read_and_shown_as_in_redis() {
    for (letters, shown) in [
        ("", ""),
        ("KEA", "AKE"),
        ("AKEn", "AKE"),
        ("AnmKE", "AKEm"),
        ("KEn", "nKE"),
        ("EKm$g", "g$KEm"),
        ("KEgx$lshzetd", "AKE"),
        ("ggdt", "gtd"),
    ] {
        let classes = EventClasses::parse(letters).expect("they are known");
        assert_eq!(classes.to_string(), shown, "{letters}");
        assert_eq!(EventClasses::parse(&classes.letters()), Some(classes), "{letters}");
    }
    for letters in ["q", "KEAx ", "é"] {
        assert_eq!(EventClasses::parse(letters), None, "{letters}");
    }
}

/// An edit that leaves the bytes as they were still leaves a value that Redis keeps as raw, and is no change.
#[test]
fn a_bit_set_to_what_it_was_is_no_change() {
    let mut stage = Stage::new(Proto::Resp2);
    stage.run("SET k 0");
    let hash = stage.shard.hash(b"k");
    stage.shard.watch(hash, interest::COPIES);
    assert_eq!(stage.run("SETBIT k 7 0"), ":0");
    assert!(!stage.shard.has_changes());
    assert_eq!(stage.run("OBJECT ENCODING k"), "$3 raw");
    assert_eq!(stage.run("SETBIT k 7 1"), ":0");
    assert!(stage.shard.has_changes());
}

/// No request's bytes make these commands panic: every command that takes bits or a dump, with words of all kinds.
#[test]
fn any_words_are_answered() {
    let words = ["0", "-1", "k", "9223372036854775807", "-9223372036854775808", "u8", "i64", "#3", "GET", "SET", "BIT"];
    let mut stage = Stage::new(Proto::Resp3);
    let key = Key { bytes: b"k", slot: Slot(0), hash: stage.shard.hash(b"k"), hint: None };
    stage.shard.put(&key, None, NewValue::Bytes(b"\x0f\xf0"), None);
    for name in ["setbit", "getbit", "bitcount", "bitpos", "bitfield", "bitfield_ro", "dump", "restore", "substr"] {
        let spec = lookup_full(name.as_bytes()).expect("it is in the table");
        for seed in 0..words.len().pow(4) {
            let picked = (0..4).map(|at| words[seed / words.len().pow(at) % words.len()]);
            let line: Vec<&str> = [name, "k"].into_iter().chain(picked).collect();
            for count in (2..=line.len()).filter(|count| spec.arity_fits(*count)) {
                stage.run(&line[..count].join(" "));
            }
        }
    }
}

/// While clients are paused, who reads a key that has expired leaves it there. Who then writes finds it: there are never two.
#[test]
fn what_has_expired_and_stayed_is_replaced() {
    for line in [
        "SET k v",
        "SET k v GET",
        "SET k v XX",
        "GETSET k v",
        "GETDEL k",
        "GETEX k EX 5",
        "SETNX k v",
        "SETEX k 5 v",
        "INCR k",
        "INCRBYFLOAT k 1",
        "APPEND k v",
        "SETRANGE k 1 v",
        "SETBIT k 1 1",
        "BITFIELD k SET u8 0 1",
        "EXPIRE k 5",
        "PERSIST k",
        "MSET k v",
    ] {
        let mut stage = Stage::new(Proto::Resp2);
        stage.run("SET k old PX 1");
        stage.now_ms += 10;
        stage.shard.keeps_expired = true;
        assert!(stage.run("GET k").starts_with("$-1") && stage.shard.len() == 1, "{line}");
        stage.run(line);
        stage.shard.keeps_expired = false;
        stage.run("DEL k");
        assert!(stage.shard.is_empty(), "{line}");
    }
}

/// Writes what has changed into a frame that nobody keeps.
fn log(shard: &mut Shard) {
    shard.fill_frame(usize::MAX, || [0; SLOTS / 8]);
    shard.frame_written(None);
}

/// Keys whose last change may not last are shown by no command, with or without a look-up before; others are. Once it lasts
/// they are again.
#[test]
fn what_is_in_doubt_is_not_shown() {
    let mut stage = Stage::new(Proto::Resp2);
    stage.shard.keep_dirt(true);
    for line in ["SET safe 1", "SET taken 1", "SET noted 1"] {
        assert_eq!(stage.run(line), "+OK");
    }
    log(&mut stage.shard);
    stage.shard.dirt_is_safe();
    // What is only logged once more is not in doubt.
    stage.shard.soil_key(Slot(0), b"safe");
    stage.run("SET taken 2");
    log(&mut stage.shard);
    stage.run("SET noted 2");
    let look = |stage: &mut Stage, name: &str| {
        let hash = stage.shard.hash(name.as_bytes());
        let hint = stage.shard.probe(Slot(0), hash);
        let mut out = Output::default();
        with_args(&[b"GET", name.as_bytes()], |args| {
            let mut request = Request { command: Command::Get, args, slot: Slot(0), hash, hint };
            apply(&mut stage.shard, NOW_MS, &mut request, &mut Reply { out: &mut out, proto: Proto::Resp2 });
        });
        text(&out.flatten())
    };
    assert_eq!(look(&mut stage, "noted"), "$1 2");
    stage.shard.doubt();
    stage.shard.refuse_writes(true);
    for line in ["GET taken", "GET noted", "STRLEN taken", "EXISTS noted", "TTL taken"] {
        assert!(stage.run(line).starts_with("-MISCONF Errors writing to the log: whether"), "{line}");
    }
    assert!(look(&mut stage, "taken").starts_with("-MISCONF"));
    assert_eq!((stage.run("GET safe"), look(&mut stage, "safe")), ("$1 1".into(), "$1 1".into()));
    assert!(stage.run("SET safe 3").starts_with("-MISCONF Errors writing to the log: see"));
    stage.shard.trust();
    stage.shard.refuse_writes(false);
    assert_eq!((stage.run("GET taken"), look(&mut stage, "noted")), ("$1 2".into(), "$1 2".into()));
}

/// Where it may not last that all keys have gone, none is shown to be there or not.
#[test]
fn a_flush_in_doubt_hides_all_keys() {
    for taken in [false, true] {
        let mut stage = Stage::new(Proto::Resp2);
        stage.shard.keep_dirt(true);
        stage.run("SET a 1");
        log(&mut stage.shard);
        stage.shard.dirt_is_safe();
        stage.shard.clear();
        if taken {
            log(&mut stage.shard);
        }
        stage.shard.doubt();
        stage.shard.refuse_writes(true);
        for line in ["GET a", "EXISTS a", "GET b"] {
            assert!(stage.run(line).starts_with("-MISCONF Errors writing to the log: whether"), "{line} {taken}");
        }
        log(&mut stage.shard);
        stage.shard.dirt_is_safe();
        stage.shard.trust();
        stage.shard.doubt();
        assert_eq!(stage.run("GET a"), "$-1");
    }
}
