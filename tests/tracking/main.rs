//! Proves what CLIENT TRACKING tells: engines without a shell on one, two and three cores, clients on each, letters that
//! the test carries. Each case asks and listens on connections of different cores, and keys live where they live.
//! Here: keys that were read. `modes.rs`: options, prefixes, redirection. `ends.rs`: flushes, bounds, hot keys.
//! `caches.rs`: clients that keep what they read, over random histories.

mod caches;
mod ends;
mod modes;
#[path = "../rig/mod.rs"]
mod rig;

use coldplate::engine::Settings;
use rig::{Client, Rig};

/// Cores whose clients fall behind soon.
fn start(cores: usize) -> Rig {
    Rig::with(cores, Settings { client_output_bytes_max: 64 * 1024, ..Settings::default() })
}

/// A new connection of a core, counted around; with `HELLO 3` if asked for.
fn connect(rig: &mut Rig, core: usize, resp3: bool) -> Client {
    let core = core % rig.engines.len();
    let client = rig.open((core, rig.opened));
    if resp3 {
        assert!(rig.say(client, "HELLO 3").starts_with("%7"));
    }
    client
}

/// On one, two and three cores, with each core as the one whose keys are used.
fn everywhere(case: impl Fn(&mut Rig, &str)) {
    for cores in 1..=3 {
        for owner in 0..cores {
            let mut rig = start(cores);
            let key = rig.key_of(owner);
            case(&mut rig, &key);
        }
    }
}

fn invalidate(keys: &[&str]) -> String {
    let bulks: String = keys.iter().map(|key| format!("${}\r\n{key}\r\n", key.len())).collect();
    format!(">2\r\n$10\r\ninvalidate\r\n*{}\r\n{bulks}", keys.len())
}

const FORGET: &str = ">2\r\n$10\r\ninvalidate\r\n_\r\n";

#[test]
fn a_key_that_was_read_is_told_once() {
    everywhere(|rig, key| {
        let (reader, writer) = (connect(rig, 0, true), connect(rig, 1, false));
        rig.ok(reader, "CLIENT TRACKING ON");
        rig.ok(writer, &format!("SET {key} 1"));
        assert_eq!(rig.heard(reader), "", "it was not read");
        assert_eq!(rig.say(reader, &format!("GET {key}")), "$1\r\n1\r\n");
        for (change, told) in [(format!("SET {key} 2"), true), (format!("SET {key} 3"), false)] {
            rig.ok(writer, &change);
            assert_eq!(rig.heard(reader), if told { invalidate(&[key]) } else { String::new() });
        }
        // Whatever reads counts, and whatever changes.
        let reads = ["STRLEN", "TTL", "EXISTS", "TYPE", "MGET", "TOUCH", "OBJECT ENCODING", "GETRANGE"];
        let changes = [
            "APPEND $ x",
            "INCRBYFLOAT $ 1",
            "EXPIRE $ 100",
            "PERSIST $",
            "MSET $ 1",
            "GETDEL $",
            "SETEX $ 100 1",
            "DEL $",
        ];
        for (read, change) in reads.iter().zip(changes) {
            let tail = if *read == "GETRANGE" { " 0 1" } else { "" };
            rig.ok(writer, &format!("SET {key} 5"));
            if change.starts_with("PERSIST") {
                rig.say(writer, &format!("EXPIRE {key} 100"));
            }
            rig.say(reader, &format!("{read} {key}{tail}"));
            rig.say(writer, &change.replace('$', key));
            assert_eq!(rig.heard(reader), invalidate(&[key]), "{read}, {change}");
        }
        // A write is no read, not even one that answers the value.
        rig.say(reader, &format!("SET {key} 1 GET"));
        rig.say(writer, &format!("SET {key} 2"));
        assert_eq!(rig.heard(reader), "");
        rig.say(reader, &format!("GET {key}"));
        rig.ok(reader, "CLIENT TRACKING OFF");
        rig.say(writer, &format!("SET {key} 2"));
        assert_eq!(rig.heard(reader), "");
        // As in Redis, the table knows nothing of OFF. Absence is a value too.
        rig.ok(reader, "CLIENT TRACKING ON");
        rig.say(reader, &format!("GET {key}"));
        rig.ok(reader, "CLIENT TRACKING OFF");
        rig.ok(reader, "CLIENT TRACKING ON");
        rig.say(writer, &format!("DEL {key}"));
        assert_eq!(rig.heard(reader), invalidate(&[key]));
        rig.say(reader, &format!("GET {key}"));
        rig.ok(writer, &format!("SET {key} 1"));
        assert_eq!(rig.heard(reader), invalidate(&[key]));
    });
}

