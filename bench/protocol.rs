//! What the bytes cost: requests parsed out of a receive buffer, replies encoded into an output.
//!
//! Pipelines are 64 requests of 15-byte keys and 32-byte values, as in `bench/compare`. All of it stays in the cache:
//! this is the work of the processor alone.

mod draw;

use coldplate::protocol::command::resolve;
use coldplate::protocol::resp::{Arg, Args, Input, Limits, Output, Proto, Reply, parse};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use draw::{Draw, VALUE, key};
use std::hint::black_box;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PIPELINE: usize = 64;
const MGET_KEYS: usize = 16;
/// What one segment of an Ethernet carries: how requests come apart.
const PIECE_BYTES: usize = 1448;

fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn pipelines() -> [(&'static str, Vec<u8>); 3] {
    let mut draw = Draw::new(1);
    let mut keys = || key(draw.below(1_000_000));
    let gets = (0..PIPELINE).flat_map(|_| request(&[b"GET", keys().as_bytes()])).collect();
    let sets = (0..PIPELINE).flat_map(|_| request(&[b"SET", keys().as_bytes(), VALUE])).collect();
    let mgets = (0..PIPELINE)
        .flat_map(|_| {
            let keys: Vec<String> = (0..MGET_KEYS).map(|_| keys()).collect();
            let mut words: Vec<&[u8]> = vec![b"MGET"];
            words.extend(keys.iter().map(String::as_bytes));
            request(&words)
        })
        .collect();
    [("GET", gets), ("SET", sets), ("MGET of 16 keys", mgets)]
}

/// Parses every request of a buffer and looks its command up, as the engine's ingress does.
fn parse_all(bytes: &[u8], limits: &Limits, args: &mut Vec<Arg>) -> usize {
    args.clear();
    let (mut at, mut requests) = (0, 0);
    while let Some(taken) = parse(&bytes[at..], limits, args).expect("well-formed requests") {
        at += taken;
        requests += 1;
    }
    requests
}

fn parsing(criterion: &mut Criterion) {
    let limits = Limits::default();
    let mut args: Vec<Arg> = Vec::new();
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Elements(PIPELINE as u64));
    for (name, bytes) in &pipelines() {
        group.bench_function(*name, |bencher| {
            bencher.iter(|| assert_eq!(parse_all(black_box(bytes), &limits, &mut args), PIPELINE));
        });
        // What a request costs whose bytes had to be held back because it came in two pieces.
        group.bench_function(format!("{name}, held back"), |bencher| {
            let mut input = Input::new();
            bencher.iter(|| {
                let mut requests = 0;
                for piece in black_box(bytes).chunks(PIECE_BYTES) {
                    input.keep(piece);
                    args.clear();
                    while input.next(&limits, &mut args).expect("well-formed requests").is_some() {
                        requests += 1;
                    }
                    input.release();
                }
                assert_eq!(requests, PIPELINE);
            });
        });
    }
    group.finish();
}

fn resolving(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("resolve");
    group.throughput(Throughput::Elements(1));
    for name in ["GET", "get", "PEXPIREAT"] {
        let text = format!("{name}{}", key(1));
        let name_bytes = name.len();
        let mut args = vec![Arg::text(0, name_bytes), Arg::text(name_bytes, text.len() - name_bytes)];
        if name_bytes > 3 {
            args.push(args[1]);
        }
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                resolve(&Args::new(black_box(text.as_bytes()), &args, &mut [])).expect("a known command").arity
            });
        });
    }
    group.finish();
}

fn encoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(PIPELINE as u64));
    let large = Arc::new(vec![7_u8; 1 << 20]);
    let mut output = Output::default();
    let mut pipeline = |name: &str, each: &mut dyn FnMut(&mut Reply, usize)| {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                output.clear();
                let mut reply = Reply { out: &mut output, proto: Proto::Resp2 };
                (0..PIPELINE).for_each(|index| each(&mut reply, black_box(index)));
                output.len_bytes()
            });
        });
    };
    pipeline("bulk of 32 bytes", &mut |reply, _| reply.bulk(black_box(VALUE)));
    pipeline("bulk of 1 MiB, shared", &mut |reply, _| reply.bulk_shared(Arc::clone(&large), 0..large.len()));
    pipeline("integer of 1 digit", &mut |reply, index| reply.integer(index as i64 % 10));
    pipeline("integer of 12 digits", &mut |reply, index| reply.integer(123_456_789_012 + index as i64));
    pipeline("OK", &mut |reply, _| reply.ok());
    group.finish();
}

criterion_group!(benches, parsing, resolving, encoding);
criterion_main!(benches);
