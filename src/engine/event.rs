//! The whole vocabulary between the engine and the shell: events go in, effects come out.

use super::letter::Batch;
use crate::protocol::resp::Output;
use crate::types::{ConnId, CoreId, LinkId, Now};
use std::sync::Arc;

/// Something that happened to this core.
pub enum Event<'a> {
    /// A connection was accepted and belongs to this core from now on.
    Opened { conn: ConnId, peer: String, local: String },
    /// Bytes arrived, on as many connections as the shell has at hand: their keys are looked up together. They are looked
    /// at during the call only.
    Received { chunks: &'a [(ConnId, &'a [u8])] },
    /// A whole output went out; its buffers come back to be filled again.
    Sent { conn: ConnId, output: Output },
    /// The peer sends no more; what it asked is still answered.
    Ended { conn: ConnId },
    /// The connection is gone, for whatever reason; nothing can be sent any more.
    Lost { conn: ConnId },
    /// A connection that [`Effects::dial`] asked for is there; what follows about it names `conn`.
    Dialled { link: LinkId, conn: ConnId },
    /// It cannot be made.
    DialFailed { link: LinkId, reason: String },
    /// Letters from another core.
    Mail { from: CoreId, batch: Box<Batch> },
    /// The time that [`super::Engine::deadline`] asked for has come.
    Tick,
    /// The process is asked to end: answer what is here, take no new request.
    Drain,
}

/// What the shell has to do for the engine, gathered over a turn.
#[derive(Default)]
pub struct Effects {
    /// Connections with output ready: fetch it by [`super::Engine::take_output`] when no send is in flight.
    pub ready: Vec<ConnId>,
    /// Stop (true) or go on (false) receiving.
    pub receive: Vec<(ConnId, bool)>,
    /// Close, after everything handed out for it was sent.
    pub close: Vec<ConnId>,
    /// Close on the spot: the client is not to get what it is owed.
    pub kill: Vec<ConnId>,
    /// Connect to a server.
    pub dial: Vec<Dial>,
    /// Give up connecting; no event follows.
    pub hang_up: Vec<LinkId>,
    /// A client asked the server to end.
    pub shutdown: bool,
}

/// A connection to be made.
#[derive(Clone, Debug)]
pub struct Dial {
    pub link: LinkId,
    /// `ip:port`, or `unix:` and a path.
    pub address: Arc<str>,
    /// What it is called, by which its certificate is judged.
    pub name: Arc<str>,
    pub pool: u16,
}

/// What INFO tells of the machine and the process; read by the shell, never by the engine.
#[derive(Clone, Debug, Default)]
pub struct HostReport {
    pub rss_bytes: u64,
    pub peak_rss_bytes: u64,
    pub system_memory_bytes: u64,
    pub cpu_user_us: u64,
    pub cpu_system_us: u64,
    pub process_id: u32,
    pub run_id: String,
    pub os: String,
    pub executable: String,
    pub config_file: String,
    pub port: u16,
    pub started: Now,
}

/// The machine, as far as replies mention it.
pub trait Host {
    fn report(&self) -> HostReport;
    /// Microseconds by the clock of [`Now::mono_us`], now and not as the turn began. For SLOWLOG alone: nothing that a
    /// reply to another command depends on may ask for it. A shell without one leaves all durations at zero.
    fn elapsed_us(&self) -> u64 {
        0
    }
    /// Stops this core for so long. For DEBUG SLEEP alone. A shell without time has nothing to wait for.
    fn sleep(&self, _us: u64) {}
    /// Writes settings, under Redis's names and in its notation, into the configuration file.
    fn rewrite_config(&self, _settings: &[(&str, Vec<u8>)]) -> Result<(), RewriteError> {
        Err(RewriteError::NoFile)
    }
    /// Begins the log of all cores, or ends it, unless that is so already: cores follow as they see it in
    /// [`super::Ledger::log_switches`]. False if there cannot be one.
    fn switch_log(&self, _on: bool) -> bool {
        false
    }
    /// Applies a log level that CONFIG SET gave, one of Redis's names.
    fn set_log_level(&self, level: &str);
}

/// Why the configuration file was not rewritten, in Redis's words behind the code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
    #[error("The server is running without a config file")]
    NoFile,
    #[error("Rewriting config file: {reason}")]
    Failed { reason: String },
}

/// What the shell counts about itself, for INFO.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShellCounts {
    pub enters: u64,
    pub wakes: u64,
    pub cpu_us: u64,
    pub log: LogCounts,
}

/// What a core has done for its log since the server started.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogCounts {
    pub frames: u64,
    pub bytes: u64,
    pub syncs: u64,
    /// Bytes of the files that count now.
    pub disk_bytes: u64,
    /// 1 while old ones are cleaned.
    pub cleans: u64,
    /// When a sync last ended; 0: none has.
    pub synced_unix_s: u64,
}