/// The reader changes the key itself: it is told behind the reply, or not at all with NOLOOP. Others are told either way.
#[test]
fn noloop_spares_the_author_alone() {
    everywhere(|rig, key| {
        let (me, other) = (connect(rig, 0, true), connect(rig, 1, true));
        rig.ok(other, "CLIENT TRACKING ON");
        for noloop in [false, true] {
            rig.ok(me, "CLIENT TRACKING OFF");
            rig.ok(me, if noloop { "CLIENT TRACKING ON NOLOOP" } else { "CLIENT TRACKING ON" });
            rig.say(me, &format!("GET {key}"));
            rig.say(other, &format!("GET {key}"));
            let own = if noloop { String::new() } else { invalidate(&[key]) };
            assert_eq!(rig.say(me, &format!("SET {key} 1")), format!("+OK\r\n{own}"));
            assert_eq!(rig.heard(other), invalidate(&[key]));
            // What is read behind an own change is kept in mind again, in one turn too.
            let get = format!("GET {key}");
            rig.tell(me, &get);
            rig.tell(me, &format!("MSET {key} 2"));
            rig.tell(me, &get);
            rig.settle();
            rig.heard(me);
            rig.say(other, &format!("INCR {key}"));
            assert_eq!(rig.heard(me), invalidate(&[key]), "noloop {noloop}");
        }
    });
}

/// A pipeline in one chunk: a value that was read before an own change, and one that was read behind it.
#[test]
fn an_own_change_takes_no_later_read_with_it() {
    everywhere(|rig, key| {
        let (me, other) = (connect(rig, 0, true), connect(rig, 1, false));
        rig.ok(me, "CLIENT TRACKING ON NOLOOP");
        let lines = [format!("GET {key}"), format!("SET {key} 1"), format!("GET {key}")];
        assert_eq!(rig.say(me, &lines.join("\n")), "_\r\n+OK\r\n$1\r\n1\r\n");
        rig.ok(other, &format!("SET {key} 2"));
        assert_eq!(rig.heard(me), invalidate(&[key]));
    });
}

/// However turns and letters fall, an invalidation never comes before the reply that it is about, and one follows every
/// value that is stale in the end.
#[test]
fn the_word_comes_behind_the_value() {
    for steps in 0..6 {
        everywhere(|rig, key| {
            let (reader, writer) = (connect(rig, 0, true), connect(rig, 1, false));
            rig.ok(reader, "CLIENT TRACKING ON");
            rig.ok(writer, &format!("SET {key} old"));
            rig.tell(reader, &format!("GET {key}"));
            for _ in 0..steps {
                rig.step();
            }
            rig.tell(writer, &format!("SET {key} new"));
            for _ in 0..steps / 2 {
                rig.step();
            }
            rig.tell(reader, "PING");
            rig.settle();
            let told = rig.heard(reader);
            let (old, new) = ("$3\r\nold\r\n", "$3\r\nnew\r\n");
            let word = invalidate(&[key]);
            match told.strip_prefix(old) {
                Some(behind) => assert!(behind.contains(&word), "{told}"),
                None => assert_eq!(told, format!("{new}+PONG\r\n")),
            }
        });
    }
}

#[test]
fn several_keys_are_told_one_by_one_and_outside_of_replies() {
    everywhere(|rig, _| {
        let (reader, writer) = (connect(rig, 0, true), connect(rig, 1, false));
        rig.ok(reader, "CLIENT TRACKING ON");
        rig.ok(writer, "MSET a 1 b 2 c 3");
        rig.tell(reader, "MGET a b c");
        rig.tell(writer, "MSET a 4 b 5");
        rig.settle();
        let told = rig.heard(reader);
        let (reply, pushes) = told.split_once(">2").expect("it is told");
        assert_eq!(reply.matches("$1").count(), 3, "{told}");
        rig.heard(writer);
        rig.ok(writer, "MSET a 6 b 7 c 8");
        let later = rig.heard(reader);
        for (key, old) in [("a", "\r\n1\r\n"), ("b", "\r\n2\r\n"), ("c", "none")] {
            // Whatever was answered is told of once: of the first change if that came behind it, else of the second.
            let words = [&format!(">2{pushes}"), &later].map(|told| told.matches(&invalidate(&[key])).count());
            assert_eq!(words, if reply.contains(old) { [1, 0] } else { [0, 1] }, "{told}{later}");
        }
    });
}

/// Keys that expire or are evicted are told, whether somebody meets them or not; to NOLOOP clients as well.
#[test]
fn expiry_is_nobodys_doing() {
    for meets in [false, true] {
        everywhere(|rig, key| {
            let reader = connect(rig, 0, true);
            rig.ok(reader, "CLIENT TRACKING ON NOLOOP");
            rig.ok(reader, &format!("SET {key} 1 PX 1"));
            rig.say(reader, &format!("GET {key}"));
            rig.mono_us += 1_000_000;
            let reply = if meets { rig.say(reader, &format!("GET {key}")) } else { String::new() };
            // A tick in the first turns, what it has found in the second.
            rig.settle();
            rig.settle();
            let word = format!("{reply}{}", rig.heard(reader));
            assert_eq!(word.replace("_\r\n", ""), invalidate(&[key]));
        });
    }
}
