//! What happens to keys is published as Redis does, whoever owns the key and wherever its listener is.

use super::rig::Rig;
use super::{everywhere, matched};

fn told(key: &str, event: &str) -> String {
    let (by_key, by_event) = (format!("__keyspace@0__:{key}"), format!("__keyevent@0__:{event}"));
    format!("{} {}", matched("*", &by_key, event), matched("*", &by_event, key))
}

#[test]
fn events_are_published_by_key_and_by_event() {
    everywhere(|rig, one, two, client| {
        assert_eq!(rig.ask(client, &["CONFIG", "SET", "notify-keyspace-events", "KEA"]), "+OK");
        assert_eq!(rig.ask(two, &["CONFIG", "GET", "notify-keyspace-events"]), "*2 $22 notify-keyspace-events $3 AKE");
        rig.ask(one, &["PSUBSCRIBE", "*"]);
        for key in ["k1", "k2", "k3", "k4"] {
            rig.ask(client, &["SET", key, "v"]);
            assert_eq!(rig.take(one), told(key, "set"));
            rig.ask(client, &["EXPIRE", key, "100"]);
            assert_eq!(rig.take(one), told(key, "expire"));
        }
        rig.ask(client, &["DEL", "k1", "k2"]);
        let mut deleted = rig.take(one);
        for key in ["k1", "k2"] {
            assert!(deleted.contains(&told(key, "del")), "{deleted}");
            deleted = deleted.replace(&told(key, "del"), "");
        }
        assert_eq!(deleted.trim(), "");
        rig.ask(client, &["CONFIG", "SET", "notify-keyspace-events", "Ex"]);
        rig.ask(client, &["SET", "k4", "v", "PX", "50"]);
        assert_eq!(rig.take(one), "");
        rig.mono_us += 60_000;
        assert_eq!(rig.ask(client, &["GET", "k4"]), "$-1");
        assert_eq!(rig.take(one), matched("*", "__keyevent@0__:expired", "k4"));
        let words = "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";
        let refused = rig.ask(client, &["CONFIG", "SET", "notify-keyspace-events", "KQ"]);
        assert!(refused.ends_with(&format!("'notify-keyspace-events') - {words}")), "{refused}");
        rig.ask(client, &["CONFIG", "SET", "notify-keyspace-events", ""]);
        rig.ask(client, &["SET", "k1", "v"]);
        assert_eq!(rig.take(one), "");
    });
}

/// A key that nobody asks for is told of when it is swept.
#[test]
fn swept_keys_are_told_of() {
    let mut rig = Rig::new(2);
    let [listener, client] = [(0, 1), (1, 1)].map(|client| rig.open(client));
    rig.ask(client, &["CONFIG", "SET", "notify-keyspace-events", "Ex"]);
    rig.ask(listener, &["SUBSCRIBE", "__keyevent@0__:expired"]);
    for key in ["k1", "k2", "k3", "k4"] {
        rig.ask(client, &["SET", key, "v", "PX", "50"]);
    }
    rig.mono_us += 1_000_000;
    for core in 0..2 {
        rig.turn(core, |_, _, _| {});
    }
    rig.settle();
    let heard = rig.take(listener);
    assert_eq!(heard.matches("*3 $7 message $22 __keyevent@0__:expired $2 k").count(), 4, "{heard}");
}
