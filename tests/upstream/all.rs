//! Requests about all keys, over several pools and this server's own keys; and keys of a server that is left out.

use super::{A, LAYOUT, LINK, accept_at, before, pool, text};
use crate::rig::{Client, Rig};
use coldplate::engine::{PoolKind, PoolOptions, ReadPolicy};
use coldplate::routing::{Pool, Server};

const SERVERS: [&str; 3] = ["10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379"];

/// Two servers in pools of their own, and keys that are here.
fn three_ways() -> (Rig, [Client; 2]) {
    let pools = vec![pool("main", PoolKind::Single, &[SERVERS[0]]), pool("other", PoolKind::Single, &[SERVERS[1]])];
    let mut rig = before(pools, &[("o:*", Some(1)), ("here:*", None)]);
    rig.tell(A, "GET a\nGET o:a\nSET here:a 3");
    let links = [accept_at(&mut rig, SERVERS[0], LINK), accept_at(&mut rig, SERVERS[1], LINK + 1)];
    for link in links {
        rig.heard(link);
        rig.send(link, b"$-1\r\n");
    }
    assert_eq!(rig.take(A), "$-1 $-1 +OK");
    (rig, links)
}

#[test]
fn all_pools_and_this_server_are_asked() {
    let (mut rig, links) = three_ways();
    rig.tell(A, "DBSIZE\nKEYS *\nRANDOMKEY\nSCRIPT FLUSH");
    for link in links {
        let asked = [&["DBSIZE"][..], &["KEYS", "*"], &["RANDOMKEY"], &["SCRIPT", "FLUSH"]];
        assert_eq!(rig.heard(link), asked.map(text).concat());
        rig.send(link, b":2\r\n*2\r\n$1\r\nx\r\n$1\r\ny\r\n$-1\r\n+OK\r\n");
    }
    rig.settle();
    assert_eq!(rig.take(A), ":5 *5 $1 x $1 y $1 x $1 y $6 here:a $6 here:a +OK");
    assert_eq!(rig.say(A, "FLUSHALL NEVER"), "-ERR syntax error\r\n");
    rig.tell(A, "FLUSHALL\nGET here:a");
    for link in links {
        assert_eq!(rig.heard(link), text(&["FLUSHALL"]));
        rig.send(link, b"+OK\r\n");
    }
    rig.settle();
    assert_eq!(rig.take(A), "+OK $-1");
}

#[test]
fn a_scan_ends_with_the_keys_that_are_here() {
    let (mut rig, links) = three_ways();
    let mut cursor = "0".to_owned();
    for link in links {
        rig.tell(A, &format!("SCAN {cursor} MATCH *a COUNT 100"));
        assert_eq!(rig.heard(link), text(&["SCAN", "0", "MATCH", "*a", "COUNT", "100"]));
        rig.send(link, b"*2\r\n$1\r\n0\r\n*1\r\n$1\r\nx\r\n");
        let page = rig.take(A);
        cursor = page.split(' ').nth(2).expect("a cursor").to_owned();
        assert!(page.ends_with("*1 $1 x"), "{page}");
    }
    assert_eq!(rig.ask(A, &["SCAN", &cursor, "MATCH", "*a", "COUNT", "100"]), "*2 $1 0 *1 $6 here:a");
    assert_eq!(rig.ask(A, &["SCAN", &cursor, "COUNT", "0"]), "-ERR syntax error");
}

/// Proves that a cluster that has told nobody yet who has keys is an error, not a wait for nobody.
#[test]
fn a_cluster_without_a_map_has_no_keys_to_tell_of() {
    let mut rig = before(vec![pool("main", PoolKind::Cluster(ReadPolicy::Primary), &[SERVERS[0]])], &[]);
    for request in ["DBSIZE", "SCAN 0"] {
        let told = rig.say(A, request);
        assert_eq!(told, "-ERR upstream main: a cluster has not told yet which servers have keys\r\n");
    }
}

struct Ejecting {
    rig: Rig,
    links: Vec<Client>,
    next: u32,
    placement: Pool,
}

impl Ejecting {
    fn new() -> Ejecting {
        let options = PoolOptions { auto_eject: true, ..pool("main", PoolKind::Servers(LAYOUT), &SERVERS) };
        let named: Vec<Server> = SERVERS.iter().map(|name| Server { name: (*name).to_owned(), weight: 1 }).collect();
        let placement = Pool::new(&named, LAYOUT, 0).expect("three servers");
        let mut pooled = Ejecting { rig: before(vec![options], &[]), links: Vec::new(), next: LINK, placement };
        for server in 0..3 {
            let key = pooled.key_of(server);
            pooled.rig.tell(A, &format!("GET {key}"));
            let link = pooled.accept(server);
            pooled.links.push(link);
            pooled.answer(server, &text(&["GET", &key]), "$-1\r\n");
            assert_eq!(pooled.rig.take(A), "$-1");
        }
        pooled
    }

    fn accept(&mut self, server: usize) -> Client {
        self.next += 1;
        accept_at(&mut self.rig, SERVERS[server], self.next)
    }

    fn key_of(&self, server: usize) -> String {
        let mut keys = (0..).map(|number| format!("key:{number}"));
        keys.find(|key| self.placement.place(key.as_bytes()) == server).expect("each has keys")
    }

