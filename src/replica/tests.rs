//! Folding is exact: a fold answers each of its members what it would have been answered had all of them run one after
//! the other. Each trap is a row; random sequences look for those nobody thought of.

use super::{Cache, Cell, Fold, Install};
use crate::keyspace::command::{Request, apply, apply_for};
use crate::keyspace::{Allowance, EventClasses, KeyEvent, Shard, ShardOptions};
use crate::protocol::command::{Command, Row, resolve};
use crate::protocol::resp::{Args, Limits, Output, Proto, Reply, parse};
use crate::types::{CoreId, KeyHash, Slot};
use proptest::prelude::*;
use std::sync::Arc;

const SLOT: Slot = Slot(3);
const HASH: KeyHash = KeyHash(0x1234_5678_9abc_def0);
const NOW_MS: u64 = 1_700_000_000_000;
const OWNER: CoreId = CoreId(1);

fn shard() -> Shard {
    Shard::new(&ShardOptions { hash_seed: [1, 2, 3, 4], draw_seed: 1, place: |_| SLOT })
}

/// Calls `run` with the request that a line of words makes.
fn with_request<R>(line: &str, run: impl FnOnce(&mut Request) -> R) -> R {
    let words: Vec<&str> = line.split(' ').collect();
    let mut text = format!("*{}\r\n", words.len());
    words.iter().for_each(|word| text.push_str(&format!("${}\r\n{word}\r\n", word.len())));
    let mut args = Vec::new();
    let parsed = parse(text.as_bytes(), &Limits { authenticated: true, ..Limits::default() }, &mut args);
    parsed.expect("good words").expect("whole");
    let args = Args::new(text.as_bytes(), &args, &mut []);
    let command = resolve(&args).unwrap_or_else(|_| panic!("{line}")).command;
    run(&mut Request { command, args, slot: SLOT, hash: HASH, hint: None })
}

fn direct(shard: &mut Shard, line: &str, proto: Proto) -> String {
    let mut out = Output::default();
    with_request(line, |request| apply(shard, NOW_MS, request, &mut Reply { out: &mut out, proto }));
    String::from_utf8(out.flatten()).expect("text")
}

fn cache(combines: bool) -> Cache<usize> {
    let mut cache = Cache::default();
    cache.install(Install {
        key: (*b"k").into(),
        slot: SLOT,
        hash: HASH,
        owner: OWNER,
        cell: Arc::new(Cell::default()),
        copy: None,
        combines,
    });
    cache
}

fn proto_of(member: usize) -> Proto {
    if member.is_multiple_of(2) { Proto::Resp2 } else { Proto::Resp3 }
}

/// Has all lines wait together, serves what leaves until everybody is answered; replies, and folds with their runs.
fn folded(shard: &mut Shard, lines: &[&str], combines: bool) -> (Vec<String>, Vec<usize>) {
    let (mut cache, mut replies, mut sizes) = (cache(combines), vec![String::new(); lines.len()], Vec::new());
    for (member, line) in lines.iter().enumerate() {
        with_request(line, |request| cache.join(HASH, member, proto_of(member), request));
    }
    let mut under_way: Vec<Box<Fold>> = Vec::new();
    cache.depart(|owner, fold| {
        assert_eq!(owner, OWNER);
        under_way.push(fold);
    });
    while let Some(mut fold) = under_way.pop() {
        sizes.push(fold.runs());
        fold.serve(|crowd, request, reply| apply_for(crowd, shard, NOW_MS, request, reply));
        let mut landing = cache.land(fold);
        let mut scratch = Output::default();
        while let Some((member, output, range)) = landing.next(&mut scratch) {
            let mut reply = Output::default();
            reply.append(output, range);
            replies[member.who] = String::from_utf8(reply.flatten()).expect("text");
        }
        under_way.extend(cache.landed(landing).map(|(_, fold)| fold));
    }
    (replies, sizes)
}

/// What has happened to keys since the events were told, and what was counted so far: reads that found a key, and none, and
/// what became of the requests of each command.
fn noted(shard: &mut Shard) -> (Vec<KeyEvent>, [u64; 3], Vec<(Command, Row)>) {
    let mut events = Vec::new();
    shard.take_events(&mut events);
    let tally = &shard.counts.tally;
    let rows = tally.rows().filter(|(_, row)| !row.is_blank()).map(|(command, row)| (command, *row));
    (events, [shard.counts.hits, shard.counts.misses, tally.errors()], rows.collect())
}

