//! Proves what CONFIG GET and CONFIG SET say, in Redis's notation and words.

use super::*;
use crate::server::config::{redis_parameters, set_live};

#[test]
fn config_get_speaks_redis() {
    let text = "[network]\nbind = [\"127.0.0.1\", \"::1\"]\n[memory]\nmaxmemory = \"4gb\"\n[log]\nlevel = \"info\"\n\
                [security]\nrequirepass = \"sesame\"\n";
    let parameters = redis_parameters(&good(text));
    let value = |name: &str| {
        let found = parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        found.unwrap_or_else(|| panic!("{name} is missing"))
    };
    for (name, expected) in [
        ("bind", "127.0.0.1 ::1"),
        ("port", "6379"),
        ("maxmemory", "4294967296"),
        ("maxmemory-policy", "noeviction"),
        ("maxmemory-samples", "5"),
        ("maxclients", "10000"),
        ("timeout", "0"),
        ("tcp-keepalive", "300"),
        ("tcp-backlog", "511"),
        ("unixsocket", ""),
        ("unixsocketperm", "700"),
        ("requirepass", "sesame"),
        ("proto-max-bulk-len", "536870912"),
        ("client-query-buffer-limit", "67108864"),
        ("loglevel", "notice"),
        ("dir", "."),
        ("databases", "1"),
        ("save", ""),
        ("appendonly", "no"),
        ("io-threads", "4"),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
    assert!(parameters.is_sorted());
}

#[test]
fn config_set_changes_what_is_live() {
    let mut config = good("");
    for (name, value) in [
        ("maxmemory", "100mb"),
        ("MaxMemory-Policy", "allkeys-lfu"),
        ("timeout", "30"),
        ("loglevel", "warning"),
        ("requirepass", "sesame"),
        ("maxclients", "7"),
    ] {
        assert_eq!(set_live(&mut config, name, value), Ok(()), "{name}");
    }
    let by_file = "[memory]\nmaxmemory = \"100mb\"\nmaxmemory_policy = \"allkeys-lfu\"\n[network]\ntimeout = 30\n\
                   [log]\nlevel = \"warn\"\n[security]\nrequirepass = \"sesame\"\n[limits]\nmaxclients = 7\n";
    assert_eq!(config, good(by_file));
}

#[test]
fn config_set_refuses_in_redis_words() {
    let failed = |name: &str, why: &str| format!("CONFIG SET failed (possibly related to argument '{name}') - {why}");
    let before = good("");
    for (name, value, expected) in [
        ("nope", "1", "Unknown option or number of arguments for CONFIG SET - 'nope'".to_owned()),
        ("port", "1", failed("port", "can't set immutable config")),
        ("databases", "2", failed("databases", "can't set immutable config")),
        ("maxmemory", "lots", failed("maxmemory", "argument must be a memory value")),
        ("timeout", "soon", failed("timeout", "argument couldn't be parsed into an integer")),
        ("timeout", "-1", failed("timeout", "argument must be between 0 and 2147483647 inclusive")),
        (
            "loglevel",
            "loud",
            failed("loglevel", "argument(s) must be one of the following: debug, notice, warning, warning"),
        ),
    ] {
        let mut config = before.clone();
        assert_eq!(set_live(&mut config, name, value).expect_err(name).to_string(), expected);
        assert_eq!(config, before);
    }
}
