//! What CONFIG SET can change, under Redis's names, and what CONFIG GET shows besides.
//!
//! Each core has its own copy; CONFIG SET is checked where it arrives and then applied on every core.

use super::admin::cluster::Facade;
use super::client_memory::ClientsLimit;
use super::hot::HotSettings;
use super::journal::Fsync;
use super::percentiles::Percentiles;
use super::pubsub::OutputLimits;
use super::upstream::Upstreams;
use crate::heat::WARM_MAX;
use crate::keyspace::{EventClasses, Policy};
use crate::protocol::resp::parse_i64;
use std::sync::Arc;

/// The settings of one core that can change while it runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes that the keys of all cores may take; 0 for no limit.
    pub maxmemory_bytes: u64,
    pub maxmemory_policy: Policy,
    pub maxmemory_samples: usize,
    /// Empty for none.
    pub requirepass: Vec<u8>,
    pub maxclients: u64,
    /// A client idle for so many seconds is closed; 0 for never.
    pub timeout_s: u64,
    /// Past so many bytes of replies that nobody reads, a client's requests wait.
    pub client_output_bytes_max: usize,
    /// Past so many bytes of requests that wait, nothing more is received from the client.
    pub client_waiting_bytes_max: usize,
    /// Past so many bytes of letters that one other core has not taken, requests for other cores wait.
    pub letters_bytes_max: usize,
    /// An incomplete request may not be longer.
    pub client_query_bytes_max: usize,
    /// What clients may leave unread of what they did not ask for.
    pub output_limits: OutputLimits,
    /// What all clients may take together.
    pub clients_limit: ClientsLimit,
    pub proto_max_bulk_bytes: usize,
    pub log_level: String,
    /// Whether changes are logged. Which log is all cores' to agree on: this follows [`super::Ledger::has_log`].
    pub appendonly: bool,
    /// What a write waits for, where there is a log.
    pub fsync: Fsync,
    pub hot: HotSettings,
    /// Requests that take so long are logged; negative for none.
    pub slowlog_slower_than_us: i64,
    /// Requests that the log keeps.
    pub slowlog_len_max: u64,
    /// Keys that clients of CLIENT TRACKING have read and that are kept in mind, over all cores; 0 for no limit.
    pub tracking_table_keys_max: u64,
    /// How the cores are announced as the nodes of a cluster; `None`: they are not.
    pub cluster: Option<Arc<Facade>>,
    /// Whom requests are passed on to; `None`: they are served here.
    pub upstreams: Option<Arc<Upstreams>>,
    /// What is published of what happens to keys.
    pub key_events: EventClasses,
    /// What takes so long is kept for LATENCY; 0 for nothing.
    pub latency_threshold_ms: u64,
    /// Whether durations of commands are counted.
    pub latency_tracking: bool,
    /// Which of them INFO shows.
    pub percentiles: Percentiles,
    /// Whose DEBUG is run.
    pub debug: DebugAccess,
    /// What CONFIG GET shows and CONFIG SET refuses to change: name and value, as Redis prints it.
    pub fixed: Vec<(String, String)>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            maxmemory_bytes: 0,
            maxmemory_policy: Policy::NoEviction,
            maxmemory_samples: 5,
            requirepass: Vec::new(),
            maxclients: 10_000,
            timeout_s: 0,
            client_output_bytes_max: 1 << 20,
            client_waiting_bytes_max: 64 << 20,
            letters_bytes_max: 1 << 20,
            client_query_bytes_max: 1 << 30,
            output_limits: OutputLimits::default(),
            clients_limit: ClientsLimit::default(),
            proto_max_bulk_bytes: crate::types::VALUE_BYTES_MAX,
            log_level: "notice".to_string(),
            appendonly: false,
            fsync: Fsync::EverySecond,
            hot: HotSettings::default(),
            slowlog_slower_than_us: 10_000,
            slowlog_len_max: 128,
            tracking_table_keys_max: 1_000_000,
            cluster: None,
            upstreams: None,
            key_events: EventClasses::NONE,
            latency_threshold_ms: 0,
            latency_tracking: true,
            percentiles: Percentiles::default(),
            debug: DebugAccess::Local,
            fixed: Vec::new(),
        }
    }
}

