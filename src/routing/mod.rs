//! Owns where a key belongs: key to slot, slot to core, and the hash ring that both cores and upstreams stand on.
//! Knows bytes, slots, weights and core numbers; all of it pure and the same on every machine.
//! Must never know connections, tables of values, heat or clocks: moving a slot is decided and done elsewhere.
//! Read first: `slot.rs` (the hot path), then `ring.rs` (placement), `table.rs` (placement compiled, why bounded).
//!
//! ```
//! use coldplate::routing::{Route, SlotTable, VNODES_DEFAULT, slot_of};
//! use coldplate::types::CoreId;
//!
//! let table = SlotTable::compile(2, VNODES_DEFAULT, &[])?;
//! let route = Route::from_owner(table.owner(slot_of(b"user:{42}:name")), CoreId(0));
//! // A hash tag keeps related keys together, so a second key of user 42 goes the same way.
//! assert_eq!(route, Route::from_owner(table.owner(slot_of(b"user:{42}:mail")), CoreId(0)));
//! # Ok::<(), coldplate::routing::RoutingError>(())
//! ```

mod error;
mod ring;
mod slot;
mod table;

pub use error::RoutingError;
pub use ring::{HashRing, Node, POINTS_MAX, Walk, point_of};
pub use slot::{crc16, hash_tag, slot_of};
pub use table::{SlotTable, VNODES_DEFAULT};

use crate::types::CoreId;

/// Where an operation runs, as seen from the core that parsed it.
///
/// ```
/// use coldplate::routing::Route;
/// use coldplate::types::CoreId;
///
/// assert_eq!(Route::from_owner(CoreId(1), CoreId(1)), Route::Here);
/// assert_eq!(Route::from_owner(CoreId(3), CoreId(1)), Route::Core(CoreId(3)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// This core owns the key: no letter, no other core involved.
    Here,
    /// Another core owns the key: one letter there, one back.
    Core(CoreId),
}

impl Route {
    /// The route from the core `here` to the core that owns the key.
    #[inline]
    pub fn from_owner(owner: CoreId, here: CoreId) -> Route {
        if owner == here { Route::Here } else { Route::Core(owner) }
    }
}
