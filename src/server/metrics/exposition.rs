//! Every metric: name, meaning, and which figure it is. Of cores by number, of commands and errors by name, of servers by
//! pool and name; never of keys, whose number nobody bounds.

use crate::engine::{HostReport, Snapshot, Stats};
use crate::protocol::command::Row;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;

const PREFIX: &str = "coldplate";
/// Which shares of a server's answers came within the times that are shown.
const QUANTILES: [(f64, &str); 3] = [(50.0, "0.5"), (99.0, "0.99"), (99.9, "0.999")];

/// What a row of a family is about.
type Labels = Vec<(&'static str, String)>;

/// What is known of the process.
pub struct Process {
    pub report: HostReport,
    pub draining: bool,
    pub cores: usize,
}

/// Everything that is shown, as it is at one time.
pub struct Exposition {
    pub snapshot: Snapshot,
    pub process: Process,
}

/// A metric of each core.
struct OfCores {
    name: &'static str,
    help: &'static str,
    value: Value,
}

enum Value {
    Counter(fn(&Stats) -> u64),
    Gauge(fn(&Stats) -> u64),
}

use Value::{Counter, Gauge};

const OF_CORES: &[OfCores] = &[
    row("connections", "Connections that are open.", Gauge(|core| core.connections)),
    row("connections_opened", "Connections that were ever opened.", Counter(|core| core.connections_opened)),
    row("connections_refused", "Connections beyond maxclients.", Counter(|core| core.connections_refused)),
    row("clients_blocked", "Clients that a command keeps waiting.", Gauge(|core| core.blocked)),
    row("client_buffer_bytes", "Memory that clients' buffers take.", Gauge(|core| core.client_bytes)),
    row("requests", "Requests that were handled.", Counter(|core| core.commands)),
    row("replies_error", "Replies that were errors.", Counter(|core| core.errors)),
    row("received_bytes", "Bytes that clients sent.", Counter(|core| core.input_bytes)),
    row("sent_bytes", "Bytes that were sent to clients.", Counter(|core| core.output_bytes)),
    row("keys", "Keys that are stored.", Gauge(|core| core.keys)),
    row("keys_expiring", "Keys that are stored and expire.", Gauge(|core| core.expiring)),
    row("memory_used_bytes", "Memory that keys take.", Gauge(|core| core.used_bytes)),
    row("key_hits", "Reads that found a key.", Counter(|core| core.hits)),
    row("key_misses", "Reads that found none.", Counter(|core| core.misses)),
    row("keys_expired", "Keys that have expired.", Counter(|core| core.expired)),
    row("keys_evicted", "Keys that left for want of memory.", Counter(|core| core.evicted)),
    row("letters_sent", "Requests that were sent to other cores.", Counter(|core| core.letters_sent)),
    row("letters_served", "Requests that other cores sent.", Counter(|core| core.letters_served)),
    row("hot_keys", "Keys of the core that are hot.", Gauge(|core| core.hot_keys)),
    row("hot_promotions", "Times that a key became hot.", Counter(|core| core.promotions)),
    row("hot_demotions", "Times that a key cooled down.", Counter(|core| core.demotions)),
    row("replica_hits", "Reads that a copy of a hot key answered.", Counter(|core| core.replica_hits)),
    row("folds", "Operations on hot keys that stand for several.", Counter(|core| core.folds)),
    row("fold_members", "Operations that were folded.", Counter(|core| core.fold_members)),
    row("ring_enters", "Calls of io_uring_enter.", Counter(|core| core.enters)),
    row("log_frames", "Frames that were written to the log.", Counter(|core| core.log_frames)),
    row("log_written_bytes", "Bytes that were written to the log.", Counter(|core| core.log_bytes)),
    row("log_syncs", "Times that the log was brought to stable storage.", Counter(|core| core.log_syncs)),
    row("log_disk_bytes", "Room that the log takes.", Gauge(|core| core.log_disk_bytes)),
    row("log_failed", "1 while writes are refused because of the log.", Gauge(|core| core.logs_failed)),
    row("log_loading", "1 while keys are loaded from the log.", Gauge(|core| core.logs_loading)),
];

const fn row(name: &'static str, help: &'static str, value: Value) -> OfCores {
    OfCores { name, help, value }
}

impl Exposition {
    /// The text in OpenMetrics' format.
    pub fn encode(self) -> String {
        let (mut registry, mut out) = (Registry::default(), String::new());
        registry.register_collector(Box::new(self));
        text::encode(&mut out, &registry).expect("writing to a string succeeds");
        out
    }

    fn cores(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let of = |value: fn(&Stats) -> u64| {
            self.snapshot.cores().iter().map(move |(core, stats)| (vec![("core", core.0.to_string())], value(stats)))
        };
        for OfCores { name, help, value } in OF_CORES {
            match value {
                Counter(value) => counters(encoder, name, help, of(*value))?,
                Gauge(value) => gauges(encoder, name, help, of(*value).map(whole))?,
            }
        }
        let cpu = of(|core| core.cpu_us).map(|(labels, us)| (labels, us as f64 / 1e6));
        seconds(encoder, "core_cpu", "CPU time that the core's thread has taken.", cpu)
    }

    fn commands(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let of = |value: fn(&Row) -> u64| {
            self.snapshot.commands().map(move |(name, row)| (vec![("command", name.to_owned())], value(&row)))
        };
        // While cores answer one after the other, a refusal can be seen before what it takes back.
        counters(encoder, "command_calls", "Requests that ran.", of(|row| (row.calls as i64).max(0) as u64))?;
        counters(encoder, "command_failed", "Requests that ran and were answered an error.", of(|row| row.failed))?;
        counters(encoder, "command_rejected", "Requests that were refused.", of(|row| row.rejected))?;
        let ran = of(|row| row.ns).map(|(labels, ns)| (labels, ns as f64 / 1e9));
        seconds(encoder, "command", "Time that requests took.", ran)?;
        let errors = self.snapshot.errors();
        let errors = errors.map(|(word, count)| (vec![("error", word.escape_ascii().to_string())], count));
        counters(encoder, "errors", "Errors that were answered, by their first words.", errors)
    }

    fn servers(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let rows: Vec<_> = self.snapshot.servers().collect();
        if rows.is_empty() {
            return Ok(());
        }
        let labels = |pool: &[u8], name: &[u8]| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            vec![("pool", text(pool)), ("server", text(name))]
        };
        macro_rules! of {
            ($field:ident) => {
                rows.iter().map(|(pool, name, figures, _)| (labels(pool, name), figures.$field))
            };
        }
        counters(encoder, "upstream_requests", "Requests that were passed on.", of!(requests))?;
        counters(encoder, "upstream_errors", "Replies of the server that were errors.", of!(errors))?;
        counters(encoder, "upstream_unanswered", "Requests that the server did not answer.", of!(unanswered))?;
        counters(encoder, "upstream_redirects", "Times that the server named another.", of!(redirects))?;
        counters(encoder, "upstream_dials", "Connections that were begun.", of!(dials))?;
        counters(encoder, "upstream_ejections", "Times that the server was left alone.", of!(ejections))?;
        gauges(encoder, "upstream_in_flight", "Requests that wait for an answer.", of!(in_flight).map(whole))?;
        gauges(encoder, "upstream_connections", "Connections that are open.", of!(connections).map(whole))?;
        gauges(encoder, "upstream_ejected", "Cores that leave the server alone.", of!(ejected).map(whole))?;
        counters(encoder, "upstream_hot_hits", "Reads of hot keys that copies answered.", of!(hot_hits))?;
        counters(encoder, "upstream_coalesced", "Reads of hot keys that shared a reply.", of!(coalesced))?;
        counters(encoder, "upstream_folded", "Writes on hot keys that became one.", of!(folded))?;
        counters(encoder, "upstream_stale", "Reads that were answered an old value.", of!(stale))?;
        let times = rows.iter().flat_map(|(pool, name, _, times)| {
            QUANTILES.map(|(percent, quantile)| {
                let labels = [labels(pool, name), vec![("quantile", quantile.to_owned())]].concat();
                (labels, times.percentile_us(percent) / 1e6)
            })
        });
        gauges(encoder, "upstream_answer_seconds", "Time within which so many answers came.", times)
    }

    fn process(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let Process { report, draining, cores } = &self.process;
        let one = |value: f64| [(Labels::new(), value)].into_iter();
        let silent = cores.saturating_sub(self.snapshot.cores().len());
        gauges(encoder, "cores", "Cores that serve.", one(*cores as f64))?;
        gauges(encoder, "cores_silent", "Cores that did not say what they have counted.", one(silent as f64))?;
        gauges(encoder, "draining", "1 while the process ends.", one(f64::from(u8::from(*draining))))?;
        gauges(encoder, "resident_memory_bytes", "Memory of the process.", one(report.rss_bytes as f64))?;
        gauges(encoder, "start_time_seconds", "When it began, since 1970.", one(report.started.unix_us as f64 / 1e6))?;
        let cpu_us = report.cpu_user_us + report.cpu_system_us;
        seconds(encoder, "cpu", "CPU time of the process.", one(cpu_us as f64 / 1e6))
    }
}

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        self.process(&mut encoder)?;
        self.cores(&mut encoder)?;
        self.commands(&mut encoder)?;
        self.servers(&mut encoder)
    }
}

