//! How well a core finds its hot keys, what an owner makes of it, and what counting costs.
//!
//! The table is computed in virtual time, not timed, and printed first: the true hundred hottest of a million keys against
//! the hundred that `Heat` names, and the keys that a board promotes against those that truly pass its thresholds. Then
//! criterion times an operation (`counts`, and `sample` where asked) and the end of a window.

use std::hint::black_box;

use coldplate::heat::{Access, Board, Decision, Heat, HeatOptions, Limits, Thresholds};
use coldplate::types::{CoreId, KeyHash, SLOTS, Slot};
use criterion::{BatchSize, Criterion, Throughput, criterion_group};

const KEYS: usize = 1_000_000;
const OPS_PER_SECOND: u64 = 500_000;
const WINDOW_US: u64 = 100_000;
const WINDOWS: u64 = 10;
const TOP: usize = 100;
/// Operations a timed run goes round.
const TIMED_OPS: usize = 1 << 18;

/// A repeatable stream of 64 random bits (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        finalised(self.0)
    }
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn finalised(word: u64) -> u64 {
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

/// Keys by rank, rank 0 the hottest, and how probable each is.
struct Popularity {
    up_to: Vec<f64>,
}

impl Popularity {
    /// Zipf with the exponent given; 0 is uniform.
    fn zipf(keys: usize, exponent: f64) -> Popularity {
        let weights: Vec<f64> = (1..=keys).map(|rank| (rank as f64).powf(-exponent)).collect();
        let total: f64 = weights.iter().sum();
        let mut sum = 0.0;
        Popularity {
            up_to: weights
                .iter()
                .map(|weight| {
                    sum += weight / total;
                    sum
                })
                .collect(),
        }
    }
    fn rank(&self, fraction: f64) -> usize {
        self.up_to.partition_point(|up_to| *up_to <= fraction).min(self.up_to.len() - 1)
    }
    fn part(&self, rank: usize) -> f64 {
        self.up_to[rank] - if rank == 0 { 0.0 } else { self.up_to[rank - 1] }
    }
    /// Keys that have at least such a part; hotter keys come first.
    fn keys_from(&self, part: f64) -> usize {
        (0..self.up_to.len()).take_while(|rank| self.part(*rank) >= part).count()
    }
}

fn hash_of(key: usize) -> KeyHash {
    KeyHash(finalised(key as u64 ^ 0x5eed))
}

fn ingest(heat: &mut Heat, key: usize) {
    if heat.counts() {
        let name = (key as u64).to_le_bytes();
        heat.sample(&name, Slot((key % SLOTS) as u16), hash_of(key), Access::Read, 64);
    }
}

/// Cores that ingest the same traffic, and the owner of all its keys, fed in virtual time.
struct Bench {
    cores: Vec<Heat>,
    board: Board,
    random: Random,
    now_us: u64,
    promotions: usize,
}

impl Bench {
    fn new(cores: u64) -> Bench {
        let thresholds = Thresholds::default();
        let report_ops_min = thresholds.demote_below(0.0) / cores as f64;
        let core = |seed| Heat::new(HeatOptions { seed, report_ops_min, ..HeatOptions::default() });
        let mut cores: Vec<Heat> = (0..cores).map(core).collect();
        cores.iter_mut().for_each(|heat| heat.turn(0));
        Bench { board: Board::new(cores.len(), WINDOW_US), cores, random: Random(7), now_us: 0, promotions: 0 }
    }

    /// One window of traffic on each core; the key of a rank is `shift` further on.
    fn window(&mut self, popularity: &Popularity, shift: usize) {
        self.now_us += WINDOW_US;
        for (core, heat) in self.cores.iter_mut().enumerate() {
            for _ in 0..OPS_PER_SECOND * WINDOW_US / 1_000_000 {
                let rank = popularity.rank(self.random.fraction());
                ingest(heat, (rank + shift) % KEYS);
            }
            let mut reports = Vec::new();
            assert!(heat.window_ends(self.now_us, WINDOW_US, &mut reports), "a window has passed");
            for report in reports {
                self.board.report(CoreId(core as u16), self.now_us, report);
            }
        }
        let asked = |_: &[u8]| Some(Thresholds::default());
        let limits = Limits { keys_max: usize::MAX, ..Limits::default() };
        let decisions = self.board.decide(self.now_us, self.cores[0].load_ops(), &limits, asked, |_, _, _| 64);
        self.promotions += decisions.iter().filter(|one| matches!(one, Decision::Promote { .. })).count();
    }

    /// Of the hundred that `Heat` names, the part that are true, and the part of the true that it names.
    fn precision_and_recall(&self, shift: usize) -> (f64, f64) {
        let truth: Vec<KeyHash> = (0..TOP).map(|rank| hash_of((rank + shift) % KEYS)).collect();
        let named = self.cores[0].top(TOP);
        let right = named.iter().filter(|report| truth.contains(&report.hash)).count() as f64;
        (right / named.len().max(1) as f64, right / TOP as f64)
    }

    fn print(&self, name: &str, popularity: &Popularity, shift: usize) {
        let (precision, recall) = self.precision_and_recall(shift);
        let load = OPS_PER_SECOND as f64;
        let part = Thresholds::default().promote_from(load) / load / self.cores.len() as f64;
        let (truly, half) = (popularity.keys_from(part), popularity.keys_from(part / 2.0));
        let hot = |rank: usize| self.board.get(hash_of((rank + shift) % KEYS)).is_some_and(|warm| warm.hot);
        let found = (0..truly).filter(|rank| hot(*rank)).count();
        let below = (half..KEYS).filter(|rank| hot(*rank)).count();
        println!(
            "{name:<24} {precision:>9.2} {recall:>6.2} {truly:>10} {found:>9} {below:>10} {:>10} {:>7}",
            self.promotions,
            self.cores[0].memory_bytes() / 1024
        );
    }
}

fn print_accuracy() {
    println!(
        "{KEYS} keys, {OPS_PER_SECOND} ops/s a core, {WINDOWS} windows of {} ms; hot is from 1,000 ops/s on",
        WINDOW_US / 1000
    );
    println!(
        "{:<24} {:>9} {:>6} {:>10} {:>9} {:>10} {:>10} {:>7}",
        "", "precision", "recall", "truly hot", "of these", "hot, under", "promotions", "memory"
    );
    println!(
        "{:<24} {:>9} {:>6} {:>10} {:>9} {:>10} {:>10} {:>7}",
        "", "top 100", "", "keys", "found", "half of it", "in all", "KiB"
    );
    for exponent in [0.8, 0.9, 0.99, 1.2, 1.4] {
        let (popularity, mut bench) = (Popularity::zipf(KEYS, exponent), Bench::new(1));
        (0..WINDOWS).for_each(|_| bench.window(&popularity, 0));
        bench.print(&format!("Zipf {exponent}"), &popularity, 0);
    }
    let (popularity, mut bench) = (Popularity::zipf(KEYS, 0.99), Bench::new(1));
    for (second, windows) in [(0, WINDOWS), (1, WINDOWS), (2, 1)] {
        (0..windows).for_each(|_| bench.window(&popularity, second * 1000));
    }
    bench.print("0.99, 1 window shifted", &popularity, 2000);
    bench.window(&popularity, 2000);
    bench.print("0.99, 2 windows shifted", &popularity, 2000);
    let (popularity, mut bench) = (Popularity::zipf(KEYS, 0.0), Bench::new(1));
    (0..WINDOWS).for_each(|_| bench.window(&popularity, 0));
    bench.print("uniform", &popularity, 0);
    let (popularity, mut bench) = (Popularity::zipf(20_000, 0.0), Bench::new(1));
    (0..WINDOWS).for_each(|_| bench.window(&popularity, 0));
    bench.print("uniform, 20,000 keys", &popularity, 0);
    for cores in [2, 8] {
        let (popularity, mut bench) = (Popularity::zipf(KEYS, 0.99), Bench::new(cores));
        (0..WINDOWS).for_each(|_| bench.window(&popularity, 0));
        bench.print(&format!("0.99, {cores} cores alike"), &popularity, 0);
    }
}

fn ranks(exponent: f64) -> Vec<(usize, KeyHash)> {
    let (popularity, mut random) = (Popularity::zipf(KEYS, exponent), Random(11));
    let mut rank = || popularity.rank(random.fraction());
    (0..TIMED_OPS).map(|_| rank()).map(|rank| (rank, hash_of(rank))).collect()
}

/// A core that has seen its traffic for some windows.
fn warmed(ranks: &[(usize, KeyHash)], ops_per_window: usize) -> Heat {
    let mut heat = Heat::new(HeatOptions { seed: 42, ..HeatOptions::default() });
    heat.turn(0);
    let mut reports = Vec::new();
    for (window, ranks) in ranks.chunks(ops_per_window).enumerate().take(5) {
        ranks.iter().for_each(|(rank, _)| ingest(&mut heat, *rank));
        heat.window_ends((window as u64 + 1) * WINDOW_US, WINDOW_US, &mut reports);
    }
    heat
}

/// An operation with all that it costs on average, the ends of windows included. At 80,000 ops/s each one is sampled.
fn operations(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("operation");
    group.throughput(Throughput::Elements(TIMED_OPS as u64));
    for (name, exponent) in [("Zipf 0.99", 0.99), ("uniform", 0.0)] {
        let ranks = ranks(exponent);
        for ops_per_window in [8_000, 50_000, 250_000] {
            let mut heat = warmed(&ranks, ops_per_window);
            let (mut now_us, mut reports) = (5 * WINDOW_US, Vec::new());
            group.bench_function(format!("{name}, {} ops/s", ops_per_window * 10), |bencher| {
                bencher.iter(|| {
                    for window in ranks.chunks(ops_per_window) {
                        for (rank, hash) in window {
                            if heat.counts() {
                                let slot = Slot((rank % SLOTS) as u16);
                                heat.sample(&rank.to_le_bytes(), slot, *hash, Access::Read, 64);
                            }
                        }
                        if window.len() == ops_per_window {
                            now_us += WINDOW_US;
                            heat.window_ends(now_us, WINDOW_US, &mut reports);
                        }
                    }
                });
            });
        }
    }
    group.finish();
}

fn window_ends(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("window_ends");
    for (name, exponent) in [("Zipf 0.99", 0.99), ("uniform", 0.0)] {
        let ranks = ranks(exponent);
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || {
                    let mut heat = warmed(&ranks, 50_000);
                    ranks[..50_000].iter().for_each(|(rank, _)| ingest(&mut heat, *rank));
                    (heat, Vec::with_capacity(128))
                },
                |(mut heat, mut reports)| {
                    black_box(heat.window_ends(6 * WINDOW_US, WINDOW_US, &mut reports));
                    (heat, reports)
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, operations, window_ends);

fn main() {
    print_accuracy();
    benches();
    Criterion::default().configure_from_args().final_summary();
}
