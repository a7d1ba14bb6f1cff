//! Replies, encoded for the protocol version that the client speaks.

use std::ops::Range;
use std::sync::Arc;

use super::error::printable;
use super::output::{Output, Shared};
use super::{ProtocolError, double};

/// Values shorter than this are copied even when they could be shared: a copy of a page costs less than an extra
/// entry in the send vector, a reference counted up and down, and the value kept alive until it is sent.
const SHARED_BYTES_MIN: usize = 4 * 1024;
/// The longest `<mark>N\r\n`.
const HEADER_BYTES_MAX: usize = 24;

/// The protocol version of a connection: 2 until `HELLO 3`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proto {
    #[default]
    Resp2,
    Resp3,
}

/// Writes replies to the end of `out`.
pub struct Reply<'a> {
    pub out: &'a mut Output,
    pub proto: Proto,
}

impl Reply<'_> {
    #[inline]
    pub fn ok(&mut self) {
        self.raw(b"+OK\r\n");
    }

    /// A status. Like an error's text it is one line, whatever it was made of.
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// An error, its code first: `ERR syntax error`, `WRONGTYPE ...`.
    pub fn error(&mut self, text: &str) {
        self.line(b'-', text.as_bytes());
    }

    /// An error that repeats what a client sent: see [`quoting`].
    pub fn error_bytes(&mut self, text: &[u8]) {
        self.line(b'-', text);
    }

    /// The last reply of a connection, exactly as Redis sends it: the offending byte raw.
    pub fn protocol_error(&mut self, error: &ProtocolError) {
        match *error {
            ProtocolError::ExpectedBulk { got } if !printable(got).is_ascii() => {
                self.raw(b"-ERR Protocol error: expected '$', got '");
                self.raw(&[got, b'\'', b'\r', b'\n']);
            }
            _ => self.error(&format!("ERR {error}")),
        }
    }

    #[inline]
    pub fn integer(&mut self, value: i64) {
        match usize::try_from(value) {
            Ok(value) => header(&mut self.out.bytes, b':', value),
            Err(_) => negative(&mut self.out.bytes, value),
        }
    }

    #[inline]
    pub fn bulk(&mut self, value: &[u8]) {
        let bytes = &mut self.out.bytes;
        bytes.reserve(HEADER_BYTES_MAX + value.len());
        header(bytes, b'$', value.len());
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    }

    /// A part of a stored value, sent without a copy if it is long enough to be worth it.
    pub fn bulk_shared(&mut self, value: Arc<Vec<u8>>, range: Range<usize>) {
        if range.len() < SHARED_BYTES_MIN {
            return self.bulk(&value[range]);
        }
        assert!(range.end <= value.len(), "the range lies in the value");
        header(&mut self.out.bytes, b'$', range.len());
        self.out.shared.push(Shared { at: self.out.bytes.len(), value, range });
        self.raw(b"\r\n");
    }

    #[inline]
    pub fn null(&mut self) {
        match self.proto {
            Proto::Resp2 => self.raw(b"$-1\r\n"),
            Proto::Resp3 => self.raw(b"_\r\n"),
        }
    }

    /// The null that stands where an array would; RESP3 has one null for all.
    pub fn null_array(&mut self) {
        match self.proto {
            Proto::Resp2 => self.raw(b"*-1\r\n"),
            Proto::Resp3 => self.raw(b"_\r\n"),
        }
    }

    /// Opens an array; its `count` elements follow.
    #[inline]
    pub fn array(&mut self, count: usize) {
        header(&mut self.out.bytes, b'*', count);
    }

    /// Opens a map; `count` keys follow, each with its value. RESP2: an array of twice as many.
    pub fn map(&mut self, count: usize) {
        match self.proto {
            Proto::Resp2 => self.array(count * 2),
            Proto::Resp3 => header(&mut self.out.bytes, b'%', count),
        }
    }

    /// Opens a set; RESP2: an array.
    pub fn set(&mut self, count: usize) {
        self.aggregate(b'~', count);
    }

    /// Opens a message that answers no request; RESP2: an array.
    pub fn push(&mut self, count: usize) {
        self.aggregate(b'>', count);
    }

    /// A floating-point number in Redis 7.0's digits; RESP2: a bulk.
    pub fn double(&mut self, value: f64) {
        let text = double::format(value);
        self.resp3_line(b',', text.as_str());
    }

    /// An integer of any size, already in decimal; RESP2: a bulk.
    pub fn big_number(&mut self, digits: &str) {
        self.resp3_line(b'(', digits);
    }

    /// RESP2: 1 or 0.
    pub fn boolean(&mut self, value: bool) {
        match (self.proto, value) {
            (Proto::Resp2, _) => self.integer(i64::from(value)),
            (Proto::Resp3, true) => self.raw(b"#t\r\n"),
            (Proto::Resp3, false) => self.raw(b"#f\r\n"),
        }
    }

    /// Text for a person to read, with its format in three letters (`txt`, `mkd`); RESP2: a bulk.
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        assert_eq!(format.len(), 3, "a verbatim string's format is three letters");
        match self.proto {
            Proto::Resp2 => self.bulk(text),
            Proto::Resp3 => {
                header(&mut self.out.bytes, b'=', format.len() + 1 + text.len());
                self.raw(format.as_bytes());
                self.raw(b":");
                self.raw(text);
                self.raw(b"\r\n");
            }
        }
    }

    /// Bytes that are encoded already.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.bytes.extend_from_slice(bytes);
    }

    fn aggregate(&mut self, mark: u8, count: usize) {
        let mark = if self.proto == Proto::Resp3 { mark } else { b'*' };
        header(&mut self.out.bytes, mark, count);
    }

    fn resp3_line(&mut self, mark: u8, text: &str) {
        match self.proto {
            Proto::Resp2 => self.bulk(text.as_bytes()),
            Proto::Resp3 => self.line(mark, text.as_bytes()),
        }
    }

    /// A text may quote what a client sent: an end of line in it would end the reply, so it becomes a space.
    fn line(&mut self, mark: u8, text: &[u8]) {
        let bytes = &mut self.out.bytes;
        bytes.reserve(text.len() + 3);
        bytes.push(mark);
        bytes.extend(text.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }));
        bytes.extend_from_slice(b"\r\n");
    }
}

