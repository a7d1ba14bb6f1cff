//! The start, in order: what the kernel offers, descriptors, sockets, placement, threads; then signals; then the end.

use super::config::{Config, Loaded, redis_parameters, rewrite, warnings};
use super::host::Host;
use super::logs::Logs;
use super::metrics::{self, MetricsError};
use super::storage::StorageError;
use super::upstreams::{UpstreamError, links_per_core, secure, upstreams};
use super::{loading, logger, notify};
use crate::engine::{self, Engine, EngineOptions, HostReport, Ledger, RewriteError, Settings};
use crate::keyspace::ShardOptions;
use crate::routing::{RoutingError, SlotTable, slot_of};
use crate::runtime::tls::Secure;
use crate::runtime::uring::{self, Features, RingConfig, RingError, SqPoll};
use crate::runtime::{
    Bound, Clock, Control, ListenError, Listener, Listening, Mailbox, Scrape, Worker, WorkerError, WorkerOptions,
    listen, mailboxes,
};
use crate::types::{CoreId, Now};
use crossbeam_channel::{Sender, bounded};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::{self, PipeWriter, Read, Write, pipe};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Descriptors beyond the clients' own: listeners, rings, pipes, logs.
const DESCRIPTORS_RESERVED: u64 = 64;
const DESCRIPTORS_PER_CORE: u64 = 8;

