//! The table against itself and against Redis: names, arities, keys, error texts, replies.

mod replies;

use std::collections::HashSet;

use super::flags::{access, category, flag, names};
use super::{Command, CommandError, Spec, lookup, lookup_full, resolve, rows, spec};
use crate::protocol::resp::{Args, Limits, Output, Proto, Reply, parse};

/// COMMAND INFO as redis-server gives it; the first line names the columns.
const REDIS: &str = include_str!("redis_7_0.txt");

/// Each command and subcommand.
fn all() -> impl Iterator<Item = &'static Spec> {
    rows().flat_map(|spec| std::iter::once(spec).chain(spec.subcommands))
}

/// Runs a test on a request of these words, as a client would send it.
pub(super) fn with_args<T>(words: &[&[u8]], test: impl FnOnce(&Args<'_>) -> T) -> T {
    let mut sent = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        sent.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        sent.extend_from_slice(word);
        sent.extend_from_slice(b"\r\n");
    }
    let mut args = Vec::new();
    parse(&sent, &Limits::default(), &mut args).expect("it is well formed").expect("it is whole");
    test(&Args::new(&sent, &args, &mut []))
}

fn reply_to(proto: Proto, write: impl FnOnce(&mut Reply<'_>)) -> Vec<u8> {
    let mut out = Output::default();
    write(&mut Reply { out: &mut out, proto });
    out.flatten()
}

fn refusal(words: &[&[u8]]) -> CommandError {
    with_args(words, |args| resolve(args).expect_err("the request is refused"))
}

/// Proves that a row's facts are Redis's, but for HOTKEYS and the four subcommands that Redis got later.
#[test]
fn facts_equal_those_of_redis() {
    let list = |names: &mut dyn Iterator<Item = &'static str>| {
        let text = names.collect::<Vec<_>>().join(",");
        if text.is_empty() { "-".to_owned() } else { text }
    };
    let line = |spec: &Spec| {
        let keys = spec.keys;
        format!(
            "{} {} {} {} {} {} {} {} {} {} {}",
            spec.name,
            spec.arity,
            keys.first,
            keys.last,
            keys.step,
            spec.group.name(),
            spec.since,
            list(&mut names(spec.flags, flag::NAMES)),
            list(&mut names(spec.categories(), category::NAMES)),
            list(&mut spec.tips.iter().copied()),
            list(&mut names(keys.access, access::NAMES)),
        )
    };
    let ours: Vec<String> = all().filter(|spec| spec.since < "7.2").map(line).collect();
    let mut theirs: Vec<&str> = REDIS.lines().skip(1).collect();
    let mut ours: Vec<&str> = ours.iter().map(String::as_str).collect();
    theirs.sort_unstable();
    ours.sort_unstable();
    assert_eq!(ours, theirs);
    let later = |spec: &&Spec| spec.since >= "7.2" && !spec.name.starts_with("hotkeys");
    assert_eq!(all().filter(later).count(), 4);
}

#[test]
fn names_are_unique_and_lower_case() {
    let mut seen = HashSet::new();
    for spec in all() {
        assert!(seen.insert(spec.name), "{} is there twice", spec.name);
        assert!(spec.name.bytes().all(|byte| byte.is_ascii_lowercase() || b"|-_".contains(&byte)), "{}", spec.name);
        assert!(!spec.summary.is_empty() && !spec.complexity.is_empty() && spec.arity != 0, "{}", spec.name);
    }
}

#[test]
fn each_variant_has_its_row() {
    for (place, command) in Command::ALL.into_iter().enumerate() {
        assert_eq!(command as usize, place);
        assert_eq!(spec(command).command, command);
    }
    assert_eq!(all().count(), Command::ALL.len());
}

#[test]
fn subcommands_stand_under_their_container() {
    for container in rows() {
        assert!(!container.name.contains('|'));
        for sub in container.subcommands {
            assert_eq!(sub.name, format!("{}|{}", container.name, sub.short_name()));
            assert!(sub.subcommands.is_empty());
        }
    }
}

#[test]
fn lookup_takes_any_case() {
    for spec in all() {
        let mixed: String =
            spec.name.chars().enumerate().map(|(i, c)| if i % 2 == 0 { c.to_ascii_uppercase() } else { c }).collect();
        for name in [spec.name, &spec.name.to_ascii_uppercase(), &mixed] {
            let found = lookup_full(name.as_bytes()).expect("the name is in the table");
            assert_eq!(found.command, spec.command);
            let flat = lookup(name.as_bytes()).map(|spec| spec.command);
            assert_eq!(flat, (!name.contains('|')).then_some(spec.command));
        }
    }
}

/// Proves that a name is found only whole: each cut, extension and change of one byte finds nothing,
/// or another name of the table. The bytes tried include those that differ from a letter in bit 5 alone.
#[test]
fn lookup_refuses_near_misses() {
    let known: HashSet<&[u8]> = rows().map(|spec| spec.name.as_bytes()).collect();
    let check = |name: &[u8]| {
        let found = lookup(name).map(|spec| spec.name.as_bytes());
        let lower = name.to_ascii_lowercase();
        assert_eq!(found, known.get(&lower[..]).copied(), "{}", name.escape_ascii());
    };
    check(b"");
    for spec in rows() {
        let name = spec.name.as_bytes();
        for cut in 0..name.len() {
            check(&name[..cut]);
            check(&name[cut..]);
        }
        for byte in 0..=255u8 {
            check(&[name, &[byte]].concat());
            check(&[&[byte], name].concat());
            for place in 0..name.len() {
                let mut changed = name.to_vec();
                changed[place] = byte;
                check(&changed);
            }
        }
        check(&[name, &[b' '; 300]].concat());
    }
}

