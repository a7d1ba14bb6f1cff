//! A reply of the second version of the protocol in the words of the first, as a server itself would have chosen them.

use super::number::parse_i64;

/// The reply in RESP2. `pairs`: those inside of its array become elements of that array, as with scores beside members.
/// `None`: it is no whole reply, or one that has no such wording.
pub fn in_resp2(reply: &[u8], pairs: bool) -> Option<Vec<u8>> {
    let (first, rest) = line(reply)?;
    match first {
        [b'*', count @ ..] if pairs && rest.starts_with(b"*2\r\n") => {
            flat(usize::try_from(parse_i64(count)?).ok()?, rest)
        }
        _ => reworded(reply),
    }
}

/// So many pairs as one array. Nothing may stand in them that is an array itself.
fn flat(pairs: usize, mut left: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(left.len());
    push_count(&mut out, i64::try_from(pairs).ok()?.checked_mul(2)?);
    for _ in 0..pairs {
        left = left.strip_prefix(b"*2\r\n")?;
        for _ in 0..2 {
            left = value(left, &mut out).filter(|_| !matches!(left[0], b'*' | b'~' | b'%'))?;
        }
    }
    left.is_empty().then_some(out)
}

fn reworded(mut left: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(left.len() + left.len() / 8);
    while !left.is_empty() {
        left = value(left, &mut out)?;
    }
    Some(out)
}

/// Adds a value, or the head of an aggregate; what follows it.
fn value<'a>(bytes: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (head, rest) = line(bytes)?;
    let (kind, text) = head.split_first()?;
    match kind {
        b'$' if text == b"-1" => out.extend_from_slice(b"$-1\r\n"),
        b'$' | b'=' | b'!' => {
            let length = usize::try_from(parse_i64(text)?).ok()?;
            let body = rest.get(..length)?;
            match kind {
                b'$' => push_bulk(out, body),
                // It says what it is in four bytes: `txt:`.
                b'=' => push_bulk(out, body.get(4..)?),
                _ => push_error(out, body),
            }
            return rest[length..].strip_prefix(b"\r\n");
        }
        b'*' | b'~' => push_count(out, parse_i64(text)?),
        b'%' => push_count(out, parse_i64(text)?.checked_mul(2)?),
        b'+' | b'-' | b':' => push_line(out, *kind, text),
        b',' | b'(' => push_bulk(out, text),
        b'#' => push_line(out, b':', if text == b"t" { b"1" } else { b"0" }),
        b'_' => out.extend_from_slice(b"$-1\r\n"),
        _ => return None,
    }
    Some(rest)
}

/// A line without its end, and what follows it.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((bytes[..end].strip_suffix(b"\r")?, &bytes[end + 1..]))
}

fn push_line(out: &mut Vec<u8>, kind: u8, text: &[u8]) {
    out.push(kind);
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

fn push_count(out: &mut Vec<u8>, count: i64) {
    push_line(out, b'*', itoa::Buffer::new().format(count).as_bytes());
}

fn push_bulk(out: &mut Vec<u8>, body: &[u8]) {
    push_line(out, b'$', itoa::Buffer::new().format(body.len()).as_bytes());
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n");
}

/// An error that may have had lines is one line.
fn push_error(out: &mut Vec<u8>, text: &[u8]) {
    let plain = |byte: &u8| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte };
    push_line(out, b'-', &text.iter().map(plain).collect::<Vec<_>>());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn older(reply: &str, pairs: bool) -> Option<String> {
        in_resp2(reply.as_bytes(), pairs).map(|older| String::from_utf8(older).expect("it was text"))
    }

    #[test]
    fn each_kind_has_its_word() {
        for (new, old) in [
            ("+OK\r\n", "+OK\r\n"),
            ("-ERR no\r\n", "-ERR no\r\n"),
            (":-7\r\n", ":-7\r\n"),
            ("_\r\n", "$-1\r\n"),
            ("$-1\r\n", "$-1\r\n"),
            (",1.5\r\n", "$3\r\n1.5\r\n"),
            (",inf\r\n", "$3\r\ninf\r\n"),
            ("(12345678901234567890\r\n", "$20\r\n12345678901234567890\r\n"),
            ("#t\r\n", ":1\r\n"),
            ("#f\r\n", ":0\r\n"),
            ("$0\r\n\r\n", "$0\r\n\r\n"),
            ("=6\r\ntxt:hi\r\n", "$2\r\nhi\r\n"),
            ("!6\r\nERR\r\na\r\n", "-ERR  a\r\n"),
            ("$4\r\n*2\r\n\r\n", "$4\r\n*2\r\n\r\n"),
            ("*2\r\n_\r\n:1\r\n", "*2\r\n$-1\r\n:1\r\n"),
            ("~1\r\n$1\r\na\r\n", "*1\r\n$1\r\na\r\n"),
            ("%1\r\n$1\r\nf\r\n$1\r\nv\r\n", "*2\r\n$1\r\nf\r\n$1\r\nv\r\n"),
            ("%0\r\n", "*0\r\n"),
            ("*1\r\n*2\r\n:1\r\n,2\r\n", "*1\r\n*2\r\n:1\r\n$1\r\n2\r\n"),
        ] {
            assert_eq!(older(new, false).as_deref(), Some(old), "{new:?}");
        }
    }

    #[test]
    fn pairs_become_elements() {
        let new = "*2\r\n*2\r\n$1\r\na\r\n,1\r\n*2\r\n$1\r\nb\r\n,inf\r\n";
        assert_eq!(older(new, true).as_deref(), Some("*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$3\r\ninf\r\n"));
        for same in ["*2\r\n$1\r\na\r\n$1\r\nb\r\n", "*0\r\n", "$4\r\n*2\r\n\r\n", "-ERR no\r\n"] {
            assert_eq!(older(same, true).as_deref(), Some(same));
        }
    }

    /// What is more than pairs would make another array than it says.
    #[test]
    fn what_is_no_array_of_pairs_has_no_wording() {
        for none in ["*1\r\n*2\r\n:1\r\n*0\r\n", "*2\r\n*2\r\n:1\r\n:2\r\n:3\r\n", "*1\r\n*2\r\n:1\r\n:2\r\n:3\r\n"] {
            assert_eq!(older(none, true), None, "{none:?}");
        }
    }

    /// Nothing is made of a part of a reply, nor of an attribute.
    #[test]
    fn what_is_no_whole_reply_has_no_wording() {
        let whole = "%1\r\n$1\r\nf\r\n,1.5\r\n";
        for cut in (1..whole.len()).filter(|cut| ![4, 11].contains(cut)) {
            assert_eq!(older(&whole[..cut], false), None, "{cut}");
        }
        for none in ["", "|1\r\n+a\r\n+b\r\n+c\r\n", "$x\r\n", "*1x\r\n", "$-2\r\n"] {
            assert_eq!(older(none, false), None, "{none:?}");
        }
    }
}
