//! Ketama: a circle of 32 bits on which servers stand at many points each; a hash belongs to the first point at or
//! after it. Points as `ketama_update` of twemproxy's `nc_ketama.c` and `update_continuum` of libmemcached's `hosts.cc`
//! compute them, in the same single precision, since a point more or less moves keys.

use super::hash::{Hash, md5_word};
use super::server::Server;

/// Points of a server of mean weight, and how many of them a digest yields.
const POINTS_PER_SERVER: f32 = 160.0;
const POINTS_PER_DIGEST: usize = 4;
/// Points of a server where weights do not count.
const POINTS_UNWEIGHTED: usize = 100;

/// The circle, compiled.
#[derive(Clone, Debug)]
pub(super) struct Continuum {
    /// Ascending, apart from `owners` so that a search reads sixteen points a cache line.
    points: Box<[u32]>,
    /// `owners[i]` is the server that stands at `points[i]`.
    owners: Box<[u16]>,
}

impl Continuum {
    /// Each server has four points a digest of `name-0`, `name-1` and so on, in proportion to its weight. One that is
    /// light beyond measure has none.
    pub fn weighted(servers: &[(u16, &Server)]) -> Continuum {
        let total: u32 = servers.iter().map(|(_, server)| server.weight).sum();
        let points = servers.iter().flat_map(|(index, server)| {
            let share = server.weight as f32 / total as f32;
            // In this order, and each step rounded to 24 bits.
            let quarter = share * POINTS_PER_SERVER / POINTS_PER_DIGEST as f32 * servers.len() as f32;
            let digests = (f64::from(quarter) + 0.000_000_000_1) as f32;
            (0..digests.floor() as usize).flat_map(move |digest| {
                let digest = md5::compute(format!("{}-{digest}", server.name)).0;
                (0..POINTS_PER_DIGEST).map(move |word| (md5_word(&digest, word), *index))
            })
        });
        Continuum::of(points.collect())
    }

    /// Each server has a hundred points, of `hash` over `name-0` to `name-99`.
    pub fn unweighted(servers: &[(u16, &Server)], hash: Hash) -> Continuum {
        let points = servers.iter().flat_map(|(index, server)| {
            (0..POINTS_UNWEIGHTED).map(move |point| (hash.of(format!("{}-{point}", server.name).as_bytes()), *index))
        });
        Continuum::of(points.collect())
    }

    fn of(mut points: Vec<(u32, u16)>) -> Continuum {
        // Stable: where two servers meet on one point the first of the list has it, as in both of the originals.
        points.sort_by_key(|(point, _)| *point);
        let (points, owners): (Vec<u32>, Vec<u16>) = points.into_iter().unzip();
        Continuum { points: points.into(), owners: owners.into() }
    }

    /// The server that a hash belongs to.
    #[inline]
    pub fn owner(&self, hash: u32) -> u16 {
        let place = self.points.partition_point(|point| *point < hash);
        self.owners[if place == self.points.len() { 0 } else { place }]
    }
}
