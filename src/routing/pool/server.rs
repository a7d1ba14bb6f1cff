//! A server as placement sees it: a name and a weight.

use super::distribution::Distribution;

/// Memcached's port, which is left out of a server's name.
const PORT_UNNAMED: u16 = 11_211;

/// One server of a pool. Where its keys lie follows from the name, so a server that moves and keeps its name keeps its
/// keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub name: String,
    pub weight: u32,
}

impl Server {
    /// The name that twemproxy and libmemcached give to a server that has none of its own: `host:port`, or the host alone
    /// at port 11211. An IPv6 address stands without brackets.
    pub fn name_of_tcp(host: &str, port: u16) -> String {
        if port == PORT_UNNAMED { host.to_owned() } else { format!("{host}:{port}") }
    }

    /// The same for a Unix socket. Twemproxy keeps the colon before the port that there is not (`conf_add_server` of
    /// `nc_conf.c`), libmemcached counts the port as 0.
    pub fn name_of_unix(path: &str, distribution: Distribution) -> String {
        let port = if distribution == Distribution::Consistent { "0" } else { "" };
        format!("{path}:{port}")
    }
}
