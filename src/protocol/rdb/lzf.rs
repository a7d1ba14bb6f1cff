//! LZF, the compression of strings in Redis's dumps, byte for byte as liblzf 3.6 (Marc Lehmann) with its usual settings
//! writes it. The crate of that name is deprecated, and knows no bound on the output, by which Redis decides whether to
//! compress at all.
//!
//! ```text
//! 000LLLLL <L+1>               L + 1 bytes as they are
//! LLLooooo oooooooo            L + 2 bytes (L from 1 to 6) from o + 1 bytes back
//! 111ooooo LLLLLLLL oooooooo   L + 9 bytes from o + 1 bytes back
//! ```

const HASH_BITS: u32 = 16;
const LITERALS_MAX: usize = 32;
const DISTANCE_MAX: usize = 1 << 13;
const MATCH_BYTES_MAX: usize = 264;
/// A match shorter than this is none.
const MATCH_BYTES_MIN: usize = 3;
/// Beyond this length to go, the reference looks at the first bytes of a match without minding the end.
const UNROLLED_BYTES: usize = 16;
/// The most that one byte of compressed input turns into: three make a match of 264.
const EXPANSION_MAX: usize = 88;

/// What is written so far: behind each control byte of literals, so many of them.
struct Writer {
    out: Vec<u8>,
    literals: usize,
    bytes_max: usize,
}

impl Writer {
    fn new(bytes_max: usize) -> Writer {
        Writer { out: vec![0], literals: 0, bytes_max }
    }

    fn literal(&mut self, byte: u8) {
        self.out.push(byte);
        self.literals += 1;
        if self.literals == LITERALS_MAX {
            self.end_run();
            self.out.push(0);
        }
    }

    /// Fills the control byte of the literals before, or takes it back if there are none.
    fn end_run(&mut self) {
        match self.literals {
            0 => drop(self.out.pop()),
            literals => {
                let control = self.out.len() - literals - 1;
                self.out[control] = literals as u8 - 1;
            }
        }
        self.literals = 0;
    }

    fn back_reference(&mut self, distance: usize, bytes: usize) {
        self.end_run();
        let (high, length) = ((distance >> 8) as u8, bytes - 2);
        if length < 7 {
            self.out.push(high + ((length as u8) << 5));
        } else {
            self.out.extend_from_slice(&[high + (7 << 5), (length - 7) as u8]);
        }
        self.out.extend_from_slice(&[distance as u8, 0]);
    }

    /// Whether a match fits; the reference asks for a byte more than it writes.
    fn fits_match(&self) -> bool {
        self.out.len() - usize::from(self.literals == 0) + 4 < self.bytes_max
    }
}

/// Where the table keeps the three bytes that begin at `at`.
fn place(input: &[u8], at: usize) -> usize {
    let bytes = u32::from(input[at]) << 16 | u32::from(input[at + 1]) << 8 | u32::from(input[at + 2]);
    let mixed = (bytes >> (24 - HASH_BITS)).wrapping_sub(bytes.wrapping_mul(5));
    (mixed & ((1 << HASH_BITS) - 1)) as usize
}

fn match_bytes(input: &[u8], from: usize, at: usize) -> usize {
    let left = (input.len() - at - 2).min(MATCH_BYTES_MAX);
    let bound = if left > UNROLLED_BYTES { left.max(UNROLLED_BYTES + 3) } else { left };
    let mut bytes = MATCH_BYTES_MIN;
    while bytes < bound && input[from + bytes] == input[at + bytes] {
        bytes += 1;
    }
    bytes
}

