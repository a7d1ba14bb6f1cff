//! One pipelined connection to a server: what was asked, what was sent of it, and whose reply comes next.
//!
//! Requests are kept as they were encoded until they are answered, one behind the other in one buffer, so that they can be
//! asked elsewhere. What is sent is a copy of the part that was not sent before, once a turn.

use crate::protocol::resp::{Framed, Framing, Output, ReplyBounds, ReplyError};
use std::collections::VecDeque;
use std::ops::Range;

/// Answered requests in front of others are moved away when there are so many bytes of them.
const ANSWERED_BYTES_MAX: usize = 64 * 1024;
/// A server that says something from time to time has so many timeouts to end a reply.
const SLOW_TIMEOUTS: u64 = 12;
/// A reply of so many bytes that came in pieces is handed on without a copy.
const OWNED_BYTES_MIN: usize = 64 * 1024;
/// Memory of an emptied buffer that is kept.
const KEPT_BYTES_MAX: usize = 256 * 1024;

/// What a link is made with.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// Requests that come before all others, and how many replies they have, each of which must not be an error.
    pub greeting: Vec<u8>,
    pub greeting_replies: u32,
    /// From dialling until the greeting is answered.
    pub connect_timeout_us: u64,
    /// For how long a server may be silent while it owes a reply.
    pub request_timeout_us: u64,
    /// For how long a link may be unused; 0: for ever.
    pub idle_timeout_us: u64,
    /// Requests that may be unanswered, and their bytes.
    pub in_flight_max: usize,
    pub in_flight_bytes_max: usize,
    pub reply_bounds: ReplyBounds,
}

/// What no server sends that keeps to the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    #[error("{0}")]
    NoReply(#[from] ReplyError),
    #[error("a reply that nobody asked for")]
    Unasked,
    #[error("{text}")]
    Refused { text: String },
}

/// What has taken too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    Connecting,
    Answering,
    /// Nobody has asked anything for a while.
    Idle,
}

/// A request as it was sent.
#[derive(Clone)]
pub struct Request<'a> {
    requests: &'a Output,
    range: Range<usize>,
}

impl Request<'_> {
    pub fn append_to(&self, output: &mut Output) {
        output.append(self.requests, self.range.clone());
    }
}

/// A reply's bytes: where they were received, or for themselves if there are many.
pub enum Bytes<'a> {
    Lent(&'a [u8]),
    Owned(Vec<u8>),
}

impl Bytes<'_> {
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::Lent(bytes) => bytes,
            Bytes::Owned(bytes) => bytes,
        }
    }
}

/// What came.
pub enum Answer<'a, T> {
    /// To a request of whom.
    Reply { of: T, bytes: Bytes<'a>, kind: u8, request: Request<'a>, asked_us: u64 },
    /// Nobody asked for it.
    Push { bytes: &'a [u8] },
    /// The server has accepted the greeting: what waited may be sent.
    Greeted,
}

/// What came on a connection on which not all that comes is a reply: see [`Link::hear`].
pub enum Heard<'a> {
    Frame {
        bytes: &'a [u8],
        kind: u8,
    },
    /// As [`Answer::Greeted`].
    Greeted,
}

/// A request that is not answered because the link is lost.
pub struct Unanswered<T> {
    pub of: T,
    /// The server may have seen it.
    pub sent: bool,
    pub request: Output,
}

struct Pending<T> {
    of: T,
    asked_us: u64,
    bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There is no connection, and nobody makes one.
    Down,
    Dialling {
        since_us: u64,
    },
    Greeting {
        since_us: u64,
        sent: bool,
        missing: u32,
    },
    Ready,
}

/// A connection to a server. `T` is who asked.
pub struct Link<T> {
    state: State,
    framing: Framing,
    /// What has come of a reply that came in pieces; once it is whole, until the next is read.
    held: Vec<u8>,
    held_is_whole: bool,
    /// Unanswered requests, from `answered` on; before that answered ones. Up to `sent` they were handed out.
    requests: Output,
    answered: usize,
    sent: usize,
    /// Bytes of the request that was answered last.
    last_bytes: usize,
    pending: VecDeque<Pending<T>>,
    heard_us: u64,
}

impl<T> Default for Link<T> {
    fn default() -> Link<T> {
        Link {
            state: State::Down,
            framing: Framing::default(),
            held: Vec::new(),
            held_is_whole: false,
            requests: Output::default(),
            answered: 0,
            sent: 0,
            last_bytes: 0,
            pending: VecDeque::new(),
            heard_us: 0,
        }
    }
}

impl<T> Link<T> {
    pub fn is_down(&self) -> bool {
        self.state == State::Down
    }

    pub fn is_dialled(&self) -> bool {
        matches!(self.state, State::Dialling { .. })
    }

    pub fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    /// Requests that are not answered.
    #[inline]
    pub fn in_flight(&self) -> usize {
        self.pending.len()
    }

    /// Whether it is asked for more than it may have in flight.
    #[inline]
    pub fn is_full(&self, options: &LinkOptions) -> bool {
        self.pending.len() >= options.in_flight_max || self.in_flight_bytes() >= options.in_flight_bytes_max
    }

