//! Proves what HOTKEYS and INFO tell of hot keys: two engines without a shell, a client on each, a clock that the test
//! turns by hand. One key is made hot through both cores, and each command is asked on both.

mod rig;

use coldplate::engine::Settings;
use coldplate::routing::slot_of;
use coldplate::types::CoreId;
use rig::{Client, Rig};
use std::sync::atomic::Ordering;

const CORES: usize = 2;
const ONE: Client = (0, 0);
const TWO: Client = (1, 0);
const CLIENTS: [Client; CORES] = [ONE, TWO];

fn start() -> Rig {
    with(Settings::default())
}

fn with(settings: Settings) -> Rig {
    let mut rig = Rig::with(CORES, settings);
    for client in CLIENTS {
        rig.open(client);
    }
    rig
}

/// Half a second of `ops` requests a window on each core; answers what each client has received.
fn heat(rig: &mut Rig, line: &str, ops: usize) -> [String; CORES] {
    for _ in 0..50 {
        for client in CLIENTS {
            rig.tell(client, &format!("{line}\n").repeat(ops / 10));
        }
        rig.settle();
        rig.mono_us += 10_000;
        rig.cpu_us += 1_000;
    }
    rig.pass(0);
    CLIENTS.map(|client| rig.heard(client))
}

/// The number behind a field of a RESP3 reply.
fn number(text: &str, name: &str) -> u64 {
    let field = format!("${}\r\n{name}\r\n:", name.len());
    let at = text.find(&field).unwrap_or_else(|| panic!("{name} is missing: {text}")) + field.len();
    text[at..].split('\r').next().and_then(|digits| digits.parse().ok()).expect("it is a number")
}

#[test]
fn list_names_the_hot_keys_of_all_cores() {
    let mut rig = start();
    assert_eq!(rig.say(ONE, "HOTKEYS LIST"), "*0\r\n");
    heat(&mut rig, "GET famous", 500);
    for client in CLIENTS {
        let list = rig.say(client, "HOTKEYS LIST");
        assert!(list.starts_with("*1\r\n*18\r\n$3\r\nkey\r\n$6\r\nfamous\r\n"), "{list}");
        assert!(list.contains("replicated,folded"));
        assert_eq!(number(&list, "owner"), rig.owner("famous") as u64);
        assert!((8_000..12_000).contains(&number(&list, "reads")), "{list}");
        assert_eq!((number(&list, "writes"), number(&list, "copies")), (0, 1));
        assert!((100..600).contains(&number(&list, "since-ms")), "{list}");
    }
    assert!(rig.say(ONE, "HELLO 3").starts_with("%7"));
    assert!(rig.say(ONE, "HOTKEYS LIST").starts_with("*1\r\n%9\r\n"));
}

#[test]
fn explain_says_why_and_what_it_saved() {
    let mut rig = start();
    let cool = rig.say(ONE, "HOTKEYS EXPLAIN famous");
    assert!(cool.contains("\r\ncool\r\n") && cool.contains("since-ms\r\n$-1\r\n") && cool.contains("no core reports"));
    heat(&mut rig, "GET famous", 500);
    heat(&mut rig, "INCR tepid", 40);
    heat(&mut rig, "GET famous", 500);
    for client in CLIENTS {
        let hot = rig.say(client, "HOTKEYS EXPLAIN famous");
        assert!(hot.starts_with("*22\r\n") && hot.contains("replicated,folded"), "{hot}");
        assert!(hot.contains("ops/s; asked: 1000 ops/s"), "{hot}");
        assert!(hot.contains("$4\r\ncore\r\n:0\r\n") && hot.contains("$4\r\ncore\r\n:1\r\n"), "{hot}");
        assert_eq!(number(&hot, "slot"), u64::from(slot_of(b"famous").0));
        assert_eq!(number(&hot, "copies"), 1);
        assert!(number(&hot, "hits") > 1_000 && number(&hot, "letters-saved") > 1_000, "{hot}");
    }
    assert_eq!(rig.say(TWO, "HOTKEYS EXPLAIN"), "-ERR wrong number of arguments for 'hotkeys|explain' command\r\n");
}

#[test]
fn info_counts_what_hot_keys_save() {
    let mut rig = start();
    heat(&mut rig, "GET famous", 500);
    heat(&mut rig, "INCR counter", 500);
    for client in CLIENTS {
        let info = rig.say(client, "INFO hotkeys");
        let mut figure = |name: &str| rig.figure(client, name);
        assert!(info.contains("# Hotkeys\r\nhot:on\r\n"), "{info}");
        assert_eq!(figure("promotions"), figure("hot_keys") + figure("demotions"));
        assert!(figure("replica_hits") > 1_000 && figure("fold_members") > figure("folds"), "{info}");
        assert_eq!(figure("letters_saved"), figure("replica_hits") + figure("fold_members") - figure("folds"));
        assert!(info.contains(&format!("hotkey0:key=counter,owner={},ops=", rig.owner("counter"))), "{info}");
    }
    let rows = rig.say(ONE, "INFO cores");
    assert!(rows.contains(",hot_keys=") && rows.contains("skew_ratio_cpu:"), "{rows}");
}

