//! As much of HTTP/1.1 as a scraper needs: `GET /metrics`, one request a connection.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

/// A request's head is no longer; who sends more is refused.
const HEAD_BYTES_MAX: usize = 8 * 1024;
const HEADERS_MAX: usize = 64;
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PATH: &str = "/metrics";

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Metrics { body: bool },
    Refused { status: &'static str, allow: bool },
}

/// Reads a request and answers it; `text` is called for one that asks for the figures. All of the request has to come
/// within `patience`.
pub fn serve(stream: &mut (impl Read + Write), patience: Duration, text: impl FnOnce() -> String) -> io::Result<()> {
    match read(stream, Instant::now() + patience)? {
        Asked::Metrics { body } => {
            let text = text();
            let shown = if body { &text[..] } else { "" };
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{shown}",
                text.len()
            )?;
        }
        Asked::Refused { status, allow } => {
            let allow = if allow { "Allow: GET, HEAD\r\n" } else { "" };
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n{allow}Content-Length: {}\r\n\
                 Connection: close\r\n\r\n{status}\n",
                status.len() + 1
            )?;
        }
    }
    stream.flush()
}

fn read(stream: &mut impl Read, deadline: Instant) -> io::Result<Asked> {
    let (mut head, mut have) = ([0; HEAD_BYTES_MAX], 0);
    loop {
        if have == head.len() {
            return Ok(refused("431 Request Header Fields Too Large"));
        }
        if Instant::now() >= deadline {
            return Ok(refused("408 Request Timeout"));
        }
        match stream.read(&mut head[have..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => have += read,
        }
        if let Some(asked) = parse(&head[..have]) {
            return Ok(asked);
        }
    }
}

/// None: it is not whole.
fn parse(head: &[u8]) -> Option<Asked> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Partial) => None,
        Err(httparse::Error::TooManyHeaders) => Some(refused("431 Request Header Fields Too Large")),
        Err(_) => Some(refused("400 Bad Request")),
        Ok(httparse::Status::Complete(_)) => {
            let target = request.path.unwrap_or_default();
            let path = target.split_once('?').map_or(target, |(path, _)| path);
            Some(match (path, request.method.unwrap_or_default()) {
                (PATH, "GET") => Asked::Metrics { body: true },
                (PATH, "HEAD") => Asked::Metrics { body: false },
                (PATH, _) => Asked::Refused { status: "405 Method Not Allowed", allow: true },
                _ => refused("404 Not Found"),
            })
        }
    }
}

fn refused(status: &'static str) -> Asked {
    Asked::Refused { status, allow: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer that sends so many bytes at a time, and then has no more to say.
    struct Peer<'a> {
        sends: &'a [u8],
        step: usize,
        got: Vec<u8>,
    }

    impl Read for Peer<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = self.step.min(self.sends.len()).min(into.len());
            into[..count].copy_from_slice(&self.sends[..count]);
            self.sends = &self.sends[count..];
            Ok(count)
        }
    }

    impl Write for Peer<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.got.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn answer(sends: &[u8], step: usize, patience: Duration) -> io::Result<String> {
        let mut peer = Peer { sends, step, got: Vec::new() };
        serve(&mut peer, patience, || "x 1\n".to_owned())?;
        Ok(String::from_utf8(peer.got).expect("an answer is text"))
    }

    const PATIENT: Duration = Duration::from_secs(600);

    /// However a request is cut, it is answered once it is whole; HEAD without the text, but with its length.
    #[test]
    fn figures_are_answered() {
        for step in [1, 7, 4096] {
            let got = answer(b"GET /metrics?a=b HTTP/1.1\r\nHost: a\r\n\r\n", step, PATIENT).expect("it is whole");
            assert!(
                got.starts_with("HTTP/1.1 200 OK\r\n") && got.ends_with("Length: 4\r\nConnection: close\r\n\r\nx 1\n")
            );
        }
        let got = answer(b"HEAD /metrics HTTP/1.0\r\n\r\n", 4096, PATIENT).expect("it is whole");
        assert!(got.contains("Content-Length: 4\r\n") && got.ends_with("\r\n\r\n"), "{got}");
    }

    /// What is no such request is refused by name, and one that never ends is given up.
    #[test]
    fn everything_else_is_refused() {
        let many = [&b"GET /metrics HTTP/1.1\r\n"[..], &b"a: b\r\n".repeat(65), b"\r\n"].concat();
        let long = [&b"GET /metrics HTTP/1.1\r\na: "[..], &[b'x'; HEAD_BYTES_MAX]].concat();
        for (sends, status) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], "404 "),
            (b"POST /metrics HTTP/1.1\r\n\r\n", "405 "),
            (b"*1\r\n$4\r\nPING\r\n", "400 "),
            (b"\xff\xfe\r\n\r\n", "400 "),
            (&many, "431 "),
            (&long, "431 "),
        ] {
            let got = answer(sends, 4096, PATIENT).expect("it is answered");
            assert!(got.starts_with("HTTP/1.1 ") && got[9..].starts_with(status), "{got}");
        }
        assert!(answer(b"GET /metrics HTT", 4096, PATIENT).is_err());
        assert!(answer(b"GET /met", 1, Duration::ZERO).expect("it is told").contains(" 408 "));
    }
}
