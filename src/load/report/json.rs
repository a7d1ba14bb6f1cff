//! memtier_benchmark's JSON, for what reads it, and our figures beside.

use base64::Engine as _;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};
use serde_json::{Map, Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Rates, Run, extent, table};
use crate::load::cpu::Cost;
use crate::load::data::Size;
use crate::load::endpoint::Endpoint;
use crate::load::options::{Extent, Options};
use crate::load::tally::{Row, Second};
use crate::load::text;

/// memtier_benchmark's own.
const FORMAT_VERSION: u32 = 2;

pub fn print(options: &Options, sections: &[(String, Run)]) -> String {
    let mut root = Map::new();
    root.insert("configuration".into(), configuration(options));
    let (count, of_what) = extent(options);
    root.insert(
        "run information".into(),
        json!({
            "Threads": options.threads,
            "Connections per thread": options.clients,
            of_what: count,
            "Format version": FORMAT_VERSION,
        }),
    );
    for (title, result) in sections {
        root.insert(title.clone(), section(options, result));
    }
    format!("{:#}\n", Value::Object(root))
}

fn configuration(options: &Options) -> Value {
    let (server, port, socket) = match &options.endpoint {
        Endpoint::Tcp(host, port) => (host.clone(), *port, String::new()),
        Endpoint::Unix(path) => (String::new(), 0, path.display().to_string()),
    };
    let protocol = options.login.hello.map_or("redis".to_owned(), |version| format!("resp{version}"));
    let (requests, test_time) = match options.extent {
        Extent::Time(time) => (0, time.as_secs_f64()),
        _ => (options.requests(0), 0.0),
    };
    let ratios: Vec<String> = options.commands.iter().map(|command| command.ratio.to_string()).collect();
    let patterns: Vec<&str> = options.commands.iter().map(|command| command.pattern.letter()).collect();
    let (data_size, data_size_range, data_size_list) = sizes(&options.size);
    json!({
        "server": server,
        "port": port,
        "unix socket": socket,
        "protocol": protocol,
        "cluster_mode": options.cluster,
        "run_count": options.run_count,
        "requests": requests,
        "rate_limit": options.rate.unwrap_or(0),
        "open_loop": options.open_loop,
        "clients": options.clients,
        "threads": options.threads,
        "test_time": test_time,
        "ratio": ratios.join(":"),
        "commands": options.row_names(),
        "pipeline": options.pipeline,
        "data_size": data_size,
        "data_size_range": data_size_range,
        "data_size_list": data_size_list,
        "random_data": options.random_data,
        "expiry_range": options.expiry_s.map(|(min, max)| format!("{min}-{max}")),
        "key_prefix": options.key_prefix,
        "key_minimum": options.keys.first,
        "key_maximum": options.keys.last,
        "key_pattern": patterns.join(":"),
        "key_stddev": options.keys.stddev.unwrap_or(0.0),
        "key_median": options.keys.median.unwrap_or(0.0),
        "key_zipf_exp": options.keys.zipf_exponent,
        "hot_key_share": options.keys.hot_share,
        "select-db": options.login.database.unwrap_or(0),
        "seed": options.seed,
    })
}

/// A fixed size, a range, a list: one of them is given.
fn sizes(size: &Size) -> (u32, String, String) {
    match size {
        Size::Fixed(bytes) => (*bytes, String::new(), String::new()),
        Size::Range { min, max, .. } => (0, format!("{min}-{max}"), String::new()),
        Size::List(list) => {
            let entries: Vec<String> = list.iter().map(|(bytes, weight)| format!("{bytes}:{weight}")).collect();
            (0, String::new(), entries.join(","))
        }
    }
}

fn section(options: &Options, result: &Run) -> Value {
    let mut section = Map::new();
    let start_ms = millis(result.started);
    let duration_ms = result.elapsed.as_millis() as u64;
    section.insert(
        "Runtime".into(),
        json!({
            "Start time": start_ms,
            "Finish time": start_ms + duration_ms,
            "Total duration": duration_ms,
            "Time unit": "MILLISECONDS",
            "Interrupted": if result.interrupted { "true" } else { "false" },
        }),
    );
    section.insert("Server".into(), server(result));
    let kinds: Map<String, Value> = result
        .errors
        .kinds
        .iter()
        .map(|(kind, (count, first))| (kind.clone(), json!({ "Count": count, "First": first })))
        .collect();
    section.insert("Errors".into(), json!({ "Count": result.errors.total(), "Kinds": kinds }));
    if options.open_loop {
        section.insert("Due and not sent".into(), json!(result.overdue));
    }
    for (place, (name, row)) in options.row_names().iter().zip(&result.rows).enumerate() {
        section.insert(text::row(name), figures(options, result, row, Some(place)));
    }
    if options.set_get {
        section.insert("Waits".into(), figures(options, result, &Row::new(), None));
    }
    let totals = result.totals();
    section.insert("Totals".into(), figures(options, result, &totals, Some(result.rows.len())));
    if !options.output.hide_histogram {
        for (name, row) in options.row_names().iter().zip(&result.rows) {
            let steps = table::steps(row).into_iter();
            let listed = steps.map(|(msec, percent)| json!({ "<=msec": round(msec, 3), "percent": round(percent, 3) }));
            section.insert(name.clone(), listed.collect());
        }
    }
    Value::Object(section)
}

