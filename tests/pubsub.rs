//! Proves who is told what: two or three engines without a shell, with clients on each that listen, publish and look. Each
//! case runs with all clients on one core and with clients on different ones, since nobody should see a difference.

#[path = "pubsub/events.rs"]
mod events;
#[path = "pubsub/monitor.rs"]
mod monitor;
#[path = "pubsub/random.rs"]
mod random;
mod rig;
#[path = "pubsub/unread.rs"]
mod unread;

use coldplate::engine::{Event, Settings};
use rig::{Client, Rig, request};

/// What a subscription is confirmed with, and what is told, over RESP2.
fn confirmed(word: &str, name: &str, count: usize) -> String {
    format!("*3 ${} {word} ${} {name} :{count}", word.len(), name.len())
}

fn message(word: &str, channel: &str, payload: &str) -> String {
    format!("*3 ${} {word} ${} {channel} ${} {payload}", word.len(), channel.len(), payload.len())
}

fn matched(pattern: &str, channel: &str, payload: &str) -> String {
    format!("*4 $8 pmessage ${} {pattern} ${} {channel} ${} {payload}", pattern.len(), channel.len(), payload.len())
}

/// Runs a case with two listeners and a publisher on one core, and on up to three.
fn everywhere(case: impl Fn(&mut Rig, Client, Client, Client)) {
    for (cores, places) in [(1, [0, 0, 0]), (2, [0, 1, 0]), (2, [1, 0, 0]), (3, [0, 1, 2]), (3, [2, 2, 0])] {
        let mut rig = Rig::new(cores);
        let [one, two, publisher] = [(places[0], 1), (places[1], 2), (places[2], 3)].map(|client| rig.open(client));
        case(&mut rig, one, two, publisher);
    }
}

#[test]
fn channels_tell_those_who_listen() {
    for [on, off, publish, told] in
        [["SUBSCRIBE", "UNSUBSCRIBE", "PUBLISH", "message"], ["SSUBSCRIBE", "SUNSUBSCRIBE", "SPUBLISH", "smessage"]]
    {
        everywhere(|rig, one, two, publisher| {
            let (in_on, in_off) = (on.to_lowercase(), off.to_lowercase());
            assert_eq!(rig.ask(publisher, &[publish, "a", "early"]), ":0");
            let both = format!("{} {}", confirmed(&in_on, "a", 1), confirmed(&in_on, "b", 2));
            assert_eq!(rig.ask(one, &[on, "a", "b"]), both);
            assert_eq!(rig.ask(two, &[on, "a", "a"]), [confirmed(&in_on, "a", 1), confirmed(&in_on, "a", 1)].join(" "));
            assert_eq!(rig.ask(publisher, &[publish, "a", "hello"]), ":2");
            assert_eq!(rig.ask(publisher, &[publish, "b", "world"]), ":1");
            assert_eq!(rig.take(one), [message(told, "a", "hello"), message(told, "b", "world")].join(" "));
            assert_eq!(rig.take(two), message(told, "a", "hello"));
            assert_eq!(
                rig.ask(one, &[off, "a", "none"]),
                [confirmed(&in_off, "a", 1), confirmed(&in_off, "none", 1)].join(" ")
            );
            assert_eq!(rig.ask(publisher, &[publish, "a", "again"]), ":1");
            assert_eq!((rig.take(one), rig.take(two)), (String::new(), message(told, "a", "again")));
            assert_eq!(rig.ask(one, &[off]), confirmed(&in_off, "b", 0));
            let nothing = format!("*3 ${} {in_off} $-1 :0", in_off.len());
            assert_eq!(rig.ask(one, &[off]), nothing, "who listens to nothing is told so");
            rig.lose(two);
            assert_eq!(rig.ask(publisher, &[publish, "a", "late"]), ":0");
            assert!(rig.take(one).is_empty());
        });
    }
}

