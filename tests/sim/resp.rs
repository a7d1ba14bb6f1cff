//! A strict reader of replies, written apart from the server's encoder so that the two cannot share a mistake.

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    Simple(String),
    Error(String),
    Int(i64),
    Bulk(Vec<u8>),
    Null,
    Array(Vec<Reply>),
    Map(Vec<(Reply, Reply)>),
    /// What nobody asked for.
    Push(Vec<Reply>),
}

impl Reply {
    pub fn ok() -> Reply {
        Reply::Simple("OK".into())
    }

    /// Memory is short.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Reply::Error(text) if text.starts_with("OOM command not allowed")) || self.is_misconf()
    }

    /// Whether a write was refused because it could not be logged.
    pub fn is_misconf(&self) -> bool {
        matches!(self, Reply::Error(text) if text.starts_with("MISCONF "))
    }

    /// Whether something was refused for it, or a part of it.
    pub fn hides(&self) -> bool {
        match self {
            Reply::Array(elements) => elements.iter().any(Reply::hides),
            reply => reply.is_misconf(),
        }
    }

    /// Short enough for a trace.
    pub fn brief(&self) -> String {
        match self {
            Reply::Bulk(bytes) => brief(bytes),
            Reply::Array(elements) | Reply::Push(elements) => {
                format!("[{}]", elements.iter().map(Reply::brief).collect::<Vec<_>>().join(", "))
            }
            Reply::Map(pairs) => format!("a map of {}", pairs.len()),
            Reply::Int(value) => format!(":{value}"),
            Reply::Simple(text) | Reply::Error(text) => text.clone(),
            Reply::Null => "null".into(),
        }
    }
}

/// Bytes as text, long ones by their ends.
pub fn brief(bytes: &[u8]) -> String {
    match bytes {
        [] => "''".into(),
        _ if bytes.len() > 40 => {
            let (head, tail) = (&bytes[..12], &bytes[bytes.len() - 12..]);
            format!("{}..{} ({} bytes)", head.escape_ascii(), tail.escape_ascii(), bytes.len())
        }
        _ => bytes.escape_ascii().to_string(),
    }
}

/// What one read finds: nothing whole yet, or a reply and its length.
pub type Read = Result<Option<(Reply, usize)>, String>;

/// Reads the first reply of `bytes`. What the protocol version does not have is an error.
pub fn read(bytes: &[u8], resp3: bool) -> Read {
    let Some(line_end) = bytes.windows(2).position(|pair| pair == b"\r\n") else {
        // No line of ours is longer; a run of garbage must not wait for ever.
        let whole = bytes.len() < 4096 || bytes.iter().take(4096).any(|byte| *byte == b'\r');
        return if whole { Ok(None) } else { Err("a line without an end".into()) };
    };
    let (mark, line, after) = (bytes[0], &bytes[1.min(line_end)..line_end], line_end + 2);
    let text = || String::from_utf8(line.to_vec()).map_err(|error| error.to_string());
    match mark {
        b'+' => Ok(Some((Reply::Simple(text()?), after))),
        b'-' => Ok(Some((Reply::Error(text()?), after))),
        b':' => Ok(Some((Reply::Int(number(line)?), after))),
        b'_' if resp3 && line.is_empty() => Ok(Some((Reply::Null, after))),
        b'$' | b'*' if !resp3 && line == b"-1" => Ok(Some((Reply::Null, after))),
        b'$' => bulk(bytes, after, size(line)?),
        b'*' => Ok(elements(bytes, after, size(line)?, resp3)?.map(|(list, end)| (Reply::Array(list), end))),
        b'>' if resp3 => Ok(elements(bytes, after, size(line)?, resp3)?.map(|(list, end)| (Reply::Push(list), end))),
        b'%' if resp3 => Ok(elements(bytes, after, size(line)? * 2, resp3)?.map(|(list, end)| (pairs(list), end))),
        _ => Err(format!("{} starts no reply of RESP{}", brief(bytes), if resp3 { 3 } else { 2 })),
    }
}

fn bulk(bytes: &[u8], from: usize, length: usize) -> Read {
    let end = from + length;
    match bytes.get(end..end + 2) {
        None => Ok(None),
        Some(b"\r\n") => Ok(Some((Reply::Bulk(bytes[from..end].to_vec()), end + 2))),
        Some(_) => Err(format!("a bulk of {length} bytes without its end")),
    }
}

fn elements(bytes: &[u8], mut at: usize, count: usize, resp3: bool) -> Result<Option<(Vec<Reply>, usize)>, String> {
    let mut list = Vec::new();
    for _ in 0..count {
        let Some((reply, length)) = read(&bytes[at..], resp3)? else { return Ok(None) };
        list.push(reply);
        at += length;
    }
    Ok(Some((list, at)))
}

fn pairs(list: Vec<Reply>) -> Reply {
    let mut list = list.into_iter();
    let mut pairs = Vec::new();
    while let (Some(key), Some(value)) = (list.next(), list.next()) {
        pairs.push((key, value));
    }
    Reply::Map(pairs)
}

/// A number as a server has to write it: no sign but a minus, no leading zero.
pub fn number(line: &[u8]) -> Result<i64, String> {
    let text = std::str::from_utf8(line).map_err(|error| error.to_string())?;
    let number: i64 = text.parse().map_err(|error| format!("{text:?}: {error}"))?;
    if number.to_string() == text { Ok(number) } else { Err(format!("{text:?} is no plain number")) }
}

fn size(line: &[u8]) -> Result<usize, String> {
    usize::try_from(number(line)?).map_err(|_| format!("{} as a length", brief(line)))
}

#[test]
fn reads_what_is_whole_and_refuses_what_is_foreign() {
    let some = |reply, length| Ok(Some((reply, length)));
    assert_eq!(read(b"+OK\r\n:1", false), some(Reply::ok(), 5));
    assert_eq!(read(b"$3\r\na\r\n\r\n", false), some(Reply::Bulk(b"a\r\n".to_vec()), 9));
    assert_eq!(read(b"*2\r\n:-7\r\n$-1\r\n", false), some(Reply::Array(vec![Reply::Int(-7), Reply::Null]), 14));
    assert_eq!(read(b"_\r\n", true), some(Reply::Null, 3));
    assert_eq!(read(b"*-1\r\n", false), some(Reply::Null, 5));
    for part in [&b""[..], b"+O", b"$3\r\nab", b"*2\r\n:1\r\n"] {
        assert_eq!(read(part, false), Ok(None));
    }
    for (bad, resp3) in [
        (&b"_\r\n"[..], false),
        (b"$-1\r\n", true),
        (b"*-1\r\n", true),
        (b":01\r\n", false),
        (b"$1\r\nabc", false),
        (b"\r\n", true),
    ] {
        assert!(read(bad, resp3).is_err(), "{}", brief(bad));
    }
}
