//! Proves what the port that a client came in by changes, with three engines and no shell: who is `myself`, which keys
//! commands on all keys see, and that every other request is answered as on any port, with letters only where the key
//! is another core's.

mod rig;

use coldplate::engine::{Endpoint, Facade, Settings};
use coldplate::routing::{SlotTable, slot_of};
use coldplate::types::{CoreId, Slot};
use rig::{Client, Rig};
use std::sync::Arc;

const CORES: usize = 3;
/// The client of each core's node, and the one that core 0 has from the port that is no node's.
const NODES: [Client; CORES] = [(0, 0), (1, 0), (2, 0)];
const FRONT: Client = (0, 1);

fn start(announced: bool) -> Rig {
    let facade = Facade {
        first_port: 7000,
        announced_port: 7000,
        front_port: 6379,
        ip: None,
        ip_otherwise: "127.0.0.1".into(),
        hostname: None,
        endpoint: Endpoint::Ip,
        seed: "rig".into(),
    };
    let settings = Settings { cluster: announced.then(|| Arc::new(facade)), ..Settings::default() };
    let mut rig = Rig::placed(SlotTable::contiguous(CORES, &[]).expect("three cores"), settings);
    for client in NODES {
        rig.open_between(client, "peer:1", &format!("127.0.0.1:{}", 7000 + client.0));
    }
    rig.open_between(FRONT, "peer:1", "127.0.0.1:6379");
    rig
}

/// Each node's answer to the same request.
fn ask_nodes(rig: &mut Rig, line: &str) -> Vec<String> {
    NODES.iter().map(|client| rig.say(*client, line)).collect()
}

/// A key of each core, by number.
fn key(rig: &Rig, core: usize, number: usize) -> String {
    rig.keys_of(core).nth(number).expect("there are ever more keys")
}

/// Core 0 gets one key, core 1 two, core 2 three, each by its own node.
fn fill(rig: &mut Rig) {
    for (core, client) in NODES.into_iter().enumerate() {
        for number in 0..=core {
            let set = format!("SET {} x", key(rig, core, number));
            rig.ok(client, &set);
        }
    }
}

#[test]
fn a_node_answers_for_its_own_keys_without_letters() {
    let mut rig = start(true);
    fill(&mut rig);
    assert_eq!(ask_nodes(&mut rig, "DBSIZE"), [":1\r\n", ":2\r\n", ":3\r\n"]);
    let keys = ask_nodes(&mut rig, "KEYS *");
    let scans = ask_nodes(&mut rig, "SCAN 0 COUNT 1000");
    for core in 0..CORES {
        assert!(keys[core].starts_with(&format!("*{}\r\n", core + 1)), "{}", keys[core]);
        assert!(scans[core].starts_with(&format!("*2\r\n$1\r\n0\r\n*{}\r\n", core + 1)), "{}", scans[core]);
        assert!((0..=core).all(|number| scans[core].contains(&key(&rig, core, number))));
    }
    assert!(rig.say(NODES[1], "RANDOMKEY").contains("key:"));
    assert_eq!(rig.say(NODES[1], "FLUSHALL SOON"), "-ERR syntax error\r\n");
    assert_eq!(rig.say(NODES[1], "SCAN x"), "-ERR invalid cursor\r\n");
    assert_eq!(rig.say(NODES[1], "FLUSHDB"), "+OK\r\n");
    assert_eq!(ask_nodes(&mut rig, "DBSIZE"), [":1\r\n", ":0\r\n", ":3\r\n"]);
    assert_eq!(rig.say(NODES[1], "RANDOMKEY"), "$-1\r\n");
    assert_eq!(rig.batches, 0);
    assert!(rig.say(NODES[2], "INFO keyspace").contains("db0:keys=3,"));
    assert!(!rig.say(NODES[1], "INFO keyspace").contains("db0:"));
    assert!(rig.say(FRONT, "INFO keyspace").contains("db0:keys=4,"));
    assert_eq!(rig.say(FRONT, "DBSIZE"), ":4\r\n");
    assert_eq!(rig.say(FRONT, "FLUSHALL"), "+OK\r\n");
    assert_eq!(ask_nodes(&mut rig, "DBSIZE"), [":0\r\n", ":0\r\n", ":0\r\n"]);
}

/// A cursor of SCAN that takes many calls ends at the node's last key and meets each of them.
#[test]
fn scan_of_a_node_in_steps() {
    let mut rig = start(true);
    for number in 0..200 {
        let set = format!("SET {} x", key(&rig, 1, number));
        rig.say(FRONT, &set);
    }
    let (mut cursor, mut seen, mut calls) = ("0".to_owned(), Vec::new(), 0);
    loop {
        let reply = rig.say(NODES[1], &format!("SCAN {cursor} COUNT 10"));
        let lines: Vec<&str> = reply.split("\r\n").collect();
        seen.extend(lines.iter().filter(|line| line.starts_with("key:")).map(|line| (*line).to_owned()));
        cursor = lines[2].to_owned();
        calls += 1;
        if cursor == "0" {
            break;
        }
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 200);
    assert!((2..100).contains(&calls), "{calls} calls");
}

