//! `cold-replay`: uses a server as a cache in front of a made-up trace (GET; on a miss SET) and prints the hit ratio.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use cold_load::drive::connect;
use cold_load::error::{Error, Result};
use cold_load::fill::stored_count;
use cold_load::reply::{Outcome, Replies};
use cold_load::request::{Protocol, resp, value};
use cold_load::trace::{Shape, Trace, value_bytes};

/// Replays a seeded trace against a Redis-protocol server as a cache and prints one line of JSON.
#[derive(Parser)]
#[command(name = "cold-replay", version)]
struct Options {
    #[arg(long)]
    port: u16,
    /// zipf, scan or shift
    #[arg(long)]
    trace: Shape,
    #[arg(long, default_value_t = 1_500_000)]
    requests: u64,
    /// Requests at the start that fill the cache and do not count
    #[arg(long, default_value_t = 500_000)]
    warm: u64,
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(100..=4_000_000_000))]
    keys: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// GETs in flight before the misses among them are set
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    batch: u64,
    /// Requests a second at most; 0 is as fast as they go. Redis's LRU clock ticks once a second, so speed matters to it
    #[arg(long, default_value_t = 0)]
    rate: u64,
}

#[derive(Default)]
struct Score {
    hits: u64,
    misses: u64,
    errors: u64,
    first_error: Option<String>,
}

struct Cache {
    stream: TcpStream,
    replies: Replies,
    buffer: Vec<u8>,
    value: Vec<u8>,
}

impl Cache {
    fn connect(port: u16) -> Result<Self> {
        let stream = connect(&format!("127.0.0.1:{port}"))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self { stream, replies: Replies::new(Protocol::Resp), buffer: vec![0; 256 * 1024], value: value(512, 1) })
    }

    /// GETs all of `keys`, then SETs those that missed. A key asked for twice in a batch may miss twice.
    fn look_up(&mut self, keys: &[u64], score: &mut Score) -> Result<()> {
        let mut missed = Vec::new();
        let gets = keys.iter().map(|&key| resp(&[Some(b"GET"), Some(name(key).as_bytes())]));
        self.exchange(gets.collect(), |index, outcome| match outcome {
            Outcome::Value => score.hits += 1,
            Outcome::Miss => {
                score.misses += 1;
                missed.push(keys[index]);
            }
            Outcome::Error(text) => score.fail(text),
        })?;
        let value = std::mem::take(&mut self.value);
        let sets = missed
            .iter()
            .map(|&key| resp(&[Some(b"SET"), Some(name(key).as_bytes()), Some(&value[..value_bytes(key)])]));
        let sent = self.exchange(sets.collect(), |_, outcome| {
            if let Outcome::Error(text) = outcome {
                score.fail(text);
            }
        });
        self.value = value;
        sent
    }

    fn exchange(&mut self, requests: Vec<Vec<u8>>, mut each: impl FnMut(usize, Outcome<'_>)) -> Result<()> {
        self.stream.write_all(&requests.concat())?;
        let mut answered = 0;
        while answered < requests.len() {
            let read_bytes = match self.stream.read(&mut self.buffer) {
                // A socket with a time limit is interrupted where the process is stopped for a while.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if read_bytes == 0 {
                return Err(Error::Closed { connection: 0, waiting: (requests.len() - answered) as u32 });
            }
            self.replies.feed(&self.buffer[..read_bytes], |outcome| {
                if answered < requests.len() {
                    each(answered, outcome);
                }
                answered += 1;
            })?;
        }
        match answered - requests.len() {
            0 => Ok(()),
            extra => Err(Error::Surplus { connection: 0, extra: extra as u32 }),
        }
    }
}

impl Score {
    fn fail(&mut self, text: &[u8]) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| String::from_utf8_lossy(text).into_owned());
    }
}

fn name(key: u64) -> String {
    format!("item:{key:010}")
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cold-replay: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<String> {
    let mut cache = Cache::connect(options.port)?;
    let mut trace = Trace::new(options.trace, options.keys, options.seed);
    let (mut warm, mut score) = (Score::default(), Score::default());
    let start = Instant::now();
    let mut done = 0;
    while done < options.requests {
        let keys: Vec<u64> = (0..options.batch.min(options.requests - done)).map(|_| trace.next_key()).collect();
        cache.look_up(&keys, if done < options.warm { &mut warm } else { &mut score })?;
        done += keys.len() as u64;
        if options.rate > 0 {
            let due = Duration::from_secs_f64(done as f64 / options.rate as f64);
            std::thread::sleep(due.saturating_sub(start.elapsed()));
        }
    }
    if let Some(error) = score.first_error.as_ref().or(warm.first_error.as_ref()) {
        eprintln!("cold-replay: the first of {} errors: {error}", score.errors + warm.errors);
    }
    Ok(format!(
        "{{\"requests\":{},\"hits\":{},\"misses\":{},\"hit_ratio\":{:.5},\"errors\":{},\"stored\":{},\"secs\":{:.2}}}",
        score.hits + score.misses,
        score.hits,
        score.misses,
        score.hits as f64 / (score.hits + score.misses).max(1) as f64,
        score.errors + warm.errors,
        stored_count(&format!("127.0.0.1:{}", options.port), Protocol::Resp)?,
        start.elapsed().as_secs_f64(),
    ))
}
