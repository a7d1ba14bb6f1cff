//! Connections that a ring makes, and those that it does not.

use super::super::{Completion, Payload, SendOptions};
use super::{await_bytes, await_one, ring};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;

fn address_of(listener: &TcpListener) -> SockAddr {
    SockAddr::from(listener.local_addr().unwrap())
}

fn tcp() -> Socket {
    Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()
}

/// Proves that a socket is connected, sends and receives, over TCP and over a Unix socket.
#[test]
fn a_connection_is_made() {
    let mut ring = ring();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let socket = tcp();
    ring.connect(socket.as_raw_fd(), 7, address_of(&listener));
    let Completion::Connected { token: 7, result: Ok(()) } = await_one(&mut ring) else { panic!("not connected") };
    let (mut peer, _) = listener.accept().unwrap();
    ring.send(socket.as_raw_fd(), 7, Payload::Owned(b"ask".to_vec()), 0..3, SendOptions::default());
    let Completion::Sent { token: 7, result: Ok(3), .. } = await_one(&mut ring) else { panic!("not sent") };
    let mut asked = [0; 3];
    peer.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"ask");
    ring.receive(socket.as_raw_fd(), 7);
    peer.write_all(b"answer").unwrap();
    assert_eq!(await_bytes(&mut ring).unwrap(), b"answer");

    let path = std::env::temp_dir().join(format!("coldplate-connect-{}", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    ring.connect(socket.as_raw_fd(), 8, SockAddr::unix(&path).unwrap());
    assert!(matches!(await_one(&mut ring), Completion::Connected { token: 8, result: Ok(()) }));
    drop(listener);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_refused_connection_is_an_error() {
    let mut ring = ring();
    let gone = address_of(&TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let socket = tcp();
    ring.connect(socket.as_raw_fd(), 7, gone);
    let Completion::Connected { token: 7, result: Err(error) } = await_one(&mut ring) else { panic!("connected") };
    assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
}

/// Proves that a connect that nobody answers ends when it is cancelled, and that others go on.
#[test]
fn a_connect_is_cancelled() {
    let mut ring = ring();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    // An address for documentation: packets to it vanish, or the machine has no way there.
    let nowhere = SockAddr::from(SocketAddr::from(([192, 0, 2, 1], 9)));
    let (slow, quick) = (tcp(), tcp());
    ring.connect(slow.as_raw_fd(), 1, nowhere);
    ring.connect(quick.as_raw_fd(), 2, address_of(&listener));
    ring.cancel_connect(1);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let Completion::Connected { token, result } = await_one(&mut ring) else { panic!("not a connect") };
        seen.push((token, result.is_ok()));
    }
    seen.sort_unstable();
    assert_eq!(seen, [(1, false), (2, true)]);
    ring.cancel_connect(1);
}
