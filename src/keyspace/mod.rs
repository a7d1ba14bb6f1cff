//! Owns: the keys of one core, in memory: tables, items, expiry, eviction, and what each command does to them.
//! Knows: commands, arguments and replies as values; the time, as an argument.
//! Must never know: connections, other cores, heat, copies, when the log is written; nothing here does I/O.
//! Read first: `shard.rs` and `change.rs` (primitives), `item.rs` and `slab.rs` (memory), `command/string.rs` (a family).

mod change;
pub mod command;
pub mod digest;
mod dirty;
mod event;
mod eviction;
pub mod glob;
mod item;
mod large;
mod memory;
pub mod number;
mod shard;
#[cfg(test)]
mod shard_tests;
mod slab;
mod slots;
mod soil;
mod sweep;
mod table;
mod watch;

pub use event::{EventClasses, KeyEvent};
pub use eviction::Policy;
pub use memory::Allowance;
pub use shard::{Counts, Key, NewValue, Shard, ShardOptions, Value};
pub use slab::ItemRef;
pub use soil::SoilPlace;
pub use watch::{Change, Changes, Mark, interest};
