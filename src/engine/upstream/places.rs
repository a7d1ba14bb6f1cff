//! Which servers a request is for: one, or several with a part of it each.

use super::join::How;
use super::router::{Pool, Router};
use crate::protocol::command::passage::{Goes, Join, Passage, Split};
use crate::protocol::resp::Args;
use crate::routing::{Distribution, slot_of};
use crate::types::Slot;

/// Why a request is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Who keeps what it has read would have to hear of changes from all servers.
    Tracking,
    /// A server knows none of the clients' connections but those that it has for them.
    Redirection,
    /// Its patterns may match channels of all servers.
    Patterns,
    /// It would bind keys of this server to those of another.
    Embedded,
    /// It is about one server, and would say something false of several.
    OneServer,
    /// Its keys are on several servers, and it cannot be taken apart.
    Apart,
    /// Nobody knows which of its arguments are keys.
    Unknown,
    /// A cursor that SCAN has not given.
    Cursor,
    /// A cluster has not told yet who has keys.
    NoMap,
}

/// What of a request is for one server: all of it, or the command's name with some of its arguments.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    pub spot: Spot,
    /// Places of arguments.
    pub args: Vec<usize>,
}

/// What becomes of a request.
pub enum Way {
    /// It is answered here.
    Here,
    /// All of it, as it is.
    To(Spot),
    /// All of it, to each of these.
    ToEach(Vec<u32>, How),
    /// The same, and on this server's own keys.
    ToEachAndHere(Vec<u32>, How),
    InParts(Vec<Part>, How),
    /// SCAN on one of several servers, with that server's cursor.
    Page {
        server: u32,
        cursor: u64,
        how: How,
    },
    /// SCAN on this server's own keys.
    PageHere {
        cursor: u64,
        how: How,
    },
    /// SCAN, and nobody is left who has keys.
    PastAll,
    Refused(Refusal),
}

/// Where a key is: its server. Keys that share all of this may stand in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    pub server: u32,
    /// In a cluster; the first one elsewhere.
    pub slot: Slot,
    /// Nobody is known to have the slot: this one may know who has.
    pub is_guess: bool,
}

impl Router {
    pub fn way_of(&self, passage: &'static Passage, args: &Args) -> Way {
        match passage.goes {
            Goes::Keys => self.way_of_keys(passage, args, passage.is_read()),
            Goes::Nowhere => Way::Here,
            Goes::Never => Way::Refused(Refusal::OneServer),
            Goes::Channels if self.pools[0].cluster.is_none() => Way::To(self.place(0, args.get(1), false)),
            Goes::Any | Goes::Channels | Goes::Patterns => self.way_to_any(),
            Goes::All(join) => self.way_to_all(passage, args, join),
        }
    }

    pub(super) fn way_to_any(&self) -> Way {
        Way::To(Spot::of(self.any_server(0)))
    }

    /// `reads`: a replica will do.
    #[inline]
    pub fn way_of_keys(&self, passage: &'static Passage, args: &Args, reads: bool) -> Way {
        if self.is_one {
            return Way::To(Spot::of(self.pools[0].servers[0]));
        }
        let mut keys = passage.keys(args);
        let Some(first) = keys.next() else { return self.way_to_any() };
        let Some(pool) = self.routes.find(args.get(first)) else { return self.way_here(passage, args) };
        if !passage.is_known() && self.pools[pool].placement.is_some() {
            return Way::Refused(Refusal::Unknown);
        }
        let spot = self.place(pool, args.get(first), reads);
        let shares = |key| {
            let of = self.routes.find(args.get(key));
            of.is_some_and(|of| {
                of == pool && (self.pools[of].is_random() || self.place(of, args.get(key), reads).shares(spot))
            })
        };
        if keys.all(shares) {
            return Way::To(spot);
        }
        self.in_parts(passage, args, (pool, spot), reads)
    }

    /// A request with keys of this server's own; all of them have to be.
    fn way_here(&self, passage: &'static Passage, args: &Args) -> Way {
        match passage.keys(args).all(|key| self.routes.find(args.get(key)).is_none()) {
            true => Way::Here,
            false => Way::Refused(Refusal::Apart),
        }
    }

