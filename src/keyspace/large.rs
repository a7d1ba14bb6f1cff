//! Records too large for a slab page: key and value, each an allocation of its own.
//!
//! The value is shared by reference with replies on their way out, so that answering a GET of half a
//! gigabyte copies nothing; who edits it in place copies first if a reply still holds it.

use std::sync::Arc;

/// One large key and its value.
pub struct Record {
    pub key: Box<[u8]>,
    pub value: Arc<Vec<u8>>,
}

impl Record {
    pub fn bytes(&self) -> usize {
        self.key.len() + self.value.capacity() + RECORD_OVERHEAD_BYTES
    }
}

/// Row, reference counts and the allocator's rounding, roughly.
const RECORD_OVERHEAD_BYTES: usize = 96;

/// All large records of a shard; an item names one by its row.
#[derive(Default)]
pub struct Records {
    rows: Vec<Option<Record>>,
    vacant: Vec<u32>,
    used_bytes: usize,
}

impl Records {
    /// Bytes of all records, overhead included.
    pub fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    pub fn insert(&mut self, record: Record) -> u32 {
        self.used_bytes += record.bytes();
        if let Some(row) = self.vacant.pop() {
            self.rows[row as usize] = Some(record);
            return row;
        }
        self.rows.push(Some(record));
        u32::try_from(self.rows.len() - 1).expect("fewer large records than items, which 32 bits count")
    }

    pub fn get(&self, row: u32) -> &Record {
        self.rows[row as usize].as_ref().expect("an item points to a live record")
    }

    /// Edits a value in place (copying it first when a reply still shares it) and accounts its growth.
    pub fn edit(&mut self, row: u32, change: impl FnOnce(&mut Arc<Vec<u8>>)) {
        let record = self.rows[row as usize].as_mut().expect("an item points to a live record");
        self.used_bytes -= record.bytes();
        change(&mut record.value);
        self.used_bytes += record.bytes();
    }

    pub fn remove(&mut self, row: u32) -> Record {
        let record = self.rows[row as usize].take().expect("an item points to a live record");
        self.used_bytes -= record.bytes();
        self.vacant.push(row);
        record
    }
}
