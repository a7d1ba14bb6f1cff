//! Which keys are worth a candidate's place: a count for each of some thousand fingerprints, wherever noise leaves one.
//!
//! The counting with exponential decay of HeavyKeeper (Gong and others, USENIX ATC 2018): a stranger who meets an
//! occupied entry wears it down with a probability that falls exponentially with its count, so that heavy keys stay and
//! light ones make room. Laid out as HeavyGuardian (Yang and others, KDD 2018) does: a key has one set, of one cache
//! line, and only the lightest entry of the set is worn. Counts are of operations and, fingerprints aside, never too high.

use super::gap::Dice;

/// Twelve bytes each: as many as a cache line holds.
const ENTRIES_A_SET: usize = 5;
const SETS_MAX: usize = 1 << 16;
/// The paper's base: an entry of `n` samples is worn with probability `BASE` to the power of `-n`.
const DECAY_BASE: f64 = 1.08;
/// An entry of so many samples is never worn: the odds would be below 1 to 2^27.
const DECAY_STEPS: usize = 256;

#[derive(Clone, Copy, Default)]
struct Entry {
    fingerprint: u32,
    /// Operations, those of past windows halved for each window since; 0 is a free entry.
    ops: u32,
    /// Operations of this window alone.
    fresh_ops: u32,
}

#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Set([Entry; ENTRIES_A_SET]);

/// What the sketch knows of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub ops: u32,
    pub fresh_ops: u32,
}

pub(super) struct Sketch {
    sets: Vec<Set>,
    /// For a count of samples, below which of 32 random bits an entry is worn.
    odds: Vec<u32>,
}

#[inline]
fn fingerprint_of(mixed: u64) -> u32 {
    (mixed >> 32) as u32
}

impl Sketch {
    /// A sketch with about an entry for every second sample of a window, within [`SETS_MAX`]. Twice as many found no more
    /// of the hottest keys: what gives way is noise.
    pub(super) fn new(samples_per_window: u32) -> Sketch {
        let sets = (samples_per_window as usize / ENTRIES_A_SET / 2).next_power_of_two().clamp(64, SETS_MAX);
        let odds = (0..DECAY_STEPS).map(|samples| (DECAY_BASE.powi(-(samples as i32)) * f64::from(u32::MAX)) as u32);
        Sketch { sets: vec![Set::default(); sets], odds: odds.collect() }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.sets.len() * size_of::<Set>() + self.odds.len() * size_of::<u32>()
    }

    /// Counts one sample that stands for `weight` operations.
    #[inline]
    pub(super) fn add(&mut self, mixed: u64, weight: u32, dice: &mut Dice) -> Seen {
        let fingerprint = fingerprint_of(mixed);
        let set = self.set(mixed);
        let mut lightest = 0;
        for at in 0..ENTRIES_A_SET {
            let entry = &mut set[at];
            if entry.fingerprint == fingerprint && entry.ops > 0 {
                entry.ops = entry.ops.saturating_add(weight);
                entry.fresh_ops = entry.fresh_ops.saturating_add(weight);
                return Seen { ops: entry.ops, fresh_ops: entry.fresh_ops };
            }
            if set[at].ops < set[lightest].ops {
                lightest = at;
            }
        }
        let left_ops = set[lightest].ops;
        let odds = self.odds.get((left_ops / weight) as usize).copied().unwrap_or(0);
        if left_ops > 0 && dice.roll() > odds {
            return Seen::default();
        }
        let entry = &mut self.set(mixed)[lightest];
        entry.ops = entry.ops.saturating_sub(weight);
        entry.fresh_ops = entry.fresh_ops.min(entry.ops);
        if entry.ops > 0 {
            return Seen::default();
        }
        *entry = Entry { fingerprint, ops: weight, fresh_ops: weight };
        Seen { ops: weight, fresh_ops: weight }
    }

    /// Takes over the count of a key that was counted elsewhere, if it outweighs the lightest of its set.
    pub(super) fn put(&mut self, mixed: u64, seen: Seen) {
        let set = self.set(mixed);
        if let Some(entry) = set.iter_mut().min_by_key(|entry| entry.ops)
            && seen.ops > entry.ops
        {
            *entry = Entry { fingerprint: fingerprint_of(mixed), ops: seen.ops, fresh_ops: seen.fresh_ops };
        }
    }

    /// Frees the entry of a key that is counted elsewhere from now on.
    pub(super) fn take(&mut self, mixed: u64) {
        let fingerprint = fingerprint_of(mixed);
        if let Some(entry) = self.set(mixed).iter_mut().find(|entry| entry.fingerprint == fingerprint) {
            *entry = Entry::default();
        }
    }

    /// Ends a window: what was counted is worth half from now on.
    pub(super) fn halve(&mut self) {
        for entry in self.sets.iter_mut().flat_map(|set| &mut set.0) {
            entry.ops >>= 1;
            entry.fresh_ops = 0;
        }
    }

    pub(super) fn clear(&mut self) {
        self.sets.fill(Set::default());
    }

    #[inline]
    fn set(&mut self, mixed: u64) -> &mut [Entry; ENTRIES_A_SET] {
        let at = mixed as usize & (self.sets.len() - 1);
        &mut self.sets[at].0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed(key: u64) -> u64 {
        let mut dice = Dice::new(key);
        u64::from(dice.roll()) << 32 | u64::from(dice.roll())
    }

    /// One key of a hundred operations among ten thousand keys of one each is counted, nearly whole and never above.
    #[test]
    fn a_heavy_key_stands_out_of_noise() {
        let (mut sketch, mut dice) = (Sketch::new(1000), Dice::new(1));
        let heavy = mixed(1 << 40);
        let mut seen = Seen::default();
        for op in 0..10_000 {
            sketch.add(mixed(op), 1, &mut dice);
            if op % 100 == 99 {
                seen = sketch.add(heavy, 1, &mut dice);
            }
        }
        assert!((80..=100).contains(&seen.ops), "{seen:?}");
    }

    /// A count halves with each window and is forgotten; what is fresh goes at once.
    #[test]
    fn counts_decay() {
        let (mut sketch, mut dice) = (Sketch::new(1000), Dice::new(1));
        for _ in 0..64 {
            sketch.add(7 << 32, 1, &mut dice);
        }
        for left in [32, 16, 8] {
            sketch.halve();
            let seen = sketch.add(7 << 32, 0, &mut dice);
            assert_eq!(seen, Seen { ops: left, fresh_ops: 0 });
        }
    }

    /// A key that becomes a candidate leaves the sketch, and finds its count again when it comes back.
    #[test]
    fn counts_are_handed_over() {
        let (mut sketch, mut dice) = (Sketch::new(1000), Dice::new(1));
        sketch.add(7 << 32, 5, &mut dice);
        sketch.take(7 << 32);
        assert_eq!(sketch.add(7 << 32, 5, &mut dice), Seen { ops: 5, fresh_ops: 5 });
        sketch.put(9 << 32, Seen { ops: 50, fresh_ops: 20 });
        assert_eq!(sketch.add(9 << 32, 5, &mut dice), Seen { ops: 55, fresh_ops: 25 });
    }
}
