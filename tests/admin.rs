//! Proves what the server says of itself and how it is told to wait: two engines without a shell, two clients on each,
//! and a clock that the test turns by hand. What one core counted is asked of the other.

mod rig;

use coldplate::engine::Event;
use rig::{Client, Rig, conn};

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

fn info(rig: &mut Rig, section: &str) -> String {
    rig.say(LOOKER, &format!("INFO {section}"))
}

#[test]
fn commands_are_counted_by_what_became_of_them() {
    let mut rig = start();
    rig.say(A, "CONFIG RESETSTAT");
    for key in ["a", "b", "c", "d"] {
        rig.say(A, &format!("SET {key} x\nSET {key} y\nGET {key}\nINCR {key}\nSET {key}"));
    }
    let stats = info(&mut rig, "commandstats");
    for line in [
        "cmdstat_set:calls=8,usec=0,usec_per_call=0.00,rejected_calls=4,failed_calls=0\r\n",
        "cmdstat_get:calls=4,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0\r\n",
        "cmdstat_incr:calls=4,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=4\r\n",
        "cmdstat_config|resetstat:calls=1,",
    ] {
        assert!(stats.contains(line), "{line} is missing: {stats}");
    }
    assert!(info(&mut rig, "errorstats").contains("errorstat_ERR:count=8\r\n"));
    assert!(rig.say(A, "NOSUCH\nAUTH x\nDEBUG ERROR 'BOOM x'").contains("-BOOM x\r\n"));
    let errors = info(&mut rig, "errorstats stats");
    assert!(errors.contains("errorstat_ERR:count=10\r\n") && errors.contains("errorstat_BOOM:count=1\r\n"), "{errors}");
    assert!(errors.contains("total_error_replies:11\r\n"), "{errors}");
    rig.say(A, "CONFIG RESETSTAT");
    assert!(!info(&mut rig, "all").contains("errorstat_"));
}

/// A write that memory refuses is no call, wherever its key lives.
#[test]
fn refusals_for_want_of_memory_are_no_calls() {
    let mut rig = start();
    rig.say(A, "CONFIG RESETSTAT\nCONFIG SET maxmemory 1");
    rig.pass(1000);
    let keys = ["a", "b", "c", "d", "e", "f"];
    let refused = keys.iter().filter(|key| rig.say(A, &format!("SET {key} x")).starts_with("-OOM")).count();
    assert!(refused > 0);
    let stats = info(&mut rig, "commandstats errorstats");
    let calls = keys.len() - refused;
    let line = format!("cmdstat_set:calls={calls},usec=0,usec_per_call=0.00,rejected_calls={refused},failed_calls=0");
    assert!(stats.contains(&line), "{line} is missing: {stats}");
    assert!(stats.contains(&format!("errorstat_OOM:count={refused}\r\n")), "{stats}");
}

/// An error counts however late it comes: from another core, from all of them, or from a command of a transaction.
#[test]
fn late_errors_are_counted() {
    let mut rig = start();
    let (near, far) = (rig.key_of(0), rig.key_of(1));
    for (lines, command) in [
        ("CLIENT KILL 1.2.3.4:5".to_owned(), "client|kill"),
        ("LATENCY GRAPH nosuch".to_owned(), "latency|graph"),
        ("CLIENT TRACKING ON REDIRECT 998".to_owned(), "client|tracking"),
        ("CLIENT TRACKING ON REDIRECT 999".to_owned(), "client|tracking"),
        (format!("RENAME {near} {near}"), "rename"),
        (format!("RENAME {far} {near}"), "rename"),
        (format!("MULTI\nRENAME {near} {near}\nEXEC"), "rename"),
        (format!("MULTI\nRENAME {far} {near}\nEXEC"), "rename"),
        (format!("MULTI\nCOPY {far} {near} DB x\nEXEC"), "copy"),
        (format!("LCS {far} {near} LEN IDX"), "lcs"),
    ] {
        rig.say(A, "CONFIG RESETSTAT");
        assert!(rig.say(A, &lines).contains("-ERR "), "{lines}");
        let stats = info(&mut rig, "commandstats errorstats");
        let row = stats.lines().find(|line| line.starts_with(&format!("cmdstat_{command}:"))).expect("it ran");
        assert!(row.ends_with("calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=1"), "{lines}: {row}");
        assert!(stats.contains("errorstat_ERR:count=1\r\n"), "{lines}: {stats}");
    }
}

