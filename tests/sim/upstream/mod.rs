//! Owns: servers of an existing engine that the cores are put in front of: a small exact model of Redis, alone, in a pool or as
//! a cluster, and what befalls it.
//! Knows: the protocol, slots, redirects, failovers; the world's connections, clock and seed.
//! Must never know: what the router does with any of it.
//! Read first: this file (what a run is in front of), `fleet.rs` (who has which keys), `server.rs` (what a request is answered),
//! `tracking.rs` (who is told of changes), `wire.rs` (connections), `trouble.rs` (what befalls them), `rest.rs` (coming to rest).

mod fleet;
mod map;
mod rest;
mod server;
mod tracking;
mod trouble;
mod wire;

use crate::history::{Fate, Order};
use crate::request::Request;
use crate::resp::Reply;
use crate::rng::Rng;
use crate::swarm::Hazard;
use coldplate::engine::{PoolKind, PoolOptions, ReadPolicy, ServerOptions, Upstreams};
use coldplate::routing::{Distribution, Hash, Layout, Routes, Server};
use coldplate::upstream::HealthPolicy;
pub use fleet::{Counts, Fleet};

/// What clients say to be let in.
const PASSWORD: &[u8] = b"hush";

/// What a run's cores are in front of.
#[derive(Clone, Debug)]
pub struct Setup {
    pub kind: PoolKind,
    /// Servers, or primaries of a cluster; and how many more have the same keys as each of them.
    pub shards: usize,
    pub replicas: usize,
    /// Servers of a cluster that the configuration names.
    pub seeds: usize,
    pub links_per_core: u32,
    pub in_flight_max: usize,
    pub connect_timeout_ms: u64,
    pub request_timeout_ms: u64,
    pub idle_timeout_ms: u64,
    pub eject_after: u32,
    pub eject_ms: u64,
    pub password: bool,
    /// Some keys are the cores' own.
    pub keeps_some: bool,
    /// Keys expire.
    pub expires: bool,
    /// Servers of a cluster know CLUSTER SHARDS.
    pub knows_shards: bool,
    /// One that has lost a part of itself answers nothing.
    pub wants_all_slots: bool,
    pub troubles: Vec<Hazard>,
}

impl Setup {
    pub fn draw(rng: &mut Rng) -> Setup {
        let read = rng.pick(&[ReadPolicy::Primary, ReadPolicy::Primary, ReadPolicy::Replica, ReadPolicy::Nearest]);
        let layout = Layout {
            distribution: rng.pick(&[
                Distribution::Ketama,
                Distribution::Modula,
                Distribution::Crc16,
                Distribution::Rendezvous,
            ]),
            hash: rng.pick(&[Hash::Fnv1aWith64, Hash::Murmur]),
            hash_tag: rng.pick(&[None, Some(*b"{}")]),
        };
        let kind = rng.pick(&[
            PoolKind::Single,
            PoolKind::Servers(layout),
            PoolKind::Cluster(read),
            PoolKind::Cluster(ReadPolicy::Primary),
            PoolKind::Cluster(ReadPolicy::Primary),
        ]);
        let is_cluster = matches!(kind, PoolKind::Cluster(_));
        let shards = if kind == PoolKind::Single { 1 } else { rng.between(2, 4) };
        let mut setup = Setup {
            kind,
            shards,
            replicas: if is_cluster { rng.between(0, 2) } else { 0 },
            seeds: rng.between(1, 3),
            links_per_core: rng.pick(&[1, 1, 2]),
            in_flight_max: rng.pick(&[1, 3, 16, 16_384]),
            connect_timeout_ms: rng.pick(&[20, 60]),
            request_timeout_ms: rng.pick(&[60, 200]),
            idle_timeout_ms: rng.pick(&[0, 0, 0, 30]),
            eject_after: rng.pick(&[1, 3]),
            eject_ms: rng.pick(&[50, 400]),
            password: rng.chance(30),
            keeps_some: rng.chance(15),
            knows_shards: rng.chance(80),
            wants_all_slots: rng.chance(50),
            expires: false,
            troubles: Vec::new(),
        };
        // Without a draw of its own, which would make other runs of all seeds.
        setup.expires = setup.connect_timeout_ms == 20;
        setup
    }

    pub fn is_cluster(&self) -> bool {
        matches!(self.kind, PoolKind::Cluster(_))
    }

