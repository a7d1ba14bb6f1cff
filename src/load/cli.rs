//! The flags of `coldplate bench`: memtier_benchmark's names and meanings, and a few of ours.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::command::Command;
use super::data::Size;
use super::endpoint::{Endpoint, Login};
use super::keys::{KeyRange, Pattern};
use super::options::{Extent, Options, Output};

const CONNECTION: &str = "Connection options";
const TEST: &str = "Test options";
const COMMANDS: &str = "Command options";
const OBJECTS: &str = "Object options";
const KEYS: &str = "Key options";
const RESULTS: &str = "Result options";
/// memtier_benchmark's default.
const REQUESTS_DEFAULT: u64 = 10_000;
/// Larger values no Redis takes.
const DATA_BYTES_MAX: i64 = 512 * 1024 * 1024;

/// clap's answer: help, or a usage error.
#[derive(Debug)]
pub struct Refusal(clap::Error);

impl Refusal {
    /// Prints, and ends the process: 0 after help, 2 after an error.
    pub fn exit(self) -> ! {
        self.0.exit()
    }
}

/// Reads the arguments behind `coldplate bench`.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Options, Refusal> {
    let name = OsString::from("coldplate bench");
    let mut command = command();
    let matches = command.try_get_matches_from_mut([name].into_iter().chain(arguments)).map_err(Refusal)?;
    let options = read(&matches).and_then(|options| options.check().map(|()| options));
    options.map_err(|fault| Refusal(command.error(ErrorKind::ValueValidation, fault)))
}

fn read(matches: &ArgMatches) -> Result<Options, String> {
    let (commands, set_get) = commands(matches)?;
    let keys = keys(matches)?;
    Ok(Options {
        endpoint: endpoint(matches),
        login: login(matches)?,
        cluster: matches.get_flag("cluster-mode"),
        threads: number(matches, "threads"),
        clients: number(matches, "clients"),
        pipeline: number(matches, "pipeline"),
        extent: extent(matches)?,
        commands,
        set_get,
        key_prefix: matches.get_one::<String>("key-prefix").cloned().unwrap_or_default(),
        keys,
        size: size(matches)?,
        random_data: matches.get_flag("random-data"),
        expiry_s: text(matches, "expiry-range").map(|range| pair(range, '-', "expiry-range", 1)).transpose()?,
        rate: matches.get_one::<u32>("rate-limiting").copied(),
        open_loop: matches.get_flag("open-loop"),
        seed: if matches.get_flag("randomize") { seed_of_now() } else { 0 },
        distinct_seeds: matches.get_flag("distinct-client-seed"),
        run_count: number(matches, "run-count"),
        output: output(matches)?,
    })
}

fn seed_of_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64)
}

fn number(matches: &ArgMatches, name: &str) -> u32 {
    matches.get_one::<u32>(name).copied().unwrap_or(1)
}

fn text<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

fn endpoint(matches: &ArgMatches) -> Endpoint {
    match matches.get_one::<PathBuf>("unix-socket") {
        Some(path) => Endpoint::Unix(path.clone()),
        None => {
            let port = matches.get_one::<u16>("port").copied().unwrap_or(6379);
            Endpoint::Tcp(text(matches, "server").unwrap_or("localhost").to_owned(), port)
        }
    }
}

fn login(matches: &ArgMatches) -> Result<Login, String> {
    let (user, password) = match text(matches, "authenticate") {
        None => (None, None),
        Some(credentials) => match credentials.split_once(':') {
            Some((user, password)) if !user.is_empty() => (Some(user.to_owned()), Some(password.to_owned())),
            Some((_, password)) => (None, Some(password.to_owned())),
            None => (None, Some(credentials.to_owned())),
        },
    };
    let hello = match text(matches, "protocol") {
        Some("resp2") => Some(2),
        Some("resp3") => Some(3),
        _ => None,
    };
    Ok(Login { user, password, hello, database: matches.get_one::<u32>("select-db").copied() })
}

