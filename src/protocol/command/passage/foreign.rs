//! The commands that only other servers run: all of Redis 7.0 that our own table has not, then those of later releases.
//! COMMAND does not list them, and a server of its own answers them as unknown.

use super::Goes::{All, Any, Keys, Never, Nowhere};
use super::{Goes, Holds, Join, Passage, Place, Steady};
use crate::protocol::command::flags::flag;

const W: u32 = flag::WRITE;
const R: u32 = flag::READONLY;
const D: u32 = flag::DENYOOM;
const F: u32 = flag::FAST;
const N: u32 = flag::NOSCRIPT;
const M: u32 = flag::MOVABLE_KEYS;
const B: u32 = flag::BLOCKING;
const ADMIN: u32 = flag::ADMIN | N;
const ANY_TIME: u32 = flag::LOADING | flag::STALE;
const SCRIPTED: u32 = N | flag::STALE | flag::SKIP_MONITOR | flag::NO_MANDATORY_KEYS | M;

const fn row(name: &'static str, arity: i16, flags: u32, goes: Goes, place: Place) -> Passage {
    Passage { name, arity, flags, goes, place, ..Passage::UNKNOWN }
}

/// Its key is the first argument.
const fn one(name: &'static str, arity: i16, flags: u32) -> Passage {
    row(name, arity, flags, Keys, Place::ONE)
}

/// A read of one key that is answered the same until that changes.
const fn steady(name: &'static str, arity: i16, flags: u32) -> Passage {
    Passage { steady: Steady::Yes, ..one(name, arity, flags) }
}

/// The same, with pairs.
const fn paired(name: &'static str, arity: i16, flags: u32) -> Passage {
    Passage { steady: Steady::Paired, ..one(name, arity, flags) }
}

/// Its keys are the first two arguments.
const fn two(name: &'static str, arity: i16, flags: u32) -> Passage {
    row(name, arity, flags, Keys, Place::range(1, 2, 1))
}

/// All its arguments are keys.
const fn all(name: &'static str, arity: i16, flags: u32) -> Passage {
    row(name, arity, flags, Keys, Place::range(1, -1, 1))
}

/// Its key is the argument behind the subcommand.
const fn about(name: &'static str, arity: i16, flags: u32) -> Passage {
    row(name, arity, flags, Keys, Place::range(2, 2, 1))
}

/// Argument `count` says how many keys there are.
const fn counted(name: &'static str, arity: i16, flags: u32, count: u8) -> Passage {
    row(name, arity, flags | M, Keys, Place::counted(count))
}

/// The first argument is a key to be written; the second says how many there are to be read.
const fn counted_into(name: &'static str, arity: i16, flags: u32) -> Passage {
    row(name, arity, flags | M, Keys, Place::Counted { count: 2, step: 1, target: true })
}

const fn keyless(name: &'static str, arity: i16, flags: u32, goes: Goes) -> Passage {
    row(name, arity, flags, goes, Place::Nowhere)
}

const fn waits(passage: Passage) -> Passage {
    Passage { holds: Holds::Blocks, flags: passage.flags | B, ..passage }
}

const fn waits_if_told(passage: Passage) -> Passage {
    Passage { holds: Holds::BlocksIfTold, flags: passage.flags | B | M, ..passage }
}

/// It is about what runs, and would wait for that behind it.
const fn overtakes(passage: Passage) -> Passage {
    Passage { holds: Holds::Blocks, ..passage }
}

const fn container(name: &'static str, subcommands: &'static [Passage]) -> Passage {
    Passage { subcommands, ..keyless(name, -2, 0, Nowhere) }
}

