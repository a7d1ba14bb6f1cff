//! The sockets of one core, between the ring's completions and the engine's events.
//!
//! A socket is in one of three states: open, lingering (all was sent and our side is shut, the peer is given a moment
//! to read it), or gone (its row waits for the last completion). One send is in flight at a time and carries all
//! that was ready.

use super::Ring;
use super::uring::{Armed, Payload, SendOptions};
use crate::protocol::resp::Output;
use crate::types::ConnId;
use socket2::{SockAddr, SockRef};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

/// How long a peer may take to read its last replies and close, before the socket is closed under it.
const LINGER_US: u64 = 1_000_000;
/// Token bits that hold the row; the generation's low bits are above.
const INDEX_BITS: u32 = 32;
const GENERATION_BITS: u32 = 24;

/// A whole output under way, segment after segment.
struct Flight {
    output: Output,
    /// Bytes of `output.bytes` that are sent, and of the current shared value.
    sent_bytes: usize,
    sent_shared: usize,
    next_shared: usize,
    /// The segment in the ring is a shared value.
    in_shared: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Lingering,
    Gone,
}

struct Socket {
    fd: Option<OwnedFd>,
    state: State,
    /// The engine asked for the end, once all is sent.
    close_when_sent: bool,
    peer_ended: bool,
    receiving: bool,
    receive_wanted: bool,
    unix: bool,
    /// The ring connects it.
    connecting: bool,
    /// The ring has a segment of the flight.
    sending: bool,
    /// Stays after a send that failed: whatever followed would leave a hole in what the peer reads.
    flight: Option<Flight>,
    window: u32,
}

struct Row {
    generation: u32,
    socket: Option<Socket>,
}

/// What a send's completion means for the engine.
pub enum SendOutcome {
    /// More of the output is under way.
    UnderWay,
    /// All of it is sent; the buffers come back.
    Whole(Output),
    /// The peer is gone.
    Broken,
}

/// All sockets of one core.
pub struct Sockets {
    rows: Vec<Row>,
    vacant: Vec<u32>,
    lingering: Vec<(u64, ConnId)>,
    /// Rows in use, gone ones whose completions are awaited included.
    used: usize,
    zero_copy_bytes_min: usize,
    pub sends: u32,
}

impl Sockets {
    pub fn new(zero_copy_bytes_min: usize) -> Sockets {
        let zero_copy_bytes_min = if zero_copy_bytes_min == 0 { usize::MAX } else { zero_copy_bytes_min };
        Sockets { rows: Vec::new(), vacant: Vec::new(), lingering: Vec::new(), used: 0, zero_copy_bytes_min, sends: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    pub fn token(conn: ConnId) -> u64 {
        u64::from(conn.generation & ((1 << GENERATION_BITS) - 1)) << INDEX_BITS | u64::from(conn.index)
    }

    /// The connection of a token, while its row still has that tenant.
    #[inline]
    pub fn conn(&self, token: u64) -> Option<ConnId> {
        let index = token as u32;
        let row = self.rows.get(index as usize)?;
        let conn = ConnId { index, generation: row.generation };
        (row.socket.is_some() && Sockets::token(conn) == token).then_some(conn)
    }

    /// Takes a connected socket in and starts to receive.
    pub fn open(&mut self, ring: &mut Ring, fd: OwnedFd) -> ConnId {
        let conn = self.take_in(fd);
        self.begin_receive(ring, conn);
        conn
    }

    /// Takes a socket in and connects it.
    pub fn connect(&mut self, ring: &mut Ring, fd: OwnedFd, address: SockAddr) -> ConnId {
        let number = fd.as_raw_fd();
        let conn = self.take_in(fd);
        self.socket(conn).connecting = true;
        ring.connect(number, Sockets::token(conn), address);
        conn
    }

    /// A connect has completed. True: the socket is connected, and receives; false: it is gone.
    pub fn connected(&mut self, ring: &mut Ring, conn: ConnId, made: bool) -> bool {
        let socket = self.socket(conn);
        socket.connecting = false;
        let open = socket.state == State::Open;
        if open && made {
            self.begin_receive(ring, conn);
            return true;
        }
        if open {
            self.end(ring, conn)
        } else {
            self.release(conn)
        }
        false
    }

    fn begin_receive(&mut self, ring: &mut Ring, conn: ConnId) {
        let socket = self.socket(conn);
        let fd = socket.fd.as_ref().expect("an open socket has its descriptor").as_raw_fd();
        socket.receiving = true;
        ring.receive(fd, Sockets::token(conn));
    }

    fn take_in(&mut self, fd: OwnedFd) -> ConnId {
        let unix = SockRef::from(&fd).local_addr().is_ok_and(|address| address.is_unix());
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.rows.push(Row { generation: 0, socket: None });
            self.rows.len() as u32 - 1
        });
        let row = &mut self.rows[index as usize];
        row.generation = row.generation.wrapping_add(1);
        let conn = ConnId { index, generation: row.generation };
        row.socket = Some(Socket {
            fd: Some(fd),
            state: State::Open,
            close_when_sent: false,
            peer_ended: false,
            receiving: false,
            receive_wanted: true,
            unix,
            connecting: false,
            sending: false,
            flight: None,
            window: 0,
        });
        self.used += 1;
        conn
    }