#[test]
fn patterns_tell_of_what_matches() {
    everywhere(|rig, one, two, publisher| {
        let both = [confirmed("psubscribe", "foo.*", 1), confirmed("psubscribe", "b[ae]r", 2)].join(" ");
        assert_eq!(rig.ask(one, &["PSUBSCRIBE", "foo.*", "b[ae]r"]), both);
        assert_eq!(rig.ask(two, &["SUBSCRIBE", "foo.1"]), confirmed("subscribe", "foo.1", 1));
        assert_eq!(rig.ask(two, &["PSUBSCRIBE", "foo.*"]), confirmed("psubscribe", "foo.*", 2), "both kinds count");
        assert_eq!(rig.ask(publisher, &["PUBLISH", "foo.1", "x"]), ":3");
        assert_eq!(rig.ask(publisher, &["PUBLISH", "ber", "y"]), ":1");
        assert_eq!(rig.ask(publisher, &["PUBLISH", "foo1", "z"]), ":0");
        assert_eq!(rig.ask(publisher, &["SPUBLISH", "foo.1", "z"]), ":0", "shard channels are apart");
        assert_eq!(rig.take(one), [matched("foo.*", "foo.1", "x"), matched("b[ae]r", "ber", "y")].join(" "));
        assert_eq!(rig.take(two), [message("message", "foo.1", "x"), matched("foo.*", "foo.1", "x")].join(" "));
        let own = [confirmed("punsubscribe", "b[ae]r", 1), confirmed("punsubscribe", "foo.*", 0)].join(" ");
        assert_eq!(rig.ask(one, &["PUNSUBSCRIBE"]), own);
        assert_eq!(rig.ask(one, &["PUNSUBSCRIBE"]), "*3 $12 punsubscribe $-1 :0");
        assert_eq!(rig.ask(publisher, &["PUBLISH", "foo.1", "w"]), ":2");
    });
}

#[test]
fn pubsub_counts_over_all_cores() {
    everywhere(|rig, one, two, publisher| {
        assert_eq!(rig.ask(publisher, &["PUBSUB", "NUMSUB", "a", "b"]), "*4 $1 a :0 $1 b :0");
        assert_eq!(rig.ask(publisher, &["PUBSUB", "CHANNELS"]), "*0");
        for words in [&["SUBSCRIBE", "a", "x1"][..], &["PSUBSCRIBE", "p*", "q*"], &["SSUBSCRIBE", "s1"]] {
            rig.ask(one, words);
        }
        for words in [&["SUBSCRIBE", "a"][..], &["PSUBSCRIBE", "p*"], &["SSUBSCRIBE", "s1", "s2"]] {
            rig.ask(two, words);
        }
        assert_eq!(rig.ask(publisher, &["PUBSUB", "NUMSUB", "a", "x1", "s1"]), "*6 $1 a :2 $2 x1 :1 $2 s1 :0");
        assert_eq!(rig.ask(publisher, &["PUBSUB", "NUMSUB"]), "*0");
        assert_eq!(rig.ask(publisher, &["PUBSUB", "NUMPAT"]), ":2", "patterns count once");
        assert_eq!(rig.ask(publisher, &["PUBSUB", "CHANNELS"]), "*2 $1 a $2 x1");
        assert_eq!(rig.ask(publisher, &["pubsub", "channels", "x*"]), "*1 $2 x1");
        assert_eq!(rig.ask(publisher, &["PUBSUB", "SHARDCHANNELS"]), "*2 $2 s1 $2 s2");
        assert_eq!(rig.ask(publisher, &["PUBSUB", "SHARDNUMSUB", "s1", "a"]), "*4 $2 s1 :2 $1 a :0");
        let info = rig.ask(publisher, &["INFO", "stats"]);
        assert!(info.contains("pubsub_channels:2 pubsub_patterns:2 pubsubshard_channels:2 "), "{info}");
        let listed = rig.ask(publisher, &["CLIENT", "LIST", "TYPE", "pubsub"]);
        assert_eq!(listed.matches("flags=P ").count(), 2, "{listed}");
        assert!(listed.contains("sub=2 psub=2 ssub=1 ") && listed.contains("sub=1 psub=1 ssub=2 "), "{listed}");
        let normal = rig.ask(publisher, &["CLIENT", "LIST", "TYPE", "normal"]);
        assert!(!normal.contains("flags=P ") && normal.contains("sub=0 psub=0 ssub=0 "), "{normal}");
        let large = "n".repeat(100_000);
        assert_eq!(rig.ask(one, &["SUBSCRIBE", &large]), confirmed("subscribe", &large, 5));
        assert_eq!(rig.ask(publisher, &["PUBSUB", "NUMSUB", &large]), format!("*2 $100000 {large} :1"));
        assert!(rig.ask(publisher, &["PUBSUB", "HELP"]).starts_with("*13 +PUBSUB <subcommand>"));
        let words = "-ERR unknown subcommand or wrong number of arguments for 'channels'. Try PUBSUB HELP.";
        assert_eq!(rig.ask(publisher, &["PUBSUB", "channels", "a", "b"]), words);
        assert_eq!(rig.ask(publisher, &["CLIENT", "KILL", "TYPE", "pubsub"]), ":2");
        assert_eq!(rig.ask(publisher, &["PUBSUB", "NUMPAT"]), ":0");
    });
}

