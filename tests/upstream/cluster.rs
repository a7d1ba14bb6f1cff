//! A cluster: its map, and redirects as it changes.

use super::{A, B, LINK, accept_at, before, pool, text};
use crate::rig::{Client, Rig};
use coldplate::engine::{PoolKind, PoolOptions, ReadPolicy};
use coldplate::routing::slot_of;
use coldplate::types::SLOTS;

pub const NODES: [&str; 3] = ["10.0.0.1:7000", "10.0.0.2:7000", "10.0.0.3:7000"];

/// CLUSTER SHARDS: each node with its slots, then replicas.
fn shards(owners: &[(usize, usize, usize)]) -> String {
    let mut reply = format!("*{}\r\n", owners.len());
    for (first, last, node) in owners {
        let (host, port) = NODES[*node].split_once(':').expect("host and port");
        reply += &format!("*4\r\n$5\r\nslots\r\n*2\r\n:{first}\r\n:{last}\r\n$5\r\nnodes\r\n*1\r\n*14\r\n");
        for (name, value) in [("id", "x"), ("ip", host), ("endpoint", host), ("role", "master"), ("health", "online")] {
            reply += &format!("${}\r\n{name}\r\n${}\r\n{value}\r\n", name.len(), value.len());
        }
        reply += &format!("$4\r\nport\r\n:{port}\r\n$18\r\nreplication-offset\r\n:1\r\n");
    }
    reply
}

pub struct Clustered {
    pub rig: Rig,
    pub links: Vec<Client>,
}

impl Clustered {
    /// A cluster of three, whose map is known and all of whose nodes are connected to.
    pub fn new() -> Clustered {
        Clustered::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut PoolOptions)) -> Clustered {
        let mut main = pool("main", PoolKind::Cluster(ReadPolicy::Primary), &NODES[..1]);
        change(&mut main);
        let mut clustered = Clustered { rig: before(vec![main], &[]), links: Vec::new() };
        let seed = accept_at(&mut clustered.rig, NODES[0], LINK);
        assert_eq!(clustered.rig.heard(seed), text(&["CLUSTER", "SHARDS"]));
        clustered.links.push(seed);
        let third = SLOTS / 3;
        let map = shards(&[(0, third - 1, 0), (third, 2 * third - 1, 1), (2 * third, SLOTS - 1, 2)]);
        clustered.answer(0, &map);
        for (node, address) in NODES.iter().enumerate() {
            let key = clustered.key(node, 0);
            clustered.rig.tell(A, &format!("GET {key}"));
            if node > 0 {
                clustered.links.push(accept_at(&mut clustered.rig, address, LINK + node as u32));
            }
            assert_eq!(clustered.heard(node), text(&["GET", &key]));
            clustered.answer(node, "$-1\r\n");
            assert_eq!(clustered.rig.take(A), "$-1");
        }
        clustered
    }

    pub fn key(&self, node: usize, nth: usize) -> String {
        let keys = (0..).map(|number| format!("key:{number}"));
        keys.filter(|key| slot_of(key.as_bytes()).index() / (SLOTS / 3) == node).nth(nth).expect("each has keys")
    }

    pub fn heard(&mut self, node: usize) -> String {
        self.rig.heard(self.links[node])
    }

    pub fn answer(&mut self, node: usize, reply: &str) {
        self.rig.send(self.links[node], reply.as_bytes());
        self.rig.settle();
    }

    pub fn moved(&self, key: &str, to: usize) -> String {
        format!("-MOVED {} {}\r\n", slot_of(key.as_bytes()).index(), NODES[to])
    }
}

/// Proves that MOVED is followed, once for all that is asked of the slot from then on.
#[test]
fn a_slot_that_has_moved_is_followed() {
    let mut cluster = Clustered::new();
    let key = cluster.key(0, 0);
    cluster.rig.tell(A, &format!("SET {key} 1"));
    assert_eq!(cluster.heard(0), text(&["SET", &key, "1"]));
    let moved = cluster.moved(&key, 2);
    cluster.answer(0, &moved);
    assert_eq!(cluster.heard(2), text(&["SET", &key, "1"]));
    cluster.answer(2, "+OK\r\n");
    assert_eq!(cluster.rig.take(A), "+OK");
    cluster.rig.tell(A, &format!("GET {key}"));
    assert_eq!(cluster.heard(2), text(&["GET", &key]));
    // And the map is asked for.
    cluster.rig.pass(200_000);
    let asked = (0..3).map(|node| cluster.heard(node)).collect::<String>();
    assert_eq!(asked, text(&["CLUSTER", "SHARDS"]));
}

