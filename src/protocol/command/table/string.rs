//! Strings, and the integers and floats kept in them.

use crate::protocol::command::Command as C;
use crate::protocol::command::flags::{access::*, flag};
use crate::protocol::command::spec::{Arg, Group, Keys, Spec};

const READ: u32 = flag::READONLY;
const WRITE: u32 = flag::WRITE;
const GROW: u32 = flag::WRITE | flag::DENYOOM;
const FAST: u32 = flag::FAST;

pub(super) const fn row(name: &'static str, command: C, arity: i16) -> Spec {
    Spec::new(name, command, arity, Group::String)
}

const VALUE: Arg = Arg::text("value");

pub static ROWS: &[Spec] = &[
    row("get", C::Get, 2)
        .flags(READ | FAST)
        .keys(Keys::one(RO | ACCESS))
        .doc("1.0.0", "O(1)", "Read the value of a key")
        .args(&[Arg::KEY]),
    row("set", C::Set, -3)
        .flags(GROW)
        .keys(Keys::one(RW | ACCESS | UPDATE | VARIABLE).notes("RW and ACCESS due to the optional `GET` argument"))
        .doc("1.0.0", "O(1)", "Set the value of a key, whatever it held")
        .args(&[
            Arg::KEY,
            VALUE,
            Arg::one_of("condition", &[Arg::word("nx", "NX"), Arg::word("xx", "XX")]).since("2.6.12").optional(),
            Arg::word("get", "GET").since("6.2.0").optional(),
            Arg::one_of(
                "expiration",
                &[
                    Arg::integer("seconds").after("EX").since("2.6.12"),
                    Arg::integer("milliseconds").after("PX").since("2.6.12"),
                    Arg::unix_time("unix-time-seconds").after("EXAT").since("6.2.0"),
                    Arg::unix_time("unix-time-milliseconds").after("PXAT").since("6.2.0"),
                    Arg::word("keepttl", "KEEPTTL").since("6.0.0"),
                ],
            )
            .optional(),
        ]),
    row("setnx", C::SetNx, 3)
        .flags(GROW | FAST)
        .keys(Keys::one(OW | INSERT))
        .doc("1.0.0", "O(1)", "Set the value of a key that does not exist")
        .args(&[Arg::KEY, VALUE]),
    row("setex", C::SetEx, 4)
        .flags(GROW)
        .keys(Keys::one(OW | UPDATE))
        .doc("2.0.0", "O(1)", "Set the value of a key, and its life in seconds")
        .args(&[Arg::KEY, Arg::integer("seconds"), VALUE]),
    row("psetex", C::PSetEx, 4)
        .flags(GROW)
        .keys(Keys::one(OW | UPDATE))
        .doc("2.6.0", "O(1)", "Set the value of a key, and its life in milliseconds")
        .args(&[Arg::KEY, Arg::integer("milliseconds"), VALUE]),
    row("getset", C::GetSet, 3)
        .flags(GROW | FAST)
        .keys(Keys::one(RW | ACCESS | UPDATE))
        .doc("1.0.0", "O(1)", "Set the value of a key and return the one before")
        .deprecated("6.2.0", "`SET` with the `!GET` argument")
        .args(&[Arg::KEY, VALUE]),
    row("getdel", C::GetDel, 2)
        .flags(WRITE | FAST)
        .keys(Keys::one(RW | ACCESS | DELETE))
        .doc("6.2.0", "O(1)", "Read the value of a key and delete it")
        .args(&[Arg::KEY]),
    row("getex", C::GetEx, -2)
        .flags(WRITE | FAST)
        .keys(Keys::one(RW | ACCESS | UPDATE).notes("RW and UPDATE because it changes the TTL"))
        .doc("6.2.0", "O(1)", "Read the value of a key and set or clear its expiry")
        .args(&[
            Arg::KEY,
            Arg::one_of(
                "expiration",
                &[
                    Arg::integer("seconds").after("EX"),
                    Arg::integer("milliseconds").after("PX"),
                    Arg::unix_time("unix-time-seconds").after("EXAT"),
                    Arg::unix_time("unix-time-milliseconds").after("PXAT"),
                    Arg::word("persist", "PERSIST"),
                ],
            )
            .optional(),
        ]),
    row("mget", C::MGet, -2)
        .flags(READ | FAST)
        .keys(Keys::all(RO | ACCESS))
        .doc("1.0.0", "O(N) where N is the number of keys", "Read the values of several keys")
        .tips(&["request_policy:multi_shard"])
        .args(&[Arg::KEY.multiple()]),
    row("mset", C::MSet, -3)
        .flags(GROW)
        .keys(Keys::pairs(OW | UPDATE))
        .doc("1.0.1", "O(N) where N is the number of keys", "Set the values of several keys")
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"])
        .args(&[Arg::block("key_value", &[Arg::KEY, VALUE]).multiple()]),
    row("append", C::Append, 3)
        .flags(GROW | FAST)
        .keys(Keys::one(RW | INSERT))
        .doc("2.0.0", "O(1) amortized over a key's appends", "Add bytes to the end of a value")
        .args(&[Arg::KEY, VALUE]),
    row("strlen", C::StrLen, 2)
        .flags(READ | FAST)
        .keys(Keys::one(RO))
        .doc("2.2.0", "O(1)", "Count the bytes of a value")
        .args(&[Arg::KEY]),
    row("getrange", C::GetRange, 4)
        .flags(READ)
        .keys(Keys::one(RO | ACCESS))
        .doc("2.4.0", "O(N) where N is the number of bytes returned", "Read a part of a value")
        .args(&[Arg::KEY, Arg::integer("start"), Arg::integer("end")]),
    row("substr", C::SubStr, 4)
        .flags(READ)
        .keys(Keys::one(RO | ACCESS))
        .doc("1.0.0", "O(N) where N is the number of bytes returned", "Read a part of a value")
        .deprecated("2.0.0", "`GETRANGE`")
        .args(&[Arg::KEY, Arg::integer("start"), Arg::integer("end")]),
    row("setrange", C::SetRange, 4)
        .flags(GROW)
        .keys(Keys::one(RW | UPDATE))
        .doc("2.2.0", "O(N) where N is the number of bytes given", "Overwrite a part of a value, from an offset on")
        .args(&[Arg::KEY, Arg::integer("offset"), VALUE]),
    row("incr", C::Incr, 2)
        .flags(GROW | FAST)
        .keys(Keys::one(RW | ACCESS | UPDATE))
        .doc("1.0.0", "O(1)", "Add one to an integer")
        .args(&[Arg::KEY]),
    row("decr", C::Decr, 2)
        .flags(GROW | FAST)
        .keys(Keys::one(RW | ACCESS | UPDATE))
        .doc("1.0.0", "O(1)", "Subtract one from an integer")
        .args(&[Arg::KEY]),
    row("incrby", C::IncrBy, 3)
        .flags(GROW | FAST)
        .keys(Keys::one(RW | ACCESS | UPDATE))
        .doc("1.0.0", "O(1)", "Add to an integer")
        .args(&[Arg::KEY, Arg::integer("increment")]),
    row("decrby", C::DecrBy, 3)
        .flags(GROW | FAST)
        .keys(Keys::one(RW | ACCESS | UPDATE))
        .doc("1.0.0", "O(1)", "Subtract from an integer")
        .args(&[Arg::KEY, Arg::integer("decrement")]),
    row("incrbyfloat", C::IncrByFloat, 3)
        .flags(GROW | FAST)
        .keys(Keys::one(RW | ACCESS | UPDATE))
        .doc("2.6.0", "O(1)", "Add to a floating-point number")
        .args(&[Arg::KEY, Arg::double("increment")]),
];
