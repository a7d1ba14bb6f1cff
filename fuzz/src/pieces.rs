//! Inputs as targets take them apart: long runs written short, streams cut into pieces.

/// What the runs of one input come to at most: two arguments that get a buffer of their own.
const EXPANDED_BYTES_MAX: usize = 150_000;
/// A stream up to this length may come byte by byte; a longer one would take too long.
const BYTEWISE_BYTES_MAX: usize = 1024;
/// In an input it stands for a run of `x`, as long as the byte behind it says ([`run_bytes`]); 0 for itself.
const RUN: u8 = 0xff;

/// The length of a run that is written as one byte: 64 KiB to 124 KiB for 0x4_, half of that for each 0x10 more. What is
/// long takes time, so most are short.
pub fn run_bytes(code: u8) -> usize {
    match code {
        0..0x40 => usize::from(code),
        _ => (16 + usize::from(code % 16)) << (16 - code / 16),
    }
}

/// Writes out the runs, so that a short input reaches what only large arguments do.
pub fn expand(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail.split_first()) {
            (RUN, Some((&code, tail))) => {
                rest = tail;
                let run = run_bytes(code);
                if run == 0 {
                    out.push(RUN);
                } else if out.len() + run <= EXPANDED_BYTES_MAX {
                    out.resize(out.len() + run, b'x');
                }
            }
            _ => out.push(byte),
        }
    }
    out
}

/// Cuts a stream: byte by byte for 0, else into pieces of lengths that `seed` draws.
pub fn cut(stream: &[u8], seed: u8) -> Vec<&[u8]> {
    let (mut pieces, mut rest, mut draw) = (Vec::new(), stream, u32::from(seed));
    let piece_bytes_max = if stream.len() > 8192 { 20_000 } else { 64 };
    while !rest.is_empty() {
        draw = draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let drawn = (draw >> 8) as usize % piece_bytes_max + 1;
        let bytes = if seed == 0 && stream.len() <= BYTEWISE_BYTES_MAX { 1 } else { drawn };
        let (piece, tail) = rest.split_at(bytes.min(rest.len()));
        pieces.push(piece);
        rest = tail;
    }
    pieces
}
