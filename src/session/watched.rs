//! The keys that one connection watches.

use super::ROW_BYTES;
use crate::types::{KeyHash, Slot};
use std::collections::BTreeSet;

/// Keys that WATCH has named since the last EXEC, as their slots and hashes: their owners have the keys. Most connections
/// watch none, so it is one word.
#[derive(Debug, Default)]
pub struct Watched {
    keys: Option<Box<Keys>>,
}

#[derive(Debug, Default)]
struct Keys {
    rows: BTreeSet<(Slot, KeyHash)>,
    bytes: usize,
}

impl Watched {
    pub fn is_empty(&self) -> bool {
        self.keys.is_none()
    }

    /// Adds a key of so many bytes, which counts once.
    pub fn insert(&mut self, slot: Slot, hash: KeyHash, key_bytes: usize) {
        let keys = self.keys.get_or_insert_default();
        if keys.rows.insert((slot, hash)) {
            keys.bytes += ROW_BYTES + key_bytes;
        }
    }

    /// Their slots, in order and each once.
    pub fn slots(&self) -> Vec<Slot> {
        let mut slots: Vec<Slot> = self.keys.iter().flat_map(|keys| &keys.rows).map(|(slot, _)| *slot).collect();
        slots.dedup();
        slots
    }

    /// Bytes of all keys, here and at their owners.
    pub fn bytes(&self) -> usize {
        self.keys.as_ref().map_or(0, |keys| keys.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_counts_once() {
        let mut watched = Watched::default();
        assert!(watched.is_empty() && watched.slots().is_empty());
        for (slot, hash) in [(9, 1), (2, 3), (9, 2), (9, 1)] {
            watched.insert(Slot(slot), KeyHash(hash), 5);
        }
        assert_eq!(watched.slots(), [Slot(2), Slot(9)]);
        assert_eq!(watched.bytes(), 3 * (5 + ROW_BYTES));
    }
}
