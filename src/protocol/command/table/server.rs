//! The server as a whole: what it knows, its settings, its life.

use crate::protocol::command::Command as C;
use crate::protocol::command::flags::flag::*;
use crate::protocol::command::flags::{access, category};
use crate::protocol::command::spec::{Arg, Group, Keys, Spec};

const ANY_TIME: u32 = LOADING | STALE;

pub(super) const fn row(name: &'static str, command: C, arity: i16) -> Spec {
    Spec::new(name, command, arity, Group::Server)
}

/// A subcommand of COMMAND: it is a server command in the category of connection commands.
pub(super) const fn about(name: &'static str, command: C, arity: i16) -> Spec {
    row(name, command, arity).flags(ANY_TIME).acl(category::CONNECTION)
}

const REPLICATION: u32 = ADMIN | NOSCRIPT | STALE;

const EACH_COMMAND: &str = "O(N) where N is the number of commands";
const EACH_NAME: &str = "O(N) where N is the number of commands to look up";
const EACH_ARGUMENT: &str = "O(N) where N is the number of arguments to the command";
const EACH_PARAMETER: &str = "O(N) where N is the number of parameters given";
const UNORDERED: &[&str] = &["nondeterministic_output_order"];
const NAMES: &[Arg] = &[Arg::text("command-name").optional().multiple()];
const FLUSH_MODE: &[Arg] =
    &[Arg::one_of("async", &[Arg::word("async", "ASYNC").since("4.0.0"), Arg::word("sync", "SYNC").since("6.2.0")])
        .optional()];

const MASTER: &[Arg] = &[Arg::one_of(
    "args",
    &[
        Arg::block("host-port", &[Arg::text("host"), Arg::integer("port")]),
        Arg::block("no-one", &[Arg::word("no", "NO"), Arg::word("one", "ONE")]),
    ],
)];

pub static ROWS: &[Spec] = &[
    about("command", C::Command, -1)
        .doc("2.8.13", EACH_COMMAND, "Describe each command")
        .tips(UNORDERED)
        .subcommands(COMMAND),
    row("dbsize", C::DbSize, 1)
        .flags(READONLY | FAST)
        .acl(category::KEYSPACE)
        .doc("1.0.0", "O(1)", "Count the keys")
        .tips(&["request_policy:all_shards", "response_policy:agg_sum"]),
    row("flushall", C::FlushAll, -1)
        .flags(WRITE)
        .acl(category::KEYSPACE | category::DANGEROUS)
        .doc("1.0.0", "O(N) where N is the number of keys stored", "Delete every key")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .args(FLUSH_MODE),
    row("flushdb", C::FlushDb, -1)
        .flags(WRITE)
        .acl(category::KEYSPACE | category::DANGEROUS)
        .doc("1.0.0", "O(N) where N is the number of keys in the database", "Delete the keys of the chosen database")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .args(FLUSH_MODE),
    row("info", C::Info, -1)
        .flags(ANY_TIME)
        .acl(category::DANGEROUS)
        .doc("1.0.0", "O(1)", "Report the server's state and statistics")
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
        .args(&[Arg::text("section").optional().multiple()]),
    row("config", C::Config, -2)
        .doc("2.0.0", "Depends on subcommand.", "Commands about the configuration")
        .subcommands(CONFIG),
    row("slowlog", C::SlowLog, -2)
        .doc("2.2.12", "Depends on subcommand.", "Commands about requests that took long")
        .subcommands(SLOWLOG),
    row("latency", C::Latency, -2)
        .doc("2.8.13", "Depends on subcommand.", "Commands about what took long, and how long commands take")
        .subcommands(LATENCY),
    row("memory", C::Memory, -2).doc("4.0.0", "Depends on subcommand.", "Commands about memory").subcommands(MEMORY),
    row("debug", C::Debug, -2).flags(ADMIN | NOSCRIPT | ANY_TIME).doc(
        "1.0.0",
        "Depends on subcommand.",
        "Commands for tests",
    ),
    row("role", C::Role, 1).flags(NOSCRIPT | ANY_TIME | FAST).acl(category::ADMIN | category::DANGEROUS).doc(
        "2.8.12",
        "O(1)",
        "Answer the server's part in replication",
    ),
    row("replicaof", C::ReplicaOf, 3)
        .flags(REPLICATION | NO_ASYNC_LOADING)
        .doc("5.0.0", "O(1)", "Refused, but for NO ONE: there is no replication")
        .args(MASTER),
    row("slaveof", C::SlaveOf, 3)
        .flags(REPLICATION | NO_ASYNC_LOADING)
        .doc("1.0.0", "O(1)", "Refused, but for NO ONE: there is no replication")
        .deprecated("5.0.0", "`REPLICAOF`")
        .args(MASTER),
    row("failover", C::Failover, -1).flags(REPLICATION).doc("6.2.0", "O(1)", "Refused: there is no replica").args(&[
        Arg::block("target", &[Arg::text("host"), Arg::integer("port"), Arg::word("force", "FORCE").optional()])
            .after("TO")
            .optional(),
        Arg::word("abort", "ABORT").optional(),
        Arg::integer("milliseconds").after("TIMEOUT").optional(),
    ]),
    row("lastsave", C::LastSave, 1)
        .flags(ANY_TIME | FAST)
        .acl(category::ADMIN | category::DANGEROUS)
        .doc(
            "1.0.0",
            "O(1)",
            "Answer when the log was last brought to stable storage; without one, when the server started",
        )
        .tips(&["nondeterministic_output"]),
    row("save", C::Save, 1).flags(ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI).doc(
        "1.0.0",
        "O(1)",
        "Refused: changes are logged as they happen",
    ),
    row("bgsave", C::BgSave, -1)
        .flags(ADMIN | NOSCRIPT | NO_ASYNC_LOADING)
        .doc("1.0.0", "O(1)", "Bring the log to stable storage")
        .args(&[Arg::word("schedule", "SCHEDULE").since("3.2.2").optional()]),
    row("bgrewriteaof", C::BgRewriteAof, 1).flags(ADMIN | NOSCRIPT | NO_ASYNC_LOADING).doc(
        "1.0.0",
        "O(1)",
        "Write the log anew, and give back what no longer counts",
    ),
    row("lolwut", C::LolWut, -1)
        .flags(READONLY | FAST)
        .doc("5.0.0", "O(1)", "Draw a picture, and name the version")
        .args(&[Arg::integer("version").after("VERSION").optional()]),
    row("time", C::Time, 1)
        .flags(ANY_TIME | FAST)
        .doc("2.6.0", "O(1)", "Answer the server's clock")
        .tips(&["nondeterministic_output"]),
    row("shutdown", C::Shutdown, -1)
        .flags(ADMIN | NOSCRIPT | ANY_TIME | NO_MULTI | ALLOW_BUSY)
        .doc("1.0.0", "O(N) where N is the number of keys to save, O(1) when none is", "Stop the server")
        .args(&[
            Arg::one_of("nosave_save", &[Arg::word("nosave", "NOSAVE"), Arg::word("save", "SAVE")]).optional(),
            Arg::word("now", "NOW").since("7.0.0").optional(),
            Arg::word("force", "FORCE").since("7.0.0").optional(),
            Arg::word("abort", "ABORT").since("7.0.0").optional(),
        ]),
];

