//! One whole request at the start of a buffer, with nothing remembered: the path that nearly every request takes.

use super::progress::{Progress, Step};
use super::{Arg, Limits, ProtocolError};

/// Parses the request at the start of `buf` in place: its length in bytes, its arguments pushed onto `args`
/// relative to the start of `buf`. No arguments (`*0`, `*-1`, an empty line) means that there is nothing to answer.
///
/// `Ok(None)`: no request that can be borrowed in place, and `args` is as it was. Either bytes are missing, or it is
/// an inline request with quotes, which must be rewritten to be read. Hand the rest of the buffer to
/// [`Input::keep`](super::Input::keep) and go on with [`Input::next`](super::Input::next) at once.
#[inline]
pub fn parse(buf: &[u8], limits: &Limits, args: &mut Vec<Arg>) -> Result<Option<usize>, ProtocolError> {
    let before = args.len();
    if let Some(bytes) = parse_canonical(buf, limits, args) {
        return Ok(Some(bytes));
    }
    args.truncate(before);
    parse_any(buf, limits, args)
}

/// Parses a whole request written the way clients write them. `None` decides nothing: it may be incomplete,
/// unusual, over a limit or malformed, and `args` may hold a part of it.
#[inline]
pub(super) fn parse_canonical(buf: &[u8], limits: &Limits, args: &mut Vec<Arg>) -> Option<usize> {
    if buf.len() > limits.request_max() {
        return None;
    }
    let (count, header_bytes) = header(buf, b'*')?;
    if count > limits.args_open_max() {
        return None;
    }
    let bulk_max = limits.bulk_open_max();
    let mut rest = buf.get(header_bytes..)?;
    for _ in 0..count {
        let (bytes, header_bytes) = header(rest, b'$')?;
        if bytes > bulk_max {
            return None;
        }
        let at = buf.len() - rest.len() + header_bytes;
        rest = rest.get(header_bytes + bytes + 2..)?;
        args.push(Arg::text(at, bytes));
    }
    Some(buf.len() - rest.len())
}

/// Reads `<mark>N\r\n` at the start of `rest`: N, and how many bytes the line takes (which may not all be there).
///
/// Lines of one or two digits, by far the most, are one four-byte load and a few comparisons. XOR leaves the digits'
/// values where the digits stand and zeros where mark and line end match; rotating the mark's byte to the top
/// makes "everything matches" one comparison. The `\n` after two digits is skipped unseen, as Redis skips it.
#[inline]
fn header(rest: &[u8], mark: u8) -> Option<(usize, usize)> {
    let word = u32::from_le_bytes(*rest.first_chunk::<4>()?);
    let one = (word ^ u32::from_le_bytes([mark, b'0', b'\r', b'\n'])).rotate_right(8);
    if one < 10 {
        return Some((one as usize, 4));
    }
    let two = (word ^ u32::from_le_bytes([mark, b'0', b'0', b'\r'])).rotate_right(8);
    let (tens, ones) = (two & 0xff, two >> 8);
    // Tens of 1 to 9 and ones of 0 to 9, each bound one comparison: no leading zero, nothing above the digits.
    if ones < 10 && tens.wrapping_sub(1) < 9 {
        return Some(((tens * 10 + ones) as usize, 5));
    }
    header_long(rest, mark)
}

/// The same for up to nine digits, beyond which no length is valid.
#[inline(never)]
fn header_long(rest: &[u8], mark: u8) -> Option<(usize, usize)> {
    let (&[first, leading], mut tail) = rest.split_first_chunk::<2>()?;
    if first != mark || !matches!(leading, b'1'..=b'9') {
        return None;
    }
    let mut value = usize::from(leading - b'0');
    for digits in 1..=9 {
        let (&byte, after) = tail.split_first()?;
        match byte {
            b'0'..=b'9' => value = value * 10 + usize::from(byte - b'0'),
            b'\r' => return Some((value, digits + 3)),
            _ => return None,
        }
        tail = after;
    }
    None
}

/// Whatever the fast path left: the whole grammar, from the start.
#[cold]
fn parse_any(buf: &[u8], limits: &Limits, args: &mut Vec<Arg>) -> Result<Option<usize>, ProtocolError> {
    let before = args.len();
    let mut progress = Progress::default();
    match progress.advance(buf, limits, args)? {
        Step::Whole => Ok(Some(progress.read_bytes())),
        Step::Short | Step::Bulk { .. } | Step::Quoted { .. } => {
            args.truncate(before);
            Ok(None)
        }
    }
}
