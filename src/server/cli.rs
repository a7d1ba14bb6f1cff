//! The command line: clap's arguments built from the table of parameters, and what each invocation answers.
//!
//! `bench`, `import` and `log` have flags of their own, in the `cli.rs` of each. Flags are kept as text: the table
//! reads them, so that a bad value gets the same message on the command line as in a file.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::config::{self, Loaded, PROFILES, Parameter, Sources, TABLE};

/// Columns of the long help beside clap's indentation of ten.
const HELP_COLUMNS: usize = 88;

/// What `--upstream` is for.
const UPSTREAM_WHY: &str = "Servers of an existing engine that hold the keys, in the place of this one: \
    cluster://10.0.0.1:6379,10.0.0.2:6379 is a Redis or Valkey Cluster, pool://10.0.0.1:6379,10.0.0.2:6379:2 are independent \
    servers with weights, single://unix:/run/redis.sock is one server. user:password@ may stand before the servers, and \
    keys of [[upstream]] behind them, as in ?distribution=jump&hash=md5. May be given several times: the first holds the \
    keys that no [[route]] of the file names, and those that the file names as [[upstream]] are left aside. A command line \
    shows in every process listing: keep a password in password_file.";

/// What the user asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Serve,
    Check,
    PrintConfig,
}

/// A command line that clap understood; its values are still unchecked.
pub struct Invocation {
    pub action: Action,
    pub sources: Sources,
}

/// What `main` is to do.
#[derive(Debug)]
pub enum Outcome {
    Serve(Box<Loaded>),
    /// Print to standard output and exit 0.
    Answer(String),
    /// Print to standard error and exit 1.
    Refuse(String),
}

/// clap's own answer: help, version, or a usage error.
#[derive(Debug)]
pub struct Refusal(pub(super) clap::Error);

impl Refusal {
    /// Prints in colour where the stream is a terminal, and ends the process: 0 after help or version, 2 after an error.
    pub fn exit(self) -> ! {
        self.0.exit()
    }
}

/// Reads the process's arguments, the program's name first.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, Refusal> {
    let matches = command().try_get_matches_from(arguments).map_err(Refusal)?;
    if let Some(name @ ("bench" | "import" | "log")) = matches.subcommand_name() {
        let first = format!("{name} must be the first word, before its own options: see coldplate {name} --help");
        return Err(Refusal(command().error(clap::error::ErrorKind::ArgumentConflict, first)));
    }
    // Global arguments reach the subcommand's matches, so the innermost has them all.
    let (name, matches) = matches.subcommand().unwrap_or(("serve", &matches));
    let action = match name {
        _ if matches.get_flag("print-config") => Action::PrintConfig,
        "check" => Action::Check,
        _ => Action::Serve,
    };
    let sources = Sources {
        file: matches.get_one::<PathBuf>("config").cloned(),
        profile: matches.get_one::<String>("profile").cloned(),
        upstreams: matches.get_many::<String>("upstream").unwrap_or_default().cloned().collect(),
        flags: TABLE.iter().filter_map(|parameter| Some((parameter, flag_text(matches, parameter)?))).collect(),
    };
    Ok(Invocation { action, sources })
}

/// Loads what the invocation names and does what needs no server.
pub fn answer(invocation: &Invocation, cpus_available: &[usize]) -> Outcome {
    let loaded = match config::load(&invocation.sources, cpus_available) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            let count = mistakes.0.len();
            let noun = if count == 1 { "mistake" } else { "mistakes" };
            return Outcome::Refuse(format!("{mistakes}\ncoldplate: {count} {noun} in the configuration\n"));
        }
    };
    match invocation.action {
        Action::Serve => Outcome::Serve(Box::new(loaded)),
        Action::PrintConfig => Outcome::Answer(config::print(&loaded)),
        Action::Check => Outcome::Answer(praise(invocation, &loaded)),
    }
}

fn praise(invocation: &Invocation, loaded: &Loaded) -> String {
    let what = invocation.sources.file.as_ref().map_or("the command line".into(), |path| path.display().to_string());
    let cpus: Vec<u64> = loaded.config.cores.cpus.iter().map(|cpu| *cpu as u64).collect();
    let mut text = String::new();
    for warning in config::warnings(&loaded.config) {
        text.push_str(&format!("warning: {warning}\n"));
    }
    let cores = if cpus.len() == 1 { "1 core on CPU" } else { &format!("{} cores on CPUs", cpus.len()) };
    text.push_str(&format!("{what} is fine: {cores} {}\n", config::cpus_print(&cpus)));
    text
}

