//! Owns: what a connection to a server of an existing engine is, which server of a cluster has which
//! slots, and which client needs a connection for itself.
//! Knows: bytes of requests and replies, times that it is told.
//! Must never know: sockets, clocks, clients, what a command does.
//! Read first: `topology/mod.rs`, then `tie.rs`.

mod tie;
pub mod topology;

pub use tie::{ABORTED, CROSSES, Call, Loss, MOVED_AWAY, Target, Tie, Turn};
