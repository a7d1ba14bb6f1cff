//! Proves that a file says the same however it is cut, that strings behind values of every type are found, and that what
//! is no such file is refused, with the place, and without taking memory for what is only announced.

use super::*;
use proptest::prelude::*;

const V11: &[u8] = b"REDIS0011";

/// Pieces after each other, an end behind them, and the checksum of all.
fn file(pieces: &[&[u8]]) -> Vec<u8> {
    let mut bytes = pieces.concat();
    bytes.push(255);
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

fn show(event: &Event<'_>) -> String {
    match event {
        Event::Text { database, key, value, expires_ms } => {
            let expiry = expires_ms.map_or(String::new(), |ms| format!(" until {ms}"));
            format!("{database}/{} = {}{expiry}", key.escape_ascii(), value.escape_ascii())
        }
        Event::Value { database, key, kind } => format!("{database}/{}: {kind}", key.escape_ascii()),
        Event::Other { kind } => (*kind).to_owned(),
    }
}

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, Result<(), RdbError>) {
    let (mut reader, mut seen) = (Reader::default(), Vec::new());
    for piece in pieces {
        reader.keep(piece);
        loop {
            match reader.next() {
                Ok(Some(event)) => seen.push(show(&event)),
                Ok(None) => break,
                Err(error) => return (seen, Err(error)),
            }
        }
    }
    (seen, reader.finish())
}

fn events(bytes: &[u8]) -> Vec<String> {
    let (seen, end) = read([bytes]);
    assert_eq!(end, Ok(()), "{seen:?}");
    seen
}

fn fault(bytes: &[u8]) -> RdbError {
    read([bytes]).1.expect_err("a file that is wrong")
}

/// A file with something of nearly everything; a string ends it, and has to be found.
fn whole() -> Vec<u8> {
    file(&[
        V11,
        b"\xfa\x09redis-ver\x057.2.4\xfa\x0aredis-bits\xc0\x40",
        b"\xf5\x0a#!lua name",
        b"\xf7\x81\0\0\0\0\0\0\0\x01\x02\x01\x05\x03abc\x04\0\0\0\0\0\0\xf0\x3f\x00",
        b"\xfe\0\xfb\x05\x02\xf4\x01\x02\x03",
        b"\0\x01a\x02xy",
        b"\xfc\x01\0\0\0\0\0\0\0\xf8\x05\0\xc0\x07\xc1\x39\x30",
        b"\xfd\x02\0\0\0\xf9\x09\0\x01c\xc2\0\0\0\x80",
        b"\0\x01d\xc3\x06\x15\x01aa\xe0\x0a\0",
        b"\xfe\x40\x80\xfc\xff\xff\xff\xff\xff\xff\xff\xff\0\x01e\0",
        b"\x01\x04list\x02\x01x\xc0\x05\0\x04last\x01!",
    ])
}

const WHOLE: [&str; 9] = [
    "function library",
    "module data",
    "0/a = xy",
    "0/7 = 12345 until 1",
    "0/c = -2147483648 until 2000",
    "0/d = aaaaaaaaaaaaaaaaaaaaa",
    "128/e =  until -1",
    "128/list: list",
    "128/last = !",
];

#[test]
fn keys_come_with_what_was_said_of_them() {
    assert_eq!(events(&whole()), WHOLE);
}

#[test]
fn any_cut_says_the_same() {
    let bytes = whole();
    for step in 1..bytes.len() {
        let (seen, end) = read(bytes.chunks(step));
        assert_eq!((&seen[..], end), (&WHOLE.map(String::from)[..], Ok(())), "cut every {step}");
    }
    for end in 0..bytes.len() {
        let error = read([&bytes[..end]]).1;
        assert_eq!(error, Err(RdbError { offset: end as u64, fault: Fault::Truncated }), "{end} bytes");
    }
}