    /// Whether so many requests more may be too many: they are for sure where it is full.
    #[inline]
    pub fn is_tight(&self, requests: usize, options: &LinkOptions) -> bool {
        self.pending.len() + requests > options.in_flight_max
            || self.in_flight_bytes() > options.in_flight_bytes_max / 2
    }

    /// Whether whoever waits for room may go on.
    pub fn has_room(&self, options: &LinkOptions) -> bool {
        self.pending.len() <= options.in_flight_max / 2 && self.in_flight_bytes() <= options.in_flight_bytes_max / 2
    }

    fn in_flight_bytes(&self) -> usize {
        let text = self.requests.bytes.len() - self.answered;
        if self.requests.shared.is_empty() {
            text
        } else {
            text + self.requests.len_bytes() - self.requests.bytes.len()
        }
    }

    /// A connection is being made.
    pub fn dials(&mut self, now_us: u64, options: &LinkOptions) {
        assert_eq!(self.state, State::Down, "a link has one connection");
        self.framing = Framing::new(options.reply_bounds);
        self.state = State::Dialling { since_us: now_us };
    }

    /// The connection is there.
    pub fn connected(&mut self, now_us: u64, options: &LinkOptions) {
        let State::Dialling { since_us } = self.state else { panic!("it was not dialled") };
        self.heard_us = now_us;
        self.state = match options.greeting_replies {
            0 => State::Ready,
            missing => State::Greeting { since_us, sent: false, missing },
        };
    }

    /// Adds a request, encoded by `encode`. True if it is the first to be sent: [`Link::take_output`] has something.
    #[inline]
    pub fn ask(&mut self, now_us: u64, of: T, encode: impl FnOnce(&mut Output)) -> bool {
        let first = self.state == State::Ready && self.sent == self.requests.bytes.len();
        let from = self.requests.bytes.len();
        encode(&mut self.requests);
        self.pending.push_back(Pending { of, asked_us: now_us, bytes: self.requests.bytes.len() - from });
        first
    }

    /// Whether something is to be sent.
    pub fn wants_send(&self) -> bool {
        match self.state {
            State::Down | State::Dialling { .. } => false,
            State::Greeting { sent, .. } => !sent,
            State::Ready => self.sent < self.requests.bytes.len(),
        }
    }

    /// Fills `output` with what was not sent yet; false if there is nothing.
    pub fn take_output(&mut self, options: &LinkOptions, output: &mut Output) -> bool {
        match &mut self.state {
            State::Greeting { sent, .. } if !*sent => {
                *sent = true;
                output.bytes.extend_from_slice(&options.greeting);
            }
            State::Ready if self.sent < self.requests.bytes.len() => {
                output.append(&self.requests, self.sent..self.requests.bytes.len());
                self.sent = self.requests.bytes.len();
            }
            _ => return false,
        }
        true
    }

