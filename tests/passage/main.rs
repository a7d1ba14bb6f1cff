//! Proves that requests are seen as redis-server sees them, whoever is to run them: the facts of each command, and which
//! arguments are keys. The server's answers are in `redis_7_0.txt`, or in the file that PASSAGE_ANSWERS names;
//! `tests/differential/passage.py` asks a server anew.

use coldplate::protocol::command::flags::{flag, names};
use coldplate::protocol::command::passage::{Goes, Holds, Passage, Split, passage};
use coldplate::protocol::resp::{Args, Limits, parse};

/// Each of its lines is a command's facts (`command`), or a request and its keys (`keys`). A word of no bytes is `""`.
fn answers() -> String {
    match std::env::var("PASSAGE_ANSWERS") {
        Ok(path) => std::fs::read_to_string(&path).expect("the file of answers can be read"),
        Err(_) => include_str!("redis_7_0.txt").to_owned(),
    }
}

fn with_args<T>(words: &[&str], test: impl FnOnce(&Args<'_>) -> T) -> T {
    let sent = words.iter().fold(format!("*{}\r\n", words.len()), |sent, word| {
        let word = word.trim_matches('"');
        sent + &format!("${}\r\n{word}\r\n", word.len())
    });
    let mut places = Vec::new();
    parse(sent.as_bytes(), &Limits::default(), &mut places).expect("it is well formed").expect("it is whole");
    test(&Args::new(sent.as_bytes(), &places, &mut []))
}

/// The passage of a command by its name, its subcommand behind a bar.
fn named(name: &str) -> &'static Passage {
    let words: Vec<&str> = name.split('|').chain(std::iter::repeat_n("x", 12)).collect();
    let least = 1 + name.matches('|').count();
    let found = (least..words.len()).find_map(|argc| with_args(&words[..argc], |args| passage(args).ok()));
    let found = found.unwrap_or_else(|| panic!("{name} is refused whatever its arguments"));
    assert_eq!(found.name, name);
    found
}

/// Commands that go elsewhere than redis-server's own hints say: to any server, or to none, since they are about the process
/// that is asked.
const ELSEWHERE: [&str; 18] = [
    "config|set",
    "function|stats",
    "info",
    "latency|doctor",
    "latency|graph",
    "latency|histogram",
    "latency|history",
    "latency|latest",
    "latency|reset",
    "memory|doctor",
    "memory|malloc-stats",
    "memory|purge",
    "memory|stats",
    "ping",
    "randomkey",
    "slowlog|get",
    "slowlog|len",
    "slowlog|reset",
];

#[test]
fn facts_are_those_of_the_server() {
    let answers = answers();
    let mut commands = 0;
    for line in answers.lines().filter_map(|line| line.strip_prefix("command ")) {
        let [name, arity, first, last, step, flags, tips] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("not seven facts: {line}");
        };
        commands += 1;
        // The request that names a container alone is refused, and so has no passage.
        let is_container = answers.contains(&format!("\ncommand {name}|"));
        let found = if is_container { continue } else { named(name) };
        assert_eq!(found.arity.to_string(), arity, "{name}");
        let (ours_first, ours_last, ours_step) = found.place.in_short();
        assert_eq!(
            [ours_first.to_string(), ours_last.to_string(), ours_step.to_string()],
            [first, last, step],
            "{name}"
        );
        let mut ours: Vec<&str> = names(found.flags, flag::NAMES).collect();
        let mut theirs: Vec<&str> = flags.split(',').filter(|name| *name != "-").collect();
        ours.sort_unstable();
        theirs.sort_unstable();
        assert_eq!(ours, theirs, "{name}");
        assert_eq!(found.split != Split::No, tips.contains("multi_shard") && name != "msetnx", "{name}");
        let all = tips.contains("all_shards") || tips.contains("all_nodes");
        let goes_to_all = matches!(found.goes, Goes::All(_) | Goes::Never);
        assert!(!all || goes_to_all || ELSEWHERE.contains(&name), "{name} goes to {:?}", found.goes);
        let blocks = matches!(found.holds, Holds::Blocks | Holds::BlocksIfTold) || found.goes == Goes::Never;
        assert!(!found.has(flag::BLOCKING) || blocks, "{name} holds {:?}", found.holds);
    }
    assert!(commands >= 360, "{commands} commands: not all of a server's");
}

#[test]
fn keys_are_those_of_the_server() {
    let mut requests = 0;
    for line in answers().lines().filter_map(|line| line.strip_prefix("keys ")) {
        let (request, theirs) = line.split_once(" = ").expect("a request and its keys");
        let words: Vec<&str> = request.split(' ').collect();
        let theirs: Vec<&str> = theirs.split(' ').filter(|word| *word != "-").collect();
        with_args(&words, |args| {
            let found = passage(args).unwrap_or_else(|refusal| panic!("{request}: {refusal}"));
            assert!(found.is_known(), "{request} is not known");
            // Channels are where keys would be, and a node looks for their slot; yet they are no keys.
            if found.has(flag::PUBSUB) {
                return assert!(theirs.is_empty(), "{request}");
            }
            let positions = found.keys(args);
            let ours: Vec<&str> = positions.map(|place| words[place]).collect();
            // A server finds no key where PFMERGE reads none; yet it writes one. And where STREAMS leaves no key, it looks
            // for another STREAMS, and then refuses what it has found.
            let is_alone = words[0] == "pfmerge" && words.len() == 2;
            let is_nonsense = ours.is_empty() && found.holds == Holds::BlocksIfTold;
            if !is_alone && !is_nonsense {
                assert_eq!(ours, theirs, "{request}");
            }
            assert_eq!(ours.len(), positions.len(), "{request}");
            assert!(positions.count() == 0 || found.goes == Goes::Keys, "{request} has keys and goes elsewhere");
        });
        requests += 1;
    }
    assert!(requests >= 1_000, "{requests} requests: too few to prove anything");
}
