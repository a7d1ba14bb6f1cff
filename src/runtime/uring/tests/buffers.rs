//! The buffer ring: content across buffer ends, exhaustion, chunks kept and returned in any order.

use super::super::{Chunk, Completion, Ring, RingConfig, RingError, Wait};
use super::{await_bytes, await_one, both, config};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

/// Bytes that differ at every distance that a wrong buffer or offset could cause.
fn pattern(seed: usize, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (((seed * 7919 + at) * 2_654_435_761) >> 11) as u8).collect()
}

/// Proves that two streams, sent in turns in pieces of all sizes over many rounds of the buffers, arrive unmixed and
/// in order, by comparing every byte.
#[test]
fn wraparound_keeps_content() {
    both(|mut ring| {
        let mut pairs = [UnixStream::pair().unwrap(), UnixStream::pair().unwrap()];
        for (token, pair) in pairs.iter().enumerate() {
            ring.receive(pair.1.as_raw_fd(), token as u64);
        }
        let mut received = [Vec::new(), Vec::new()];
        let mut sent = [Vec::new(), Vec::new()];
        for round in 1..400 {
            for token in 0..2 {
                let piece = pattern(round + token, (round * 37 + token * 11) % 1500 + 1);
                pairs[token].0.write_all(&piece).unwrap();
                sent[token].extend_from_slice(&piece);
            }
            while received[0].len() < sent[0].len() || received[1].len() < sent[1].len() {
                let Completion::Received { token, result, armed } = await_one(&mut ring) else { panic!() };
                assert!(armed, "round {round}");
                let chunk = result.unwrap().expect("more to come");
                received[token as usize].extend_from_slice(ring.bytes(&chunk));
                ring.recycle(chunk);
            }
        }
        assert!(sent == received);
    });
}

/// Proves that a receive without buffers ends with ENOBUFS, loses nothing, and goes on once chunks are recycled, in an
/// order other than that of their arrival.
#[test]
fn exhaustion_and_recovery() {
    both(|mut ring| {
        let (mut near, far) = UnixStream::pair().unwrap();
        let sent = pattern(1, 20 * 1024);
        near.write_all(&sent).unwrap();
        ring.receive(far.as_raw_fd(), 9);
        let mut received = Vec::new();
        let mut exhausted = 0;
        while received.len() < sent.len() {
            let (mut chunks, armed) = take_until_unarmed(&mut ring, sent.len() - received.len());
            for chunk in &chunks {
                received.extend_from_slice(ring.bytes(chunk));
            }
            chunks.reverse();
            chunks.into_iter().for_each(|chunk| ring.recycle(chunk));
            if !armed {
                exhausted += 1;
                ring.receive(far.as_raw_fd(), 9);
            }
        }
        assert!(sent == received);
        assert!(exhausted >= 2, "20 KiB took only {exhausted} rounds of 8 KiB");
    });
}

/// Keeps all chunks until ENOBUFS or until `bytes` are there; says whether the receive is still armed.
fn take_until_unarmed(ring: &mut Ring, mut bytes: usize) -> (Vec<Chunk>, bool) {
    let mut chunks = Vec::new();
    while bytes > 0 {
        let Completion::Received { token: 9, result, armed } = await_one(ring) else { panic!() };
        match result {
            Ok(chunk) => {
                let chunk = chunk.expect("the peer does not close");
                bytes -= chunk.len();
                chunks.push(chunk);
            }
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::ENOBUFS));
                assert!(!armed);
                return (chunks, false);
            }
        }
    }
    (chunks, true)
}

/// Proves that small pieces share a buffer: with all chunks kept, far more pieces fit than there are buffers.
#[test]
fn incremental_packs() {
    let mut ring = Ring::new(&config()).unwrap();
    if !ring.features().incremental {
        return;
    }
    let (mut near, far) = UnixStream::pair().unwrap();
    ring.receive(far.as_raw_fd(), 9);
    let mut chunks = Vec::new();
    for piece in 0..100 {
        near.write_all(&pattern(piece, 50)).unwrap();
        let mut bytes = 0;
        while bytes < 50 {
            let Completion::Received { result, .. } = await_one(&mut ring) else { panic!() };
            let chunk = result.unwrap().unwrap();
            bytes += chunk.len();
            chunks.push(chunk);
        }
    }
    let kept: Vec<u8> = chunks.iter().flat_map(|chunk| ring.bytes(chunk).to_vec()).collect();
    assert!(kept == (0..100).flat_map(|piece| pattern(piece, 50)).collect::<Vec<_>>());
    // Every buffer is back after every chunk is: the pool takes its full size again.
    chunks.into_iter().for_each(|chunk| ring.recycle(chunk));
    near.write_all(&pattern(7, 4096)).unwrap();
    let mut bytes = 0;
    while bytes < 4096 {
        bytes += await_bytes(&mut ring).unwrap().len();
    }
}

/// Proves that streams which end, with and without data before, neither cost a buffer nor shift an offset.
#[test]
fn ends_of_streams_cost_nothing() {
    both(|mut ring| {
        for turn in 0..100 {
            let (mut near, far) = UnixStream::pair().unwrap();
            ring.receive(far.as_raw_fd(), turn as u64);
            if turn % 2 == 0 {
                near.write_all(&pattern(turn, 30)).unwrap();
                let mut bytes = Vec::new();
                while bytes.len() < 30 {
                    bytes.extend(await_bytes(&mut ring).unwrap());
                }
                assert_eq!(bytes, pattern(turn, 30));
            }
            drop(near);
            let Completion::Received { result: Ok(None), armed: false, .. } = await_one(&mut ring) else { panic!() };
        }
    });
}

/// Proves that a chunk opens no other ring's buffers.
#[test]
#[should_panic(expected = "another ring")]
fn chunks_stay_with_their_ring() {
    let (mut near, far) = UnixStream::pair().unwrap();
    let (mut one, other) = (Ring::new(&config()).unwrap(), Ring::new(&config()).unwrap());
    near.write_all(b"secret").unwrap();
    one.receive(far.as_raw_fd(), 1);
    let Completion::Received { result, .. } = await_one(&mut one) else { panic!() };
    other.bytes(&result.unwrap().unwrap());
}

/// Proves that impossible pools are refused in words, and that a refusal leaves nothing behind that a second try needs.
#[test]
fn shapes_are_checked() {
    for (buffers, buffer_bytes) in [(0, 1024), (3, 1024), (8, 63)] {
        let refused = Ring::new(&RingConfig { buffers, buffer_bytes, ..config() });
        assert!(matches!(refused, Err(RingError::Buffers { .. })));
    }
    let mut ring = Ring::new(&RingConfig { buffers: 1, ..config() }).unwrap();
    ring.enter(Wait::default()).unwrap();
}
