//! Proves that a server over its limit comes down to it whatever its clients do, on cores that turn only when they ask to.

use super::rig::*;
use coldplate::routing::{SlotTable, slot_of};
use coldplate::types::CoreId;

const VALUE_BYTES: usize = 200;

/// A figure of INFO.
fn figure(rig: &mut Rig, section: &str, name: &str) -> u64 {
    let info = rig.info(section);
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{name} is missing: {info}"))
}

/// Has a client write so many keys of its own core.
fn fill(rig: &mut Rig, client: (usize, usize), keys: usize) {
    let table = SlotTable::compile(CORES, 64, &[]).expect("two cores");
    let names = (0..).map(|at| format!("key:{at}"));
    let near = names.filter(|name| table.owner(slot_of(name.as_bytes())) == CoreId(client.0 as u16));
    for name in near.take(keys) {
        assert_eq!(rig.say(client, &format!("SET {name} {}", "x".repeat(VALUE_BYTES))), "+OK\r\n");
    }
}

/// Redis evicts before any command; here time does it, and the clients only read.
#[test]
fn reads_alone_bring_memory_down() {
    let mut rig = Rig::new();
    fill(&mut rig, A, 4000);
    fill(&mut rig, FAR, 4000);
    let limit = figure(&mut rig, "memory", "used_memory") / 4;
    rig.say(A, &format!("CONFIG SET maxmemory {limit} maxmemory-policy allkeys-lru"));
    for _ in 0..20 {
        rig.say(A, "GET key:1");
        rig.say(FAR, "GET key:1");
        rig.sleep(1_000);
    }
    assert!(figure(&mut rig, "memory", "used_memory") <= limit);
    assert!(figure(&mut rig, "stats", "evicted_keys") > 5000);
    assert!(figure(&mut rig, "memory", "used_memory") > limit / 2, "and not much further");
}

/// Without an eviction policy nothing goes, reads are served, and writes refused.
#[test]
fn without_a_policy_nothing_goes() {
    let mut rig = Rig::new();
    fill(&mut rig, A, 100);
    rig.say(A, "CONFIG SET maxmemory 1");
    rig.sleep(1_000_000);
    assert_eq!(figure(&mut rig, "stats", "evicted_keys"), 0);
    assert!(rig.say(A, "SET k v").starts_with("-OOM"));
}

/// A core that nobody talks to gives back what it holds beyond its share, once others need theirs.
#[test]
fn a_core_that_sleeps_gives_back_too() {
    let mut rig = Rig::new();
    fill(&mut rig, FAR, 4000);
    let limit = figure(&mut rig, "memory", "used_memory");
    rig.say(A, &format!("CONFIG SET maxmemory {} maxmemory-policy allkeys-lru", limit + 10_000));
    fill(&mut rig, A, 1500);
    rig.sleep(1_000_000);
    let used = figure(&mut rig, "memory", "used_memory");
    assert!(used <= limit + 10_000, "{used} of {limit}");
    assert!(rig.engines[1].keys() < 4000 && rig.engines[0].keys() > 1000);
}

/// As in Redis no key goes by itself while clients are paused.
#[test]
fn nothing_goes_while_clients_are_paused() {
    let mut rig = Rig::new();
    fill(&mut rig, A, 1000);
    rig.say(A, "CONFIG SET maxmemory 10000 maxmemory-policy allkeys-random\nCLIENT PAUSE 5000 WRITE");
    let keys = rig.engines[0].keys();
    rig.sleep(1_000_000);
    assert_eq!(rig.engines[0].keys(), keys);
    rig.say(A, "CLIENT UNPAUSE");
    rig.sleep(1_000_000);
    assert!(rig.engines[0].keys() < 100);
}
