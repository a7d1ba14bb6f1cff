//! The rows, one file a group. Their order is the order of COMMAND's replies.

mod cluster;
mod connection;
mod generic;
mod server;
mod string;

use super::spec::Spec;

pub(super) static GROUPS: [&[Spec]; 5] = [string::ROWS, generic::ROWS, connection::ROWS, server::ROWS, cluster::ROWS];

/// Each command once; subcommands are found in their containers.
pub fn rows() -> impl Iterator<Item = &'static Spec> {
    GROUPS.iter().copied().flatten()
}
