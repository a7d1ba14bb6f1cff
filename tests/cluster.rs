//! Proves what the port that a client came in by changes, with three engines and no shell: who is `myself`, which keys
//! commands on all keys see, and that every other request is answered as on any port, with letters only where the key
//! is another core's.

use coldplate::engine::{
    Effects, Endpoint, Engine, EngineOptions, Event, Facade, Host, HostReport, Ledger, Settings, ShellCounts,
};
use coldplate::keyspace::ShardOptions;
use coldplate::routing::{SlotTable, slot_of};
use coldplate::types::{ConnId, CoreId, Now, Slot};
use std::sync::Arc;

const CORES: usize = 3;
const NOW: Now = Now { mono_us: 1, unix_us: 1_700_000_000_000_000 };
/// The client of a core's node, and the one that core 0 has from the port that is no node's.
const OF_NODE: ConnId = ConnId { index: 0, generation: 1 };
const OF_FRONT: ConnId = ConnId { index: 1, generation: 1 };

struct Still;

impl Host for Still {
    fn report(&self) -> HostReport {
        HostReport::default()
    }
    fn set_log_level(&self, _: &str) {}
}

struct Rig {
    engines: Vec<Engine>,
    table: Arc<SlotTable>,
    letters: usize,
}

impl Rig {
    fn new(announced: bool) -> Rig {
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
        let table = Arc::new(SlotTable::contiguous(CORES, &[]).expect("three cores"));
        let ledger = Arc::new(Ledger::new(CORES));
        let engine = |core| {
            Engine::new(EngineOptions {
                core: CoreId(core as u16),
                table: Arc::clone(&table),
                ledger: Arc::clone(&ledger),
                shard: ShardOptions { hash_seed: [1, 2, 3, 4], draw_seed: 5, place: slot_of },
                settings: settings.clone(),
                host: Arc::new(Still),
            })
        };
        let engines: Vec<Engine> = (0..CORES).map(engine).collect();
        let mut rig = Rig { engines, table, letters: 0 };
        for core in 0..CORES {
            rig.open(core, OF_NODE, format!("127.0.0.1:{}", 7000 + core));
        }
        rig.open(0, OF_FRONT, "127.0.0.1:6379".into());
        rig
    }

    fn open(&mut self, core: usize, conn: ConnId, local: String) {
        let opened = Event::Opened { conn, peer: "peer:1".into(), local };
        self.engines[core].handle(NOW, opened, &mut Effects::default());
    }

    /// Asks on a core's connection and passes letters on until all has been answered.
    fn ask(&mut self, core: usize, conn: ConnId, request: &str) -> String {
        let mut effects = Effects::default();
        let bytes = format!("{request}\r\n").into_bytes();
        self.engines[core].handle(NOW, Event::Received { chunks: &[(conn, &bytes)] }, &mut effects);
        loop {
            for engine in &mut self.engines {
                engine.turn_ends(NOW, ShellCounts::default());
            }
            let mut mail = Vec::new();
            for (from, engine) in (0..).map(CoreId).zip(&mut self.engines) {
                for to in 0..CORES {
                    mail.extend(engine.take_mail(CoreId(to as u16)).map(|batch| (from, to, batch)));
                }
            }
            if mail.is_empty() {
                break;
            }
            self.letters += mail.len();
            for (from, to, batch) in mail {
                self.engines[to].handle(NOW, Event::Mail { from, batch }, &mut effects);
            }
        }
        let output = self.engines[core].take_output(conn).expect("an answer");
        let text = String::from_utf8(output.flatten()).expect("these replies are text");
        self.engines[core].handle(NOW, Event::Sent { conn, output }, &mut effects);
        text
    }

    /// Each node's answer to the same request.
    fn ask_nodes(&mut self, request: &str) -> Vec<String> {
        (0..CORES).map(|core| self.ask(core, OF_NODE, request)).collect()
    }

    /// A key of each core, by number.
    fn key(&self, core: usize, number: usize) -> String {
        let keys = (0..).map(|at| format!("key:{at}"));
        let mut own = keys.filter(|key| self.table.owner(slot_of(key.as_bytes())).index() == core);
        own.nth(number).expect("there are ever more keys")
    }

    /// Core 0 gets one key, core 1 two, core 2 three, each by its own node.
    fn fill(&mut self) {
        for core in 0..CORES {
            for number in 0..=core {
                let set = format!("SET {} x", self.key(core, number));
                assert_eq!(self.ask(core, OF_NODE, &set), "+OK\r\n");
            }
        }
    }
}

