//! Which key comes next: one client's numbers, by the pattern of each command.

use super::zipf::Zipf;

/// How a command's keys follow each other; the letter is memtier_benchmark's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// `R`
    Uniform,
    /// `G`
    Gaussian,
    /// `Z`
    Zipf,
    /// `S`
    Sequential,
    /// `P`: sequential, each client over a part of the range of its own.
    Parallel,
}

impl Pattern {
    pub fn from_letter(letter: &str) -> Option<Self> {
        Some(match letter {
            "R" => Self::Uniform,
            "G" => Self::Gaussian,
            "Z" => Self::Zipf,
            "S" => Self::Sequential,
            "P" => Self::Parallel,
            _ => return None,
        })
    }

    pub fn letter(self) -> &'static str {
        match self {
            Self::Uniform => "R",
            Self::Gaussian => "G",
            Self::Zipf => "Z",
            Self::Sequential => "S",
            Self::Parallel => "P",
        }
    }
}

/// The keys of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyRange {
    pub first: u64,
    pub last: u64,
    /// Standard deviation and middle of `G`; a sixth and the middle of the range where not given.
    pub stddev: Option<f64>,
    pub median: Option<f64>,
    pub zipf_exponent: f64,
    /// The share of all operations that goes to the key `first`.
    pub hot_share: f64,
}

impl KeyRange {
    /// At most 2^64 - 1, which a range of all numbers would exceed by one.
    pub fn count(&self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }

    /// The part of client `index` of `clients`: parts are as equal as can be and together are the range.
    pub fn part(&self, index: u64, clients: u64) -> (u64, u64) {
        let bound = |i: u64| self.first + (u128::from(self.count()) * u128::from(i) / u128::from(clients)) as u64;
        (bound(index), bound(index + 1) - 1)
    }
}

/// One client's numbers: one stream of randomness, and a place in the sequence for each command.
pub struct KeyStream {
    first: u64,
    last: u64,
    stddev: f64,
    median: f64,
    zipf: Zipf,
    hot: u64,
    /// An operation is the hot key's when 32 random bits are below this; 0 draws none.
    hot_below: u64,
    rng: fastrand::Rng,
    /// A second normal number comes with each.
    spare: Option<f64>,
    next: Vec<u64>,
}

impl KeyStream {
    /// `part` narrows the range for a client of a parallel run.
    pub fn new(range: &KeyRange, part: Option<(u64, u64)>, commands: usize, seed: u64) -> Self {
        let (first, last) = part.unwrap_or((range.first, range.last));
        let length = (range.last - range.first) as f64;
        Self {
            first,
            last,
            stddev: range.stddev.unwrap_or(length / 6.0),
            median: range.median.unwrap_or(range.first as f64 + length / 2.0 + 0.5),
            zipf: Zipf::new(range.first, range.last, range.zipf_exponent),
            hot: range.first,
            hot_below: (range.hot_share * 2_f64.powi(32)) as u64,
            rng: fastrand::Rng::with_seed(seed),
            spare: None,
            next: vec![first; commands],
        }
    }

    #[inline]
    pub fn next(&mut self, command: usize, pattern: Pattern) -> u64 {
        if self.hot_below > 0 && u64::from(self.rng.u32(..)) < self.hot_below {
            return self.hot;
        }
        match pattern {
            Pattern::Uniform => self.rng.u64(self.first..=self.last),
            Pattern::Gaussian => self.gaussian(),
            Pattern::Zipf => self.zipf.draw(&mut self.rng),
            Pattern::Sequential | Pattern::Parallel => {
                let next = &mut self.next[command];
                let key = *next;
                *next = if key >= self.last { self.first } else { key + 1 };
                key
            }
        }
    }

    /// For what else a client draws: sizes, expiries, random bytes.
    pub fn rng(&mut self) -> &mut fastrand::Rng {
        &mut self.rng
    }

    /// Draws again what falls outside of the range, as memtier_benchmark does.
    fn gaussian(&mut self) -> u64 {
        if self.first == self.last {
            return self.first;
        }
        loop {
            let drawn = self.normal() * self.stddev + self.median;
            if drawn >= self.first as f64 && drawn < self.last as f64 + 1.0 {
                return (drawn as u64).min(self.last);
            }
        }
    }

