//! Key to slot: CRC16/XMODEM of the key or of its hash tag, modulo 16,384, as the Redis Cluster specification has it.
//!
//! Every request passes here, with keys of 8 to 40 bytes, so the checksum takes eight bytes a step and has no tail:
//!
//! - CRC is the remainder of the key, read as a polynomial over two elements, times x^16, by P = x^16 + x^12 + x^5 + 1.
//!   There squaring only doubles the exponents: P^2 = x^32 + x^24 + x^10 + 1, P^4 = x^64 + x^48 + x^20 + 1. These are
//!   multiples of P and as sparse as P, so a remainder by them takes a dozen shifts and no table, and leaves P's
//!   remainder as it was. The key is reduced by P^4 a word at a time, then by P^2 to 32 bits, then by four table loads.
//! - This CRC starts at zero, so zero bytes in front of a key change nothing: an odd length is padded *in front*.
//! - The word that feeds the checksum is also searched for `{`, so the usual key, which has no tag, is read once.
//!
//! For a key of 15 bytes: 92 instructions and 6.8 ns, against 124 and 8.4 for slicing by eight (4 KiB of tables instead
//! of 2), and 219 and 22 for one table load a byte, at 2.8 GHz.

use crate::types::{SLOTS, Slot};

/// P without its highest term, most significant bit first.
const POLYNOMIAL: u16 = 0x1021;

/// `TABLES[k][b]` is the CRC of byte `b` followed by `k` zero bytes: 2 KiB of a 32 to 48 KiB L1.
static TABLES: [[u16; 256]; 4] = tables();

/// The slot of a key.
///
/// Only the hash tag is hashed if the key has one, see [`hash_tag`]; keys that must live together share a tag.
///
/// ```
/// use coldplate::routing::slot_of;
/// use coldplate::types::Slot;
///
/// assert_eq!(slot_of(b"123456789"), Slot(0x31C3));
/// assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"{user1000}.followers"));
/// ```
#[inline]
pub fn slot_of(key: &[u8]) -> Slot {
    let (front, words) = split(key);
    let mut remainder = front;
    let mut braces = braces_of(front);
    for word in words {
        let word = u64::from_be_bytes(*word);
        braces |= braces_of(word);
        remainder = shift_word(remainder) ^ word;
    }
    if braces & BRACE_BITS != 0 { slot_of_tagged(key) } else { slot_of_crc(crc_of(remainder)) }
}

/// The part of the key that decides its slot: what stands between the first `{` and the first `}` after it, if that is
/// not empty, and otherwise the whole key.
///
/// ```
/// use coldplate::routing::hash_tag;
///
/// assert_eq!(hash_tag(b"foo{bar}{zap}"), b"bar");
/// assert_eq!(hash_tag(b"foo{}{bar}"), b"foo{}{bar}");
/// ```
pub fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|&byte| byte == b'{') else { return key };
    let inside = &key[open + 1..];
    match inside.iter().position(|&byte| byte == b'}') {
        None | Some(0) => key,
        Some(close) => &inside[..close],
    }
}

/// CRC16/XMODEM of all bytes: polynomial 0x1021, start 0, not reflected, no final xor.
///
/// ```
/// assert_eq!(coldplate::routing::crc16(b"123456789"), 0x31C3);
/// ```
#[inline]
pub fn crc16(bytes: &[u8]) -> u16 {
    let (front, words) = split(bytes);
    crc_of(words.iter().fold(front, |remainder, word| shift_word(remainder) ^ u64::from_be_bytes(*word)))
}

/// Out of line, so that the common path stays small where it is inlined.
#[cold]
#[inline(never)]
fn slot_of_tagged(key: &[u8]) -> Slot {
    slot_of_crc(crc16(hash_tag(key)))
}

#[inline]
fn slot_of_crc(crc: u16) -> Slot {
    const { assert!(SLOTS.is_power_of_two() && SLOTS <= 1 << 16) };
    Slot(crc & (SLOTS - 1) as u16)
}

/// One byte more of the checksum, in a register of 32 bits that keeps what it shifts out of the lower 16.
#[inline]
pub(super) fn crc16_step(crc: u32, byte: u8) -> u32 {
    crc << 8 ^ u32::from(TABLES[0][usize::from((crc >> 8) as u8 ^ byte)])
}

/// The bytes as big-endian words: a front word of one to eight bytes with zeros before them, then whole words.
#[inline]
fn split(bytes: &[u8]) -> (u64, &[[u8; 8]]) {
    let Some(first) = bytes.first_chunk::<8>() else { return (short_word(bytes), &[]) };
    let front_bytes = (bytes.len() - 1) % 8 + 1;
    // One load for any length: it reads past the front, and the shift drops that.
    (u64::from_be_bytes(*first) >> (64 - 8 * front_bytes), bytes[front_bytes..].as_chunks::<8>().0)
}

/// Up to seven bytes as a big-endian number. The two loads may overlap: where they do, they agree.
#[inline]
fn short_word(bytes: &[u8]) -> u64 {
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            let high = u64::from(u32::from_be_bytes(*first)) << (8 * (bytes.len() - 4));
            high | u64::from(u32::from_be_bytes(*last))
        }
        _ => bytes.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

