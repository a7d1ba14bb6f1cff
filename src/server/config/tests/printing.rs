//! Proves that `--print-config` reads back to what it printed, and that the shipped default file is in step with the
//! table.

use super::*;
use crate::server::config::{Place, print, wrap};

#[test]
fn what_is_printed_reads_back() {
    let flags: &[(&str, &str)] = &[
        ("network.bind", "::1,10.0.0.1"),
        ("network.unixsocket", "/run/a \"b\" \\ c\t.sock"),
        ("network.unixsocketperm", "770"),
        ("cores.cpus", "0,2"),
        ("cores.weights", "3,5"),
        ("cores.pin", "no"),
        ("memory.maxmemory", "1500m"),
        ("limits.client_output_bytes_max", "100000"),
        ("log.level", "verbose"),
    ];
    for flags in [&[][..], flags] {
        let printed = load("", flags).expect("all allowed");
        let read = load(&print(&printed), &[]).expect("it loads back");
        assert_eq!(read.config, printed.config);
    }
    let policies = "[[hot.policy]]\nmatch = 'a\"\\*'\nfold = false\npromote_ops = 5\n[[hot.policy]]\nmatch = \"*\"\n";
    let printed = load(policies, &[]).expect("all allowed");
    assert_eq!(good(&print(&printed)), printed.config);
    for profile in ["throughput", "latency", "appliance", "small"] {
        let printed = load(&format!("profile = \"{profile}\""), &[]).expect(profile);
        assert_eq!(good(&print(&printed)), printed.config, "{profile}");
    }
}

#[test]
fn a_password_is_not_printed() {
    let text = print(&load("", &[("security.requirepass", "sesame")]).expect("all allowed"));
    assert!(!text.contains("sesame"));
    assert!(text.contains("\n# Set by: command line.\n# requirepass is set, and not shown.\n"));
}

#[test]
fn each_value_says_where_it_came_from() {
    let text = print(&load("profile = \"latency\"\n[network]\nport = 1\n", &[]).expect("all allowed"));
    assert!(text.contains("# Set by: c.toml:3.\nport = 1\n"));
    assert!(text.contains("# Set by: profile latency:"));
}

/// The shipped file names every key, its default commented out, so that a profile and later defaults can act.
/// To write it anew: `COLDPLATE_BLESS=1 cargo test the_shipped_file`.
#[test]
fn the_shipped_file_is_in_step_with_the_table() {
    let flags = [
        ("network.unixsocket", "/run/coldplate/coldplate.sock"),
        ("network.unixsocketperm", "770"),
        ("log.dir", "/var/lib/coldplate"),
    ];
    let loaded = load("", &flags).expect("all allowed");
    let is_default = |section: &str, key: &str| *loaded.origins.of(row(&format!("{section}.{key}"))) == Place::Default;
    let mut expected = String::from(
        "# Keys at their default are commented out. A profile gives other defaults: throughput, latency, appliance, small.\n\
         #profile = \"throughput\"\n\n",
    );
    let mut section = "";
    let printed = print(&loaded);
    for line in printed.lines().filter(|line| !line.starts_with("# Set by")) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        }
        let is_assignment = !line.starts_with(['#', '[']) && !line.is_empty();
        let key = line.split(' ').next().expect("split yields at least one part");
        expected.push_str(if is_assignment && is_default(section, key) { "#" } else { "" });
        expected.push_str(line);
        expected.push('\n');
    }
    if std::env::var_os("COLDPLATE_BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/coldplate.toml");
        std::fs::write(path, &expected).expect("the repository can be written");
    }
    let shipped = include_str!("../../../../systemd/coldplate.toml");
    assert!(std::env::var_os("COLDPLATE_BLESS").is_some() || shipped == expected, "see the comment above this test");
    assert_eq!(good(&expected), loaded.config);
}

#[test]
fn wrap_keeps_every_word_within_the_width() {
    assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
    assert_eq!(wrap("a-word-too-long b", 4), ["a-word-too-long", "b"]);
    assert!(wrap("", 4).is_empty());
}
