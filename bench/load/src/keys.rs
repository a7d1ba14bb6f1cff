//! Which key comes next: a small generator of random numbers and the three distributions over key numbers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cluster::Share;

/// SplitMix64: one multiply chain a number, and any seed is a good seed, so connection n simply uses seed + n.
#[derive(Clone)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xD134_2543_DE82_EF95) ^ 0x5851_F42D_4C95_7F2D)
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// Uniform below `bound` by multiplication; the bias is under `bound` / 2^64.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// SplitMix64's finalizer, also used to derive a property of a key from its number.
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Distribution {
    Uniform,
    /// The exponent; rank r is drawn in proportion to 1 / r^exponent.
    Zipf(f64),
    One,
}

impl std::str::FromStr for Distribution {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "uniform" => Ok(Self::Uniform),
            None if text == "one" => Ok(Self::One),
            Some(("zipf", exponent)) => match exponent.parse::<f64>() {
                Ok(exponent) if exponent > 0.0 && exponent < 10.0 => Ok(Self::Zipf(exponent)),
                _ => Err(format!("`{exponent}` is no exponent between 0 and 10")),
            },
            _ => Err("expected uniform, zipf:EXPONENT or one".to_owned()),
        }
    }
}

/// An exact Zipf sampler by rejection-inversion (Hörmann and Derflinger, 1996): constant memory, about 1.1 tries a draw.
pub struct Zipf {
    count: u64,
    exponent: f64,
    integral_first: f64,
    integral_last: f64,
    shortcut: f64,
}

impl Zipf {
    pub fn new(count: u64, exponent: f64) -> Self {
        assert!(count > 0, "a distribution over no keys");
        let integral_first = integral(1.5, exponent) - 1.0;
        let integral_last = integral(count as f64 + 0.5, exponent);
        let shortcut = 2.0 - integral_inverse(integral(2.5, exponent) - (-exponent * 2.0_f64.ln()).exp(), exponent);
        Self { count, exponent, integral_first, integral_last, shortcut }
    }

    /// A rank from 0 (the hottest) to `count` - 1.
    pub fn draw(&self, rng: &mut Rng) -> u64 {
        loop {
            let u = self.integral_last + rng.unit() * (self.integral_first - self.integral_last);
            let x = integral_inverse(u, self.exponent);
            let rank = (x + 0.5).clamp(1.0, self.count as f64).floor();
            let accepted = rank - x <= self.shortcut
                || u >= integral(rank + 0.5, self.exponent) - (-self.exponent * rank.ln()).exp();
            if accepted {
                return rank as u64 - 1;
            }
        }
    }
}

/// The integral of x^-exponent, in the form that stays exact where the exponent nears 1.
fn integral(x: f64, exponent: f64) -> f64 {
    let log = x.ln();
    let t = (1.0 - exponent) * log;
    let ratio = if t.abs() > 1e-8 { t.exp_m1() / t } else { 1.0 + t / 2.0 };
    ratio * log
}

fn integral_inverse(x: f64, exponent: f64) -> f64 {
    let t = (x * (1.0 - exponent)).max(-1.0);
    let ratio = if t.abs() > 1e-8 { t.ln_1p() / t } else { 1.0 - t / 2.0 };
    (ratio * x).exp()
}

/// Spreads ranks over key numbers, so that the hot keys were not filled, and do not lie, side by side.
pub fn scatter(rank: u64, count: u64) -> u64 {
    // A prime above any key count in use: multiplying by it modulo `count` is then a permutation.
    const PRIME: u64 = 4_294_967_291;
    ((u128::from(rank) * u128::from(PRIME)) % u128::from(count)) as u64
}

/// Numbers drawn in advance for a Zipf stream: a draw costs two logarithms, more than all else a request costs here.
const DRAWN_COUNT: usize = 1 << 20;

/// What all streams of a run share.
#[derive(Clone)]
pub struct Keyspace {
    count: u64,
    distribution: Distribution,
    drawn: Arc<[u32]>,
    /// Other keys are the hot ones after each such time.
    shift: Option<Duration>,
    start: Instant,
}

