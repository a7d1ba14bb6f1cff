//! Independent servers: which one is asked, requests that are taken apart, and routes.

use super::{A, LINK, accept_at, before, pool, text};
use crate::rig::{Client, Rig};
use coldplate::engine::PoolKind;
use coldplate::routing::{Layout, Pool, Server};

const SERVERS: [&str; 3] = ["10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379"];
const LAYOUT: Layout = Layout { hash_tag: Some(*b"{}"), ..super::LAYOUT };

struct Pooled {
    rig: Rig,
    links: Vec<Client>,
    placement: Pool,
}

impl Pooled {
    /// A pool that is connected to.
    fn new() -> Pooled {
        let named: Vec<Server> = SERVERS.iter().map(|name| Server { name: (*name).to_owned(), weight: 1 }).collect();
        let placement = Pool::new(&named, LAYOUT, 0).expect("three servers");
        let rig = before(vec![pool("main", PoolKind::Servers(LAYOUT), &SERVERS)], &[]);
        let mut pooled = Pooled { rig, links: Vec::new(), placement };
        for (server, index) in (0..3).zip(LINK..) {
            let key = pooled.key(server, 0);
            pooled.rig.tell(A, &format!("GET {key}"));
            let link = accept_at(&mut pooled.rig, SERVERS[server], index);
            assert_eq!(pooled.rig.heard(link), text(&["GET", &key]));
            pooled.links.push(link);
            pooled.answer(server, "$-1\r\n");
            assert_eq!(pooled.rig.take(A), "$-1");
        }
        pooled
    }

    /// Key number `nth` of a server.
    fn key(&self, server: usize, nth: usize) -> String {
        let keys = (0..).map(|number| format!("key:{number}"));
        keys.filter(|key| self.placement.place(key.as_bytes()) == server).nth(nth).expect("each has keys")
    }

    fn heard(&mut self, server: usize) -> String {
        self.rig.heard(self.links[server])
    }

    fn answer(&mut self, server: usize, reply: &str) {
        self.rig.send(self.links[server], reply.as_bytes());
        self.rig.settle();
    }
}

#[test]
fn keys_go_to_their_servers() {
    let mut pooled = Pooled::new();
    for server in 0..3 {
        let (one, other) = (pooled.key(server, 1), pooled.key(server, 2));
        pooled.rig.tell(A, &format!("SET {one} 1\nSINTERSTORE {one} {other}\nMGET {one} {other}"));
        let asked = [&["SET", &one, "1"][..], &["SINTERSTORE", &one, &other], &["MGET", &one, &other]];
        assert_eq!(pooled.heard(server), asked.map(text).concat());
        pooled.answer(server, "+OK\r\n:0\r\n*2\r\n$1\r\n1\r\n$-1\r\n");
        assert_eq!(pooled.rig.take(A), "+OK :0 *2 $1 1 $-1");
    }
}

/// Proves that each server gets its keys in one request, and that the reply has them in the order of the request.
#[test]
fn requests_on_several_keys_are_taken_apart() {
    let mut pooled = Pooled::new();
    let keys: Vec<String> = [(2, 0), (0, 0), (2, 1), (0, 1)].map(|(server, nth)| pooled.key(server, nth)).into();
    pooled.rig.tell(A, &format!("MGET {}\nPING", keys.join(" ")));
    assert_eq!(pooled.heard(0), text(&["MGET", &keys[1], &keys[3]]));
    assert_eq!(pooled.heard(1), "");
    assert_eq!(pooled.heard(2), text(&["MGET", &keys[0], &keys[2]]));
    pooled.answer(2, "*2\r\n$1\r\na\r\n$-1\r\n");
    assert_eq!(pooled.rig.take(A), "");
    pooled.answer(0, "*2\r\n$1\r\nb\r\n$1\r\nc\r\n");
    assert_eq!(pooled.rig.take(A), "*4 $1 a $1 b $-1 $1 c +PONG");

    pooled.rig.tell(A, &format!("MSET {} 1 {} 2 {} 3\nDEL {} {}", keys[0], keys[1], keys[2], keys[0], keys[1]));
    let first = [&["MSET", &keys[1], "2"][..], &["DEL", &keys[1]]].map(text).concat();
    assert_eq!(pooled.heard(0), first);
    assert_eq!(pooled.heard(2), [&["MSET", &keys[0], "1", &keys[2], "3"][..], &["DEL", &keys[0]]].map(text).concat());
    pooled.answer(0, "+OK\r\n:1\r\n");
    pooled.answer(2, "+OK\r\n:1\r\n");
    assert_eq!(pooled.rig.take(A), "+OK :2");
    pooled.rig.tell(A, &format!("EXISTS {} {}", keys[0], keys[1]));
    pooled.answer(0, "-ERR no\r\n");
    pooled.answer(2, ":1\r\n");
    assert_eq!(pooled.rig.take(A), "-ERR no");
}

