//! The keys that a core counts one by one: those that the sketch found heaviest, a bounded number of them.
//!
//! A key among them is counted here alone (as the filter of Augmented Sketch, Roy and others, SIGMOD 2016): no collision
//! can touch it, its reads, writes and bytes are known apart, and the hottest keys cost the least to count.

use super::rates::{Access, Rates};
use super::sketch::Seen;
use crate::types::{KeyHash, Slot};
use hashbrown::HashTable;

/// Where rates are samples and not counts, a key is believed from so many samples in a window on. Of a million keys that
/// are all the same, hardly one in 1,000 windows gets as many. Asking for more would hide keys that many cores ingest a
/// little of each; promotion asks for more anyway, as 0.2 % of a load that is sampled 8,192 times are 16 samples.
const SAMPLES_MIN: u32 = 4;

/// A key is much hotter than in the window before when it has so many times its operations.
const LOUDER: u64 = 4;

/// What an operation does, as far as heat is concerned.
#[derive(Clone, Copy)]
pub(super) struct Operation {
    pub access: Access,
    pub bytes: u64,
}

pub(super) struct Candidate {
    /// Kept as a vector, so that the next tenant of the place uses its memory again.
    pub key: Vec<u8>,
    pub slot: Slot,
    pub hash: KeyHash,
    mixed: u64,
    reads: u64,
    writes: u64,
    bytes: u64,
    samples: u32,
    /// Its operations in the window before.
    ops_before: u64,
    /// Once reported a key goes on being reported, so that the owner sees it cool and not only fall silent.
    pub reported: bool,
    /// Whether `rates` hold a window already.
    measured: bool,
    /// Averaged over the windows since it came, the latest counting half.
    pub rates: Rates,
}

impl Candidate {
    /// Whether this window's counts are more than luck.
    pub fn is_believed(&self, exact: bool) -> bool {
        exact || self.reported || self.samples >= SAMPLES_MIN
    }

    /// Closes the window: its counts as rates, given how many seconds it had and what CPU time an operation's worth is.
    pub fn close(&mut self, seconds: f64, cpu_us: impl Fn(f64, f64) -> f64) -> Rates {
        let (reads, writes, bytes) = (self.reads as f64, self.writes as f64, self.bytes as f64);
        let rates = Rates { reads, writes, bytes, cpu_us: cpu_us(reads + writes, bytes) }.times(1.0 / seconds);
        self.rates = if self.measured { self.rates.averaged(rates) } else { rates };
        self.measured = true;
        self.ops_before = self.reads + self.writes;
        (self.reads, self.writes, self.bytes, self.samples) = (0, 0, 0, 0);
        rates
    }

    fn add(&mut self, operation: Operation, ops: u32, samples: u32) {
        match operation.access {
            Access::Read => self.reads += u64::from(ops),
            Access::Write => self.writes += u64::from(ops),
        }
        self.bytes = self.bytes.saturating_add(operation.bytes.saturating_mul(u64::from(ops)));
        self.samples = self.samples.saturating_add(samples);
    }
}

pub(super) struct Candidates {
    rows: Vec<Candidate>,
    /// Of each row: its operations, those of past windows halved for each window since. Apart, to be searched quickly.
    scores: Vec<u32>,
    /// No score is below this, once all rows are taken.
    score_floor: u32,
    loudest: u32,
    index: HashTable<u16>,
    rows_max: usize,
}

