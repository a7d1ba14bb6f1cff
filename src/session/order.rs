//! What keeps the requests of one connection on one hot key in order.
//!
//! A request may be answered from a copy here only if nothing that the connection asked of that key before is still on
//! its way to the key's owner: neither in a fold, nor in a letter sent before the key was hot here.

use crate::types::KeyHash;
use std::ops::Range;

/// See the module.
#[derive(Debug, Default)]
pub struct Order {
    /// Hot keys with unanswered requests, and how many. Seldom more than a few.
    pending: Vec<(KeyHash, u32)>,
    /// The same of reads that go a way of their own, each with the number of the last one.
    reads: Vec<(KeyHash, u32, u32)>,
    /// The latest installation of a hot key that this connection has taken note of.
    epoch: u64,
    /// Reply slots below this number were opened before it did.
    barrier: u32,
    /// The same of the last request that went its own way past copies.
    alone: u32,
}

impl Order {
    /// Whether no request on a hot key is unanswered.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.reads.is_empty()
    }

    /// Whether requests on this key are unanswered.
    #[inline]
    pub fn awaits(&self, hash: KeyHash) -> bool {
        self.pending.iter().any(|(known, _)| *known == hash)
    }

    pub fn asked(&mut self, hash: KeyHash) {
        match self.pending.iter_mut().find(|(known, _)| *known == hash) {
            Some((_, count)) => *count += 1,
            None => self.pending.push((hash, 1)),
        }
    }

    pub fn answered(&mut self, hash: KeyHash) {
        let row = self.pending.iter().position(|(known, _)| *known == hash);
        let row = row.expect("what is answered was asked");
        self.pending[row].1 -= 1;
        if self.pending[row].1 == 0 {
            self.pending.swap_remove(row);
        }
    }

    /// The number of the last read on this key that goes a way of its own, if any is unanswered.
    #[inline]
    pub fn last_read(&self, hash: KeyHash) -> Option<u32> {
        self.reads.iter().find(|(known, ..)| *known == hash).map(|(_, _, last)| *last)
    }

    pub fn asked_read(&mut self, hash: KeyHash, number: u32) {
        match self.reads.iter_mut().find(|(known, ..)| *known == hash) {
            Some((_, count, last)) => (*count, *last) = (*count + 1, number),
            None => self.reads.push((hash, 1, number)),
        }
    }

    pub fn read_answered(&mut self, hash: KeyHash) {
        let row = self.reads.iter().position(|(known, ..)| *known == hash);
        let row = row.expect("what is answered was asked");
        self.reads[row].1 -= 1;
        if self.reads[row].1 == 0 {
            self.reads.swap_remove(row);
        }
    }

    /// No copy answers until the reply slots before `next` have left.
    pub fn hold(&mut self, next: u32) {
        self.barrier = next;
    }

    /// The same behind a request that goes its own way.
    pub fn hold_behind_alone(&mut self, next: u32) {
        (self.barrier, self.alone) = (next, next);
    }

    /// Whether that request is unanswered.
    pub fn awaits_alone(&self, open: Range<u32>) -> bool {
        (open.start.wrapping_sub(self.alone) as i32) < 0
    }

    /// Whether every letter sent before hot key number `epoch` was installed has been answered. `open` are the numbers of
    /// the reply slots that are open, which wrap.
    #[inline]
    pub fn is_past(&mut self, epoch: u64, open: Range<u32>) -> bool {
        if self.epoch < epoch {
            (self.epoch, self.barrier) = (epoch, open.end);
        }
        let past = open.start.wrapping_sub(self.barrier) as i32 >= 0;
        if past {
            // Kept close, so that the numbers never wrap around them.
            (self.barrier, self.alone) = (open.start, open.start);
        }
        past
    }
}