#[test]
fn what_cannot_be_taken_apart_is_refused() {
    let mut pooled = Pooled::new();
    let (one, other) = (pooled.key(0, 0), pooled.key(1, 0));
    let apart = |name: &str| format!("-ERR upstream main: keys of '{name}' lie on different servers\r\n");
    assert_eq!(pooled.rig.say(A, &format!("RENAME {one} {other}")), apart("rename"));
    assert_eq!(pooled.rig.say(A, &format!("SUNION {one} {other}")), apart("sunion"));
    assert_eq!(
        pooled.rig.say(A, &format!("JSON.GET {one}")),
        "-ERR upstream main: unknown command, so its keys are unknown\r\n"
    );
    assert!(pooled.rig.say(A, &format!("MSET {one} 1 {other}")).starts_with("-ERR"));
    assert_eq!((pooled.heard(0), pooled.heard(1)), (String::new(), String::new()));
}

#[test]
fn what_is_about_all_keys_asks_all() {
    let mut pooled = Pooled::new();
    pooled.rig.tell(A, "DBSIZE\nFLUSHALL\nKEYS *");
    for server in 0..3 {
        assert_eq!(pooled.heard(server), [&["DBSIZE"][..], &["FLUSHALL"], &["KEYS", "*"]].map(text).concat());
        pooled.answer(server, &format!(":{}\r\n+OK\r\n*1\r\n$1\r\n{server}\r\n", server + 1));
    }
    assert_eq!(pooled.rig.take(A), ":6 +OK *3 $1 0 $1 1 $1 2");
}

#[test]
fn a_scan_goes_through_all_servers() {
    let mut pooled = Pooled::new();
    pooled.rig.tell(A, "SCAN 0 COUNT 5");
    assert_eq!(pooled.heard(0), text(&["SCAN", "0", "COUNT", "5"]));
    pooled.answer(0, "*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n");
    assert_eq!(pooled.rig.take(A), "*2 $15 281474976710656 *1 $1 a");
    pooled.rig.tell(A, "SCAN 281474976710656");
    assert_eq!(pooled.heard(1), text(&["SCAN", "0"]));
    pooled.answer(1, "*2\r\n$1\r\n7\r\n*0\r\n");
    assert_eq!(pooled.rig.take(A), "*2 $15 281474976710663 *0");
    pooled.rig.tell(A, "SCAN 562949953421312");
    pooled.answer(2, "*2\r\n$1\r\n0\r\n*0\r\n");
    assert_eq!(pooled.rig.take(A), "*2 $1 0 *0");
    assert_eq!(pooled.rig.say(A, "SCAN 844424930131968"), "-ERR invalid cursor\r\n");
    assert_eq!(pooled.rig.say(A, "SCAN x"), "-ERR invalid cursor\r\n");
}

/// Proves that a server that is gone takes nothing but its own keys along.
#[test]
fn one_server_is_gone() {
    let mut pooled = Pooled::new();
    let keys: Vec<String> = (0..3).map(|server| pooled.key(server, 0)).collect();
    pooled.rig.lose(pooled.links[1]);
    pooled.rig.tell(A, &format!("GET {}\nMGET {}", keys[0], keys.join(" ")));
    let (_, dial) = pooled.rig.dials.pop().expect("it is tried again");
    pooled.rig.refuse(&(0, dial));
    pooled.answer(0, "$1\r\na\r\n*1\r\n$1\r\na\r\n");
    pooled.answer(2, "*1\r\n$1\r\nc\r\n");
    assert_eq!(pooled.rig.take(A), "$1 a -ERR upstream 10.0.0.2:6379 unreachable");
}

#[test]
fn routes_lead_to_pools_and_here() {
    let pools = vec![pool("main", PoolKind::Single, &[SERVERS[0]]), pool("other", PoolKind::Single, &[SERVERS[1]])];
    let mut rig = before(pools, &[("o:*", Some(1)), ("here:*", None)]);
    rig.tell(A, "SET a 1\nSET o:a 2\nSET here:a 3\nGET here:a\nMGET here:a here:b");
    let (main, other) = (accept_at(&mut rig, SERVERS[0], LINK), accept_at(&mut rig, SERVERS[1], LINK + 1));
    assert_eq!((rig.heard(main), rig.heard(other)), (text(&["SET", "a", "1"]), text(&["SET", "o:a", "2"])));
    rig.send(main, b"+OK\r\n");
    rig.send(other, b"+OK\r\n");
    assert_eq!(rig.take(A), "+OK +OK +OK $1 3 *2 $1 3 $-1");
    rig.tell(A, "MGET a o:a");
    assert_eq!((rig.heard(main), rig.heard(other)), (text(&["MGET", "a"]), text(&["MGET", "o:a"])));
    rig.send(other, b"*1\r\n$1\r\n2\r\n");
    rig.send(main, b"*1\r\n$1\r\n1\r\n");
    assert_eq!(rig.take(A), "*2 $1 1 $1 2");
    assert!(rig.say(A, "MGET a here:a").starts_with("-ERR upstream main: keys of 'mget' lie on different servers"));
}
