//! Proves that every input that is kept does no harm any more, and that some thousand mutations of them do none: each
//! target on the files of `corpus/NAME` and `regressions/NAME`.
//!
//! `SEED=n` begins with that mutation; `CASES=n` scales how many there are. A failure names its file or its seed, and
//! leaves the input in `artifacts/NAME`.

use coldplate_fuzz::{TARGETS, Target};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

/// Mutations for a target that takes least.
const CASES: usize = 100_000;
/// A mutation is no longer than this, and so as quick as what libFuzzer tries.
const INPUT_BYTES_MAX: usize = 4096;

fn folder(kind: &str, target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(kind).join(target.name)
}

fn variable(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// What is kept for a target, in order of names.
fn inputs(target: &Target) -> Vec<(String, Vec<u8>)> {
    let mut inputs = Vec::new();
    for kind in ["corpus", "regressions"] {
        for entry in fs::read_dir(folder(kind, target)).into_iter().flatten() {
            let path = entry.expect("a folder's entries can be read").path();
            inputs.push((path.display().to_string(), fs::read(&path).expect("an input can be read")));
        }
    }
    inputs.sort();
    inputs
}

/// Runs one input; one that fails is left behind under its name.
fn try_input(target: &Target, name: &str, input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        let artifacts = folder("artifacts", target);
        let left = artifacts.join("replayed");
        fs::create_dir_all(&artifacts).and_then(|()| fs::write(&left, input)).expect("the input can be left behind");
        eprintln!("{}: {name} fails; the input is in {}", target.name, left.display());
        resume_unwind(panic);
    }
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    let inputs = inputs(target);
    assert!(!inputs.is_empty(), "nothing is kept for {name}");
    for (path, input) in &inputs {
        try_input(target, path, input);
    }
    let inputs: Vec<Vec<u8>> = inputs.into_iter().map(|(_, input)| input).collect();
    let cases = variable("CASES", CASES as u64) * target.permille as u64 / 1000;
    let first = variable("SEED", 1);
    for seed in first..first + cases {
        try_input(target, &format!("SEED={seed}"), &mutation(&inputs, seed));
    }
}

/// Draws numbers from a seed, which may be any.
struct Draw(u64);

impl Draw {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn range(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let start = self.below(bytes.len());
        start..(start + 1 + self.below(16)).min(bytes.len())
    }
}

/// One of the inputs after a few changes.
fn mutation(inputs: &[Vec<u8>], seed: u64) -> Vec<u8> {
    const EDGES: [u8; 12] = [0, 1, 0x7f, 0x80, 0xff, b'\r', b'\n', b'-', b'0', b'9', b'"', b'*'];
    let mut draw = Draw(seed);
    let mut input = inputs[draw.below(inputs.len())].clone();
    for _ in 0..=draw.below(6) {
        let at = draw.below(input.len());
        match draw.below(7) {
            0 if !input.is_empty() => input[at] ^= 1 << draw.below(8),
            1 if !input.is_empty() => input[at] = EDGES[draw.below(EDGES.len())],
            2 => input.insert(at, draw.next() as u8),
            3 => drop(input.drain(draw.range(&input.clone()))),
            4 => {
                let copied = input[draw.range(&input.clone())].to_vec();
                input.splice(at..at, copied);
            }
            5 => {
                let other = &inputs[draw.below(inputs.len())];
                let copied = other[draw.range(other)].to_vec();
                input.splice(at..at, copied);
            }
            _ => input.truncate(input.len() - draw.below(input.len().min(16))),
        }
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

macro_rules! replays {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { replay(stringify!($name)); })*

        #[test]
        fn every_target_is_replayed() {
            let names = [$(stringify!($name)),*];
            assert_eq!(TARGETS.map(|target| target.name), names);
        }
    };
}

replays!(resp, inline, glob, number, lzf, dump, log, rdb, replies, upstream, config, flags, stream, commands, model);
