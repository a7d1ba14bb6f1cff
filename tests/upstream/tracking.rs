//! Clients that keep what they have read, in front of one server: CLIENT TRACKING, and what comes of it.

use super::own::{OWN, texts};
use super::{A, B, accept, before, connected, pool, text};
use coldplate::engine::PoolKind;

const TOLD: &str = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n";

/// Proves that all that such a client asks goes over its own connection, on which it hears of what it has read, and that the
/// connection is given back when it keeps nothing any more.
#[test]
fn a_client_that_tracks_has_a_connection() {
    let (mut rig, link) = connected(|_| {});
    rig.tell(A, "HELLO 3");
    rig.take(A);
    rig.tell(
        A,
        "CLIENT TRACKING ON OPTIN\nCLIENT CACHING YES\nGET a\nPING\nCLIENT TRACKINGINFO\nCLIENT GETREDIR\nCLIENT ID",
    );
    let own = accept(&mut rig, OWN);
    assert_eq!(rig.heard(own), text(&["HELLO", "3"]));
    rig.send(own, b"%0\r\n");
    let asked: [&[&str]; 6] = [
        &["CLIENT", "TRACKING", "ON", "OPTIN"],
        &["CLIENT", "CACHING", "YES"],
        &["GET", "a"],
        &["PING"],
        &["CLIENT", "TRACKINGINFO"],
        &["CLIENT", "GETREDIR"],
    ];
    assert_eq!(rig.heard(own), texts(&asked));
    rig.send(own, format!("+OK\r\n+OK\r\n$1\r\n1\r\n{TOLD}+PONG\r\n%0\r\n:0\r\n").as_bytes());
    assert_eq!(rig.heard(A), format!("+OK\r\n+OK\r\n$1\r\n1\r\n{TOLD}+PONG\r\n%0\r\n:0\r\n:1\r\n"));
    rig.send(own, TOLD.as_bytes());
    assert_eq!(rig.heard(A), TOLD, "it waits for nothing");
    rig.tell(A, "MULTI\nCLIENT CACHING YES\nGET a\nEXEC");
    assert_eq!(rig.heard(own), texts(&[&["MULTI"], &["CLIENT", "CACHING", "YES"], &["GET", "a"], &["EXEC"]]));
    rig.send(own, b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n_\r\n");
    assert_eq!(rig.take(A), "+OK +QUEUED +QUEUED *2 +OK _");
    rig.tell(B, "GET a");
    assert_eq!(rig.heard(link), text(&["GET", "a"]), "others share a link");
    rig.tell(A, "CLIENT TRACKING OFF\nGET b");
    assert_eq!(rig.heard(own), texts(&[&["CLIENT", "TRACKING", "OFF"], &["GET", "b"]]));
    rig.send(own, b"+OK\r\n_\r\n");
    assert_eq!(rig.take(A), "+OK _");
    rig.tell(A, "MULTI\nGET c\nCLIENT TRACKING OFF");
    assert_eq!(rig.heard(own), texts(&[&["MULTI"], &["GET", "c"]]), "it was given back, and is taken again");
}

/// Proves that what the server refuses changes nothing, and that a lost connection takes its client with it.
#[test]
fn tracking_is_what_the_server_has_said() {
    let (mut rig, link) = connected(|_| {});
    rig.tell(A, "CLIENT TRACKING OFF\nCLIENT CACHING YES\nCLIENT GETREDIR");
    let untracked =
        "-ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled";
    assert_eq!(rig.take(A), format!("+OK {untracked} :-1"));
    rig.tell(A, "CLIENT TRACKING ON PREFIX a");
    let own = accept(&mut rig, OWN);
    assert_eq!(rig.heard(own), text(&["CLIENT", "TRACKING", "ON", "PREFIX", "a"]));
    rig.send(own, b"-ERR PREFIX option requires BCAST mode to be enabled\r\n");
    assert_eq!(rig.take(A), "-ERR PREFIX option requires BCAST mode to be enabled");
    rig.tell(A, "GET a");
    assert_eq!(rig.heard(link), text(&["GET", "a"]));
    rig.send(link, b"$-1\r\n");
    rig.take(A);
    rig.tell(A, "CLIENT TRACKING ON");
    rig.send(own, b"+OK\r\n");
    rig.tell(A, "CLIENT TRACKING ON OPTIN");
    rig.send(own, b"-ERR no\r\n");
    assert_eq!(rig.take(A), "+OK -ERR no");
    rig.lose(own);
    rig.settle();
    assert_eq!(rig.killed, [A], "it believes that it hears of changes");
}

#[test]
fn some_tracking_is_refused() {
    let (mut rig, _) = connected(|_| {});
    let redirects =
        "-ERR upstream main: 'client|tracking' cannot redirect to a connection that the server does not know\r\n";
    assert_eq!(rig.say(A, "CLIENT TRACKING ON REDIRECT 2"), redirects);
    assert_eq!(rig.say(A, "MULTI"), "+OK\r\n");
    assert_eq!(rig.say(A, "CLIENT TRACKING ON"), "-ERR upstream cannot run this command inside MULTI\r\n");
    assert!(rig.say(A, "EXEC").starts_with("-EXECABORT"));
    let mut rig = before(vec![pool("main", PoolKind::Single, &["a:1"])], &[("here:*", None)]);
    assert!(rig.say(A, "CLIENT TRACKING ON").starts_with("-ERR upstream main: 'client|tracking' would have to hear"));
    assert_eq!(rig.say(A, "CLIENT GETREDIR"), ":-1\r\n");
}