#[test]
fn sections_are_chosen_as_in_redis() {
    let mut rig = start();
    let shown = |text: &str| {
        ["# Server", "# CPU", "# Commandstats", "# Errorstats", "# Cores"].map(|s| text.matches(s).count())
    };
    assert_eq!(shown(&info(&mut rig, "")), [1, 1, 0, 1, 1]);
    assert_eq!(shown(&info(&mut rig, "default")), [1, 1, 0, 1, 1]);
    assert_eq!(shown(&info(&mut rig, "ALL")), [1, 1, 1, 1, 1]);
    assert_eq!(shown(&info(&mut rig, "everything cpu")), [1, 1, 1, 1, 1]);
    assert_eq!(shown(&info(&mut rig, "cpu nosuch commandSTATS")), [0, 1, 1, 0, 0]);
    assert_eq!(info(&mut rig, "nosuch"), "$0\r\n\r\n");
}

#[test]
fn durations_become_histograms_and_events() {
    let mut rig = start();
    assert!(rig.say(A, "LATENCY DOCTOR").contains("latency-monitor-threshold is 0"));
    rig.say(A, "CONFIG SET latency-monitor-threshold 100\nCONFIG RESETSTAT");
    for seconds in ["0.3", "0.5"] {
        assert_eq!(rig.say(A, &format!("DEBUG SLEEP {seconds}")), "+OK\r\n");
        rig.pass(1_100_000);
    }
    rig.say(FAR, "DEBUG SLEEP 0.2");
    let histogram = rig.say(B, "LATENCY HISTOGRAM debug nosuch");
    let wanted = "*2\r\n$5\r\ndebug\r\n*4\r\n$5\r\ncalls\r\n:3\r\n$14\r\nhistogram_usec\r\n*4\r\n:270532\r\n:1\r\n:541065\r\n:3\r\n";
    assert_eq!(histogram, wanted);
    assert!(info(&mut rig, "latencystats").contains("latency_percentiles_usec_debug:p50="));
    assert!(info(&mut rig, "commandstats").contains("cmdstat_debug:calls=3,usec=1000000,usec_per_call=333333.33,"));
    let history = rig.say(B, "LATENCY HISTORY command");
    assert_eq!((history.starts_with("*3\r\n"), history.matches(":500\r\n").count()), (true, 1), "{history}");
    let latest = rig.say(FAR, "LATENCY LATEST");
    assert!(latest.starts_with("*1\r\n*4\r\n$7\r\ncommand\r\n:") && latest.ends_with(":200\r\n:500\r\n"), "{latest}");
    assert!(rig.say(A, "LATENCY GRAPH command").contains("command - high 500 ms, low 200 ms (all time high 500 ms)\n"));
    assert_eq!(rig.say(A, "LATENCY GRAPH nosuch"), "-ERR No samples available for event 'nosuch'\r\n");
    assert!(rig.say(A, "LATENCY DOCTOR").contains("SLOWLOG GET"));
    assert_eq!(rig.say(A, "LATENCY RESET nosuch\nLATENCY RESET\nLATENCY LATEST"), ":0\r\n:1\r\n*0\r\n");
}

