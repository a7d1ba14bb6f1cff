//! Owns: what happens to a request whose keys another server has: which server, by which link, and the reply's way back.
//! Knows: pools, servers and this core's links to them; reply slots, and where each awaited reply belongs.
//! Must never know: sockets and addresses beyond their text; what a command does to a key.
//! Read first: `places.rs` (whom a request is for), `forward.rs` (on its way out), `answers.rs` (its reply), `links.rs` (what
//! becomes of links), `cluster.rs` (servers that say themselves which keys they have), `detours.rs` (requests that they send
//! around), `all.rs` (requests about all keys), `own/` (connections of one client), `hot/` (hot keys).

mod all;
mod answers;
mod cluster;
mod detours;
mod eject;
mod fault;
mod forward;
mod hot;
mod join;
mod links;
mod options;
mod own;
mod places;
mod router;
mod row;

#[cfg(feature = "faults")]
pub use fault::Fault;
pub use options::{PoolKind, PoolOptions, ReadPolicy, ServerOptions, Upstreams};
pub(super) use own::{Passed, ties};
pub(super) use router::Router;
