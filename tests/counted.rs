//! Proves that a request that fails is counted once, as redis-server 7.0 counts it, on however many cores its keys live:
//! engines without a shell, asked by a second client what they have counted.

mod rig;

use rig::{Client, Rig};

const A: Client = (0, 0);

/// Cores, and keys for each: on the client's own core, and spread over all.
fn everywhere(case: impl Fn(&mut Rig, Client, [&str; 3])) {
    for cores in [1, 2] {
        for spread in [false, true] {
            let mut rig = Rig::new(cores);
            let looker = rig.open((cores - 1, 1));
            rig.open(A);
            let own: Vec<String> = rig.keys_of(0).take(3).collect();
            let far = rig.keys_of(cores - 1).nth(3).expect("each core has keys");
            let keys = [&*own[0], &*own[1], if spread { &*far } else { &*own[2] }];
            rig.say(A, "CONFIG RESETSTAT");
            case(&mut rig, looker, keys);
        }
    }
}

/// How often a command was called, refused and failed.
fn row(stats: &str, command: &str) -> [u64; 3] {
    let Some(line) = stats.lines().find(|line| line.starts_with(&format!("cmdstat_{command}:"))) else { return [0; 3] };
    ["calls=", "rejected_calls=", "failed_calls="].map(|field| {
        let mut figures = line.split([':', ',']).filter_map(|figure| figure.strip_prefix(field));
        figures.next().and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{field} is missing: {line}"))
    })
}

/// Expects what was counted of a command, and errors of one word alone.
fn expect(
    rig: &mut Rig,
    looker: Client,
    asked: &str,
    (command, counted): (&str, [u64; 3]),
    (word, errors): (&str, u64),
) {
    let stats = rig.say(looker, "INFO commandstats errorstats stats");
    assert_eq!(row(&stats, command), counted, "{asked}: {stats}");
    assert!(stats.contains(&format!("errorstat_{word}:count={errors}\r\n")), "{asked}: {stats}");
    assert!(stats.contains(&format!("total_error_replies:{errors}\r\n")), "{asked}: {stats}");
    rig.say(looker, "CONFIG RESETSTAT");
}

/// A key without a value makes it a call that fails, by itself and in a transaction.
#[test]
fn a_key_without_a_value_fails_once() {
    everywhere(|rig, looker, [a, b, c]| {
        for (command, name) in [("MSET", "mset"), ("MSETNX", "msetnx")] {
            for asked in [format!("{command} {a} 1 {b}"), format!("{command} {a} 1 {b} 2 {c}")] {
                assert!(rig.say(A, &asked).starts_with("-ERR wrong number of arguments for"), "{asked}");
                expect(rig, looker, &asked, (name, [1, 0, 1]), ("ERR", 1));
                rig.say(A, &format!("MULTI\n{asked}\nEXEC"));
                expect(rig, looker, &asked, (name, [1, 0, 1]), ("ERR", 1));
            }
        }
    });
}

/// Nothing is counted twice of what carries values, whether its mistake shows at once or by what its keys hold.
#[test]
fn what_carries_values_fails_once() {
    everywhere(|rig, looker, [a, b, c]| {
        for (asked, command) in [
            (format!("BITOP NOT {a} {b} {c}"), "bitop"),
            (format!("BITOP NO {a} {b} {c}"), "bitop"),
            (format!("COPY {a} {a}"), "copy"),
            (format!("RENAME {a} {b}"), "rename"),
            (format!("RENAMENX {c} {b}"), "renamenx"),
            (format!("LCS {a} {b} LEN IDX"), "lcs"),
        ] {
            assert!(rig.say(A, &asked).starts_with("-ERR "), "{asked}");
            expect(rig, looker, &asked, (command, [1, 0, 1]), ("ERR", 1));
            rig.say(A, &format!("MULTI\n{asked}\nEXEC"));
            expect(rig, looker, &asked, (command, [1, 0, 1]), ("ERR", 1));
        }
    });
}

/// A request that memory refuses is no call and one refusal, however many of its keys are refused.
#[test]
fn memory_refuses_a_request_once() {
    everywhere(|rig, looker, [a, b, c]| {
        rig.say(A, &format!("MSET {a} 1 {b} 2 {c} 3\nCONFIG SET maxmemory 1"));
        rig.pass(1000);
        rig.say(looker, "CONFIG RESETSTAT");
        for (asked, command) in [
            (format!("SET {c} 1"), "set"),
            (format!("MSET {a} 1 {b} 2"), "mset"),
            (format!("MSET {a} 1 {b} 2 {c} 3"), "mset"),
            (format!("MSETNX {a} 1 {b} 2 {c} 3"), "msetnx"),
            (format!("BITOP AND {a} {b} {c}"), "bitop"),
            (format!("BITOP OR {c} {a} {b} {c}"), "bitop"),
            (format!("COPY {a} {c} REPLACE"), "copy"),
        ] {
            let refusal = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
            assert_eq!(rig.say(A, &asked), refusal, "{asked}");
            expect(rig, looker, &asked, (command, [0, 1, 0]), ("OOM", 1));
        }
    });
}

/// An EXEC that memory refuses, too; its requests are counted by none, and CLIENT CACHING was for it.
#[test]
fn memory_refuses_a_transaction_once() {
    everywhere(|rig, looker, [a, b, c]| {
        rig.say(A, &format!("SET {a} 1\nCLIENT TRACKING ON OPTIN\nCLIENT CACHING YES\nMULTI\nMSET {a} 1 {b} 2 {c} 3"));
        rig.say(looker, "CONFIG SET maxmemory 1");
        rig.pass(1000);
        rig.say(looker, "CONFIG RESETSTAT");
        let refusal =
            "-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.";
        assert_eq!(rig.say(A, "EXEC"), format!("{refusal}\r\n"));
        expect(rig, looker, "EXEC", ("exec", [0, 1, 0]), ("EXECABORT", 1));
        assert!(!rig.say(A, "CLIENT TRACKINGINFO").contains("caching-yes"));
        assert_eq!(rig.say(A, "EXEC"), "-ERR EXEC without MULTI\r\n");
        expect(rig, looker, "EXEC", ("exec", [1, 0, 1]), ("ERR", 1));
    });
}