#[test]
fn get_speaks_valkey_while_no_session_exists() {
    let mut rig = start();
    assert_eq!(rig.say(ONE, "HOTKEYS GET"), "*0\r\n");
    heat(&mut rig, "GET famous", 500);
    heat(&mut rig, "SET second v", 100);
    heat(&mut rig, "GET famous", 500);
    for client in CLIENTS {
        let got = rig.say(client, "HOTKEYS GET");
        assert!(got.starts_with("*1\r\n*6\r\n$3\r\nkey\r\n$6\r\nfamous\r\n$2\r\ndb\r\n:0\r\n$3\r\nqps\r\n:"), "{got}");
        assert!((8_000..12_000).contains(&number(&got, "qps")), "{got}");
    }
}

#[test]
fn a_session_counts_on_all_cores() {
    let mut rig = start();
    let (bare, start_session) = ("HOTKEYS START", "HOTKEYS START METRICS 2 CPU NET COUNT 2");
    let (none, ok) = ("$-1\r\n", "+OK\r\n");
    assert_eq!(rig.say(ONE, "HOTKEYS STOP"), none);
    assert_eq!(rig.say(ONE, "HOTKEYS RESET"), ok);
    assert_eq!(rig.say(ONE, bare), "-ERR METRICS parameter is required\r\n");
    assert_eq!(rig.say(ONE, start_session), ok);
    let refused = "-ERR hotkey tracking session already in progress\r\n";
    assert_eq!((rig.say(TWO, start_session).as_str(), rig.say(ONE, bare).as_str()), (refused, refused));
    let refused = "-ERR hotkey tracking session in progress, stop tracking first\r\n";
    assert_eq!(rig.say(TWO, "HOTKEYS RESET"), refused);
    heat(&mut rig, "SET famous 0123456789", 500);
    heat(&mut rig, "GET second", 100);
    heat(&mut rig, "GET third", 20);
    assert!(rig.say(ONE, "INFO hotkeys").contains("hotkeys-tracking-active:1\r\n"));
    let running = rig.say(ONE, "HOTKEYS GET");
    assert!(
        running.starts_with("*1\r\n*24\r\n$15\r\ntracking-active\r\n:1\r\n$12\r\nsample-ratio\r\n:1\r\n"),
        "{running}"
    );
    rig.mono_us += 1_000_000;
    assert_eq!((rig.say(TWO, "HOTKEYS STOP").as_str(), rig.say(ONE, "HOTKEYS STOP").as_str()), (ok, none));
    for client in CLIENTS {
        let got = rig.say(client, "HOTKEYS GET");
        assert_eq!(number(&got, "tracking-active"), 0);
        assert_eq!(number(&got, "collection-duration-ms"), 2_500);
        assert!(got.contains("selected-slots\r\n*1\r\n*2\r\n:0\r\n:16383\r\n"), "{got}");
        // 2,500 requests of 42 bytes on each core, and their replies of five where the key lives.
        let bytes = number(&got, "famous");
        let by_net = &got[got.find("by-net-bytes").expect("it was asked for")..];
        assert_eq!(number(by_net, "famous"), 222_500);
        assert!(bytes > 50_000, "of 300 ms of CPU time, {bytes} us went there");
        assert!(by_net.starts_with("by-net-bytes\r\n*4\r\n") && !by_net.contains("third"), "{got}");
    }
    assert_eq!(rig.say(TWO, "HOTKEYS RESET"), ok);
    assert!(rig.say(ONE, "HOTKEYS GET").starts_with('*'), "Valkey's form again");
}

#[test]
fn object_asks_where_the_key_lives() {
    let mut rig = start();
    for key in ["one", "two", "three", "four"] {
        assert_eq!(rig.say(ONE, &format!("SET {key} 12")), "+OK\r\n");
        for client in CLIENTS {
            assert_eq!(rig.say(client, &format!("OBJECT ENCODING {key}")), "$3\r\nint\r\n");
            assert!(rig.say(client, &format!("object freq {key}")).starts_with("-ERR An LFU maxmemory policy is not"));
        }
    }
    assert_eq!(rig.say(TWO, "CONFIG SET maxmemory-policy allkeys-lfu"), "+OK\r\n");
    assert_eq!(rig.say(TWO, "OBJECT FREQ none"), "$-1\r\n");
    heat(&mut rig, "INCR famous", 500);
    for client in CLIENTS {
        let count = rig.say(client, "OBJECT FREQ famous");
        assert!(count.starts_with(':') && count != ":0\r\n", "{count}");
        assert_eq!(rig.say(client, "OBJECT IDLETIME none"), "$-1\r\n");
    }
    assert_eq!(rig.say(ONE, "OBJECT FREQ"), "-ERR wrong number of arguments for 'object|freq' command\r\n");
    assert!(rig.say(ONE, "OBJECT HELP").starts_with("*11\r\n+OBJECT <subcommand>"));
}

