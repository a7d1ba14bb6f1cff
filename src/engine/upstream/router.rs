//! This core's view of the servers: pools, servers, and the table of links.

use super::all::Reach;
use super::cluster::ClusterPool;
use super::detours::Detours;
use super::fault::Fault;
use super::hot::{Hot, Leg};
use super::options::{PoolKind, PoolOptions, Upstreams};
use super::own::{Kind, Own};
use super::row::{LinkWay, Loss, Row, Serves};
use crate::engine::durations::Histogram;
use crate::engine::event::{Dial, Effects};
use crate::engine::group::SOURCE_REQUESTS_MAX;
use crate::engine::letter::Ticket;
use crate::engine::sessions::Client;
use crate::protocol::resp::{Output, Proto};
use crate::routing::{Pool as Placement, Routes};
use crate::types::{ConnId, LinkId, Slot};
use crate::upstream::topology::{Hops, NodeId};
use crate::upstream::{Health, LinkOptions};
use std::cell::Cell;
use std::sync::Arc;

/// Who has asked.
#[derive(Clone, Copy, Debug)]
pub enum Whose {
    Client(Ticket),
    /// A client, or the router in its name, on a connection of its own.
    Own(Ticket, Kind),
    /// The router, for the request that stands behind it, or to see whether a server is back.
    Asking,
    /// Those who wait in a fold of a hot key: which flight it is, and which part of it.
    Fold(u32, Leg),
    /// The router, which wants to know which slots are where.
    Map,
}

impl Whose {
    /// Whether clients wait for it.
    #[inline]
    pub fn is_a_clients(self) -> bool {
        matches!(self, Whose::Client(_) | Whose::Fold(..))
    }
}

/// Whose reply a link owes, and what may be done to get it.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub whose: Whose,
    /// It changes nothing, so it may be asked twice.
    pub reads: bool,
    /// It was asked again, since its link was lost.
    pub again: bool,
    pub pool: u16,
    /// In a cluster, where its keys are, and how far it was sent around.
    pub slot: Slot,
    pub hops: Hops,
    pub proto: Proto,
    /// By the link on which the server says what has changed.
    pub tracks: bool,
    /// The write on hot keys that it is a part of; 0: none.
    pub bar: u32,
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
    /// Reads of hot keys that copies have answered, up to when each copy was last made; those that waited for a reply together
    /// with others, and writes that did; those that were answered an old value.
    pub hot_hits: u64,
    pub coalesced: u64,
    pub folded: u64,
    pub stale: u64,
}

pub struct Server {
    pub name: Arc<str>,
    pub address: Arc<str>,
    pub pool: usize,
    pub health: Health,
    pub figures: Figures,
    /// Its number in its cluster, while that knows it.
    pub node: Option<NodeId>,
    /// For how long it takes to answer, a moving average.
    pub answers_us: u64,
    /// Every time that it took.
    pub times: Box<Histogram>,
    /// Of a cluster: it was left alone when that was last looked at.
    pub rests: bool,
    /// It may be asked to say what has changed.
    pub tracks: bool,
    /// The rows of its links: those in the first version of the protocol, those in the other, and the one on which it says
    /// what has changed.
    links: Vec<Option<u32>>,
}

impl Server {
    pub fn forget_figures(&mut self) {
        self.figures = Figures::default();
        *self.times = Histogram::default();
    }
}

pub struct Pool {
    pub name: Arc<str>,
    pub kind: PoolKind,
    /// Its servers, as rows of the router's table; of a cluster the seeds.
    pub servers: Vec<u32>,
    /// Where keys lie, if it is a pool of independent servers.
    pub placement: Option<Placement>,
    pub cluster: Option<Box<ClusterPool>>,
    /// For how long copies of hot keys live if their server does not say what has changed; 0: there are none then.
    pub hot_copy_ms: u64,
    /// For how long the last value of a hot key is answered while its server cannot be reached.
    pub hot_stale_ms: u64,
    /// A failing server's keys are placed on others.
    pub auto_eject: bool,
    health: crate::upstream::HealthPolicy,
    links_per_core: u32,
    /// By version of the protocol; then those on which servers say what has changed.
    links: [Arc<LinkOptions>; 3],
    /// The same of connections of one client each, how many there may be, and are.
    pub own_links: [Arc<LinkOptions>; 2],
    pub own_max: usize,
    pub own: usize,
}

