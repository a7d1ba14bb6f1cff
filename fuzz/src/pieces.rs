//! Inputs as targets take them apart: long runs written short, streams cut into pieces.

/// What the runs of one input come to at most.
const EXPANDED_BYTES_MAX: usize = 300_000;
/// In an input it stands for a run: so many KiB of `x`, as the byte behind it says; 0 for itself.
const RUN: u8 = 0xff;
const RUN_BYTES: usize = 1024;

/// Writes out the runs, so that a short input reaches what only large arguments do.
pub fn expand(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail.split_first()) {
            (RUN, Some((&blocks, tail))) => {
                rest = tail;
                let run = usize::from(blocks) * RUN_BYTES;
                if blocks == 0 {
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
    // Large streams byte by byte would take a second.
    let piece_bytes_max = if stream.len() > 8192 { 20_000 } else { 64 };
    while !rest.is_empty() {
        draw = draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let drawn = (draw >> 8) as usize % piece_bytes_max + 1;
        let bytes = if seed == 0 && stream.len() <= 8192 { 1 } else { drawn };
        let (piece, tail) = rest.split_at(bytes.min(rest.len()));
        pieces.push(piece);
        rest = tail;
    }
    pieces
}
