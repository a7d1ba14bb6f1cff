//! Owns where a key belongs: key to slot, slot to core; and before other servers, key to pool and key to server.
//! Knows bytes, patterns, slots, weights and numbers; all of it pure and the same on every machine.
//! Must never know connections, tables of values, heat or clocks: moving a slot is decided and done elsewhere.
//! Read first: `slot.rs` (the hot path), then `ring.rs` (placement), `table.rs` (placement compiled, why bounded), `pool/`.
//!
//! ```
//! use coldplate::routing::{SlotTable, VNODES_DEFAULT, slot_of};
//!
//! let table = SlotTable::compile(2, VNODES_DEFAULT, &[])?;
//! // A hash tag keeps related keys together, so a second key of user 42 goes the same way.
//! assert_eq!(table.owner(slot_of(b"user:{42}:name")), table.owner(slot_of(b"user:{42}:mail")));
//! # Ok::<(), coldplate::routing::RoutingError>(())
//! ```

mod error;
mod pool;
mod ring;
mod route;
mod slot;
mod table;

pub use error::RoutingError;
pub use pool::{Distribution, Hash, Layout, Pool, SERVERS_MAX, Server, WEIGHT_MAX};
pub use ring::{HashRing, Node, POINTS_MAX, Walk, point_of};
pub use route::Routes;
pub use slot::{crc16, hash_tag, slot_of};
pub use table::{SlotTable, VNODES_DEFAULT};