fn extent(matches: &ArgMatches) -> Result<Extent, String> {
    if let Some(secs) = matches.get_one::<u32>("test-time") {
        return Ok(Extent::Time(Duration::from_secs(u64::from(*secs))));
    }
    match text(matches, "requests") {
        None => Ok(Extent::Requests(REQUESTS_DEFAULT)),
        Some("allkeys") => Ok(Extent::AllKeys),
        Some(count) => match count.parse() {
            Ok(count) if count > 0 => Ok(Extent::Requests(count)),
            _ => Err(format!("--requests must be a number greater than zero or 'allkeys', not '{count}'")),
        },
    }
}

/// The user's own commands if there are any, else SETs and GETs.
fn commands(matches: &ArgMatches) -> Result<(Vec<Command>, bool), String> {
    let given = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
    if text(matches, "command").is_some() {
        for (name, instead) in [("ratio", "command-ratio"), ("key-pattern", "command-key-pattern")] {
            if given(name) {
                return Err(format!("with --command, use --{instead} behind each command instead of --{name}"));
            }
        }
        return Ok((own_commands(matches)?, false));
    }
    if given("command-ratio") || given("command-key-pattern") {
        return Err("--command-ratio and --command-key-pattern belong behind a --command".to_owned());
    }
    let (sets, gets) = pair(text(matches, "ratio").unwrap_or("1:10"), ':', "ratio", 0)?;
    let patterns = text(matches, "key-pattern").unwrap_or("R:R");
    let read = |letter: &str| {
        let known = Pattern::from_letter(letter);
        known.ok_or_else(|| format!("--key-pattern must be two of R, G, Z, S, P, such as R:R, not '{patterns}'"))
    };
    let (set, get) = patterns.split_once(':').unwrap_or((patterns, ""));
    let expires = text(matches, "expiry-range").is_some();
    Ok((vec![Command::set(sets, read(set)?, expires), Command::get(gets, read(get)?)], true))
}

/// `--command-ratio` and `--command-key-pattern` belong to the command before them.
fn own_commands(matches: &ArgMatches) -> Result<Vec<Command>, String> {
    let mut names: Vec<String> = Vec::new();
    let mut commands = Vec::new();
    let lines = matches.get_many::<String>("command").into_iter().flatten();
    for line in lines {
        let mut command = Command::from_line(line, 0).map_err(|fault| format!("--command '{line}': {fault}"))?;
        let row = names.iter().position(|name| *name == command.name).unwrap_or(names.len());
        if row == names.len() {
            names.push(command.name.clone());
        }
        command.row = row;
        commands.push(command);
    }
    let places: Vec<usize> = matches.indices_of("command").into_iter().flatten().collect();
    let mut apply = |name: &str, change: &dyn Fn(&mut Command, &str) -> bool| {
        let values = matches.get_many::<String>(name).into_iter().flatten();
        for (value, at) in values.zip(matches.indices_of(name).into_iter().flatten()) {
            let before = places.iter().rposition(|place| *place < at);
            let before = before.ok_or_else(|| format!("--{name} must stand behind the --command that it is for"))?;
            if !change(&mut commands[before], value) {
                return Err(format!("--{name} '{value}' is not one of its values: see --help"));
            }
        }
        Ok(())
    };
    apply("command-ratio", &|command, value| value.parse().map(|ratio| command.ratio = ratio).is_ok())?;
    apply("command-key-pattern", &|command, value| {
        Pattern::from_letter(value).map(|pattern| command.pattern = pattern).is_some()
    })?;
    Ok(commands)
}

fn size(matches: &ArgMatches) -> Result<Size, String> {
    if let Some(range) = text(matches, "data-size-range") {
        let (min, max) = pair(range, '-', "data-size-range", 1)?;
        if i64::from(max) > DATA_BYTES_MAX {
            return Err(format!("--data-size-range may not pass {DATA_BYTES_MAX} bytes"));
        }
        return Ok(Size::Range { min, max, by_key: text(matches, "data-size-pattern") == Some("S") });
    }
    if let Some(list) = text(matches, "data-size-list") {
        let fault = || format!("--data-size-list must be SIZE:WEIGHT,... with numbers greater than zero, not '{list}'");
        let entry = |entry: &str| {
            let (size, weight) = entry.split_once(':')?;
            let (size, weight) = (size.parse::<u32>().ok()?, weight.parse::<u32>().ok()?);
            (size > 0 && weight > 0 && i64::from(size) <= DATA_BYTES_MAX).then_some((size, weight))
        };
        return list.split(',').map(entry).collect::<Option<Vec<_>>>().map(Size::List).ok_or_else(fault);
    }
    Ok(Size::Fixed(matches.get_one::<u32>("data-size").copied().unwrap_or(32)))
}

