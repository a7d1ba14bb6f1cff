//! Owns: what is told of finished runs: the table, the distribution, JSON, histogram files.
//! Knows: memtier_benchmark's formats, which tools and eyes are used to, and what is ours beside them.
//! Must never know: how anything was measured.
//! Read first: `table.rs`; `json.rs` has the same figures and more.

pub mod hdr;
mod json;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::cpu::Cost;
use super::error::LoadError;
use super::options::{Extent, Options};
use super::tally::{Counts, Errors, Row, Second};

/// One run.
#[derive(Clone)]
pub struct Run {
    pub rows: Vec<Row>,
    /// By second: each row, then all of them.
    pub seconds: BTreeMap<u32, Vec<Second>>,
    pub started: SystemTime,
    pub elapsed: Duration,
    pub errors: Errors,
    pub connection_errors: u64,
    /// Requests whose replies never came.
    pub lost: u64,
    /// Requests of an open loop that were due and not sent.
    pub overdue: u64,
    pub interrupted: bool,
    pub cost: Cost,
}

impl Run {
    pub fn totals(&self) -> Row {
        let mut totals = Row::new();
        self.rows.iter().for_each(|row| totals.add(row));
        totals
    }

    pub fn secs(&self) -> f64 {
        self.elapsed.as_secs_f64().max(1e-9)
    }

    pub fn ops_per_sec(&self) -> f64 {
        self.rows.iter().map(|row| row.counts.ops).sum::<u64>() as f64 / self.secs()
    }

    /// The same load several times: counts and times add up, so that rates are those of the whole.
    fn average(results: &[Run]) -> Run {
        let mut sum = results[0].clone();
        for result in &results[1..] {
            sum.rows.iter_mut().zip(&result.rows).for_each(|(sum, row)| sum.add(row));
            sum.elapsed += result.elapsed;
            sum.errors.add(&result.errors);
            sum.connection_errors += result.connection_errors;
            sum.lost += result.lost;
            sum.overdue += result.overdue;
            sum.interrupted |= result.interrupted;
            sum.cost = match (sum.cost, &result.cost) {
                (Cost::Measured { pids, cpu_us }, Cost::Measured { cpu_us: more, .. }) => {
                    Cost::Measured { pids, cpu_us: cpu_us + more }
                }
                (_, Cost::Unknown(reason)) => Cost::Unknown(reason.clone()),
                (unknown, _) => unknown,
            };
        }
        sum.seconds.clear();
        sum
    }
}

/// Rates of a row over a run.
pub(super) struct Rates {
    pub ops: f64,
    pub hits: f64,
    pub misses: f64,
    pub moved: f64,
    pub ask: f64,
    pub received_kb: f64,
    pub sent_kb: f64,
}

impl Rates {
    fn of(counts: &Counts, secs: f64) -> Self {
        let rate = |count: u64| count as f64 / secs;
        Self {
            ops: rate(counts.ops),
            hits: rate(counts.hits),
            misses: rate(counts.misses),
            moved: rate(counts.moved),
            ask: rate(counts.ask),
            received_kb: rate(counts.received_bytes) / 1024.0,
            sent_kb: rate(counts.sent_bytes) / 1024.0,
        }
    }
}

/// The sections of a report: one run, or the best, the worst and the average of several.
fn sections(options: &Options, results: &[Run]) -> Vec<(String, Run)> {
    if let [only] = results {
        return vec![("ALL STATS".to_owned(), only.clone())];
    }
    let mut sections = Vec::new();
    if options.output.print_all_runs {
        let titled = |(index, result): (usize, &Run)| (format!("RUN #{} RESULTS", index + 1), result.clone());
        sections.extend(results.iter().enumerate().map(titled));
    }
    let faster = |a: &&Run, b: &&Run| a.ops_per_sec().total_cmp(&b.ops_per_sec());
    let best = results.iter().max_by(faster).map(|best| ("BEST RUN RESULTS".to_owned(), best.clone()));
    let worst = results.iter().min_by(faster).map(|worst| ("WORST RUN RESULTS".to_owned(), worst.clone()));
    sections.extend(best.into_iter().chain(worst));
    sections.push((format!("AGGREGATED AVERAGE RESULTS ({} runs)", results.len()), Run::average(results)));
    sections
}

/// What a client does: a number, and of what.
fn extent(options: &Options) -> (u64, &'static str) {
    match options.extent {
        Extent::Time(time) => (time.as_secs(), "Seconds"),
        Extent::Requests(_) | Extent::AllKeys => (options.requests(0), "Requests per client"),
    }
}

/// Writes the report of all runs where it was asked for. There is at least one.
pub fn write(options: &Options, results: &[Run]) -> Result<(), LoadError> {
    let sections = sections(options, results);
    let (count, of_what) = extent(options);
    let mut text = format!(
        "{:<9} Threads\n{:<9} Connections per thread\n{count:<9} {of_what}\n",
        options.threads, options.clients
    );
    for (title, result) in &sections {
        text.push_str(&table::print(options, title, result));
    }
    match &options.output.file {
        Some(path) => save(path, text.as_bytes())?,
        None => {
            // A reader that has gone away has seen enough.
            let _ = std::io::stdout().write_all(text.as_bytes());
        }
    }
    if let Some(path) = &options.output.json {
        eprintln!("Saving JSON output file: {}", path.display());
        save(path, json::print(options, &sections).as_bytes())?;
    }
    Ok(())
}

fn save(path: &Path, bytes: &[u8]) -> Result<(), LoadError> {
    std::fs::write(path, bytes).map_err(|source| LoadError::Write { path: path.to_owned(), source })
}
