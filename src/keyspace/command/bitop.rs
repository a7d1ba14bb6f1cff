//! BITOP: bits of several values combined. Whoever has all values at hand calls [`bitop`].

use super::SYNTAX;
use crate::protocol::resp::Args;

/// What BITOP does with the bits at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitOp {
    And,
    Or,
    Xor,
    Not,
}

impl BitOp {
    /// The operation of BITOP op destination key [key ...], whose number of arguments fits its row.
    pub fn parse(args: &Args) -> Result<BitOp, &'static str> {
        match args.get(1).to_ascii_lowercase().as_slice() {
            b"and" => Ok(BitOp::And),
            b"or" => Ok(BitOp::Or),
            b"xor" => Ok(BitOp::Xor),
            b"not" if args.len() == 4 => Ok(BitOp::Not),
            b"not" => Err("ERR BITOP NOT must be called with a single source key."),
            _ => Err(SYNTAX),
        }
    }
}

/// The bits of all sources combined, as long as the longest; shorter ones, and keys that are not there, end in zeros.
pub fn bitop(op: BitOp, sources: &[&[u8]]) -> Vec<u8> {
    let bytes = sources.iter().map(|source| source.len()).max().unwrap_or(0);
    let Some((first, others)) = sources.split_first() else { return Vec::new() };
    let mut result = first.to_vec();
    result.resize(bytes, 0);
    if op == BitOp::Not {
        result.iter_mut().for_each(|byte| *byte = !*byte);
    }
    for source in others {
        match op {
            BitOp::And => {
                combine(&mut result, source, |a, b| a & b);
                result[source.len()..].fill(0);
            }
            BitOp::Or => combine(&mut result, source, |a, b| a | b),
            BitOp::Xor => combine(&mut result, source, |a, b| a ^ b),
            BitOp::Not => {}
        }
    }
    result
}

/// Combines what both have, eight bytes at a time.
fn combine(result: &mut [u8], source: &[u8], op: impl Fn(u64, u64) -> u64) {
    let common = result.len().min(source.len());
    let (words, rest) = result[..common].as_chunks_mut::<8>();
    let (others, other_rest) = source[..common].as_chunks::<8>();
    for (word, other) in words.iter_mut().zip(others) {
        *word = op(u64::from_ne_bytes(*word), u64::from_ne_bytes(*other)).to_ne_bytes();
    }
    for (byte, other) in rest.iter_mut().zip(other_rest) {
        *byte = op(u64::from(*byte), u64::from(*other)) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One bit at a time, as the words say.
    fn plainly(op: BitOp, sources: &[Vec<u8>]) -> Vec<u8> {
        let bytes = sources.iter().map(Vec::len).max().unwrap_or(0);
        let byte = |source: &Vec<u8>, at: usize| source.get(at).copied().unwrap_or(0);
        let combined = |at: usize| {
            let all = sources.iter().map(|source| byte(source, at));
            match op {
                BitOp::And => all.fold(0xff, |a, b| a & b),
                BitOp::Or => all.fold(0, |a, b| a | b),
                BitOp::Xor => all.fold(0, |a, b| a ^ b),
                BitOp::Not => !byte(&sources[0], at),
            }
        };
        (0..bytes).map(combined).collect()
    }

    proptest! {
        #[test]
        fn combines_each_bit(sources in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..70), 1..5)) {
            let slices: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
            for op in [BitOp::And, BitOp::Or, BitOp::Xor] {
                prop_assert_eq!(bitop(op, &slices), plainly(op, &sources));
            }
            prop_assert_eq!(bitop(BitOp::Not, &slices[..1]), plainly(BitOp::Not, &sources[..1]));
        }
    }
}
