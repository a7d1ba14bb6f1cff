//! Owns: `coldplate import`: the strings of an RDB file, brought to a running server over an ordinary connection.
//! Knows: files, sockets, the clock, redis-cli's names of flags; what became of each key, to tell it in the end.
//! Must never know: anything of a server but the wire; how a file is laid out, which is `protocol::rdb`'s.
//! Read first: `run.rs` (file in, requests out), then `link.rs` (requests and answers side by side), `tally.rs`.

mod cli;
mod error;
mod link;
mod run;
mod tally;

pub use run::main;
