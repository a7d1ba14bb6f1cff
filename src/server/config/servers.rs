//! Servers of an existing engine as a configuration writes them: `host:port`, `host:port:weight`, `[::1]:port`,
//! `unix:/path`, each with a name behind a blank if it is to be placed by that, as in twemproxy's files.

use std::fmt;
use std::net::Ipv6Addr;

use super::constraints::SOCKET_PATH_BYTES_MAX;
use super::kind::is_host;
use crate::routing::{self, Distribution, WEIGHT_MAX};

/// The longest name of a server.
const NAME_BYTES_MAX: usize = 253;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A name or an address of a machine, IPv6 without brackets, as it was written.
    Tcp {
        host: String,
        port: u16,
    },
    Unix(String),
}

/// One server of a pool, or a seed of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamServer {
    pub address: Address,
    pub weight: u32,
    /// What it is placed by in the place of its address.
    pub name: Option<String>,
}

impl UpstreamServer {
    /// `None`: not what [`ALLOWED`] says.
    pub fn parse(text: &str) -> Option<UpstreamServer> {
        let (place, name) = match text.split_once(' ') {
            Some((place, name)) => (place, Some(name.trim().to_owned())),
            None => (text, None),
        };
        if name.as_ref().is_some_and(|name| !is_name(name)) {
            return None;
        }
        if let Some(path) = place.strip_prefix("unix:").or(place.starts_with('/').then_some(place)) {
            let (path, weight) = match path.rsplit_once(':') {
                Some((path, weight)) if is_digits(weight) => (path, parse_weight(weight)?),
                _ => (path, 1),
            };
            let fits = path.starts_with('/') && path.len() <= SOCKET_PATH_BYTES_MAX && is_name(path);
            return fits.then(|| UpstreamServer { address: Address::Unix(path.to_owned()), weight, name });
        }
        let (host, rest) = match place.strip_prefix('[') {
            Some(inner) => inner.split_once("]:").filter(|(host, _)| host.parse::<Ipv6Addr>().is_ok())?,
            None => place.split_once(':').filter(|(host, _)| !host.is_empty() && is_host(host))?,
        };
        let (port, weight) = match rest.split_once(':') {
            Some((port, weight)) => (port, parse_weight(weight)?),
            None => (rest, 1),
        };
        let port = Some(port).filter(|port| is_digits(port))?.parse().ok().filter(|port| *port > 0)?;
        Some(UpstreamServer { address: Address::Tcp { host: host.to_owned(), port }, weight, name })
    }

    /// The server as placement takes it.
    pub fn placed(&self, distribution: Distribution) -> routing::Server {
        let name = self.name.clone().unwrap_or_else(|| match &self.address {
            Address::Tcp { host, port } => routing::Server::name_of_tcp(host, *port),
            Address::Unix(path) => routing::Server::name_of_unix(path, distribution),
        });
        routing::Server { name, weight: self.weight }
    }
}

/// What messages say of a list of servers.
pub const ALLOWED: &str = "servers such as 10.0.0.1:6379, cache.example:6379:2 with a weight from 1 to 1000, \
                           [::1]:6379 or unix:/run/redis.sock, each with a name behind a blank if it has one";

/// Where it is, as people read it: without weight and name.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

/// As it is read back.
impl fmt::Display for UpstreamServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        // A path may end like a weight.
        let is_like_weight = matches!(&self.address, Address::Unix(path) if path.contains(':'));
        if self.weight != 1 || is_like_weight {
            write!(f, ":{}", self.weight)?;
        }
        self.name.iter().try_for_each(|name| write!(f, " {name}"))
    }
}

/// The servers of a list: its items are kept apart by commas.
pub fn parse_list(text: &str) -> Option<Vec<UpstreamServer>> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(UpstreamServer::parse).collect::<Option<Vec<_>>>().filter(|servers| !servers.is_empty())
}

/// A list as [`parse_list`] reads it.
pub fn print_list(servers: &[UpstreamServer]) -> String {
    servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse_weight(text: &str) -> Option<u32> {
    Some(text).filter(|text| is_digits(text))?.parse().ok().filter(|weight| (1..=WEIGHT_MAX).contains(weight))
}

/// Whether a name can stand in a list and in a line of a log.
fn is_name(text: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != ',';
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> (String, u32, String) {
        let server = UpstreamServer::parse(text).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(UpstreamServer::parse(&server.to_string()).as_ref(), Some(&server), "{text}");
        (server.address.to_string(), server.weight, server.placed(Distribution::Ketama).name)
    }

    /// Each form, where it leads, what it weighs and what it is placed by.
    #[test]
    fn each_form() {
        for (text, address, weight, name) in [
            ("10.0.0.1:6379", "10.0.0.1:6379", 1, "10.0.0.1:6379"),
            ("cache.example:6379:2", "cache.example:6379", 2, "cache.example:6379"),
            ("10.0.0.1:11211:1000", "10.0.0.1:11211", 1000, "10.0.0.1"),
            ("[::1]:6379", "[::1]:6379", 1, "::1:6379"),
            ("[::1]:6379:3 six", "[::1]:6379", 3, "six"),
            ("unix:/run/a.sock", "unix:/run/a.sock", 1, "/run/a.sock:"),
            ("/run/a.sock:7", "unix:/run/a.sock", 7, "/run/a.sock:"),
            ("unix:/run/a:b", "unix:/run/a:b", 1, "/run/a:b:"),
            ("unix:/run/a:5:1", "unix:/run/a:5", 1, "/run/a:5:"),
            ("10.0.0.1:6379:1 first-server", "10.0.0.1:6379", 1, "first-server"),
        ] {
            assert_eq!(read(text), (address.to_owned(), weight, name.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_server() {
        for text in [
            "",
            "10.0.0.1",
            ":6379",
            "a:0",
            "a:65536",
            "a:+1",
            "a:1:0",
            "a:1:1001",
            "a:1:1:1",
            "a:",
            "::1:6379",
            "[::1]",
            "[::1]6379",
            "[a]:1",
            "a b:1",
            "a:1 ",
            "a:1 x,y",
            "unix:run",
            "unix:",
            "unix:/a:0",
            "a/b:1",
            "a:1:-1",
        ] {
            assert_eq!(UpstreamServer::parse(text), None, "{text}");
        }
        assert_eq!(UpstreamServer::parse(&format!("unix:/{}", "x".repeat(107))), None);
    }

    #[test]
    fn lists_by_commas() {
        let list = parse_list(" a:1, b:2:3 bee ,unix:/c,").expect("three servers");
        assert_eq!(print_list(&list), "a:1,b:2:3 bee,unix:/c");
        assert_eq!((parse_list(""), parse_list(","), parse_list("a:1,b")), (None, None, None));
    }

    proptest! {
        /// Whatever is read is printed as what reads back to it.
        #[test]
        fn reads_back(text in "(unix:/[a:0-9]{0,6}|\\[::[0-9a-f:]{0,4}\\]|[a-z.]{1,5})(:[0-9]{1,5}){0,3}( [a-z:]{1,3})?") {
            if let Some(server) = UpstreamServer::parse(&text) {
                prop_assert_eq!(UpstreamServer::parse(&server.to_string()), Some(server));
            }
        }
    }
}
