//! Proves that a server past its limit comes down to it whatever its clients do, on two cores that turn only when they ask to
//! or have mail.

mod rig;

use rig::{Client, Rig};

const VALUE_BYTES: usize = 200;
const A: Client = (0, 0);
const FAR: Client = (1, 0);

fn start() -> Rig {
    let mut rig = Rig::new(2);
    for client in [A, FAR] {
        rig.open(client);
    }
    rig
}

/// Has a client write so many keys of its own core, without a turn of the other.
fn fill(rig: &mut Rig, client: Client, keys: usize) {
    let names: Vec<String> = rig.keys_of(client.0).take(keys).collect();
    for name in names {
        rig.tell(client, &format!("SET {name} {}", "x".repeat(VALUE_BYTES)));
        assert_eq!(rig.heard(client), "+OK\r\n");
    }
}

/// Lets time pass as a shell does.
fn sleep(rig: &mut Rig, us: u64) {
    let until_us = rig.mono_us + us;
    loop {
        let due = (0..2).filter_map(|core| Some((rig.engines[core].deadline()?, core)));
        let Some((at_us, core)) = due.min().filter(|(at_us, _)| *at_us <= until_us) else { break };
        rig.mono_us = rig.mono_us.max(at_us);
        rig.turn(core, |_, _, _| {});
        while rig.carry(0, 1) | rig.carry(1, 0) {}
    }
    rig.mono_us = until_us;
}

/// Redis evicts before any command; here time does it, and the clients only read.
#[test]
fn reads_alone_bring_memory_down() {
    let mut rig = start();
    fill(&mut rig, A, 4000);
    fill(&mut rig, FAR, 4000);
    let limit = rig.figure(A, "used_memory") / 4;
    rig.ok(A, &format!("CONFIG SET maxmemory {limit} maxmemory-policy allkeys-lru"));
    for _ in 0..20 {
        rig.say(A, "GET key:1");
        rig.say(FAR, "GET key:1");
        sleep(&mut rig, 1_000);
    }
    let used = rig.figure(A, "used_memory");
    assert!(used <= limit && used > limit / 2, "{used} of {limit}");
    assert!(rig.figure(A, "evicted_keys") > 5000);
}

/// Without an eviction policy nothing goes, reads are served, and writes refused.
#[test]
fn without_a_policy_nothing_goes() {
    let mut rig = start();
    fill(&mut rig, A, 100);
    rig.ok(A, "CONFIG SET maxmemory 1");
    sleep(&mut rig, 1_000_000);
    assert_eq!(rig.engines[0].keys(), 100);
    assert!(rig.say(A, "SET k v").starts_with("-OOM"));
}

/// A core that nobody talks to gives back what it holds beyond its share, once others need theirs.
#[test]
fn a_core_that_sleeps_gives_back_too() {
    let mut rig = start();
    fill(&mut rig, FAR, 4000);
    let limit = rig.figure(A, "used_memory") + 10_000;
    rig.ok(A, &format!("CONFIG SET maxmemory {limit} maxmemory-policy allkeys-lru"));
    fill(&mut rig, A, 1500);
    sleep(&mut rig, 1_000_000);
    let used = rig.figure(A, "used_memory");
    assert!(used <= limit, "{used} of {limit}");
    assert!(rig.engines[1].keys() < 4000 && rig.engines[0].keys() > 1000);
}

/// As in Redis no key goes by itself while clients are paused.
#[test]
fn nothing_goes_while_clients_are_paused() {
    let mut rig = start();
    fill(&mut rig, A, 1000);
    rig.say(A, "CONFIG SET maxmemory 10000 maxmemory-policy allkeys-random\nCLIENT PAUSE 5000 WRITE");
    let keys = rig.engines[0].keys();
    sleep(&mut rig, 1_000_000);
    assert_eq!(rig.engines[0].keys(), keys);
    rig.ok(A, "CLIENT UNPAUSE");
    sleep(&mut rig, 1_000_000);
    assert!(rig.engines[0].keys() < 100);
}
