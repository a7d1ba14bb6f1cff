//! What cluster-aware clients ask, and how they put a connection into a mood.
//!
//! What would change a cluster has rows too: tools that probe with it get a reason instead of an unknown subcommand.

use crate::protocol::command::Command as C;
use crate::protocol::command::flags::category::CONNECTION;
use crate::protocol::command::flags::flag::{ADMIN, FAST, LOADING, NO_ASYNC_LOADING, NOSCRIPT, STALE};
use crate::protocol::command::spec::{Arg, Group, Spec};

pub(super) const fn row(name: &'static str, command: C, arity: i16) -> Spec {
    Spec::new(name, command, arity, Group::Cluster)
}

/// What changes who is in a cluster and what belongs to whom.
pub(super) const fn change(name: &'static str, command: C, arity: i16) -> Spec {
    row(name, command, arity).flags(ADMIN | STALE | NO_ASYNC_LOADING)
}

/// What a connection says about itself.
pub(super) const fn mood(name: &'static str, command: C) -> Spec {
    row(name, command, 1).acl(CONNECTION)
}

const UNSTEADY: &[&str] = &["nondeterministic_output"];
const PER_NODE: &str = "O(N) where N is the number of nodes";
const NODE_ID: Arg = Arg::text("node-id");
const SLOT: Arg = Arg::integer("slot");
const RANGES: &[Arg] =
    &[Arg::block("start-slot_end-slot", &[Arg::integer("start-slot"), Arg::integer("end-slot")]).multiple()];

pub static ROWS: &[Spec] = &[
    row("cluster", C::Cluster, -2)
        .doc("3.0.0", "Depends on subcommand.", "Commands about the cluster")
        .subcommands(CLUSTER),
    mood("readonly", C::ReadOnly).flags(LOADING | STALE | FAST).doc(
        "3.0.0",
        "O(1)",
        "Allow reads from a replica; there are none, so nothing changes",
    ),
    mood("readwrite", C::ReadWrite).flags(LOADING | STALE | FAST).doc("3.0.0", "O(1)", "Take READONLY back"),
    mood("asking", C::Asking).flags(FAST).doc(
        "3.0.0",
        "O(1)",
        "Announce a request that was redirected while its slot moves",
    ),
];

