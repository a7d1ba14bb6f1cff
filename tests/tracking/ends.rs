//! What ends what a client keeps: flushes and bounds; and what hot keys change, which is nothing.

use crate::rig::Rig;
use crate::{FORGET, connect, everywhere, invalidate, start};
use coldplate::types::CoreId;

#[test]
fn a_flush_is_told_once_and_behind_its_reply() {
    everywhere(|rig, key| {
        for flush in ["FLUSHALL", "FLUSHDB ASYNC"] {
            let (reader, bcast, writer) = (connect(rig, 0, true), connect(rig, 1, true), connect(rig, 2, false));
            let resp2 = connect(rig, 0, false);
            rig.ok(reader, "CLIENT TRACKING ON");
            rig.ok(resp2, "CLIENT TRACKING ON");
            rig.ok(bcast, "CLIENT TRACKING ON BCAST NOLOOP");
            rig.ok(writer, &format!("SET {key} 1"));
            rig.heard(bcast);
            rig.say(reader, &format!("MGET {key} other third"));
            assert_eq!(rig.figure(reader, "tracking_total_keys"), 3);
            rig.ok(writer, flush);
            let told = (rig.heard(reader), rig.heard(bcast), rig.heard(resp2));
            assert_eq!(told, (FORGET.to_string(), FORGET.to_string(), String::new()));
            assert_eq!(rig.figure(reader, "tracking_total_keys"), 0);
            assert_eq!(rig.say(reader, flush), format!("+OK\r\n{FORGET}"));
            rig.ok(writer, &format!("SET {key} 1"));
            assert_eq!(rig.heard(reader), "");
            for peer in [reader, bcast, writer, resp2] {
                rig.lose(peer);
            }
        }
    });
}

/// A value that is read while a flush is half done is told of as well: the reader's core has flushed, the owner has not.
#[test]
fn no_value_slips_through_a_flush() {
    everywhere(|rig, key| {
        let (reader, writer) = (connect(rig, 0, true), connect(rig, 1, false));
        rig.ok(reader, "CLIENT TRACKING ON");
        rig.ok(writer, &format!("SET {key} old"));
        let owner = rig.owner(key);
        rig.tell(writer, "FLUSHALL");
        rig.run(0);
        rig.tell(reader, &format!("GET {key}"));
        rig.run_with(owner, |from| from == 0);
        rig.settle();
        let told = rig.heard(reader);
        if rig.engines.len() == 3 && owner == 2 {
            assert_eq!(told, format!("$3\r\nold\r\n{FORGET}"));
        } else {
            assert!(told.contains(FORGET) && !told.contains("old"), "{told}");
        }
    });
}

#[test]
fn the_table_has_a_bound_over_all_cores() {
    everywhere(|rig, _| {
        let (reader, other) = (connect(rig, 0, true), connect(rig, 1, false));
        rig.ok(reader, "CLIENT TRACKING ON");
        for n in 0..250 {
            rig.say(reader, &format!("GET key{n}"));
        }
        let totals =
            |rig: &mut Rig| ["tracking_total_keys", "tracking_total_items"].map(|field| rig.figure(other, field));
        assert_eq!(totals(rig), [250, 250]);
        rig.ok(other, "CONFIG SET tracking-table-max-keys 1");
        assert_eq!(rig.heard(reader).matches("invalidate").count(), 249);
        assert_eq!(totals(rig), [1, 1]);
        rig.say(reader, "MGET x y");
        assert_eq!(totals(rig)[0], 1);
        rig.ok(other, "CONFIG SET tracking-table-max-keys 0");
        rig.say(reader, "MGET x y z");
        assert!(totals(rig)[0] >= 3);
    });
}

/// A client that does not read is told to forget everything once it reads again, and nothing is kept for it meanwhile.
#[test]
fn who_does_not_read_forgets_all_in_the_end() {
    everywhere(|rig, key| {
        let (reader, writer) = (connect(rig, 0, true), connect(rig, 1, false));
        rig.ok(reader, "CLIENT TRACKING ON");
        let large = "x".repeat(100_000);
        rig.ok(writer, &format!("SET large {large}"));
        rig.deaf.insert(reader);
        rig.tell(reader, "GET large");
        rig.settle();
        rig.tell(reader, &format!("GET {key}"));
        rig.settle();
        rig.say(writer, &format!("INCR {key}"));
        rig.say(writer, "DEL large");
        rig.deaf.clear();
        rig.settle();
        let told = rig.heard(reader);
        assert!(told.ends_with(FORGET), "{}", told.replace(&large, ""));
        rig.say(reader, &format!("GET {key}"));
        rig.say(writer, &format!("INCR {key}"));
        assert_eq!(rig.heard(reader), invalidate(&[key]), "then it goes on");
    });
}

