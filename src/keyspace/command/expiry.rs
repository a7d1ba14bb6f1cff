//! Expiries: set, ask, drop. Relative times become absolute here, before anything is stored.

use super::options::invalid_expire_time;
use super::{NOT_AN_INTEGER, Request};
use crate::keyspace::event::EventClasses;
use crate::keyspace::shard::Shard;
use crate::protocol::command::Command;
use crate::protocol::resp::{Reply, parse_i64, quoting};
use std::borrow::Cow;

#[derive(Default)]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    fn parse(request: &Request) -> Result<Conditions, Cow<'static, [u8]>> {
        let mut conditions = Conditions::default();
        for at in 3..request.args.len() {
            match request.args.get(at).to_ascii_lowercase().as_slice() {
                b"nx" => conditions.nx = true,
                b"xx" => conditions.xx = true,
                b"gt" => conditions.gt = true,
                b"lt" => conditions.lt = true,
                _ => return Err(quoting("ERR Unsupported option ", request.args.get(at), "").into()),
            }
        }
        let Conditions { nx, xx, gt, lt } = conditions;
        if nx && (xx || gt || lt) {
            return Err(b"ERR NX and XX, GT or LT options at the same time are not compatible".into());
        }
        if gt && lt {
            return Err(b"ERR GT and LT options at the same time are not compatible".into());
        }
        Ok(conditions)
    }

    /// Whether the expiry may change; a key without one counts as expiring never.
    fn allow(&self, current_ms: Option<u64>, new_ms: i64) -> bool {
        let current = current_ms.map(|ms| ms as i64);
        !(self.nx && current.is_some()
            || self.xx && current.is_none()
            || self.gt && current.is_none_or(|current| new_ms <= current)
            || self.lt && current.is_some_and(|current| new_ms >= current))
    }
}

/// EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT key n [NX | XX | GT | LT]
pub fn expire(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    let conditions = match Conditions::parse(request) {
        Ok(conditions) => conditions,
        Err(error) => return reply.error_bytes(&error),
    };
    let Some(amount) = parse_i64(request.args.get(2)) else { return reply.error(NOT_AN_INTEGER) };
    let unit_ms = if matches!(request.command, Command::Expire | Command::ExpireAt) { 1000 } else { 1 };
    let base_ms = if matches!(request.command, Command::Expire | Command::PExpire) { now_ms as i64 } else { 0 };
    let Some(at_ms) = amount.checked_mul(unit_ms).and_then(|ms| ms.checked_add(base_ms)) else {
        return reply.error(&invalid_expire_time(request.name()));
    };
    let key = request.key();
    let Some(item) = shard.find(&key, now_ms) else { return reply.integer(0) };
    if !conditions.allow(shard.expiry_ms(item), at_ms) {
        return reply.integer(0);
    }
    match u64::try_from(at_ms) {
        Ok(at_ms) if at_ms > now_ms => {
            shard.set_expiry(&key, item, Some(at_ms));
            shard.notify(EventClasses::GENERIC, "expire", key.bytes);
        }
        _ => {
            shard.remove(&key, item);
            shard.notify(EventClasses::GENERIC, "del", key.bytes);
        }
    }
    reply.integer(1);
}

/// TTL, PTTL, EXPIRETIME, PEXPIRETIME key
pub fn remaining(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    let Some(item) = shard.read_untouched(&request.key(), now_ms) else { return reply.integer(-2) };
    let Some(at_ms) = shard.expiry_ms(item) else { return reply.integer(-1) };
    let ms = match request.command {
        Command::Ttl | Command::PTtl => at_ms.saturating_sub(now_ms),
        _ => at_ms,
    };
    let rounded = matches!(request.command, Command::Ttl | Command::ExpireTime);
    reply.integer(if rounded { (ms.saturating_add(500) / 1000) as i64 } else { ms as i64 });
}

/// PERSIST key
pub fn persist(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    let key = request.key();
    let item = shard.find(&key, now_ms).filter(|item| shard.expiry_ms(*item).is_some());
    if let Some(item) = item {
        shard.set_expiry(&key, item, None);
        shard.notify(EventClasses::GENERIC, "persist", key.bytes);
    }
    reply.integer(i64::from(item.is_some()));
}
