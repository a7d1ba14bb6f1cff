//! Cache traces made from a seed: which key is asked for, request after request.

use std::str::FromStr;

use crate::keys::{Rng, Zipf, mix, scatter};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Zipf over all keys, and nothing else.
    Zipf,
    /// The same, interrupted by sequential scans of keys that nobody else asks for.
    Scan,
    /// Zipf over a window of the keys that moves on.
    Shift,
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "zipf" => Ok(Self::Zipf),
            "scan" => Ok(Self::Scan),
            "shift" => Ok(Self::Shift),
            _ => Err("expected zipf, scan or shift".to_owned()),
        }
    }
}

const EXPONENT: f64 = 0.99;
/// So many Zipf requests, then a scan of half as many keys: a third of the traffic is pollution.
const SCAN_EVERY: u64 = 50_000;
const SCAN_KEYS: u64 = 25_000;
/// The window is a tenth of the keys and moves by a tenth of itself, so a key stays wanted for ten moves.
const WINDOW_SHARE: u64 = 10;
const SHIFT_EVERY: u64 = 20_000;

pub struct Trace {
    shape: Shape,
    key_count: u64,
    rng: Rng,
    zipf: Zipf,
    at: u64,
    scanned: u64,
}

impl Trace {
    /// `key_count` is at least 100 and below 2^32 - 5.
    pub fn new(shape: Shape, key_count: u64, seed: u64) -> Self {
        let ranks = if shape == Shape::Shift { key_count / WINDOW_SHARE } else { key_count };
        Self { shape, key_count, rng: Rng::new(seed), zipf: Zipf::new(ranks, EXPONENT), at: 0, scanned: 0 }
    }

    pub fn next_key(&mut self) -> u64 {
        let at = self.at;
        self.at += 1;
        match self.shape {
            Shape::Zipf => self.popular(self.key_count),
            Shape::Scan if at % (SCAN_EVERY + SCAN_KEYS) >= SCAN_EVERY => {
                self.scanned += 1;
                // Beyond the popular keys, and round and round, as a nightly job reads a table.
                self.key_count + (self.scanned - 1) % self.key_count
            }
            Shape::Scan => self.popular(self.key_count),
            Shape::Shift => {
                let window = self.key_count / WINDOW_SHARE;
                let moved = at / SHIFT_EVERY * (window / 10);
                (self.popular(window) + moved) % self.key_count
            }
        }
    }

    fn popular(&mut self, count: u64) -> u64 {
        scatter(self.zipf.draw(&mut self.rng), count)
    }
}

/// A key's value always has the same length, between 32 and 512 bytes.
pub fn value_bytes(key: u64) -> usize {
    32 + (mix(key) % 481) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Proves that a seed is a trace, and that each shape is what its name says.
    #[test]
    fn shapes() {
        let draw = |shape, count: usize| {
            let mut trace = Trace::new(shape, 1_000_000, 3);
            (0..count).map(|_| trace.next_key()).collect::<Vec<_>>()
        };
        assert_eq!(draw(Shape::Zipf, 1_000), draw(Shape::Zipf, 1_000));
        assert!(draw(Shape::Zipf, 100_000).iter().all(|&key| key < 1_000_000));
        let scan = draw(Shape::Scan, 150_000);
        assert_eq!(scan.iter().filter(|&&key| key >= 1_000_000).count(), 50_000);
        assert_eq!(scan[50_000..50_003], [1_000_000, 1_000_001, 1_000_002]);
        let shift = draw(Shape::Shift, 420_000);
        let [early, late] = [&shift[..20_000], &shift[400_000..]].map(|part| part.iter().collect::<HashSet<_>>());
        assert_eq!(early.intersection(&late).count(), 0);
    }

    #[test]
    fn value_lengths_are_in_range() {
        let lengths: HashSet<usize> = (0..10_000).map(value_bytes).collect();
        assert_eq!((lengths.iter().min(), lengths.iter().max()), (Some(&32), Some(&512)));
    }
}
