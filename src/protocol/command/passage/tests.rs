//! The passages against themselves and our own table; tests/passage compares them with a server.

use super::*;
use crate::protocol::command::tests::with_args;
use crate::protocol::command::{lookup, resolve, rows};
use std::collections::HashSet;

/// A test on a request, its words apart by blanks.
fn asked<T>(request: &str, test: impl FnOnce(&Args<'_>) -> T) -> T {
    let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
    with_args(&words, test)
}

fn found(request: &str) -> &'static Passage {
    asked(request, |args| passage(args).expect("it may pass"))
}

fn keys(request: &str) -> Vec<usize> {
    asked(request, |args| passage(args).expect("it may pass").keys(args).collect())
}

fn refusal(request: &str) -> String {
    asked(request, |args| passage(args).expect_err("it may not pass").to_string())
}

/// Others' rows, and those of their containers and of ours.
fn foreign() -> impl Iterator<Item = &'static Passage> {
    let nested = foreign::ROWS.iter().flat_map(|row| std::iter::once(row).chain(row.subcommands));
    nested.chain(foreign::SCRIPT).chain(foreign::FUNCTION)
}

/// Proves that what only other servers run is in no way ours: embedded, it stays an unknown command.
#[test]
fn what_others_run_is_unknown_here() {
    let mut seen = HashSet::new();
    for row in foreign() {
        assert!(seen.insert(row.name), "{} is there twice", row.name);
        assert!(row.command.is_none() && row.arity != 0, "{}", row.name);
        assert!(row.name.bytes().all(|byte| byte.is_ascii_lowercase() || b"|-_".contains(&byte)), "{}", row.name);
        if !row.name.contains('|') {
            assert!(lookup(row.name.as_bytes()).is_none(), "{} is ours", row.name);
        }
        let says_keys = row.place == Place::Nowhere && row.subcommands.is_empty();
        assert_eq!(says_keys, row.goes != Goes::Keys && row.subcommands.is_empty(), "{}", row.name);
    }
    for (container, name) in [("xgroup", 6), ("xinfo", 4), ("acl", 13), ("module", 5)] {
        assert_eq!(foreign().filter(|row| row.name.starts_with(&format!("{container}|"))).count(), name);
    }
}

/// Proves that each name is found in any case, and nothing by a name cut, longer or changed.
#[test]
fn names_are_found_whole() {
    let ours = rows().map(|spec| of(spec.command));
    let all: Vec<&Passage> = ours.chain(foreign::ROWS).collect();
    let known: HashSet<&str> = all.iter().map(|passage| passage.name).collect();
    let check = |name: &[u8]| {
        let lower = String::from_utf8_lossy(name).to_ascii_lowercase();
        let found = index::lookup(name).map(|passage| passage.name);
        assert_eq!(found, known.get(&*lower).copied(), "{}", name.escape_ascii());
    };
    for name in known.iter().map(|name| name.as_bytes()) {
        check(name);
        check(&name.to_ascii_uppercase());
        for cut in 0..name.len() {
            check(&name[..cut]);
            check(&name[cut..]);
            for byte in [b'@', b'`', b'!', b'x', b'_', 0] {
                let mut changed = name.to_vec();
                changed[cut] = byte;
                check(&changed);
            }
        }
        check(&[name, b"x"].concat());
        check(&[name, &[b' '; 300]].concat());
    }
}

/// Proves that a request of our own table is the same command, with the same keys, by both ways.
#[test]
fn our_own_commands_pass_as_they_run() {
    for spec in rows().flat_map(|spec| std::iter::once(spec).chain(spec.subcommands)) {
        assert_eq!(of(spec.command).name, spec.name);
        for more in 0..4 {
            let mut words: Vec<&str> = spec.name.split('|').collect();
            words.resize((usize::from(spec.arity.unsigned_abs()) + more).max(words.len()), "7");
            asked(&words.join(" "), |args| {
                if let Ok(spec) = resolve(args) {
                    let passage = passage(args).expect("what runs may pass");
                    assert_eq!(passage.command, Some(spec.command));
                    assert!(passage.keys(args).eq(spec.keys.positions(args.len())), "{}", spec.name);
                }
            });
        }
    }
}

#[test]
fn keys_stand_where_they_may_move_to() {
    let cases: &[(&str, &[usize])] = &[
        ("GET k", &[1]),
        ("MSET a 1 b 2", &[1, 3]),
        ("bitop and d a b", &[2, 3, 4]),
        ("EVAL s 2 a b c", &[3, 4]),
        ("EVAL s 0 a", &[]),
        ("EVAL s 3 a b", &[]),
        ("EVAL s 02 a b", &[]),
        ("EVAL s 99999999999999999999 a b", &[]),
        ("EVAL s 18446744073709551615 a b", &[]),
        ("ZUNIONSTORE d 2 a b WEIGHTS 1 2", &[1, 3, 4]),
        ("ZUNIONSTORE d x a b", &[]),
        ("BLMPOP 0 2 a b LEFT", &[3, 4]),
        ("BLPOP a b 0", &[1, 2]),
        ("XREAD COUNT 2 STREAMS a b 0 0", &[4, 5]),
        ("XREAD COUNT 2 STREAMS a b 0", &[4]),
        ("XREAD COUNT 2 STREAMS", &[]),
        ("XREADGROUP GROUP g c STREAMS s >", &[5]),
        ("SORT l BY store GET store LIMIT 0 STORE STORE d", &[1, 10]),
        ("SORT l STORE a STORE b", &[1, 5]),
        ("SORT l STORE", &[1]),
        ("GEORADIUS g 1 1 1 m STORE d STOREDIST e", &[1, 7, 9]),
        ("GEORADIUS g 1 1 1 m STORE", &[1]),
        ("MIGRATE h 1 k 0 9", &[3]),
        ("MIGRATE h 1 k 0 9 KEYS a", &[]),
        ("XGROUP CREATE s g $", &[2]),
        ("OBJECT ENCODING k", &[2]),
        ("MSETEX 2 a 1 b 2 NX", &[2, 4]),
        ("MSETEX 2 a 1 b", &[]),
        ("SPUBLISH c m", &[1]),
        ("JSON.SET k $ 1", &[1]),
        ("PING", &[]),
    ];
    for (request, places) in cases {
        assert_eq!(keys(request), *places, "{request}");
    }
    let migrate: &[&[u8]] = &[b"migrate", b"h", b"1", b"", b"0", b"9", b"AUTH2", b"keys", b"keys", b"KEYS", b"a", b"b"];
    let places: Vec<usize> = with_args(migrate, |args| passage(args).expect("it may pass").keys(args).collect());
    assert_eq!(places, [10, 11]);
}

