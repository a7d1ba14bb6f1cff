//! Where replies end, wherever the stream is cut, and what is no reply.

use crate::protocol::resp::{Framed, Framing, ReplyBounds, ReplyError};
use proptest::prelude::*;

/// The replies of a stream that comes in pieces, with their kinds, and the error that ended it.
fn read(pieces: &[&[u8]], bounds: ReplyBounds) -> (Vec<(Vec<u8>, u8)>, Option<ReplyError>) {
    let (mut framing, mut held, mut replies) = (Framing::new(bounds), Vec::new(), Vec::new());
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            match framing.advance(rest) {
                Ok(Framed::Whole { bytes, kind }) => {
                    held.extend_from_slice(&rest[..bytes]);
                    replies.push((std::mem::take(&mut held), kind));
                    rest = &rest[bytes..];
                    assert!(framing.is_fresh());
                }
                Ok(Framed::Short) => {
                    held.extend_from_slice(rest);
                    rest = &[];
                }
                Err(error) => return (replies, Some(error)),
            }
        }
    }
    (replies, None)
}

fn whole(stream: &[u8]) -> (Vec<(Vec<u8>, u8)>, Option<ReplyError>) {
    read(&[stream], ReplyBounds::default())
}

const REPLIES: [(&str, u8); 26] = [
    ("+OK\r\n", b'+'),
    ("$4\r\n$1\r\n\r\n", b'$'),
    ("$-1\r\n", b'$'),
    ("$0\r\n\r\n", b'$'),
    ("-MOVED 3999 127.0.0.1:6381\r\n", b'-'),
    (":-7\r\n", b':'),
    ("*2\r\n*1\r\n:1\r\n$-1\r\n", b'*'),
    ("*0\r\n", b'*'),
    ("*-1\r\n", b'*'),
    ("_\r\n", b'_'),
    (",1.5\r\n", b','),
    ("#t\r\n", b'#'),
    ("(123456789012345678901234567890\r\n", b'('),
    ("=7\r\ntxt:abc\r\n", b'='),
    ("!5\r\nERR x\r\n", b'!'),
    ("%1\r\n+k\r\n*1\r\n:1\r\n", b'%'),
    ("%0\r\n", b'%'),
    ("~2\r\n:1\r\n~0\r\n", b'~'),
    ("|1\r\n+ttl\r\n:3\r\n:4\r\n", b':'),
    ("|0\r\n+OK\r\n", b'+'),
    ("|1\r\n+a\r\n*1\r\n%1\r\n:1\r\n:2\r\n|1\r\n+b\r\n+c\r\n>1\r\n:1\r\n", b'>'),
    (">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n", b'>'),
    ("*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n", b'*'),
    ("*1\r\n|1\r\n+a\r\n+b\r\n*0\r\n", b'*'),
    ("+a\rb\r\n", b'+'),
    ("$3\r\n\r\n\r\r\n", b'$'),
];

