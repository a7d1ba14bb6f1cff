//! COMMAND and COMMAND INFO: ten facts a command, for clients that route and check by them.

use super::{field, name_set};
use crate::protocol::command::flags::{access, category, flag};
use crate::protocol::command::{Keys, Spec, lookup_full, rows};
use crate::protocol::resp::{Args, Reply};

pub fn all(reply: &mut Reply<'_>) {
    reply.array(rows().count());
    rows().for_each(|spec| entry(spec, reply));
}

/// An entry for each name given, null for an unknown one; all entries where no name is given.
pub fn named(args: &Args<'_>, reply: &mut Reply<'_>) {
    if args.len() == 2 {
        return all(reply);
    }
    reply.array(args.len() - 2);
    for i in 2..args.len() {
        match lookup_full(args.get(i)) {
            Some(spec) => entry(spec, reply),
            None => reply.null(),
        }
    }
}

fn entry(spec: &Spec, reply: &mut Reply<'_>) {
    reply.array(10);
    reply.bulk(spec.name.as_bytes());
    reply.integer(spec.arity.into());
    name_set(spec.flags, flag::NAMES, reply);
    reply.integer(spec.keys.first.into());
    reply.integer(spec.keys.last.into());
    reply.integer(spec.keys.step.into());
    name_set(spec.categories(), category::NAMES, reply);
    reply.set(spec.tips.len());
    spec.tips.iter().for_each(|tip| reply.bulk(tip.as_bytes()));
    key_specifications(spec.keys, reply);
    if spec.subcommands.is_empty() {
        reply.set(0);
    } else {
        reply.array(spec.subcommands.len());
        spec.subcommands.iter().for_each(|sub| entry(sub, reply));
    }
}

/// Each command of the table names its keys by one range; one whose first key is used otherwise has it apart.
fn key_specifications(keys: Keys, reply: &mut Reply<'_>) {
    if keys.is_none() {
        return reply.set(0);
    }
    if keys.others == 0 {
        reply.set(1);
        return key_specification(keys, reply);
    }
    reply.set(2);
    key_specification(Keys { last: keys.first as i8, ..keys }, reply);
    key_specification(Keys { first: keys.first + 1, access: keys.others, ..keys }, reply);
}

fn key_specification(keys: Keys, reply: &mut Reply<'_>) {
    reply.map(if keys.notes.is_empty() { 3 } else { 4 });
    if !keys.notes.is_empty() {
        field("notes", keys.notes, reply);
    }
    reply.bulk(b"flags");
    name_set(keys.access, access::NAMES, reply);
    search("begin_search", "index", &[("index", keys.first.into())], reply);
    // Here the last key is counted from the first one, unless it is counted from the end.
    let last = if keys.last < 0 { keys.last.into() } else { i64::from(keys.last) - i64::from(keys.first) };
    search("find_keys", "range", &[("lastkey", last), ("keystep", keys.step.into()), ("limit", 0)], reply);
}

/// One of the two steps by which a client finds keys: its kind, and that kind's numbers.
fn search(step: &str, kind: &str, numbers: &[(&str, i64)], reply: &mut Reply<'_>) {
    reply.bulk(step.as_bytes());
    reply.map(2);
    field("type", kind, reply);
    reply.bulk(b"spec");
    reply.map(numbers.len());
    for (name, number) in numbers {
        reply.bulk(name.as_bytes());
        reply.integer(*number);
    }
}
