//! Proves what `[[upstream]]`, `[[route]]` and `--upstream` come to, and the words of each mistake in them.

use super::*;
use crate::routing::{Distribution, Hash};
use crate::server::config::{Password, Place, ReadFrom, UpstreamKind, print, warnings};

/// Loads a text with URLs of the command line.
fn with(text: &str, urls: &[&str]) -> Result<Loaded, Mistakes> {
    let upstreams = urls.iter().map(|url| (*url).to_owned()).collect();
    load_text(&Sources { file: Some("c.toml".into()), upstreams, ..Sources::default() }, text, &CPUS)
}

const FULL: &str = "[[upstream]]\nname = \"main\"\nkind = \"cluster\"\nservers = [\"10.0.0.1:6379\", \"[::1]:6379\"]\n\
                    read = \"nearest\"\nusername = \"me\"\npassword = \"sesame\"\nconnect_timeout_ms = 5\n\
                    request_timeout_ms = 6\nidle_timeout_ms = 7\nlinks_per_core = 2\nin_flight_max = 8\nhot_copy_ms = 11\n\
                    hot_stale_ms = 12\nown_connections_max = 10\neject_after = 9\n\
                    eject_ms = 10\n\n[[upstream]]\nname = \"old\"\nkind = \"pool\"\n\
                    servers = \"a:1:2 first,unix:/run/b:c:3\"\ndistribution = \"jump\"\nhash = \"md5\"\nhash_tag = \"{}\"\n\
                    auto_eject = true\ntls = true\ntls_ca_file = \"/ca\"\ntls_cert_file = \"/c\"\n\
                    tls_key_file = \"/k\"\ntls_server_name = \"redis.example\"\nin_flight_bytes_max = \"1mb\"\nvalue_bytes_max = 4096\nreply_bytes_max = \"2gb\"\n\
                    password_file = \"/etc/p\"\n\n[[route]]\nmatch = \"user:*\"\npool = \"old\"\n\
                    [[route]]\nmatch = \"here:*\"\npool = \"embedded\"\n";

