//! BITFIELD and BITFIELD_RO: integers of 1 to 64 bits at any bit of a value.

use super::bits::{BAD_OFFSET, parse_offset, within_value};
use super::string::grow;
use super::{NOT_AN_INTEGER, Request, SYNTAX};
use crate::keyspace::event::EventClasses;
use crate::keyspace::shard::Shard;
use crate::protocol::command::Command;
use crate::protocol::resp::{Reply, parse_i64};

const BAD_TYPE: &str =
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.";
const READ_ONLY: &str = "ERR BITFIELD_RO only supports the GET subcommand";

/// The shape of an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    signed: bool,
    bits: u32,
}

/// What becomes of a number that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Get,
    Set(i64, Overflow),
    Add(i64, Overflow),
}

/// One subcommand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    kind: Kind,
    /// Its first bit.
    offset: usize,
    action: Action,
}

impl Kind {
    fn parse(text: &[u8]) -> Option<Kind> {
        // Redis reads it as a C string.
        let text = text.split(|byte| *byte == 0).next()?;
        let (signed, bits) = match text {
            [b'i', bits @ ..] => (true, bits),
            [b'u', bits @ ..] => (false, bits),
            _ => return None,
        };
        let bits_max = if signed { 64 } else { 63 };
        let bits = parse_i64(bits).filter(|bits| (1..=bits_max).contains(bits))?;
        Some(Kind { signed, bits: bits as u32 })
    }

    /// The least and the greatest that fit.
    fn bounds(self) -> (i128, i128) {
        match self.signed {
            true => (-1 << (self.bits - 1), (1 << (self.bits - 1)) - 1),
            false => (0, (1 << self.bits) - 1),
        }
    }

    /// What the low bits mean.
    fn interpret(self, raw: u64) -> i64 {
        let unused = u64::BITS - self.bits;
        if self.signed { (raw << unused) as i64 >> unused } else { (raw << unused >> unused) as i64 }
    }

    /// What SET's number stands for, as in Redis: a negative one, for an unsigned field, is a large one.
    fn given(self, number: i64, overflow: Overflow) -> i128 {
        let number = i128::from(number);
        match self.signed {
            false => i128::from(number as u64),
            // Redis subtracts in 64 bits, where the lowest numbers wrap: it takes them for too high.
            true if overflow == Overflow::Saturate
                && self.bits < i64::BITS
                && self.bounds().1 - number > i128::from(i64::MAX) =>
            {
                i128::MAX
            }
            true => number,
        }
    }

    /// What is stored for `wanted`; `None` where it does not fit and must not be stored.
    fn fit(self, wanted: i128, overflow: Overflow) -> Option<i64> {
        let (least, greatest) = self.bounds();
        match overflow {
            _ if (least..=greatest).contains(&wanted) => Some(wanted as i64),
            Overflow::Wrap => Some(self.interpret(wanted as u64)),
            Overflow::Saturate => Some(wanted.clamp(least, greatest) as i64),
            Overflow::Fail => None,
        }
    }
}

impl Field {
    /// Reads a subcommand at `args[*at]` and moves behind it; `None` for one that only says how to overflow.
    fn parse(request: &Request, at: &mut usize, overflow: &mut Overflow) -> Result<Option<Field>, &'static str> {
        let args = &request.args;
        let after = args.len() - *at - 1;
        let word = args.get(*at).to_ascii_lowercase();
        if word == b"overflow" && after >= 1 {
            *overflow = match args.get(*at + 1).to_ascii_lowercase().as_slice() {
                b"wrap" => Overflow::Wrap,
                b"sat" => Overflow::Saturate,
                b"fail" => Overflow::Fail,
                _ => return Err("ERR Invalid OVERFLOW type specified"),
            };
            *at += 2;
            return Ok(None);
        }
        let taken = match word.as_slice() {
            b"get" => 3,
            b"set" | b"incrby" => 4,
            _ => return Err(SYNTAX),
        };
        if after + 1 < taken {
            return Err(SYNTAX);
        }
        let kind = Kind::parse(args.get(*at + 1)).ok_or(BAD_TYPE)?;
        let offset = parse_place(args.get(*at + 2), kind).ok_or(BAD_OFFSET)?;
        let number = || parse_i64(args.get(*at + 3)).ok_or(NOT_AN_INTEGER);
        let action = match word.as_slice() {
            b"get" => Action::Get,
            b"set" => Action::Set(number()?, *overflow),
            _ => Action::Add(number()?, *overflow),
        };
        *at += taken;
        Ok(Some(Field { kind, offset, action }))
    }

    fn writes(&self) -> bool {
        self.action != Action::Get
    }

    /// Its last bit.
    fn last(&self) -> usize {
        self.offset + self.kind.bits as usize - 1
    }

    fn read(&self, value: &[u8]) -> i64 {
        self.kind.interpret((read_window(value, self.offset / 8) >> self.shift()) as u64)
    }

    /// How far the field lies from the end of the 16 bytes that begin at its first.
    fn shift(&self) -> u32 {
        u128::BITS - (self.offset % 8) as u32 - self.kind.bits
    }

    /// Stores a number, in bytes that are there.
    fn write(&self, value: &mut [u8], number: i64) {
        let field = (u128::MAX >> (u128::BITS - self.kind.bits)) << self.shift();
        let bytes = read_window(value, self.offset / 8) & !field | (number as u128) << self.shift() & field;
        let touched = self.offset / 8..=self.last() / 8;
        let count = touched.clone().count();
        value[touched].copy_from_slice(&bytes.to_be_bytes()[..count]);
    }

    /// What it makes of a value: the number before, and the one after; `None` where it is refused.
    fn outcome(&self, value: &[u8]) -> (i64, Option<i64>) {
        let before = self.read(value);
        let after = match self.action {
            Action::Get => Some(before),
            Action::Set(number, overflow) => self.kind.fit(self.kind.given(number, overflow), overflow),
            Action::Add(step, overflow) => self.kind.fit(i128::from(before) + i128::from(step), overflow),
        };
        (before, after)
    }

    /// Whether it leaves a value that holds it as it is.
    fn leaves(&self, value: &[u8]) -> bool {
        let (before, after) = self.outcome(value);
        after.is_none_or(|after| after == before)
    }

    /// What to reply of an outcome.
    fn answer(&self, (before, after): (i64, Option<i64>)) -> Option<i64> {
        if matches!(self.action, Action::Set(..)) { after.map(|_| before) } else { after }
    }
}