impl fmt::Debug for Exposition {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "figures of {} cores", self.snapshot.cores().len())
    }
}

fn whole((labels, value): (Labels, u64)) -> (Labels, f64) {
    (labels, value as f64)
}

fn counters(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    rows: impl Iterator<Item = (Labels, u64)>,
) -> fmt::Result {
    family(encoder, (name, help, None), MetricType::Counter, rows, |mut row, value| {
        row.encode_counter::<NoLabelSet, u64, f64>(value, None)
    })
}

/// Counters of seconds.
fn seconds(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    rows: impl Iterator<Item = (Labels, f64)>,
) -> fmt::Result {
    family(encoder, (name, help, Some(&Unit::Seconds)), MetricType::Counter, rows, |mut row, value| {
        row.encode_counter::<NoLabelSet, f64, f64>(value, None)
    })
}

fn gauges(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    rows: impl Iterator<Item = (Labels, f64)>,
) -> fmt::Result {
    family(encoder, (name, help, None), MetricType::Gauge, rows, |mut row, value| row.encode_gauge(value))
}

/// Rows of one name.
fn family<V>(
    encoder: &mut DescriptorEncoder,
    (name, help, unit): (&str, &str, Option<&Unit>),
    kind: MetricType,
    rows: impl Iterator<Item = (Labels, V)>,
    encode: impl Fn(MetricEncoder, &V) -> fmt::Result,
) -> fmt::Result {
    let name = format!("{PREFIX}_{name}");
    let mut metric = encoder.encode_descriptor(&name, help, unit, kind)?;
    for (labels, value) in rows {
        encode(metric.encode_family(&labels)?, &value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::CoreId;

    /// Two cores, one of three silent: each family is there once, with a row a core, and what is counted ends in `_total`.
    #[test]
    fn figures_of_cores_are_told_apart() {
        let mut snapshot = Snapshot::default();
        for (core, requests) in [(0, 7), (2, 9)] {
            let stats = Stats { commands: requests, keys: 3, cpu_us: 1_500_000, ..Stats::default() };
            // No commands, errors and durations, and no servers.
            snapshot.add(CoreId(core), &[stats.as_bytes(), &[0; 4 * size_of::<u64>()]].concat());
        }
        let process = Process { report: HostReport::default(), draining: false, cores: 3 };
        let text = Exposition { snapshot, process }.encode();
        let lines: Vec<&str> = text.lines().collect();
        for wanted in [
            "# TYPE coldplate_requests counter",
            "coldplate_requests_total{core=\"0\"} 7",
            "coldplate_requests_total{core=\"2\"} 9",
            "# TYPE coldplate_keys gauge",
            "coldplate_keys{core=\"2\"} 3.0",
            "coldplate_core_cpu_seconds_total{core=\"0\"} 1.5",
            "coldplate_cores 3.0",
            "coldplate_cores_silent 1.0",
        ] {
            assert_eq!(lines.iter().filter(|line| **line == wanted).count(), 1, "{wanted}\n{text}");
        }
        assert!(text.ends_with("# EOF\n") && !text.contains("upstream"));
        let mut names: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "each family once");
    }
}