fn server(result: &Run) -> Value {
    let ops: u64 = result.rows.iter().map(|row| row.counts.ops).sum();
    match &result.cost {
        Cost::Measured { pids, cpu_us } => json!({
            "Processes": pids,
            "CPU usec": cpu_us,
            "CPU usec per operation": round(*cpu_us as f64 / ops.max(1) as f64, 4),
        }),
        Cost::Unknown(reason) => json!({ "CPU not measured": reason }),
    }
}

/// `place`: where the row stands in each second, if it does.
fn figures(options: &Options, result: &Run, row: &Row, place: Option<usize>) -> Value {
    let (rates, counts) = (Rates::of(&row.counts, result.secs()), &row.counts);
    let is_total = place == Some(result.rows.len());
    let connection_errors = if is_total { result.connection_errors } else { 0 };
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| map.insert(name.to_owned(), value);
    put("Count", json!(counts.ops));
    put("Ops/sec", round(rates.ops, 2));
    put("Hits/sec", round(rates.hits, 2));
    put("Misses/sec", round(rates.misses, 2));
    if options.cluster {
        put("MOVED/sec", round(rates.moved, 2));
        put("ASK/sec", round(rates.ask, 2));
    }
    put("Connection Errors/sec", round(connection_errors as f64 / result.secs(), 2));
    put("Connection Errors", json!(connection_errors));
    put("Latency", round(counts.average_ms(), 3));
    put("Average Latency", round(counts.average_ms(), 3));
    put("Accumulated Latency", json!(counts.latency_us / 1_000));
    put("Min Latency", round(row.min_ms(), 3));
    put("Max Latency", round(row.max_ms(), 3));
    put("KB/sec", round(rates.received_kb + rates.sent_kb, 2));
    put("KB/sec RX/TX", round(rates.received_kb + rates.sent_kb, 2));
    put("KB/sec RX", round(rates.received_kb, 2));
    put("KB/sec TX", round(rates.sent_kb, 2));
    let series = result.seconds.iter().filter_map(|(second, rows)| Some((second.to_string(), rows.get(place?)?)));
    put("Time-Serie", series.map(|(second, figures)| (second, one_second(options, figures))).collect());
    let mut percentiles: Map<String, Value> = Map::new();
    for percentile in &options.output.percentiles {
        percentiles.insert(format!("p{percentile:.3}"), round(row.percentile_ms(*percentile), 3));
    }
    percentiles.insert("Histogram log format".into(), json!({ "Compressed Histogram": compressed(row) }));
    put("Percentile Latencies", Value::Object(percentiles));
    Value::Object(map)
}

fn one_second(options: &Options, second: &Second) -> Value {
    let counts = &second.counts;
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| map.insert(name.to_owned(), value);
    put("Bytes RX", json!(counts.received_bytes));
    put("Bytes TX", json!(counts.sent_bytes));
    put("Count", json!(counts.ops));
    if counts.ops > 0 {
        put("Average Latency", round(counts.average_ms(), 3));
        put("Accumulated Latency", json!(counts.latency_us / 1_000));
        put("Min Latency", round(second.min_ms, 3));
        put("Max Latency", round(second.max_ms, 3));
        for (percentile, value_ms) in options.output.percentiles.iter().zip(&second.percentiles_ms) {
            put(&format!("p{percentile:.2}"), round(*value_ms, 3));
        }
    }
    Value::Object(map)
}

/// HdrHistogram's compressed form, as its tools read it.
fn compressed(row: &Row) -> String {
    let mut bytes = Vec::new();
    let written = V2DeflateSerializer::new().serialize(&row.latencies, &mut bytes);
    written.expect("memory takes any number of bytes, and counts are below 2^63");
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn round(value: f64, decimals: i32) -> Value {
    let scale = 10_f64.powi(decimals);
    json!((value * scale).round() / scale)
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
