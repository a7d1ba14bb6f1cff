//! GET, SET and the rest of the plain strings.

use super::options::{self, Expiry};
use super::{IN_DOUBT, NOT_AN_INTEGER, Request, TOO_LONG, refuse};
use crate::keyspace::event::EventClasses;
use crate::keyspace::shard::{Key, Shard, Value};
use crate::keyspace::slab::ItemRef;
use crate::protocol::command::Command;
use crate::protocol::resp::{Reply, parse_i64};
use crate::types::VALUE_BYTES_MAX;
use std::ops::Range;
use std::sync::Arc;

/// From this size on a value goes out by reference; below, copying it into the reply costs less than a
/// send of its own.
const SHARE_BYTES_MIN: usize = 32 * 1024;
/// An extension by more than this is zeroed by mapping fresh memory, not by writing it.
const ZERO_BY_MAPPING_BYTES_MIN: usize = 1024 * 1024;

/// Answers a value, or a part of it, by copy or by reference.
fn reply_value(value: Value, range: Range<usize>, reply: &mut Reply) {
    match value {
        Value::Shared(value) if range.len() >= SHARE_BYTES_MIN => reply.bulk_shared(Arc::clone(value), range),
        value => reply.bulk(&value.bytes()[range]),
    }
}

pub(super) fn reply_item(shard: &Shard, item: Option<ItemRef>, reply: &mut Reply) {
    match item {
        Some(item) => {
            let value = shard.value(item);
            reply_value(value, 0..value.bytes().len(), reply);
        }
        None => reply.null(),
    }
}

/// GET key
#[inline]
pub fn get(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    let key = request.key();
    match shard.read_plain(&key) {
        Some(value) => reply.bulk(value),
        None => get_any(shard, now_ms, &key, reply),
    }
}

/// GET of what is large, expires, is absent, or was not found by a probe.
#[inline(never)]
fn get_any(shard: &mut Shard, now_ms: u64, key: &Key, reply: &mut Reply) {
    if shard.doubts(key.hash) {
        return refuse(shard, Command::Get, IN_DOUBT, reply);
    }
    let item = shard.read(key, now_ms);
    reply_item(shard, item, reply);
}

/// One pair of MSET: replaces value and expiry.
pub fn put(shard: &mut Shard, now_ms: u64, request: &mut Request, reply: &mut Reply) {
    shard.count_change();
    set_plain(shard, now_ms, request, reply);
}

/// SET without options.
#[inline]
fn set_plain(shard: &mut Shard, now_ms: u64, request: &mut Request, reply: &mut Reply) {
    let body = request.take_value(2);
    let key = request.key();
    let existing = shard.find(&key, now_ms);
    shard.put_uncounted(&key, existing, request.value(2, body), None);
    shard.notify(EventClasses::STRING, "set", key.bytes);
    reply.ok();
}

/// SET key value [NX | XX] [GET] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]
#[inline]
pub fn set(shard: &mut Shard, now_ms: u64, request: &mut Request, reply: &mut Reply) {
    if request.args.len() == 3 {
        return set_plain(shard, now_ms, request, reply);
    }
    let parsed =
        options::parse_set(request).and_then(|options| Ok((options.expiry.resolve(request.name(), now_ms)?, options)));
    let (expiry_ms, options) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return reply.error(&error),
    };
    let body = request.take_value(2);
    let key = request.key();
    let existing = if options.get { shard.read_to_write(&key, now_ms) } else { shard.find(&key, now_ms) };
    let refused = options.nx && existing.is_some() || options.xx && existing.is_none();
    if options.get {
        reply_item(shard, existing, reply);
    } else if refused {
        reply.null();
    } else {
        reply.ok();
    }
    if refused {
        return shard.uncount_change();
    }
    let expiry_ms = match (options.expiry, existing) {
        (Expiry::Keep, Some(item)) => shard.expiry_ms(item),
        _ => expiry_ms,
    };
    shard.put_uncounted(&key, existing, request.value(2, body), expiry_ms);
    shard.notify(EventClasses::STRING, "set", key.bytes);
    if matches!(options.expiry, Expiry::At { .. }) {
        shard.notify(EventClasses::GENERIC, "expire", key.bytes);
    }
}

/// SETNX key value
pub fn set_nx(shard: &mut Shard, now_ms: u64, request: &mut Request, reply: &mut Reply) {
    let body = request.take_value(2);
    let key = request.key();
    let existing = shard.find(&key, now_ms);
    if existing.is_none() {
        shard.put(&key, None, request.value(2, body), None);
        shard.notify(EventClasses::STRING, "set", key.bytes);
    }
    reply.integer(i64::from(existing.is_none()));
}

/// SETEX key seconds value, PSETEX key milliseconds value
pub fn set_ex(shard: &mut Shard, now_ms: u64, request: &mut Request, reply: &mut Reply) {
    let expiry_ms = match options::relative(request).resolve(request.name(), now_ms) {
        Ok(expiry_ms) => expiry_ms,
        Err(error) => return reply.error(&error),
    };
    let body = request.take_value(3);
    let key = request.key();
    let existing = shard.find(&key, now_ms);
    shard.put(&key, existing, request.value(3, body), expiry_ms);
    shard.notify(EventClasses::STRING, "set", key.bytes);
    shard.notify(EventClasses::GENERIC, "expire", key.bytes);
    reply.ok();
}

