//! However a stream is cut, the same requests come out; whatever the bytes are, nothing panics.

use proptest::prelude::*;

use super::{Outcome, encode, hold, receive};
use crate::protocol::resp::{BODY_BYTES_MIN, Input, Limits};

/// Streams whose every corner a cut can fall into.
fn corpus() -> Vec<Vec<u8>> {
    let mut streams: Vec<Vec<u8>> = [
        "*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$15\r\nkey:00000000001\r\nPING\r\n",
        "\r\n*0\r\n*-1\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\nSET \"a b\" 'c'd \\x\r\n",
        "SET \"a\\x41\" 'c d' e\r\nECHO \"a\\\\\"\nPING\n\n",
        "*11\r\n$1\r\na\r\n$12\r\naaaaaaaaaaaa\r\n*1\r\nx\r\n",
        "*1\r\n$3\r\nGET\r\n*1\r\nPING\r\n",
        "*1\r\n$1\r\na\r\n*01\r\n",
        "PING\r\nECHO \"a\"b\r\nPING\r\n",
    ]
    .map(|wire| wire.as_bytes().to_vec())
    .to_vec();
    streams.push(encode(&[b"SET", &[b'k'; 130], &[b'v'; 1000]]));
    streams
}

/// What is put back comes out again, whatever form it came in, and what follows behind it: a command that waited for a
/// hot key and had come by hand, with quotes, ended its connection.
#[test]
fn what_is_put_back_comes_again() {
    let body = vec![b'b'; BODY_BYTES_MIN + 1];
    let quoted = b"DEL \"a\\x00\\\"b\" 'c d' e\r\n".to_vec();
    let known = [quoted, encode(&[b"DEL", b"", b"a\r\n"]), b"KEYS *\r\n".to_vec(), encode(&[b"KEYS", &body])];
    // By hand a stranger may send more than otherwise.
    let strange = [b"MGET a b c d e f g h i j k l\r\n".to_vec(), [b"ECHO ", &body[..20_000], b"\r\n"].concat()];
    let requests = known.into_iter().map(|request| (request, true)).chain(strange.map(|request| (request, false)));
    for (request, authenticated) in requests {
        let (mut input, limits) = (Input::new(), Limits { authenticated, ..Limits::default() });
        let ping = &b"PING \"x\"\r\n"[..];
        for bytes in [ping, &request[..request.len() / 2], &request[request.len() / 2..], ping] {
            input.keep(bytes);
        }
        let next = |input: &mut Input| {
            let mut args = Vec::new();
            let mut frame = input.next(&limits, &mut args).expect("good").or_else(|| {
                args.clear();
                input.next(&limits, &mut args).expect("good")
            });
            let frame = frame.take().expect("whole");
            let words: Vec<Vec<u8>> = input.args(frame, &args).iter().map(<[u8]>::to_vec).collect();
            (frame, args, words)
        };
        assert_eq!(next(&mut input).2, [b"PING".to_vec(), b"x".to_vec()]);
        let (frame, args, first) = next(&mut input);
        input.put_back(frame, &args);
        input.release();
        let (frame, args, again) = next(&mut input);
        assert_eq!(again, first);
        input.put_back(frame, &args);
        assert_eq!(next(&mut input).2, first);
        assert_eq!(next(&mut input).2, [b"PING".to_vec(), b"x".to_vec()]);
        assert!(input.is_empty());
    }
}

#[test]
fn every_two_cuts_give_the_same() {
    let limits = Limits::default();
    for stream in corpus() {
        let whole = receive([&stream[..]], &limits);
        for first in 0..=stream.len() {
            let (head, tail) = stream.split_at(first);
            assert_eq!(receive([head, tail], &limits), whole, "cut at {first}");
            assert_eq!(hold([head, tail], &limits), whole, "held, cut at {first}");
            for second in (0..tail.len()).step_by(if stream.len() > 200 { 97 } else { 1 }) {
                let (middle, end) = tail.split_at(second);
                assert_eq!(receive([head, middle, end], &limits), whole, "cut at {first} and {second} more");
            }
        }
        assert_eq!(receive(stream.chunks(1), &limits), whole, "byte by byte");
    }
}