#[test]
fn who_waits_is_answered_in_time_and_in_order() {
    let mut rig = start();
    assert_eq!(rig.say(A, "WAIT 0 0\nPING"), ":0\r\n+PONG\r\n");
    assert_eq!(rig.say(A, "WAIT 1 100\nPING"), "");
    assert!(info(&mut rig, "clients").contains("blocked_clients:1\r\n"));
    rig.pass(99_000);
    assert_eq!(rig.heard(A), "");
    rig.pass(1_000);
    assert_eq!(rig.heard(A), ":0\r\n+PONG\r\n");
    let id = rig.say(A, "CLIENT ID").trim_start_matches(':').trim_end().to_owned();
    for (how, answer) in
        [("", ":0\r\n"), (" TIMEOUT", ":0\r\n"), (" ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n")]
    {
        assert_eq!(rig.say(A, "WAIT 1 0"), "");
        assert_eq!(rig.say(FAR, &format!("CLIENT UNBLOCK {id}{how}\nCLIENT UNBLOCK {id}")), ":1\r\n:0\r\n");
        assert_eq!(rig.heard(A), answer, "{how}");
    }
    for (request, error) in [
        ("WAIT x 0", "ERR value is not an integer or out of range"),
        ("WAIT 1 x", "ERR timeout is not an integer or out of range"),
        ("WAIT 1 -1", "ERR timeout is negative"),
        ("CLIENT UNBLOCK x", "ERR value is not an integer or out of range"),
        ("CLIENT UNBLOCK 1 x", "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"),
        ("CLIENT PAUSE x", "ERR timeout is not an integer or out of range"),
        ("CLIENT PAUSE 1 ALL x", "ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP."),
        ("CLIENT PAUSE 1 x", "ERR CLIENT PAUSE mode must be WRITE or ALL"),
    ] {
        assert_eq!(rig.say(A, request), format!("-{error}\r\n"), "{request}");
    }
}

/// Who waits and hangs up is gone, and its wait with it.
#[test]
fn a_wait_ends_with_its_connection() {
    let mut rig = start();
    rig.say(A, "WAIT 1 0");
    rig.turn(0, |now, engine, effects| engine.handle(now, Event::Ended { conn: conn(A) }, effects));
    assert_eq!(rig.killed, [A]);
    rig.turn(0, |now, engine, effects| engine.handle(now, Event::Lost { conn: conn(A) }, effects));
    assert!(info(&mut rig, "clients").contains("blocked_clients:0\r\n"));
}

#[test]
fn paused_clients_wait_on_every_core() {
    let mut rig = start();
    assert_eq!(rig.say(A, "SET k 0\nCLIENT PAUSE 100 WRITE\nGET k\nINCR k"), "+OK\r\n+OK\r\n$1\r\n0\r\n");
    assert_eq!(rig.say(FAR, "GET k\nINCR m\nGET m"), "$1\r\n0\r\n");
    assert!(info(&mut rig, "clients").contains("blocked_clients:2\r\n"));
    assert_eq!(rig.say(B, "CLIENT UNPAUSE\nPING"), "+OK\r\n+PONG\r\n");
    assert_eq!(rig.heard(A), ":1\r\n");
    assert_eq!(rig.heard(FAR), ":1\r\n$1\r\n1\r\n");
    rig.say(A, "CLIENT PAUSE 100");
    assert_eq!(
        (rig.say(A, "GET k"), rig.say(FAR, "PING"), rig.say(B, "NOSUCH")),
        (String::new(), String::new(), String::new())
    );
    rig.pass(100_000);
    assert_eq!((rig.heard(A), rig.heard(FAR)), ("$1\r\n1\r\n".to_owned(), "+PONG\r\n".to_owned()));
    assert!(rig.heard(B).starts_with("-ERR unknown command 'NOSUCH'"));
}

/// While clients are paused a key that has expired is not seen, and not removed either.
#[test]
fn nothing_expires_in_a_pause() {
    let mut rig = start();
    rig.say(A, "PSETEX a 10 x\nPSETEX b 10 x\nPSETEX c 10 x\nCLIENT PAUSE 1000 WRITE");
    rig.pass(500_000);
    for client in [A, FAR] {
        assert_eq!(rig.say(client, "GET a\nEXISTS b\nTTL c\nTYPE a"), "$-1\r\n:0\r\n:-2\r\n+none\r\n");
    }
    assert!(info(&mut rig, "stats").contains("expired_keys:0\r\n"));
    rig.say(A, "CLIENT UNPAUSE\nGET a\nGET b\nGET c");
    assert!(info(&mut rig, "stats").contains("expired_keys:3\r\n"));
}

