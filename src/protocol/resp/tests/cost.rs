//! What a sender can cost: bytes looked at or moved, counted, and memory held for what never comes.

use std::cell::Cell;

use super::encode;
use crate::protocol::resp::{BODY_BYTES_MIN, Input, Limits};

thread_local! {
    static EXAMINED_BYTES: Cell<usize> = const { Cell::new(0) };
}

/// Counts bytes that the parser searched, or that a buffer moved.
pub(in crate::protocol::resp) fn examine(bytes: usize) {
    EXAMINED_BYTES.with(|examined| examined.set(examined.get() + bytes));
}

/// Bytes examined, and requests found, while `stream` comes in pieces of `piece_bytes`.
fn cost(stream: &[u8], piece_bytes: usize) -> (usize, usize) {
    let limits = Limits::default();
    let mut input = Input::new();
    let (mut args, mut found) = (Vec::new(), 0);
    EXAMINED_BYTES.set(0);
    for piece in stream.chunks(piece_bytes) {
        input.keep(piece);
        while input.next(&limits, &mut args).unwrap().is_some() {
            found += 1;
        }
        args.clear();
        input.release();
    }
    assert!(input.is_empty());
    (EXAMINED_BYTES.get(), found)
}

/// Proves that cost is linear: no more than two looks a byte however the stream comes.
#[test]
fn a_trickle_costs_what_a_stream_costs() {
    let pairs: Vec<Vec<u8>> = (0..20_000).map(|i| format!("key:{i}").into_bytes()).collect();
    let mut mset: Vec<&[u8]> = pairs.iter().map(Vec::as_slice).collect();
    mset.insert(0, b"MSET");
    let inline = [vec![b'a'; 60_000], b"\r\n".to_vec()].concat();
    let pipeline = encode(&[b"GET", b"key"]).repeat(5_000);
    let body = encode(&[b"SET", b"key", &vec![b'v'; 3 * BODY_BYTES_MIN]]);
    let bulk = encode(&[b"SET", b"key", &vec![b'v'; BODY_BYTES_MIN - 1]]);
    for (stream, requests) in [(encode(&mset), 1), (inline, 1), (pipeline, 5_000), (body, 1), (bulk, 1)] {
        for piece_bytes in [1, 2, 37, 16 * 1024] {
            let (examined_bytes, found) = cost(&stream, piece_bytes);
            assert_eq!(found, requests);
            assert!(examined_bytes <= 2 * stream.len(), "{examined_bytes} for {} in {piece_bytes}", stream.len());
        }
    }
}

/// Proves that memory follows what came, not what was announced, at each stage of half a gigabyte.
#[test]
fn memory_follows_the_bytes_received() {
    let limits = Limits::default();
    let mut input = Input::new();
    let mut args = Vec::new();
    input.keep(b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$536870912\r\n");
    assert!(input.next(&limits, &mut args).unwrap().is_none());
    assert!(input.capacity_bytes() < 1024, "nothing came of it: {}", input.capacity_bytes());
    let mut come_bytes = 0;
    for piece_bytes in [10, 100, 10_000, 100_000, 1_000_000, 3_000_000] {
        input.keep(&vec![b'v'; piece_bytes]);
        assert!(input.next(&limits, &mut args).unwrap().is_none());
        come_bytes += piece_bytes;
        let bound_bytes = 8 * come_bytes.max(BODY_BYTES_MIN) + 1024;
        assert!(input.capacity_bytes() <= bound_bytes, "{} after {come_bytes}", input.capacity_bytes());
    }
    assert!(input.held_bytes() > come_bytes && input.held_bytes() < come_bytes + 100);
}

#[test]
fn a_count_reserves_nothing() {
    let mut input = Input::new();
    let mut args = Vec::new();
    input.keep(b"*1048576\r\n$3\r\nDEL\r\n");
    assert!(input.next(&Limits::default(), &mut args).unwrap().is_none());
    assert!(args.is_empty() && args.capacity() < 64 && input.capacity_bytes() < 1024);
}

/// What a long pause held back is given back, also while a part of a request stays.
#[test]
fn emptied_buffers_shrink() {
    let limits = Limits::default();
    for tail in ["", "*1\r\n$4\r\nPI"] {
        let mut input = Input::new();
        let mut args = Vec::new();
        input.keep(&encode(&[b"GET", b"key"]).repeat(100_000));
        input.keep(tail.as_bytes());
        while input.next(&limits, &mut args).unwrap().is_some() {}
        input.release();
        assert_eq!(input.held_bytes(), tail.len());
        assert!(input.capacity_bytes() <= 8 * 1024, "{} held", input.capacity_bytes());
    }
}

/// An argument list that grew for one request does not stay.
#[test]
fn long_argument_lists_shrink() {
    let limits = Limits::default();
    let request = encode(&vec![&b"a"[..]; 50_000]);
    let mut input = Input::new();
    let mut args = Vec::new();
    for piece in request.chunks(10_000) {
        input.keep(piece);
        input.next(&limits, &mut args).unwrap();
    }
    assert_eq!(args.len(), 50_000);
    input.release();
    assert!(input.capacity_bytes() <= 8 * 1024, "{} held", input.capacity_bytes());
}
