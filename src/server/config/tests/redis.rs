//! Proves what CONFIG GET says, in Redis's notation.

use super::*;
use crate::server::config::redis_parameters;

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
        ("client-query-buffer-limit", "1073741824"),
        ("loglevel", "notice"),
        ("dir", "."),
        ("cluster-enabled", "no"),
        ("cluster-announce-ip", ""),
        ("cluster-preferred-endpoint-type", "ip"),
        ("databases", "1"),
        ("save", ""),
        ("appendonly", "no"),
        ("io-threads", "4"),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
    assert!(parameters.is_sorted());
}
