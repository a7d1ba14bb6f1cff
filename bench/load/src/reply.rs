//! Counts replies as they arrive, split at any byte. It understands lengths and line types and nothing else: enough to
//! tell one top-level reply from the next, and an error or a miss from a value.

use crate::error::{Error, Result};
use crate::request::Protocol;

/// One complete top-level reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    Value,
    Miss,
    Error(&'a [u8]),
}

/// A line longer than this is no header of either protocol.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Longer than any value either protocol allows, short enough that sums cannot overflow.
const LENGTH_MAX: u64 = 1 << 40;

pub struct Replies {
    protocol: Protocol,
    /// The part of a line that came without its end.
    carry: Vec<u8>,
    /// Bytes of a payload, with its CR LF, still to be passed over.
    skip: u64,
    /// RESP: values still missing from the reply being read; 1 between replies.
    open: u64,
    /// RESP: the reply being read is an array or a map.
    nested: bool,
    /// The reply being read is an error of the length-prefixed kind.
    blob_error: bool,
    /// Memcache: a VALUE line came since the last END.
    found: bool,
}

impl Replies {
    pub fn new(protocol: Protocol) -> Self {
        Self { protocol, carry: Vec::new(), skip: 0, open: 1, nested: false, blob_error: false, found: false }
    }

