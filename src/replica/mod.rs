//! Owns: hot keys on every core: the shared version, copies of values, operations folded into one letter.
//! Knows: versions, copies, which operations combine and how each one's reply is rebuilt.
//! Must never know: connections and tickets (whoever asks is an argument), which keys are hot and why, mailboxes.
//! Read first: `cell.rs` (why a copy is never stale), `fold.rs` and `draft.rs` (folding), `cache.rs`, `directory.rs`.
//!
//! The owner of a hot key holds a [`Cell`] with the key's version, in memory that all cores share, and every other
//! core an [`Entry`] with a copy and the version it was made at. Reading: equal versions, so the copy is current.
//! Writing: the owner applies, stores the next version, then lets replies leave. Everything that a copy cannot answer
//! joins the entry's [`Draft`], which travels as one [`Fold`] and comes back with answers and a fresh copy. Of a key that
//! another server has, reads that no fold takes are an entry's [`Reads`].

mod cache;
mod cell;
mod copy;
mod directory;
mod draft;
#[cfg(feature = "faults")]
mod fault;
mod fold;
mod reads;
mod remote;
#[cfg(test)]
mod tests;

pub use cache::{Cache, Entry, Install, Landing, Refresh};
pub use cell::Cell;
pub use copy::{Copy, SHARED_BYTES_MIN};
pub use directory::{Directory, Row};
pub use draft::{Draft, Member};
#[cfg(feature = "faults")]
pub use fault::Fault;
pub use fold::Fold;
pub use reads::{Joins, Question, Read, Reads, Recent, Round, Term, Told};
