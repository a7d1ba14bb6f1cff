//! OBJECT: how a value would be kept in Redis, and what its history byte says.

use super::Request;
use crate::keyspace::item::{Header, LARGE, RAW};
use crate::keyspace::shard::Shard;
use crate::keyspace::slab::ItemRef;
use crate::protocol::command::Command;
use crate::protocol::resp::{Reply, parse_i64};

const NO_LFU: &str = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
                      switching between policies at runtime LRU and LFU data will take some time to adjust.";
const LFU: &str = "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching \
                   between policies at runtime LRU and LFU data will take some time to adjust.";
/// Redis keeps a string of so many bytes in one allocation with its object.
const EMBEDDED_BYTES_MAX: usize = 44;
/// Numbers whose objects Redis makes once, and the references that it says they have.
const SHARED_NUMBERS: std::ops::Range<i64> = 0..10_000;
const SHARED: i64 = i32::MAX as i64;

/// OBJECT ENCODING | FREQ | IDLETIME | REFCOUNT of one key, which is `args[1]` here as of any operation.
///
/// - ENCODING answers what Redis would, from the value's bytes. Nobody remembers that INCRBYFLOAT has written a whole
///   number, which Redis then keeps as `embstr`; here it is `int`.
/// - IDLETIME answers 0. The history byte counts in turnover of the cache, not in seconds, and is not kept at all without
///   an eviction policy that reads it.
/// - REFCOUNT answers 1, or what Redis says of an object that many keys share. Here none do.
pub fn object(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    let Some(item) = shard.inspect(&request.key(), now_ms) else { return reply.null() };
    match (request.command, shard.frequency(item)) {
        (Command::ObjectFreq, Some(frequency)) => reply.integer(i64::from(frequency)),
        (Command::ObjectFreq, None) => reply.error(NO_LFU),
        (Command::ObjectIdleTime, None) => reply.integer(0),
        (Command::ObjectIdleTime, Some(_)) => reply.error(LFU),
        (Command::ObjectRefCount, _) => reply.integer(if shard.is_shared(item) { SHARED } else { 1 }),
        _ => {
            reply.bulk(shard.encoding(item).as_bytes());
        }
    }
}

impl Shard {
    /// The encoding that Redis would keep a value in.
    pub fn encoding(&self, item: ItemRef) -> &'static str {
        match self.value(item).bytes() {
            _ if was_edited(self, item) => "raw",
            value if parse_i64(value).is_some() => "int",
            value if value.len() <= EMBEDDED_BYTES_MAX => "embstr",
            _ => "raw",
        }
    }
}

impl Shard {
    /// Whether Redis would share the value with other keys: a small number, unless each object keeps its own history.
    fn is_shared(&self, item: ItemRef) -> bool {
        let small = parse_i64(self.value(item).bytes()).is_some_and(|number| SHARED_NUMBERS.contains(&number));
        small && self.encoding(item) == "int" && !self.policy.has_history()
    }
}

/// MEMORY USAGE of one key, which is `args[1]` here: its item, its share of its slot's table, and its record if it is large.
pub fn usage(shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    match shard.find(&request.key(), now_ms) {
        Some(item) => reply.integer(shard.item_bytes(item) as i64),
        None => reply.null(),
    }
}

/// Whether the value is what an edit in place made of it. Of a large item that is not known.
fn was_edited(shard: &Shard, item: ItemRef) -> bool {
    let header = Header::read(shard.slab.bytes(item));
    header.has(RAW) && !header.has(LARGE)
}

#[cfg(test)]
mod tests {
    use super::super::apply;
    use super::*;
    use crate::keyspace::{Policy, ShardOptions};
    use crate::protocol::resp::{Arg, Args, Output, Proto};
    use crate::types::Slot;

    fn run(shard: &mut Shard, command: Command, words: &[&str]) -> String {
        let mut at = 0;
        let mut args = vec![Arg::text(0, 0)];
        for word in words {
            args.push(Arg::text(at, word.len()));
            at += word.len();
        }
        let text = words.concat();
        let hash = shard.hash(words[0].as_bytes());
        let args = Args::new(text.as_bytes(), &args, &mut []);
        let mut request = Request { command, args, slot: Slot(0), hash, hint: None };
        let mut out = Output::default();
        apply(shard, 1, &mut request, &mut Reply { out: &mut out, proto: Proto::Resp2 });
        String::from_utf8(out.flatten()).expect("these replies are text")
    }

    fn shard() -> Shard {
        Shard::new(&ShardOptions { hash_seed: [1, 2, 3, 4], draw_seed: 5, place: |_| Slot(0) })
    }