fn keys(matches: &ArgMatches) -> Result<KeyRange, String> {
    let whole = |name, default| matches.get_one::<u64>(name).copied().unwrap_or(default);
    let real = |name: &str, allowed: &dyn Fn(f64) -> bool, what: &str| match text(matches, name) {
        None => Ok(None),
        Some(value) => match value.parse::<f64>() {
            Ok(number) if allowed(number) => Ok(Some(number)),
            _ => Err(format!("--{name} must be {what}, not '{value}'")),
        },
    };
    let positive = |number: f64| number > 0.0 && number.is_finite();
    Ok(KeyRange {
        first: whole("key-minimum", 0),
        last: whole("key-maximum", 10_000_000),
        stddev: real("key-stddev", &positive, "a number greater than zero")?,
        median: real("key-median", &positive, "a number greater than zero")?,
        zipf_exponent: real("key-zipf-exp", &|x| x > 0.0 && x < 5.0, "within the interval (0, 5)")?.unwrap_or(1.0),
        hot_share: real("hot-key-share", &|x| (0.0..=1.0).contains(&x), "a share from 0 to 1")?.unwrap_or(0.0),
    })
}

fn output(matches: &ArgMatches) -> Result<Output, String> {
    let list = text(matches, "print-percentiles").unwrap_or("50,99,99.9");
    let percentile = |word: &str| word.trim().parse::<f64>().ok().filter(|value| (0.0..=100.0).contains(value));
    let percentiles = list.split(',').map(percentile).collect::<Option<Vec<_>>>();
    Ok(Output {
        percentiles: percentiles.ok_or_else(|| {
            format!("--print-percentiles must be numbers from 0 to 100 with commas between, not '{list}'")
        })?,
        hide_histogram: matches.get_flag("hide-histogram"),
        print_all_runs: matches.get_flag("print-all-runs"),
        file: matches.get_one::<PathBuf>("out-file").cloned(),
        json: matches.get_one::<PathBuf>("json-out-file").cloned(),
        hdr_prefix: text(matches, "hdr-file-prefix").map(str::to_owned),
    })
}

/// Two numbers; between `-` the first is the smaller.
fn pair<T: FromStr + PartialOrd + std::fmt::Display>(
    text: &str,
    mark: char,
    flag: &str,
    min: T,
) -> Result<(T, T), String> {
    let numbers = text.split_once(mark).and_then(|(left, right)| Some((left.parse().ok()?, right.parse().ok()?)));
    match numbers {
        Some((left, right)) if left >= min && right >= min && (mark == ':' || left <= right) => Ok((left, right)),
        _ if mark == ':' => Err(format!("--{flag} must be two numbers such as 1:10, not '{text}'")),
        _ => Err(format!("--{flag} must be a range such as 1-10, from {min} on, not '{text}'")),
    }
}

fn command() -> clap::Command {
    clap::Command::new("coldplate bench")
        .bin_name("coldplate bench")
        .about("Load any Redis-protocol server and measure it: throughput, latency, and the server's CPU time")
        .long_about(
            "Load any Redis-protocol server and measure it: throughput, latency, and the server's CPU time.\n\n\
             Flags, defaults and the report are memtier_benchmark's where it has them. Each client keeps --pipeline \
             requests\nunder way and sends the next as soon as a reply is in; --open-loop keeps to a timetable instead.",
        )
        .after_help("Exit status: 0; 1 if the server could not be reached or connections were lost; 2 for wrong flags.")
        .args_override_self(true)
        .args(connection_flags())
        .args(test_flags())
        .args(command_flags())
        .args(object_flags())
        .args(key_flags())
        .args(result_flags())
}

