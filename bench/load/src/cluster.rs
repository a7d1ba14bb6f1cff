//! A cluster as its clients see it: which node has which slots, and so which keys a connection may ask for.

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::drive::connect;
use crate::error::{Error, Result};

const SLOTS: usize = 16_384;
/// A node that owns none of so many keys would be waited for too long, and a run without it would mean little.
const TRIES_MAX: u64 = 10_000;

/// A node and its slots.
pub struct Node {
    pub address: String,
    slots: Arc<[bool]>,
}

/// The keys of one node: a name's slot follows from its digits, since what stands before them is always the same.
#[derive(Clone)]
pub struct Share {
    slots: Arc<[bool]>,
    crc_of_prefix: u16,
    digits: usize,
}

impl Share {
    pub fn new(node: &Node, key_prefix: &str, digits: usize, key_count: u64) -> Result<Self> {
        let share = Self { slots: Arc::clone(&node.slots), crc_of_prefix: crc16(0, key_prefix.as_bytes()), digits };
        match (0..key_count.min(TRIES_MAX)).any(|key| share.has(key)) {
            true => Ok(share),
            false => Err(Error::NoKeys { address: node.address.clone() }),
        }
    }

    /// Whether a key is the node's.
    pub fn has(&self, key: u64) -> bool {
        let mut name = [b'0'; 20];
        let name = &mut name[..self.digits];
        let mut left = key;
        for digit in name.iter_mut().rev() {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
        }
        self.slots[usize::from(crc16(self.crc_of_prefix, name)) % SLOTS]
    }
}

/// Asks a server for the nodes that have slots.
pub fn nodes(address: &str) -> Result<Vec<Node>> {
    let mut stream = connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"*2\r\n$7\r\nCLUSTER\r\n$5\r\nNODES\r\n")?;
    let (mut reader, mut line) = (BufReader::new(stream), String::new());
    reader.read_line(&mut line)?;
    let bytes = line.trim_end().strip_prefix('$').and_then(|bytes| bytes.parse::<usize>().ok());
    let Some(bytes) = bytes.filter(|bytes| *bytes < 1 << 20) else { return Err(Error::NotAReply { line }) };
    let mut text = vec![0; bytes];
    reader.read_exact(&mut text)?;
    let nodes: Option<Vec<Option<Node>>> = String::from_utf8_lossy(&text).lines().map(node).collect();
    nodes.map(|nodes| nodes.into_iter().flatten().collect()).ok_or(Error::NotAReply { line: "CLUSTER NODES".into() })
}

/// `id host:port@bus[,name] flags master sent received epoch state slots...`. The inner `None` has no slots.
fn node(line: &str) -> Option<Option<Node>> {
    let mut fields = line.split(' ');
    let address = fields.nth(1)?.split('@').next()?.to_owned();
    let mut slots = vec![false; SLOTS];
    // Slots that move stand in brackets behind the others.
    for range in fields.skip(6).filter(|range| !range.starts_with('[')) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        slots.get_mut(first.parse::<usize>().ok()?..=last.parse().ok()?)?.fill(true);
    }
    Some(slots.contains(&true).then(|| Node { address, slots: slots.into() }))
}

/// CRC16/XMODEM of what gave `crc` so far, and these bytes behind it.
fn crc16(crc: u16, bytes: &[u8]) -> u16 {
    const TABLE: [u16; 256] = table();
    bytes.iter().fold(crc, |crc, byte| crc << 8 ^ TABLE[usize::from((crc >> 8) as u8 ^ byte)])
}

const fn table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < table.len() {
        let mut crc = (at as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves the checksum by its published check value and by a slot that redis-server gives.
    #[test]
    fn slots_are_those_of_redis() {
        assert_eq!(crc16(0, b"123456789"), 0x31C3);
        assert_eq!(usize::from(crc16(crc16(0, b"f"), b"oo")) % SLOTS, 12_182);
    }

    /// Proves that each key belongs to exactly one node, as nodes tell it, and that nodes without slots are left out.
    #[test]
    fn nodes_share_the_keys() {
        let nodes: Vec<Node> = [
            "a 127.0.0.1:6379@16379 myself,master - 0 0 0 connected",
            "b 127.0.0.1:6380@16380 master - 0 0 1 connected 0-8190 8192",
            "c 127.0.0.1:6381@16381,name master - 0 0 2 connected 8191 8193-16383 [5-<-b]",
        ]
        .into_iter()
        .filter_map(|line| node(line).expect("it is well formed"))
        .collect();
        let addresses: Vec<&str> = nodes.iter().map(|node| node.address.as_str()).collect();
        assert_eq!(addresses, ["127.0.0.1:6380", "127.0.0.1:6381"]);
        let shares: Vec<Share> =
            nodes.iter().map(|node| Share::new(node, "memtier-", 7, 1000).expect("it has keys")).collect();
        let of_first = (0..1000).filter(|key| shares[0].has(*key)).count();
        assert!((400..600).contains(&of_first), "{of_first}");
        assert!((0..1000).all(|key| shares[0].has(key) != shares[1].has(key)));
        assert!(node("a 127.0.0.1:6379@16379 master - 0 0 0 connected 16384").is_none());
        assert!(Share::new(&Node { address: String::new(), slots: vec![false; SLOTS].into() }, "k", 7, 9).is_err());
    }
}
