//! What cluster-aware clients ask.

use crate::protocol::command::Command as C;
use crate::protocol::command::flags::flag::{LOADING, STALE};
use crate::protocol::command::spec::{Arg, Group, Spec};

const fn row(name: &'static str, command: C, arity: i16) -> Spec {
    Spec::new(name, command, arity, Group::Cluster)
}

pub static ROWS: &[Spec] = &[row("cluster", C::Cluster, -2)
    .doc("3.0.0", "Depends on subcommand.", "Commands about the cluster")
    .subcommands(CLUSTER)];

static CLUSTER: &[Spec] = &[
    row("cluster|keyslot", C::ClusterKeySlot, 3)
        .flags(STALE)
        .doc("3.0.0", "O(N) where N is the number of bytes in the key", "Answer the slot of a key")
        .args(&[Arg::text("key")]),
    row("cluster|help", C::ClusterHelp, 2).flags(LOADING | STALE).doc("5.0.0", "O(1)", "List the subcommands"),
];