#[test]
fn a_node_answers_for_its_own_keys_without_letters() {
    let mut rig = Rig::new(true);
    rig.fill();
    assert_eq!(rig.ask_nodes("DBSIZE"), [":1\r\n", ":2\r\n", ":3\r\n"]);
    let keys = rig.ask_nodes("KEYS *");
    let scans = rig.ask_nodes("SCAN 0 COUNT 1000");
    for core in 0..CORES {
        assert!(keys[core].starts_with(&format!("*{}\r\n", core + 1)), "{}", keys[core]);
        assert!(scans[core].starts_with(&format!("*2\r\n$1\r\n0\r\n*{}\r\n", core + 1)), "{}", scans[core]);
        assert!((0..=core).all(|number| scans[core].contains(&rig.key(core, number))));
    }
    assert!(rig.ask(1, OF_NODE, "RANDOMKEY").contains("key:"));
    assert_eq!(rig.ask(1, OF_NODE, "FLUSHALL SOON"), "-ERR syntax error\r\n");
    assert_eq!(rig.ask(1, OF_NODE, "SCAN x"), "-ERR invalid cursor\r\n");
    assert_eq!(rig.ask(1, OF_NODE, "FLUSHDB"), "+OK\r\n");
    assert_eq!(rig.ask_nodes("DBSIZE"), [":1\r\n", ":0\r\n", ":3\r\n"]);
    assert_eq!(rig.ask(1, OF_NODE, "RANDOMKEY"), "$-1\r\n");
    assert_eq!(rig.letters, 0);
    assert!(rig.ask(2, OF_NODE, "INFO keyspace").contains("db0:keys=3,"));
    assert!(!rig.ask(1, OF_NODE, "INFO keyspace").contains("db0:"));
    assert!(rig.ask(0, OF_FRONT, "INFO keyspace").contains("db0:keys=4,"));
    assert_eq!(rig.ask(0, OF_FRONT, "DBSIZE"), ":4\r\n");
    assert_eq!(rig.ask(0, OF_FRONT, "FLUSHALL"), "+OK\r\n");
    assert_eq!(rig.ask_nodes("DBSIZE"), [":0\r\n", ":0\r\n", ":0\r\n"]);
}

