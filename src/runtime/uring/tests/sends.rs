//! Sends: identity of the payload, short results, failure, zero copy, queues of every depth.

use super::super::sends::Sends;
use super::super::{Completion, Payload, Ring, RingConfig, SendOptions, Wait};
use super::{await_bytes, await_one, both, config, ring};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

const PLAIN: SendOptions = SendOptions { zero_copy: false, more: false };

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

/// Proves that a payload comes back as the very one that went in, and only its range travels.
#[test]
fn payload_returns() {
    both(|mut ring| {
        let (near, far) = UnixStream::pair().unwrap();
        ring.receive(far.as_raw_fd(), 1);
        let owned = b"..hello..".to_vec();
        let address = owned.as_ptr();
        let shared = Arc::new(b"world".to_vec());
        for (payload, range) in [(Payload::Owned(owned), 2..7), (Payload::Shared(shared.clone()), 0..5)] {
            ring.send(near.as_raw_fd(), 77, payload, range, PLAIN);
            assert_eq!(ring.in_flight_sends(), 1);
            let mut bytes = Vec::new();
            let mut sent = false;
            while bytes.len() < 5 || !sent {
                match await_one(&mut ring) {
                    Completion::Received { result, .. } => {
                        let chunk = result.unwrap().unwrap();
                        bytes.extend_from_slice(ring.bytes(&chunk));
                        ring.recycle(chunk);
                    }
                    Completion::Sent { token: 77, payload: Payload::Owned(payload), result } => {
                        assert_eq!((result.unwrap(), payload.as_ptr()), (5, address));
                        sent = true;
                    }
                    Completion::Sent { token: 77, payload: Payload::Shared(payload), result } => {
                        assert!(Arc::ptr_eq(&payload, &shared) && result.unwrap() == 5);
                        sent = true;
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert!(bytes == b"hello" || bytes == b"world");
            assert_eq!(ring.in_flight_sends(), 0);
        }
        assert_eq!(Arc::strong_count(&shared), 1);
    });
}

/// Proves that a megabyte through a small socket buffer arrives whole from one send, with and without zero copy, and
/// that a zero-copy payload stays with the ring until the peer has read.
#[test]
fn a_megabyte() {
    for zero_copy in [false, true] {
        let mut ring = ring();
        let (near, mut far) = tcp_pair();
        let payload: Vec<u8> = (0..1 << 20).map(|at| ((at * 31) >> 3) as u8).collect();
        let expected = payload.clone();
        ring.send(near.as_raw_fd(), 5, Payload::Owned(payload), 0..1 << 20, SendOptions { zero_copy, more: false });
        let reader = std::thread::spawn(move || {
            let mut got = vec![0; 1 << 20];
            far.read_exact(&mut got).unwrap();
            got
        });
        let Completion::Sent { token: 5, payload, result } = await_one(&mut ring) else { panic!() };
        assert_eq!(result.unwrap(), 1 << 20);
        assert!(payload.as_slice() == expected && reader.join().unwrap() == expected);
    }
}

/// Proves that a peer that goes away in the middle of a send yields a short result or an error, and the payload.
#[test]
fn cut_short() {
    let mut ring = ring();
    let (near, mut far) = UnixStream::pair().unwrap();
    ring.send(near.as_raw_fd(), 5, Payload::Owned(vec![1; 8 << 20]), 0..8 << 20, PLAIN);
    ring.enter(Wait::default()).unwrap();
    far.read_exact(&mut [0; 4096]).unwrap();
    drop(far);
    let Completion::Sent { payload, result, .. } = await_one(&mut ring) else { panic!() };
    assert_eq!(payload.as_slice().len(), 8 << 20);
    assert!(result.map_or(true, |bytes| bytes < 8 << 20));
    ring.send(near.as_raw_fd(), 6, payload, 0..1, PLAIN);
    let Completion::Sent { token: 6, result, .. } = await_one(&mut ring) else { panic!() };
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EPIPE));
}

/// (150 is what a Unix socket's buffer takes: sends that have to wait may overtake each other.)
/// Proves that more operations than the queues hold are all done, in order, by queueing 150 on rings of 4 and of
/// 64 entries whose completion queue overflows too.
#[test]
fn queues_overflow_without_loss() {
    for (entries, completions) in [(4, 8), (64, 64)] {
        let mut ring = Ring::new(&RingConfig { entries, completions, ..config() }).unwrap();
        let (near, mut far) = UnixStream::pair().unwrap();
        for token in 0..150 {
            ring.send(near.as_raw_fd(), token, Payload::Owned(vec![token as u8; 3]), 0..3, PLAIN);
        }
        assert!(ring.enters() > 0);
        for _ in 0..150 {
            let Completion::Sent { token, payload, result } = await_one(&mut ring) else { panic!() };
            assert_eq!((result.unwrap(), payload.as_slice()[0]), (3, token as u8));
        }
        let mut got = vec![0; 450];
        far.read_exact(&mut got).unwrap();
        assert!((0..450).all(|at| got[at] == (at / 3) as u8));
        assert_eq!(ring.in_flight_sends(), 0);
    }
}

/// Proves that an empty range and a descriptor that is none give the payload back.
#[test]
fn edges() {
    let mut ring = ring();
    let (near, _far) = UnixStream::pair().unwrap();
    ring.send(near.as_raw_fd(), 1, Payload::Owned(Vec::new()), 0..0, PLAIN);
    let Completion::Sent { token: 1, result: Ok(0), .. } = await_one(&mut ring) else { panic!() };
    ring.send(-1, 2, Payload::Owned(vec![1]), 0..1, PLAIN);
    let Completion::Sent { token: 2, payload, result } = await_one(&mut ring) else { panic!() };
    assert_eq!((payload.as_slice(), result.unwrap_err().raw_os_error()), (&[1u8][..], Some(libc::EBADF)));
    ring.send(near.as_raw_fd(), 3, Payload::Owned(vec![1]), 0..1, SendOptions { zero_copy: true, more: false });
    let Completion::Sent { token: 3, result, .. } = await_one(&mut ring) else { panic!() };
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EOPNOTSUPP), "a Unix socket has no zero copy");
}

