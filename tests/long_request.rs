//! Proves that a request on very many keys does not make others wait for all of it, and is answered right: an engine
//! without a shell gets an MSET, an MGET and a DEL of 100,000 keys, and another client's PING is answered in between.

use coldplate::engine::{Effects, Engine, EngineOptions, Event, Host, HostReport, Ledger, Settings, ShellCounts};
use coldplate::keyspace::ShardOptions;
use coldplate::routing::{SlotTable, slot_of};
use coldplate::types::{ConnId, CoreId, Now};
use std::sync::Arc;

const KEYS: usize = 100_000;
const NOW: Now = Now { mono_us: 1, unix_us: 1_700_000_000_000_000 };
const LONG: ConnId = ConnId { index: 0, generation: 1 };
const OTHER: ConnId = ConnId { index: 1, generation: 1 };

struct NoHost;

impl Host for NoHost {
    fn report(&self) -> HostReport {
        HostReport::default()
    }
    fn set_log_level(&self, _: &str) {}
}

fn request(args: &[String]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        bytes.extend_from_slice(format!("${}\r\n{arg}\r\n", arg.len()).as_bytes());
    }
    bytes
}

fn drain(engine: &mut Engine, effects: &mut Effects, conn: ConnId, into: &mut Vec<u8>) {
    while let Some(output) = engine.take_output(conn) {
        into.extend_from_slice(&output.flatten());
        engine.handle(NOW, Event::Sent { conn, output }, effects);
    }
    effects.ready.clear();
}

/// Sends the request in pieces, then turns until it is answered; answers how many turns that took, and the reply.
fn run(engine: &mut Engine, args: &[String]) -> (usize, Vec<u8>) {
    let (mut effects, mut reply, mut turns) = (Effects::default(), Vec::new(), 0);
    for piece in request(args).chunks(16_384) {
        engine.turn_begins(NOW, &mut effects);
        engine.handle(NOW, Event::Received { chunks: &[(LONG, piece)] }, &mut effects);
        engine.turn_ends(NOW, ShellCounts::default());
    }
    while engine.deadline() == Some(0) {
        turns += 1;
        engine.handle(NOW, Event::Received { chunks: &[(OTHER, b"PING\r\n")] }, &mut effects);
        let mut pong = Vec::new();
        drain(engine, &mut effects, OTHER, &mut pong);
        assert_eq!(pong, b"+PONG\r\n", "others are served in between");
        engine.turn_begins(NOW, &mut effects);
        engine.turn_ends(NOW, ShellCounts::default());
        drain(engine, &mut effects, LONG, &mut reply);
    }
    drain(engine, &mut effects, LONG, &mut reply);
    (turns, reply)
}

#[test]
fn a_long_request_runs_in_slices() {
    let settings = Settings { client_output_bytes_max: 1 << 30, ..Settings::default() };
    let mut engine = Engine::new(EngineOptions {
        core: CoreId(0),
        table: Arc::new(SlotTable::compile(1, 64, &[]).expect("one core")),
        ledger: Arc::new(Ledger::new(1)),
        shard: ShardOptions { hash_seed: [1, 2, 3, 4], draw_seed: 5, place: slot_of },
        settings,
        host: Arc::new(NoHost),
    });
    for conn in [LONG, OTHER] {
        let opened = Event::Opened { conn, peer: String::new(), local: String::new() };
        engine.handle(NOW, opened, &mut Effects::default());
    }
    let keys = || (0..KEYS).map(|key| format!("key:{key}"));
    let named = |name: &str| std::iter::once(name.to_string());

    let mset: Vec<String> = named("mset").chain(keys().flat_map(|key| [key.clone(), key])).collect();
    let (turns, reply) = run(&mut engine, &mset);
    assert_eq!((reply.as_slice(), engine.keys()), (&b"+OK\r\n"[..], KEYS));
    assert!(turns >= 3, "{turns} turns");

    let mget: Vec<String> = named("mget").chain(keys()).collect();
    let (turns, reply) = run(&mut engine, &mget);
    let expected: String = keys().map(|key| format!("${}\r\n{key}\r\n", key.len())).collect();
    // Each output that went out lets it go on, too, so it takes fewer turns.
    assert!(reply == format!("*{KEYS}\r\n{expected}").into_bytes() && turns >= 1, "{turns} turns");

    let del: Vec<String> = named("del").chain(keys()).chain(named("none")).collect();
    let (_, reply) = run(&mut engine, &del);
    assert_eq!((reply, engine.keys()), (format!(":{KEYS}\r\n").into_bytes(), 0));
}
