//! The words of CLIENT TRACKING: what they ask for, and how Redis refuses them.

use crate::protocol::resp::{Args, parse_i64, quoting};
use crate::session::Tracker;
use std::collections::BTreeSet;

const SYNTAX: &str = "ERR syntax error";
const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
const REDIRECTS_TWICE: &str = "ERR A client can only redirect to a single other client";
pub const NO_SUCH_CLIENT: &str = "ERR The client ID you want redirect to does not exist";
const PREFIX_WITHOUT_BCAST: &str = "ERR PREFIX option requires BCAST mode to be enabled";
const SWITCHES_BCAST: &str = "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then \
                              re-enabling it with a different mode.";
const OPTS_WITH_BCAST: &str = "ERR OPTIN and OPTOUT are not compatible with BCAST";
const OPTIN_AND_OPTOUT: &str = "ERR You can't specify both OPTIN mode and OPTOUT mode";
const SWITCHES_OPTS: &str = "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then \
                             re-enabling it with a different mode.";
const OVERLAPS_EXISTING: &str = "' overlaps with an existing prefix '";
const OVERLAPS_PROVIDED: &str = "' overlaps with another provided prefix '";
const MUST_NOT_OVERLAP: &str = "'. Prefixes for a single client must not overlap.";
const CACHING_UNTRACKED: &str =
    "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled";
const CACHING_YES: &str = "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.";
const CACHING_NO: &str = "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.";

/// A CLIENT TRACKING as far as the asking connection can judge it.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    /// A connection that has to exist, or else nothing behind it matters.
    pub redirect: Option<i64>,
    /// What the connection's tracking becomes, or why not.
    pub outcome: Result<Option<Tracker>, Vec<u8>>,
}

/// CLIENT TRACKING ON|OFF [REDIRECT id] [PREFIX prefix ...] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]
pub fn parse(args: &Args, current: Option<&Tracker>) -> Asked {
    let mut redirect = None;
    let outcome = read(args, &mut redirect).and_then(|given| {
        let on = match args.get(2).to_ascii_lowercase().as_slice() {
            b"on" => true,
            b"off" => return Ok(None),
            _ => false,
        };
        if on { merge(given, current).map(Some) } else { Err(SYNTAX.into()) }
    });
    Asked { redirect, outcome }
}

/// The connection that CLIENT TRACKING would redirect to.
pub fn redirect_in(args: &Args) -> Option<i64> {
    let mut redirect = None;
    let _whatever_else = read(args, &mut redirect);
    redirect
}

struct Given {
    tracker: Tracker,
    prefixes: Vec<Vec<u8>>,
}

fn read(args: &Args, redirect: &mut Option<i64>) -> Result<Given, Vec<u8>> {
    let mut given = Given { tracker: Tracker::default(), prefixes: Vec::new() };
    let tracker = &mut given.tracker;
    let mut at = 3;
    while at < args.len() {
        let value = args.try_get(at + 1);
        match (args.get(at).to_ascii_lowercase().as_slice(), value) {
            (b"redirect", Some(value)) => {
                if redirect.is_some() {
                    return Err(REDIRECTS_TWICE.into());
                }
                let id = parse_i64(value).ok_or(NOT_AN_INTEGER)?;
                *redirect = Some(id);
                tracker.redirect = id.max(0) as u64;
                at += 1;
            }
            (b"prefix", Some(prefix)) => {
                given.prefixes.push(prefix.to_vec());
                at += 1;
            }
            (b"bcast", _) => tracker.bcast = true,
            (b"optin", _) => tracker.optin = true,
            (b"optout", _) => tracker.optout = true,
            (b"noloop", _) => tracker.noloop = true,
            _ => return Err(SYNTAX.into()),
        }
        at += 1;
    }
    Ok(given)
}

/// Checks what is given against itself and against what the connection has, in Redis's order.
fn merge(given: Given, current: Option<&Tracker>) -> Result<Tracker, Vec<u8>> {
    let Given { mut tracker, prefixes } = given;
    if !tracker.bcast && !prefixes.is_empty() {
        return Err(PREFIX_WITHOUT_BCAST.into());
    }
    if current.is_some_and(|current| current.bcast != tracker.bcast) {
        return Err(SWITCHES_BCAST.into());
    }
    if tracker.bcast && (tracker.optin || tracker.optout) {
        return Err(OPTS_WITH_BCAST.into());
    }
    if tracker.optin && tracker.optout {
        return Err(OPTIN_AND_OPTOUT.into());
    }
    if current.is_some_and(|current| tracker.optin && current.optout || tracker.optout && current.optin) {
        return Err(SWITCHES_OPTS.into());
    }
    if let Some(current) = current {
        tracker.caching = current.caching;
        tracker.prefixes = current.prefixes.clone();
    }
    if tracker.bcast {
        check_overlap(&tracker.prefixes, &prefixes)?;
        if prefixes.is_empty() {
            tracker.prefixes.insert(Vec::new());
        }
        tracker.prefixes.extend(prefixes);
    }
    Ok(tracker)
}