impl Pool {
    /// Whether its links take no group of requests, however few are under way.
    fn is_narrow(&self) -> bool {
        self.links[0].in_flight_max < SOURCE_REQUESTS_MAX
    }
}

pub struct Router {
    pub pools: Vec<Pool>,
    pub servers: Vec<Server>,
    pub rows: Vec<Row>,
    pub routes: Routes<Option<usize>>,
    pub reach: Reach,
    /// Servers whose keys are placed on others for now.
    pub left_out: Vec<u32>,
    /// Some link had little room when it was last asked by.
    tight: Cell<bool>,
    /// Goes on with each choice that does not matter.
    pub turn: Cell<usize>,
    /// One server has all keys: no request needs a look at them.
    pub is_one: bool,
    seed: u64,
    /// By a connection's index: its generation, and the row of its link.
    by_conn: Vec<Option<(u32, u32)>>,
    /// Links that are lost, and what they owe is not dealt with yet.
    pub fallen: Vec<(u32, Loss)>,
    /// When links are looked at next, while there are timers.
    pub next_look_us: Option<u64>,
    /// Clients that got replies since the last look.
    pub touched: Vec<ConnId>,
    /// Requests that are asked once more, and when; in no order.
    pub later: Vec<(u64, Asked, Output)>,
    pub detours: Detours,
    pub hot: Hot,
    /// Clients with connections of their own.
    pub own: Own,
    #[cfg(feature = "faults")]
    pub fault: Option<super::fault::Fault>,
    #[cfg(feature = "faults")]
    pub last_reply: Option<Vec<u8>>,
}

/// Between looks at the links while something is awaited, and while nothing is.
pub const LOOK_US: u64 = 10_000;

impl Router {
    pub fn new(upstreams: &Upstreams, seed: u64) -> Router {
        let mut router = Router {
            pools: Vec::new(),
            servers: Vec::new(),
            rows: Vec::new(),
            routes: upstreams.routes.clone(),
            reach: Reach::of(&upstreams.routes),
            left_out: Vec::new(),
            tight: Cell::new(false),
            turn: Cell::new((seed % 1024) as usize),
            is_one: false,
            seed,
            by_conn: Vec::new(),
            fallen: Vec::new(),
            next_look_us: None,
            touched: Vec::new(),
            later: Vec::new(),
            detours: Detours::default(),
            hot: Hot::default(),
            own: Own::default(),
            #[cfg(feature = "faults")]
            fault: None,
            #[cfg(feature = "faults")]
            last_reply: None,
        };
        upstreams.pools.iter().for_each(|pool| router.add_pool(pool));
        assert!(!router.pools.is_empty(), "a router has somebody to pass requests on to");
        let first_has_all = router.routes.is_empty() && router.routes.find(b"") == Some(0);
        router.is_one = first_has_all && router.pools[0].kind == PoolKind::Single;
        router
    }

    fn add_pool(&mut self, options: &PoolOptions) {
        let pool = self.pools.len();
        let placed: Vec<_> = options.servers.iter().map(|server| server.placed.clone()).collect();
        let placement = match options.kind {
            PoolKind::Servers(layout) => {
                Some(Placement::new(&placed, layout, self.seed).expect("the configuration was checked"))
            }
            PoolKind::Single | PoolKind::Cluster(_) => None,
        };
        let cluster = match options.kind {
            PoolKind::Cluster(read) => {
                let (seeds, tls) = (options.servers.len(), options.tls);
                Some(Box::new(ClusterPool::new(seeds, read, tls, self.seed)))
            }
            PoolKind::Single | PoolKind::Servers(_) => None,
        };
        self.pools.push(Pool {
            name: Arc::clone(&options.name),
            kind: options.kind,
            servers: Vec::new(),
            placement,
            cluster,
            hot_copy_ms: options.hot_copy_ms,
            hot_stale_ms: options.hot_stale_ms,
            auto_eject: options.auto_eject,
            health: options.health,
            links_per_core: options.links_per_core,
            links: [options.link(Proto::Resp2), options.link(Proto::Resp3), options.tracking_link()].map(Arc::new),
            own_links: [Arc::new(options.own_link(Proto::Resp2)), Arc::new(options.own_link(Proto::Resp3))],
            own_max: options.own_connections_max,
            own: 0,
        });
        for server in &options.servers {
            let row = self.add_server(pool, Arc::clone(&server.name), Arc::clone(&server.address));
            self.pools[pool].servers.push(row);
        }
    }

