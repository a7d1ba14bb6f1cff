//! Which servers there are, as the configuration names them.

use super::forward::push_words;
use crate::protocol::resp::{Proto, ReplyBounds};
use crate::routing::{Layout, Routes, Server};
use crate::upstream::{HealthPolicy, LinkOptions};
use std::sync::Arc;

/// For how long a connection that a client has given back waits for another one.
const OWN_IDLE_US: u64 = 5_000_000;

/// Which node of a cluster is asked to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadPolicy {
    Primary,
    /// In turn.
    Replica,
    /// Whichever has answered soonest of late.
    Nearest,
}

/// How a pool places keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// One server has them all.
    Single,
    /// On independent servers.
    Servers(Layout),
    /// On the nodes of a cluster, which says itself where.
    Cluster(ReadPolicy),
}

/// A server as it was named, and where it is.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// For people: as it was configured.
    pub name: Arc<str>,
    /// `ip:port`, or `unix:` and a path.
    pub address: Arc<str>,
    /// As placement sees it.
    pub placed: Server,
}

/// A named set of servers.
#[derive(Clone, Debug)]
pub struct PoolOptions {
    pub name: Arc<str>,
    pub kind: PoolKind,
    /// Of a cluster some, from which the others are learned.
    pub servers: Vec<ServerOptions>,
    /// Empty for the default user.
    pub username: Vec<u8>,
    /// Empty for none.
    pub password: Vec<u8>,
    pub connect_timeout_ms: u64,
    pub request_timeout_ms: u64,
    /// 0: links that nobody uses stay.
    pub idle_timeout_ms: u64,
    pub links_per_core: u32,
    pub in_flight_max: usize,
    pub in_flight_bytes_max: usize,
    /// For how long copies of hot keys live where a server does not say what has changed; 0: there are none.
    pub hot_copy_ms: u64,
    /// For how long the last value of a hot key is answered while its server cannot be reached; 0: it is an error.
    pub hot_stale_ms: u64,
    /// Connections of each core that one client has for itself.
    pub own_connections_max: usize,
    pub health: HealthPolicy,
    /// Of a pool: a failing server's keys are placed on the others.
    pub auto_eject: bool,
    /// Connections are made secret, by whoever makes them; a cluster's nodes have ports for that.
    pub tls: bool,
    pub reply_bounds: ReplyBounds,
}

impl PoolOptions {
    /// The same with what is configured by default.
    pub fn new(name: &str, kind: PoolKind, servers: Vec<ServerOptions>) -> PoolOptions {
        PoolOptions {
            name: name.into(),
            kind,
            servers,
            username: Vec::new(),
            password: Vec::new(),
            connect_timeout_ms: 1000,
            request_timeout_ms: 5000,
            idle_timeout_ms: 0,
            links_per_core: 1,
            in_flight_max: 16_384,
            in_flight_bytes_max: 64 << 20,
            hot_copy_ms: 0,
            hot_stale_ms: 0,
            own_connections_max: 1024,
            health: HealthPolicy { eject_after: 3, eject_us: 1_000_000 },
            auto_eject: false,
            tls: false,
            reply_bounds: ReplyBounds::default(),
        }
    }

    pub(super) fn link(&self, proto: Proto) -> LinkOptions {
        let (greeting, greeting_replies) = self.greeting(proto);
        LinkOptions {
            greeting,
            greeting_replies,
            connect_timeout_us: self.connect_timeout_ms * 1000,
            request_timeout_us: self.request_timeout_ms * 1000,
            idle_timeout_us: self.idle_timeout_ms * 1000,
            in_flight_max: self.in_flight_max,
            in_flight_bytes_max: self.in_flight_bytes_max,
            reply_bounds: self.reply_bounds,
        }
    }

    /// A link on which the server says what has changed of what it was asked for, but for what was changed by it.
    pub(super) fn tracking_link(&self) -> LinkOptions {
        let mut link = self.link(Proto::Resp3);
        push_words(&mut link.greeting, &[b"CLIENT", b"TRACKING", b"ON", b"NOLOOP"]);
        link.greeting_replies += 1;
        link
    }

    /// The same of a connection that one client has for itself, and that is kept for the next for a moment.
    pub(super) fn own_link(&self, proto: Proto) -> LinkOptions {
        let link = self.link(proto);
        let idle_timeout_us = match link.idle_timeout_us {
            0 => OWN_IDLE_US,
            some => some.min(OWN_IDLE_US),
        };
        LinkOptions { idle_timeout_us, ..link }
    }

    /// Who asks, in which version of the protocol, and whether replicas may answer.
    fn greeting(&self, proto: Proto) -> (Vec<u8>, u32) {
        let user: &[u8] = if self.username.is_empty() { b"default" } else { &self.username };
        let (mut greeting, mut words): (Vec<u8>, Vec<&[u8]>) = (Vec::new(), Vec::new());
        if proto == Proto::Resp3 {
            words.extend([b"HELLO", &b"3"[..]]);
        }
        if !self.password.is_empty() {
            words.push(b"AUTH");
            if proto == Proto::Resp3 || !self.username.is_empty() {
                words.push(user);
            }
            words.push(&self.password);
        }
        let mut replies = 0;
        if !words.is_empty() {
            replies += 1;
            push_words(&mut greeting, &words);
        }
        if matches!(self.kind, PoolKind::Cluster(ReadPolicy::Replica | ReadPolicy::Nearest)) {
            replies += 1;
            push_words(&mut greeting, &[b"READONLY"]);
        }
        (greeting, replies)
    }
}

/// Whom requests are passed on to.
#[derive(Clone, Debug)]
pub struct Upstreams {
    /// The first is the one that requests without keys go to.
    pub pools: Vec<PoolOptions>,
    /// From a key to its pool, or to nobody: the key is here.
    pub routes: Routes<Option<usize>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_says_what_has_to_be_said() {
        let greeting = |kind, proto, username: &str, password: &str| {
            let mut pool = PoolOptions::new("main", kind, Vec::new());
            (pool.username, pool.password) = (username.into(), password.into());
            let (bytes, replies) = pool.greeting(proto);
            (String::from_utf8(bytes).expect("text").replace("\r\n", " "), replies)
        };
        let single = |proto, username, password| greeting(PoolKind::Single, proto, username, password);
        let said = |text: &str| (text.to_owned(), 1);
        assert_eq!(single(Proto::Resp2, "", ""), (String::new(), 0));
        assert_eq!(single(Proto::Resp2, "", "pw"), said("*2 $4 AUTH $2 pw "));
        assert_eq!(single(Proto::Resp2, "me", "pw"), said("*3 $4 AUTH $2 me $2 pw "));
        assert_eq!(single(Proto::Resp3, "", ""), said("*2 $5 HELLO $1 3 "));
        assert_eq!(single(Proto::Resp3, "", "pw"), said("*5 $5 HELLO $1 3 $4 AUTH $7 default $2 pw "));
        let cluster = |read| greeting(PoolKind::Cluster(read), Proto::Resp2, "", "");
        assert_eq!(cluster(ReadPolicy::Primary), (String::new(), 0));
        assert_eq!(cluster(ReadPolicy::Replica), said("*1 $8 READONLY "));
    }
}
