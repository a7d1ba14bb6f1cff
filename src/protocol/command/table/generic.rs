//! Commands on keys of any type.

use crate::protocol::command::Command as C;
use crate::protocol::command::flags::{access::*, category, flag};
use crate::protocol::command::spec::{Arg, Group, Keys, Spec};

const READ: u32 = flag::READONLY;
const WRITE: u32 = flag::WRITE;
const FAST: u32 = flag::FAST;

pub(super) const fn row(name: &'static str, command: C, arity: i16) -> Spec {
    Spec::new(name, command, arity, Group::Generic)
}

/// A command that splits by key and whose parts' replies add up.
const SUM: &[&str] = &["request_policy:multi_shard", "response_policy:agg_sum"];
const EACH_KEY: &str = "O(N) where N is the number of keys";
const CONDITION: Arg = Arg::one_of(
    "condition",
    &[Arg::word("nx", "NX"), Arg::word("xx", "XX"), Arg::word("gt", "GT"), Arg::word("lt", "LT")],
)
.since("7.0.0")
.optional();

pub static ROWS: &[Spec] = &[
    row("del", C::Del, -2)
        .flags(WRITE)
        .keys(Keys::all(RM | DELETE))
        .doc("1.0.0", EACH_KEY, "Delete keys")
        .tips(SUM)
        .args(&[Arg::KEY.multiple()]),
    row("unlink", C::Unlink, -2)
        .flags(WRITE | FAST)
        .keys(Keys::all(RM | DELETE))
        .doc("4.0.0", EACH_KEY, "Delete keys, freeing large values later")
        .tips(SUM)
        .args(&[Arg::KEY.multiple()]),
    row("exists", C::Exists, -2)
        .flags(READ | FAST)
        .keys(Keys::all(RO))
        .doc("1.0.0", EACH_KEY, "Count those of the given keys that exist")
        .tips(SUM)
        .args(&[Arg::KEY.multiple()]),
    row("type", C::Type, 2)
        .flags(READ | FAST)
        .keys(Keys::one(RO))
        .doc("1.0.0", "O(1)", "Name the type of a key's value")
        .args(&[Arg::KEY]),
    row("touch", C::Touch, -2)
        .flags(READ | FAST)
        .keys(Keys::all(RO))
        .doc("3.2.1", EACH_KEY, "Mark keys as just used, and count those that exist")
        .tips(SUM)
        .args(&[Arg::KEY.multiple()]),
    row("expire", C::Expire, -3)
        .flags(WRITE | FAST)
        .keys(Keys::one(RW | UPDATE))
        .doc("1.0.0", "O(1)", "Set a key's life in seconds")
        .args(&[Arg::KEY, Arg::integer("seconds"), CONDITION]),
    row("pexpire", C::PExpire, -3)
        .flags(WRITE | FAST)
        .keys(Keys::one(RW | UPDATE))
        .doc("2.6.0", "O(1)", "Set a key's life in milliseconds")
        .args(&[Arg::KEY, Arg::integer("milliseconds"), CONDITION]),
    row("expireat", C::ExpireAt, -3)
        .flags(WRITE | FAST)
        .keys(Keys::one(RW | UPDATE))
        .doc("1.2.0", "O(1)", "Set the Unix time in seconds at which a key expires")
        .args(&[Arg::KEY, Arg::unix_time("unix-time-seconds"), CONDITION]),
    row("pexpireat", C::PExpireAt, -3)
        .flags(WRITE | FAST)
        .keys(Keys::one(RW | UPDATE))
        .doc("2.6.0", "O(1)", "Set the Unix time in milliseconds at which a key expires")
        .args(&[Arg::KEY, Arg::unix_time("unix-time-milliseconds"), CONDITION]),
    row("ttl", C::Ttl, 2)
        .flags(READ | FAST)
        .keys(Keys::one(RO | ACCESS))
        .doc("1.0.0", "O(1)", "Read the seconds that a key has left")
        .tips(&["nondeterministic_output"])
        .args(&[Arg::KEY]),
    row("pttl", C::PTtl, 2)
        .flags(READ | FAST)
        .keys(Keys::one(RO | ACCESS))
        .doc("2.6.0", "O(1)", "Read the milliseconds that a key has left")
        .tips(&["nondeterministic_output"])
        .args(&[Arg::KEY]),
    row("expiretime", C::ExpireTime, 2)
        .flags(READ | FAST)
        .keys(Keys::one(RO | ACCESS))
        .doc("7.0.0", "O(1)", "Read the Unix time in seconds at which a key expires")
        .args(&[Arg::KEY]),
    row("pexpiretime", C::PExpireTime, 2)
        .flags(READ | FAST)
        .keys(Keys::one(RO | ACCESS))
        .doc("7.0.0", "O(1)", "Read the Unix time in milliseconds at which a key expires")
        .args(&[Arg::KEY]),
    row("persist", C::Persist, 2)
        .flags(WRITE | FAST)
        .keys(Keys::one(RW | UPDATE))
        .doc("2.2.0", "O(1)", "Clear a key's expiry")
        .args(&[Arg::KEY]),
    row("scan", C::Scan, -2)
        .flags(READ)
        .doc("2.8.0", "O(1) a call, O(N) for all N keys", "Step through the keys")
        .tips(&["nondeterministic_output", "request_policy:special"])
        .args(&[
            Arg::integer("cursor"),
            Arg::pattern("pattern").after("MATCH").optional(),
            Arg::integer("count").after("COUNT").optional(),
            Arg::text("type").after("TYPE").since("6.0.0").optional(),
        ]),
    row("keys", C::Keys, 2)
        .flags(READ)
        .acl(category::KEYSPACE | category::DANGEROUS)
        .doc("1.0.0", "O(N) where N is the number of keys stored", "List the keys that match a pattern")
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"])
        .args(&[Arg::pattern("pattern")]),
    row("randomkey", C::RandomKey, 1)
        .flags(READ)
        .doc("1.0.0", "O(1)", "Name a key at random")
        .tips(&["request_policy:all_shards", "nondeterministic_output"]),
    row("wait", C::Wait, 3)
        .flags(flag::NOSCRIPT)
        .acl(category::CONNECTION)
        .doc("3.0.0", "O(1)", "Wait until so many replicas have the writes of this connection")
        .tips(&["request_policy:all_shards", "response_policy:agg_min"])
        .args(&[Arg::integer("numreplicas"), Arg::integer("timeout")]),
    row("object", C::Object, -2)
        .acl(0)
        .doc("2.2.3", "Depends on subcommand.", "Commands about how a key's value is kept")
        .subcommands(OBJECT),
    row("dump", C::Dump, 2)
        .flags(READ)
        .keys(Keys::one(RO | ACCESS))
        .doc("2.6.0", "O(N) where N is the length of the value", "Read a key's value in the form that RESTORE takes")
        .tips(&["nondeterministic_output"])
        .args(&[Arg::KEY]),
    row("restore", C::Restore, -4)
        .flags(WRITE | flag::DENYOOM)
        .keys(Keys::one(OW | UPDATE))
        .acl(category::KEYSPACE | category::DANGEROUS)
        .doc("2.6.0", "O(N) where N is the length of the value", "Set a key to what DUMP has answered")
        .args(&[
            Arg::KEY,
            Arg::integer("ttl"),
            Arg::text("serialized-value"),
            Arg::word("replace", "REPLACE").since("3.0.0").optional(),
            Arg::word("absttl", "ABSTTL").since("5.0.0").optional(),
            Arg::integer("seconds").after("IDLETIME").since("5.0.0").optional(),
            Arg::integer("frequency").after("FREQ").since("5.0.0").optional(),
        ]),
];

/// A subcommand of OBJECT: its key is the argument behind its name.
pub(super) const fn about(name: &'static str, command: C, since: &'static str, summary: &'static str) -> Spec {
    row(name, command, 3)
        .flags(READ)
        .keys(Keys { first: 2, last: 2, ..Keys::one(RO) })
        .doc(since, "O(1)", summary)
        .tips(&["nondeterministic_output"])
        .args(&[Arg::KEY])
}

static OBJECT: &[Spec] = &[
    about("object|encoding", C::ObjectEncoding, "2.2.3", "Name the encoding that Redis would keep the value in"),
    about("object|freq", C::ObjectFreq, "4.0.0", "Read the access frequency, logarithmic, from 0 to 255"),
    about("object|idletime", C::ObjectIdleTime, "2.2.3", "Answer 0: seconds since the last access are not kept"),
    about("object|refcount", C::ObjectRefCount, "2.2.3", "Count the references to the value"),
    row("object|help", C::ObjectHelp, 2).flags(flag::LOADING | flag::STALE).doc(
        "6.2.0",
        "O(1)",
        "List the subcommands",
    ),
];
