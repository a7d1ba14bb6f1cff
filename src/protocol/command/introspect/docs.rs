//! COMMAND DOCS: what people and redis-cli's hints read.

use super::field;
use crate::protocol::command::{Arg, ArgKind, Spec, lookup_full, rows};
use crate::protocol::resp::{Args, Reply};

/// Name and documentation of each command named; unknown names are left out, and no names mean all.
pub fn docs(args: &Args<'_>, reply: &mut Reply<'_>) {
    let named = || (2..args.len()).filter_map(|i| lookup_full(args.get(i)));
    if args.len() == 2 {
        reply.map(rows().count());
        rows().for_each(|spec| entry(spec, reply));
    } else {
        reply.map(named().count());
        named().for_each(|spec| entry(spec, reply));
    }
}

fn entry(spec: &Spec, reply: &mut Reply<'_>) {
    reply.bulk(spec.name.as_bytes());
    let deprecated = if spec.deprecated.is_some() { 3 } else { 0 };
    reply.map(4 + deprecated + usize::from(!spec.args.is_empty()) + usize::from(!spec.subcommands.is_empty()));
    field("summary", spec.summary, reply);
    field("since", spec.since, reply);
    field("group", spec.group.name(), reply);
    field("complexity", spec.complexity, reply);
    if let Some(deprecated) = &spec.deprecated {
        reply.bulk(b"doc_flags");
        reply.set(1);
        reply.simple("deprecated");
        field("deprecated_since", deprecated.since, reply);
        field("replaced_by", deprecated.replaced_by, reply);
    }
    if !spec.args.is_empty() {
        arguments(spec.args, reply);
    }
    if !spec.subcommands.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(spec.subcommands.len());
        spec.subcommands.iter().for_each(|sub| entry(sub, reply));
    }
}

/// Recursion is as deep as the table nests arguments.
fn arguments(args: &[Arg], reply: &mut Reply<'_>) {
    reply.bulk(b"arguments");
    reply.array(args.len());
    args.iter().for_each(|arg| argument(arg, reply));
}

fn argument(arg: &Arg, reply: &mut Reply<'_>) {
    let texts = [("token", arg.token), ("since", arg.since), ("deprecated_since", arg.deprecated_since)];
    let texts = texts.iter().filter(|(_, value)| !value.is_empty());
    let flags = [("optional", arg.optional), ("multiple", arg.multiple), ("multiple_token", arg.multiple_token)];
    let flags = flags.iter().filter(|(_, set)| *set);
    let has_flags = arg.optional || arg.multiple;
    let is_key = arg.kind == ArgKind::Key;

    let parts = [is_key, has_flags, !arg.args.is_empty()].iter().filter(|part| **part).count();
    reply.map(2 + texts.clone().count() + parts);
    field("name", arg.name, reply);
    field("type", arg.kind.name(), reply);
    if is_key {
        reply.bulk(b"key_spec_index");
        reply.integer(0);
    }
    texts.for_each(|(name, value)| field(name, value, reply));
    if has_flags {
        reply.bulk(b"flags");
        reply.set(flags.clone().count());
        flags.for_each(|(name, _)| reply.simple(name));
    }
    if !arg.args.is_empty() {
        arguments(arg.args, reply);
    }
}
