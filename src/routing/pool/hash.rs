//! The functions that hash keys for a pool, under twemproxy's names and with the results of its `src/hashkit`; those
//! that libmemcached has too (`src/libhashkit`) give the same there, and `murmur3` is libmemcached's alone.
//!
//! Both take a key's bytes as C's `char`, which is signed where nearly all of their pools run: a byte past 127 enters
//! most of these functions with its sign spread over the upper bits. That is part of where keys lie, so it is kept.

use std::fmt;

use crc::{CRC_32_ISO_HDLC, Crc, Table};

use super::super::slot::crc16_step;

static CRC_32: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);

/// A function from a key to 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    OneAtATime,
    Md5,
    Crc16,
    Crc32,
    Crc32a,
    Fnv1With64,
    Fnv1aWith64,
    Fnv1With32,
    Fnv1aWith32,
    Hsieh,
    Murmur,
    Jenkins,
    Murmur3,
}

impl Hash {
    /// Each with the name that a configuration has for it.
    pub const ALL: [(&'static str, Hash); 13] = [
        ("one_at_a_time", Hash::OneAtATime),
        ("md5", Hash::Md5),
        ("crc16", Hash::Crc16),
        ("crc32", Hash::Crc32),
        ("crc32a", Hash::Crc32a),
        ("fnv1_64", Hash::Fnv1With64),
        ("fnv1a_64", Hash::Fnv1aWith64),
        ("fnv1_32", Hash::Fnv1With32),
        ("fnv1a_32", Hash::Fnv1aWith32),
        ("hsieh", Hash::Hsieh),
        ("murmur", Hash::Murmur),
        ("jenkins", Hash::Jenkins),
        ("murmur3", Hash::Murmur3),
    ];

    pub fn parse(name: &str) -> Option<Hash> {
        Hash::ALL.iter().find(|(known, _)| *known == name).map(|(_, hash)| *hash)
    }

    pub fn name(self) -> &'static str {
        Hash::ALL.iter().find(|(_, hash)| *hash == self).expect("each has a name").0
    }

