//! Requests: any bytes in any pieces give what the whole gives, by every way that an engine reads them.

use crate::pieces::{cut, expand};
use coldplate::protocol::resp::{Args, Input, Limits, ProtocolError, parse};

type Request = Vec<Vec<u8>>;

/// The requests of a stream, the error that ended it, and how many of its bytes are held back.
#[derive(Debug, PartialEq)]
struct Outcome {
    requests: Vec<Request>,
    error: Option<ProtocolError>,
    held_bytes: usize,
}

/// The first byte picks the limits, the second cuts the rest; there, runs are written short ([`expand`]).
pub fn resp(data: &[u8]) {
    let Some((&[head, seed], stream)) = data.split_first_chunk() else { return };
    let (limits, stream) = (limits(head), expand(stream));
    let (pieces, whole) = (cut(&stream, seed), hold(&[&stream], &limits, false));
    assert_eq!(hold(&pieces, &limits, false), whole, "held back in pieces");
    assert_eq!(receive(&pieces, &limits), whole, "received in pieces");
    assert_eq!(receive(&[&stream], &limits), whole, "received at once");
    if head & 2 == 0 {
        assert_eq!(hold(&pieces, &limits, true), whole, "each put back once");
    }
}

/// Bounds what a run can hold: an announced length may not ask for more than a fuzzer's memory.
fn limits(head: u8) -> Limits {
    let (authenticated, wide) = (head & 1 == 0, head & 2 == 0);
    let limits = Limits { bulk_bytes_max: 1 << 20, request_bytes_max: 1 << 22, authenticated, ..Limits::default() };
    if wide {
        return limits;
    }
    Limits { args_max: 12, bulk_bytes_max: 70_000, inline_bytes_max: 50, request_bytes_max: 80_000, authenticated }
}

/// The stream as one that is held back piece by piece. Requests that are put back are taken again.
fn hold(pieces: &[&[u8]], limits: &Limits, put_back: bool) -> Outcome {
    let mut input = Input::new();
    let mut outcome = Outcome { requests: Vec::new(), error: None, held_bytes: 0 };
    for piece in pieces {
        input.keep(piece);
        drain(&mut input, limits, put_back, &mut outcome);
        if outcome.error.is_some() {
            return outcome;
        }
    }
    outcome.held_bytes = input.held_bytes();
    outcome
}

/// The stream as an engine reads it: where it was received while nothing is held back.
fn receive(pieces: &[&[u8]], limits: &Limits) -> Outcome {
    let (mut input, mut args) = (Input::new(), Vec::new());
    let mut outcome = Outcome { requests: Vec::new(), error: None, held_bytes: 0 };
    for piece in pieces {
        let mut rest = *piece;
        while input.is_empty() && !rest.is_empty() {
            args.clear();
            match parse(rest, limits, &mut args) {
                Ok(Some(bytes)) => {
                    outcome.requests.push(owned(&Args::new(&rest[..bytes], &args, &mut [])));
                    rest = &rest[bytes..];
                }
                Ok(None) => break,
                Err(error) => {
                    outcome.error = Some(error);
                    return outcome;
                }
            }
        }
        input.keep(rest);
        drain(&mut input, limits, false, &mut outcome);
        if outcome.error.is_some() {
            return outcome;
        }
    }
    outcome.held_bytes = input.held_bytes();
    outcome
}