/// What a core's clients are told adds up to no more than one word while that core takes no letters: to forget all keys.
#[test]
fn a_core_in_arrears_forgets_all_in_the_end() {
    let mut rig = Rig::new(2);
    let (reader, all, writer) = (connect(&mut rig, 1, true), connect(&mut rig, 1, true), connect(&mut rig, 0, false));
    rig.ok(reader, "CLIENT TRACKING ON");
    rig.ok(all, "CLIENT TRACKING ON BCAST");
    let keys: Vec<String> = rig.keys_of(0).take(300).map(|key| format!("{{{key}}}{}", "x".repeat(10_000))).collect();
    for key in &keys {
        rig.ok(writer, &format!("SET {key} 1"));
        rig.say(reader, &format!("GET {key}"));
    }
    rig.heard(all);
    for key in &keys {
        rig.tell(writer, &format!("SET {key} 2"));
    }
    let batch = rig.engines[0].take_mail(CoreId(1)).expect("it is told");
    assert!((50..150).contains(&batch.notes.len()), "{} words of 10,000 bytes each", batch.notes.len());
    rig.engines[0].return_mail(CoreId(1), batch);
    rig.settle();
    for client in [reader, all] {
        let told = rig.heard(client);
        assert!(told.ends_with(FORGET) && told.matches(FORGET).count() == 1, "{}", told.len());
    }
}

/// Nor does what connections there are told in the place of others: each is told to forget all keys, and then goes on.
#[test]
fn who_is_told_for_others_forgets_all_in_the_end() {
    let mut rig = Rig::new(2);
    let (reader, all, writer) = (connect(&mut rig, 0, true), connect(&mut rig, 0, true), connect(&mut rig, 0, false));
    let proxies = [(reader, ""), (all, "BCAST")].map(|(client, mode)| {
        let proxy = connect(&mut rig, 1, true);
        let id = rig.say(proxy, "CLIENT ID").trim_start_matches(':').trim_end().to_owned();
        rig.ok(client, &format!("CLIENT TRACKING ON REDIRECT {id} {mode}"));
        proxy
    });
    let keys: Vec<String> = rig.keys_of(0).take(300).map(|key| format!("{{{key}}}{}", "x".repeat(10_000))).collect();
    for key in &keys {
        rig.ok(writer, &format!("SET {key} 1"));
        rig.say(reader, &format!("GET {key}"));
    }
    proxies.iter().for_each(|proxy| drop(rig.heard(*proxy)));
    for key in &keys {
        rig.tell(writer, &format!("SET {key} 2"));
    }
    // What concerns connections of the core itself it looks at in its next turn.
    rig.turn(0, |_, _, _| {});
    let batch = rig.engines[0].take_mail(CoreId(1)).expect("it is told");
    assert!((50..150).contains(&batch.notes.len()), "{} words of 10,000 bytes each", batch.notes.len());
    rig.engines[0].return_mail(CoreId(1), batch);
    rig.settle();
    for proxy in proxies {
        let told = rig.heard(proxy);
        assert!(told.ends_with(FORGET) && told.matches(FORGET).count() == 1, "{}", told.len());
    }
    rig.heard(writer);
    rig.say(reader, &format!("GET {}", keys[0]));
    rig.ok(writer, &format!("SET {} 3", keys[0]));
    for proxy in proxies {
        assert_eq!(rig.heard(proxy), invalidate(&[&keys[0]]));
    }
}

/// CLIENT REPLY OFF drops replies, not what is told.
#[test]
fn pushes_are_no_replies() {
    everywhere(|rig, key| {
        let (reader, writer) = (connect(rig, 0, true), connect(rig, 1, false));
        rig.ok(reader, "CLIENT TRACKING ON");
        rig.say(reader, &format!("GET {key}"));
        rig.say(reader, "CLIENT REPLY OFF");
        rig.say(writer, &format!("INCR {key}"));
        assert_eq!(rig.heard(reader), invalidate(&[key]));
        rig.ok(reader, "CLIENT REPLY ON");
        assert_eq!(rig.say(reader, "PING"), "+PONG\r\n");
    });
}

