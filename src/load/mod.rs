//! Owns: `coldplate bench`: the load that it sends to any Redis-protocol server, what comes back, and the report.
//! Knows: the protocol's grammar, slots, sockets, threads, clocks and files; memtier_benchmark's flags and tables.
//! Must never know: anything of the server that it drives but the wire: no engine, no keyspace, no configuration.
//! Read first: `options.rs` (what can be asked for), then `drive.rs` (one thread's loop), `tally.rs`, `run.rs`.

pub mod cli;
pub mod cluster;
mod command;
mod cpu;
mod data;
mod drive;
pub mod endpoint;
pub mod error;
mod keys;
mod link;
mod options;
mod pace;
pub mod reply;
mod report;
mod run;
mod tally;
pub mod text;
mod zipf;

pub use command::append_bulk;
pub use run::main;
