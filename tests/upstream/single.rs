//! One server: requests and replies as they pass, and all that can befall the link between.

use super::{A, B, LINK, accept, connected, single, text};
use crate::rig::request;
use coldplate::engine::Event;

/// Proves that requests leave as they came, those of one turn at once, and replies reach their clients in order.
#[test]
fn requests_and_replies_pass_as_they_are() {
    let (mut rig, link) = connected(|_| {});
    rig.tell(A, "SET a 1\nHSET h f v\nGET a");
    rig.tell(B, "LPUSH l x");
    let asked = [&["SET", "a", "1"][..], &["HSET", "h", "f", "v"], &["GET", "a"], &["LPUSH", "l", "x"]];
    assert_eq!(rig.heard(link), asked.map(text).concat());
    rig.send(link, b"+OK\r\n:1\r\n$1\r\n");
    rig.send(link, b"1\r\n*2\r\n:1\r\n$-1\r\n");
    assert_eq!((rig.take(A), rig.take(B)), ("+OK :1 $1 1".into(), "*2 :1 $-1".into()));
}

#[test]
fn what_came_by_hand_or_in_pieces_is_written_anew() {
    let (mut rig, link) = connected(|_| {});
    rig.send(A, b"SET 'a b' \"1\\n\"\r\n");
    assert_eq!(rig.heard(link), text(&["SET", "a b", "1\n"]));
    let whole = request(&["SET", "k", &"x".repeat(100_000)]);
    for piece in whole.chunks(30_000) {
        rig.send(A, piece);
    }
    assert_eq!(rig.heard(link).as_bytes(), whole);
    // Both bytes behind an argument are skipped unseen, by Redis as well; they are not passed on.
    rig.send(A, b"*2\r\n$3\r\nGET\r\n$1\r\naXX");
    assert_eq!(rig.heard(link), text(&["GET", "a"]));
}

#[test]
fn some_commands_are_answered_here() {
    let (mut rig, link) = connected(|_| {});
    rig.tell(A, "GET a\nPING\nECHO hi\nCLIENT ID");
    assert_eq!(rig.heard(link), text(&["GET", "a"]));
    rig.send(link, b"$1\r\nx\r\n");
    assert_eq!(rig.take(A), "$1 x +PONG $2 hi :1");
    assert!(rig.say(A, "WAIT 1 0").starts_with("-ERR upstream main: 'wait' is about one server"));
    assert_eq!(rig.say(A, "GET"), "-ERR wrong number of arguments for 'get' command\r\n");
    assert_eq!(rig.say(A, "HGET h"), "-ERR wrong number of arguments for 'hget' command\r\n");
    assert_eq!(rig.heard(link), "");
}

#[test]
fn muted_replies_are_dropped() {
    let (mut rig, link) = connected(|_| {});
    rig.tell(A, "CLIENT REPLY SKIP\nSET a 1\nGET a\nCLIENT REPLY OFF\nSET b 1\nCLIENT REPLY ON\nGET b");
    rig.send(link, b"+OK\r\n$1\r\n1\r\n+OK\r\n$1\r\n2\r\n");
    assert_eq!(rig.take(A), "$1 1 +OK $1 2");
}

/// Proves that a client that speaks RESP3 is served by a link that does, and only once its earlier requests are answered.
#[test]
fn each_version_has_a_link() {
    let (mut rig, link) = connected(|_| {});
    rig.tell(A, "GET a\nHELLO 3\nGET b");
    assert_eq!(rig.heard(link), text(&["GET", "a"]));
    assert!(rig.dials.is_empty());
    rig.send(link, b"$-1\r\n");
    let third = accept(&mut rig, LINK + 1);
    assert!(rig.take(A).starts_with("$-1 %"));
    assert_eq!(rig.heard(third), text(&["HELLO", "3"]));
    rig.send(third, b"%1\r\n+proto\r\n:3\r\n");
    assert_eq!(rig.heard(third), text(&["GET", "b"]));
    rig.send(third, b"_\r\n");
    assert_eq!(rig.take(A), "_");
}