#[test]
fn connections_say_how_they_track() {
    everywhere(|rig, _| {
        let peer = connect(rig, 1, false);
        let info = |flags: &[&str], redirect: i64, prefixes: &[&str]| {
            let bulks = |words: &[&str]| -> String {
                let all: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
                format!("*{}\r\n{all}", words.len())
            };
            let (flags, prefixes) = (bulks(flags), bulks(prefixes));
            format!("*6\r\n$5\r\nflags\r\n{flags}$8\r\nredirect\r\n:{redirect}\r\n$8\r\nprefixes\r\n{prefixes}")
        };
        for (line, flags, redirect, prefixes) in [
            ("CLIENT TRACKING OFF", &["off"][..], -1, &[][..]),
            ("CLIENT TRACKING ON NOLOOP", &["on", "noloop"], 0, &[]),
            ("RESET", &["off"], -1, &[]),
            ("CLIENT TRACKING ON OPTIN", &["on", "optin"], 0, &[]),
            ("CLIENT CACHING YES", &["on", "optin", "caching-yes"], 0, &[]),
            ("CLIENT TRACKING OFF", &["off"], -1, &[]),
            ("CLIENT TRACKING ON OPTOUT", &["on", "optout"], 0, &[]),
            ("CLIENT CACHING NO", &["on", "optout", "caching-no"], 0, &[]),
            ("CLIENT TRACKING OFF", &["off"], -1, &[]),
            ("CLIENT TRACKING ON BCAST PREFIX foo PREFIX bar", &["on", "bcast"], 0, &["bar", "foo"]),
            ("CLIENT TRACKING OFF", &["off"], -1, &[]),
            ("CLIENT TRACKING ON BCAST", &["on", "bcast"], 0, &[""]),
        ] {
            let reply = rig.say(peer, line);
            assert!(matches!(reply.as_str(), "+OK\r\n" | "+RESET\r\n"), "{line}: {reply}");
            assert_eq!(rig.say(peer, "CLIENT TRACKINGINFO"), info(flags, redirect, prefixes), "{line}");
        }
        assert!(rig.say(peer, "CLIENT LIST").contains(" flags=tB "));
        assert_eq!(rig.figure(peer, "tracking_clients"), 1);
        assert!(rig.say(peer, "CLIENT CACHING YES").starts_with("-ERR CLIENT CACHING YES is only valid"));
        rig.say(peer, "HELLO 3");
        let resp3 = rig.say(peer, "CLIENT TRACKINGINFO");
        assert!(resp3.starts_with("%3\r\n$5\r\nflags\r\n~2\r\n$2\r\non\r\n$5\r\nbcast\r\n"), "{resp3}");
    });
}

/// A hot key's copies and folds have no part in what a client that tracks asks, before or behind.
#[test]
fn hot_keys_are_told_as_any() {
    let mut rig = start(2);
    let key = rig.key_of(1);
    let (reader, writer, crowd) =
        (connect(&mut rig, 0, true), connect(&mut rig, 1, false), connect(&mut rig, 0, false));
    let heat = |rig: &mut Rig| {
        for _ in 0..50 {
            (0..100).for_each(|_| rig.tell(crowd, &format!("GET {key}")));
            rig.settle();
            rig.mono_us += 10_000;
        }
        rig.turn(0, |_, _, _| {});
        rig.settle();
        rig.heard(crowd);
    };
    heat(&mut rig);
    assert!(rig.say(writer, "HOTKEYS LIST").contains(&key), "the key is hot");
    for round in 0..3 {
        // The first request of the round waits in a fold, and what follows waits for it.
        rig.tell(reader, &format!("INCR {key}"));
        rig.tell(reader, "CLIENT TRACKING ON");
        rig.tell(reader, &format!("GET {key}"));
        rig.settle();
        let value = format!("${}\r\n{}\r\n", 1, round * 3 + 1);
        assert_eq!(rig.heard(reader), format!(":{}\r\n+OK\r\n{value}", round * 3 + 1));
        rig.say(crowd, &format!("INCR {key}"));
        assert_eq!(rig.heard(reader), invalidate(&[&key]));
        rig.tell(reader, &format!("INCR {key}"));
        rig.tell(reader, "CLIENT TRACKING OFF");
        rig.tell(reader, &format!("GET {key}"));
        rig.settle();
        let value = round * 3 + 3;
        assert_eq!(rig.heard(reader), format!(":{value}\r\n+OK\r\n$1\r\n{value}\r\n"));
    }
}

/// In BCAST mode copies answer as ever, and none is read that is older than what was told.
#[test]
fn copies_are_no_older_than_the_word() {
    let mut rig = start(2);
    let key = rig.key_of(1);
    let (reader, writer) = (connect(&mut rig, 0, true), connect(&mut rig, 1, false));
    rig.ok(reader, "CLIENT TRACKING ON BCAST");
    for _ in 0..50 {
        (0..100).for_each(|_| rig.tell(reader, &format!("GET {key}")));
        rig.settle();
        rig.mono_us += 10_000;
    }
    assert!(rig.say(writer, "HOTKEYS LIST").contains(&key), "the key is hot");
    let letters = rig.figure(writer, "letters_sent");
    rig.say(reader, &format!("GET {key}"));
    assert_eq!(rig.figure(writer, "letters_sent"), letters + 1, "the one of INFO, none of GET");
    for value in 0..20 {
        rig.heard(reader);
        rig.tell(writer, &format!("SET {key} {value}"));
        for _ in 0..4 {
            rig.tell(reader, &format!("GET {key}"));
            rig.step();
        }
        rig.settle();
        let (told, word) = (rig.heard(reader), invalidate(&[&key]));
        let (_, behind) = told.split_once(&word).expect("it is told");
        let new = format!("{value}\r\n");
        assert!(behind.split_inclusive(&new).all(|reply| reply.ends_with(&new)), "{told}");
    }
}