    /// Takes a request apart, if that may be done. A cluster's server words itself why it may not.
    fn in_parts(&self, passage: &'static Passage, args: &Args, (pool, first): (usize, Spot), reads: bool) -> Way {
        let spot = |key: usize| Some((self.place(self.routes.find(args.get(key))?, args.get(key), reads), key));
        let spots: Option<Vec<(Spot, usize)>> = passage.keys(args).map(spot).collect();
        let Some(spots) = spots else { return Way::Refused(Refusal::Apart) };
        let stride = if passage.split == Split::Pairs { 2 } else { 1 };
        if passage.split == Split::No || spots.last().is_some_and(|(_, key)| key + stride > args.len()) {
            let is_clusters = passage.keys(args).all(|key| self.routes.find(args.get(key)) == Some(pool));
            let is_clusters = is_clusters && self.pools[pool].cluster.is_some();
            return if is_clusters { Way::To(first) } else { Way::Refused(Refusal::Apart) };
        }
        let (parts, places) = split(spots, stride);
        let how = match passage.split {
            Split::Elements => How::Elements(places),
            Split::Pairs => How::Ok,
            Split::Sum | Split::No => How::By(Join::Sum),
        };
        Way::InParts(parts, how)
    }

    /// Where a key of a pool is.
    #[inline]
    pub fn place(&self, pool: usize, key: &[u8], reads: bool) -> Spot {
        let of = &self.pools[pool];
        if of.cluster.is_some() {
            return self.spot_of_slot(pool, slot_of(key), reads);
        }
        let server = of.placement.as_ref().map_or(0, |placement| placement.place(key));
        Spot::of(of.servers[server])
    }
}

impl Spot {
    /// Where slots do not matter.
    pub fn of(server: u32) -> Spot {
        Spot { server, slot: Slot(0), is_guess: false }
    }

    /// Whether keys of both may stand in one request.
    #[inline]
    fn shares(self, other: Spot) -> bool {
        self == other
    }
}

impl Pool {
    /// Each of its servers may have each key.
    fn is_random(&self) -> bool {
        self.placement.as_ref().is_some_and(|placement| placement.layout().distribution == Distribution::Random)
    }
}

/// Keys by server, in order, each with so many arguments; and which key of which part each of them became.
fn split(mut spots: Vec<(Spot, usize)>, stride: usize) -> (Vec<Part>, Vec<(u32, u32)>) {
    let order: Vec<usize> = spots.iter().map(|(_, key)| *key).collect();
    spots.sort_unstable();
    let (mut parts, mut found) = (Vec::new(), Vec::new());
    for group in spots.chunk_by(|(a, _), (b, _)| a == b) {
        let number = parts.len() as u32;
        found.extend(group.iter().zip(0..).map(|((_, key), at)| (*key, (number, at))));
        let args = group.iter().flat_map(|(_, key)| *key..key + stride).collect();
        parts.push(Part { spot: group[0].0, args });
    }
    found.sort_unstable();
    debug_assert!(found.iter().map(|(key, _)| *key).eq(order));
    (parts, found.into_iter().map(|(_, place)| place).collect())
}

impl Refusal {
    /// What the client is told.
    pub fn text(self, pool: &str, name: &str) -> String {
        match self {
            Refusal::Tracking => {
                format!(
                    "ERR upstream {pool}: '{name}' would have to hear of keys from all servers and is not passed on"
                )
            }
            Refusal::Redirection => {
                format!("ERR upstream {pool}: '{name}' cannot redirect to a connection that the server does not know")
            }
            Refusal::Patterns => {
                format!("ERR upstream {pool}: '{name}' would have to hear all servers, on one connection")
            }
            Refusal::Embedded => {
                format!("ERR upstream {pool}: '{name}' cannot bind keys of the pool embedded to those of others")
            }
            Refusal::OneServer => format!("ERR upstream {pool}: '{name}' is about one server and is not passed on"),
            Refusal::Apart => format!("ERR upstream {pool}: keys of '{name}' lie on different servers"),
            Refusal::Unknown => format!("ERR upstream {pool}: unknown command, so its keys are unknown"),
            Refusal::Cursor => "ERR invalid cursor".to_owned(),
            Refusal::NoMap => format!("ERR upstream {pool}: a cluster has not told yet which servers have keys"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_put_together_by_server_in_order() {
        let spots = |servers: &[u32], stride: usize| -> Vec<(Spot, usize)> {
            servers.iter().zip((1..).step_by(stride)).map(|(server, key)| (Spot::of(*server), key)).collect()
        };
        let (parts, places) = split(spots(&[7, 3, 7, 3, 5], 1), 1);
        let part = |server, args: &[usize]| Part { spot: Spot::of(server), args: args.to_vec() };
        assert_eq!(parts, [part(3, &[2, 4]), part(5, &[5]), part(7, &[1, 3])]);
        assert_eq!(places, [(2, 0), (0, 0), (2, 1), (0, 1), (1, 0)]);
        let (parts, _) = split(spots(&[7, 3, 7], 2), 2);
        assert_eq!(parts, [part(3, &[3, 4]), part(7, &[1, 2, 5, 6])]);
    }
}
