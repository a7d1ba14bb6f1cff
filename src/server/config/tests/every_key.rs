//! Proves that each row of the table can be set by file and by flag to the same value, and that its default, range
//! and names fit its field.

use super::*;
use crate::engine::{Settings, Standing};
use crate::routing::VNODES_DEFAULT;
use crate::server::config::kind::{Kind, Value};
use crate::server::config::{PROFILES, Place, SECTIONS, table};

/// Row, its value in a file, the same as a flag, and what both must mean, as messages print it.
const SAMPLES: &[(&str, &str, &str, &str)] = &[
    ("network.bind", "[\"::1\", \"10.0.0.1\"]", "::1 10.0.0.1", "::1 10.0.0.1"),
    ("network.port", "7000", "7000", "7000"),
    ("network.unixsocket", "\"/run/c.sock\"", "/run/c.sock", "/run/c.sock"),
    ("network.unixsocketperm", "770", "770", "770"),
    ("network.tcp_backlog", "1_024", "1024", "1024"),
    ("network.tcp_keepalive", "60", "60", "60"),
    ("network.timeout", "0x10", "16", "16"),
    ("cores.cpus", "\"0,2-3\"", "0,2-3", "0,2-3"),
    ("cores.pin", "false", "off", "off"),
    ("cores.virtual_nodes", "2048", "2048", "2048"),
    ("cores.weights", "[1, 1, 2, 4]", "1,1,2,4", "1,1,2,4"),
    ("cores.mailbox_batches", "64", "64", "64"),
    ("ring.entries", "4096", "4096", "4096"),
    ("ring.buffers", "1024", "1024", "1024"),
    ("ring.buffer_bytes", "\"32kb\"", "32kb", "32kb"),
    ("ring.sqpoll", "\"on\"", "yes", "on"),
    ("ring.sqpoll_cpu", "3", "3", "3"),
    ("ring.sqpoll_idle_ms", "20", "20", "20"),
    ("ring.napi_busy_poll_us", "50", "50", "50"),
    ("ring.min_wait_us", "0", "0", "0"),
    ("ring.spin_us", "20", "20", "20"),
    ("ring.zero_copy_min_bytes", "65536", "64kb", "64kb"),
    ("memory.maxmemory", "\"4gb\"", "4GB", "4gb"),
    ("memory.maxmemory_policy", "\"allkeys-lfu\"", "ALLKEYS-LFU", "allkeys-lfu"),
    ("memory.maxmemory_samples", "10", "10", "10"),
    ("hot.enabled", "\"off\"", "no", "off"),
    ("hot.window_ms", "50", "50", "50"),
    ("hot.promote_ops", "5_000", "5000", "5000"),
    ("hot.promote_share_permille", "0", "0", "0"),
    ("hot.demote_percent", "50", "50", "50"),
    ("hot.keys_max", "16", "16", "16"),
    ("hot.bytes_max", "\"1mb\"", "1024kb", "1mb"),
    ("cluster.announce", "true", "yes", "on"),
    ("cluster.first_port", "7001", "7001", "7001"),
    ("cluster.announce_ip", "\"10.0.0.9\"", "10.0.0.9", "10.0.0.9"),
    ("cluster.announce_port", "30001", "30001", "30001"),
    ("cluster.announce_hostname", "\"c.example\"", "c.example", "c.example"),
    ("cluster.preferred_endpoint", "\"unknown-endpoint\"", "UNKNOWN-endpoint", "unknown-endpoint"),
    ("limits.maxclients", "50", "50", "50"),
    ("limits.client_output_bytes_max", "\"2mb\"", "2mb", "2mb"),
    ("limits.client_waiting_bytes_max", "\"1gb\"", "1gb", "1gb"),
    ("limits.client_query_bytes_max", "\"2mb\"", "2mb", "2mb"),
    (
        "limits.client_output_buffer_limit",
        "\"pubsub 1kb 2 3\"",
        "pubsub 1024 2 3",
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 1024 2 3",
    ),
    ("limits.maxmemory_clients", "\"5%\"", "5%", "5%"),
    ("limits.letters_bytes_max", "\"2mb\"", "2mb", "2mb"),
    ("limits.proto_max_bulk_len", "1048576", "1mb", "1mb"),
    ("limits.tracking_table_max_keys", "7", "7", "7"),
    ("security.requirepass", "'a \"b\\c'", "a \"b\\c", "a \"b\\c"),
    ("security.enable_debug_command", "\"no\"", "no", "no"),
    ("log.level", "\"warn\"", "warning", "warn"),
    ("log.dir", "\"/var/lib/c\"", "/var/lib/c", "/var/lib/c"),
    ("log.appendonly", "\"on\"", "yes", "on"),
    ("log.appendfsync", "\"always\"", "ALWAYS", "always"),
    ("log.segment_bytes", "\"8mb\"", "8388608", "8mb"),
    ("log.amplification", "3", "3", "3"),
    ("log.slowlog_log_slower_than", "-1", "-1", "-1"),
    ("log.slowlog_max_len", "5", "5", "5"),
    ("log.latency_monitor_threshold", "100", "100", "100"),
    ("log.latency_tracking", "false", "no", "off"),
    ("log.notify_keyspace_events", "\"KA\"", "AK", "AK"),
    ("log.latency_percentiles", "\"0.5 1e1\"", "0.5 10", "0.5 10"),
    ("metrics.bind", "[\"::1\"]", "::1", "::1"),
    ("metrics.port", "9121", "9121", "9121"),
];

