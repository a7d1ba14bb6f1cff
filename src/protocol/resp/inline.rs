//! Inline requests: a line split into arguments as Redis's `sdssplitargs` splits it.

use super::{Arg, ProtocolError};

pub(super) const LINE_FEED: u8 = b'\n';

/// Whether the line needs [`split_quoted`].
pub(super) fn has_quotes(line: &[u8]) -> bool {
    line.iter().any(|byte| matches!(byte, b'"' | b'\''))
}

/// Splits a line without quotes, in place.
pub(super) fn split_plain(line: &[u8], args: &mut Vec<Arg>) {
    let mut at = 0;
    while let Some(start) = skip_blanks(line, at) {
        let len = line[start..].iter().position(|&byte| ends_word(byte)).unwrap_or(line.len() - start);
        args.push(Arg::text(start, len));
        at = start + len;
    }
}

/// Splits a line with quotes. Arguments are unquoted in place: no escape is shorter than what it stands for, so
/// writing never overtakes reading.
pub(super) fn split_quoted(line: &mut [u8], args: &mut Vec<Arg>) -> Result<(), ProtocolError> {
    let mut at = 0;
    while let Some(start) = skip_blanks(line, at) {
        let len;
        (len, at) = unquote(line, start)?;
        args.push(Arg::text(start, len));
    }
    Ok(())
}

/// Rewrites the argument at `start`: its length, and where reading goes on.
fn unquote(line: &mut [u8], start: usize) -> Result<(usize, usize), ProtocolError> {
    let (mut read, mut write) = (start, start);
    let mut quote = None;
    loop {
        let (byte, taken) = match (quote, &line[read..]) {
            (None, []) => break,
            (None, &[byte, ..]) if ends_word(byte) => break,
            (None, &[byte @ (b'"' | b'\''), ..]) => {
                quote = Some(byte);
                read += 1;
                continue;
            }
            (None, &[byte, ..]) => (byte, 1),
            (Some(_), []) => return Err(ProtocolError::UnbalancedQuotes),
            (Some(open), &[byte, ref after @ ..]) if byte == open => {
                // A closing quote ends the argument, so only a blank may follow it.
                if after.first().is_some_and(|&next| !is_blank(next)) {
                    return Err(ProtocolError::UnbalancedQuotes);
                }
                read += 1;
                break;
            }
            (Some(b'"'), escaped @ [b'\\', _, ..]) => unescape(escaped),
            (Some(b'\''), [b'\\', b'\'', ..]) => (b'\'', 2),
            (Some(_), &[byte, ..]) => (byte, 1),
        };
        line[write] = byte;
        write += 1;
        read += taken;
    }
    Ok((write - start, read))
}

/// The byte that an escape between double quotes stands for, and the escape's length.
fn unescape(escaped: &[u8]) -> (u8, usize) {
    if let [_, b'x', high, low, ..] = *escaped
        && let (Some(high), Some(low)) = (char::from(high).to_digit(16), char::from(low).to_digit(16))
    {
        return ((high * 16 + low) as u8, 4);
    }
    let byte = match escaped[1] {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    };
    (byte, 2)
}

fn skip_blanks(line: &[u8], from: usize) -> Option<usize> {
    line[from..].iter().position(|&byte| !is_blank(byte)).map(|blanks| from + blanks)
}

/// C's `isspace`: skipped between arguments.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Fewer bytes end an argument than are skipped between two: a vertical tab inside one stays.
fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}
