//! A pool that is a cluster: which of its servers has a slot, what its redirects mean, and asking it for its map.

use super::fault::Fault;
use super::options::ReadPolicy;
use super::places::Spot;
use super::router::{Asked, Router, Whose};
use super::row::LinkWay;
use crate::engine::Engine;
use crate::engine::event::Effects;
use crate::engine::letter::Ticket;
use crate::protocol::resp::{Output, Proto};
use crate::types::{Now, Slot};
use crate::upstream::topology::{Change, Cluster, Health, Hops, NodeId, Redirect, RefreshPolicy, Step, ToAsk};
use std::cell::Cell;

/// Of so many reads one goes to a server that is not the nearest, so that its distance is known.
const PROBE_READS: usize = 64;

/// Where replicas are read from, the map says whether they have their data, and is asked for this often.
const READ_EVERY_US: u64 = 2_000_000;

/// What this core knows of a cluster.
pub struct ClusterPool {
    pub map: Cluster,
    read: ReadPolicy,
    /// By number of a node, its row in the table of servers.
    rows: Vec<Option<u32>>,
    /// Whose turn it is to read.
    turn: Cell<usize>,
}

/// What becomes of a request that was answered an error.
pub enum Next {
    /// The client gets the reply.
    Reply,
    Error(String),
    Ask {
        server: u32,
        asking: bool,
    },
    Later {
        due_us: u64,
    },
}

impl ClusterPool {
    pub fn new(seeds: usize, read: ReadPolicy, tls: bool, seed: u64) -> ClusterPool {
        let turn = (seed % 1024) as usize;
        let policy = RefreshPolicy::default();
        let every_us = if read == ReadPolicy::Primary { policy.every_us } else { READ_EVERY_US };
        let map = Cluster::new(seeds, turn, RefreshPolicy { every_us, ..policy });
        let map = if tls { map.under_tls() } else { map };
        ClusterPool { map, read, rows: Vec::new(), turn: Cell::new(turn) }
    }

    fn row_of(&self, node: NodeId) -> Option<u32> {
        *self.rows.get(usize::from(node.0))?
    }

    /// Whether it is known of each slot who has it: no request is asked of anybody as a guess.
    pub fn knows_all(&self) -> bool {
        let topology = self.map.topology();
        topology.is_settled() && topology.nodes().all(|(node, _)| self.row_of(node).is_some())
    }
}

impl Router {
    /// The server of a slot. While nobody is known to have it, one that may know more.
    #[inline]
    pub fn spot_of_slot(&self, pool: usize, slot: Slot, reads: bool) -> Spot {
        let cluster = self.pools[pool].cluster.as_deref().expect("only a cluster has slots");
        let node = match cluster.read {
            ReadPolicy::Replica | ReadPolicy::Nearest if reads => self.reader(cluster, slot),
            _ => cluster.map.owner(slot),
        };
        let known = node.and_then(|node| cluster.row_of(node));
        Spot { server: known.unwrap_or_else(|| self.any_server(pool)), slot, is_guess: known.is_none() }
    }

    /// Who is asked to read a slot.
    fn reader(&self, cluster: &ClusterPool, slot: Slot) -> Option<NodeId> {
        let turn = cluster.turn.get().wrapping_add(1);
        cluster.turn.set(turn);
        let topology = cluster.map.topology();
        if cluster.read == ReadPolicy::Replica || turn.is_multiple_of(PROBE_READS) {
            return topology.reader(slot, turn);
        }
        let primary = topology.owner(slot)?;
        let distance =
            |node: &NodeId| cluster.row_of(*node).map_or(u64::MAX, |row| self.servers[row as usize].answers_us);
        topology.replicas(primary).chain([primary]).min_by_key(distance)
    }

    /// A server of a pool that may be asked what any of them knows.
    pub fn any_server(&self, pool: usize) -> u32 {
        let seeds = &self.pools[pool].servers;
        let rows = self.pools[pool].cluster.iter().flat_map(|cluster| &cluster.rows).flatten();
        let up = |server: &&u32| !self.servers[**server as usize].health.is_ejected();
        *rows.chain(seeds).find(up).unwrap_or(&seeds[0])
    }

    /// The servers that have keys.
    pub fn servers_with_keys(&self, pool: usize) -> Vec<u32> {
        let Some(cluster) = self.pools[pool].cluster.as_deref() else { return self.pools[pool].servers.clone() };
        cluster.map.topology().primaries().filter_map(|node| cluster.row_of(node)).collect()
    }

    /// The row of a node, which is made if there is none.
    fn server_of_node(&mut self, pool: usize, node: NodeId) -> u32 {
        let cluster = self.pools[pool].cluster.as_deref_mut().expect("only a cluster has nodes");
        if let Some(row) = cluster.row_of(node) {
            return row;
        }
        let of = cluster.map.topology().node(node).expect("it was named just now");
        let address = match of.host.contains(':') {
            true => format!("[{}]:{}", of.host, of.port),
            false => format!("{}:{}", of.host, of.port),
        };
        let number = usize::from(node.0);
        if cluster.rows.len() <= number {
            cluster.rows.resize(number + 1, None);
        }
        let row = self.server_at(pool, &address);
        self.servers[row as usize].node = Some(node);
        self.pools[pool].cluster.as_deref_mut().expect("it was there").rows[number] = Some(row);
        row
    }

