//! The ring itself: waiting, waking, submission threads, what is reported.

use super::super::{Completion, Payload, Ring, RingConfig, SendOptions, SqPoll, Wait};
use super::{await_bytes, await_one, config, ring};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Proves that a wait ends at its timeout, in one system call, and that 0 completions do not wait at all.
#[test]
fn timeouts() {
    let mut ring = ring();
    for min_wait_us in [0, 2000] {
        let started = Instant::now();
        ring.enter(Wait { completions: 8, min_wait_us, timeout: Some(Duration::from_millis(30)) }).unwrap();
        assert!(started.elapsed() >= Duration::from_millis(29));
        assert!(ring.next().is_none());
    }
    assert_eq!(ring.enters(), 2);
    let started = Instant::now();
    ring.enter(Wait { completions: 0, min_wait_us: 100, timeout: Some(Duration::from_secs(20)) }).unwrap();
    assert!(started.elapsed() < Duration::from_secs(10));
}

/// Proves that a minimum wait without a timeout does not return empty-handed: it ends by the byte sent later.
#[test]
fn min_wait_without_timeout() {
    let mut ring = ring();
    let (mut near, far) = UnixStream::pair().unwrap();
    ring.receive(far.as_raw_fd(), 1);
    let writer = std::thread::spawn(move || {
        std::thread::park_timeout(Duration::from_millis(50));
        near.write_all(b"x").unwrap();
        near
    });
    ring.enter(Wait { completions: 64, min_wait_us: 100, timeout: None }).unwrap();
    assert_eq!(await_bytes(&mut ring).unwrap(), b"x");
    assert_eq!(ring.enters(), 1);
    drop(writer.join().unwrap());
}

/// Proves that a wait for completions that are there already does not block, though nothing more will come.
#[test]
fn completions_left_do_not_block() {
    let mut ring = ring();
    let (near, _far) = UnixStream::pair().unwrap();
    for token in 0..4 {
        ring.send(near.as_raw_fd(), token, Payload::Owned(vec![0]), 0..1, SendOptions::default());
    }
    ring.enter(Wait::default()).unwrap();
    let started = Instant::now();
    for left in (0..4).rev() {
        ring.enter(Wait { completions: 1, min_wait_us: 0, timeout: Some(Duration::from_secs(20)) }).unwrap();
        assert!(matches!(ring.next(), Some(Completion::Sent { .. })));
        assert_eq!(ring.in_flight_sends(), left);
    }
    assert!(started.elapsed() < Duration::from_secs(10));
}

/// Proves that a ring asleep in another thread wakes by a message, once a message, and that waking a ring that is
/// gone, or a descriptor that never was one, is harmless.
#[test]
fn wake_another_thread() {
    let (to_main, from_thread) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let mut ring = ring();
        to_main.send(ring.fd()).unwrap();
        for _ in 0..100 {
            assert!(matches!(await_one(&mut ring), Completion::Woken));
            to_main.send(0).unwrap();
        }
    });
    let mut ring = ring();
    let fd = from_thread.recv().unwrap();
    for _ in 0..100 {
        ring.wake(fd);
        ring.enter(Wait::default()).unwrap();
        from_thread.recv().unwrap();
    }
    thread.join().unwrap();
    let (socket, _peer) = UnixStream::pair().unwrap();
    for gone in [fd, -1, socket.as_raw_fd()] {
        ring.wake(gone);
        ring.enter(Wait { completions: 1, min_wait_us: 0, timeout: Some(Duration::from_millis(20)) }).unwrap();
        assert!(ring.next().is_none());
    }
}

/// Proves that a submission thread does the same work, idle or awake, and that a CPU that is none is named.
#[test]
fn submission_thread() {
    let sqpoll = Some(SqPoll { idle_ms: 1, cpu: None });
    let mut ring = Ring::new(&RingConfig { sqpoll, entries: 4, ..config() }).unwrap();
    assert!(ring.features().sqpoll && !ring.features().defer_taskrun);
    let (near, far) = UnixStream::pair().unwrap();
    ring.receive(far.as_raw_fd(), 1);
    for round in 0..40u8 {
        for _ in 0..10 {
            ring.send(near.as_raw_fd(), 2, Payload::Owned(vec![round; 10]), 0..10, SendOptions::default());
        }
        let (mut sent, mut received) = (0, 0);
        while sent < 10 || received < 100 {
            match await_one(&mut ring) {
                Completion::Sent { result, .. } => sent += result.unwrap() / 10,
                Completion::Received { result, armed: true, .. } => {
                    let chunk = result.unwrap().unwrap();
                    assert!(ring.bytes(&chunk).iter().all(|&byte| byte == round));
                    received += chunk.len();
                    ring.recycle(chunk);
                }
                other => panic!("{other:?}"),
            }
        }
        if round % 8 == 0 {
            ring.enter(Wait { completions: 1, min_wait_us: 0, timeout: Some(Duration::from_millis(5)) }).unwrap();
        }
    }
    let sqpoll = Some(SqPoll { idle_ms: 1, cpu: Some(100_000) });
    let refused = Ring::new(&RingConfig { sqpoll, ..config() }).err().unwrap();
    assert!(refused.to_string().contains("CPU 100000"), "{refused}");
}

/// Proves that what is asked for is reported as found, and that its absence is no failure.
#[test]
fn features_are_reported() {
    let asked = RingConfig { napi_busy_poll_us: 50, bundles: true, ..config() };
    let features = Ring::new(&asked).unwrap().features();
    assert!(features.msg_ring && features.registered_ring && !features.bundles && !features.sqpoll);
    assert!(!ring().features().napi_busy_poll, "off unless asked for");
    assert!(!Ring::new(&RingConfig { incremental: false, ..config() }).unwrap().features().incremental);
    println!("{features:?}");
}

/// Proves that rings give back all that they take, by making more than descriptors and registrations would allow.
#[test]
fn many_rings() {
    for _ in 0..200 {
        let mut ring = ring();
        let (near, _far) = UnixStream::pair().unwrap();
        ring.receive(near.as_raw_fd(), 1);
        ring.enter(Wait::default()).unwrap();
    }
}
