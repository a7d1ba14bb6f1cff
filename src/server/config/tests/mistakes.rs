//! Proves the exact words of each kind of mistake: where, which key, what was found, what is allowed.

use super::*;

/// Text of a file, and everything that is said of it.
const CASES: &[(&str, &str)] = &[
    ("[network]\nport = 70000", "c.toml:2: network.port is 70000; allowed: a whole number from 0 to 65535"),
    ("[network]\nport = -1", "c.toml:2: network.port is -1; allowed: a whole number from 0 to 65535"),
    ("[network]\nport = \"6379\"", "c.toml:2: network.port is \"6379\"; allowed: a whole number from 0 to 65535"),
    ("[network]\nport = 1.5", "c.toml:2: network.port is 1.5; allowed: a whole number from 0 to 65535"),
    (
        "[network]\ntimeout = 99999999999999999999",
        "c.toml:2: network.timeout is 99999999999999999999; allowed: a whole number from 0 to 2147483647 (seconds)",
    ),
    (
        "[network]\nbind = [\"::1\", 5]",
        "c.toml:2: network.bind is an array with 5; allowed: IP addresses such as 127.0.0.1 or ::1, or * for every \
         IPv4 address",
    ),
    (
        "[network]\nbind = \"localhost\"",
        "c.toml:2: network.bind is \"localhost\"; allowed: IP addresses such as 127.0.0.1 or ::1, or * for every \
         IPv4 address",
    ),
    ("[network]\nunixsocket = 1", "c.toml:2: network.unixsocket is 1; allowed: a path, quoted in files"),
    (
        "[network]\nunixsocketperm = 888",
        "c.toml:2: network.unixsocketperm is 888; allowed: file mode digits from 0 to 777",
    ),
    ("[cores]\npin = 1", "c.toml:2: cores.pin is 1; allowed: on or off"),
    ("[cores]\ncpus = \"all\"", "c.toml:2: cores.cpus is \"all\"; allowed: auto, or CPUs such as 0-3 or 0,2,4"),
    ("[cores]\nweights = \"1,0\"", "c.toml:2: cores.weights is \"1,0\"; allowed: weights from 1 to 1000 such as 1,1,2"),
    (
        "[ring]\nbuffers = 100",
        "c.toml:2: ring.buffers is 100; allowed: a power of two from 16 to 32768 (for each core)",
    ),
    (
        "[ring]\nbuffer_bytes = \"9gb\"",
        "c.toml:2: ring.buffer_bytes is \"9gb\"; allowed: bytes from 1kb to 4mb, as a number or with b, k, kb, m, mb, g \
         or gb",
    ),
    (
        "[memory]\nmaxmemory = \"4 gigs\"",
        "c.toml:2: memory.maxmemory is \"4 gigs\"; allowed: bytes from 0 up, as a number or with b, k, kb, m, mb, g or gb",
    ),
    ("[log]\nlevel = \"loud\"", "c.toml:2: log.level is \"loud\"; allowed: one of debug, info, warn, error"),
    (
        "[security]\nrequirepass = 12345",
        "c.toml:2: security.requirepass is of type integer (not shown); allowed: text, quoted in files",
    ),
    ("[netwrok]\nport = 1", "c.toml:1: unknown section [netwrok]; the nearest known one is [network]"),
    ("[network]\nprot = 1", "c.toml:2: unknown key network.prot; the nearest known one is network.port"),
    (
        "[network]\ntcp-keepalive = 1",
        "c.toml:2: unknown key network.tcp-keepalive; the nearest known one is network.tcp_keepalive",
    ),
    ("[log]\nmaxclients = 1", "c.toml:2: unknown key log.maxclients; the nearest known one is limits.maxclients"),
    ("[hot]\nhot-keys-max = 1", "c.toml:2: unknown key hot.hot-keys-max; the nearest known one is hot.keys_max"),
    ("hot = true", "c.toml:1: unknown key hot; the nearest known one is hot.enabled"),
    ("port = 1", "c.toml:1: unknown key port; the nearest known one is network.port"),
    ("network = 1", "c.toml:1: unknown key network; the nearest known one is network.port"),
    ("profile = \"fast\"", "c.toml:1: profile is \"fast\"; allowed: one of throughput, latency, appliance, small"),
    ("[network]\nport =\n", "c.toml:2: not TOML: string values must be quoted, expected literal string"),
];

