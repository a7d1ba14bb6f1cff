//! LCS: the longest common subsequence of two values. Whoever has both at hand calls [`lcs`].
//!
//! Where Redis keeps the length of every pair of prefixes, here two rows of lengths are kept and one bit a pair: which
//! way the walk back goes. That is a 32nd of the memory; what is refused is still what Redis refuses.

use super::{NOT_AN_INTEGER, SYNTAX};
use crate::protocol::resp::{Args, Reply, parse_i64};
use crate::types::VALUE_BYTES_MAX;

/// Redis keeps so many bytes for each pair of prefixes.
const REDIS_PAIR_BYTES: usize = 4;

/// LCS key1 key2 [LEN] [IDX] [MINMATCHLEN n] [WITHMATCHLEN]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LcsOptions {
    len: bool,
    idx: bool,
    with_match_len: bool,
    match_len_min: u64,
}

impl LcsOptions {
    pub fn parse(args: &Args) -> Result<LcsOptions, &'static str> {
        let (mut options, mut at) = (LcsOptions::default(), 3);
        while at < args.len() {
            match args.get(at).to_ascii_lowercase().as_slice() {
                b"idx" => options.idx = true,
                b"len" => options.len = true,
                b"withmatchlen" => options.with_match_len = true,
                b"minmatchlen" => {
                    at += 1;
                    let least = parse_i64(args.try_get(at).ok_or(SYNTAX)?).ok_or(NOT_AN_INTEGER)?;
                    options.match_len_min = least.max(0) as u64;
                }
                _ => return Err(SYNTAX),
            }
            at += 1;
        }
        match options {
            LcsOptions { len: true, idx: true, .. } => {
                Err("ERR If you want both the length and indexes, please just use IDX.")
            }
            options => Ok(options),
        }
    }
}

/// Answers LCS of two values; a key that is not there counts as empty.
pub fn lcs(a: &[u8], b: &[u8], options: &LcsOptions, reply: &mut Reply) {
    let pairs = (a.len() + 1).saturating_mul(b.len() + 1);
    if pairs.saturating_mul(REDIS_PAIR_BYTES) > VALUE_BYTES_MAX {
        return reply.error("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
    }
    let lengths = Lengths::of(a, b, !options.len);
    if options.len {
        return reply.integer(lengths.longest as i64);
    }
    let matches = lengths.matches(a, b);
    if options.idx {
        return answer_matches(&matches, lengths.longest, options, reply);
    }
    let mut text = Vec::with_capacity(lengths.longest);
    matches.iter().rev().for_each(|found| text.extend_from_slice(&a[found.a..found.a + found.bytes]));
    reply.bulk(&text);
}

/// Bytes in a row that both values have, and that the subsequence takes.
struct Match {
    a: usize,
    b: usize,
    bytes: usize,
}

fn answer_matches(matches: &[Match], longest: usize, options: &LcsOptions, reply: &mut Reply) {
    let shown = matches.iter().filter(|found| found.bytes as u64 >= options.match_len_min);
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(shown.clone().count());
    for Match { a, b, bytes } in shown {
        reply.array(if options.with_match_len { 3 } else { 2 });
        for start in [a, b] {
            reply.array(2);
            reply.integer(*start as i64);
            reply.integer((start + bytes - 1) as i64);
        }
        if options.with_match_len {
            reply.integer(*bytes as i64);
        }
    }
    reply.bulk(b"len");
    reply.integer(longest as i64);
}

/// What comparing all pairs of prefixes leaves behind.
struct Lengths {
    longest: usize,
    /// A bit for each pair: whether the walk back drops the last byte of `a` where both differ.
    drops_a: Vec<u64>,
}

impl Lengths {
    fn of(a: &[u8], b: &[u8], walks_back: bool) -> Lengths {
        let mut row = vec![0u32; b.len() + 1];
        let mut drops_a = vec![0u64; if walks_back { (a.len() * b.len()).div_ceil(64) } else { 0 }];
        for (i, byte) in a.iter().enumerate() {
            let mut diagonal = 0;
            for (j, other) in b.iter().enumerate() {
                let (above, left) = (row[j + 1], row[j]);
                row[j + 1] = if byte == other { diagonal + 1 } else { above.max(left) };
                if walks_back && above > left {
                    let bit = i * b.len() + j;
                    drops_a[bit / 64] |= 1 << (bit % 64);
                }
                diagonal = above;
            }
        }
        Lengths { longest: row[b.len()] as usize, drops_a }
    }

    /// The subsequence as matches, the last first: the walk goes back from both ends.
    fn matches(&self, a: &[u8], b: &[u8]) -> Vec<Match> {
        let (mut i, mut j) = (a.len(), b.len());
        let mut matches: Vec<Match> = Vec::new();
        while i > 0 && j > 0 {
            let bit = (i - 1) * b.len() + j - 1;
            if a[i - 1] == b[j - 1] {
                (i, j) = (i - 1, j - 1);
                match matches.last_mut() {
                    Some(found) if (found.a, found.b) == (i + 1, j + 1) => {
                        (found.a, found.b, found.bytes) = (i, j, found.bytes + 1);
                    }
                    _ => matches.push(Match { a: i, b: j, bytes: 1 }),
                }
            } else if self.drops_a[bit / 64] >> (bit % 64) & 1 == 1 {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        matches
    }
}
