//! Tables of wire bytes: what each stream asks for, one behaviour a row. All rows under
//! Redis's own limits were compared with redis-server 7.0.15.

use super::{Outcome, hold, receive};
use crate::protocol::resp::{Limits, ProtocolError};

type Row<'a> = (&'a str, &'a [&'a [&'a str]], Option<ProtocolError>);

/// Proves that each row gives its requests and its error, parsed in place and held back.
fn check(rows: &[Row], limits: &Limits) {
    for (wire, requests, error) in rows {
        let expected = Outcome::of(requests, *error);
        assert_eq!(receive([wire.as_bytes()], limits), expected, "in place: {wire:?}");
        assert_eq!(hold([wire.as_bytes()], limits), expected, "held: {wire:?}");
    }
}

#[test]
fn whole_requests() {
    let rows: &[Row] = &[
        ("*1\r\n$4\r\nPING\r\n", &[&["PING"]], None),
        ("*2\r\n$3\r\nGET\r\n$15\r\nkey:00000000001\r\n", &[&["GET", "key:00000000001"]], None),
        ("*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", &[&["ECHO", ""]], None),
        ("*2\r\n$4\r\nECHO\r\n$4\r\na\r\nb\r\n", &[&["ECHO", "a\r\nb"]], None),
        ("*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n", &[&["PING"], &["PING"]], None),
        ("*0\r\n*1\r\n$4\r\nPING\r\n", &[&[], &["PING"]], None),
        ("*-1\r\n", &[&[]], None),
        ("*-9223372036854775808\r\n", &[&[]], None),
        // Two bytes end a line or an argument, whatever they are.
        ("*1\rx$4\r\nPING\r\n", &[&["PING"]], None),
        ("*1\r\n$4\r\rPINGxy*0\r\n", &[&["PING"], &[]], None),
        // Nothing is decided about what has not come.
        ("", &[], None),
        ("*", &[], None),
        ("*1\r", &[], None),
        ("*2\r\n$3\r\nGET\r\nX", &[], None),
        ("*1\r\n$4\r\nPING\r", &[], None),
    ];
    check(rows, &Limits::default());
}

#[test]
fn counts_that_are_none() {
    let invalid = Some(ProtocolError::InvalidCount);
    let rows: &[Row] = &[
        ("*\r\n", &[], invalid),
        ("*+1\r\n", &[], invalid),
        ("*01\r\n", &[], invalid),
        ("*00\r\n", &[], invalid),
        ("*-0\r\n", &[], invalid),
        ("*-\r\n", &[], invalid),
        ("* 1\r\n", &[], invalid),
        ("*1 \r\n", &[], invalid),
        ("*1\n$4\nPING\r\n", &[], invalid),
        ("*x\r\n", &[], invalid),
        ("*2147483648\r\n", &[], invalid),
        ("*9223372036854775807\r\n", &[], invalid),
        ("*9223372036854775808\r\n", &[], invalid),
        ("*-9223372036854775809\r\n", &[], invalid),
        ("*111111111111111111111\r\n", &[], invalid),
        ("*1\r\n$4\r\nPING\r\n*x\r\n", &[&["PING"]], invalid),
    ];
    check(rows, &Limits::default());
}

#[test]
fn lengths_that_are_none() {
    let invalid = Some(ProtocolError::InvalidBulk);
    let rows: &[Row] = &[
        ("*1\r\n$\r\n", &[], invalid),
        ("*1\r\n$-1\r\n", &[], invalid),
        ("*1\r\n$-2\r\n", &[], invalid),
        ("*1\r\n$+1\r\nx\r\n", &[], invalid),
        ("*1\r\n$01\r\nx\r\n", &[], invalid),
        ("*1\r\n$00\r\n\r\n", &[], invalid),
        ("*1\r\n$ 1\r\nx\r\n", &[], invalid),
        ("*1\r\n$536870913\r\n", &[], invalid),
        ("*1\r\n$2147483648\r\n", &[], invalid),
        ("*1\r\n$9223372036854775807\r\n", &[], invalid),
        ("*1\r\n$9223372036854775808\r\n", &[], invalid),
        ("*2\r\n$3\r\nGET\r\n$x\r\n", &[], invalid),
    ];
    check(rows, &Limits::default());
}

#[test]
fn something_else_than_a_bulk() {
    let got = |got| Some(ProtocolError::ExpectedBulk { got });
    let rows: &[Row] = &[
        ("*1\r\nPING\r\n", &[], got(b'P')),
        ("*1\r\n*1\r\n$4\r\nPING\r\n", &[], got(b'*')),
        ("*1\r\n:1\r\n", &[], got(b':')),
        ("*1\r\n\r\n", &[], got(b'\r')),
        ("*2\r\n$3\r\nGETxx\nx\r\n", &[], got(b'\n')),
        // Nobody can tell before the line ends.
        ("*1\r\nPING", &[], None),
    ];
    check(rows, &Limits::default());
}

#[test]
fn inline_requests() {
    let rows: &[Row] = &[
        ("PING\r\n", &[&["PING"]], None),
        ("PING\n", &[&["PING"]], None),
        ("\r\n\n  \r\nPING\n", &[&[], &[], &[], &["PING"]], None),
        ("  SET\tkey   value  \r\n", &[&["SET", "key", "value"]], None),
        ("ECHO a\rb\n", &[&["ECHO", "a", "b"]], None),
        ("ECHO \x0b\x0ca\x0bb\r\n", &[&["ECHO", "a\x0bb"]], None),
        ("PING\r\n*1\r\n$4\r\nPING\r\nPING\r\n", &[&["PING"], &["PING"], &["PING"]], None),
        ("$4\r\n", &[&["$4"]], None),
        ("PING", &[], None),
        ("PING\r", &[], None),
    ];
    check(rows, &Limits::default());
}

#[test]
fn inline_quotes() {
    let unbalanced = Some(ProtocolError::UnbalancedQuotes);
    let rows: &[Row] = &[
        ("SET \"a b\" 'c d'\r\n", &[&["SET", "a b", "c d"]], None),
        ("ECHO \"\"\r\n", &[&["ECHO", ""]], None),
        ("ECHO a\"b c\"\r\n", &[&["ECHO", "ab c"]], None),
        (r#"ECHO "\x41\x0a\n\r\t\b\a\\\"\q""#, &[], None),
        ("ECHO \"\\x41\\x0A\\n\\r\\t\\b\\a\\\\\\\"\\q\"\r\n", &[&["ECHO", "A\n\n\r\t\x08\x07\\\"q"]], None),
        ("ECHO \"\\x4\" \"\\xg1\"\r\n", &[&["ECHO", "x4", "xg1"]], None),
        ("ECHO '\\x41\\n\\'\"'\r\n", &[&["ECHO", "\\x41\\n'\""]], None),
        ("ECHO \"it's\"\r\nPING\r\n", &[&["ECHO", "it's"], &["PING"]], None),
        ("ECHO \"a\"b\r\n", &[], unbalanced),
        ("ECHO \"a\r\n", &[], unbalanced),
        ("ECHO 'a\r\n", &[], unbalanced),
        ("ECHO \"a\\\r\n", &[], unbalanced),
        ("PING\r\nECHO 'a'b\r\n", &[&["PING"]], unbalanced),
    ];
    check(rows, &Limits::default());
}

#[test]
fn lines_without_end() {
    let limits = Limits::default();
    let cases = [
        ("", ProtocolError::InlineTooLong),
        ("*", ProtocolError::CountTooLong),
        ("*1\r\n$", ProtocolError::BulkTooLong),
        ("*1\r\n", ProtocolError::BulkTooLong),
    ];
    for (start, error) in cases {
        let prefix = start.rfind('\n').map_or(0, |at| at + 1);
        let line_bytes = limits.inline_bytes_max - (start.len() - prefix);
        let at_limit = format!("{start}{}", "1".repeat(line_bytes));
        check(&[(&at_limit, &[], None), (&format!("{at_limit}1"), &[], Some(error))], &limits);
    }
    // A line of exactly the limit passes.
    let arg = "a".repeat(limits.inline_bytes_max);
    check(&[(&format!("{arg}\n"), &[&[&arg]], None)], &limits);
}

#[test]
fn before_authentication() {
    let limits = Limits { authenticated: false, ..Limits::default() };
    let ten = "*10\r\n".to_owned() + &"$1\r\na\r\n".repeat(10);
    let long = "a".repeat(16_384);
    let rows: &[Row] = &[
        (&ten, &[&["a"; 10]], None),
        ("*11\r\n", &[], Some(ProtocolError::UnauthenticatedCount)),
        ("*2147483648\r\n", &[], Some(ProtocolError::InvalidCount)),
        (&format!("*1\r\n$16384\r\n{long}\r\n"), &[&[&long]], None),
        ("*1\r\n$16385\r\n", &[], Some(ProtocolError::UnauthenticatedBulk)),
        ("*1\r\n$536870913\r\n", &[], Some(ProtocolError::InvalidBulk)),
        ("*1\r\nx\r\n", &[], Some(ProtocolError::ExpectedBulk { got: b'x' })),
    ];
    check(rows, &limits);
}

#[test]
fn configured_limits() {
    let limits = Limits { args_max: 2, bulk_bytes_max: 20, request_bytes_max: 40, ..Limits::default() };
    let rows: &[Row] = &[
        ("*2\r\n$1\r\na\r\n$1\r\nb\r\n", &[&["a", "b"]], None),
        ("*3\r\n", &[], Some(ProtocolError::InvalidCount)),
        ("*1\r\n$20\r\n", &[], None),
        ("*1\r\n$21\r\n", &[], Some(ProtocolError::InvalidBulk)),
        // 4 + 5 + 12 bytes, then 5 + 14: forty; one more is too many.
        ("*2\r\n$10\r\n1234567890\r\n$12\r\n", &[], None),
        ("*2\r\n$10\r\n1234567890\r\n$13\r\n", &[], Some(ProtocolError::RequestTooBig)),
    ];
    check(rows, &limits);
}

#[test]
fn error_texts() {
    let rows = [
        (ProtocolError::InvalidCount, "Protocol error: invalid multibulk length"),
        (ProtocolError::InvalidBulk, "Protocol error: invalid bulk length"),
        (ProtocolError::ExpectedBulk { got: b'x' }, "Protocol error: expected '$', got 'x'"),
        (ProtocolError::ExpectedBulk { got: b'\r' }, "Protocol error: expected '$', got ' '"),
        (ProtocolError::CountTooLong, "Protocol error: too big mbulk count string"),
        (ProtocolError::BulkTooLong, "Protocol error: too big bulk count string"),
        (ProtocolError::InlineTooLong, "Protocol error: too big inline request"),
        (ProtocolError::UnbalancedQuotes, "Protocol error: unbalanced quotes in request"),
        (ProtocolError::UnauthenticatedCount, "Protocol error: unauthenticated multibulk length"),
        (ProtocolError::UnauthenticatedBulk, "Protocol error: unauthenticated bulk length"),
    ];
    for (error, text) in rows {
        assert_eq!(error.to_string(), text);
    }
}