/// Proves that numbers of keys up to the largest request neither overflow nor reach past its end.
#[test]
fn a_count_never_reaches_past_the_end() {
    for count in [1, 2, 3, 4, 5, 1 << 31, 1 << 32, u64::MAX / 2, u64::MAX / 2 + 1, u64::MAX] {
        for name in ["MSETEX", "ZMPOP", "LMPOP"] {
            let places = keys(&format!("{name} {count} a b c d"));
            assert!(places.iter().all(|place| (2..6).contains(place)), "{name} {count}: {places:?}");
        }
    }
}

#[test]
fn a_connection_of_its_own_is_asked_for_when_it_is_needed() {
    let cases = [
        ("GET k", Holds::Nothing),
        ("MULTI", Holds::Begins),
        ("EXEC", Holds::Ends),
        ("discard", Holds::Ends),
        ("WATCH k", Holds::Watches),
        ("UNWATCH", Holds::Unwatches),
        ("BLPOP k 0", Holds::Blocks),
        ("BZMPOP 0 1 k MIN", Holds::Blocks),
        ("SUBSCRIBE c", Holds::Listens),
        ("SSUBSCRIBE c", Holds::Listens),
        ("UNSUBSCRIBE", Holds::Unlistens),
        ("MONITOR", Holds::Monitors),
        ("RESET", Holds::Resets),
        ("XREAD STREAMS k 0", Holds::Nothing),
        ("XREAD block 0 STREAMS k $", Holds::Blocks),
        ("XREAD STREAMS block 0", Holds::Nothing),
        ("XREADGROUP GROUP BLOCK BLOCK COUNT 1 STREAMS k >", Holds::Nothing),
        ("XREADGROUP GROUP g c COUNT 1 BLOCK 1 STREAMS k >", Holds::Blocks),
        ("XREAD COUNT 1 BLOCK", Holds::Blocks),
        ("XREAD COUNT 1 COUNT", Holds::Nothing),
    ];
    for (request, holds) in cases {
        assert_eq!(asked(request, |args| passage(args).expect("it may pass").holds(args)), holds, "{request}");
    }
}

#[test]
fn only_what_changes_nothing_is_a_read() {
    for request in ["GET k", "HGETALL h", "EVAL_RO s 0", "XREAD STREAMS k 0", "DBSIZE", "SORT_RO l", "PFCOUNT k"] {
        assert!(found(request).is_read(), "{request}");
    }
    for request in ["SET k v", "SORT l", "EVAL s 0", "FCALL f 0", "GETEX k", "JSON.GET k", "PUBLISH c m", "WATCH k"] {
        assert!(!found(request).is_read(), "{request}");
    }
}

/// Proves that refusals are a server's, and that a request for whoever has its key is never refused for being too long.
#[test]
fn refusals_are_those_of_a_server() {
    assert_eq!(refusal("HGET k"), "ERR wrong number of arguments for 'hget' command");
    assert_eq!(refusal("get"), "ERR wrong number of arguments for 'get' command");
    assert_eq!(refusal("XGROUP"), "ERR wrong number of arguments for 'xgroup' command");
    assert_eq!(refusal("XGROUP CREATE k"), "ERR wrong number of arguments for 'xgroup|create' command");
    assert_eq!(refusal("XGROUP Nope k"), "ERR unknown subcommand 'Nope'. Try XGROUP HELP.");
    assert_eq!(refusal("client nope"), "ERR unknown subcommand 'nope'. Try CLIENT HELP.");
    assert_eq!(refusal("MULTI x"), "ERR wrong number of arguments for 'multi' command");
    assert_eq!(refusal("SCRIPT LOAD"), "ERR wrong number of arguments for 'script|load' command");
    assert!(with_args(&[b""], |args| !passage(args).expect("a name of no bytes").is_known()));
    assert_eq!(found("HGET k f more").name, "hget");
    assert_eq!(found("script EXISTS a").name, "script|exists");
    assert_eq!(found("Script load x").name, "script|load");
    assert!(!found("NOPE").is_known() && keys("NOPE").is_empty());
}

#[test]
fn positions_count_what_is_left() {
    asked("ZUNIONSTORE d 2 a b", |args| {
        let mut places = passage(args).expect("it may pass").keys(args);
        assert_eq!(places.first(), Some(1));
        for left in (0..3).rev() {
            assert!(places.next().is_some());
            assert_eq!(places.len(), left);
        }
        assert_eq!(places.next(), None);
    });
}

/// Proves that the constructors that the compiler ran make the same at run time.
#[test]
fn rows_are_made_alike_at_run_time() {
    foreign::check_constructors();
    own::check_constructors();
    index::check_constructors();
}
