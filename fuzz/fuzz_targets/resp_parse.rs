//! Any bytes in any pieces: nothing panics, and the pieces give the requests that the whole gives.
//!
//! The first byte decides how the rest is cut. Run with `cargo +nightly fuzz run resp_parse`; add `-- -max_len=200000`
//! to let whole bodies (64 KiB and more) come.
#![no_main]

use coldplate::protocol::resp::{Args, Input, Limits, ProtocolError, parse};
use libfuzzer_sys::fuzz_target;

type Requests = Vec<Vec<Vec<u8>>>;

/// Bounds what a run can hold: an announced length may not ask for more than a fuzzer's memory.
fn limits(authenticated: bool) -> Limits {
    Limits { bulk_bytes_max: 1 << 20, request_bytes_max: 1 << 22, authenticated, ..Limits::default() }
}

fuzz_target!(|data: &[u8]| {
    let Some((&cut, stream)) = data.split_first() else { return };
    let limits = limits(cut & 1 == 0);
    let piece_bytes = usize::from(cut >> 1) + 1;
    let whole = hold(&[stream], &limits);
    assert_eq!(hold(&stream.chunks(piece_bytes).collect::<Vec<_>>(), &limits), whole);
    let in_place = parse_in_place(stream, &limits);
    assert!(whole.0.starts_with(&in_place));
});

/// The requests of a stream that is held back piece by piece, and the error that ended it.
fn hold(pieces: &[&[u8]], limits: &Limits) -> (Requests, Option<ProtocolError>) {
    let (mut input, mut args, mut requests) = (Input::new(), Vec::new(), Vec::new());
    for piece in pieces {
        input.keep(piece);
        loop {
            args.clear();
            match input.next(limits, &mut args) {
                Ok(Some(frame)) => requests.push(owned(&input.args(frame, &args))),
                Ok(None) => break,
                Err(error) => return (requests, Some(error)),
            }
        }
        input.release();
    }
    (requests, None)
}

/// The requests that can be borrowed in place: all, or the first ones.
fn parse_in_place(mut stream: &[u8], limits: &Limits) -> Requests {
    let (mut args, mut requests) = (Vec::new(), Vec::new());
    while let Ok(Some(bytes)) = parse(stream, limits, &mut args) {
        requests.push(owned(&Args::new(&stream[..bytes], &args, &mut [])));
        args.clear();
        stream = &stream[bytes..];
    }
    requests
}

fn owned(args: &Args) -> Vec<Vec<u8>> {
    args.iter().map(<[u8]>::to_vec).collect()
}