    /// The row of an address: the one that it has, one that nobody needs any more, or a new one.
    fn server_at(&mut self, pool: usize, address: &str) -> u32 {
        let is_it = |server: &super::router::Server| server.pool == pool && *server.address == *address;
        if let Some(row) = self.servers.iter().position(is_it) {
            return row as u32;
        }
        let unused = |row: &u32| {
            let server = &self.servers[*row as usize];
            let links = || self.rows.iter().filter(|link| link.server == *row);
            let idle = links().all(|link| link.link.as_ref().is_some_and(|link| link.is_down()));
            server.pool == pool && server.node.is_none() && idle && !self.pools[pool].servers.contains(row)
        };
        match (0..self.servers.len() as u32).find(unused) {
            Some(row) => {
                self.rename(row, address);
                row
            }
            None => self.add_server(pool, address.into(), address.into()),
        }
    }

    /// What a change of the map means for the rows.
    fn adopt(&mut self, pool: usize, change: &Change) {
        for gone in &change.gone {
            let cluster = self.pools[pool].cluster.as_deref_mut().expect("only a cluster has nodes");
            if let Some(row) = cluster.rows.get_mut(usize::from(gone.0)).and_then(Option::take) {
                self.servers[row as usize].node = None;
            }
        }
        for came in &change.came {
            self.server_of_node(pool, *came);
        }
    }

    /// What an error of a cluster's server means for the request that it answers, and whether the map has changed.
    pub fn follow(&mut self, now_us: u64, server: u32, asked: &mut Asked, redirect: &Redirect) -> (Next, bool) {
        let of = &mut self.servers[server as usize];
        of.figures.redirects += 1;
        let (pool, node) = (of.pool, of.node.unwrap_or(NodeId(u16::MAX)));
        let name = std::sync::Arc::clone(&self.pools[pool].name);
        let cluster = self.pools[pool].cluster.as_deref_mut().expect("only a cluster redirects");
        let owner = cluster.map.owner(asked.slot);
        let next = match cluster.map.follow(redirect, node, &mut asked.hops) {
            Step::Answer => Next::Reply,
            Step::Lost => Next::Error(redirect.lost(&name)),
            Step::Later { after_us } => Next::Later { due_us: now_us + after_us },
            Step::To { node, asking } => Next::Ask { server: self.server_of_node(pool, node), asking },
        };
        let cluster = self.pools[pool].cluster.as_deref().expect("it was there");
        (next, cluster.map.owner(asked.slot) != owner)
    }

    /// When a map is to be asked for, or a request once more.
    pub fn cluster_due_us(&self) -> Option<u64> {
        let maps = self.pools.iter().filter_map(|pool| pool.cluster.as_deref()).map(|cluster| cluster.map.due_us());
        maps.chain(self.later.iter().map(|(due_us, ..)| *due_us)).min()
    }

    /// Connects to servers that could not be reached, if they have rested: nobody else is about to find out that they can
    /// be, since reads go to others and the map is asked of others.
    fn look_for_lost(&mut self, now_us: u64, pool: usize, effects: &mut Effects) {
        let cluster = self.pools[pool].cluster.as_deref().expect("only a cluster has a map");
        let lost =
            cluster.map.topology().nodes().filter(|(_, node)| !node.is_reachable && node.health == Health::Online);
        let lost: Vec<u32> = lost.filter_map(|(node, _)| cluster.row_of(node)).collect();
        for server in lost {
            let _ = self.link_to(now_us, server, LinkWay::of(Proto::Resp2, 0), effects);
        }
    }

    /// A server of a cluster was reached, or was not.
    pub fn reached(&mut self, server: u32, is_reachable: bool) {
        let of = &self.servers[server as usize];
        if let (Some(node), Some(cluster)) = (of.node, self.pools[of.pool].cluster.as_deref_mut()) {
            cluster.map.reached(node, is_reachable);
        }
    }

    /// A server that was asked for the map does not answer.
    pub fn map_unanswered(&mut self, server: u32) {
        let pool = self.servers[server as usize].pool;
        if let Some(cluster) = self.pools[pool].cluster.as_deref_mut() {
            cluster.map.unanswered();
        }
    }
}

