//! The errors by which a server of a cluster says that somebody else is to be asked, or later; and for how long a request
//! follows them.

use super::{NodeId, Topology};
use crate::types::{SLOTS, Slot};

/// How often one request is sent elsewhere. Clients have 5 to 16; a slot that moves costs one, a failover two or three.
pub const HOPS_MAX: u8 = 8;
/// How often one request waits at the same server: 155 ms in all.
const WAITS_MAX: u8 = 5;
const WAIT_US_MIN: u64 = 5_000;

/// What an error means for who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirect<'a> {
    /// The slot has another primary from now on.
    Moved { slot: Slot, host: &'a str, port: u16 },
    /// This request alone is to be asked there, behind ASKING.
    Ask { slot: Slot, host: &'a str, port: u16 },
    /// Its keys are on two servers just now.
    TryAgain,
    /// The server believes that its cluster, or its part of it, does not work.
    Down,
    /// The server has no data yet, or none of its primary's.
    NotReady,
}

/// How far one request has been sent around. Part of what is remembered of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hops {
    sent: u8,
    waited: u8,
}

/// What becomes of a request that was answered by a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is asked there. `asking`: behind ASKING, on the same connection.
    To { node: NodeId, asking: bool },
    /// It is asked once more after so long, by its slot as if it came anew.
    Later { after_us: u64 },
    /// The client gets the server's error.
    Answer,
    /// The client gets the error of [`Redirect::lost`]: servers send each other's clients around.
    Lost,
}

impl<'a> Redirect<'a> {
    /// Reads a whole reply, `-` and line end with it. `None`: it is no such error.
    #[inline]
    pub fn parse(reply: &'a [u8]) -> Option<Redirect<'a>> {
        match reply {
            [b'-', b'M' | b'A' | b'T' | b'C' | b'L', ..] => Redirect::parse_error(&reply[1..]),
            _ => None,
        }
    }

    #[cold]
    fn parse_error(line: &'a [u8]) -> Option<Redirect<'a>> {
        let line = line.trim_ascii_end();
        let end = line.iter().position(|&byte| byte == b' ').unwrap_or(line.len());
        match &line[..end] {
            b"MOVED" | b"ASK" => Redirect::parse_address(std::str::from_utf8(line).ok()?),
            b"TRYAGAIN" => Some(Redirect::TryAgain),
            b"CLUSTERDOWN" => Some(Redirect::Down),
            b"LOADING" | b"MASTERDOWN" => Some(Redirect::NotReady),
            _ => None,
        }
    }

    /// `MOVED 3999 127.0.0.1:6381`
    fn parse_address(line: &'a str) -> Option<Redirect<'a>> {
        let mut words = line.split(' ');
        let (kind, slot, address) = (words.next()?, words.next()?, words.next()?);
        let slot = slot.parse::<u16>().ok().filter(|slot| usize::from(*slot) < SLOTS).map(Slot)?;
        let (host, port) = address.rsplit_once(':')?;
        let (host, port) = (host.trim_matches(['[', ']']), port.parse().ok().filter(|port| *port != 0)?);
        Some(if kind == "ASK" { Redirect::Ask { slot, host, port } } else { Redirect::Moved { slot, host, port } })
    }

    /// The error of a request that was sent around [`HOPS_MAX`] times, without `-` and line end.
    pub fn lost(&self, pool: &str) -> String {
        match self {
            Redirect::Moved { slot, host, port } | Redirect::Ask { slot, host, port } => format!(
                "ERR upstream {pool} sent slot {} around {HOPS_MAX} times, at last to {host}:{port}",
                slot.index()
            ),
            _ => format!("ERR upstream {pool} sent a request around {HOPS_MAX} times"),
        }
    }

    /// The map of slots is not what it was believed to be.
    pub fn doubts_the_map(&self) -> bool {
        matches!(self, Redirect::Moved { .. } | Redirect::Down | Redirect::NotReady)
    }
}

impl Topology {
    /// Takes the word of the server `asked` and says what becomes of the request. MOVED corrects its slot, for all.
    pub fn follow(&mut self, redirect: &Redirect<'_>, asked: NodeId, hops: &mut Hops) -> Step {
        match *redirect {
            Redirect::Moved { slot, host, port } => {
                let node = self.assign(slot, host, port, asked);
                hops.hop(node, false)
            }
            Redirect::Ask { host, port, .. } => {
                let node = self.place(host, port, asked);
                hops.hop(node, true)
            }
            Redirect::TryAgain => hops.wait(),
            // A replica without data: others are asked until it is known to have some.
            Redirect::NotReady if self.node(asked).is_some_and(|node| !node.is_primary) => {
                self.is_loading(asked);
                hops.wait()
            }
            Redirect::Down | Redirect::NotReady => Step::Answer,
        }
    }
}

impl Hops {
    /// Whether it was sent elsewhere, or to wait, at all.
    #[inline]
    pub fn any(self) -> bool {
        self != Hops::default()
    }

    /// Whether it was for the first time.
    pub fn is_first(self) -> bool {
        u32::from(self.sent) + u32::from(self.waited) == 1
    }

    /// It goes elsewhere though no server has said so.
    pub fn resend(&mut self) {
        self.sent = (self.sent + 1).min(HOPS_MAX);
    }

    fn hop(&mut self, node: Option<NodeId>, asking: bool) -> Step {
        if self.sent == HOPS_MAX {
            return Step::Lost;
        }
        match node {
            Some(node) => {
                self.sent += 1;
                Step::To { node, asking }
            }
            // It cannot be told who is meant: the map may say it once it is new.
            None if self.waited == WAITS_MAX => Step::Lost,
            None => self.wait(),
        }
    }

    fn wait(&mut self) -> Step {
        if self.waited == WAITS_MAX {
            return Step::Answer;
        }
        self.waited += 1;
        Step::Later { after_us: WAIT_US_MIN << (self.waited - 1) }
    }
}
