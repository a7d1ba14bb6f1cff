//! Which pool a key belongs to: patterns of keys, the most literal first.
//!
//! What stands in a pattern before its first `*`, `?` or `[` is its literal. Of the patterns that match a key the one
//! with the longest literal counts, and of several the first that was written. So `user:*` may stand before or behind
//! `user:cart:*`, and `*` is for what nothing else names.
//!
//! Literals lie in order, and each knows the longest other one that it begins with. One binary search finds a literal
//! from which all that a key begins with are reached that way: any literal that lies between one of them and the key
//! begins with it too.

use crate::keyspace::glob;

/// Routes, compiled; `P` is what they lead to.
///
/// ```
/// use coldplate::routing::Routes;
///
/// let routes = Routes::new(&[("user:*", 1), ("user:cart:*", 2), ("config", 3)], 0);
/// assert_eq!([&b"user:7"[..], b"user:cart:7", b"config", b"configs"].map(|key| routes.find(key)), [1, 2, 3, 0]);
/// ```
#[derive(Clone, Debug)]
pub struct Routes<P> {
    /// In the order of their bytes.
    literals: Box<[Literal<P>]>,
    otherwise: P,
}

/// All patterns that begin alike.
#[derive(Clone, Debug)]
struct Literal<P> {
    bytes: Box<[u8]>,
    /// The longest literal that this one begins with, the same one left aside.
    shorter: Option<u32>,
    /// In the order in which they were written.
    routes: Vec<(Pattern, P)>,
}

/// What has to hold of a key that begins with the literal.
#[derive(Clone, Debug)]
enum Pattern {
    /// Nothing follows.
    Exact,
    /// Anything may follow.
    Prefix,
    /// The whole pattern matches the whole key.
    Glob(Box<[u8]>),
}

impl<P: Copy> Routes<P> {
    /// Compiles patterns, in Redis's notation, and what keys lead to that match none.
    pub fn new(routes: &[(impl AsRef<[u8]>, P)], otherwise: P) -> Routes<P> {
        let mut read: Vec<(Vec<u8>, Pattern, P)> = Vec::with_capacity(routes.len());
        read.extend(routes.iter().map(|(pattern, to)| {
            let (literal, pattern) = parse(pattern.as_ref());
            (literal, pattern, *to)
        }));
        // Stable: what was written first stays first.
        read.sort_by(|a, b| a.0.cmp(&b.0));
        let mut literals: Vec<Literal<P>> = Vec::new();
        for (bytes, pattern, to) in read {
            if literals.last().is_none_or(|last| *last.bytes != *bytes) {
                let shorter = reach(&literals, literals.len().checked_sub(1), &bytes);
                literals.push(Literal {
                    bytes: bytes.into(),
                    shorter: shorter.map(|at| at as u32),
                    routes: Vec::new(),
                });
            }
            literals.last_mut().expect("one was pushed").routes.push((pattern, to));
        }
        Routes { literals: literals.into(), otherwise }
    }

    /// All keys lead to one and the same.
    pub fn is_empty(&self) -> bool {
        self.literals.is_empty()
    }

    /// All that keys lead to, what matches no pattern first; some of it several times.
    pub fn targets(&self) -> impl Iterator<Item = P> {
        let routes = self.literals.iter().flat_map(|literal| &literal.routes);
        std::iter::once(self.otherwise).chain(routes.map(|(_, to)| *to))
    }

    /// What a key leads to. One binary search, then the literals that the key begins with, from the longest on.
    #[inline]
    pub fn find(&self, key: &[u8]) -> P {
        let behind = self.literals.partition_point(|literal| *literal.bytes <= *key);
        let mut at = reach(&self.literals, behind.checked_sub(1), key);
        while let Some(index) = at {
            let literal = &self.literals[index];
            if let Some((_, to)) = literal.routes.iter().find(|(pattern, _)| pattern.matches(key, literal.bytes.len()))
            {
                return *to;
            }
            at = literal.shorter.map(|shorter| shorter as usize);
        }
        self.otherwise
    }
}

