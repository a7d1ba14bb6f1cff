//! Proves what an import sends and what it makes of the answers, with servers that say what a test wants, among them those
//! that end in the middle or answer more than anybody buffers.

use super::*;
use crate::load::endpoint::{Endpoint, Login};
use crate::protocol::rdb::{Fault, RdbError};
use crate::protocol::resp::{Args, Limits, parse};
use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread::JoinHandle;

/// Far in the future, and long ago.
const LATER_MS: i64 = 4_000_000_000_000;
const BEFORE_MS: i64 = 1_000_000_000_000;

/// A file of its own for each test, without a checksum.
fn file(test: &str, body: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("coldplate-import-{test}-{}.rdb", std::process::id()));
    std::fs::write(&path, [b"REDIS0010", body, b"\xff", &[0; 8]].concat()).expect("a place for a file");
    path
}

fn text(key: &[u8], value: &[u8], expires_ms: Option<i64>) -> Vec<u8> {
    let expiry = expires_ms.map_or(Vec::new(), |ms| [&[252][..], &ms.to_le_bytes()].concat());
    let length = |bytes: &[u8]| [&[0x80][..], &(bytes.len() as u32).to_be_bytes()].concat();
    [&expiry[..], &[0], &length(key), key, &length(value), value].concat()
}

/// Listens; `each` is given every request but PING, and answers for it or ends the connection.
fn serve(mut each: impl FnMut(&[String], &mut TcpStream) -> bool + Send + 'static) -> (Endpoint, JoinHandle<u64>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it listens").port();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody comes");
        let (mut received, mut chunk, mut served) = (Vec::new(), vec![0; 1 << 16], 0);
        while let Ok(bytes @ 1..) = stream.read(&mut chunk) {
            received.extend_from_slice(&chunk[..bytes]);
            let (mut at, mut args) = (0, Vec::new());
            while let Ok(Some(bytes)) = parse(&received[at..], &Limits::default(), &mut args) {
                let words: Vec<String> = Args::new(&received[at..], &args, &mut [])
                    .iter()
                    .map(|word| String::from_utf8_lossy(&word[..word.len().min(40)]).into_owned())
                    .collect();
                at += bytes;
                args.clear();
                if words == ["PING"] {
                    stream.write_all(b"+PONG\r\n").expect("it listens");
                    continue;
                }
                served += 1;
                if !each(&words, &mut stream) {
                    // Closed with bytes unread it would be reset, and replies that are on their way might be lost.
                    stream.shutdown(Shutdown::Write).expect("it is connected");
                    while let Ok(1..) = stream.read(&mut chunk) {}
                    return served;
                }
            }
            received.drain(..at);
        }
        served
    });
    (Endpoint::Tcp("127.0.0.1".into(), port), thread)
}

fn options(file: PathBuf, endpoint: Endpoint) -> Options {
    let login = Login::default();
    Options { file: Some(file), endpoint, login, database: 0, replace: false, pipeline: 10, dry_run: false }
}

fn run(options: &Options) -> (Outcome, String) {
    let outcome = import(options).expect("it begins");
    std::fs::remove_file(options.file.as_ref().expect("a file")).expect("the file was there");
    let summary = outcome.tally.summary(outcome.answers.as_ref(), Duration::ZERO);
    (outcome, summary)
}

#[test]
fn each_string_is_a_set_and_each_answer_is_counted() {
    let body = [
        &text(b"plain", b"1", None)[..],
        &text(b"timed", b"2", Some(LATER_MS)),
        &text(b"over", b"3", Some(BEFORE_MS)),
        b"\x01\x01l\x01\x01x\xf5\x03lib\xfe\x03",
        &text(b"elsewhere", b"4", None),
        b"\x02\x01s\x01\x01x\xfe\0",
        &text(b"there", &vec![b'v'; 200_000], Some(LATER_MS)),
        &text(b"bad", b"5", None),
    ]
    .concat();
    let (endpoint, server) = serve(|words, stream| {
        let reply: &[u8] = match words[1].as_str() {
            "plain" if words == ["SET", "plain", "1", "NX"] => b"+OK\r\n",
            "timed" if words == ["SET", "timed", "2", "NX", "PXAT", "4000000000000"] => b"+OK\r\n",
            "there" if words[3..] == ["NX", "PXAT", "4000000000000"] => b"$-1\r\n",
            _ => b"-OOM no\r\n",
        };
        stream.write_all(reply).is_ok()
    });
    let (outcome, summary) = run(&options(file("counted", &body), endpoint));
    assert_eq!(server.join().expect("no panic"), 4);
    assert!(outcome.ended.is_ok() && !outcome.is_success());
    let expected = "imported   2 strings of 12B in 0.0 s\n\
                    existing   1 string were there already and are kept; --replace overwrites\n\
                    expired    1 string whose time was over\n\
                    skipped    1 of type list, such as \"l\"\n\
                    skipped    1 of type function library\n\
                    skipped    2 of database 3; --db 3 imports its strings\n\
                    failed     1 string; the first:\n           \"bad\": OOM no\n";
    assert_eq!(summary, expected);
}

