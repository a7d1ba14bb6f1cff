//! Coldplate: a thread-per-core io_uring key router. Hashing spreads the keys, Coldplate spreads the heat.
//!
//! The modules stand in layer order: each may use those above it, never one below. `tests/tidy.rs` holds them to it.

pub mod types;

pub mod protocol;

pub mod log;

pub mod keyspace;

pub mod heat;
pub mod replica;
pub mod routing;
pub mod session;
pub mod upstream;

pub mod engine;

pub mod runtime;

pub mod load;
pub mod server;

pub mod import;