/// Proves that requests of one client on one key are executed in order, though the key has moved between them.
#[test]
fn a_client_waits_until_what_it_asked_has_moved() {
    let mut cluster = Clustered::new();
    let key = cluster.key(0, 0);
    cluster.rig.tell(A, &format!("SET {key} 1\nSET {key} 2"));
    cluster.heard(0);
    let moved = cluster.moved(&key, 1);
    cluster.answer(0, &moved);
    assert_eq!(cluster.heard(1), text(&["SET", &key, "1"]));
    // What it asks now must not overtake the second one, which is still on its way to the old server.
    cluster.rig.tell(A, &format!("SET {key} 3"));
    assert_eq!(cluster.heard(1), "");
    // Who awaits nothing goes on.
    cluster.rig.tell(B, &format!("GET {key}"));
    assert_eq!(cluster.heard(1), text(&["GET", &key]));
    cluster.answer(0, &moved);
    assert_eq!(cluster.heard(1), text(&["SET", &key, "2"]));
    cluster.answer(1, "+OK\r\n$1\r\n1\r\n+OK\r\n");
    assert_eq!(cluster.heard(1), text(&["SET", &key, "3"]));
    cluster.answer(1, "+OK\r\n");
    assert_eq!((cluster.rig.take(A), cluster.rig.take(B)), ("+OK +OK +OK".into(), "$1 1".into()));
}

#[test]
fn asking_is_for_one_request() {
    let mut cluster = Clustered::new();
    let key = cluster.key(0, 0);
    cluster.rig.tell(A, &format!("GET {key}"));
    cluster.heard(0);
    let ask = cluster.moved(&key, 1).replace("MOVED", "ASK");
    cluster.answer(0, &ask);
    assert_eq!(cluster.heard(1), [&["ASKING"][..], &["GET", &key]].map(text).concat());
    cluster.answer(1, "+OK\r\n$1\r\n1\r\n");
    assert_eq!(cluster.rig.take(A), "$1 1");
    cluster.rig.tell(A, &format!("GET {key}"));
    assert_eq!(cluster.heard(0), text(&["GET", &key]));
}

