//! Which servers a request is for: one, or several with a part of it each.

use super::join::{How, cursor_of};
use super::options::PoolKind;
use super::router::{Pool, Router};
use crate::protocol::command::Command;
use crate::protocol::command::passage::{Goes, Holds, Join, Passage, Split};
use crate::protocol::resp::Args;

/// Why a request is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It needs a connection to itself.
    Alone,
    /// It is about one server, and would say something false of several.
    OneServer,
    /// Its keys are on several servers, and it cannot be taken apart.
    Apart,
    /// Nobody knows which of its arguments are keys.
    Unknown,
    /// A cursor that SCAN has not given.
    Cursor,
}

/// What of a request is for one server: all of it, or the command's name with some of its arguments.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    pub server: u32,
    /// Places of arguments.
    pub args: Vec<usize>,
}

/// What becomes of a request.
pub enum Way {
    /// It is answered here.
    Here,
    /// All of it, as it is.
    To(u32),
    /// All of it, to each of these.
    ToEach(Vec<u32>, How),
    InParts(Vec<Part>, How),
    /// SCAN on one of several servers, with that server's cursor.
    Page {
        server: u32,
        cursor: u64,
        how: How,
    },
    Refused(Refusal),
}

/// Where a key is: its server. Keys that share all of this may stand in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    pub server: u32,
}

impl Router {
    pub fn way_of(&self, passage: &'static Passage, args: &Args) -> Way {
        match passage.holds(args) {
            Holds::Nothing | Holds::Resets | Holds::BlocksIfTold => {}
            _ => return Way::Refused(Refusal::Alone),
        }
        let pool = &self.pools[self.default_pool];
        match passage.goes {
            Goes::Nowhere if passage.command == Some(Command::ClientTracking) => Way::Refused(Refusal::Alone),
            Goes::Nowhere => Way::Here,
            Goes::Never => Way::Refused(Refusal::OneServer),
            Goes::Keys => self.way_of_keys(pool, passage, args),
            Goes::Channels => Way::To(pool.place(args.get(1)).server),
            Goes::Any | Goes::Patterns => Way::To(pool.servers[0]),
            Goes::All(_) if pool.kind == PoolKind::Single => Way::To(pool.servers[0]),
            Goes::All(Join::Cursor) => page_of(pool, args),
            Goes::All(join) => Way::ToEach(pool.servers.clone(), How::By(join)),
        }
    }

    #[inline]
    fn way_of_keys(&self, pool: &Pool, passage: &'static Passage, args: &Args) -> Way {
        if pool.kind == PoolKind::Single {
            return Way::To(pool.servers[0]);
        }
        if !passage.is_known() {
            return Way::Refused(Refusal::Unknown);
        }
        let mut keys = passage.keys(args);
        let Some(first) = keys.next() else { return Way::To(pool.servers[0]) };
        let spot = pool.place(args.get(first));
        if keys.all(|key| pool.place(args.get(key)) == spot) {
            return Way::To(spot.server);
        }
        let stride = if passage.split == Split::Pairs { 2 } else { 1 };
        let spots: Vec<(Spot, usize)> = passage.keys(args).map(|key| (pool.place(args.get(key)), key)).collect();
        if passage.split == Split::No || spots.last().is_some_and(|(_, key)| key + stride > args.len()) {
            return Way::Refused(Refusal::Apart);
        }
        let (parts, places) = split(spots, stride);
        let how = match passage.split {
            Split::Elements => How::Elements(places),
            Split::Pairs => How::Ok,
            Split::Sum | Split::No => How::By(Join::Sum),
        };
        Way::InParts(parts, how)
    }
}

impl Pool {
    /// Where a key is.
    #[inline]
    pub fn place(&self, key: &[u8]) -> Spot {
        let _ = key;
        Spot { server: self.servers[0] }
    }
}

/// Keys by server, in order, each with so many arguments; and which key of which part each of them became.
fn split(mut spots: Vec<(Spot, usize)>, stride: usize) -> (Vec<Part>, Vec<(u32, u32)>) {
    let order: Vec<usize> = spots.iter().map(|(_, key)| *key).collect();
    spots.sort_unstable();
    let (mut parts, mut found): (Vec<Part>, Vec<(usize, (u32, u32))>) = (Vec::new(), Vec::new());
    for group in spots.chunk_by(|(a, _), (b, _)| a == b) {
        let number = parts.len() as u32;
        found.extend(group.iter().zip(0..).map(|((_, key), at)| (*key, (number, at))));
        let args = group.iter().flat_map(|(_, key)| *key..key + stride).collect();
        parts.push(Part { server: group[0].0.server, args });
    }
    found.sort_unstable();
    debug_assert!(found.iter().map(|(key, _)| *key).eq(order));
    (parts, found.into_iter().map(|(_, place)| place).collect())
}

fn page_of(pool: &Pool, args: &Args) -> Way {
    let Some((at, cursor)) = cursor_of(args.get(1)) else { return Way::Refused(Refusal::Cursor) };
    match pool.servers.get(at as usize) {
        Some(server) => {
            let how = How::Page { server: at, servers: pool.servers.len() as u64 };
            Way::Page { server: *server, cursor, how }
        }
        None => Way::Refused(Refusal::Cursor),
    }
}

impl Refusal {
    /// What the client is told.
    pub fn text(self, pool: &str, name: &str) -> String {
        match self {
            Refusal::Alone => {
                format!("ERR upstream {pool}: '{name}' takes a connection of its own, which it cannot have")
            }
            Refusal::OneServer => format!("ERR upstream {pool}: '{name}' is about one server and is not passed on"),
            Refusal::Apart => format!("ERR upstream {pool}: keys of '{name}' lie on different servers"),
            Refusal::Unknown => format!("ERR upstream {pool}: unknown command, so its keys are unknown"),
            Refusal::Cursor => "ERR invalid cursor".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_put_together_by_server_in_order() {
        let spots = |servers: &[u32], stride: usize| -> Vec<(Spot, usize)> {
            servers.iter().zip((1..).step_by(stride)).map(|(server, key)| (Spot { server: *server }, key)).collect()
        };
        let (parts, places) = split(spots(&[7, 3, 7, 3, 5], 1), 1);
        let part = |server, args: &[usize]| Part { server, args: args.to_vec() };
        assert_eq!(parts, [part(3, &[2, 4]), part(5, &[5]), part(7, &[1, 3])]);
        assert_eq!(places, [(2, 0), (0, 0), (2, 1), (0, 1), (1, 0)]);
        let (parts, _) = split(spots(&[7, 3, 7], 2), 2);
        assert_eq!(parts, [part(3, &[3, 4]), part(7, &[1, 2, 5, 6])]);
    }
}