#[test]
fn every_key_is_read_and_printed() {
    let loaded = load(FULL, &[]).expect("all allowed");
    let [main, old] = &loaded.config.upstreams[..] else { panic!("two upstreams") };
    assert_eq!(
        (main.kind, main.read, main.username.as_deref()),
        (UpstreamKind::Cluster, ReadFrom::Nearest, Some("me"))
    );
    assert_eq!(main.password, Some(Password("sesame".into())));
    assert_eq!([main.connect_timeout_ms, main.request_timeout_ms, main.idle_timeout_ms, main.eject_ms], [5, 6, 7, 10]);
    assert_eq!([main.hot_copy_ms, main.hot_stale_ms], [11, 12]);
    assert_eq!((main.links_per_core, main.in_flight_max, main.eject_after), (2, 8, 9));
    assert_eq!(main.own_connections_max, 10);
    assert_eq!((old.distribution, old.hash, old.layout().hash_tag), (Distribution::Jump, Hash::Md5, Some(*b"{}")));
    assert_eq!(old.servers.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a:1:2 first", "unix:/run/b:c:3"]);
    assert!(old.auto_eject && !main.auto_eject);
    assert!(old.tls.on && old.tls.server_name.as_deref() == Some("redis.example") && !main.tls.on);
    assert_eq!([&old.tls.ca_file, &old.tls.cert_file, &old.tls.key_file].map(|file| file.is_some()), [true; 3]);
    let bounds = [old.in_flight_bytes_max, old.value_bytes_max, old.reply_bytes_max];
    assert_eq!(bounds, [1 << 20, 4096, 2 << 30]);
    let routes: Vec<_> = loaded.config.routes.iter().map(|r| (r.pattern.as_str(), r.pool.as_str())).collect();
    assert_eq!(routes, [("user:*", "old"), ("here:*", "embedded")]);
    let printed = print(&loaded);
    assert!(printed.contains("# Set by: c.toml:19.\n[[upstream]]\nname = \"old\"\n"), "{printed}");
    assert!(printed.contains("servers = [\"a:1:2 first\", \"unix:/run/b:c:3\"]\n"));
    assert!(printed.contains("# password is set, and not shown.\n") && !printed.contains("sesame"));
    let mut read = good(&printed);
    read.upstreams[0].password = main.password.clone();
    assert_eq!(read, loaded.config);
    assert!(!format!("{:?}", loaded.config).contains("sesame"));
}

/// Routes lead to upstreams by their places; what none names lies on the first, or here where there is none.
#[test]
fn routes_lead_to_places() {
    let routes = good(FULL).compile_routes();
    assert_eq!([&b"user:1"[..], b"here:1", b"else"].map(|key| routes.find(key)), [Some(1), None, Some(0)]);
    assert_eq!(good("").compile_routes().find(b"user:1"), None);
}

/// Without any, an example shows how one is written.
#[test]
fn examples_are_shown_and_load() {
    let printed = print(&load("", &[]).expect("the defaults"));
    let example: Vec<&str> = printed
        .lines()
        .skip_while(|line| *line != "#[[upstream]]")
        .filter_map(|line| line.strip_prefix('#').filter(|line| !line.starts_with(' ')))
        .collect();
    let config = good(&example.join("\n"));
    assert_eq!((config.upstreams.len(), config.routes.len()), (1, 1));
}

/// Those of the command line stand in the place of the file's; routes stay the file's.
#[test]
fn the_command_line_wins() {
    let text = "[[upstream]]\nname = \"file\"\nkind = \"single\"\nservers = \"a:1\"\n[[route]]\nmatch = \"x*\"\npool = \"b\"\n";
    let urls = ["cluster://a:1,b:2", "pool://c:3?name=b"];
    let loaded = with(text, &urls).expect("all allowed");
    let names: Vec<_> = loaded.config.upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
    assert_eq!((names, loaded.origins.upstreams), (vec!["upstream-1", "b"], vec![Place::Flag, Place::Flag]));
    let mistakes = with(text, &["nonsense", "pool://"]).expect_err("two are wrong").0;
    assert_eq!(mistakes.len(), 2, "and what follows from them is not told");
    assert_eq!(
        with(text, &["pool://a:1,a:1"]).expect_err("twice, and a route to nowhere").to_string(),
        "c.toml:5: route[0].pool is \"b\"; allowed: one of upstream-1, embedded\n\
         command line: --upstream servers is \"a:1,a:1\"; allowed: each server once, by its name or address (a:1 is not)"
    );
}

/// The one choice that works and is never meant.
#[test]
fn a_hash_too_narrow_for_its_circle_is_warned_of() {
    let warned = |query: &str| {
        let url = format!("pool://a:1,b:1?{query}");
        warnings(&with("", &[&url]).expect("allowed").config).len()
    };
    assert_eq!(["hash=crc32", "hash=crc32a", "hash=crc32&distribution=modula"].map(warned), [1, 0, 0]);
    assert_eq!(warned("hash=crc32&distribution=consistent"), 0);
}

/// What stands in an upstream that is otherwise right, and everything that is said of it.
const CASES: &[(&str, &str)] = &[
    (
        "kind = \"pool\"\nservers = \"a:1:0\"",
        "c.toml:4: upstream[0].servers is \"a:1:0\"; allowed: servers such as 10.0.0.1:6379, cache.example:6379:2 with a \
         weight from 1 to 1000, [::1]:6379 or unix:/run/redis.sock, each with a name behind a blank if it has one",
    ),
    (
        "kind = \"clustre\"\nservers = \"a:1\"",
        "c.toml:3: upstream[0].kind is \"clustre\"; allowed: one of cluster, pool, single",
    ),
    (
        "kind = \"pool\"\nservers = \"a:1\"\nhash = \"sha1\"\ndistribution = \"ring\"",
        "c.toml:5: upstream[0].hash is \"sha1\"; allowed: one of one_at_a_time, md5, crc16, crc32, crc32a, fnv1_64, \
         fnv1a_64, fnv1_32, fnv1a_32, hsieh, murmur, jenkins, murmur3\n\
         c.toml:6: upstream[0].distribution is \"ring\"; allowed: one of ketama, modula, random, consistent, modula_listed, crc16, jump, \
         rendezvous, bounded",
    ),
    (
        "kind = \"pool\"\nservers = \"a:1\"\nhash_tag = \"{\"",
        "c.toml:5: upstream[0].hash_tag is \"{\"; allowed: two characters such as {}, or nothing, quoted in files",
    ),
    (
        "kind = \"pool\"\nservers = \"a:1\"\npasswort = \"secret\"",
        "c.toml:5: unknown key upstream[0].passwort; the nearest known one is upstream[0].password",
    ),
    (
        "kind = \"pool\"\nservers = \"a:1\"\npassword = 12345",
        "c.toml:5: upstream[0].password is of type integer (not shown); allowed: text, quoted in files",
    ),
    (
        "kind = \"pool\"",
        "c.toml:1: upstream[0].servers is missing; allowed: servers such as 10.0.0.1:6379, \
      cache.example:6379:2 with a weight from 1 to 1000, [::1]:6379 or unix:/run/redis.sock, each with a name behind a \
      blank if it has one",
    ),
    (
        "kind = \"single\"\nservers = \"a:1\"\ntls_cert_file = \"/c\"",
        "c.toml:1: upstream[0].tls_key_file is not set; allowed: tls_cert_file and tls_key_file, or neither\n\
         c.toml:1: upstream[0].tls is \"off\"; allowed: on, where other keys are about TLS",
    ),
    (
        "kind = \"single\"\nservers = \"a:1,b:2:2\"\nhash = \"md5\"\nread = \"replica\"\nauto_eject = true",
        "c.toml:1: upstream[0].hash is \"md5\"; allowed: left out, unless kind is pool\n\
         c.toml:1: upstream[0].auto_eject is \"on\"; allowed: left out, unless kind is pool\n\
         c.toml:1: upstream[0].servers is \"a:1,b:2:2\"; allowed: no weights and names, unless kind is pool\n\
         c.toml:1: upstream[0].servers is \"a:1,b:2:2\"; allowed: one server, unless kind is pool or cluster\n\
         c.toml:1: upstream[0].read is \"replica\"; allowed: primary, unless kind is cluster",
    ),
    (
        "kind = \"pool\"\nservers = \"a:1:1000,b:1:1000,c:1:1000,d:1:1000,e:1:1000\"\ndistribution = \"bounded\"",
        "c.toml:1: upstream[0].servers is \"a:1:1000,b:1:1000,c:1:1000,d:1:1000,e:1:1000\"; allowed: weights of at most \
         4096 together, where distribution is bounded",
    ),
    (
        "kind = \"single\"\nservers = \"a:1\"\npassword = \"x\"\npassword_file = \"y\"",
        "c.toml:1: upstream[0].password_file is set; allowed: password or password_file, not both",
    ),
    (
        "kind = \"single\"\nservers = \"a:1\"\n[[route]]\nmatch = \"a\"\npool = \"b\"\n[[route]]\nmatch = \"a\"",
        "c.toml:8: route[1].pool is missing; allowed: letters, digits, -, _ and ., 1 to 64 of them, quoted in files",
    ),
    (
        "kind = \"single\"\nservers = \"a:1\"\n[[upstream]]\nname = \"main\"\nkind = \"single\"\nservers = \"a:1\"\n\
         [[upstream]]\nname = \"embedded\"\nkind = \"single\"\nservers = \"a:1\"",
        "c.toml:5: upstream[1].name is \"main\"; allowed: each name once\n\
         c.toml:9: upstream[2].name is \"embedded\"; allowed: any other name: that is this server's own pool",
    ),
];

#[test]
fn each_mistake_in_its_words() {
    for (rest, expected) in CASES {
        let text = format!("[[upstream]]\nname = \"main\"\n{rest}");
        assert_eq!(bad(&text), *expected, "{text}");
    }
    let shape = "allowed: at most 64 tables, each under [[upstream]]";
    assert_eq!(bad("[upstream]\nname = \"a\""), format!("c.toml:1: upstream is a table; {shape}"));
    assert_eq!(bad("upstream = [3]"), format!("c.toml:1: upstream[0] is 3; {shape}"));
    assert_eq!(bad("[[upstreem]]\nname = 1"), "c.toml:1: unknown key upstreem; the nearest known one is upstream");
    assert_eq!(bad("[[rotue]]\nname = 1"), "c.toml:1: unknown key rotue; the nearest known one is route");
}