    /// Whether requests from this socket still count; false while it lingers.
    #[inline]
    pub fn is_open(&self, conn: ConnId) -> bool {
        self.rows[conn.index as usize].socket.as_ref().is_some_and(|socket| socket.state == State::Open)
    }

    /// Notes activity in a window; true the first time.
    #[inline]
    pub fn is_first_in(&mut self, conn: ConnId, window: u32) -> bool {
        let socket = self.socket(conn);
        std::mem::replace(&mut socket.window, window) != window
    }

    fn socket(&mut self, conn: ConnId) -> &mut Socket {
        self.rows[conn.index as usize].socket.as_mut().expect("a live connection has a socket")
    }

    /// The receive of this socket has ended in the ring; starts it again unless it should pause. `ended` is the
    /// end of the stream or an error.
    pub fn receive_ended(&mut self, ring: &mut Ring, conn: ConnId, ended: bool) {
        let socket = self.socket(conn);
        socket.receiving = false;
        socket.peer_ended |= ended;
        if let (State::Open | State::Lingering, false, true, Some(fd)) =
            (socket.state, socket.peer_ended, socket.receive_wanted, &socket.fd)
        {
            ring.receive(fd.as_raw_fd(), Sockets::token(conn));
            socket.receiving = true;
        }
        match socket.state {
            State::Lingering if socket.peer_ended => self.end(ring, conn),
            State::Gone => self.release(conn),
            _ => {}
        }
    }

    /// Stops or goes on receiving.
    pub fn want_receive(&mut self, ring: &mut Ring, conn: ConnId, wanted: bool) {
        let Some(conn) = self.conn(Sockets::token(conn)) else { return };
        let socket = self.socket(conn);
        socket.receive_wanted = wanted;
        match (wanted, socket.receiving, &socket.fd) {
            (true, false, Some(fd)) if !socket.peer_ended => {
                ring.receive(fd.as_raw_fd(), Sockets::token(conn));
                socket.receiving = true;
            }
            (false, true, _) => ring.cancel(Armed::Receive, Sockets::token(conn)),
            _ => {}
        }
    }

    /// Whether an output can be sent now: nothing is in flight.
    pub fn can_send(&self, conn: ConnId) -> bool {
        let socket = self.rows[conn.index as usize].socket.as_ref();
        socket.is_some_and(|socket| socket.state == State::Open && socket.flight.is_none())
    }

    pub fn send(&mut self, ring: &mut Ring, conn: ConnId, output: Output) {
        self.hold(conn, output);
        self.send_segment(ring, conn);
    }

    /// Keeps an output that may not leave yet. Until [`Sockets::launch`] it counts as in flight.
    pub fn hold(&mut self, conn: ConnId, output: Output) {
        let flight = Flight { output, sent_bytes: 0, sent_shared: 0, next_shared: 0, in_shared: false };
        self.socket(conn).flight = Some(flight);
    }

    /// Sends what was held.
    pub fn launch(&mut self, ring: &mut Ring, conn: ConnId) {
        if self.socket(conn).state == State::Open {
            self.send_segment(ring, conn);
        }
    }

    /// Hands the next segment to the ring: bytes up to the next shared value, or that value.
    fn send_segment(&mut self, ring: &mut Ring, conn: ConnId) {
        let zero_copy_bytes_min = self.zero_copy_bytes_min;
        let socket = self.socket(conn);
        let (Some(flight), Some(fd)) = (&mut socket.flight, &socket.fd) else { return };
        let bytes_end = flight.output.shared.get(flight.next_shared).map_or(flight.output.bytes.len(), |s| s.at);
        let (payload, range);
        if flight.sent_bytes < bytes_end {
            flight.in_shared = false;
            payload = Payload::Owned(std::mem::take(&mut flight.output.bytes));
            range = flight.sent_bytes..bytes_end;
        } else {
            let shared = &flight.output.shared[flight.next_shared];
            flight.in_shared = true;
            payload = Payload::Shared(Arc::clone(&shared.value));
            range = shared.range.start + flight.sent_shared..shared.range.end;
        }
        let options = SendOptions {
            zero_copy: flight.in_shared && range.len() >= zero_copy_bytes_min && !socket.unix,
            more: flight.in_shared || flight.next_shared < flight.output.shared.len(),
        };
        socket.sending = true;
        ring.send(fd.as_raw_fd(), Sockets::token(conn), payload, range, options);
        self.sends += 1;
    }