impl Keyspace {
    /// `count` is at most 2^32 - 5, which `Options` checks.
    pub fn new(count: u64, distribution: Distribution, shift: Option<Duration>, seed: u64) -> Self {
        let drawn = match distribution {
            Distribution::Zipf(exponent) => {
                let (zipf, mut rng) = (Zipf::new(count, exponent), Rng::new(seed ^ 0x5EED));
                (0..DRAWN_COUNT).map(|_| scatter(zipf.draw(&mut rng), count) as u32).collect()
            }
            _ => Arc::from([]),
        };
        Self { count, distribution, drawn, shift, start: Instant::now() }
    }

    pub fn count(&self) -> u64 {
        self.count
    }
}

/// One connection's keys. Two streams of different seeds share no prefix, whatever the distribution.
pub struct Stream {
    keyspace: Keyspace,
    rng: Rng,
    at: usize,
    /// Added to every number, modulo their count: changes when the keys shift.
    offset: u64,
    /// Keys of other nodes are passed over.
    share: Option<Share>,
}

impl Stream {
    pub fn new(keyspace: Keyspace, seed: u64) -> Self {
        Self { keyspace, rng: Rng::new(seed), at: 0, offset: 0, share: None }
    }

    pub fn of_node(self, share: Option<Share>) -> Self {
        Self { share, ..self }
    }

    /// Call before each batch. A Zipf batch is a slice of the drawn numbers from a place of this stream's own choice:
    /// one cache miss a batch, and no two connections walk the same sequence.
    pub fn start_batch(&mut self) {
        if !self.keyspace.drawn.is_empty() {
            self.at = self.rng.below(DRAWN_COUNT as u64) as usize;
        }
        if let Some(shift) = self.keyspace.shift {
            let shifts = self.keyspace.start.elapsed().as_nanos() / shift.as_nanos().max(1);
            self.offset = scatter(shifts as u64 % self.keyspace.count, self.keyspace.count);
        }
    }

    pub fn next_key(&mut self) -> u64 {
        loop {
            let key = self.any_key();
            if self.share.as_ref().is_none_or(|share| share.has(key)) {
                return key;
            }
        }
    }

    fn any_key(&mut self) -> u64 {
        match self.keyspace.distribution {
            Distribution::Uniform => self.rng.below(self.keyspace.count),
            Distribution::One => 0,
            Distribution::Zipf(_) => {
                let key = self.keyspace.drawn[self.at];
                self.at = (self.at + 1) % DRAWN_COUNT;
                (u64::from(key) + self.offset) % self.keyspace.count
            }
        }
    }

    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves the sampler's shape: the hottest ranks come as often as 1 / r^s says, within 2 % of a million draws.
    #[test]
    fn zipf_follows_its_law() {
        let (count, exponent, draws) = (1_000_u64, 0.99, 1_000_000);
        let harmonic: f64 = (1..=count).map(|rank| (rank as f64).powf(-exponent)).sum();
        let (zipf, mut rng) = (Zipf::new(count, exponent), Rng::new(7));
        let mut seen = vec![0_u64; count as usize];
        for _ in 0..draws {
            seen[zipf.draw(&mut rng) as usize] += 1;
        }
        for rank in [1_usize, 2, 3, 10] {
            let expected = draws as f64 * (rank as f64).powf(-exponent) / harmonic;
            let got = seen[rank - 1] as f64;
            assert!((got / expected - 1.0).abs() < 0.02, "rank {rank}: {got} of {expected}");
        }
    }

    /// Proves that scattering loses no key: every number is hit exactly once.
    #[test]
    fn scatter_is_a_permutation() {
        for count in [1_u64, 2, 97, 1_000, 65_536] {
            let mut seen = vec![false; count as usize];
            (0..count).for_each(|rank| seen[scatter(rank, count) as usize] = true);
            assert!(seen.iter().all(|&hit| hit), "{count} keys");
        }
    }

    /// Proves that connections do not march in step: the first hundred keys of two streams differ.
    #[test]
    fn streams_differ() {
        for distribution in [Distribution::Uniform, Distribution::Zipf(0.99)] {
            let keyspace = Keyspace::new(1_000_000, distribution, None, 1);
            let [mut left, mut right] = [1, 2].map(|seed| Stream::new(keyspace.clone(), seed));
            left.start_batch();
            right.start_batch();
            let same = (0..100).filter(|_| left.next_key() == right.next_key()).count();
            assert!(same < 20, "{distribution:?}: {same} of 100 equal");
        }
    }
}
