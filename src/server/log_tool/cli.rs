//! The flags of `coldplate log`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    Check,
    Repair { yes: bool },
    Dump(Detail),
}

/// What `dump` prints of each record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What it does, its key, and how long its value is.
    Changes,
    /// The key alone.
    Keys,
    /// The value too.
    Values,
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

/// Reads the arguments behind `coldplate log`.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<(Task, PathBuf), Refusal> {
    let name = OsString::from("coldplate log");
    let matches = command().try_get_matches_from([name].into_iter().chain(arguments)).map_err(Refusal)?;
    let (name, matches) = matches.subcommand().expect("clap wants one");
    let dir = matches.get_one::<PathBuf>("DIR").expect("clap wants it").clone();
    let task = match name {
        "check" => Task::Check,
        "repair" => Task::Repair { yes: matches.get_flag("yes") },
        _ => Task::Dump(detail(matches)),
    };
    Ok((task, dir))
}

fn detail(matches: &ArgMatches) -> Detail {
    match (matches.get_flag("keys"), matches.get_flag("values")) {
        (true, _) => Detail::Keys,
        (_, true) => Detail::Values,
        _ => Detail::Changes,
    }
}

pub(super) fn command() -> Command {
    let dir = Arg::new("DIR")
        .required(true)
        .value_parser(value_parser!(PathBuf))
        .help("Where the server's log is: its --dir, or the folder coldplate-log in there");
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let check = Command::new("check")
        .about("Say what each chain holds and how it ends; exit 0 if a server can start with it, 1 if not")
        .arg(dir.clone());
    let repair = Command::new("repair")
        .about(
            "Give up what lies behind a torn tail or a damaged place, and say what that is; copies stay as *.damaged",
        )
        .args([dir.clone(), flag("yes", "Do it; without this only say what would be lost, and exit 1")]);
    let dump = Command::new("dump").about("Print every record, one a line").args([
        dir,
        flag("keys", "Only keys"),
        flag("values", "Values too").conflicts_with("keys"),
    ]);
    Command::new("coldplate log")
        .about("Look at the log of a server that is not running, and mend it")
        .disable_help_subcommand(true)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([check, repair, dump])
}
