//! Proves what CLIENT LIST says of connections, and that those which take too much are closed, as are those which hang up
//! before they begin to wait: two engines without a shell, two clients on each.

mod rig;

use coldplate::engine::Event;
use rig::{Client, Rig, conn, lines};

/// The first client of core 0 does things, the second one of core 1 looks at them.
const A: Client = (0, 0);
const B: Client = (0, 1);
const FAR: Client = (1, 0);
const LOOKER: Client = (1, 1);

fn start() -> Rig {
    let mut rig = Rig::new(2);
    for client in [A, B, FAR, LOOKER] {
        rig.open_between(client, "127.0.0.1:5", "");
    }
    rig
}

/// The fields of the line of the client that calls itself `name`.
fn fields(list: &str, name: &str) -> Vec<String> {
    let line = list.lines().find(|line| line.contains(&format!(" name={name} "))).expect("it is listed");
    line.split(' ').map(str::to_owned).collect()
}

#[track_caller]
fn assert_fields(list: &str, name: &str, wanted: &[&str]) {
    let fields = fields(list, name);
    for field in wanted {
        assert!(fields.iter().any(|found| found == field), "{field} is not among {fields:?}");
    }
}

/// The request that asks counts as unread: in Redis it lies in the buffer while it runs.
#[test]
fn a_line_tells_what_a_client_does() {
    let mut rig = start();
    rig.say(A, "CLIENT SETNAME a");
    rig.say(B, "CLIENT SETNAME b");
    assert_fields(
        &rig.say(A, "CLIENT LIST"),
        "a",
        &["qbuf=26", "oll=0", "multi=-1", "multi-mem=0", "flags=N", "cmd=client|list"],
    );
    assert_fields(&rig.say(A, "CLIENT INFO"), "a", &["qbuf=26", "flags=N"]);
    assert_fields(&rig.say(FAR, "CLIENT LIST"), "a", &["qbuf=0"]);
    rig.say(A, "MULTI\nSET key value\nGET key");
    let list = rig.say(FAR, "CLIENT LIST");
    assert_fields(&list, "a", &["multi=2", "flags=x"]);
    assert!(!fields(&list, "a").contains(&"multi-mem=0".to_owned()), "{list}");
    assert_fields(&list, "b", &["multi=-1", "multi-mem=0"]);
    rig.say(A, "DISCARD\nCLIENT PAUSE 100000 WRITE");
    rig.say(B, "SET a b");
    let list = rig.say(FAR, "CLIENT LIST");
    assert_fields(&list, "b", &["flags=b"]);
    assert_fields(&list, "a", &["flags=N"]);
    rig.say(A, "CLIENT UNPAUSE");
    assert_fields(&rig.say(FAR, "CLIENT LIST"), "b", &["flags=N"]);
}

/// As in Redis the oldest come first, whichever core they are on.
#[test]
fn lines_are_in_order() {
    let mut rig = start();
    rig.pass(1000);
    rig.open((1, 2));
    rig.pass(1000);
    rig.open((0, 2));
    let list = rig.say(FAR, "CLIENT LIST");
    let ids: Vec<&str> = list.lines().filter(|line| line.starts_with("id=")).map(|line| &line[3..4]).collect();
    assert_eq!(ids[4..], ["6", "5"]);
}

/// What the shell has taken and not sent yet is memory of its client.
#[test]
fn what_is_being_sent_counts() {
    let mut rig = start();
    rig.say(B, "CLIENT SETNAME b");
    let (request, mut taken) = (rig::lines("ECHO 0123456789"), None);
    rig.turn(0, |now, engine, effects| {
        engine.handle(now, Event::Received { chunks: &[(conn(B), &request)] }, effects);
        taken = engine.take_output(conn(B));
    });
    let list = rig.say(A, "CLIENT LIST");
    assert_fields(&list, "b", &[&format!("omem={}", "$10\r\n0123456789\r\n".len())]);
    let output = taken.expect("it was answered at once");
    rig.turn(0, |now, engine, effects| engine.handle(now, Event::Sent { conn: conn(B), output }, effects));
    assert_fields(&rig.say(A, "CLIENT LIST"), "b", &["omem=0"]);
}

