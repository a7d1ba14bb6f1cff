//! Proves that what CONFIG SET changes is what the next start begins with, once CONFIG REWRITE has written it: through the
//! file, the table and the way from the configuration to the engine's settings.

use super::boot::settings;
use super::config::{Config, Sources, load, rewrite};
use crate::engine::Standing;
use std::path::Path;

/// Every name that CONFIG SET takes, and a value that is not the default, as CONFIG GET shows it.
const SAMPLES: &[(&str, &str)] = &[
    ("appendfsync", "always"),
    ("appendonly", "yes"),
    ("client-output-buffer-limit", "normal 1 0 0 slave 2 3 4 pubsub 5 6 7"),
    ("client-output-bytes-max", "65536"),
    ("client-query-buffer-limit", "2097152"),
    ("client-waiting-bytes-max", "131072"),
    ("hot", "off"),
    ("hot-bytes-max", "8192"),
    ("hot-demote-percent", "50"),
    ("hot-keys-max", "7"),
    ("hot-promote-ops", "5000"),
    ("hot-promote-share-permille", "10"),
    ("latency-monitor-threshold", "9"),
    ("latency-tracking", "no"),
    ("latency-tracking-info-percentiles", "10 90.5"),
    ("loglevel", "warning"),
    ("maxclients", "50"),
    ("maxmemory", "123456789"),
    ("maxmemory-clients", "10%"),
    ("maxmemory-policy", "volatile-ttl"),
    ("maxmemory-samples", "10"),
    ("notify-keyspace-events", "AnKEm"),
    ("proto-max-bulk-len", "1048577"),
    ("requirepass", "a \"b"),
    ("slowlog-log-slower-than", "-1"),
    ("slowlog-max-len", "5"),
    ("timeout", "30"),
    ("tracking-table-max-keys", "11"),
];

fn start(path: &Path) -> Config {
    let sources = Sources { file: Some(path.to_owned()), ..Sources::default() };
    load(&sources, &[0]).expect("a file that was rewritten is one to start with").config
}

#[test]
fn what_is_set_survives_a_rewrite() {
    let path = std::env::temp_dir().join(format!("coldplate-rewrite-{}.toml", std::process::id()));
    for before in ["", "[memory]\nmaxmemory = \"1gb\"\n[log]\nnotify_keyspace_events = \"Kg\"\n"] {
        std::fs::write(&path, before).expect("a temporary file");
        let started = start(&path);
        let mut set = settings(&started);
        let live: Vec<&str> = set
            .all()
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| set.standing(name.as_bytes()) == Standing::Live)
            .collect();
        assert_eq!(live, SAMPLES.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "each has a sample");
        for (name, value) in SAMPLES {
            let value_of = |set: &crate::engine::Settings| {
                set.kept().into_iter().find(|(known, _)| known == name).map(|row| row.1)
            };
            assert_ne!(value_of(&set).as_deref(), Some(value.as_bytes()), "{name}: the sample is no change");
            set.set(name.as_bytes(), value.as_bytes()).expect(name);
            assert_eq!(value_of(&set).as_deref(), Some(value.as_bytes()), "{name}");
        }
        rewrite(&path, &started, &set.kept()).expect("the file can be written");
        assert_eq!(settings(&start(&path)).kept(), set.kept(), "behind {before:?}");
    }
    std::fs::remove_file(&path).expect("it was there");
}