static COMMAND: &[Spec] = &[
    about("command|count", C::CommandCount, 2).doc("2.8.13", "O(1)", "Count the commands"),
    about("command|info", C::CommandInfo, -2)
        .doc("2.8.13", EACH_NAME, "Describe the named commands, or each")
        .tips(UNORDERED)
        .args(NAMES),
    about("command|list", C::CommandList, -2)
        .doc("7.0.0", EACH_COMMAND, "List the commands' names")
        .tips(UNORDERED)
        .args(&[Arg::one_of(
            "filterby",
            &[
                Arg::text("module-name").after("MODULE"),
                Arg::text("category").after("ACLCAT"),
                Arg::pattern("pattern").after("PATTERN"),
            ],
        )
        .after("FILTERBY")
        .optional()]),
    about("command|getkeys", C::CommandGetKeys, -4).doc("2.8.13", EACH_ARGUMENT, "List the keys of a full command"),
    about("command|getkeysandflags", C::CommandGetKeysAndFlags, -4).doc(
        "7.0.0",
        EACH_ARGUMENT,
        "List the keys of a full command, and what it does with each",
    ),
    about("command|docs", C::CommandDocs, -2)
        .doc("7.0.0", EACH_NAME, "Document the named commands, or each")
        .tips(UNORDERED)
        .args(NAMES),
    about("command|help", C::CommandHelp, 2).doc("5.0.0", "O(1)", "List the subcommands"),
];

static SLOWLOG: &[Spec] = &[
    row("slowlog|get", C::SlowLogGet, -2)
        .flags(ADMIN | ANY_TIME)
        .doc("2.2.12", "O(N) where N is the number of entries returned", "List requests that took long, newest first")
        .tips(&["request_policy:all_nodes", "nondeterministic_output"])
        .args(&[Arg::integer("count").optional()]),
    row("slowlog|len", C::SlowLogLen, 2).flags(ADMIN | ANY_TIME).doc("2.2.12", "O(1)", "Count the entries").tips(&[
        "request_policy:all_nodes",
        "response_policy:agg_sum",
        "nondeterministic_output",
    ]),
    row("slowlog|reset", C::SlowLogReset, 2)
        .flags(ADMIN | ANY_TIME)
        .doc("2.2.12", "O(N) where N is the number of entries in the slowlog", "Forget all entries")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    row("slowlog|help", C::SlowLogHelp, 2).flags(ANY_TIME).doc("6.2.0", "O(1)", "List the subcommands"),
];