/// Whose DEBUG is run: its commands can stop a core for as long as they like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DebugAccess {
    Nobody,
    /// Clients of this machine.
    #[default]
    Local,
    Everybody,
}

impl DebugAccess {
    /// All of them under Redis's words.
    pub const ALL: [(&str, DebugAccess); 3] =
        [("no", DebugAccess::Nobody), ("local", DebugAccess::Local), ("yes", DebugAccess::Everybody)];

    pub fn parse(word: &str) -> Option<DebugAccess> {
        DebugAccess::ALL.iter().find(|(name, _)| *name == word).map(|(_, access)| *access)
    }

    pub fn name(self) -> &'static str {
        DebugAccess::ALL[self as usize].0
    }
}

/// Why a value was refused, in Redis's words behind CONFIG SET's error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    #[error("argument must be a memory value")]
    NotBytes,
    #[error("argument couldn't be parsed into an integer")]
    NotAnInteger,
    #[error("argument must be between {min} and {max} inclusive")]
    OutOfRange { min: i64, max: u64 },
    #[error("argument(s) must be one of the following: {names}")]
    NotAName { names: String },
    #[error("{0}")]
    Refused(&'static str),
}

/// What CONFIG SET may do with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    Live,
    /// It may only be set to the value that it has, as scripts do.
    Fixed(&'a str),
    Unknown,
}

/// Redis's own switches say yes and no.
const SWITCH: [&str; 4] = ["on", "off", "yes", "no"];
const PROMOTE_OPS_MAX: u64 = 1_000_000_000;
/// In the order of Redis's error.
const FSYNCS: [&str; 3] = ["everysec", "always", "no"];
const LOG_LEVELS: [&str; 4] = ["debug", "verbose", "notice", "warning"];
/// Redis takes any number; past this one an eviction would take longer than a client should wait.
const SAMPLES_MAX: u64 = 64;
/// Redis takes any number; an entry can have 4 KiB, and each core keeps so many.
const SLOWLOG_LEN_MAX: u64 = 1 << 16;
const LATENCY_MS_MAX: u64 = i64::MAX as u64;
const OWN_BYTES_MIN: u64 = 1 << 12;
const REDIS_BYTES_MIN: u64 = 1 << 20;
const BYTES_MAX: u64 = i64::MAX as u64;

impl Settings {
    /// What takes so long is slow, for SLOWLOG or for LATENCY.
    #[inline]
    pub fn slow_us(&self) -> u64 {
        let log_us = u64::try_from(self.slowlog_slower_than_us).unwrap_or(u64::MAX);
        if self.latency_threshold_ms == 0 { log_us } else { log_us.min(self.latency_threshold_ms.saturating_mul(1000)) }
    }

    /// Whether anybody wants to know how long requests take.
    #[inline]
    pub fn looks_at_clock(&self) -> bool {
        self.slowlog_slower_than_us >= 0 || self.latency_tracking || self.latency_threshold_ms > 0
    }

    /// Every name with its value, in order of names.
    pub fn all(&self) -> Vec<(&str, Vec<u8>)> {
        let mut all = self.live();
        all.extend(
            self.fixed
                .iter()
                .filter(|(name, _)| self.standing(name.as_bytes()) != Standing::Live)
                .map(|(name, value)| (name.as_str(), value.clone().into_bytes())),
        );
        all.sort_unstable();
        all
    }

    /// As [`Settings::all`], for a file: there the classes of events are told exactly, which Redis's notation does not.
    pub fn kept(&self) -> Vec<(&str, Vec<u8>)> {
        let mut kept = self.all();
        for (_, value) in kept.iter_mut().filter(|(name, _)| *name == "notify-keyspace-events") {
            *value = self.key_events.letters().into_bytes();
        }
        kept
    }

