//! One file as the rules see it: its lines, and the same lines with comments and strings blanked.

pub struct Source {
    /// Its path from the root, with `/`.
    pub name: String,
    pub lines: Vec<String>,
    /// The lines with everything in comments, strings and character literals replaced by spaces.
    pub code: Vec<String>,
}

impl Source {
    pub fn new(name: &str, text: &str) -> Source {
        let owned = |text: &str| text.lines().map(str::to_owned).collect();
        Source { name: name.to_owned(), lines: owned(text), code: owned(&blank(text)) }
    }

    /// The first folder or file below `src`, without `.rs`.
    pub fn layer(&self) -> &str {
        let inside = self.name.strip_prefix("src/").unwrap_or("");
        inside.split('/').next().unwrap_or("").trim_end_matches(".rs")
    }

    pub fn complaint(&self, line: usize, what: &str) -> String {
        format!("{}:{}: {what}", self.name, line + 1)
    }

    /// Whether a file holds tests only.
    pub fn is_test(&self) -> bool {
        self.name.starts_with("tests/") || self.name.contains("/tests/") || self.name.ends_with("tests.rs")
    }

    /// The line behind the block that opens at or after `line`.
    pub fn block_end(&self, line: usize) -> usize {
        let mut depth = 0;
        for (at, code) in self.code.iter().enumerate().skip(line) {
            for byte in code.bytes() {
                match byte {
                    b'{' => depth += 1,
                    b'}' if depth == 1 => return at + 1,
                    b'}' => depth -= 1,
                    b';' if depth == 0 => return at + 1,
                    _ => {}
                }
            }
        }
        self.code.len()
    }

    /// For each line, whether it lies under `#[cfg(test)]`.
    pub fn under_test(&self) -> Vec<bool> {
        let mut under = vec![self.is_test(); self.code.len()];
        for (line, code) in self.code.iter().enumerate() {
            if code.trim_start().starts_with("#[cfg(test)]") {
                under[line..self.block_end(line + 1).max(line)].fill(true);
            }
        }
        under
    }
}

/// Replaces what is in comments and literals by spaces, line ends apart.
fn blank(text: &str) -> String {
    let (bytes, mut blanked) = (text.as_bytes(), Vec::with_capacity(text.len()));
    let mut at = 0;
    while at < bytes.len() {
        let length = literal_bytes(&bytes[at..], at.checked_sub(1).map(|before| bytes[before]));
        if length == 0 {
            blanked.push(bytes[at]);
            at += 1;
            continue;
        }
        blanked.extend(bytes[at..at + length].iter().map(|byte| if *byte == b'\n' { b'\n' } else { b' ' }));
        at += length;
    }
    String::from_utf8_lossy(&blanked).into_owned()
}

/// The length of the comment or literal that `bytes` begin with; 0 for none.
fn literal_bytes(bytes: &[u8], before: Option<u8>) -> usize {
    let until = |end: &[u8], from: usize| {
        let found = bytes[from..].windows(end.len()).position(|window| window == end);
        found.map_or(bytes.len(), |at| from + at + end.len())
    };
    let in_word = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match bytes {
        [b'/', b'/', ..] => until(b"\n", 2) - usize::from(bytes.contains(&b'\n')),
        [b'/', b'*', ..] => until(b"*/", 2),
        [b'"', ..] => quoted(bytes, b'"'),
        [b'r', b'"', ..] if !in_word || before == Some(b'b') => until(b"\"", 2),
        [b'r', b'#', b'"', ..] if !in_word || before == Some(b'b') => until(b"\"#", 3),
        // A lifetime has no second quote so near.
        [b'\'', b'\\', ..] => quoted(bytes, b'\''),
        [b'\'', _, b'\'', ..] => 3,
        _ => 0,
    }
}

fn quoted(bytes: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < bytes.len() && bytes[at] != quote {
        at += 1 + usize::from(bytes[at] == b'\\');
    }
    (at + 1).min(bytes.len())
}
