//! Owns: what passing a request on to another server takes to know of its command: where the keys stand, which servers it
//! concerns, whether it may be split, and what it makes of the connection it travels on.
//! Knows: all commands of Redis 7.0 and the later ones of Redis 7.4 to 8.4 and Valkey, ours among them.
//! Must never know: which servers there are, where a key lives, who is connected.
//! Read first: this file, then `place.rs`, then `foreign.rs` for the commands that only others run.

mod foreign;
mod index;
mod own;
mod place;
#[cfg(test)]
mod tests;

pub use place::{Place, Positions};

use super::error::CommandError;
use super::flags::flag;
use super::lookup::subcommand;
use super::{Command, spec};
use crate::protocol::resp::Args;

/// One command or subcommand, as whoever passes it on sees it. Passages are static.
#[derive(Clone, Copy, Debug)]
pub struct Passage {
    /// Lower case; a subcommand's is `container|subcommand`. Empty for [`Passage::UNKNOWN`].
    pub name: &'static str,
    /// The command of our own table, where it has it.
    pub command: Option<Command>,
    /// The exact number of arguments, the name included; negative: at least so many.
    pub arity: i16,
    /// Bits of [`flag`].
    pub flags: u32,
    pub place: Place,
    pub goes: Goes,
    pub split: Split,
    pub holds: Holds,
    pub steady: Steady,
    /// What our own table does not have of a container.
    subcommands: &'static [Passage],
}

/// Which servers a request concerns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Goes {
    /// The one that has its keys. A request that turns out to name none may go to any: an error, or a script without keys.
    Keys,
    /// Any one.
    Any,
    /// All that have keys, each once; the replies become one.
    All(Join),
    /// The one that its first channel belongs to, where servers are independent; any node of a cluster.
    Channels,
    /// All where servers are independent; any node of a cluster.
    Patterns,
    /// None: whoever passes requests on answers it.
    Nowhere,
    /// None: it means one server or its replicas, and would say something false of several.
    Never,
}

/// How the replies of several servers become one. An error among them is the reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Join {
    /// They are the same: the first.
    Same,
    /// Added up.
    Sum,
    /// Arrays, one behind the other.
    Lists,
    /// Arrays of a length: each place is 1 if it is in all.
    Each,
    /// Arrays of names and numbers, the same names in all: the numbers are added up.
    Pairs,
    /// One that is no error is enough.
    One,
    /// Any that is neither an error nor nothing.
    Key,
    /// One server after the other, which the cursor has to say.
    Cursor,
}

/// How a request with keys of several servers may become one for each server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Split {
    /// Not at all.
    No,
    /// By keys: each part answers an array, an element for each of its keys.
    Elements,
    /// By keys: the parts' numbers are added up.
    Sum,
    /// By keys, each with the value behind it: OK when every part was.
    Pairs,
}

/// Whether a read of one key is answered the same until that key changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Steady {
    /// Not for certain: it is answered by chance or by the time, or its reply does not say how the first version of the
    /// protocol words it.
    No,
    /// Yes; and what the first version of the protocol lacks, it has one word for.
    Yes,
    /// The same, but that pairs inside of its array are elements of that array in the first version.
    Paired,
}

/// What a request makes of the connection on which it reaches a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holds {
    /// Nothing: it may share one with all others.
    Nothing,
    /// Its reply may take long, and what stands behind it waits.
    Blocks,
    /// The same, if it says BLOCK. [`Passage::holds`] tells.
    BlocksIfTold,
    /// MULTI.
    Begins,
    /// EXEC, DISCARD.
    Ends,
    /// WATCH.
    Watches,
    /// UNWATCH.
    Unwatches,
    /// Messages come unasked.
    Listens,
    /// Messages of some channels come no more.
    Unlistens,
    /// MONITOR.
    Monitors,
    /// CLIENT TRACKING. [`Passage::holds`] tells which of the next two.
    TracksIfTold,
    /// The server says what has changed of what it was asked for.
    Tracks,
    Untracks,
    /// It says or asks something of tracking.
    OfTracking,
    /// RESET: what the connection was, is forgotten.
    Resets,
}

