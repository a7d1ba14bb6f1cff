//! CONFIG GET and the check of CONFIG SET.

use super::SYNTAX;
use crate::engine::journal::LOADING;
use crate::engine::sessions::Client;
use crate::engine::{Engine, Settings, Standing};
use crate::keyspace::glob;
use crate::protocol::resp::{Args, quoting};

const UNKNOWN: &str = "ERR Unknown option or number of arguments for CONFIG SET - '";
const NO_LOG: &str = "') - Unable to turn on AOF. Check server logs.";
const FAILED: &str = "ERR CONFIG SET failed (possibly related to argument '";

/// CONFIG GET pattern [pattern ...]
pub fn get(settings: &Settings, client: &mut Client, args: &Args) {
    let patterns: Vec<Vec<u8>> = args.iter().skip(2).map(<[u8]>::to_ascii_lowercase).collect();
    let mut all = settings.all();
    all.retain(|(name, _)| patterns.iter().any(|pattern| glob::matches(pattern, name.as_bytes())));
    client.answer(|reply| {
        reply.map(all.len());
        for (name, value) in &all {
            reply.bulk(name.as_bytes());
            reply.bulk(value);
        }
    });
}

impl Engine {
    /// CONFIG REWRITE. The file is written while the core waits: it is small, and this is seldom asked.
    pub(super) fn config_rewrite(&self, client: &mut Client) {
        let rewritten = self.host.rewrite_config(&self.settings.kept());
        client.answer(|reply| match rewritten {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(&format!("ERR {error}")),
        });
    }

    /// Tries all settings of a CONFIG SET on a copy: either all of them are applied, on every core, or none. Names are
    /// checked before values.
    pub(in crate::engine) fn check_config_set(&self, args: &Args) -> Result<(), Vec<u8>> {
        if !args.len().is_multiple_of(2) {
            return Err(SYNTAX.into());
        }
        let pairs = 1..args.len() / 2;
        for pair in pairs.clone() {
            let (name, value) = (args.get(pair * 2), args.get(pair * 2 + 1));
            match self.settings.standing(name) {
                Standing::Unknown => return Err(quoting(UNKNOWN, name, "'")),
                Standing::Fixed(current) if current.as_bytes() != value => {
                    return Err(quoting(FAILED, name, "') - can't set immutable config"));
                }
                _ => {}
            }
            if (1..pair).any(|earlier| args.get(earlier * 2).eq_ignore_ascii_case(name)) {
                return Err(quoting(FAILED, name, "') - duplicate parameter"));
            }
        }
        let mut tried = self.settings.clone();
        for pair in pairs {
            let name = args.get(pair * 2);
            tried.set(name, args.get(pair * 2 + 1)).map_err(|error| {
                let name = name.to_ascii_lowercase();
                quoting(FAILED, &name, &format!("') - {error}"))
            })?;
        }
        if (1..args.len() / 2).any(|pair| args.get(pair * 2).eq_ignore_ascii_case(b"appendonly")) {
            if self.ledger.is_loading() {
                return Err(LOADING.into());
            }
            if !self.host.switch_log(tried.appendonly) {
                return Err(quoting(FAILED, b"appendonly", NO_LOG));
            }
        }
        if tried.log_level != self.settings.log_level {
            self.host.set_log_level(&tried.log_level);
        }
        Ok(())
    }
}
