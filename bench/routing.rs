//! What routing a key costs, and how even and how stable its placement is.
//!
//! The table of evenness and movement is computed, not timed, and printed first; then criterion times the hot path:
//! `slot_of` by key length, the table's load, and the ring lookup that the table replaces; then key to server of a pool, and
//! key to pool.

use std::hint::black_box;

use coldplate::routing::{
    Distribution, Hash, HashRing, Layout, Node, Pool, Routes, Server, SlotTable, VNODES_DEFAULT, point_of, slot_of,
};
use coldplate::types::{CoreId, SLOTS};
use criterion::{Criterion, Throughput, criterion_group};

/// Keys a benchmark goes round, so that no branch predictor learns one of them by heart.
const KEYS: usize = 1024;

fn keys(len: usize) -> Vec<Vec<u8>> {
    (0..KEYS).map(|index| format!("{index:0len$}").into_bytes()).collect()
}

fn ring(cores: usize) -> HashRing<CoreId> {
    let mut ring = HashRing::new(VNODES_DEFAULT).expect("the default is above 0");
    let nodes = (0..cores).map(|core| Node { name: format!("core-{core}"), value: CoreId(core as u16), weight: 1.0 });
    ring.extend(nodes).expect("distinct names, few points");
    ring
}

fn compiled(cores: usize) -> SlotTable {
    SlotTable::compile(cores, VNODES_DEFAULT, &[]).expect("a good count")
}

/// The fullest and the emptiest core, as fractions of the mean.
fn spread(table: &SlotTable) -> (f64, f64) {
    let counts = table.counts();
    let mean = SLOTS as f64 / counts.len() as f64;
    let max = counts.iter().max().expect("at least one core");
    let min = counts.iter().min().expect("at least one core");
    (*max as f64 / mean, *min as f64 / mean)
}

/// Slots that a change to one core more moves, over the least possible, `1 / (cores + 1)` of them.
fn movement(before: &SlotTable, after: &SlotTable) -> f64 {
    after.moved_from(before) as f64 * after.cores() as f64 / SLOTS as f64
}

fn print_placement() {
    println!(
        "placement of {SLOTS} slots, {VNODES_DEFAULT} points a core; loads over the mean, movement over the least"
    );
    println!("{:>5}  {:>23}  {:>23}", "", "bounded loads", "plain ring");
    println!("{:>5}  {:>7} {:>7} {:>7}  {:>7} {:>7} {:>7}", "cores", "max", "min", "add 1", "max", "min", "add 1");
    let plain = |cores| SlotTable::from_ring(&ring(cores), f64::INFINITY).expect("cores above 0");
    for cores in [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128] {
        print!("{cores:>5}");
        for (before, after) in [(compiled(cores), compiled(cores + 1)), (plain(cores), plain(cores + 1))] {
            let (max, min) = spread(&before);
            print!("  {max:>7.3} {min:>7.3} {:>7.2}", movement(&before, &after));
        }
        println!();
    }
}

fn slots(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("slot_of");
    group.throughput(Throughput::Elements(KEYS as u64));
    let tagged: Vec<Vec<u8>> = (0..KEYS).map(|index| format!("{{user:{index:04}}}:cart").into_bytes()).collect();
    let cases = [("8 bytes", keys(8)), ("15 bytes", keys(15)), ("40 bytes", keys(40)), ("16 bytes, tag", tagged)];
    for (name, keys) in &cases {
        group.bench_function(*name, |bencher| {
            bencher.iter(|| keys.iter().fold(0_u32, |sum, key| sum.wrapping_add(u32::from(slot_of(black_box(key)).0))));
        });
    }
    group.finish();
}

fn owners(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("owner");
    group.throughput(Throughput::Elements(KEYS as u64));
    let keys = keys(15);
    let slots: Vec<_> = keys.iter().map(|key| slot_of(key)).collect();
    let points: Vec<u64> = keys.iter().map(|key| point_of(key)).collect();
    for cores in [2, 64] {
        let table = compiled(cores);
        group.bench_function(format!("table, {cores} cores"), |bencher| {
            bencher.iter(|| slots.iter().fold(0, |sum, slot| sum ^ table.owner(black_box(*slot)).0));
        });
        let ring = ring(cores);
        group.bench_function(format!("ring, {cores} cores"), |bencher| {
            bencher.iter(|| {
                points.iter().fold(0, |sum, point| sum ^ ring.owner(black_box(*point)).map_or(0, |node| node.value.0))
            });
        });
        group.bench_function(format!("ring, next 3 of {cores} cores"), |bencher| {
            bencher.iter(|| {
                points.iter().fold(0, |sum, point| {
                    ring.walk(black_box(*point)).take(3).fold(sum, |sum, node| sum ^ node.value.0)
                })
            });
        });
    }
    group.finish();
}

fn pool(distribution: Distribution, hash: Hash, servers: usize) -> Pool {
    let servers: Vec<_> = (0..servers).map(|at| Server { name: format!("10.0.0.{at}:6379"), weight: 1 }).collect();
    Pool::new(&servers, Layout { distribution, hash, hash_tag: Some(*b"{}") }, 0).expect("a good pool")
}

fn places(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("place");
    group.throughput(Throughput::Elements(KEYS as u64));
    let keys = keys(15);
    for (distribution, hash, servers) in [
        (Distribution::Ketama, Hash::Fnv1aWith64, 4),
        (Distribution::Ketama, Hash::Fnv1aWith64, 64),
        (Distribution::Ketama, Hash::Murmur, 64),
        (Distribution::Ketama, Hash::Md5, 64),
        (Distribution::Modula, Hash::Fnv1aWith64, 64),
        (Distribution::Jump, Hash::Fnv1aWith64, 64),
        (Distribution::Bounded, Hash::Fnv1aWith64, 64),
    ] {
        let pool = pool(distribution, hash, servers);
        let hash = if distribution.hashes() { hash.name() } else { "crc16" };
        group.bench_function(format!("{distribution}, {hash}, {servers} servers"), |bencher| {
            bencher.iter(|| keys.iter().fold(0, |sum, key| sum ^ pool.place(black_box(key))));
        });
    }
    let routes: Vec<_> = (0..16).map(|at| (format!("{at:04}*"), at)).chain([("0*7".to_owned(), 16)]).collect();
    let routes = Routes::new(&routes, 17);
    group.bench_function("route, 17 patterns", |bencher| {
        bencher.iter(|| keys.iter().fold(0, |sum, key| sum ^ routes.find(black_box(key))));
    });
    group.finish();
}

criterion_group!(benches, slots, owners, places);

fn main() {
    print_placement();
    benches();
    Criterion::default().configure_from_args().final_summary();
}
