//! Proves that what one connection asks stands in its order around transactions: engines without a shell, and one
//! pipeline that has much of it wait.

mod rig;

use rig::{Client, Rig, request};

/// Two keys of each core, first to last.
fn keys(rig: &Rig) -> Vec<[String; 2]> {
    let two = |core| {
        let mut own = rig.keys_of(core);
        [(); 2].map(|()| own.next().expect("there are ever more keys"))
    };
    (0..rig.engines.len()).map(two).collect()
}

/// Sends all at once, and answers what comes.
fn pipeline(rig: &mut Rig, client: Client, requests: &[&[&str]]) -> String {
    let bytes: Vec<u8> = requests.iter().flat_map(|words| request(words)).collect();
    rig.send(client, &bytes);
    rig.settle();
    rig.take(client)
}

/// Runs a case with a client on each core of one, two and three; it gets two keys of each core.
fn everywhere(case: impl Fn(&mut Rig, Client, &[[String; 2]])) {
    for cores in 1..=3 {
        for core in 0..cores {
            let mut rig = Rig::new(cores);
            let (client, keys) = (rig.open((core, 1)), keys(&rig));
            case(&mut rig, client, &keys);
        }
    }
}

/// A key of each core written in one step, so that locks are held on all of them.
fn mset(keys: &[[String; 2]]) -> Vec<&str> {
    std::iter::once("MSET").chain(keys.iter().flat_map(|[key, _]| [&**key, "v"])).collect()
}

/// An EXEC that is refused ends its transaction, and says why without the error's first word where that is `ERR`.
#[test]
fn a_refused_exec_ends_the_transaction() {
    everywhere(|rig, client, _| {
        let told = pipeline(rig, client, &[&["MULTI"], &["SET", "a", "1"], &["EXEC", "x"], &["EXEC"]]);
        let refused = "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command";
        assert_eq!(told, format!("+OK +QUEUED {refused} -ERR EXEC without MULTI"));
        assert_eq!(rig.ask(client, &["GET", "a"]), "$-1");
        // It takes back WATCH, too.
        let told = pipeline(rig, client, &[&["WATCH", "a"], &["EXEC", "x"], &["SET", "a", "2"], &["MULTI"], &["EXEC"]]);
        assert_eq!(told, format!("+OK {refused} +OK +OK *0"));
        rig.ask(client, &["SUBSCRIBE", "channel"]);
        let refused = rig.ask(client, &["EXEC"]);
        let words = "-EXECABORT Transaction discarded because of: Can't execute 'exec': only (P|S)SUBSCRIBE";
        assert!(refused.starts_with(words), "{refused}");
    });
}

/// PUBSUB is about no key: it does not wait for locks, behind which SUBSCRIBE and UNSUBSCRIBE would pass it.
#[test]
fn what_is_listened_to_is_told_in_order() {
    everywhere(|rig, client, keys| {
        let words = mset(keys);
        rig.ask(client, &["HELLO", "3"]);
        let own = &keys[client.0][0];
        let told = pipeline(
            rig,
            client,
            &[&words, &["SET", own, "w"], &["PSUBSCRIBE", "p"], &["PUBSUB", "NUMPAT"], &["PUNSUBSCRIBE"]],
        );
        assert_eq!(told, "+OK +OK >3 $10 psubscribe $1 p :1 :1 >3 $12 punsubscribe $1 p :0");
    });
}

