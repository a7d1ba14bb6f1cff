//! Owns one thread's io_uring, its provided receive buffers and every payload that the kernel still reads. Safe to call.
//! Knows sockets as descriptors, requests as opaque tokens, bytes as bytes, and what the running kernel offers.
//! Must never know a connection, a command, a key or any other word of the domain, nor read configuration files.
//! Read first: `completion.rs` (what comes out), then `ring.rs` (what goes in), then the ledger below.
//!
//! # The unsafe ledger
//!
//! This folder alone may use `unsafe`; each use below names its invariant and who upholds it.
//!
//! | where | use | invariant | upheld by |
//! |---|---|---|---|
//! | `ring.rs` | `push` of an entry | memory an entry points at outlives its last completion | only `send` and `connect` pass pointers |
//! | `ring.rs` | the pointer of a send | payload is neither moved out nor changed in flight | `Sends`: freed by the last completion only |
//! | `ring.rs` | the pointer of a connect | the address is neither moved nor freed in flight | `Connects`: boxed, freed by the completion only |
//! | `completion.rs` | `OwnedFd::from_raw_fd` | the descriptor is new and nobody else's | the kernel; one accept completion, one call |
//! | `buffers.rs` | entries as `&[Entry]` | mapped, zeroed, aligned, atomics only | `Mapping`; the type has no padding or niche |
//! | `buffers.rs` | `bytes` as `&[u8]` | the kernel wrote it and writes it no more | a `Chunk` is unique, bound to its ring, in bounds |
//! | `buffers.rs` | registering the buffer ring | both mappings outlive every armed receive | `Ring::drop` drains, or leaks them |
//! | `mapping.rs` | `mmap`, `madvise`, `munmap` | one owner; unmapped once, after the last use | `Mapping` has no `Clone` |
//! | `kernel.rs` | `syscall`s | arguments live through the call, layouts are the kernel's | locals and `repr(C)` types, sizes tested |
//! | `probe.rs` | `uname`, `getrlimit`, `setrlimit` | out-parameters are valid for writes | locals |
//!
//! **Drop with operations in flight.** Closing a ring's descriptor cancels *asynchronously*, so memory may still be in
//! use afterwards. `Ring::drop` therefore cancels everything and waits until no send and no receive is in flight. What a
//! bounded wait does not settle (a zero-copy send whose peer never acknowledges) is leaked: its payloads, addresses, and
//! the receive buffers if a receive is still armed. Leaking is sound; freeing would not be.
//!
//! **Forgetting a ring** (`mem::forget`) leaks all of it, and a forgotten ring's memory stays mapped. A ring never
//! changes its thread (`!Send`), which is what SINGLE_ISSUER and the registered ring descriptor require.
//!
//! # Choices
//!
//! - **Incremental buffers without bundles.** Incremental consumption packs many small requests into one buffer, which
//!   is what bundles would save work on; what remains for them are receives larger than the rest of a buffer, one
//!   completion more each. Against that, a bundle's completion names only its first buffer, so each later one would be
//!   inferred from the order in which this side refilled the ring: no check could tell a wrong guess from a right one,
//!   and a wrong guess hands one client's bytes to another. Kernels 6.13.11 to 6.14 did return them out of order
//!   (liburing issues 1409 and 1423). `bundles` is accepted and reported as not in use.
//! - **Incremental from Linux 6.15 on**, although 6.12 has it: offsets follow the order of completions, and before 6.15
//!   (commit 687b2bae0eff) a receive that ends with data could be overtaken by another receive's completion.
//! - **Larger buffers suit incremental consumption**: each buffer's end cuts a request in two. At pipeline 64, 256 KiB
//!   buffers cost nothing measurable over whole ones, 16 KiB buffers some 5 % of CPU.
//! - **No direct descriptors**: they measured no better than plain ones with a registered ring descriptor.
//!
//! # Checked with
//!
//! The tests here under valgrind 3.19, which knows enough of io_uring to follow them, except those with a second thread:
//! it keeps all threads waiting while one waits in `io_uring_enter`. Miri knows no io_uring.
#![allow(unsafe_code)]

mod buffers;
mod completion;
mod config;
mod connects;
mod error;
mod kernel;
mod mapping;
mod probe;
mod ring;
mod sends;
mod setup;

pub use buffers::Chunk;
pub use completion::{Completion, Payload};
pub use config::{Armed, Features, RingConfig, SendOptions, SqPoll, Wait};
pub use error::RingError;
pub use probe::{KernelReport, probe, raise_descriptor_limit};
pub use ring::Ring;

#[cfg(test)]
mod tests;
