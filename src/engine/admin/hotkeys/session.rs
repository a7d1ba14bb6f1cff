//! HOTKEYS START, STOP, RESET and GET: reports as Redis 8.6 gives them, and Valkey 9.2's where no session exists.

use super::list::{HotKey, hottest_first, read_keys, write_keys};
use super::{field, text_field};
use crate::engine::Engine;
use crate::engine::event::HostReport;
use crate::engine::figures::{self, Tracked, TrackedKey};
use crate::engine::hot_session::{HotSession, HotSessionOptions, Work};
use crate::engine::scatter::CHECKED;
use crate::protocol::resp::{Args, Reply, parse_i64};
use crate::types::{Now, SLOTS};
use std::collections::BTreeMap;

/// Keys that GET names in Valkey's form; there it is `hotkeys-top-k`.
const VALKEY_KEYS_MAX: usize = 16;
const METRICS: i64 = 2;
const COUNT_DEFAULT: usize = 10;
const COUNT_MAX: i64 = 64;
const DURATION_S_MAX: i64 = 1_000_000;

/// `HOTKEYS START METRICS count [CPU] [NET] [COUNT k] [DURATION s] [SAMPLE ratio]`; an error is what Redis says.
fn parse(args: &Args) -> Result<HotSessionOptions, &'static str> {
    if args.len() < 4 || !args.get(2).eq_ignore_ascii_case(b"metrics") {
        return Err("ERR METRICS parameter is required");
    }
    let metrics = parse_i64(args.get(3)).filter(|count| (1..=METRICS).contains(count));
    let metrics = metrics.ok_or("ERR METRICS count must be > 0 and <= 2")? as usize;
    let (mut cpu, mut net) = (false, false);
    let mut at = 4;
    while at < args.len() && at < 4 + metrics {
        let (set, error) = match args.get(at).to_ascii_lowercase().as_slice() {
            b"cpu" => (&mut cpu, "ERR METRICS CPU defined more than once!"),
            b"net" => (&mut net, "ERR METRICS NET defined more than once!"),
            _ => {
                at += 1;
                continue;
            }
        };
        if std::mem::replace(set, true) {
            return Err(error);
        }
        at += 1;
    }
    if at < 4 + metrics {
        return Err("ERR METRICS count does not match number of metric types provided");
    }
    if !cpu && !net {
        return Err("ERR METRICS no valid metrics passed. Supported: CPU|NET");
    }
    let mut options = HotSessionOptions { cpu, net, count: COUNT_DEFAULT, duration_us: None, sample: 1 };
    while at < args.len() {
        let value = args.try_get(at + 1).ok_or("ERR syntax error")?;
        let within = |max: i64| parse_i64(value).filter(|number| (1..=max).contains(number));
        match args.get(at).to_ascii_lowercase().as_slice() {
            b"count" => options.count = within(COUNT_MAX).ok_or("ERR COUNT must be between 1 and 64")? as usize,
            b"duration" => {
                let seconds = within(DURATION_S_MAX).ok_or("ERR DURATION must be between 1 and 1000000")?;
                options.duration_us = Some(seconds as u64 * 1_000_000);
            }
            b"sample" => {
                options.sample = within(i64::from(i32::MAX)).ok_or("ERR SAMPLE ratio must be positive")? as u64;
            }
            b"slots" => return Err("ERR SLOTS parameter cannot be used in non-cluster mode"),
            _ => return Err("ERR syntax error"),
        }
        at += 2;
    }
    Ok(options)
}

/// What GET is to be answered with.
pub enum Report {
    /// A session exists.
    Session(Box<Session>),
    /// None does: the hottest keys, in Valkey's form.
    Hottest(Vec<HotKey>),
}

/// A session's report while its parts come in.
pub struct Session {
    options: HotSessionOptions,
    active: bool,
    began_unix_ms: u64,
    duration_ms: u64,
    process_us: (u64, u64),
    cpu_us: u64,
    net_bytes: u64,
    keys: BTreeMap<Vec<u8>, (u64, u64)>,
}

impl Report {
    pub fn add(&mut self, core: u32, mut bytes: &[u8]) {
        let part: Tracked = figures::read(&mut bytes);
        let mut tracked = Vec::new();
        for _ in 0..part.keys {
            let row: TrackedKey = figures::read(&mut bytes);
            tracked.push((figures::take(&mut bytes, row.key_bytes as usize), row));
        }
        match self {
            Report::Session(session) => {
                session.cpu_us += part.cpu_us;
                session.net_bytes += part.net_bytes;
                for (key, row) in tracked {
                    let sum = session.keys.entry(key.to_vec()).or_default();
                    *sum = (sum.0 + row.cpu_us, sum.1 + row.net_bytes);
                }
            }
            Report::Hottest(keys) => keys.extend(read_keys(core, bytes)),
        }
    }