    /// A server fails as often as it takes; one of its keys, and where that is then.
    fn eject(&mut self, server: usize) -> (String, usize) {
        let key = self.key_of(server);
        self.rig.lose(self.links[server]);
        for _ in 0..3 {
            self.rig.tell(A, &format!("GET {key}"));
            let dial = self.rig.dials.pop().expect("it is tried again");
            self.rig.refuse(&dial);
            assert_eq!(self.rig.take(A), format!("-ERR upstream {} unreachable", SERVERS[server]));
            self.rig.wait(100_000);
        }
        let left = self.placement.among(|other| other != server).expect("two are left");
        let elsewhere = left.place(key.as_bytes());
        (key, elsewhere)
    }

    fn answer(&mut self, server: usize, heard: &str, reply: &str) {
        assert_eq!(self.rig.heard(self.links[server]), heard);
        self.rig.send(self.links[server], reply.as_bytes());
        self.rig.settle();
    }
}

/// Proves that the keys of a server that fails three times are on the others, as twemproxy would place them, that it is
/// asked whether it is back without any client, and that it has its keys again then.
#[test]
fn keys_of_a_failing_server_are_placed_on_others() {
    let mut pooled = Ejecting::new();
    let (key, elsewhere) = pooled.eject(1);
    pooled.rig.tell(A, &format!("GET {key}\nDBSIZE"));
    pooled.answer(elsewhere, &[text(&["GET", &key]), text(&["DBSIZE"])].concat(), "$1\r\nv\r\n:1\r\n");
    pooled.answer(2 - elsewhere, &text(&["DBSIZE"]), ":1\r\n");
    assert_eq!(pooled.rig.take(A), "$1 v :2");
    // A scan passes it over.
    pooled.rig.tell(A, "SCAN 281474976710656");
    pooled.answer(2, &text(&["SCAN", "0"]), "*2\r\n$1\r\n0\r\n*0\r\n");
    assert_eq!(pooled.rig.take(A), "*2 $1 0 *0");

    assert!(pooled.rig.dials.is_empty());
    pooled.rig.pass(1_300_000);
    let dial = pooled.rig.dials.pop().expect("it is tried without a request");
    pooled.rig.refuse(&dial);
    pooled.rig.pass(1_300_000);
    pooled.links[1] = pooled.accept(1);
    pooled.rig.tell(A, &format!("GET {key}"));
    pooled.answer(elsewhere, &text(&["GET", &key]), "$1\r\nv\r\n");
    pooled.answer(1, &text(&["PING"]), "+PONG\r\n");
    assert_eq!(pooled.rig.take(A), "$1 v");
    pooled.rig.tell(A, &format!("GET {key}"));
    pooled.answer(1, &text(&["GET", &key]), "$-1\r\n");
    assert_eq!(pooled.rig.take(A), "$-1");
    let info = pooled.rig.say(A, "INFO upstream");
    assert!(info.contains("name=10.0.0.2:6379") && info.contains(",ejections=1,ejected=0,"), "{info}");
}

/// Proves that a server that is back, but loads its keys yet, does not have its keys again, whatever it says to a greeting.
#[test]
fn a_server_that_loads_is_still_left_out() {
    let mut pooled = Ejecting::new();
    let (key, elsewhere) = pooled.eject(1);
    for reply in ["-LOADING Redis is loading the dataset in memory\r\n", "+PONG\r\n"] {
        pooled.rig.pass(1_300_000);
        pooled.links[1] = pooled.accept(1);
        pooled.answer(1, &text(&["PING"]), reply);
        let owner = if reply.starts_with('-') { elsewhere } else { 1 };
        pooled.rig.tell(A, &format!("GET {key}"));
        pooled.answer(owner, &text(&["GET", &key]), "$1\r\nv\r\n");
        assert_eq!(pooled.rig.take(A), "$1 v", "{reply}");
    }
}

/// Proves that where every server has failed, keys stay where they were, and come back with the servers.
#[test]
fn all_servers_may_fail() {
    let mut pooled = Ejecting::new();
    for server in 0..3 {
        pooled.rig.lose(pooled.links[server]);
    }
    let keys: Vec<String> = (0..3).map(|server| pooled.key_of(server)).collect();
    for _ in 0..12 {
        for key in &keys {
            pooled.rig.tell(A, &format!("GET {key}"));
            while let Some(dial) = pooled.rig.dials.pop() {
                pooled.rig.refuse(&dial);
            }
        }
        pooled.rig.wait(50_000);
    }
    let told = pooled.rig.take(A);
    assert_eq!(told.matches("unreachable").count(), 36, "{told}");
    pooled.rig.pass(1_300_000);
    assert_eq!(pooled.rig.dials.len(), 3);
    for server in 0..3 {
        pooled.links[server] = pooled.accept(server);
        pooled.answer(server, &text(&["PING"]), "+PONG\r\n");
    }
    for (server, key) in keys.iter().enumerate() {
        pooled.rig.tell(A, &format!("GET {key}"));
        pooled.answer(server, &text(&["GET", key]), "$-1\r\n");
    }
    assert_eq!(pooled.rig.take(A), "$-1 $-1 $-1");
}