#[test]
fn any_port_serves_any_key() {
    let mut rig = start(true);
    fill(&mut rig);
    let all: Vec<String> = (0..CORES).map(|core| key(&rig, core, 0)).collect();
    let mget = format!("MGET {}", all.join(" "));
    for (core, key) in all.iter().enumerate() {
        assert_eq!(rig.say(NODES[core], &mget), "*3\r\n$1\r\nx\r\n$1\r\nx\r\n$1\r\nx\r\n");
        let slot = slot_of(key.as_bytes()).0;
        for node in NODES {
            assert_eq!(rig.say(node, &format!("CLUSTER COUNTKEYSINSLOT {slot}")), ":1\r\n");
            let keys = rig.say(node, &format!("CLUSTER GETKEYSINSLOT {slot} 10"));
            assert_eq!(keys, format!("*1\r\n${}\r\n{key}\r\n", key.len()));
            assert_eq!(rig.say(node, &format!("CLUSTER GETKEYSINSLOT {slot} 0")), "*0\r\n");
        }
    }
    assert!(rig.batches > 0);
}

#[test]
fn slot_stats_of_a_node_and_of_all() {
    let mut rig = start(true);
    fill(&mut rig);
    let most = "CLUSTER SLOT-STATS ORDERBY KEY-COUNT LIMIT 7";
    for (core, reply) in ask_nodes(&mut rig, most).iter().enumerate() {
        assert_eq!(reply.matches("key-count\r\n:1\r\n").count(), core + 1, "{reply}");
    }
    assert_eq!(rig.batches, 0);
    assert_eq!(rig.say(FRONT, most).matches("key-count\r\n:1\r\n").count(), 6);
    assert!(rig.say(FRONT, "CLUSTER SLOT-STATS SLOTSRANGE 5000 6000").starts_with("*1001\r\n*2\r\n:5000\r\n"));
    let first = rig.table.ranges().find(|(core, ..)| *core == CoreId(1)).map(|(_, first, _)| first);
    assert_eq!(first, Some(Slot(5461)));
    let own = rig.say(NODES[1], "CLUSTER SLOT-STATS SLOTSRANGE 5000 6000");
    assert!(own.starts_with("*540\r\n*2\r\n:5461\r\n"), "{}", &own[..40]);
}

#[test]
fn myself_is_the_port() {
    let mut rig = start(true);
    let ids = ask_nodes(&mut rig, "CLUSTER MYID");
    for (core, id) in ids.iter().enumerate() {
        let id = &id[5..45];
        let nodes = rig.say(NODES[core], "CLUSTER NODES");
        let port = 7000 + core;
        assert!(nodes.contains(&format!("{id} 127.0.0.1:{port}@{} myself,master - 0 0 ", port + 10_000)), "{nodes}");
        assert_eq!(nodes.matches("myself").count(), 1);
        assert_eq!(rig.say(NODES[core], &format!("CLUSTER REPLICAS {id}")), "*0\r\n");
        assert_eq!(rig.say(NODES[core], &format!("CLUSTER COUNT-FAILURE-REPORTS {id}")), ":0\r\n");
    }
    assert!(rig.say(FRONT, "CLUSTER NODES").contains(" 127.0.0.1:6379@16379 myself,master - 0 0 0 connected\n"));
    assert_eq!(rig.say(FRONT, "CLUSTER SLAVES x"), "-ERR Unknown node x\r\n");
    let refused = "-ERR CLUSTER ADDSLOTS is not supported: each node is a core of one process, and its configuration \
                   places the slots\r\n";
    assert_eq!(rig.say(NODES[0], "cluster addslots 1"), refused);
    for request in ["READONLY", "READWRITE", "ASKING", "SELECT 0"] {
        assert_eq!(rig.say(NODES[0], request), "+OK\r\n", "{request}");
    }
    assert_eq!(rig.say(NODES[0], "SELECT 1"), "-ERR SELECT is not allowed in cluster mode\r\n");
    assert!(rig.say(NODES[0], "HELLO").contains("mode\r\n$7\r\ncluster\r\n"));
    assert_eq!(rig.batches, 0);
}

/// The words are those of redis-server 7.0 with its cluster switched off.
#[test]
fn nothing_is_announced_by_default() {
    let mut rig = start(false);
    let requests = "INFO|NODES|SLOTS|SHARDS|LINKS|MYID|MYSHARDID|COUNTKEYSINSLOT x|GETKEYSINSLOT 0 1|REPLICAS x|\
                    SLOT-STATS ORDERBY x|RESET|MEET a b|FAILOVER";
    for request in requests.split('|').map(|request| format!("CLUSTER {request}")) {
        let disabled = "-ERR This instance has cluster support disabled\r\n";
        assert_eq!(rig.say(NODES[0], &request), disabled, "{request}");
    }
    for request in ["READONLY", "READWRITE", "ASKING"] {
        assert_eq!(rig.say(NODES[0], request), "-ERR This instance has cluster support disabled\r\n");
    }
    assert_eq!(rig.say(NODES[0], "CLUSTER KEYSLOT foo"), ":12182\r\n");
    assert_eq!(rig.say(NODES[0], "CLUSTER MEET"), "-ERR wrong number of arguments for 'cluster|meet' command\r\n");
    assert_eq!(rig.say(NODES[0], "SELECT 1"), "-ERR DB index is out of range\r\n");
    fill(&mut rig);
    assert_eq!(ask_nodes(&mut rig, "DBSIZE"), [":6\r\n", ":6\r\n", ":6\r\n"]);
    assert!(rig.say(NODES[0], "INFO cluster").contains("cluster_enabled:0"));
}
