//! Clients with a connection of their own: transactions, requests that block, subscriptions, MONITOR.

use super::{A, B, LAYOUT, LINK, accept, accept_at, before, connected, pool, text};
use crate::rig::request;
use coldplate::engine::{Event, PoolKind};

/// The first connection that is a client's own.
pub const OWN: u32 = 200;

pub fn texts(requests: &[&[&str]]) -> String {
    requests.iter().map(|words| text(words)).collect()
}

/// Proves that a transaction goes as it came over a connection of its own, which the next one uses again.
#[test]
fn a_transaction_has_a_connection() {
    let (mut rig, link) = connected(|_| {});
    rig.tell(A, "MULTI\nSET a 1\nINCR a\nEXEC\nGET b");
    assert!(rig.dials.len() == 1, "{:?}", rig.dials);
    let own = accept(&mut rig, OWN);
    assert_eq!(rig.heard(own), texts(&[&["MULTI"], &["SET", "a", "1"], &["INCR", "a"], &["EXEC"], &["GET", "b"]]));
    assert_eq!(rig.heard(link), "");
    rig.send(own, b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:2\r\n$1\r\nx\r\n");
    assert_eq!(rig.take(A), "+OK +QUEUED +QUEUED *2 +OK :2 $1 x");
    rig.tell(B, "MULTI\nGET a\nDISCARD\nMULTI\nEXEC\nGET c");
    assert_eq!(rig.heard(own), texts(&[&["MULTI"], &["GET", "a"], &["DISCARD"], &["GET", "c"]]));
    rig.send(own, b"+OK\r\n+QUEUED\r\n+OK\r\n$1\r\nc\r\n");
    assert_eq!(rig.take(B), "+OK +QUEUED +OK +OK *0 $1 c");
    rig.tell(A, "GET d");
    assert_eq!(rig.heard(link), text(&["GET", "d"]));
    assert!(rig.dials.is_empty() && rig.killed.is_empty());
    rig.pass(7_000_000);
    assert!(rig.killed.contains(&own), "nobody has used it");
}

/// Proves that what a client has asked before is not overtaken on its own connection, in a pipeline of any form.
#[test]
fn a_transaction_waits_for_what_was_asked_before() {
    for whole in [true, false] {
        let (mut rig, link) = connected(|_| {});
        let lines = ["GET x", "MULTI", "SET a 1", "EXEC", "GET y"];
        if whole {
            rig.tell(A, &lines.join("\n"));
        } else {
            let bytes: Vec<u8> = lines.iter().flat_map(|line| request(&line.split(' ').collect::<Vec<_>>())).collect();
            bytes.chunks(7).for_each(|piece| rig.send(A, piece));
        }
        assert_eq!(rig.heard(link), text(&["GET", "x"]));
        assert!(rig.dials.is_empty());
        rig.send(link, b"$1\r\nx\r\n");
        let own = accept(&mut rig, OWN);
        assert_eq!(rig.heard(own), texts(&[&["MULTI"], &["SET", "a", "1"], &["EXEC"], &["GET", "y"]]));
        rig.send(own, b"+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n$1\r\ny\r\n");
        assert_eq!(rig.take(A), "$1 x +OK +QUEUED *1 +OK $1 y");
    }
}

#[test]
fn a_transaction_that_is_refused_here_is_discarded_there() {
    let (mut rig, _) = connected(|_| {});
    rig.tell(A, "WATCH w\nMULTI\nSET a\nEXEC\nEXEC");
    let own = accept(&mut rig, OWN);
    assert_eq!(rig.heard(own), texts(&[&["WATCH", "w"], &["MULTI"], &["DISCARD"]]));
    rig.send(own, b"+OK\r\n+OK\r\n+OK\r\n");
    let aborted = "-EXECABORT Transaction discarded because of previous errors.";
    let arity = "-ERR wrong number of arguments for 'set' command";
    assert_eq!(rig.take(A), format!("+OK +OK {arity} {aborted} -ERR EXEC without MULTI"));
    rig.tell(A, "MULTI\nCONFIG GET x\nSUBSCRIBE c\nEXEC\nMULTI\nFLUSHALL\nDISCARD");
    assert_eq!(rig.heard(own), texts(&[&["MULTI"], &["FLUSHALL"], &["DISCARD"]]), "the same one");
    rig.send(own, b"+OK\r\n+QUEUED\r\n+OK\r\n");
    let unfit = "-ERR upstream cannot run this command inside MULTI";
    assert_eq!(rig.take(A), format!("+OK {unfit} {unfit} {aborted} +OK +QUEUED +OK"));
}

/// Proves that who blocks waits for as long as it takes, with all that it has asked behind, while others are served.
#[test]
fn who_blocks_waits() {
    let (mut rig, link) = connected(|_| {});
    rig.tell(A, "BLPOP l 0\nGET a\nPING");
    rig.tell(B, "GET b");
    let own = accept(&mut rig, OWN);
    let asked = texts(&[&["CLIENT", "ID"], &["BLPOP", "l", "0"]]);
    assert_eq!((rig.heard(own), rig.heard(link)), (asked, text(&["GET", "b"])));
    rig.send(own, b":77\r\n");
    rig.send(link, b"$-1\r\n");
    assert_eq!(rig.take(B), "$-1");
    rig.pass(100_000_000);
    assert_eq!((rig.take(A), rig.killed.len()), (String::new(), 0));
    rig.send(own, b"*2\r\n$1\r\nl\r\n$1\r\nx\r\n");
    assert_eq!(rig.heard(link), text(&["GET", "a"]));
    rig.send(link, b"$1\r\na\r\n");
    assert_eq!(rig.take(A), "*2 $1 l $1 x $1 a +PONG");
    rig.tell(A, "XREAD BLOCK 0 STREAMS s $");
    assert_eq!(rig.heard(own), text(&["XREAD", "BLOCK", "0", "STREAMS", "s", "$"]), "it was given back");
    rig.tell(B, "XREAD COUNT 1 STREAMS s 0");
    assert_eq!(rig.heard(link), text(&["XREAD", "COUNT", "1", "STREAMS", "s", "0"]));
    rig.send(link, b"*-1\r\n");
    assert_eq!(rig.take(B), "*-1");
    // Its server ends the wait, by the name that it knows.
    assert_eq!(rig.say(B, "CLIENT UNBLOCK 1 ERROR"), ":1\r\n");
    assert_eq!(rig.say(B, "CLIENT UNBLOCK 2"), ":0\r\n");
    assert_eq!(rig.heard(link), text(&["CLIENT", "UNBLOCK", "77", "ERROR"]));
    rig.send(link, b":1\r\n");
    rig.send(own, b"-UNBLOCKED so\r\n");
    assert_eq!(rig.take(A), "-UNBLOCKED so");
    // What is about a script that runs does not wait behind it.
    rig.tell(A, "EVAL endless 0");
    rig.tell(B, "SCRIPT KILL");
    assert_eq!((rig.heard(link), rig.heard(own)), (text(&["EVAL", "endless", "0"]), text(&["SCRIPT", "KILL"])));
}

/// Proves that nobody blocks at a server for a client that is gone, in whatever way it went.
#[test]
fn a_client_that_is_gone_blocks_no_more() {
    for hangs_up in [true, false] {
        let (mut rig, _) = connected(|_| {});
        rig.tell(A, "BLPOP l 0");
        let own = accept(&mut rig, OWN);
        if hangs_up {
            rig.turn(0, |now, engine, effects| engine.handle(now, Event::Ended { conn: crate::rig::conn(A) }, effects));
            rig.settle();
            assert!(rig.killed.contains(&A));
        } else {
            rig.lose(A);
        }
        rig.settle();
        assert!(rig.killed.contains(&own), "{:?}", rig.killed);
    }
    // One whose connection is not there yet.
    let (mut rig, _) = connected(|_| {});
    rig.tell(A, "BLPOP l 0");
    let (core, dial) = rig.dials.pop().expect("a connection is wanted");
    rig.lose(A);
    rig.settle();
    assert_eq!(rig.hung_up, [(core, dial.link)]);
}

#[test]
fn a_request_that_does_not_block_is_given_up_as_others() {
    let (mut rig, _) = connected(|_| {});
    rig.tell(A, "WATCH a\nGET a");
    let own = accept(&mut rig, OWN);
    rig.send(own, b"+OK\r\n");
    rig.pass(5_100_000);
    assert_eq!(rig.killed, [own, A]);
    rig.wait(300_000);
    rig.tell(B, "WATCH a");
    let own = accept(&mut rig, OWN + 1);
    rig.send(own, b"+OK\r\n");
    rig.pass(60_000_000);
    assert_eq!((rig.take(B), rig.killed.len()), ("+OK".into(), 2));
}

#[test]
fn there_are_only_so_many() {
    let (mut rig, link) = connected(|pool| pool.own_connections_max = 1);
    rig.tell(A, "BLPOP l 0");
    let own = accept(&mut rig, OWN);
    rig.send(own, b":7\r\n");
    let full = "-ERR upstream main: 1 connections are clients' own, and no more may be (own_connections_max)";
    rig.tell(B, "BLPOP l 0\nMULTI\nGET a\nEXEC\nGET b");
    assert_eq!(rig.heard(link), text(&["GET", "b"]));
    rig.send(link, b"$-1\r\n");
    let aborted = "-EXECABORT Transaction discarded because of previous errors.";
    assert_eq!(rig.take(B), format!("{full} +OK {full} {aborted} $-1"));
    rig.send(own, b"*-1\r\n");
    rig.tell(B, "BLPOP l 0");
    assert_eq!(rig.heard(own), texts(&[&["CLIENT", "ID"], &["BLPOP", "l", "0"], &["BLPOP", "l", "0"]]));
    rig.send(own, b"*-1\r\n");
    // A connection in the other version takes the place of one that nobody has.
    rig.tell(A, "HELLO 3\nBLPOP l 0");
    assert!(rig.take(A).ends_with("modules *0"));
    assert_eq!(rig.killed, [own]);
}

/// Proves what a client is told whose connection is lost: an error, and that it will not run half of a transaction; or that
/// it is closed, since it would wait for messages for ever.
#[test]
fn a_lost_connection_is_told_of() {
    let lost = "-ERR upstream 10.0.0.9:6379 lost: outcome unknown";
    let unreachable = "-ERR upstream 10.0.0.9:6379 unreachable";
    let (mut rig, _) = connected(|_| {});
    rig.tell(A, "BLPOP l 0\nPING");
    let own = accept(&mut rig, OWN);
    rig.lose(own);
    assert_eq!(rig.take(A), format!("{lost} +PONG"));
    rig.wait(300_000);
    rig.tell(A, "MULTI\nSET a 1\nGET a");
    let own = accept(&mut rig, OWN + 1);
    rig.send(own, b"+OK\r\n+QUEUED\r\n");
    rig.lose(own);
    rig.tell(A, "EXEC\nPING");
    let aborted = "-EXECABORT Transaction discarded because of previous errors.";
    assert_eq!(rig.take(A), format!("+OK +QUEUED {unreachable} {aborted} +PONG"));
    rig.wait(300_000);
    rig.tell(A, "SUBSCRIBE c");
    let dial = rig.dials.pop().expect("a connection is wanted");
    rig.refuse(&dial);
    assert_eq!(rig.take(A), unreachable);
    assert_eq!(rig.killed, [A], "it believes that it listens");
    rig.wait(300_000);
    rig.tell(B, "SUBSCRIBE c");
    let own = accept(&mut rig, OWN + 2);
    rig.send(own, b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    rig.lose(own);
    assert_eq!(rig.take(B), "*3 $9 subscribe $1 c :1");
    assert_eq!(rig.killed, [A, B]);
}

fn told(word: &str, name: &str, count: u32) -> String {
    format!("*3\r\n${}\r\n{word}\r\n${}\r\n{name}\r\n:{count}\r\n", word.len(), name.len())
}

fn message(text: &str) -> String {
    format!("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n${}\r\n{text}\r\n", text.len())
}

/// Proves that confirmations and messages arrive as the server sent them, in one piece or in many, and that the connection
/// is given back with the last subscription.
#[test]
fn a_subscription_hears_all() {
    for size in [1, 5, 1000] {
        let (mut rig, link) = connected(|_| {});
        rig.tell(A, "SUBSCRIBE a b\nPSUBSCRIBE p*\nGET x");
        let own = accept(&mut rig, OWN);
        assert_eq!(rig.heard(own), texts(&[&["SUBSCRIBE", "a", "b"], &["PSUBSCRIBE", "p*"], &["GET", "x"]]));
        let said = told("subscribe", "a", 1)
            + &told("subscribe", "b", 2)
            + &told("psubscribe", "p*", 3)
            + &message("hi")
            + "-ERR Can't execute 'get'\r\n"
            + &message("subscribe");
        said.as_bytes().chunks(size).for_each(|piece| rig.send(own, piece));
        assert_eq!(rig.heard(A), said);
        rig.tell(A, "UNSUBSCRIBE\nPING");
        rig.tell(A, "PUNSUBSCRIBE p*");
        rig.tell(A, "GET y");
        assert_eq!(rig.heard(own), texts(&[&["UNSUBSCRIBE"], &["PING"], &["PUNSUBSCRIBE", "p*"], &["GET", "y"]]));
        let said = message("x")
            + &told("unsubscribe", "a", 2)
            + &told("unsubscribe", "b", 1)
            + "*2\r\n$4\r\npong\r\n$0\r\n\r\n"
            + &told("punsubscribe", "p*", 0)
            + "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n";
        said.as_bytes().chunks(size).for_each(|piece| rig.send(own, piece));
        assert_eq!(rig.heard(A), said, "the last is a list that GET has given");
        rig.tell(A, "GET z\nUNSUBSCRIBE");
        assert_eq!((rig.heard(link), rig.heard(own)), (text(&["GET", "z"]), String::new()));
        rig.send(link, b"$-1\r\n");
        assert_eq!(rig.take(A), "$-1 *3 $11 unsubscribe $-1 :0");
    }
}

/// Proves that in the third version a client listens and asks at once, and that each reply and message reaches it whole.
#[test]
fn a_subscription_in_the_third_version_asks_on() {
    let (mut rig, _) = connected(|_| {});
    rig.tell(A, "HELLO 3\nSUBSCRIBE a b\nGET x\nBLPOP l 0\nGET y");
    rig.take(A);
    let own = accept(&mut rig, OWN);
    assert_eq!(rig.heard(own), text(&["HELLO", "3"]));
    rig.send(own, b"%1\r\n$5\r\nproto\r\n:3\r\n");
    let asked = texts(&[&["SUBSCRIBE", "a", "b"], &["GET", "x"], &["CLIENT", "ID"], &["BLPOP", "l", "0"]]);
    assert_eq!(rig.heard(own), asked);
    let push = |text: String| text.replacen('*', ">", 1);
    let said = push(told("subscribe", "a", 1)) + &push(told("subscribe", "b", 2));
    let more = push(message("1")) + &message("no push") + &push(message("2"));
    rig.send(own, said.as_bytes());
    rig.send(own, more.as_bytes());
    assert_eq!(rig.heard(A), said + &more, "messages come while it blocks");
    rig.send(own, b":9\r\n_\r\n");
    assert_eq!(rig.heard(own), text(&["GET", "y"]));
    rig.send(own, b"_\r\n");
    assert_eq!(rig.heard(A), "_\r\n_\r\n");
    rig.tell(A, "HELLO 2");
    rig.take(A);
    assert_eq!(rig.heard(own), text(&["HELLO", "2"]));
    rig.send(own, (push(message("3")) + "*2\r\n$5\r\nproto\r\n:2\r\n" + &message("4")).as_bytes());
    assert_eq!(rig.heard(A), push(message("3")) + &message("4"));
    rig.tell(A, "RESET");
    assert_eq!(rig.take(A), "+RESET");
    rig.settle();
    assert_eq!(rig.killed, [own]);
}

/// Proves that a message stands neither in front of an earlier one nor inside of what is awaited on the shared link.
#[test]
fn messages_stay_in_order_behind_a_shared_link() {
    let mut rig = before(vec![pool("main", PoolKind::Servers(LAYOUT), &["a:1", "b:1"])], &[]);
    rig.tell(A, "HELLO 3");
    rig.take(A);
    // Which server has which: the first that is asked is the channel's.
    rig.tell(A, "SSUBSCRIBE c");
    let (_, dial) = rig.dials[0].clone();
    let own = accept_at(&mut rig, &dial.address, OWN);
    rig.send(own, b"%0\r\n");
    rig.send(own, b">3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n");
    assert!(rig.take(A).ends_with("ssubscribe $1 c :1"));
    rig.heard(own);
    let other = (0..).map(|n| format!("k{n}")).find(|key| {
        rig.tell(A, &format!("GET {key}"));
        rig.heard(own).is_empty()
    });
    let key = other.expect("one is elsewhere");
    let address = if &*dial.address == "a:1" { "b:1" } else { "a:1" };
    let link = accept_at(&mut rig, address, LINK);
    rig.heard(link);
    let asked: usize = key[1..].parse().expect("a number");
    rig.send(own, &b">3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\n1\r\n"[..]);
    (0..asked).for_each(|_| rig.send(own, b"_\r\n"));
    rig.send(own, &b">3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\n2\r\n"[..]);
    rig.send(link, b"%0\r\n");
    rig.send(link, b"+done\r\n");
    rig.send(own, &b">3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\n3\r\n"[..]);
    let got = rig.take(A);
    let at = |word: &str| got.find(word).unwrap_or_else(|| panic!("{word} in {got}"));
    assert!(at("c $1 1") < at("c $1 2") && at("c $1 2") < at("c $1 3") && got.contains("+done"), "{got}");
}

#[test]
fn a_monitor_is_shown_requests() {
    let (mut rig, link) = connected(|_| {});
    rig.tell(A, "MONITOR\nSET a 1");
    let own = accept(&mut rig, OWN);
    assert_eq!((rig.heard(own), rig.heard(link)), (text(&["MONITOR"]), text(&["SET", "a", "1"])));
    rig.send(own, b"+OK\r\n+1700000000.000001 [0 10.0.0.1:1] \"SET\" \"a\" \"1\"\r\n");
    rig.send(link, b"+OK\r\n");
    assert_eq!(rig.take(A), "+OK +OK +1700000000.000001 [0 10.0.0.1:1] \"SET\" \"a\" \"1\"");
    rig.tell(A, "QUIT");
    assert_eq!(rig.take(A), "+OK");
    rig.settle();
    assert_eq!(rig.killed, [A, own]);
}

#[test]
fn several_servers_are_one_too_many() {
    let mut rig = before(vec![pool("main", PoolKind::Servers(LAYOUT), &["a:1", "b:1"])], &[("here:*", None)]);
    let mut says = |asked: &str, wanted: &str| {
        let got = rig.say(A, asked);
        assert!(got.starts_with(wanted), "{asked}: {got}");
    };
    says("MONITOR", "-ERR upstream main: 'monitor' is about one server");
    says("PSUBSCRIBE a*", "-ERR upstream main: 'psubscribe' would have to hear all servers");
    says(
        "SUBSCRIBE alpha beta gamma delta epsilon zeta",
        "-ERR upstream cannot subscribe to channels of several servers",
    );
    says("WATCH alpha beta gamma delta epsilon zeta", "-ERR upstream main: keys of 'watch' lie on different servers");
    says("WATCH here:a", "-ERR upstream main: 'watch' cannot bind keys of the pool embedded");
    says("CLIENT TRACKING ON", "-ERR upstream main: 'client|tracking' would have to hear of keys from all");
    says("MULTI", "+OK");
    says("SET here:a 1", "-ERR upstream main: 'set' cannot bind keys of the pool embedded");
    says("EXEC", "-EXECABORT");
    says("SET here:a 1", "+OK");
}