    pub fn encode(self, reply: &mut Reply, host: &dyn Fn() -> HostReport) {
        match self {
            Report::Session(session) => session.encode(reply, &host()),
            Report::Hottest(mut keys) => {
                hottest_first(&mut keys);
                keys.truncate(VALKEY_KEYS_MAX);
                reply.array(keys.len());
                for HotKey { key, figures, .. } in &keys {
                    reply.map(3);
                    text_field(reply, "key", key);
                    field(reply, "db", 0);
                    field(reply, "qps", figures.ops);
                }
            }
        }
    }
}

impl Session {
    fn encode(&self, reply: &mut Reply, host: &HostReport) {
        let HotSessionOptions { cpu, net, .. } = self.options;
        reply.array(1);
        reply.map(7 + if cpu { 3 } else { 0 } + if net { 2 } else { 0 });
        field(reply, "tracking-active", u64::from(self.active));
        field(reply, "sample-ratio", self.options.sample);
        reply.bulk(b"selected-slots");
        reply.array(1);
        reply.array(2);
        reply.integer(0);
        reply.integer(SLOTS as i64 - 1);
        field(reply, "all-commands-all-slots-us", self.cpu_us);
        field(reply, "net-bytes-all-commands-all-slots", self.net_bytes);
        field(reply, "collection-start-time-unix-ms", self.began_unix_ms);
        field(reply, "collection-duration-ms", self.duration_ms);
        if cpu {
            field(reply, "total-cpu-time-user-ms", host.cpu_user_us.saturating_sub(self.process_us.0) / 1000);
            field(reply, "total-cpu-time-sys-ms", host.cpu_system_us.saturating_sub(self.process_us.1) / 1000);
        }
        if net {
            field(reply, "total-net-bytes", self.net_bytes);
        }
        if cpu {
            self.top(reply, "by-cpu-time-us", |used| used.0.min(self.cpu_us));
        }
        if net {
            self.top(reply, "by-net-bytes", |used| used.1.min(self.net_bytes));
        }
    }

    /// The keys that used most, each with how much (estimates, so they are kept within the whole): a flat array in both
    /// protocols, as in Redis.
    fn top(&self, reply: &mut Reply, name: &str, of: impl Fn(&(u64, u64)) -> u64) {
        let rows = self.keys.iter().map(|(key, used)| (of(used), key));
        let mut rows: Vec<(u64, &Vec<u8>)> = rows.filter(|(used, _)| *used > 0).collect();
        rows.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        rows.truncate(self.options.count);
        reply.bulk(name.as_bytes());
        reply.array(rows.len() * 2);
        for (used, key) in rows {
            reply.bulk(key);
            reply.integer(i64::try_from(used).unwrap_or(i64::MAX));
        }
    }
}

impl Engine {
    pub(super) fn is_tracking(&self) -> bool {
        self.hot_session.as_ref().is_some_and(|tracking| tracking.is_active())
    }

