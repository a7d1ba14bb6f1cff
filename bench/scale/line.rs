//! What handing a cache line from core to core costs here: two threads pass one word back and forth.
//!
//! `rustc -O bench/scale/line.rs -o target/line && target/line`. Anybody else on either core stretches a burst by whole
//! time slices, so there are many short bursts, and the low ones are the answer.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release},
};
use std::time::Instant;

#[repr(align(128))]
struct Line(AtomicU64);

static WORD: Line = Line(AtomicU64::new(0));
const BURSTS: u64 = 2_000;
const ROUNDS: u64 = 500;

fn main() {
    let other = std::thread::spawn(|| (0..BURSTS).for_each(|burst| pass(burst, 1)));
    let mut hand_over_ns: Vec<f64> = (0..BURSTS)
        .map(|burst| {
            let start = Instant::now();
            pass(burst, 0);
            start.elapsed().as_nanos() as f64 / (2 * ROUNDS) as f64
        })
        .collect();
    other.join().unwrap();
    hand_over_ns.sort_by(f64::total_cmp);
    let at = |share: f64| hand_over_ns[(share * BURSTS as f64) as usize];
    println!("ns a hand-over: lowest {:.0}, lowest tenth {:.0}, median {:.0}", at(0.0), at(0.1), at(0.5));
}

/// Each round moves the line there and back; each way is one read miss and one write to a line that the other holds.
fn pass(burst: u64, mine: u64) {
    for round in burst * ROUNDS..(burst + 1) * ROUNDS {
        while WORD.0.load(Acquire) != 2 * round + mine {
            std::hint::spin_loop();
        }
        WORD.0.store(2 * round + mine + 1, Release);
    }
}
