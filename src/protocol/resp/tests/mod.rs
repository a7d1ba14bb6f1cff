//! Requests out of bytes and replies into bytes, as a client sees them.

pub(super) mod cost;
mod framing;
mod pieces;
mod replies;
mod requests;

use super::{Input, Limits, ProtocolError, parse};

/// The requests of a stream, and the error that ended it.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    requests: Vec<Vec<Vec<u8>>>,
    error: Option<ProtocolError>,
}

impl Outcome {
    fn of<'a>(requests: &[&[&'a str]], error: Option<ProtocolError>) -> Self {
        let owned = |request: &&[&'a str]| request.iter().map(|arg| arg.as_bytes().to_vec()).collect();
        Self { requests: requests.iter().map(owned).collect(), error }
    }

    /// Takes what `input` has to give, in groups of `group_max` requests parsed before the first is executed.
    fn drain(&mut self, input: &mut Input, limits: &Limits, group_max: usize) {
        loop {
            let (mut args, mut group) = (Vec::new(), Vec::new());
            while self.error.is_none() && group.len() < group_max {
                let first = args.len();
                match input.next(limits, &mut args) {
                    Ok(Some(frame)) => group.push((frame, first..args.len())),
                    Ok(None) => break,
                    Err(error) => self.error = Some(error),
                }
            }
            for (frame, range) in &group {
                let mut request = input.args(*frame, &args[range.clone()]);
                let owned = |i| request.take_body(i).unwrap_or_else(|| request.get(i).to_vec());
                self.requests.push((0..range.len()).map(owned).collect());
            }
            input.release();
            if group.is_empty() || self.error.is_some() {
                return;
            }
        }
    }
}

/// The stream as an engine reads it when it comes in `pieces`: in the receive buffer while nothing is held back.
fn receive<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: &Limits) -> Outcome {
    let mut outcome = Outcome::default();
    let mut input = Input::new();
    for piece in pieces {
        let mut rest = piece;
        while input.is_empty() && !rest.is_empty() {
            let mut args = Vec::new();
            match parse(rest, limits, &mut args) {
                Ok(Some(bytes)) => {
                    let request = super::Args::new(&rest[..bytes], &args, &mut []);
                    outcome.requests.push(request.iter().map(<[u8]>::to_vec).collect());
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
        outcome.drain(&mut input, limits, 4);
        if outcome.error.is_some() {
            return outcome;
        }
    }
    outcome
}

/// The stream in pieces that are all held back first, as for a paused connection.
fn hold<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: &Limits) -> Outcome {
    let mut outcome = Outcome::default();
    let mut input = Input::new();
    for piece in pieces {
        input.keep(piece);
    }
    outcome.drain(&mut input, limits, 32);
    outcome
}

/// `*N`, then each argument: what clients send.
fn encode(args: &[&[u8]]) -> Vec<u8> {
    let mut wire = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        wire.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        wire.extend_from_slice(arg);
        wire.extend_from_slice(b"\r\n");
    }
    wire
}
