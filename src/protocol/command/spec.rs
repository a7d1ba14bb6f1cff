//! What a row of the table says about its command, and the constructors that keep rows short.

use super::Command;
use super::flags::{access, category, flag};

/// One command or subcommand. Rows are static; two specs are the same when their `command` is.
///
/// What every request needs comes first and fills one cache line; the rest is for people and COMMAND.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Spec {
    pub command: Command,
    /// It is an operation on one key, its first argument.
    pub single_key: bool,
    /// The exact number of arguments, the name included; negative: at least so many.
    pub arity: i16,
    /// Bits of [`flag`].
    pub flags: u32,
    /// Lower case; a subcommand's is `container|subcommand`, as Redis writes it in replies and errors.
    pub name: &'static str,
    pub subcommands: &'static [Spec],
    pub keys: Keys,
    pub group: Group,
    /// Categories beyond those that the flags imply: bits of [`category`].
    acl: u32,
    pub since: &'static str,
    pub complexity: &'static str,
    pub summary: &'static str,
    pub deprecated: Option<Deprecated>,
    pub tips: &'static [&'static str],
    pub args: &'static [Arg],
}

/// Since when a command is out of favour, and what to use.
#[derive(Debug)]
pub struct Deprecated {
    pub since: &'static str,
    pub replaced_by: &'static str,
}

/// Which arguments are keys: a range with a step. `first` is 0 where none is.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    pub first: u8,
    /// Negative counts from the end: -1 is the last argument.
    pub last: i8,
    pub step: u8,
    /// Bits of [`access`].
    pub access: u32,
    /// Bits of [`access`] for the keys behind the first, where they are used otherwise; 0 where all are used alike.
    pub others: u32,
    /// A remark that COMMAND INFO shows beside `access`; empty where there is none.
    pub notes: &'static str,
}

/// The chapter of the manual that a command stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Generic,
    String,
    Bitmap,
    Transactions,
    Connection,
    Server,
    Cluster,
    PubSub,
    Scripting,
}

/// The documentation of one argument, as COMMAND DOCS shows it and redis-cli hints it.
#[derive(Debug)]
pub struct Arg {
    pub name: &'static str,
    pub kind: ArgKind,
    /// The literal word before the value, or the whole argument for [`ArgKind::PureToken`]; empty where none.
    pub token: &'static str,
    pub since: &'static str,
    pub deprecated_since: &'static str,
    pub optional: bool,
    pub multiple: bool,
    /// The token comes again before each of several values.
    pub multiple_token: bool,
    /// The alternatives of a [`ArgKind::OneOf`], the parts of a [`ArgKind::Block`].
    pub args: &'static [Arg],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgKind {
    Text,
    Integer,
    Double,
    Key,
    Pattern,
    UnixTime,
    PureToken,
    OneOf,
    Block,
}

/// What [`Spec::new`] starts from.
const BLANK: Spec = Spec {
    name: "",
    command: Command::Get,
    single_key: false,
    arity: 0,
    flags: 0,
    keys: Keys::NONE,
    group: Group::Generic,
    acl: 0,
    since: "",
    complexity: "",
    summary: "",
    deprecated: None,
    tips: &[],
    args: &[],
    subcommands: &[],
};

impl Spec {
    /// Whether a request of `argc` arguments, the name included, may run.
    #[inline]
    pub fn arity_fits(&self, argc: usize) -> bool {
        let least = usize::from(self.arity.unsigned_abs());
        argc == least || (self.arity < 0 && argc > least)
    }

    /// Whether any of these bits of [`flag`] is set.
    #[inline]
    pub fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    /// The name without its container: `setname` of `client|setname`.
    pub fn short_name(&self) -> &'static str {
        self.name.split_once('|').map_or(self.name, |(_, short)| short)
    }

    /// Bits of [`category`]: the row's own and those that its flags imply.
    pub fn categories(&self) -> u32 {
        let implied = [
            (flag::WRITE, category::WRITE),
            (flag::READONLY, category::READ),
            (flag::ADMIN, category::ADMIN | category::DANGEROUS),
            (flag::PUBSUB, category::PUBSUB),
            (flag::BLOCKING, category::BLOCKING),
        ];
        let pace = if self.has(flag::FAST) { category::FAST } else { category::SLOW };
        implied.iter().filter(|(flag, _)| self.has(*flag)).fold(self.acl | pace, |all, (_, category)| all | category)
    }

    /// A row with no flags, keys or arguments; its ACL category is its group's.
    pub const fn new(name: &'static str, command: Command, arity: i16, group: Group) -> Spec {
        let acl = match group {
            Group::Generic => category::KEYSPACE,
            Group::String => category::STRING,
            Group::Bitmap => category::BITMAP,
            Group::Transactions => category::TRANSACTION,
            Group::Connection => category::CONNECTION,
            Group::Scripting => category::SCRIPTING,
            Group::Server | Group::Cluster | Group::PubSub => 0,
        };
        Spec { name, command, arity, group, acl, ..BLANK }
    }

    pub const fn flags(self, flags: u32) -> Spec {
        Spec { flags, ..self }
    }

    pub const fn keys(self, keys: Keys) -> Spec {
        Spec { keys, single_key: keys.first == 1 && keys.last == 1 && keys.names_keys(), ..self }
    }

    /// Replaces the category that the group gave.
    pub const fn acl(self, acl: u32) -> Spec {
        Spec { acl, ..self }
    }

    pub const fn doc(self, since: &'static str, complexity: &'static str, summary: &'static str) -> Spec {
        Spec { since, complexity, summary, ..self }
    }

    pub const fn deprecated(self, since: &'static str, replaced_by: &'static str) -> Spec {
        Spec { deprecated: Some(Deprecated { since, replaced_by }), ..self }
    }

    pub const fn tips(self, tips: &'static [&'static str]) -> Spec {
        Spec { tips, ..self }
    }

    pub const fn args(self, args: &'static [Arg]) -> Spec {
        Spec { args, ..self }
    }

    pub const fn subcommands(self, subcommands: &'static [Spec]) -> Spec {
        Spec { subcommands, ..self }
    }
}

