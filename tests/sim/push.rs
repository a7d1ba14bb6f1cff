//! What a client reads between its replies: invalidations, messages, and the confirmations of SUBSCRIBE and its kin.

use crate::request::KEYS;
use crate::resp::Reply;

/// What a name stands for that somebody listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ear {
    Plain,
    Pattern,
    Shard,
}

impl Ear {
    /// The command that begins or ends it.
    pub fn command(self, on: bool) -> &'static str {
        match (self, on) {
            (Ear::Plain, true) => "SUBSCRIBE",
            (Ear::Plain, false) => "UNSUBSCRIBE",
            (Ear::Pattern, true) => "PSUBSCRIBE",
            (Ear::Pattern, false) => "PUNSUBSCRIBE",
            (Ear::Shard, true) => "SSUBSCRIBE",
            (Ear::Shard, false) => "SUNSUBSCRIBE",
        }
    }
}

/// Where RESP2 connections hear of invalidations.
pub const INVALIDATIONS: &str = "__redis__:invalidate";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Push {
    /// Keys, by their places in [`KEYS`], that have changed; none: all of them.
    Forget(Option<Vec<usize>>),
    /// The connection that was to be told instead is gone.
    Broken,
    /// By the name that its reader listens to.
    Message { ear: Ear, name: String, channel: String, payload: String },
    /// Of a command about a name; none if there was nothing to leave.
    Confirm { ear: Ear, on: bool, name: Option<String> },
}

/// Reads a push off what came; `Ok(None)` if that is a reply.
pub fn push_of(reply: &Reply, resp3: bool) -> Result<Option<Push>, String> {
    let elements = match reply {
        Reply::Push(elements) => elements,
        Reply::Array(elements) if !resp3 => elements,
        _ => return Ok(None),
    };
    let is_push = matches!(reply, Reply::Push(_));
    match read(elements) {
        // An array may be a reply that only begins like a push.
        None if is_push => Err(format!("{} is no push", reply.brief())),
        found => Ok(found),
    }
}

fn read(elements: &[Reply]) -> Option<Push> {
    let texts: Vec<Option<String>> = elements.iter().map(text).collect();
    let name = |at: usize| texts.get(at).cloned().flatten();
    let word = name(0)?;
    let confirm = |ear: Ear, on: bool| match elements {
        [_, Reply::Bulk(_) | Reply::Null, Reply::Int(_)] => Some(Push::Confirm { ear, on, name: name(1) }),
        _ => None,
    };
    match (word.as_str(), elements.len()) {
        ("invalidate", 2) => forget(&elements[1]),
        ("tracking-redir-broken", 2) => Some(Push::Broken),
        ("message", 3) if name(1)? == INVALIDATIONS => forget(&elements[2]),
        ("message" | "smessage", 3) => {
            let ear = if word == "message" { Ear::Plain } else { Ear::Shard };
            Some(Push::Message { ear, name: name(1)?, channel: name(1)?, payload: name(2)? })
        }
        ("pmessage", 4) => {
            Some(Push::Message { ear: Ear::Pattern, name: name(1)?, channel: name(2)?, payload: name(3)? })
        }
        ("subscribe", 3) => confirm(Ear::Plain, true),
        ("unsubscribe", 3) => confirm(Ear::Plain, false),
        ("psubscribe", 3) => confirm(Ear::Pattern, true),
        ("punsubscribe", 3) => confirm(Ear::Pattern, false),
        ("ssubscribe", 3) => confirm(Ear::Shard, true),
        ("sunsubscribe", 3) => confirm(Ear::Shard, false),
        _ => None,
    }
}

fn text(reply: &Reply) -> Option<String> {
    match reply {
        Reply::Bulk(bytes) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    }
}

fn forget(keys: &Reply) -> Option<Push> {
    let place = |key: &Reply| {
        let name = text(key)?;
        KEYS.iter().position(|known| *known == name)
    };
    match keys {
        Reply::Null => Some(Push::Forget(None)),
        Reply::Array(keys) => {
            keys.iter().map(place).collect::<Option<Vec<usize>>>().map(|keys| Push::Forget(Some(keys)))
        }
        _ => None,
    }
}

#[test]
fn pushes_are_told_from_replies() {
    let bulk = |text: &str| Reply::Bulk(text.as_bytes().to_vec());
    let keys = Reply::Array(vec![bulk("a"), bulk("{s}2")]);
    let forget = Some(Push::Forget(Some(vec![1, 4])));
    assert_eq!(push_of(&Reply::Push(vec![bulk("invalidate"), keys.clone()]), true), Ok(forget.clone()));
    assert_eq!(push_of(&Reply::Array(vec![bulk("message"), bulk(INVALIDATIONS), keys]), false), Ok(forget));
    assert_eq!(push_of(&Reply::Array(vec![bulk("message"), bulk("m")]), false), Ok(None));
    assert_eq!(push_of(&Reply::Array(vec![bulk("message"), bulk("m"), bulk("x")]), true), Ok(None));
    assert!(push_of(&Reply::Push(vec![bulk("news")]), true).is_err());
    let confirm = Push::Confirm { ear: Ear::Pattern, on: false, name: None };
    assert_eq!(push_of(&Reply::Push(vec![bulk("punsubscribe"), Reply::Null, Reply::Int(0)]), true), Ok(Some(confirm)));
}