    /// Whether START may go to all cores.
    pub(super) fn check_start(&self, args: &Args) -> Result<(), &'static str> {
        if self.is_tracking() {
            return Err("ERR hotkey tracking session already in progress");
        }
        parse(args).map(|_| ())
    }

    pub(super) fn check_reset(&self) -> Result<(), &'static str> {
        if self.is_tracking() {
            return Err("ERR hotkey tracking session in progress, stop tracking first");
        }
        Ok(())
    }

    pub(super) fn start_part(&mut self, now: Now, args: &Args) {
        let options = parse(args).expect(CHECKED);
        // Two clients that start at once on two cores: the first to come stays.
        if !self.is_tracking() {
            let host = self.host.report();
            let process_us = (host.cpu_user_us, host.cpu_system_us);
            let seed = self.shard.draw();
            self.hot_session = Some(Box::new(HotSession::new(options, now, self.work(), process_us, seed)));
            self.attend();
        }
    }

    pub(super) fn stop_part(&mut self, now: Now) {
        let work = self.work();
        if let Some(tracking) = &mut self.hot_session {
            tracking.stop(now, work);
        }
    }

    pub(super) fn end_hot_session(&mut self) {
        self.hot_session = None;
        self.attend();
    }

    /// What GET is answered with, as this core knows it now.
    pub(super) fn report_request(&self, now: Now) -> Report {
        let Some(tracking) = &self.hot_session else { return Report::Hottest(Vec::new()) };
        Report::Session(Box::new(Session {
            options: tracking.options.clone(),
            active: tracking.is_active(),
            began_unix_ms: tracking.began.unix_ms(),
            duration_ms: tracking.duration_us(now) / 1000,
            process_us: tracking.process_us,
            cpu_us: 0,
            net_bytes: 0,
            keys: BTreeMap::new(),
        }))
    }

    /// This core's part of GET, for either form.
    pub(super) fn report_part(&mut self, now: Now, out: &mut Vec<u8>) {
        let work = self.work();
        let (mut head, mut rows) = (Tracked::default(), Vec::new());
        if let Some(tracking) = &mut self.hot_session {
            tracking.close_window(now, work);
            (head.cpu_us, head.net_bytes) = tracking.totals();
            for (key, used) in tracking.keys() {
                let (cpu_us, net_bytes) = (used.cpu_us.ceil() as u64, used.net_bytes.round() as u64);
                figures::write(&mut rows, &TrackedKey { cpu_us, net_bytes, key_bytes: key.len() as u64 });
                rows.extend_from_slice(key);
                head.keys += 1;
            }
        }
        figures::write(out, &head);
        out.extend_from_slice(&rows);
        if self.hot_session.is_none() {
            write_keys(&self.watched_keys(now, VALKEY_KEYS_MAX, |_| true), out);
        }
    }

    /// Once a turn, before its events.
    #[inline]
    pub(in crate::engine) fn track_turn(&mut self, now: Now) {
        let work = self.work();
        if let Some(tracking) = &mut self.hot_session {
            tracking.turn(now, work);
        }
    }

    /// What this core has done, as far as the shell has told.
    fn work(&self) -> Work {
        Work { cpu_us: self.shell.cpu_us, ops: self.stats.commands + self.stats.letters_served }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::resp::{Limits, parse as parse_request};

    fn start(words: &str) -> Result<HotSessionOptions, &'static str> {
        let words: Vec<&str> = "HOTKEYS START".split(' ').chain(words.split(' ').filter(|w| !w.is_empty())).collect();
        let sent: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        let sent = format!("*{}\r\n{sent}", words.len());
        let mut args = Vec::new();
        parse_request(sent.as_bytes(), &Limits::default(), &mut args).expect("it is well formed").expect("it is whole");
        parse(&Args::new(sent.as_bytes(), &args, &mut []))
    }

    /// Each refusal is in Redis's words and order, and what Redis lets pass passes.
    #[test]
    fn start_is_refused_as_in_redis() {
        let count = "ERR METRICS count must be > 0 and <= 2";
        for (words, error) in [
            ("", "ERR METRICS parameter is required"),
            ("METRICS", "ERR METRICS parameter is required"),
            ("COUNT 3", "ERR METRICS parameter is required"),
            ("METRICS 3 CPU NET", count),
            ("METRICS 0", count),
            ("METRICS x CPU", count),
            ("METRICS 2 CPU cpu", "ERR METRICS CPU defined more than once!"),
            ("METRICS 2 NET NET", "ERR METRICS NET defined more than once!"),
            ("METRICS 2 CPU", "ERR METRICS count does not match number of metric types provided"),
            ("METRICS 1 GPU", "ERR METRICS no valid metrics passed. Supported: CPU|NET"),
            ("METRICS 1 CPU NET", "ERR syntax error"),
            ("METRICS 1 CPU COUNT", "ERR syntax error"),
            ("METRICS 1 CPU COUNT 65", "ERR COUNT must be between 1 and 64"),
            ("METRICS 1 CPU COUNT x", "ERR COUNT must be between 1 and 64"),
            ("METRICS 1 CPU DURATION 0", "ERR DURATION must be between 1 and 1000000"),
            ("METRICS 1 CPU SAMPLE 0", "ERR SAMPLE ratio must be positive"),
            ("METRICS 1 CPU SLOTS 1 1", "ERR SLOTS parameter cannot be used in non-cluster mode"),
            ("METRICS 1 CPU COUNT 3 NOPE 1", "ERR syntax error"),
        ] {
            assert_eq!(start(words), Err(error), "{words}");
        }
        let plain = HotSessionOptions { cpu: true, net: false, count: 10, duration_us: None, sample: 1 };
        assert_eq!(start("metrics 2 GPU cpu"), Ok(plain.clone()));
        let full = HotSessionOptions { net: true, count: 3, duration_us: Some(9_000_000), sample: 7, ..plain };
        assert_eq!(start("METRICS 2 net CPU SAMPLE 7 COUNT 64 COUNT 3 DURATION 9"), Ok(full));
    }
}