/// Takes what is whole, in groups, as an engine does: all frames first, then what they hold.
fn drain(input: &mut Input, limits: &Limits, put_back: bool, outcome: &mut Outcome) {
    const GROUP_MAX: usize = 4;
    let mut again = put_back;
    loop {
        let (mut args, mut group) = (Vec::new(), Vec::new());
        while outcome.error.is_none() && group.len() < GROUP_MAX {
            let first = args.len();
            match input.next(limits, &mut args) {
                Ok(Some(frame)) => group.push((frame, first..args.len())),
                Ok(None) => {
                    assert_eq!(args.len(), first, "an incomplete request leaves no arguments");
                    break;
                }
                Err(error) => outcome.error = Some(error),
            }
            if again && group.len() == 1 {
                break;
            }
        }
        if again && let Some((frame, places)) = group.pop() {
            // One without arguments is never kept from running.
            let words = owned(&input.args(frame, &args[places.clone()]));
            if words.is_empty() {
                outcome.requests.push(words);
            } else {
                input.put_back(frame, &args[places]);
                again = false;
            }
            input.release();
            continue;
        }
        again = put_back;
        for (frame, places) in &group {
            let mut request = input.args(*frame, &args[places.clone()]);
            let taken = |at| request.take_body(at).unwrap_or_else(|| request.get(at).to_vec());
            outcome.requests.push((0..places.len()).map(taken).collect());
        }
        input.release();
        assert!(outcome.error.is_some() || is_modest(input), "{} bytes", input.capacity_bytes());
        if group.is_empty() || outcome.error.is_some() {
            return;
        }
    }
}

/// What is held in memory follows from what has come, not from what was announced.
fn is_modest(input: &Input) -> bool {
    input.capacity_bytes() <= 16 * input.held_bytes() + (1 << 19)
}

fn owned(args: &Args) -> Request {
    args.iter().map(<[u8]>::to_vec).collect()
}

/// One line, split as a reading of the rules written for this purpose splits it.
pub fn inline(data: &[u8]) {
    let line = data.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.first() == Some(&b'*') {
        return;
    }
    let limits = Limits::default();
    let wire = [line, b"\n"].concat();
    let outcome = hold(&[&wire], &limits, false);
    let expected = match split(line.strip_suffix(b"\r").unwrap_or(line)) {
        _ if line.len() > limits.inline_bytes_max => return,
        Some(request) => Outcome { requests: vec![request], error: None, held_bytes: 0 },
        None => Outcome { requests: Vec::new(), error: Some(ProtocolError::UnbalancedQuotes), held_bytes: 0 },
    };
    assert_eq!(outcome, expected);
    assert_eq!(receive(&[&wire], &limits), expected);
}

/// The words of a line, from left to right; `None` where a quote is not closed, or closed before something else.
fn split(line: &[u8]) -> Option<Request> {
    let is_space = |byte: u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c);
    let (mut words, mut bytes) = (Vec::new(), line.iter().copied().peekable());
    loop {
        while bytes.next_if(|byte| is_space(*byte)).is_some() {}
        if bytes.peek().is_none() {
            return Some(words);
        }
        let mut word = Vec::new();
        let quote = loop {
            match bytes.next() {
                None => break None,
                Some(quote @ (b'"' | b'\'')) => break Some(quote),
                Some(b' ' | b'\t' | b'\n' | b'\r') => break None,
                Some(byte) => word.push(byte),
            }
        };
        if let Some(quote) = quote {
            loop {
                match bytes.next()? {
                    byte if byte == quote => break,
                    b'\\' if quote == b'"' => word.push(escape(&mut bytes)?),
                    b'\\' if quote == b'\'' && bytes.peek() == Some(&quote) => word.push(bytes.next()?),
                    byte => word.push(byte),
                }
            }
            if bytes.peek().is_some_and(|byte| !is_space(*byte)) {
                return None;
            }
        }
        words.push(word);
    }
}

/// What stands behind a backslash in double quotes.
fn escape(bytes: &mut std::iter::Peekable<impl Iterator<Item = u8> + Clone>) -> Option<u8> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    Some(match bytes.next()? {
        b'x' => {
            let mut ahead = bytes.clone();
            match (digit(ahead.next()), digit(ahead.next())) {
                (Some(high), Some(low)) => {
                    *bytes = ahead;
                    (high << 4 | low) as u8
                }
                _ => b'x',
            }
        }
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        byte => byte,
    })
}
