//! Requests as clients write them, and replies as a strict reader takes them.

/// `*N`, then each argument.
pub fn encode<W: AsRef<[u8]>>(words: &[W]) -> Vec<u8> {
    let mut wire = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bulk(&mut wire, word.as_ref());
    }
    wire
}

pub fn bulk(wire: &mut Vec<u8>, bytes: &[u8]) {
    wire.extend_from_slice(format!("${}\r\n", bytes.len()).as_bytes());
    wire.extend_from_slice(bytes);
    wire.extend_from_slice(b"\r\n");
}

/// Panics unless the bytes are whole replies, each of them well formed.
pub fn assert_replies(bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        match value(rest, 0) {
            Some(after) => rest = after,
            None => panic!("no reply: {}\nin {}", rest.escape_ascii(), bytes.escape_ascii()),
        }
    }
}

/// The reply at the start of `bytes`, if one is there whole.
pub fn first(bytes: &[u8]) -> Option<&[u8]> {
    value(bytes, 0).map(|rest| &bytes[..bytes.len() - rest.len()])
}

/// Deeper than anything that is ever answered.
const DEPTH_MAX: usize = 12;

/// What follows the value at the start of `bytes`, its attributes included.
fn value(bytes: &[u8], depth: usize) -> Option<&[u8]> {
    if depth > DEPTH_MAX {
        return None;
    }
    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
    let rest = bytes[end..].strip_prefix(b"\r\n")?;
    let (&kind, text) = bytes[..end].split_first()?;
    // What a client sent comes back in errors and for monitors as it came.
    let number = || std::str::from_utf8(text).ok()?.parse::<i64>().ok();
    let values = |count: i64| {
        let count = usize::try_from(count).ok()?;
        (0..count).try_fold(rest, |rest, _| value(rest, depth + 1))
    };
    match kind {
        b'+' | b'-' => Some(rest),
        b':' => number().map(|_| rest),
        b'_' => text.is_empty().then_some(rest),
        b'#' => matches!(text, b"t" | b"f").then_some(rest),
        b',' => std::str::from_utf8(text).ok()?.parse::<f64>().ok().map(|_| rest),
        b'(' => text.strip_prefix(b"-").unwrap_or(text).iter().all(u8::is_ascii_digit).then_some(rest),
        b'$' | b'*' if text == b"-1" => Some(rest),
        b'$' | b'=' | b'!' => {
            let (_, rest) = rest.split_at_checked(usize::try_from(number()?).ok()?)?;
            rest.strip_prefix(b"\r\n")
        }
        b'*' | b'~' | b'>' => values(number()?),
        b'%' => values(number()?.checked_mul(2)?),
        b'|' => value(values(number()?.checked_mul(2)?)?, depth),
        _ => None,
    }
}