/// Listeners on any core are told once of each turn, behind whole replies; others are told nothing.
#[test]
fn listeners_are_told_between_replies() {
    let mut rig = start();
    let resp2 = rig.say(ONE, "HOTKEYS NOTIFY ON");
    assert!(resp2.starts_with("-ERR HOTKEYS NOTIFY sends push messages"), "{resp2}");
    for client in CLIENTS {
        rig.say(client, "HELLO 3");
        assert_eq!(rig.say(client, "HOTKEYS NOTIFY on"), "+OK\r\n");
    }
    let pushes = |text: &str| {
        // Whatever else came is whole replies to GET.
        let (start, rest) = text.split_once(">4\r\n").unwrap_or((text, ""));
        assert!(start.split_inclusive("_\r\n").all(|reply| reply == "_\r\n"), "{start}");
        (text.matches(">4\r\n$7\r\nhotkeys\r\n").count(), rest.to_string())
    };
    for told in heat(&mut rig, "GET famous", 500) {
        let (count, push) = pushes(&told);
        assert_eq!(count, 1, "{push}");
        assert!(push.starts_with("$7\r\nhotkeys\r\n$3\r\nhot\r\n$6\r\nfamous\r\n$"), "{push}");
    }
    assert_eq!(rig.say(TWO, "HOTKEYS NOTIFY OFF"), "+OK\r\n");
    for _ in 0..100 {
        rig.pass(10_000);
    }
    assert_eq!(rig.heard(TWO), "");
    let (count, push) = pushes(&rig.heard(ONE));
    assert!(count == 1 && push.contains("$4\r\ncool\r\n$6\r\nfamous\r\n"), "{push}");
}

/// A client that reads nothing loses pushes once its output is at its bound, and the loss is counted.
#[test]
fn who_does_not_read_loses_pushes() {
    let mut rig = with(Settings { client_output_bytes_max: 4096, ..Settings::default() });
    rig.say(ONE, "HELLO 3");
    rig.say(ONE, "HOTKEYS NOTIFY ON");
    let value = "x".repeat(10_000);
    rig.say(TWO, &format!("SET large {value}"));
    rig.deaf.insert(ONE);
    rig.tell(ONE, "GET large");
    rig.settle();
    for _ in 0..30 {
        rig.tell(TWO, &"INCR famous\n".repeat(100));
        rig.pass(10_000);
    }
    assert!(rig.say(TWO, "INFO hotkeys").contains("pushes_lost:1\r\n"));
    rig.deaf.clear();
    rig.turn(0, |_, _, _| {});
    let received = rig.heard(ONE);
    assert!(received.contains(&value) && !received.contains(">4"));
}

