//! This core's view of the servers: pools, servers, and the table of links.

use super::options::{PoolKind, PoolOptions, Upstreams};
use crate::engine::event::{Dial, Effects};
use crate::engine::letter::Ticket;
use crate::protocol::resp::{Output, Proto};
use crate::types::{ConnId, LinkId};
use crate::upstream::{Health, Link, LinkOptions};
use std::sync::Arc;

/// Whose reply a link owes.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub ticket: Ticket,
    /// It changes nothing, so it may be asked twice.
    pub reads: bool,
    /// How often it was asked again.
    pub tries: u8,
}

/// What a server has done for this core.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub requests: u64,
    /// Replies that were errors.
    pub errors: u64,
    /// Requests that the router answered an error, since the server did not.
    pub unanswered: u64,
    /// Times that it named another server.
    pub redirects: u64,
    pub dials: u64,
}

pub struct Server {
    pub name: Arc<str>,
    pub address: Arc<str>,
    pub pool: usize,
    pub health: Health,
    pub figures: Figures,
    /// The rows of its links, by version of the protocol.
    links: [Option<u32>; 2],
}

pub struct Pool {
    pub name: Arc<str>,
    pub kind: PoolKind,
    /// Its servers, as rows of the router's table.
    pub servers: Vec<u32>,
    /// By version of the protocol.
    links: [Arc<LinkOptions>; 2],
}

/// A link, whether it is connected or not.
pub struct Row {
    pub server: u32,
    pub attempt: u32,
    pub conn: Option<ConnId>,
    /// Taken out while its replies are handed on.
    pub link: Option<Box<Link<Asked>>>,
    pub options: Arc<LinkOptions>,
    /// The shell was told that there is something to send, and has not fetched it yet.
    pub announced: bool,
    /// Something was answered since it was connected.
    pub proven: bool,
    /// Clients that wait until it has room.
    pub waiting: Vec<ConnId>,
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

pub struct Router {
    pub pools: Vec<Pool>,
    pub servers: Vec<Server>,
    pub rows: Vec<Row>,
    pub default_pool: usize,
    /// By a connection's index: its generation, and the row of its link.
    by_conn: Vec<Option<(u32, u32)>>,
    /// Links that are lost, and what they owe is not dealt with yet.
    pub fallen: Vec<(u32, Loss)>,
    /// When links are looked at next, while there are timers.
    pub next_look_us: Option<u64>,
    /// Clients that got replies since the last look.
    pub touched: Vec<ConnId>,
}

/// Between looks at the links while something is awaited, and while nothing is.
pub const LOOK_US: u64 = 10_000;

impl Router {
    pub fn new(upstreams: &Upstreams, seed: u64) -> Router {
        let mut router = Router {
            pools: Vec::new(),
            servers: Vec::new(),
            rows: Vec::new(),
            default_pool: upstreams.default_pool,
            by_conn: Vec::new(),
            fallen: Vec::new(),
            next_look_us: None,
            touched: Vec::new(),
        };
        for options in &upstreams.pools {
            router.add_pool(options, seed);
        }
        assert!(router.default_pool < router.pools.len(), "the default pool exists");
        router
    }

    fn add_pool(&mut self, options: &PoolOptions, seed: u64) {
        let pool = self.pools.len();
        let first = self.servers.len() as u32;
        for (server, number) in options.servers.iter().zip(0u64..) {
            self.servers.push(Server {
                name: Arc::clone(&server.name),
                address: Arc::clone(&server.address),
                pool,
                health: Health::new(options.health, seed ^ (number << 32 | pool as u64)),
                figures: Figures::default(),
                links: [None; 2],
            });
        }
        self.pools.push(Pool {
            name: Arc::clone(&options.name),
            kind: options.kind,
            servers: (first..self.servers.len() as u32).collect(),
            links: [Arc::new(options.link(Proto::Resp2)), Arc::new(options.link(Proto::Resp3))],
        });
    }

