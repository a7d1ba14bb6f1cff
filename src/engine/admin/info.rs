//! INFO: the figures of all cores and of the process, in Redis's sections and names.

use super::connection::REDIS_VERSION;
use super::hotkeys::{HotKey, hottest_first, read_keys};
use crate::engine::event::HostReport;
use crate::engine::pubsub::{distinct, read_all};
use crate::engine::{Settings, Stats};
use crate::protocol::resp::Args;
use crate::types::{CoreId, Now};
use std::fmt::Write;

/// Sections in their order; the flag says whether INFO without arguments shows them.
const SECTIONS: [(&str, Section); 11] = [
    ("server", server),
    ("clients", clients),
    ("memory", memory),
    ("persistence", persistence),
    ("stats", stats),
    ("replication", replication),
    ("cpu", cpu),
    ("cluster", cluster),
    ("keyspace", keyspace),
    ("cores", cores),
    ("hotkeys", hotkeys),
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
    asked: CoreId,
    /// The asked core is a node of an announced cluster, and was asked as such.
    node: bool,
    cluster: bool,
    hot: bool,
    /// Whether a session of HOTKEYS START is active, if there is one.
    tracking: Option<bool>,
    hot_keys: Vec<HotKey>,
    /// Hashes of the names that clients listen to: channels, patterns, shard channels.
    listened: [Vec<u64>; 3],
}

