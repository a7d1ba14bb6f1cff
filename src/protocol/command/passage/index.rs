//! From a name to its passage, ours and others' in one table.

use super::{Passage, foreign, own};
use crate::protocol::command::names::{Named, Names};
use crate::protocol::command::{Command, table};

/// At most a third full.
const ENTRIES: usize = ((Command::ALL.len() + foreign::ROWS.len()) * 2).next_power_of_two();

static NAMES: Names<Passage, ENTRIES> = index_by_name();

impl Named for Passage {
    #[inline]
    fn name(&self) -> &str {
        self.name
    }
}

/// The passage of a command (not of a subcommand) by its name, in any case.
#[inline]
pub fn lookup(name: &[u8]) -> Option<&'static Passage> {
    NAMES.find(name)
}

const fn index_by_name() -> Names<Passage, ENTRIES> {
    let mut names = Names::empty(&Passage::UNKNOWN);
    let mut group = 0;
    while group < table::GROUPS.len() {
        let rows = table::GROUPS[group];
        let mut row = 0;
        while row < rows.len() {
            names.put(rows[row].name, &own::OWN[rows[row].command as usize]);
            row += 1;
        }
        group += 1;
    }
    let mut row = 0;
    while row < foreign::ROWS.len() {
        names.put(foreign::ROWS[row].name, &foreign::ROWS[row]);
        row += 1;
    }
    names
}

#[cfg(test)]
pub(super) fn check_constructors() {
    assert_eq!(index_by_name().entries(), NAMES.entries());
}
