//! The parts of DEBUG that look at keys or make them.

use super::super::super::gather::{Gather, Report};
use super::{RELOAD_OPTIONS, Wish, wish};
use crate::engine::Engine;
use crate::engine::event::HostReport;
use crate::engine::scatter::CHECKED;
use crate::keyspace::digest::{Digest, combine, database};
use crate::keyspace::{Key, NewValue};
use crate::protocol::resp::{Args, Reply, parse_i64};
use crate::types::Now;
use std::collections::BTreeMap;

const NO_KEY: &str = "ERR no such key";
const NOT_POSITIVE: &str = "ERR value is out of range, must be positive";
/// Nothing is on disk that could be loaded.
const NOTHING_SAVED: &str = "ERR Error trying to load the RDB dump";
/// DEBUG POPULATE makes its keys in one turn of each core.
const POPULATE_MAX: i64 = 100_000_000;
const KEYS_A_SWEEP: usize = usize::MAX;

/// DEBUG DIGEST: the keys of all cores. Nothing comes from a core without keys.
struct DatabaseDigest {
    sum: Digest,
    any: bool,
}

impl Report for DatabaseDigest {
    fn add(&mut self, _: u32, bytes: &[u8]) {
        if let Ok(digest) = bytes.try_into() {
            combine(&mut self.sum, digest);
            self.any = true;
        }
    }

    fn encode(mut self: Box<Self>, reply: &mut Reply, _: &dyn Fn() -> HostReport) {
        if self.any {
            combine(&mut self.sum, &database());
        }
        reply.simple(&hex(&self.sum));
    }
}

/// DEBUG DIGEST-VALUE: each core answers for its own keys, by their place in the request.
struct ValueDigests {
    keys: usize,
    found: BTreeMap<u32, Digest>,
}

impl Report for ValueDigests {
    fn add(&mut self, _: u32, bytes: &[u8]) {
        for record in bytes.chunks(size_of::<u32>() + size_of::<Digest>()) {
            let (index, digest) = record.split_first_chunk::<4>().expect("a record has a place");
            self.found.insert(u32::from_le_bytes(*index), digest.try_into().expect("and a digest"));
        }
    }

    fn encode(self: Box<Self>, reply: &mut Reply, _: &dyn Fn() -> HostReport) {
        reply.array(self.keys);
        for index in 0..self.keys as u32 {
            reply.simple(&hex(self.found.get(&index).unwrap_or(&Digest::default())));
        }
    }
}

