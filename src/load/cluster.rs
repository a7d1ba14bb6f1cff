//! Which node serves which slot: as CLUSTER SLOTS says at first, then as each MOVED corrects it.

use super::endpoint::Endpoint;
use crate::protocol::resp::Value;
use crate::types::{SLOTS, Slot};

/// More nodes than a cluster of one node a slot cannot have.
const NODES_MAX: usize = SLOTS;

#[derive(Clone, Debug)]
pub struct Nodes {
    nodes: Vec<Endpoint>,
    /// By slot, the place of its node in `nodes`.
    owners: Vec<u16>,
}

impl Nodes {
    /// A single server, which has all slots.
    pub fn single(endpoint: Endpoint) -> Self {
        Self { nodes: vec![endpoint], owners: vec![0; SLOTS] }
    }

    /// Reads the answer to CLUSTER SLOTS from a node that was reached at `asked`. `None`: it serves no slots.
    pub fn from_slots(answer: &Value, asked: &Endpoint) -> Option<Self> {
        let mut nodes = Self { nodes: Vec::new(), owners: vec![0; SLOTS] };
        for range in answer.list() {
            let [first, last, primary, ..] = range.list() else { continue };
            let (first, last) = (first.number()?, last.number()?);
            let [host, port, ..] = primary.list() else { continue };
            let node = nodes.node(host.text().as_deref().unwrap_or(""), u16::try_from(port.number()?).ok()?, asked)?;
            let slots = usize::try_from(first).ok()?..=usize::try_from(last).ok()?.min(SLOTS - 1);
            slots.for_each(|slot| nodes.owners[slot] = node);
        }
        (!nodes.nodes.is_empty()).then_some(nodes)
    }

    pub fn all(&self) -> &[Endpoint] {
        &self.nodes
    }

    #[inline]
    pub fn owner(&self, slot: Slot) -> usize {
        usize::from(self.owners[slot.index()])
    }

    /// Takes the news of an error such as `MOVED 3999 127.0.0.1:6381`, from the node `from`.
    pub fn moved(&mut self, error: &[u8], from: usize) {
        let Ok(error) = std::str::from_utf8(error) else { return };
        let mut words = error.split(' ').skip(1);
        let (Some(slot), Some(address)) = (words.next().and_then(|word| word.parse::<usize>().ok()), words.next())
        else {
            return;
        };
        let Some((host, port)) = address.rsplit_once(':') else { return };
        let (Ok(port), true) = (port.parse(), slot < SLOTS) else { return };
        let from = self.nodes[from].clone();
        if let Some(node) = self.node(host, port, &from) {
            self.owners[slot] = node;
        }
    }

    /// The node's place; a new one gets the next. A node that does not know its own host is where it was reached.
    fn node(&mut self, host: &str, port: u16, reached: &Endpoint) -> Option<u16> {
        let host = match (host, reached) {
            ("" | "?", Endpoint::Tcp(reached, _)) => reached,
            _ => host,
        };
        let endpoint = Endpoint::Tcp(host.trim_matches(['[', ']']).to_owned(), port);
        let place = self.nodes.iter().position(|node| *node == endpoint).unwrap_or(self.nodes.len());
        if place == NODES_MAX {
            return None;
        }
        if place == self.nodes.len() {
            self.nodes.push(endpoint);
        }
        Some(place as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached() -> Endpoint {
        Endpoint::Tcp("10.0.0.1".into(), 7000)
    }

    fn two_nodes() -> Nodes {
        let wire = b"*2\r\n*3\r\n:0\r\n:99\r\n*3\r\n$0\r\n\r\n:7000\r\n$1\r\na\r\n*4\r\n:100\r\n:16383\r\n\
            *3\r\n$3\r\n::1\r\n:7001\r\n$1\r\nb\r\n*3\r\n$1\r\nr\r\n:7009\r\n$1\r\nc\r\n";
        let (answer, _) = Value::parse(wire).expect("good").expect("whole");
        Nodes::from_slots(&answer, &reached()).expect("two nodes")
    }

    /// Proves the reading of CLUSTER SLOTS: primaries only, and an empty host is where the question went.
    #[test]
    fn slots_lie_where_the_server_says() {
        let nodes = two_nodes();
        assert_eq!(nodes.all(), [reached(), Endpoint::Tcp("::1".into(), 7001)]);
        assert_eq!([Slot(0), Slot(99), Slot(100), Slot(16383)].map(|slot| nodes.owner(slot)), [0, 0, 1, 1]);
        assert!(Nodes::from_slots(&Value::List(Vec::new()), &reached()).is_none());
    }

    /// Proves that MOVED corrects one slot, brings new nodes, and that nonsense changes nothing.
    #[test]
    fn moved_corrects_one_slot() {
        let mut nodes = two_nodes();
        nodes.moved(b"MOVED 5 10.0.0.9:7005", 0);
        assert_eq!((nodes.owner(Slot(5)), nodes.owner(Slot(6))), (2, 0));
        nodes.moved(b"MOVED 6 ::1:7001", 0);
        assert_eq!(nodes.owner(Slot(6)), 1);
        nodes.moved(b"MOVED 7 :7000", 0);
        assert_eq!(nodes.owner(Slot(7)), 0);
        for bad in [&b"MOVED"[..], b"MOVED x y", b"MOVED 99999 a:1", b"MOVED 1 a", b"MOVED 1 a:x", b"\xff"] {
            nodes.moved(bad, 0);
        }
        assert_eq!(nodes.all().len(), 3);
    }
}
