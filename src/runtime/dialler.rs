//! Connections to servers, from the engine's wish to a socket like others. Names are looked up on threads of their own,
//! since nobody knows how long that takes.

use super::Ring;
use super::sockets::Sockets;
use super::tls::{Secure, Session, TlsError};
use crate::engine::Dial;
use crate::types::{ConnId, LinkId};
use socket2::{Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

/// What precedes the path of a Unix socket.
const UNIX: &str = "unix:";
/// Names that are looked up at one time, those that nobody waits for any more left aside.
const LOOKUPS_MAX: usize = 64;

/// Connections that are being made.
pub struct Dialler {
    dials: Vec<(Dial, ConnId)>,
    lookups: Vec<(Dial, Receiver<io::Result<SocketAddr>>)>,
    /// By pool, what makes connections secret.
    secure: Arc<[Option<Secure>]>,
}

impl Dialler {
    pub fn new(secure: Arc<[Option<Secure>]>) -> Dialler {
        Dialler { dials: Vec::new(), lookups: Vec::new(), secure }
    }

    /// Begins to connect, or to look the name up first.
    pub fn dial(&mut self, ring: &mut Ring, sockets: &mut Sockets, dial: &Dial) -> io::Result<()> {
        match address_of(&dial.address)? {
            Some(address) => self.connect(ring, sockets, dial.clone(), address),
            None => self.look_up(dial),
        }
    }

    fn connect(&mut self, ring: &mut Ring, sockets: &mut Sockets, dial: Dial, address: SockAddr) -> io::Result<()> {
        let socket = socket_for(&address)?;
        let conn = sockets.connect(ring, socket.into(), address);
        self.dials.push((dial, conn));
        Ok(())
    }

    fn look_up(&mut self, dial: &Dial) -> io::Result<()> {
        if self.lookups.len() == LOOKUPS_MAX {
            return Err(io::Error::other("too many names are being looked up"));
        }
        let (tell, found) = sync_channel(1);
        let name = dial.address.to_string();
        std::thread::Builder::new().name("lookup".into()).spawn(move || {
            let none = || io::Error::new(io::ErrorKind::NotFound, "it has no address");
            let address = name.to_socket_addrs().and_then(|mut all| all.next().ok_or_else(none));
            // Nobody may wait for it any more.
            let _ = tell.send(address);
        })?;
        self.lookups.push((dial.clone(), found));
        Ok(())
    }

    /// Goes on where a name was found. While one is looked up the engine asks for turns, so nobody has to be woken. Each
    /// that cannot be connected to is handed out.
    pub fn go_on(&mut self, ring: &mut Ring, sockets: &mut Sockets, mut failed: impl FnMut(LinkId, io::Error)) {
        let mut at = 0;
        while let Some((_, found)) = self.lookups.get(at) {
            let answer = found.try_recv();
            if matches!(answer, Err(TryRecvError::Empty)) {
                at += 1;
                continue;
            }
            let (dial, _) = self.lookups.swap_remove(at);
            let link = dial.link;
            let found = answer.unwrap_or_else(|_| Err(io::Error::other("the lookup ended")));
            if let Err(error) = found.and_then(|address| self.connect(ring, sockets, dial, address.into())) {
                failed(link, error);
            }
        }
    }

    /// A connect has completed; whose it was, unless nobody wants it any more.
    pub fn ended(&mut self, conn: ConnId) -> Option<LinkId> {
        let at = self.dials.iter().position(|(_, dialled)| *dialled == conn)?;
        Some(self.dials.swap_remove(at).0.link)
    }

    /// A session for a connection that is made now, if its pool is under TLS.
    pub fn session(&self, conn: ConnId) -> Option<Result<Session, TlsError>> {
        let (dial, _) = self.dials.iter().find(|(_, dialled)| *dialled == conn)?;
        let secure = self.secure.get(usize::from(dial.pool))?.as_ref()?;
        Some(secure.session(&dial.name))
    }

    /// Nobody wants a connection any more; which it was, if it was begun.
    pub fn hang_up(&mut self, ring: &mut Ring, sockets: &mut Sockets, link: LinkId) -> Option<ConnId> {
        self.lookups.retain(|(looked_up, _)| looked_up.link != link);
        let at = self.dials.iter().position(|(dialled, _)| dialled.link == link)?;
        let (_, conn) = self.dials.swap_remove(at);
        sockets.end(ring, conn);
        Some(conn)
    }
}

/// The address, unless it is a name that has to be looked up.
fn address_of(text: &str) -> io::Result<Option<SockAddr>> {
    if let Some(path) = text.strip_prefix(UNIX) {
        return SockAddr::unix(path).map(Some);
    }
    Ok(text.parse::<SocketAddr>().ok().map(SockAddr::from))
}

fn socket_for(address: &SockAddr) -> io::Result<Socket> {
    let tcp = (!address.is_unix()).then_some(Protocol::TCP);
    let socket = Socket::new(address.domain(), Type::STREAM, tcp)?;
    if tcp.is_some() {
        socket.set_tcp_nodelay(true)?;
        socket.set_keepalive(true)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_addresses() {
        for known in ["127.0.0.1:1", "[::1]:2", "unix:/run/a.sock"] {
            assert!(address_of(known).unwrap().is_some(), "{known}");
        }
        assert!(address_of("localhost:1").unwrap().is_none());
        assert!(address_of(&format!("unix:/{}", "x".repeat(200))).is_err());
    }

    /// Proves that a name is found, and that what nobody can be is an error.
    #[test]
    fn names_are_looked_up() {
        let mut dialler = Dialler::new(Arc::new([]));
        let link = |index| LinkId { index, attempt: 1 };
        for (index, name) in [(1, "localhost:1"), (2, "no port")] {
            dialler.look_up(&Dial { link: link(index), address: name.into(), name: name.into(), pool: 0 }).unwrap();
        }
        let found = |at: usize| dialler.lookups[at].1.recv().expect("it answers");
        assert_eq!(found(0).unwrap().port(), 1);
        assert!(found(1).is_err());
    }
}
