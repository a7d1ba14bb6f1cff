//! Owns: INFO: the figures of all cores and of the process, in Redis's sections and names.
//! Knows: each core's figures and counts of commands, and what the shell says of the process.
//! Must never know: sessions or shards: what it shows travels as figures.
//! Read first: `SECTIONS` below, then `process.rs`.
//!
//! Fields whose thing does not exist here (the append-only file, replicas, scripts) are left at what Redis says of a
//! server without them.

mod commands;
mod process;
mod upstream;

pub use upstream::Servers;

use super::hotkeys::{HotKey, hottest_first, read_keys};
use crate::engine::census::{Census, Wanted};
use crate::engine::event::HostReport;
use crate::engine::pubsub::read_all;
use crate::engine::{Percentiles, Progress, Settings, Stats};
use crate::protocol::resp::Args;
use crate::types::{CoreId, Now};
use std::fmt::Write;

/// Sections in their order; the flag says whether INFO without arguments shows them.
const SECTIONS: [(&str, bool, Section); 16] = [
    ("server", true, process::server),
    ("clients", true, process::clients),
    ("memory", true, process::memory),
    ("persistence", true, process::persistence),
    ("stats", true, process::stats),
    ("replication", true, process::replication),
    ("cpu", true, process::cpu),
    ("modules", true, process::modules),
    ("commandstats", false, commands::counts),
    ("errorstats", true, commands::errors),
    ("latencystats", false, commands::percentiles),
    ("cluster", true, process::cluster),
    ("keyspace", true, process::keyspace),
    ("cores", true, cores),
    ("hotkeys", true, hotkeys),
    ("upstream", true, upstream::section),
];

/// Hot keys that INFO names.
pub const HOT_KEYS_MAX: usize = 16;

type Section = fn(&mut String, &InfoRequest, &[Stats], &Stats, &HostReport) -> std::fmt::Result;

/// What was asked, and what only the asked core knows.
pub struct InfoRequest {
    sections: Vec<&'static str>,
    now: Now,
    maxmemory_bytes: u64,
    maxmemory_policy: &'static str,
    maxclients: u64,
    percentiles: Percentiles,
    asked: CoreId,
    /// The asked core is a node of an announced cluster, and was asked as such.
    node: bool,
    cluster: bool,
    hot: bool,
    /// Whether a session of HOTKEYS START is active, if there is one.
    tracking: Option<bool>,
    hot_keys: Vec<HotKey>,
    /// Servers that requests are passed on to; without any the section is left out.
    pub servers: Servers,
    /// Hashes of the names that clients listen to: channels, patterns, shard channels.
    listened: [Vec<u64>; 3],
    /// How often DEBUG CHANGE-REPL-ID was called.
    replication_changes: u64,
    loading: Progress,
    /// What commands did, as far as a section shows it.
    pub census: Census,
}

/// The sections that are asked for.
fn sections(args: &Args) -> Vec<&'static str> {
    let wanted: Vec<Vec<u8>> = args.iter().skip(1).map(<[u8]>::to_ascii_lowercase).collect();
    let has = |name: &str| wanted.iter().any(|wanted| wanted == name.as_bytes());
    let (all, default) = (has("all") || has("everything"), wanted.is_empty() || has("default"));
    let named = |(name, by_default, _): &&(&'static str, bool, Section)| all || default && *by_default || has(name);
    SECTIONS.iter().filter(named).map(|(name, ..)| *name).collect()
}

/// What every core has to add to its figures.
pub fn wanted(args: &Args) -> Wanted {
    let sections = sections(args);
    Wanted {
        commands: sections.contains(&"commandstats"),
        errors: sections.contains(&"errorstats"),
        durations: sections.contains(&"latencystats"),
    }
}

impl InfoRequest {
    pub fn new(args: &Args, settings: &Settings, now: Now, asked: CoreId, node: bool) -> InfoRequest {
        InfoRequest {
            sections: sections(args),
            now,
            maxmemory_bytes: settings.maxmemory_bytes,
            maxmemory_policy: settings.maxmemory_policy.name(),
            maxclients: settings.maxclients,
            percentiles: settings.percentiles.clone(),
            asked,
            node,
            cluster: settings.cluster.is_some(),
            hot: settings.hot.on,
            tracking: None,
            hot_keys: Vec::new(),
            servers: Servers::default(),
            listened: Default::default(),
            replication_changes: 0,
            loading: Progress::default(),
            census: Census::default(),
        }
    }

    pub fn with_tracking(self, tracking: Option<bool>) -> InfoRequest {
        InfoRequest { tracking, ..self }
    }

    /// Takes the names that one core's connections listen to from the front of its part; hands back the rest.
    pub fn add_listened<'a>(&mut self, row: &Stats, mut bytes: &'a [u8]) -> &'a [u8] {
        for (all, count) in self.listened.iter_mut().zip([row.channels, row.patterns, row.shard_channels]) {
            let (hashes, rest) = bytes.split_at(count as usize * size_of::<u64>());
            all.extend(read_all(hashes));
            bytes = rest;
        }
        bytes
    }

    pub fn with_replication_changes(self, replication_changes: u64) -> InfoRequest {
        InfoRequest { replication_changes, ..self }
    }

    pub fn with_loading(self, loading: Progress) -> InfoRequest {
        InfoRequest { loading, ..self }
    }

    /// Takes the hot keys of one core.
    pub fn add_hot_keys(&mut self, core: u32, bytes: &[u8]) {
        self.hot_keys.extend(read_keys(core, bytes));
        hottest_first(&mut self.hot_keys);
        self.hot_keys.truncate(HOT_KEYS_MAX);
    }
}

