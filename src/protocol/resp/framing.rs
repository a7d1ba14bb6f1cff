//! Where a server's reply ends: read in place, in any pieces, with little memory whatever comes.
//!
//! It understands lengths and line ends and nothing of what is between them, so that a reply can be handed on as it came.

/// How deep aggregates may stand inside of each other.
const DEPTH_MAX: usize = 64;
/// No value takes fewer bytes: `+\r\n`.
const VALUE_BYTES_MIN: u64 = 3;
/// Digits of a length.
const DIGITS_MAX: u32 = 12;
/// In a row of the stack: what is counted are an attribute's values, and no reply.
const ATTRIBUTE: u64 = 1 << 63;

/// What a reply may come to.
#[derive(Clone, Copy, Debug)]
pub struct ReplyBounds {
    /// A line: a simple string, an error, a number.
    pub line_bytes_max: u64,
    pub bulk_bytes_max: u64,
    /// All of it.
    pub reply_bytes_max: u64,
}

impl Default for ReplyBounds {
    fn default() -> ReplyBounds {
        ReplyBounds { line_bytes_max: 64 * 1024, bulk_bytes_max: 512 << 20, reply_bytes_max: 1 << 30 }
    }
}

/// Why bytes are no reply. What follows them means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    #[error("a reply cannot begin with byte {got:#04x}")]
    Kind { got: u8 },
    #[error("a length that is none")]
    Length,
    #[error("a line or a value that ends with {got:#04x} where its end should be")]
    End { got: u8 },
    #[error("a line of more than {max} bytes")]
    LineTooLong { max: u64 },
    #[error("a value of {bytes} bytes")]
    BulkTooLong { bytes: u64 },
    #[error("a reply of more than {max} bytes")]
    TooLong { max: u64 },
    #[error("a reply more than {DEPTH_MAX} levels deep")]
    TooDeep,
    #[error("a push inside of a reply")]
    NestedPush,
}

/// How far a reply has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framed {
    /// It ends after so many of the bytes. `kind` is its first byte, behind attributes: `b'>'` is a push and answers
    /// nothing.
    Whole { bytes: usize, kind: u8 },
    /// All of the bytes belong to it, and more is to come.
    Short,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A value's first byte comes next.
    Kind,
    /// Inside of a line that has no length: so many bytes of it have come.
    Line {
        bytes: u64,
        ends: bool,
    },
    /// Inside of a length.
    Length {
        kind: u8,
        value: u64,
        digits: u32,
        minus: bool,
    },
    LengthEnds {
        kind: u8,
        value: Option<u64>,
    },
    /// So many bytes of a value are missing.
    Bulk {
        missing: u64,
    },
    BulkEnds,
    BulkEnded,
}

/// Reads replies one by one; what has come of one is remembered as numbers alone.
#[derive(Debug)]
pub struct Framing {
    bounds: ReplyBounds,
    state: State,
    /// The first byte of the reply being read; 0: none has come.
    kind: u8,
    /// Bytes of the reply being read.
    bytes: u64,
    /// Values still missing from it, those that aggregates have announced.
    owed: u64,
    depth: usize,
    /// Values missing from each aggregate that is open.
    open: [u64; DEPTH_MAX],
}

impl Default for Framing {
    fn default() -> Framing {
        Framing::new(ReplyBounds::default())
    }
}

impl Framing {
    pub fn new(bounds: ReplyBounds) -> Framing {
        Framing { bounds, state: State::Kind, kind: 0, bytes: 0, owed: 0, depth: 0, open: [0; DEPTH_MAX] }
    }

    /// Nothing of a reply has come.
    #[inline]
    pub fn is_fresh(&self) -> bool {
        self.bytes == 0
    }

    /// Reads on. An error is final.
    #[inline]
    pub fn advance(&mut self, bytes: &[u8]) -> Result<Framed, ReplyError> {
        if self.bytes == 0
            && let Some((end, kind)) = self.simple(bytes)
        {
            return Ok(Framed::Whole { bytes: end, kind });
        }
        self.advance_slowly(bytes)
    }

    /// A whole short reply of the kinds that nearly all are. `None` decides nothing.
    #[inline]
    fn simple(&self, bytes: &[u8]) -> Option<(usize, u8)> {
        let (&kind, rest) = bytes.split_first()?;
        match kind {
            b'$' => {
                let (mut length, mut at) = (0usize, 0);
                loop {
                    match *rest.get(at)? {
                        digit @ b'0'..=b'9' if at < 7 => length = length * 10 + usize::from(digit - b'0'),
                        b'\r' if at > 0 => break,
                        b'-' if rest.get(..4)? == b"-1\r\n" => return Some((5, kind)),
                        _ => return None,
                    }
                    at += 1;
                }
                let end = at + 2 + length;
                let whole = rest.get(at + 1)? == &b'\n' && rest.get(end..end + 2)? == b"\r\n";
                let fits =
                    (length as u64) <= self.bounds.bulk_bytes_max && end as u64 + 3 <= self.bounds.reply_bytes_max;
                (whole && fits).then_some((end + 3, kind))
            }
            b'+' | b':' | b'-' | b'_' => {
                let line = &rest[..rest.len().min(512)];
                let at = line.iter().position(|byte| *byte == b'\n')?;
                let fits = at as u64 <= self.bounds.line_bytes_max.min(self.bounds.reply_bytes_max - 2);
                (at > 0 && line[at - 1] == b'\r' && fits).then_some((at + 2, kind))
            }
            _ => None,
        }
    }

