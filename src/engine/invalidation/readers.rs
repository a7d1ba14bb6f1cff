//! Which connections have read which keys of this core, for as long as they have not been told of a change.
//!
//! Who reads a key and is gone stays in its row until the key changes: to look for it would take every row. So a row has
//! a bound: for a key that never changes, those that are gone would add up.

use crate::types::KeyHash;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Readers of one key; one more, and those so far are told that it has changed.
const READERS_MAX: usize = 64 * 1024;

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

    /// Adds a reader. Answers whether the row is new, and the row that it took the place of, whose readers are told that
    /// the key has changed: a full one, or one of another key with the same hash, since changes are told by hash.
    pub fn remember(&mut self, hash: KeyHash, key: &[u8], reader: u128) -> (bool, Option<Row>) {
        let is_full = |row: &Row| row.readers.len() >= READERS_MAX && row.readers.binary_search(&reader).is_err();
        let displaced = match self.rows.get(&hash.0) {
            Some(row) if *row.key != *key || is_full(row) => self.remove(hash),
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

    /// A full row makes room for a new reader, not for one that it has.
    #[test]
    fn a_row_is_bounded() {
        let mut readers = Readers::default();
        (0..READERS_MAX as u128).for_each(|reader| assert!(readers.remember(KeyHash(1), b"a", reader).1.is_none()));
        assert!(readers.remember(KeyHash(1), b"a", 7).1.is_none());
        let (new, displaced) = readers.remember(KeyHash(1), b"a", READERS_MAX as u128);
        assert!(new);
        assert_eq!(displaced.expect("it was full").readers.len(), READERS_MAX);
        assert_eq!((readers.len(), readers.items()), (1, 1));
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
