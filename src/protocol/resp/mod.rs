//! Owns the Redis protocol on the wire: requests parsed out of received bytes, replies encoded into bytes to send.
//! Knows RESP2, RESP3 and inline requests, and Redis 7.0's error texts; performs no I/O and keeps no clock.
//! Must never know a command's name, a key's place, or which connection the bytes belong to.
//! Read first: `parse.rs` (the fast path), then `progress.rs` (the whole grammar), `input.rs`, `reply.rs`; `framing.rs` reads
//! what a server answers.

mod args;
mod double;
mod error;
mod framing;
mod inline;
mod input;
mod limits;
mod number;
mod older;
mod output;
mod parse;
mod progress;
mod reply;
#[cfg(test)]
mod tests;
mod value;

pub use args::{Arg, Args, OwnedArgs};
pub use error::ProtocolError;
pub use framing::{Framed, Framing, ReplyBounds, ReplyError};
pub use input::{BODY_BYTES_MIN, Frame, Input};
pub use limits::Limits;
pub use number::{number_of, parse_i64};
pub use older::in_resp2;
pub use output::{Output, Shared};
pub use parse::parse;
pub use reply::{Proto, Reply, quoting};
pub use value::{NotAReply, Value};
