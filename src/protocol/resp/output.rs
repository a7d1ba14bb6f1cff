//! Bytes on their way out, with large values kept by reference between them.

use std::ops::Range;
use std::sync::Arc;

/// Capacity that [`Output::clear`] keeps.
const BYTES_KEEP_MAX: usize = 16 * 1024;
const SHARED_KEEP_MAX: usize = 32;

/// A part of a stored value, sent from where it lies.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Goes out after `bytes[..at]` of its [`Output`].
    pub at: usize,
    pub value: Arc<Vec<u8>>,
    pub range: Range<usize>,
}

impl Shared {
    pub fn as_bytes(&self) -> &[u8] {
        &self.value[self.range.clone()]
    }
}

/// Encoded replies. What goes out is `bytes` with each shared value inserted at its `at`; `at`s ascend.
///
/// A shared value lies inside its reply, never at an end: its header and its line end are among `bytes`. So a range of
/// `bytes` that holds whole replies tells which values belong to it.
#[derive(Clone, Debug, Default)]
pub struct Output {
    pub bytes: Vec<u8>,
    pub shared: Vec<Shared>,
}

impl Output {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// All that goes out, shared values included.
    #[inline]
    pub fn len_bytes(&self) -> usize {
        self.bytes.len() + self.shared.iter().map(|shared| shared.range.len()).sum::<usize>()
    }

    /// Appends the whole replies at `range` of `other.bytes`, with the values shared among them.
    #[inline]
    pub fn append(&mut self, other: &Output, range: Range<usize>) {
        if !other.shared.is_empty() {
            self.append_shared(other, &range);
        }
        self.bytes.extend_from_slice(&other.bytes[range]);
    }

    #[cold]
    fn append_shared(&mut self, other: &Output, range: &Range<usize>) {
        let base = self.bytes.len();
        let first = other.shared.partition_point(|shared| shared.at <= range.start);
        for shared in other.shared[first..].iter().take_while(|shared| shared.at < range.end) {
            self.shared.push(Shared { at: base + (shared.at - range.start), ..shared.clone() });
        }
    }

    /// Adds a whole reply, which is sent from where it lies but for its first byte and its line's end: a shared value is never
    /// at an end.
    pub fn push_shared_reply(&mut self, reply: Arc<Vec<u8>>) {
        let range = 1..reply.len() - 2;
        self.bytes.extend_from_slice(&reply[..range.start]);
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&reply[range.end..]);
        self.shared.push(Shared { at, value: reply, range });
    }

    /// Empties it, keeping its memory for the next replies unless it grew large.
    pub fn clear(&mut self) {
        self.clear_keeping(BYTES_KEEP_MAX);
    }

    /// Empties it, keeping so many bytes of memory.
    pub fn clear_keeping(&mut self, bytes_max: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(bytes_max);
        self.shared.clear();
        self.shared.shrink_to(SHARED_KEEP_MAX);
    }

    /// The bytes as a client sees them, in one piece: for tests and for small outputs.
    pub fn flatten(&self) -> Vec<u8> {
        let mut flat = Vec::with_capacity(self.len_bytes());
        let mut sent = 0;
        for shared in &self.shared {
            flat.extend_from_slice(&self.bytes[sent..shared.at]);
            flat.extend_from_slice(shared.as_bytes());
            sent = shared.at;
        }
        flat.extend_from_slice(&self.bytes[sent..]);
        flat
    }
}