#[test]
fn another_database_and_replacing_are_asked_for() {
    let body = [&text(b"a", b"1", None)[..], b"\xfe\x07", &text(b"b", b"2", None)].concat();
    let path = file("another", &body);
    let (endpoint, server) = serve(|words, stream| {
        assert_eq!(words, ["SET", "b", "2"]);
        stream.write_all(b"+OK\r\n").is_ok()
    });
    let (outcome, summary) = run(&Options { database: 7, replace: true, ..options(path, endpoint) });
    assert!(outcome.is_success());
    assert_eq!(server.join().expect("no panic"), 1);
    assert!(summary.ends_with("skipped    1 of database 0; --db 0 imports its strings\n"), "{summary}");
}

/// More errors than both sides buffer, all owed at once: whoever sent all before reading would wait for ever.
#[test]
fn answers_are_read_while_requests_are_sent() {
    const KEYS: u64 = 60_000;
    let body: Vec<u8> = (0..KEYS).flat_map(|key| text(key.to_string().as_bytes(), &[b'v'; 100], None)).collect();
    let reply = [&b"-ERR "[..], &[b'x'; 250], b"\r\n"].concat();
    let (endpoint, server) = serve(move |_, stream| stream.write_all(&reply).is_ok());
    let (outcome, _) = run(&Options { pipeline: 100_000, ..options(file("errors", &body), endpoint) });
    assert!(outcome.ended.is_ok());
    assert_eq!(outcome.answers.expect("a server was asked").failed, KEYS);
    assert_eq!(server.join().expect("no panic"), KEYS);
}

#[test]
fn no_more_is_under_way_than_was_asked_for() {
    let body: Vec<u8> = (0..100).flat_map(|key| text(&[key], b"v", None)).collect();
    let mut waiting = 0;
    let (endpoint, server) = serve(move |_, stream| {
        waiting += 1;
        assert!(waiting <= 10);
        // Ten come before the first is answered, if ten may be under way.
        if waiting < 10 {
            return true;
        }
        stream.write_all(&b"+OK\r\n".repeat(std::mem::take(&mut waiting))).is_ok()
    });
    let (outcome, _) = run(&options(file("bound", &body), endpoint));
    assert!(outcome.is_success());
    assert_eq!(server.join().expect("no panic"), 100);
}

#[test]
fn a_server_that_is_lost_ends_it() {
    let body: Vec<u8> = (0..50_000u32).flat_map(|key| text(&key.to_be_bytes(), &[b'v'; 1000], None)).collect();
    for (test, last) in [("closed", ""), ("nonsense", "what?\r\n"), ("unasked", &*"+OK\r\n".repeat(12))] {
        let (mut left, last) = (100, last.to_owned());
        let (endpoint, server) = serve(move |_, stream| {
            left -= 1;
            stream.write_all(if left > 0 { b"+OK\r\n" } else { last.as_bytes() }).is_ok() && left > 0
        });
        let (outcome, _) = run(&options(file(test, &body), endpoint));
        let error = outcome.ended.expect_err("the server is gone").to_string();
        let said = ["did not answer SET", "sent what is no reply: \"what?\"", "a reply to no request"];
        assert!(said.iter().any(|said| error.contains(said)), "{test}: {error}");
        assert!(outcome.answers.is_some_and(|answers| answers.set >= 99));
        assert_eq!(server.join().expect("no panic"), 100);
    }
}

#[test]
fn a_fault_in_the_file_comes_after_what_is_before_it() {
    let body = [&text(b"a", b"1", None)[..], b"\x63"].concat();
    let offset = (b"REDIS0010".len() + body.len() - 1) as u64;
    let (endpoint, server) = serve(|_, stream| stream.write_all(b"+OK\r\n").is_ok());
    let (outcome, _) = run(&options(file("fault", &body), endpoint));
    assert_eq!(outcome.answers.expect("a server was asked").set, 1);
    assert_eq!(server.join().expect("no panic"), 1);
    match outcome.ended {
        Err(ImportError::Contents { source, .. }) => {
            assert_eq!(source, RdbError { offset, fault: Fault::Type { number: 0x63, version: 10 } });
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_begin_says_why() {
    let refused = |options: &Options| import(options).err().expect("it cannot begin").to_string();
    let nobody = Endpoint::Unix("/nonexistent/socket".into());
    let path = file("nobody", b"");
    assert!(refused(&options(path.clone(), nobody.clone())).starts_with("cannot reach /nonexistent/socket: "));
    let mut dry = Options { dry_run: true, ..options(path, nobody) };
    assert!(run(&dry).0.is_success());
    assert!(refused(&dry).starts_with("cannot read "));
    dry.file = Some(std::env::temp_dir());
    assert!(import(&dry).is_ok_and(|outcome| matches!(outcome.ended, Err(ImportError::Read { .. }))));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = Endpoint::Tcp("127.0.0.1".into(), listener.local_addr().expect("it listens").port());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody comes");
        stream.write_all(b"-NOAUTH Authentication required.\r\n").expect("it listens");
    });
    let path = file("noauth", b"");
    let error = refused(&options(path.clone(), endpoint));
    assert!(error.ends_with("refused PING: NOAUTH Authentication required."), "{error}");
    std::fs::remove_file(path).expect("the file was there");
    server.join().expect("no panic");
}

#[test]
fn progress_is_a_line() {
    let line = progress_line(1 << 20, Some(4 << 20), 500, Duration::from_secs(2));
    assert_eq!(line, "1.00MB of 4.00MB (25%), 500 strings, 250 a second");
    assert_eq!(progress_line(10, None, 1, Duration::from_secs(1)), "10B, 1 strings, 1 a second");
}