fn flag(
    name: &'static str,
    short: Option<char>,
    value: &'static str,
    heading: &'static str,
    help: &'static str,
) -> Arg {
    let mut arg = Arg::new(name).long(name).help(help).help_heading(heading).allow_hyphen_values(false);
    if let Some(short) = short {
        arg = arg.short(short);
    }
    if value.is_empty() { arg.action(ArgAction::SetTrue) } else { arg.value_name(value).action(ArgAction::Set) }
}

/// A whole number from 1 on.
fn count(arg: Arg, max: i64) -> Arg {
    arg.value_parser(value_parser!(u32).range(1..=max)).allow_negative_numbers(true)
}

fn connection_flags() -> Vec<Arg> {
    vec![
        flag("server", Some('s'), "ADDR", CONNECTION, "Server's name or address")
            .default_value("localhost")
            .alias("host"),
        flag("port", Some('p'), "PORT", CONNECTION, "Server's port")
            .value_parser(value_parser!(u16).range(1..))
            .default_value("6379"),
        flag("unix-socket", Some('S'), "PATH", CONNECTION, "Unix socket to connect to instead of an address")
            .value_parser(value_parser!(PathBuf)),
        flag("authenticate", Some('a'), "CREDENTIALS", CONNECTION, "PASSWORD, or USER:PASSWORD, for AUTH"),
        flag("protocol", Some('P'), "NAME", CONNECTION, "redis says no HELLO; resp2 and resp3 choose by HELLO")
            .value_parser(["redis", "resp2", "resp3"])
            .default_value("redis"),
        flag("select-db", None, "DB", CONNECTION, "Database to SELECT").value_parser(value_parser!(u32)),
        flag(
            "cluster-mode",
            None,
            "",
            CONNECTION,
            "Ask for CLUSTER SLOTS, connect each client to each node, follow MOVED",
        ),
    ]
}

fn test_flags() -> Vec<Arg> {
    let rate = flag("rate-limiting", None, "NUMBER", TEST, "At most so many requests a second by each client");
    vec![
        count(flag("clients", Some('c'), "NUMBER", TEST, "Clients of each thread"), 100_000).default_value("50"),
        count(flag("threads", Some('t'), "NUMBER", TEST, "Threads"), 1_024).default_value("4"),
        count(flag("pipeline", None, "NUMBER", TEST, "Requests of a client under way at once"), 1_000_000)
            .default_value("1"),
        flag(
            "requests",
            Some('n'),
            "NUMBER",
            TEST,
            "Requests by each client, or 'allkeys' for as many as keys [10000]",
        )
        .conflicts_with("test-time"),
        count(flag("test-time", None, "SECS", TEST, "Seconds to run, instead of a number of requests"), 10_000_000),
        count(flag("run-count", Some('x'), "NUMBER", TEST, "Runs, for the best, the worst and the average"), 1_000)
            .default_value("1"),
        count(rate, 1_000_000_000),
        flag("open-loop", None, "", TEST, "Keep to a timetable, and count latency from when each request was due").long_help(
            "With --rate-limiting: keep to a timetable, and count latency from when each request was due.\n\
             A closed loop, the default, sends nothing while it waits for a stalled server, and so counts too few of the\n\
             requests that would have suffered (coordinated omission).",
        ),
        flag("ratio", None, "SETS:GETS", TEST, "So many SETs, then so many GETs, by each client").default_value("1:10"),
        flag("distinct-client-seed", None, "", TEST, "Draw differently for each client; else all draw the same keys"),
        flag("randomize", None, "", TEST, "Draw differently in each run; else all runs draw the same keys"),
    ]
}

