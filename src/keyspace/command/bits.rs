//! Values as rows of bits: SETBIT, GETBIT, BITCOUNT, BITPOS. Bit 0 is the highest of the first byte.

use super::string::grow;
use super::{NOT_AN_INTEGER, Request, SYNTAX};
use crate::keyspace::event::EventClasses;
use crate::keyspace::shard::Shard;
use crate::protocol::resp::{Reply, parse_i64};
use crate::types::VALUE_BYTES_MAX;
use std::ops::Range;

pub(super) const BAD_OFFSET: &str = "ERR bit offset is not an integer or out of range";
const BAD_BIT: &str = "ERR bit is not an integer or out of range";
const BITS: usize = 8;

/// A bit's place as an argument gives it.
pub(super) fn parse_offset(text: &[u8]) -> Option<usize> {
    within_value(parse_i64(text)?)
}

/// The offset, if its byte may lie in a value.
pub(super) fn within_value(offset: i64) -> Option<usize> {
    usize::try_from(offset).ok().filter(|offset| offset / BITS < VALUE_BYTES_MAX)
}

fn mask(offset: usize) -> u8 {
    0x80 >> (offset % BITS)
}

/// SETBIT key offset value
pub fn set_bit(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    let Some(offset) = parse_offset(request.args.get(2)) else { return reply.error(BAD_OFFSET) };
    let on = match parse_i64(request.args.get(3)) {
        Some(0) => false,
        Some(1) => true,
        _ => return reply.error(BAD_BIT),
    };
    let (byte, mask) = (offset / BITS, mask(offset));
    let patch = |value: &mut Vec<u8>| {
        let bytes = value.len().max(byte + 1);
        grow(value, bytes);
        value[byte] = if on { value[byte] | mask } else { value[byte] & !mask };
    };
    let key = request.key();
    let Some(item) = shard.find(&key, now_ms) else {
        let mut value = vec![0; byte + 1];
        patch(&mut value);
        shard.put_edited(&key, value);
        shard.notify(EventClasses::STRING, "setbit", key.bytes);
        return reply.integer(0);
    };
    let before = shard.value(item).bytes().get(byte).copied();
    let was_on = before.is_some_and(|before| before & mask != 0);
    if before.is_none() || was_on != on {
        shard.edit(&key, item, patch);
        shard.notify(EventClasses::STRING, "setbit", key.bytes);
    } else {
        shard.mark_edited(item);
    }
    reply.integer(i64::from(was_on));
}

/// GETBIT key offset
pub fn get_bit(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    let Some(offset) = parse_offset(request.args.get(2)) else { return reply.error(BAD_OFFSET) };
    let byte = shard
        .read(&request.key(), now_ms)
        .and_then(|item| shard.value(item).bytes().get(offset / BITS).copied())
        .unwrap_or(0);
    reply.integer(i64::from(byte & mask(offset) != 0));
}

/// BITCOUNT key [start end [BYTE | BIT]]. Of a key that is not there nothing else is looked at, as in Redis.
pub fn bit_count(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    let Some(item) = shard.read(&request.key(), now_ms) else { return reply.integer(0) };
    let value = shard.value(item).bytes();
    let range = match request.args.len() {
        2 => Ok(0..value.len() * BITS),
        4 | 5 => parse_count_range(request, value.len()),
        _ => Err(SYNTAX),
    };
    match range {
        Ok(range) => reply.integer(count(value, range) as i64),
        Err(error) => reply.error(error),
    }
}

fn parse_count_range(request: &Request, bytes: usize) -> Result<Range<usize>, &'static str> {
    let start = parse_i64(request.args.get(2)).ok_or(NOT_AN_INTEGER)?;
    let end = parse_i64(request.args.get(3)).ok_or(NOT_AN_INTEGER)?;
    if start < 0 && end < 0 && start > end {
        return Ok(0..0);
    }
    Ok(clamp(start, end, bytes, parse_unit(request.args.try_get(4))?))
}

