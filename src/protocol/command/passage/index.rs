//! From a name to its passage, ours and others' in one table: see `lookup.rs`, whose way of hashing this is.

use super::{Passage, foreign, own};
use crate::protocol::command::lookup::{hash_of, only_letters, word_of};
use crate::protocol::command::{Command, table};

/// At most a third full.
const ENTRIES: usize = ((Command::ALL.len() + foreign::ROWS.len()) * 2).next_power_of_two();
const ENTRIES_BITS: u32 = ENTRIES.trailing_zeros();

static ENTRY_OF_NAME: [Entry; ENTRIES] = index_by_name();

#[derive(Clone, Copy)]
struct Entry {
    word: u64,
    /// [`NO_NAME`] where the entry is free; `passage` then means nothing.
    length: u32,
    /// Whether word and length identify the name without a comparison of the rest.
    exact: bool,
    passage: &'static Passage,
}

/// A length that no name has.
const NO_NAME: u32 = u32::MAX;

/// The passage of a command (not of a subcommand) by its name, in any case.
#[inline]
pub fn lookup(name: &[u8]) -> Option<&'static Passage> {
    let word = word_of(name);
    let mut place = hash_of(word, ENTRIES_BITS);
    loop {
        let entry = &ENTRY_OF_NAME[place % ENTRIES];
        if entry.length == NO_NAME {
            return None;
        }
        let is_it = entry.word == word
            && entry.length as usize == name.len()
            && (entry.exact || entry.passage.name.as_bytes().eq_ignore_ascii_case(name));
        if is_it {
            return Some(entry.passage);
        }
        place += 1;
    }
}

const fn index_by_name() -> [Entry; ENTRIES] {
    let free = Entry { word: 0, length: NO_NAME, exact: false, passage: &Passage::UNKNOWN };
    let mut entries = [free; ENTRIES];
    let mut group = 0;
    while group < table::GROUPS.len() {
        let rows = table::GROUPS[group];
        let mut row = 0;
        while row < rows.len() {
            entries = put(entries, &own::OWN[rows[row].command as usize]);
            row += 1;
        }
        group += 1;
    }
    let mut row = 0;
    while row < foreign::ROWS.len() {
        entries = put(entries, &foreign::ROWS[row]);
        row += 1;
    }
    entries
}

const fn put(mut entries: [Entry; ENTRIES], passage: &'static Passage) -> [Entry; ENTRIES] {
    let name = passage.name.as_bytes();
    let word = word_of(name);
    let mut place = hash_of(word, ENTRIES_BITS);
    while entries[place % ENTRIES].length != NO_NAME {
        place += 1;
    }
    let exact = name.len() <= 8 && only_letters(name);
    entries[place % ENTRIES] = Entry { word, length: name.len() as u32, exact, passage };
    entries
}

#[cfg(test)]
pub(super) fn check_constructors() {
    for (made, compiled) in index_by_name().iter().zip(&ENTRY_OF_NAME) {
        assert_eq!(
            (made.word, made.length, made.exact, made.passage.name),
            (compiled.word, compiled.length, compiled.exact, compiled.passage.name)
        );
    }
}
