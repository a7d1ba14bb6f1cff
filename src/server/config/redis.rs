//! What CONFIG GET says of the configuration, under Redis's names and in Redis's notation.

use super::parameter::Parameter;
use super::settings::Config;
use super::table::TABLE;

/// Parameters that clients ask for and that have one answer here: no snapshots, one database.
const FIXED: &[(&str, &str)] = &[
    ("databases", "1"),
    ("save", ""),
    ("daemonize", "no"),
    ("supervised", "auto"),
    ("lazyfree-lazy-eviction", "no"),
    ("hz", "10"),
    ("replicaof", ""),
    ("slaveof", ""),
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