/// The same lines one after the other and folded, from the same beginning; answers the folds' runs.
fn expect_alike(before: &[&str], lines: &[&str], full: bool) -> Vec<usize> {
    let mut sizes = Vec::new();
    for combines in [true, false] {
        let (mut one, mut other) = (shard(), shard());
        for shard in [&mut one, &mut other] {
            before.iter().for_each(|line| drop(direct(shard, line, Proto::Resp2)));
            shard.set_event_classes(EventClasses::parse("KEAnm").expect("they are known"));
            shard.set_allowance(Allowance { over: full, bytes: 0 });
        }
        let expected: Vec<String> =
            lines.iter().enumerate().map(|(member, line)| direct(&mut one, line, proto_of(member))).collect();
        let (replies, folds) = folded(&mut other, lines, combines);
        assert_eq!(replies, expected, "{lines:?} behind {before:?}, combining: {combines}");
        assert_eq!(noted(&mut other), noted(&mut one), "{lines:?} behind {before:?}, combining: {combines}");
        for line in ["GET k", "PEXPIRETIME k"] {
            assert_eq!(direct(&mut other, line, Proto::Resp2), direct(&mut one, line, Proto::Resp2), "{lines:?}");
        }
        if combines {
            sizes = folds;
        }
    }
    sizes
}

/// What waits together travels as few runs: one for reads, one for increments, one for writes and what reads behind it.
#[test]
fn what_combines_is_one_run() {
    let get = ["GET k"; 50];
    let incr = ["INCR k", "INCRBY k 5", "INCR k", "GET k", "INCRBY k 0", "GET k"];
    let set = ["SET k a", "SET k b", "GET k", "MSET k c", "GET k"];
    let mixed = ["GET k", "GET k", "SET k a", "GET k", "SET k b", "GET k", "GET k"];
    let decr = ["DECR k", "DECRBY k 7", "DECR k"];
    for (lines, runs) in [(&get[..], 1), (&incr, 1), (&set, 1), (&mixed, 2), (&decr, 1)] {
        assert_eq!(expect_alike(&["SET k 10"], lines, false), [runs], "{lines:?}");
        assert_eq!(expect_alike(&[], lines, false), [runs], "{lines:?}");
    }
}

/// Where combining would show, nothing combines, or the owner refuses and the members are asked for one by one.
#[test]
fn traps() {
    let max = "SET k 9223372036854775800";
    let min = "SET k -9223372036854775800";
    let rows: [(&[&str], &[&str]); 19] = [
        // A sum that overflows where some of its parts do not.
        (&[max], &["INCRBY k 5", "INCRBY k 2", "INCRBY k 2", "GET k", "INCR k"]),
        (&[min], &["DECRBY k 5", "DECRBY k 2", "DECRBY k 2", "DECR k", "SET k 1"]),
        // A sum that overflows by itself.
        (&[], &["INCRBY k 9223372036854775807", "INCRBY k 1", "INCR k"]),
        (&[], &["DECRBY k 9223372036854775807", "DECR k", "DECR k", "DECR k"]),
        // Signs do not mix: +10 would overflow, +10-10 would not.
        (&[max], &["INCRBY k 10", "DECRBY k 10", "INCRBY k 3"]),
        (&[], &["DECRBY k -9223372036854775808", "DECR k", "INCRBY k x", "INCRBY k 1 2"][..3]),
        // No integer: every member gets the error, and what comes behind sees the value as it was.
        (&["SET k word"], &["INCR k", "GET k", "INCR k", "SET k 3", "INCR k"]),
        (&["SET k 007"], &["INCR k", "INCR k", "GET k"]),
        // Floats round: their order shows.
        (&["SET k 0.1"], &["INCRBYFLOAT k 0.2", "INCRBYFLOAT k 1e17", "INCRBYFLOAT k 0.3", "GET k"]),
        // SETs with options are not "the last one wins".
        (&[], &["SET k a NX", "SET k b NX", "SET k c XX", "GET k"]),
        (&["SET k z"], &["SET k a GET", "SET k b GET", "GET k", "GETSET k c", "GETDEL k", "GET k"]),
        (&["SET k z EX 100"], &["SET k a KEEPTTL", "SET k b", "PTTL k", "SET k c EX 50", "SET k d", "PTTL k"]),
        (&["SET k z EX 100"], &["GET k", "SET k a", "GET k", "PERSIST k", "TTL k"]),
        // Expiries.
        (&["SET k 1"], &["EXPIRE k 10 GT", "EXPIRE k 10 LT", "EXPIRE k 20 NX", "EXPIRE k 20 XX", "INCR k", "PTTL k"]),
        (&["SET k 1"], &["INCR k", "PEXPIRE k -1", "INCR k", "GET k"]),
        (&["SET k 1 PX 5000"], &["INCR k", "INCR k", "PTTL k", "SET k 1", "PTTL k"]),
        // Removal between reads, and misses.
        (&[], &["GET k", "DEL k", "GET k", "EXISTS k", "APPEND k xy", "APPEND k z", "GET k", "STRLEN k"]),
        (&["SET k 5"], &["GET k", "INCR k", "DEL k", "INCR k", "GET k", "SETRANGE k 3 yy", "GETRANGE k 0 -1"]),
        (&["SET k 5"], &["SETNX k 1", "SETEX k 10 v", "INCR k", "GETEX k PERSIST", "TYPE k", "TOUCH k", "UNLINK k"]),
    ];
    for (before, lines) in rows {
        expect_alike(before, lines, false);
    }
}

