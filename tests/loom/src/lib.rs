//! What cores share without locks, under every interleaving and every reordering that the memory model allows, by loom.
//!
//!     RUSTFLAGS="--cfg loom" cargo test --manifest-path tests/loom/Cargo.toml
//!
//! A crate of its own around those few files: loom's flag would build the whole server, and all it depends on, anew.
//! Each claim has a canary: the same with two steps in the wrong order, which must be noticed.
#![cfg(loom)]
#![allow(dead_code)]

#[path = "../../../src/replica/cell.rs"]
mod cell;
#[path = "../../../src/runtime/doorbell.rs"]
mod doorbell;
#[path = "../../../src/engine/ledger.rs"]
mod ledger;
#[path = "../../../src/engine/loading.rs"]
mod loading;
#[path = "../../../src/types.rs"]
mod types;

mod mail;
mod news;
mod versions;