#[test]
fn whoever_is_gone_gets_nothing() {
    let (mut rig, link) = connected(|_| {});
    rig.tell(A, "GET a");
    rig.tell(B, "GET b");
    rig.lose(A);
    rig.send(link, b"+a\r\n+b\r\n");
    assert_eq!(rig.take(B), "+b");
}

#[test]
fn the_greeting_comes_first() {
    let mut rig = single(|pool| pool.password = b"secret".to_vec());
    rig.tell(A, "GET a");
    let link = accept(&mut rig, LINK);
    assert_eq!(rig.heard(link), text(&["AUTH", "secret"]));
    rig.send(link, b"+OK\r\n");
    assert_eq!(rig.heard(link), text(&["GET", "a"]));
    rig.send(link, b"+1\r\n");
    assert_eq!(rig.take(A), "+1");
}

#[test]
fn a_refused_greeting_is_an_error() {
    let mut rig = single(|pool| pool.password = b"wrong".to_vec());
    rig.tell(A, "GET a\nSET a 1");
    let link = accept(&mut rig, LINK);
    rig.send(link, b"-WRONGPASS no\r\n");
    rig.settle();
    assert_eq!(rig.take(A), "-ERR upstream 10.0.0.9:6379 unreachable -ERR upstream 10.0.0.9:6379 unreachable");
    assert_eq!(rig.killed, [link]);
}

/// Proves that a server that cannot be reached is left alone for a moment, and that requests fail at once meanwhile.
#[test]
fn an_unreachable_server_rests() {
    let mut rig = single(|_| {});
    rig.tell(A, "GET a");
    let dial = rig.dials.pop().expect("a connection is wanted");
    rig.refuse(&dial);
    assert_eq!(rig.take(A), "-ERR upstream 10.0.0.9:6379 unreachable");
    assert_eq!(rig.say(A, "SET a 1"), "-ERR upstream 10.0.0.9:6379 unreachable\r\n");
    assert!(rig.dials.is_empty());
    rig.wait(30_000);
    rig.tell(A, "GET a");
    let link = accept(&mut rig, LINK);
    rig.send(link, b"+1\r\n");
    assert_eq!(rig.take(A), "+1");
}

#[test]
fn a_dial_takes_no_longer_than_it_may() {
    let mut rig = single(|_| {});
    rig.tell(A, "GET a");
    let (core, dial) = rig.dials.pop().expect("a connection is wanted");
    rig.pass(990_000);
    assert_eq!(rig.take(A), "");
    rig.pass(20_000);
    assert_eq!(rig.take(A), "-ERR upstream 10.0.0.9:6379 unreachable");
    assert_eq!(rig.hung_up, [(core, dial.link)]);
    // It comes too late.
    let link = rig.accept(&(core, dial), LINK);
    assert_eq!(rig.killed, [link]);
}

/// Proves that reads are asked again, once, and that a write says that nobody knows what became of it.
#[test]
fn a_lost_link_is_made_good() {
    let (mut rig, link) = connected(|_| {});
    rig.tell(A, "GET a\nSET a 1\nHGETALL h");
    rig.lose(link);
    let link = accept(&mut rig, LINK + 1);
    assert_eq!(rig.heard(link), [&["GET", "a"][..], &["HGETALL", "h"]].map(text).concat());
    rig.send(link, b"+1\r\n");
    rig.lose(link);
    let lost = "-ERR upstream 10.0.0.9:6379 lost: outcome unknown";
    assert_eq!(rig.take(A), format!("+1 {lost} -ERR upstream 10.0.0.9:6379 unreachable"));
    assert!(rig.dials.is_empty());
}

#[test]
fn a_silent_server_is_given_up() {
    let (mut rig, link) = connected(|_| {});
    rig.tell(A, "SET a 1");
    rig.tell(B, "GET a");
    rig.pass(4_990_000);
    assert_eq!(rig.take(A), "");
    rig.pass(20_000);
    assert_eq!(rig.take(A), "-ERR upstream 10.0.0.9:6379 lost: outcome unknown");
    assert_eq!(rig.take(B), "-ERR upstream 10.0.0.9:6379 unreachable");
    assert_eq!(rig.killed, [link]);
}

