//! COMMAND GETKEYS and GETKEYSANDFLAGS: which arguments of a full command are keys.

use super::name_set;
use crate::protocol::command::flags::access;
use crate::protocol::command::lookup::{lookup, subcommand};
use crate::protocol::command::{Command, Spec};
use crate::protocol::resp::{Args, Reply};

/// Where in the request the command asked about begins.
const ASKED: usize = 2;

pub fn keys(args: &Args<'_>, reply: &mut Reply<'_>) {
    match asked(args) {
        Ok(spec) => {
            let positions = spec.keys.positions(args.len() - ASKED);
            reply.array(positions.clone().count());
            positions.for_each(|i| reply.bulk(args.get(ASKED + i)));
        }
        Err(text) => reply.error(text),
    }
}

pub fn keys_and_flags(args: &Args<'_>, reply: &mut Reply<'_>) {
    match asked(args) {
        Ok(spec) => {
            let positions = spec.keys.positions(args.len() - ASKED);
            reply.array(positions.clone().count());
            for i in positions {
                reply.array(2);
                reply.bulk(args.get(ASKED + i));
                name_set(access_of(spec, args, i), access::NAMES, reply);
            }
        }
        Err(text) => reply.error(text),
    }
}

/// The command asked about, which has keys and enough arguments; or the refusal.
fn asked(args: &Args<'_>) -> Result<&'static Spec, &'static str> {
    let named = lookup(args.get(ASKED)).and_then(|spec| {
        let container = !spec.subcommands.is_empty() && args.len() > ASKED + 1;
        if container { subcommand(spec, args.get(ASKED + 1)) } else { Some(spec) }
    });
    let spec = named.ok_or("ERR Invalid command specified")?;
    if !spec.keys.names_keys() {
        return Err("ERR The command has no key arguments");
    }
    if !spec.arity_fits(args.len() - ASKED) {
        return Err("ERR Invalid number of arguments specified for command");
    }
    Ok(spec)
}

/// SET reads its key only if told to.
fn access_of(spec: &Spec, args: &Args<'_>, position: usize) -> u32 {
    if spec.command != Command::Set {
        return spec.keys.access_at(position);
    }
    let reads = (ASKED + 3..args.len()).any(|i| args.get(i).eq_ignore_ascii_case(b"GET"));
    if reads { access::RW | access::ACCESS | access::UPDATE } else { access::OW | access::UPDATE }
}
