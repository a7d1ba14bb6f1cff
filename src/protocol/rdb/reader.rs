//! A whole file, from bytes in any pieces to keys in order.
//!
//! ```text
//! REDIS0011 or VALKEY080
//! | opcode | what it says about the file or the next key |     any number of times, and between keys
//! | type | key | value |
//! | 255 | CRC64 of all before, 0 if the writer did not care, since version 5 |     little-endian
//! ```

use super::checksum::Checksum;
use super::error::{Fault, RdbError};
use super::form::{self, Form};
use super::layout::{DATABASE, END, EXPIRES_MS, EXPIRES_S, Layout, Part, TYPE_STRING, layout};
use super::walk::Walk;
use crate::types::VALUE_BYTES_MAX;
use std::borrow::Cow;

const SIGNATURE_BYTES: usize = 9;
const CHECKSUM_BYTES: usize = 8;
/// Older files end without a checksum.
const CHECKSUM_SINCE: u32 = 5;
/// A file that was sent before its length was known may have so many hexadecimal digits behind it, as redis-cli leaves them.
const MARK_BYTES: usize = 40;

/// What a file says next.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A string.
    Text { database: u64, key: &'a [u8], value: &'a [u8], expires_ms: Option<i64> },
    /// A key of another type, whose value has been passed over.
    Value { database: u64, key: &'a [u8], kind: &'static str },
    /// What belongs to no key, and has been passed over.
    Other { kind: &'static str },
}

/// Reads one file. What has come is given to [`Reader::keep`]; then [`Reader::next`] is asked until it has nothing.
///
/// A string is kept until it is whole; of all else only a few bytes are. Memory follows what has come, not what is
/// announced.
#[derive(Default)]
pub struct Reader {
    bytes: Vec<u8>,
    /// Up to where they have been read.
    at: usize,
    /// Up to where the checksum has them.
    summed: usize,
    /// Bytes of the file before these.
    before: u64,
    checksum: Checksum,
    stage: Stage,
    is_valkey: bool,
    version: u32,
    database: u64,
    expires_ms: Option<i64>,
    key: Vec<u8>,
    value: Vec<u8>,
}

#[derive(Default)]
enum Stage {
    #[default]
    Signature,
    Number,
    Key(Next),
    Text,
    /// A value, or what belongs to no key.
    Pass(Walk, Option<Passed>),
    Checksum,
    End,
}

/// What stands behind a key.
#[derive(Clone, Copy)]
enum Next {
    Text,
    Value(&'static str, &'static [Part]),
}

