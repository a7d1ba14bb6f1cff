//! RDB files, whole and in pieces.

use coldplate::protocol::rdb::{Event, RdbError, Reader, checksum};

/// No byte of a file stands for more of a string.
const EXPANSION_MAX: usize = 88;

/// A string of the file: database, key, value, expiry. Of all else the kind, and the key if it has one.
#[derive(Debug, PartialEq)]
enum Seen {
    Text(u64, Vec<u8>, Vec<u8>, Option<i64>),
    Else(&'static str, Vec<u8>),
}

/// The first byte says what is put before and behind the rest, without which little would be reached; the second how it
/// is cut.
pub fn rdb(data: &[u8]) {
    let Some((&[head, cut], body)) = data.split_first_chunk() else { return };
    let mut file = match head & 3 {
        0 => Vec::new(),
        1 => b"VALKEY080".to_vec(),
        2 => b"REDIS0003".to_vec(),
        _ => b"REDIS0011".to_vec(),
    };
    file.extend_from_slice(body);
    if head & 4 != 0 {
        file.push(255);
        let sum = checksum(&file);
        file.extend_from_slice(&sum.to_le_bytes());
    }
    let (seen, end) = read(&file, file.len());
    let (in_pieces, end_in_pieces) = read(&file, usize::from(cut) + 1);
    assert_eq!((&in_pieces, &end_in_pieces), (&seen, &end), "in pieces as whole");
    if let Err(error) = &end {
        assert!(error.offset <= file.len() as u64, "{error} in {} bytes", file.len());
    }
    let bytes: usize = seen.iter().map(Seen::bytes).sum();
    assert!(bytes <= file.len() * EXPANSION_MAX, "{bytes} bytes of {}", file.len());
    again(seen);
}

impl Seen {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(_, key, value, _) => key.len() + value.len(),
            Self::Else(_, key) => key.len(),
        }
    }
}

fn read(file: &[u8], step: usize) -> (Vec<Seen>, Result<(), RdbError>) {
    let (mut reader, mut seen) = (Reader::default(), Vec::new());
    for piece in file.chunks(step.max(1)) {
        reader.keep(piece);
        loop {
            match reader.next() {
                Ok(Some(Event::Text { database, key, value, expires_ms })) => {
                    seen.push(Seen::Text(database, key.to_vec(), value.to_vec(), expires_ms));
                }
                Ok(Some(Event::Value { key, kind, .. })) => seen.push(Seen::Else(kind, key.to_vec())),
                Ok(Some(Event::Other { kind })) => seen.push(Seen::Else(kind, Vec::new())),
                Ok(None) => break,
                Err(error) => return (seen, Err(error)),
            }
        }
    }
    let end = reader.finish();
    (seen, end)
}

/// The strings, written as plainly as a file may, are read as they were.
fn again(mut seen: Vec<Seen>) {
    let length = |number: u64| [&[0x81][..], &number.to_be_bytes()].concat();
    seen.retain(|seen| matches!(seen, Seen::Text(..)));
    let mut file = b"REDIS0011".to_vec();
    for text in &seen {
        let Seen::Text(database, key, value, expires_ms) = text else { continue };
        file.extend([&[254][..], &length(*database)].concat());
        if let Some(expires_ms) = expires_ms {
            file.extend([&[252][..], &expires_ms.to_le_bytes()].concat());
        }
        file.push(0);
        for string in [key, value] {
            file.extend([&length(string.len() as u64), &string[..]].concat());
        }
    }
    file.push(255);
    file.extend(checksum(&file).to_le_bytes());
    assert_eq!(read(&file, file.len()), (seen, Ok(())));
}
