//! What `__data__` and a SET's value are: how long, and of which bytes.

use std::sync::Arc;

use super::keys::KeyRange;

/// Random values are windows into a pool that is longer than the longest value by so much.
const POOL_EXTRA_BYTES: usize = 64 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Size {
    Fixed(u32),
    /// `by_key`: sizes grow with the key's number instead of being drawn.
    Range {
        min: u32,
        max: u32,
        by_key: bool,
    },
    /// Sizes with their weights; each comes as many times in a row as its weight says.
    List(Vec<(u32, u32)>),
}

impl Size {
    fn max(&self) -> u32 {
        match self {
            Self::Fixed(bytes) => *bytes,
            Self::Range { max, .. } => *max,
            Self::List(list) => list.iter().map(|(bytes, _)| *bytes).max().unwrap_or(0),
        }
    }
}

/// One client's values. The bytes behind them are shared by all clients of a run.
#[derive(Clone)]
pub struct Values {
    size: Size,
    random: bool,
    first_key: u64,
    last_key: u64,
    pool: Arc<[u8]>,
    /// The entry of the list that is being used, and how many times it was.
    entry: usize,
    used: u32,
}

impl Values {
    pub fn new(size: Size, random: bool, keys: &KeyRange, seed: u64) -> Self {
        let longest = size.max() as usize;
        let mut pool = vec![b'x'; longest + if random { POOL_EXTRA_BYTES } else { 0 }];
        if random {
            fastrand::Rng::with_seed(seed).fill(&mut pool);
        }
        Self { size, random, first_key: keys.first, last_key: keys.last, pool: pool.into(), entry: 0, used: 0 }
    }

    /// The value, if all are the same.
    pub fn constant(&self) -> Option<&[u8]> {
        (!self.random && matches!(self.size, Size::Fixed(_))).then_some(&self.pool)
    }

    pub fn next(&mut self, key: u64, rng: &mut fastrand::Rng) -> &[u8] {
        let bytes = self.next_size(key, rng) as usize;
        let at = if self.random { rng.usize(..POOL_EXTRA_BYTES) } else { 0 };
        &self.pool[at..at + bytes]
    }

    fn next_size(&mut self, key: u64, rng: &mut fastrand::Rng) -> u32 {
        match &self.size {
            Size::Fixed(bytes) => *bytes,
            Size::Range { min, max, by_key: false } => rng.u32(*min..=*max),
            Size::Range { min, max, by_key: true } => {
                let (place, places) = (key.saturating_sub(self.first_key), self.last_key - self.first_key);
                let share = if places == 0 { 0.0 } else { place.min(places) as f64 / places as f64 };
                min + (f64::from(max - min) * share) as u32
            }
            Size::List(list) => {
                if self.used >= list[self.entry].1 {
                    (self.entry, self.used) = ((self.entry + 1) % list.len(), 0);
                }
                self.used += 1;
                list[self.entry].0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(size: Size, keys: &[u64]) -> Vec<usize> {
        let range = KeyRange { first: 0, last: 100, stddev: None, median: None, zipf_exponent: 1.0, hot_share: 0.0 };
        let (mut values, mut rng) = (Values::new(size, false, &range, 1), fastrand::Rng::with_seed(1));
        keys.iter().map(|key| values.next(*key, &mut rng).len()).collect()
    }

    /// Proves each way of choosing a size.
    #[test]
    fn sizes_are_what_was_asked_for() {
        assert_eq!(sizes(Size::Fixed(3), &[0, 9]), [3, 3]);
        assert_eq!(sizes(Size::Range { min: 10, max: 110, by_key: true }, &[0, 50, 100]), [10, 60, 110]);
        assert_eq!(sizes(Size::List(vec![(1, 2), (7, 1)]), &[0; 7]), [1, 1, 7, 1, 1, 7, 1]);
        let drawn = sizes(Size::Range { min: 2, max: 5, by_key: false }, &[0; 1_000]);
        for size in 2..=5 {
            assert!((200..300).contains(&drawn.iter().filter(|drawn| **drawn == size).count()));
        }
    }

    /// Proves that random data differs from one value to the next, and that only plain data of one size is constant.
    #[test]
    fn random_data_changes() {
        let range = KeyRange { first: 0, last: 1, stddev: None, median: None, zipf_exponent: 1.0, hot_share: 0.0 };
        let (mut values, mut rng) = (Values::new(Size::Fixed(16), true, &range, 1), fastrand::Rng::with_seed(1));
        let first = values.next(0, &mut rng).to_vec();
        assert_ne!(values.next(0, &mut rng), first);
        assert_eq!(values.constant(), None);
        assert_eq!(Values::new(Size::Fixed(2), false, &range, 1).constant(), Some(&b"xx"[..]));
    }
}
