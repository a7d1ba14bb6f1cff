//! Hot keys that are no strings: reads of them are answered from copies of replies, or asked once for all who wait, and
//! nobody is told what is no longer so.

use super::hot::{
    ONE, TWO, ask_all, ask_both, before, expect_no_copy_beside, expect_short_lives, four, heat, spared_by,
};
use super::scripted::Scripted;
use crate::SERVER;
use crate::rig::Rig;
use coldplate::engine::PoolOptions;

/// Makes a key hot by reading it as a hash; each core has a copy of that reply afterwards, if it may.
fn hot(change: impl FnOnce(&mut PoolOptions), is_old: bool) -> (Rig, Scripted) {
    let (mut rig, mut server) = before(change);
    server.keys.insert("k".into(), "0".into());
    server.is_old = is_old;
    heat(&mut rig, &mut server, "HGETALL k");
    (rig, server)
}

const FILLS: [&str; 4] = ["HGETALL k", "PTTL k", "HGETALL k", "PTTL k"];

fn hash(value: &str) -> String {
    format!("*2 $1 f ${} {value}", value.len())
}

#[test]
fn replies_are_copied_until_somebody_writes() {
    let (mut rig, mut server) = hot(|_| {}, false);
    assert_eq!(ask_all(&mut rig, &mut server, "HGETALL k"), (four(&hash("0")), vec![]));
    server.set(&mut rig, "k", "new", None);
    let fills = FILLS.map(String::from).to_vec();
    assert_eq!(ask_all(&mut rig, &mut server, "HGETALL k"), (four(&hash("new")), fills));
    assert_eq!(ask_all(&mut rig, &mut server, "HGETALL k"), (four(&hash("new")), vec![]));
    for line in ["HSET k f a", "SET k a KEEPTTL", "MSET k a l b", "LPUSH k a"] {
        rig.tell(ONE[0], line);
        server.serve(&mut rig);
        rig.take(ONE[0]);
        assert_eq!(ask_all(&mut rig, &mut server, "HGETALL k").1, FILLS, "{line}");
        assert_eq!(ask_all(&mut rig, &mut server, "HGETALL k"), (four(&hash("a")), vec![]), "{line}");
    }
    expect_short_lives(&mut rig, &mut server, "HGETALL k");
}

/// Both versions of the protocol are told by the one reply.
#[test]
fn each_client_is_told_in_its_version() {
    let (mut rig, mut server) = hot(|_| {}, false);
    assert!(rig.say(ONE[0], "HELLO 3").starts_with("%7\r\n"));
    server.set(&mut rig, "k", "new", None);
    for fills in [&FILLS[..2], &[]] {
        ask_both(&mut rig, ONE, "HGETALL k");
        assert_eq!(server.serve(&mut rig), fills);
        assert_eq!(ONE.map(|client| rig.take(client)), ["%1 $1 f $3 new".to_owned(), hash("new")]);
    }
}

/// What is asked once only goes its own way; what is asked again has a copy of its own.
#[test]
fn what_comes_again_is_copied() {
    let (mut rig, mut server) = hot(|_| {}, false);
    for asked in [&["HGET k f"][..], &["HGET k f", "PTTL k"], &[]] {
        rig.tell(ONE[0], "HGET k f");
        assert_eq!(server.serve(&mut rig), asked);
        assert_eq!(rig.take(ONE[0]), "$1 0");
    }
    server.set(&mut rig, "k", "1", None);
    ask_both(&mut rig, ONE, "HGETALL k\nHGET k f");
    assert_eq!(server.serve(&mut rig), ["HGETALL k", "HGET k f", "PTTL k"]);
    assert_eq!(ONE.map(|client| rig.take(client)), [0; 2].map(|_| format!("{} $1 1", hash("1"))));
}

#[test]
fn no_copy_is_made_beside_a_write() {
    let (mut rig, mut server) = hot(|_| {}, false);
    let writes = [("SET k b", "set", "+OK"), ("HSET k f c", "HSET", ":0")];
    expect_no_copy_beside(&mut rig, &mut server, ("HGETALL k", &FILLS), writes);
}

