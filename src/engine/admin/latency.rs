//! LATENCY: the events of all cores as one series each, and how long commands take.

use super::super::census::{Census, Wanted};
use super::super::figures::{self, EventFigures, SampleFigures};
use super::super::gather::{Gather, Report};
use super::super::ingress::Call;
use super::super::latency::{SAMPLES_MAX, Sample, Series};
use super::super::sessions::Client;
use crate::engine::Engine;
use crate::engine::event::HostReport;
use crate::protocol::command::{Command, lookup_full, spec};
use crate::protocol::resp::{Args, Reply, quoting};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Columns and rows of a graph.
const GRAPH_COLUMNS: usize = 80;
const GRAPH_ROWS: u64 = 4;

/// A reply about events while its parts come in.
struct Events {
    command: Command,
    /// What was named: for HISTORY and GRAPH the event.
    named: Vec<u8>,
    unix_s: u64,
    threshold_ms: u64,
    slowlog_us: i64,
    series: BTreeMap<String, Series>,
}

impl Report for Events {
    fn add(&mut self, _: u32, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let EventFigures { ms_max, event_bytes, samples } = figures::read(&mut bytes);
            let event = String::from_utf8_lossy(figures::take(&mut bytes, event_bytes as usize)).into_owned();
            let series = self.series.entry(event.clone()).or_insert_with(|| Series::new(&event));
            series.ms_max = series.ms_max.max(ms_max);
            let theirs = (0..samples).map(|_| {
                let SampleFigures { unix_s, ms } = figures::read(&mut bytes);
                Sample { unix_s, ms }
            });
            let mut all: Vec<Sample> = series.samples.drain(..).chain(theirs).collect();
            all.sort_by_key(|sample| (sample.unix_s, sample.ms));
            all.iter().skip(all.len().saturating_sub(SAMPLES_MAX)).for_each(|sample| series.add(*sample));
        }
    }

    fn encode(self: Box<Self>, reply: &mut Reply, _: &dyn Fn() -> HostReport) {
        let named = self.series.get(String::from_utf8_lossy(&self.named).as_ref());
        match self.command {
            Command::LatencyReset => reply.integer(self.series.len() as i64),
            Command::LatencyLatest => self.latest(reply),
            Command::LatencyHistory => {
                let samples = named.map(|series| &series.samples);
                reply.array(samples.map_or(0, |samples| samples.len()));
                for sample in samples.into_iter().flatten() {
                    reply.array(2);
                    reply.integer(sample.unix_s as i64);
                    reply.integer(sample.ms as i64);
                }
            }
            Command::LatencyGraph => match named {
                Some(series) => reply.verbatim("txt", graph(series, self.unix_s).as_bytes()),
                None => reply.error_bytes(&quoting("ERR No samples available for event '", &self.named, "'")),
            },
            _ => reply.verbatim("txt", self.advice().as_bytes()),
        }
    }
}

impl Events {
    fn latest(&self, reply: &mut Reply) {
        reply.array(self.series.len());
        for series in self.series.values() {
            let last = series.samples.back().copied().unwrap_or(Sample { unix_s: 0, ms: 0 });
            reply.array(4);
            reply.bulk(series.event.as_bytes());
            reply.integer(last.unix_s as i64);
            reply.integer(last.ms as i64);
            reply.integer(series.ms_max as i64);
        }
    }

    /// What a person can make of it.
    fn advice(&self) -> String {
        let mut text = String::new();
        if self.threshold_ms == 0 && self.series.is_empty() {
            return "Nothing is watched: latency-monitor-threshold is 0. Set it to the milliseconds from which on \
                    something counts as slow, wait, and ask again.\n"
                .to_owned();
        }
        if self.series.is_empty() {
            return format!("Nothing took {} ms or longer since the last reset.\n", self.threshold_ms);
        }
        for series in self.series.values() {
            let (count, sum) = series.samples.iter().fold((0, 0), |(n, sum), sample| (n + 1, sum + sample.ms));
            writeln!(
                text,
                "{}: {count} seconds with a spike; {} ms on average, {} ms at worst.",
                series.event,
                sum / std::cmp::max(count, 1),
                series.ms_max
            )
            .expect("writing to a string succeeds");
        }
        let has = |event: &str| self.series.contains_key(event);
        let slow_command = has("command") || has("fast-command");
        if slow_command && (self.slowlog_us < 0 || self.slowlog_us as u64 > self.threshold_ms * 1000) {
            let us = self.threshold_ms * 1000;
            text += &format!("\n- Set slowlog-log-slower-than to {us}, so that SLOWLOG GET names these commands.\n");
        } else if slow_command {
            text += "\n- SLOWLOG GET names these commands; HOTKEYS SLOW says what was done about their keys.\n";
        }
        if has("fast-command") {
            text += "- A fast command does little. If one takes long, the core was kept from its CPU: look for other \
                     processes on it, and at INFO cores for a core that has more to do than others.\n";
        }
        if has("expire-cycle") {
            text += "- Many keys expire at once. Spread their expiries, or make the largest of them smaller.\n";
        }
        if has("eviction-cycle") {
            text += "- Much is evicted at once: maxmemory was lowered, or values are large. Lower it in steps.\n";
        }
        text
    }
}

