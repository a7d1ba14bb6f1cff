//! Proves that a request on very many keys does not make others wait for all of it, and is answered right: an engine
//! without a shell gets an MSET, an MGET and a DEL of 100,000 keys, and another client's PING is answered in between.

mod rig;

use coldplate::engine::Settings;
use rig::{Client, Rig, request};

const KEYS: usize = 100_000;
const LONG: Client = (0, 0);
const OTHER: Client = (0, 1);

/// Sends the request in pieces, then turns until it is answered; answers how many turns that took, and the reply.
fn run(rig: &mut Rig, words: &[&str]) -> (usize, String) {
    for piece in request(words).chunks(16_384) {
        rig.send(LONG, piece);
    }
    let mut turns = 0;
    while rig.engines[0].deadline() == Some(0) {
        turns += 1;
        rig.tell(OTHER, "PING");
        assert_eq!(rig.heard(OTHER), "+PONG\r\n", "others are served in between");
    }
    (turns, rig.heard(LONG))
}

#[test]
fn a_long_request_runs_in_slices() {
    let mut rig = Rig::with(1, Settings { client_output_bytes_max: 1 << 30, ..Settings::default() });
    for client in [LONG, OTHER] {
        rig.open(client);
    }
    let keys: Vec<String> = (0..KEYS).map(|key| format!("key:{key}")).collect();
    let keys = || keys.iter().map(String::as_str);

    let mset: Vec<&str> = ["mset"].into_iter().chain(keys().flat_map(|key| [key, key])).collect();
    let (turns, reply) = run(&mut rig, &mset);
    assert_eq!((reply.as_str(), rig.engines[0].keys()), ("+OK\r\n", KEYS));
    assert!(turns >= 3, "{turns} turns");

    let mget: Vec<&str> = ["mget"].into_iter().chain(keys()).collect();
    let (turns, reply) = run(&mut rig, &mget);
    let expected: String = keys().map(|key| format!("${}\r\n{key}\r\n", key.len())).collect();
    // Each output that went out lets it go on, too, so it takes fewer turns.
    assert!(reply == format!("*{KEYS}\r\n{expected}") && turns >= 1, "{turns} turns");

    let del: Vec<&str> = ["del"].into_iter().chain(keys()).chain(["none"]).collect();
    let (_, reply) = run(&mut rig, &del);
    assert_eq!((reply, rig.engines[0].keys()), (format!(":{KEYS}\r\n"), 0));
}
