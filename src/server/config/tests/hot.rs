//! Proves what the section `[hot]` and its policies come to in an engine, and the words of each mistake in a policy.

use super::*;
use crate::engine::{HotPolicy, HotSettings, Settings};
use crate::server::config::kind::Kind;
use crate::server::config::print;

/// The table's defaults are the engine's own: where one of the two changes, this says so.
#[test]
fn the_defaults_are_those_of_the_engine() {
    assert_eq!(good("").hot.settings(), HotSettings::default());
}

#[test]
fn the_section_reaches_the_engine() {
    let text = "[hot]\nenabled = false\nwindow_ms = 20\npromote_ops = 300\npromote_share_permille = 5\n\
                demote_percent = 40\nkeys_max = 8\nbytes_max = \"1mb\"\n\
                [[hot.policy]]\nmatch = \"session:*\"\npromote_ops = 50\npromote_share_permille = 0\n\
                [[hot.policy]]\nmatch = \"*\"\nreplicate = false\nfold = \"off\"\n";
    let settings = good(text).hot.settings();
    assert_eq!((settings.on, settings.window_us), (false, 20_000));
    assert_eq!(
        settings.thresholds,
        crate::heat::Thresholds { promote_ops: 300.0, promote_share: 0.005, demote_part: 0.4 }
    );
    assert_eq!(settings.limits, crate::heat::Limits { keys_max: 8, bytes_max: 1 << 20 });
    let first = HotPolicy {
        pattern: b"session:*".to_vec(),
        replicate: true,
        fold: true,
        promote_ops: Some(50.0),
        promote_share: Some(0.0),
    };
    let second =
        HotPolicy { pattern: b"*".to_vec(), replicate: false, fold: false, promote_ops: None, promote_share: None };
    assert_eq!(*settings.policies, [first, second], "in the order of the file");
}

/// What a file allows CONFIG SET allows, and not one more, at both ends of each range.
#[test]
fn config_set_has_the_ranges_of_the_table() {
    let mut settings = Settings::default();
    for parameter in TABLE.iter().filter(|parameter| parameter.section == "hot" && parameter.live) {
        let (Kind::Count { min, max } | Kind::Bytes { min, max }) = parameter.kind else { continue };
        let mut set = |value: u64| settings.set(parameter.flag.as_bytes(), value.to_string().as_bytes());
        assert_eq!((set(min), set(max)), (Ok(()), Ok(())), "{}", parameter.flag);
        let below_fails = min == 0 || set(min - 1).is_err();
        assert!(below_fails && set(max + 1).is_err(), "{}", parameter.flag);
    }
}

/// Texts with policies, and everything that is said of them.
const CASES: &[(&str, &str)] = &[
    (
        "[[hot.policy]]\nmatch = \"a\"\n[[hot.policy]]\nmatch = \"b\"\nreplicate = \"maybe\"",
        "c.toml:5: hot.policy[1].replicate is \"maybe\"; allowed: on or off",
    ),
    ("[[hot.policy]]\nmatch = \"a\"\nfold = 1", "c.toml:3: hot.policy[0].fold is 1; allowed: on or off"),
    (
        "[hot]\n[[hot.policy]]\nfold = true",
        "c.toml:2: hot.policy[0].match is missing; allowed: a pattern as in KEYS, of 1 to 1024 bytes, quoted in files",
    ),
    (
        "[[hot.policy]]\nmatch = 5",
        "c.toml:2: hot.policy[0].match is 5; allowed: a pattern as in KEYS, of 1 to 1024 bytes, quoted in files",
    ),
    (
        "[[hot.policy]]\nmatch = \"\"",
        "c.toml:2: hot.policy[0].match is \"\"; allowed: a pattern as in KEYS, of 1 to 1024 bytes, quoted in files",
    ),
    (
        "[[hot.policy]]\nmatch = \"a\"\npromote_ops = 0\npromote_share_permille = 1001",
        "c.toml:3: hot.policy[0].promote_ops is 0; allowed: a whole number from 1 to 1000000000 (operations per second)\n\
         c.toml:4: hot.policy[0].promote_share_permille is 1001; allowed: a whole number from 0 to 1000 (thousandths of \
         a core's load)",
    ),
    (
        "[[hot.policy]]\nmatch = \"a\"\nreplicated = true",
        "c.toml:3: unknown key hot.policy[0].replicated; the nearest known one is hot.policy[0].replicate",
    ),
    ("[[hot.polcy]]\nmatch = \"a\"", "c.toml:1: unknown key hot.polcy; the nearest known one is hot.policy"),
    ("[hot]\npolicy = 3", "c.toml:2: hot.policy is 3; allowed: at most 64 tables, each under [[hot.policy]]"),
    ("[hot]\npolicy = [3]", "c.toml:2: hot.policy[0] is 3; allowed: at most 64 tables, each under [[hot.policy]]"),
    (
        "[hot.policy]\nmatch = \"a\"",
        "c.toml:1: hot.policy is a table; allowed: at most 64 tables, each under [[hot.policy]]",
    ),
];

#[test]
fn each_mistake_in_a_policy_in_its_words() {
    for (text, expected) in CASES {
        assert_eq!(bad(text), *expected, "{text}");
    }
}

/// There may be 64 policies; the line of the first beyond is named.
#[test]
fn policies_are_bounded() {
    let policy = "[[hot.policy]]\nmatch = \"a\"\n";
    assert_eq!(good(&policy.repeat(64)).hot.policies.len(), 64);
    let expected = "c.toml:129: hot.policy is 70 tables; allowed: at most 64 tables, each under [[hot.policy]]";
    assert_eq!(bad(&policy.repeat(70)), expected);
}

/// What is printed says where each policy came from; without any, an example shows how one is written.
#[test]
fn policies_are_printed_or_shown_by_example() {
    let printed = |text: &str| print(&load(text, &[]).expect("all allowed"));
    let with =
        printed("[[hot.policy]]\nmatch = \"a\"\n\n[[hot.policy]]\nmatch = \"b\"\nfold = false\npromote_ops = 7\n");
    let expected = "# Set by: c.toml:1.\n[[hot.policy]]\nmatch = \"a\"\nreplicate = true\nfold = true\n\n\
                    # Set by: c.toml:4.\n[[hot.policy]]\nmatch = \"b\"\nreplicate = true\nfold = false\npromote_ops = 7\n";
    assert!(with.contains(expected), "{with}");
    assert!(!with.contains("#[[hot.policy]]"));
    let example = printed("");
    let lines = example.lines().filter_map(|line| line.strip_prefix('#')).skip_while(|line| *line != "[[hot.policy]]");
    let example: Vec<&str> = lines.take_while(|line| !line.starts_with(' ')).collect();
    let config = good(&example.join("\n"));
    assert_eq!(config.hot.policies.len(), 1, "the example is a policy once the signs are taken away");
}