/// An error's text around bytes of the client's, as Redis prints them: as they came, up to the first NUL; and the whole
/// without ends of line behind it.
pub fn quoting(before: &str, quoted: &[u8], after: &str) -> Vec<u8> {
    let quoted = quoted.split(|byte| *byte == 0).next().expect("splitting yields a first part");
    let mut text = [before.as_bytes(), quoted, after.as_bytes()].concat();
    while text.ends_with(b"\r") || text.ends_with(b"\n") {
        text.pop();
    }
    text
}

/// `<mark>N\r\n`. Up to two digits, by far the most, are one store of known size.
#[inline(always)]
fn header(bytes: &mut Vec<u8>, mark: u8, value: usize) {
    if value < 10 {
        bytes.extend_from_slice(&[mark, b'0' + value as u8, b'\r', b'\n']);
    } else if value < 100 {
        bytes.extend_from_slice(&[mark, b'0' + (value / 10) as u8, b'0' + (value % 10) as u8, b'\r', b'\n']);
    } else {
        number(bytes, mark, itoa::Buffer::new().format(value));
    }
}

#[cold]
fn negative(bytes: &mut Vec<u8>, value: i64) {
    number(bytes, b':', itoa::Buffer::new().format(value));
}

fn number(bytes: &mut Vec<u8>, mark: u8, digits: &str) {
    bytes.reserve(HEADER_BYTES_MAX);
    bytes.push(mark);
    bytes.extend_from_slice(digits.as_bytes());
    bytes.extend_from_slice(b"\r\n");
}
