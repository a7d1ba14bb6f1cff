//! A simulated TCP connection: two streams with the kernel's part in between.

use crate::scenario::Cut;
use coldplate::protocol::resp::Output;
use coldplate::types::{ConnId, LinkId};
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Accepted; its core has not heard of it yet.
    Accepted,
    /// A core connects to a server.
    Dialling,
    Open,
    /// The server's side is closed; what was sent can still be read.
    Closed,
}

/// An output on its way, piece by piece.
pub struct Flight {
    pub output: Output,
    pub bytes: Vec<u8>,
    pub sent: usize,
    /// It may not leave yet.
    pub held: bool,
}

/// What a core finds at a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    Accepted,
    Dialled,
    Sent,
    Received,
    Ended,
    Reset,
}

pub struct Link {
    pub core: usize,
    /// A core has made it, to this server; and whether that succeeded, once it is known.
    pub dial: Option<LinkId>,
    pub node: usize,
    pub made: Option<bool>,
    pub conn: Option<ConnId>,
    pub state: State,
    /// All that the client ever wrote, and how much of it was received.
    pub to_server: Vec<u8>,
    pub received: usize,
    /// Requests under way: where each ends in `to_server`, and its record.
    pub requests: VecDeque<(usize, usize)>,
    /// The client writes no more.
    pub ended: bool,
    pub end_told: bool,
    /// The client is gone and reads no more.
    pub reset: bool,
    pub receive_wanted: bool,
    /// Receives that were under way when the engine asked for a pause.
    pub late_receives: usize,
    pub flight: Option<Flight>,
    /// The fault of a lost completion: the core never hears of this flight's end.
    pub sent_is_lost: bool,
    pub close_when_sent: bool,
    pub to_client: VecDeque<u8>,
}

impl Link {
    pub fn new(core: usize) -> Link {
        Link {
            core,
            dial: None,
            node: 0,
            made: None,
            conn: None,
            state: State::Accepted,
            to_server: Vec::new(),
            received: 0,
            requests: VecDeque::new(),
            ended: false,
            end_told: false,
            reset: false,
            receive_wanted: true,
            late_receives: 0,
            flight: None,
            sent_is_lost: false,
            close_when_sent: false,
            to_client: VecDeque::new(),
        }
    }

    /// What its core would find now.
    pub fn completions(&self) -> impl Iterator<Item = Completion> {
        let open = self.state == State::Open;
        let unread = self.received < self.to_server.len();
        let landed = self.flight.as_ref().is_some_and(|flight| !flight.held && flight.sent == flight.bytes.len());
        let receives = self.receive_wanted || self.late_receives > 0;
        [
            (Completion::Accepted, self.state == State::Accepted),
            (Completion::Dialled, self.state == State::Dialling && self.made.is_some()),
            (Completion::Reset, open && self.reset),
            (Completion::Sent, open && !self.reset && landed && !self.sent_is_lost),
            (Completion::Received, open && !self.reset && unread && receives),
            (Completion::Ended, open && !self.reset && !unread && self.ended && !self.end_told && self.receive_wanted),
        ]
        .into_iter()
        .filter_map(|(completion, there)| there.then_some(completion))
    }

    /// Bytes that can move to the client's side of the kernel now.
    pub fn movable(&self, socket_bytes: usize) -> usize {
        let Some(flight) = self.flight.as_ref().filter(|flight| !flight.held) else { return 0 };
        (flight.bytes.len() - flight.sent).min(socket_bytes.saturating_sub(self.to_client.len()))
    }

    pub fn move_bytes(&mut self, bytes: usize) {
        let Some(flight) = self.flight.as_mut() else { return };
        self.to_client.extend(&flight.bytes[flight.sent..flight.sent + bytes]);
        flight.sent += bytes;
    }

    /// Whether the client finds the end of the stream.
    pub fn is_at_end(&self) -> bool {
        self.state == State::Closed && self.to_client.is_empty()
    }

    /// How many bytes the next receive takes.
    pub fn receive_bytes(&self, cut: Cut, rng: &mut crate::rng::Rng) -> usize {
        cut.draw(rng, self.to_server.len() - self.received)
    }

    /// The client is gone: what was under way is lost.
    pub fn hang_up(&mut self) {
        self.reset = true;
        self.to_client.clear();
    }
}
