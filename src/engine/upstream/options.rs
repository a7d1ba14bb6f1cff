//! Which servers there are, as the configuration names them.

use crate::protocol::resp::{Proto, ReplyBounds};
use crate::upstream::{HealthPolicy, LinkOptions};
use std::sync::Arc;

/// How a pool places keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// One server has them all.
    Single,
}

/// A server as it was named, and where it is.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// For people: as it was configured.
    pub name: Arc<str>,
    /// `ip:port`, or `unix:` and a path.
    pub address: Arc<str>,
}

/// A named set of servers.
#[derive(Clone, Debug)]
pub struct PoolOptions {
    pub name: Arc<str>,
    pub kind: PoolKind,
    pub servers: Vec<ServerOptions>,
    /// Empty for the default user.
    pub username: Vec<u8>,
    /// Empty for none.
    pub password: Vec<u8>,
    pub connect_timeout_ms: u64,
    pub request_timeout_ms: u64,
    /// 0: links that nobody uses stay.
    pub idle_timeout_ms: u64,
    pub in_flight_max: usize,
    pub in_flight_bytes_max: usize,
    pub health: HealthPolicy,
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
            in_flight_max: 16_384,
            in_flight_bytes_max: 64 << 20,
            health: HealthPolicy { eject_after: 3, eject_us: 1_000_000 },
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
            reply_bounds: ReplyBounds::default(),
        }
    }

    /// Who asks, and in which version of the protocol.
    fn greeting(&self, proto: Proto) -> (Vec<u8>, u32) {
        let user: &[u8] = if self.username.is_empty() { b"default" } else { &self.username };
        let mut words: Vec<&[u8]> = Vec::new();
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
        if words.is_empty() {
            return (Vec::new(), 0);
        }
        let mut greeting = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            greeting.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            greeting.extend_from_slice(word);
            greeting.extend_from_slice(b"\r\n");
        }
        (greeting, 1)
    }
}

/// Whom requests are passed on to.
#[derive(Clone, Debug)]
pub struct Upstreams {
    pub pools: Vec<PoolOptions>,
    /// The pool of keys that no route names.
    pub default_pool: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_says_what_has_to_be_said() {
        let greeting = |proto, username: &str, password: &str| {
            let mut pool = PoolOptions::new("main", PoolKind::Single, Vec::new());
            (pool.username, pool.password) = (username.into(), password.into());
            let (bytes, replies) = pool.greeting(proto);
            (String::from_utf8(bytes).expect("text").replace("\r\n", " "), replies)
        };
        let said = |text: &str| (text.to_owned(), 1);
        assert_eq!(greeting(Proto::Resp2, "", ""), (String::new(), 0));
        assert_eq!(greeting(Proto::Resp2, "", "pw"), said("*2 $4 AUTH $2 pw "));
        assert_eq!(greeting(Proto::Resp2, "me", "pw"), said("*3 $4 AUTH $2 me $2 pw "));
        assert_eq!(greeting(Proto::Resp3, "", ""), said("*2 $5 HELLO $1 3 "));
        assert_eq!(greeting(Proto::Resp3, "", "pw"), said("*5 $5 HELLO $1 3 $4 AUTH $7 default $2 pw "));
    }
}
