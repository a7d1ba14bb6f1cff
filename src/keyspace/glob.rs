//! Patterns of KEYS and SCAN: `*`, `?`, `[a-c]`, `[^x]`, `\` escapes, as Redis reads them.
//!
//! Iterative: on a mismatch only the last `*` takes one byte more, so the worst case is pattern times text and
//! never exponential, whatever a client sends.

/// Whether all of `text` matches `pattern`. An empty text matches `*` and, as in Redis, no other pattern of stars.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    if text.is_empty() {
        return matches!(pattern, b"" | b"*");
    }
    let (mut p, mut t) = (0, 0);
    // Where to go on when what follows the last star does not fit: behind the star, one byte further.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if p < pattern.len() && pattern[p] == b'*' {
            p += 1;
            if p == pattern.len() {
                return true;
            }
            retry = Some((p, t));
            continue;
        }
        if t == text.len() {
            return p == pattern.len();
        }
        if p < pattern.len()
            && let Some(next) = one(pattern, p, text[t])
        {
            (p, t) = (next, t + 1);
            continue;
        }
        match &mut retry {
            Some((star, from)) => {
                *from += 1;
                (p, t) = (*star, *from);
            }
            None => return false,
        }
    }
}

/// Matches one byte against the element at `p`; answers where the next element starts.
fn one(pattern: &[u8], p: usize, byte: u8) -> Option<usize> {
    match pattern[p] {
        b'?' => Some(p + 1),
        b'[' => class(pattern, p + 1, byte),
        b'\\' if p + 1 < pattern.len() => (pattern[p + 1] == byte).then_some(p + 2),
        literal => (literal == byte).then_some(p + 1),
    }
}

/// A bracket class whose first byte is at `p`; one that is never closed ends with the pattern.
fn class(pattern: &[u8], mut p: usize, byte: u8) -> Option<usize> {
    let negated = pattern.get(p) == Some(&b'^');
    p += usize::from(negated);
    let mut found = false;
    loop {
        match pattern.get(p) {
            None => break,
            Some(b']') => {
                p += 1;
                break;
            }
            Some(b'\\') if p + 1 < pattern.len() => {
                found |= pattern[p + 1] == byte;
                p += 2;
            }
            Some(low) if p + 2 < pattern.len() && pattern[p + 1] == b'-' => {
                // Signed, as Redis's characters are: bytes past 127 come before all others.
                let (low, high, byte) = (*low as i8, pattern[p + 2] as i8, byte as i8);
                found |= (low.min(high)..=low.max(high)).contains(&byte);
                p += 3;
            }
            Some(literal) => {
                found |= *literal == byte;
                p += 1;
            }
        }
    }
    (found != negated).then_some(p)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("**", "", false),
            ("**", "a", true),
            ("a**", "a", true),
            ("***b**", "ab", true),
            ("", "a", false),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-b]llo", "hbllo", true),
            ("h[b-a]llo", "hallo", true),
            ("h\\*llo", "h*llo", true),
            ("h\\*llo", "hello", false),
            ("[\\]]", "]", true),
            ("[abc", "b", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXbY", false),
            ("**a", "bba", true),
            ("*?", "", false),
            ("\\", "\\", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn ranges_compare_bytes_as_signed() {
        assert!(matches(b"[\x80-\xff]", b"\xe9"));
        assert!(!matches(b"[a-\xff]", b"\xe9") && !matches(b"[a-\xff]", b"z"));
        assert!(matches(b"[a-\xff]", b"A"));
    }

    // The pattern that takes exponential time with naive recursion.
    #[test]
    fn many_stars_do_not_explode() {
        let pattern = "a*".repeat(200) + "b";
        assert!(!matches(pattern.as_bytes(), &[b'a'; 20_000]));
    }
}