/// GETSET key value
pub fn get_set(shard: &mut Shard, now_ms: u64, request: &mut Request, reply: &mut Reply) {
    let body = request.take_value(2);
    let key = request.key();
    let existing = shard.read_to_write(&key, now_ms);
    reply_item(shard, existing, reply);
    shard.put(&key, existing, request.value(2, body), None);
    shard.notify(EventClasses::STRING, "set", key.bytes);
}

/// GETDEL key
pub fn get_del(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    let key = request.key();
    let existing = shard.read(&key, now_ms);
    reply_item(shard, existing, reply);
    if let Some(item) = existing {
        shard.remove(&key, item);
        shard.notify(EventClasses::GENERIC, "del", key.bytes);
    }
}

/// GETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST]
pub fn get_ex(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    let options = match options::parse_getex(request) {
        Ok(options) => options,
        Err(error) => return reply.error(&error),
    };
    let key = request.key();
    let Some(item) = shard.read(&key, now_ms) else { return reply.null() };
    let expiry_ms = match options.expiry.resolve(request.name(), now_ms) {
        Ok(expiry_ms) => expiry_ms,
        Err(error) => return reply.error(&error),
    };
    reply_item(shard, Some(item), reply);
    let event = match expiry_ms {
        Some(at_ms) if at_ms <= now_ms => {
            shard.remove(&key, item);
            "del"
        }
        Some(at_ms) => {
            shard.set_expiry(&key, item, Some(at_ms));
            "expire"
        }
        None if options.persist && shard.expiry_ms(item).is_some() => {
            shard.set_expiry(&key, item, None);
            "persist"
        }
        None => return,
    };
    shard.notify(EventClasses::GENERIC, event, key.bytes);
}

/// STRLEN key
pub fn str_len(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    let item = shard.read(&request.key(), now_ms);
    reply.integer(item.map_or(0, |item| shard.value(item).bytes().len() as i64));
}

/// APPEND key value
pub fn append(shard: &mut Shard, now_ms: u64, request: &mut Request, reply: &mut Reply) {
    let body = request.take_value(2);
    let key = request.key();
    let Some(item) = shard.find(&key, now_ms) else {
        let value = request.value(2, body);
        let bytes = value.len();
        shard.put(&key, None, value, None);
        shard.notify(EventClasses::STRING, "append", key.bytes);
        return reply.integer(bytes as i64);
    };
    let tail = body.as_deref().unwrap_or_else(|| request.args.get(2));
    let bytes = shard.value(item).bytes().len() + tail.len();
    if bytes > VALUE_BYTES_MAX {
        return reply.error(TOO_LONG);
    }
    shard.edit(&key, item, |value| value.extend_from_slice(tail));
    shard.notify(EventClasses::STRING, "append", key.bytes);
    reply.integer(bytes as i64);
}

/// GETRANGE key start end
pub fn get_range(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    let (Some(start), Some(end)) = (parse_i64(request.args.get(2)), parse_i64(request.args.get(3))) else {
        return reply.error(NOT_AN_INTEGER);
    };
    let Some(item) = shard.read(&request.key(), now_ms) else { return reply.bulk(b"") };
    let value = shard.value(item);
    let bytes = value.bytes().len() as i64;
    if start < 0 && end < 0 && start > end {
        return reply.bulk(b"");
    }
    let from_end = |at: i64| if at < 0 { (bytes + at.max(-bytes)).max(0) } else { at };
    let (start, end) = (from_end(start), from_end(end).min(bytes - 1));
    if start > end || bytes == 0 {
        return reply.bulk(b"");
    }
    reply_value(value, start as usize..end as usize + 1, reply);
}

/// SETRANGE key offset value
pub fn set_range(shard: &mut Shard, now_ms: u64, request: &mut Request, reply: &mut Reply) {
    let Some(offset) = parse_i64(request.args.get(2)) else { return reply.error(NOT_AN_INTEGER) };
    if offset < 0 {
        return reply.error("ERR offset is out of range");
    }
    let (key, patch) = (request.key(), request.args.get(3));
    let existing = shard.find(&key, now_ms);
    if patch.is_empty() {
        return reply.integer(existing.map_or(0, |item| shard.value(item).bytes().len() as i64));
    }
    let end = (offset as usize).saturating_add(patch.len());
    if end > VALUE_BYTES_MAX {
        return reply.error(TOO_LONG);
    }
    let range = offset as usize..end;
    let bytes = match existing {
        None => {
            let mut value = vec![0; end];
            value[range].copy_from_slice(patch);
            shard.put_edited(&key, value);
            end
        }
        Some(item) => set_range_of(shard, &key, item, range, patch),
    };
    shard.notify(EventClasses::STRING, "setrange", key.bytes);
    reply.integer(bytes as i64);
}

fn set_range_of(shard: &mut Shard, key: &Key, item: ItemRef, range: Range<usize>, patch: &[u8]) -> usize {
    let bytes = shard.value(item).bytes().len().max(range.end);
    shard.edit(key, item, |value| {
        grow(value, bytes);
        value[range].copy_from_slice(patch);
    });
    bytes
}

/// Extends a value with zeros to so many bytes.
pub(super) fn grow(value: &mut Vec<u8>, bytes: usize) {
    if bytes - value.len() >= ZERO_BY_MAPPING_BYTES_MIN {
        let mut grown = vec![0; bytes];
        grown[..value.len()].copy_from_slice(value);
        *value = grown;
    }
    value.resize(bytes, 0);
}