impl Keys {
    pub const NONE: Keys = Keys { first: 0, last: 0, step: 0, access: 0, others: 0, notes: "" };

    /// The first argument.
    pub const fn one(access: u32) -> Keys {
        Keys { first: 1, last: 1, step: 1, access, others: 0, notes: "" }
    }

    /// Each argument.
    pub const fn all(access: u32) -> Keys {
        Keys { first: 1, last: -1, step: 1, access, others: 0, notes: "" }
    }

    /// Each other argument, values between them.
    pub const fn pairs(access: u32) -> Keys {
        Keys { first: 1, last: -1, step: 2, access, others: 0, notes: "" }
    }

    /// The first argument, and the second, which is used otherwise.
    pub const fn two(access: u32, others: u32) -> Keys {
        Keys { last: 2, others, ..Keys::one(access) }
    }

    /// How the key at a position is used.
    pub const fn access_at(self, position: usize) -> u32 {
        if self.others != 0 && position > self.first as usize { self.others } else { self.access }
    }

    /// Names of channels, from the first argument to argument `last`. Cluster-aware clients send them where a key of that
    /// name would go.
    pub const fn channels(last: i8) -> Keys {
        Keys { first: 1, last, step: 1, access: access::NOT_KEY, others: 0, notes: "" }
    }

    /// Whether the arguments that stand where keys would are keys.
    pub const fn names_keys(self) -> bool {
        !self.is_none() && self.access & access::NOT_KEY == 0
    }

    pub const fn notes(self, notes: &'static str) -> Keys {
        Keys { notes, ..self }
    }

    pub const fn is_none(self) -> bool {
        self.first == 0
    }

    /// Where the keys stand in a request of `argc` arguments; never past its end.
    #[inline]
    pub fn positions(self, argc: usize) -> impl Iterator<Item = usize> + Clone {
        let (first, end) = bounds(self.first, self.last, argc);
        (first..end).step_by(usize::from(self.step).max(1))
    }
}

/// A range of arguments as places in a request of `argc`: where it begins, and where it has ended.
#[inline]
pub(super) fn bounds(first: u8, last: i8, argc: usize) -> (usize, usize) {
    let end = match last {
        0.. => (usize::from(last.unsigned_abs()) + 1).min(argc),
        _ => (argc + 1).saturating_sub(usize::from(last.unsigned_abs())),
    };
    let first = usize::from(first);
    (first, if first == 0 { 0 } else { end })
}

impl Group {
    pub fn name(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::String => "string",
            Group::Bitmap => "bitmap",
            Group::Transactions => "transactions",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Cluster => "cluster",
            Group::PubSub => "pubsub",
            Group::Scripting => "scripting",
        }
    }
}

impl ArgKind {
    pub fn name(self) -> &'static str {
        match self {
            ArgKind::Text => "string",
            ArgKind::Integer => "integer",
            ArgKind::Double => "double",
            ArgKind::Key => "key",
            ArgKind::Pattern => "pattern",
            ArgKind::UnixTime => "unix-time",
            ArgKind::PureToken => "pure-token",
            ArgKind::OneOf => "oneof",
            ArgKind::Block => "block",
        }
    }
}

impl Arg {
    const fn new(name: &'static str, kind: ArgKind) -> Arg {
        let (token, since, deprecated_since) = ("", "", "");
        let (optional, multiple, multiple_token) = (false, false, false);
        Arg { name, kind, token, since, deprecated_since, optional, multiple, multiple_token, args: &[] }
    }

    /// The argument `key`, the usual name of a key.
    pub const KEY: Arg = Arg::key("key");

    /// A key under another name.
    pub const fn key(name: &'static str) -> Arg {
        Arg::new(name, ArgKind::Key)
    }

