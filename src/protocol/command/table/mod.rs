//! Owns: the rows, one file a group; their order is the order of COMMAND's replies.
//! Knows: what each command is called, takes, touches and is for.
//! Must never know: what a command does.
//! Read first: `string.rs`.

mod bits;
mod cluster;
mod connection;
mod generic;
mod hotkeys;
mod pubsub;
mod scripting;
mod server;
mod string;
mod transaction;

use super::spec::Spec;

#[rustfmt::skip]
pub(super) static GROUPS: &[&[Spec]] = &[
    string::ROWS,
    bits::ROWS,
    generic::ROWS,
    transaction::ROWS,
    connection::ROWS,
    server::ROWS,
    hotkeys::ROWS,
    scripting::ROWS,
    pubsub::ROWS,
    cluster::ROWS,
];

/// Each command once; subcommands are found in their containers.
pub fn rows() -> impl Iterator<Item = &'static Spec> {
    GROUPS.iter().copied().flatten()
}
