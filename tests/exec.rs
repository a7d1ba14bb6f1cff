//! Proves what is counted, timed and logged of a transaction: its requests as those that they are, when they run. Two
//! engines without a shell, and a clock that sleeping moves.

mod rig;

use rig::{Client, Rig};

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

/// Commands of INFO and of LATENCY HISTOGRAM that were asked for.
fn counted(rig: &mut Rig, command: &str) -> (Option<String>, String) {
    let stats = rig.say(LOOKER, "INFO commandstats");
    let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")));
    (line.map(str::to_owned), rig.say(LOOKER, &format!("LATENCY HISTOGRAM {command}")))
}

#[test]
fn what_is_queued_is_not_counted_before_it_runs() {
    let mut rig = start();
    rig.say(A, "CONFIG RESETSTAT\nMULTI\nSET a 1\nSET b 2\nCONFIG GET port");
    rig.say(A, "SET c 3");
    for command in ["set", "config|get"] {
        assert_eq!(counted(&mut rig, command), (None, "*0\r\n".to_owned()), "{command}");
    }
    rig.say(A, "EXEC");
    for (command, calls) in [("set", 3), ("config|get", 1)] {
        let (line, histogram) = counted(&mut rig, command);
        assert!(line.is_some_and(|line| line.starts_with(&format!("calls={calls},"))), "{command}");
        assert!(histogram.contains(&format!("$5\r\ncalls\r\n:{calls}\r\n")), "{histogram}");
    }
}

/// EXEC is charged with nothing of what its requests take.
#[test]
fn requests_of_a_transaction_are_timed_by_themselves() {
    for client in [A, FAR] {
        let mut rig = start();
        rig.say(client, "CONFIG RESETSTAT\nCONFIG SET slowlog-log-slower-than 100000\nSLOWLOG RESET");
        rig.say(client, "MULTI\nSET a 1\nDEBUG SLEEP 0.2\nSET b 2\nDEBUG SLEEP 0.3");
        rig.say(client, "EXEC");
        assert_eq!(rig.say(B, "SLOWLOG LEN"), ":2\r\n");
        let log = rig.say(B, "SLOWLOG GET");
        for words in ["$5\r\nDEBUG\r\n$5\r\nSLEEP\r\n$3\r\n0.2\r\n", "$3\r\n0.3\r\n", ":200000\r\n", ":300000\r\n"] {
            assert!(log.contains(words), "{log}");
        }
        let stats = rig.say(LOOKER, "INFO commandstats");
        for wanted in ["debug:calls=2,usec=500000,", "exec:calls=1,usec=0,", "set:calls=2,usec=0,"] {
            assert!(stats.contains(&format!("cmdstat_{wanted}")), "{wanted}: {stats}");
        }
    }
}

/// Whether it is answered at once or waits for another core's answer, an error of a request is none of EXEC.
#[test]
fn exec_is_charged_with_no_error_of_its_requests() {
    let mut rig = start();
    for key in ["a", "b", "c", "d", "e", "f"] {
        rig.say(A, "CONFIG RESETSTAT");
        rig.say(A, &format!("MULTI\nSET {key} x\nAUTH x\nEXEC"));
        rig.say(A, &format!("RENAME nosuch {key}\nCOPY a a\nGET {key}"));
        let stats = rig.say(LOOKER, "INFO commandstats errorstats");
        assert!(stats.contains("errorstat_ERR:count=3\r\n"), "{key}: {stats}");
        for (command, failed) in [("exec", 0), ("auth", 1), ("rename", 1), ("copy", 1)] {
            let found = stats.lines().find(|line| line.starts_with(&format!("cmdstat_{command}:"))).expect("it ran");
            assert!(found.contains(":calls=1,") && found.ends_with(&format!(",failed_calls={failed}")), "{found}");
        }
    }
}

/// Also where its keys are on two cores and it runs in several turns.
#[test]
fn an_error_in_a_transaction_is_counted_once() {
    let mut rig = start();
    for keys in [["a", "b"], ["a", "c"], ["b", "d"]] {
        rig.say(A, "CONFIG RESETSTAT");
        for key in keys {
            rig.say(A, &format!("SET {key} x"));
        }
        let reply =
            rig.say(A, &format!("MULTI\nINCR {}\nINCR {}\nAUTH x\nRENAME nosuch {}\nEXEC", keys[0], keys[1], keys[0]));
        assert_eq!(reply.matches("\r\n-ERR").count(), 4, "{reply}");
        let stats = rig.say(LOOKER, "INFO commandstats errorstats stats");
        assert!(stats.contains("errorstat_ERR:count=4\r\n") && stats.contains("total_error_replies:4\r\n"), "{stats}");
        for (command, calls) in [("incr", 2), ("auth", 1), ("rename", 1)] {
            let found = stats.lines().find(|line| line.starts_with(&format!("cmdstat_{command}:"))).expect("it ran");
            let wanted = format!("cmdstat_{command}:calls={calls},");
            assert!(found.starts_with(&wanted), "{found}");
            assert!(found.ends_with(&format!("rejected_calls=0,failed_calls={calls}")), "{found}");
        }
    }
}

/// A transaction that memory refuses, as it is queued or as it is to run, leaves nothing behind; so does one with a command
/// that may not be queued.
#[test]
fn what_is_refused_ends_a_transaction() {
    let mut rig = start();
    let aborted = "-EXECABORT Transaction discarded because of previous errors.\r\n";
    let answers = rig.say(A, "MULTI\nSHUTDOWN\nSET k 1\nEXEC\nGET k");
    let refused = "-ERR Command not allowed inside a transaction\r\n";
    assert_eq!(answers, format!("+OK\r\n{refused}+QUEUED\r\n{aborted}$-1\r\n"));
    rig.say(A, "DEBUG POPULATE 1000\nMULTI\nSET k 1");
    rig.say(B, "CONFIG SET maxmemory 1");
    rig.pass(1000);
    let no_room = "OOM command not allowed when used memory > 'maxmemory'.\r\n";
    assert_eq!(rig.say(A, "EXEC"), format!("-EXECABORT Transaction discarded because of: {no_room}"));
    let answers = rig.say(A, "MULTI\nSET k 1\nEXEC\nGET k");
    assert_eq!(answers, format!("+OK\r\n-{no_room}{aborted}$-1\r\n"));
}