    pub const fn text(name: &'static str) -> Arg {
        Arg::new(name, ArgKind::Text)
    }

    pub const fn integer(name: &'static str) -> Arg {
        Arg::new(name, ArgKind::Integer)
    }

    pub const fn double(name: &'static str) -> Arg {
        Arg::new(name, ArgKind::Double)
    }

    pub const fn pattern(name: &'static str) -> Arg {
        Arg::new(name, ArgKind::Pattern)
    }

    pub const fn unix_time(name: &'static str) -> Arg {
        Arg::new(name, ArgKind::UnixTime)
    }

    /// A literal word that stands alone.
    pub const fn word(name: &'static str, token: &'static str) -> Arg {
        Arg::new(name, ArgKind::PureToken).after(token)
    }

    pub const fn one_of(name: &'static str, args: &'static [Arg]) -> Arg {
        Arg { args, ..Arg::new(name, ArgKind::OneOf) }
    }

    pub const fn block(name: &'static str, args: &'static [Arg]) -> Arg {
        Arg { args, ..Arg::new(name, ArgKind::Block) }
    }

    /// Preceded by a literal word.
    pub const fn after(self, token: &'static str) -> Arg {
        Arg { token, ..self }
    }

    pub const fn since(self, since: &'static str) -> Arg {
        Arg { since, ..self }
    }

    pub const fn deprecated(self, deprecated_since: &'static str) -> Arg {
        Arg { deprecated_since, ..self }
    }

    pub const fn optional(self) -> Arg {
        Arg { optional: true, ..self }
    }

    pub const fn multiple(self) -> Arg {
        Arg { multiple: true, ..self }
    }

    pub const fn multiple_tokens(self) -> Arg {
        Arg { multiple: true, multiple_token: true, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::command::rows;

    /// The same row, from the constructors.
    fn spec_again(spec: &Spec) -> Spec {
        let made = Spec::new(spec.name, spec.command, spec.arity, spec.group)
            .flags(spec.flags)
            .keys(keys_again(spec.keys))
            .doc(spec.since, spec.complexity, spec.summary)
            .tips(spec.tips)
            .args(spec.args)
            .subcommands(spec.subcommands);
        let made = if made.acl == spec.acl { made } else { made.acl(spec.acl) };
        match &spec.deprecated {
            Some(Deprecated { since, replaced_by }) => made.deprecated(since, replaced_by),
            None => made,
        }
    }

    fn keys_again(keys: Keys) -> Keys {
        let made = match (keys.first, keys.last, keys.step) {
            (0, ..) => Keys::NONE,
            (1, last, 1) if !keys.names_keys() => Keys::channels(last),
            (1, 1, 1) => Keys::one(keys.access),
            (1, 2, 1) if keys.others != 0 => Keys::two(keys.access, keys.others),
            (1, -1, 1) => Keys::all(keys.access),
            (1, -1, 2) => Keys::pairs(keys.access),
            // The few that a row writes out.
            _ => keys,
        };
        if keys.notes.is_empty() { made } else { made.notes(keys.notes) }
    }

    fn arg_again(arg: &Arg) -> Arg {
        let mut made = match arg.kind {
            ArgKind::Text => Arg::text(arg.name),
            ArgKind::Integer => Arg::integer(arg.name),
            ArgKind::Double => Arg::double(arg.name),
            ArgKind::Key => Arg::key(arg.name),
            ArgKind::Pattern => Arg::pattern(arg.name),
            ArgKind::UnixTime => Arg::unix_time(arg.name),
            ArgKind::PureToken => Arg::word(arg.name, arg.token),
            ArgKind::OneOf => Arg::one_of(arg.name, arg.args),
            ArgKind::Block => Arg::block(arg.name, arg.args),
        };
        if !arg.token.is_empty() {
            made = made.after(arg.token);
        }
        if !arg.since.is_empty() {
            made = made.since(arg.since);
        }
        if !arg.deprecated_since.is_empty() {
            made = made.deprecated(arg.deprecated_since);
        }
        if arg.optional {
            made = made.optional();
        }
        match (arg.multiple, arg.multiple_token) {
            (true, true) => made.multiple_tokens(),
            (true, false) => made.multiple(),
            _ => made,
        }
    }

    fn check_args(args: &[Arg]) {
        for arg in args {
            assert_eq!(format!("{:?}", arg_again(arg)), format!("{arg:?}"));
            check_args(arg.args);
        }
    }

    /// Proves that each row, with its keys and arguments, is what the constructors make at run time: the compiler ran them
    /// for the table.
    #[test]
    fn rows_are_made_alike_at_run_time() {
        for spec in rows().flat_map(|spec| std::iter::once(spec).chain(spec.subcommands)) {
            assert_eq!(format!("{:?}", spec_again(spec)), format!("{spec:?}"));
            check_args(spec.args);
        }
    }
}