/// `remainder * x^64` modulo P^4: the quotient by the inverse series of P^4, then the quotient times P^4's low terms.
#[inline]
fn shift_word(remainder: u64) -> u64 {
    let pairs = remainder ^ remainder >> 16;
    let quotient = pairs ^ pairs >> 32 ^ remainder >> 44;
    quotient ^ quotient << 20 ^ quotient << 48
}

/// The CRC of eight bytes: modulo P^2 as in [`shift_word`] with all exponents halved, then a table load a byte.
#[inline]
fn crc_of(word: u64) -> u16 {
    let high = (word >> 32) as u32;
    let pairs = high ^ high >> 8;
    let quotient = pairs ^ pairs >> 16 ^ high >> 22;
    let remainder = word as u32 ^ quotient ^ quotient << 10 ^ quotient << 24;
    let [a, b, c, d] = remainder.to_be_bytes().map(usize::from);
    TABLES[3][a] ^ TABLES[2][b] ^ TABLES[1][c] ^ TABLES[0][d]
}

/// Has one of [`BRACE_BITS`] set if, and only if, a byte of the word is `{`: the classic search for a zero byte, after
/// an exclusive or has made `{` the zero. Its other bits mean nothing; the caller masks once for all words.
#[inline]
fn braces_of(word: u64) -> u64 {
    let zeroed = word ^ (ONES * b'{' as u64);
    zeroed.wrapping_sub(ONES) & !zeroed
}

/// 1 in each byte.
const ONES: u64 = u64::MAX / 255;
/// The top bit of each byte.
const BRACE_BITS: u64 = ONES << 7;

const fn tables() -> [[u16; 256]; 4] {
    let mut tables = [[0; 256]; 4];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut power = 0;
        while power < 4 {
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ POLYNOMIAL };
                bit += 1;
            }
            tables[power][byte] = crc;
            power += 1;
        }
        byte += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The specification's algorithm, a bit at a time.
    fn crc16_bitwise(bytes: &[u8]) -> u16 {
        bytes.iter().fold(0, |crc, &byte| {
            (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| crc << 1 ^ if crc & 0x8000 == 0 { 0 } else { POLYNOMIAL })
        })
    }

    /// The tables that the compiler has made are those that the same code makes here.
    #[test]
    fn tables_are_made_alike_at_run_time() {
        assert_eq!(tables(), TABLES);
    }

    /// The specification's example, and slots that Redis Cluster's documentation and clients quote.
    #[test]
    fn vectors() {
        assert_eq!(crc16(b""), 0);
        assert_eq!(crc16(b"123456789"), 0x31C3);
        for (key, slot) in [(&b"foo"[..], 12182), (b"bar", 5061), (b"hello", 866), (b"somekey", 11058), (b"", 0)] {
            assert_eq!(slot_of(key), Slot(slot), "{}", key.escape_ascii());
        }
    }

    /// Which part of a key is hashed, in the corners that the specification names and a few that it leaves to reading.
    #[test]
    fn tags() {
        let cases: &[(&[u8], &[u8])] = &[
            (b"{user1000}.following", b"user1000"),
            (b"foo{}{bar}", b"foo{}{bar}"),
            (b"foo{{bar}}zap", b"{bar"),
            (b"foo{bar}{zap}", b"bar"),
            (b"{a}{b}", b"a"),
            (b"{}", b"{}"),
            (b"{", b"{"),
            (b"}", b"}"),
            (b"}{a}", b"a"),
            (b"a}b{c", b"a}b{c"),
            (b"unterminated{tag", b"unterminated{tag"),
            (b"abcdefg{0123456789}", b"0123456789"),
            (b"0123456789abcdef{tag}", b"tag"),
        ];
        for (key, tag) in cases {
            assert_eq!(hash_tag(key), *tag, "{}", key.escape_ascii());
            assert_eq!(slot_of(key).0, crc16_bitwise(tag) % 16_384, "{}", key.escape_ascii());
        }
    }

    /// Every length around the eight-byte steps, with a tag's brace at every place in it.
    #[test]
    fn every_length_and_brace_place() {
        for len in 0..40 {
            let plain: Vec<u8> = (0..len).map(|index| index as u8 ^ 0xA5).collect();
            assert_eq!(crc16(&plain), crc16_bitwise(&plain), "length {len}");
            for open in 0..len {
                let mut key = plain.clone();
                key[open] = b'{';
                key.extend_from_slice(b"x}");
                assert_eq!(slot_of(&key).0, crc16_bitwise(hash_tag(&key)) % 16_384, "length {len}, brace at {open}");
            }
        }
    }

    proptest! {
        /// Any bytes: the fast checksum is the slow one.
        #[test]
        fn equals_bitwise(key in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(crc16(&key), crc16_bitwise(&key));
            prop_assert_eq!(slot_of(&key).0, crc16_bitwise(hash_tag(&key)) % 16_384);
        }

        /// Keys made mostly of braces, where tags are dense: the same, and what follows a tag does not matter.
        #[test]
        fn tags_decide(key in "[{}a-c]{0,24}", tag in "[^{}]{1,12}", tail in "[{}a-c]{0,12}") {
            prop_assert_eq!(slot_of(key.as_bytes()).0, crc16_bitwise(hash_tag(key.as_bytes())) % 16_384);
            let tagged = format!("a{{{tag}}}{tail}");
            prop_assert_eq!(slot_of(tagged.as_bytes()), slot_of(tag.as_bytes()));
        }
    }
}
