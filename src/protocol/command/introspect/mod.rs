//! Owns: the replies of COMMAND and its subcommands, and each container's HELP, all read off the table.
//! Knows: the shapes that Redis 7.0 gives these replies in RESP2 and RESP3.
//! Must never know: whether a command is allowed or how it runs.
//! Read first: [`answer`], then `info.rs`.

mod docs;
mod help;
mod info;
mod keys;
mod list;

pub use help::help;

use super::flags::names;
use super::{Command, rows};
use crate::protocol::resp::{Args, Reply};

/// Answers COMMAND or one of its subcommands, whose arity [`super::resolve`] has checked.
///
/// `glob` says whether a pattern matches a text, both given in lower case.
pub fn answer(command: Command, args: &Args<'_>, glob: impl Fn(&[u8], &[u8]) -> bool, reply: &mut Reply<'_>) {
    match command {
        Command::Command => info::all(reply),
        Command::CommandCount => reply.integer(i64::try_from(rows().count()).expect("the table is small")),
        Command::CommandInfo => info::named(args, reply),
        Command::CommandList => list::list(args, glob, reply),
        Command::CommandGetKeys => keys::keys(args, reply),
        Command::CommandGetKeysAndFlags => keys::keys_and_flags(args, reply),
        Command::CommandDocs => docs::docs(args, reply),
        Command::CommandHelp => help(Command::Command, reply),
        other => unreachable!("{other:?} is no part of COMMAND"),
    }
}

/// A set of the names of those bits that are set.
fn name_set(bits: u32, table: &'static [(u32, &'static str)], reply: &mut Reply<'_>) {
    reply.set(names(bits, table).count());
    names(bits, table).for_each(|name| reply.simple(name));
}

fn field(name: &str, value: &str, reply: &mut Reply<'_>) {
    reply.bulk(name.as_bytes());
    reply.bulk(value.as_bytes());
}
