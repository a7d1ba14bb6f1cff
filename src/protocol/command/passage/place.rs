//! Where the keys of a request stand. The rules are those by which a node of a cluster finds them, not those by which a
//! command reads its options: where the two differ, it is the node's that decide who is asked.

use crate::protocol::command::spec::bounds;
use crate::protocol::resp::Args;

/// The rule of one command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Nowhere,
    /// As in [`Keys`](crate::protocol::command::Keys).
    Range {
        first: u8,
        last: i8,
        step: u8,
    },
    /// Argument `count` says how many stand behind it, each `step` from the last. `target`: argument 1 is one as well.
    Counted {
        count: u8,
        step: u8,
        target: bool,
    },
    /// The first half of what stands behind STREAMS, which is looked for from argument `from` on.
    Streams {
        from: u8,
    },
    /// Argument 1, and one behind STORE and STOREDIST each, which are looked for from argument `from` on.
    Stored {
        from: u8,
    },
    /// SORT: argument 1, and what stands behind the last STORE. Keys that BY and GET make up are the server's business: it
    /// refuses them or has them itself.
    Sorted,
    /// MIGRATE: argument 3, or what stands behind KEYS where that is empty.
    Migrated,
}

/// Where the keys of a request stand: places of arguments, in the order of the rule, never past the request's end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Positions {
    /// One before the others; 0 for none, as below: argument 0 is the name.
    head: u32,
    next: u32,
    end: u32,
    step: u32,
    tail: [u32; 2],
}

impl Place {
    pub const ONE: Place = Place::range(1, 1, 1);

    pub const fn range(first: u8, last: i8, step: u8) -> Place {
        Place::Range { first, last, step }
    }

    pub const fn counted(count: u8) -> Place {
        Place::Counted { count, step: 1, target: false }
    }

    /// The numbers by which COMMAND tells of places: the first key, the last, and the step between them.
    pub const fn in_short(self) -> (u8, i8, u8) {
        match self {
            Place::Nowhere | Place::Counted { target: false, .. } | Place::Streams { .. } => (0, 0, 0),
            Place::Range { first, last, step } => (first, last, step),
            Place::Counted { target: true, .. } | Place::Stored { .. } | Place::Sorted => (1, 1, 1),
            Place::Migrated => (3, 3, 1),
        }
    }

    #[inline]
    pub fn positions(self, args: &Args<'_>) -> Positions {
        match self {
            Place::Range { first, last, step } => {
                let (first, end) = bounds(first, last, args.len());
                Positions::range(first, end, usize::from(step))
            }
            Place::Nowhere => Positions::default(),
            _ => self.search(args),
        }
    }

    /// The rules that have to look at arguments.
    fn search(self, args: &Args<'_>) -> Positions {
        match self {
            Place::Nowhere | Place::Range { .. } => Positions::default(),
            Place::Counted { count, step, target } => counted(args, usize::from(count), usize::from(step), target),
            Place::Streams { from } => streams(args, usize::from(from)),
            Place::Stored { from } => stored(args, usize::from(from)),
            Place::Sorted => sorted(args),
            Place::Migrated => migrated(args),
        }
    }
}

impl Positions {
    #[inline]
    fn range(first: usize, end: usize, step: usize) -> Positions {
        Positions { next: first as u32, end: end as u32, step: step.max(1) as u32, ..Positions::default() }
    }

    /// The first, which decides where a request goes that cannot be split.
    #[inline]
    pub fn first(mut self) -> Option<usize> {
        self.next()
    }

    /// How many there are left.
    pub fn count_left(&self) -> usize {
        let ranged = self.end.saturating_sub(self.next).div_ceil(self.step.max(1));
        let lone = [self.head, self.tail[0], self.tail[1]].iter().filter(|place| **place != 0).count();
        ranged as usize + lone
    }
}

impl Iterator for Positions {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.head != 0 {
            return Some(std::mem::take(&mut self.head) as usize);
        }
        if self.next < self.end {
            let place = self.next;
            self.next = place.saturating_add(self.step);
            return Some(place as usize);
        }
        let place = self.tail.iter_mut().find(|place| **place != 0)?;
        Some(std::mem::take(place) as usize)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count_left(), Some(self.count_left()))
    }
}

