//! CLUSTER SHARDS and SLOTS, as one node sees its cluster.

use super::fleet::Fleet;
use coldplate::types::SLOTS;

impl Fleet {
    /// Ranges of slots: first, last, shard.
    fn ranges(&self, node: usize) -> Vec<(usize, usize, usize)> {
        let mut ranges: Vec<(usize, usize, usize)> = Vec::new();
        for slot in 0..SLOTS {
            let shard = self.believed_owner(node, slot);
            match ranges.last_mut() {
                Some((_, last, of)) if *of == shard => *last = slot,
                _ => ranges.push((slot, slot, shard)),
            }
        }
        ranges
    }

    pub fn shards_reply(&self, node: usize) -> Vec<u8> {
        let ranges = self.ranges(node);
        let mut reply = format!("*{}\r\n", self.shards.len());
        for (shard, of) in self.shards.iter().enumerate() {
            let own: Vec<_> = ranges.iter().filter(|(.., owner)| *owner == shard).collect();
            reply += &format!("*4\r\n$5\r\nslots\r\n*{}\r\n", 2 * own.len());
            own.iter().for_each(|(first, last, _)| reply += &format!(":{first}\r\n:{last}\r\n"));
            reply += &format!("$5\r\nnodes\r\n*{}\r\n", of.members.len());
            for member in &of.members {
                let (host, port) = self.nodes[*member].address.split_once(':').expect("host and port");
                let leads = self.believed_primary(node, shard) == *member;
                let role = if leads { "master" } else { "replica" };
                let health = match &self.nodes[*member] {
                    there if !there.up => "fail",
                    there if there.loading => "loading",
                    _ => "online",
                };
                reply += "*14\r\n";
                let texts = [("id", "x"), ("ip", host), ("endpoint", host), ("role", role), ("health", health)];
                for (name, value) in texts {
                    reply += &format!("${}\r\n{name}\r\n${}\r\n{value}\r\n", name.len(), value.len());
                }
                reply += &format!("$4\r\nport\r\n:{port}\r\n$18\r\nreplication-offset\r\n:1\r\n");
            }
        }
        reply.into_bytes()
    }

    pub fn slots_reply(&self, node: usize) -> Vec<u8> {
        let ranges = self.ranges(node);
        let mut reply = format!("*{}\r\n", ranges.len());
        for (first, last, shard) in ranges {
            let primary = self.believed_primary(node, shard);
            let others = self.shards[shard].members.iter().copied();
            let others: Vec<usize> = others.filter(|member| *member != primary && self.nodes[*member].up).collect();
            reply += &format!("*{}\r\n:{first}\r\n:{last}\r\n", 3 + others.len());
            for member in [primary].into_iter().chain(others) {
                let (host, port) = self.nodes[member].address.split_once(':').expect("host and port");
                reply += &format!("*3\r\n${}\r\n{host}\r\n:{port}\r\n$1\r\nx\r\n", host.len());
            }
        }
        reply.into_bytes()
    }
}
