//! Who the nodes are, and the words in which clients are told.
//!
//! Each core is a node with a port of its own. The port that serves everything is no node's; a client that asks there
//! sees one node more, itself, without slots: clients expect to find the node that they asked, some put the address that
//! they used in its place, and none sends a key to a node without slots.

use crate::protocol::resp::Reply;
use crate::routing::{SlotTable, point_of};
use crate::types::{CoreId, SLOTS, Slot};
use std::fmt::Write;

/// Where Redis's nodes gossip, beyond their port. Nothing listens there.
const BUS_PORT_OFFSET: u16 = 10_000;

/// What clients are to connect by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Ip,
    Hostname,
    /// The address that they have used so far, with the node's port.
    Unknown,
}

impl Endpoint {
    pub const ALL: [(&'static str, Endpoint); 3] =
        [("ip", Endpoint::Ip), ("hostname", Endpoint::Hostname), ("unknown-endpoint", Endpoint::Unknown)];

    pub fn parse(name: &str) -> Option<Endpoint> {
        Endpoint::ALL.iter().find(|(known, _)| *known == name).map(|(_, endpoint)| *endpoint)
    }

    pub fn name(self) -> &'static str {
        Endpoint::ALL.iter().find(|(_, endpoint)| *endpoint == self).expect("each has a name").0
    }
}

/// How the cores are announced; the same on all of them.
#[derive(Clone, Debug)]
pub struct Facade {
    /// Core 0 listens on this port, core 1 on the next.
    pub first_port: u16,
    /// The same ports as clients see them.
    pub announced_port: u16,
    /// The port that is no node's.
    pub front_port: u16,
    /// `None`: the address that a client has connected to.
    pub ip: Option<String>,
    /// For clients that came over a Unix socket.
    pub ip_otherwise: String,
    pub hostname: Option<String>,
    pub endpoint: Endpoint,
    /// Ids of nodes follow from it.
    pub seed: String,
}

impl Facade {
    /// The port that a core listens on as a node.
    pub fn listens(&self, core: CoreId) -> u16 {
        self.first_port + core.0
    }

    fn announces(&self, core: CoreId) -> u16 {
        self.announced_port + core.0
    }

    /// Forty hex digits, the same for the same seed.
    fn id(&self, of: &str) -> String {
        let points = (0..3).map(|part| point_of(format!("{part} {of} {}", self.seed).as_bytes()));
        let digits: String = points.map(|point| format!("{point:016x}")).collect();
        digits[..40].to_owned()
    }

    fn node_id(&self, core: CoreId) -> String {
        self.id(&format!("core-{}", core.0))
    }
}

/// The port of an address as a connection names it; 0 for that of a Unix socket.
pub fn port_of(local: &str) -> u16 {
    local.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(0)
}

/// The cluster as one client is to see it.
pub struct View<'a> {
    facade: &'a Facade,
    table: &'a SlotTable,
    /// The node that it asks; `None` on a port that is no node's.
    myself: Option<CoreId>,
    ip: &'a str,
}