    /// Calls `each` once for every reply that `data` completes, in order.
    pub fn feed(&mut self, mut data: &[u8], mut each: impl FnMut(Outcome<'_>)) -> Result<()> {
        while !data.is_empty() {
            if self.skip > 0 {
                let passed = self.skip.min(data.len() as u64);
                self.skip -= passed;
                data = &data[passed as usize..];
                if self.skip == 0 {
                    self.payload_ended(&mut each);
                }
                continue;
            }
            let Some(end) = data.iter().position(|&byte| byte == b'\n') else {
                self.carry.extend_from_slice(data);
                return if self.carry.len() > LINE_BYTES_MAX { Err(not_a_reply(&self.carry)) } else { Ok(()) };
            };
            let (line, rest) = (&data[..end], &data[end + 1..]);
            if self.carry.is_empty() {
                self.line(strip_cr(line), &mut each)?;
            } else {
                let mut whole = std::mem::take(&mut self.carry);
                whole.extend_from_slice(line);
                self.line(strip_cr(&whole), &mut each)?;
                whole.clear();
                self.carry = whole;
            }
            data = rest;
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8], each: &mut impl FnMut(Outcome<'_>)) -> Result<()> {
        match self.protocol {
            Protocol::Resp => self.resp_line(line, each),
            Protocol::Memcache => self.memcache_line(line, each),
        }
    }

    fn resp_line(&mut self, line: &[u8], each: &mut impl FnMut(Outcome<'_>)) -> Result<()> {
        let Some((&kind, text)) = line.split_first() else { return Err(not_a_reply(line)) };
        match kind {
            b'+' | b':' | b',' | b'#' | b'(' => self.value_ended(Outcome::Value, each),
            b'-' => self.value_ended(Outcome::Error(text), each),
            b'_' => self.value_ended(Outcome::Miss, each),
            b'$' | b'=' | b'!' => match length(text).ok_or_else(|| not_a_reply(line))? {
                None => self.value_ended(Outcome::Miss, each),
                Some(bytes) => {
                    self.skip = bytes + 2;
                    self.blob_error = kind == b'!';
                }
            },
            b'*' | b'~' | b'>' | b'%' => match length(text).ok_or_else(|| not_a_reply(line))? {
                None => self.value_ended(Outcome::Miss, each),
                Some(0) => self.value_ended(Outcome::Value, each),
                Some(count) => {
                    let values = if kind == b'%' { count * 2 } else { count };
                    self.open = self.open.saturating_add(values - 1);
                    self.nested = true;
                }
            },
            _ => return Err(not_a_reply(line)),
        }
        Ok(())
    }

    fn memcache_line(&mut self, line: &[u8], each: &mut impl FnMut(Outcome<'_>)) -> Result<()> {
        if let Some(header) = line.strip_prefix(b"VALUE ") {
            let bytes = header.split(|&byte| byte == b' ').nth(2).and_then(length).flatten();
            self.skip = bytes.ok_or_else(|| not_a_reply(line))? + 2;
            self.found = true;
            return Ok(());
        }
        let outcome = match line {
            b"END" if std::mem::take(&mut self.found) => Outcome::Value,
            b"END" | b"NOT_FOUND" | b"NOT_STORED" => Outcome::Miss,
            b"STORED" | b"DELETED" | b"TOUCHED" | b"EXISTS" | b"OK" => Outcome::Value,
            _ if !line.is_empty() && line.iter().all(u8::is_ascii_digit) => Outcome::Value,
            _ if line == b"ERROR" || line.starts_with(b"CLIENT_ERROR") || line.starts_with(b"SERVER_ERROR") => {
                Outcome::Error(line)
            }
            _ => return Err(not_a_reply(line)),
        };
        each(outcome);
        Ok(())
    }

    fn payload_ended(&mut self, each: &mut impl FnMut(Outcome<'_>)) {
        if self.protocol == Protocol::Resp {
            let outcome =
                if std::mem::take(&mut self.blob_error) { Outcome::Error(b"(blob error)") } else { Outcome::Value };
            self.value_ended(outcome, each);
        }
    }

    /// What nested values were is lost on purpose: an array that came whole is a value.
    fn value_ended(&mut self, outcome: Outcome<'_>, each: &mut impl FnMut(Outcome<'_>)) {
        self.open -= 1;
        if self.open == 0 {
            self.open = 1;
            each(if std::mem::take(&mut self.nested) { Outcome::Value } else { outcome });
        }
    }
}

fn strip_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// `Some(None)` is RESP2's -1, the absent value.
fn length(text: &[u8]) -> Option<Option<u64>> {
    if text == b"-1" {
        return Some(None);
    }
    if text.is_empty() || text.len() > 13 {
        return None;
    }
    let mut number = 0;
    for &byte in text {
        number = number * 10 + u64::from(byte.is_ascii_digit().then(|| byte - b'0')?);
    }
    (number <= LENGTH_MAX).then_some(Some(number))
}

fn not_a_reply(line: &[u8]) -> Error {
    let shown = &line[..line.len().min(80)];
    Error::NotAReply { line: String::from_utf8_lossy(shown).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(protocol: Protocol, bytes: &[u8], step: usize) -> Vec<String> {
        let (mut replies, mut seen) = (Replies::new(protocol), Vec::new());
        for part in bytes.chunks(step) {
            replies
                .feed(part, |outcome| {
                    seen.push(match outcome {
                        Outcome::Value => "value".to_owned(),
                        Outcome::Miss => "miss".to_owned(),
                        Outcome::Error(text) => String::from_utf8_lossy(text).into_owned(),
                    })
                })
                .unwrap();
        }
        seen
    }

    /// Proves the count is the same wherever the stream is cut, with payloads that look like headers.
    #[test]
    fn counts_whatever_the_cut() {
        let resp: &[u8] =
            b"+OK\r\n$4\r\n$1\r\n\r\n$-1\r\n$0\r\n\r\n-ERR no\r\n:7\r\n*2\r\n*1\r\n:1\r\n$-1\r\n*0\r\n*-1\r\n_\r\n\
            %1\r\n+k\r\n#t\r\n!5\r\nERR x\r\n";
        let expected = [
            "value",
            "value",
            "miss",
            "value",
            "ERR no",
            "value",
            "value",
            "value",
            "miss",
            "miss",
            "value",
            "(blob error)",
        ];
        let memcache: &[u8] =
            b"STORED\r\nVALUE k 0 5\r\nEND\r\n\r\nEND\r\nEND\r\n12\r\nNOT_FOUND\r\nSERVER_ERROR full\r\n";
        let expected_memcache = ["value", "value", "miss", "value", "miss", "SERVER_ERROR full"];
        for step in 1..=resp.len() {
            assert_eq!(outcomes(Protocol::Resp, resp, step), expected, "cut every {step}");
            assert_eq!(outcomes(Protocol::Memcache, memcache, step), expected_memcache, "cut every {step}");
        }
    }

    /// Proves that nonsense is an error and never a panic or a silent wait.
    #[test]
    fn refuses_what_is_no_reply() {
        let cases: [&[u8]; 6] = [b"\r\n", b"hello\r\n", b"$x\r\n", b"$-2\r\n", b"$99999999999999\r\n", b"*\r\n"];
        for bytes in cases {
            assert!(Replies::new(Protocol::Resp).feed(bytes, |_| ()).is_err(), "{bytes:?}");
        }
        assert!(Replies::new(Protocol::Memcache).feed(b"VALUE k 0\r\n", |_| ()).is_err());
        assert!(Replies::new(Protocol::Resp).feed(&[b'+'; LINE_BYTES_MAX + 1], |_| ()).is_err());
    }
}
