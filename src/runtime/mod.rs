//! Owns: the shell around the engine: threads, rings, sockets, mailboxes, the clock.
//! Knows: how to wait, receive, send and close; which core a connection goes to; how to wake a sleeping core.
//! Must never know: commands, keys, replies; it hands bytes to the engine and performs what the engine asks.
//! Read first: `worker/` (the loop), then `sockets.rs`, `mailbox.rs`; `uring/` is the one unsafe room. `faults.rs` takes
//! the ring's place in tests.

mod arrivals;
mod clock;
mod cpu_time;
mod dialler;
pub mod disk;
mod doorbell;
#[cfg(feature = "faults")]
mod faults;
mod listener;
mod mailbox;
mod pace;
mod scrape;
mod sockets;
pub mod tls;
pub mod uring;
mod worker;

#[cfg(feature = "faults")]
use faults::Ring;
#[cfg(not(feature = "faults"))]
use uring::Ring;

pub use clock::Clock;
pub use listener::{Bound, ListenError, Listener, Listening, listen};
pub use mailbox::{Mail, Mailbox, mailboxes};
pub use scrape::Scrape;
pub use worker::{Control, Worker, WorkerError, WorkerOptions};