/// Over RESP2 a listener may do little else, whatever core its keys are on; over RESP3 it may do anything.
#[test]
fn listeners_are_confined_in_resp2_only() {
    for (cores, core) in [(1, 0), (2, 0), (2, 1)] {
        let mut rig = Rig::new(cores);
        let client = rig.open((core, 1));
        rig.ask(client, &["SUBSCRIBE", "a"]);
        let refused = |name: &str| {
            format!(
                "-ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
            )
        };
        assert_eq!(rig.ask(client, &["GET", "k"]), refused("get"));
        assert_eq!(rig.ask(client, &["SPUBLISH", "k", "v"]), refused("spublish"));
        assert_eq!(rig.ask(client, &["CLIENT", "LIST"]), refused("client|list"));
        assert_eq!(rig.ask(client, &["MGET", "a", "b"]), refused("mget"));
        let keys: Vec<String> = (0..70_000).map(|key| key.to_string()).collect();
        let long: Vec<&str> = ["EXISTS"].into_iter().chain(keys.iter().map(String::as_str)).collect();
        assert_eq!(rig.ask(client, &long), refused("exists"), "nor one that would take several turns");
        assert_eq!(rig.ask(client, &["HELLO", "3"]), refused("hello"));
        assert_eq!(rig.ask(client, &["NOSUCH"]), "-ERR unknown command 'NOSUCH', with args beginning with:");
        assert_eq!(rig.ask(client, &["PING"]), "*2 $4 pong $0");
        assert_eq!(rig.ask(client, &["PING", "foo"]), "*2 $4 pong $3 foo");
        assert_eq!(rig.ask(client, &["PING", "a", "b"]), "-ERR wrong number of arguments for 'ping' command");
        // What the client may do changes within one pipeline.
        let pipeline = [&["UNSUBSCRIBE"][..], &["GET", "k"], &["PING"], &["SUBSCRIBE", "b"], &["GET", "k"]];
        rig.send(client, &pipeline.map(request).concat());
        rig.settle();
        let expected =
            format!("*3 $11 unsubscribe $1 a :0 $-1 +PONG {} {}", confirmed("subscribe", "b", 1), refused("get"));
        assert_eq!(rig.take(client), expected);
        assert_eq!(rig.ask(client, &["RESET"]), "+RESET");
        assert_eq!(rig.ask(client, &["PUBLISH", "b", "x"]), ":0");
        assert!(rig.ask(client, &["HELLO", "3"]).starts_with("%7"));
        assert_eq!(rig.ask(client, &["SUBSCRIBE", "a"]), ">3 $9 subscribe $1 a :1");
        assert_eq!(rig.ask(client, &["GET", "k"]), "_");
        assert_eq!(rig.ask(client, &["PING"]), "+PONG");
        assert_eq!(rig.ask(client, &["PUBLISH", "a", "x"]), ">3 $7 message $1 a $1 x :1", "a push before the reply");
        assert!(rig.ask(client, &["HELLO", "2"]).starts_with("*14"));
        assert_eq!(rig.ask(client, &["GET", "k"]), refused("get"));
        assert_eq!(rig.ask(client, &["QUIT"]), "+OK");
        assert_eq!(rig.killed, [client]);
    }
}

#[test]
fn client_reply_mutes_no_push() {
    everywhere(|rig, one, _, publisher| {
        rig.ask(one, &["HELLO", "3"]);
        assert_eq!(rig.ask(one, &["CLIENT", "REPLY", "OFF"]), "");
        assert_eq!(rig.ask(one, &["PING"]), "");
        assert_eq!(rig.ask(one, &["SUBSCRIBE", "a"]), ">3 $9 subscribe $1 a :1");
        assert_eq!(rig.ask(one, &["SSUBSCRIBE", "a"]), ">3 $10 ssubscribe $1 a :1");
        assert_eq!(rig.ask(publisher, &["PUBLISH", "a", "x"]), ":1");
        assert_eq!(rig.take(one), ">3 $7 message $1 a $1 x");
        assert_eq!(rig.ask(one, &["UNSUBSCRIBE", "a"]), ">3 $11 unsubscribe $1 a :0");
        assert_eq!(rig.ask(one, &["UNSUBSCRIBE"]), ">3 $11 unsubscribe _ :0");
        assert_eq!(rig.ask(one, &["CLIENT", "REPLY", "ON"]), "+OK");
        assert_eq!(rig.ask(one, &["CLIENT", "REPLY", "SKIP"]), "");
        assert_eq!(rig.ask(one, &["PSUBSCRIBE", "*"]), ">3 $10 psubscribe $1 * :1");
        assert_eq!(rig.ask(one, &["PING"]), "+PONG");
    });
}