/// What redis-server 7.0 answered about the same keys.
#[test]
fn digests_are_those_of_redis_over_all_cores() {
    let mut rig = start();
    assert_eq!(rig.say(A, "DEBUG DIGEST"), format!("+{}\r\n", "0".repeat(40)));
    rig.say(A, "SET a b\nSET foo bar");
    assert_eq!(rig.say(FAR, "DEBUG DIGEST"), "+3f0c530442584cbf569d3774eff0c3f494c26181\r\n");
    rig.say(A, "EXPIRE a 1000");
    assert_eq!(rig.say(A, "DEBUG DIGEST"), "+8b30a88964e267d4f45b943d928ea93ca3de7104\r\n");
    let values = rig.say(FAR, "DEBUG DIGEST-VALUE foo nosuch");
    assert_eq!(values, format!("*2\r\n+68467c70ae30376e7ce005bcc8827f5ba7fd67dc\r\n+{}\r\n", "0".repeat(40)));
    let object = "+Value at:0x0 refcount:1 encoding:embstr serializedlength:4 lru:0 lru_seconds_idle:0\r\n";
    assert_eq!(
        (rig.say(A, "DEBUG OBJECT foo"), rig.say(FAR, "DEBUG OBJECT foo")),
        (object.to_owned(), object.to_owned())
    );
    assert_eq!(rig.say(A, "DEBUG OBJECT nosuch"), "-ERR no such key\r\n");
    assert_eq!(rig.say(A, "DEBUG POPULATE 10 p 20\nDBSIZE\nSTRLEN p:9\nGET foo"), "+OK\r\n:12\r\n:20\r\n$3\r\nbar\r\n");
    assert_eq!(rig.say(A, "DEBUG RELOAD\nDEBUG LOADAOF\nDBSIZE"), "+OK\r\n+OK\r\n:12\r\n");
    let error = "-ERR unknown subcommand or wrong number of arguments for 'segfault'. Try DEBUG HELP.\r\n";
    assert_eq!(rig.say(A, "DEBUG segfault"), error);
}

#[test]
fn active_expiry_stops_and_starts() {
    let mut rig = start();
    rig.say(A, "DEBUG SET-ACTIVE-EXPIRE 0\nPSETEX a 10 x\nPSETEX b 10 x\nPSETEX c 10 x");
    rig.pass(1_000_000);
    assert_eq!(rig.say(A, "DBSIZE"), ":3\r\n");
    assert_eq!(rig.say(A, "DEBUG SET-ACTIVE-EXPIRE 1"), "+OK\r\n");
    rig.pass(1_000_000);
    assert_eq!(rig.say(A, "DBSIZE"), ":0\r\n");
}

/// As redis-server 7.0 takes and shows them.
#[test]
fn percentiles_are_chosen() {
    let mut rig = start();
    let name = "latency-tracking-info-percentiles";
    for (value, shown, in_info) in [
        ("'0.0 50.0 100.0'", "0 50 100", ":p0=0.063,p50=0.063,p100=0.063\r\n"),
        ("'99.123456789 1e1'", "99.123457 10", ":p99.123457=0.063,p10=0.063\r\n"),
        ("''", "", ":\r\n"),
    ] {
        assert_eq!(rig.say(A, &format!("CONFIG SET {name} {value}")), "+OK\r\n");
        assert!(rig.say(FAR, &format!("CONFIG GET {name}")).ends_with(&format!("\r\n{shown}\r\n")), "{value}");
        rig.say(FAR, "CONFIG RESETSTAT\nSET k v");
        let info = info(&mut rig, "latencystats");
        assert!(info.contains(&format!("latency_percentiles_usec_set{in_info}")), "{info}");
    }
    for (value, words) in [
        ("'10 a'", "Invalid latency-tracking-info-percentiles parameters"),
        ("nan", "Invalid latency-tracking-info-percentiles parameters"),
        ("' 50'", "Invalid latency-tracking-info-percentiles parameters"),
        ("'10 101'", "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"),
        ("-1", "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"),
    ] {
        let error = format!("-ERR CONFIG SET failed (possibly related to argument '{name}') - {words}\r\n");
        assert_eq!(rig.say(A, &format!("CONFIG SET {name} {value}")), error);
    }
}