impl Engine {
    /// Asks clusters for their maps where it is time.
    pub(super) fn ask_for_maps(&mut self, now: Now, effects: &mut Effects) {
        let router = self.router.as_deref_mut().expect("there is a router");
        for pool in 0..router.pools.len() {
            let Some(cluster) = router.pools[pool].cluster.as_deref_mut() else { continue };
            let Some((to_ask, question)) = cluster.map.tick(now.mono_us) else { continue };
            let server = match to_ask {
                ToAsk::Seed(seed) => router.pools[pool].servers[seed],
                ToAsk::Node(node) => router.server_of_node(pool, node),
            };
            let way = LinkWay::of(Proto::Resp2, 0);
            let Some(row) = router.link_to(now.mono_us, server, way, effects) else {
                router.map_unanswered(server);
                continue;
            };
            let asked = Asked { whose: Whose::Map, reads: true, again: true, ..Asked::default() };
            router.ask(now.mono_us, row, asked, |out| out.bytes.extend_from_slice(question.request()), effects);
        }
    }

    /// A server has told its cluster's map.
    pub(super) fn take_map(&mut self, now: Now, server: u32, reply: &[u8], effects: &mut Effects) {
        let router = self.router.as_deref_mut().expect("there is a router");
        let of = &router.servers[server as usize];
        let (pool, host) = (of.pool, of.address.rsplit_once(':').map_or("", |(host, _)| host).trim_matches(['[', ']']));
        let cluster = router.pools[pool].cluster.as_deref_mut().expect("only a cluster is asked for a map");
        match cluster.map.answered(reply, host) {
            Ok(change) => {
                router.adopt(pool, &change);
                router.look_for_lost(now.mono_us, pool, effects);
                if change.slots_moved > 0 || !(change.came.is_empty() && change.gone.is_empty()) {
                    self.keys_have_moved();
                }
            }
            Err(error) => {
                log::warn!("upstream {}: {}: {error}", router.pools[pool].name, router.servers[server as usize].name)
            }
        }
    }

    /// Keys have other servers than before. What a client has asked the old ones comes before what it asks the new ones,
    /// so who awaits replies goes on when it has them.
    pub(super) fn keys_have_moved(&mut self) {
        self.forget_all_copies();
        if self.router.as_deref().is_some_and(|router| router.commits(Fault::OvertakeMoves)) {
            return;
        }
        for (_, client) in self.sessions.iter_mut().filter(|(_, client)| client.is_routed && !client.queue.is_empty()) {
            client.stalled = true;
            client.settles = true;
        }
    }

    /// Asks once more what was to be asked later.
    pub(super) fn ask_again_later(&mut self, now: Now, effects: &mut Effects) {
        let router = self.router.as_deref_mut().expect("there is a router");
        if router.later.is_empty() {
            return;
        }
        let due: Vec<_> = router.later.extract_if(.., |(due_us, ..)| *due_us <= now.mono_us).collect();
        for (_, asked, request) in due {
            let router = self.router.as_deref().expect("there is a router");
            let pool = asked.pool as usize;
            let server = router.spot_of_slot(pool, asked.slot, asked.reads).server;
            self.ask_again(now, server, asked, false, &request, effects);
        }
        self.go_round(now, effects);
        self.settle_touched(now, effects);
    }

    /// Asks a server what another one, or its lost link, did not answer.
    pub(super) fn ask_again(
        &mut self,
        now: Now,
        server: u32,
        mut asked: Asked,
        asking: bool,
        request: &Output,
        effects: &mut Effects,
    ) {
        self.widen_bar(&mut asked);
        let router = self.router.as_deref_mut().expect("there is a router");
        let way = asked.way();
        let Some(row) = router.link_to(now.mono_us, server, way, effects) else {
            let text = router.unreachable(server);
            return self.answer_error(&asked, &text);
        };
        if asking && !router.commits(Fault::ForgetAsking) {
            let before = Asked { whose: Whose::Asking, bar: 0, hops: Hops::default(), ..asked };
            let encode = |out: &mut Output| out.bytes.extend_from_slice(b"*1\r\n$6\r\nASKING\r\n");
            router.ask(now.mono_us, row, before, encode, effects);
        }
        let full = router.ask(now.mono_us, row, asked, |out| out.append(request, 0..request.bytes.len()), effects);
        if let (true, Whose::Client(ticket)) = (full, asked.whose)
            && let Some(client) = self.sessions.get_mut(ticket.conn())
        {
            router.await_room(row, ticket.conn(), client);
        }
    }
}

impl Asked {
    /// Which of several links: that of the client's other requests.
    pub fn way(&self) -> LinkWay {
        let turn = match self.whose {
            Whose::Client(ticket) | Whose::Own(ticket, _) => ticket.conn().index,
            Whose::Asking | Whose::Map | Whose::Fold(..) => 0,
        };
        LinkWay { proto: self.proto, turn, tracks: self.tracks }
    }
}

impl Default for Asked {
    fn default() -> Asked {
        let ticket = Ticket::new(crate::types::ConnId { index: 0, generation: 0 }, 0, 0);
        Asked {
            whose: Whose::Client(ticket),
            reads: false,
            again: false,
            pool: 0,
            slot: Slot(0),
            hops: Hops::default(),
            proto: Proto::Resp2,
            tracks: false,
            bar: 0,
        }
    }
}
