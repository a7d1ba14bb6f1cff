//! The ways in which a pool can place keys.

use std::fmt;

/// How the servers of a pool share the keys out.
///
/// The first five are those of existing pools and place keys as these do. The others place keys more evenly, or move
/// fewer of them when a server is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Twemproxy's, and libmemcached's with weights: 160 points a server of mean weight, of MD5 over its name. Hash
    /// tags aside, libmemcached's `KETAMA_WEIGHTED` with the hash `md5` is the same.
    Ketama,
    /// Libmemcached's without weights: 100 points a server, of the pool's own hash over its name. A weight above 1 makes
    /// it `Ketama`, as there.
    Consistent,
    /// Twemproxy's: the hash modulo the sum of weights. Each server takes as many remainders in a row as it weighs, in the
    /// order of names, shorter ones first: `conf_validate_server` of `nc_conf.c` leaves them so.
    Modula,
    /// Libmemcached's: the hash modulo the number of servers, in the order of the list. Weights do not count.
    ModulaListed,
    /// Any server, whatever the key, for servers that all hold the same. Weights do not count.
    Random,
    /// The key's slot of Redis Cluster, modulo the sum of weights.
    Crc16,
    /// Jump consistent hashing of the hash over as many buckets as all weights come to. Servers may be added and taken
    /// away at the end of the list only.
    Jump,
    /// Each slot goes to the server that has the highest score for it.
    Rendezvous,
    /// Slots on a ring of 256 points a unit of weight, none of whose servers takes more than 1.25 % above its share.
    Bounded,
}

impl Distribution {
    /// Each with the name that a configuration has for it; the first three as twemproxy's.
    pub const ALL: [(&'static str, Distribution); 9] = [
        ("ketama", Distribution::Ketama),
        ("modula", Distribution::Modula),
        ("random", Distribution::Random),
        ("consistent", Distribution::Consistent),
        ("modula_listed", Distribution::ModulaListed),
        ("crc16", Distribution::Crc16),
        ("jump", Distribution::Jump),
        ("rendezvous", Distribution::Rendezvous),
        ("bounded", Distribution::Bounded),
    ];

    pub fn parse(name: &str) -> Option<Distribution> {
        Distribution::ALL.iter().find(|(known, _)| *known == name).map(|(_, distribution)| *distribution)
    }

    pub fn name(self) -> &'static str {
        Distribution::ALL.iter().find(|(_, distribution)| *distribution == self).expect("each has a name").0
    }

    /// Whether the pool's hash function has a part in it. Those by slot always take the checksum of Redis Cluster.
    pub fn hashes(self) -> bool {
        !matches!(self, Distribution::Random | Distribution::Crc16 | Distribution::Rendezvous | Distribution::Bounded)
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
