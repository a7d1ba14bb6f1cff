//! Hot keys that a server has: which requests it still sees, and that nobody is told what is no longer so.

use super::scripted::Scripted;
use super::{SERVER, pool};
use crate::rig::{Client, Rig, conn, lines};
use coldplate::engine::{Event, PoolKind, PoolOptions, Settings, Upstreams};
use coldplate::routing::Routes;
use std::sync::Arc;

/// Clients, two on each core.
pub const ONE: [Client; 2] = [(0, 1), (0, 2)];
pub const TWO: [Client; 2] = [(1, 1), (1, 2)];

pub fn before(change: impl FnOnce(&mut PoolOptions)) -> (Rig, Scripted) {
    let mut main = pool("main", PoolKind::Single, &[SERVER]);
    change(&mut main);
    let upstreams =
        Some(Arc::new(Upstreams { pools: vec![main], routes: Routes::new(&[] as &[(&str, Option<usize>)], Some(0)) }));
    let mut rig = Rig::with(2, Settings { upstreams, ..Settings::default() });
    for client in ONE.into_iter().chain(TWO) {
        rig.open(client);
    }
    (rig, Scripted::default())
}

/// What both clients of a core ask in one turn.
pub fn ask_both(rig: &mut Rig, clients: [Client; 2], text: &str) {
    let bytes = lines(text);
    rig.turn(clients[0].0, |now, engine, effects| {
        let chunks = clients.map(|client| (conn(client), &bytes[..]));
        engine.handle(now, Event::Received { chunks: &chunks }, effects);
    });
}

/// What is asked once, of everybody, and answered.
pub fn ask_all(rig: &mut Rig, server: &mut Scripted, line: &str) -> ([String; 4], Vec<String>) {
    for clients in [ONE, TWO] {
        ask_both(rig, clients, line);
    }
    let asked = server.serve(rig);
    ([ONE[0], ONE[1], TWO[0], TWO[1]].map(|client| rig.take(client)), asked)
}

/// Makes a key hot by reading it so; each core has a copy of that reply afterwards, if it may.
pub fn heat(rig: &mut Rig, server: &mut Scripted, line: &str) {
    for _ in 0..30 {
        for client in [ONE[0], TWO[0]] {
            rig.tell(client, &format!("{line}\n").repeat(50));
        }
        server.serve(rig);
        rig.mono_us += 10_000;
        rig.cpu_us += 1_000;
    }
    rig.pass(0);
    // What no fold takes has its copies once it has come twice.
    for _ in 0..3 {
        ask_all(rig, server, line);
    }
}

fn hot(change: impl FnOnce(&mut PoolOptions), is_old: bool) -> (Rig, Scripted) {
    let (mut rig, mut server) = before(change);
    server.keys.insert("k".into(), "0".into());
    server.is_old = is_old;
    heat(&mut rig, &mut server, "GET k");
    (rig, server)
}

pub fn four(reply: &str) -> [String; 4] {
    [0; 4].map(|_| reply.to_owned())
}

/// What two cores ask for a fresh copy each.
const FILLS: [&str; 4] = ["get k", "PTTL k", "get k", "PTTL k"];

#[test]
fn reads_are_answered_from_copies_until_somebody_writes() {
    let (mut rig, mut server) = hot(|_| {}, false);
    assert_eq!(ask_all(&mut rig, &mut server, "GET k"), (four("$1 0"), vec![]));
    // Somebody else writes: the server says so, and each core asks once.
    server.set(&mut rig, "k", "new", None);
    let (replies, asked) = ask_all(&mut rig, &mut server, "GET k");
    assert_eq!((replies, asked), (four("$3 new"), FILLS.map(String::from).to_vec()));
    assert_eq!(ask_all(&mut rig, &mut server, "GET k"), (four("$3 new"), vec![]));
    // So does a client here, whichever way its request goes.
    for line in ["SET k a", "SET k a KEEPTTL", "MSET k a l b", "LPUSH k a"] {
        rig.tell(ONE[0], line);
        server.serve(&mut rig);
        rig.take(ONE[0]);
        assert_eq!(ask_all(&mut rig, &mut server, "GET k").1, FILLS, "{line}");
        assert_eq!(ask_all(&mut rig, &mut server, "GET k").1, [""; 0], "{line}");
    }
    expect_short_lives(&mut rig, &mut server, "GET k");
}

