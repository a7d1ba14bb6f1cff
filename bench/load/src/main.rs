//! `cold-load`: options in, one line of results out.

use std::process::ExitCode;
use std::sync::Barrier;
use std::time::Duration;

use clap::Parser;
use cold_load::cluster::{Node, Share, nodes};
use cold_load::drive::{Drive, Outturn, Source};
use cold_load::error::{Error, Result};
use cold_load::fill;
use cold_load::keys::{Distribution, Keyspace, Stream};
use cold_load::request::{Mix, Protocol, Verbs, value};

/// Drives a Redis or memcached server in a closed loop and prints operations, latency, errors and misses.
#[derive(Parser, Clone)]
#[command(name = "cold-load", version)]
struct Options {
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    #[arg(long)]
    port: u16,
    /// Connections, shared evenly by the threads
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    conns: u32,
    /// Requests a batch; a connection sends the next batch when all of the last is answered
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pipeline: u32,
    /// get, set, incr, or SETS:GETS such as 1:10
    #[arg(long, default_value = "1:10")]
    mix: Mix,
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=4_000_000_000))]
    keys: u64,
    /// A key is this and its number, seven digits or more
    #[arg(long, default_value = "memtier-")]
    key_prefix: String,
    #[arg(long, default_value_t = 32)]
    value_bytes: usize,
    /// How long to drive; 0 with --fill only fills
    #[arg(long, default_value_t = 5.0)]
    secs: f64,
    /// Set all keys once first, and check the server's count
    #[arg(long)]
    fill: bool,
    /// Asks the server for the nodes of its cluster and connects to them in turn, each key to its node; not with
    /// --dist one, which is one node's
    #[arg(long)]
    cluster: bool,
    /// resp or memcache
    #[arg(long, default_value = "resp")]
    proto: Protocol,
    /// uniform, zipf:EXPONENT or one
    #[arg(long, default_value = "uniform")]
    dist: Distribution,
    /// Makes other keys the hot ones every so many seconds, for zipf
    #[arg(long)]
    shift_secs: Option<f64>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: u32,
    /// One line of JSON instead of prose
    #[arg(long)]
    json: bool,
}

struct Load {
    verbs: Verbs,
    mix: Mix,
    pipeline: u32,
    stream: Stream,
}

impl Source for Load {
    fn next_batch(&mut self, out: &mut Vec<u8>) -> u32 {
        self.stream.start_batch();
        for _ in 0..self.pipeline {
            self.verbs.append(self.mix, &mut self.stream, out);
        }
        self.pipeline
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(Some(outturn)) if options.json => println!("{}", json(&outturn)),
        Ok(Some(outturn)) => println!("{}", prose(&outturn)),
        Ok(None) => {}
        Err(error) => {
            eprintln!("cold-load: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn run(options: &Options) -> Result<Option<Outturn>> {
    let address = format!("{}:{}", options.host, options.port);
    // INCR needs numbers to count on.
    let value = if options.mix == Mix::Incr { b"0".to_vec() } else { value(options.value_bytes, options.seed) };
    let verbs = Verbs::new(options.proto, &options.key_prefix, options.keys, &value);
    if options.fill {
        fill::fill(&address, options.proto, &verbs, options.keys)?;
    }
    if options.secs <= 0.0 || !options.secs.is_finite() {
        return Ok(None);
    }
    let shift = options.shift_secs.filter(|secs| *secs > 0.0).map(Duration::from_secs_f64);
    let keyspace = Keyspace::new(options.keys, options.dist, shift, options.seed);
    let places = places(options, &address, verbs.digits())?;
    let mut drives = Vec::new();
    for thread in 0..options.threads {
        let sources = (thread..options.conns).step_by(options.threads as usize).map(|connection| {
            let (address, share) = &places[connection as usize % places.len()];
            let stream = Stream::new(keyspace.clone(), options.seed.wrapping_add(1 + u64::from(connection)));
            let stream = stream.of_node(share.clone());
            (address.as_str(), Load { verbs: verbs.clone(), mix: options.mix, pipeline: options.pipeline, stream })
        });
        drives.push(Drive::connect_each(options.proto, sources.collect())?);
    }
    let duration = Duration::from_secs_f64(options.secs.min(86_400.0));
    let barrier = Barrier::new(drives.len());
    let mut total = Outturn::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = drives
            .into_iter()
            .map(|drive| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    drive.run(duration)
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| {
            total.add(thread.join().expect("a panic aborts the process")?);
            Ok(())
        })
    })
    .map(|()| Some(total))
}

/// Where to connect, and which keys to ask for there.
fn places(options: &Options, address: &str, digits: usize) -> Result<Vec<(String, Option<Share>)>> {
    if !options.cluster {
        return Ok(vec![(address.to_owned(), None)]);
    }
    if options.dist == Distribution::One {
        return Err(Error::OneKey);
    }
    let place = |node: Node| {
        let share = Share::new(&node, &options.key_prefix, digits, options.keys)?;
        Ok((node.address, Some(share)))
    };
    let places: Result<Vec<_>> = nodes(address)?.into_iter().map(place).collect();
    match places {
        Ok(places) if places.is_empty() => Err(Error::NoKeys { address: address.to_owned() }),
        places => places,
    }
}

fn percentile_us(outturn: &Outturn, quantile: f64) -> f64 {
    outturn.batch_ns.value_at_quantile(quantile) as f64 / 1_000.0
}

fn json(outturn: &Outturn) -> String {
    let first_error = outturn.first_error.as_deref().map_or_else(|| "null".to_owned(), json_string);
    format!(
        "{{\"ops\":{},\"secs\":{:.4},\"ops_s\":{:.0},\"p50_us\":{:.1},\"p99_us\":{:.1},\"p999_us\":{:.1},\
         \"max_us\":{:.1},\"errors\":{},\"misses\":{},\"first_error\":{}}}",
        outturn.ops,
        outturn.elapsed.as_secs_f64(),
        outturn.ops as f64 / outturn.elapsed.as_secs_f64(),
        percentile_us(outturn, 0.5),
        percentile_us(outturn, 0.99),
        percentile_us(outturn, 0.999),
        outturn.batch_ns.max() as f64 / 1_000.0,
        outturn.errors,
        outturn.misses,
        first_error,
    )
}

/// Server text as a JSON string: what JSON or a log would trip over becomes a dot.
fn json_string(text: &str) -> String {
    let safe = |letter: char| matches!(letter, ' '..='~') && letter != '"' && letter != '\\';
    format!("\"{}\"", text.chars().map(|letter| if safe(letter) { letter } else { '.' }).collect::<String>())
}

fn prose(outturn: &Outturn) -> String {
    let mut text = format!(
        "{:.0} ops/s ({} in {:.2} s); batch p50 {:.1} us, p99 {:.1}, p99.9 {:.1}, max {:.1}; {} errors, {} misses",
        outturn.ops as f64 / outturn.elapsed.as_secs_f64(),
        outturn.ops,
        outturn.elapsed.as_secs_f64(),
        percentile_us(outturn, 0.5),
        percentile_us(outturn, 0.99),
        percentile_us(outturn, 0.999),
        outturn.batch_ns.max() as f64 / 1_000.0,
        outturn.errors,
        outturn.misses,
    );
    if let Some(error) = &outturn.first_error {
        text.push_str(&format!("; the first error: {error}"));
    }
    text
}