#[test]
fn the_limit_of_clients_is_bytes_or_a_share() {
    let mut rig = start();
    let shown =
        |rig: &mut Rig| rig.say(FAR, "CONFIG GET maxmemory-clients").lines().last().expect("a value").to_owned();
    for (value, as_shown) in [("10mb", "10485760"), ("10%", "10%"), ("100%", "100%"), ("0%", "0"), ("0", "0")] {
        assert_eq!(rig.say(A, &format!("CONFIG SET maxmemory-clients {value}")), "+OK\r\n");
        assert_eq!(shown(&mut rig), as_shown);
    }
    for (value, words) in [
        ("200%", "percentage argument must be less or equal to 100"),
        ("9223372036854775808", "percentage argument must be less or equal to 100"),
        ("-1", "argument must be a memory or percent value"),
        ("+5%", "argument must be a memory or percent value"),
        ("5x", "argument must be a memory or percent value"),
        ("%", "argument must be a memory or percent value"),
    ] {
        let error = format!("-ERR CONFIG SET failed (possibly related to argument 'maxmemory-clients') - {words}\r\n");
        assert_eq!(rig.say(A, &format!("CONFIG SET maxmemory-clients {value}")), error, "{value}");
    }
    assert_eq!(shown(&mut rig), "0");
}

/// The largest goes first, no more than need be, and never who must not.
#[test]
fn clients_that_take_too_much_are_closed() {
    let mut rig = start();
    let unfinished = |rig: &mut Rig, client: Client, bytes: usize| {
        let text = [format!("*2\r\n$3\r\nGET\r\n${}\r\n", bytes * 2).into_bytes(), vec![b'x'; bytes]].concat();
        rig.send(client, &text);
        rig.settle();
    };
    assert_eq!(rig.say(FAR, "CONFIG SET maxmemory-clients 300kb"), "+OK\r\n");
    unfinished(&mut rig, B, 60_000);
    unfinished(&mut rig, FAR, 10_000);
    assert_eq!(rig.killed, []);
    rig.say(A, "PING");
    unfinished(&mut rig, A, 290_000);
    rig.pass(1000);
    assert_eq!(rig.killed, [A]);
    assert!(rig.say(LOOKER, "INFO stats").contains("evicted_clients:1\r\n"));
    // A share of no limit is none.
    assert_eq!(rig.say(LOOKER, "CONFIG SET maxmemory-clients 1%"), "+OK\r\n");
    rig.pass(1000);
    assert_eq!(rig.killed.len(), 1);
    assert_eq!(rig.say(LOOKER, "CONFIG SET maxmemory 5mb"), "+OK\r\n");
    rig.pass(1000);
    assert_eq!(rig.killed[1..], [B]);
}

#[test]
fn who_is_not_to_be_evicted_stays() {
    let mut rig = start();
    rig.say(A, "CLIENT NO-EVICT on\nMULTI");
    for _ in 0..20 {
        rig.say(A, &format!("SET k {}", "x".repeat(10_000)));
    }
    rig.say(FAR, "CONFIG SET maxmemory-clients 100kb");
    rig.pass(1000);
    assert!(!rig.killed.contains(&A), "{:?}", rig.killed);
    rig.killed.clear();
    let mut rig = start();
    rig.say(FAR, "CONFIG SET maxmemory-clients 100kb");
    rig.say(A, "MULTI");
    for _ in 0..20 {
        rig.say(A, &format!("SET k {}", "x".repeat(10_000)));
    }
    rig.pass(1000);
    assert_eq!(rig.killed, [A]);
}