/// Proves that a ring dropped with stuck sends and armed receives neither waits for ever nor frees what is in use:
/// the socket still works, and a shared payload is let go of.
#[test]
fn dropped_in_flight() {
    let (near, far) = UnixStream::pair().unwrap();
    let shared = Arc::new(vec![7; 8 << 20]);
    let mut ring = ring();
    ring.receive(near.as_raw_fd(), 1);
    ring.send(near.as_raw_fd(), 2, Payload::Shared(shared.clone()), 0..8 << 20, PLAIN);
    ring.enter(Wait::default()).unwrap();
    ring.send(near.as_raw_fd(), 3, Payload::Shared(shared.clone()), 0..100, PLAIN);
    assert_eq!(Arc::strong_count(&shared), 3);
    drop(ring);
    assert_eq!(Arc::strong_count(&shared), 1, "cancelled sends let their payload go");
    drop(near);
    let mut rest = Vec::new();
    (&far).read_to_end(&mut rest).unwrap();
    assert!(!rest.is_empty() && rest.iter().all(|&byte| byte == 7));
}

/// Proves that a zero-copy payload whose peer reads nothing outlives its ring.
#[test]
fn zero_copy_outlives_its_ring() {
    let (near, mut far) = tcp_pair();
    let shared = Arc::new(vec![7; 64 << 10]);
    let mut ring = ring();
    let options = SendOptions { zero_copy: true, more: false };
    ring.send(near.as_raw_fd(), 2, Payload::Shared(shared.clone()), 0..64 << 10, options);
    ring.enter(Wait::default()).unwrap();
    drop(ring);
    let mut got = vec![0; 64 << 10];
    far.read_exact(&mut got).unwrap();
    assert!(got.iter().all(|&byte| byte == 7));
}

/// Proves that a zero-copy send of a shared payload is told with its result, by the completions that the kernel gives for one:
/// the notification behind it waits for the peer's acknowledgement, and so did all that followed the value. Until then the
/// payload is kept. Bytes with one owner come back only then.
#[test]
fn zero_copy_is_told_before_the_kernel_lets_go() {
    const MORE: u32 = 1 << 1;
    const NOTIFICATION: u32 = 1 << 3;
    let shared = Arc::new(vec![7; 100]);
    let mut sends = Sends::default();
    let index = sends.start(5, Payload::Shared(shared.clone()), 0..100).index;
    let told = sends.complete(index, 100, MORE).expect("its result is there");
    assert_eq!((told.token, told.result), (5, 100));
    drop(told);
    assert_eq!((Arc::strong_count(&shared), sends.in_flight()), (2, 1));
    assert!(sends.complete(index, 0, NOTIFICATION).is_none());
    assert_eq!((Arc::strong_count(&shared), sends.in_flight()), (1, 0));
    let index = sends.start(6, Payload::Owned(vec![7; 100]), 0..100).index;
    assert!(sends.complete(index, 90, MORE).is_none());
    let told = sends.complete(index, 0, NOTIFICATION).expect("the payload is free");
    assert_eq!((told.token, told.result, sends.in_flight()), (6, 90, 0));
}

/// Proves an echo: what a ring receives it sends back, from the copy that it made.
#[test]
fn echo() {
    both(|mut ring| {
        let (mut near, far) = tcp_pair();
        ring.receive(far.as_raw_fd(), 1);
        for round in 0..50 {
            let sent = vec![round; 300 + round as usize];
            std::io::Write::write_all(&mut near, &sent).unwrap();
            let mut back = Vec::new();
            while back.len() < sent.len() {
                back.extend(await_bytes(&mut ring).unwrap());
            }
            let bytes = back.len();
            ring.send(far.as_raw_fd(), 2, Payload::Owned(back), 0..bytes, PLAIN);
            let Completion::Sent { result, .. } = await_one(&mut ring) else { panic!() };
            let mut got = vec![0; result.unwrap()];
            near.read_exact(&mut got).unwrap();
            assert_eq!(got, sent);
        }
    });
}
