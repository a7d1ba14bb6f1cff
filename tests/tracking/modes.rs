//! Options, prefixes, redirection.

use crate::{FORGET, connect, everywhere, invalidate};

#[test]
fn optin_and_optout_ask_before_each_request() {
    everywhere(|rig, key| {
        let (reader, writer) = (connect(rig, 0, true), connect(rig, 1, false));
        for (mode, caching) in [("OPTIN", "YES"), ("OPTOUT", "NO")] {
            rig.ok(reader, "CLIENT TRACKING OFF");
            rig.ok(reader, &format!("CLIENT TRACKING ON {mode}"));
            for (behind, between) in [(false, ""), (true, ""), (true, "PING"), (true, "CLIENT ID"), (true, "EXISTS x")]
            {
                if behind {
                    rig.ok(reader, &format!("CLIENT CACHING {caching}"));
                }
                if !between.is_empty() {
                    rig.say(reader, between);
                }
                rig.say(reader, &format!("MGET {key}"));
                rig.say(writer, &format!("INCR {key}"));
                let counts = behind && matches!(between, "" | "CLIENT ID");
                let told = counts == (mode == "OPTIN");
                assert_eq!(rig.heard(reader) == invalidate(&[key]), told, "{mode} {behind} {between}");
            }
        }
    });
}

#[test]
fn prefixes_hear_of_every_change() {
    everywhere(|rig, key| {
        let (all, some, writer) = (connect(rig, 0, true), connect(rig, 1, true), connect(rig, 2, false));
        rig.ok(all, "CLIENT TRACKING ON BCAST");
        rig.ok(some, "CLIENT TRACKING ON BCAST PREFIX key PREFIX b: NOLOOP");
        assert_eq!(rig.figure(all, "tracking_total_prefixes"), 3);
        rig.ok(writer, &format!("SET {key} 1"));
        assert_eq!((rig.heard(all), rig.heard(some)), (invalidate(&[key]), invalidate(&[key])));
        rig.ok(some, &format!("SET {key} 1"));
        assert_eq!((rig.heard(all), rig.heard(some)), (invalidate(&[key]), String::new()));
        rig.ok(writer, "MSET b:{t}2 1 a:{t} 1 b:{t}1 1");
        assert_eq!(rig.heard(all), invalidate(&["a:{t}", "b:{t}1", "b:{t}2"]), "sorted, in one message");
        assert_eq!(rig.heard(some), invalidate(&["b:{t}1", "b:{t}2"]));
        rig.ok(some, "CLIENT TRACKING ON BCAST PREFIX c: NOLOOP");
        rig.ok(writer, "SET c: 1");
        assert_eq!(rig.heard(some), invalidate(&["c:"]));
        // Reads leave no trace, and a removal is a change.
        rig.say(all, "MGET c: d");
        assert_eq!(rig.figure(all, "tracking_total_keys"), 0);
        rig.heard(all);
        rig.say(writer, "UNLINK c: c:none");
        assert_eq!((rig.heard(all), rig.heard(some)), (invalidate(&["c:"]), invalidate(&["c:"])));
        rig.ok(some, "CLIENT TRACKING OFF");
        rig.lose(all);
        assert_eq!(rig.figure(writer, "tracking_total_prefixes"), 0);
        assert_eq!(rig.figure(writer, "tracking_clients"), 0);
        rig.ok(writer, "SET b:1 1");
        assert_eq!(rig.heard(some), "");
    });
}

/// What is asked right behind CLIENT TRACKING is told of like anything later, though other cores have to learn first who
/// listens.
#[test]
fn who_listens_asks_on_at_once() {
    everywhere(|rig, key| {
        let listener = connect(rig, 0, true);
        rig.ok(listener, &format!("SET {key} old"));
        rig.tell(listener, "CLIENT TRACKING ON BCAST");
        rig.tell(listener, &format!("GET {key}"));
        rig.tell(listener, &format!("DEL {key}"));
        rig.settle();
        let told = rig.heard(listener);
        assert!(told.starts_with("+OK\r\n$3\r\nold\r\n") && told.ends_with(&invalidate(&[key])), "{told}");
        rig.tell(listener, "CLIENT TRACKING OFF");
        rig.tell(listener, "CLIENT TRACKING ON BCAST");
        rig.tell(listener, &format!("SET {key} new"));
        rig.settle();
        assert_eq!(rig.heard(listener), format!("+OK\r\n+OK\r\n+OK\r\n{}", invalidate(&[key])));
    });
}