/// Who is listed and who is killed, by what a client is; and what is refused.
#[test]
fn clients_are_chosen_by_what_they_are() {
    let mut rig = start();
    let names = |list: &str| ["a", "b", "far"].map(|name| list.contains(&format!(" name={name} ")));
    for (client, name) in [(A, "a"), (B, "b"), (FAR, "far")] {
        rig.say(client, &format!("CLIENT SETNAME {name}"));
    }
    let id = rig.say(FAR, "CLIENT ID").trim_start_matches(':').trim_end().to_owned();
    rig.say(B, "SUBSCRIBE channel");
    assert_eq!(names(&rig.say(LOOKER, "CLIENT LIST TYPE pubsub")), [false, true, false]);
    assert_eq!(names(&rig.say(LOOKER, "CLIENT LIST TYPE normal")), [true, false, true]);
    assert_eq!(names(&rig.say(LOOKER, "CLIENT LIST TYPE replica")), [false; 3]);
    assert_eq!(names(&rig.say(LOOKER, &format!("CLIENT LIST ID 99999 {id}"))), [false, false, true]);
    for (request, answer) in [
        ("CLIENT GETNAME", "$-1\r\n"),
        ("CLIENT SETNAME 'a b'", "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"),
        ("CLIENT SETINFO lib-name x\nCLIENT SETINFO LIB-VER 1", "+OK\r\n+OK\r\n"),
        ("CLIENT SETINFO lib x", "-ERR Unrecognized option 'lib'\r\n"),
        ("CLIENT SETINFO lib-ver '1 2'", "-ERR lib-ver cannot contain spaces, newlines or special characters.\r\n"),
        ("CLIENT NO-TOUCH x", "-ERR syntax error\r\n"),
        ("CLIENT NO-TOUCH on", "+OK\r\n"),
        ("CLIENT LIST TYPE x", "-ERR Unknown client type 'x'\r\n"),
        ("CLIENT LIST ID x", "-ERR Invalid client ID\r\n"),
        ("CLIENT LIST x", "-ERR syntax error\r\n"),
        ("CLIENT KILL ID 0", "-ERR client-id should be greater than 0\r\n"),
        ("CLIENT KILL USER x", "-ERR No such user 'x'\r\n"),
        ("CLIENT KILL x y", "-ERR syntax error\r\n"),
        ("CLIENT KILL ID 1 TYPE", "-ERR syntax error\r\n"),
        ("CLIENT KILL LADDR 1.2.3.4:5", ":0\r\n"),
    ] {
        assert_eq!(rig.say(LOOKER, request), answer, "{request}");
    }
    let own = rig.say(LOOKER, "CLIENT INFO");
    assert!(own.contains(" flags=T ") && own.contains(" lib-name=x lib-ver=1\n"), "{own}");
    assert_eq!(rig.say(LOOKER, "CLIENT KILL TYPE pubsub USER default"), ":1\r\n");
    assert_eq!(rig.say(LOOKER, &format!("CLIENT KILL ID {id} SKIPME no")), ":1\r\n");
    assert_eq!(rig.killed, [B, FAR]);
    assert_eq!(rig.say(LOOKER, "CLIENT KILL ADDR 127.0.0.1:5 SKIPME yes"), ":1\r\n");
    assert_eq!(rig.killed, [B, FAR, A]);
}

/// Nobody begins to wait whose end has come while an earlier request of its was under way: who has hung up is gone, and
/// when the server ends, everybody is answered.
#[test]
fn no_wait_begins_behind_the_end() {
    let ask = |rig: &mut Rig, text: &str, end: Event| {
        rig.turn(A.0, |now, engine, effects| {
            // FLUSHALL asks the other core for its locks first.
            engine.handle(now, Event::Received { chunks: &[(conn(A), &lines(text))] }, effects);
            engine.handle(now, end, effects);
        });
        rig.settle();
    };
    let mut rig = start();
    ask(&mut rig, "FLUSHALL\nWAIT 1 0\nPING", Event::Ended { conn: conn(A) });
    assert_eq!(rig.killed, [A]);
    let mut rig = start();
    rig.turn(FAR.0, |now, engine, effects| engine.handle(now, Event::Drain, effects));
    ask(&mut rig, "FLUSHALL\nWAIT 1 0\nCLIENT PAUSE 1000\nPING", Event::Drain);
    assert_eq!(rig.heard(A), "+OK\r\n:0\r\n+OK\r\n+PONG\r\n");
}

