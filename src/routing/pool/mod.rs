//! Owns where a key lies in a pool of independent servers: key to server, by the ways that existing pools place keys.
//! Knows names, weights, hash functions and hash tags; all of it pure and the same on every machine.
//! Must never know addresses, connections, or whether a server answers: who may be chosen is an argument.
//! Read first: `distribution.rs` (the ways), then [`Pool`], `continuum.rs` (ketama), `hash.rs`.
//!
//! ```
//! use coldplate::routing::{Distribution, Hash, Layout, Pool, Server};
//!
//! let servers = ["10.0.0.1:6379", "10.0.0.2:6379"].map(|name| Server { name: name.into(), weight: 1 });
//! let layout = Layout { distribution: Distribution::Ketama, hash: Hash::Fnv1aWith64, hash_tag: Some(*b"{}") };
//! let pool = Pool::new(&servers, layout, 0)?;
//! assert_eq!(pool.place(b"user:{42}:name"), pool.place(b"user:{42}:mail"));
//! # Ok::<(), coldplate::routing::RoutingError>(())
//! ```

mod continuum;
mod distribution;
mod hash;
mod server;
mod shares;
mod slots;

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::HashSet;

pub use distribution::Distribution;
pub use hash::Hash;
pub use server::Server;

use super::error::RoutingError;
use super::ring::{GOLDEN, mix};
use super::slot::crc16;
use crate::types::SLOTS;
use continuum::Continuum;
use shares::Shares;

/// The most servers of one pool, and the most that one weighs.
pub const SERVERS_MAX: usize = 1024;
pub const WEIGHT_MAX: u32 = 1000;

/// How a pool places keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub distribution: Distribution,
    pub hash: Hash,
    /// The byte that opens a tag and the one that closes it: what stands between them, if anything, is all that is
    /// hashed of a key.
    pub hash_tag: Option<[u8; 2]>,
}

/// A pool's servers, compiled: placing a key costs one hash and one search, and allocates nothing.
///
/// Servers are known by their place in the list that the pool was made of. `Send` and not `Sync`: each core has its own.
#[derive(Clone, Debug)]
pub struct Pool {
    servers: Box<[Server]>,
    layout: Layout,
    table: Table,
    /// What the next draw is made of; only random placement draws.
    seed: Cell<u64>,
}

#[derive(Clone, Debug)]
enum Table {
    /// There is one server: nothing is hashed.
    Only(u16),
    Continuum(Continuum),
    Modulo(Shares),
    Jump(Shares),
    Slots(slots::Owners),
    Random(Box<[u16]>),
}

impl Pool {
    /// Compiles a pool. `seed` decides what random placement draws, and nothing else.
    pub fn new(servers: &[Server], layout: Layout, seed: u64) -> Result<Pool, RoutingError> {
        Pool::check(servers, layout)?;
        let table = compile(servers, layout, |_| true)?;
        Ok(Pool { servers: servers.into(), layout, table, seed: Cell::new(seed) })
    }

    /// Whether there can be such a pool: what [`Pool::new`] asks first, without the work of compiling it.
    pub fn check(servers: &[Server], layout: Layout) -> Result<(), RoutingError> {
        if servers.is_empty() {
            return Err(RoutingError::NoServers);
        }
        if servers.len() > SERVERS_MAX {
            return Err(RoutingError::TooManyServers { servers: servers.len(), servers_max: SERVERS_MAX });
        }
        let mut names = HashSet::new();
        for Server { name, weight } in servers {
            let weight = *weight;
            if !(1..=WEIGHT_MAX).contains(&weight) {
                return Err(RoutingError::ServerWeight { name: name.clone(), weight, weight_max: WEIGHT_MAX });
            }
            if !names.insert(name) {
                return Err(RoutingError::DuplicateServer { name: name.clone() });
            }
        }
        let weight = servers.iter().map(|server| server.weight).sum();
        if layout.distribution == Distribution::Bounded && weight > slots::RING_WEIGHT_MAX {
            return Err(RoutingError::TooMuchWeight { weight, weight_max: slots::RING_WEIGHT_MAX });
        }
        Ok(())
    }

    /// The same pool with the keys of those servers that are not `live` placed on the others, as twemproxy places them
    /// with `auto_eject_hosts`; places in the list stay what they are. An error if no server is left.
    pub fn among(&self, live: impl Fn(usize) -> bool) -> Result<Pool, RoutingError> {
        let table = compile(&self.servers, self.layout, live)?;
        Ok(Pool { servers: self.servers.clone(), layout: self.layout, table, seed: self.seed.clone() })
    }

    /// The server that a key lies on, by its place in the list.
    #[inline]
    pub fn place(&self, key: &[u8]) -> usize {
        let hash = || self.layout.hash.of(self.hashed(key));
        let server = match &self.table {
            Table::Only(server) => *server,
            Table::Continuum(continuum) => continuum.owner(hash()),
            Table::Modulo(shares) => shares.modulo(hash()),
            Table::Jump(shares) => shares.jump(hash()),
            Table::Slots(owners) => owners[usize::from(crc16(self.hashed(key))) % SLOTS],
            Table::Random(servers) => servers[(self.draw() % servers.len() as u64) as usize],
        };
        usize::from(server)
    }

    /// The servers in their order.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The part of a key that decides where it lies, as `server_pool_idx` of twemproxy's `nc_server.c` finds it.
    #[inline]
    fn hashed<'a>(&self, key: &'a [u8]) -> &'a [u8] {
        let Some([opening, closing]) = self.layout.hash_tag else { return key };
        let Some(open) = key.iter().position(|byte| *byte == opening) else { return key };
        let inside = &key[open + 1..];
        match inside.iter().position(|byte| *byte == closing) {
            None | Some(0) => key,
            Some(close) => &inside[..close],
        }
    }

    /// SplitMix64.
    fn draw(&self) -> u64 {
        self.seed.set(self.seed.get().wrapping_add(GOLDEN));
        mix(self.seed.get())
    }
}

fn compile(servers: &[Server], layout: Layout, live: impl Fn(usize) -> bool) -> Result<Table, RoutingError> {
    let places = (0..).zip(servers).filter(|(place, _)| live(usize::from(*place)));
    let mut live: Vec<(u16, &Server)> = places.collect();
    let Some((first, _)) = live.first() else { return Err(RoutingError::NoServers) };
    if live.len() == 1 {
        return Ok(Table::Only(*first));
    }
    if matches!(layout.distribution, Distribution::Ketama | Distribution::Modula) {
        // As twemproxy sorts them: for modula that is where keys lie, for ketama who has a point that two would have.
        live.sort_by(|(_, a), (_, b)| a.name.len().cmp(&b.name.len()).then_with(|| a.name.cmp(&b.name)));
    }
    let is_weighted = servers.iter().any(|server| server.weight > 1);
    let table = match layout.distribution {
        Distribution::Consistent if !is_weighted => Table::Continuum(Continuum::unweighted(&live, layout.hash)),
        Distribution::Ketama | Distribution::Consistent => Table::Continuum(Continuum::weighted(&live)),
        Distribution::Modula => Table::Modulo(Shares::of(&live)),
        Distribution::ModulaListed => Table::Modulo(Shares::alike(&live)),
        Distribution::Jump => Table::Jump(Shares::of(&live)),
        Distribution::Crc16 => Table::Slots(slots::modulo(&live)),
        Distribution::Rendezvous => Table::Slots(slots::by_score(&live)),
        Distribution::Bounded => Table::Slots(slots::on_ring(&live)?),
        Distribution::Random => Table::Random(live.iter().map(|(place, _)| *place).collect()),
    };
    Ok(table)
}