/// Messages of one publisher come in order, and stand behind what a listener is still owed, large ones too.
#[test]
fn messages_come_in_order_and_between_replies() {
    let mut rig = Rig::new(2);
    let (listener, publisher) = (rig.open((0, 1)), rig.open((1, 1)));
    rig.ask(listener, &["HELLO", "3"]);
    rig.ask(listener, &["SUBSCRIBE", "a"]);
    // Some of these keys are the other core's: the reply is half there when the messages come.
    let gets = request(&["MGET", "1", "2", "3", "4", "5", "6", "7", "8"]);
    rig.send(listener, &gets);
    let large = "l".repeat(200_000);
    let numbers: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let payloads = numbers.iter().chain([&large]);
    rig.send(publisher, &payloads.clone().flat_map(|payload| request(&["PUBLISH", "a", payload])).collect::<Vec<u8>>());
    rig.settle();
    let pushes = payloads.map(|payload| format!(">3 $7 message $1 a ${} {payload}", payload.len()));
    let expected = format!("*8{} {}", " _".repeat(8), pushes.collect::<Vec<_>>().join(" "));
    assert_eq!(rig.take(listener), expected);
    assert_eq!(rig.take(publisher), vec![":1"; 101].join(" "));
}

/// Messages that come while a request takes several turns stand behind its reply.
#[test]
fn messages_wait_for_the_end_of_a_long_request() {
    everywhere(|rig, one, _, publisher| {
        rig.ask(one, &["HELLO", "3"]);
        rig.ask(one, &["SUBSCRIBE", "a"]);
        let keys: Vec<String> = (0..100_000).map(|key| key.to_string()).collect();
        let long: Vec<&str> = ["MGET"].into_iter().chain(keys.iter().map(String::as_str)).collect();
        rig.send(one, &request(&long));
        rig.send(publisher, &request(&["PUBLISH", "a", "x"]));
        rig.settle();
        assert_eq!(rig.take(one), format!("*100000{} >3 $7 message $1 a $1 x", " _".repeat(100_000)));
        assert_eq!(rig.take(publisher), ":1");
    });
}

/// Messages stand behind the reply of a transaction, its own ones too; what it subscribes to is confirmed inside.
#[test]
fn messages_wait_for_the_end_of_a_transaction() {
    everywhere(|rig, one, _, publisher| {
        rig.ask(one, &["HELLO", "3"]);
        rig.ask(one, &["SUBSCRIBE", "a"]);
        let requests: [&[&str]; 7] = [
            &["MULTI"],
            &["RENAME", "k1", "k2"],
            &["PUBLISH", "a", "own"],
            &["SUBSCRIBE", "b"],
            &["SET", "k3", "v"],
            &["GET", "k4"],
            &["EXEC"],
        ];
        rig.ask(one, &["SET", "k1", "v"]);
        rig.send(one, &requests.map(request).concat());
        rig.send(publisher, &request(&["PUBLISH", "a", "other"]));
        rig.settle();
        let told = rig.take(one);
        let reply = "+OK +QUEUED +QUEUED +QUEUED +QUEUED +QUEUED *5 +OK :1 >3 $9 subscribe $1 b :2 +OK _ >3 ";
        assert!(told.starts_with(reply), "{told}");
        assert!(told.contains(">3 $7 message $1 a $3 own") && told.contains(">3 $7 message $1 a $5 other"), "{told}");
        assert_eq!(rig.take(publisher), ":1");
        // Over RESP2 what a listener may not do is refused when it is queued, and the transaction with it.
        rig.ask(one, &["RESET"]);
        rig.ask(one, &["SUBSCRIBE", "a"]);
        assert!(rig.ask(one, &["MULTI"]).starts_with("-ERR Can't execute 'multi'"));
    });
}

