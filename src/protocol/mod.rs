//! Owns: the bytes of the protocols and the values that they mean, in both directions.
//! Knows: RESP2 and RESP3 framing, the table of commands with all that Redis tells about a command, and RDB files.
//! Must never know: which keys there are, connections, cores or sockets; it is given bytes and gives bytes.
//! Read first: `command/mod.rs` for the vocabulary, then `resp/mod.rs` for the framing.

pub mod command;
pub mod rdb;
pub mod resp;

pub use command::{Command, CommandError, Spec};
pub use resp::{Args, Proto, Reply};
