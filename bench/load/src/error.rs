//! The crate's one error: each variant names the server or the reply that spoilt a run.

use std::io;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot connect to {address}: {source}")]
    Connect { address: String, source: io::Error },
    #[error("connection {connection}: {source}")]
    Socket { connection: usize, source: io::Error },
    #[error("connection {connection} was closed by the server with {waiting} replies due")]
    Closed { connection: usize, waiting: u32 },
    #[error("no reply for {stall_secs} s with {open} connections waiting")]
    Stalled { stall_secs: u64, open: usize },
    #[error("not a reply: {line:?}")]
    NotAReply { line: String },
    #[error("connection {connection} got {extra} replies more than it asked for")]
    Surplus { connection: usize, extra: u32 },
    #[error("the server holds {got} keys after {expected} were set")]
    KeyCount { got: u64, expected: u64 },
    #[error("filling got {errors} errors, the first: {first}")]
    Fill { errors: u64, first: String },
    #[error("node {address} owns none of the keys")]
    NoKeys { address: String },
    #[error("one key is one node's: leave out --cluster, or take another distribution")]
    OneKey,
    #[error("{0}")]
    Io(#[from] io::Error),
}

pub type Result<T> = std::result::Result<T, Error>;
