//! COMMAND LIST: the names of commands and subcommands, all or filtered.

use crate::protocol::command::flags::category;
use crate::protocol::command::{Spec, rows};
use crate::protocol::resp::{Args, Reply};

/// What `FILTERBY` keeps.
enum Filter {
    All,
    None,
    /// A bit of [`category`].
    Category(u32),
    /// In lower case.
    Pattern(Vec<u8>),
}

pub fn list(args: &Args<'_>, glob: impl Fn(&[u8], &[u8]) -> bool, reply: &mut Reply<'_>) {
    let Some(filter) = filter(args) else {
        return reply.error("ERR syntax error");
    };
    let kept = |spec: &&Spec| match &filter {
        Filter::All => true,
        Filter::None => false,
        Filter::Category(bit) => spec.categories() & bit != 0,
        Filter::Pattern(pattern) => glob(pattern, spec.name.as_bytes()),
    };
    let listed: Vec<&Spec> =
        rows().flat_map(|spec| std::iter::once(spec).chain(spec.subcommands)).filter(kept).collect();
    reply.array(listed.len());
    listed.iter().for_each(|spec| reply.bulk(spec.name.as_bytes()));
}

/// `None` is a syntax error. A module or category that does not exist is none: nothing is in it.
fn filter(args: &Args<'_>) -> Option<Filter> {
    if args.len() == 2 {
        return Some(Filter::All);
    }
    if args.len() != 5 || !args.get(2).eq_ignore_ascii_case(b"FILTERBY") {
        return None;
    }
    let (kind, value) = (args.get(3), args.get(4).to_ascii_lowercase());
    if kind.eq_ignore_ascii_case(b"MODULE") {
        Some(Filter::None)
    } else if kind.eq_ignore_ascii_case(b"ACLCAT") {
        let found = category::NAMES.iter().find(|(_, name)| name.as_bytes()[1..] == value[..]);
        Some(found.map_or(Filter::None, |(bit, _)| Filter::Category(*bit)))
    } else if kind.eq_ignore_ascii_case(b"PATTERN") {
        Some(Filter::Pattern(value))
    } else {
        None
    }
}
