//! The cores as nodes of a cluster: which ports that takes, and what the engine is to know of it.

use std::net::IpAddr;

use super::settings::Config;
use crate::engine::Facade;

impl Config {
    /// The port of the first core's node. `None` where cores are not announced, or there is no such port.
    pub fn first_node_port(&self) -> Option<u16> {
        let port = match (self.cluster.first_port, self.network.port) {
            (0, 0) => None,
            (0, port) => port.checked_add(1),
            (port, _) => Some(port),
        };
        port.filter(|_| self.cluster.announce)
    }

    /// A port for each core, in their order; none where cores are not announced.
    pub fn node_ports(&self) -> Vec<u16> {
        let first = self.first_node_port().map(usize::from);
        let ports = first.into_iter().flat_map(|first| first..first + self.cores.cpus.len());
        ports.map_while(|port| u16::try_from(port).ok()).collect()
    }

    /// What the engine tells of the nodes.
    pub fn facade(&self) -> Option<Facade> {
        let first_port = self.first_node_port()?;
        let named: Vec<&IpAddr> = self.network.bind.iter().filter(|ip| !ip.is_unspecified()).collect();
        let ip_otherwise = named.first().map_or("127.0.0.1".to_owned(), ToString::to_string);
        let cluster = &self.cluster;
        let ip = cluster.announce_ip.clone();
        Some(Facade {
            first_port,
            announced_port: if cluster.announce_port == 0 { first_port } else { cluster.announce_port },
            front_port: self.network.port,
            seed: format!("{} {first_port}", ip.as_ref().unwrap_or(&ip_otherwise)),
            ip,
            ip_otherwise,
            hostname: cluster.announce_hostname.clone(),
            endpoint: cluster.preferred_endpoint,
        })
    }
}
