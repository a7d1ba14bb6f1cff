//! What stays armed: accept, receive and poll, their cancellation, and closing.

use super::super::{Armed, Completion, Wait};
use super::{await_bytes, await_one, both, ring};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Proves that one accept serves many connections, each descriptor owned by its completion, until it is cancelled.
#[test]
fn accept_until_cancelled() {
    let mut ring = ring();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    ring.accept(listener.as_raw_fd(), 3);
    for round in 0..20u8 {
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let Completion::Accepted { token: 3, result, armed: true } = await_one(&mut ring) else { panic!() };
        let mut accepted = TcpStream::from(result.unwrap());
        client.write_all(&[round]).unwrap();
        let mut byte = [0];
        accepted.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [round]);
    }
    ring.cancel(Armed::Accept, 3);
    let Completion::Accepted { token: 3, result, armed: false } = await_one(&mut ring) else { panic!() };
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
}

/// Proves that a cancellation ends the receive it names and no other, and that one for nothing is silent.
#[test]
fn cancel_names_its_target() {
    both(|mut ring| {
        let (mut near, far) = UnixStream::pair().unwrap();
        let (mut near2, far2) = UnixStream::pair().unwrap();
        ring.receive(far.as_raw_fd(), 1);
        ring.receive(far2.as_raw_fd(), 2);
        ring.cancel(Armed::Receive, 99);
        ring.cancel(Armed::Accept, 2);
        ring.cancel(Armed::Receive, 1);
        let Completion::Received { token: 1, result, armed: false } = await_one(&mut ring) else { panic!() };
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
        near.write_all(b"unheard").unwrap();
        near2.write_all(b"heard").unwrap();
        assert_eq!(await_bytes(&mut ring).unwrap(), b"heard");
        // The bytes that came meanwhile are still in the socket for a receive armed anew.
        ring.receive(far.as_raw_fd(), 1);
        assert_eq!(await_bytes(&mut ring).unwrap(), b"unheard");
    });
}

/// Proves that closing reaches the peer once the receive is cancelled, and that the descriptor is gone.
#[test]
fn close_reaches_the_peer() {
    let mut ring = ring();
    let (mut near, far) = UnixStream::pair().unwrap();
    ring.receive(far.as_raw_fd(), 1);
    ring.enter(Wait::default()).unwrap();
    ring.cancel(Armed::Receive, 1);
    ring.close(OwnedFd::from(far));
    let Completion::Received { armed: false, .. } = await_one(&mut ring) else { panic!() };
    ring.enter(Wait::default()).unwrap();
    near.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(near.read(&mut [0; 8]).unwrap(), 0);
    assert!(ring.next().is_none(), "a close that succeeds is silent");
}

/// Proves that a poll reports each write of a pipe that is read by other means, then its cancellation.
#[test]
fn poll_reports_each_write() {
    let mut ring = ring();
    let (mut near, mut far) = UnixStream::pair().unwrap();
    ring.poll(far.as_raw_fd(), 8);
    for _ in 0..3 {
        near.write_all(b"x").unwrap();
        let Completion::Readable { token: 8, result: Ok(()), armed: true } = await_one(&mut ring) else { panic!() };
        far.read_exact(&mut [0]).unwrap();
    }
    ring.cancel(Armed::Poll, 8);
    let Completion::Readable { token: 8, result: Err(_), armed: false } = await_one(&mut ring) else { panic!() };
}

/// Proves that descriptors that are none end what was asked of them with the error.
#[test]
fn bad_descriptors() {
    let mut ring = ring();
    ring.accept(-1, 1);
    let Completion::Accepted { token: 1, result: Err(_), armed: false } = await_one(&mut ring) else { panic!() };
    ring.receive(-1, 2);
    let Completion::Received { token: 2, result: Err(_), armed: false } = await_one(&mut ring) else { panic!() };
    ring.poll(-1, 3);
    let Completion::Readable { token: 3, result: Err(_), armed: false } = await_one(&mut ring) else { panic!() };
}

/// Proves that a token wider than its bits is refused before it can be taken for another operation's.
#[test]
#[should_panic(expected = "56 bits")]
fn wide_tokens_panic() {
    ring().receive(0, 1 << 56);
}
