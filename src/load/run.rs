//! The runs of a benchmark in order: connect, drive all threads, tell how it goes, report.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::cli;
use super::cluster::Nodes;
use super::command::{Template, Turns};
use super::cpu::{Cost, Servers};
use super::data::Values;
use super::drive::{Drive, LoadClient, Outturn, Workload};
use super::endpoint::Client;
use super::error::LoadError;
use super::keys::KeyStream;
use super::options::{Extent, Options};
use super::pace::Pace;
use super::report::{self, Run};
use super::tally::{Counts, Errors, Interval, Row, Timeline};
use super::text;

/// How much later than the threads' seconds the progress is told, so that each line has a whole one.
const LATENESS: Duration = Duration::from_millis(50);
/// Between two runs, for connections to be closed.
const SETTLE: Duration = Duration::from_secs(1);
const SECOND: Duration = Duration::from_secs(1);

/// `coldplate bench`: the arguments behind that name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let options = match cli::parse(arguments) {
        Ok(options) => options,
        Err(refusal) => refusal.exit(),
    };
    match bench(&options) {
        Ok(complete) if complete => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("coldplate bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// False: connections were lost, so that this was not the load that was asked for.
fn bench(options: &Options) -> Result<bool, LoadError> {
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&stop)).map_err(LoadError::Signal)?;
    raise_files_limit();
    let mut results = Vec::new();
    for run in 1..=options.run_count {
        if run > 1 {
            std::thread::sleep(SETTLE);
        }
        let result = run_once(options, run, &stop)?;
        report::hdr::write(options, run, &result)?;
        results.push(result);
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    report::write(options, &results)?;
    Ok(results.iter().all(|result| result.connection_errors == 0))
}

/// A connection is a file: as many as the system allows at all. Where it allows fewer, connecting will say so.
fn raise_files_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

fn run_once(options: &Options, run: u32, stop: &AtomicBool) -> Result<Run, LoadError> {
    eprintln!("[RUN #{run}] Preparing benchmark client...");
    let nodes = find_nodes(options)?;
    let servers = Servers::find(&nodes, &options.login);
    let (load, values) = workload(options);
    let drives: Result<Vec<Drive>, LoadError> = (0..u64::from(options.threads))
        .map(|thread| {
            let first = thread * u64::from(options.clients);
            let clients =
                (first..first + u64::from(options.clients)).map(|index| client(options, &load, &values, index));
            Drive::connect(&load, nodes.clone(), clients.collect())
        })
        .collect();
    eprintln!("[RUN #{run}] Launching threads now...");
    let (before_us, started) = (servers.cpu_us(), SystemTime::now());
    let (outturns, timeline) = drive_all(options, run, drives?, stop)?;
    let cost = servers.cost(before_us, servers.cpu_us());
    Ok(collect(options, outturns, timeline, started, cost, stop.load(Ordering::Relaxed)))
}

fn find_nodes(options: &Options) -> Result<Nodes, LoadError> {
    let mut client = Client::connect(&options.endpoint, &options.login)?;
    if !options.cluster {
        // What every connection does must work on the first: one error instead of thousands.
        return Ok(Nodes::single(options.endpoint.clone()));
    }
    let answer = client.ask("CLUSTER SLOTS", &["CLUSTER", "SLOTS"])?;
    if let crate::protocol::resp::Value::Error(reply) = answer {
        let (endpoint, command) = (options.endpoint.clone(), "CLUSTER SLOTS".to_owned());
        return Err(LoadError::Refused { endpoint, command, reply });
    }
    Nodes::from_slots(&answer, &options.endpoint)
        .ok_or_else(|| LoadError::NoNodes { endpoint: options.endpoint.clone() })
}

fn workload(options: &Options) -> (Workload, Values) {
    let values = Values::new(options.size.clone(), options.random_data, &options.keys, options.seed);
    let template =
        |command| Template::new(command, &options.key_prefix, values.constant(), options.expiry_s.unwrap_or((0, 0)));
    let load = Workload {
        templates: options.commands.iter().map(template).collect(),
        commands: options.commands.clone(),
        rows: options.row_names().len(),
        pipeline: options.pipeline as usize,
        cluster: options.cluster,
        login: options.login.clone(),
        time_ns: match options.extent {
            Extent::Time(time) => Some(time.as_nanos() as u64),
            _ => None,
        },
    };
    (load, values)
}

fn client(options: &Options, load: &Workload, values: &Values, index: u64) -> LoadClient {
    let seed = options.seed.wrapping_add(if options.distinct_seeds { index } else { 0 });
    let keys = KeyStream::new(&options.keys, options.part(index), load.commands.len(), seed);
    let phase = index as f64 / options.clients_total() as f64;
    let pace = options.rate.map(|rate| Pace::new(u64::from(rate), options.open_loop, phase));
    LoadClient::new(keys, values.clone(), Turns::new(&load.commands), options.requests(index), pace)
}

fn drive_all(
    options: &Options,
    run: u32,
    drives: Vec<Drive<'_>>,
    stop: &AtomicBool,
) -> Result<(Vec<Outturn>, Timeline), LoadError> {
    let barrier = Barrier::new(drives.len() + 1);
    let mut timeline = Timeline::new(drives.len(), options.output.percentiles.clone());
    let (seconds, told) = channel();
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for drive in drives {
            let (barrier, seconds) = (&barrier, seconds.clone());
            threads.push(scope.spawn(move || {
                barrier.wait();
                drive.run(stop, &seconds)
            }));
        }
        drop(seconds);
        barrier.wait();
        watch(options, run, &told, &mut timeline);
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| thread.join().expect("a panic has been told already");
        threads.into_iter().map(join).collect::<Result<Vec<_>, _>>()
    })
    .map(|outturns| {
        timeline.finish();
        (outturns, timeline)
    })
}

