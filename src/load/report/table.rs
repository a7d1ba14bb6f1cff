//! memtier_benchmark's table and distribution, and a few lines of ours behind them.

use super::{Rates, Run};
use crate::load::cpu::Cost;
use crate::load::options::Options;
use crate::load::tally::Row;
use crate::load::text;

/// Percentiles a halving of the distance to 100, as in memtier_benchmark.
const STEPS_PER_HALVING: u32 = 10;
const RULE: &str = "------------------------------------------------------------------------";

/// A column: its width and its cells, the head first.
struct Column {
    width: usize,
    cells: Vec<String>,
}

impl Column {
    fn new(width: usize, head: impl Into<String>) -> Self {
        Self { width, cells: vec![head.into()] }
    }
}

/// What a row of the table shows; SET and GET runs have rows that others have not.
struct Line<'a> {
    name: String,
    row: &'a Row,
    /// Hits and misses mean something here.
    hits: bool,
}

pub fn print(options: &Options, title: &str, result: &Run) -> String {
    let (totals, nothing) = (result.totals(), Row::new());
    let mut lines = Vec::new();
    for (name, row) in options.row_names().iter().zip(&result.rows) {
        lines.push(Line { name: text::row(name), row, hits: options.set_get && name == "GET" });
    }
    if options.set_get {
        lines.push(Line { name: "Waits".to_owned(), row: &nothing, hits: false });
    }
    lines.push(Line { name: "Totals".to_owned(), row: &totals, hits: options.set_get });
    let columns = columns(options, &lines, result.secs());
    let rule: usize = columns.iter().map(|column| column.width + 1).sum();
    let mut text = format!("\n\n{title}\n{}\n", "=".repeat(rule));
    for line in 0..=lines.len() {
        for (place, column) in columns.iter().enumerate() {
            let (width, cell) = (column.width, &column.cells[line]);
            text.push_str(&if place == 0 { format!("{cell:<width$} ") } else { format!("{cell:>width$} ") });
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        if line == 0 {
            columns.iter().for_each(|column| text.push_str(&"-".repeat(column.width + 1)));
            text.push('\n');
        }
    }
    text.push_str(&remarks(options, result, totals.counts.ops));
    if !options.output.hide_histogram {
        text.push_str(&distribution(options, result));
    }
    text
}

fn columns(options: &Options, lines: &[Line], secs: f64) -> Vec<Column> {
    let rates: Vec<Rates> = lines.iter().map(|line| Rates::of(&line.row.counts, secs)).collect();
    let longest = lines.iter().map(|line| line.name.len()).max().unwrap_or(0);
    let none = || "---".to_owned();
    let mut columns = vec![Column::new(longest.max(6) + 1, "Type")];
    columns[0].cells.extend(lines.iter().map(|line| line.name.clone()));
    let mut add = |width: usize, head: String, cell: &dyn Fn(&Line, &Rates) -> String| {
        let mut column = Column::new(width, head);
        column.cells.extend(lines.iter().zip(&rates).map(|(line, rates)| cell(line, rates)));
        columns.push(column);
    };
    let rate = |value: f64| format!("{value:.2}");
    add(12, "Ops/sec".into(), &|_, rates| rate(rates.ops));
    if options.set_get {
        add(12, "Hits/sec".into(), &|line, rates| if line.hits { rate(rates.hits) } else { none() });
        add(12, "Misses/sec".into(), &|line, rates| if line.hits { rate(rates.misses) } else { none() });
    }
    let is_wait = |line: &Line| line.name == "Waits";
    if options.cluster {
        add(12, "MOVED/sec".into(), &|line, rates| if is_wait(line) { none() } else { rate(rates.moved) });
        add(12, "ASK/sec".into(), &|line, rates| if is_wait(line) { none() } else { rate(rates.ask) });
    }
    let latency = |line: &Line, ms: f64| if line.row.counts.ops == 0 { none() } else { format!("{ms:.5}") };
    add(15, "Avg. Latency".into(), &|line, _| latency(line, line.row.counts.average_ms()));
    for percentile in &options.output.percentiles {
        add(15, format!("{} Latency", text::percentile(*percentile)), &|line, _| {
            latency(line, line.row.percentile_ms(*percentile))
        });
    }
    add(12, "KB/sec".into(), &|line, rates| {
        if is_wait(line) { none() } else { rate(rates.received_kb + rates.sent_kb) }
    });
    columns
}

/// What memtier_benchmark does not say.
fn remarks(options: &Options, result: &Run, ops: u64) -> String {
    let mut text = String::from("\n");
    let mut say = |line: String| text.push_str(&format!("{line}\n"));
    match &result.cost {
        Cost::Measured { pids, cpu_us } => {
            let processes: Vec<String> = pids.iter().map(u32::to_string).collect();
            let (noun, list) = (if pids.len() == 1 { "process" } else { "processes" }, processes.join(", "));
            let busy = *cpu_us as f64 / 1e4 / result.secs();
            let each = *cpu_us as f64 / ops.max(1) as f64;
            say(format!("Server CPU: {each:.3} us per operation, {busy:.0} % of one CPU ({noun} {list})"));
        }
        Cost::Unknown(reason) => say(format!("Server CPU: not measured: {reason}")),
    }
    if let (true, Some(rate)) = (options.open_loop, options.rate) {
        let intended = u64::from(rate) * options.clients_total();
        let unsent = result.overdue;
        say(format!(
            "Open loop: {intended} ops/sec intended, latency from when each was due; {unsent} due and not sent"
        ));
    }
    for (count, first) in result.errors.kinds.values() {
        say(format!("Errors: {count} of {ops} replies: {first}"));
    }
    if result.errors.others > 0 {
        say(format!("Errors: {} of {ops} replies of further kinds", result.errors.others));
    }
    if result.connection_errors > 0 {
        say(format!("Connection errors: {}, with {} requests unanswered", result.connection_errors, result.lost));
    }
    if result.interrupted {
        say("Interrupted: the figures are of what was done until then".to_owned());
    }
    text
}

fn distribution(options: &Options, result: &Run) -> String {
    let mut text =
        format!("\n\nRequest Latency Distribution\n{:<6} {:>12} {:>12}\n{RULE}\n", "Type", "<= msec   ", "Percent");
    for (name, row) in options.row_names().iter().zip(&result.rows) {
        for (msec, percent) in steps(row) {
            text.push_str(&format!("{name:<6} {msec:8.3} {percent:12.3}\n"));
        }
        text.push_str("---\n");
    }
    text
}

/// The distribution: latencies in milliseconds, and how many of a hundred operations did not exceed each.
pub fn steps(row: &Row) -> Vec<(f64, f64)> {
    if row.latencies.is_empty() {
        return Vec::new();
    }
    let step = |value: hdrhistogram::iterators::IterationValue<u64>| {
        (
            row.latencies.highest_equivalent(value.value_iterated_to()) as f64 / 1_000.0,
            value.quantile_iterated_to() * 100.0,
        )
    };
    row.latencies.iter_quantiles(STEPS_PER_HALVING).map(step).collect()
}
