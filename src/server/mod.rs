//! Owns: the process: command line, configuration, start, signals, the end.
//! Knows: every other layer, to put them together; the only layer that knows the configuration's types and clap.
//! Must never know: how a request is served.
//! Read first: `boot.rs` (the start in order), then `config/table.rs` (every parameter).

mod boot;
#[cfg(test)]
mod boot_tests;
pub mod cli;
#[cfg(test)]
mod cli_tests;
pub mod config;
pub mod host;
mod loading;
pub mod log_tool;
mod logger;
mod logs;
mod metrics;
pub mod notify;
mod storage;
mod upstreams;

pub use boot::{BootError, serve};