/// An out-of-memory error belongs to each member; reads, and reads behind refused writes, still answer what is there.
#[test]
fn out_of_memory_is_everybodys() {
    let lines =
        ["GET k", "SET k b", "GET k", "SET k c", "GET k", "INCR k", "INCR k", "GET k", "MSET k d", "MSET k e", "DEL k"];
    expect_alike(&["SET k a"], &lines, true);
    expect_alike(&[], &lines, true);
}

/// A fold that is under way takes nobody in: what comes meanwhile is the next, and leaves when the first is back.
#[test]
fn one_fold_at_a_time() {
    let (mut cache, mut shard) = (cache(true), shard());
    let mut under_way = Vec::new();
    for round in 0..3 {
        for member in 0..10 {
            with_request("INCR k", |request| cache.join(HASH, round * 10 + member, Proto::Resp2, request));
        }
        cache.depart(|_, fold| under_way.push(fold));
        assert_eq!(under_way.len(), 1, "the others wait for the first");
    }
    let mut totals = Vec::new();
    while let Some(mut fold) = under_way.pop() {
        fold.serve(|crowd, request, reply| apply_for(crowd, &mut shard, NOW_MS, request, reply));
        let (mut landing, mut scratch) = (cache.land(fold), Output::default());
        while let Some((member, output, range)) = landing.next(&mut scratch) {
            totals.push((member.who, String::from_utf8_lossy(&output.bytes[range]).into_owned()));
        }
        assert!(cache.landed(landing).is_none());
        cache.depart(|_, fold| under_way.push(fold));
    }
    let expected: Vec<_> = (0..30).map(|who| (who, format!(":{}\r\n", who + 1))).collect();
    assert_eq!(totals, expected, "each total once, in order");
    assert_eq!(cache.folds, 2);
}

/// An entry that is to leave stays until its members are answered, and takes more in meanwhile, to keep their order.
#[test]
fn an_entry_leaves_when_nobody_waits() {
    let (mut cache, mut shard) = (cache(true), shard());
    let mut under_way = Vec::new();
    with_request("INCR k", |request| cache.join(HASH, 0, Proto::Resp2, request));
    cache.depart(|_, fold| under_way.push(fold));
    cache.remove(HASH, b"k");
    with_request("INCR k", |request| cache.join(HASH, 1, Proto::Resp2, request));
    for left in [1, 0] {
        assert_eq!(cache.len(), 1);
        let mut fold = under_way.pop().expect("one is under way");
        fold.serve(|crowd, request, reply| apply_for(crowd, &mut shard, NOW_MS, request, reply));
        let (mut landing, mut scratch) = (cache.land(fold), Output::default());
        assert!(landing.next(&mut scratch).is_some());
        assert!(cache.landed(landing).is_none());
        cache.depart(|_, fold| under_way.push(fold));
        assert_eq!(under_way.len(), left);
    }
    assert!(cache.is_empty() && cache.get(HASH, b"k").is_none());
}

fn line() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "GET k",
        "GET k",
        "GET k",
        "SET k 1",
        "SET k 41",
        "SET k x",
        "SET k y NX",
        "SET k 3 XX",
        "SET k 9 EX 100",
        "SET k 8 KEEPTTL",
        "SET k 5 GET",
        "MSET k 12",
        "INCR k",
        "INCR k",
        "DECR k",
        "INCRBY k 10",
        "DECRBY k 4",
        "INCRBY k 9223372036854775000",
        "DECRBY k 9223372036854775000",
        "INCRBY k 0",
        "INCRBYFLOAT k 0.5",
        "DEL k",
        "APPEND k 7",
        "GETDEL k",
        "GETSET k 6",
        "EXPIRE k 50",
        "PERSIST k",
        "PTTL k",
        "EXISTS k",
        "SETRANGE k 2 0",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Whatever waits together, in whatever order, is answered as if one by one.
    #[test]
    fn any_fold_is_exact(before in prop::collection::vec(line(), 0..3), lines in prop::collection::vec(line(), 1..40),
                         full in prop::bool::weighted(0.1)) {
        expect_alike(&before, &lines, full);
    }
}

/// Whoever gets a reply may have the key forgotten: its entry stays until the fold has landed.
#[test]
fn an_entry_outlasts_a_landing() {
    let mut cache = cache(true);
    with_request("GET k", |request| cache.join(HASH, 0, Proto::Resp2, request));
    let mut left = None;
    cache.depart(|_, fold| left = Some(fold));
    let mut fold = left.expect("it leaves");
    fold.serve(|_, _, reply| reply.null());
    let mut landing = cache.land(fold);
    assert!(landing.next(&mut Output::default()).is_some());
    cache.remove(HASH, b"k");
    assert!(cache.landed(landing).is_none() && cache.is_empty());
}
