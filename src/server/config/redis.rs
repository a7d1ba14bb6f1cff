//! What CONFIG GET and CONFIG SET say of the configuration, under Redis's names and in Redis's notation.

use thiserror::Error;

use super::kind::Kind;
use super::parameter::Parameter;
use super::settings::Config;
use super::table::{self, TABLE};

/// Parameters that clients ask for and that have one answer here: no snapshots, no append-only file, one database.
const FIXED: &[(&str, &str)] = &[
    ("databases", "1"),
    ("save", ""),
    ("appendonly", "no"),
    ("cluster-enabled", "no"),
    ("daemonize", "no"),
    ("supervised", "auto"),
    ("lazyfree-lazy-eviction", "no"),
    ("hz", "10"),
];

/// Every parameter that exists under a Redis name, with its value as Redis prints it, sorted by name.
pub fn redis_parameters(config: &Config) -> Vec<(String, String)> {
    let print = |parameter: &Parameter| {
        let value = parameter.get(config);
        parameter.redis.map(|name| (name.to_owned(), parameter.kind.print_redis(&value)))
    };
    let mut parameters: Vec<_> = TABLE.iter().filter_map(print).collect();
    parameters.extend(FIXED.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    parameters.push(("io-threads".to_owned(), config.cores.cpus.len().to_string()));
    parameters.sort();
    parameters
}

/// Why CONFIG SET refuses; each prints Redis's own words, without the leading `ERR`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SetError {
    #[error("Unknown option or number of arguments for CONFIG SET - '{name}'")]
    Unknown { name: String },
    #[error("CONFIG SET failed (possibly related to argument '{name}') - can't set immutable config")]
    Immutable { name: String },
    #[error("CONFIG SET failed (possibly related to argument '{name}') - {reason}")]
    Refused { name: String, reason: String },
}

/// Applies one pair of CONFIG SET to `config`; on an error nothing has changed.
///
/// For all or nothing over several pairs, apply them to a clone. Making the change take effect is the caller's part.
pub fn set_live(config: &mut Config, name: &str, text: &str) -> Result<(), SetError> {
    let Some(parameter) = table::by_redis_name(name) else {
        let fixed = FIXED.iter().any(|(fixed, _)| fixed.eq_ignore_ascii_case(name));
        let name = name.to_owned();
        return Err(if fixed { SetError::Immutable { name } } else { SetError::Unknown { name } });
    };
    if !parameter.live {
        return Err(SetError::Immutable { name: name.to_owned() });
    }
    match parameter.kind.parse(text) {
        Some(value) => parameter.set(config, value),
        None => return Err(SetError::Refused { name: name.to_owned(), reason: reason(&parameter.kind, text) }),
    }
    Ok(())
}

/// Redis's words for a value that it does not take.
fn reason(kind: &Kind, text: &str) -> String {
    match *kind {
        Kind::Bytes { .. } if super::units::bytes_parse(text).is_none() => "argument must be a memory value".to_owned(),
        Kind::Count { .. } if text.parse::<i64>().is_err() => "argument couldn't be parsed into an integer".to_owned(),
        Kind::Count { min, max } | Kind::Bytes { min, max } => {
            format!("argument must be between {min} and {max} inclusive")
        }
        Kind::OneOf(names) => {
            let names: Vec<_> = names.iter().map(|name| name.redis).collect();
            format!("argument(s) must be one of the following: {}", names.join(", "))
        }
        Kind::Switch => "argument must be 'yes' or 'no'".to_owned(),
        _ => format!("allowed: {}", kind.allowed()),
    }
}
