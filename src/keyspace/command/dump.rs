//! DUMP and RESTORE: a value in the form that it has in Redis's files, with a version and a checksum.
//!
//! ```text
//! | type 0 | string | version, 2 bytes | CRC64 of all before, 8 bytes |     little-endian
//! ```

use super::{NOT_AN_INTEGER, Request, SYNTAX};
use crate::keyspace::event::EventClasses;
use crate::keyspace::shard::{NewValue, Shard};
use crate::protocol::rdb::{Form, INT_8, INT_16, INT_32, LENGTH_32, LZF, TYPE_STRING, checksum, lzf};
use crate::protocol::resp::{Reply, parse_i64};
use crate::types::VALUE_BYTES_MAX;
use std::sync::Arc;

/// The version of the files of Redis 7.0: what DUMP writes, and the newest that RESTORE takes.
const VERSION: u16 = 10;
const VERSION_BYTES: usize = 2;
const CHECKSUM_BYTES: usize = 8;
/// A longer string is no integer of 32 bits.
const INT_TEXT_BYTES_MAX: usize = 11;
/// A shorter string is not worth compressing.
const LZF_BYTES_MIN: usize = 21;
/// What compression has to save.
const LZF_SAVED_BYTES_MIN: usize = 4;

/// DUMP key
pub fn dump(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    match shard.read(&request.key(), now_ms) {
        Some(item) => {
            let payload = encode(shard.value(item).bytes());
            let range = 0..payload.len();
            reply.bulk_shared(Arc::new(payload), range);
        }
        None => reply.null(),
    }
}

/// RESTORE key ttl payload [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]
pub fn restore(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    let options = match Options::parse(request) {
        Ok(options) => options,
        Err(error) => return reply.error(error),
    };
    let key = request.key();
    let existing = shard.find(&key, now_ms);
    if existing.is_some() && !options.replace {
        return reply.error("BUSYKEY Target key name already exists.");
    }
    let ttl = match parse_i64(request.args.get(2)) {
        None => return reply.error(NOT_AN_INTEGER),
        Some(..0) => return reply.error("ERR Invalid TTL value, must be >= 0"),
        Some(ttl) => ttl,
    };
    let value = match decode(request.args.get(3)) {
        Ok(value) => value,
        Err(error) => return reply.error(error),
    };
    // The sum may wrap, as it does in Redis: then it is in the past.
    let at_ms = if options.absolute { ttl } else { ttl.wrapping_add(now_ms as i64) };
    let expired = ttl != 0 && at_ms <= now_ms as i64;
    if let Some(item) = existing {
        shard.remove(&key, item);
        if expired {
            shard.notify(EventClasses::GENERIC, "del", key.bytes);
        }
    }
    if !expired {
        if existing.is_some() {
            shard.uncount_change();
        }
        shard.put(&key, None, NewValue::Owned(value), (ttl != 0).then_some(at_ms as u64));
        if let (Some(frequency), Some(item)) = (options.frequency, shard.find(&key, now_ms)) {
            shard.set_frequency(item, frequency);
        }
        shard.notify(EventClasses::GENERIC, "restore", key.bytes);
    }
    reply.ok();
}

#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    frequency: Option<u8>,
}

impl Options {
    /// IDLETIME is checked and forgotten: seconds since an access are not kept.
    fn parse(request: &Request) -> Result<Options, &'static str> {
        let args = &request.args;
        let (mut options, mut idles, mut at) = (Options::default(), false, 4);
        while at < args.len() {
            let number = || args.try_get(at + 1).map(|text| parse_i64(text).ok_or(NOT_AN_INTEGER));
            match args.get(at).to_ascii_lowercase().as_slice() {
                b"replace" => options.replace = true,
                b"absttl" => options.absolute = true,
                b"idletime" if options.frequency.is_none() => {
                    if number().ok_or(SYNTAX)?? < 0 {
                        return Err("ERR Invalid IDLETIME value, must be >= 0");
                    }
                    (idles, at) = (true, at + 1);
                }
                b"freq" if !idles => {
                    let frequency = u8::try_from(number().ok_or(SYNTAX)??);
                    let frequency = frequency.map_err(|_| "ERR Invalid FREQ value, must be >= 0 and <= 255")?;
                    (options.frequency, at) = (Some(frequency), at + 1);
                }
                _ => return Err(SYNTAX),
            }
            at += 1;
        }
        Ok(options)
    }
}

fn encode(value: &[u8]) -> Vec<u8> {
    let mut out = vec![TYPE_STRING];
    encode_string(value, &mut out);
    out.extend_from_slice(&VERSION.to_le_bytes());
    let sum = checksum(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

fn encode_string(value: &[u8], out: &mut Vec<u8>) {
    let number = if value.len() <= INT_TEXT_BYTES_MAX { parse_i64(value) } else { None };
    if let Some(number) = number.and_then(|number| i32::try_from(number).ok()) {
        return encode_integer(number, out);
    }
    let limit = value.len().wrapping_sub(LZF_SAVED_BYTES_MIN);
    if value.len() >= LZF_BYTES_MIN
        && let Some(compressed) = lzf::compress(value, limit)
    {
        out.push(LZF);
        encode_length(compressed.len(), out);
        encode_length(value.len(), out);
        return out.extend_from_slice(&compressed);
    }
    encode_length(value.len(), out);
    out.extend_from_slice(value);
}

fn encode_integer(number: i32, out: &mut Vec<u8>) {
    if let Ok(number) = i8::try_from(number) {
        out.push(INT_8);
        out.extend_from_slice(&number.to_le_bytes());
    } else if let Ok(number) = i16::try_from(number) {
        out.push(INT_16);
        out.extend_from_slice(&number.to_le_bytes());
    } else {
        out.push(INT_32);
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// Lengths are below 32 bits: a value has a limit.
fn encode_length(length: usize, out: &mut Vec<u8>) {
    match length {
        0..0x40 => out.push(length as u8),
        0x40..0x4000 => out.extend_from_slice(&[0x40 | (length >> 8) as u8, length as u8]),
        _ => {
            out.push(LENGTH_32);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
}

fn decode(payload: &[u8]) -> Result<Vec<u8>, &'static str> {
    const BAD: &str = "ERR DUMP payload version or checksum are wrong";
    let (signed, sum) = payload.split_last_chunk::<CHECKSUM_BYTES>().ok_or(BAD)?;
    let (_, version) = signed.split_last_chunk::<VERSION_BYTES>().ok_or(BAD)?;
    if u16::from_le_bytes(*version) > VERSION || checksum(signed) != u64::from_le_bytes(*sum) {
        return Err(BAD);
    }
    // As in Redis, nothing says that the string must end where the version begins.
    decode_string(payload).ok_or("ERR Bad data format")
}

fn decode_string(payload: &[u8]) -> Option<Vec<u8>> {
    let rest = payload.strip_prefix(&[TYPE_STRING])?;
    let (form, taken) = Form::read(rest).ok()??;
    if form.bytes_at_most() > VALUE_BYTES_MAX as u64 {
        return None;
    }
    let body = rest[taken..].get(..form.bytes() as usize)?;
    Some(form.string(body).ok()?.into_owned())
}