    /// What may be set, with its value.
    fn live(&self) -> Vec<(&str, Vec<u8>)> {
        let number = |number: u64| number.to_string().into_bytes();
        vec![
            ("maxmemory", number(self.maxmemory_bytes)),
            ("maxmemory-policy", self.maxmemory_policy.name().into()),
            ("maxmemory-samples", number(self.maxmemory_samples as u64)),
            ("requirepass", self.requirepass.clone()),
            ("maxclients", number(self.maxclients)),
            ("timeout", number(self.timeout_s)),
            ("client-query-buffer-limit", number(self.client_query_bytes_max as u64)),
            ("maxmemory-clients", self.clients_limit.print().into_bytes()),
            ("client-output-buffer-limit", self.output_limits.print().into_bytes()),
            ("proto-max-bulk-len", number(self.proto_max_bulk_bytes as u64)),
            ("loglevel", self.log_level.clone().into_bytes()),
            ("appendonly", if self.appendonly { "yes" } else { "no" }.into()),
            ("appendfsync", self.fsync.name().into()),
            ("slowlog-log-slower-than", self.slowlog_slower_than_us.to_string().into_bytes()),
            ("slowlog-max-len", number(self.slowlog_len_max)),
            ("tracking-table-max-keys", number(self.tracking_table_keys_max)),
            ("notify-keyspace-events", self.key_events.to_string().into_bytes()),
            ("latency-monitor-threshold", number(self.latency_threshold_ms)),
            ("latency-tracking-info-percentiles", self.percentiles.print().into_bytes()),
            ("latency-tracking", if self.latency_tracking { "yes" } else { "no" }.into()),
            ("client-output-bytes-max", number(self.client_output_bytes_max as u64)),
            ("client-waiting-bytes-max", number(self.client_waiting_bytes_max as u64)),
            ("hot", if self.hot.on { "on" } else { "off" }.into()),
            ("hot-promote-ops", number(self.hot.thresholds.promote_ops.round() as u64)),
            ("hot-promote-share-permille", number((self.hot.thresholds.promote_share * 1000.0).round() as u64)),
            ("hot-demote-percent", number((self.hot.thresholds.demote_part * 100.0).round() as u64)),
            ("hot-keys-max", number(self.hot.limits.keys_max as u64)),
            ("hot-bytes-max", number(self.hot.limits.bytes_max)),
        ]
    }

    /// Names are known in any case.
    pub fn standing(&self, name: &[u8]) -> Standing<'_> {
        if self.live().iter().any(|(live, _)| live.as_bytes().eq_ignore_ascii_case(name)) {
            return Standing::Live;
        }
        let fixed = self.fixed.iter().find(|(fixed, _)| fixed.as_bytes().eq_ignore_ascii_case(name));
        fixed.map_or(Standing::Unknown, |(_, value)| Standing::Fixed(value))
    }

    /// Changes a live setting; a name of another [`Standing`] changes nothing.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), SettingError> {
        match name.to_ascii_lowercase().as_slice() {
            b"maxmemory" => self.maxmemory_bytes = bytes(value, 0, u64::MAX)?,
            b"maxmemory-policy" => {
                let name = choose(value, &Policy::ALL.map(|(name, _)| name))?;
                self.maxmemory_policy = Policy::parse(name).expect("it was chosen from the policies");
            }
            b"maxmemory-samples" => self.maxmemory_samples = number(value, 1, SAMPLES_MAX)? as usize,
            b"requirepass" => self.requirepass = value.to_vec(),
            b"maxclients" => self.maxclients = number(value, 1, u64::from(u32::MAX))?,
            b"timeout" => self.timeout_s = number(value, 0, i32::MAX as u64)?,
            b"slowlog-log-slower-than" => {
                let us = parse_i64(value).ok_or(SettingError::NotAnInteger)?;
                let in_range = Some(us).filter(|us| *us >= -1);
                self.slowlog_slower_than_us = in_range.ok_or(SettingError::OutOfRange { min: -1, max: BYTES_MAX })?;
            }
            b"tracking-table-max-keys" => self.tracking_table_keys_max = number(value, 0, BYTES_MAX)?,
            b"slowlog-max-len" => self.slowlog_len_max = number(value, 0, SLOWLOG_LEN_MAX)?,
            b"notify-keyspace-events" => {
                let words = "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";
                let classes = std::str::from_utf8(value).ok().and_then(EventClasses::parse);
                self.key_events = classes.ok_or(SettingError::Refused(words))?;
            }
            b"latency-monitor-threshold" => self.latency_threshold_ms = number(value, 0, LATENCY_MS_MAX)?,
            b"latency-tracking-info-percentiles" => self.percentiles = Percentiles::parse(value)?,
            b"latency-tracking" => self.latency_tracking = yes_or_no(value)?,
            b"maxmemory-clients" => self.clients_limit = ClientsLimit::parse(value)?,
            b"client-output-buffer-limit" => self.output_limits.set(value)?,
            b"client-query-buffer-limit" => {
                self.client_query_bytes_max = bytes(value, REDIS_BYTES_MIN, BYTES_MAX)? as usize;
            }
            b"proto-max-bulk-len" => {
                let max = crate::types::VALUE_BYTES_MAX as u64;
                self.proto_max_bulk_bytes = bytes(value, REDIS_BYTES_MIN, max)? as usize;
            }
            b"client-output-bytes-max" => {
                self.client_output_bytes_max = bytes(value, OWN_BYTES_MIN, BYTES_MAX)? as usize;
            }
            b"client-waiting-bytes-max" => {
                self.client_waiting_bytes_max = bytes(value, OWN_BYTES_MIN, BYTES_MAX)? as usize;
            }
            b"hot" => self.hot.on = ["on", "yes"].contains(&choose(value, &SWITCH)?),
            b"hot-promote-ops" => self.hot.thresholds.promote_ops = number(value, 1, PROMOTE_OPS_MAX)? as f64,
            b"hot-promote-share-permille" => {
                self.hot.thresholds.promote_share = number(value, 0, 1000)? as f64 / 1000.0;
            }
            b"hot-demote-percent" => self.hot.thresholds.demote_part = number(value, 1, 99)? as f64 / 100.0,
            b"hot-keys-max" => self.hot.limits.keys_max = number(value, 1, WARM_MAX as u64)? as usize,
            b"hot-bytes-max" => self.hot.limits.bytes_max = bytes(value, OWN_BYTES_MIN, BYTES_MAX)?,
            b"appendonly" => self.appendonly = yes_or_no(value)?,
            b"appendfsync" => {
                self.fsync = Fsync::parse(choose(value, &FSYNCS)?).expect("it was chosen from them");
            }
            b"loglevel" => self.log_level = choose(value, &LOG_LEVELS)?.to_string(),
            _ => {}
        }
        Ok(())
    }
}

