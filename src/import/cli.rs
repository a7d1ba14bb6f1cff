//! The flags of `coldplate import`: redis-cli's names for where a server is, and a few of ours.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::load::endpoint::{Endpoint, Login};

const CONNECTION: &str = "Connection options";
const IMPORT: &str = "Import options";
/// So that what waits for its answer stays a small part of what a server buffers.
const PIPELINE_MAX: i64 = 100_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `None`: standard input.
    pub file: Option<PathBuf>,
    pub endpoint: Endpoint,
    pub login: Login,
    /// Of the file's databases, the one whose strings are imported.
    pub database: u64,
    pub replace: bool,
    pub pipeline: usize,
    pub dry_run: bool,
}

impl Options {
    pub fn file_name(&self) -> String {
        self.file.as_ref().map_or("standard input".to_owned(), |path| path.display().to_string())
    }
}

/// clap's answer: help, or a usage error.
#[derive(Debug)]
pub struct Refusal(clap::Error);

impl Refusal {
    /// Prints, and ends the process: 0 after help, 2 after an error.
    pub fn exit(self) -> ! {
        self.0.exit()
    }
}

/// Reads the arguments behind `coldplate import`.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Options, Refusal> {
    let name = OsString::from("coldplate import");
    let matches = command().try_get_matches_from([name].into_iter().chain(arguments)).map_err(Refusal)?;
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    Ok(Options {
        file: matches.get_one::<PathBuf>("FILE").filter(|path| path.as_os_str() != "-").cloned(),
        endpoint: endpoint(&matches),
        login: Login { user: text("user"), password: text("pass"), ..Login::default() },
        database: matches.get_one("db").copied().unwrap_or(0),
        replace: matches.get_flag("replace"),
        pipeline: matches.get_one::<u32>("pipeline").map_or(1, |requests| *requests as usize),
        dry_run: matches.get_flag("dry-run"),
    })
}

fn endpoint(matches: &ArgMatches) -> Endpoint {
    match matches.get_one::<PathBuf>("socket") {
        Some(path) => Endpoint::Unix(path.clone()),
        None => {
            let host = matches.get_one::<String>("host").map_or("127.0.0.1", String::as_str);
            Endpoint::Tcp(host.to_owned(), matches.get_one("port").copied().unwrap_or(6379))
        }
    }
}

fn command() -> Command {
    Command::new("coldplate import")
        .bin_name("coldplate import")
        .about("Bring the strings of a Redis or Valkey RDB file to a running server")
        .long_about(
            "Bring the strings of a Redis or Valkey RDB file to a running server, with their expiries.\n\n\
             Each becomes a SET over an ordinary connection. Keys that are there already are kept unless --replace is \
             given; those\nwhose expiry has passed are left out. Keys of other types and of other databases are counted \
             and named.",
        )
        .after_help(
            "Exit status: 0; 1 if the file could not be read to its end or a key could not be set; 2 for wrong flags.\n\
             From a running Redis: redis-cli --rdb dump.rdb",
        )
        .args_override_self(true)
        // -h is the host, as redis-cli has it.
        .disable_help_flag(true)
        .args(connection_flags())
        .args(import_flags())
}

fn connection_flags() -> [Arg; 5] {
    let flag = |name: &'static str, short: char, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).short(short).value_name(value).help(help).help_heading(CONNECTION)
    };
    [
        flag("host", 'h', "HOST", "Server's name or address").default_value("127.0.0.1"),
        flag("port", 'p', "PORT", "Server's port").value_parser(value_parser!(u16).range(1..)).default_value("6379"),
        flag("socket", 's', "PATH", "Unix socket to connect to instead of an address")
            .value_parser(value_parser!(PathBuf)),
        flag("pass", 'a', "PASSWORD", "Password for AUTH"),
        Arg::new("user")
            .long("user")
            .value_name("NAME")
            .help("User for AUTH")
            .help_heading(CONNECTION)
            .requires("pass"),
    ]
}

fn import_flags() -> [Arg; 6] {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).help(help).help_heading(IMPORT).action(ArgAction::SetTrue)
    };
    let file = "RDB file; - for standard input";
    [
        Arg::new("FILE").required(true).value_parser(value_parser!(PathBuf)).help(file),
        flag("db", "Database of the file whose strings are imported, into the server's database 0")
            .action(ArgAction::Set)
            .value_name("DB")
            .value_parser(value_parser!(u64))
            .default_value("0"),
        flag("replace", "Overwrite keys that are there already"),
        flag("pipeline", "Requests under way at once")
            .action(ArgAction::Set)
            .value_name("NUMBER")
            .value_parser(value_parser!(u32).range(1..=PIPELINE_MAX))
            .default_value("1000"),
        flag("dry-run", "Read the file and tell what is in it; no server is asked"),
        flag("help", "Print help").action(ArgAction::Help),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Options {
        parse(line.split(' ').map(OsString::from)).unwrap_or_else(|refusal| panic!("{line}: {}", refusal.0))
    }

    #[test]
    fn the_definitions_are_sound() {
        command().debug_assert();
    }

    #[test]
    fn flags_are_what_they_say() {
        let plain = options("dump.rdb");
        let expected = Options {
            file: Some("dump.rdb".into()),
            endpoint: Endpoint::Tcp("127.0.0.1".into(), 6379),
            login: Login::default(),
            database: 0,
            replace: false,
            pipeline: 1000,
            dry_run: false,
        };
        assert_eq!(plain, expected);
        let all = options("- -h ::1 -p 7 -a secret --user me --db 3 --replace --pipeline 5 --dry-run");
        assert_eq!((all.file, all.endpoint), (None, Endpoint::Tcp("::1".into(), 7)));
        assert_eq!((all.login.user.as_deref(), all.login.password.as_deref()), (Some("me"), Some("secret")));
        assert_eq!((all.database, all.replace, all.pipeline, all.dry_run), (3, true, 5, true));
        assert_eq!(options("x -s /run/c.sock").endpoint, Endpoint::Unix("/run/c.sock".into()));
    }

    #[test]
    fn wrong_flags_are_refused() {
        for line in ["--db 1", "x y", "x --pipeline 0", "x --db -1", "x -p 0", "x --user me", "x --cluster"] {
            assert!(parse(line.split(' ').map(OsString::from)).is_err(), "{line}");
        }
    }
}
