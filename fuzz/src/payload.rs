//! Payloads of RESTORE and the compression inside them, beside decoders as plain as they can be.

use coldplate::keyspace::command::{Request, apply};
use coldplate::keyspace::{Shard, ShardOptions};
use coldplate::protocol::Command;
use coldplate::protocol::rdb::lzf as own;
use coldplate::protocol::resp::{Arg, Args, Output, Proto, Reply};
use coldplate::routing::slot_of;
use coldplate::types::VALUE_BYTES_MAX;
use crc::{CRC_64_REDIS, Crc, Table};
use std::cell::RefCell;

static CHECKSUM: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);
const NOW_MS: u64 = 1_700_000_000_000;
const VERSION_MAX: u16 = 10;
/// No compressed byte stands for more.
const EXPANSION_MAX: usize = 88;

thread_local! {
    /// Making one takes longer than all the rest.
    static SHARD: RefCell<Shard> =
        RefCell::new(Shard::new(&ShardOptions { hash_seed: [1, 2, 3, 4], draw_seed: 5, place: slot_of }));
}

/// The first byte says whether version and checksum are put behind the rest, without which little would be reached.
pub fn dump(data: &[u8]) {
    let Some((&head, body)) = data.split_first() else { return };
    let mut payload = body.to_vec();
    if head & 1 == 0 {
        payload.extend_from_slice(&u16::from(head >> 1).to_le_bytes());
        payload.extend_from_slice(&CHECKSUM.checksum(&payload).to_le_bytes());
    }
    SHARD.with_borrow_mut(|shard| {
        let mut ask = |command, words: &[&[u8]]| ask(shard, command, words);
        let reply = ask(Command::Restore, &[b"RESTORE", b"k", b"0", &payload, b"REPLACE"]);
        let Some(value) = restored(&payload) else {
            assert!(reply.starts_with(b"-ERR "), "{}", reply.escape_ascii());
            return;
        };
        assert_eq!(reply, b"+OK\r\n", "{}", reply.escape_ascii());
        assert_eq!(ask(Command::Get, &[b"GET", b"k"]), bulk(&value));
        let dumped = ask(Command::Dump, &[b"DUMP", b"k"]);
        let start = dumped.iter().position(|byte| *byte == b'\n').expect("a header") + 1;
        let dumped = &dumped[start..dumped.len() - 2];
        assert_eq!(restored(dumped), Some(value.clone()), "what is dumped is what was there");
        assert_eq!(ask(Command::Restore, &[b"RESTORE", b"l", b"0", dumped, b"REPLACE"]), b"+OK\r\n");
        assert_eq!(ask(Command::Get, &[b"GET", b"l"]), bulk(&value));
    });
}

/// One operation on a shard.
fn ask(shard: &mut Shard, command: Command, words: &[&[u8]]) -> Vec<u8> {
    let (mut text, mut args, mut out) = (Vec::new(), Vec::new(), Output::default());
    for word in words {
        args.push(Arg::text(text.len(), word.len()));
        text.extend_from_slice(word);
    }
    let key = words[1];
    let args = Args::new(&text, &args, &mut []);
    let mut request = Request { command, args, slot: slot_of(key), hash: shard.hash(key), hint: None };
    apply(shard, NOW_MS, &mut request, &mut Reply { out: &mut out, proto: Proto::Resp2 });
    out.flatten()
}

fn bulk(value: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat()
}

/// The value in a payload, read step by step.
fn restored(payload: &[u8]) -> Option<Vec<u8>> {
    let body_bytes = payload.len().checked_sub(10)?;
    let version = u16::from_le_bytes([payload[body_bytes], payload[body_bytes + 1]]);
    let sum = CHECKSUM.checksum(&payload[..body_bytes + 2]).to_le_bytes();
    if version > VERSION_MAX || payload[body_bytes + 2..] != sum {
        return None;
    }
    let mut bytes = payload.iter().copied();
    let mut next = || bytes.next();
    if next()? != 0 {
        return None;
    }
    let form = next()?;
    let integer = |taken: [u8; 4]| Some(i32::from_le_bytes(taken).to_string().into_bytes());
    match form {
        0xc0 => Some((next()? as i8).to_string().into_bytes()),
        0xc1 => Some(i16::from_le_bytes([next()?, next()?]).to_string().into_bytes()),
        0xc2 => integer([next()?, next()?, next()?, next()?]),
        0xc3 => {
            let first = next()?;
            let compressed = length(first, &mut next)?;
            let first = next()?;
            let whole = length(first, &mut next)?;
            let input: Vec<u8> = (0..compressed).map(|_| next()).collect::<Option<_>>()?;
            inflated(&input, whole)
        }
        form => {
            let bytes = length(form, &mut next)?;
            (0..bytes).map(|_| next()).collect()
        }
    }
}

fn length(first: u8, next: &mut impl FnMut() -> Option<u8>) -> Option<usize> {
    let mut number = |bytes: usize, start: u64| {
        (0..bytes).try_fold(start, |number, _| Some(number.wrapping_mul(256) + u64::from(next()?)))
    };
    let length = match first >> 6 {
        0 => u64::from(first),
        1 => number(1, u64::from(first & 0x3f))?,
        _ if first == 0x80 => number(4, 0)?,
        _ if first == 0x81 => number(8, 0)?,
        _ => return None,
    };
    usize::try_from(length).ok().filter(|length| *length <= VALUE_BYTES_MAX)
}

/// Two bytes for a length, then what was compressed, or is to be.
pub fn lzf(data: &[u8]) {
    let Some((&[low, high], input)) = data.split_first_chunk() else { return };
    let bytes = usize::from(u16::from_le_bytes([low, high]));
    assert_eq!(own::decompress(input, bytes), inflated(input, bytes));
    // Each takes a table of its own, which costs more than all else here.
    let bytes_max = match low % 3 {
        0 => input.len().saturating_sub(4),
        1 => 2 * input.len() + 64,
        _ => bytes,
    };
    if let Some(compressed) = own::compress(input, bytes_max) {
        assert!(compressed.len() <= bytes_max, "{} bytes for {bytes_max}", compressed.len());
        assert_eq!(own::decompress(&compressed, input.len()).as_deref(), Some(input));
        assert_eq!(inflated(&compressed, input.len()).as_deref(), Some(input));
    }
}

/// What the compressed bytes stand for, one by one.
fn inflated(input: &[u8], whole: usize) -> Option<Vec<u8>> {
    if whole > input.len() * EXPANSION_MAX {
        return None;
    }
    if whole == 0 {
        return Some(Vec::new());
    }
    let (mut out, mut at) = (Vec::new(), 0);
    while at < input.len() {
        let control = usize::from(input[at]);
        at += 1;
        if control < 32 {
            out.extend_from_slice(input.get(at..=at + control)?);
            at += control + 1;
        } else {
            let mut length = control / 32 + 2;
            if length == 9 {
                length += usize::from(*input.get(at)?);
                at += 1;
            }
            let distance = control % 32 * 256 + usize::from(*input.get(at)?) + 1;
            at += 1;
            if distance > out.len() || out.len() + length > whole {
                return None;
            }
            for _ in 0..length {
                out.push(out[out.len() - distance]);
            }
        }
        if out.len() > whole {
            return None;
        }
    }
    (out.len() == whole).then_some(out)
}