    /// The hash of a key. The empty key has 0 whatever the function, as in twemproxy.
    ///
    /// ```
    /// use coldplate::routing::Hash;
    ///
    /// assert_eq!(Hash::Fnv1aWith32.of(b"hello"), 0x4f9f_2cab);
    /// ```
    #[inline]
    pub fn of(self, key: &[u8]) -> u32 {
        if key.is_empty() {
            return 0;
        }
        match self {
            Hash::OneAtATime => one_at_a_time(key),
            Hash::Md5 => md5_word(&md5::compute(key).0, 0),
            // Twemproxy never cuts its checksum back to 16 bits.
            Hash::Crc16 => key.iter().fold(0, |crc, byte| crc16_step(crc, *byte)),
            // Fifteen bits of a checksum, as in libmemcached.
            Hash::Crc32 => CRC_32.checksum(key) >> 16 & 0x7fff,
            Hash::Crc32a => CRC_32.checksum(key),
            Hash::Fnv1With64 => fnv1(key, FNV_64),
            Hash::Fnv1aWith64 => fnv1a(key, FNV_64),
            Hash::Fnv1With32 => fnv1(key, FNV_32),
            Hash::Fnv1aWith32 => fnv1a(key, FNV_32),
            Hash::Hsieh => hsieh(key),
            Hash::Murmur => murmur(key),
            Hash::Jenkins => jenkins(key),
            Hash::Murmur3 => murmur3(key),
        }
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One of the four words of an MD5 digest, as ketama reads them.
pub(super) fn md5_word(digest: &[u8; 16], index: usize) -> u32 {
    u32::from_le_bytes(digest.as_chunks::<4>().0[index])
}

/// A byte as C's signed `char` becomes 32 bits.
#[inline]
fn signed(byte: u8) -> u32 {
    byte as i8 as u32
}

/// FNV's start and prime. The 64-bit function is cut to 32 bits, and low bits of a product come from low bits alone:
/// so the lower halves of its constants give the same.
type Fnv = (u32, u32);
const FNV_64: Fnv = (0x8422_2325, 0x1b3);
const FNV_32: Fnv = (0x811c_9dc5, 0x0100_0193);

fn fnv1(key: &[u8], (start, prime): Fnv) -> u32 {
    key.iter().fold(start, |hash, byte| hash.wrapping_mul(prime) ^ signed(*byte))
}

fn fnv1a(key: &[u8], (start, prime): Fnv) -> u32 {
    key.iter().fold(start, |hash, byte| (hash ^ signed(*byte)).wrapping_mul(prime))
}

/// Bob Jenkins, "Algorithm Alley", Dr. Dobb's Journal, September 1997.
fn one_at_a_time(key: &[u8]) -> u32 {
    let mut hash = key.iter().fold(0_u32, |hash, byte| {
        let hash = hash.wrapping_add(signed(*byte));
        let hash = hash.wrapping_add(hash << 10);
        hash ^ hash >> 6
    });
    hash = hash.wrapping_add(hash << 3);
    hash ^= hash >> 11;
    hash.wrapping_add(hash << 15)
}

/// Paul Hsieh's SuperFastHash (2004), started at 0 instead of at the length.
fn hsieh(key: &[u8]) -> u32 {
    let pair = |bytes: &[u8]| u32::from(bytes[0]) | u32::from(bytes[1]) << 8;
    let (words, tail) = key.as_chunks::<4>();
    let mut hash = words.iter().fold(0_u32, |hash, word| {
        let hash = hash.wrapping_add(pair(word));
        let hash = hash << 16 ^ (pair(&word[2..]) << 11 ^ hash);
        hash.wrapping_add(hash >> 11)
    });
    match *tail {
        [_, _, third] => {
            hash = hash.wrapping_add(pair(tail));
            hash ^= hash << 16 ^ signed(third) << 18;
            hash = hash.wrapping_add(hash >> 11);
        }
        [_, _] => {
            hash = hash.wrapping_add(pair(tail));
            hash ^= hash << 11;
            hash = hash.wrapping_add(hash >> 17);
        }
        [only] => {
            hash = hash.wrapping_add(u32::from(only));
            hash ^= hash << 10;
            hash = hash.wrapping_add(hash >> 1);
        }
        _ => {}
    }
    hash ^= hash << 3;
    hash = hash.wrapping_add(hash >> 5);
    hash ^= hash << 4;
    hash = hash.wrapping_add(hash >> 17);
    hash ^= hash << 25;
    hash.wrapping_add(hash >> 6)
}

/// What both of Austin Appleby's functions are seeded with here: as in libmemcached, from the length.
fn murmur_seed(key: &[u8]) -> u32 {
    (key.len() as u32).wrapping_mul(0xdead_beef)
}

/// Up to three bytes as a little-endian number.
fn tail_word(tail: &[u8]) -> u32 {
    tail.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

/// Austin Appleby's MurmurHash2 (2008).
fn murmur(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let (words, tail) = key.as_chunks::<4>();
    let mut hash = words.iter().fold(murmur_seed(key) ^ key.len() as u32, |hash, word| {
        let word = u32::from_le_bytes(*word).wrapping_mul(M);
        hash.wrapping_mul(M) ^ (word ^ word >> 24).wrapping_mul(M)
    });
    if !tail.is_empty() {
        hash = (hash ^ tail_word(tail)).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(M);
    hash ^ hash >> 15
}

/// Austin Appleby's MurmurHash3 for 32 bits (2011).
fn murmur3(key: &[u8]) -> u32 {
    let scrambled = |word: u32| word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let (words, tail) = key.as_chunks::<4>();
    let mut hash = words.iter().fold(murmur_seed(key), |hash, word| {
        let hash = (hash ^ scrambled(u32::from_le_bytes(*word))).rotate_left(13);
        hash.wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    hash ^= scrambled(tail_word(tail)) ^ key.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

/// Bob Jenkins's `hashlittle` of lookup3.c (2006), started at 13.
fn jenkins(key: &[u8]) -> u32 {
    let start = 0xdead_beef_u32.wrapping_add(key.len() as u32).wrapping_add(13);
    let (mut a, mut b, mut c) = (start, start, start);
    let add = |abc: (u32, u32, u32), block: &[u8; 12]| {
        let word = |index: usize| u32::from_le_bytes(block.as_chunks::<4>().0[index]);
        (abc.0.wrapping_add(word(0)), abc.1.wrapping_add(word(1)), abc.2.wrapping_add(word(2)))
    };
    // The last block, whole or not, is not mixed as the others are.
    let whole = (key.len() - 1) / 12 * 12;
    for block in key[..whole].as_chunks::<12>().0 {
        (a, b, c) = add((a, b, c), block);
        for (first, second, third) in [(4, 6, 8), (16, 19, 4)] {
            a = a.wrapping_sub(c) ^ c.rotate_left(first);
            c = c.wrapping_add(b);
            b = b.wrapping_sub(a) ^ a.rotate_left(second);
            a = a.wrapping_add(c);
            c = c.wrapping_sub(b) ^ b.rotate_left(third);
            b = b.wrapping_add(a);
        }
    }
    let mut last = [0; 12];
    last[..key.len() - whole].copy_from_slice(&key[whole..]);
    (a, b, c) = add((a, b, c), &last);
    let turned = |to: u32, from: u32, by: u32| (to ^ from).wrapping_sub(from.rotate_left(by));
    c = turned(c, b, 14);
    a = turned(a, c, 11);
    b = turned(b, a, 25);
    c = turned(c, b, 16);
    a = turned(a, c, 4);
    b = turned(b, a, 14);
    turned(c, b, 24)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::crc16;

    /// What libmemcached 1.1.4 answers, for a byte, words, several blocks, and bytes past 127.
    #[test]
    fn as_libmemcached_has_them() {
        let keys = [&b"a"[..], b"hello", b"user:{42}:name", b"\x80\xff\x00abc\xe9", b"\xff\xfe\xfd"];
        for (hash, expected) in [
            (Hash::OneAtATime, [0xca2e_9442, 0xc8fd_181b, 0xaf71_761a, 0xb80e_6c23, 0x4755_49b8]),
            (Hash::Md5, [0xb975_c10c, 0x2a40_415d, 0xe831_ba65, 0x39de_5984, 0xc24e_6789]),
            (Hash::Crc32, [0x68b7, 0x3610, 0x3ee0, 0x2e71, 0x08ea]),
            (Hash::Fnv1With64, [0x8601_b7be, 0xbdbd_d4c7, 0x92d3_565f, 0x3851_e86f, 0x93ed_f087]),
            (Hash::Fnv1aWith64, [0x8601_ec8c, 0x80aa_bd0b, 0x9a23_45af, 0xb9bb_c1eb, 0x8f0e_92d7]),
            (Hash::Fnv1With32, [0x050c_5d7e, 0xb6fa_7167, 0xed00_567f, 0xf033_dbcf, 0x914c_9107]),
            (Hash::Fnv1aWith32, [0xe40c_292c, 0x4f9f_2cab, 0x3c28_6f8f, 0x052b_e1cb, 0xbf6d_4517]),
            (Hash::Murmur, [0x4b41_757c, 0x521b_0bff, 0x8a41_aab6, 0x0a65_6cc2, 0xc2e4_b7ff]),
            (Hash::Jenkins, [0xe0a3_8690, 0x2e0c_c8f3, 0xf399_7032, 0x6273_f709, 0x222b_d93e]),
            (Hash::Murmur3, [0x8872_dbc8, 0x3fa6_8fd9, 0x1535_b58f, 0x1019_349d, 0x92ff_29ea]),
        ] {
            assert_eq!(keys.map(|key| hash.of(key)), expected, "{hash}");
        }
    }

    /// The two checksums that libmemcached lacks, against their usual check value; `crc16` keeps what it shifts out.
    #[test]
    fn checksums() {
        assert_eq!(Hash::Crc32a.of(b"123456789"), 0xcbf4_3926);
        assert_eq!(Hash::Crc16.of(b"123456789") as u16, 0x31c3);
        let (first, second) = (crc16(b"a"), crc16(b"ab"));
        assert_eq!(Hash::Crc16.of(b"ab"), u32::from(first >> 8) << 16 | u32::from(second));
    }

    #[test]
    fn names_are_read_back_and_the_empty_key_has_zero() {
        for (name, hash) in Hash::ALL {
            assert_eq!((Hash::parse(name), hash.name(), hash.of(b"")), (Some(hash), name, 0));
        }
        assert_eq!(Hash::parse("sha1"), None);
    }
}