    /// Whether others than primaries are asked to read. They are not behind here, but two links are not in step.
    pub fn reads_anywhere(&self) -> bool {
        matches!(self.kind, PoolKind::Cluster(ReadPolicy::Replica | ReadPolicy::Nearest)) && self.replicas > 0
    }

    pub fn has(&self, trouble: Hazard) -> bool {
        self.troubles.contains(&trouble)
    }

    pub fn has_any(&self, troubles: &[Hazard]) -> bool {
        troubles.iter().any(|trouble| self.has(*trouble))
    }

    /// As the configuration has it.
    pub fn upstreams(&self) -> Upstreams {
        let named = if self.is_cluster() { self.seeds.min(self.shards) } else { self.shards };
        let servers = (0..named).map(fleet::address_of).map(|address| ServerOptions {
            name: (*address).into(),
            address: (*address).into(),
            placed: Server { name: address.clone(), weight: 1 },
        });
        let mut pool = PoolOptions::new("main", self.kind, servers.collect());
        pool.links_per_core = self.links_per_core;
        pool.in_flight_max = self.in_flight_max;
        pool.connect_timeout_ms = self.connect_timeout_ms;
        pool.request_timeout_ms = self.request_timeout_ms;
        pool.idle_timeout_ms = self.idle_timeout_ms;
        pool.health = HealthPolicy { eject_after: self.eject_after, eject_us: self.eject_ms * 1000 };
        if self.password {
            pool.password = PASSWORD.to_vec();
        }
        let own: &[(&str, Option<usize>)] = if self.keeps_some { &[("{s}*", None)] } else { &[] };
        Upstreams { pools: vec![pool], routes: Routes::new(own, Some(0)) }
    }

    /// Where nothing is lost nobody is late either, however fast the clock is.
    pub fn be_patient(&mut self) {
        use Hazard::{Failover, Late, Outage, Severed, Undialled};
        if !self.has_any(&[Failover, Late, Outage, Severed, Undialled]) {
            (self.connect_timeout_ms, self.request_timeout_ms) = (10_000, 10_000);
        }
    }

    /// What of one connection happens in its order. A slot that comes back to a server between two requests that are on
    /// their way there has the second done first.
    pub fn order(&self) -> Order {
        let misled = self.has(Hazard::Circles) && self.has_any(&[Hazard::Migration, Hazard::Onward, Hazard::Failover]);
        if self.reads_anywhere() || self.has(Hazard::Moves) || misled {
            return Order::None;
        }
        if self.has(Hazard::Migration) { Order::Singles } else { Order::Answered }
    }

    /// What an error of the router, or of a cluster, says of its request, if it is one and may come up in this run.
    fn fate(&self, request: &Request, reply: &Reply, calm: bool) -> Option<Fate> {
        use Hazard::{Circles, Failover, Late, Loading, Migration, Moves, Onward, Outage, Severed, Undialled};
        let Reply::Error(text) = reply else { return None };
        let several = request.parts.len() > 1;
        let not_done = if several { Fate::Unknown } else { Fate::NotDone };
        if text.starts_with("ERR upstream main: keys of '") {
            return (several && self.keeps_some).then_some(Fate::NotDone);
        }
        let loses = !calm && self.has_any(&[Severed, Late, Failover, Outage, Undialled]);
        let (may, fate) = match text {
            _ if text.starts_with("ERR upstream ") && text.ends_with(" lost: outcome unknown") => {
                (loses, Fate::Unknown)
            }
            _ if text.starts_with("ERR upstream ") && text.ends_with(" unreachable") => (loses, not_done),
            _ if text.starts_with("ERR upstream main sent ") && text.contains(" around 8 times") => {
                (!calm && self.has_any(&[Moves, Onward, Migration, Circles, Failover]), not_done)
            }
            _ if text.starts_with("CLUSTERDOWN ") => (!calm && self.has_any(&[Failover, Outage]), not_done),
            _ if text.starts_with("LOADING ") => (!calm && self.has_any(&[Loading, Failover, Outage]), not_done),
            _ if text.starts_with("TRYAGAIN ") => (several && self.has(Migration), not_done),
            _ => (false, not_done),
        };
        may.then_some(fate)
    }
}

impl Fleet {
    /// What a reply says of its request.
    pub fn fate(&mut self, request: &Request, reply: &Reply) -> Fate {
        let fate = self.setup.fate(request, reply, self.healed).unwrap_or(Fate::Plain);
        self.counts.unknown += usize::from(fate == Fate::Unknown);
        self.counts.not_done += usize::from(fate == Fate::NotDone);
        fate
    }
}
