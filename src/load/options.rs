//! What a run is asked to do: the command line, understood and checked.

use std::path::PathBuf;
use std::time::Duration;

use super::command::Command;
use super::data::Size;
use super::endpoint::{Endpoint, Login};
use super::keys::{KeyRange, Pattern};

/// How long a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// So many requests by each client.
    Requests(u64),
    /// As many by each client as there are keys for it.
    AllKeys,
    Time(Duration),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub endpoint: Endpoint,
    pub login: Login,
    pub cluster: bool,
    pub threads: u32,
    /// A thread.
    pub clients: u32,
    pub pipeline: u32,
    pub extent: Extent,
    pub commands: Vec<Command>,
    /// SETs and GETs by a ratio, and not the user's own commands.
    pub set_get: bool,
    pub key_prefix: String,
    pub keys: KeyRange,
    pub size: Size,
    pub random_data: bool,
    pub expiry_s: Option<(u32, u32)>,
    /// Requests a second of each client.
    pub rate: Option<u32>,
    pub open_loop: bool,
    pub seed: u64,
    pub distinct_seeds: bool,
    pub run_count: u32,
    pub output: Output,
}

/// What is told of a run, and where.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    pub percentiles: Vec<f64>,
    pub hide_histogram: bool,
    pub print_all_runs: bool,
    pub file: Option<PathBuf>,
    pub json: Option<PathBuf>,
    pub hdr_prefix: Option<String>,
}

impl Options {
    pub fn clients_total(&self) -> u64 {
        u64::from(self.threads) * u64::from(self.clients)
    }

    /// Each client has a part of the keys of its own. The first command decides, as in memtier_benchmark.
    pub fn is_parallel(&self) -> bool {
        self.commands.first().is_some_and(|command| command.pattern == Pattern::Parallel)
    }

    /// The part of the keys that client `index` has for itself.
    pub fn part(&self, index: u64) -> Option<(u64, u64)> {
        self.is_parallel().then(|| self.keys.part(index, self.clients_total()))
    }

    /// How many operations client `index` draws.
    pub fn requests(&self, index: u64) -> u64 {
        match self.extent {
            Extent::Time(_) => u64::MAX,
            Extent::Requests(requests) => requests,
            Extent::AllKeys => self.part(index).map_or(self.keys.count(), |(first, last)| last - first + 1),
        }
    }

    /// The names of the rows, in order.
    pub fn row_names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for command in &self.commands {
            if command.row == names.len() {
                names.push(command.name.clone());
            }
        }
        names
    }

    /// What single flags cannot see.
    pub fn check(&self) -> Result<(), String> {
        let patterns = |wanted| self.commands.iter().filter(move |command| command.pattern == wanted).count();
        let parallel = patterns(Pattern::Parallel);
        let fault = if self.keys.last < self.keys.first {
            "--key-maximum is below --key-minimum"
        } else if parallel > 0 && parallel < self.commands.len() {
            "the key pattern P (parallel) must be that of all commands or of none"
        } else if parallel > 0 && self.keys.count() < self.clients_total() {
            "the key pattern P (parallel) needs at least as many keys as there are clients"
        } else if self.commands.iter().all(|command| command.ratio == 0) {
            "all ratios are 0: there is nothing to send"
        } else if patterns(Pattern::Gaussian) == 0 && (self.keys.stddev.is_some() || self.keys.median.is_some()) {
            "--key-stddev and --key-median need the key pattern G (Gaussian)"
        } else if self.keys.median.is_some_and(|at| at < self.keys.first as f64 || at > self.keys.last as f64) {
            "--key-median must lie between --key-minimum and --key-maximum"
        } else if self.open_loop && self.rate.is_none() {
            "--open-loop needs --rate-limiting: it is a timetable that requests keep to"
        } else if self.cluster && matches!(self.endpoint, Endpoint::Unix(_)) {
            "--cluster-mode does not go with --unix-socket"
        } else if self.cluster && self.login.database.is_some_and(|database| database != 0) {
            "--cluster-mode does not go with --select-db: a cluster has database 0 alone"
        } else if self.cluster && self.commands.iter().any(|command| command.keys() > 1) {
            "--cluster-mode takes commands with one key only"
        } else {
            return Ok(());
        };
        Err(fault.to_owned())
    }
}

#[cfg(test)]
impl Options {
    /// A small run, for tests to change.
    pub fn example() -> Self {
        Self {
            endpoint: Endpoint::Tcp("127.0.0.1".into(), 6379),
            login: Login::default(),
            cluster: false,
            threads: 1,
            clients: 2,
            pipeline: 1,
            extent: Extent::Requests(6),
            commands: vec![Command::set(1, Pattern::Uniform, false), Command::get(10, Pattern::Uniform)],
            set_get: true,
            key_prefix: "memtier-".into(),
            keys: KeyRange { first: 0, last: 100, stddev: None, median: None, zipf_exponent: 1.0, hot_share: 0.0 },
            size: Size::Fixed(32),
            random_data: false,
            expiry_s: None,
            rate: None,
            open_loop: false,
            seed: 0,
            distinct_seeds: false,
            run_count: 1,
            output: Output { percentiles: vec![50.0, 99.9], ..Output::default() },
        }
    }
}
