//! What a shard holds as one number, so that two of them can be compared: DEBUG DIGEST, made as Redis makes it.
//!
//! The digests of keys are combined by exclusive or, so that neither their order nor how they are spread over cores
//! counts. SHA-1 (FIPS 180-4) is what Redis takes; nothing here depends on its strength.

use super::shard::{Key, Shard};
use super::slab::ItemRef;
use crate::types::{SLOTS, Slot};

const DIGEST_BYTES: usize = 20;
pub type Digest = [u8; DIGEST_BYTES];

/// The number that Redis gives to strings among the types.
const TYPE_STRING: [u8; 4] = [0; 4];
const TAGS: u32 = 1 << 16;

/// Combines two digests.
pub fn combine(digest: &mut Digest, other: &Digest) {
    digest.iter_mut().zip(other).for_each(|(byte, other)| *byte ^= other);
}

/// Adds bytes in a way in which their order counts.
fn mix(digest: &mut Digest, bytes: &[u8]) {
    combine(digest, &sha1(bytes));
    *digest = sha1(digest);
}

/// What the digest of a database that holds keys begins with: the database's number.
pub fn database() -> Digest {
    let mut digest = [0; DIGEST_BYTES];
    mix(&mut digest, &[0; 4]);
    digest
}

impl Shard {
    /// All keys and values.
    pub fn digest(&self) -> Digest {
        let mut all = [0; DIGEST_BYTES];
        for slot in 0..SLOTS as u16 {
            for item in self.tables.items_in(Slot(slot), 0, TAGS) {
                let mut digest = [0; DIGEST_BYTES];
                mix(&mut digest, self.key_of(item));
                self.mix_value(&mut digest, item);
                combine(&mut all, &sha1(&digest));
            }
        }
        all
    }

    /// The value of one key, expired or not; zeros if there is none.
    pub fn digest_of(&mut self, key: &Key) -> Digest {
        let mut digest = [0; DIGEST_BYTES];
        if let Some(item) = self.find(key, 0) {
            self.mix_value(&mut digest, item);
        }
        digest
    }

    fn mix_value(&self, digest: &mut Digest, item: ItemRef) {
        mix(digest, &TYPE_STRING);
        mix(digest, self.value(item).bytes());
        if self.expiry_ms(item).is_some() {
            combine(digest, &sha1(b"!!expire!!"));
        }
    }
}

fn sha1(bytes: &[u8]) -> Digest {
    let mut state: [u32; 5] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
    let (whole, rest) = bytes.as_chunks::<64>();
    whole.iter().for_each(|block| sha1_block(&mut state, block));
    let mut tail = [0; 128];
    tail[..rest.len()].copy_from_slice(rest);
    tail[rest.len()] = 0x80;
    let end = if rest.len() < 56 { 64 } else { 128 };
    tail[end - 8..end].copy_from_slice(&(bytes.len() as u64 * 8).to_be_bytes());
    tail[..end].as_chunks::<64>().0.iter().for_each(|block| sha1_block(&mut state, block));
    let mut digest = [0; DIGEST_BYTES];
    digest.as_chunks_mut::<4>().0.iter_mut().zip(state).for_each(|(bytes, word)| *bytes = word.to_be_bytes());
    digest
}

fn sha1_block(state: &mut [u32; 5], block: &[u8; 64]) {
    let mut words = [0u32; 80];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    for at in 16..80 {
        words[at] = (words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16]).rotate_left(1);
    }
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    for (at, word) in words.iter().enumerate() {
        let (choice, constant) = match at {
            0..20 => (b & c | !b & d, 0x5A82_7999u32),
            20..40 => (b ^ c ^ d, 0x6ED9_EBA1),
            40..60 => (b & c | b & d | c & d, 0x8F1B_BCDC),
            _ => (b ^ c ^ d, 0xCA62_C1D6),
        };
        let next = a.rotate_left(5).wrapping_add(choice).wrapping_add(e).wrapping_add(constant).wrapping_add(*word);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
    }
    for (sum, word) in state.iter_mut().zip([a, b, c, d, e]) {
        *sum = sum.wrapping_add(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::{NewValue, ShardOptions};

    fn hex(digest: Digest) -> String {
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The examples of the standard, and the lengths around a block's end.
    #[test]
    fn sha1_is_sha1() {
        assert_eq!(hex(sha1(b"")), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(hex(sha1(b"abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
        let long = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        assert_eq!(hex(sha1(long)), "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
        assert_eq!(hex(sha1(&[b'a'; 64])), "0098ba824b5c16427bd7a1122a5a442a25ec644d");
    }

    fn shard() -> Shard {
        Shard::new(&ShardOptions { hash_seed: [1, 2, 3, 4], draw_seed: 5, place: |_| Slot(0) })
    }

    fn put(shard: &mut Shard, key: &str, value: &str, expiry_ms: Option<u64>) {
        let key = Key { bytes: key.as_bytes(), slot: Slot(0), hash: shard.hash(key.as_bytes()), hint: None };
        let existing = shard.find(&key, 0);
        shard.put(&key, existing, NewValue::Bytes(value.as_bytes()), expiry_ms);
    }

    /// As redis-server 7.0 answered after SET a b, SET foo bar, and then EXPIRE a 1000; in any order and over any cores.
    #[test]
    fn digests_are_those_of_redis() {
        let (mut one, mut left, mut right) = (shard(), shard(), shard());
        put(&mut one, "foo", "bar", None);
        put(&mut one, "a", "b", None);
        put(&mut left, "a", "b", None);
        put(&mut right, "foo", "bar", None);
        let mut sum = left.digest();
        combine(&mut sum, &right.digest());
        assert_eq!(one.digest(), sum);
        combine(&mut sum, &database());
        assert_eq!(hex(sum), "3f0c530442584cbf569d3774eff0c3f494c26181");
        put(&mut one, "a", "b", Some(u64::MAX));
        let mut sum = one.digest();
        combine(&mut sum, &database());
        assert_eq!(hex(sum), "8b30a88964e267d4f45b943d928ea93ca3de7104");
        let key = Key { bytes: b"foo", slot: Slot(0), hash: one.hash(b"foo"), hint: None };
        assert_eq!(hex(one.digest_of(&key)), "68467c70ae30376e7ce005bcc8827f5ba7fd67dc");
    }
}
