//! Why a client's bytes cannot be a request: the texts are Redis 7.0's, to the letter.

use thiserror::Error;

/// A request that cannot be parsed. Displays as the text after `-ERR `; the connection closes once it is sent.
///
/// [`Reply::protocol_error`](super::Reply::protocol_error) sends it exactly as Redis does, byte for byte; the two
/// differ only where `got` is no ASCII character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProtocolError {
    #[error("Protocol error: invalid multibulk length")]
    InvalidCount,
    #[error("Protocol error: invalid bulk length")]
    InvalidBulk,
    #[error("Protocol error: expected '$', got '{}'", printable(*got))]
    ExpectedBulk { got: u8 },
    #[error("Protocol error: too big mbulk count string")]
    CountTooLong,
    #[error("Protocol error: too big bulk count string")]
    BulkTooLong,
    #[error("Protocol error: too big inline request")]
    InlineTooLong,
    #[error("Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    #[error("Protocol error: unauthenticated multibulk length")]
    UnauthenticatedCount,
    #[error("Protocol error: unauthenticated bulk length")]
    UnauthenticatedBulk,
    /// Redis closes without a word once its query buffer passes `client-query-buffer-limit`; this says why.
    #[error("Protocol error: too big request")]
    RequestTooBig,
    /// Redis would abort; here only the client that asked is let go.
    #[error("Protocol error: out of memory receiving {bytes} bytes")]
    OutOfMemory { bytes: usize },
}

/// The byte as a character of an error line, in which no line may end.
pub(super) fn printable(byte: u8) -> char {
    if matches!(byte, b'\r' | b'\n') { ' ' } else { char::from(byte) }
}