/// The text of the sections asked for; `rows` are the figures of each core in order.
pub fn text(request: &InfoRequest, rows: &[Stats], host: &HostReport) -> String {
    let total = rows.iter().fold(Stats::default(), |sum, row| sum.plus(*row));
    let mut text = String::with_capacity(6 * 1024);
    let shown = |name: &str| request.sections.contains(&name) && (name != "upstream" || !request.servers.is_empty());
    for (name, _, section) in SECTIONS.iter().filter(|(name, ..)| shown(name)) {
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        let (first, rest) = name.split_at(1);
        let title = if *name == "cpu" { "CPU".to_string() } else { first.to_uppercase() + rest };
        text.push_str(&format!("# {title}\r\n"));
        section(&mut text, request, rows, &total, host).expect("writing to a string succeeds");
    }
    text
}

fn cores(text: &mut String, _: &InfoRequest, rows: &[Stats], total: &Stats, _: &HostReport) -> std::fmt::Result {
    for (core, row) in rows.iter().enumerate() {
        write!(
            text,
            "core{core}:connections={},slots={},keys={},used_memory={},ops={},letters_sent={},letters_served={},\
             enters={},wakes={},cpu_us={},replica_hits={},folds={},fold_members={},hot_keys={}\r\n",
            row.connections,
            row.slots,
            row.keys,
            row.used_bytes,
            row.commands,
            row.letters_sent,
            row.letters_served,
            row.enters,
            row.wakes,
            row.cpu_us,
            row.replica_hits,
            row.folds,
            row.fold_members,
            row.hot_keys,
        )?;
    }
    let busiest = rows.iter().map(|row| row.cpu_us).max().unwrap_or(0);
    let mean = total.cpu_us as f64 / rows.len().max(1) as f64;
    write!(text, "skew_ratio_cpu:{:.2}\r\n", if mean > 0.0 { busiest as f64 / mean } else { 1.0 })
}

fn hotkeys(text: &mut String, request: &InfoRequest, _: &[Stats], total: &Stats, _: &HostReport) -> std::fmt::Result {
    write!(
        text,
        "hot:{}\r\nhot_keys:{}\r\nwarm_keys:{}\r\npromotions:{}\r\ndemotions:{}\r\nreplica_hits:{}\r\nfolds:{}\r\n\
         fold_members:{}\r\nletters_saved:{}\r\npushes_lost:{}\r\n",
        if request.hot { "on" } else { "off" },
        total.hot_keys,
        total.warm_keys,
        total.promotions,
        total.demotions,
        total.replica_hits,
        total.folds,
        total.fold_members,
        total.letters_saved(),
        total.pushes_lost,
    )?;
    if let Some(active) = request.tracking {
        write!(text, "hotkeys-tracking-active:{}\r\n", u8::from(active))?;
    }
    for (row, hot) in request.hot_keys.iter().enumerate() {
        let HotKey { owner, key, figures } = hot;
        write!(text, "hotkey{row}:key={},owner={owner},", escaped(key))?;
        write!(text, "ops={},reads={},writes={},", figures.ops, figures.reads, figures.writes)?;
        write!(text, "since_ms={}\r\n", figures.since_ms)?;
    }
    Ok(())
}

/// Bytes as people read them, in Redis's notation.
fn human(bytes: u64) -> String {
    let units = ["B", "K", "M", "G", "T"];
    let power = (bytes.max(1).ilog2() / 10).min(4);
    if power == 0 {
        return format!("{bytes}B");
    }
    format!("{:.2}{}", bytes as f64 / (1u64 << (power * 10)) as f64, units[power as usize])
}

/// A key as a field of a line: what would end the field or the line, and what nobody can read, as `\\xNN`.
fn escaped(key: &[u8]) -> String {
    let mut text = String::with_capacity(key.len());
    for byte in key {
        match byte {
            b'\\' | b',' | b'=' => write!(text, "\\x{byte:02x}").expect("writing to a string succeeds"),
            b'!'..=b'~' => text.push(char::from(*byte)),
            _ => write!(text, "\\x{byte:02x}").expect("writing to a string succeeds"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::figures::KeyFigures;

    /// No key, whatever its bytes, adds a line or a field to INFO, and the hottest come first.
    #[test]
    fn keys_cannot_break_lines() {
        let args = Args::new(b"", &[], &mut []);
        let now = Now::default();
        let mut request = InfoRequest::new(&args, &Settings::default(), now, CoreId(0), false);
        for (core, (ops, key)) in (0..).zip([(5, &b"a\r\nhot:off,x=1 \\\xff"[..]), (50, b"user:{42}")]) {
            let figures = KeyFigures { ops, key_bytes: key.len() as u64, ..KeyFigures::default() };
            let mut bytes = Vec::new();
            super::super::hotkeys::write_keys(&[HotKey { owner: core, figures, key: key.to_vec() }], &mut bytes);
            request.add_hot_keys(core, &bytes);
        }
        let text = text(&request, &[Stats::default()], &HostReport::default());
        let section = &text[text.find("# Hotkeys").expect("INFO shows it unasked")..];
        let lines: Vec<&str> = section.split("\r\n").filter(|line| line.starts_with("hotkey")).collect();
        let wanted = [
            "hotkey0:key=user:{42},owner=1,ops=50,reads=0,writes=0,since_ms=0",
            "hotkey1:key=a\\x0d\\x0ahot:off\\x2cx\\x3d1\\x20\\x5c\\xff,owner=0,ops=5,reads=0,writes=0,since_ms=0",
        ];
        assert_eq!(lines, wanted);
        assert_eq!(section.matches("hot:").count(), 2);
    }
}