impl InfoRequest {
    pub fn new(args: &Args, settings: &Settings, now: Now, asked: CoreId, node: bool) -> InfoRequest {
        let wanted: Vec<Vec<u8>> = args.iter().skip(1).map(<[u8]>::to_ascii_lowercase).collect();
        let all =
            wanted.is_empty() || wanted.iter().any(|w| matches!(w.as_slice(), b"default" | b"all" | b"everything"));
        let named = |name: &str| all || wanted.iter().any(|wanted| wanted == name.as_bytes());
        InfoRequest {
            sections: SECTIONS.iter().map(|(name, _)| *name).filter(|name| named(name)).collect(),
            now,
            maxmemory_bytes: settings.maxmemory_bytes,
            maxmemory_policy: settings.maxmemory_policy.name(),
            maxclients: settings.maxclients,
            asked,
            node,
            cluster: settings.cluster.is_some(),
            hot: settings.hot.on,
            tracking: None,
            hot_keys: Vec::new(),
            listened: Default::default(),
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
    let mut text = String::with_capacity(2048);
    for (name, section) in SECTIONS.iter().filter(|(name, _)| request.sections.contains(name)) {
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

fn server(text: &mut String, request: &InfoRequest, rows: &[Stats], _: &Stats, host: &HostReport) -> std::fmt::Result {
    let uptime_s = request.now.mono_us.saturating_sub(host.started.mono_us) / 1_000_000;
    let now_us = request.now.unix_us;
    write!(
        text,
        "redis_version:{REDIS_VERSION}\r\ncoldplate_version:{}\r\nredis_mode:{}\r\nos:{}\r\narch_bits:64\r\n\
         multiplexing_api:io_uring\r\nprocess_id:{}\r\nprocess_supervised:no\r\nrun_id:{}\r\ntcp_port:{}\r\n\
         server_time_usec:{now_us}\r\nuptime_in_seconds:{uptime_s}\r\nuptime_in_days:{}\r\nhz:10\r\nconfigured_hz:10\r\n\
         cores:{}\r\nasked_core:{}\r\nexecutable:{}\r\nconfig_file:{}\r\nio_threads_active:0\r\n",
        env!("CARGO_PKG_VERSION"),
        if request.cluster { "cluster" } else { "standalone" },
        host.os,
        host.process_id,
        host.run_id,
        host.port,
        uptime_s / 86_400,
        rows.len(),
        request.asked.0,
        host.executable,
        host.config_file,
    )
}

fn clients(text: &mut String, request: &InfoRequest, _: &[Stats], total: &Stats, _: &HostReport) -> std::fmt::Result {
    write!(
        text,
        "connected_clients:{}\r\ncluster_connections:0\r\nmaxclients:{}\r\nblocked_clients:0\r\ntracking_clients:{}\r\n",
        total.connections, request.maxclients, total.tracking_clients
    )
}

fn human(bytes: u64) -> String {
    let units = ["B", "K", "M", "G", "T"];
    let power = (bytes.max(1).ilog2() / 10).min(4);
    if power == 0 {
        return format!("{bytes}B");
    }
    format!("{:.2}{}", bytes as f64 / (1u64 << (power * 10)) as f64, units[power as usize])
}

fn memory(text: &mut String, request: &InfoRequest, _: &[Stats], total: &Stats, host: &HostReport) -> std::fmt::Result {
    let used = total.used_bytes;
    let ratio = host.rss_bytes as f64 / used.max(1) as f64;
    write!(
        text,
        "used_memory:{used}\r\nused_memory_human:{}\r\nused_memory_rss:{}\r\nused_memory_rss_human:{}\r\n\
         used_memory_peak_rss:{}\r\nused_memory_dataset:{used}\r\ntotal_system_memory:{}\r\n\
         total_system_memory_human:{}\r\nmaxmemory:{}\r\nmaxmemory_human:{}\r\nmaxmemory_policy:{}\r\n\
         mem_fragmentation_ratio:{ratio:.2}\r\nmem_allocator:mimalloc\r\n",
        human(used),
        host.rss_bytes,
        human(host.rss_bytes),
        host.peak_rss_bytes,
        host.system_memory_bytes,
        human(host.system_memory_bytes),
        request.maxmemory_bytes,
        human(request.maxmemory_bytes),
        request.maxmemory_policy,
    )
}

fn persistence(text: &mut String, _: &InfoRequest, _: &[Stats], _: &Stats, _: &HostReport) -> std::fmt::Result {
    text.write_str("loading:0\r\nasync_loading:0\r\nrdb_changes_since_last_save:0\r\nrdb_bgsave_in_progress:0\r\naof_enabled:0\r\n")
}

fn stats(text: &mut String, request: &InfoRequest, _: &[Stats], total: &Stats, _: &HostReport) -> std::fmt::Result {
    let [channels, patterns, shard_channels] = request.listened.clone().map(distinct);
    write!(
        text,
        "total_connections_received:{}\r\ntotal_commands_processed:{}\r\ntotal_net_input_bytes:{}\r\n\
         total_net_output_bytes:{}\r\nrejected_connections:{}\r\nexpired_keys:{}\r\nevicted_keys:{}\r\n\
         keyspace_hits:{}\r\nkeyspace_misses:{}\r\npubsub_channels:{channels}\r\npubsub_patterns:{patterns}\r\n\
         pubsubshard_channels:{shard_channels}\r\nlatest_fork_usec:0\r\n\
         tracking_total_keys:{}\r\ntracking_total_items:{}\r\ntracking_total_prefixes:{}\r\n\
         total_error_replies:{}\r\nio_uring_enters:{}\r\nletters_sent:{}\r\nletters_served:{}\r\n",
        total.connections_opened,
        total.commands,
        total.input_bytes,
        total.output_bytes,
        total.connections_refused,
        total.expired,
        total.evicted,
        total.hits,
        total.misses,
        total.tracked_keys,
        total.tracked_items,
        total.tracked_prefixes,
        total.errors,
        total.enters,
        total.letters_sent,
        total.letters_served,
    )
}

fn replication(text: &mut String, _: &InfoRequest, _: &[Stats], _: &Stats, _: &HostReport) -> std::fmt::Result {
    text.write_str("role:master\r\nconnected_slaves:0\r\nmaster_repl_offset:0\r\n")
}

fn cpu(text: &mut String, _: &InfoRequest, _: &[Stats], _: &Stats, host: &HostReport) -> std::fmt::Result {
    let seconds = |us: u64| us as f64 / 1e6;
    write!(
        text,
        "used_cpu_sys:{:.6}\r\nused_cpu_user:{:.6}\r\nused_cpu_sys_children:0.000000\r\nused_cpu_user_children:0.000000\r\n",
        seconds(host.cpu_system_us),
        seconds(host.cpu_user_us)
    )
}

fn cluster(text: &mut String, request: &InfoRequest, _: &[Stats], _: &Stats, _: &HostReport) -> std::fmt::Result {
    write!(text, "cluster_enabled:{}\r\n", u8::from(request.cluster))
}

fn keyspace(
    text: &mut String,
    request: &InfoRequest,
    rows: &[Stats],
    total: &Stats,
    _: &HostReport,
) -> std::fmt::Result {
    // Of a node, tools ask for its own keys, and add the nodes up.
    let total = if request.node { &rows[request.asked.index()] } else { total };
    if total.keys == 0 {
        return Ok(());
    }
    write!(text, "db0:keys={},expires={},avg_ttl=0\r\n", total.keys, total.expiring)
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