/// A copy lives for a while only, or for as long as the key.
pub fn expect_short_lives(rig: &mut Rig, server: &mut Scripted, line: &str) {
    server.lives.insert("k".into(), 300);
    let mut seen = Vec::new();
    for _ in 0..140 {
        rig.pass(10_000);
        seen.push(ask_all(rig, server, line).1.len());
    }
    let fills: Vec<usize> = (0..seen.len()).filter(|at| seen[*at] > 0).collect();
    assert_eq!(fills[1..], [fills[0] + 30]);
    assert!((90..100).contains(&fills[0]), "{fills:?}");
}

/// While a write is unanswered, nobody knows what a read that comes back has seen: no copy is made of it, on any core.
#[test]
fn no_copy_is_made_beside_a_write() {
    let (mut rig, mut server) = hot(|_| {}, false);
    let writes = [("SET k b", "set", "+OK"), ("MSET k c l c", "MSET", "+OK")];
    expect_no_copy_beside(&mut rig, &mut server, ("GET k", &FILLS), writes);
}

/// Plays writes, each with how it is sent and what it is answered, beside a read of which two cores ask so for copies.
pub fn expect_no_copy_beside(
    rig: &mut Rig,
    server: &mut Scripted,
    (read, fills): (&str, &[&str; 4]),
    writes: [(&str, &'static str, &str); 2],
) {
    for (line, sent, reply) in writes {
        server.held = Some(sent);
        rig.tell(ONE[0], line);
        assert_eq!(server.serve(rig), [""; 0]);
        // The other core reads before the write is applied.
        for _ in 0..2 {
            rig.tell(TWO[0], read);
            assert_eq!(server.serve(rig), fills[..1], "{line}");
            rig.take(TWO[0]);
        }
        server.held = None;
        server.serve(rig);
        assert_eq!(rig.take(ONE[0]), reply);
        assert_eq!(ask_all(rig, server, read).1, fills);
        assert_eq!(ask_all(rig, server, read).1, [""; 0]);
    }
}

/// What was asked before its key turned hot is a write beside which no copy is made.
#[test]
fn no_copy_is_made_beside_a_write_that_was_asked_before() {
    let (mut rig, mut server) = before(|_| {});
    server.held = Some("SET");
    rig.tell(TWO[1], "SET k new");
    heat(&mut rig, &mut server, "GET k");
    for _ in 0..2 {
        rig.tell(ONE[0], "GET k");
        assert_eq!(server.serve(&mut rig), ["get k"]);
        assert_eq!(rig.take(ONE[0]).rsplit(' ').next(), Some("$-1"));
    }
    server.held = None;
    server.serve(&mut rig);
    assert!(rig.take(TWO[1]).starts_with("+OK"));
    let (replies, asked) = ask_all(&mut rig, &mut server, "GET k");
    assert!(replies.iter().all(|reply| reply.ends_with("$3 new")), "{replies:?}");
    assert_eq!(asked, FILLS[..2], "the core that had waited has a copy");
    assert_eq!(ask_all(&mut rig, &mut server, "GET k").1, [""; 0]);
}

/// A push between a value and the reply behind it tells of a change that the value has not seen.
#[test]
fn a_copy_that_changed_on_its_way_is_none() {
    let (mut rig, mut server) = hot(|_| {}, false);
    server.set(&mut rig, "k", "1", None);
    server.held = Some("PTTL");
    rig.tell(ONE[0], "GET k");
    assert_eq!(server.serve(&mut rig), ["get k"]);
    server.set(&mut rig, "k", "2", None);
    server.held = None;
    server.serve(&mut rig);
    assert_eq!(rig.take(ONE[0]), "$1 1");
    assert_eq!(ask_all(&mut rig, &mut server, "GET k"), (four("$1 2"), FILLS.map(String::from).to_vec()));
}

/// Increments and reads that wait together are one request, and each gets the reply that an order explains.
#[test]
fn what_waits_together_is_asked_once() {
    let (mut rig, mut server) = hot(|_| {}, false);
    ask_both(&mut rig, ONE, "INCR k\nGET k\nDECR k\nINCRBY k 7");
    assert_eq!(server.serve(&mut rig), ["incr k", "decr k", "incrby k 8", "decr k", "incrby k 7"]);
    assert_eq!(ONE.map(|client| rig.take(client)), [":1 $1 1 :0 :7", ":8 $1 8 :7 :14"]);
    // A sum that is refused is asked for one by one.
    server.keys.insert("k".into(), (i64::MAX - 3).to_string());
    server.held = Some("incr k");
    rig.tell(ONE[0], "INCR k");
    server.serve(&mut rig);
    rig.send(ONE[1], &lines("INCRBY k 1\nINCRBY k 5\nINCR k"));
    server.held = None;
    assert_eq!(server.serve(&mut rig), ["incr k", "incrby k 7", "incrby k 1", "incrby k 5", "incr k"]);
    let overflow = "-ERR value is not an integer or out of range";
    let last = i64::MAX;
    assert_eq!(rig.take(ONE[1]), format!(":{} {overflow} :{last}", last - 1));
}

/// A server that does not say what has changed still sees few requests, and none of its values is kept, unless somebody
/// has said for how long.
#[test]
fn an_old_server_has_no_copies() {
    let (mut rig, mut server) = hot(|_| {}, true);
    let (replies, asked) = ask_all(&mut rig, &mut server, "GET k");
    assert_eq!(replies, four("$1 0"));
    assert!((2..=4).contains(&asked.len()) && asked.iter().all(|line| line == "get k"), "{asked:?}");
    assert_eq!(server.links(&rig, true), []);
    let (mut rig, mut server) = hot(|main| main.hot_copy_ms = 50, true);
    assert_eq!(ask_all(&mut rig, &mut server, "GET k"), (four("$1 0"), vec![]));
    server.set(&mut rig, "k", "new", None);
    rig.pass(50_000);
    assert_eq!(ask_all(&mut rig, &mut server, "GET k").0, four("$3 new"));
    assert_eq!(ask_all(&mut rig, &mut server, "GET k").1, [""; 0]);
}

/// With a link go the copies that were read by it. Reads that it owed are asked again; of writes nobody knows.
#[test]
fn a_lost_link_takes_its_copies_along() {
    let (mut rig, mut server) = hot(|_| {}, false);
    for link in server.links(&rig, true) {
        server.lose(&mut rig, link);
    }
    server.keys.insert("k".into(), "new".into());
    assert_eq!(ask_all(&mut rig, &mut server, "GET k"), (four("$3 new"), FILLS.map(String::from).to_vec()));
    server.keys.insert("k".into(), "5".into());
    server.held = Some("incr");
    rig.tell(ONE[0], "INCR k\nGET k");
    server.serve(&mut rig);
    rig.tell(ONE[1], "GET k");
    let link = server.held_link();
    server.lose(&mut rig, link);
    server.held = None;
    server.serve(&mut rig);
    let lost = format!("-ERR upstream {SERVER} lost: outcome unknown");
    let unreachable = format!("-ERR upstream {SERVER} unreachable");
    assert_eq!(ONE.map(|client| rig.take(client)), [format!("{lost} {lost}"), unreachable]);
    // Reads are asked again.
    server.held = Some("get");
    rig.tell(TWO[0], "GET k");
    server.serve(&mut rig);
    let link = server.held_link();
    server.lose(&mut rig, link);
    server.held = None;
    server.serve(&mut rig);
    assert_eq!(rig.take(TWO[0]), "$1 5");
}

/// An old value is better than none where somebody has said so: as old as that, and none that somebody has changed since.
#[test]
fn an_old_value_stands_in_for_a_server_that_is_gone() {
    for (line, replies) in
        [("GET l", [four("$1 0"), four("unreachable")]), ("SET k 1", [four("unreachable"), four("unreachable")])]
    {
        let (mut rig, mut server) = hot(|main| main.hot_stale_ms = 50, false);
        rig.tell(ONE[0], line);
        server.serve(&mut rig);
        rig.take(ONE[0]);
        for link in [server.links(&rig, true), server.links(&rig, false)].concat() {
            server.lose(&mut rig, link);
        }
        for wanted in replies {
            [ONE, TWO].into_iter().for_each(|clients| ask_both(&mut rig, clients, "GET k"));
            for _ in 0..4 {
                rig.settle();
                std::mem::take(&mut rig.dials).iter().for_each(|dial| rig.refuse(dial));
            }
            rig.pass(10_000);
            let got = [ONE, TWO].concat().into_iter().map(|client| rig.take(client));
            let word = |reply: String| if reply.ends_with("unreachable") { "unreachable".to_owned() } else { reply };
            assert_eq!(got.map(word).collect::<Vec<_>>(), wanted, "{line}");
            rig.pass(1_050_000);
        }
    }
}

/// INFO says what its server was spared.
#[test]
fn what_a_server_is_spared_is_counted() {
    let (mut rig, mut server) = hot(|_| {}, false);
    let spared = spared_by(&mut rig, |rig| {
        for line in ["GET k", "INCR k", "GET k"] {
            ask_all(rig, &mut server, line);
        }
    });
    assert_eq!(spared, [4, 2, 2, 0]);
}

/// What a server was spared meanwhile: hits of copies, reads and writes that came together with others, old values.
pub fn spared_by(rig: &mut Rig, play: impl FnOnce(&mut Rig)) -> [u64; 4] {
    let figures = |rig: &mut Rig| {
        let info = rig.say(ONE[0], "INFO upstream");
        ["hot_hits", "coalesced", "folded", "stale"].map(|name| {
            let at = info.find(&format!(",{name}=")).unwrap_or_else(|| panic!("{name} is missing: {info}"));
            info[at + name.len() + 2..].split([',', '\r']).next().and_then(|n| n.parse::<u64>().ok()).expect("a number")
        })
    };
    let before = figures(rig);
    play(rig);
    let after = figures(rig);
    std::array::from_fn(|at| after[at] - before[at])
}

/// What one client asks of a hot key stays in order, whichever way each of its requests goes.
#[test]
fn a_client_finds_what_it_has_written() {
    let (mut rig, mut server) = hot(|_| {}, false);
    let pipeline = "SET k 1\nGET k\nMSET k 2 l 2\nGET k\nLPUSH k 3\nGET k\nGET l\nSET k 4\nGET k";
    rig.tell(ONE[0], pipeline);
    server.serve(&mut rig);
    assert_eq!(rig.take(ONE[0]), "+OK $1 1 +OK $1 2 :1 $1 3 $1 2 +OK $1 4");
    assert_eq!(rig.say(ONE[0], "HELLO 3").split("\r\n").next(), Some("%7"));
    rig.tell(ONE[0], pipeline);
    server.serve(&mut rig);
    assert_eq!(rig.take(ONE[0]), "+OK $1 1 +OK $1 2 :1 $1 3 $1 2 +OK $1 4");
}

/// A server that cannot be reached leaves nobody waiting.
#[test]
fn who_waits_for_a_server_that_is_gone_gets_an_error() {
    let (mut rig, mut server) = hot(|_| {}, false);
    for tracking in [true, false] {
        for link in server.links(&rig, tracking) {
            server.lose(&mut rig, link);
        }
    }
    for client in ONE {
        rig.tell(client, "GET k");
    }
    for _ in 0..8 {
        rig.settle();
        for dial in std::mem::take(&mut rig.dials) {
            rig.refuse(&dial);
        }
        rig.pass(10_000);
    }
    let unreachable = format!("-ERR upstream {SERVER} unreachable");
    assert_eq!(ONE.map(|client| rig.take(client)), [unreachable.clone(), unreachable]);
}