/// A cursor of SCAN that takes many calls ends at the node's last key and meets each of them.
#[test]
fn scan_of_a_node_in_steps() {
    let mut rig = Rig::new(true);
    for number in 0..200 {
        let set = format!("SET {} x", rig.key(1, number));
        rig.ask(0, OF_FRONT, &set);
    }
    let (mut cursor, mut seen, mut calls) = ("0".to_owned(), Vec::new(), 0);
    loop {
        let reply = rig.ask(1, OF_NODE, &format!("SCAN {cursor} COUNT 10"));
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
    let mut rig = Rig::new(true);
    rig.fill();
    let all: Vec<String> = (0..CORES).map(|core| rig.key(core, 0)).collect();
    let mget = format!("MGET {}", all.join(" "));
    for (core, key) in all.iter().enumerate() {
        assert_eq!(rig.ask(core, OF_NODE, &mget), "*3\r\n$1\r\nx\r\n$1\r\nx\r\n$1\r\nx\r\n");
        let slot = slot_of(key.as_bytes()).0;
        for asked in 0..CORES {
            assert_eq!(rig.ask(asked, OF_NODE, &format!("CLUSTER COUNTKEYSINSLOT {slot}")), ":1\r\n");
            let keys = rig.ask(asked, OF_NODE, &format!("CLUSTER GETKEYSINSLOT {slot} 10"));
            assert_eq!(keys, format!("*1\r\n${}\r\n{key}\r\n", key.len()));
            assert_eq!(rig.ask(asked, OF_NODE, &format!("CLUSTER GETKEYSINSLOT {slot} 0")), "*0\r\n");
        }
    }
    assert!(rig.letters > 0);
}

#[test]
fn slot_stats_of_a_node_and_of_all() {
    let mut rig = Rig::new(true);
    rig.fill();
    let most = "CLUSTER SLOT-STATS ORDERBY KEY-COUNT LIMIT 7";
    for (core, reply) in rig.ask_nodes(most).iter().enumerate() {
        assert_eq!(reply.matches("key-count\r\n:1\r\n").count(), core + 1, "{reply}");
    }
    assert_eq!(rig.letters, 0);
    assert_eq!(rig.ask(0, OF_FRONT, most).matches("key-count\r\n:1\r\n").count(), 6);
    assert!(rig.ask(0, OF_FRONT, "CLUSTER SLOT-STATS SLOTSRANGE 5000 6000").starts_with("*1001\r\n*2\r\n:5000\r\n"));
    let first = rig.table.ranges().find(|(core, ..)| *core == CoreId(1)).map(|(_, first, _)| first);
    assert_eq!(first, Some(Slot(5461)));
    let own = rig.ask(1, OF_NODE, "CLUSTER SLOT-STATS SLOTSRANGE 5000 6000");
    assert!(own.starts_with("*540\r\n*2\r\n:5461\r\n"), "{}", &own[..40]);
}

#[test]
fn myself_is_the_port() {
    let mut rig = Rig::new(true);
    let ids = rig.ask_nodes("CLUSTER MYID");
    for (core, id) in ids.iter().enumerate() {
        let id = &id[5..45];
        let nodes = rig.ask(core, OF_NODE, "CLUSTER NODES");
        let port = 7000 + core;
        assert!(nodes.contains(&format!("{id} 127.0.0.1:{port}@{} myself,master - 0 0 ", port + 10_000)), "{nodes}");
        assert_eq!(nodes.matches("myself").count(), 1);
        assert_eq!(rig.ask(core, OF_NODE, &format!("CLUSTER REPLICAS {id}")), "*0\r\n");
        assert_eq!(rig.ask(core, OF_NODE, &format!("CLUSTER COUNT-FAILURE-REPORTS {id}")), ":0\r\n");
    }
    assert!(rig.ask(0, OF_FRONT, "CLUSTER NODES").contains(" 127.0.0.1:6379@16379 myself,master - 0 0 0 connected\n"));
    assert_eq!(rig.ask(0, OF_FRONT, "CLUSTER SLAVES x"), "-ERR Unknown node x\r\n");
    let refused = "-ERR CLUSTER ADDSLOTS is not supported: each node is a core of one process, and its configuration \
                   places the slots\r\n";
    assert_eq!(rig.ask(0, OF_NODE, "cluster addslots 1"), refused);
    for request in ["READONLY", "READWRITE", "ASKING", "SELECT 0"] {
        assert_eq!(rig.ask(0, OF_NODE, request), "+OK\r\n", "{request}");
    }
    assert_eq!(rig.ask(0, OF_NODE, "SELECT 1"), "-ERR SELECT is not allowed in cluster mode\r\n");
    assert!(rig.ask(0, OF_NODE, "HELLO").contains("mode\r\n$7\r\ncluster\r\n"));
    assert_eq!(rig.letters, 0);
}

/// The words are those of redis-server 7.0 with its cluster switched off.
#[test]
fn nothing_is_announced_by_default() {
    let mut rig = Rig::new(false);
    let requests = "INFO|NODES|SLOTS|SHARDS|LINKS|MYID|MYSHARDID|COUNTKEYSINSLOT x|GETKEYSINSLOT 0 1|REPLICAS x|\
                    SLOT-STATS ORDERBY x|RESET|MEET a b|FAILOVER";
    for request in requests.split('|').map(|request| format!("CLUSTER {request}")) {
        let disabled = "-ERR This instance has cluster support disabled\r\n";
        assert_eq!(rig.ask(0, OF_NODE, &request), disabled, "{request}");
    }
    for request in ["READONLY", "READWRITE", "ASKING"] {
        assert_eq!(rig.ask(0, OF_NODE, request), "-ERR This instance has cluster support disabled\r\n");
    }
    assert_eq!(rig.ask(0, OF_NODE, "CLUSTER KEYSLOT foo"), ":12182\r\n");
    assert_eq!(rig.ask(0, OF_NODE, "CLUSTER MEET"), "-ERR wrong number of arguments for 'cluster|meet' command\r\n");
    assert_eq!(rig.ask(0, OF_NODE, "SELECT 1"), "-ERR DB index is out of range\r\n");
    rig.fill();
    assert_eq!(rig.ask_nodes("DBSIZE"), [":6\r\n", ":6\r\n", ":6\r\n"]);
    assert!(rig.ask(0, OF_NODE, "INFO cluster").contains("cluster_enabled:0"));
}