fn command_flags() -> Vec<Arg> {
    let line = "A command to send instead of SETs and GETs, in quotes; again for more";
    let long = "A command to send instead of SETs and GETs, in quotes; again for more.\n\
                __key__ and __data__ stand for what the key and object options say.\n\
                Example: --command='INCRBY __key__ 5' --command-ratio 3 --command='SET {__key__}:b __data__'";
    vec![
        flag("command", None, "COMMAND", COMMANDS, line)
            .long_help(long)
            .action(ArgAction::Append)
            .allow_hyphen_values(true),
        flag("command-ratio", None, "NUMBER", COMMANDS, "How many times in a row the --command before it is sent [1]")
            .action(ArgAction::Append),
        flag("command-key-pattern", None, "LETTER", COMMANDS, "Key pattern of the --command before it [R]")
            .action(ArgAction::Append),
    ]
}

fn object_flags() -> Vec<Arg> {
    let ranged = "R draws sizes from --data-size-range, S spreads them evenly over the keys";
    vec![
        count(flag("data-size", Some('d'), "BYTES", OBJECTS, "Bytes of a value [32]"), DATA_BYTES_MAX),
        flag("data-size-range", None, "MIN-MAX", OBJECTS, "Values of different sizes")
            .conflicts_with_all(["data-size", "data-size-list"]),
        flag("data-size-list", None, "SIZE:WEIGHT,...", OBJECTS, "Values of these sizes, each as often as its weight")
            .conflicts_with("data-size"),
        flag("data-size-pattern", None, "LETTER", OBJECTS, ranged).value_parser(["R", "S"]).default_value("R"),
        flag("random-data", Some('R'), "", OBJECTS, "Random bytes, different from value to value; else all are 'x'"),
        flag("expiry-range", None, "MIN-MAX", OBJECTS, "Seconds until a SET's key expires, drawn from this range"),
    ]
}

fn key_flags() -> Vec<Arg> {
    let pattern = "Of SETs and of GETs, two of the letters R, G, Z, S, P: see --help";
    let long = "How the keys of SETs and of GETs follow each other:\n\
                R  uniform random\n\
                G  random about --key-median, as --key-stddev says (Gaussian)\n\
                Z  random, low numbers more often, as --key-zipf-exp says (Zipf)\n\
                S  one after the other, by each client\n\
                P  the same, each client over a part of the keys of its own (parallel)";
    let number = |arg: Arg| arg.value_parser(value_parser!(u64)).allow_negative_numbers(true);
    let real = |arg: Arg| arg.allow_negative_numbers(true);
    vec![
        flag("key-prefix", None, "TEXT", KEYS, "What stands before a key's number").default_value("memtier-"),
        number(flag("key-minimum", None, "NUMBER", KEYS, "First key number")).default_value("0"),
        number(flag("key-maximum", None, "NUMBER", KEYS, "Last key number")).default_value("10000000"),
        flag("key-pattern", None, "SET:GET", KEYS, pattern).long_help(long).default_value("R:R"),
        real(flag("key-stddev", None, "NUMBER", KEYS, "Standard deviation of G [a sixth of the range]")),
        real(flag("key-median", None, "NUMBER", KEYS, "Middle of G [the middle of the range]")),
        real(flag(
            "key-zipf-exp",
            None,
            "NUMBER",
            KEYS,
            "Exponent of Z, between 0 and 5; a key's number is its rank [1]",
        )),
        real(flag(
            "hot-key-share",
            None,
            "SHARE",
            KEYS,
            "Share of all operations, 0 to 1, that goes to one key, the first",
        )),
    ]
}

fn result_flags() -> Vec<Arg> {
    vec![
        flag("print-percentiles", None, "LIST", RESULTS, "Latency percentiles of the table")
            .default_value("50,99,99.9"),
        flag("hide-histogram", None, "", RESULTS, "No latency distribution behind the table"),
        flag("print-all-runs", None, "", RESULTS, "With --run-count: each run, not only the best and the worst"),
        flag("out-file", Some('o'), "FILE", RESULTS, "Write the report there instead of to standard output")
            .value_parser(value_parser!(PathBuf)),
        flag("json-out-file", None, "FILE", RESULTS, "Write the report as JSON too, with each second's figures")
            .value_parser(value_parser!(PathBuf)),
        flag("hdr-file-prefix", None, "PREFIX", RESULTS, "Write latency histograms to PREFIX_...txt and .hgrm files"),
    ]
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