    fn advance_slowly(&mut self, bytes: &[u8]) -> Result<Framed, ReplyError> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let (taken, ended) = self.step(rest)?;
            at += taken;
            self.bytes += taken as u64;
            if self.bytes > self.bounds.reply_bytes_max {
                return Err(ReplyError::TooLong { max: self.bounds.reply_bytes_max });
            }
            if ended && self.value_ends() {
                let kind = self.kind;
                (self.kind, self.bytes, self.owed) = (0, 0, 0);
                return Ok(Framed::Whole { bytes: at, kind });
            }
        }
        Ok(Framed::Short)
    }

    /// Takes some of the bytes, of which there is one at least; how many, and whether a value ends with them.
    fn step(&mut self, bytes: &[u8]) -> Result<(usize, bool), ReplyError> {
        let first = bytes[0];
        match self.state {
            State::Kind => {
                self.begin(first)?;
                Ok((1, false))
            }
            State::Line { bytes: before, ends } => self.line(bytes, before, ends),
            State::Length { kind, value, digits, minus } => {
                self.state = match first {
                    b'0'..=b'9' if digits < DIGITS_MAX => {
                        let value = value * 10 + u64::from(first - b'0');
                        State::Length { kind, value, digits: digits + 1, minus }
                    }
                    b'-' if digits == 0 && !minus => State::Length { kind, value, digits, minus: true },
                    b'\r' if digits > 0 => {
                        let absent = minus && value == 1 && matches!(kind, b'$' | b'*');
                        if minus && !absent {
                            return Err(ReplyError::Length);
                        }
                        State::LengthEnds { kind, value: (!absent).then_some(value) }
                    }
                    _ => return Err(ReplyError::Length),
                };
                Ok((1, false))
            }
            State::LengthEnds { kind, value } => {
                expect(first, b'\n')?;
                Ok((1, self.length_ends(kind, value)?))
            }
            State::Bulk { missing } => {
                let taken = missing.min(bytes.len() as u64);
                self.state = if taken == missing { State::BulkEnds } else { State::Bulk { missing: missing - taken } };
                Ok((taken as usize, false))
            }
            State::BulkEnds => {
                expect(first, b'\r')?;
                self.state = State::BulkEnded;
                Ok((1, false))
            }
            State::BulkEnded => {
                expect(first, b'\n')?;
                Ok((1, true))
            }
        }
    }

    /// A value begins.
    fn begin(&mut self, kind: u8) -> Result<(), ReplyError> {
        self.state = match kind {
            b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => State::Line { bytes: 0, ends: false },
            b'>' if self.kind != 0 => return Err(ReplyError::NestedPush),
            b'$' | b'=' | b'!' | b'*' | b'~' | b'%' | b'|' | b'>' => {
                State::Length { kind, value: 0, digits: 0, minus: false }
            }
            got => return Err(ReplyError::Kind { got }),
        };
        // What stands inside of an attribute in front of a reply does not say what the reply is.
        if self.kind == 0 && self.depth == 0 && kind != b'|' {
            self.kind = kind;
        }
        Ok(())
    }

    /// Reads a line up to its end, CR LF. `ends`: what came last was a CR.
    fn line(&mut self, bytes: &[u8], before: u64, ends: bool) -> Result<(usize, bool), ReplyError> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(bytes.len());
        if before + taken as u64 > self.bounds.line_bytes_max {
            return Err(ReplyError::LineTooLong { max: self.bounds.line_bytes_max });
        }
        let ends = if taken > 0 { bytes[taken - 1] == b'\r' } else { ends };
        if end.is_none() {
            self.state = State::Line { bytes: before + taken as u64, ends };
            return Ok((taken, false));
        }
        if !ends {
            return Err(ReplyError::End { got: b'\n' });
        }
        Ok((taken + 1, true))
    }

    /// A length is known, and what it is the length of begins. True: it has ended already.
    fn length_ends(&mut self, kind: u8, value: Option<u64>) -> Result<bool, ReplyError> {
        let Some(value) = value else { return Ok(true) };
        if matches!(kind, b'$' | b'=' | b'!') {
            if value > self.bounds.bulk_bytes_max {
                return Err(ReplyError::BulkTooLong { bytes: value });
            }
            self.state = if value == 0 { State::BulkEnds } else { State::Bulk { missing: value } };
            return Ok(false);
        }
        self.state = State::Kind;
        let values = if matches!(kind, b'%' | b'|') { value * 2 } else { value };
        if values == 0 {
            // What an attribute belongs to comes behind it.
            return Ok(kind != b'|');
        }
        self.owed += values;
        if self.owed * VALUE_BYTES_MIN + self.bytes > self.bounds.reply_bytes_max {
            return Err(ReplyError::TooLong { max: self.bounds.reply_bytes_max });
        }
        if self.depth == DEPTH_MAX {
            return Err(ReplyError::TooDeep);
        }
        self.open[self.depth] = values | if kind == b'|' { ATTRIBUTE } else { 0 };
        self.depth += 1;
        Ok(false)
    }

    /// A value has ended, and whatever it was the last of; true: the reply has.
    fn value_ends(&mut self) -> bool {
        self.state = State::Kind;
        while self.depth > 0 {
            let row = &mut self.open[self.depth - 1];
            *row -= 1;
            self.owed -= 1;
            if *row & !ATTRIBUTE > 0 {
                return false;
            }
            self.depth -= 1;
            if *row & ATTRIBUTE != 0 {
                return false;
            }
        }
        true
    }
}

fn expect(got: u8, wanted: u8) -> Result<(), ReplyError> {
    if got == wanted { Ok(()) } else { Err(ReplyError::End { got }) }
}