/// Proves that a link whose server breaks the protocol is closed, and that nobody gets what it said.
#[test]
fn nonsense_closes_the_link() {
    let cases: [&[u8]; 6] = [
        b"HTTP/1.1 400\r\n",
        b"*2000000000\r\n",
        b"$99999999999\r\n",
        b"+OK\r\n+OK\r\n+OK\r\n",
        b"$1\r\nabc",
        b">1\r\n>",
    ];
    for nonsense in cases {
        let (mut rig, link) = connected(|_| {});
        rig.tell(A, "SET a 1\nSET b 1");
        rig.send(link, nonsense);
        rig.settle();
        assert_eq!(rig.killed, [link]);
        assert!(rig.take(A).ends_with("lost: outcome unknown") || nonsense.starts_with(b"+OK"));
        assert_eq!(rig.say(A, "PING"), "+PONG\r\n");
    }
}

/// Proves that clients wait while a link has no room, and that others and what needs no server go on.
#[test]
fn a_full_link_stalls_whoever_asks() {
    let (mut rig, link) = connected(|pool| pool.in_flight_max = 4);
    rig.tell(A, "GET 1\nGET 2\nGET 3\nGET 4");
    rig.tell(A, "GET 5");
    assert_eq!(rig.heard(link), ["1", "2", "3", "4"].map(|key| text(&["GET", key])).concat());
    assert_eq!(rig.say(B, "PING"), "+PONG\r\n");
    rig.send(link, b"+1\r\n");
    assert_eq!(rig.heard(link), "");
    rig.send(link, b"+2\r\n");
    assert_eq!(rig.heard(link), text(&["GET", "5"]));
    rig.send(link, b"+3\r\n+4\r\n+5\r\n");
    assert_eq!(rig.take(A), "+1 +2 +3 +4 +5");
}

#[test]
fn links_end_with_the_last_client() {
    let (mut rig, link) = connected(|_| {});
    rig.tell(A, "GET a");
    rig.turn(0, |now, engine, effects| engine.handle(now, Event::Drain, effects));
    rig.settle();
    assert_eq!(rig.killed, [B]);
    rig.send(link, b"+1\r\n");
    rig.settle();
    assert_eq!(rig.take(A), "+1");
    assert_eq!(rig.killed, [B, A, link]);
}

/// Proves that a core that is about to end neither waits for a connection that nobody needs nor turns for it.
#[test]
fn a_dial_ends_with_the_last_client() {
    let mut rig = single(|_| {});
    rig.tell(A, "GET a");
    let (core, dial) = rig.dials.pop().expect("a connection is wanted");
    rig.turn(0, |now, engine, effects| engine.handle(now, Event::Drain, effects));
    rig.lose(A);
    assert_eq!(rig.hung_up, [(core, dial.link)]);
    assert_eq!(rig.engines[0].deadline(), None);
}

#[test]
fn an_unused_link_is_closed() {
    let (mut rig, link) = connected(|pool| pool.idle_timeout_ms = 2000);
    rig.pass(1_990_000);
    assert!(rig.killed.is_empty());
    rig.pass(1_100_000);
    assert_eq!(rig.killed, [link]);
    rig.tell(A, "GET a");
    let link = accept(&mut rig, LINK + 1);
    assert_eq!(rig.heard(link), text(&["GET", "a"]));
}

/// Proves that a reply that comes in pieces arrives whole, large or not, first or behind others, of one server or of several.
#[test]
fn replies_in_pieces_are_whole() {
    for bytes in [10, 70_000, 300_000] {
        let (mut rig, link) = connected(|_| {});
        let large = format!("${bytes}\r\n{}\r\n", "v".repeat(bytes));
        rig.tell(A, "GET a\nPING\nGET b");
        rig.tell(B, "GET c");
        let replies = format!("{large}+b\r\n{large}+more\r\n");
        rig.tell(B, "GET d");
        for piece in replies.as_bytes().chunks(10_007) {
            rig.send(link, piece);
        }
        assert_eq!(rig.heard(A), format!("{large}+PONG\r\n+b\r\n"));
        assert_eq!(rig.heard(B), format!("{large}+more\r\n"));
    }
}
