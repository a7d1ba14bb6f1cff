//! Tables of replies: what is sent for each value under each protocol version.

use std::sync::Arc;

use crate::protocol::resp::{Output, Proto, ProtocolError, Reply, quoting};

fn encoded(proto: Proto, write: impl Fn(&mut Reply)) -> Vec<u8> {
    let mut out = Output::default();
    write(&mut Reply { out: &mut out, proto });
    assert_eq!(out.flatten().len(), out.len_bytes());
    out.flatten()
}

#[test]
fn each_value_under_each_version() {
    type Write = fn(&mut Reply);
    let rows: &[(Write, &str, &str)] = &[
        (|r| r.ok(), "+OK\r\n", "+OK\r\n"),
        (|r| r.simple("PONG"), "+PONG\r\n", "+PONG\r\n"),
        (|r| r.error("ERR no\r\n+way"), "-ERR no  +way\r\n", "-ERR no  +way\r\n"),
        (|r| r.error_bytes(&quoting("ERR '", b"a\r\0b", "'")), "-ERR 'a '\r\n", "-ERR 'a '\r\n"),
        (|r| r.error_bytes(&quoting("ERR ", b"a\nb\r\n", "")), "-ERR a b\r\n", "-ERR a b\r\n"),
        (|r| r.error_bytes(&quoting("ERR ", b"\0", "")), "-ERR \r\n", "-ERR \r\n"),
        (|r| r.null(), "$-1\r\n", "_\r\n"),
        (|r| r.null_array(), "*-1\r\n", "_\r\n"),
        (|r| r.array(3), "*3\r\n", "*3\r\n"),
        (|r| r.map(7), "*14\r\n", "%7\r\n"),
        (|r| r.set(12), "*12\r\n", "~12\r\n"),
        (|r| r.push(3), "*3\r\n", ">3\r\n"),
        (|r| r.boolean(true), ":1\r\n", "#t\r\n"),
        (|r| r.boolean(false), ":0\r\n", "#f\r\n"),
        (|r| r.big_number("123456789012345678901"), "$21\r\n123456789012345678901\r\n", "(123456789012345678901\r\n"),
        (|r| r.verbatim("txt", b"hello"), "$5\r\nhello\r\n", "=9\r\ntxt:hello\r\n"),
        (|r| r.bulk(b"a\r\nb"), "$4\r\na\r\nb\r\n", "$4\r\na\r\nb\r\n"),
        (|r| r.raw(b"+x\r\n"), "+x\r\n", "+x\r\n"),
    ];
    assert_eq!(encoded(Proto::Resp2, |r| r.error_bytes(&quoting("ERR '", b"\xff", "'"))), b"-ERR '\xff'\r\n");
    for (write, resp2, resp3) in rows {
        assert_eq!(encoded(Proto::Resp2, write), resp2.as_bytes());
        assert_eq!(encoded(Proto::Resp3, write), resp3.as_bytes());
    }
}

#[test]
fn integers_and_lengths_at_their_edges() {
    for value in [0, 1, 9, 10, 11, 99, 100, 12_345, i64::MAX, -1, -10, i64::MIN] {
        assert_eq!(encoded(Proto::Resp2, |r| r.integer(value)), format!(":{value}\r\n").into_bytes());
    }
    for len in [0, 1, 9, 10, 32, 99, 100, 1000, 70_000] {
        let value = vec![b'v'; len];
        let expected = [format!("${len}\r\n").as_bytes(), &value, b"\r\n"].concat();
        assert_eq!(encoded(Proto::Resp3, |r| r.bulk(&value)), expected);
    }
}

/// As C's `printf("%.17g")` prints them.
#[test]
fn doubles() {
    let rows = [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-2.5, "-2.5"),
        (0.1, "0.10000000000000001"),
        (3.3, "3.2999999999999998"),
        (1234567.0, "1234567"),
        (1e16, "10000000000000000"),
        (1e17, "1e+17"),
        (1.5e300, "1.5000000000000001e+300"),
        (0.0001, "0.0001"),
        (0.00001, "1.0000000000000001e-05"),
        (1e23, "9.9999999999999992e+22"),
        (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        (5e-324, "4.9406564584124654e-324"),
        (f64::MAX, "1.7976931348623157e+308"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
        (f64::NAN, "nan"),
    ];
    for (value, text) in rows {
        assert_eq!(encoded(Proto::Resp3, |r| r.double(value)), format!(",{text}\r\n").into_bytes());
        let bulk = format!("${}\r\n{text}\r\n", text.len()).into_bytes();
        assert_eq!(encoded(Proto::Resp2, |r| r.double(value)), bulk);
    }
}

#[test]
fn protocol_errors_carry_the_byte_itself() {
    let sent = |got| encoded(Proto::Resp2, |r| r.protocol_error(&ProtocolError::ExpectedBulk { got }));
    assert_eq!(sent(b'x'), b"-ERR Protocol error: expected '$', got 'x'\r\n");
    assert_eq!(sent(b'\n'), b"-ERR Protocol error: expected '$', got ' '\r\n");
    assert_eq!(sent(0xff), b"-ERR Protocol error: expected '$', got '\xff'\r\n");
    let rest = encoded(Proto::Resp2, |r| r.protocol_error(&ProtocolError::InvalidCount));
    assert_eq!(rest, b"-ERR Protocol error: invalid multibulk length\r\n");
}

/// Long values are referred to, short ones copied; both read the same.
#[test]
fn shared_values_stay_where_they_are() {
    let value = Arc::new((0..10_000).map(|i| i as u8).collect::<Vec<u8>>());
    for (range, shared) in [(0..10_000, 1), (100..9_000, 1), (0..100, 0), (50..50, 0)] {
        let mut out = Output::default();
        Reply { out: &mut out, proto: Proto::Resp2 }.bulk_shared(Arc::clone(&value), range.clone());
        assert_eq!(out.shared.len(), shared);
        assert_eq!(out.flatten(), encoded(Proto::Resp2, |r| r.bulk(&value[range.clone()])));
    }
}

/// Appending each reply by its range of bytes, in any order, brings its own shared values and no other's.
#[test]
fn replies_move_with_their_shared_values() {
    let value = Arc::new(vec![b'v'; 5_000]);
    let mut from = Output::default();
    let mut ranges = Vec::new();
    for i in 0..6 {
        let start = from.bytes.len();
        let mut reply = Reply { out: &mut from, proto: Proto::Resp2 };
        match i % 3 {
            0 => reply.integer(i),
            _ => reply.bulk_shared(Arc::clone(&value), 0..4_500 + i as usize),
        }
        ranges.push(start..from.bytes.len());
    }
    let mut all = Output::default();
    ranges.iter().for_each(|range| all.append(&from, range.clone()));
    assert_eq!(all.flatten(), from.flatten());
    let mut reversed = Output::default();
    ranges.iter().rev().for_each(|range| reversed.append(&from, range.clone()));
    let bulk = |bytes: usize| encoded(Proto::Resp2, |r| r.bulk(&value[..bytes]));
    let expected = [bulk(4_505), bulk(4_504), b":3\r\n".to_vec(), bulk(4_502), bulk(4_501), b":0\r\n".to_vec()];
    assert_eq!(reversed.flatten(), expected.concat());
    reversed.clear();
    assert!(reversed.is_empty() && reversed.shared.is_empty());
}