/// As Redis does: a key that was read before BCAST was chosen is told by its prefix only.
#[test]
fn rows_of_the_table_mean_nothing_in_bcast_mode() {
    everywhere(|rig, key| {
        let (reader, writer) = (connect(rig, 0, true), connect(rig, 1, false));
        rig.ok(reader, "CLIENT TRACKING ON");
        rig.say(reader, &format!("GET {key}"));
        rig.ok(reader, "CLIENT TRACKING OFF");
        rig.ok(reader, "CLIENT TRACKING ON BCAST");
        rig.say(writer, &format!("INCR {key}"));
        assert_eq!(rig.heard(reader), invalidate(&[key]));
    });
}

#[test]
fn another_connection_can_be_told_instead() {
    everywhere(|rig, key| {
        for target_core in 0..rig.engines.len() {
            let (reader, writer) = (connect(rig, 0, false), connect(rig, 1, false));
            let target = connect(rig, target_core, true);
            let id = rig.say(target, "CLIENT ID").trim_start_matches(':').trim_end().to_string();
            rig.ok(reader, &format!("CLIENT TRACKING ON REDIRECT {id}"));
            assert_eq!(rig.say(reader, "CLIENT GETREDIR"), format!(":{id}\r\n"));
            assert!(rig.say(reader, "CLIENT INFO").contains(" flags=t db=0"));
            assert!(rig.say(reader, "CLIENT INFO").contains(&format!(" redir={id} ")));
            rig.say(reader, &format!("GET {key}"));
            rig.say(writer, &format!("INCR {key}"));
            assert_eq!((rig.heard(reader), rig.heard(target)), (String::new(), invalidate(&[key])));
            assert!(rig.say(reader, "HELLO 3").starts_with('%'));
            rig.say(reader, &format!("GET {key}"));
            rig.say(target, "QUIT");
            rig.say(writer, &format!("INCR {key}"));
            let broken = format!(">2\r\n$21\r\ntracking-redir-broken\r\n:{id}\r\n");
            assert_eq!((rig.heard(reader), rig.heard(target)), (broken.clone(), String::new()));
            assert!(rig.say(reader, "CLIENT TRACKINGINFO").contains("$15\r\nbroken_redirect\r\n"));
            assert!(rig.say(reader, "CLIENT INFO").contains(" flags=tR "));
            rig.lose(target);
            rig.say(reader, &format!("GET {key}"));
            rig.say(writer, &format!("INCR {key}"));
            assert_eq!(rig.heard(reader), broken);
            rig.ok(reader, "CLIENT TRACKING ON");
            rig.say(reader, &format!("GET {key}"));
            rig.say(writer, &format!("INCR {key}"));
            assert_eq!(rig.heard(reader), invalidate(&[key]));
        }
    });
}