/// An event's samples as columns, oldest left, each with its age below.
fn graph(series: &Series, unix_s: u64) -> String {
    let shown: Vec<Sample> = series.samples.iter().copied().rev().take(GRAPH_COLUMNS).collect();
    let shown: Vec<Sample> = shown.into_iter().rev().collect();
    let high = shown.iter().map(|sample| sample.ms).max().unwrap_or(0);
    let low = shown.iter().map(|sample| sample.ms).min().unwrap_or(0);
    let mut text = format!(
        "{} - high {high} ms, low {low} ms (all time high {} ms)\n{}\n",
        series.event,
        series.ms_max,
        "-".repeat(GRAPH_COLUMNS)
    );
    for row in (0..GRAPH_ROWS).rev() {
        let filled = |sample: &Sample| {
            let height = if high == low { GRAPH_ROWS } else { (sample.ms - low) * GRAPH_ROWS / (high - low) };
            height.max(1) > row
        };
        text.extend(shown.iter().map(|sample| if filled(sample) { '#' } else { ' ' }));
        text.push('\n');
    }
    text.push('\n');
    let ages: Vec<String> = shown.iter().map(|sample| age(unix_s.saturating_sub(sample.unix_s))).collect();
    for row in 0..ages.iter().map(String::len).max().unwrap_or(0) {
        text.extend(ages.iter().map(|age| age.chars().nth(row).unwrap_or(' ')));
        text.push('\n');
    }
    text
}

fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// LATENCY HISTOGRAM while its parts come in.
struct Histograms {
    /// `None`: all.
    wanted: Option<Vec<Command>>,
    census: Census,
}

impl Histograms {
    /// A container stands for its subcommands; an unknown name for nothing.
    fn new(args: &Args) -> Histograms {
        let named = (2..args.len()).filter_map(|at| lookup_full(args.get(at)));
        let wanted = named.flat_map(|spec| std::iter::once(spec).chain(spec.subcommands)).map(|spec| spec.command);
        Histograms { wanted: (args.len() > 2).then(|| wanted.collect()), census: Census::default() }
    }
}

impl Report for Histograms {
    fn add(&mut self, _: u32, mut bytes: &[u8]) {
        self.census.add(&mut bytes);
    }

    fn encode(self: Box<Self>, reply: &mut Reply, _: &dyn Fn() -> HostReport) {
        let rows: BTreeMap<usize, _> = self.census.durations().map(|(command, row)| (command as usize, row)).collect();
        let all = || Command::ALL.to_vec();
        let shown: Vec<Command> = self
            .wanted
            .unwrap_or_else(all)
            .into_iter()
            .filter(|command| rows.contains_key(&(*command as usize)))
            .collect();
        reply.map(shown.len());
        for command in shown {
            let histogram = rows[&(command as usize)];
            reply.bulk(spec(command).name.as_bytes());
            reply.map(2);
            reply.bulk(b"calls");
            reply.integer(histogram.total() as i64);
            reply.bulk(b"histogram_usec");
            let doublings = histogram.doublings();
            reply.map(doublings.len());
            for (us, count) in doublings {
                reply.integer(us as i64);
                reply.integer(count as i64);
            }
        }
    }
}

impl Engine {
    pub(super) fn latency(&mut self, call: &mut Call, client: &mut Client, command: Command, args: &mut Args) {
        let gather = if command == Command::LatencyHistogram {
            Gather::report(self.cores, Histograms::new(args))
        } else {
            let events = Events {
                command,
                named: args.try_get(2).unwrap_or_default().to_vec(),
                unix_s: call.now.unix_us / 1_000_000,
                threshold_ms: self.settings.latency_threshold_ms,
                slowlog_us: self.settings.slowlog_slower_than_us,
                series: BTreeMap::new(),
            };
            Gather::report(self.cores, events)
        };
        self.everywhere(call, client, command, args, gather.in_proto(client.proto));
    }

    /// This core's part.
    pub(super) fn latency_part(&mut self, command: Command, args: &Args, reply: &mut Reply) {
        let out = &mut reply.out.bytes;
        if command == Command::LatencyHistogram {
            return self.write_census(Wanted { durations: true, ..Wanted::default() }, out);
        }
        let named = |series: &Series| (2..args.len()).any(|at| args.get(at) == series.event.as_bytes());
        let wanted = |series: &&Series| args.len() == 2 || named(series);
        for series in self.latency.series.iter().filter(wanted) {
            let (event, samples) = (series.event.as_bytes(), series.samples.len() as u64);
            figures::write(out, &EventFigures { ms_max: series.ms_max, event_bytes: event.len() as u64, samples });
            out.extend_from_slice(event);
            for Sample { unix_s, ms } in &series.samples {
                figures::write(out, &SampleFigures { unix_s: *unix_s, ms: *ms });
            }
        }
        if command == Command::LatencyReset {
            self.latency.series.retain(|series| args.len() > 2 && !named(series));
        }
    }
}
