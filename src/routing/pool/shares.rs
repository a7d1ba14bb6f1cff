//! Places by number: as many in a row for each server as it weighs.

use super::server::Server;

/// The servers' weights, added up.
#[derive(Clone, Debug)]
pub(super) struct Shares {
    /// `ends[i]` is the first place behind those of `owners[i]`.
    ends: Box<[u32]>,
    owners: Box<[u16]>,
    total: u32,
}

impl Shares {
    pub fn of(servers: &[(u16, &Server)]) -> Shares {
        Shares::by(servers, |server| server.weight)
    }

    /// One place for each server, whatever it weighs.
    pub fn alike(servers: &[(u16, &Server)]) -> Shares {
        Shares::by(servers, |_| 1)
    }

    fn by(servers: &[(u16, &Server)], weight: impl Fn(&Server) -> u32) -> Shares {
        let ends: Box<[u32]> = servers
            .iter()
            .scan(0, |end, (_, server)| {
                *end += weight(server);
                Some(*end)
            })
            .collect();
        let total = ends.last().copied().unwrap_or(0);
        Shares { ends, owners: servers.iter().map(|(index, _)| *index).collect(), total }
    }

    /// The server at a number modulo all places.
    #[inline]
    pub fn modulo(&self, number: u32) -> u16 {
        self.at(number % self.total)
    }

    /// The server at the place that jump consistent hashing finds (Lamping and Veach, "A Fast, Minimal Memory, Consistent
    /// Hash Algorithm", 2014). Takes as many steps as the logarithm of all places.
    #[inline]
    pub fn jump(&self, hash: u32) -> u16 {
        let mut key = u64::from(hash);
        let (mut place, mut next) = (0, 0);
        while next < u64::from(self.total) {
            place = next;
            key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
            next = ((place + 1) as f64 * ((1_u64 << 31) as f64 / ((key >> 33) + 1) as f64)) as u64;
        }
        self.at(place as u32)
    }

    #[inline]
    fn at(&self, place: u32) -> u16 {
        self.owners[self.ends.partition_point(|end| *end <= place)]
    }
}