/// A core where nobody listens gets no letter, and none is left out once somebody's subscription is confirmed.
#[test]
fn only_cores_that_listen_get_letters() {
    let mut rig = Rig::new(3);
    let [listener, publisher] = [(1, 1), (0, 1)].map(|client| rig.open(client));
    let letters = |rig: &mut Rig| {
        rig.send(publisher, &request(&["PUBLISH", "a", "x"]));
        let batches = [1, 2].map(|core| rig.engines[0].take_mail(coldplate::types::CoreId(core)));
        let there = batches.each_ref().map(Option::is_some);
        for (core, batch) in [1, 2].into_iter().zip(batches) {
            if let Some(batch) = batch {
                rig.engines[0].return_mail(coldplate::types::CoreId(core), batch);
            }
        }
        rig.settle();
        (there, rig.take(publisher))
    };
    assert_eq!(letters(&mut rig), ([false, false], ":0".into()));
    rig.send(listener, &request(&["SUBSCRIBE", "a"]));
    assert_eq!(letters(&mut rig), ([true, false], ":1".into()));
    rig.ask(listener, &["RESET"]);
    assert_eq!(letters(&mut rig), ([false, false], ":0".into()));
    rig.ask(listener, &["SSUBSCRIBE", "b"]);
    assert_eq!(letters(&mut rig), ([true, false], ":0".into()));
    rig.lose(listener);
    assert_eq!(letters(&mut rig), ([false, false], ":0".into()));
}

/// Whoever listens hears which key turned hot or cool and why, by key and by event, on any core.
#[test]
fn channels_tell_of_hot_keys() {
    let mut rig = Rig::new(2);
    let clients = [(0, 1), (1, 1)].map(|client| rig.open(client));
    let listeners = [(0, 2), (1, 2)].map(|client| rig.open(client));
    for listener in listeners {
        rig.ask(listener, &["PSUBSCRIBE", "__hotkey@0__:fam*"]);
        rig.ask(listener, &["SUBSCRIBE", "__hotkeyevent@0__:hot", "__hotkeyevent@0__:cool"]);
    }
    for _ in 0..50 {
        for client in clients {
            rig.send(client, &request(&["GET", "famous"]).repeat(50));
        }
        rig.settle();
        rig.mono_us += 10_000;
    }
    for listener in listeners {
        let told = rig.take(listener);
        assert!(told.contains("*4 $8 pmessage $17 __hotkey@0__:fam* $19 __hotkey@0__:famous $"), "{told}");
        assert!(
            told.contains(" hot: ") && told.contains(&message("message", "__hotkeyevent@0__:hot", "famous")),
            "{told}"
        );
    }
    for _ in 0..200 {
        rig.mono_us += 10_000;
        (0..2).for_each(|core| rig.turn(core, |_, _, _| {}));
        rig.settle();
    }
    for listener in listeners {
        let told = rig.take(listener);
        assert!(
            told.contains(" cool: ") && told.ends_with(&message("message", "__hotkeyevent@0__:cool", "famous")),
            "{told}"
        );
    }
}

/// A connection that listens is not closed for being idle.
#[test]
fn listeners_may_be_idle() {
    let mut rig = Rig::with(1, Settings { timeout_s: 1, ..Settings::default() });
    let [listener, monitor, idle] = [1, 2, 3].map(|index| rig.open((0, index)));
    rig.ask(listener, &["SUBSCRIBE", "a"]);
    rig.ask(monitor, &["MONITOR"]);
    rig.mono_us += 2_000_000;
    rig.turn(0, |now, engine, effects| engine.handle(now, Event::Tick, effects));
    assert_eq!(rig.killed, [idle]);
}

/// Proves that PUBSUB tells what its own connection listens to at that moment, even if what the connection has asked of keys
/// still waits for a transaction.
#[test]
fn pubsub_waits_for_no_key() {
    let mut rig = Rig::new(2);
    let client = rig.open((0, 1));
    let keys: Vec<String> = (0..16).map(|key| format!("k{key}")).collect();
    let mut many = vec!["MSET"];
    keys.iter().for_each(|key| many.extend([key.as_str(), "v"]));
    let mut asked = request(&many);
    keys.iter().for_each(|key| asked.extend(request(&["GET", key])));
    for words in [&["HELLO", "3"][..], &["PSUBSCRIBE", "*"], &["PUBSUB", "NUMPAT"], &["PUNSUBSCRIBE"]] {
        asked.extend(request(words));
    }
    rig.send(client, &asked);
    rig.settle();
    let got = rig.take(client);
    assert!(got.contains(":1 :1 >3 $12 punsubscribe"), "{got}");
}