/// The one to be told has to exist; which of two errors is said does not depend on where it would be.
#[test]
fn who_is_missing_cannot_be_told() {
    everywhere(|rig, key| {
        let (reader, writer) = (connect(rig, 0, true), connect(rig, 1, false));
        let missing = "-ERR The client ID you want redirect to does not exist\r\n";
        for id in [-1, 0, 997, 998, 999] {
            assert_eq!(rig.say(reader, &format!("CLIENT TRACKING ON REDIRECT {id}")), missing);
            assert_eq!(rig.say(reader, &format!("CLIENT TRACKING ON REDIRECT {id} NONSENSE")), missing);
            assert_eq!(rig.say(reader, "CLIENT GETREDIR"), ":-1\r\n");
        }
        let id = rig.say(writer, "CLIENT ID").trim_start_matches(':').trim_end().to_string();
        let syntax = "-ERR syntax error\r\n";
        assert_eq!(rig.say(reader, &format!("CLIENT TRACKING ON REDIRECT {id} NONSENSE")), syntax);
        rig.ok(reader, "CLIENT TRACKING ON BCAST PREFIX key");
        for id in [997, 998, 999] {
            assert_eq!(rig.say(reader, &format!("CLIENT TRACKING OFF REDIRECT {id}")), missing);
            assert_eq!(rig.say(reader, &format!("CLIENT TRACKING ON BCAST PREFIX x REDIRECT {id}")), missing);
        }
        assert_eq!(rig.figure(reader, "tracking_total_prefixes"), 1);
        rig.ok(writer, &format!("SET {key} 1"));
        rig.ok(writer, "SET x 1");
        assert_eq!(rig.heard(reader), invalidate(&[key]), "what was refused has changed nothing");
    });
}

/// In a transaction too, and whatever stands behind it.
#[test]
fn who_is_missing_cannot_be_told_in_a_transaction_either() {
    everywhere(|rig, _| {
        let (reader, other) = (connect(rig, 0, true), connect(rig, 1, false));
        let present = rig.say(other, "CLIENT ID").trim_start_matches(':').trim_end().to_string();
        for (id, outcome, redirect) in [
            ("997", "-ERR The client ID you want redirect to does not exist", "-1"),
            ("998", "-ERR The client ID you want redirect to does not exist", "-1"),
            (&present, "+OK", &present),
        ] {
            for line in ["MULTI", &format!("CLIENT TRACKING ON REDIRECT {id}"), "CLIENT GETREDIR", "EXEC"] {
                rig.tell(reader, line);
            }
            rig.tell(reader, "CLIENT GETREDIR");
            rig.settle();
            let queued = "+OK\r\n+QUEUED\r\n+QUEUED\r\n";
            assert_eq!(rig.heard(reader), format!("{queued}*2\r\n{outcome}\r\n:{redirect}\r\n:{redirect}\r\n"));
        }
    });
}

/// What a transaction reads counts as read, CLIENT CACHING is for all of it, and what it changes is told behind its reply.
#[test]
fn transactions_are_one_request() {
    everywhere(|rig, key| {
        let (reader, writer) = (connect(rig, 0, true), connect(rig, 1, false));
        rig.ok(writer, &format!("MSET {key} 1 other 1 third 1"));
        rig.ok(reader, "CLIENT TRACKING ON OPTIN");
        for (caching, told) in [(false, false), (true, true), (false, false)] {
            if caching {
                rig.ok(reader, "CLIENT CACHING YES");
            }
            for line in ["MULTI", "GET other", &format!("GET {key}"), "COPY third fourth REPLACE", "INCR other"] {
                rig.say(reader, line);
            }
            let reply = rig.say(reader, "EXEC");
            assert!(reply.starts_with("*4\r\n$1\r\n"), "{reply}");
            assert_eq!(reply.ends_with(&invalidate(&["other"])), told, "{reply}");
            rig.say(writer, &format!("INCRBY {key} 0"));
            rig.say(writer, "DEL third fourth other");
            assert_eq!(rig.heard(reader), if told { invalidate(&[key]) } else { String::new() });
            rig.ok(writer, "MSET other 1 third 1");
        }
        rig.ok(reader, "CLIENT TRACKING OFF");
        rig.ok(reader, "CLIENT TRACKING ON");
        rig.say(reader, "LCS other third");
        rig.ok(writer, "RENAME third fifth");
        assert_eq!(rig.heard(reader), invalidate(&["third"]));
        for line in ["MULTI", "FLUSHDB", &format!("GET {key}")] {
            rig.say(reader, line);
        }
        assert_eq!(rig.say(reader, "EXEC"), format!("*2\r\n+OK\r\n_\r\n{FORGET}"));
    });
}
