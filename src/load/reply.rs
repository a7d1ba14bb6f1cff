//! Counts replies as they arrive, split at any byte. It understands lengths and line types and nothing else: enough to
//! tell one top-level reply from the next, and an error or a miss from a value.

use crate::protocol::resp::{Limits, NotAReply};
use crate::types::VALUE_BYTES_MAX;

/// One complete top-level reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    Value,
    Miss,
    Error(&'a [u8]),
}

/// No count of an aggregate is larger: sums cannot overflow.
const COUNT_MAX: u64 = 1 << 40;

pub struct Replies {
    line_bytes_max: usize,
    /// The part of a line that came without its end.
    carry: Vec<u8>,
    /// Bytes of a payload, with its CR LF, still to be passed over.
    skip: u64,
    /// Values still missing from the reply being read; 1 between replies.
    open: u64,
    /// The reply being read is an aggregate.
    nested: bool,
    /// The reply being read is a push: nobody asked for it.
    push: bool,
    /// The bulk being read is an error.
    blob_error: bool,
    /// Bytes of the reply being read.
    bytes: u64,
}

impl Default for Replies {
    fn default() -> Self {
        Self {
            line_bytes_max: Limits::default().inline_bytes_max,
            carry: Vec::new(),
            skip: 0,
            open: 1,
            nested: false,
            push: false,
            blob_error: false,
            bytes: 0,
        }
    }
}

