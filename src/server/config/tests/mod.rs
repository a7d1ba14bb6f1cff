//! Loading as users meet it: each key both ways, each mistake's words, printing, profiles, CONFIG.

mod cluster;
mod every_key;
mod hot;
mod mistakes;
mod pools;
mod printing;
mod redis;

use super::{Config, Loaded, Mistakes, Parameter, Sources, TABLE, load_text};

/// Four CPUs, as if the machine had them.
const CPUS: [usize; 4] = [0, 1, 2, 3];

fn row(path: &str) -> &'static Parameter {
    TABLE.iter().find(|parameter| parameter.path() == path).expect(path)
}

/// Loads a text as the file `c.toml`, with flags given as (row, text).
fn load(text: &str, flags: &[(&str, &str)]) -> Result<Loaded, Mistakes> {
    let flags = flags.iter().map(|(path, text)| (row(path), (*text).to_owned())).collect();
    let sources = Sources { file: Some("c.toml".into()), flags, ..Sources::default() };
    load_text(&sources, text, &CPUS)
}

fn good(text: &str) -> Config {
    load(text, &[]).unwrap_or_else(|mistakes| panic!("{text}\n{mistakes}")).config
}

/// The mistakes of a text, one a line.
fn bad(text: &str) -> String {
    load(text, &[]).expect_err(text).to_string()
}
