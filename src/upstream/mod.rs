//! Owns: what a connection to a server of an existing engine is, and which server of a cluster has which slots.
//! Knows: bytes of requests and replies, times that it is told.
//! Must never know: sockets, clocks, clients, what a command does.
//! Read first: `topology/mod.rs`.

pub mod topology;