#[test]
fn a_request_that_comes_too_soon_is_asked_again() {
    let mut cluster = Clustered::new();
    let key = cluster.key(0, 0);
    cluster.rig.tell(A, &format!("MGET {key} {key}"));
    assert_eq!(cluster.heard(0), text(&["MGET", &key, &key]));
    cluster.answer(0, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
    assert_eq!(cluster.heard(0), "");
    cluster.rig.pass(6_000);
    assert_eq!(cluster.heard(0), text(&["MGET", &key, &key]));
    cluster.answer(0, "*2\r\n$-1\r\n$-1\r\n");
    assert_eq!(cluster.rig.take(A), "*2 $-1 $-1");
}

#[test]
fn servers_that_send_each_other_s_clients_around_are_an_error() {
    let mut cluster = Clustered::new();
    let key = cluster.key(0, 0);
    cluster.rig.tell(A, &format!("GET {key}"));
    for hop in 0.. {
        let heard = cluster.rig.take(A);
        if !heard.is_empty() {
            assert!(heard.starts_with("-ERR upstream main sent slot"), "{heard}");
            return;
        }
        assert!(hop < 20);
        let (from, to) = (hop % 2, 1 - hop % 2);
        cluster.heard(from);
        let moved = cluster.moved(&key, to);
        cluster.answer(from, &moved);
    }
}

#[test]
fn keys_of_many_slots_are_asked_for_slot_by_slot() {
    let mut cluster = Clustered::new();
    let (one, two, three) = (cluster.key(0, 0), cluster.key(0, 1), cluster.key(1, 0));
    cluster.rig.tell(A, &format!("MGET {one} {two} {three} {one}"));
    let mut parts: Vec<String> = cluster.heard(0).split_inclusive("*").map(str::to_owned).collect();
    parts.retain(|part| part.len() > 1);
    assert_eq!(parts.len(), 2);
    let wide = slot_of(one.as_bytes()) < slot_of(two.as_bytes());
    let (first, second) = ("*2\r\n$1\r\n1\r\n$1\r\n1\r\n", "*1\r\n$1\r\n2\r\n");
    cluster.answer(0, &if wide { [first, second].concat() } else { [second, first].concat() });
    assert_eq!(cluster.heard(1), text(&["MGET", &three]));
    cluster.answer(1, "*1\r\n$1\r\n3\r\n");
    assert_eq!(cluster.rig.take(A), "*4 $1 1 $1 2 $1 3 $1 1");
}

/// Proves that what a failover changes is seen: the map is asked for as soon as a primary is lost, until it has another.
#[test]
fn a_failover_is_followed() {
    let mut cluster = Clustered::new();
    let key = cluster.key(2, 0);
    cluster.rig.tell(A, &format!("SET {key} 1\nGET {key}"));
    cluster.rig.lose(cluster.links[2]);
    let (_, dial) = cluster.rig.dials.pop().expect("a read is asked once more");
    assert_eq!(&*dial.address, NODES[2]);
    cluster.rig.refuse(&(0, dial));
    let (lost, gone) = ("lost: outcome unknown", "unreachable");
    let server = "-ERR upstream 10.0.0.3:7000";
    assert_eq!(cluster.rig.take(A), format!("{server} {lost} {server} {gone}"));
    cluster.rig.pass(300_000);
    let asked: Vec<String> = (0..2).map(|node| cluster.heard(node)).collect();
    let node = asked.iter().position(|heard| !heard.is_empty()).expect("the map is asked for");
    assert_eq!(asked[node], text(&["CLUSTER", "SHARDS"]));
    let third = SLOTS / 3;
    cluster.answer(node, &shards(&[(0, third - 1, 0), (third, SLOTS - 1, 1)]));
    cluster.rig.tell(A, &format!("SET {key} 1"));
    assert_eq!(cluster.heard(1), text(&["SET", &key, "1"]));
}

/// Proves that a replica whose connection was lost is read from again once it is back, though nobody asks it anything meanwhile.
#[test]
fn a_replica_that_was_lost_is_found_again() {
    let main = pool("main", PoolKind::Cluster(ReadPolicy::Replica), &NODES[..1]);
    let mut rig = before(vec![main], &[]);
    let node = |role: &str, address: &str| {
        let (host, port) = address.split_once(':').expect("host and port");
        let texts = [("endpoint", host), ("role", role), ("health", "online")];
        let texts = texts.map(|(name, value)| format!("${}\r\n{name}\r\n${}\r\n{value}\r\n", name.len(), value.len()));
        format!("*8\r\n{}$4\r\nport\r\n:{port}\r\n", texts.concat())
    };
    let nodes = [node("master", NODES[0]), node("replica", NODES[1])].concat();
    let map = format!("*1\r\n*4\r\n$5\r\nslots\r\n*2\r\n:0\r\n:{}\r\n$5\r\nnodes\r\n*2\r\n{nodes}", SLOTS - 1);
    let greet = |rig: &mut Rig, link: Client| {
        assert_eq!(rig.heard(link), text(&["READONLY"]));
        rig.send(link, b"+OK\r\n");
        rig.settle();
    };
    let primary = accept_at(&mut rig, NODES[0], LINK);
    greet(&mut rig, primary);
    assert_eq!(rig.heard(primary), text(&["CLUSTER", "SHARDS"]));
    rig.send(primary, map.as_bytes());
    rig.tell(A, "GET a");
    let replica = accept_at(&mut rig, NODES[1], LINK + 1);
    greet(&mut rig, replica);
    assert_eq!(rig.heard(replica), text(&["GET", "a"]));
    rig.lose(replica);
    assert_eq!(rig.heard(primary), text(&["GET", "a"]));
    rig.send(primary, b"$1\r\n1\r\n");
    rig.settle();
    assert_eq!(rig.take(A), "$1 1");
    rig.pass(3_000_000);
    assert_eq!(rig.heard(primary), text(&["CLUSTER", "SHARDS"]));
    rig.send(primary, map.as_bytes());
    rig.settle();
    let replica = accept_at(&mut rig, NODES[1], LINK + 2);
    greet(&mut rig, replica);
    rig.tell(A, "GET a");
    assert_eq!(rig.heard(replica), text(&["GET", "a"]));
}
