//! One reply out of those of several servers.

use crate::engine::event::HostReport;
use crate::engine::gather::Report;
use crate::protocol::command::passage::Join;
use crate::protocol::resp::{Framed, Framing, Reply, number_of, parse_i64};

/// The servers are told apart by the highest bits of a cursor.
const CURSOR_BITS: u32 = 48;

/// What the replies of several servers add up to.
#[derive(Debug)]
pub enum How {
    By(Join),
    /// OK, if all are.
    Ok,
    /// An array of elements, each of which is one of a part's.
    Elements(Vec<(u32, u32)>),
    /// One of the keys, the part of this number first.
    Key(usize),
    /// A page of SCAN by one server, and which comes next.
    Page {
        server: u64,
        next: Option<u64>,
    },
}

/// Where SCAN goes on: at which server, and with which of its cursors.
pub fn cursor_of(text: &[u8]) -> Option<(u64, u64)> {
    let cursor: u64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some((cursor >> CURSOR_BITS, cursor & ((1 << CURSOR_BITS) - 1)))
}

/// A reply that waits for several servers.
pub struct Joined {
    how: How,
    parts: Vec<Vec<u8>>,
    /// What is answered if the parts do not fit together.
    misfit: String,
}

impl Joined {
    pub fn new(how: How, parts: usize, pool: &str) -> Joined {
        let misfit = format!("ERR upstream {pool}: replies that do not fit together");
        Joined { how, parts: vec![Vec::new(); parts], misfit }
    }

    /// The whole reply; none if the parts do not fit together.
    fn whole(&self) -> Option<Vec<u8>> {
        let good = |part: &&Vec<u8>| !matches!(part.first(), None | Some(b'-'));
        if matches!(self.how, How::By(Join::One)) {
            return self.parts.iter().find(good).or(self.parts.first()).cloned();
        }
        if let How::Key(first) = self.how {
            let key = |part: &&Vec<u8>| good(part) && !matches!(part[..], [b'$', b'-', ..] | [b'_', ..]);
            let mut parts = self.parts[first..].iter().chain(&self.parts[..first]);
            return parts.find(key).or_else(|| self.parts.iter().find(good)).or(self.parts.first()).cloned();
        }
        if let Some(error) = self.parts.iter().find(|part| !good(part)) {
            return Some(error.clone()).filter(|error| !error.is_empty());
        }
        match &self.how {
            How::By(Join::Same | Join::One) => self.parts.first().cloned(),
            How::By(Join::Sum) => Some(integer(self.numbers()?.into_iter().try_fold(0i64, i64::checked_add)?)),
            How::By(Join::Lists) => {
                let lists = self.lists()?;
                Some(array(lists.iter().flatten().copied(), lists.iter().map(Vec::len).sum()))
            }
            How::By(Join::Each) => self.fold_lists(|_, a, b| Some(a.min(b))),
            How::By(Join::Pairs) => self.fold_lists(|at, a, b| if at % 2 == 0 { Some(0) } else { a.checked_add(b) }),
            How::By(Join::Cursor | Join::Key) | How::Key(_) => None,
            How::Ok => Some(b"+OK\r\n".to_vec()).filter(|ok| self.parts.iter().all(|part| part == ok)),
            How::Elements(places) => {
                let lists = self.lists()?;
                let element = |(part, at): &(u32, u32)| lists.get(*part as usize)?.get(*at as usize).copied();
                let elements: Option<Vec<&[u8]>> = places.iter().map(element).collect();
                Some(array(elements?.into_iter(), places.len()))
            }
            How::Page { server, next } => self.page(*server, *next),
        }
    }

    fn numbers(&self) -> Option<Vec<i64>> {
        self.parts.iter().map(|part| number_of(part, b':')).collect()
    }

    fn lists(&self) -> Option<Vec<Vec<&[u8]>>> {
        self.parts.iter().map(|part| elements(part)).collect()
    }

    /// Lists of one length, place by place.
    fn fold_lists(&self, fold: impl Fn(usize, i64, i64) -> Option<i64>) -> Option<Vec<u8>> {
        let lists = self.lists()?;
        let (first, others) = lists.split_first()?;
        let mut folded = Vec::new();
        for (at, value) in first.iter().enumerate() {
            let Some(mut sum) = number_of(value, b':') else {
                folded.push(value.to_vec());
                continue;
            };
            for other in others {
                sum = fold(at, sum, number_of(other.get(at)?, b':')?)?;
            }
            folded.push(integer(sum));
        }
        Some(array(folded.iter().map(Vec::as_slice), folded.len()))
    }

    fn page(&self, server: u64, next: Option<u64>) -> Option<Vec<u8>> {
        let page = elements(self.parts.first()?)?;
        let [cursor, keys] = page[..] else { return None };
        let text = cursor.split(|byte| *byte == b'\n').nth(1)?.strip_suffix(b"\r")?;
        let (place, cursor) = match cursor_of(text)? {
            (0, 0) => (next.unwrap_or(0), 0),
            (0, cursor) => (server, cursor),
            _ => return None,
        };
        let digits = (place << CURSOR_BITS | cursor).to_string();
        let cursor = format!("${}\r\n{digits}\r\n", digits.len());
        Some(array([cursor.as_bytes(), keys].into_iter(), 2))
    }
}

impl Report for Joined {
    fn add(&mut self, part: u32, bytes: &[u8]) {
        self.parts[part as usize] = bytes.to_vec();
    }

    fn encode(self: Box<Self>, reply: &mut Reply, _host: &dyn Fn() -> HostReport) {
        match self.whole() {
            Some(whole) => reply.raw(&whole),
            None => reply.error(&self.misfit),
        }
    }
}

fn integer(value: i64) -> Vec<u8> {
    format!(":{value}\r\n").into_bytes()
}