/// What waits for a lock when WATCH comes was asked before it, and is no change.
#[test]
fn watch_stands_behind_what_was_asked_before() {
    everywhere(|rig, client, keys| {
        let words = mset(keys);
        for [first, other] in keys {
            let told = pipeline(
                rig,
                client,
                &[
                    &words,
                    &["SET", first, "w"],
                    &["DBSIZE"],
                    &["SET", other, "x"],
                    &["WATCH", other, first],
                    &["MULTI"],
                    &["GET", first],
                    &["GET", other],
                    &["EXEC"],
                ],
            );
            assert!(told.ends_with("+OK +OK +QUEUED +QUEUED *2 $1 w $1 x"), "{told}");
            // Nothing is left behind that would count.
            let told = pipeline(
                rig,
                client,
                &[
                    &words,
                    &["SET", first, "w"],
                    &["WATCH", first],
                    &["UNWATCH"],
                    &["SET", first, "y"],
                    &["WATCH", first],
                    &["MULTI"],
                    &["GET", first],
                    &["EXEC"],
                ],
            );
            assert!(told.ends_with("+OK +OK +OK +OK +QUEUED *1 $1 y"), "{told}");
            let told = pipeline(
                rig,
                client,
                &[&words, &["SET", first, "w"], &["WATCH", first], &["SET", first, "z"], &["MULTI"], &["EXEC"]],
            );
            assert!(told.ends_with("+OK +OK *-1"), "{told}");
        }
    });
}

/// RENAME runs in one go on its own core, but not past what its client has asked before.
#[test]
fn nobody_passes_itself() {
    everywhere(|rig, client, keys| {
        let words = mset(keys);
        for [first, other] in keys {
            let told = pipeline(
                rig,
                client,
                &[
                    &words,
                    &["SET", first, "w"],
                    &["DBSIZE"],
                    &["SET", other, "x"],
                    &["RENAME", other, "{k}"],
                    &["GET", "{k}"],
                    &["EXISTS", other],
                ],
            );
            assert!(told.ends_with("+OK +OK $1 x :0"), "{told}");
        }
    });
}

/// An UNWATCH takes back what was watched before it and nothing else, however often and however close they follow.
#[test]
fn watch_behind_unwatch_counts() {
    everywhere(|rig, client, keys| {
        for [first, other] in keys {
            for take_back in [&["UNWATCH"][..], &["RESET"], &["EXEC", "x"]] {
                for (behind, reply) in [(&["WATCH", first][..], "*-1"), (&["WATCH", other], "*0"), (&["PING"], "*0")] {
                    let (watch, change) = (["WATCH", &**first], ["INCR", &**first]);
                    let mut requests: Vec<&[&str]> = [&watch[..], &change].repeat(3);
                    requests.extend([take_back, behind, &change, &["MULTI"], &["EXEC"]]);
                    let told = pipeline(rig, client, &requests);
                    assert!(told.ends_with(&format!("+OK {reply}")), "{take_back:?} {behind:?}: {told}");
                }
            }
            // A DISCARD without MULTI takes nothing back.
            let told =
                pipeline(rig, client, &[&["WATCH", first], &["DISCARD"], &["INCR", first], &["MULTI"], &["EXEC"]]);
            assert!(told.ends_with("+OK *-1"), "{told}");
        }
    });
}

/// A key that RENAME or COPY writes is a new one, whatever was there.
#[test]
fn what_is_carried_to_a_key_makes_it_new() {
    everywhere(|rig, client, keys| {
        let listener = rig.open((0, 2));
        rig.ask(client, &["CONFIG", "SET", "notify-keyspace-events", "Kgn"]);
        let (from, [to, _]) = (&keys[0][1], &keys[keys.len() - 1]);
        rig.ask(listener, &["SUBSCRIBE", &format!("__keyspace@0__:{to}")]);
        let (rename, copy, replace) = (["RENAME", from, to], ["COPY", from, to], ["COPY", from, to, "REPLACE"]);
        for carry in [&rename[..], &copy, &replace] {
            for there in [false, true] {
                rig.ask(client, &["SET", from, "v"]);
                rig.ask(client, &["SET", to, "old"]);
                if !there {
                    rig.ask(client, &["DEL", to]);
                }
                rig.take(listener);
                rig.ask(client, carry);
                let event = if carry[0] == "RENAME" { "rename_to" } else { "copy_to" };
                let heard = rig.take(listener);
                let told: Vec<&str> = heard.split(' ').filter(|word| ["new", event].contains(word)).collect();
                let expected =
                    if carry.len() == 3 && carry[0] == "COPY" && there { vec![] } else { vec!["new", event] };
                assert_eq!(told, expected, "{carry:?}, {there}");
            }
        }
    });
}
