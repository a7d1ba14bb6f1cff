//! What the table costs: GET and SET through `keyspace::command::apply`, over 1 k and 1 M random keys (and 10 M with
//! `BENCH_LARGE=1`, which takes about 1 GB).
//!
//! Each figure comes twice. *Grouped* is the engine's way: 32 commands are hashed, their tables, then the entries in them
//! and then the items are asked for, and then they run. *One by one* runs each as it comes. The difference is what prefetching is worth; it grows
//! with the keyspace, since a small one is in the cache anyway.

mod draw;

use coldplate::keyspace::command::{Request, apply};
use coldplate::keyspace::{Shard, ShardOptions};
use coldplate::protocol::Command;
use coldplate::protocol::resp::{Arg, Args, Output, Proto, Reply};
use coldplate::routing::slot_of;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use draw::{Draw, VALUE, key};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Bytes of every key.
const KEY_BYTES: usize = 15;
/// As many as the engine looks up together.
const GROUP: usize = 32;
/// Keys drawn ahead: far more than caches hold, and read in order, which the processor foresees.
const DRAWN: usize = 1 << 20;
const NOW_MS: u64 = 1_700_000_000_000;

/// Requests as the parser leaves them: name and value once, then keys in a row.
struct Requests {
    text: Vec<u8>,
    command: Command,
    next: usize,
}

impl Requests {
    fn new(command: Command, numbers: impl Iterator<Item = u64>) -> Requests {
        let mut text = VALUE.to_vec();
        numbers.for_each(|number| text.extend_from_slice(key(number).as_bytes()));
        Requests { text, command, next: 0 }
    }

    /// The arguments of the next request, from the first again after the last.
    fn next(&mut self) -> [Arg; 3] {
        let at = VALUE.len() + self.next * KEY_BYTES;
        self.next += 1;
        if VALUE.len() + self.next * KEY_BYTES == self.text.len() {
            self.next = 0;
        }
        // The name is not looked at any more: the command is known.
        [Arg::text(0, 3), Arg::text(at, KEY_BYTES), Arg::text(0, VALUE.len())]
    }

    fn args<'a>(&'a self, places: &'a [Arg; 3]) -> Args<'a> {
        let count = if self.command == Command::Set { 3 } else { 2 };
        Args::new(&self.text, &places[..count], &mut [])
    }
}

/// Runs a group, looked up together or one by one; all replies go to `output`.
fn run(shard: &mut Shard, requests: &mut Requests, grouped: bool, output: &mut Output) {
    output.clear();
    let mut places = [[Arg::text(0, 0); 3]; GROUP];
    let mut found = [None; GROUP];
    places.fill_with(|| requests.next());
    if grouped {
        let keys = places.map(|places| {
            let args = requests.args(&places);
            let (slot, hash) = (slot_of(args.get(1)), shard.hash(args.get(1)));
            shard.prefetch_table(slot);
            (slot, hash)
        });
        keys.iter().for_each(|(slot, hash)| shard.prefetch_entry(*slot, *hash));
        found = keys.map(|(slot, hash)| Some((slot, hash, shard.probe(slot, hash))));
    }
    for (places, found) in places.iter().zip(found) {
        let args = requests.args(places);
        let key = args.get(1);
        let (slot, hash, hint) = found.unwrap_or_else(|| (slot_of(key), shard.hash(key), None));
        let mut request = Request { command: requests.command, args, slot, hash, hint };
        apply(shard, NOW_MS, &mut request, &mut Reply { out: output, proto: Proto::Resp2 });
    }
}

fn filled(keys: u64) -> Shard {
    let mut shard = Shard::new(&ShardOptions { hash_seed: [1, 2, 3, 4], draw_seed: 5, place: slot_of });
    let mut output = Output::default();
    let padded = keys.next_multiple_of(GROUP as u64);
    let mut requests = Requests::new(Command::Set, (0..padded).map(|number| number % keys));
    for _ in 0..padded / GROUP as u64 {
        run(&mut shard, &mut requests, true, &mut output);
    }
    assert_eq!(shard.len() as u64, keys);
    shard
}

fn table(criterion: &mut Criterion) {
    let mut sizes = vec![(1_000, "1 k"), (1_000_000, "1 M")];
    if std::env::var_os("BENCH_LARGE").is_some_and(|large| large == "1") {
        sizes.push((10_000_000, "10 M"));
    }
    for (keys, name) in sizes {
        let mut shard = filled(keys);
        let bytes = shard.used_bytes() as f64 / keys as f64;
        println!("{name} keys of {KEY_BYTES} bytes with values of {}: {bytes:.1} bytes a key", VALUE.len());
        let mut group = criterion.benchmark_group(format!("{name} keys"));
        group.throughput(Throughput::Elements(GROUP as u64)).warm_up_time(Duration::from_secs(1));
        for command in [Command::Get, Command::Set] {
            let mut draw = Draw::new(7);
            let mut requests = Requests::new(command, (0..DRAWN).map(|_| draw.below(keys)));
            let mut output = Output::default();
            for (grouped, way) in [(true, "grouped"), (false, "one by one")] {
                group.bench_function(format!("{command:?}, {way}"), |bencher| {
                    bencher.iter(|| run(&mut shard, &mut requests, grouped, &mut output));
                });
            }
        }
        group.finish();
        assert_eq!(shard.counts.misses, 0, "every key is there");
    }
}

criterion_group!(benches, table);
criterion_main!(benches);