/// Each request with what redis-server 7.0 added for it.
#[test]
fn changes_are_counted_as_in_redis() {
    let mut rig = start();
    let mut before = 0;
    for (request, added) in [
        ("SET a 1", 1),
        ("SET a 1 NX", 0),
        ("SET nosuch 1 XX", 0),
        ("SET a 1 EX", 0),
        ("SET a 2 EX 100", 1),
        ("MSET b 1 c 2 d 3", 3),
        ("MSETNX b 1 new 2", 0),
        ("MSETNX x1 1 x2 2", 2),
        ("DEL b c nosuch", 2),
        ("EXPIRE nosuch 10", 0),
        ("PERSIST a", 1),
        ("PERSIST a", 0),
        ("EXPIRE a 10", 1),
        ("INCR a", 1),
        ("APPEND a x", 1),
        ("INCR a", 0),
        ("SETRANGE a 0 ''", 0),
        ("SETBIT s 1 1", 1),
        ("BITFIELD s SET u8 0 65", 1),
        ("GETEX a", 0),
        ("GETEX a EX 100", 1),
        ("GETDEL nosuch", 0),
        ("GETDEL s", 1),
        ("RENAME a z", 1),
        ("COPY z y", 1),
        ("COPY z y", 0),
        ("BITOP AND dd z y", 1),
        ("BITOP AND dd nosuch", 1),
        ("BITOP AND dd nosuch", 0),
        ("MULTI\nSET m 1\nSET m 2\nINCR m\nGET m\nEXEC", 3),
        ("SET a 1\nSET b 1\nSET e 1\nSET f 1", 4),
        ("CONFIG RESETSTAT", 0),
        ("GET a\nTOUCH a\nNOSUCH", 0),
        ("FLUSHALL", 10),
        ("FLUSHALL", 0),
    ] {
        rig.say(A, request);
        let info = info(&mut rig, "persistence");
        let line =
            info.lines().find_map(|line| line.strip_prefix("rdb_changes_since_last_save:")).expect("INFO has it");
        let now: i64 = line.parse().expect("a number");
        assert_eq!(now - before, added, "{request}");
        before = now;
    }
}

#[test]
fn memory_is_told_by_key_and_in_sum() {
    let mut rig = start();
    for key in ["a", "b", "c"] {
        rig.say(A, &format!("SET {key} 12345678"));
        let usage = rig.say(A, &format!("MEMORY USAGE {key} SAMPLES 5"));
        let bytes: u64 = usage.trim_start_matches(':').trim_end().parse().expect("a number");
        assert!((22..64).contains(&bytes), "{usage}");
    }
    assert_eq!(rig.say(A, "MEMORY USAGE nosuch"), "$-1\r\n");
    assert_eq!(rig.say(A, "MEMORY USAGE a x"), "-ERR syntax error\r\n");
    assert_eq!(rig.say(A, "MEMORY USAGE a SAMPLES x"), "-ERR value is not an integer or out of range\r\n");
    assert!(rig.say(FAR, "MEMORY STATS").contains("$10\r\nkeys.count\r\n:3\r\n"));
    assert!(rig.say(FAR, "MEMORY DOCTOR").contains("too little"));
    assert_eq!(rig.say(FAR, "MEMORY PURGE"), "+OK\r\n");
}

#[test]
fn a_lone_server_says_so() {
    let mut rig = start();
    for (request, answer) in [
        ("ROLE", "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"),
        ("REPLICAOF no ONE", "+OK\r\n"),
        ("SLAVEOF host x", "-ERR Invalid master port\r\n"),
        ("FAILOVER", "-ERR FAILOVER requires connected replicas.\r\n"),
        ("FAILOVER ABORT", "-ERR No failover in progress.\r\n"),
        ("FAILOVER TO h 1 TIMEOUT 0", "-ERR FAILOVER timeout must be greater than 0\r\n"),
        ("LASTSAVE", ":0\r\n"),
        ("CONFIG REWRITE", "-ERR The server is running without a config file\r\n"),
    ] {
        assert_eq!(rig.say(A, request), answer, "{request}");
    }
    assert!(rig.say(A, "LOLWUT VERSION 5 10").ends_with("Redis ver. 7.0.15\n\r\n"));
    let id = |text: &str| text.split("master_replid:").nth(1).map(|rest| rest[..40].to_owned()).expect("INFO names it");
    let before = id(&info(&mut rig, "replication"));
    assert_eq!(rig.say(A, "DEBUG CHANGE-REPL-ID"), "+OK\r\n");
    assert_ne!(id(&info(&mut rig, "replication")), before);
    *rig.stage.file.lock().expect("one thread") = Some(Vec::new());
    assert_eq!(rig.say(A, "CONFIG SET timeout 7\nCONFIG REWRITE"), "+OK\r\n+OK\r\n");
    let file = rig.stage.file.lock().expect("one thread").take().expect("it is there");
    assert!(file.contains(&("timeout".to_owned(), b"7".to_vec())));
}