static CLUSTER: &[Spec] = &[
    row("cluster|info", C::ClusterInfo, 2).flags(STALE).tips(UNSTEADY).doc(
        "3.0.0",
        "O(1)",
        "Answer the state of the cluster",
    ),
    row("cluster|myid", C::ClusterMyId, 2).flags(STALE).doc("3.0.0", "O(1)", "Answer the id of the node asked"),
    row("cluster|myshardid", C::ClusterMyShardId, 2).flags(STALE).doc(
        "7.2.0",
        "O(1)",
        "Answer the id of the shard of the node asked",
    ),
    row("cluster|nodes", C::ClusterNodes, 2).flags(STALE).tips(UNSTEADY).doc(
        "3.0.0",
        PER_NODE,
        "Answer the nodes as a text, one a line, as nodes keep it",
    ),
    row("cluster|slots", C::ClusterSlots, 2).flags(STALE).tips(UNSTEADY).doc(
        "3.0.0",
        PER_NODE,
        "Answer ranges of slots, each with its node",
    ),
    row("cluster|shards", C::ClusterShards, 2).flags(STALE).tips(UNSTEADY).doc(
        "7.0.0",
        PER_NODE,
        "Answer shards, each with its ranges of slots and its nodes",
    ),
    row("cluster|links", C::ClusterLinks, 2).flags(STALE).tips(UNSTEADY).doc(
        "7.0.0",
        PER_NODE,
        "Answer the links to other nodes; cores need none",
    ),
    row("cluster|keyslot", C::ClusterKeySlot, 3)
        .flags(STALE)
        .doc("3.0.0", "O(N) where N is the number of bytes in the key", "Answer the slot of a key")
        .args(&[Arg::text("key")]),
    row("cluster|countkeysinslot", C::ClusterCountKeysInSlot, 3)
        .flags(STALE)
        .doc("3.0.0", "O(1)", "Count the keys of a slot")
        .args(&[SLOT]),
    row("cluster|getkeysinslot", C::ClusterGetKeysInSlot, 4)
        .flags(STALE)
        .tips(UNSTEADY)
        .doc("3.0.0", "O(N) where N is the number of keys asked for", "Answer keys of a slot")
        .args(&[SLOT, Arg::integer("count")]),
    row("cluster|slot-stats", C::ClusterSlotStats, -4)
        .flags(LOADING | STALE)
        .tips(&["nondeterministic_output", "request_policy:all_shards"])
        .doc("8.2.0", "O(N log(N)) where N is the number of slots", "Answer how many keys slots hold")
        .args(&[Arg::one_of("filter", SLOT_STATS)]),
    row("cluster|count-failure-reports", C::ClusterCountFailureReports, 3)
        .flags(ADMIN | STALE)
        .tips(UNSTEADY)
        .doc("3.0.0", "O(1)", "Count the nodes that report a node as failing")
        .args(&[NODE_ID]),
    row("cluster|replicas", C::ClusterReplicas, 3)
        .flags(ADMIN | STALE)
        .tips(UNSTEADY)
        .doc("5.0.0", "O(1)", "List the replicas of a node")
        .args(&[NODE_ID]),
    row("cluster|slaves", C::ClusterSlaves, 3)
        .flags(ADMIN | STALE)
        .tips(UNSTEADY)
        .doc("3.0.0", "O(1)", "List the replicas of a node")
        .deprecated("5.0.0", "`CLUSTER REPLICAS`")
        .args(&[NODE_ID]),
    change("cluster|addslots", C::ClusterAddSlots, -3)
        .doc("3.0.0", "O(1)", "Refused: the configuration places slots")
        .args(&[SLOT.multiple()]),
    change("cluster|addslotsrange", C::ClusterAddSlotsRange, -4)
        .doc("7.0.0", "O(1)", "Refused: the configuration places slots")
        .args(RANGES),
    change("cluster|delslots", C::ClusterDelSlots, -3)
        .doc("3.0.0", "O(1)", "Refused: the configuration places slots")
        .args(&[SLOT.multiple()]),
    change("cluster|delslotsrange", C::ClusterDelSlotsRange, -4)
        .doc("7.0.0", "O(1)", "Refused: the configuration places slots")
        .args(RANGES),
    change("cluster|flushslots", C::ClusterFlushSlots, 2).doc(
        "3.0.0",
        "O(1)",
        "Refused: the configuration places slots",
    ),
    change("cluster|setslot", C::ClusterSetSlot, -4)
        .doc("3.0.0", "O(1)", "Refused: the configuration places slots")
        .args(&[SLOT, Arg::one_of("subcommand", SETSLOT)]),
    change("cluster|bumpepoch", C::ClusterBumpEpoch, 2).tips(UNSTEADY).doc(
        "3.0.0",
        "O(1)",
        "Refused: epochs stay as they are",
    ),
    change("cluster|set-config-epoch", C::ClusterSetConfigEpoch, 3)
        .doc("3.0.0", "O(1)", "Refused: epochs stay as they are")
        .args(&[Arg::integer("config-epoch")]),
    change("cluster|saveconfig", C::ClusterSaveConfig, 2).doc("3.0.0", "O(1)", "Refused: nothing is kept in a file"),
    change("cluster|meet", C::ClusterMeet, -4).doc("3.0.0", "O(1)", "Refused: the nodes are cores").args(&[
        Arg::text("ip"),
        Arg::integer("port"),
        Arg::integer("cluster_bus_port").since("4.0.0").optional(),
    ]),
    change("cluster|forget", C::ClusterForget, 3).doc("3.0.0", "O(1)", "Refused: the nodes are cores").args(&[NODE_ID]),
    change("cluster|replicate", C::ClusterReplicate, 3)
        .doc("3.0.0", "O(1)", "Refused: a core has no replicas")
        .args(&[NODE_ID]),
    change("cluster|failover", C::ClusterFailover, -2)
        .doc("3.0.0", "O(1)", "Refused: a core has no replicas")
        .args(&[Arg::one_of("options", &[Arg::word("force", "FORCE"), Arg::word("takeover", "TAKEOVER")]).optional()]),
    row("cluster|reset", C::ClusterReset, -2)
        .flags(ADMIN | NOSCRIPT | STALE)
        .doc("3.0.0", "O(1)", "Refused: the nodes are cores")
        .args(&[Arg::one_of("hard_soft", &[Arg::word("hard", "HARD"), Arg::word("soft", "SOFT")]).optional()]),
    row("cluster|help", C::ClusterHelp, 2).flags(LOADING | STALE).doc("5.0.0", "O(1)", "List the subcommands"),
];

const SLOT_STATS: &[Arg] = &[
    Arg::block("slotsrange", &[Arg::integer("start-slot"), Arg::integer("end-slot")]).after("SLOTSRANGE"),
    Arg::block(
        "orderby",
        &[
            Arg::text("metric"),
            Arg::integer("limit").after("LIMIT").optional(),
            Arg::one_of("order", &[Arg::word("asc", "ASC"), Arg::word("desc", "DESC")]).optional(),
        ],
    )
    .after("ORDERBY"),
];

const SETSLOT: &[Arg] = &[
    Arg::text("importing").after("IMPORTING"),
    Arg::text("migrating").after("MIGRATING"),
    Arg::text("node").after("NODE"),
    Arg::word("stable", "STABLE"),
];