/// A slow request alone is logged with its time; of a slow group the largest is, and then each is timed by itself.
#[test]
fn slow_requests_are_logged() {
    let mut rig = start();
    let slow = |rig: &Rig, us| rig.stage.step_us.store(us, Ordering::Relaxed);
    assert_eq!(rig.say(ONE, "CLIENT SETNAME me"), "+OK\r\n");
    slow(&rig, 9_999);
    rig.say(ONE, "PING");
    slow(&rig, 20_000);
    rig.say(ONE, "GET alone");
    slow(&rig, 0);
    rig.mono_us += 1_000_000;
    assert_eq!(rig.say(TWO, "SLOWLOG LEN"), ":1\r\n");
    let got = rig.say(TWO, "SLOWLOG GET");
    let body = "\r\n:20000\r\n*2\r\n$3\r\nGET\r\n$5\r\nalone\r\n$10\r\n10.0.0.0:0\r\n$2\r\nme\r\n";
    assert!(got.starts_with("*1\r\n*6\r\n:0\r\n:1700000000\r\n:20000") && got.ends_with(body), "{got}");
    rig.mono_us += 2_000_000;
    slow(&rig, 20_000);
    for _ in 0..2 {
        rig.tell(TWO, "PING\nSET largest 0123456789\nPING");
    }
    slow(&rig, 0);
    rig.settle();
    rig.heard(TWO);
    let got = rig.say(ONE, "SLOWLOG GET -1");
    assert_eq!((got.matches("largest").count(), got.matches("PING").count()), (2, 2), "{got}");
    assert!(rig.say(ONE, "HOTKEYS SLOW 2").starts_with("*2\r\n*7\r\n"));
    assert!(rig.say(ONE, "SLOWLOG GET 0") == "*0\r\n" && got.starts_with("*5\r\n"), "{got}");
    for (line, error) in [
        ("SLOWLOG GET -2", "ERR count should be greater than or equal to -1"),
        ("SLOWLOG GET x", "ERR count should be greater than or equal to -1"),
        ("slowlog gEt 1 2", "ERR unknown subcommand or wrong number of arguments for 'gEt'. Try SLOWLOG HELP."),
        ("SLOWLOG LEN x", "ERR wrong number of arguments for 'slowlog|len' command"),
        ("SLOWLOG x", "ERR unknown subcommand 'x'. Try SLOWLOG HELP."),
    ] {
        assert_eq!(rig.say(ONE, line), format!("-{error}\r\n"));
    }
    assert_eq!(rig.say(ONE, "CONFIG SET slowlog-max-len 3"), "+OK\r\n");
    assert_eq!(rig.say(ONE, "SLOWLOG LEN"), ":3\r\n");
    assert_eq!(rig.say(TWO, "SLOWLOG RESET"), "+OK\r\n");
    assert_eq!(rig.say(ONE, "SLOWLOG LEN"), ":0\r\n");
    assert_eq!(rig.say(ONE, "CONFIG SET slowlog-log-slower-than 0"), "+OK\r\n");
    rig.say(ONE, "PING");
    assert!(rig.say(ONE, "SLOWLOG GET").contains("$4\r\nPING\r\n"), "zero logs everything");
}

/// A command on several keys of one slot is one step, though one of them is hot: its parts travel together, past the fold
/// that they must not overtake, and no copy answers the same client before they have been answered.
#[test]
fn keys_of_one_slot_are_one_step() {
    let mut rig = start();
    let owner = rig.owner("{s}1");
    let (client, core) = (CLIENTS[1 - owner], 1 - owner);
    heat(&mut rig, "GET {s}1", 500);
    rig.say(client, "SET {s}1 10");
    assert_eq!(rig.say(client, "GET {s}1"), "$2\r\n10\r\n");
    let to = CoreId(owner as u16);
    let requests = |rig: &mut Rig| {
        let batch = rig.engines[core].take_mail(to);
        let counts = batch.as_ref().map_or((0, 0), |batch| (batch.requests(), batch.notes.len()));
        batch.into_iter().for_each(|batch| rig.engines[core].return_mail(to, batch));
        counts
    };
    rig.tell(client, "INCR {s}1");
    rig.tell(client, "MSET {s}1 20 {s}2 21");
    assert_eq!(requests(&mut rig), (0, 1), "the fold has left, and the MSET waits for it");
    rig.settle();
    assert_eq!(rig.heard(client), ":11\r\n+OK\r\n");

    rig.tell(client, "MSET {s}1 30 {s}2 31");
    assert_eq!(requests(&mut rig), (2, 0), "both keys in one batch, no fold");
    rig.tell(client, "GET {s}1");
    rig.tell(client, "MGET {s}1 {s}2");
    rig.settle();
    let expected = "+OK\r\n$2\r\n30\r\n*2\r\n$2\r\n30\r\n$2\r\n31\r\n";
    assert_eq!(rig.heard(client), expected);
    assert_eq!(rig.say(CLIENTS[owner], "MGET {s}1 {s}2 {s}1"), "*3\r\n$2\r\n30\r\n$2\r\n31\r\n$2\r\n30\r\n");
    // Keys of different slots have parts of their own: copies answer what they can.
    assert_eq!(rig.say(client, "MGET {s}1 elsewhere"), "*2\r\n$2\r\n30\r\n$-1\r\n");
}

/// No copy answers a client whose FLUSHALL, or anything else that went to all cores, is still on its way.
#[test]
fn no_copy_answers_behind_a_flush() {
    let mut rig = start();
    let client = CLIENTS[1 - rig.owner("famous")];
    rig.say(client, "SET famous 10");
    heat(&mut rig, "GET famous", 500);
    for (line, reply) in [("KEYS *", "*1\r\n$6\r\nfamous\r\n$2\r\n10\r\n"), ("FLUSHALL", "+OK\r\n$-1\r\n")] {
        assert_eq!(rig.say(client, "GET famous"), "$2\r\n10\r\n");
        rig.tell(client, line);
        rig.tell(client, "GET famous");
        rig.settle();
        assert_eq!(rig.heard(client), reply);
    }
}