#[rustfmt::skip]
pub(super) static ROWS: &[Passage] = &[
    // Hashes.
    one("hset", -4, W | D | F), steady("hget", 3, R | F), steady("hgetall", 2, R), steady("hmget", -3, R | F),
    one("hmset", -4, W | D | F), one("hdel", -3, W | F), steady("hexists", 3, R | F), one("hincrby", 4, W | D | F),
    one("hincrbyfloat", 4, W | D | F), steady("hkeys", 2, R), steady("hvals", 2, R), steady("hlen", 2, R | F),
    one("hrandfield", -2, R), one("hscan", -3, R), one("hsetnx", 4, W | D | F), steady("hstrlen", 3, R | F),
    // Lists.
    one("lpush", -3, W | D | F), one("rpush", -3, W | D | F), one("lpushx", -3, W | D | F), one("rpushx", -3, W | D | F),
    one("lpop", -2, W | F), one("rpop", -2, W | F), steady("llen", 2, R | F), steady("lindex", 3, R), one("linsert", 5, W | D),
    steady("lpos", -3, R), steady("lrange", 4, R), one("lrem", 4, W), one("lset", 4, W | D), one("ltrim", 4, W),
    two("lmove", 5, W | D), two("rpoplpush", 3, W | D), counted("lmpop", -4, W, 1),
    waits(row("blpop", -3, W | N, Keys, Place::range(1, -2, 1))),
    waits(row("brpop", -3, W | N, Keys, Place::range(1, -2, 1))),
    waits(two("blmove", 6, W | D | N)), waits(two("brpoplpush", 4, W | D | N)), waits(counted("blmpop", -5, W, 2)),
    // Sets.
    one("sadd", -3, W | D | F), one("srem", -3, W | F), steady("scard", 2, R | F), steady("sismember", 3, R | F),
    steady("smismember", -3, R | F), steady("smembers", 2, R), one("spop", -2, W | F), one("srandmember", -2, R),
    one("sscan", -3, R), two("smove", 4, W | F), all("sdiff", -2, R), all("sinter", -2, R), all("sunion", -2, R),
    all("sdiffstore", -3, W | D), all("sinterstore", -3, W | D), all("sunionstore", -3, W | D),
    counted("sintercard", -3, R, 1),
    // Sorted sets.
    one("zadd", -4, W | D | F), steady("zcard", 2, R | F), steady("zcount", 4, R | F), one("zincrby", 4, W | D | F),
    steady("zlexcount", 4, R | F), steady("zmscore", -3, R | F), one("zpopmax", -2, W | F), one("zpopmin", -2, W | F),
    one("zrandmember", -2, R), paired("zrange", -4, R), steady("zrangebylex", -4, R), paired("zrangebyscore", -4, R),
    steady("zrank", 3, R | F), one("zrem", -3, W | F), one("zremrangebylex", 4, W), one("zremrangebyrank", 4, W),
    one("zremrangebyscore", 4, W), paired("zrevrange", -4, R), steady("zrevrangebylex", -4, R),
    paired("zrevrangebyscore", -4, R), steady("zrevrank", 3, R | F), one("zscan", -3, R), steady("zscore", 3, R | F),
    two("zrangestore", -5, W | D), counted("zdiff", -3, R, 1), counted("zinter", -3, R, 1),
    counted("zintercard", -3, R, 1), counted("zunion", -3, R, 1), counted("zmpop", -4, W, 1),
    counted_into("zdiffstore", -4, W | D), counted_into("zinterstore", -4, W | D),
    counted_into("zunionstore", -4, W | D),
    waits(row("bzpopmax", -3, W | N | F, Keys, Place::range(1, -2, 1))),
    waits(row("bzpopmin", -3, W | N | F, Keys, Place::range(1, -2, 1))), waits(counted("bzmpop", -5, W, 2)),
    // Places on the earth.
    one("geoadd", -5, W | D), steady("geodist", -4, R), steady("geohash", -2, R), one("geopos", -2, R),
    steady("geosearch", -7, R), two("geosearchstore", -8, W | D), steady("georadius_ro", -6, R),
    steady("georadiusbymember_ro", -5, R), row("georadius", -6, W | D | M, Keys, Place::Stored { from: 6 }),
    row("georadiusbymember", -5, W | D | M, Keys, Place::Stored { from: 5 }),
    // Counting by hashes.
    one("pfadd", -2, W | D | F), all("pfcount", -2, R), all("pfmerge", -2, W | D),
    row("pfdebug", 3, W | D | flag::ADMIN, Keys, Place::range(2, 2, 1)),
    keyless("pfselftest", 1, flag::ADMIN, Never),
    // Streams.
    one("xadd", -5, W | D | F), one("xack", -4, W | F), one("xautoclaim", -6, W | F), one("xclaim", -6, W | F),
    one("xdel", -3, W | F), steady("xlen", 2, R | F), one("xpending", -3, R), steady("xrange", -4, R),
    steady("xrevrange", -4, R), one("xsetid", -3, W | D | F), one("xtrim", -4, W),
    waits_if_told(row("xread", -4, R, Keys, Place::Streams { from: 1 })),
    waits_if_told(row("xreadgroup", -7, W, Keys, Place::Streams { from: 4 })),
    container("xgroup", XGROUP), container("xinfo", XINFO),
    // Any type.
    row("sort", -2, W | D | M, Keys, Place::Sorted), row("sort_ro", -2, R | M, Keys, Place::ONE),
    one("move", 3, W | F), one("restore-asking", -4, W | D | flag::ASKING),
    row("migrate", -6, W | M, Keys, Place::Migrated), keyless("swapdb", 3, W | F, Never),
    // Scripts.
    counted("eval", -3, SCRIPTED, 2), counted("evalsha", -3, SCRIPTED, 2), counted("fcall", -3, SCRIPTED, 2),
    counted("eval_ro", -3, R | SCRIPTED, 2), counted("evalsha_ro", -3, R | SCRIPTED, 2),
    counted("fcall_ro", -3, R | SCRIPTED, 2),
    // One server and those that follow it.
    keyless("sync", 1, ADMIN | flag::NO_ASYNC_LOADING | flag::NO_MULTI, Never),
    keyless("psync", -3, ADMIN | flag::NO_ASYNC_LOADING | flag::NO_MULTI, Never),
    keyless("replconf", -1, ADMIN | ANY_TIME | flag::ALLOW_BUSY, Never),
    Passage { goes: Never, ..container("acl", ACL) }, Passage { goes: Never, ..container("module", MODULE) },

    // From Redis 7.2 on.
    keyless("waitaof", 4, B, Never),
    one("hexpire", -6, W | D | F), one("hpexpire", -6, W | D | F), one("hexpireat", -6, W | D | F),
    one("hpexpireat", -6, W | D | F), one("httl", -5, R | F), one("hpttl", -5, R | F), one("hexpiretime", -5, R | F),
    one("hpexpiretime", -5, R | F), one("hpersist", -5, W | F), one("hgetdel", -5, W | F), one("hgetex", -5, W | F),
    one("hsetex", -6, W | D | F), one("xdelex", -5, W | F), one("xackdel", -6, W | F), one("delex", -2, W | F),
    one("digest", 2, R | F), one("delifeq", 3, W | F),
    row("msetex", -4, W | D | M, Keys, Place::Counted { count: 1, step: 2, target: false }),
    one("vadd", -5, W | D), one("vrem", 3, W), one("vsetattr", 4, W | F), one("vcard", 2, R | F), one("vdim", 2, R | F),
    one("vemb", -3, R | F), one("vgetattr", 3, R | F), one("vinfo", 2, R | F), one("vismember", 3, R | F),
    one("vlinks", -3, R | F), one("vrandmember", -2, R), one("vrange", -4, R), one("vsim", -4, R),
];