#[test]
fn each_key_by_file_and_by_flag() {
    let sampled: Vec<_> = SAMPLES.iter().map(|(path, ..)| (*path).to_owned()).collect();
    let rows: Vec<_> = TABLE.iter().map(Parameter::path).collect();
    assert_eq!(sampled, rows, "each row has a sample, in the table's order");
    for (path, in_file, flag, printed) in SAMPLES {
        let parameter = row(path);
        let by_file = load(&format!("[{}]\n{} = {in_file}\n", parameter.section, parameter.key), &[]).expect(path);
        let by_flag = load("", &[(path, flag)]).expect(path);
        assert_eq!(parameter.kind.print(&parameter.get(&by_file.config)), *printed, "{path}");
        assert_ne!(
            parameter.get(&by_file.config),
            parameter.get(&table::defaults()),
            "{path}: the sample is the default"
        );
        assert_eq!(by_file.config, by_flag.config, "{path}");
        assert_eq!(*by_file.origins.of(parameter), Place::File { path: "c.toml".into(), line: 2 });
        assert_eq!(*by_flag.origins.of(parameter), Place::Flag);
    }
}

/// Proves that no allowed value can miss its field: the ends of each range and each name of each set are stored.
#[test]
fn ranges_fit_their_fields() {
    for parameter in TABLE {
        let ends = match parameter.kind {
            Kind::Count { min, max } | Kind::PowerOfTwo { min, max } | Kind::Bytes { min, max } => {
                vec![Value::Count(min), Value::Count(max)]
            }
            Kind::Octal { max } => vec![Value::Count(max)],
            Kind::Weights { max } => vec![Value::Numbers(vec![max])],
            Kind::OneOf(names) => names.iter().map(|name| Value::Text(name.name.to_owned())).collect(),
            _ => Vec::new(),
        };
        for value in ends {
            let mut config = table::defaults();
            parameter.set(&mut config, value.clone());
            assert_eq!(parameter.get(&config), value, "{}", parameter.path());
        }
    }
}

/// Proves what help and printing rely on: known sections, unique names, a short first sentence, a reason for each.
#[test]
fn the_table_is_sound() {
    let settings = Settings::default();
    for (i, parameter) in TABLE.iter().enumerate() {
        let path = parameter.path();
        assert!(SECTIONS.iter().any(|(section, _)| *section == parameter.section), "{path}");
        let twin = |other: &Parameter| other.path() == path || other.flag == parameter.flag;
        assert!(!TABLE[..i].iter().any(twin), "{path} stands twice");
        let (first, _) = parameter.why.split_once(". ").unwrap_or((parameter.why, ""));
        assert!(first.len() <= 64, "{path}: {first}");
        assert!(parameter.why.ends_with('.'), "{path}");
        let name = parameter.redis.unwrap_or(parameter.flag);
        let is_live = settings.standing(name.as_bytes()) == Standing::Live;
        assert_eq!(parameter.live, is_live, "{path}: what the table says of CONFIG SET");
    }
    assert_eq!(table::defaults().cores.virtual_nodes as usize, VNODES_DEFAULT);
}

#[test]
fn command_line_wins_over_file_over_profile_over_default() {
    let loaded = load("profile = \"latency\"\n[ring]\nspin_us = 7\n[network]\nport = 1", &[("network.port", "2")]);
    let loaded = loaded.expect("all allowed");
    assert_eq!(loaded.config.network.port, 2);
    assert_eq!(loaded.config.ring.spin_us, 7);
    assert_eq!(loaded.config.ring.napi_busy_poll_us, 50, "from the profile");
    assert_eq!(loaded.config.ring.entries, 1024, "the default");
}

/// Proves that a profile named on the command line replaces the one that the file names.
#[test]
fn the_profile_flag_replaces_the_files_profile() {
    let sources = Sources { profile: Some("small".into()), ..Sources::default() };
    let config = load_text(&sources, "profile = \"latency\"", &CPUS).expect("both exist").config;
    assert_eq!((config.ring.entries, config.ring.spin_us), (128, 0));
}

#[test]
fn each_profile_loads_and_changes_something() {
    for (name, _) in PROFILES {
        let config = good(&format!("profile = \"{name}\""));
        assert_ne!(config, good(""), "{name}");
    }
}

#[test]
fn cores_auto_takes_what_is_there_and_leaves_the_polling_cpus() {
    assert_eq!(good("").cores.cpus, CPUS);
    assert_eq!(good("[ring]\nsqpoll = true\nsqpoll_cpu = \"3\"").cores.cpus, [0, 1, 2]);
    assert_eq!(good("[ring]\nsqpoll_cpu = \"3\"").cores.cpus, CPUS, "nothing polls while sqpoll is off");
    assert_eq!(good("[cores]\ncpus = [2, 0]").cores.cpus, [2, 0], "in the order written");
}

/// Proves that the password stays out of logs that print the configuration.
#[test]
fn debug_hides_the_password() {
    let config = good("[security]\nrequirepass = \"sesame\"");
    assert_eq!(config.security.requirepass.as_deref(), Some("sesame"));
    assert!(!format!("{config:?}").contains("sesame"));
}
