//! What a shard promises whatever came before.

use super::shard::*;
use crate::types::Slot;

fn shard() -> Shard {
    Shard::new(&ShardOptions { hash_seed: [1, 2, 3, 4], draw_seed: 5, place: |_| Slot(7) })
}

// A group of requests is looked up whole before the first runs, so what ran first may have taken away what a
// hint points to: the item, its page, or everything (FLUSHALL, which once ended the server here).
#[test]
fn a_stale_hint_finds_nothing() {
    let mut shard = shard();
    let count = if cfg!(miri) { 50 } else { 5000 };
    let names: Vec<Vec<u8>> = (0..count).map(|name| format!("key:{name}").into_bytes()).collect();
    let key = |shard: &Shard, bytes| Key { bytes, slot: Slot(7), hash: shard.hash(bytes), hint: None };
    for name in &names {
        let key = key(&shard, name);
        shard.put(&key, None, NewValue::Bytes(b"value"), None);
    }
    let hinted: Vec<Key> = names
        .iter()
        .map(|name| {
            let key = key(&shard, name);
            Key { hint: shard.probe(key.slot, key.hash), ..key }
        })
        .collect();
    assert!(hinted.iter().all(|key| shard.read_plain(key).is_some() || shard.read(key, 0).is_some()));
    for key in &hinted {
        let item = shard.find(key, 0).expect("it was put");
        shard.remove(key, item);
    }
    assert!(hinted.iter().all(|key| shard.read_plain(key).is_none() && shard.read(key, 0).is_none()));
    shard.clear();
    assert!(hinted.iter().all(|key| shard.read_plain(key).is_none() && shard.read(key, 0).is_none()));
}
