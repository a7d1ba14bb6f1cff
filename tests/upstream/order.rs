//! Requests of one pipeline stay in order while a cluster's slots move, and ask no more of a link than it takes.

use super::cluster::{Clustered, NODES};
use super::{A, B, LINK, accept_at, before, pool, text};
use coldplate::engine::{PoolKind, ReadPolicy};
use coldplate::types::SLOTS;

fn sets(key: &str, values: &[&str]) -> String {
    values.iter().map(|value| text(&["SET", key, value])).collect()
}

/// Three requests on a key are with a server: the key, and how that server says that one of the others has it.
fn asked_thrice() -> (Clustered, String, [String; 2]) {
    let mut cluster = Clustered::new();
    let key = cluster.key(0, 0);
    cluster.rig.tell(A, &format!("SET {key} 1\nSET {key} 2\nSET {key} 3"));
    cluster.heard(0);
    let moved = [1, 2].map(|to| cluster.moved(&key, to));
    (cluster, key, moved)
}

/// Two requests are told different places: the second is not asked before the first has its answer.
#[test]
fn who_is_sent_elsewhere_waits_for_those_before() {
    let (mut cluster, key, [one, two]) = asked_thrice();
    cluster.answer(0, &one);
    cluster.answer(0, &two);
    cluster.answer(0, &two);
    assert_eq!((cluster.heard(1), cluster.heard(2)), (sets(&key, &["1"]), String::new()));
    // The first is sent on to where the others are to go, and they follow it when it is done.
    cluster.answer(1, &two);
    assert_eq!((cluster.heard(1), cluster.heard(2)), (String::new(), sets(&key, &["1", "2", "3"])));
    cluster.answer(2, "+OK\r\n+OK\r\n+OK\r\n");
    assert_eq!(cluster.rig.take(A), "+OK +OK +OK");
}

/// Those that were sent on together go on together.
#[test]
fn who_is_sent_on_waits_for_its_fellows() {
    let (mut cluster, key, [one, two]) = asked_thrice();
    cluster.answer(0, &one.repeat(3));
    assert_eq!(cluster.heard(1), sets(&key, &["1", "2", "3"]));
    cluster.answer(1, &two);
    assert_eq!(cluster.heard(2), "");
    // What others ask of the slot is not kept back.
    cluster.rig.tell(B, &format!("SET {key} b"));
    assert_eq!(cluster.heard(2), sets(&key, &["b"]));
    cluster.answer(1, &two);
    assert_eq!(cluster.heard(2), "");
    cluster.answer(1, &two);
    assert_eq!(cluster.heard(2), sets(&key, &["1", "2", "3"]));
    cluster.answer(2, &"+OK\r\n".repeat(4));
    assert_eq!((cluster.rig.take(A), cluster.rig.take(B)), ("+OK +OK +OK".into(), "+OK".into()));
    cluster.rig.tell(A, &format!("SET {key} 4"));
    assert_eq!(cluster.heard(2), sets(&key, &["4"]));
}

/// A server that has not got all keys yet sends some requests to wait: those behind them wait as well.
#[test]
fn who_is_sent_to_wait_is_not_overtaken() {
    let mut cluster = Clustered::new();
    let key = cluster.key(0, 0);
    let several = text(&["MSET", &key, "1", &key, "2"]);
    cluster.rig.tell(A, &format!("MSET {key} 1 {key} 2\nSET {key} 3"));
    assert_eq!(cluster.heard(0), several.clone() + &sets(&key, &["3"]));
    let ask = cluster.moved(&key, 1).replace("MOVED", "ASK");
    cluster.answer(0, &format!("-TRYAGAIN Multiple keys request during rehashing of slot\r\n{ask}"));
    // Nor by what is asked now.
    cluster.rig.tell(A, &format!("SET {key} 4"));
    assert_eq!((cluster.heard(0), cluster.heard(1)), (String::new(), String::new()));
    cluster.rig.pass(6_000);
    assert_eq!((cluster.heard(0), cluster.heard(1)), (several.clone(), String::new()));
    cluster.answer(0, &ask);
    assert_eq!(cluster.heard(1), text(&["ASKING"]) + &several + &text(&["ASKING"]) + &sets(&key, &["3"]));
    cluster.answer(1, &"+OK\r\n".repeat(4));
    assert_eq!(cluster.heard(0), sets(&key, &["4"]));
    cluster.answer(0, "+OK\r\n");
    assert_eq!(cluster.rig.take(A), "+OK +OK +OK");
}

