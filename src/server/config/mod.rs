//! Owns the configuration: the table of parameters, where their values come from, what is wrong with them.
//! Knows TOML, Redis's names and units, and which CPUs it is told exist. Default < profile < file < command line.
//! Must never know sockets, rings, threads or clap: `cli` reads flags from the same table, `boot` reads [`Config`].
//! Read first: `table.rs` (every parameter), then `mod.rs`'s [`load`], `kind.rs`, `constraints.rs`.

mod arrays;
mod cluster;
mod constraints;
mod file;
mod hot;
mod kind;
mod metrics;
mod mistake;
mod names;
mod nearest;
mod parameter;
mod pools;
mod print;
mod profiles;
mod redis;
mod redis_conf;
mod rewrite;
mod servers;
mod settings;
mod table;
mod units;
mod upstream;
mod url;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use file::{Assignment, Contents, Source};

pub use constraints::warnings;
pub use kind::{Kind, Name, Value};
pub use mistake::{Mistake, Mistakes, Place};
pub use parameter::Parameter;
pub use print::{facts, print, wrap};
pub use profiles::PROFILES;
pub use redis::redis_parameters;
pub use rewrite::{rewrite, rewritten};
pub use servers::{Address, UpstreamServer};
pub use settings::{Cluster, Config, Cores, Hot, Limits, Log, Memory, Network, PatternPolicy, Ring, Security};
pub use table::{SECTIONS, TABLE};
pub use units::{bytes_parse, bytes_print, cpus_parse, cpus_print};
pub use upstream::{EMBEDDED, Password, ReadFrom, Route, Upstream, UpstreamKind, UpstreamTls};

/// What the command line said: where to look, and what wins over it.
#[derive(Default)]
pub struct Sources {
    pub file: Option<PathBuf>,
    pub profile: Option<String>,
    /// Rows and their texts in the order given; of one row, the last wins.
    pub flags: Vec<(&'static Parameter, String)>,
    /// Upstreams as URLs, in the order given; any of them stands in the place of all that a file names.
    pub upstreams: Vec<String>,
}

/// A configuration that is fit to serve, and where each of its values came from.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    pub origins: Origins,
}

/// Where each row's value came from, in the table's order, and each table of an array, in theirs.
#[derive(Debug)]
pub struct Origins {
    rows: Vec<Place>,
    policies: Vec<Place>,
    upstreams: Vec<Place>,
    routes: Vec<Place>,
}

impl Origins {
    pub fn of(&self, parameter: &Parameter) -> &Place {
        let row = TABLE.iter().position(|p| p.section == parameter.section && p.key == parameter.key);
        &self.rows[row.expect("parameters are rows of the table")]
    }

    fn set(&mut self, parameter: &Parameter, place: Place) {
        let row = TABLE.iter().position(|p| p.section == parameter.section && p.key == parameter.key);
        self.rows[row.expect("parameters are rows of the table")] = place;
    }
}

/// Builds the configuration, or says everything that is wrong with it.
///
/// `cpus_available` are the CPUs that this process may run on. Rules between parameters are checked only once each
/// value is right by itself: a mistake is reported once, not once more for what follows from it.
pub fn load(sources: &Sources, cpus_available: &[usize]) -> Result<Loaded, Mistakes> {
    let file = sources.file.clone().map_or_else(Contents::default, read_file);
    resolve(sources, file, cpus_available)
}

/// [`load`] with a text in the place of the file's.
pub fn load_text(sources: &Sources, text: &str, cpus_available: &[usize]) -> Result<Loaded, Mistakes> {
    let path = sources.file.clone().unwrap_or_default();
    resolve(sources, file::read(&Source::File(path), text), cpus_available)
}

/// [`load`] once the file has been read.
fn resolve(sources: &Sources, file: Contents, cpus_available: &[usize]) -> Result<Loaded, Mistakes> {
    let profile = read_profile(sources, &file);
    let flag = |(parameter, text): &(&'static Parameter, String)| Assignment {
        parameter,
        text: text.clone(),
        at: Place::Flag,
    };
    let flags = sources.flags.iter().map(flag);

    let rows = vec![Place::Default; TABLE.len()];
    let origins = Origins { rows, policies: Vec::new(), upstreams: Vec::new(), routes: Vec::new() };
    let mut loaded = Loaded { config: table::defaults(), origins };
    // Their order counts, so those of a file replace a profile's instead of mixing with them.
    let policies = if file.policies.is_empty() { profile.policies } else { file.policies };
    (loaded.config.hot.policies, loaded.origins.policies) = policies.into_iter().unzip();
    let mut mistakes = [profile.mistakes, file.mistakes].concat();
    let upstreams = if sources.upstreams.is_empty() { file.upstreams } else { read_urls(sources, &mut mistakes) };
    (loaded.config.upstreams, loaded.origins.upstreams) = upstreams.into_iter().unzip();
    (loaded.config.routes, loaded.origins.routes) = file.routes.into_iter().unzip();
    for assignment in profile.assignments.into_iter().chain(file.assignments).chain(flags) {
        mistakes.extend(apply(&mut loaded, assignment).err());
    }
    loaded.config.cores.cpus = constraints::cpus_resolve(&loaded.config, cpus_available);
    if mistakes.is_empty() {
        mistakes = constraints::mistakes(&loaded.config, &loaded.origins, cpus_available);
    }
    if mistakes.is_empty() {
        return Ok(loaded);
    }
    mistakes.sort_by_key(Mistake::place);
    Err(Mistakes(mistakes))
}

fn read_file(path: PathBuf) -> Contents {
    match file::read_bounded(&path) {
        Ok(text) => file::read(&Source::File(path), &text),
        Err(error) => {
            let mistake = Mistake::Unreadable { path, reason: error.to_string() };
            Contents { mistakes: vec![mistake], ..Contents::default() }
        }
    }
}

/// The profile named on the command line, or else in the file.
fn read_profile(sources: &Sources, file: &Contents) -> Contents {
    let flag = sources.profile.clone().map(|name| (name, Place::Flag));
    let Some((name, at)) = flag.or_else(|| file.profile.clone()) else { return Contents::default() };
    match profiles::text(&name) {
        Some(text) => file::read(&Source::Profile(name), text),
        None => {
            let key = if at == Place::Flag { "--profile" } else { "profile" };
            let mistake = profiles::unknown(at, key, kind::quote(&name));
            Contents { mistakes: vec![mistake], ..Contents::default() }
        }
    }
}

/// The upstreams of the command line.
fn read_urls(sources: &Sources, mistakes: &mut Vec<Mistake>) -> Vec<(Upstream, Place)> {
    let mut upstreams = Vec::new();
    for (index, text) in sources.upstreams.iter().enumerate() {
        match url::parse(text, index) {
            Ok(upstream) => upstreams.push((upstream, Place::Flag)),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    upstreams
}

fn apply(loaded: &mut Loaded, assignment: Assignment) -> Result<(), Mistake> {
    let Assignment { parameter, text, at } = assignment;
    match parameter.kind.parse(&text) {
        Some(value) => {
            parameter.set(&mut loaded.config, value);
            loaded.origins.set(parameter, at);
            Ok(())
        }
        None => {
            let key = if at == Place::Flag { format!("--{}", parameter.flag) } else { parameter.path() };
            let found = kind::shown(&text);
            Err(Mistake::Value { at, key, found, allowed: parameter.allowed() })
        }
    }
}