    /// Encodings as redis-server 7.0 answers them after the same commands.
    #[test]
    fn encodings_are_those_of_redis() {
        let (long, longer) = ("x".repeat(44), "x".repeat(45));
        for (value, encoding) in [
            ("0", "int"),
            ("-9223372036854775808", "int"),
            ("9223372036854775808", "embstr"),
            ("007", "embstr"),
            ("", "embstr"),
            (&long, "embstr"),
            (&longer, "raw"),
        ] {
            let mut shard = shard();
            run(&mut shard, Command::Set, &["k", value]);
            let answer = run(&mut shard, Command::ObjectEncoding, &["k"]);
            assert_eq!(answer, format!("${}\r\n{encoding}\r\n", encoding.len()), "{value}");
        }
        let mut shard = shard();
        run(&mut shard, Command::Append, &["k", "1"]);
        assert_eq!(run(&mut shard, Command::ObjectEncoding, &["k"]), "$3\r\nint\r\n");
        for (command, words) in [
            (Command::Append, &["k", "1"][..]),
            (Command::SetRange, &["k", "0", "5"]),
            (Command::Expire, &["k", "100"]),
            (Command::SetRange, &["new", "0", "5"]),
        ] {
            run(&mut shard, command, words);
            assert_eq!(run(&mut shard, Command::ObjectEncoding, &words[..1]), "$3\r\nraw\r\n", "{command:?}");
        }
        run(&mut shard, Command::Incr, &["k"]);
        assert_eq!(run(&mut shard, Command::ObjectEncoding, &["k"]), "$3\r\nint\r\n");
    }

    /// As in Redis, a small number is an object that all its keys share, unless each key's object keeps its own history.
    #[test]
    fn small_numbers_are_shared() {
        let mut shard = shard();
        for (value, count) in
            [("0", "2147483647"), ("9999", "2147483647"), ("10000", "1"), ("-1", "1"), ("007", "1"), ("x", "1")]
        {
            run(&mut shard, Command::Set, &["k", value]);
            assert_eq!(run(&mut shard, Command::ObjectRefCount, &["k"]), format!(":{count}\r\n"), "{value}");
        }
        run(&mut shard, Command::Set, &["k", "12"]);
        run(&mut shard, Command::SetRange, &["k", "0", "3"]);
        assert_eq!(run(&mut shard, Command::ObjectRefCount, &["k"]), ":1\r\n", "it was edited");
        run(&mut shard, Command::Incr, &["k"]);
        assert_eq!(run(&mut shard, Command::ObjectRefCount, &["k"]), ":2147483647\r\n");
        shard.set_policy(Policy::VolatileLru, 5);
        assert_eq!(run(&mut shard, Command::ObjectRefCount, &["k"]), ":1\r\n");
    }

    /// The history byte is read under the policy that keeps it, a missing key is null under any, and asking is no use.
    #[test]
    fn history_is_told_under_its_policy() {
        let mut shard = shard();
        run(&mut shard, Command::Set, &["k", "v"]);
        assert!(
            run(&mut shard, Command::ObjectFreq, &["k"]).starts_with("-ERR An LFU maxmemory policy is not selected")
        );
        assert_eq!(run(&mut shard, Command::ObjectIdleTime, &["k"]), ":0\r\n");
        assert_eq!(run(&mut shard, Command::ObjectRefCount, &["k"]), ":1\r\n");
        shard.set_policy(Policy::AllKeysLfu, 5);
        assert!(
            run(&mut shard, Command::ObjectIdleTime, &["k"]).starts_with("-ERR An LFU maxmemory policy is selected")
        );
        run(&mut shard, Command::Set, &["used", "v"]);
        run(&mut shard, Command::Set, &["new", "v"]);
        (0..1000).for_each(|_| drop(run(&mut shard, Command::Get, &["used"])));
        let freq = |shard: &mut Shard, key| {
            run(shard, Command::ObjectFreq, &[key]).trim_start_matches(':').trim_end().parse::<u8>().expect("a count")
        };
        let (used, new) = (freq(&mut shard, "used"), freq(&mut shard, "new"));
        assert!(used > 60 && new > 0 && used > new, "{used} {new}");
        assert_eq!(freq(&mut shard, "used"), used);
        for command in [Command::ObjectFreq, Command::ObjectIdleTime, Command::ObjectEncoding, Command::ObjectRefCount]
        {
            assert_eq!(run(&mut shard, command, &["none"]), "$-1\r\n");
        }
    }
}