/// A push between a reply and the one behind it tells of a change that the reply has not seen.
#[test]
fn a_copy_that_changed_on_its_way_is_none() {
    let (mut rig, mut server) = hot(|_| {}, false);
    server.set(&mut rig, "k", "1", None);
    server.held = Some("PTTL");
    rig.tell(ONE[0], "HGETALL k");
    assert_eq!(server.serve(&mut rig), ["HGETALL k"]);
    // Whoever comes meanwhile joins nothing that has left.
    rig.tell(ONE[1], "HGETALL k");
    assert_eq!(server.serve(&mut rig), [""; 0]);
    server.set(&mut rig, "k", "2", None);
    server.held = None;
    server.serve(&mut rig);
    assert_eq!(ONE.map(|client| rig.take(client)), [hash("1"), hash("2")]);
    assert_eq!(ask_all(&mut rig, &mut server, "HGETALL k").0, four(&hash("2")));
}

/// What one client asks of a hot key stays in order, whichever way each of its requests goes.
#[test]
fn a_client_finds_what_it_has_written() {
    let (mut rig, mut server) = hot(|_| {}, false);
    let pipeline =
        "HSET k f 1\nHGETALL k\nHSET k f 2\nHGETALL k\nGET k\nHGETALL k\nSET k 3\nHGETALL k\nHGET k f\nHGETALL k";
    let replies = [":0", "1", ":0", "2", "$1 2", "2", "+OK", "3", "$1 3", "3"];
    let said = |map: &str| {
        let reply = |reply: &str| match reply.len() {
            1 => format!("{map} $1 f $1 {reply}"),
            _ => reply.to_owned(),
        };
        replies.map(reply).join(" ")
    };
    for version in ["*2", "%1"] {
        for _ in 0..3 {
            rig.tell(ONE[0], pipeline);
            server.serve(&mut rig);
            assert_eq!(rig.take(ONE[0]), said(version));
        }
        rig.say(ONE[0], "HELLO 3");
    }
}

/// Where more is asked of a key than waits together, each client has its replies in order still.
#[test]
fn many_different_reads_stay_in_order() {
    let (mut rig, mut server) = hot(|_| {}, false);
    let fields: Vec<String> = (100..999).map(|number| number.to_string()).collect();
    let (one, two): (String, String) =
        fields.iter().map(|field| (format!("HGET k {field}\nHGETALL k\n"), format!("HGET k {field}\n"))).unzip();
    rig.tell(ONE[0], &one);
    rig.tell(ONE[1], &two);
    server.serve(&mut rig);
    let replies = |beside: &str| fields.iter().map(|field| format!("$3 {field}{beside}")).collect::<Vec<_>>().join(" ");
    assert_eq!(rig.take(ONE[0]), replies(&format!(" {}", hash("0"))));
    assert_eq!(rig.take(ONE[1]), replies(""));
}

/// A read behind a client's own writes follows them; it does not wait for each.
#[test]
fn reads_behind_writes_are_not_waited_for() {
    let (mut rig, mut server) = hot(|_| {}, false);
    server.held = Some("HSET");
    rig.tell(ONE[0], "HSET k f 1\nHGETALL k\nHSET k f 2\nHGETALL k");
    assert_eq!(server.serve(&mut rig), [""; 0]);
    server.held = None;
    assert_eq!(server.serve(&mut rig), ["HSET k f 1", "HGETALL k", "HSET k f 2", "HGETALL k"]);
    assert_eq!(rig.take(ONE[0]), format!(":0 {} :0 {}", hash("1"), hash("2")));
}