    /// A server of a pool, by a row that nobody has any more or by a new one.
    pub fn add_server(&mut self, pool: usize, name: Arc<str>, address: Arc<str>) -> u32 {
        let of = &self.pools[pool];
        let links = vec![None; 2 * of.links_per_core as usize + 1];
        let row = self.servers.len() as u32;
        let (health, node, figures) = (Health::new(of.health, self.seed ^ u64::from(row)), None, Figures::default());
        let times = Box::default();
        let (answers_us, rests, tracks) = (0, false, true);
        let of = Server { name, address, pool, health, figures, node, answers_us, times, rests, tracks, links };
        self.servers.push(of);
        row
    }

    /// Gives a server's row that nobody needs any more to another one.
    pub fn rename(&mut self, row: u32, address: &str) {
        let server = &mut self.servers[row as usize];
        (server.name, server.address) = (address.into(), address.into());
        (server.answers_us, server.tracks) = (0, true);
        server.forget_figures();
        server.health.succeeded();
    }

    /// The row of a server's link, which is connected, or is being connected from now on. None: the server rests. What a
    /// lost one is asked before that is dealt with waits for it.
    #[inline]
    pub fn link_to(&mut self, now_us: u64, server: u32, way: LinkWay, effects: &mut Effects) -> Option<u32> {
        let row = self.row_to(server, way);
        if self.rows[row as usize].is_down() {
            if !self.servers[server as usize].health.may_try(now_us) {
                return None;
            }
            self.dial(now_us, row, effects);
        }
        Some(row)
    }

    /// Connects to a server that may rest.
    pub fn dial_anyway(&mut self, now_us: u64, server: u32, way: LinkWay, effects: &mut Effects) {
        let row = self.row_to(server, way);
        if self.rows[row as usize].is_down() {
            self.dial(now_us, row, effects);
        }
    }

    /// The row of a server's link, if there is one.
    pub fn link_of(&self, server: u32, way: LinkWay) -> Option<u32> {
        let links = &self.servers[server as usize].links;
        links[way.number(links.len())]
    }

    #[inline]
    pub fn row_to(&mut self, server: u32, way: LinkWay) -> u32 {
        let links = &self.servers[server as usize].links;
        let number = way.number(links.len());
        links[number].unwrap_or_else(|| self.add_row(server, way, number))
    }

    fn add_row(&mut self, server: u32, way: LinkWay, number: usize) -> u32 {
        let row = self.rows.len() as u32;
        let of = &mut self.servers[server as usize];
        of.links[number] = Some(row);
        let options = Arc::clone(&self.pools[of.pool].links[if way.tracks { 2 } else { way.proto as usize }]);
        self.rows.push(Row::new(server, options, if way.tracks { Serves::HotKeys } else { Serves::Clients }));
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
        let (address, name) = (Arc::clone(&server.address), Arc::clone(&server.name));
        effects.dial.push(Dial { link: id, address, name, pool: server.pool as u16 });
        self.next_look_us.get_or_insert(now_us + LOOK_US);
    }

    /// Whether what a row owes is still to be dealt with.
    pub fn is_fallen(&self, row: u32) -> bool {
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
        let bounded = !self.commits(Fault::NoBound);
        let row = &mut self.rows[row as usize];
        let link = row.link.as_mut().expect("nobody asks in the middle of its replies");
        let first = link.ask(now_us, asked, encode);
        row.asked += 1;
        let tight = link.is_tight(SOURCE_REQUESTS_MAX, &row.options);
        self.tight.set(self.tight.get() | tight);
        let full = tight && link.is_full(&row.options) && bounded;
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

    /// A client asks no more before a link has room.
    pub fn await_room(&mut self, row: u32, conn: ConnId, client: &mut Client) {
        self.rows[row as usize].waiting.push(conn);
        client.stalled = true;
        client.congested += 1;
    }

    /// Whether requests of one group may not all be sent at once: a link may be full before the last of them, or nobody knows
    /// yet where they go. Of what is held, bytes may be more than a link has room for by then.
    pub fn is_wary(&self) -> bool {
        self.tight.set(self.tight.get() && self.rows.iter().any(|row| row.is_tight(SOURCE_REQUESTS_MAX)));
        let may_guess = |pool: &Pool| pool.cluster.as_ref().is_some_and(|cluster| !cluster.knows_all());
        self.tight.get() || self.pools.iter().any(|pool| may_guess(pool) || pool.is_narrow())
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