const CREATE: u32 = W | D;

#[rustfmt::skip]
static XGROUP: &[Passage] = &[
    about("xgroup|create", -5, CREATE), about("xgroup|createconsumer", 5, CREATE), about("xgroup|setid", -5, W),
    about("xgroup|delconsumer", 5, W), about("xgroup|destroy", 4, W), keyless("xgroup|help", 2, ANY_TIME, Any),
];

#[rustfmt::skip]
static XINFO: &[Passage] = &[
    about("xinfo|consumers", 4, R), about("xinfo|groups", 3, R), about("xinfo|stream", -3, R),
    keyless("xinfo|help", 2, ANY_TIME, Any),
];

/// What our own SCRIPT has not.
#[rustfmt::skip]
pub(super) static SCRIPT: &[Passage] = &[
    keyless("script|load", 3, N | flag::STALE, All(Join::Same)),
    overtakes(keyless("script|kill", 2, N | flag::ALLOW_BUSY, All(Join::One))), keyless("script|debug", 3, N, Never),
    keyless("script|show", 3, N, Any),
];

/// What our own FUNCTION has not.
#[rustfmt::skip]
pub(super) static FUNCTION: &[Passage] = &[
    keyless("function|load", -3, CREATE | N, All(Join::Same)), keyless("function|delete", 3, W | N, All(Join::Same)),
    keyless("function|restore", -3, CREATE | N, All(Join::Same)), keyless("function|dump", 2, N, Any),
    overtakes(keyless("function|kill", 2, N | flag::ALLOW_BUSY, All(Join::One))),
    keyless("function|stats", 2, N | flag::ALLOW_BUSY, Any),
];

