//! The closed loop: each connection sends a batch, waits for all its replies, sends the next. One thread, one epoll.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};

use crate::error::{Error, Result};
use crate::reply::{Outcome, Replies};
use crate::request::Protocol;

/// Without a single reply for so long the server hangs, and so would the run.
const STALL_SECS: u64 = 10;
const READ_BYTES: usize = 64 * 1024;
const EVENTS_MAX: usize = 256;
/// A slower batch counts as this one.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// Where a connection's requests come from.
pub trait Source {
    /// Appends a batch to `out` and says how many replies it will bring; 0 ends the connection's run.
    fn next_batch(&mut self, out: &mut Vec<u8>) -> u32;
}

/// What a run adds up to. Every request sent was answered and is counted: `ops` is what the server served.
pub struct Outturn {
    pub ops: u64,
    pub errors: u64,
    pub misses: u64,
    pub first_error: Option<String>,
    pub elapsed: Duration,
    /// Nanoseconds from a batch's send to its last reply.
    pub batch_ns: Histogram<u64>,
}

impl Outturn {
    fn new() -> Self {
        let batch_ns = Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).expect("the bounds are constants and in order");
        Self { ops: 0, errors: 0, misses: 0, first_error: None, elapsed: Duration::ZERO, batch_ns }
    }

    pub fn add(&mut self, other: Self) {
        self.ops += other.ops;
        self.errors += other.errors;
        self.misses += other.misses;
        self.first_error = self.first_error.take().or(other.first_error);
        self.elapsed = self.elapsed.max(other.elapsed);
        self.batch_ns.add(other.batch_ns).expect("all histograms have the same bounds");
    }
}

impl Default for Outturn {
    fn default() -> Self {
        Self::new()
    }
}

struct Link<S> {
    stream: TcpStream,
    source: S,
    out: Vec<u8>,
    sent: usize,
    /// The socket's send buffer was full: epoll watches for room too.
    choked: bool,
    waiting: u32,
    since: Instant,
    replies: Replies,
}

pub struct Drive<S> {
    epoll: rustix::fd::OwnedFd,
    links: Vec<Link<S>>,
    buffer: Vec<u8>,
}

impl<S: Source> Drive<S> {
    /// Connects once for each source; nothing is sent before `run`.
    pub fn connect(address: &str, protocol: Protocol, sources: Vec<S>) -> Result<Self> {
        Self::connect_each(protocol, sources.into_iter().map(|source| (address, source)).collect())
    }

    /// As [`Drive::connect`], each source to an address of its own.
    pub fn connect_each(protocol: Protocol, sources: Vec<(&str, S)>) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(std::io::Error::from)?;
        let mut links = Vec::with_capacity(sources.len());
        for (index, (address, source)) in sources.into_iter().enumerate() {
            let stream = connect(address)?;
            stream.set_nonblocking(true)?;
            epoll::add(&epoll, &stream, EventData::new_u64(index as u64), EventFlags::IN)
                .map_err(std::io::Error::from)?;
            let (out, replies) = (Vec::with_capacity(4096), Replies::new(protocol));
            links.push(Link {
                stream,
                source,
                out,
                sent: 0,
                choked: false,
                waiting: 0,
                since: Instant::now(),
                replies,
            });
        }
        Ok(Self { epoll, links, buffer: vec![0; READ_BYTES] })
    }

    /// Runs until `duration` is over and every reply is in, or until all sources have ended.
    pub fn run(mut self, duration: Duration) -> Result<Outturn> {
        let mut outturn = Outturn::new();
        let start = Instant::now();
        let deadline = start + duration;
        let mut open = 0;
        for index in 0..self.links.len() {
            open += usize::from(self.start_batch(index, Instant::now())?);
        }
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let stall = rustix::event::Timespec { tv_sec: STALL_SECS as i64, tv_nsec: 0 };
        while open > 0 {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&stall)) {
                Ok(0) => return Err(Error::Stalled { stall_secs: STALL_SECS, open }),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(std::io::Error::from(errno).into()),
            }
            for event in &events {
                let index = event.data.u64() as usize;
                if !self.ready(index, deadline, &mut outturn)? {
                    open -= 1;
                }
            }
        }
        outturn.elapsed = start.elapsed();
        Ok(outturn)
    }

    /// False when the connection's run has just ended.
    fn ready(&mut self, index: usize, deadline: Instant, outturn: &mut Outturn) -> Result<bool> {
        if self.links[index].choked {
            self.send(index)?;
        }
        let link = &mut self.links[index];
        let read_bytes = match link.stream.read(&mut self.buffer) {
            Ok(0) => return Err(Error::Closed { connection: index, waiting: link.waiting }),
            Ok(read_bytes) => read_bytes,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(true),
            Err(source) => return Err(Error::Socket { connection: index, source }),
        };
        let mut seen = 0;
        link.replies.feed(&self.buffer[..read_bytes], |outcome| {
            seen += 1;
            match outcome {
                Outcome::Value => {}
                Outcome::Miss => outturn.misses += 1,
                Outcome::Error(text) => {
                    outturn.errors += 1;
                    outturn.first_error.get_or_insert_with(|| String::from_utf8_lossy(text).into_owned());
                }
            }
        })?;
        outturn.ops += u64::from(seen);
        if seen > link.waiting {
            return Err(Error::Surplus { connection: index, extra: seen - link.waiting });
        }
        link.waiting -= seen;
        if link.waiting > 0 {
            return Ok(true);
        }
        // One clock reading ends this batch and starts the next.
        let now = Instant::now();
        outturn.batch_ns.saturating_record((now - link.since).as_nanos() as u64);
        if now < deadline { self.start_batch(index, now) } else { Ok(false) }
    }

    fn start_batch(&mut self, index: usize, now: Instant) -> Result<bool> {
        let link = &mut self.links[index];
        link.out.clear();
        link.sent = 0;
        link.since = now;
        link.waiting = link.source.next_batch(&mut link.out);
        if link.waiting == 0 {
            return Ok(false);
        }
        self.send(index)?;
        Ok(true)
    }

    fn send(&mut self, index: usize) -> Result<()> {
        let link = &mut self.links[index];
        while link.sent < link.out.len() {
            match link.stream.write(&link.out[link.sent..]) {
                Ok(sent) => link.sent += sent,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(source) => return Err(Error::Socket { connection: index, source }),
            }
        }
        let choked = link.sent < link.out.len();
        if choked != link.choked {
            link.choked = choked;
            let flags = if choked { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            epoll::modify(&self.epoll, &link.stream, EventData::new_u64(index as u64), flags)
                .map_err(std::io::Error::from)?;
        }
        Ok(())
    }
}

/// A blocking connection with Nagle's delay off.
pub fn connect(address: &str) -> Result<TcpStream> {
    let connected = TcpStream::connect(address).and_then(|stream| stream.set_nodelay(true).map(|()| stream));
    connected.map_err(|source| Error::Connect { address: address.to_owned(), source })
}