/// Strangers have no DEBUG unless everybody has.
#[test]
fn debug_is_for_this_machine() {
    let mut rig = start();
    rig.open((0, 2));
    assert!(rig.say((0, 2), "DEBUG SLEEP 0").starts_with("-ERR DEBUG command not allowed."));
}

#[test]
fn who_leaves_too_much_unread_is_closed() {
    let mut rig = start();
    let big = "x".repeat(5000);
    rig.say(A, &format!("SET big {big}\nCONFIG SET client-output-buffer-limit 'normal 4kb 0 0'"));
    assert_eq!(rig.killed, []);
    rig.say(B, "PING");
    assert_eq!(rig.killed, []);
    rig.say(B, "GET big\nGET big");
    assert_eq!(rig.killed, [B]);
}

/// Redis's letters in Redis's order, and what a transaction has queued.
#[test]
fn clients_are_listed_as_in_redis() {
    let mut rig = start();
    rig.say(B, "HELLO 3\nCLIENT TRACKING ON BCAST\nSUBSCRIBE c\nCLIENT NO-EVICT ON");
    rig.say(A, "MULTI\nSET k 1\nGET k");
    let list = rig.say(FAR, "CLIENT LIST");
    let has =
        |words: &str| list.lines().any(|line| words.split(' ').all(|word| line.split(' ').any(|field| field == word)));
    assert!(has("flags=PtBe multi=-1 sub=1") && has("flags=x multi=2"), "{list}");
    rig.say(FAR, "CLIENT PAUSE 1000 WRITE");
    rig.say(A, "EXEC");
    assert!(rig.say(FAR, "CLIENT LIST").contains(" flags=xb "));
}

/// What a transaction queues is counted when it runs, waits for nobody, and is held back whole while writes are.
#[test]
fn transactions_are_counted_and_paused() {
    let mut rig = start();
    rig.say(A, "CONFIG RESETSTAT");
    let queued = "+OK\r\n+QUEUED\r\n+QUEUED\r\n-ERR wrong number of arguments for 'get' command\r\n+OK\r\n";
    assert_eq!(rig.say(A, "MULTI\nSET k 1\nWAIT 1 0\nGET\nDISCARD"), queued);
    assert_eq!(rig.say(A, "MULTI\nINCR k\nWAIT 1 0\nAUTH x"), "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n");
    rig.say(B, "CLIENT PAUSE 1000 WRITE");
    assert_eq!(rig.say(A, "EXEC"), "");
    rig.say(B, "CLIENT UNPAUSE");
    assert!(rig.heard(A).starts_with("*3\r\n:1\r\n:0\r\n-ERR AUTH"));
    assert!(rig.say(A, "EXEC").starts_with("-ERR EXEC without MULTI"));
    let stats = info(&mut rig, "commandstats errorstats");
    for (command, wanted) in [
        ("set", "calls=0,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0"),
        ("incr", "calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0"),
        ("auth", "calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=1"),
        ("exec", "calls=2,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=1"),
        ("get", "calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0"),
    ] {
        let found = stats.lines().find(|line| line.starts_with(&format!("cmdstat_{command}:")));
        assert!(found.is_none_or(|line| line.ends_with(wanted)), "{command}: {found:?}");
    }
    assert!(stats.contains("errorstat_ERR:count=3\r\n"), "{stats}");
}

