//! From a request's first words to its row: no allocation, and a few nanoseconds for the names that matter.
//!
//! One open-addressed table, built at compile time, is keyed by the name's first eight bytes in lower case.
//! For a name of at most eight letters, that word and the length are the name, so nothing else is compared.

use super::error::CommandError;
use super::spec::Spec;
use super::{Command, table};
use crate::protocol::resp::Args;

/// At most a quarter full, so that nearly each probe ends at its first entry.
const ENTRIES: usize = (Command::ALL.len() * 4).next_power_of_two();
const ENTRIES_BITS: u32 = ENTRIES.trailing_zeros();

static ENTRY_OF_NAME: [Entry; ENTRIES] = index_by_name();
pub(super) static SPEC_OF_COMMAND: [&Spec; Command::ALL.len()] = index_by_command();

const GET: u32 = u32::from_le_bytes(*b"get\0");
const SET: u32 = u32::from_le_bytes(*b"set\0");

#[derive(Clone, Copy)]
struct Entry {
    word: u64,
    /// [`NO_NAME`] where the entry is free; `spec` then means nothing.
    length: u32,
    /// Whether word and length identify the name without a comparison of the rest.
    exact: bool,
    spec: &'static Spec,
}

/// A length that no name has; requests are shorter.
const NO_NAME: u32 = u32::MAX;

/// The row of a command (not of a subcommand) by its name, in any case.
#[inline]
pub fn lookup(name: &[u8]) -> Option<&'static Spec> {
    let word = word_of(name);
    let entry = &ENTRY_OF_NAME[place_of(word)];
    if entry.word == word && entry.length as usize == name.len() && entry.exact {
        return Some(entry.spec);
    }
    lookup_slow(name, word)
}

/// What is left after [`lookup`]'s common case: long names, names displaced by a collision, and unknown ones.
#[inline(never)]
fn lookup_slow(name: &[u8], word: u64) -> Option<&'static Spec> {
    let mut place = place_of(word);
    loop {
        let entry = &ENTRY_OF_NAME[place % ENTRIES];
        if entry.length == NO_NAME {
            return None;
        }
        if entry.word == word && entry.spec.name.as_bytes().eq_ignore_ascii_case(name) {
            return Some(entry.spec);
        }
        place += 1;
    }
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

/// The first eight bytes, little-endian, letters in lower case, zeros past the name's end.
///
/// Bit 5 is set wherever bit 6 is. That lowers the letters and makes no other byte a letter, so for names of
/// letters it loses nothing; it does confuse `@` with a backquote, and the like.
#[inline]
pub(super) const fn word_of(name: &[u8]) -> u64 {
    // Names shorter than a load are put together from loads that overlap: the shared bytes agree, so `|` joins them.
    let length = name.len();
    let word = if let Some(bytes) = name.first_chunk::<8>() {
        u64::from_le_bytes(*bytes)
    } else if let (Some(head), Some(tail)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        u32::from_le_bytes(*head) as u64 | (u32::from_le_bytes(*tail) as u64) << (8 * (length - 4))
    } else if length > 0 {
        let middle = length / 2;
        name[0] as u64 | (name[middle] as u64) << (8 * middle) | (name[length - 1] as u64) << (8 * (length - 1))
    } else {
        0
    };
    word | (word >> 1) & 0x2020_2020_2020_2020
}

/// Multiplicative (Fibonacci) hashing: the product's top bits depend on each byte of the word.
#[inline]
pub(super) const fn hash_of(word: u64, bits: u32) -> usize {
    (word.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - bits)) as usize
}

#[inline]
const fn place_of(word: u64) -> usize {
    hash_of(word, ENTRIES_BITS)
}

const fn index_by_name() -> [Entry; ENTRIES] {
    let free = Entry { word: 0, length: NO_NAME, exact: false, spec: &table::GROUPS[0][0] };
    let mut entries = [free; ENTRIES];
    let mut group = 0;
    while group < table::GROUPS.len() {
        let rows = table::GROUPS[group];
        let mut row = 0;
        while row < rows.len() {
            let spec = &rows[row];
            let name = spec.name.as_bytes();
            let word = word_of(name);
            let mut place = place_of(word);
            while entries[place % ENTRIES].length != NO_NAME {
                place += 1;
            }
            let exact = name.len() <= 8 && only_letters(name);
            entries[place % ENTRIES] = Entry { word, length: name.len() as u32, exact, spec };
            row += 1;
        }
        group += 1;
    }
    entries
}

pub(super) const fn only_letters(name: &[u8]) -> bool {
    let mut i = 0;
    while i < name.len() {
        if !name[i].is_ascii_lowercase() {
            return false;
        }
        i += 1;
    }
    true
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
        for (made, compiled) in index_by_name().iter().zip(&ENTRY_OF_NAME) {
            assert_eq!(
                (made.word, made.length, made.exact, made.spec.name),
                (compiled.word, compiled.length, compiled.exact, compiled.spec.name)
            );
        }
    }

    #[test]
    fn the_index_by_command_is_made_alike_at_run_time() {
        for (made, compiled) in index_by_command().into_iter().zip(SPEC_OF_COMMAND) {
            assert_eq!((made.command, made.name), (compiled.command, compiled.name));
        }
    }
}
