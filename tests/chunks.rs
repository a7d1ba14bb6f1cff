//! Proves that chunks which are handed over together, and looked up together, are answered like chunks that come one by
//! one: of several connections, of the same one twice, with requests cut anywhere, and with an AUTH among them.

mod rig;

use coldplate::engine::{Event, Settings};
use coldplate::types::ConnId;
use proptest::prelude::*;
use rig::{Rig, conn};

const CONNS: u32 = 3;

fn start() -> Rig {
    let mut rig = Rig::with(1, Settings { requirepass: b"secret".to_vec(), ..Settings::default() });
    for index in 0..CONNS {
        rig.open((0, index));
    }
    rig
}

/// Hands chunks over together; answers what came on each connection.
fn hand_over(rig: &mut Rig, chunks: &[(ConnId, &[u8])]) -> Vec<String> {
    rig.turn(0, |now, engine, effects| engine.handle(now, Event::Received { chunks }, effects));
    (0..CONNS).map(|index| rig.heard((0, index))).collect()
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
            chunks.push((conn((0, index)), &whole[from..to]));
        }
        let (mut alone, mut expected) = (start(), vec![String::new(); CONNS as usize]);
        for chunk in &chunks {
            let replies = hand_over(&mut alone, &[*chunk]);
            expected.iter_mut().zip(replies).for_each(|(all, new)| all.push_str(&new));
        }
        let (mut grouped, mut got) = (start(), vec![String::new(); CONNS as usize]);
        let mut sizes = together.iter().copied().cycle();
        while !chunks.is_empty() {
            let group: Vec<_> = chunks.drain(..sizes.next().expect("a cycle").min(chunks.len())).collect();
            let replies = hand_over(&mut grouped, &group);
            got.iter_mut().zip(replies).for_each(|(all, new)| all.push_str(&new));
        }
        prop_assert!(got == expected);
        prop_assert!(expected[0].starts_with("-NOAUTH") && expected[0].ends_with("$-1\r\n+OK\r\n"));
    }
}
