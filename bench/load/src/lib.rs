//! Owns the load generator: key streams, request bytes, the reply counter and the closed loop over many connections.
//! Knows the two wire protocols just well enough to count; knows Linux's epoll.
//! Must never know the server under test: nothing here is shared with Coldplate, or a bug of one would hide in both.
//! Read first: `drive.rs` (the loop), then `request.rs` and `reply.rs` (the bytes).

pub mod cluster;
pub mod drive;
pub mod error;
pub mod fill;
pub mod keys;
pub mod reply;
pub mod request;
pub mod trace;
