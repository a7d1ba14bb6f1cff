//! The known name nearest to a misspelt one.

/// The candidate that takes the fewest edits to reach from `word`, case and `-` against `_` left aside; the first of
/// equals. `None` only without candidates.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = plain(word);
    candidates.min_by_key(|candidate| distance(&word, &plain(candidate)))
}

/// Words longer than any name are cut: what follows cannot bring them nearer, and the cost stays bounded.
fn plain(word: &str) -> Vec<char> {
    word.chars().take(64).map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

/// Levenshtein's distance, one row of its matrix at a time.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves that slips of each kind (missing, extra, wrong letter; Redis's dashes) find their name.
    #[test]
    fn slips_find_their_name() {
        let known = ["port", "bind", "tcp_keepalive", "timeout", "unixsocket"];
        for (slip, name) in
            [("prot", "port"), ("bnd", "bind"), ("tcp-keepalive", "tcp_keepalive"), ("TimeOuts", "timeout")]
        {
            assert_eq!(nearest(slip, known.into_iter()), Some(name));
        }
        assert_eq!(nearest("x", [].into_iter()), None);
        assert_eq!(nearest(&"x".repeat(1 << 20), ["port"].into_iter()), Some("port"));
    }
}