/// What a client listens to, watches or wants to be told of is memory of its own, each name with what it takes in tables;
/// once for a name that it gives twice, and no more when it has left.
#[test]
fn what_a_client_holds_is_its_memory() {
    let memory = |rig: &mut Rig| {
        let list = rig.say(LOOKER, "CLIENT LIST");
        let bytes = fields(&list, "a").into_iter().find_map(|field| field.strip_prefix("tot-mem=")?.parse().ok());
        bytes.unwrap_or_else(|| panic!("{list}"))
    };
    let names: Vec<String> = (0..1000).map(|number| format!("{number:03}")).collect();
    let all = names.join(" ");
    for (hold, leave) in [
        (format!("SUBSCRIBE {all}"), "UNSUBSCRIBE"),
        (format!("PSUBSCRIBE {all}"), "PUNSUBSCRIBE"),
        (format!("SSUBSCRIBE {all}"), "SUNSUBSCRIBE"),
        (format!("WATCH {all}"), "UNWATCH"),
        (format!("WATCH {all}"), "MULTI\nEXEC"),
        (format!("MULTI{}", "\nPING".repeat(1000)), "DISCARD"),
        (format!("CLIENT TRACKING ON BCAST PREFIX {}", names.join(" PREFIX ")), "CLIENT TRACKING OFF"),
    ] {
        let mut rig = start();
        rig.say(A, "HELLO 3\nCLIENT SETNAME a");
        let before: u64 = memory(&mut rig);
        let asked = hold.split(' ').next().expect("a word");
        rig.say(A, &hold);
        let held = memory(&mut rig) - before;
        assert!((60_000..250_000).contains(&held), "{asked}: {held} bytes");
        if matches!(asked, "SUBSCRIBE" | "PSUBSCRIBE" | "SSUBSCRIBE" | "WATCH") {
            rig.say(A, &hold);
            assert_eq!(memory(&mut rig) - before, held, "{asked}");
        }
        rig.say(A, leave);
        assert!(memory(&mut rig) < before + 1000, "{leave}");
        // It is what the limit on clients counts.
        rig.say(LOOKER, "CONFIG SET maxmemory-clients 50kb");
        rig.pass(1000);
        assert_eq!(rig.killed, [], "{asked}");
        rig.say(A, &hold);
        rig.pass(1000);
        assert_eq!(rig.killed, [A], "{asked}");
    }
}

/// A pause is over for what comes behind its end, also where nobody has looked at the clock since.
#[test]
fn a_pause_ends_everywhere_at_once() {
    let mut rig = start();
    let key = rig.key_of(1);
    rig.say(A, &format!("DEBUG SET-ACTIVE-EXPIRE 0\nPSETEX {key} 10 x\nCLIENT PAUSE 1000 WRITE"));
    rig.pass(500_000);
    assert_eq!(rig.say(A, &format!("EXISTS {key}\nDBSIZE")), ":0\r\n:1\r\n");
    rig.wait(600_000);
    assert_eq!(rig.say(A, &format!("EXISTS {key}\nDBSIZE")), ":0\r\n:0\r\n");
}

/// Where nothing is logged, nothing is brought to disk.
#[test]
fn without_a_log_nothing_is_saved() {
    let mut rig = start();
    for (line, begins) in [
        ("SAVE", "-ERR there are no snapshots"),
        ("BGSAVE", "-ERR keys are in memory only"),
        ("BGREWRITEAOF", "-ERR keys are in memory only"),
    ] {
        assert!(rig.say(A, line).starts_with(begins), "{line}");
    }
}