    /// Marsaglia's polar method.
    fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (u, v) = (self.rng.f64() * 2.0 - 1.0, self.rng.f64() * 2.0 - 1.0);
            let s = u * u + v * v;
            if s < 1.0 && s > 0.0 {
                let scale = (-2.0 * s.ln() / s).sqrt();
                self.spare = Some(v * scale);
                return u * scale;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, last: u64) -> KeyRange {
        KeyRange { first, last, stddev: None, median: None, zipf_exponent: 1.0, hot_share: 0.0 }
    }

    fn counts(range: &KeyRange, pattern: Pattern, draws: usize) -> Vec<usize> {
        let mut stream = KeyStream::new(range, None, 1, 3);
        let mut seen = vec![0; range.last as usize + 1];
        (0..draws).for_each(|_| seen[stream.next(0, pattern) as usize] += 1);
        seen
    }

    /// Proves that uniform is even: each of a hundred keys within 5 % of its share.
    #[test]
    fn uniform_is_even() {
        let seen = counts(&range(1, 100), Pattern::Uniform, 1_000_000);
        assert_eq!(seen[0], 0);
        assert!(seen[1..].iter().all(|&count| (9_500..10_500).contains(&count)), "{seen:?}");
    }

    /// Proves the bell: its middle, its width, and that the ends are kept to.
    #[test]
    fn gaussian_has_its_middle_and_width() {
        for (stddev, median) in [(None, None), (Some(20.0), Some(300.0))] {
            let range = KeyRange { stddev, median, ..range(0, 999) };
            let seen = counts(&range, Pattern::Gaussian, 1_000_000);
            let total: usize = seen.iter().sum();
            let mean = seen.iter().enumerate().map(|(key, count)| key * count).sum::<usize>() as f64 / total as f64;
            let wanted = median.unwrap_or(500.0);
            assert!((mean - wanted).abs() < 2.0, "{mean}");
            let (width, middle) = (stddev.unwrap_or(999.0 / 6.0), wanted as usize);
            let inside: usize = seen[middle - width as usize..middle + width as usize].iter().sum();
            assert!((inside as f64 / total as f64 - 0.683).abs() < 0.01, "{inside} of {total} within one deviation");
        }
    }

    /// Proves that a sequence belongs to its command, wraps, and that parallel parts tile the range.
    #[test]
    fn sequences_wrap_and_parts_tile() {
        let mut stream = KeyStream::new(&range(5, 7), None, 2, 0);
        let drawn: Vec<u64> = (0..5).map(|_| stream.next(0, Pattern::Sequential)).collect();
        assert_eq!(drawn, [5, 6, 7, 5, 6]);
        assert_eq!(stream.next(1, Pattern::Sequential), 5, "a command of its own starts anew");
        let whole = range(10, 32);
        let parts: Vec<_> = (0..4).map(|index| whole.part(index, 4)).collect();
        assert_eq!(parts, [(10, 14), (15, 20), (21, 26), (27, 32)]);
        let mut stream = KeyStream::new(&whole, Some(parts[1]), 1, 0);
        let drawn: Vec<u64> = (0..7).map(|_| stream.next(0, Pattern::Parallel)).collect();
        assert_eq!(drawn, [15, 16, 17, 18, 19, 20, 15]);
    }

    /// Proves that the hot key gets its share of any pattern, and the others keep theirs.
    #[test]
    fn the_hot_key_gets_its_share() {
        let hot = KeyRange { hot_share: 0.3, ..range(0, 99) };
        let seen = counts(&hot, Pattern::Uniform, 1_000_000);
        assert!((seen[0] as f64 / 1e6 - 0.307).abs() < 0.003, "{}", seen[0]);
        let all = KeyRange { hot_share: 1.0, ..range(0, 99) };
        assert_eq!(counts(&all, Pattern::Sequential, 1_000)[0], 1_000);
    }

    /// Proves that a seed says all: the same seed draws the same, another does not.
    #[test]
    fn seeds_decide() {
        let draw = |seed| {
            let mut stream = KeyStream::new(&range(0, 1 << 40), None, 1, seed);
            (0..20).map(|_| stream.next(0, Pattern::Uniform)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