const EVENT: &[Arg] = &[Arg::text("event")];
const ASKED_OF_ALL: &[&str] = &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"];
const ASKED_OF_SHARDS: &[&str] = &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"];

/// A subcommand of LATENCY.
pub(super) const fn latency(
    name: &'static str,
    command: C,
    arity: i16,
    since: &'static str,
    summary: &'static str,
) -> Spec {
    row(name, command, arity).flags(ADMIN | NOSCRIPT | ANY_TIME).doc(since, "O(1)", summary).tips(ASKED_OF_ALL)
}

static LATENCY: &[Spec] = &[
    latency("latency|latest", C::LatencyLatest, 2, "2.8.13", "List the last sample of each event"),
    latency("latency|history", C::LatencyHistory, 3, "2.8.13", "List the samples of an event").args(EVENT),
    latency("latency|reset", C::LatencyReset, -2, "2.8.13", "Forget the samples of events, or of all")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .args(&[Arg::text("event").optional().multiple()]),
    latency("latency|graph", C::LatencyGraph, 3, "2.8.13", "Draw the samples of an event").args(EVENT),
    latency("latency|doctor", C::LatencyDoctor, 2, "2.8.13", "Say what the samples mean"),
    latency("latency|histogram", C::LatencyHistogram, -2, "7.0.0", "Count the durations of commands, by powers of two")
        .doc("7.0.0", EACH_NAME, "Count the durations of commands, by powers of two")
        .args(&[Arg::text("command").optional().multiple()]),
    row("latency|help", C::LatencyHelp, 2).flags(ANY_TIME).doc("2.8.13", "O(1)", "List the subcommands"),
];

static MEMORY: &[Spec] = &[
    row("memory|usage", C::MemoryUsage, -3)
        .flags(READONLY)
        .keys(Keys { first: 2, last: 2, ..Keys::one(access::RO) })
        .doc("4.0.0", "O(1)", "Count the bytes that a key takes")
        .args(&[Arg::KEY, Arg::integer("count").after("SAMPLES").optional()]),
    row("memory|stats", C::MemoryStats, 2)
        .doc("4.0.0", "O(1)", "Count the bytes that the server takes")
        .tips(ASKED_OF_SHARDS),
    row("memory|doctor", C::MemoryDoctor, 2)
        .doc("4.0.0", "O(1)", "Say what the counts of bytes mean")
        .tips(ASKED_OF_SHARDS),
    row("memory|malloc-stats", C::MemoryMallocStats, 2)
        .doc("4.0.0", "O(1)", "Name the allocator")
        .tips(ASKED_OF_SHARDS),
    row("memory|purge", C::MemoryPurge, 2)
        .doc("4.0.0", "O(1)", "Answer OK: freed memory goes back to the kernel by itself")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    row("memory|help", C::MemoryHelp, 2).flags(ANY_TIME).doc("4.0.0", "O(1)", "List the subcommands"),
];

static CONFIG: &[Spec] = &[
    row("config|get", C::ConfigGet, -3)
        .flags(ADMIN | NOSCRIPT | ANY_TIME)
        .doc("2.0.0", EACH_PARAMETER, "Read the parameters that match")
        .args(&[Arg::block("parameter", &[Arg::text("parameter")]).multiple()]),
    row("config|set", C::ConfigSet, -4)
        .flags(ADMIN | NOSCRIPT | ANY_TIME)
        .doc("2.0.0", EACH_PARAMETER, "Set parameters")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .args(&[Arg::block("parameter_value", &[Arg::text("parameter"), Arg::text("value")]).multiple()]),
    row("config|resetstat", C::ConfigResetStat, 2).flags(ADMIN | NOSCRIPT | ANY_TIME).doc(
        "2.0.0",
        "O(1)",
        "Set INFO's counters to zero",
    ),
    row("config|rewrite", C::ConfigRewrite, 2).flags(ADMIN | NOSCRIPT | ANY_TIME).doc(
        "2.8.0",
        "O(1)",
        "Write what CONFIG SET changed into the configuration file",
    ),
    row("config|help", C::ConfigHelp, 2).flags(ANY_TIME).doc("5.0.0", "O(1)", "List the subcommands"),
];
