//! INFO's section on the servers that requests are passed on to.

use super::{InfoRequest, Stats, escaped};
use crate::engine::durations::Histogram;
use crate::engine::event::HostReport;
use crate::engine::figures::{self, ServerFigures};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Which shares of a server's replies came within the times that are shown.
const PERCENTS: [(f64, &str); 3] = [(50.0, "p50"), (99.0, "p99"), (99.9, "p99.9")];

/// Servers by pool and name, with the figures of all cores that have answered.
#[derive(Default)]
pub struct Servers(BTreeMap<(Vec<u8>, Vec<u8>), (ServerFigures, Histogram)>);

impl Servers {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Pool, name, figures, and how long it took to answer.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8], &ServerFigures, &Histogram)> {
        self.0.iter().map(|((pool, name), (row, times))| (&pool[..], &name[..], row, times))
    }

    /// Takes one core's servers off the front of its answer.
    pub fn add(&mut self, bytes: &mut &[u8]) {
        let servers: u64 = figures::read(bytes);
        for _ in 0..servers {
            let row: ServerFigures = figures::read(bytes);
            let pool = figures::take(bytes, row.pool_bytes as usize).to_vec();
            let name = figures::take(bytes, row.name_bytes as usize).to_vec();
            let (sum, times) = self.0.entry((pool, name)).or_default();
            *sum = sum.plus(row);
            for _ in 0..row.buckets {
                let [bucket, count] = figures::read(bytes);
                times.fill(bucket, count);
            }
        }
    }
}

pub fn section(text: &mut String, request: &InfoRequest, _: &[Stats], _: &Stats, _: &HostReport) -> std::fmt::Result {
    for (number, (pool, name, row, times)) in request.servers.iter().enumerate() {
        write!(
            text,
            "server{number}:pool={},name={},requests={},errors={},unanswered={},redirects={},in_flight={},connections={},\
             dials={},ejections={},ejected={},hot_hits={},coalesced={},folded={},stale={}",
            escaped(pool),
            escaped(name),
            row.requests,
            row.errors,
            row.unanswered,
            row.redirects,
            row.in_flight,
            row.connections,
            row.dials,
            row.ejections,
            u8::from(row.ejected > 0),
            row.hot_hits,
            row.coalesced,
            row.folded,
            row.stale,
        )?;
        for (percent, label) in PERCENTS {
            write!(text, ",{label}_us={:.0}", times.percentile_us(percent))?;
        }
        text.push_str("\r\n");
    }
    Ok(())
}