#[test]
fn each_mistake_in_its_words() {
    for (text, expected) in CASES {
        assert_eq!(bad(text), *expected, "{text}");
    }
}

/// Rules between parameters, and between them and a machine with CPUs 0 to 3.
#[test]
fn each_broken_rule_in_its_words() {
    let socket = format!("[network]\nunixsocket = \"/{}\"", "x".repeat(107));
    let cases = [
        (
            "[network]\nport = 0",
            "c.toml:2: network.port is 0; allowed: a port from 1 to 65535, or 0 with network.unixsocket set",
        ),
        (
            "[network]\nbind = []",
            "c.toml:2: network.bind is \"\"; allowed: at least one address, or port 0 with network.unixsocket set",
        ),
        ("[network]\nbind = \"::1 ::1\"", "c.toml:2: network.bind is \"::1 ::1\"; allowed: each address once"),
        (
            "[cores]\ncpus = \"2-5\"",
            "c.toml:2: cores.cpus is \"2-5\"; allowed: CPUs that this process may use, which are 0-3, so not 4-5",
        ),
        ("[cores]\ncpus = \"1,1\"", "c.toml:2: cores.cpus is \"1,1\"; allowed: each CPU once, or --pin off"),
        (
            "[cores]\ncpus = \"0,1,0,1\"\npin = false\nweights = \"1,2\"",
            "c.toml:4: cores.weights is \"1,2\"; allowed: one weight a core, so 4 (cores.cpus is 0-1,0-1)",
        ),
        ("[ring]\nsqpoll_cpu = \"1,1\"", "c.toml:2: ring.sqpoll_cpu is \"1,1\"; allowed: each CPU once"),
        (
            "[cores]\ncpus = \"0-1\"\nweights = \"1,1,2\"",
            "c.toml:3: cores.weights is \"1,1,2\"; allowed: one weight a core, so 2 (cores.cpus is 0-1)",
        ),
        (
            "[cores]\nvirtual_nodes = 65536\nweights = [1000, 1, 1, 1]",
            "c.toml:2: cores.virtual_nodes is 65536; allowed: at most 1045, since weights of 1003 in all share \
             1048576 points",
        ),
        (
            "[ring]\nsqpoll = true\nsqpoll_cpu = 9",
            "c.toml:3: ring.sqpoll_cpu is 9; allowed: CPUs that this process may use, which are 0-3, so not 9",
        ),
        (
            "[ring]\nsqpoll = true\nsqpoll_cpu = \"2-3\"\n[cores]\ncpus = \"0-2\"",
            "c.toml:3: ring.sqpoll_cpu is \"2-3\"; allowed: CPUs that do not serve, unlike 2",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(bad(text), expected, "{text}");
    }
    assert!(bad(&socket).ends_with("allowed: a path of at most 107 bytes"));
    good("[network]\nport = 0\nunixsocket = \"/run/c.sock\"");
    let shared = good("[cores]\ncpus = \"0,1,0,1\"\npin = false\nweights = \"1,2,3,4\"");
    assert_eq!(shared.cores.cpus, [0, 1, 0, 1]);
}

/// Proves that all mistakes come in one go, in reading order, and that flags are named as flags.
#[test]
fn all_mistakes_at_once_in_order() {
    let text = "[network]\nport = 70000\n[log]\nlevel = \"loud\"\n[cores]\nunixsocket =\npin = 3\n";
    let mistakes = load(text, &[("ring.spin_us", "soon"), ("network.port", "-1")]).expect_err("five mistakes");
    let lines: Vec<_> = mistakes.0.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "c.toml:2: network.port is 70000; allowed: a whole number from 0 to 65535",
            "c.toml:4: log.level is \"loud\"; allowed: one of debug, info, warn, error",
            "c.toml:6: not TOML: string values must be quoted, expected literal string",
            "c.toml:7: cores.pin is 3; allowed: on or off",
            "command line: --spin-us is \"soon\"; allowed: a whole number from 0 to 1000000 (microseconds)",
            "command line: --port is -1; allowed: a whole number from 0 to 65535",
        ]
    );
}