impl ExactSizeIterator for Positions {}

/// A count that is none, or that promises more keys than there are, leaves no key at all: whoever gets the request says
/// what is wrong.
fn counted(args: &Args<'_>, count: usize, step: usize, target: bool) -> Positions {
    let said = args.try_get(count).and_then(number);
    let Some(keys) = said.filter(|keys| *keys > 0) else { return Positions::default() };
    let room = args.len() - (count + 1);
    match keys.checked_mul(step) {
        Some(taken) if taken <= room => {
            let first = count + 1;
            Positions { head: u32::from(target), ..Positions::range(first, first + taken, step) }
        }
        _ => Positions::default(),
    }
}

fn streams(args: &Args<'_>, from: usize) -> Positions {
    match find(args, from, b"STREAMS") {
        Some(word) => {
            let first = word + 1;
            Positions::range(first, first + (args.len() - first) / 2, 1)
        }
        None => Positions::default(),
    }
}

fn stored(args: &Args<'_>, from: usize) -> Positions {
    let behind = |word: &[u8]| find(args, from, word).map_or(0, |at| at as u32 + 1);
    let head = u32::from(args.len() > 1);
    Positions { head, tail: [behind(b"STORE"), behind(b"STOREDIST")], ..Positions::default() }
}

fn sorted(args: &Args<'_>) -> Positions {
    let (mut at, mut target) = (2, 0);
    while let Some(word) = args.try_get(at) {
        at += match word {
            _ if word.eq_ignore_ascii_case(b"LIMIT") => 3,
            _ if word.eq_ignore_ascii_case(b"GET") || word.eq_ignore_ascii_case(b"BY") => 2,
            _ => {
                if word.eq_ignore_ascii_case(b"STORE") && at + 1 < args.len() {
                    target = at as u32 + 1;
                }
                1
            }
        };
    }
    Positions { head: u32::from(args.len() > 1), tail: [target, 0], ..Positions::default() }
}

fn migrated(args: &Args<'_>) -> Positions {
    let alone = Positions::range(3, 4.min(args.len()), 1);
    if find(args, 2, b"KEYS").is_none() {
        return alone;
    }
    let mut at = 6;
    while let Some(word) = args.try_get(at) {
        at += match word {
            _ if word.eq_ignore_ascii_case(b"KEYS") => {
                let end = if args.get(3).is_empty() { args.len() } else { at + 1 };
                return Positions::range(at + 1, end, 1);
            }
            _ if word.eq_ignore_ascii_case(b"AUTH") => 2,
            _ if word.eq_ignore_ascii_case(b"AUTH2") => 3,
            _ => 1,
        };
    }
    alone
}

/// Whether XREAD or XREADGROUP is told to wait: BLOCK among the options, where no option's value stands.
pub(super) fn says_block(args: &Args<'_>) -> bool {
    let mut at = 1;
    while let Some(word) = args.try_get(at) {
        at += match word {
            _ if word.eq_ignore_ascii_case(b"BLOCK") => return true,
            _ if word.eq_ignore_ascii_case(b"STREAMS") => return false,
            _ if word.eq_ignore_ascii_case(b"GROUP") => 3,
            _ if word.eq_ignore_ascii_case(b"COUNT") || word.eq_ignore_ascii_case(b"CLAIM") => 2,
            _ => 1,
        };
    }
    false
}

/// The first of these words from argument `from` on that has an argument behind it.
fn find(args: &Args<'_>, from: usize, word: &[u8]) -> Option<usize> {
    (from..args.len().saturating_sub(1)).find(|&at| args.get(at).eq_ignore_ascii_case(word))
}

/// A number as Redis takes one: digits alone, none in front that is zero.
fn number(text: &[u8]) -> Option<usize> {
    let is_plain = text.first().is_some_and(|digit| *digit != b'0') && text.iter().all(u8::is_ascii_digit);
    if is_plain { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}