    /// The row of a server's link, which is connected, or is being connected from now on. None: the server rests. What a
    /// lost one is asked before that is dealt with waits for it.
    #[inline]
    pub fn link_to(&mut self, now_us: u64, server: u32, proto: Proto, effects: &mut Effects) -> Option<u32> {
        let row = match self.servers[server as usize].links[proto as usize] {
            Some(row) => row,
            None => self.add_row(server, proto),
        };
        let is_up = self.rows[row as usize].link.as_ref().is_some_and(|link| !link.is_down());
        if !is_up {
            if !self.servers[server as usize].health.may_try(now_us) {
                return None;
            }
            self.dial(now_us, row, effects);
        }
        Some(row)
    }

    fn add_row(&mut self, server: u32, proto: Proto) -> u32 {
        let row = self.rows.len() as u32;
        let of = &mut self.servers[server as usize];
        of.links[proto as usize] = Some(row);
        let options = Arc::clone(&self.pools[of.pool].links[proto as usize]);
        self.rows.push(Row {
            server,
            attempt: 0,
            conn: None,
            link: Some(Box::default()),
            options,
            announced: false,
            proven: false,
            waiting: Vec::new(),
        });
        row
    }

    /// Begins to connect.
    pub fn dial(&mut self, now_us: u64, row: u32, effects: &mut Effects) {
        let link_row = &mut self.rows[row as usize];
        let server = &mut self.servers[link_row.server as usize];
        link_row.attempt = link_row.attempt.wrapping_add(1);
        link_row.proven = false;
        server.figures.dials += 1;
        let link = link_row.link.as_mut().expect("nobody dials in the middle of its replies");
        link.dials(now_us, &link_row.options);
        let id = LinkId { index: row, attempt: link_row.attempt };
        effects.dial.push(Dial { link: id, address: Arc::clone(&server.address) });
        self.next_look_us.get_or_insert(now_us + LOOK_US);
    }

    /// Whether what a row owes is still to be dealt with.
    fn is_fallen(&self, row: u32) -> bool {
        self.fallen.iter().any(|(fallen, _)| *fallen == row)
    }

    /// Asks by a link. True: it has no room for more.
    #[inline]
    pub fn ask(
        &mut self,
        now_us: u64,
        row: u32,
        asked: Asked,
        encode: impl FnOnce(&mut Output),
        effects: &mut Effects,
    ) -> bool {
        let row = &mut self.rows[row as usize];
        let link = row.link.as_mut().expect("nobody asks in the middle of its replies");
        let first = link.ask(now_us, asked, encode);
        let full = link.is_full(&row.options);
        if first
            && !row.announced
            && let Some(conn) = row.conn
        {
            row.announced = true;
            effects.ready.push(conn);
        }
        self.servers[row.server as usize].figures.requests += 1;
        if self.next_look_us.is_none() {
            self.next_look_us = Some(now_us + LOOK_US);
        }
        full
    }

    /// The row whose connection that is.
    #[inline]
    pub fn row_of(&self, conn: ConnId) -> Option<u32> {
        let (generation, row) = (*self.by_conn.get(conn.index as usize)?)?;
        (generation == conn.generation).then_some(row)
    }

    /// The row of a dial, while it is the latest of that row and not given up.
    pub fn row_of_dial(&self, link: LinkId) -> Option<u32> {
        let row = &self.rows[link.index as usize];
        let dialled = row.link.as_ref().is_some_and(|link| link.is_dialled());
        (row.attempt == link.attempt && dialled && !self.is_fallen(link.index)).then_some(link.index)
    }

    pub fn attach(&mut self, row: u32, conn: ConnId) {
        let index = conn.index as usize;
        if self.by_conn.len() <= index {
            self.by_conn.resize(index + 1, None);
        }
        self.by_conn[index] = Some((conn.generation, row));
        self.rows[row as usize].conn = Some(conn);
    }

    /// The row's connection is no longer its own.
    pub fn detach(&mut self, row: u32) -> Option<ConnId> {
        let row = &mut self.rows[row as usize];
        row.announced = false;
        let conn = row.conn.take()?;
        self.by_conn[conn.index as usize] = None;
        Some(conn)
    }

    /// Tells the shell that a link has something to send.
    pub fn announce(&mut self, row: u32, effects: &mut Effects) {
        let row = &mut self.rows[row as usize];
        let wants = row.link.as_ref().is_some_and(|link| link.wants_send());
        if let (true, false, Some(conn)) = (wants, row.announced, row.conn) {
            row.announced = true;
            effects.ready.push(conn);
        }
    }
}