/// What is told once it has been passed over.
#[derive(Clone, Copy)]
enum Passed {
    Value(&'static str),
    Other(&'static str),
}

impl Reader {
    /// Bytes of the file that have been read, all in all.
    pub fn offset(&self) -> u64 {
        self.before + self.at as u64
    }

    #[cfg(test)]
    pub(super) fn kept_bytes(&self) -> usize {
        self.bytes.capacity() + self.key.capacity() + self.value.capacity()
    }

    pub fn keep(&mut self, bytes: &[u8]) {
        self.checksum.add(&self.bytes[self.summed..self.at]);
        self.before += self.at as u64;
        self.bytes.drain(..self.at);
        (self.at, self.summed) = (0, 0);
        self.bytes.extend_from_slice(bytes);
    }

    /// What comes next, or nothing until more bytes are kept. After an error there is nothing more to be had.
    #[expect(clippy::should_implement_trait, reason = "what it gives is borrowed")]
    pub fn next(&mut self) -> Result<Option<Event<'_>>, RdbError> {
        loop {
            let whole = match &mut self.stage {
                Stage::Signature => self.signature()?,
                Stage::Number => self.number()?,
                Stage::Key(next) => {
                    let next = *next;
                    self.key_then(next)?
                }
                Stage::Text => match self.string()? {
                    Some(_) => return Ok(Some(self.text())),
                    None => false,
                },
                Stage::Pass(walk, passed) => {
                    let (bytes, end) = walk.pass(&self.bytes[self.at..]);
                    self.at += bytes;
                    let passed = *passed;
                    let ended = end.map_err(|fault| self.error(fault))?;
                    if ended {
                        self.stage = Stage::Number;
                    }
                    match passed {
                        Some(passed) if ended => return Ok(Some(self.passed(passed))),
                        _ => ended,
                    }
                }
                Stage::Checksum => self.compare()?,
                Stage::End if !is_mark(&self.bytes[self.at..]) => return Err(self.error(Fault::Trailing)),
                Stage::End => false,
            };
            if !whole {
                return Ok(None);
            }
        }
    }

    /// To be asked when the file has no more bytes: whether that is where it ends.
    pub fn finish(&self) -> Result<(), RdbError> {
        match self.stage {
            Stage::End if matches!(self.rest().len(), 0 | MARK_BYTES) => Ok(()),
            Stage::End => Err(self.error(Fault::Trailing)),
            Stage::Signature if !may_be_signature(self.rest()) => {
                Err(self.error(Fault::Signature { found: self.rest().to_vec() }))
            }
            _ => Err(RdbError { offset: self.before + self.bytes.len() as u64, fault: Fault::Truncated }),
        }
    }

    fn error(&self, fault: Fault) -> RdbError {
        RdbError { offset: self.offset(), fault }
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    fn signature(&mut self) -> Result<bool, RdbError> {
        let Some(found) = self.rest().first_chunk::<SIGNATURE_BYTES>() else { return Ok(false) };
        let digits = found.strip_prefix(b"REDIS").or_else(|| found.strip_prefix(b"VALKEY"));
        let version = digits.filter(|digits| digits.iter().all(u8::is_ascii_digit));
        let version = version.map(|digits| digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')));
        match version {
            Some(version @ 1..) => (self.version, self.is_valkey) = (version, found.starts_with(b"VALKEY")),
            _ => return Err(self.error(Fault::Signature { found: found.to_vec() })),
        }
        self.at += SIGNATURE_BYTES;
        self.stage = Stage::Number;
        Ok(true)
    }

    /// A type or an opcode, with what belongs to it unless that may be long.
    fn number(&mut self) -> Result<bool, RdbError> {
        let Some((&number, rest)) = self.rest().split_first() else { return Ok(false) };
        let taken = match number {
            DATABASE => match form::length(rest) {
                Ok(Some((database, taken))) => {
                    self.database = database;
                    taken
                }
                Ok(None) => return Ok(false),
                Err(fault) => return Err(self.error(fault)),
            },
            EXPIRES_MS => {
                let Some(ms) = rest.first_chunk() else { return Ok(false) };
                self.expires_ms = Some(i64::from_le_bytes(*ms));
                8
            }
            EXPIRES_S => {
                let Some(seconds) = rest.first_chunk() else { return Ok(false) };
                self.expires_ms = Some(i64::from(i32::from_le_bytes(*seconds)) * 1000);
                4
            }
            END => {
                self.stage = if self.version < CHECKSUM_SINCE { Stage::End } else { Stage::Checksum };
                0
            }
            TYPE_STRING => {
                self.stage = Stage::Key(Next::Text);
                0
            }
            number => {
                self.stage = match layout(number, self.is_valkey) {
                    Some(Layout::Value(kind, parts)) => Stage::Key(Next::Value(kind, parts)),
                    Some(Layout::Other(kind, parts)) => Stage::Pass(Walk::new(parts), kind.map(Passed::Other)),
                    None => return Err(self.error(Fault::Type { number, version: self.version })),
                };
                0
            }
        };
        self.at += 1 + taken;
        Ok(true)
    }

    fn key_then(&mut self, next: Next) -> Result<bool, RdbError> {
        if self.string()?.is_none() {
            return Ok(false);
        }
        std::mem::swap(&mut self.key, &mut self.value);
        self.stage = match next {
            Next::Text => Stage::Text,
            Next::Value(kind, parts) => Stage::Pass(Walk::new(parts), Some(Passed::Value(kind))),
        };
        Ok(true)
    }

    /// Puts the next string, once it is there, into `value`.
    fn string(&mut self) -> Result<Option<()>, RdbError> {
        let rest = &self.bytes[self.at..];
        let Some((form, taken)) = Form::read(rest).map_err(|fault| self.error(fault))? else { return Ok(None) };
        if form.bytes_at_most() > VALUE_BYTES_MAX as u64 {
            return Err(self.error(Fault::TooLong(form.bytes_at_most())));
        }
        let end = taken + form.bytes() as usize;
        let Some(body) = rest.get(taken..end) else { return Ok(None) };
        match form.string(body).map_err(|fault| self.error(fault))? {
            Cow::Owned(string) => self.value = string,
            Cow::Borrowed(string) => {
                self.value.clear();
                self.value.extend_from_slice(string);
            }
        }
        self.at += end;
        Ok(Some(()))
    }

    fn text(&mut self) -> Event<'_> {
        self.stage = Stage::Number;
        let expires_ms = self.expires_ms.take();
        Event::Text { database: self.database, key: &self.key, value: &self.value, expires_ms }
    }

    fn passed(&mut self, passed: Passed) -> Event<'_> {
        match passed {
            Passed::Other(kind) => Event::Other { kind },
            Passed::Value(kind) => {
                self.expires_ms = None;
                Event::Value { database: self.database, key: &self.key, kind }
            }
        }
    }

    fn compare(&mut self) -> Result<bool, RdbError> {
        let Some(expected) = self.rest().first_chunk::<CHECKSUM_BYTES>() else { return Ok(false) };
        let expected = u64::from_le_bytes(*expected);
        self.checksum.add(&self.bytes[self.summed..self.at]);
        self.summed = self.at;
        let got = self.checksum.value();
        if expected != 0 && expected != got {
            return Err(self.error(Fault::Checksum { got, expected }));
        }
        self.at += CHECKSUM_BYTES;
        self.stage = Stage::End;
        Ok(true)
    }
}

/// Whether this is the mark behind a file, or the start of one.
fn is_mark(bytes: &[u8]) -> bool {
    bytes.len() <= MARK_BYTES && bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether bytes that are too few for a signature may be the start of one.
fn may_be_signature(bytes: &[u8]) -> bool {
    [&b"REDIS"[..], b"VALKEY"].iter().any(|name| bytes.starts_with(name) || name.starts_with(bytes))
}