impl Replies {
    /// Calls `each` once for every reply that `data` completes, in order, with how many bytes it had.
    #[inline]
    pub fn feed(&mut self, mut data: &[u8], mut each: impl FnMut(Outcome<'_>, u64)) -> Result<(), NotAReply> {
        while !data.is_empty() {
            if self.skip > 0 {
                let passed = self.skip.min(data.len() as u64);
                self.skip -= passed;
                self.bytes += passed;
                data = &data[passed as usize..];
                if self.skip == 0 {
                    self.payload_ended(&mut each);
                }
                continue;
            }
            let Some(end) = data.iter().position(|&byte| byte == b'\n') else {
                self.bytes += data.len() as u64;
                self.carry.extend_from_slice(data);
                return if self.carry.len() > self.line_bytes_max { Err(not_a_reply(&self.carry)) } else { Ok(()) };
            };
            let (line, rest) = (&data[..end], &data[end + 1..]);
            self.bytes += end as u64 + 1;
            if self.carry.len() + end > self.line_bytes_max {
                return Err(not_a_reply(if self.carry.is_empty() { line } else { &self.carry }));
            }
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

    #[inline]
    fn line(&mut self, line: &[u8], each: &mut impl FnMut(Outcome<'_>, u64)) -> Result<(), NotAReply> {
        let Some((&kind, text)) = line.split_first() else { return Err(not_a_reply(line)) };
        match kind {
            b'+' | b':' | b',' | b'#' | b'(' => self.value_ended(Outcome::Value, each),
            b'-' => self.value_ended(Outcome::Error(text), each),
            b'_' => self.value_ended(Outcome::Miss, each),
            b'$' | b'=' | b'!' => match length(text, VALUE_BYTES_MAX as u64).ok_or_else(|| not_a_reply(line))? {
                None => self.value_ended(Outcome::Miss, each),
                Some(bytes) => {
                    self.skip = bytes + 2;
                    self.blob_error = kind == b'!';
                }
            },
            b'*' | b'~' | b'>' | b'%' | b'|' => self.aggregate(kind, line, text, each)?,
            _ => return Err(not_a_reply(line)),
        }
        Ok(())
    }

    fn aggregate(
        &mut self,
        kind: u8,
        line: &[u8],
        text: &[u8],
        each: &mut impl FnMut(Outcome<'_>, u64),
    ) -> Result<(), NotAReply> {
        self.push |= kind == b'>' && self.open == 1;
        match length(text, COUNT_MAX).ok_or_else(|| not_a_reply(line))? {
            None => self.value_ended(Outcome::Miss, each),
            Some(0) if kind != b'|' => self.value_ended(Outcome::Value, each),
            Some(count) => {
                let values = if matches!(kind, b'%' | b'|') { count * 2 } else { count };
                // What a `|` announces stands before a value and is none: the value itself is still to come.
                self.open = self.open.saturating_add(values) - u64::from(kind != b'|');
                self.nested |= kind != b'|';
            }
        }
        Ok(())
    }

    fn payload_ended(&mut self, each: &mut impl FnMut(Outcome<'_>, u64)) {
        let outcome =
            if std::mem::take(&mut self.blob_error) { Outcome::Error(b"(an error in bulk)") } else { Outcome::Value };
        self.value_ended(outcome, each);
    }

    /// What nested values were is lost on purpose: an array that came whole is a value.
    #[inline]
    fn value_ended(&mut self, outcome: Outcome<'_>, each: &mut impl FnMut(Outcome<'_>, u64)) {
        self.open -= 1;
        if self.open == 0 {
            self.open = 1;
            let bytes = std::mem::take(&mut self.bytes);
            let nested = std::mem::take(&mut self.nested);
            if !std::mem::take(&mut self.push) {
                each(if nested { Outcome::Value } else { outcome }, bytes);
            }
        }
    }
}

fn strip_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// `Some(None)` is RESP2's -1, the absent value.
fn length(text: &[u8], max: u64) -> Option<Option<u64>> {
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
    (number <= max).then_some(Some(number))
}

fn not_a_reply(line: &[u8]) -> NotAReply {
    NotAReply(String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(bytes: &[u8], step: usize) -> (Vec<String>, u64) {
        let (mut replies, mut seen, mut total) = (Replies::default(), Vec::new(), 0);
        for part in bytes.chunks(step) {
            replies
                .feed(part, |outcome, bytes| {
                    total += bytes;
                    seen.push(match outcome {
                        Outcome::Value => "value".to_owned(),
                        Outcome::Miss => "miss".to_owned(),
                        Outcome::Error(text) => String::from_utf8_lossy(text).into_owned(),
                    })
                })
                .expect("good replies");
        }
        (seen, total)
    }

    /// Proves the count is the same wherever the stream is cut, with payloads that look like headers, and that each
    /// byte is counted once.
    #[test]
    fn counts_whatever_the_cut() {
        let stream: &[u8] =
            b"+OK\r\n$4\r\n$1\r\n\r\n$-1\r\n$0\r\n\r\n-ERR no\r\n:7\r\n*2\r\n*1\r\n:1\r\n$-1\r\n*0\r\n*-1\r\n_\r\n\
            %1\r\n+k\r\n#t\r\n!5\r\nERR x\r\n|1\r\n+ttl\r\n:3\r\n:4\r\n%0\r\n~1\r\n%1\r\n+a\r\n*0\r\n";
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
            "(an error in bulk)",
            "value",
            "value",
            "value",
        ];
        for step in 1..=stream.len() {
            let (seen, total) = outcomes(stream, step);
            assert_eq!(seen, expected, "cut every {step}");
            assert_eq!(total, stream.len() as u64, "cut every {step}");
        }
    }

    /// Proves that a push between replies is nobody's reply, and that one inside of an attribute changes nothing.
    #[test]
    fn pushes_answer_nothing() {
        let stream = b"+OK\r\n>2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n:1\r\n";
        for step in 1..=stream.len() {
            assert_eq!(outcomes(stream, step).0, ["value", "value"]);
        }
    }

    /// Proves that nonsense is an error and never a panic or a silent wait.
    #[test]
    fn refuses_what_is_no_reply() {
        let cases: [&[u8]; 7] =
            [b"\r\n", b"hello\r\n", b"$x\r\n", b"$-2\r\n", b"$99999999999999\r\n", b"$9999999999\r\n", b"*\r\n"];
        for bytes in cases {
            assert!(Replies::default().feed(bytes, |_, _| ()).is_err(), "{bytes:?}");
        }
        // Too long a line, whether its end has come or not.
        let line = [&[b'+'; 70_000][..], b"\r\n"].concat();
        for bytes in [&line[..70_000], &line] {
            assert!(Replies::default().feed(bytes, |_, _| ()).is_err());
        }
    }
}
