//! A copy of a hot key's value, as of one version.

use crate::protocol::resp::Reply;
use std::ops::Range;
use std::sync::Arc;

/// Replies from this length on are shared by all who get them.
pub const SHARED_BYTES_MIN: usize = 64 * 1024;

/// What the key held.
#[derive(Clone, Debug)]
enum Held {
    /// There was no such key: misses can be hot too.
    Absent,
    /// A whole bulk reply, encoded: a hit is one copy of bytes.
    Bulk(Box<[u8]>),
    /// A large value, shared with the owner; it is never changed in place while anybody shares it.
    Shared(Arc<Vec<u8>>, Range<usize>),
}

/// A value and the version at which it was current. It never decides that a key has expired: past its expiry it answers
/// nothing, and the owner is asked.
#[derive(Clone, Debug)]
pub struct Copy {
    pub version: u64,
    expiry_ms: Option<u64>,
    held: Held,
}

impl Copy {
    pub fn absent() -> Copy {
        Copy { version: 0, expiry_ms: None, held: Held::Absent }
    }

    /// A copy of `value`; its version is for whoever knows it to set.
    pub fn of_bytes(value: &[u8], expiry_ms: Option<u64>) -> Copy {
        let mut out = crate::protocol::resp::Output::default();
        Reply { out: &mut out, proto: Default::default() }.bulk(value);
        Copy { version: 0, expiry_ms, held: Held::Bulk(out.bytes.into()) }
    }

    /// A copy out of the reply to a GET, in either version of the protocol; none if that was an error.
    pub fn of_reply(reply: &[u8], expiry_ms: Option<u64>) -> Option<Copy> {
        let held = match reply {
            b"$-1\r\n" | b"_\r\n" => Held::Absent,
            [b'$', ..] if reply.len() < SHARED_BYTES_MIN => Held::Bulk(reply.into()),
            [b'$', ..] => {
                let head = reply.iter().position(|byte| *byte == b'\n')? + 1;
                Held::Shared(Arc::new(reply.to_vec()), head..reply.len() - 2)
            }
            _ => return None,
        };
        Some(Copy { version: 0, expiry_ms, held })
    }

    pub fn of_shared(value: Arc<Vec<u8>>, expiry_ms: Option<u64>) -> Copy {
        let range = 0..value.len();
        Copy { version: 0, expiry_ms, held: Held::Shared(value, range) }
    }

    /// The same, made at this version.
    pub fn at(self, version: u64) -> Copy {
        Copy { version, ..self }
    }

    /// Whether it may still answer at `now_ms`, as far as its expiry goes.
    #[inline]
    pub fn is_unexpired(&self, now_ms: u64) -> bool {
        self.expiry_ms.is_none_or(|at_ms| now_ms < at_ms)
    }

    pub fn is_absent(&self) -> bool {
        matches!(self.held, Held::Absent)
    }

    /// Answers a GET.
    #[inline]
    pub fn answer(&self, reply: &mut Reply) {
        match &self.held {
            Held::Bulk(bulk) => reply.raw(bulk),
            Held::Absent => reply.null(),
            Held::Shared(value, range) => reply.bulk_shared(Arc::clone(value), range.clone()),
        }
    }

    /// Memory of its own; a shared value costs nothing more.
    pub fn bytes(&self) -> usize {
        match &self.held {
            Held::Bulk(bulk) => bulk.len(),
            Held::Absent | Held::Shared(..) => 0,
        }
    }
}