/// The input compressed, unless that takes more than about `bytes_max`.
pub fn compress(input: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    let mut seen = vec![0u32; 1 << HASH_BITS];
    let mut writer = Writer::new(bytes_max);
    let (mut at, end) = (0, input.len().checked_sub(2)?);
    while at < end {
        let entry = std::mem::replace(&mut seen[place(input, at)], at as u32) as usize;
        let repeats = entry > 0 && at - entry <= DISTANCE_MAX && input[entry..entry + 3] == input[at..at + 3];
        if !repeats {
            if writer.out.len() >= bytes_max {
                return None;
            }
            writer.literal(input[at]);
            at += 1;
            continue;
        }
        if !writer.fits_match() {
            return None;
        }
        let bytes = match_bytes(input, entry, at);
        writer.back_reference(at - entry - 1, bytes);
        at += bytes;
        if at < end {
            for within in [at - 2, at - 1] {
                seen[place(input, within)] = within as u32;
            }
        }
    }
    if writer.out.len() + 3 > bytes_max {
        return None;
    }
    input[at..].iter().for_each(|byte| writer.literal(*byte));
    writer.end_run();
    Some(writer.out)
}

/// What was compressed to `input`, if that is well formed and `bytes` long.
pub fn decompress(input: &[u8], bytes: usize) -> Option<Vec<u8>> {
    if bytes > input.len().saturating_mul(EXPANSION_MAX) {
        return None;
    }
    if bytes == 0 {
        // The reference answers how much it wrote, and 0 for what is malformed; so Redis takes anything here.
        return Some(Vec::new());
    }
    let mut out = Vec::with_capacity(bytes);
    let mut rest = input;
    while let [control, tail @ ..] = rest {
        let control = usize::from(*control);
        if control < LITERALS_MAX {
            let (literals, tail) = tail.split_at_checked(control + 1)?;
            out.extend_from_slice(literals);
            rest = tail;
        } else {
            let (length, distance, tail) = match (control >> 5, tail) {
                (7, [length, low, tail @ ..]) => (7 + usize::from(*length), *low, tail),
                (length @ 1..7, [low, tail @ ..]) => (length, *low, tail),
                _ => return None,
            };
            let from = out.len().checked_sub(((control & 0x1f) << 8) + usize::from(distance) + 1)?;
            // What is copied may begin in what is copied.
            if out.len() + length + 2 > bytes {
                return None;
            }
            (from..from + length + 2).for_each(|at| out.push(out[at]));
            rest = tail;
        }
        if out.len() > bytes {
            return None;
        }
    }
    (out.len() == bytes).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // What redis-server 7.0 wrote for these strings, between the length and the version of its dumps.
    #[test]
    fn compresses_as_liblzf_does() {
        for (input, compressed) in
            [("a".repeat(21), &b"\x01aa\xe0\x0a\0"[..]), ("x".repeat(300), b"\x01xx\xe0\xff\0\xe0\x17\0\x01xx")]
        {
            assert_eq!(compress(input.as_bytes(), input.len() - 4).as_deref(), Some(compressed), "{input}");
        }
        assert_eq!(compress(b"abcdefghijklmnopqrstu", 17), None);
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for (input, bytes) in [
            (&b"\x02ab"[..], 3),
            (b"\x01ab", 3),
            (b"\x01ab", 1),
            (b"\x20", 3),
            (b"\x00a\x20\x01", 4),
            (b"\x00a\xe0\x00", 10),
            (b"\x00a\xe0\x00\x00", 9),
            (b"", 1 << 40),
        ] {
            assert_eq!(decompress(input, bytes), None, "{input:?}");
        }
        assert_eq!(decompress(b"", 0), Some(Vec::new()));
        assert_eq!(decompress(b"\x02a", 0), Some(Vec::new()));
        assert_eq!(decompress(b"\x00a\xe0\x00\x00", 10).as_deref(), Some(&b"aaaaaaaaaa"[..]));
    }

    proptest! {
        #[test]
        fn comes_back_as_it_was(
            pieces in prop::collection::vec((prop::collection::vec(0u8..4, 1..9), 1usize..90), 0..40),
        ) {
            let input: Vec<u8> = pieces.iter().flat_map(|(piece, times)| piece.repeat(*times)).collect();
            if let Some(compressed) = compress(&input, input.len() + 64) {
                prop_assert_eq!(decompress(&compressed, input.len()), Some(input));
            }
        }

        #[test]
        fn garbage_does_no_harm(input in prop::collection::vec(any::<u8>(), 0..200), bytes in 0usize..5000) {
            decompress(&input, bytes);
        }
    }
}
