//! A reply as a tree, for the few whose content matters to who asked: logins, INFO, CLUSTER SHARDS. It takes some twenty times
//! the memory of its bytes at most, so that who bounds these bounds both.

/// Aggregates deeper than this answer none of those questions.
const DEPTH_MAX: usize = 16;

/// What a line means whose kind or length makes no sense.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAReply(pub String);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(Vec<u8>),
    Number(i64),
    Nothing,
    Error(String),
    List(Vec<Value>),
}

impl Value {
    /// The value at the start of `bytes` and how many of them it took; `None` while some are missing.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, NotAReply> {
        Self::parse_nested(bytes, 0)
    }

    pub fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        }
    }

    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            _ => &[],
        }
    }

    fn parse_nested(bytes: &[u8], depth: usize) -> Result<Option<(Self, usize)>, NotAReply> {
        let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
        let (line, start) = (String::from_utf8_lossy(&bytes[..end]).into_owned(), end + 2);
        let bad = || NotAReply(line.clone());
        let (kind, text) = (bytes.first().copied().unwrap_or(b' '), line.get(1..).ok_or_else(bad)?);
        let count = || text.parse::<i64>().map_err(|_| bad());
        let simple = match kind {
            b'+' | b',' | b'#' | b'(' => Self::Text(text.as_bytes().to_vec()),
            b'-' => Self::Error(text.to_owned()),
            b':' => Self::Number(count()?),
            b'_' => Self::Nothing,
            b'$' | b'=' | b'!' => return Self::parse_bulk(bytes, start, kind, count()?, bad),
            b'*' | b'~' | b'>' | b'%' if depth < DEPTH_MAX => {
                let values = if kind == b'%' { count()?.saturating_mul(2) } else { count()? };
                return Self::parse_list(bytes, start, values, depth);
            }
            _ => return Err(bad()),
        };
        Ok(Some((simple, start)))
    }

    fn parse_bulk(
        bytes: &[u8],
        start: usize,
        kind: u8,
        length: i64,
        bad: impl Fn() -> NotAReply,
    ) -> Result<Option<(Self, usize)>, NotAReply> {
        if length == -1 {
            return Ok(Some((Self::Nothing, start)));
        }
        let length = usize::try_from(length).map_err(|_| bad())?;
        let end = start.checked_add(length).ok_or_else(bad)?;
        if bytes.len() < end.saturating_add(2) {
            return Ok(None);
        }
        let text = &bytes[start..end];
        let value = match kind {
            b'!' => Self::Error(String::from_utf8_lossy(text).into_owned()),
            // A verbatim string says what it is in four bytes: `txt:`.
            b'=' => Self::Text(text.get(4..).unwrap_or(text).to_vec()),
            _ => Self::Text(text.to_vec()),
        };
        Ok(Some((value, end + 2)))
    }

    fn parse_list(bytes: &[u8], start: usize, values: i64, depth: usize) -> Result<Option<(Self, usize)>, NotAReply> {
        let (mut list, mut at) = (Vec::new(), start);
        for _ in 0..values {
            let Some((value, taken)) = Self::parse_nested(&bytes[at..], depth + 1)? else { return Ok(None) };
            list.push(value);
            at += taken;
        }
        Ok(Some((Self::List(list), at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves that a tree comes out whole or not at all, whatever is missing.
    #[test]
    fn a_tree_is_whole_or_awaited() {
        let wire = b"*3\r\n:5\r\n$2\r\nab\r\n*2\r\n$-1\r\n=6\r\ntxt:hi\r\n+next\r\n";
        let tree = Value::List(vec![
            Value::Number(5),
            Value::Text(b"ab".to_vec()),
            Value::List(vec![Value::Nothing, Value::Text(b"hi".to_vec())]),
        ]);
        let whole = wire.len() - b"+next\r\n".len();
        for cut in 0..whole {
            assert_eq!(Value::parse(&wire[..cut]), Ok(None), "{cut} bytes");
        }
        assert_eq!(Value::parse(wire), Ok(Some((tree, whole))));
        assert_eq!(Value::parse(b"-ERR x\r\n"), Ok(Some((Value::Error("ERR x".into()), 8))));
        for bad in [&b"$-2\r\n"[..], b"\r\n", b"?\r\n", b"*x\r\n"] {
            assert!(Value::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Value::parse("*1\r\n".repeat(50).as_bytes()).is_err());
    }
}
