//! The names of one kind that connections of this core listen to.

use crate::types::{ConnId, KeyHash};
use hashbrown::HashTable;
use std::sync::Arc;

/// A name, and who listens to it.
pub struct Channel {
    pub name: Arc<[u8]>,
    pub hash: KeyHash,
    pub conns: Vec<ConnId>,
}

/// All of them, found by name. Hashes are those of keys, keyed per process.
#[derive(Default)]
pub struct Channels {
    table: HashTable<Channel>,
}

impl Channels {
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Channel> {
        self.table.iter()
    }

    pub fn get(&self, hash: KeyHash, name: &[u8]) -> Option<&Channel> {
        self.table.find(hash.0, |channel| *channel.name == *name)
    }

    /// Adds a connection that does not listen to this name yet; hands out the name as it is kept.
    pub fn join(&mut self, hash: KeyHash, name: &[u8], conn: ConnId) -> Arc<[u8]> {
        let entry = self.table.entry(hash.0, |channel| *channel.name == *name, |channel| channel.hash.0);
        let mut found = entry.or_insert_with(|| Channel { name: name.into(), hash, conns: Vec::new() });
        let channel = found.get_mut();
        channel.conns.push(conn);
        Arc::clone(&channel.name)
    }

    /// Takes a connection out; the name goes with its last listener.
    pub fn leave(&mut self, hash: KeyHash, name: &[u8], conn: ConnId) {
        let found = self.table.find_entry(hash.0, |channel| *channel.name == *name);
        let mut found = found.ok().expect("who leaves a channel had joined it");
        let conns = &mut found.get_mut().conns;
        let at = conns.iter().position(|known| *known == conn).expect("who leaves a channel is among its listeners");
        conns.swap_remove(at);
        if conns.is_empty() {
            found.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names with one hash stay apart, and a name without listeners is gone.
    #[test]
    fn names_come_and_go_with_their_listeners() {
        let conn = |index| ConnId { index, generation: 1 };
        let (hash, mut channels) = (KeyHash(7), Channels::default());
        for (name, index) in [(b"one", 1), (b"one", 2), (b"two", 1)] {
            assert_eq!(*channels.join(hash, name, conn(index)), *name);
        }
        assert_eq!(channels.get(hash, b"one").expect("it is there").conns, [conn(1), conn(2)]);
        assert_eq!((channels.len(), channels.iter().count()), (2, 2));
        channels.leave(hash, b"one", conn(1));
        assert_eq!(channels.get(hash, b"one").expect("it is there").conns, [conn(2)]);
        channels.leave(hash, b"one", conn(2));
        channels.leave(hash, b"two", conn(1));
        assert!(channels.is_empty() && channels.get(hash, b"one").is_none());
    }
}
