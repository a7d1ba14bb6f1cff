//! What commands that carry values from key to key do to one of their keys: read it, write it, remove it. Which of these
//! a part is shows by the number of its arguments.

use super::{Request, string};
use crate::keyspace::event::EventClasses;
use crate::keyspace::shard::Shard;
use crate::protocol::command::Command;
use crate::protocol::resp::{Reply, parse_i64};

/// `_ key`: answers null, or the value and the expiry in milliseconds since 1970, empty if there is none.
/// `_ key away`: removes the key. `_ key value expiry`: writes it.
pub fn carry(shard: &mut Shard, now_ms: u64, request: &mut Request, reply: &mut Reply) {
    match request.args.len() {
        2 => read(shard, now_ms, request, reply),
        3 => {
            let key = request.key();
            if let Some(item) = shard.find(&key, now_ms) {
                shard.remove(&key, item);
                // The writing of the value counts for both.
                shard.uncount_change();
                shard.notify(EventClasses::GENERIC, "rename_from", key.bytes);
            }
            reply.ok();
        }
        _ => {
            let event = if request.command == Command::Copy { "copy_to" } else { "rename_to" };
            let body = request.take_value(2);
            let key = request.key();
            let existing = shard.find(&key, now_ms);
            shard.put(&key, existing, request.value(2, body), parse_i64(request.args.get(3)).map(|at_ms| at_ms as u64));
            if existing.is_some() {
                // In Redis what was there is deleted first, without a word.
                shard.notify(EventClasses::NEW, "new", key.bytes);
            }
            shard.notify(EventClasses::GENERIC, event, key.bytes);
            reply.ok();
        }
    }
}

fn read(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    let key = request.key();
    let copies = request.command == Command::Copy;
    let item = if copies { shard.read(&key, now_ms) } else { shard.find(&key, now_ms) };
    let Some(item) = item else { return reply.null() };
    reply.array(2);
    string::reply_item(shard, Some(item), reply);
    match shard.expiry_ms(item) {
        Some(at_ms) => reply.bulk(itoa::Buffer::new().format(at_ms).as_bytes()),
        None => reply.bulk(b""),
    }
}

/// MSETNX `_ key`: answers whether it exists. `_ key value`: writes it.
pub fn set_new(shard: &mut Shard, now_ms: u64, request: &mut Request, reply: &mut Reply) {
    match request.args.len() {
        2 => reply.integer(i64::from(shard.find(&request.key(), now_ms).is_some())),
        _ => string::put(shard, now_ms, request, reply),
    }
}

/// BITOP `_ key`: answers the value. `_ key value`: writes it, or removes the key where it is empty; answers its length.
pub fn combine(shard: &mut Shard, now_ms: u64, request: &mut Request, reply: &mut Reply) {
    if request.args.len() == 2 {
        return string::get(shard, now_ms, request, reply);
    }
    let body = request.take_value(2);
    let key = request.key();
    let value = request.value(2, body);
    let (bytes, existing) = (value.len(), shard.find(&key, now_ms));
    match existing {
        Some(item) if bytes == 0 => {
            shard.remove(&key, item);
            shard.notify(EventClasses::GENERIC, "del", key.bytes);
        }
        None if bytes == 0 => {}
        _ => {
            shard.put(&key, existing, value, None);
            shard.notify(EventClasses::STRING, "set", key.bytes);
        }
    }
    reply.integer(bytes as i64);
}
