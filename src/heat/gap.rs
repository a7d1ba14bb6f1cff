//! Which operations are looked at: one in `mean`, at random distances, and all of them while there are few.
//!
//! The gap follows the load of the last window so that each window yields about as many samples, whatever the load. It
//! is drawn anew each time, evenly from 1 to twice the mean: traffic with a period would otherwise fall in step with it.

/// A load that jumps is met inside the window: past so many times the samples wanted, the gap doubles.
const SAMPLES_OVERRUN: u32 = 2;

/// A xorshift64* generator: repeatable from its seed, and good enough to break a rhythm.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        // One step of splitmix64, so that neighbouring seeds differ; the generator would stay at 0 for ever.
        let mixed = (seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Dice((mixed ^ mixed >> 31) | 1)
    }

    /// 32 random bits.
    #[inline]
    pub(super) fn roll(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }
}

pub(super) struct Gap {
    /// Operations until the next sample; at least 1.
    left: u32,
    /// What `left` began with.
    drawn: u32,
    mean: u32,
    /// The mean of the draw that ended with the last sample: how many operations that sample stands for.
    weight: u32,
    /// Operations of this window before the draw in force.
    counted: u64,
    samples: u32,
    /// At so many samples the gap doubles.
    samples_bound: u32,
    samples_wanted: u32,
    dice: Dice,
}

impl Gap {
    pub(super) fn new(samples_wanted: u32, seed: u64) -> Gap {
        let mut gap = Gap {
            left: 1,
            drawn: 1,
            mean: 1,
            weight: 1,
            counted: 0,
            samples: 0,
            samples_bound: 0,
            samples_wanted: samples_wanted.max(1),
            dice: Dice::new(seed),
        };
        gap.open(1);
        gap
    }

    /// Counts an operation; true when it is a sample.
    #[inline]
    pub(super) fn counts(&mut self) -> bool {
        self.counts_up_to(1).is_some()
    }

    /// Counts up to `count` operations, not 0: the place of the first sample among them, behind which nothing is counted
    /// yet; `None`: all are counted, and none is a sample.
    #[inline]
    pub(super) fn counts_up_to(&mut self, count: u32) -> Option<u32> {
        if self.left > count {
            self.left -= count;
            return None;
        }
        let at = self.left - 1;
        self.draw();
        Some(at)
    }

    /// Operations that the last sample stands for.
    #[inline]
    pub(super) fn weight(&self) -> u32 {
        self.weight
    }

    /// Whether every operation of the window so far was a sample, so that counts are exact.
    pub(super) fn is_exact(&self) -> bool {
        self.mean == 1 && self.weight == 1
    }

    /// Operations of this window, sampled or not.
    pub(super) fn counted(&self) -> u64 {
        self.counted + u64::from(self.drawn - self.left)
    }

    /// Begins a window that is expected to bring as many operations as given.
    pub(super) fn open(&mut self, ops: u64) {
        let wanted = u64::from(self.samples_wanted);
        // A draw takes up to twice the mean, in 32 bits.
        self.mean = ((ops + wanted / 2) / wanted).clamp(1, u64::from(u32::MAX / 4)) as u32;
        self.weight = self.mean;
        self.samples = 0;
        self.samples_bound = self.samples_wanted.saturating_mul(SAMPLES_OVERRUN);
        self.counted = 0;
        self.drawn = self.drawn_from_mean();
        self.left = self.drawn;
    }

    fn draw(&mut self) {
        self.weight = self.mean;
        self.counted += u64::from(self.drawn);
        self.samples += 1;
        if self.samples >= self.samples_bound && self.mean < u32::MAX / 4 {
            self.mean *= 2;
            self.samples_bound = self.samples.saturating_add(self.samples_wanted.div_ceil(2));
        }
        self.drawn = self.drawn_from_mean();
        self.left = self.drawn;
    }

    #[inline]
    fn drawn_from_mean(&mut self) -> u32 {
        if self.mean == 1 {
            return 1;
        }
        let choices = u64::from(2 * self.mean - 1);
        1 + ((u64::from(self.dice.roll()) * choices) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(gap: &mut Gap, ops: u64) -> u64 {
        (0..ops).map(|_| u64::from(gap.counts())).sum()
    }

    /// Few operations are all sampled; many give about the samples wanted, and all are counted either way.
    #[test]
    fn the_gap_follows_the_load() {
        let mut gap = Gap::new(1000, 1);
        assert_eq!(samples(&mut gap, 900), 900);
        assert!(gap.is_exact());
        gap.open(100_000);
        let taken = samples(&mut gap, 100_000);
        assert!((900..1100).contains(&taken), "{taken}");
        assert_eq!((gap.counted(), gap.weight()), (100_000, 100));
        gap.open(10);
        assert_eq!(samples(&mut gap, 10), 10);
    }

    /// A thousandfold jump of the load costs a few times the samples wanted, not a thousand times, and the samples'
    /// weights still add up to the operations.
    #[test]
    fn a_jump_is_met_inside_the_window() {
        let mut gap = Gap::new(1000, 2);
        let (mut taken, mut stood_for) = (0_u64, 0_u64);
        for _ in 0..1_000_000 {
            if gap.counts() {
                taken += 1;
                stood_for += u64::from(gap.weight());
            }
        }
        assert!(taken < 10_000, "{taken}");
        assert!((950_000..1_050_000).contains(&stood_for), "{stood_for}");
        assert_eq!(gap.counted(), 1_000_000);
    }

    /// Traffic that repeats every ten operations meets a mean gap of ten: each place in the period gets its part.
    #[test]
    fn periodic_traffic_is_sampled_evenly() {
        let mut gap = Gap::new(10_000, 3);
        gap.open(100_000);
        let mut places = [0_u32; 10];
        for op in 0..100_000 {
            places[op % 10] += u32::from(gap.counts());
        }
        assert!(places.iter().all(|count| (850..1150).contains(count)), "{places:?}");
    }
}