/// What DEBUG says of a value, and what it refuses.
#[test]
fn debug_describes_values_and_names_mistakes() {
    let mut rig = start();
    let long = "y".repeat(64);
    rig.say(A, &format!("SET tiny 12\nSET small -300\nSET number 70000\nSET text hello\nSET long {long}"));
    for (key, bytes) in [("tiny", 2), ("small", 3), ("number", 5), ("text", 6), ("long", 66)] {
        let described = rig.say(FAR, &format!("DEBUG OBJECT {key}"));
        assert!(described.contains(&format!(" serializedlength:{bytes} ")), "{key}: {described}");
    }
    let lengths = rig.say(FAR, "DEBUG SDSLEN text");
    assert!(lengths.starts_with("+key_sds_len:4, ") && lengths.contains(" val_sds_len:5, "), "{lengths}");
    for (request, answer) in [
        ("DEBUG SDSLEN tiny", "-ERR Not an sds encoded string.\r\n"),
        ("DEBUG SDSLEN nosuch", "-ERR no such key\r\n"),
        ("DEBUG STRINGMATCH-LEN h*o hello", ":1\r\n"),
        ("DEBUG STRINGMATCH-LEN h?o hello", ":0\r\n"),
        ("DEBUG REPLYBUFFER RESIZING 0", "+OK\r\n"),
        ("DEBUG RELOAD NOFLUSH MERGE", "+OK\r\n"),
        ("DEBUG RELOAD NOSAVE", "-ERR Error trying to load the RDB dump\r\n"),
        ("DEBUG RELOAD x", "-ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.\r\n"),
        ("DEBUG POPULATE -1", "-ERR value is out of range, must be positive\r\n"),
        ("DEBUG POPULATE 1 p x", "-ERR value is out of range, must be positive\r\n"),
        ("DBSIZE", ":5\r\n"),
    ] {
        assert_eq!(rig.say(A, request), answer, "{request}");
    }
}

/// The doctors name what is out of the ordinary, and say so when nothing is.
#[test]
fn doctors_find_what_is_there() {
    let mut rig = start();
    rig.say(A, "CONFIG SET latency-monitor-threshold 100 slowlog-log-slower-than 1000");
    assert!(rig.say(A, "LATENCY DOCTOR").contains("Nothing took 100 ms or longer"));
    rig.say(A, "DEBUG SLEEP 0.3");
    rig.pass(100_000_000);
    assert!(rig.say(FAR, "LATENCY DOCTOR").contains("HOTKEYS SLOW says"));
    assert!(rig.say(FAR, "LATENCY GRAPH command").ends_with("#\n#\n#\n#\n\n1\nm\n\r\n"));
    rig.pass(7_200_000_000);
    assert!(rig.say(FAR, "LATENCY GRAPH command").ends_with("\n\n2\nh\n\r\n"));
    rig.say(A, "DEBUG POPULATE 50000 p 400");
    assert!(rig.say(FAR, "MEMORY DOCTOR").contains("Nothing about memory"));
    rig.say(A, "FLUSHALL\nDEBUG POPULATE 25000 p 250");
    assert!(rig.say(FAR, "MEMORY DOCTOR").contains("have taken much more"));
}

/// What a server without replicas says of a failover or of a wait that is asked for wrongly.
#[test]
fn mistakes_about_waiting_are_named() {
    let mut rig = start();
    let integer = "-ERR value is not an integer or out of range\r\n";
    for (request, answer) in [
        ("FAILOVER TIMEOUT x", integer),
        ("FAILOVER TO host x", integer),
        ("FAILOVER FORCE FORCE", "-ERR syntax error\r\n"),
        ("FAILOVER TO host 1 FORCE TIMEOUT 5", "-ERR FAILOVER requires connected replicas.\r\n"),
        ("WAIT x 0", integer),
        ("WAIT 1 x", "-ERR timeout is not an integer or out of range\r\n"),
        ("WAIT 1 -1", "-ERR timeout is negative\r\n"),
        ("CLIENT PAUSE x", "-ERR timeout is not an integer or out of range\r\n"),
        ("CLIENT PAUSE 1 READ", "-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n"),
        ("CLIENT UNBLOCK x", integer),
        ("CLIENT UNBLOCK 1 x", "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n"),
    ] {
        assert_eq!(rig.say(A, request), answer, "{request}");
    }
}
