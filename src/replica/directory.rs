//! What an owner holds of its hot keys: the version that all cores share, and how copies of each are kept.

use super::Cell;
use crate::types::{KeyHash, Slot};
use hashbrown::HashTable;
use std::sync::Arc;

/// One hot key of this core.
#[derive(Debug)]
pub struct Row {
    pub key: Arc<[u8]>,
    pub slot: Slot,
    pub hash: KeyHash,
    pub cell: Arc<Cell>,
    /// Whether copies are given out.
    pub replicates: bool,
    /// Whether a fresh copy is sent to all cores whenever it has changed, instead of when they ask.
    pub pushes: bool,
    /// Bytes of a copy, as of the last one that was made for all.
    pub bytes: u64,
    /// Folds served for it.
    pub folds: u64,
}

/// The hot keys of one core.
#[derive(Debug, Default)]
pub struct Directory {
    table: HashTable<Row>,
}

impl Directory {
    pub fn iter(&self) -> impl Iterator<Item = &Row> {
        self.table.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Row> {
        self.table.iter_mut()
    }

    pub fn get(&mut self, hash: KeyHash) -> Option<&mut Row> {
        self.table.find_mut(hash.0, |row| row.hash == hash)
    }

    /// A key becomes hot.
    ///
    /// # Panics
    /// If one with the same hash is hot already: whoever decides asks first.
    pub fn insert(&mut self, row: Row) {
        assert!(self.get(row.hash).is_none(), "a key becomes hot once");
        self.table.insert_unique(row.hash.0, row, |row| row.hash.0);
    }

    /// A key is hot no more: no copy of it is current from here on.
    pub fn remove(&mut self, hash: KeyHash) -> Option<Row> {
        let (row, _) = self.table.find_entry(hash.0, |row| row.hash == hash).ok()?.remove();
        row.cell.retire();
        Some(row)
    }
}
