//! From a request's first words to its row, by way of `names.rs`.

use super::error::CommandError;
use super::names::{Named, Names};
use super::spec::Spec;
use super::{Command, table};
use crate::protocol::resp::Args;

/// At most a quarter full, so that nearly each probe ends at its first entry.
const ENTRIES: usize = (Command::ALL.len() * 4).next_power_of_two();

static NAMES: Names<Spec, ENTRIES> = index_by_name();
pub(super) static SPEC_OF_COMMAND: [&Spec; Command::ALL.len()] = index_by_command();

const GET: u32 = u32::from_le_bytes(*b"get\0");
const SET: u32 = u32::from_le_bytes(*b"set\0");

impl Named for Spec {
    #[inline]
    fn name(&self) -> &str {
        self.name
    }
}

/// The row of a command (not of a subcommand) by its name, in any case.
#[inline]
pub fn lookup(name: &[u8]) -> Option<&'static Spec> {
    NAMES.find(name)
}

/// The row of a command or, for `container|subcommand`, of a subcommand, by its name in any case.
pub fn lookup_full(name: &[u8]) -> Option<&'static Spec> {
    match name.iter().position(|&byte| byte == b'|') {
        Some(bar) => subcommand(lookup(&name[..bar])?, &name[bar + 1..]),
        None => lookup(name),
    }
}

/// The row of a variant.
#[inline]
pub fn spec(command: Command) -> &'static Spec {
    SPEC_OF_COMMAND[command as usize]
}

/// The row that a request addresses, its number of arguments checked; a container yields its subcommand's row.
///
/// An empty request is answered like an unknown command of no name; a parser hands none over.
#[inline]
pub fn resolve(args: &Args<'_>) -> Result<&'static Spec, CommandError> {
    if args.is_empty() {
        return Err(CommandError::unknown_command(b"", std::iter::empty()));
    }
    // The two that make up most of all traffic: three letters compared at once.
    if let [a, b, c] = *args.get(0) {
        match u32::from_le_bytes([a | 0x20, b | 0x20, c | 0x20, 0]) {
            GET if args.len() == 2 => return Ok(spec(Command::Get)),
            SET if args.len() >= 3 => return Ok(spec(Command::Set)),
            _ => {}
        }
    }
    match lookup(args.get(0)) {
        Some(spec) if spec.subcommands.is_empty() && spec.arity_fits(args.len()) => Ok(spec),
        found => resolve_slow(found, args),
    }
}

/// What is left after [`resolve`]'s common case: containers and refusals.
#[cold]
#[inline(never)]
fn resolve_slow(found: Option<&'static Spec>, args: &Args<'_>) -> Result<&'static Spec, CommandError> {
    let Some(spec) = found else {
        return Err(CommandError::unknown_command(args.get(0), args.iter().skip(1)));
    };
    let spec = if spec.subcommands.is_empty() || args.len() == 1 {
        spec
    } else {
        subcommand(spec, args.get(1)).ok_or_else(|| CommandError::unknown_subcommand(spec.name, args.get(1)))?
    };
    if spec.arity_fits(args.len()) { Ok(spec) } else { Err(CommandError::WrongArity { spec }) }
}

/// A container's subcommand by its own name. Containers are few and short, and none is on a hot path.
pub(super) fn subcommand(container: &Spec, name: &[u8]) -> Option<&'static Spec> {
    container.subcommands.iter().find(|spec| spec.short_name().as_bytes().eq_ignore_ascii_case(name))
}

const fn index_by_name() -> Names<Spec, ENTRIES> {
    let mut names = Names::empty(&table::GROUPS[0][0]);
    let mut group = 0;
    while group < table::GROUPS.len() {
        let rows = table::GROUPS[group];
        let mut row = 0;
        while row < rows.len() {
            names.put(rows[row].name, &rows[row]);
            row += 1;
        }
        group += 1;
    }
    names
}

/// Refuses to compile unless each variant has exactly one row.
const fn index_by_command() -> [&'static Spec; Command::ALL.len()] {
    let mut specs: [Option<&'static Spec>; Command::ALL.len()] = [None; Command::ALL.len()];
    let mut group = 0;
    while group < table::GROUPS.len() {
        specs = place_rows(table::GROUPS[group], specs);
        group += 1;
    }
    let mut placed = [&table::GROUPS[0][0]; Command::ALL.len()];
    let mut i = 0;
    while i < specs.len() {
        placed[i] = specs[i].expect("each variant of Command has a row");
        i += 1;
    }
    placed
}

type Placed = [Option<&'static Spec>; Command::ALL.len()];

const fn place_rows(rows: &'static [Spec], mut specs: Placed) -> Placed {
    let mut row = 0;
    while row < rows.len() {
        let place = rows[row].command as usize;
        assert!(specs[place].is_none(), "two rows for one variant of Command");
        specs[place] = Some(&rows[row]);
        specs = place_rows(rows[row].subcommands, specs);
        row += 1;
    }
    specs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The index that the compiler has made is the one that the same code makes here.
    #[test]
    fn the_index_by_name_is_made_alike_at_run_time() {
        assert_eq!(index_by_name().entries(), NAMES.entries());
    }

    #[test]
    fn the_index_by_command_is_made_alike_at_run_time() {
        for (made, compiled) in index_by_command().into_iter().zip(SPEC_OF_COMMAND) {
            assert_eq!((made.command, made.name), (compiled.command, compiled.name));
        }
    }
}