/// Large arguments at every cut near their ends: bodies, one or several a request, among pipelined requests.
#[test]
fn bodies_survive_cuts_near_their_ends() {
    let limits = Limits::default();
    let (large, larger) = (vec![b'a'; BODY_BYTES_MIN], vec![b'b'; 10 * BODY_BYTES_MIN + 7]);
    let mut stream = encode(&[b"MSET", b"k1", &large, b"k2", &larger, b"k3", b"small"]);
    stream.extend(encode(&[b"SET", b"k4", &large]));
    stream.extend(encode(&[b"PING"]));
    let whole = receive([&stream[..]], &limits);
    assert_eq!(whole.requests.len(), 3);
    let ends = [30, BODY_BYTES_MIN, 11 * BODY_BYTES_MIN, stream.len() - BODY_BYTES_MIN, stream.len() - 50];
    for cut in ends.into_iter().flat_map(|end| end.saturating_sub(60)..(end + 60).min(stream.len())) {
        let (head, tail) = stream.split_at(cut);
        assert!(receive([head, tail], &limits) == whole, "cut at {cut}");
    }
    for piece_bytes in [1, 1000, 16_384, BODY_BYTES_MIN, BODY_BYTES_MIN + 20] {
        assert!(receive(stream.chunks(piece_bytes), &limits) == whole, "in pieces of {piece_bytes}");
    }
}

/// A large argument that comes in pieces is moved out whole; what came at once, or is small, is not.
#[test]
fn large_arguments_are_bodies() {
    let limits = Limits::default();
    let large = vec![b'v'; BODY_BYTES_MIN];
    let stream = encode(&[b"SET", b"key", &large]);
    let mut input = Input::new();
    let mut args = Vec::new();
    for piece in stream.chunks(16 * 1024) {
        assert!(args.is_empty());
        input.keep(piece);
        if let Some(frame) = input.next(&limits, &mut args).unwrap() {
            assert!(input.is_empty());
            let mut request = input.args(frame, &args);
            assert_eq!((request.len(), request.get(1), request.get(2).len()), (3, &b"key"[..], large.len()));
            assert_eq!((request.take_body(1), request.try_get(3)), (None, None));
            assert!(request.take_body(2).is_some_and(|body| body == large && body.capacity() == body.len()));
            assert!(request.get(2).is_empty(), "it is gone");
        }
    }
    assert_eq!(args.len(), 3);
    input.release();
    assert_eq!(input.held_bytes(), 0);
}

#[test]
#[should_panic(expected = "a frame ends with the release that follows it")]
fn a_frame_ends_with_the_release() {
    let mut input = Input::new();
    let mut args = Vec::new();
    input.keep(b"PING\r\n");
    let frame = input.next(&Limits::default(), &mut args).unwrap().unwrap();
    input.release();
    input.args(frame, &args);
}

/// Bytes that look enough like requests to get far.
fn protocol_like() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        Just(b"\r\n".to_vec()),
        Just(b"*".to_vec()),
        Just(b"$".to_vec()),
        Just(b"*2\r\n$3\r\nGET\r\n".to_vec()),
        Just(b"$65536\r\n".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"\\x4".to_vec()),
        Just(b"'".to_vec()),
        (0..100u32).prop_map(|n| n.to_string().into_bytes()),
        any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

fn pieces<'a>(mut stream: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for &length in lengths {
        let (piece, rest) = stream.split_at(length.min(stream.len()));
        pieces.push(piece);
        stream = rest;
    }
    pieces.push(stream);
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_any_pieces(stream in protocol_like(), lengths in prop::collection::vec(0..30usize, 0..20),
                               authenticated in any::<bool>()) {
        let limits = Limits { authenticated, inline_bytes_max: 60, ..Limits::default() };
        let whole = receive([&stream[..]], &limits);
        prop_assert_eq!(&receive(pieces(&stream, &lengths), &limits), &whole);
        prop_assert_eq!(&hold(pieces(&stream, &lengths), &limits), &whole);
    }

    #[test]
    fn what_is_encoded_is_received(requests in prop::collection::vec(
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..15), 0..10),
        lengths in prop::collection::vec(0..300usize, 0..20)) {
        let wire: Vec<u8> = requests.iter()
            .flat_map(|request| encode(&request.iter().map(Vec::as_slice).collect::<Vec<_>>()))
            .collect();
        let received = receive(pieces(&wire, &lengths), &Limits::default());
        prop_assert_eq!(received, Outcome { requests, error: None });
    }

    /// An error is final: asking again gives it again.
    #[test]
    fn errors_are_final(stream in protocol_like()) {
        let mut input = Input::new();
        let mut args = Vec::new();
        let mut failed = None;
        for piece in stream.chunks(7) {
            input.keep(piece);
            for _ in 0..3 {
                let error = input.next(&Limits::default(), &mut args).err();
                prop_assert!(failed.is_none() || error == failed);
                failed = error;
            }
            input.release();
        }
    }
}
