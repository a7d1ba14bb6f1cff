//! Engines that are asked every command of the table, with arguments that commands look for: every request is answered
//! by well-formed replies, and who sent none that takes it away can still be served at the end.

use crate::pieces::run_bytes;
use crate::rig::{CLIENTS, CORES_MAX, Rig};
use crate::wire::{assert_replies, encode};
use arbitrary::{Arbitrary, Unstructured};
use coldplate::engine::Settings;
use coldplate::protocol::command::rows;
use std::sync::OnceLock;

#[derive(Arbitrary, Debug)]
struct Play {
    cores: u8,
    hot: bool,
    acts: Vec<Act>,
}

#[derive(Arbitrary, Debug)]
enum Act {
    /// A request; where `waits` is not set, the next one comes before it has been answered.
    Ask {
        client: u8,
        waits: bool,
        command: u8,
        words: Vec<Word>,
    },
    /// The same once more.
    Again {
        client: u8,
        waits: bool,
    },
    Pass {
        ms: u16,
    },
    Replace {
        client: u8,
    },
}

#[derive(Arbitrary, Debug)]
enum Word {
    Key(u8),
    Known(u8),
    Small(i8),
    Number(i64),
    Text(Vec<u8>),
    Run { byte: u8, code: u8 },
}

/// Words that commands look for, and values at the edges of what they take.
#[rustfmt::skip]
const KNOWN: [&str; 128] = [
    "", "0", "1", "-1", "2", "3", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "4294967295",
    "18446744073709551615", "1.5", "-0.1", "1e300", "inf", "nan", "1700000000", "1700000001000", "NX", "XX", "GT", "LT",
    "EX", "PX", "EXAT", "PXAT", "KEEPTTL", "GET", "PERSIST", "REPLACE", "ABSTTL", "IDLETIME", "FREQ", "MATCH", "COUNT",
    "TYPE", "string", "LEN", "IDX", "MINMATCHLEN", "WITHMATCHLEN", "AND", "OR", "XOR", "NOT", "BIT", "BYTE", "OVERFLOW",
    "SAT", "WRAP", "FAIL", "INCRBY", "SET", "u8", "i64", "u63", "i5", "u1", "#1", "#0", "ON", "OFF", "SKIP", "BCAST",
    "PREFIX", "NOLOOP", "OPTIN", "OPTOUT", "REDIRECT", "YES", "NO", "TIMEOUT", "ERROR", "ALL", "WRITE", "ID", "ADDR",
    "LADDR", "USER", "default", "SKIPME", "NORMAL", "PUBSUB", "MASTER", "ASYNC", "SYNC", "maxmemory", "1000", "100kb",
    "maxmemory-policy", "allkeys-lfu", "volatile-ttl", "noeviction", "notify-keyspace-events", "KEA", "AKE", "*", "k*",
    "?[a-c]\\*", "AUTH", "SETNAME", "name", "LIB-NAME", "slowlog-log-slower-than", "latency-tracking", "hot",
    "hot-promote-ops", "client-output-buffer-limit", "normal 4096 1024 1", "pubsub 4096 0 0", "__keyspace@0__:k1",
    "__keyevent@0__:set", "CPU", "NET", "METRICS", "DURATION", "SAMPLE", "SLOTS", "SLOTSRANGE", "ORDERBY", "ASC", "server",
    "commandstats", "get", "config|get", "POPULATE", "DIGEST", "RELOAD",
];

/// The names of all commands that are run, each as its one or two words.
fn names() -> &'static [Vec<&'static str>] {
    static NAMES: OnceLock<Vec<Vec<&'static str>>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let own = |spec: &&'static coldplate::protocol::Spec| spec.subcommands.is_empty();
        let all = rows().flat_map(|row| Some(row).filter(own).into_iter().chain(row.subcommands));
        all.map(|spec| spec.name.split('|').collect()).collect()
    })
}

impl Word {
    fn bytes(&self) -> Vec<u8> {
        match self {
            // Some share a slot, and some of those a core with others.
            Word::Key(key) => format!("{}k{}", if key & 8 == 0 { "" } else { "{t}" }, key % 8).into_bytes(),
            Word::Known(at) => KNOWN[usize::from(*at) % KNOWN.len()].as_bytes().to_vec(),
            Word::Small(number) => number.to_string().into_bytes(),
            Word::Number(number) => number.to_string().into_bytes(),
            Word::Text(text) => text.clone(),
            Word::Run { byte, code } => vec![*byte; run_bytes(*code)],
        }
    }
}

/// What one client has asked last, and whether it may be left without an answer in the end.
#[derive(Clone, Default)]
struct Asked {
    wire: Vec<u8>,
    is_lost: bool,
}

/// Whether a request may leave its client, or all of them, waiting or shut out.
fn shuts_out(words: &[Vec<u8>]) -> bool {
    let is = |word: &[u8]| words.iter().any(|own| own.eq_ignore_ascii_case(word));
    is(b"wait") || is(b"pause") || is(b"requirepass") || is(b"maxclients")
}

/// Acts of four clients on up to three cores.
pub fn commands(data: &[u8]) {
    let Ok(play) = Play::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let mut rig = Rig::new(usize::from(play.cores) % CORES_MAX + 1, play.hot, Settings::default());
    let mut asked = vec![Asked::default(); CLIENTS];
    for act in &play.acts {
        let (client, waits) = match act {
            Act::Ask { client, waits, command, words } => {
                let name = &names()[usize::from(*command) % names().len()];
                let name = name.iter().map(|word| word.as_bytes().to_vec());
                let words: Vec<Vec<u8>> = name.chain(words.iter().map(Word::bytes)).collect();
                let client = usize::from(*client) % CLIENTS;
                asked[client].wire = encode(&words);
                asked.iter_mut().for_each(|asked| asked.is_lost |= shuts_out(&words));
                (client, *waits)
            }
            Act::Again { client, waits } => (usize::from(*client) % CLIENTS, *waits),
            Act::Pass { ms } => {
                rig.settle();
                rig.pass(u64::from(*ms) * 1000);
                rig.settle();
                continue;
            }
            Act::Replace { client } => {
                rig.replace(usize::from(*client) % CLIENTS);
                continue;
            }
        };
        if !rig.send(client, &asked[client].wire) {
            break;
        }
        if waits {
            rig.settle();
        }
    }
    rig.settle();
    for client in &mut rig.clients {
        assert_replies(&std::mem::take(&mut client.received));
    }
    if !asked[0].is_lost {
        say_goodbye(&mut rig, &play);
    }
    rig.end();
}

/// Proves that no client that is still there hangs.
fn say_goodbye(rig: &mut Rig, play: &Play) {
    let all_say = |rig: &mut Rig, words: &[&str]| {
        for client in 0..CLIENTS {
            rig.deliver(client, &encode(words));
        }
        rig.settle();
        rig.pass(1000);
        rig.settle();
    };
    rig.replace(CLIENTS - 1);
    rig.deliver(CLIENTS - 1, &encode(&["CLIENT", "UNPAUSE"]));
    rig.settle();
    all_say(rig, &["RESET"]);
    all_say(rig, &["ECHO", "bye"]);
    for (number, client) in rig.clients.iter().enumerate().filter(|(_, client)| client.open) {
        assert_replies(&client.received);
        let last = &client.received[client.received.len().saturating_sub(200)..];
        let served = last.ends_with(b"+RESET\r\n$3\r\nbye\r\n");
        assert!(served, "client {number} hangs behind {}\n{play:?}", last.escape_ascii());
    }
}