/// The 16 bytes from `at` on, zeros past the value's end.
fn read_window(value: &[u8], at: usize) -> u128 {
    let mut bytes = [0; 16];
    let there = value.get(at..).unwrap_or_default();
    let count = there.len().min(bytes.len());
    bytes[..count].copy_from_slice(&there[..count]);
    u128::from_be_bytes(bytes)
}

/// An offset in bits, or behind `#` in fields of this kind.
fn parse_place(text: &[u8], kind: Kind) -> Option<usize> {
    match text {
        [b'#', index @ ..] => within_value(parse_i64(index)?.wrapping_mul(i64::from(kind.bits))),
        text => parse_offset(text),
    }
}

/// BITFIELD key [GET type offset | [OVERFLOW WRAP | SAT | FAIL] SET type offset n | INCRBY type offset n]...,
/// BITFIELD_RO key [GET type offset]...
pub fn bit_field(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    let fields = match parse(request) {
        Ok(fields) => fields,
        Err(error) => return reply.error(error),
    };
    let key = request.key();
    let Some(last) = fields.iter().filter(|field| field.writes()).map(Field::last).max() else {
        let item = shard.read(&key, now_ms);
        let value = item.map_or(&[][..], |item| shard.value(item).bytes());
        reply.array(fields.len());
        return fields.iter().for_each(|field| reply.integer(field.read(value)));
    };
    if request.command == Command::BitFieldRo {
        return reply.error(READ_ONLY);
    }
    reply.array(fields.len());
    let answer = |answer: Option<i64>, reply: &mut Reply| match answer {
        Some(number) => reply.integer(number),
        None => reply.null(),
    };
    let (bytes, existing) = (last / 8 + 1, shard.find(&key, now_ms));
    let value = existing.map_or(&[][..], |item| shard.value(item).bytes());
    let grows = value.len() < bytes;
    // As long as none changes anything, each finds what was there.
    if let Some(item) = existing
        && !grows
        && fields.iter().all(|field| field.leaves(value))
    {
        fields.iter().for_each(|field| answer(field.answer(field.outcome(value)), reply));
        return shard.mark_edited(item);
    }
    let mut changed = false;
    let mut run = |value: &mut Vec<u8>| {
        grow(value, bytes.max(value.len()));
        for field in &fields {
            let (before, after) = field.outcome(value);
            if let Some(after) = after.filter(|_| field.writes()) {
                field.write(value, after);
                changed |= grows || after != before;
            }
            answer(field.answer((before, after)), reply);
        }
    };
    match existing {
        Some(item) => shard.edit(&key, item, run),
        None => {
            let mut value = Vec::new();
            run(&mut value);
            shard.put_edited(&key, value);
        }
    }
    // Refused fields make a value long enough all the same. That is a change, though Redis tells of it in no event (and,
    // unlike here, neither to WATCH nor to CLIENT TRACKING).
    if changed {
        shard.notify(EventClasses::STRING, "setbit", key.bytes);
    }
}

fn parse(request: &Request) -> Result<Vec<Field>, &'static str> {
    let (mut fields, mut at, mut overflow) = (Vec::new(), 2, Overflow::Wrap);
    while at < request.args.len() {
        fields.extend(Field::parse(request, &mut at, &mut overflow)?);
    }
    Ok(fields)
}