fn number(value: &[u8], min: u64, max: u64) -> Result<u64, SettingError> {
    let number = parse_i64(value).ok_or(SettingError::NotAnInteger)?;
    u64::try_from(number)
        .ok()
        .filter(|n| (min..=max).contains(n))
        .ok_or(SettingError::OutOfRange { min: min as i64, max })
}

fn bytes(value: &[u8], min: u64, max: u64) -> Result<u64, SettingError> {
    let bytes = std::str::from_utf8(value).ok().and_then(parse_bytes).ok_or(SettingError::NotBytes)?;
    if (min..=max).contains(&bytes) { Ok(bytes) } else { Err(SettingError::OutOfRange { min: min as i64, max }) }
}

fn yes_or_no(value: &[u8]) -> Result<bool, SettingError> {
    match value.to_ascii_lowercase().as_slice() {
        b"yes" => Ok(true),
        b"no" => Ok(false),
        _ => Err(SettingError::Refused("argument must be 'yes' or 'no'")),
    }
}

fn choose(value: &[u8], names: &[&'static str]) -> Result<&'static str, SettingError> {
    let found = names.iter().find(|name| name.as_bytes().eq_ignore_ascii_case(value));
    found.copied().ok_or_else(|| SettingError::NotAName { names: names.join(", ") })
}

/// Bytes under Redis's units: `k`, `m`, `g` are powers of 1000, `kb`, `mb`, `gb` of 1024.
pub(super) fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match &text[digits_end..] {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    text[..digits_end].parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed() -> Settings {
        Settings {
            fixed: vec![("port".into(), "6379".into()), ("maxmemory".into(), "1".into())],
            ..Settings::default()
        }
    }

    #[test]
    fn each_live_setting_is_set_and_read_back() {
        let mut settings = fixed();
        for (name, value, shown) in [
            ("maxmemory", "100mb", "104857600"),
            ("MaxMemory-Policy", "ALLKEYS-lfu", "allkeys-lfu"),
            ("maxmemory-samples", "10", "10"),
            ("requirepass", "sesame", "sesame"),
            ("maxclients", "7", "7"),
            ("timeout", "30", "30"),
            ("client-query-buffer-limit", "2mb", "2097152"),
            ("proto-max-bulk-len", "1mb", "1048576"),
            (
                "client-output-buffer-limit",
                "pubsub 1mb 0 5",
                "normal 0 0 0 slave 268435456 67108864 60 pubsub 1048576 0 5",
            ),
            ("loglevel", "DEBUG", "debug"),
            ("appendfsync", "ALWAYS", "always"),
            ("slowlog-log-slower-than", "-1", "-1"),
            ("slowlog-max-len", "0", "0"),
            ("tracking-table-max-keys", "5", "5"),
            ("notify-keyspace-events", "gKE", "gKE"),
            ("latency-monitor-threshold", "100", "100"),
            ("latency-tracking", "NO", "no"),
            ("latency-tracking-info-percentiles", "50.0 1e1", "50 10"),
            ("maxmemory-clients", "5%", "5%"),
            ("client-output-bytes-max", "8kb", "8192"),
            ("client-waiting-bytes-max", "1g", "1000000000"),
            ("HOT", "Off", "off"),
            ("hot", "yes", "on"),
            ("hot-promote-ops", "250", "250"),
            ("hot-promote-share-permille", "7", "7"),
            ("hot-demote-percent", "29", "29"),
            ("hot-keys-max", "4096", "4096"),
            ("hot-bytes-max", "1mb", "1048576"),
        ] {
            let name = name.as_bytes();
            assert_eq!(settings.standing(name), Standing::Live);
            assert_eq!(settings.set(name, value.as_bytes()), Ok(()));
            let all = settings.all();
            let found = all.iter().filter(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name)).collect::<Vec<_>>();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].1, shown.as_bytes());
        }
        assert!(settings.all().is_sorted());
    }

    // The words of redis-server 7.0.
    #[test]
    fn values_are_refused_in_redis_words() {
        let levels = "argument(s) must be one of the following: debug, verbose, notice, warning";
        let policies = "argument(s) must be one of the following: volatile-lru, volatile-lfu, volatile-random, \
                        volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, noeviction";
        for (name, value, words) in [
            ("maxmemory", "-1", "argument must be a memory value"),
            ("maxmemory", "1tb", "argument must be a memory value"),
            ("maxmemory", "18446744073709551615kb", "argument must be a memory value"),
            ("maxmemory-policy", "bogus", policies),
            ("loglevel", "loud", levels),
            ("timeout", "soon", "argument couldn't be parsed into an integer"),
            ("slowlog-log-slower-than", "-2", "argument must be between -1 and 9223372036854775807 inclusive"),
            ("timeout", "+1", "argument couldn't be parsed into an integer"),
            ("timeout", "-1", "argument must be between 0 and 2147483647 inclusive"),
            ("maxclients", "0", "argument must be between 1 and 4294967295 inclusive"),
            ("latency-tracking", "on", "argument must be 'yes' or 'no'"),
            ("latency-monitor-threshold", "-1", "argument must be between 0 and 9223372036854775807 inclusive"),
            ("hot", "maybe", "argument(s) must be one of the following: on, off, yes, no"),
            ("hot-promote-ops", "0", "argument must be between 1 and 1000000000 inclusive"),
            ("hot-promote-share-permille", "1001", "argument must be between 0 and 1000 inclusive"),
            ("hot-demote-percent", "100", "argument must be between 1 and 99 inclusive"),
            ("hot-keys-max", "4097", "argument must be between 1 and 4096 inclusive"),
            ("hot-bytes-max", "lots", "argument must be a memory value"),
            ("client-output-buffer-limit", "pubsub", "Wrong number of arguments in buffer limit configuration."),
            ("client-query-buffer-limit", "1", "argument must be between 1048576 and 9223372036854775807 inclusive"),
        ] {
            let error = fixed().set(name.as_bytes(), value.as_bytes()).expect_err(name);
            assert_eq!(error.to_string(), words, "{name} {value}");
        }
    }

    #[test]
    fn what_is_not_live_stays() {
        let mut settings = fixed();
        assert_eq!(settings.standing(b"PORT"), Standing::Fixed("6379"));
        assert_eq!(settings.standing(b"nope"), Standing::Unknown);
        assert_eq!(settings.set(b"port", b"1"), Ok(()));
        assert_eq!(settings.standing(b"port"), Standing::Fixed("6379"));
    }
}
