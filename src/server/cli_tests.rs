//! Proves what each command line is understood as, and what it answers.

use std::ffi::OsString;

use super::cli::*;
use super::config::{self, TABLE};

fn run(line: &str) -> Outcome {
    let arguments = std::iter::once("coldplate").chain(line.split_whitespace()).map(OsString::from);
    let invocation = parse(arguments).unwrap_or_else(|refusal| panic!("{line}: {}", refusal.0));
    answer(&invocation, &[0, 1])
}

fn serve(line: &str) -> config::Config {
    match run(line) {
        Outcome::Serve(loaded) => loaded.config,
        other => panic!("{line}: {other:?}"),
    }
}

fn usage_error(line: &str) -> String {
    let arguments = std::iter::once("coldplate").chain(line.split_whitespace()).map(OsString::from);
    parse(arguments).err().unwrap_or_else(|| panic!("{line} was understood")).0.to_string()
}

/// clap's own checks of the argument definitions: clashing names, wrong defaults.
#[test]
fn the_definitions_are_sound() {
    command().debug_assert();
}

#[test]
fn serve_is_the_default_and_takes_every_flag_on_either_side() {
    assert_eq!(serve(""), serve("serve"));
    assert_eq!(serve("--port 1"), serve("serve --port=1"));
    assert_eq!(serve("--port 1 serve"), serve("serve --port 1"));
    assert_eq!(serve("--port 1 --port 2"), serve("--port 2"), "the last wins");
}

#[test]
fn the_names_that_a_redis_user_tries() {
    let config = serve(
        "--bind 127.0.0.1 --bind ::1 --port 6380 --cores 0-1 --dir /tmp --maxmemory 4gb --maxmemory-policy allkeys-lfu \
         --requirepass x --loglevel warning --maxclients 5 --timeout 1 --tcp-keepalive 2 --tcp-backlog 3 \
         --unixsocket /tmp/s --unixsocketperm 770 --proto-max-bulk-len 1mb --weights 1,2",
    );
    assert_eq!(config.network.bind.len(), 2);
    assert_eq!(config.cores.cpus, [0, 1]);
    assert_eq!(config.memory.maxmemory_bytes, 4 << 30);
    assert_eq!(config.log.level, log::LevelFilter::Warn);
    assert_eq!(config.network.unixsocketperm, 0o770);
    assert_eq!(config.cores.weights, [1, 2]);
}

#[test]
fn bench_import_and_log_come_first_or_not_at_all() {
    assert!(usage_error("--port 1 bench").contains("bench must be the first word"));
    assert!(usage_error("--port 1 import").contains("import must be the first word"));
    assert!(usage_error("--port 1 log").contains("log must be the first word"));
    assert!(usage_error("--help").contains("  bench   Load a server and measure it"));
    assert!(usage_error("--help").contains("  import  Bring strings from a Redis RDB file"));
}

#[test]
fn check_answers_or_refuses() {
    let Outcome::Answer(fine) = run("check --port 1") else { panic!("port 1 is allowed") };
    assert_eq!(fine, "the command line is fine: 2 cores on CPUs 0-1\n");
    let Outcome::Answer(fine) = run("check --cores 1 --bind *") else { panic!("all allowed") };
    assert!(fine.starts_with("warning: listens on 0.0.0.0 without requirepass"));
    assert!(fine.ends_with("the command line is fine: 1 core on CPU 1\n"));
    let Outcome::Refuse(mistakes) = run("check --port -1 --cores 7x") else { panic!("both are mistakes") };
    assert_eq!(
        mistakes,
        "command line: --port is -1; allowed: a whole number from 0 to 65535\n\
         command line: --cores is \"7x\"; allowed: auto, or CPUs such as 0-3 or 0,2,4\n\
         coldplate: 2 mistakes in the configuration\n"
    );
    assert!(matches!(run("--port -1"), Outcome::Refuse(_)), "serving refuses the same");
}

#[test]
fn print_config_answers_anywhere() {
    for line in ["--print-config --port 7", "serve --print-config --port 7", "check --port 7 --print-config"] {
        let Outcome::Answer(text) = run(line) else { panic!("{line}") };
        assert!(text.contains("\nport = 7\n"), "{line}");
    }
}

#[test]
fn upstreams_in_one_word() {
    let config = serve("--upstream cluster://10.0.0.1:6379,10.0.0.2:6379 --upstream=pool://a:6379,b:6379:2");
    let servers = |index: usize| config.upstreams[index].servers.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        (servers(0), servers(1)),
        (vec!["10.0.0.1:6379".into(), "10.0.0.2:6379".into()], vec!["a:6379".into(), "b:6379:2".into()])
    );
    let Outcome::Refuse(mistakes) = run("--upstream single://secret@a:1,b:1 --upstream redis://secret@a:1") else {
        panic!("the second is wrong")
    };
    assert!(
        mistakes.starts_with("command line: --upstream is \"redis://...@a:1\"; allowed: ")
            && !mistakes.contains("secret")
    );
    let Outcome::Answer(printed) = run("--print-config --upstream single://secret@a:1") else {
        panic!("it is allowed")
    };
    assert!(printed.contains("\n# password is set, and not shown.\n") && !printed.contains("secret"));
}

#[test]
fn profiles_come_by_name() {
    assert_eq!(serve("--profile latency").ring.spin_us, 50);
    assert_eq!(serve("--profile latency --spin-us 1").ring.spin_us, 1);
    let Outcome::Refuse(mistakes) = run("--profile fast") else { panic!("no such profile") };
    assert!(
        mistakes.starts_with(
            "command line: --profile is \"fast\"; allowed: one of throughput, latency, appliance, small\n"
        )
    );
}

/// Proves that each parameter is in the help with its default, and that short help fits a terminal.
#[test]
fn help_names_every_parameter() {
    let (short, long) = (usage_error("-h"), usage_error("--help"));
    for parameter in TABLE {
        assert!(short.contains(&format!("--{} ", parameter.flag)), "{}", parameter.flag);
        assert!(long.contains(&format!("[{}]", parameter.section)));
    }
    for line in short.lines().chain(long.lines()) {
        assert!(line.chars().count() <= 115, "{line}");
    }
    assert!(usage_error("--version").starts_with("coldplate "));
    assert!(usage_error("--prot 1").contains("--port"), "a slip is answered with the nearest flag");
}