fn check_overlap(existing: &BTreeSet<Vec<u8>>, given: &[Vec<u8>]) -> Result<(), Vec<u8>> {
    let overlaps = |one: &[u8], two: &[u8]| one.starts_with(two) || two.starts_with(one);
    let refusal = |prefix: &[u8], words: &str, other: &[u8]| {
        [quoting("ERR Prefix '", prefix, words), quoting("", other, MUST_NOT_OVERLAP)].concat()
    };
    for (at, prefix) in given.iter().enumerate() {
        if let Some(other) = existing.iter().find(|other| overlaps(other, prefix)) {
            return Err(refusal(prefix, OVERLAPS_EXISTING, other));
        }
        if let Some(other) = given[at + 1..].iter().find(|other| overlaps(other, prefix)) {
            return Err(refusal(prefix, OVERLAPS_PROVIDED, other));
        }
    }
    Ok(())
}

/// CLIENT CACHING YES|NO
pub fn set_caching(option: &[u8], tracker: Option<&mut Tracker>) -> Result<(), &'static str> {
    let tracker = tracker.ok_or(CACHING_UNTRACKED)?;
    let (right, refusal) = match option.to_ascii_lowercase().as_slice() {
        b"yes" => (tracker.optin, CACHING_YES),
        b"no" => (tracker.optout, CACHING_NO),
        _ => return Err(SYNTAX),
    };
    tracker.caching |= right;
    if right { Ok(()) } else { Err(refusal) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::resp::Arg;

    fn asked(words: &str, current: Option<&Tracker>) -> Asked {
        let text = format!("CLIENT TRACKING {words}");
        let mut args = Vec::new();
        for word in text.split(' ') {
            let at = word.as_ptr() as usize - text.as_ptr() as usize;
            args.push(Arg::text(at, word.len()));
        }
        parse(&Args::new(text.as_bytes(), &args, &mut []), current)
    }

    fn on(words: &str, current: Option<&Tracker>) -> Tracker {
        asked(words, current).outcome.expect(words).expect("it is on")
    }

    fn error(words: &str, current: Option<&Tracker>) -> String {
        String::from_utf8(asked(words, current).outcome.expect_err(words)).expect("it is text")
    }

    #[test]
    fn options_add_up() {
        assert_eq!(asked("off", None), Asked { redirect: None, outcome: Ok(None) });
        assert_eq!(on("on", None), Tracker::default());
        let full = on("ON Redirect 7 OptIn NOLOOP", None);
        assert_eq!(full, Tracker { redirect: 7, optin: true, noloop: true, ..Tracker::default() });
        assert_eq!(on("on", Some(&full)), Tracker::default(), "what is not given again is gone");
        let prefixes = on("on bcast prefix b: prefix a:", None);
        let more = on("on bcast prefix c:", Some(&prefixes));
        assert_eq!(more.prefixes.iter().map(Vec::as_slice).collect::<Vec<_>>(), [b"a:", b"b:", b"c:"]);
        assert!(on("on bcast", Some(&more)).prefixes.contains(&b""[..]), "as in Redis, unchecked");
    }

    // The words of redis-server 7.0, in its order.
    #[test]
    fn what_does_not_fit_is_refused() {
        let plain = on("on", None);
        let optin = on("on optin", None);
        let bcast = on("on bcast prefix foo prefix bar", None);
        for (words, current, want) in [
            ("maybe", None, SYNTAX),
            ("on nonsense", None, SYNTAX),
            ("on redirect", None, SYNTAX),
            ("on prefix", None, SYNTAX),
            ("on redirect x", None, NOT_AN_INTEGER),
            ("on redirect 1 redirect 2", None, REDIRECTS_TWICE),
            ("on prefix a", None, PREFIX_WITHOUT_BCAST),
            ("on bcast", Some(&plain), SWITCHES_BCAST),
            ("on", Some(&bcast), SWITCHES_BCAST),
            ("on bcast optin", None, OPTS_WITH_BCAST),
            ("on optin optout", None, OPTIN_AND_OPTOUT),
            ("on optout", Some(&optin), SWITCHES_OPTS),
        ] {
            assert_eq!(error(words, current), want, "{words}");
        }
        assert_eq!(
            error("on bcast prefix FOOBAR prefix FOO", None),
            "ERR Prefix 'FOOBAR' overlaps with another provided prefix 'FOO'. Prefixes for a single client must not overlap."
        );
        assert_eq!(
            error("on bcast prefix barb", Some(&bcast)),
            "ERR Prefix 'barb' overlaps with an existing prefix 'bar'. Prefixes for a single client must not overlap."
        );
        assert_eq!(asked("on redirect 9 nonsense", None).redirect, Some(9), "who is missing is said first");
    }

    #[test]
    fn caching_asks_for_its_mode() {
        let (mut plain, mut optin, mut optout) = (on("on", None), on("on optin", None), on("on optout", None));
        assert_eq!(set_caching(b"yes", None), Err(CACHING_UNTRACKED));
        assert_eq!(set_caching(b"yes", Some(&mut plain)), Err(CACHING_YES));
        assert_eq!(set_caching(b"no", Some(&mut optin)), Err(CACHING_NO));
        assert_eq!(set_caching(b"maybe", Some(&mut optin)), Err(SYNTAX));
        assert_eq!(set_caching(b"YES", Some(&mut optin)), Ok(()));
        assert_eq!(set_caching(b"No", Some(&mut optout)), Ok(()));
        assert!(optin.caching && optout.caching && !plain.caching);
    }
}
