//! A monitor sees what clients of all cores run, as Redis prints it.

use super::everywhere;
use super::rig::{Rig, request};
use coldplate::engine::Settings;

/// Lines without their first words, the time and the client.
fn commands(text: &str) -> Vec<String> {
    let lines = text.split(" +").filter(|line| line.contains("] \""));
    lines.map(|line| line.split_once("] ").expect("it was looked for").1.to_string()).collect()
}

#[test]
fn a_monitor_sees_the_requests_of_all_cores() {
    everywhere(|rig, monitor, other, client| {
        rig.ask(client, &["SET", "unseen", "1"]);
        assert_eq!(rig.ask(monitor, &["MONITOR"]), "+OK");
        assert_eq!(rig.ask(monitor, &["MONITOR"]), "", "as in Redis");
        rig.mono_us = 1_234_567;
        assert_eq!(rig.ask(client, &["SET", "k", "a \"b\"\r\n\u{1}"]), "+OK");
        let (core, index) = client;
        let seen = rig.take(monitor);
        assert_eq!(
            seen,
            format!("+1700000001.234567 [0 10.0.{core}.{index}:{index}] \"SET\" \"k\" \"a \\\"b\\\"\\r\\n\\x01\"")
        );
        for words in [&["get", "k"][..], &["MGET", "k", "l"], &["INCR", "k"], &["PUBLISH", "a", "x"], &["DBSIZE"]] {
            rig.ask(client, words);
        }
        rig.ask(other, &["SUBSCRIBE", "a"]);
        rig.ask(other, &["GET", "k"]);
        for words in [&["CONFIG", "GET", "port"][..], &["NOSUCH"], &["GET"], &["CLIENT", "KILL", "ID", "99"]] {
            rig.ask(client, words);
        }
        let seen = commands(&format!(" {}", rig.take(monitor)));
        let expected = [
            r#""get" "k""#,
            r#""MGET" "k" "l""#,
            r#""INCR" "k""#,
            r#""PUBLISH" "a" "x""#,
            r#""DBSIZE""#,
            r#""SUBSCRIBE" "a""#,
        ];
        assert_eq!(seen, expected, "neither what is refused nor what administers");
        rig.ask(other, &["RESET"]);
        rig.take(monitor);
        assert!(rig.ask(monitor, &["PING"]).starts_with("+PONG +1700000001.234567 [0 "), "its own requests too");
        assert!(rig.ask(client, &["CLIENT", "LIST"]).contains("flags=O "));
        rig.take(monitor);
        assert_eq!(
            rig.ask(monitor, &["RESET"]),
            "+RESET +1700000001.234567 [0 ".to_string().trim_end_matches(" +1700000001.234567 [0 ")
        );
        rig.ask(client, &["GET", "k"]);
        assert_eq!(rig.take(monitor), "");
    });
}

#[test]
fn secrets_are_hidden_and_strangers_unseen() {
    let mut rig = Rig::with(2, Settings { requirepass: b"sesame".to_vec(), ..Settings::default() });
    let [monitor, client] = [(0, 1), (1, 1)].map(|client| rig.open(client));
    rig.ask(monitor, &["AUTH", "sesame"]);
    rig.ask(monitor, &["MONITOR"]);
    for words in [&["GET", "k"][..], &["auth", "wrong"], &["auth", "u", "wrong"], &["hello", "2", "AUTH", "u", "p"]] {
        rig.ask(client, words);
    }
    let hidden = r#""(redacted)""#;
    let expected = [
        format!("\"auth\" {hidden}"),
        format!("\"auth\" {hidden} {hidden}"),
        format!("\"hello\" \"2\" \"AUTH\" {hidden} {hidden}"),
    ];
    assert_eq!(commands(&format!(" {}", rig.take(monitor))), expected);
}

/// Large values, requests of many turns and what follows MONITOR in its own pipeline are shown like any others.
#[test]
fn whatever_its_way_a_request_is_seen() {
    everywhere(|rig, monitor, _, client| {
        rig.send(monitor, &[request(&["MONITOR"]), request(&["PING"])].concat());
        rig.settle();
        assert_eq!(commands(&format!(" {}", rig.take(monitor))), ["\"PING\""]);
        let large = "v".repeat(100_000);
        rig.ask(client, &["SET", "k", &large]);
        assert_eq!(commands(&format!(" {}", rig.take(monitor))), [format!("\"SET\" \"k\" \"{large}\"")]);
        let keys: Vec<String> = (0..70_000).map(|key| key.to_string()).collect();
        let long: Vec<&str> = ["EXISTS"].into_iter().chain(keys.iter().map(String::as_str)).collect();
        assert_eq!(rig.ask(client, &long), ":0");
        let seen = commands(&format!(" {}", rig.take(monitor)));
        assert_eq!(seen.len(), 1);
        assert!(seen[0].starts_with("\"EXISTS\" \"0\" \"1\"") && seen[0].ends_with("\"69999\""));
        rig.lose(monitor);
        assert_eq!(rig.ask(client, &["PING"]), "+PONG");
    });
}

/// A transaction is shown as it runs, its EXEC behind it, whether its keys are on one core or several.
#[test]
fn transactions_are_shown_as_they_run() {
    everywhere(|rig, monitor, _, client| {
        rig.ask(monitor, &["MONITOR"]);
        let queued = [&["set", "foo", "1"][..], &["mget", "foo", "bar"], &["incr", "bar"], &["config", "get", "port"]];
        rig.ask(client, &["multi"]);
        for words in queued {
            assert_eq!(rig.ask(client, words), "+QUEUED");
        }
        assert!(rig.ask(client, &["exec"]).starts_with("*4 +OK *2 $1 1 $-1 :1 "));
        let run = [r#""multi""#, r#""set" "foo" "1""#, r#""mget" "foo" "bar""#, r#""incr" "bar""#, r#""exec""#];
        assert_eq!(commands(&format!(" {}", rig.take(monitor))), run);
        rig.ask(client, &["multi"]);
        rig.ask(client, &["syntax", "error"]);
        assert!(rig.ask(client, &["exec"]).starts_with("-EXECABORT"));
        assert_eq!(commands(&format!(" {}", rig.take(monitor))), [r#""multi""#, r#""exec""#]);
    });
}
