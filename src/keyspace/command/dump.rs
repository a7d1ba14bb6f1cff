//! DUMP and RESTORE: a value in the form that it has in Redis's files, with a version and a checksum.
//!
//! ```text
//! | type 0 | string | version, 2 bytes | CRC64 of all before, 8 bytes |     little-endian
//! ```

use super::{NOT_AN_INTEGER, Request, SYNTAX};
use crate::keyspace::event::EventClasses;
use crate::keyspace::lzf;
use crate::keyspace::number::parse_i64;
use crate::keyspace::shard::{NewValue, Shard};
use crate::protocol::resp::Reply;
use crate::types::VALUE_BYTES_MAX;
use crc::{CRC_64_REDIS, Crc, Table};
use std::sync::Arc;

/// The version of the files of Redis 7.0: what DUMP writes, and the newest that RESTORE takes.
const VERSION: u16 = 10;
const VERSION_BYTES: usize = 2;
const CHECKSUM_BYTES: usize = 8;
static CHECKSUM: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

const TYPE_STRING: u8 = 0;
const LENGTH_32: u8 = 0x80;
const LENGTH_64: u8 = 0x81;
/// Marks a string that is not `length, bytes`; which form it has is in the low bits.
const ENCODED: u8 = 0xc0;
const INT_8: u8 = ENCODED;
const INT_16: u8 = ENCODED + 1;
const INT_32: u8 = ENCODED + 2;
const LZF: u8 = ENCODED + 3;
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
    let checksum = CHECKSUM.checksum(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
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
    let (signed, checksum) = payload.split_last_chunk::<CHECKSUM_BYTES>().ok_or(BAD)?;
    let (_, version) = signed.split_last_chunk::<VERSION_BYTES>().ok_or(BAD)?;
    if u16::from_le_bytes(*version) > VERSION || CHECKSUM.checksum(signed) != u64::from_le_bytes(*checksum) {
        return Err(BAD);
    }
    // As in Redis, nothing says that the string must end where the version begins.
    Reader(payload).value().ok_or("ERR Bad data format")
}

/// What is left of a payload.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn value(&mut self) -> Option<Vec<u8>> {
        if self.chunk()? != [TYPE_STRING] {
            return None;
        }
        let form = *self.0.first()?;
        if form & ENCODED != ENCODED {
            let bytes = self.length()?;
            return Some(self.take(bytes)?.to_vec());
        }
        self.0 = &self.0[1..];
        match form {
            INT_8 => Some(i8::from_le_bytes(self.chunk()?).to_string().into_bytes()),
            INT_16 => Some(i16::from_le_bytes(self.chunk()?).to_string().into_bytes()),
            INT_32 => Some(i32::from_le_bytes(self.chunk()?).to_string().into_bytes()),
            LZF => {
                let (compressed, bytes) = (self.length()?, self.length()?);
                lzf::decompress(self.take(compressed)?, bytes)
            }
            _ => None,
        }
    }

    /// A length, of what a value may have.
    fn length(&mut self) -> Option<usize> {
        let [first] = self.chunk()?;
        let length = match first {
            LENGTH_32 => u64::from(u32::from_be_bytes(self.chunk()?)),
            LENGTH_64 => u64::from_be_bytes(self.chunk()?),
            0..0x40 => u64::from(first),
            0x40..0x80 => {
                let [low] = self.chunk()?;
                u64::from(first & 0x3f) << 8 | u64::from(low)
            }
            _ => return None,
        };
        usize::try_from(length).ok().filter(|length| *length <= VALUE_BYTES_MAX)
    }

    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }
}