#[test]
fn redis_conf_is_told_what_to_write() {
    let text = "# a Redis file\n\nport 6379\nbind 127.0.0.1 ::1\nsave 900 1\nrequirepass sesame\nmasterauth sesame\n\
                loglevel notice\ntimeout soon\n";
    let said = bad(text);
    let expected = [
        "c.toml:3: \"port 6379\" is redis.conf syntax, and this file is TOML: write port = 6379 under [network]",
        "c.toml:4: \"bind 127.0.0.1 ::1\" is redis.conf syntax, and this file is TOML: write bind = [\"127.0.0.1\", \
         \"::1\"] under [network]",
        "c.toml:5: \"save ...\" is redis.conf syntax, and this file is TOML: save has no counterpart, leave it out",
        "c.toml:6: \"requirepass ...\" is redis.conf syntax, and this file is TOML: write requirepass = \"...\" under \
         [security]",
        "c.toml:7: \"masterauth ...\" is redis.conf syntax, and this file is TOML: masterauth has no counterpart, leave \
         it out",
        "c.toml:8: \"loglevel notice\" is redis.conf syntax, and this file is TOML: write level = \"info\" under [log]",
        "c.toml:9: \"timeout soon\" is redis.conf syntax, and this file is TOML: write timeout = \"soon\" under [network]",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    assert!(!said.contains("sesame"));
}

/// Proves that a file that is missing, or too long to be a configuration, is named with the reason.
#[test]
fn unreadable_files_are_named() {
    for (path, reason) in [
        ("/nowhere/c.toml", "/nowhere/c.toml: cannot be read: No such file or directory (os error 2)"),
        ("/dev/zero", "/dev/zero: cannot be read: it has more than 1048576 bytes"),
    ] {
        let sources = Sources { file: Some(path.into()), ..Sources::default() };
        assert_eq!(crate::server::config::load(&sources, &CPUS).expect_err(path).to_string(), reason);
    }
}

/// Proves that no text makes the loader panic: every prefix of a valid file, and each with a byte replaced.
#[test]
fn broken_text_never_panics() {
    let text = "profile = \"small\"\n[network]\nbind = [\"::1\", '*']\nport = 0x1F\n[cores]\ncpus = \"0-3\"\n\
                [[hot.policy]]\nmatch = '*'\nfold = false\n[hot]\nkeys_max = 1\n";
    good(text);
    for end in 0..text.len() {
        let _ = load(&text[..end], &[]);
        for byte in ["\"", "[", "]", "=", "\n", "\0", "-", "é"] {
            let _ = load(&format!("{}{byte}{}", &text[..end], &text[end + 1..]), &[]);
        }
    }
}

#[test]
fn warnings_name_what_is_seldom_meant() {
    let warnings = |text| crate::server::config::warnings(&good(text));
    assert!(warnings("").is_empty());
    assert_eq!(
        warnings("[network]\nbind = \"*\""),
        ["listens on 0.0.0.0 without requirepass: whoever reaches the port reads and writes every key"]
    );
    let nodes = "[network]\nbind = \"*\"\nport = 0\nunixsocket = \"c\"\n[cluster]\nannounce = true\nfirst_port = 7000";
    assert_eq!(warnings(nodes).len(), 1);
    assert!(warnings("[network]\nbind = \"*\"\n[security]\nrequirepass = \"x\"").is_empty());
    assert_eq!(warnings("[ring]\nsqpoll = true").len(), 1);
    assert_eq!(warnings("[ring]\nsqpoll_cpu = 3").len(), 1);
}