/// Users are those of the server that a client logs in to.
#[rustfmt::skip]
static ACL: &[Passage] = &[
    keyless("acl|cat", -2, N | ANY_TIME, Never), keyless("acl|deluser", -3, ADMIN | ANY_TIME, Never),
    keyless("acl|dryrun", -4, ADMIN | ANY_TIME, Never), keyless("acl|genpass", -2, N | ANY_TIME, Never),
    keyless("acl|getuser", 3, ADMIN | ANY_TIME, Never), keyless("acl|help", 2, ANY_TIME, Never),
    keyless("acl|list", 2, ADMIN | ANY_TIME, Never), keyless("acl|load", 2, ADMIN | ANY_TIME, Never),
    keyless("acl|log", -2, ADMIN | ANY_TIME, Never), keyless("acl|save", 2, ADMIN | ANY_TIME, Never),
    keyless("acl|setuser", -3, ADMIN | ANY_TIME, Never), keyless("acl|users", 2, ADMIN | ANY_TIME, Never),
    keyless("acl|whoami", 2, N | ANY_TIME, Never),
];

#[rustfmt::skip]
static MODULE: &[Passage] = &[
    keyless("module|help", 2, ANY_TIME, Never), keyless("module|list", 2, ADMIN, Never),
    keyless("module|load", -3, ADMIN | flag::NO_ASYNC_LOADING, Never),
    keyless("module|loadex", -3, ADMIN | flag::NO_ASYNC_LOADING, Never),
    keyless("module|unload", 3, ADMIN | flag::NO_ASYNC_LOADING, Never),
];

#[cfg(test)]
pub(super) fn check_constructors() {
    let same = |made: Passage, name: &str| {
        let row = ROWS.iter().find(|row| row.name == name).expect("it has a row");
        assert_eq!(format!("{made:?}"), format!("{row:?}"));
    };
    same(one("hset", -4, W | D | F), "hset");
    same(steady("hget", 3, R | F), "hget");
    same(paired("zrange", -4, R), "zrange");
    same(two("lmove", 5, W | D), "lmove");
    same(all("sdiff", -2, R), "sdiff");
    same(counted("lmpop", -4, W, 1), "lmpop");
    same(counted_into("zdiffstore", -4, W | D), "zdiffstore");
    same(waits(counted("bzmpop", -5, W, 2)), "bzmpop");
    assert_eq!(overtakes(keyless("script|kill", 2, N, Any)).holds, SCRIPT[1].holds);
    same(waits_if_told(row("xread", -4, R, Keys, Place::Streams { from: 1 })), "xread");
    same(container("xinfo", XINFO), "xinfo");
    same(keyless("swapdb", 3, W | F, Never), "swapdb");
    assert_eq!(format!("{:?}", about("xgroup|setid", -5, W)), format!("{:?}", XGROUP[2]));
}
