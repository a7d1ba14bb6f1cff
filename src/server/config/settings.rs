//! The typed result of loading: what the rest of the server reads. Every field is a row of the table, apart from those
//! that are arrays: the policies of [`Hot`], upstreams and routes.

use std::net::IpAddr;
use std::path::PathBuf;

use log::LevelFilter;

use super::upstream::{Route, Upstream};
use crate::engine::{ClientsLimit, DebugAccess, Endpoint, Fsync, OutputLimits, Percentiles};
use crate::keyspace::{EventClasses, Policy};

/// The effective configuration. Built only by [`super::load`], so each value has passed its row's range.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub network: Network,
    pub cores: Cores,
    pub ring: Ring,
    pub memory: Memory,
    pub hot: Hot,
    pub cluster: Cluster,
    pub limits: Limits,
    pub security: Security,
    pub log: Log,
    pub metrics: Metrics,
    /// Servers of an existing engine that hold the keys; the first those that no route names. Empty: this server has all.
    pub upstreams: Vec<Upstream>,
    pub routes: Vec<Route>,
}

/// Where clients connect, and how their sockets are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    pub bind: Vec<IpAddr>,
    /// 0 means that no TCP socket listens.
    pub port: u16,
    pub unixsocket: Option<PathBuf>,
    /// Mode bits of the socket file; 0 leaves them to the umask, as in Redis.
    pub unixsocketperm: u32,
    pub tcp_backlog: u32,
    /// 0 turns keepalive off.
    pub tcp_keepalive_s: u32,
    /// 0 never closes an idle client.
    pub timeout_s: u32,
}

/// Where figures can be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    pub bind: Vec<IpAddr>,
    /// 0 means that nothing listens.
    pub port: u16,
}

/// Which CPUs serve, and how keys are spread over them.
#[derive(Clone, Debug, PartialEq)]
pub struct Cores {
    /// The CPUs as asked for; empty means `auto`.
    pub cpus_asked: Vec<usize>,
    /// The CPUs to serve on, one core each, in the order of their `CoreId`. Never empty once loaded; a CPU stands there
    /// more than once only where nothing is pinned.
    pub cpus: Vec<usize>,
    pub pin: bool,
    pub virtual_nodes: u32,
    /// One weight a core, or empty when all weigh the same.
    pub weights: Vec<u32>,
    pub mailbox_batches: usize,
}

/// Each core's io_uring: sizes, waiting, polling.
#[derive(Clone, Debug, PartialEq)]
pub struct Ring {
    pub entries: u32,
    pub buffers: u16,
    pub buffer_bytes: u32,
    pub sqpoll: bool,
    /// CPUs for the kernel's polling threads, taken in turn; empty leaves them to the scheduler.
    pub sqpoll_cpus: Vec<usize>,
    pub sqpoll_idle_ms: u32,
    pub napi_busy_poll_us: u32,
    pub min_wait_us: u32,
    pub spin_us: u32,
    /// 0 never sends with zero copy.
    pub zero_copy_bytes_min: u64,
}

/// How much memory values may take, and what leaves when it is full.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    /// 0 means no limit.
    pub maxmemory_bytes: u64,
    pub policy: Policy,
    pub samples: u32,
}

/// Which keys count as hot, and what is done about them.
#[derive(Clone, Debug, PartialEq)]
pub struct Hot {
    pub enabled: bool,
    pub window_ms: u32,
    pub promote_ops: u64,
    pub promote_share_permille: u32,
    pub demote_percent: u32,
    pub keys_max: usize,
    pub bytes_max: u64,
    /// The first that matches a key holds for it.
    pub policies: Vec<PatternPolicy>,
}

/// What holds for the hot keys of a pattern; `None` is what the section says.
#[derive(Clone, Debug, PartialEq)]
pub struct PatternPolicy {
    pub pattern: String,
    pub replicate: bool,
    pub fold: bool,
    pub promote_ops: Option<u64>,
    pub promote_share_permille: Option<u32>,
}

/// What holds where a policy leaves a key out. Its pattern it may not leave out.
impl Default for PatternPolicy {
    fn default() -> Self {
        Self { pattern: String::new(), replicate: true, fold: true, promote_ops: None, promote_share_permille: None }
    }
}