/// Of two reads that one client asks together, the first is not asked behind the second, whoever else waits.
#[test]
fn reads_of_a_client_are_asked_in_its_order() {
    let (mut rig, mut server) = hot(|_| {}, false);
    for _ in 0..2 {
        rig.tell(ONE[0], "HGET k f");
        server.serve(&mut rig);
    }
    server.set(&mut rig, "k", "1", None);
    rig.turn(0, |now, engine, effects| {
        use crate::rig::{conn, lines};
        let bytes = [lines("HGETALL k\nHGET k f"), lines("HGET k f\nHGETALL k")];
        let chunks = [(conn(ONE[0]), &bytes[0][..]), (conn(ONE[1]), &bytes[1][..])];
        engine.handle(now, coldplate::engine::Event::Received { chunks: &chunks }, effects);
    });
    assert_eq!(server.serve(&mut rig), ["HGETALL k", "HGET k f", "HGETALL k", "PTTL k"]);
}

/// With a link go the copies that were read by it; reads that it owed are asked again.
#[test]
fn a_lost_link_takes_its_copies_along() {
    let (mut rig, mut server) = hot(|_| {}, false);
    for link in server.links(&rig, true) {
        server.lose(&mut rig, link);
    }
    server.keys.insert("k".into(), "new".into());
    let fills = FILLS.map(String::from).to_vec();
    assert_eq!(ask_all(&mut rig, &mut server, "HGETALL k"), (four(&hash("new")), fills));
    server.set(&mut rig, "k", "5", None);
    server.held = Some("HGETALL");
    rig.tell(TWO[0], "HGETALL k");
    server.serve(&mut rig);
    let link = server.held_link();
    server.lose(&mut rig, link);
    server.held = None;
    server.serve(&mut rig);
    assert_eq!(rig.take(TWO[0]), hash("5"));
}

/// An old reply is better than none where somebody has said so.
#[test]
fn an_old_reply_stands_in_for_a_server_that_is_gone() {
    let (mut rig, mut server) = hot(|main| main.hot_stale_ms = 50, false);
    for link in [server.links(&rig, true), server.links(&rig, false)].concat() {
        server.lose(&mut rig, link);
    }
    let unreachable = format!("-ERR upstream {SERVER} unreachable");
    for wanted in [hash("0"), unreachable] {
        [ONE, TWO].into_iter().for_each(|clients| ask_both(&mut rig, clients, "HGETALL k"));
        for _ in 0..4 {
            rig.settle();
            std::mem::take(&mut rig.dials).iter().for_each(|dial| rig.refuse(dial));
        }
        rig.pass(10_000);
        assert_eq!([ONE[0], ONE[1], TWO[0], TWO[1]].map(|client| rig.take(client)), four(&wanted));
        rig.pass(1_050_000);
    }
}

/// A server that does not say what has changed still sees few requests, in the first version of the protocol.
#[test]
fn an_old_server_has_no_copies() {
    let (mut rig, mut server) = hot(|_| {}, true);
    let (replies, asked) = ask_all(&mut rig, &mut server, "HGETALL k");
    assert_eq!((replies, asked), (four(&hash("0")), vec!["HGETALL k".to_owned(); 2]));
    let (mut rig, mut server) = hot(|main| main.hot_copy_ms = 50, true);
    assert_eq!(ask_all(&mut rig, &mut server, "HGETALL k"), (four(&hash("0")), vec![]));
    server.set(&mut rig, "k", "new", None);
    rig.pass(50_000);
    assert_eq!(ask_all(&mut rig, &mut server, "HGETALL k").0, four(&hash("new")));
}

#[test]
fn what_a_server_is_spared_is_counted() {
    let (mut rig, mut server) = hot(|_| {}, false);
    let spared = spared_by(&mut rig, |rig| {
        ask_all(rig, &mut server, "HGETALL k");
        server.set(rig, "k", "new", None);
        ask_all(rig, &mut server, "HGETALL k");
    });
    assert_eq!(spared, [4, 2, 0, 0]);
    let explained = rig.say(ONE[0], "HOTKEYS EXPLAIN k");
    for part in ["replicated,folded", "copies\r\n:2"] {
        assert!(explained.contains(part), "{explained}");
    }
}