    /// Takes a send's completion.
    pub fn sent(
        &mut self,
        ring: &mut Ring,
        conn: ConnId,
        payload: Payload,
        result: std::io::Result<usize>,
    ) -> SendOutcome {
        let socket = self.socket(conn);
        socket.sending = false;
        if socket.state == State::Gone {
            self.release(conn);
            return SendOutcome::Broken;
        }
        let flight = socket.flight.as_mut().expect("a send belongs to a flight");
        if let Payload::Owned(bytes) = payload {
            flight.output.bytes = bytes;
        }
        let Ok(sent) = result else { return SendOutcome::Broken };
        if flight.in_shared {
            flight.sent_shared += sent;
            if flight.sent_shared == flight.output.shared[flight.next_shared].range.len() {
                (flight.next_shared, flight.sent_shared) = (flight.next_shared + 1, 0);
            }
        } else {
            flight.sent_bytes += sent;
        }
        if flight.sent_bytes < flight.output.bytes.len() || flight.next_shared < flight.output.shared.len() {
            self.send_segment(ring, conn);
            return SendOutcome::UnderWay;
        }
        SendOutcome::Whole(socket.flight.take().expect("it was there just now").output)
    }

    /// Closes as soon as everything is sent.
    pub fn close_when_sent(&mut self, conn: ConnId) {
        if let Some(conn) = self.conn(Sockets::token(conn)) {
            self.socket(conn).close_when_sent = true;
        }
    }

    /// Whether the end was asked for and nothing is in flight.
    pub fn is_due_to_close(&self, conn: ConnId) -> bool {
        let socket = self.rows[conn.index as usize].socket.as_ref();
        socket.is_some_and(|socket| socket.close_when_sent && socket.flight.is_none() && socket.state == State::Open)
    }

    /// Closes politely: says that nothing more comes, and lets the peer read what was sent. Closing at once, with
    /// requests unread, would make the kernel reset the connection and the peer lose its last replies.
    pub fn linger(&mut self, ring: &mut Ring, conn: ConnId, now_us: u64) {
        let socket = self.socket(conn);
        if socket.peer_ended {
            return self.end(ring, conn);
        }
        socket.state = State::Lingering;
        if let Some(fd) = &socket.fd {
            // A peer that is gone already makes this fail, and the receive end.
            let _ = SockRef::from(fd).shutdown(Shutdown::Write);
        }
        self.lingering.push((now_us + LINGER_US, conn));
        // Also where it was paused: unread requests are what makes a close a reset.
        self.want_receive(ring, conn, true);
    }

    /// Ends sockets that lingered long enough; answers when to look again.
    pub fn end_lingering(&mut self, ring: &mut Ring, now_us: u64) -> Option<u64> {
        let mut at = 0;
        while at < self.lingering.len() {
            let (until_us, conn) = self.lingering[at];
            let there = self.conn(Sockets::token(conn)).is_some_and(|known| known == conn);
            if there && until_us > now_us {
                at += 1;
                continue;
            }
            self.lingering.swap_remove(at);
            if there {
                self.end(ring, conn);
            }
        }
        self.lingering.iter().map(|(until_us, _)| *until_us).min()
    }

    /// Closes on the spot. What the ring still holds comes back broken.
    pub fn end(&mut self, ring: &mut Ring, conn: ConnId) {
        let Some(conn) = self.conn(Sockets::token(conn)) else { return };
        let socket = self.socket(conn);
        if socket.state == State::Gone {
            return;
        }
        socket.state = State::Gone;
        if let Some(fd) = socket.fd.take() {
            if socket.sending || socket.receiving {
                // Ends a send that waits for a peer that does not read, and the receive.
                let _ = SockRef::from(&fd).shutdown(Shutdown::Both);
            }
            if socket.receiving {
                ring.cancel(Armed::Receive, Sockets::token(conn));
            }
            if socket.connecting {
                ring.cancel_connect(Sockets::token(conn));
            }
            ring.close(fd);
        }
        self.release(conn);
    }

    /// Frees a gone socket's row once the ring holds nothing of it.
    fn release(&mut self, conn: ConnId) {
        let socket = self.socket(conn);
        if socket.state == State::Gone && !(socket.sending || socket.receiving || socket.connecting) {
            self.rows[conn.index as usize].socket = None;
            self.vacant.push(conn.index);
            self.used -= 1;
        }
    }

    /// Names of both ends, as CLIENT LIST shows them.
    pub fn names(&mut self, conn: ConnId) -> (String, String) {
        let socket = self.socket(conn);
        let Some(fd) = &socket.fd else { return (String::new(), String::new()) };
        let socket = SockRef::from(fd);
        let name = |address: std::io::Result<socket2::SockAddr>| -> String {
            let Ok(address) = address else { return String::new() };
            match address.as_socket() {
                Some(address) => address.to_string(),
                None => address.as_pathname().map_or(String::new(), |path| format!("{}:0", path.display())),
            }
        };
        let local = name(socket.local_addr());
        let peer = name(socket.peer_addr());
        if peer.is_empty() { (local.clone(), local) } else { (peer, local) }
    }
}
