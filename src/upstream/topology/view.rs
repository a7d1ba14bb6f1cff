//! What one server says of its cluster, read off its reply to CLUSTER SHARDS or CLUSTER SLOTS.
//!
//! A server is named by a host or an IP address as the cluster prefers; no name, or an empty one, means the host that was
//! asked, and `?` that the cluster knows none, in which case its address serves. Ports for TLS alone are passed over.

use super::{Health, NODES_MAX, Node, TopologyError};
use crate::protocol::resp::Value;
use crate::types::SLOTS;
use std::collections::BTreeMap;

/// A cluster of the largest size whose slots alternate takes less.
const REPLY_BYTES_MAX: usize = 16 << 20;
/// A slot that is on its way may be told by two.
const SLOTS_MAX: usize = 2 * SLOTS;

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// From Redis 7.0 on; tells each server's health.
    Shards,
    /// The same, of the ports for TLS.
    SecureShards,
    Slots,
}

/// What one server said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub nodes: Vec<Seen>,
    /// First and last slot, and the place in `nodes` of who has them.
    pub ranges: Vec<(u16, u16, usize)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub host: String,
    pub port: u16,
    /// Empty where only one of the two is told.
    pub ip: String,
    pub health: Health,
    pub is_primary: bool,
    /// Places in [`View::nodes`].
    pub replicas: Vec<usize>,
}

impl Question {
    pub fn request(self) -> &'static [u8] {
        match self {
            Question::Shards | Question::SecureShards => b"*2\r\n$7\r\nCLUSTER\r\n$6\r\nSHARDS\r\n",
            Question::Slots => b"*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n",
        }
    }

    /// Reads the whole reply of a server that was reached as `asked`.
    pub fn read(self, reply: &[u8], asked: &str) -> Result<View, TopologyError> {
        if reply.len() > REPLY_BYTES_MAX {
            return Err(TopologyError::TooLong { bytes: reply.len(), bytes_max: REPLY_BYTES_MAX });
        }
        let value = match Value::parse(reply) {
            Ok(Some((value, _))) => value,
            Ok(None) => return Err(TopologyError::Missing { what: "the reply's end" }),
            Err(bad) => return Err(TopologyError::NotAReply { line: bad.0.chars().take(80).collect() }),
        };
        let port = if self == Question::SecureShards { "tls-port" } else { "port" };
        let mut reader = Reader { asked, port, view: View::default(), places: BTreeMap::new(), slots: 0 };
        match (&value, self) {
            (Value::Error(text), _) => return Err(TopologyError::Refused { text: text.chars().take(160).collect() }),
            (Value::List(shards), Question::Shards | Question::SecureShards) => {
                shards.iter().try_for_each(|shard| reader.shard(shard))?
            }
            (Value::List(ranges), Question::Slots) => ranges.iter().try_for_each(|range| reader.range(range))?,
            _ => return Err(TopologyError::Missing { what: "the list of slots" }),
        }
        if reader.view.ranges.is_empty() { Err(TopologyError::NoSlots) } else { Ok(reader.view) }
    }
}

impl Seen {
    pub(super) fn node(&self) -> Node {
        let (ip, health, is_primary) = (self.ip.clone(), self.health, self.is_primary);
        Node { ip, health, is_primary, ..Node::new(self.host.clone(), self.port) }
    }
}

struct Reader<'a> {
    asked: &'a str,
    /// What the port that is wanted is called; CLUSTER SLOTS tells of one alone, that of the connection's kind.
    port: &'static str,
    view: View,
    /// By host and port, the place in the view.
    places: BTreeMap<(String, u16), usize>,
    /// Slots told so far.
    slots: usize,
}

