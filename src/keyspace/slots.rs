//! What a slot holds: every slot has a table of its own, so counting one looks at no key.

use super::shard::Shard;
use crate::types::Slot;

/// Past every place in a table.
const TAGS_END: u32 = 1 << 16;

impl Shard {
    /// Number of keys of a slot, expired ones that nobody met yet included.
    pub fn slot_len(&self, slot: Slot) -> usize {
        self.tables.slot_len(slot)
    }

    /// The keys of a slot, in no order, expired ones that nobody met yet included.
    pub fn slot_keys(&self, slot: Slot) -> impl Iterator<Item = &[u8]> {
        self.tables.items_in(slot, 0, TAGS_END).map(|item| self.key_of(item))
    }
}

#[cfg(test)]
mod tests {
    use super::super::shard::{Key, NewValue, ShardOptions};
    use super::*;

    /// A slot's keys are its own, of every size, and a key that is gone is not among them.
    #[test]
    fn a_slot_knows_its_keys() {
        let mut shard = Shard::new(&ShardOptions { hash_seed: [1, 2, 3, 4], draw_seed: 1, place: |_| Slot(7) });
        let long = vec![b'k'; 100_000];
        for (slot, bytes) in [(7, &b"a"[..]), (7, &long), (7, b"gone"), (8, b"other")] {
            let key = Key { bytes, slot: Slot(slot), hash: shard.hash(bytes), hint: None };
            shard.put(&key, None, NewValue::Bytes(b"x"), None);
            if bytes == b"gone" {
                let item = shard.find(&key, 0).expect("it was put just now");
                shard.remove(&key, item);
            }
        }
        let mut keys: Vec<&[u8]> = shard.slot_keys(Slot(7)).collect();
        keys.sort_unstable();
        assert_eq!(keys, [b"a", &long[..]]);
        assert_eq!([7, 8, 9].map(|slot| shard.slot_len(Slot(slot))), [2, 1, 0]);
    }
}