impl Passage {
    /// A name that is in no table: a module's command, or one of a later release. Nearly all such name one key, and first,
    /// so that is what is believed. A cluster corrects a wrong guess, since it looks for the keys itself and redirects; a
    /// single server makes none possible. In a pool of independent servers it would hide data, so they are not asked.
    pub const UNKNOWN: Passage = Passage {
        name: "",
        command: None,
        arity: -1,
        flags: flag::WRITE,
        place: Place::ONE,
        goes: Goes::Keys,
        split: Split::No,
        holds: Holds::Nothing,
        steady: Steady::No,
        subcommands: &[],
    };

    #[inline]
    pub fn is_known(&self) -> bool {
        !self.name.is_empty()
    }

    /// Whether any of these bits of [`flag`] is set.
    #[inline]
    pub fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    /// It changes no key: a replica may answer it, and it may be asked again.
    #[inline]
    pub fn is_read(&self) -> bool {
        self.flags & (flag::READONLY | flag::WRITE) == flag::READONLY
    }

    /// Where the keys stand in a request of this command; for SPUBLISH and its kin, the channels, which have slots too.
    #[inline]
    pub fn keys(&self, args: &Args<'_>) -> Positions {
        self.place.positions(args)
    }

    /// What this request makes of its connection; never one that ends in `IfTold`.
    #[inline]
    pub fn holds(&self, args: &Args<'_>) -> Holds {
        match self.holds {
            Holds::BlocksIfTold if place::says_block(args) => Holds::Blocks,
            Holds::BlocksIfTold => Holds::Nothing,
            Holds::TracksIfTold if args.get(2).eq_ignore_ascii_case(b"OFF") => Holds::Untracks,
            Holds::TracksIfTold => Holds::Tracks,
            holds => holds,
        }
    }

    /// Whether this request is answered the same until its key changes. An option of a later release may make it another.
    #[inline]
    pub fn steady(&self, args: &Args<'_>) -> Steady {
        if self.arity > 0 && args.len() != self.arity as usize { Steady::No } else { self.steady }
    }

    fn arity_fits(&self, argc: usize) -> bool {
        let least = usize::from(self.arity.unsigned_abs());
        // A later release may take more. Who has the key can tell, and words the error.
        argc == least || argc > least && (self.arity < 0 || self.goes == Goes::Keys)
    }
}

/// What a request is, whoever is to run it. A container yields its subcommand.
///
/// The refusals are those of a server: too few arguments, a subcommand that is none. An unknown name is none:
/// see [`Passage::UNKNOWN`].
#[inline]
pub fn passage(args: &Args<'_>) -> Result<&'static Passage, CommandError> {
    let Some(name) = args.try_get(0) else {
        return Err(CommandError::unknown_command(b"", std::iter::empty()));
    };
    let Some(found) = index::lookup(name) else { return Ok(&Passage::UNKNOWN) };
    let found = if found.is_container() && args.len() > 1 { descend(found, args.get(1))? } else { found };
    if found.arity_fits(args.len()) { Ok(found) } else { Err(found.wrong_arity()) }
}

/// The passage of a command of our own table.
#[inline]
pub fn of(command: Command) -> &'static Passage {
    &own::OWN[command as usize]
}

fn descend(container: &'static Passage, name: &[u8]) -> Result<&'static Passage, CommandError> {
    if let Some(sub) = container.command.and_then(|own| subcommand(spec(own), name)) {
        return Ok(of(sub.command));
    }
    let short = |sub: &Passage| sub.name.as_bytes()[container.name.len() + 1..].eq_ignore_ascii_case(name);
    let found = container.subcommands.iter().find(|sub| short(sub));
    found.ok_or_else(|| CommandError::unknown_subcommand(container.name, name))
}

impl Passage {
    fn is_container(&self) -> bool {
        !self.subcommands.is_empty() || self.command.is_some_and(|own| !spec(own).subcommands.is_empty())
    }

    #[cold]
    fn wrong_arity(&'static self) -> CommandError {
        match self.command {
            Some(own) => CommandError::WrongArity { spec: spec(own) },
            None => CommandError::WrongArityAbroad { passage: self },
        }
    }
}
