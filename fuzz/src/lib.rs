//! Bytes that a stranger can send, and what must hold whatever they are: one function a target.
//!
//! The programs in `fuzz_targets/` hand libFuzzer's inputs to these functions. `tests/replay.rs` hands them what is kept
//! in `corpus/` and `regressions/`, and mutations of it, and needs neither a nightly toolchain nor libFuzzer.

mod commands;
mod config;
mod glob;
mod log;
mod model;
mod number;
mod payload;
mod pieces;
mod rdb;
mod replies;
mod request;
mod rig;
mod stream;
mod upstream;
mod wire;

pub use commands::commands;
pub use config::{config, flags};
pub use glob::glob;
pub use log::log;
pub use model::model;
pub use number::number;
pub use payload::{dump, lzf};
pub use rdb::rdb;
pub use replies::replies;
pub use request::{inline, resp};
pub use stream::stream;
pub use upstream::upstream;

/// A target: the name of its program and of its folders, what it does with an input, and how many mutations a replay
/// tries of each thousand that it may.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    pub permille: usize,
}

const fn target(name: &'static str, run: fn(&[u8]), permille: usize) -> Target {
    Target { name, run, permille }
}

pub const TARGETS: [Target; 15] = [
    target("resp", resp, 1000),
    target("inline", inline, 1000),
    target("glob", glob, 1000),
    target("number", number, 1000),
    target("lzf", lzf, 100),
    target("dump", dump, 100),
    target("log", log, 100),
    target("rdb", rdb, 500),
    target("replies", replies, 1000),
    target("upstream", upstream, 1000),
    target("config", config, 50),
    target("flags", flags, 10),
    target("stream", stream, 50),
    target("commands", commands, 50),
    target("model", model, 50),
];
