//! The grammar of a request, read as far as its bytes have come: as Redis 7.0 reads it, corner for corner.
//!
//! Known differences: a NUL in an inline request or in a length line is a byte like any other (Redis stops seeing
//! the buffer at it and waits for ever), and what counts against a limit does not depend on how the bytes were split.

use std::ops::Range;

use super::inline::{self, LINE_FEED};
use super::{Arg, Limits, ProtocolError, parse_i64};

/// Bytes that end a line or an argument. Redis skips two without looking what they are, and so does this.
const LINE_END_BYTES: usize = 2;

/// How one request stands after its bytes so far.
pub(super) enum Step {
    /// It is whole, its arguments are pushed.
    Whole,
    /// A line is not all there.
    Short,
    /// An argument of `bytes` is not all there (its bytes begin at [`Progress::read_bytes`]).
    Bulk { bytes: usize },
    /// It is whole, but its line must be rewritten by [`inline::split_quoted`] to be read.
    Quoted { line: Range<usize> },
}

/// How far one request has been read: enough to go on without looking at a byte twice.
#[derive(Default)]
pub(super) struct Progress {
    /// Bytes of the request's text that are done with: whole lines and whole arguments.
    read: usize,
    /// Bytes after those that are known to hold no end of line.
    searched: usize,
    /// Arguments still to come; 0 until their count has been read.
    args_left: usize,
    /// The length of the argument being read, once its line has come: what of it lies in the text.
    bulk: Option<usize>,
    /// Where that argument lies, if not in the text.
    body: Option<Arg>,
    /// The request's bytes that went to bodies instead of the text.
    body_bytes: usize,
}

impl Progress {
    pub(super) fn read_bytes(&self) -> usize {
        self.read
    }

    pub(super) fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// Nothing of the request has been looked at.
    pub(super) fn is_fresh(&self) -> bool {
        self.read == 0 && self.searched == 0
    }

    /// The argument being read lies in `body`; nothing of it is left in the text but its line end.
    pub(super) fn divert(&mut self, body: Arg) {
        self.bulk = Some(0);
        self.body = Some(body);
        self.body_bytes += body.len();
    }

    /// Reads on. `text` is all of the request's text so far, from its first byte; each whole argument is pushed.
    pub(super) fn advance(&mut self, text: &[u8], limits: &Limits, args: &mut Vec<Arg>) -> Result<Step, ProtocolError> {
        if self.args_left == 0 {
            match text.first() {
                None => return Ok(Step::Short),
                Some(b'*') => {}
                Some(_) => return self.inline(text, limits, args),
            }
            let Some(line) = self.line(text, b'\r', limits, ProtocolError::CountTooLong)? else {
                return Ok(Step::Short);
            };
            self.args_left = args_count(&text[line], limits)?;
        }
        while self.args_left > 0 {
            let bytes = match self.bulk {
                Some(bytes) => bytes,
                None => match self.bulk_header(text, limits)? {
                    Some(bytes) => bytes,
                    None => return Ok(Step::Short),
                },
            };
            if text.len() - self.read < bytes + LINE_END_BYTES {
                return Ok(Step::Bulk { bytes });
            }
            args.push(self.body.take().unwrap_or_else(|| Arg::text(self.read, bytes)));
            self.read += bytes + LINE_END_BYTES;
            self.bulk = None;
            self.args_left -= 1;
        }
        Ok(Step::Whole)
    }

    /// The length of the next argument, once its line is there.
    fn bulk_header(&mut self, text: &[u8], limits: &Limits) -> Result<Option<usize>, ProtocolError> {
        let Some(line) = self.line(text, b'\r', limits, ProtocolError::BulkTooLong)? else {
            return Ok(None);
        };
        // An empty line is its own '\r'.
        let got = text[line.start];
        if got != b'$' {
            return Err(ProtocolError::ExpectedBulk { got });
        }
        let bytes = bulk_bytes(&text[line], limits)?;
        if bytes + LINE_END_BYTES > limits.request_max().saturating_sub(self.read + self.body_bytes) {
            return Err(ProtocolError::RequestTooBig);
        }
        self.bulk = Some(bytes);
        Ok(Some(bytes))
    }

    /// An inline request: one line, split at blanks.
    fn inline(&mut self, text: &[u8], limits: &Limits, args: &mut Vec<Arg>) -> Result<Step, ProtocolError> {
        let Some(mut line) = self.line(text, LINE_FEED, limits, ProtocolError::InlineTooLong)? else {
            return Ok(Step::Short);
        };
        if text[line.clone()].ends_with(b"\r") {
            line.end -= 1;
        }
        if inline::has_quotes(&text[line.clone()]) {
            return Ok(Step::Quoted { line });
        }
        inline::split_plain(&text[line], args);
        Ok(Step::Whole)
    }

    /// The next line without its end, once that is there: `\r` and any one byte, or `\n` alone.
    fn line(
        &mut self,
        text: &[u8],
        end: u8,
        limits: &Limits,
        too_long: ProtocolError,
    ) -> Result<Option<Range<usize>>, ProtocolError> {
        let start = self.read;
        let rest = &text[start..];
        let bytes_max = limits.inline_bytes_max.min(limits.request_max());
        let window_end = rest.len().min(bytes_max + 1);
        let window = &rest[self.searched.min(window_end)..window_end];
        let found = window.iter().position(|&byte| byte == end);
        #[cfg(test)]
        super::tests::cost::examine(found.map_or(window.len(), |at| at + 1));
        let Some(at) = found else {
            if rest.len() > bytes_max {
                return Err(too_long);
            }
            self.searched = rest.len();
            return Ok(None);
        };
        self.searched += at;
        let line_bytes = self.searched;
        let end_bytes = if end == LINE_FEED { 1 } else { LINE_END_BYTES };
        if rest.len() < line_bytes + end_bytes {
            return Ok(None);
        }
        self.read = start + line_bytes + end_bytes;
        self.searched = 0;
        Ok(Some(start..start + line_bytes))
    }
}

/// The count in `*N`; none and fewer are the same.
fn args_count(line: &[u8], limits: &Limits) -> Result<usize, ProtocolError> {
    let count = parse_i64(&line[1..]).ok_or(ProtocolError::InvalidCount)?;
    let count = usize::try_from(count).unwrap_or(0);
    if count > limits.args_max {
        return Err(ProtocolError::InvalidCount);
    }
    if count > limits.args_open_max() {
        return Err(ProtocolError::UnauthenticatedCount);
    }
    Ok(count)
}

/// The length in `$N`; unlike in replies, -1 is none.
fn bulk_bytes(line: &[u8], limits: &Limits) -> Result<usize, ProtocolError> {
    let bytes = parse_i64(&line[1..]).and_then(|bytes| usize::try_from(bytes).ok());
    let bytes = bytes.filter(|&bytes| bytes <= limits.bulk_bytes_max).ok_or(ProtocolError::InvalidBulk)?;
    if bytes > limits.bulk_open_max() {
        return Err(ProtocolError::UnauthenticatedBulk);
    }
    Ok(bytes)
}
