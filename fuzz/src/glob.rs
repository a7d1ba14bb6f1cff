//! Patterns: what matches is what a table over pattern and text says, and long ones end.

use coldplate::keyspace::glob::matches;

/// Bounds the table.
const CELLS_MAX: usize = 1 << 16;
/// The longest pattern and text of the second part.
const REPEATED_BYTES: usize = 256;

/// Pattern and text, parted by the first NUL.
pub fn glob(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (pattern, text) = (&data[..at], data.get(at + 1..).unwrap_or_default());
    if pattern.len() * text.len() <= CELLS_MAX {
        assert_eq!(matches(pattern, text), model(pattern, text));
    }
    // Exponential time would show here: nothing bounds the stars.
    let again = |bytes: &[u8]| bytes.repeat(REPEATED_BYTES / bytes.len().max(1));
    matches(&again(pattern), &again(text));
}

enum Element {
    Star,
    Any,
    Byte(u8),
    Class { negated: bool, ranges: Vec<(i8, i8)> },
}

impl Element {
    fn takes(&self, byte: u8) -> bool {
        match self {
            Element::Star | Element::Any => true,
            Element::Byte(own) => *own == byte,
            Element::Class { negated, ranges } => {
                let signed = byte as i8;
                ranges.iter().any(|(low, high)| *low <= signed && signed <= *high) != *negated
            }
        }
    }
}

/// For each element from the last to the first, which rests of the text it and what follows match.
fn model(pattern: &[u8], text: &[u8]) -> bool {
    if text.is_empty() {
        return pattern.is_empty() || pattern == b"*";
    }
    let mut fits: Vec<bool> = (0..=text.len()).map(|at| at == text.len()).collect();
    for element in elements(pattern).iter().rev() {
        let mut next = vec![false; text.len() + 1];
        for at in (0..=text.len()).rev() {
            next[at] = match element {
                Element::Star => fits[at] || at < text.len() && next[at + 1],
                element => at < text.len() && element.takes(text[at]) && fits[at + 1],
            };
        }
        fits = next;
    }
    fits[0]
}

fn elements(mut pattern: &[u8]) -> Vec<Element> {
    let mut found = Vec::new();
    while let Some((&first, rest)) = pattern.split_first() {
        pattern = rest;
        found.push(match first {
            b'*' => Element::Star,
            b'?' => Element::Any,
            b'[' => class(&mut pattern),
            b'\\' if !rest.is_empty() => {
                pattern = &rest[1..];
                Element::Byte(rest[0])
            }
            byte => Element::Byte(byte),
        });
    }
    found
}

fn class(pattern: &mut &[u8]) -> Element {
    let negated = pattern.first() == Some(&b'^');
    let (mut rest, mut ranges) = (&pattern[usize::from(negated)..], Vec::new());
    loop {
        let (low, high, taken) = match *rest {
            [] => break,
            [b'\\', byte, ..] => (byte, byte, 2),
            [b']', ..] => {
                rest = &rest[1..];
                break;
            }
            [low, b'-', high, ..] => (low, high, 3),
            [byte, ..] => (byte, byte, 1),
        };
        let (low, high) = (low as i8, high as i8);
        ranges.push((low.min(high), low.max(high)));
        rest = &rest[taken..];
    }
    *pattern = rest;
    Element::Class { negated, ranges }
}
