//! Numbers drawn in proportion to a power of themselves, by rejection-inversion (Hörmann and Derflinger, 1996).

/// Draws `k` of `first..=last` in proportion to `1 / k^exponent`: constant memory, about 1.1 tries a draw.
///
/// The key's number itself is the rank, as in memtier_benchmark: a range that starts high is nearly flat.
#[derive(Clone, Debug)]
pub struct Zipf {
    first: f64,
    last: f64,
    exponent: f64,
    integral_first: f64,
    integral_last: f64,
    shortcut: f64,
}

impl Zipf {
    /// Zero has no power, so the range starts at 1.
    pub fn new(first: u64, last: u64, exponent: f64) -> Self {
        let first = first.max(1) as f64;
        let last = (last as f64).max(first);
        let weight = |k: f64| (-exponent * k.ln()).exp();
        let integral_first = integral(first + 0.5, exponent) - weight(first);
        let integral_last = integral(last + 0.5, exponent);
        let second = integral(first + 1.5, exponent) - weight(first + 1.0);
        let shortcut = first + 1.0 - integral_inverse(second, exponent);
        Self { first, last, exponent, integral_first, integral_last, shortcut }
    }

    pub fn draw(&self, rng: &mut fastrand::Rng) -> u64 {
        loop {
            let u = self.integral_last + rng.f64() * (self.integral_first - self.integral_last);
            let x = integral_inverse(u, self.exponent);
            let k = (x + 0.5).clamp(self.first, self.last).floor();
            let accepted =
                k - x <= self.shortcut || u >= integral(k + 0.5, self.exponent) - (-self.exponent * k.ln()).exp();
            if accepted {
                return k as u64;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves the sampler's shape, from 1 and from elsewhere: the first numbers come as often as the law says, within
    /// 3 % of a million draws, and nothing lies outside.
    #[test]
    fn draws_follow_the_law() {
        for (first, last, exponent) in [(1_u64, 1_000_u64, 0.99), (0, 1_000, 1.0), (5, 500, 2.0), (1, 1, 1.0)] {
            let (zipf, mut rng, draws) = (Zipf::new(first, last, exponent), fastrand::Rng::with_seed(7), 1_000_000);
            let start = first.max(1);
            let sum: f64 = (start..=last).map(|k| (k as f64).powf(-exponent)).sum();
            let mut seen = vec![0_u64; last as usize + 1];
            for _ in 0..draws {
                let k = zipf.draw(&mut rng);
                assert!((start..=last).contains(&k));
                seen[k as usize] += 1;
            }
            for k in (start..=last).take(4) {
                let expected = draws as f64 * (k as f64).powf(-exponent) / sum;
                let got = seen[k as usize] as f64;
                assert!((got / expected - 1.0).abs() < 0.03, "{k} of {first}..={last}: {got}, not {expected}");
            }
        }
    }
}
