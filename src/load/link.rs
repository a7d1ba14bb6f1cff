//! One connection under load: what waits to be sent, and what awaits its reply.

use std::collections::VecDeque;
use std::io::ErrorKind;

use super::endpoint::Socket;
use super::reply::Replies;

/// An operation that was drawn and has yet to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    pub command: u16,
    pub key: u64,
    /// From when its latency counts.
    pub since_ns: u64,
}

/// A request under way.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    pub since_ns: u64,
    pub bytes: u32,
    pub command: u16,
}

pub struct Link {
    /// None once it has failed.
    pub socket: Option<Socket>,
    /// Whose it is, and to which node it goes.
    pub client: usize,
    pub node: usize,
    pub out: Vec<u8>,
    sent: usize,
    /// The socket takes no more for now: whether it does again must be watched.
    pub choked: bool,
    pub pending: VecDeque<Pending>,
    /// Operations for this node that were drawn while it had no room.
    pub pool: VecDeque<Operation>,
    pub replies: Replies,
}

impl Link {
    pub fn new(socket: Socket, client: usize, node: usize, pipeline: usize) -> Self {
        Self {
            socket: Some(socket),
            client,
            node,
            out: Vec::with_capacity(4096),
            sent: 0,
            choked: false,
            pending: VecDeque::with_capacity(pipeline.min(1 << 16)),
            pool: VecDeque::new(),
            replies: Replies::default(),
        }
    }

    pub fn wants_to_send(&self) -> bool {
        self.sent < self.out.len()
    }

    /// Sends what the socket takes. `Ok(true)`: whether it is choked has changed.
    pub fn send(&mut self) -> std::io::Result<bool> {
        let Some(socket) = &self.socket else { return Ok(false) };
        while self.sent < self.out.len() {
            match socket.write(&self.out[self.sent..]) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        let choked = self.sent < self.out.len();
        if !choked {
            self.out.clear();
            self.sent = 0;
        }
        let changed = choked != self.choked;
        self.choked = choked;
        Ok(changed)
    }
}