/// Proves that a stream is the same replies wherever it is cut in two, and byte by byte.
#[test]
fn each_reply_ends_where_it_ends() {
    let stream: Vec<u8> = REPLIES.iter().flat_map(|(reply, _)| reply.bytes()).collect();
    let expected: Vec<(Vec<u8>, u8)> = REPLIES.iter().map(|(reply, kind)| (reply.as_bytes().to_vec(), *kind)).collect();
    for at in 0..=stream.len() {
        let (head, tail) = stream.split_at(at);
        assert_eq!(read(&[head, tail], ReplyBounds::default()), (expected.clone(), None), "cut at {at}");
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(read(&bytes, ReplyBounds::default()), (expected, None));
}

#[test]
fn what_is_no_reply_is_an_error() {
    let cases: [(&str, ReplyError); 20] = [
        ("hello\r\n", ReplyError::Kind { got: b'h' }),
        ("\r\n", ReplyError::Kind { got: b'\r' }),
        ("$x\r\n", ReplyError::Length),
        ("$\r\n", ReplyError::Length),
        ("$-2\r\n", ReplyError::Length),
        ("$--1\r\n", ReplyError::Length),
        ("$-\r\n", ReplyError::Length),
        ("%-1\r\n", ReplyError::Length),
        ("=-1\r\n", ReplyError::Length),
        ("$?\r\n", ReplyError::Length),
        ("*9999999999999\r\n", ReplyError::Length),
        ("$1\rx", ReplyError::End { got: b'x' }),
        ("$1\r\nabc", ReplyError::End { got: b'b' }),
        ("$1\r\na\rb", ReplyError::End { got: b'b' }),
        ("+OK\n", ReplyError::End { got: b'\n' }),
        ("+\n", ReplyError::End { got: b'\n' }),
        ("$536870913\r\n", ReplyError::BulkTooLong { bytes: (512 << 20) + 1 }),
        ("*1\r\n>1\r\n:1\r\n", ReplyError::NestedPush),
        ("*2000000000\r\n", ReplyError::TooLong { max: 1 << 30 }),
        ("*300000000\r\n*300000000\r\n", ReplyError::TooLong { max: 1 << 30 }),
    ];
    for (stream, error) in cases {
        assert_eq!(whole(stream.as_bytes()), (vec![], Some(error)), "{stream:?}");
    }
}

/// Proves that what never ends is given up at its bound, with numbers alone to remember it by.
#[test]
fn what_never_ends_is_given_up() {
    let line = [&b"+"[..], &[b'a'; 70_000]].concat();
    assert_eq!(whole(&line).1, Some(ReplyError::LineTooLong { max: 65_536 }));
    let bytes: Vec<&[u8]> = line.chunks(1).collect();
    assert_eq!(read(&bytes, ReplyBounds::default()).1, Some(ReplyError::LineTooLong { max: 65_536 }));
    assert_eq!(whole(&b"*1\r\n".repeat(65)).1, Some(ReplyError::TooDeep));
    assert_eq!(whole(&b"*1\r\n".repeat(64)).1, None);
    let bounds = ReplyBounds { bulk_bytes_max: 10, reply_bytes_max: 100, ..ReplyBounds::default() };
    assert_eq!(read(&[b"$11\r\n"], bounds).1, Some(ReplyError::BulkTooLong { bytes: 11 }));
    assert_eq!(read(&[b"$11\r\n12345678901\r\n"], bounds).1, Some(ReplyError::BulkTooLong { bytes: 11 }));
    let bulks = [&b"*12\r\n"[..], &b"$4\r\nabcd\r\n".repeat(12)].concat();
    assert_eq!(read(&[&bulks], bounds).1, Some(ReplyError::TooLong { max: 100 }));
    assert!(size_of::<Framing>() < 1024);
}

fn reply() -> impl Strategy<Value = Vec<u8>> {
    let line = |kind: &'static str| "[ -~]{0,12}".prop_map(move |text| format!("{kind}{text}\r\n").into_bytes());
    let bulk = |kind: &'static str| {
        proptest::collection::vec(any::<u8>(), 0..40)
            .prop_map(move |bytes| [format!("{kind}{}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n"].concat())
    };
    let leaf = prop_oneof![
        line("+"),
        line("-"),
        line(":"),
        line(","),
        bulk("$"),
        bulk("="),
        bulk("!"),
        Just(b"$-1\r\n".to_vec()),
        Just(b"*-1\r\n".to_vec()),
        Just(b"_\r\n".to_vec())
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let many = |kind: &'static str, each: usize| {
            proptest::collection::vec(inner.clone(), 0..6).prop_map(move |values| {
                let values = &values[..values.len() / each * each];
                [format!("{kind}{}\r\n", values.len() / each).into_bytes(), values.concat()].concat()
            })
        };
        let attributed = (many("|", 2), inner.clone()).prop_map(|(attribute, value)| [attribute, value].concat());
        prop_oneof![many("*", 1), many("~", 1), many("%", 2), attributed]
    })
}

proptest! {
    /// Cut anywhere is the same as whole.
    #[test]
    fn cut_anywhere_is_whole(replies in proptest::collection::vec(reply(), 1..6), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let stream = replies.concat();
        let (seen, error) = whole(&stream);
        prop_assert_eq!(error, None);
        prop_assert_eq!(seen.iter().map(|(bytes, _)| bytes.clone()).collect::<Vec<_>>(), replies);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).chain([0, stream.len()]).collect();
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
        prop_assert_eq!(read(&pieces, ReplyBounds::default()), (seen, None));
    }

    /// Any bytes are the same replies and the same error in pieces as whole.
    #[test]
    fn nonsense_is_the_same_nonsense_in_pieces(stream in "[-+:$*%|>_#,1-4a\r\n]{0,80}", step in 1usize..9) {
        let pieces: Vec<&[u8]> = stream.as_bytes().chunks(step).collect();
        prop_assert_eq!(read(&pieces, ReplyBounds::default()), whole(stream.as_bytes()));
    }
}