    /// Reads the next reply of what has come: how many bytes of it were taken, and what they were. None: more is to come.
    /// An error ends the link.
    #[inline]
    pub fn receive<'a>(
        &'a mut self,
        now_us: u64,
        chunk: &'a [u8],
    ) -> Result<(usize, Option<Answer<'a, T>>), LinkError> {
        let Some((taken, kind)) = self.frame(now_us, chunk)? else { return Ok((chunk.len(), None)) };
        if kind == b'>' {
            return Ok((taken, Some(Answer::Push { bytes: self.whole(chunk, taken) })));
        }
        if matches!(self.state, State::Greeting { .. }) {
            return Ok((taken, self.greeted(chunk, taken, kind)?.then_some(Answer::Greeted)));
        }
        // A reply to what was not sent is none.
        if self.answered == self.sent {
            return Err(LinkError::Unasked);
        }
        let Some(Pending { of, bytes: request_bytes, asked_us }) = self.pending.pop_front() else {
            return Err(LinkError::Unasked);
        };
        self.last_bytes = request_bytes;
        let bytes = if self.held_is_whole && self.held.len() >= OWNED_BYTES_MIN {
            self.held_is_whole = false;
            Bytes::Owned(std::mem::take(&mut self.held))
        } else {
            Bytes::Lent(self.whole(chunk, taken))
        };
        let range = self.answered..self.answered + request_bytes;
        let request = Request { requests: &self.requests, range };
        Ok((taken, Some(Answer::Reply { of, bytes, kind, request, asked_us })))
    }

    /// As [`Link::receive`], where who asked has to say whether a frame is a reply: then [`Link::answer`] takes the request.
    pub fn hear<'a>(&'a mut self, now_us: u64, chunk: &'a [u8]) -> Result<(usize, Option<Heard<'a>>), LinkError> {
        let Some((taken, kind)) = self.frame(now_us, chunk)? else { return Ok((chunk.len(), None)) };
        if kind != b'>' && matches!(self.state, State::Greeting { .. }) {
            return Ok((taken, self.greeted(chunk, taken, kind)?.then_some(Heard::Greeted)));
        }
        Ok((taken, Some(Heard::Frame { bytes: self.whole(chunk, taken), kind })))
    }

    /// Whose reply comes next; none if nothing that was sent is unanswered.
    pub fn owed(&self) -> Option<&T> {
        let next = self.pending.front()?;
        (self.answered + self.last_bytes < self.sent).then_some(&next.of)
    }

    /// The next reply was heard: whose it is, and the request.
    pub fn answer(&mut self) -> Option<(T, Request<'_>)> {
        self.owed()?;
        let Pending { of, bytes, .. } = self.pending.pop_front()?;
        let from = self.answered + self.last_bytes;
        self.last_bytes += bytes;
        Some((of, Request { requests: &self.requests, range: from..from + bytes }))
    }

    /// The next frame of what has come: how many bytes of it were taken, and its first.
    #[inline]
    fn frame(&mut self, now_us: u64, chunk: &[u8]) -> Result<Option<(usize, u8)>, LinkError> {
        self.forget_last();
        self.heard_us = now_us;
        let (taken, kind) = match self.framing.advance(chunk)? {
            Framed::Whole { bytes, kind } => (bytes, kind),
            Framed::Short => {
                self.held.extend_from_slice(chunk);
                return Ok(None);
            }
        };
        if !self.held.is_empty() {
            self.held.extend_from_slice(&chunk[..taken]);
            self.held_is_whole = true;
        }
        Ok(Some((taken, kind)))
    }

    /// A reply to the greeting; true: the last one.
    #[cold]
    fn greeted(&mut self, chunk: &[u8], taken: usize, kind: u8) -> Result<bool, LinkError> {
        let State::Greeting { missing, sent, since_us } = self.state else { panic!("it was greeted before") };
        if !sent {
            return Err(LinkError::Unasked);
        }
        if matches!(kind, b'-' | b'!') {
            return Err(LinkError::Refused { text: error_text(self.whole(chunk, taken)) });
        }
        self.state = match missing - 1 {
            0 => State::Ready,
            missing => State::Greeting { missing, sent, since_us },
        };
        Ok(self.state == State::Ready)
    }

    /// The reply that ends after so many bytes of the chunk.
    #[inline]
    fn whole<'a>(&'a self, chunk: &'a [u8], taken: usize) -> &'a [u8] {
        if self.held_is_whole { &self.held } else { &chunk[..taken] }
    }

    /// Gives back what the last reply and its request took.
    #[inline]
    fn forget_last(&mut self) {
        if std::mem::take(&mut self.held_is_whole) {
            self.held.clear();
            self.held.shrink_to(KEPT_BYTES_MAX);
        }
        self.answered += std::mem::take(&mut self.last_bytes);
        if self.answered == self.requests.bytes.len() {
            self.requests.clear_keeping(KEPT_BYTES_MAX);
            (self.answered, self.sent) = (0, 0);
        } else if self.answered > ANSWERED_BYTES_MAX && self.answered > self.requests.bytes.len() / 2 {
            self.compact();
        }
    }

    fn compact(&mut self) {
        let gone = std::mem::take(&mut self.answered);
        self.sent -= gone;
        self.requests.bytes.drain(..gone);
        self.requests.shared.retain(|shared| shared.at > gone);
        self.requests.shared.iter_mut().for_each(|shared| shared.at -= gone);
    }

    /// What has taken too long by now.
    pub fn late(&self, now_us: u64, options: &LinkOptions) -> Option<Late> {
        let past = |since_us: u64, timeout_us: u64| now_us >= since_us.saturating_add(timeout_us);
        match (self.state, self.pending.front()) {
            (State::Down, _) => None,
            (State::Dialling { since_us } | State::Greeting { since_us, .. }, _) => {
                past(since_us, options.connect_timeout_us).then_some(Late::Connecting)
            }
            (State::Ready, Some(pending)) => {
                let silent = past(pending.asked_us.max(self.heard_us), options.request_timeout_us);
                let slow = past(pending.asked_us, options.request_timeout_us.saturating_mul(SLOW_TIMEOUTS));
                (silent || slow).then_some(Late::Answering)
            }
            (State::Ready, None) => {
                let idle = options.idle_timeout_us > 0 && past(self.heard_us, options.idle_timeout_us);
                idle.then_some(Late::Idle)
            }
        }
    }

    /// Whether [`Link::late`] may have something to say before anything else happens.
    pub fn has_timer(&self, options: &LinkOptions) -> bool {
        !self.is_down() && (!self.is_ready() || !self.pending.is_empty() || options.idle_timeout_us > 0)
    }

    /// The connection is gone. What was asked and is not answered is handed out in order.
    pub fn lose(&mut self, mut each: impl FnMut(Unanswered<T>)) {
        self.forget_last();
        let mut at = self.answered;
        for Pending { of, bytes, .. } in std::mem::take(&mut self.pending) {
            let mut request = Output::default();
            request.append(&self.requests, at..at + bytes);
            each(Unanswered { of, sent: at < self.sent, request });
            at += bytes;
        }
        *self = Link::default();
    }
}

/// The text of an error reply.
fn error_text(reply: &[u8]) -> String {
    String::from_utf8_lossy(&reply[1..reply.len().min(200)]).trim_end().to_owned()
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