/// How the cores are announced to cluster-aware clients.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    pub announce: bool,
    /// 0 is the port after [`Network::port`].
    pub first_port: u16,
    pub announce_ip: Option<String>,
    /// 0 is what is listened on.
    pub announce_port: u16,
    pub announce_hostname: Option<String>,
    pub preferred_endpoint: Endpoint,
}

/// Bounds on what clients may take.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    pub maxclients: u32,
    pub client_output_bytes_max: u64,
    pub client_waiting_bytes_max: u64,
    pub client_query_bytes_max: u64,
    pub client_output_buffer_limit: OutputLimits,
    pub maxmemory_clients: ClientsLimit,
    pub letters_bytes_max: u64,
    pub proto_max_bulk_len: u64,
    /// 0 means no limit.
    pub tracking_table_keys_max: u64,
}

/// Who may talk.
#[derive(Clone, PartialEq)]
pub struct Security {
    pub requirepass: Option<String>,
    pub debug: DebugAccess,
}

/// Keeps the password out of logs that print the configuration with `{:?}`.
impl std::fmt::Debug for Security {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let requirepass = self.requirepass.as_ref().map(|_| "(set)");
        f.debug_struct("Security").field("requirepass", &requirepass).field("debug", &self.debug).finish()
    }
}

/// What the server writes down or publishes, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    pub level: LevelFilter,
    pub dir: PathBuf,
    /// Changes are logged.
    pub appendonly: bool,
    pub fsync: Fsync,
    pub segment_bytes: u64,
    pub amplification: u64,
    /// Negative logs no request.
    pub slowlog_slower_than_us: i64,
    pub slowlog_len_max: u64,
    /// 0 keeps nothing.
    pub latency_threshold_ms: u64,
    pub latency_tracking: bool,
    pub key_events: EventClasses,
    pub percents: Percentiles,
}

/// The state before the table's defaults are stored: see `table::defaults`, its only caller.
pub(super) fn blank() -> Config {
    Config {
        network: Network {
            bind: Vec::new(),
            port: 0,
            unixsocket: None,
            unixsocketperm: 0,
            tcp_backlog: 0,
            tcp_keepalive_s: 0,
            timeout_s: 0,
        },
        cores: Cores {
            cpus_asked: Vec::new(),
            cpus: Vec::new(),
            pin: false,
            virtual_nodes: 0,
            weights: Vec::new(),
            mailbox_batches: 0,
        },
        ring: blank_ring(),
        memory: Memory { maxmemory_bytes: 0, policy: Policy::NoEviction, samples: 0 },
        hot: Hot {
            enabled: false,
            window_ms: 0,
            promote_ops: 0,
            promote_share_permille: 0,
            demote_percent: 0,
            keys_max: 0,
            bytes_max: 0,
            policies: Vec::new(),
        },
        cluster: Cluster {
            announce: false,
            first_port: 0,
            announce_ip: None,
            announce_port: 0,
            announce_hostname: None,
            preferred_endpoint: Endpoint::Ip,
        },
        limits: Limits {
            maxclients: 0,
            client_output_bytes_max: 0,
            client_waiting_bytes_max: 0,
            client_query_bytes_max: 0,
            client_output_buffer_limit: OutputLimits::default(),
            maxmemory_clients: ClientsLimit::default(),
            letters_bytes_max: 0,
            proto_max_bulk_len: 0,
            tracking_table_keys_max: 0,
        },
        security: Security { requirepass: None, debug: DebugAccess::Nobody },
        log: blank_log(),
        metrics: Metrics { bind: Vec::new(), port: 0 },
        upstreams: Vec::new(),
        routes: Vec::new(),
    }
}

fn blank_ring() -> Ring {
    Ring {
        entries: 0,
        buffers: 0,
        buffer_bytes: 0,
        sqpoll: false,
        sqpoll_cpus: Vec::new(),
        sqpoll_idle_ms: 0,
        napi_busy_poll_us: 0,
        min_wait_us: 0,
        spin_us: 0,
        zero_copy_bytes_min: 0,
    }
}

fn blank_log() -> Log {
    Log {
        level: LevelFilter::Off,
        dir: PathBuf::new(),
        appendonly: false,
        fsync: Fsync::EverySecond,
        segment_bytes: 0,
        amplification: 0,
        slowlog_slower_than_us: 0,
        slowlog_len_max: 0,
        latency_threshold_ms: 0,
        latency_tracking: false,
        key_events: EventClasses::NONE,
        percents: Percentiles::default(),
    }
}
