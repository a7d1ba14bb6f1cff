//! Owns: what a connection to a server of an existing engine is: requests on their way, replies that are awaited, its
//! times; whether a server may be asked at all; which server of a cluster has which slots; and which client needs a
//! connection for itself.
//! Knows: bytes of requests and replies, where replies end, times that it is told.
//! Must never know: sockets, clocks, clients, whose key a slot is, what a command does.
//! Read first: `link.rs`, `health.rs`, then `topology/mod.rs`, then `tie.rs`.

mod health;
mod link;
mod tie;
pub mod topology;

pub use health::{Health, HealthPolicy};
pub use link::{Answer, Bytes, Heard, Late, Link, LinkError, LinkOptions, Request, Unanswered};
pub use tie::{ABORTED, CROSSES, Call, Loss, MOVED_AWAY, Target, Tie, Turn};
