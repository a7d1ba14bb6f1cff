//! Connections to servers, from the engine's wish to a socket like others.

use super::Ring;
use super::sockets::Sockets;
use crate::engine::Dial;
use crate::types::{ConnId, LinkId};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::SocketAddr;

/// What precedes the path of a Unix socket.
const UNIX: &str = "unix:";

/// Connections that are being made.
#[derive(Default)]
pub struct Dialler {
    dials: Vec<(LinkId, ConnId)>,
}

impl Dialler {
    /// Begins to connect.
    pub fn dial(&mut self, ring: &mut Ring, sockets: &mut Sockets, dial: &Dial) -> io::Result<()> {
        let address = address_of(&dial.address)?;
        let socket = socket_for(&address)?;
        let conn = sockets.connect(ring, socket.into(), address);
        self.dials.push((dial.link, conn));
        Ok(())
    }

    /// A connect has completed; whose it was, unless nobody wants it any more.
    pub fn ended(&mut self, conn: ConnId) -> Option<LinkId> {
        let at = self.dials.iter().position(|(_, dialled)| *dialled == conn)?;
        Some(self.dials.swap_remove(at).0)
    }

    /// Nobody wants a connection any more.
    pub fn hang_up(&mut self, ring: &mut Ring, sockets: &mut Sockets, link: LinkId) {
        if let Some(at) = self.dials.iter().position(|(dialled, _)| *dialled == link) {
            let (_, conn) = self.dials.swap_remove(at);
            sockets.end(ring, conn);
        }
    }
}

fn address_of(text: &str) -> io::Result<SockAddr> {
    if let Some(path) = text.strip_prefix(UNIX) {
        return SockAddr::unix(path);
    }
    let parsed = text.parse::<SocketAddr>();
    let invalid = |_| io::Error::new(io::ErrorKind::InvalidInput, format!("{text} is no address"));
    parsed.map(SockAddr::from).map_err(invalid)
}

fn socket_for(address: &SockAddr) -> io::Result<Socket> {
    let unix = address.is_unix();
    let socket = Socket::new(address.domain(), Type::STREAM, (!unix).then_some(Protocol::TCP))?;
    if !unix {
        socket.set_tcp_nodelay(true)?;
        socket.set_keepalive(true)?;
    }
    debug_assert!(unix == (address.domain() == Domain::UNIX));
    Ok(socket)
}