impl Candidates {
    pub(super) fn new(rows_max: usize) -> Candidates {
        let rows_max = rows_max.clamp(1, usize::from(u16::MAX));
        Candidates {
            rows: Vec::with_capacity(rows_max),
            scores: Vec::with_capacity(rows_max),
            score_floor: 0,
            loudest: 0,
            index: HashTable::with_capacity(rows_max),
            rows_max,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.rows.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Candidate> {
        self.rows.iter_mut()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let keys: usize = self.rows.iter().map(|row| row.key.capacity()).sum();
        let rows = self.rows.capacity() * (size_of::<Candidate>() + size_of::<u32>());
        keys + rows + self.index.allocation_size()
    }

    /// Counts a sample of a key that is a candidate; false when it is none.
    #[inline]
    pub(super) fn add(&mut self, mixed: u64, hash: KeyHash, operation: Operation, weight: u32) -> bool {
        let Some(row) = self.index.find(mixed, |row| self.rows[usize::from(*row)].hash == hash) else { return false };
        let row = usize::from(*row);
        let candidate = &mut self.rows[row];
        candidate.add(operation, weight, 1);
        let ops = candidate.reads + candidate.writes;
        if ops > LOUDER * candidate.ops_before {
            self.loudest = self.loudest.max(ops as u32);
        }
        self.scores[row] = self.scores[row].saturating_add(weight);
        true
    }

    /// The operations of this window of the hottest that is much hotter than in the window before.
    pub(super) fn loudest(&self) -> u32 {
        self.loudest
    }

    /// Whether a key with that score would get in.
    #[inline]
    pub(super) fn admits(&mut self, score: u32) -> bool {
        if self.rows.len() < self.rows_max {
            return score > 0;
        }
        if score <= self.score_floor {
            return false;
        }
        self.score_floor = self.scores.iter().copied().min().unwrap_or(0);
        score > self.score_floor
    }

    /// Takes in a key that [`admits`](Self::admits) let pass. The operations seen of it in this window are taken to be
    /// like the one at hand. Whoever had to leave for it is returned.
    pub(super) fn admit(
        &mut self,
        (mixed, key, slot, hash): (u64, &[u8], Slot, KeyHash),
        operation: Operation,
        seen: Seen,
        weight: u32,
    ) -> Option<(u64, Seen)> {
        let (row, left) = if self.rows.len() < self.rows_max { (self.append(), None) } else { self.displace() };
        let candidate = &mut self.rows[row];
        candidate.key.clear();
        candidate.key.extend_from_slice(key);
        (candidate.slot, candidate.hash, candidate.mixed) = (slot, hash, mixed);
        candidate.add(operation, seen.fresh_ops, seen.fresh_ops / weight.max(1));
        self.scores[row] = seen.ops;
        let rows = &self.rows;
        self.index.insert_unique(mixed, row as u16, |row| rows[usize::from(*row)].mixed);
        left
    }

    /// Ends a window: what was counted is worth half from now on, and keys with nothing left go.
    pub(super) fn halve(&mut self) {
        self.loudest = 0;
        let mut row = 0;
        while row < self.rows.len() {
            self.scores[row] >>= 1;
            if self.scores[row] == 0 {
                self.rows.swap_remove(row);
                self.scores.swap_remove(row);
            } else {
                row += 1;
            }
        }
        self.score_floor = 0;
        self.index.clear();
        let rows = &self.rows;
        for (row, candidate) in rows.iter().enumerate() {
            self.index.insert_unique(candidate.mixed, row as u16, |row| rows[usize::from(*row)].mixed);
        }
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.loudest = 0;
        self.scores.clear();
        self.index.clear();
        self.score_floor = 0;
    }

    fn append(&mut self) -> usize {
        self.rows.push(Candidate::empty(Vec::new()));
        self.scores.push(0);
        self.rows.len() - 1
    }

    /// Empties the row with the smallest score.
    fn displace(&mut self) -> (usize, Option<(u64, Seen)>) {
        let row = (0..self.rows.len()).min_by_key(|row| self.scores[*row]).expect("there is at least one row");
        let old = &mut self.rows[row];
        let fresh_ops = u32::try_from(old.reads + old.writes).unwrap_or(u32::MAX);
        let left = (old.mixed, Seen { ops: self.scores[row], fresh_ops });
        if let Ok(entry) = self.index.find_entry(old.mixed, |other| usize::from(*other) == row) {
            entry.remove();
        }
        *old = Candidate::empty(std::mem::take(&mut old.key));
        (row, Some(left))
    }
}

impl Candidate {
    fn empty(key: Vec<u8>) -> Candidate {
        Candidate {
            key,
            slot: Slot(0),
            hash: KeyHash(0),
            mixed: 0,
            reads: 0,
            writes: 0,
            bytes: 0,
            samples: 0,
            ops_before: 0,
            reported: false,
            measured: false,
            rates: Rates::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Operation = Operation { access: Access::Read, bytes: 10 };

    fn admit(candidates: &mut Candidates, key: u64, ops: u32) -> Option<(u64, Seen)> {
        let seen = Seen { ops, fresh_ops: ops };
        candidates.admit((key, &key.to_le_bytes(), Slot(0), KeyHash(key)), READ, seen, 1)
    }

    /// The table stays at its bound: a heavier newcomer displaces the lightest, a lighter one is not admitted.
    #[test]
    fn only_the_heavier_get_in() {
        let mut candidates = Candidates::new(2);
        assert_eq!(admit(&mut candidates, 1, 5), None);
        assert_eq!(admit(&mut candidates, 2, 3), None);
        assert!(!candidates.admits(3) && candidates.admits(4));
        assert_eq!(admit(&mut candidates, 3, 4), Some((2, Seen { ops: 3, fresh_ops: 3 })));
        assert!(!candidates.add(2, KeyHash(2), READ, 1));
        assert!(candidates.add(3, KeyHash(3), READ, 1) && candidates.add(1, KeyHash(1), READ, 1));
        assert_eq!(candidates.iter().count(), 2);
    }

    /// Scores halve until a candidate has nothing left and goes; the others are still found.
    #[test]
    fn candidates_fade() {
        let mut candidates = Candidates::new(8);
        for (key, ops) in [(1, 1), (2, 8), (3, 2)] {
            admit(&mut candidates, key, ops);
        }
        for (left, found) in [(2, [false, true, true]), (1, [false, true, false])] {
            candidates.halve();
            assert_eq!(candidates.iter().count(), left);
            assert_eq!([1, 2, 3].map(|key| candidates.add(key, KeyHash(key), READ, 0)), found);
        }
        candidates.halve();
        candidates.halve();
        assert!(candidates.is_empty());
    }
}
