//! Proves that chunks which are handed over together, and looked up together, are answered like chunks that come one by
//! one: of several connections, of the same one twice, with requests cut anywhere, and with an AUTH among them.

use coldplate::engine::{Effects, Engine, EngineOptions, Event, Host, HostReport, Ledger, Settings};
use coldplate::keyspace::ShardOptions;
use coldplate::routing::{SlotTable, slot_of};
use coldplate::types::{ConnId, CoreId, Now};
use proptest::prelude::*;
use std::sync::Arc;

const CONNS: u32 = 3;
const NOW: Now = Now { mono_us: 1, unix_us: 1_700_000_000_000_000 };

struct NoHost;

impl Host for NoHost {
    fn report(&self) -> HostReport {
        HostReport::default()
    }
    fn set_log_level(&self, _: &str) {}
}

fn conn(index: u32) -> ConnId {
    ConnId { index, generation: 1 }
}

fn engine() -> Engine {
    let mut engine = Engine::new(EngineOptions {
        core: CoreId(0),
        table: Arc::new(SlotTable::compile(1, 64, &[]).expect("one core")),
        ledger: Arc::new(Ledger::new(1)),
        shard: ShardOptions { hash_seed: [1, 2, 3, 4], draw_seed: 5, place: slot_of },
        settings: Settings { requirepass: b"secret".to_vec(), ..Settings::default() },
        host: Arc::new(NoHost),
    });
    for index in 0..CONNS {
        let opened = Event::Opened { conn: conn(index), peer: String::new(), local: String::new() };
        engine.handle(NOW, opened, &mut Effects::default());
    }
    engine
}

fn handle(engine: &mut Engine, chunks: &[(ConnId, &[u8])]) -> Vec<Vec<u8>> {
    engine.handle(NOW, Event::Received { chunks }, &mut Effects::default());
    let output = |index| engine.take_output(conn(index)).map(|output| output.flatten()).unwrap_or_default();
    (0..CONNS).map(output).collect()
}

/// Requests of one connection: before and behind its AUTH, on keys of its own, so that the order of connections in a
/// hand-over does not show.
fn stream(index: u32) -> Vec<u8> {
    let mut bytes = format!("GET early{index}\r\nPING\r\nAUTH secret\r\n").into_bytes();
    // More arguments than a stranger may send.
    bytes.extend_from_slice(b"*13\r\n$4\r\nMGET\r\n");
    bytes.extend_from_slice(b"$1\r\nk\r\n".repeat(12).as_slice());
    for round in 0..40 {
        let value = "v".repeat(round);
        bytes.extend_from_slice(format!("*3\r\n$3\r\nSET\r\n$2\r\na{index}\r\n${round}\r\n{value}\r\n").as_bytes());
        bytes.extend_from_slice(format!("*2\r\n$3\r\nGET\r\n$2\r\na{index}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"GET 'quoted key'\r\nQUIT\r\nGET a\r\n");
    bytes
}

proptest! {
    #[test]
    fn together_or_one_by_one(
        cuts in prop::collection::vec((0..CONNS, 1..60_usize), 1..120),
        together in prop::collection::vec(1..12_usize, 1..120),
    ) {
        let streams: Vec<Vec<u8>> = (0..CONNS).map(stream).collect();
        let mut at = [0_usize; CONNS as usize];
        let mut chunks: Vec<(ConnId, &[u8])> = Vec::new();
        let rest = (0..CONNS).map(|index| (index, usize::MAX));
        for (index, bytes) in cuts.into_iter().chain(rest) {
            let (whole, from) = (&streams[index as usize], at[index as usize]);
            let to = from.saturating_add(bytes).min(whole.len());
            at[index as usize] = to;
            chunks.push((conn(index), &whole[from..to]));
        }
        let (mut alone, mut expected) = (engine(), vec![Vec::new(); CONNS as usize]);
        for chunk in &chunks {
            let replies = handle(&mut alone, &[*chunk]);
            expected.iter_mut().zip(replies).for_each(|(all, new)| all.extend(new));
        }
        let (mut grouped, mut got) = (engine(), vec![Vec::new(); CONNS as usize]);
        let mut sizes = together.iter().copied().cycle();
        while !chunks.is_empty() {
            let group: Vec<_> = chunks.drain(..sizes.next().expect("a cycle").min(chunks.len())).collect();
            let replies = handle(&mut grouped, &group);
            got.iter_mut().zip(replies).for_each(|(all, new)| all.extend(new));
        }
        prop_assert!(got == expected);
        prop_assert!(expected[0].starts_with(b"-NOAUTH") && expected[0].ends_with(b"$-1\r\n+OK\r\n"));
    }
}
