//! Transactions, and the commands on several keys that are one step though their keys may live on several cores.

use crate::protocol::command::Command as C;
use crate::protocol::command::flags::{access::*, flag};
use crate::protocol::command::spec::{Arg, Group, Keys, Spec};

const ANY_TIME: u32 = flag::NOSCRIPT | flag::LOADING | flag::STALE;
const EASY: u32 = ANY_TIME | flag::FAST | flag::ALLOW_BUSY;

pub(super) const fn row(name: &'static str, command: C, arity: i16) -> Spec {
    Spec::new(name, command, arity, Group::Transactions)
}

pub(super) const fn keys(name: &'static str, command: C, arity: i16, group: Group) -> Spec {
    Spec::new(name, command, arity, group)
}

const NEW_KEY: Arg = Arg::key("newkey");

pub static ROWS: &[Spec] = &[
    row("multi", C::Multi, 1).flags(EASY).doc("1.2.0", "O(1)", "Begin a transaction"),
    row("exec", C::Exec, 1).flags(ANY_TIME | flag::SKIP_SLOWLOG).doc(
        "1.2.0",
        "Depends on commands in the transaction",
        "Run the queued commands as one step",
    ),
    row("discard", C::Discard, 1).flags(EASY).doc(
        "2.0.0",
        "O(N) where N is the number of queued commands",
        "Forget the queued commands",
    ),
    row("watch", C::Watch, -2)
        .flags(EASY)
        .keys(Keys::all(RO))
        .doc("2.2.0", "O(1) for every key", "Have the next transaction run only if these keys stay as they are")
        .args(&[Arg::KEY.multiple()]),
    row("unwatch", C::Unwatch, 1).flags(EASY).doc("2.2.0", "O(1)", "Forget all watched keys"),
    keys("rename", C::Rename, 3, Group::Generic)
        .flags(flag::WRITE)
        .keys(Keys::two(RW | ACCESS | DELETE, OW | UPDATE))
        .doc("1.0.0", "O(1)", "Give a key another name, whatever that held")
        .args(&[Arg::KEY, NEW_KEY]),
    keys("renamenx", C::RenameNx, 3, Group::Generic)
        .flags(flag::WRITE | flag::FAST)
        .keys(Keys::two(RW | ACCESS | DELETE, OW | INSERT))
        .doc("1.0.0", "O(1)", "Give a key another name that is free")
        .args(&[Arg::KEY, NEW_KEY]),
    keys("copy", C::Copy, -3, Group::Generic)
        .flags(flag::WRITE | flag::DENYOOM)
        .keys(Keys::two(RO | ACCESS, OW | UPDATE))
        .doc("6.2.0", "O(N) where N is the number of bytes of the value", "Copy a key's value to another key")
        .args(&[
            Arg::key("source"),
            Arg::key("destination"),
            Arg::integer("destination-db").after("DB").optional(),
            Arg::word("replace", "REPLACE").optional(),
        ]),
    keys("msetnx", C::MSetNx, -3, Group::String)
        .flags(flag::WRITE | flag::DENYOOM)
        .keys(Keys::pairs(OW | INSERT))
        .doc("1.0.1", "O(N) where N is the number of keys", "Set keys if none of them exists")
        .tips(&["request_policy:multi_shard", "response_policy:agg_min"])
        .args(&[Arg::block("key_value", &[Arg::KEY, Arg::text("value")]).multiple()]),
    keys("bitop", C::BitOp, -4, Group::Bitmap)
        .flags(flag::WRITE | flag::DENYOOM)
        .keys(Keys { first: 2, others: RO | ACCESS, ..Keys::all(OW | UPDATE) })
        .doc(
            "2.6.0",
            "O(N) where N is the number of bytes of the longest value",
            "Combine values bit by bit into a key",
        )
        .args(&[
            Arg::one_of(
                "operation",
                &[Arg::word("and", "AND"), Arg::word("or", "OR"), Arg::word("xor", "XOR"), Arg::word("not", "NOT")],
            ),
            Arg::key("destkey"),
            Arg::KEY.multiple(),
        ]),
    keys("lcs", C::Lcs, -3, Group::String)
        .flags(flag::READONLY)
        .keys(Keys { last: 2, ..Keys::one(RO | ACCESS) })
        .doc("7.0.0", "O(N*M) where N and M are the lengths of the values", "Find the longest common subsequence")
        .args(&[
            Arg::key("key1"),
            Arg::key("key2"),
            Arg::word("len", "LEN").optional(),
            Arg::word("idx", "IDX").optional(),
            Arg::integer("min-match-len").after("MINMATCHLEN").optional(),
            Arg::word("withmatchlen", "WITHMATCHLEN").optional(),
        ]),
];
