//! INCR and its kin.

use super::{NOT_A_FLOAT, NOT_AN_INTEGER, Request};
use crate::keyspace::event::EventClasses;
use crate::keyspace::number::Float80;
use crate::keyspace::shard::{NewValue, Shard};
use crate::protocol::command::Command;
use crate::protocol::resp::{Reply, parse_i64};

/// INCR key, DECR key, INCRBY key n, DECRBY key n
pub fn add(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    let step = match request.command {
        Command::Incr => 1,
        Command::Decr => -1,
        _ => match parse_i64(request.args.get(2)) {
            None => return reply.error(NOT_AN_INTEGER),
            Some(step) if request.command == Command::IncrBy => step,
            Some(i64::MIN) => return reply.error("ERR decrement would overflow"),
            Some(step) => -step,
        },
    };
    let key = request.key();
    let existing = shard.find(&key, now_ms);
    let Some(before) = existing.map_or(Some(0), |item| parse_i64(shard.value(item).bytes())) else {
        return reply.error(NOT_AN_INTEGER);
    };
    let Some(after) = before.checked_add(step) else {
        return reply.error("ERR increment or decrement would overflow");
    };
    let expiry_ms = existing.and_then(|item| shard.expiry_ms(item));
    shard.put(&key, existing, NewValue::Bytes(itoa::Buffer::new().format(after).as_bytes()), expiry_ms);
    shard.notify(EventClasses::STRING, "incrby", key.bytes);
    reply.integer(after);
}

/// INCRBYFLOAT key n
pub fn add_float(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    let key = request.key();
    let existing = shard.find(&key, now_ms);
    let before = match existing {
        Some(item) => Float80::parse(shard.value(item).bytes()),
        None => Float80::parse(b"0"),
    };
    let (Some(before), Some(step)) = (before, Float80::parse(request.args.get(2))) else {
        return reply.error(NOT_A_FLOAT);
    };
    let Some(after) = before.checked_add(step) else {
        return reply.error("ERR increment would produce NaN or Infinity");
    };
    let (text, expiry_ms) = (after.to_text(), existing.and_then(|item| shard.expiry_ms(item)));
    shard.put(&key, existing, NewValue::Bytes(text.as_bytes()), expiry_ms);
    shard.notify(EventClasses::STRING, "incrbyfloat", key.bytes);
    reply.bulk(text.as_bytes());
}