#[test]
fn arity_counts_the_name() {
    let cases = [(Command::Get, 1, false), (Command::Get, 2, true), (Command::Get, 3, false)];
    let open = [(Command::Set, 2, false), (Command::Set, 3, true), (Command::Set, 9, true), (Command::Ping, 0, false)];
    for (command, argc, fits) in cases.into_iter().chain(open) {
        assert_eq!(spec(command).arity_fits(argc), fits, "{command:?} {argc}");
    }
}

#[test]
fn keys_stay_inside_the_request() {
    let positions = |command, argc| spec(command).keys.positions(argc).collect::<Vec<_>>();
    assert_eq!(positions(Command::Get, 2), [1]);
    assert!(positions(Command::Get, 1).is_empty());
    assert!(positions(Command::Get, 0).is_empty());
    assert_eq!(positions(Command::Del, 4), [1, 2, 3]);
    assert_eq!(positions(Command::MSet, 5), [1, 3]);
    assert_eq!(positions(Command::MSet, 4), [1, 3]);
    assert!(positions(Command::MSet, 0).is_empty());
    assert!(positions(Command::Ping, 2).is_empty());
}

#[test]
fn resolve_descends_into_containers() {
    let cases: &[(&[&[u8]], Command)] = &[
        (&[b"gEt", b"k"], Command::Get),
        (&[b"client", b"SETNAME", b"x"], Command::ClientSetName),
        (&[b"CLIENT", b"no-Evict", b"on"], Command::ClientNoEvict),
        (&[b"command"], Command::Command),
        (&[b"command", b"docs", b"get"], Command::CommandDocs),
        (&[b"CONFIG", b"resetstat"], Command::ConfigResetStat),
    ];
    for (words, command) in cases {
        assert_eq!(with_args(words, |args| resolve(args).expect("it is known").command), *command);
    }
}

/// The texts were read off redis-server 7.0.15.
#[test]
fn refusals_are_worded_as_redis_words_them() {
    let long = [b'n'; 200];
    let n128 = "n".repeat(128);
    let cases: &[(&[&[u8]], String)] = &[
        (&[b"get"], "ERR wrong number of arguments for 'get' command".into()),
        (&[b"GET", b"a", b"b"], "ERR wrong number of arguments for 'get' command".into()),
        (&[b"Client"], "ERR wrong number of arguments for 'client' command".into()),
        (&[b"client", b"setNAME"], "ERR wrong number of arguments for 'client|setname' command".into()),
        (&[b"cliEnt", b"fOo"], "ERR unknown subcommand 'fOo'. Try CLIENT HELP.".into()),
        (&[b"client|id"], "ERR unknown command 'client|id', with args beginning with: ".into()),
        (&[b"eval", b"return 1", b"0"], "ERR unknown command 'eval': Coldplate runs no scripts".into()),
        (&[b"FCALL_RO"], "ERR unknown command 'FCALL_RO': Coldplate runs no scripts".into()),
        (&[b"Foo"], "ERR unknown command 'Foo', with args beginning with: ".into()),
        (&[b"foo", b"a", b"b"], "ERR unknown command 'foo', with args beginning with: 'a' 'b' ".into()),
        (&[b"", b""], "ERR unknown command '', with args beginning with: '' ".into()),
        (&[b"f\r\no", b"a\nb"], "ERR unknown command 'f  o', with args beginning with: 'a b' ".into()),
        (&[b"f\0o", b"a\0b", b"c"], "ERR unknown command 'f', with args beginning with: 'a' 'c' ".into()),
        (&[&long], format!("ERR unknown command '{n128}', with args beginning with: ")),
        (&[b"f", &long, b"x"], format!("ERR unknown command 'f', with args beginning with: '{n128}' ")),
        (
            &[b"f", &long[..100], &long, b"x"],
            format!("ERR unknown command 'f', with args beginning with: '{}' '{}' ", &n128[..100], &n128[..25]),
        ),
        (&[b"config", &long], format!("ERR unknown subcommand '{n128}'. Try CONFIG HELP.")),
    ];
    for (words, text) in cases {
        assert_eq!(refusal(words).to_string(), *text);
    }
    let wire = reply_to(Proto::Resp2, |reply| refusal(&[b"get"]).write(reply));
    assert_eq!(wire, b"-ERR wrong number of arguments for 'get' command\r\n");
    assert_eq!(refusal(&[b"\xff"]).text(), b"ERR unknown command '\xff', with args beginning with: ");
    assert_eq!(refusal(&[]).to_string(), "ERR unknown command '', with args beginning with: ");
}

/// Proves that the good case stays small enough to come back in two registers.
#[test]
fn a_resolution_is_two_words() {
    assert_eq!(size_of::<Result<&Spec, CommandError>>(), 2 * size_of::<usize>());
}