impl<'a> View<'a> {
    /// `local` is this end of the client's connection.
    pub fn new(facade: &'a Facade, table: &'a SlotTable, myself: Option<CoreId>, local: &'a str) -> View<'a> {
        let host = local.rsplit_once(':').filter(|_| port_of(local) != 0).map(|(host, _)| host);
        let host = host.map(|host| host.trim_start_matches('[').trim_end_matches(']'));
        let ip = facade.ip.as_deref().or(host).unwrap_or(&facade.ip_otherwise);
        View { facade, table, myself, ip }
    }

    fn cores(&self) -> impl Iterator<Item = CoreId> {
        (0..self.table.cores() as u16).map(CoreId)
    }

    fn ranges_of(&self, core: CoreId) -> impl Iterator<Item = (Slot, Slot)> {
        self.table.ranges().filter(move |(owner, _, _)| *owner == core).map(|(_, first, last)| (first, last))
    }

    pub fn my_id(&self) -> String {
        self.myself.map_or_else(|| self.facade.id("front"), |core| self.facade.node_id(core))
    }

    pub fn my_shard_id(&self) -> String {
        let of = self.myself.map_or("front".to_owned(), |core| format!("core-{}", core.0));
        self.facade.id(&format!("shard of {of}"))
    }

    /// Whether an id is that of a node in this view.
    pub fn knows(&self, id: &[u8]) -> bool {
        self.my_id().as_bytes() == id || self.cores().any(|core| self.facade.node_id(core).as_bytes() == id)
    }

    /// CLUSTER INFO
    pub fn info(&self) -> String {
        let owners = self.table.counts().iter().filter(|slots| **slots > 0).count();
        let cores = self.table.cores();
        format!(
            "cluster_state:ok\r\ncluster_slots_assigned:{SLOTS}\r\ncluster_slots_ok:{SLOTS}\r\ncluster_slots_pfail:0\r\n\
             cluster_slots_fail:0\r\ncluster_known_nodes:{}\r\ncluster_size:{owners}\r\ncluster_current_epoch:{cores}\r\n\
             cluster_my_epoch:{}\r\ncluster_stats_messages_sent:0\r\ncluster_stats_messages_received:0\r\n\
             total_cluster_links_buffer_limit_exceeded:0\r\n",
            cores + usize::from(self.myself.is_none()),
            self.myself.map_or(0, epoch),
        )
    }

    /// CLUSTER NODES
    pub fn nodes(&self) -> String {
        let mut text = String::new();
        if self.myself.is_none() {
            self.node_line(&mut text, &self.my_id(), self.facade.front_port, "myself,master", 0);
            text.push('\n');
        }
        for core in self.cores() {
            let flags = if self.myself == Some(core) { "myself,master" } else { "master" };
            self.node_line(&mut text, &self.facade.node_id(core), self.facade.announces(core), flags, epoch(core));
            for (first, last) in self.ranges_of(core) {
                let written =
                    if first == last { write!(text, " {}", first.0) } else { write!(text, " {}-{}", first.0, last.0) };
                written.expect(TO_A_STRING);
            }
            text.push('\n');
        }
        text
    }

    fn node_line(&self, text: &mut String, id: &str, port: u16, flags: &str, epoch: u16) {
        let bus = port.checked_add(BUS_PORT_OFFSET).unwrap_or(0);
        write!(text, "{id} {}:{port}@{bus}", self.ip).expect(TO_A_STRING);
        if let Some(hostname) = &self.facade.hostname {
            write!(text, ",{hostname}").expect(TO_A_STRING);
        }
        write!(text, " {flags} - 0 0 {epoch} connected").expect(TO_A_STRING);
    }

    /// CLUSTER SLOTS
    pub fn slots(&self, reply: &mut Reply) {
        reply.array(self.table.ranges().count());
        for (owner, first, last) in self.table.ranges() {
            reply.array(3);
            reply.integer(i64::from(first.0));
            reply.integer(i64::from(last.0));
            reply.array(4);
            self.endpoint(reply);
            reply.integer(i64::from(self.facade.announces(owner)));
            reply.bulk(self.facade.node_id(owner).as_bytes());
            let hostname = self.facade.hostname.as_deref().filter(|_| self.facade.endpoint != Endpoint::Hostname);
            let ip = Some(self.ip).filter(|_| self.facade.endpoint != Endpoint::Ip);
            let more = [("ip", ip), ("hostname", hostname)];
            reply.map(more.iter().filter(|(_, value)| value.is_some()).count());
            for (name, value) in more.iter().filter_map(|(name, value)| value.map(|value| (name, value))) {
                text_field(reply, name, value);
            }
        }
    }

    fn endpoint(&self, reply: &mut Reply) {
        match (self.facade.endpoint, &self.facade.hostname) {
            (Endpoint::Ip, _) => reply.bulk(self.ip.as_bytes()),
            (Endpoint::Hostname, Some(hostname)) => reply.bulk(hostname.as_bytes()),
            // Redis's word for a name that it does not have.
            (Endpoint::Hostname, None) => reply.bulk(b"?"),
            (Endpoint::Unknown, _) => reply.null(),
        }
    }

    /// CLUSTER SHARDS
    pub fn shards(&self, reply: &mut Reply) {
        reply.array(self.table.cores());
        for core in self.cores() {
            let ranges: Vec<(Slot, Slot)> = self.ranges_of(core).collect();
            reply.map(2);
            reply.bulk(b"slots");
            reply.array(2 * ranges.len());
            for slot in ranges.into_iter().flat_map(|(first, last)| [first, last]) {
                reply.integer(i64::from(slot.0));
            }
            reply.bulk(b"nodes");
            reply.array(1);
            self.shard_node(core, reply);
        }
    }

    fn shard_node(&self, core: CoreId, reply: &mut Reply) {
        let facade = self.facade;
        reply.map(7 + usize::from(facade.hostname.is_some()));
        text_field(reply, "id", &facade.node_id(core));
        reply.bulk(b"port");
        reply.integer(i64::from(facade.announces(core)));
        text_field(reply, "ip", self.ip);
        let endpoint = match (facade.endpoint, &facade.hostname) {
            (Endpoint::Ip, _) => self.ip,
            (Endpoint::Hostname, Some(hostname)) => hostname,
            (Endpoint::Hostname, None) => "?",
            (Endpoint::Unknown, _) => "",
        };
        text_field(reply, "endpoint", endpoint);
        if let Some(hostname) = &facade.hostname {
            text_field(reply, "hostname", hostname);
        }
        text_field(reply, "role", "master");
        reply.bulk(b"replication-offset");
        reply.integer(0);
        text_field(reply, "health", "online");
    }
}

const TO_A_STRING: &str = "writing to a string succeeds";

/// Every node has one of its own, so that clients that look at them see no conflict.
fn epoch(core: CoreId) -> u16 {
    core.0 + 1
}

/// A name and its text.
fn text_field(reply: &mut Reply, name: &str, value: &str) {
    reply.bulk(name.as_bytes());
    reply.bulk(value.as_bytes());
}

#[cfg(test)]
#[path = "facade_tests.rs"]
mod tests;