/// Each value is followed by a string, whose key and value look like the value's continuation.
#[test]
fn every_type_is_passed_over_by_its_parts() {
    let id = [7; 16];
    let pending = [&b"\x01"[..], &id, &[0; 8], b"\x03"].concat();
    let own = [&b"\x01"[..], &id].concat();
    let nodes = b"\x01\x10IDIDIDIDIDIDIDID\x04pack";
    let group = [&b"\x01\x05group\x01\x02"[..], &pending, b"\x01\x02me", &[0; 8], &own].concat();
    let group_2 = [&b"\x01\x05group\x01\x02\x09"[..], &pending, b"\x01\x02me", &[0; 8], &own].concat();
    let group_3 = [&b"\x01\x05group\x01\x02\x09"[..], &pending, b"\x01\x02me", &[0; 16], &own].concat();
    let stream = [&nodes[..], b"\x01\x02\x03", &group].concat();
    let stream_2 = [&nodes[..], b"\x01\x02\x03\x04\x05\x06\x07\x08", &group_2].concat();
    let stream_3 = [&nodes[..], b"\x01\x02\x03\x04\x05\x06\x07\x40\x08", &group_3].concat();
    let module =
        b"\x81\0\0\0\0\0\0\0\x01\x01\x07\x02\x40\xff\x03\0\0\0\0\x04\0\0\0\0\0\0\0\0\x05\x02ab\x05\xc0\x01\x00";
    let soonest = [&[9; 8][..], b"\x02\x00\x01f\x01v\x05\x01g\xc0\x07"].concat();
    let packed = [&[9; 8][..], b"\x04pack"].concat();
    let valkey_hash = [&b"\x02\x01f\x01v"[..], &[255; 8], b"\x01g\x01w", &[1; 8]].concat();
    let lzf = b"\x02\xc3\x06\x15\x01aa\xe0\x0a\0\x02ab";
    let rows: [(&[u8], u8, &str, &[u8]); 28] = [
        (V11, 1, "list", b"\x03\x01a\xc0\x05\x40\x02bc"),
        (V11, 14, "list", lzf),
        (V11, 10, "list", b"\x04pack"),
        (V11, 18, "list", b"\x02\x02\x04pack\x01\x05large"),
        (V11, 2, "set", lzf),
        (V11, 11, "set", b"\x04ints"),
        (V11, 20, "set", b"\x04pack"),
        (V11, 3, "zset", b"\x04\x01a\x031.5\x01b\xfe\x01c\xff\x01d\xfd"),
        (V11, 5, "zset", b"\x01\x01a\0\0\0\0\0\0\xf0\x3f"),
        (V11, 12, "zset", b"\x04pack"),
        (V11, 17, "zset", b"\x04pack"),
        (V11, 4, "hash", b"\x02\x01f\x01v\x01g\xc1\x07\x07"),
        (V11, 9, "hash", b"\x04pack"),
        (V11, 13, "hash", b"\x04pack"),
        (V11, 16, "hash", b"\x04pack"),
        (V11, 22, "hash", b"\x01\x81\0\0\0\0\0\0\0\x09\x01f\x01v"),
        (V11, 23, "hash", b"\x04pack"),
        (V11, 24, "hash", &soonest),
        (V11, 25, "hash", &packed),
        (b"VALKEY080", 22, "hash", &valkey_hash),
        (b"VALKEY080", 4, "hash", b"\0"),
        (V11, 15, "stream", &stream),
        (V11, 19, "stream", &stream_2),
        (V11, 21, "stream", &stream_3),
        (V11, 15, "stream", b"\0\0\0\0\0"),
        (V11, 7, "module value", module),
        (V11, 1, "list", b"\0"),
        (b"REDIS0001", 3, "zset", b"\0"),
    ];
    for (signature, number, kind, value) in rows {
        let bytes = [signature, &[number], b"\x01k", value, b"\0\x01\x01\x02\x01\x01\xff", &[0; 8]].concat();
        let bytes = if signature == b"REDIS0001" { &bytes[..bytes.len() - 8] } else { &bytes[..] };
        let expected = [format!("0/k: {kind}"), "0/\\x01 = \\x01\\x01".to_owned()];
        assert_eq!(events(bytes), expected, "type {number}");
        for step in 1..8 {
            assert_eq!(read(bytes.chunks(step)).0, expected, "type {number}, cut every {step}");
        }
    }
}

#[test]
fn opcodes_of_one_project_alone() {
    let redis = file(&[V11, b"\xf3\x01spec\x01\x05\x05\x02ab\0\0\x01k\x01v"]);
    let valkey = file(&[b"VALKEY080", b"\xf3\x03job\x02\0\x01\x40\x40\x40\x41\0\x01k\x01v"]);
    assert_eq!((events(&redis), events(&valkey)), (vec!["0/k = v".into()], vec!["0/k = v".into()]));
}

