//! A listener that does not read is disconnected, and costs nobody else anything.

use super::rig::{Rig, conn, request};
use coldplate::engine::Settings;

fn with_limit(limit: &str) -> Rig {
    let mut settings = Settings::default();
    settings.set(b"client-output-buffer-limit", limit.as_bytes()).expect("it is a limit");
    Rig::with(2, settings)
}

#[test]
fn the_hard_limit_holds_at_once() {
    let mut rig = with_limit("pubsub 10000 0 0");
    let [deaf, other, publisher] = [(0, 1), (0, 2), (1, 1)].map(|client| rig.open(client));
    rig.ask(deaf, &["SUBSCRIBE", "a"]);
    rig.ask(other, &["SUBSCRIBE", "a"]);
    rig.deaf.insert(deaf);
    let (mut told, payload) = (0, "x".repeat(1000));
    while rig.killed.is_empty() {
        assert_eq!(rig.ask(publisher, &["PUBLISH", "a", &payload]), ":2");
        told += 1;
        assert!(told < 20, "it is never closed");
    }
    assert_eq!((rig.killed.as_slice(), told), (&[deaf][..], 10), "ten of a little more than 1,000 bytes");
    assert_eq!(rig.ask(publisher, &["PUBLISH", "a", &payload]), ":1");
    assert_eq!(rig.take(other).matches("message").count(), 11);
}

/// Bytes that the shell has taken and not sent count too.
#[test]
fn what_is_in_flight_counts() {
    let mut rig = with_limit("pubsub 10000 0 0");
    let [deaf, publisher] = [(0, 1), (0, 2)].map(|client| rig.open(client));
    rig.ask(deaf, &["SUBSCRIBE", "a"]);
    rig.deaf.insert(deaf);
    let payload = "x".repeat(6000);
    rig.ask(publisher, &["PUBLISH", "a", &payload]);
    assert!(rig.engines[0].take_output(conn(deaf)).is_some());
    assert!(rig.killed.is_empty());
    rig.ask(publisher, &["PUBLISH", "a", &payload]);
    assert_eq!(rig.killed, [deaf]);
}

/// Past the soft limit a client has its seconds, counted from where it passed the limit for good.
#[test]
fn the_soft_limit_holds_after_its_seconds() {
    let mut rig = with_limit("pubsub 0 5000 10");
    let [deaf, publisher] = [(0, 1), (1, 1)].map(|client| rig.open(client));
    rig.ask(deaf, &["SUBSCRIBE", "a"]);
    let fall_behind = |rig: &mut Rig| {
        rig.deaf.insert(deaf);
        rig.ask(publisher, &["PUBLISH", "a", &"x".repeat(6000)]);
    };
    let wait = |rig: &mut Rig, seconds: u64| {
        rig.mono_us += seconds * 1_000_000;
        rig.turn(0, |_, _, _| {});
    };
    fall_behind(&mut rig);
    wait(&mut rig, 9);
    rig.deaf.clear();
    rig.turn(0, |_, _, _| {});
    fall_behind(&mut rig);
    wait(&mut rig, 9);
    assert!(rig.killed.is_empty(), "it has read everything in between");
    let due_us = rig.engines[0].deadline().expect("the engine wants to look at it");
    assert_eq!(due_us, rig.mono_us + 1_000_000);
    wait(&mut rig, 1);
    assert_eq!(rig.killed, [deaf]);
}

/// A monitor is bounded as a listener is, unless normal clients have a limit of their own.
#[test]
fn a_monitor_is_bounded() {
    for (limit, commands) in [("pubsub 10000 0 0", 11), ("normal 5000 0 0 pubsub 10000 0 0", 5)] {
        let mut rig = with_limit(limit);
        let [deaf, client] = [(0, 1), (1, 1)].map(|client| rig.open(client));
        assert_eq!(rig.ask(deaf, &["MONITOR"]), "+OK");
        rig.deaf.insert(deaf);
        let value = "x".repeat(900);
        let mut sent = 0i32;
        while rig.killed.is_empty() {
            rig.send(client, &request(&["SET", "k", &value]));
            rig.settle();
            sent += 1;
            assert!(sent < 20, "it is never closed");
        }
        assert!(sent.abs_diff(commands) <= 1, "{sent}");
        assert!(rig.ask(client, &["CLIENT", "LIST"]).matches("flags=").count() == 1);
    }
}
