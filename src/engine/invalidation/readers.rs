//! Which connections have read which keys of this core, for as long as they have not been told of a change.
//!
//! Who reads a key and is gone stays in its row until the key changes: to look for it would take every row.

use crate::types::KeyHash;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The readers of one key.
#[derive(Debug)]
pub struct Row {
    pub key: Arc<[u8]>,
    /// In order, so that a key that very many read is still searched fast.
    pub readers: Vec<u128>,
}

/// All keys of this core that somebody has read, by their hashes.
#[derive(Debug, Default)]
pub struct Readers {
    rows: BTreeMap<u64, Row>,
    items: usize,
}

impl Readers {
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Readers of all rows.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Adds a reader. Answers whether the row is new, and the row that it took the place of: another key with the same
    /// hash, whose readers are told that it has changed, since changes are told by hash.
    pub fn remember(&mut self, hash: KeyHash, key: &[u8], reader: u128) -> (bool, Option<Row>) {
        let displaced = match self.rows.get(&hash.0) {
            Some(row) if *row.key != *key => self.remove(hash),
            _ => None,
        };
        let mut new = false;
        let row = self.rows.entry(hash.0).or_insert_with(|| {
            new = true;
            Row { key: key.into(), readers: Vec::new() }
        });
        if let Err(at) = row.readers.binary_search(&reader) {
            row.readers.insert(at, reader);
            self.items += 1;
        }
        (new, displaced)
    }

    /// Takes a key's row out.
    pub fn remove(&mut self, hash: KeyHash) -> Option<Row> {
        let row = self.rows.remove(&hash.0)?;
        self.items -= row.readers.len();
        Some(row)
    }

    /// Takes a row out that the dice choose: the first from there on, hashes being uniform.
    pub fn remove_any(&mut self, dice: u64) -> Option<(KeyHash, Row)> {
        let (hash, _) = self.rows.range(dice..).next().or_else(|| self.rows.first_key_value())?;
        let hash = KeyHash(*hash);
        self.remove(hash).map(|row| (hash, row))
    }

    pub fn clear(&mut self) {
        *self = Readers::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_are_counted_once() {
        let mut readers = Readers::default();
        assert!(readers.remember(KeyHash(1), b"a", 7).0);
        assert!(!readers.remember(KeyHash(1), b"a", 7).0);
        assert!(!readers.remember(KeyHash(1), b"a", 3).0);
        assert!(readers.remember(KeyHash(2), b"b", 7).0);
        assert_eq!((readers.len(), readers.items()), (2, 3));
        assert_eq!(readers.remove(KeyHash(1)).expect("it was read").readers, [3, 7]);
        assert!(readers.remove(KeyHash(1)).is_none());
        let (hash, row) = readers.remove_any(9).expect("one is left");
        assert_eq!((hash, &*row.key, readers.items()), (KeyHash(2), &b"b"[..], 0));
        assert!(readers.remove_any(9).is_none());
    }

    /// Two keys with one hash: the later takes the row, and the readers of the earlier are handed out.
    #[test]
    fn keys_with_one_hash_take_turns() {
        let mut readers = Readers::default();
        readers.remember(KeyHash(1), b"a", 7);
        let (new, displaced) = readers.remember(KeyHash(1), b"b", 8);
        assert!(new);
        assert_eq!(displaced.expect("it had the place").readers, [7]);
        assert_eq!((readers.len(), readers.items()), (1, 1));
    }
}
