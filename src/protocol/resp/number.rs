//! Integers as Redis reads them, alone and in the lines that begin with a mark.

/// A decimal integer in canonical form: no sign but `-`, no leading zero, no space, within 64 bits.
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut magnitude = 0u64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        magnitude = magnitude * 10 + u64::from(digit);
    }
    match (negative, magnitude) {
        (false, _) => i64::try_from(magnitude).ok(),
        (true, _) if magnitude <= i64::MIN.unsigned_abs() => Some((magnitude as i64).wrapping_neg()),
        _ => None,
    }
}

/// The number of the whole line `<mark>N\r\n`: a reply that is an integer, or what a bulk or an array begins with.
pub fn number_of(line: &[u8], mark: u8) -> Option<i64> {
    let [first, digits @ .., b'\r', b'\n'] = line else { return None };
    if *first == mark { parse_i64(digits) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_strict() {
        for (text, value) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("99999999999999999999", None),
            ("", None),
            ("-", None),
            ("-0", None),
            ("00", None),
            ("01", None),
            ("+1", None),
            (" 1", None),
            ("1 ", None),
            ("1a", None),
        ] {
            assert_eq!(parse_i64(text.as_bytes()), value, "{text:?}");
        }
    }

    #[test]
    fn a_line_is_a_mark_and_a_number() {
        for (line, number) in [
            (":0\r\n", Some(0)),
            (":42\r\n", Some(42)),
            (":-9223372036854775808\r\n", Some(i64::MIN)),
            (":9223372036854775807\r\n", Some(i64::MAX)),
            (":9223372036854775808\r\n", None),
            (":-0\r\n", None),
            (":+1\r\n", None),
            (":01\r\n", None),
            (":\r\n", None),
            ("\r\n", None),
            ("", None),
            (":1", None),
            (":1\n", None),
            (":1\r", None),
            (":1 \r\n", None),
            (":1\r\n:2\r\n", None),
            (":1\r\n\r\n", None),
            ("1\r\n", None),
            ("$1\r\n", None),
        ] {
            assert_eq!(number_of(line.as_bytes(), b':'), number, "{line:?}");
        }
        assert_eq!((number_of(b"*2\r\n", b'*'), number_of(b"*2\r\n", b'$')), (Some(2), None));
    }
}