/// BITPOS key bit [start [end [BYTE | BIT]]]
pub fn bit_pos(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    let on = match parse_i64(request.args.get(2)) {
        Some(0) => false,
        Some(1) => true,
        Some(_) => return reply.error("ERR The bit argument must be 1 or 0."),
        None => return reply.error(NOT_AN_INTEGER),
    };
    let Some(item) = shard.read(&request.key(), now_ms) else { return reply.integer(if on { -1 } else { 0 }) };
    let value = shard.value(item).bytes();
    let range = match parse_position_range(request, value.len()) {
        Ok(range) => range,
        Err(error) => return reply.error(error),
    };
    match position(value, range.clone(), on) {
        Some(at) => reply.integer(at as i64),
        // Zeros are taken to follow a value, unless the request says where to stop.
        None if !on && !range.is_empty() && request.args.len() < 5 => reply.integer((value.len() * BITS) as i64),
        None => reply.integer(-1),
    }
}

fn parse_position_range(request: &Request, bytes: usize) -> Result<Range<usize>, &'static str> {
    if request.args.len() > 6 {
        return Err(SYNTAX);
    }
    let Some(start) = request.args.try_get(3) else { return Ok(0..bytes * BITS) };
    let start = parse_i64(start).ok_or(NOT_AN_INTEGER)?;
    let unit = parse_unit(request.args.try_get(5))?;
    let end = request.args.try_get(4).map_or(Some(-1), parse_i64).ok_or(NOT_AN_INTEGER)?;
    Ok(clamp(start, end, bytes, unit))
}

/// How many bits an index counts: those of a byte, or one.
fn parse_unit(word: Option<&[u8]>) -> Result<usize, &'static str> {
    match word {
        None => Ok(BITS),
        Some(word) if word.eq_ignore_ascii_case(b"byte") => Ok(BITS),
        Some(word) if word.eq_ignore_ascii_case(b"bit") => Ok(1),
        Some(_) => Err(SYNTAX),
    }
}

/// Bits from `start` to `end`, both included and counted from the end where negative, as far as there are any.
fn clamp(start: i64, end: i64, bytes: usize, unit: usize) -> Range<usize> {
    let total = (bytes * BITS / unit) as i64;
    let from_end = |at: i64| if at < 0 { (total + at).max(0) } else { at };
    let (start, end) = (from_end(start), from_end(end).min(total - 1));
    if start > end { 0..0 } else { start as usize * unit..(end as usize + 1) * unit }
}

/// The bits of a byte that lie in a range of bits, `at` being the byte's index.
fn edge(at: usize, range: &Range<usize>) -> u8 {
    let from = range.start.saturating_sub(at * BITS).min(BITS);
    let past = (at + 1) * BITS - range.end.min((at + 1) * BITS);
    (0xff_u32 >> from) as u8 & (0xff_u32 << past) as u8
}

/// How many bits of a range are set.
fn count(value: &[u8], range: Range<usize>) -> u64 {
    if range.is_empty() {
        return 0;
    }
    let (first, last) = (range.start / BITS, (range.end - 1) / BITS);
    let outside = |at: usize| u64::from((value[at] & !edge(at, &range)).count_ones());
    let edges = outside(first) + if first < last { outside(last) } else { 0 };
    let (words, rest) = value[first..=last].as_chunks::<8>();
    let whole: u64 = words.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones())).sum();
    whole + rest.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>() - edges
}

/// The first bit of a range that is on, or off.
fn position(value: &[u8], range: Range<usize>, on: bool) -> Option<usize> {
    if range.is_empty() {
        return None;
    }
    let (first, last) = (range.start / BITS, (range.end - 1) / BITS);
    let skipped = if on { 0 } else { 0xff };
    let found = |at: usize| {
        let hits = (value[at] ^ skipped) & edge(at, &range);
        (hits != 0).then(|| at * BITS + hits.leading_zeros() as usize)
    };
    if let Some(at) = found(first) {
        return Some(at);
    }
    let middle = value.get(first + 1..last).unwrap_or_default();
    let words = middle.as_chunks::<8>().0.iter().take_while(|word| **word == [skipped; 8]).count();
    (first + 1 + words * 8..=last).find_map(found)
}