/// Why the server does not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    #[error(transparent)]
    Ring(#[from] RingError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("placing slots on cores: {0}")]
    Routing(#[from] RoutingError),
    #[error("core {core}: {error}")]
    Worker { core: u16, error: WorkerError },
    #[error("{source}; or lower maxclients from {maxclients} with --maxclients")]
    Descriptors { maxclients: u32, source: RingError },
    #[error("cannot work in {}: {source}; create it, or choose another with --dir", .dir.display())]
    Dir { dir: PathBuf, source: io::Error },
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    #[error("starting: {0}")]
    System(#[from] io::Error),
}

/// The machine as INFO shows it.
struct Machine {
    host: Host,
    clock: Clock,
    started: Now,
    port: u16,
    config_file: String,
    /// What the server started with.
    config: Config,
    logs: Arc<Logs>,
}

impl engine::Host for Machine {
    fn report(&self) -> HostReport {
        let (resident, cpu) = (self.host.resident(), self.host.cpu_time());
        HostReport {
            rss_bytes: resident.now_bytes,
            peak_rss_bytes: resident.peak_bytes,
            system_memory_bytes: self.host.memory_total_bytes(),
            cpu_user_us: cpu.user_us,
            cpu_system_us: cpu.system_us,
            process_id: self.host.pid(),
            run_id: self.host.run_id().to_owned(),
            os: self.host.os().to_owned(),
            executable: self.host.executable().display().to_string(),
            config_file: self.config_file.clone(),
            port: self.port,
            started: self.started,
        }
    }

    fn elapsed_us(&self) -> u64 {
        self.clock.elapsed_us()
    }

    fn sleep(&self, us: u64) {
        std::thread::sleep(Duration::from_micros(us));
    }

    fn rewrite_config(&self, settings: &[(&str, Vec<u8>)]) -> Result<(), RewriteError> {
        if self.config_file.is_empty() {
            return Err(RewriteError::NoFile);
        }
        rewrite(Path::new(&self.config_file), &self.config, settings).map_err(|error| {
            log::error!("CONFIG REWRITE: {}: {error}", self.config_file);
            RewriteError::Failed { reason: error.to_string() }
        })
    }

    fn switch_log(&self, on: bool) -> bool {
        self.logs.switch_log(on)
    }

    fn set_log_level(&self, level: &str) {
        logger::set_level(level);
    }
}

/// What all cores have in common.
struct House {
    table: Arc<SlotTable>,
    ledger: Arc<Ledger>,
    host: Arc<Machine>,
    settings: Settings,
    /// By upstream, what makes connections to it secret.
    secure: Arc<[Option<Secure>]>,
    hash_seed: [u64; 4],
    clock: Clock,
    control: Arc<Control>,
    logs: Arc<Logs>,
}

/// A core's thread and the pipe that wakes it.
struct Core {
    thread: JoinHandle<Result<(), WorkerError>>,
    alarm: PipeWriter,
}

/// Serves until SIGTERM, SIGINT or SHUTDOWN, then drains.
pub fn serve(loaded: &Loaded, config_file: Option<PathBuf>) -> Result<(), BootError> {
    let mut config = loaded.config.clone();
    logger::start(config.log.level);
    let config_file = config_file.map(std::path::absolute).transpose()?;
    config.log.dir = enter(&config.log.dir)?;
    let config = &config;
    warnings(config).iter().for_each(|warning| log::warn!("{warning}"));
    let kernel = uring::probe()?;
    let cores = config.cores.cpus.len();
    let maxclients = config.limits.maxclients;
    let of_cores = (DESCRIPTORS_PER_CORE + links_per_core(config)) * cores as u64;
    let descriptors = u64::from(maxclients) + DESCRIPTORS_RESERVED + of_cores;
    uring::raise_descriptor_limit(descriptors).map_err(|source| BootError::Descriptors { maxclients, source })?;
    let bound = open_listeners(config)?;
    let metrics = config.metrics.addresses().map(metrics::bind).collect::<Result<Vec<_>, _>>()?;
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let house = build_house(config, cores, config_file.unwrap_or_default().display().to_string())?;
    let (features, running) = start_cores(config, &house, &bound)?;
    log::info!("Linux {}; {features:?}", kernel.release);
    show_metrics(metrics, &house, &running)?;
    let mut signal = loading::await_keys(&house.ledger, &mut signals);
    if signal.is_none() {
        println!("{}", banner(config));
        notify::ready(&format!("serving on {cores} cores"));
        start_watchdog(&house.control, &running)?;
        signal = signals.forever().next();
    }
    if let Some(signal) = signal {
        log::info!("signal {signal}: draining");
    }
    notify::stopping();
    house.control.stopping.store(true, Ordering::Release);
    let ended = stop_cores(running);
    house.logs.close();
    ended
}

/// Makes `dir` the directory that relative paths start from; answers it in full.
fn enter(dir: &Path) -> Result<PathBuf, BootError> {
    let entered = std::env::set_current_dir(dir).and_then(|()| std::env::current_dir());
    entered.map_err(|source| BootError::Dir { dir: dir.to_path_buf(), source })
}

fn open_listeners(config: &Config) -> Result<Bound, ListenError> {
    listen(&Listening {
        bind: config.network.bind.clone(),
        port: config.network.port,
        core_ports: config.node_ports(),
        unixsocket: config.network.unixsocket.clone(),
        unixsocketperm: config.network.unixsocketperm,
        backlog: config.network.tcp_backlog,
        keepalive_s: config.network.tcp_keepalive_s,
    })
}

fn build_house(config: &Config, cores: usize, config_file: String) -> Result<House, BootError> {
    let weights: Vec<f64> = config.cores.weights.iter().map(|weight| f64::from(*weight)).collect();
    let clock = Clock::default();
    let table = Arc::new(if config.cluster.announce {
        SlotTable::contiguous(cores, &weights)?
    } else {
        SlotTable::compile(cores, config.cores.virtual_nodes as usize, &weights)?
    });
    let ledger = Arc::new(Ledger::new(cores));
    let logs = Arc::new(Logs::open(&config.log, Arc::clone(&table), Arc::clone(&ledger))?);
    let host = Machine {
        host: Host::read()?,
        clock,
        started: clock.now(),
        port: config.network.port,
        config_file,
        config: config.clone(),
        logs: Arc::clone(&logs),
    };
    let turns = (0..cores).map(|_| AtomicU64::new(0)).collect();
    let scrape = config.metrics.addresses().next().map(|_| Scrape::new(cores));
    Ok(House {
        logs,
        table,
        ledger,
        host: Arc::new(host),
        settings: Settings { upstreams: upstreams(config)?, ..settings(config) },
        secure: secure(config)?,
        hash_seed: [random()?, random()?, random()?, random()?],
        clock,
        control: Arc::new(Control { turns, scrape, ..Control::default() }),
    })
}

pub(super) fn settings(config: &Config) -> Settings {
    let (limits, memory, log) = (&config.limits, &config.memory, &config.log);
    Settings {
        maxmemory_bytes: memory.maxmemory_bytes,
        maxmemory_policy: memory.policy,
        maxmemory_samples: memory.samples as usize,
        requirepass: config.security.requirepass.clone().unwrap_or_default().into_bytes(),
        maxclients: u64::from(limits.maxclients),
        timeout_s: u64::from(config.network.timeout_s),
        client_output_bytes_max: limits.client_output_bytes_max as usize,
        client_waiting_bytes_max: limits.client_waiting_bytes_max as usize,
        client_query_bytes_max: limits.client_query_bytes_max as usize,
        proto_max_bulk_bytes: limits.proto_max_bulk_len as usize,
        letters_bytes_max: limits.letters_bytes_max as usize,
        log_level: logger::redis_name(log.level).to_owned(),
        appendonly: log.appendonly,
        fsync: log.fsync,
        hot: config.hot.settings(),
        cluster: config.facade().map(Arc::new),
        upstreams: None,
        slowlog_slower_than_us: log.slowlog_slower_than_us,
        slowlog_len_max: log.slowlog_len_max,
        latency_threshold_ms: log.latency_threshold_ms,
        latency_tracking: log.latency_tracking,
        percentiles: log.percents.clone(),
        output_limits: limits.client_output_buffer_limit,
        tracking_table_keys_max: limits.tracking_table_keys_max,
        key_events: log.key_events,
        clients_limit: limits.maxmemory_clients,
        debug: config.security.debug,
        fixed: redis_parameters(config),
    }
}

pub(super) fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Starts a thread a core; when one fails to start, the others end with the process.
fn start_cores(config: &Config, house: &House, bound: &Bound) -> Result<(Features, Vec<Core>), BootError> {
    let cores = config.cores.cpus.len();
    let (report, reports) = bounded(cores);
    let mut running = Vec::with_capacity(cores);
    for mailbox in mailboxes(cores, config.cores.mailbox_batches) {
        let listeners = listeners_of(mailbox.core(), bound)?;
        running.push(start_core(config, house, mailbox, listeners, report.clone())?);
    }
    let mut features = Features::default();
    for _ in 0..cores {
        let started = reports.recv().map_err(|_| io::Error::other("a core's thread ended as it started"))?;
        features = started?;
    }
    Ok((features, running))
}

/// What serves all cores goes to the first, the ports of single cores each to its own.
fn listeners_of(core: CoreId, bound: &Bound) -> io::Result<Vec<Listener>> {
    let shared = bound.sockets.iter().filter(|_| core == CoreId(0)).map(OwnedFd::try_clone);
    let own = bound.of_cores.get(core.index()).into_iter().flatten().map(OwnedFd::try_clone);
    shared.map(|fd| fd.map(Listener::shared)).chain(own.map(|fd| fd.map(Listener::own))).collect()
}

fn start_core(
    config: &Config,
    house: &House,
    mailbox: Mailbox,
    listeners: Vec<Listener>,
    report: Sender<Result<Features, BootError>>,
) -> Result<Core, BootError> {
    let core = mailbox.core();
    let (alarm, alarm_writer) = pipe()?;
    let options = WorkerOptions {
        cpu: config.cores.pin.then(|| config.cores.cpus[core.index()]),
        ring: ring_config(config, core),
        min_wait_us: config.ring.min_wait_us,
        spin_us: config.ring.spin_us,
        zero_copy_bytes_min: config.ring.zero_copy_bytes_min as usize,
        listeners,
        secure: Arc::clone(&house.secure),
        mailbox,
        ledger: Arc::clone(&house.ledger),
        clock: house.clock,
        log: house.logs.at_start(core)?,
        switch: house.logs.switch(),
        control: Arc::clone(&house.control),
        alarm,
        on_shutdown: Box::new(ask_to_end),
    };
    let engine_options = EngineOptions {
        core,
        table: Arc::clone(&house.table),
        ledger: Arc::clone(&house.ledger),
        shard: ShardOptions { hash_seed: house.hash_seed, draw_seed: random()?, place: slot_of },
        settings: house.settings.clone(),
        host: Arc::clone(&house.host) as Arc<dyn engine::Host + Send + Sync>,
    };
    let control = Arc::clone(&house.control);
    let thread = std::thread::Builder::new().name(format!("core-{}", core.0)).spawn(move || {
        // Pinned first, so that the core's memory is touched, and placed, where it will be used.
        let worker = match Worker::new(|| Engine::new(engine_options), options) {
            Ok(worker) => worker,
            Err(error) => {
                // The receiver is there until every core has reported.
                let _ = report.send(Err(BootError::Worker { core: core.0, error }));
                return Ok(());
            }
        };
        let _ = report.send(Ok(worker.features()));
        drop(report);
        worker.run().inspect_err(|error| {
            log::error!("core {}: {error}", core.0);
            control.failed.store(true, Ordering::Release);
            ask_to_end();
        })
    })?;
    Ok(Core { thread, alarm: alarm_writer })
}

/// Ends the process as a signal from outside would.
fn ask_to_end() {
    if let Err(error) = signal_hook::low_level::raise(SIGTERM) {
        log::error!("cannot end: {error}");
    }
}

fn ring_config(config: &Config, core: CoreId) -> RingConfig {
    let ring = &config.ring;
    let cpu = |cpus: &[usize]| cpus.get(core.index() % cpus.len().max(1)).map(|cpu| *cpu as u32);
    RingConfig {
        entries: ring.entries,
        completions: ring.entries.saturating_mul(4),
        sqpoll: ring.sqpoll.then(|| SqPoll { idle_ms: ring.sqpoll_idle_ms, cpu: cpu(&ring.sqpoll_cpus) }),
        napi_busy_poll_us: ring.napi_busy_poll_us,
        buffers: ring.buffers,
        buffer_bytes: ring.buffer_bytes,
        incremental: true,
        bundles: false,
    }
}

/// Where the server is and how to try it.
fn banner(config: &Config) -> String {
    let cores = config.cores.cpus.len();
    let mut places: Vec<String> = Vec::new();
    if config.network.port != 0 {
        places.extend(config.network.bind.iter().map(|address| format!("{address}:{}", config.network.port)));
    }
    places.extend(config.network.unixsocket.iter().map(|path| path.display().to_string()));
    let try_it = match (&config.network.unixsocket, config.network.port) {
        (Some(path), 0) => format!("redis-cli -s {}", path.display()),
        (_, port) => format!("redis-cli -p {port}"),
    };
    let nodes = match config.node_ports()[..] {
        [first, .., last] => format!("\nannounces each core as a node of a cluster, on ports {first} to {last}"),
        [only] => format!("\nannounces its core as a node of a cluster, on port {only}"),
        [] => String::new(),
    };
    let keys = match (config.log.appendonly, config.log.fsync) {
        (false, _) => "keys are in memory only".to_owned(),
        (true, fsync) => format!("keys are logged below {} ({})", config.log.dir.display(), fsync.name()),
    };
    format!(
        "coldplate {} serves on {} with {cores} {} (CPUs {:?}); {keys}{nodes}\n\
         try:  {try_it} set greeting hello  |  {try_it} get greeting  |  {try_it} info cores",
        env!("CARGO_PKG_VERSION"),
        places.join(", "),
        if cores == 1 { "core" } else { "cores" },
        config.cores.cpus,
    )
}

/// Answers metrics from here on, where somebody wants them.
fn show_metrics(listeners: Vec<TcpListener>, house: &House, running: &[Core]) -> io::Result<()> {
    if listeners.is_empty() {
        return Ok(());
    }
    let control = Arc::clone(&house.control);
    let host = Arc::clone(&house.host) as Arc<dyn engine::Host + Send + Sync>;
    metrics::start(listeners, metrics::Source::new(control, alarms(running)?, host))
}

/// What wakes each core.
fn alarms(running: &[Core]) -> io::Result<Vec<PipeWriter>> {
    running.iter().map(|core| core.alarm.try_clone()).collect()
}

/// Feeds systemd's watchdog as long as every core turns its loop when it is called.
fn start_watchdog(control: &Arc<Control>, running: &[Core]) -> Result<(), BootError> {
    let Some(interval) = notify::watchdog_interval() else { return Ok(()) };
    let mut alarms = alarms(running)?;
    let control = Arc::clone(control);
    std::thread::Builder::new().name("watchdog".into()).spawn(move || {
        loop {
            let before: Vec<u64> = control.turns.iter().map(|turns| turns.load(Ordering::Relaxed)).collect();
            for alarm in &mut alarms {
                if alarm.write_all(&[0]).is_err() {
                    return;
                }
            }
            std::thread::sleep(interval.min(Duration::from_secs(3600)) / 2);
            if control.turns.iter().zip(before).all(|(turns, before)| turns.load(Ordering::Relaxed) != before) {
                notify::alive();
            }
        }
    })?;
    Ok(())
}

fn stop_cores(running: Vec<Core>) -> Result<(), BootError> {
    for core in &running {
        // A core that has ended already has closed its pipe.
        let _ = (&core.alarm).write_all(&[0]);
    }
    let mut outcome = Ok(());
    for (core, running) in running.into_iter().enumerate() {
        let ended = running.thread.join().map_err(|_| io::Error::other("a core's thread panicked"))?;
        if let Err(error) = ended {
            outcome = Err(BootError::Worker { core: core as u16, error });
        }
    }
    log::info!("all cores ended");
    outcome
}