/// Whoever goes around is not forgotten with a link that is lost, nor is who waits for it; nor when its client has left.
#[test]
fn a_lost_link_ends_what_was_sent_there() {
    for stays in [true, false] {
        let mut cluster = Clustered::new();
        let key = cluster.key(0, 0);
        cluster.rig.tell(A, &format!("SET {key} 1\nGET {key}\nSET {key} 2"));
        cluster.heard(0);
        let [one, two] = [1, 2].map(|to| cluster.moved(&key, to));
        cluster.answer(0, &(one.repeat(2) + &two));
        assert_eq!(cluster.heard(1), sets(&key, &["1"]) + &text(&["GET", &key]));
        if !stays {
            cluster.rig.lose(A);
        }
        let link = cluster.links[1];
        cluster.rig.lose(link);
        // The read is asked where the slot is now, and the write behind it follows.
        assert_eq!(cluster.heard(2), text(&["GET", &key]) + &sets(&key, &["2"]));
        cluster.answer(2, "$-1\r\n+OK\r\n");
        if stays {
            let lost = format!("-ERR upstream {} lost: outcome unknown $-1 +OK", NODES[1]);
            assert_eq!(cluster.rig.take(A), lost);
        }
    }
}

/// While nobody is known to have a slot a server is asked for it that may get it in between: one request at a time.
#[test]
fn a_guess_is_no_place_for_a_pipeline() {
    let main = pool("main", PoolKind::Cluster(ReadPolicy::Primary), &NODES[..1]);
    let mut rig = before(vec![main], &[]);
    rig.tell(A, "SET k 1\nSET k 2\nMGET k l");
    let seed = accept_at(&mut rig, NODES[0], LINK);
    assert_eq!(rig.heard(seed), text(&["CLUSTER", "SHARDS"]) + &sets("k", &["1"]));
    rig.send(seed, b"-ERR not yet\r\n+OK\r\n");
    assert_eq!(rig.heard(seed), sets("k", &["2"]));
    rig.send(seed, b"+OK\r\n");
    assert_eq!(rig.heard(seed), text(&["MGET", "k"]) + &text(&["MGET", "l"]));
    rig.tell(A, "SET k 3\nSET k 4");
    // With the map they go together.
    rig.pass(300_000);
    assert_eq!(rig.heard(seed), text(&["CLUSTER", "SLOTS"]));
    let map = format!("*1\r\n*3\r\n:0\r\n:{}\r\n*2\r\n$8\r\n10.0.0.1\r\n:7000\r\n", SLOTS - 1);
    rig.send(seed, format!("*1\r\n:1\r\n*1\r\n:2\r\n{map}").as_bytes());
    rig.settle();
    assert_eq!(rig.heard(seed), sets("k", &["3", "4"]));
}

/// A pipeline that finds a link full stops there, and goes on when all links that it has filled have room.
#[test]
fn a_pipeline_stops_at_a_full_link() {
    let mut cluster = Clustered::with(|pool| pool.in_flight_max = 2);
    let [one, two] = [0, 1].map(|node| cluster.key(node, 0));
    cluster.rig.tell(A, &format!("SET {one} 1\n").repeat(5));
    assert_eq!(cluster.heard(0), sets(&one, &["1", "1"]));
    cluster.answer(0, "+OK\r\n+OK\r\n");
    assert_eq!(cluster.heard(0), sets(&one, &["1", "1"]));
    cluster.answer(0, "+OK\r\n+OK\r\n");
    cluster.heard(0);
    cluster.answer(0, "+OK\r\n");
    assert_eq!(cluster.rig.take(A), "+OK +OK +OK +OK +OK");

    cluster.rig.tell(B, &format!("SET {one} b\nSET {two} b\n"));
    cluster.rig.tell(A, &format!("MGET {one} {two}\nGET {one}\nGET {one}"));
    let mget = |key: &str| text(&["MGET", key]);
    assert_eq!(cluster.heard(0), sets(&one, &["b"]) + &mget(&one));
    assert_eq!(cluster.heard(1), sets(&two, &["b"]) + &mget(&two));
    cluster.answer(0, "+OK\r\n*1\r\n:1\r\n");
    assert_eq!(cluster.heard(0), "");
    cluster.answer(1, "+OK\r\n*1\r\n:2\r\n");
    assert_eq!(cluster.heard(0), text(&["GET", &one]).repeat(2));
}

/// What is sent on to a full link keeps its client from asking more.
#[test]
fn what_is_sent_on_counts_where_it_goes() {
    let mut cluster = Clustered::with(|pool| pool.in_flight_max = 2);
    let [one, two] = [0, 1].map(|node| cluster.key(node, 0));
    cluster.rig.tell(B, &format!("SET {two} b\nSET {two} b\n"));
    assert_eq!(cluster.heard(1), sets(&two, &["b", "b"]));
    cluster.rig.tell(A, &format!("SET {one} 1"));
    cluster.heard(0);
    let ask = cluster.moved(&one, 1).replace("MOVED", "ASK");
    cluster.answer(0, &ask);
    assert_eq!(cluster.heard(1), text(&["ASKING"]) + &sets(&one, &["1"]));
    cluster.rig.tell(A, &format!("SET {one} 2"));
    assert_eq!(cluster.heard(0), "");
    cluster.answer(1, "+OK\r\n+OK\r\n+OK\r\n");
    assert_eq!(cluster.heard(0), sets(&one, &["2"]));
}