impl Reader<'_> {
    /// One shard of CLUSTER SHARDS: its slots as pairs, and its servers.
    fn shard(&mut self, shard: &Value) -> Result<(), TopologyError> {
        let slots = field(shard, "slots").ok_or(TopologyError::Missing { what: "a shard's slots" })?.list();
        let nodes = field(shard, "nodes").ok_or(TopologyError::Missing { what: "a shard's nodes" })?.list();
        let mut primary: Option<usize> = None;
        let mut replicas = Vec::new();
        for node in nodes {
            let is_primary = matches!(field(node, "role").and_then(text), Some("master" | "primary"));
            let health = match field(node, "health").and_then(text) {
                Some("online") | None => Health::Online,
                Some("loading") => Health::Loading,
                Some(_) => Health::Failing,
            };
            let port = field(node, self.port).and_then(Value::number);
            let ip = field(node, "ip").and_then(text).unwrap_or("");
            let Some(place) = self.server(field(node, "endpoint"), ip, port, health)? else { continue };
            // A primary that has failed stays in its shard beside the one that took its place.
            let health_of = |place: usize| self.view.nodes[place].health;
            match (is_primary, primary) {
                (false, _) => replicas.push(place),
                (true, Some(before)) if health_of(before) <= health => {}
                (true, _) => primary = Some(place),
            }
        }
        let Some(primary) = primary else { return Ok(()) };
        for pair in slots.chunks(2) {
            let [first, last] = pair else { return Err(TopologyError::Missing { what: "a range's last slot" }) };
            self.has(primary, first, last)?;
        }
        self.leads(primary, replicas);
        Ok(())
    }

    /// One range of CLUSTER SLOTS: its slots, its primary, its replicas.
    fn range(&mut self, range: &Value) -> Result<(), TopologyError> {
        let [first, last, primary, replicas @ ..] = range.list() else {
            return Err(TopologyError::Missing { what: "a range's primary" });
        };
        let Some(primary) = self.server_of_slots(primary)? else { return Ok(()) };
        let mut places = Vec::new();
        for replica in replicas {
            places.extend(self.server_of_slots(replica)?);
        }
        self.has(primary, first, last)?;
        self.leads(primary, places);
        Ok(())
    }

    /// A server as CLUSTER SLOTS tells of it: host, port, id, and what else it is known by.
    fn server_of_slots(&mut self, server: &Value) -> Result<Option<usize>, TopologyError> {
        let [host, port, more @ ..] = server.list() else {
            return Err(TopologyError::Missing { what: "a node's port" });
        };
        let ip = more.get(1).and_then(|known| field(known, "ip")).and_then(text).unwrap_or("");
        self.server(Some(host), ip, port.number(), Health::Online)
    }

    /// The place of a server in the view. `None`: it cannot be reached by what is told.
    fn server(
        &mut self,
        host: Option<&Value>,
        ip: &str,
        port: Option<i64>,
        health: Health,
    ) -> Result<Option<usize>, TopologyError> {
        let port = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
        let host = match host.and_then(text) {
            Some("?") => ip,
            None | Some("") => self.asked,
            Some(host) => host,
        };
        let host = host.trim_matches(['[', ']']);
        let (Some(port), false) = (port, host.is_empty()) else { return Ok(None) };
        let ip = if ip == host { "" } else { ip };
        if let Some(&place) = self.places.get(&(host.to_owned(), port)) {
            return Ok(Some(place));
        }
        let place = self.view.nodes.len();
        if place == NODES_MAX {
            return Err(TopologyError::TooManyNodes { nodes_max: NODES_MAX });
        }
        self.places.insert((host.to_owned(), port), place);
        let (host, ip) = (host.to_owned(), ip.to_owned());
        self.view.nodes.push(Seen { host, port, ip, health, is_primary: false, replicas: Vec::new() });
        Ok(Some(place))
    }

    fn has(&mut self, node: usize, first: &Value, last: &Value) -> Result<(), TopologyError> {
        let (Some(first), Some(last)) = (first.number(), last.number()) else {
            return Err(TopologyError::Missing { what: "a slot's number" });
        };
        let is_range = 0 <= first && first <= last && last < SLOTS as i64;
        if !is_range {
            return Err(TopologyError::SlotRange { first, last });
        }
        self.slots += (last - first) as usize + 1;
        if self.slots > SLOTS_MAX {
            return Err(TopologyError::TooManySlots { slots_max: SLOTS_MAX });
        }
        self.view.ranges.push((first as u16, last as u16, node));
        Ok(())
    }

    /// A server that has replicas, in one range or in many.
    fn leads(&mut self, primary: usize, replicas: Vec<usize>) {
        let node = &mut self.view.nodes[primary];
        node.is_primary = true;
        for replica in replicas {
            if replica != primary && !node.replicas.contains(&replica) {
                node.replicas.push(replica);
            }
        }
    }
}

/// What stands behind a name in a map, or in the list that it is in RESP2.
fn field<'a>(map: &'a Value, name: &str) -> Option<&'a Value> {
    map.list().chunks(2).find_map(|pair| match pair {
        [key, value] if text(key) == Some(name) => Some(value),
        _ => None,
    })
}

/// A text that is one; a host that is not UTF-8 is none.
fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => std::str::from_utf8(text).ok(),
        _ => None,
    }
}