impl Pattern {
    fn matches(&self, key: &[u8], literal_len: usize) -> bool {
        match self {
            Pattern::Exact => key.len() == literal_len,
            Pattern::Prefix => true,
            Pattern::Glob(pattern) => glob::matches(pattern, key),
        }
    }
}

/// The longest literal that `key` begins with, on the way from `at` to ever shorter ones.
#[inline]
fn reach<P>(literals: &[Literal<P>], mut at: Option<usize>, key: &[u8]) -> Option<usize> {
    while let Some(index) = at.filter(|index| !key.starts_with(&literals[*index].bytes)) {
        at = literals[index].shorter.map(|shorter| shorter as usize);
    }
    at
}

/// A pattern's literal, and what is left to ask of a key that begins with it.
fn parse(pattern: &[u8]) -> (Vec<u8>, Pattern) {
    let mut literal = Vec::new();
    let mut at = 0;
    while let Some(byte) = pattern.get(at) {
        match (byte, pattern.get(at + 1)) {
            (b'*', None) => return (literal, Pattern::Prefix),
            (b'*' | b'?' | b'[', _) => return (literal, Pattern::Glob(pattern.into())),
            (b'\\', Some(escaped)) => {
                literal.push(*escaped);
                at += 2;
            }
            _ => {
                literal.push(*byte);
                at += 1;
            }
        }
    }
    (literal, Pattern::Exact)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rule read as it is written: all patterns tried, the longest literal kept, the first of equals.
    fn naive(routes: &[(Vec<u8>, usize)], key: &[u8]) -> usize {
        let mut best: Option<(usize, usize)> = None;
        for (pattern, to) in routes.iter().filter(|(pattern, _)| glob::matches(pattern, key)) {
            let literal = parse(pattern).0.len();
            if best.is_none_or(|(longest, _)| literal > longest) {
                best = Some((literal, *to));
            }
        }
        best.map_or(usize::MAX, |(_, to)| to)
    }

    /// Each kind of pattern, in an order that must not matter, and in one that does.
    #[test]
    fn the_most_literal_counts_then_the_first() {
        let routes = Routes::new(
            &[
                ("*", 0),
                ("user:*", 1),
                ("user:?ive", 2),
                ("user:cart:*", 3),
                ("user:cart:[ab]*", 4),
                ("exact", 5),
                ("exact*", 6),
                ("a\\*b*", 7),
                ("a*b", 8),
            ],
            9,
        );
        for (key, to) in [
            ("user:7", 1),
            ("user:five", 1),
            ("user:cart:a", 3),
            ("exact", 5),
            ("exactly", 6),
            ("a*bc", 7),
            ("aXb", 8),
            ("aXc", 0),
            ("", 0),
        ] {
            assert_eq!(routes.find(key.as_bytes()), to, "{key}");
        }
        assert_eq!(Routes::new(&[("b*", 1)], 9).find(b"a"), 9);
        assert_eq!(Routes::new(&[] as &[(&str, u8)], 9).find(b"a"), 9);
    }

    /// A key that lies behind a literal it does not begin with, and behind several that it does.
    #[test]
    fn literals_between_are_passed_over() {
        let routes = Routes::new(&[("a*", 1), ("ab*", 2), ("abc*", 3), ("abcd", 4), ("abd*", 5)], 0);
        for (key, to) in [("abce", 3), ("abcd", 4), ("abcde", 3), ("abe", 2), ("az", 1), ("b", 0), ("abcz", 3)] {
            assert_eq!(routes.find(key.as_bytes()), to, "{key}");
        }
    }

    proptest! {
        /// Patterns and keys of few letters, so that they meet: the compiled routes are the rule.
        #[test]
        fn equals_the_naive_reading(
            patterns in proptest::collection::vec("[ab*?\\[\\]^\\\\-]{0,6}|[abc]{0,5}\\*?", 0..12),
            keys in proptest::collection::vec("[abc*\\[\\\\]{0,7}", 1..24),
        ) {
            let routes: Vec<_> = patterns.into_iter().map(String::into_bytes).zip(0..).collect();
            let compiled = Routes::new(&routes, usize::MAX);
            for key in keys {
                prop_assert_eq!(compiled.find(key.as_bytes()), naive(&routes, key.as_bytes()), "{}", key);
            }
        }
    }
}
