//! What cores have counted, for whoever is no client: as it travels, and what it comes to over all cores.

use super::Engine;
use super::admin::info::Servers;
use super::census::{Census, Wanted};
use super::durations::Histogram;
use super::figures::ServerFigures;
use super::stats::Stats;
use crate::protocol::command::{Row, spec};
use crate::types::{CoreId, Now};

/// The figures of those cores that have answered.
#[derive(Default)]
pub struct Snapshot {
    cores: Vec<(CoreId, Stats)>,
    census: Census,
    servers: Servers,
}

impl Engine {
    /// What this core has counted, for [`Snapshot::add`].
    pub fn snapshot(&mut self, now: Now) -> Vec<u8> {
        let mut out = self.figures(now).as_bytes().to_vec();
        self.write_census(Wanted { commands: true, errors: true, durations: false }, &mut out);
        out
    }
}

impl Snapshot {
    /// Takes what a core has counted.
    ///
    /// # Panics
    /// If that is not what [`Engine::snapshot`] answered: a core of this process wrote it.
    pub fn add(&mut self, core: CoreId, bytes: &[u8]) {
        let (stats, mut rest) = bytes.split_at(size_of::<Stats>());
        self.cores.push((core, Stats::from_bytes(stats)));
        self.census.add(&mut rest);
        self.servers.add(&mut rest);
    }

    pub fn cores(&self) -> &[(CoreId, Stats)] {
        &self.cores
    }

    /// Commands that were asked for, with what became of the requests.
    pub fn commands(&self) -> impl Iterator<Item = (&'static str, Row)> {
        self.census.rows().map(|(command, row)| (spec(command).name, row))
    }

    /// Errors that were answered, by their first words.
    pub fn errors(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.census.words()
    }

    /// Servers that requests are passed on to: pool, name, figures, and how long they took to answer.
    pub fn servers(&self) -> impl Iterator<Item = (&[u8], &[u8], &ServerFigures, &Histogram)> {
        self.servers.iter()
    }
}