/// Takes in the threads' seconds until the last of them has ended, and tells how it goes, once a second.
fn watch(options: &Options, run: u32, told: &Receiver<Interval>, timeline: &mut Timeline) {
    let start = Instant::now();
    let mut line_at = start + SECOND + LATENESS;
    let mut progress = Progress::default();
    loop {
        match told.recv_timeout(line_at.saturating_duration_since(Instant::now())) {
            Ok(interval) => {
                progress.take(&interval);
                timeline.add(interval);
                continue;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        line_at += SECOND;
        eprint!("{}\r", progress.line(options, run, start.elapsed()));
    }
    eprintln!("{}", progress.line(options, run, start.elapsed()));
}

/// The figures of the line that tells how a run goes.
#[derive(Default)]
struct Progress {
    total: Counts,
    connection_errors: u64,
    last: Counts,
    last_at: Duration,
    shown: Counts,
}

impl Progress {
    fn take(&mut self, interval: &Interval) {
        self.total.add(&interval.totals());
        self.connection_errors += interval.connection_errors;
    }

    fn line(&mut self, options: &Options, run: u32, elapsed: Duration) -> String {
        let secs = elapsed.as_secs_f64().max(1e-6);
        let since = (elapsed - self.last_at).as_secs_f64().max(1e-6);
        // The last line may come right behind another.
        if self.total.ops > self.last.ops && (since > 0.5 || self.last.ops == 0) {
            let recent = Counts {
                ops: ((self.total.ops - self.last.ops) as f64 / since) as u64,
                received_bytes: ((bytes(&self.total) - bytes(&self.last)) as f64 / since) as u64,
                latency_us: (self.total.latency_us - self.last.latency_us) / (self.total.ops - self.last.ops),
                ..Counts::default()
            };
            (self.shown, self.last, self.last_at) = (recent, self.total, elapsed);
        }
        let share = match options.extent {
            Extent::Time(time) => secs / time.as_secs_f64(),
            _ => {
                let requests: u128 =
                    (0..options.clients_total()).map(|index| u128::from(options.requests(index))).sum();
                self.total.ops as f64 / requests as f64
            }
        };
        let errors = match self.connection_errors {
            0 => String::new(),
            errors => format!(" {errors} conn errors"),
        };
        format!(
            "[RUN #{run} {:.0}%, {:3} secs] {:2} threads {:2} conns{errors}: {:11} ops, {:7} (avg: {:7.0}) ops/sec, \
             {}/sec (avg: {}/sec), {:5.2} (avg: {:5.2}) msec latency",
            share.min(1.0) * 100.0,
            elapsed.as_secs(),
            options.threads,
            options.clients,
            self.total.ops,
            self.shown.ops,
            self.total.ops as f64 / secs,
            text::size(self.shown.received_bytes as f64),
            text::size(bytes(&self.total) as f64 / secs),
            self.shown.latency_us as f64 / 1_000.0,
            self.total.average_ms(),
        )
    }
}

fn bytes(counts: &Counts) -> u64 {
    counts.received_bytes + counts.sent_bytes
}

fn collect(
    options: &Options,
    outturns: Vec<Outturn>,
    timeline: Timeline,
    started: SystemTime,
    cost: Cost,
    interrupted: bool,
) -> Run {
    let mut result = Run {
        rows: options.row_names().iter().map(|_| Row::new()).collect(),
        seconds: timeline.seconds,
        started,
        elapsed: Duration::ZERO,
        errors: Errors::default(),
        connection_errors: 0,
        lost: 0,
        overdue: 0,
        interrupted,
        cost,
    };
    for outturn in outturns {
        result.rows.iter_mut().zip(&outturn.tally.rows).for_each(|(sum, row)| sum.add(row));
        result.errors.add(&outturn.tally.errors);
        result.connection_errors += outturn.tally.connection_errors;
        result.lost += outturn.tally.lost;
        result.overdue += outturn.overdue;
        result.elapsed = result.elapsed.max(Duration::from_nanos(outturn.elapsed_ns));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves the line letter by letter: in the middle of a run, and that a last line right behind it keeps the rates.
    #[test]
    fn progress_is_memtiers() {
        let options = Options { extent: Extent::Time(Duration::from_secs(4)), ..Options::example() };
        let mut progress = Progress::default();
        let mut interval = Interval::new(0, 2);
        interval.rows[1].counts = Counts {
            ops: 2_000,
            received_bytes: 1 << 20,
            sent_bytes: 1 << 20,
            latency_us: 500_000,
            ..Counts::default()
        };
        interval.connection_errors = 3;
        progress.take(&interval);
        let line = progress.line(&options, 1, Duration::from_secs(1));
        let expected = "[RUN #1 25%,   1 secs]  1 threads  2 conns 3 conn errors:        2000 ops,    2000 (avg:    2000) \
                        ops/sec, 2.00MB/sec (avg: 2.00MB/sec),  0.25 (avg:  0.25) msec latency";
        assert_eq!(line, expected);
        progress.take(&interval);
        let last = progress.line(&options, 1, Duration::from_millis(1_010));
        assert!(last.contains(" 4000 ops,    2000 (avg:    3960) ops/sec"), "{last}");
    }
}