#[test]
fn faults_say_what_and_where() {
    let error = |offset, fault| RdbError { offset, fault };
    for signature in [b"REDIS0000", b"VALKEY000", b"REDIS00x1", b"SSTABLE00", b"rEDIS0011"] {
        assert_eq!(fault(signature), error(0, Fault::Signature { found: signature.to_vec() }));
    }
    for short in [&b"hello"[..], b"REDISH", b"v"] {
        let expected = if short == b"REDISH" {
            error(6, Fault::Truncated)
        } else {
            error(0, Fault::Signature { found: short.to_vec() })
        };
        assert_eq!(fault(short), expected);
    }
    for (tail, offset, expected) in [
        (&b"\x08"[..], 9, Fault::Type { number: 8, version: 11 }),
        (b"\0\x01k\x01v\x06", 14, Fault::Type { number: 6, version: 11 }),
        (b"\xf6", 9, Fault::Type { number: 246, version: 11 }),
        (b"\xfe\xc0", 9, Fault::Length(0xc0)),
        (b"\0\xc4", 10, Fault::Length(0xc4)),
        (b"\0\x01k\x82", 12, Fault::Length(0x82)),
        (b"\0\x81\0\0\0\0\x20\0\0\x01", 10, Fault::TooLong(0x2000_0001)),
        (b"\0\x01k\xc3\x01\x81\xff\xff\xff\xff\xff\xff\xff\xff", 12, Fault::TooLong(u64::MAX)),
        (b"\0\x01k\xc3\x01\x05\0", 12, Fault::Compression),
        (b"\x01\x01k\x01\xbf", 13, Fault::Length(0xbf)),
        (b"\x07\x01k\x01\x01\x07\x06", 15, Fault::ModulePart(6)),
    ] {
        let bytes = [V11, tail].concat();
        assert_eq!(fault(&bytes), error(offset, expected), "{tail:?}");
    }
    let valkey = [&b"VALKEY080"[..], b"\x18"].concat();
    assert_eq!(fault(&valkey), error(9, Fault::Type { number: 24, version: 80 }));
}

#[test]
fn a_checksum_is_held_to_unless_it_is_off() {
    let good = whole();
    assert_eq!(read([&good[..]]).1, Ok(()));
    let sum_at = good.len() - 8;
    for at in 9..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(read([&bad[..]]).1.is_err(), "a bit at {at} is turned, and nobody minds");
    }
    let mut off = good.clone();
    off[sum_at..].fill(0);
    assert_eq!(read([&off[..]]).1, Ok(()));
    let mark = [&good[..], &[b'e'; 40]].concat();
    for step in [1, 7, mark.len()] {
        assert_eq!(read(mark.chunks(step)).1, Ok(()), "the mark of a transfer, cut every {step}");
    }
    for trailing in [&b"*1\r\n$4\r\nPING\r\n"[..], b"0", &[b'e'; 41], &[b'g'; 40], &[0; 40]] {
        let trailing = [&good[..], trailing].concat();
        assert_eq!(fault(&trailing), RdbError { offset: good.len() as u64, fault: Fault::Trailing });
    }
    assert_eq!(events(b"REDIS0004\0\x01k\x01v\xff"), ["0/k = v"]);
}

/// What is announced and does not come takes no memory, whatever is announced.
#[test]
fn announced_bytes_take_no_memory() {
    let most = b"\x81\0\0\0\0\x20\0\0\0";
    for tail in [&b"\0"[..], b"\0\x01k", b"\x01\x01k\x81\xff\xff\xff\xff\xff\xff\xff\xff", b"\x0a\x01k"] {
        let mut reader = Reader::default();
        reader.keep(&[V11, tail, most].concat());
        assert_eq!(reader.next(), Ok(None));
        reader.keep(&[0; 1000]);
        assert_eq!(reader.next(), Ok(None));
        assert!(reader.kept_bytes() < 4096, "{} bytes are kept", reader.kept_bytes());
    }
    // What is passed over is not kept, however long it is.
    let mut reader = Reader::default();
    reader.keep(&[V11, b"\x0a\x01k", most].concat());
    for _ in 0..1000 {
        assert_eq!(reader.next(), Ok(None));
        reader.keep(&[1; 4096]);
    }
    assert!(reader.kept_bytes() < 65_536, "{} bytes are kept", reader.kept_bytes());
}

proptest! {
    #[test]
    fn garbage_is_the_same_garbage_in_pieces(
        tail in prop::collection::vec(prop_oneof![0u8..8, any::<u8>(), 240u8..], 0..120),
        is_valkey: bool,
        cuts in prop::collection::vec(1usize..20, 1..20),
    ) {
        let bytes = [if is_valkey { b"VALKEY080" } else { V11 }, &tail].concat();
        let (mut rest, mut pieces) = (&bytes[..], Vec::new());
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, more) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = more;
        }
        let (seen, end) = read(pieces);
        prop_assert_eq!(read([&bytes[..]]), (seen, end.clone()));
        if let Err(error) = end {
            prop_assert!(error.offset <= bytes.len() as u64);
        }
    }
}