/// The texts of one flag, a list's items joined as the table reads them.
fn flag_text(matches: &ArgMatches, parameter: &Parameter) -> Option<String> {
    let texts: Vec<&str> = matches.get_many::<String>(parameter.flag)?.map(String::as_str).collect();
    Some(texts.join(","))
}

pub(super) fn command() -> Command {
    let serve = Command::new("serve").about("Serve clients; the default when no command is named");
    let check = Command::new("check").about(
        "List every mistake in the configuration, with its line and what is allowed, and exit 1; exit 0 if none",
    );
    // `main` looks for these first: only their lines in the help come from here.
    let import = Command::new("import").about("Bring strings from a Redis RDB file: see coldplate import --help");
    let log = Command::new("log").about("Check, repair or dump a server's log: see coldplate log --help");
    let bench = Command::new("bench").about("Load a server and measure it: see coldplate bench --help");
    Command::new("coldplate")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A Redis-protocol key router for Linux: one pinned thread, one io_uring and one shard per core")
        .after_help("-h prints one line an option; --help says why each exists, what it allows and its default.")
        .disable_help_subcommand(true)
        .args_override_self(true)
        .subcommands([serve, check, log, import, bench])
        .args(own_arguments())
        .args(TABLE.iter().map(argument))
}

/// The options that are no parameters: where the configuration comes from, and printing it.
fn own_arguments() -> [Arg; 4] {
    let profiles: Vec<_> = PROFILES.iter().map(|(name, _)| *name).collect();
    let config = Arg::new("config")
        .long("config")
        .short('c')
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("TOML file; the command line wins over it. --print-config shows every key");
    let profile = Arg::new("profile")
        .long("profile")
        .value_name("NAME")
        .help(format!("Tuning profile, read before the file: {}", profiles.join(", ")));
    let upstream = Arg::new("upstream")
        .long("upstream")
        .value_name("URL")
        .action(ArgAction::Append)
        .help("Servers that hold the keys: cluster://H:P,H:P, pool://H:P,H:P:WEIGHT or single://H:P")
        .long_help(config::wrap(UPSTREAM_WHY, HELP_COLUMNS).join("\n"));
    let print_config = Arg::new("print-config")
        .long("print-config")
        .action(ArgAction::SetTrue)
        .help("Print the effective configuration as commented TOML and exit; secrets are left out");
    [config, profile, upstream, print_config].map(|argument| argument.global(true))
}

fn argument(parameter: &'static Parameter) -> Arg {
    let (first_sentence, _) = parameter.why.split_once(". ").unwrap_or((parameter.why, ""));
    let default = if parameter.default.is_empty() { String::new() } else { format!(" [{}]", parameter.default) };
    let mut argument = Arg::new(parameter.flag)
        .long(parameter.flag)
        .value_name(parameter.kind.placeholder())
        .help_heading(heading(parameter.section))
        .help(format!("{}{default}", first_sentence.trim_end_matches('.')))
        .long_help(long_help(parameter))
        .action(if parameter.kind.is_list() { ArgAction::Append } else { ArgAction::Set })
        // So that `--port -1` gets the table's answer, with what is allowed.
        .allow_negative_numbers(true)
        .global(true);
    if let Some(alias) = parameter.flag_alias {
        argument = argument.visible_alias(alias);
    }
    argument
}

/// Why, then the facts; wrapped here, since clap would need two more packages to wrap.
fn long_help(parameter: &Parameter) -> String {
    let facts = config::facts(parameter, &format!("in files: [{}] {}", parameter.section, parameter.key));
    let lines = [config::wrap(parameter.why, HELP_COLUMNS), config::wrap(&facts, HELP_COLUMNS)];
    lines.concat().join("\n")
}

/// `network` -> `Network options`.
fn heading(section: &'static str) -> String {
    let (first, rest) = section.split_at(1);
    format!("{}{rest} options", first.to_ascii_uppercase())
}