fn array<'a>(elements: impl Iterator<Item = &'a [u8]>, count: usize) -> Vec<u8> {
    let mut bytes = format!("*{count}\r\n").into_bytes();
    elements.for_each(|element| bytes.extend_from_slice(element));
    bytes
}

/// The elements of an array or a set.
fn elements(reply: &[u8]) -> Option<Vec<&[u8]>> {
    let end = reply.iter().position(|byte| *byte == b'\n')?;
    let (header, mut rest) = reply.split_at(end + 1);
    let [b'*' | b'~', digits @ .., b'\r', b'\n'] = header else { return None };
    let count = usize::try_from(parse_i64(digits)?).ok()?;
    let (mut framing, mut elements) = (Framing::default(), Vec::new());
    while !rest.is_empty() {
        let Ok(Framed::Whole { bytes, .. }) = framing.advance(rest) else { return None };
        elements.push(&rest[..bytes]);
        rest = &rest[bytes..];
    }
    (elements.len() == count).then_some(elements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::resp::{Output, Proto};

    fn joined(how: How, parts: &[&str]) -> String {
        let mut joined = Box::new(Joined::new(how, parts.len(), "main"));
        // They come in any order.
        for (part, bytes) in parts.iter().enumerate().rev() {
            joined.add(part as u32, bytes.as_bytes());
        }
        let mut out = Output::default();
        joined.encode(&mut Reply { out: &mut out, proto: Proto::Resp2 }, &|| unreachable!("no INFO"));
        String::from_utf8(out.flatten()).expect("text").replace("\r\n", " ").trim_end().to_owned()
    }

    const MISFIT: &str = "-ERR upstream main: replies that do not fit together";

    #[test]
    fn replies_become_one() {
        let by = How::By;
        let cases: [(How, &[&str], &str); 21] = [
            (by(Join::Same), &["+OK\r\n", "+OK\r\n"], "+OK"),
            (by(Join::Sum), &[":2\r\n", ":40\r\n", ":0\r\n"], ":42"),
            (by(Join::Sum), &[":2\r\n", "-ERR no\r\n", "-ERR never\r\n"], "-ERR no"),
            (by(Join::Sum), &[":2\r\n", "+OK\r\n"], MISFIT),
            (by(Join::Sum), &[":9223372036854775807\r\n", ":1\r\n"], MISFIT),
            (by(Join::Lists), &["*1\r\n$1\r\na\r\n", "*0\r\n", "*1\r\n*1\r\n:1\r\n"], "*2 $1 a *1 :1"),
            (by(Join::Lists), &["*2\r\n$1\r\na\r\n"], MISFIT),
            (by(Join::Each), &["*2\r\n:1\r\n:1\r\n", "*2\r\n:1\r\n:0\r\n"], "*2 :1 :0"),
            (by(Join::Each), &["*2\r\n:1\r\n:1\r\n", "*1\r\n:1\r\n"], MISFIT),
            (by(Join::Pairs), &["*2\r\n$1\r\nc\r\n:1\r\n", "*2\r\n$1\r\nc\r\n:2\r\n"], "*2 $1 c :3"),
            (by(Join::One), &["-NOTBUSY\r\n", "+OK\r\n"], "+OK"),
            (by(Join::One), &["-NOTBUSY\r\n", "-NOTBUSY\r\n"], "-NOTBUSY"),
            (How::Key(0), &["$1\r\na\r\n", "$1\r\nb\r\n"], "$1 a"),
            (How::Key(1), &["$1\r\na\r\n", "$1\r\nb\r\n"], "$1 b"),
            (How::Key(1), &["$1\r\na\r\n", "$-1\r\n", "-ERR no\r\n"], "$1 a"),
            (How::Key(1), &["-ERR no\r\n", "_\r\n"], "_"),
            (How::Ok, &["+OK\r\n", "+OK\r\n"], "+OK"),
            (How::Ok, &["+OK\r\n", "+QUEUED\r\n"], MISFIT),
            (
                How::Elements(vec![(1, 0), (0, 1), (0, 0)]),
                &["*2\r\n$-1\r\n$1\r\nb\r\n", "*1\r\n$1\r\nc\r\n"],
                "*3 $1 c $1 b $-1",
            ),
            (How::Elements(vec![(0, 1)]), &["*1\r\n$1\r\na\r\n"], MISFIT),
            (by(Join::Sum), &["", ":1\r\n"], MISFIT),
        ];
        for (how, parts, whole) in cases {
            let label = format!("{how:?} {parts:?}");
            assert_eq!(joined(how, parts), whole, "{label}");
        }
    }

    /// Proves that SCAN goes through each server and from one to the next, and ends behind the last.
    #[test]
    fn a_cursor_goes_from_server_to_server() {
        let page = |server, cursor: &str| {
            let reply = format!("*2\r\n${}\r\n{cursor}\r\n*1\r\n$1\r\nk\r\n", cursor.len());
            joined(How::Page { server, next: (server == 0).then_some(1) }, &[&reply])
        };
        assert_eq!(page(0, "17"), "*2 $2 17 *1 $1 k");
        assert_eq!(page(0, "0"), "*2 $15 281474976710656 *1 $1 k");
        assert_eq!(cursor_of(b"281474976710656"), Some((1, 0)));
        assert_eq!(page(1, "5"), "*2 $15 281474976710661 *1 $1 k");
        assert_eq!(cursor_of(b"281474976710661"), Some((1, 5)));
        assert_eq!(page(1, "0"), "*2 $1 0 *1 $1 k");
        assert_eq!(page(0, "281474976710656"), MISFIT);
        assert_eq!(page(0, "x"), MISFIT);
        assert_eq!(cursor_of(b"-1"), None);
    }
}