fn hex(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that a string takes in a dump of Redis, without compression: its length, then itself; or a number.
fn dumped_bytes(value: &[u8]) -> usize {
    match (parse_i64(value), value.len()) {
        (Some(number), _) if i8::try_from(number).is_ok() => 2,
        (Some(number), _) if i16::try_from(number).is_ok() => 3,
        (Some(number), _) if i32::try_from(number).is_ok() => 5,
        (_, len @ 0..64) => 1 + len,
        (_, len @ 64..16_384) => 2 + len,
        (_, len) => 5 + len,
    }
}

impl Engine {
    /// How a wish that concerns every core is put together, or why it is refused.
    pub(super) fn debug_gather(&self, wish: Wish, args: &Args) -> Result<Gather, &'static str> {
        match wish {
            Wish::Digest => Ok(Gather::report(self.cores, DatabaseDigest { sum: Digest::default(), any: false })),
            Wish::DigestValue => {
                Ok(Gather::report(self.cores, ValueDigests { keys: args.len() - 2, found: BTreeMap::new() }))
            }
            Wish::Reload => reload_options(args).map(|()| Gather::ok(self.cores)),
            Wish::Populate => populate_options(args).map(|_| Gather::ok(self.cores)),
            _ => Ok(Gather::ok(self.cores)),
        }
    }

    /// This core's part.
    pub(in crate::engine) fn debug_part(&mut self, now: Now, args: &Args, reply: &mut Reply) {
        match wish(args).expect(CHECKED) {
            Wish::Digest if self.shard.is_empty() => {}
            Wish::Digest => reply.raw(&self.shard.digest()),
            Wish::DigestValue => {
                for index in 0..args.len() - 2 {
                    self.digest_value(index, args.get(index + 2), reply);
                }
            }
            Wish::Object => self.describe(now, args.get(2), reply),
            Wish::Lengths => self.lengths(now, args.get(2), reply),
            wish => {
                match wish {
                    Wish::ChangeId => self.replication_changes += 1,
                    Wish::ActiveExpire => self.sweeps = parse_i64(args.get(2)) != Some(0),
                    Wish::Reload => {
                        self.shard.sweep(now.unix_ms(), KEYS_A_SWEEP);
                    }
                    _ => self.populate(args),
                }
                reply.ok();
            }
        }
    }

    fn digest_value(&mut self, index: usize, bytes: &[u8], reply: &mut Reply) {
        let place = self.place(bytes);
        if place.owner == self.core {
            let digest = self.shard.digest_of(&Key { bytes, slot: place.slot, hash: place.hash, hint: None });
            reply.raw(&(index as u32).to_le_bytes());
            reply.raw(&digest);
        }
    }

    fn describe(&mut self, now: Now, bytes: &[u8], reply: &mut Reply) {
        let place = self.place(bytes);
        let key = Key { bytes, slot: place.slot, hash: place.hash, hint: None };
        let Some(item) = self.shard.find(&key, now.unix_ms()) else { return reply.error(NO_KEY) };
        let encoding = self.shard.encoding(item);
        let dumped = dumped_bytes(self.shard.value(item).bytes());
        // Where a value lies is nobody's business, and when it was used last is not kept in seconds.
        reply.simple(&format!(
            "Value at:0x0 refcount:1 encoding:{encoding} serializedlength:{dumped} lru:0 lru_seconds_idle:0"
        ));
    }

    fn lengths(&mut self, now: Now, bytes: &[u8], reply: &mut Reply) {
        let place = self.place(bytes);
        let key = Key { bytes, slot: place.slot, hash: place.hash, hint: None };
        let Some(item) = self.shard.find(&key, now.unix_ms()) else { return reply.error(NO_KEY) };
        if self.shard.encoding(item) == "int" {
            return reply.error("ERR Not an sds encoded string.");
        }
        let (value, taken) = (self.shard.value(item).bytes().len(), self.shard.item_bytes(item));
        reply.simple(&format!(
            "key_sds_len:{0}, key_sds_avail:0, key_zmalloc: {0}, val_sds_len:{value}, val_sds_avail:0, val_zmalloc: {taken}",
            bytes.len()
        ));
    }

    /// Sets those of the keys that live here and do not exist.
    fn populate(&mut self, args: &Args) {
        let (count, size) = populate_options(args).expect(CHECKED);
        let prefix = args.try_get(3).unwrap_or(b"key").to_vec();
        for number in 0..count {
            let bytes = [&prefix[..], b":", number.to_string().as_bytes()].concat();
            let place = self.place(&bytes);
            let key = Key { bytes: &bytes, slot: place.slot, hash: place.hash, hint: None };
            if place.owner != self.core || self.shard.find(&key, 0).is_some() {
                continue;
            }
            let mut value = format!("value:{number}").into_bytes();
            if size > 0 {
                value.resize(size, 0);
            }
            self.shard.put(&key, None, NewValue::Owned(value), None);
        }
    }
}

fn reload_options(args: &Args) -> Result<(), &'static str> {
    let known = |option: &[u8], name: &str| option.eq_ignore_ascii_case(name.as_bytes());
    for option in args.iter().skip(2) {
        if known(option, "nosave") {
            return Err(NOTHING_SAVED);
        }
        if !known(option, "merge") && !known(option, "noflush") {
            return Err(RELOAD_OPTIONS);
        }
    }
    Ok(())
}

/// DEBUG POPULATE count [prefix [size]]
fn populate_options(args: &Args) -> Result<(i64, usize), &'static str> {
    let number = |at: usize, max: i64| match args.try_get(at).map(parse_i64) {
        None => Ok(0),
        Some(Some(number)) if (0..=max).contains(&number) => Ok(number),
        Some(_) => Err(NOT_POSITIVE),
    };
    Ok((number(2, POPULATE_MAX)?, number(4, crate::types::VALUE_BYTES_MAX as i64)? as usize))
}
