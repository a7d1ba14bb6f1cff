//! CONFIG GET and the check of CONFIG SET.

use crate::engine::sessions::Client;
use crate::engine::{Engine, Settings};
use crate::keyspace::glob;
use crate::protocol::command::{Command, arity_text, spec};
use crate::protocol::resp::Args;

/// CONFIG GET pattern [pattern ...]
pub fn get(settings: &Settings, client: &mut Client, args: &Args) {
    let patterns: Vec<Vec<u8>> = args.iter().skip(2).map(<[u8]>::to_ascii_lowercase).collect();
    let mut all = settings.all();
    all.retain(|(name, _)| patterns.iter().any(|pattern| glob::matches(pattern, name.as_bytes())));
    client.answer(|reply| {
        reply.map(all.len());
        for (name, value) in &all {
            reply.bulk(name.as_bytes());
            reply.bulk(value.as_bytes());
        }
    });
}

impl Engine {
    /// Tries all settings of a CONFIG SET on a copy: either all of them are applied, on every core, or none.
    pub(in crate::engine) fn check_config_set(&self, args: &Args) -> Result<(), String> {
        if !args.len().is_multiple_of(2) {
            return Err(arity_text(spec(Command::ConfigSet)));
        }
        let mut tried = self.settings.clone();
        for pair in 1..args.len() / 2 {
            let name = args.get(pair * 2);
            if (1..pair).any(|earlier| args.get(earlier * 2).eq_ignore_ascii_case(name)) {
                let name = String::from_utf8_lossy(name).into_owned();
                return Err(format!(
                    "ERR CONFIG SET failed (possibly related to argument '{name}') - duplicate parameter"
                ));
            }
            tried.set(name, args.get(pair * 2 + 1)).map_err(|error| error.to_string())?;
        }
        if tried.log_level != self.settings.log_level {
            self.host.set_log_level(&tried.log_level);
        }
        Ok(())
    }
}
