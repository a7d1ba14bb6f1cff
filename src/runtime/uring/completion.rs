//! What comes out of a ring, and how it travels through the kernel's 64 bits of user data.

use super::buffers::Chunk;
use super::config::Armed;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

/// Bits of user data that are the caller's.
const TOKEN_BITS: u32 = 56;
/// The largest token.
pub(super) const TOKEN_MAX: u64 = (1 << TOKEN_BITS) - 1;

/// Bytes to send, which the ring owns while the kernel reads them.
#[derive(Debug)]
pub enum Payload {
    Owned(Vec<u8>),
    Shared(Arc<Vec<u8>>),
}

impl Payload {
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Payload::Owned(bytes) => bytes,
            Payload::Shared(bytes) => bytes,
        }
    }
}

/// One thing that happened. `armed` is false when the operation has ended and needs to be asked for again.
#[derive(Debug)]
pub enum Completion {
    Accepted {
        token: u64,
        result: io::Result<OwnedFd>,
        armed: bool,
    },
    /// `None` is the end of the stream. `ENOBUFS` means that every buffer waits to be recycled: do so, then ask again.
    Received {
        token: u64,
        result: io::Result<Option<Chunk>>,
        armed: bool,
    },
    /// The payload comes back whatever the result, which may be short of the range that was asked for. What follows on the
    /// socket may be sent.
    Sent {
        token: u64,
        payload: Payload,
        result: io::Result<usize>,
    },
    /// A connection is made, or cannot be.
    Connected {
        token: u64,
        result: io::Result<()>,
    },
    Readable {
        token: u64,
        result: io::Result<()>,
        armed: bool,
    },
    /// What was written to a file before [`super::Ring::sync`] is on stable storage, unless it failed.
    Synced {
        token: u64,
        result: io::Result<()>,
    },
    /// Another thread's ring called `wake`.
    Woken,
    /// A `wake` failed for want of memory or room: its ring may still sleep, so ask again.
    NotWoken {
        ring_fd: RawFd,
    },
}

/// What an entry asked for: the top byte of its user data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Operation {
    Accept = 1,
    Receive = 2,
    Send = 3,
    Poll = 4,
    Woken = 5,
    /// Operations whose failure has no listener: close, cancel.
    Quiet = 6,
    /// The message to another ring; its token is that ring's descriptor.
    Wake = 7,
    Sync = 8,
    Connect = 9,
}

impl Operation {
    /// # Panics
    /// If the token is above [`TOKEN_MAX`].
    pub fn user_data(self, token: u64) -> u64 {
        assert!(token <= TOKEN_MAX, "token {token:#x} takes more than {TOKEN_BITS} bits");
        (self as u64) << TOKEN_BITS | token
    }

    pub fn parse(user_data: u64) -> (Operation, u64) {
        let operation = match user_data >> TOKEN_BITS {
            1 => Operation::Accept,
            2 => Operation::Receive,
            3 => Operation::Send,
            4 => Operation::Poll,
            5 => Operation::Woken,
            6 => Operation::Quiet,
            7 => Operation::Wake,
            8 => Operation::Sync,
            9 => Operation::Connect,
            _ => panic!("a completion that nobody asked for: user data {user_data:#x}"),
        };
        (operation, user_data & TOKEN_MAX)
    }
}

impl From<Armed> for Operation {
    fn from(armed: Armed) -> Operation {
        match armed {
            Armed::Accept => Operation::Accept,
            Armed::Receive => Operation::Receive,
            Armed::Poll => Operation::Poll,
        }
    }
}

/// A completion's result as the system call would have given it.
pub(super) fn outcome(result: i32) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
}

/// Whether a message that failed so may succeed the next time: its ring is still there.
pub(super) fn is_transient(result: i32) -> bool {
    matches!(-result, libc::EAGAIN | libc::EINTR | libc::ENOMEM | libc::EOVERFLOW)
}

/// The descriptor of an accept's completion. Call it once a completion.
pub(super) fn accepted(result: i32) -> io::Result<OwnedFd> {
    outcome(result)?;
    // SAFETY: a non-negative result of an accept is a descriptor that the kernel has just opened for this process and
    // told nobody else about; this is called once for each such result.
    Ok(unsafe { OwnedFd::from_raw_fd(result) })
}
