//! The slots of Redis Cluster placed on servers, so that placing a key is its checksum and one load.

use super::super::error::RoutingError;
use super::super::ring::{HashRing, Node, POINTS_MAX, mix, point_of};
use super::super::table::{SLACK_DEFAULT, bounded};
use super::server::Server;
use super::shares::Shares;
use crate::types::SLOTS;

/// Points a unit of weight on the ring with bounded loads. With more of them fewer slots have to move on.
const VNODES: usize = 256;
/// The sum of weights that such a ring holds.
pub(super) const RING_WEIGHT_MAX: u32 = (POINTS_MAX / VNODES) as u32;

/// The owner of each slot.
pub(super) type Owners = Box<[u16]>;

/// Slot by slot around the servers, each as often in a row as it weighs.
pub(super) fn modulo(servers: &[(u16, &Server)]) -> Owners {
    let shares = Shares::of(servers);
    (0..SLOTS as u32).map(|slot| shares.modulo(slot)).collect()
}

/// Consistent hashing with bounded loads, as the cores' own slots are placed.
pub(super) fn on_ring(servers: &[(u16, &Server)]) -> Result<Owners, RoutingError> {
    let mut ring = HashRing::new(VNODES)?;
    ring.extend(servers.iter().map(|(index, server)| Node {
        name: server.name.clone(),
        value: *index,
        weight: f64::from(server.weight),
    }))?;
    Ok(bounded(&ring, SLACK_DEFAULT)?.map(|row| ring.nodes()[row].value).collect())
}

/// Rendezvous hashing (Thaler and Ravishankar, "A Name-Based Mapping Scheme for Rendezvous", 1996): the highest score
/// wins. Scores are weighted by logarithms (Schindelhauer and Schomaker, "Weighted Distributed Hash Tables", 2005), which
/// leaves a server's score as it is whatever becomes of the others.
pub(super) fn by_score(servers: &[(u16, &Server)]) -> Owners {
    let seeds: Vec<u64> = servers.iter().map(|(_, server)| point_of(server.name.as_bytes())).collect();
    let owner = |slot: u64| {
        let score = |place: usize| {
            let draw = mix(seeds[place] ^ mix(slot + 1));
            // 53 bits, and a half more so that it is never 0 or 1.
            let unit = ((draw >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
            f64::from(servers[place].1.weight) / -unit.ln()
        };
        let best = (0..servers.len()).map(|place| (place, score(place)));
        // The first of equals.
        let best = best.reduce(|best, other| if other.1 > best.1 { other } else { best });
        servers[best.expect("a pool has servers").0].0
    };
    (0..SLOTS as u64).map(owner).collect()
}
