//! A row of a core's table of links: whom a link serves, whether it is connected, and what waits for it.

use super::own::OwnRow;
use super::router::Asked;
use crate::protocol::resp::Proto;
use crate::types::ConnId;
use crate::upstream::{Link, LinkOptions};
use std::sync::Arc;

/// Whom a link serves.
#[derive(Clone, Copy, Debug)]
pub enum Serves {
    /// All clients of the core.
    Clients,
    /// The router, which reads hot keys by it: the server says on it what has changed of them.
    HotKeys,
    /// One client, while it holds something of the server.
    Own(OwnRow),
}

/// A link, whether it is connected or not.
pub struct Row {
    pub server: u32,
    pub serves: Serves,
    pub attempt: u32,
    pub conn: Option<ConnId>,
    /// Taken out while its replies are handed on.
    pub link: Option<Box<Link<Asked>>>,
    pub options: Arc<LinkOptions>,
    /// The shell was told that there is something to send, and has not fetched it yet.
    pub announced: bool,
    /// Something was answered since it was connected.
    pub proven: bool,
    /// Requests that it was ever asked.
    pub asked: u64,
    /// Clients that wait until it has room.
    pub waiting: Vec<ConnId>,
}

impl Row {
    pub fn new(server: u32, options: Arc<LinkOptions>, serves: Serves) -> Row {
        Row {
            server,
            serves,
            attempt: 0,
            conn: None,
            link: Some(Box::default()),
            options,
            announced: false,
            proven: false,
            asked: 0,
            waiting: Vec::new(),
        }
    }

    /// What is known of it if it serves one client.
    #[inline]
    pub fn own(&self) -> Option<&OwnRow> {
        if let Serves::Own(own) = &self.serves { Some(own) } else { None }
    }

    pub fn own_mut(&mut self) -> Option<&mut OwnRow> {
        if let Serves::Own(own) = &mut self.serves { Some(own) } else { None }
    }

    /// Whether the server says on it what has changed.
    pub fn tracks(&self) -> bool {
        matches!(self.serves, Serves::HotKeys)
    }

    /// Whether so many requests more may be too many.
    pub fn is_tight(&self, requests: usize) -> bool {
        self.link.as_ref().is_some_and(|link| link.is_tight(requests, &self.options))
    }

    #[inline]
    pub fn is_down(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.is_down())
    }
}

/// Why a link is lost.
#[derive(Clone, Debug)]
pub enum Loss {
    /// The connection ended.
    Ended,
    /// It could not be made.
    Dial(String),
    /// It was given up here: a timeout, or bytes that are no reply.
    GivenUp(String),
    /// Nobody used it.
    Idle,
}

/// By which of a server's links: in which version, and which of several.
#[derive(Clone, Copy, Debug)]
pub struct LinkWay {
    pub proto: Proto,
    /// The same for all that one client asks, so that its requests stay in order.
    pub turn: u32,
    /// The one on which the server says what has changed.
    pub tracks: bool,
}

impl LinkWay {
    pub const fn of(proto: Proto, turn: u32) -> LinkWay {
        LinkWay { proto, turn, tracks: false }
    }

    /// For folds of hot keys: where the server says what has changed, if it does; else in this version.
    pub fn hot(tracks: bool, proto: Proto) -> LinkWay {
        LinkWay { proto: if tracks { Proto::Resp3 } else { proto }, turn: 0, tracks }
    }

    /// Among so many links.
    #[inline]
    pub fn number(self, links: usize) -> usize {
        let of_version = links / 2;
        match self.tracks {
            false => self.proto as usize * of_version + self.turn as usize % of_version,
            true => links - 1,
        }
    }
}
