//! What one key must do, as a value: the specification that histories are checked against.

use crate::resp::{Reply, brief, number};
use std::fmt;
use std::rc::Rc;

pub type Bytes = Rc<[u8]>;

/// What a SET does to the key's expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    Forever,
    Keep,
    AfterMs(u64),
    AtMs(u64),
}

/// When a SET acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    Always,
    IfAbsent,
    IfPresent,
}

/// One command's part on one key.
#[derive(Clone)]
pub enum Action {
    Get,
    Set {
        value: Bytes,
        until: Until,
        only: Only,
    },
    SetNx(Bytes),
    GetSet(Bytes),
    GetDel,
    Incr,
    /// Only servers are asked this: several that were one.
    IncrBy(i64),
    Append(Bytes),
    ExpireMs(i64),
    ExpireAtMs(u64),
    Persist,
    Del,
    Exists,
    PTtl,
    PExpireTime,
}

impl Action {
    /// Whether it changes nothing.
    pub fn is_look(&self) -> bool {
        matches!(self, Action::Get | Action::Exists | Action::PTtl | Action::PExpireTime)
    }

    /// Whether what it does or answers depends on the very millisecond, not only on whether the key has expired.
    pub fn is_timed(&self) -> bool {
        matches!(self, Action::Set { until: Until::AfterMs(_), .. } | Action::ExpireMs(_) | Action::PTtl)
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Action::Get => write!(f, "GET"),
            Action::Set { value, until, only } => write!(f, "SET {} {until:?} {only:?}", brief(value)),
            Action::SetNx(value) => write!(f, "SETNX {}", brief(value)),
            Action::GetSet(value) => write!(f, "GETSET {}", brief(value)),
            Action::GetDel => write!(f, "GETDEL"),
            Action::Incr => write!(f, "INCR"),
            Action::IncrBy(step) => write!(f, "INCRBY {step}"),
            Action::Append(value) => write!(f, "APPEND {}", brief(value)),
            Action::ExpireMs(ms) => write!(f, "PEXPIRE {ms}"),
            Action::ExpireAtMs(at_ms) => write!(f, "PEXPIREAT {at_ms}"),
            Action::Persist => write!(f, "PERSIST"),
            Action::Del => write!(f, "DEL"),
            Action::Exists => write!(f, "EXISTS"),
            Action::PTtl => write!(f, "PTTL"),
            Action::PExpireTime => write!(f, "PEXPIRETIME"),
        }
    }
}

/// A key: absent, or a value that may end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    pub value: Option<Bytes>,
    pub deadline_ms: Option<u64>,
}

impl State {
    fn of(value: &[u8], deadline_ms: Option<u64>) -> State {
        State { value: Some(Rc::from(value)), deadline_ms }
    }

    /// The key as it is at `now_ms`.
    pub fn at(&self, now_ms: u64) -> State {
        if self.deadline_ms.is_some_and(|deadline_ms| deadline_ms <= now_ms) { State::default() } else { self.clone() }
    }

    /// Does `action` at `now_ms`; answers the state behind it and the reply.
    pub fn apply(&self, now_ms: u64, action: &Action) -> (State, Reply) {
        let old = self.at(now_ms);
        let shown = old.value.as_ref().map_or(Reply::Null, |value| Reply::Bulk(value.to_vec()));
        let there = old.value.is_some();
        let flag = |yes: bool| Reply::Int(i64::from(yes));
        match action {
            Action::Get => (old, shown),
            Action::Exists => (old, flag(there)),
            Action::GetDel => (State::default(), shown),
            Action::Del => (State::default(), flag(there)),
            Action::GetSet(value) => (State::of(value, None), shown),
            Action::SetNx(_) if there => (old, flag(false)),
            Action::SetNx(value) => (State::of(value, None), flag(true)),
            Action::Set { only: Only::IfAbsent, .. } if there => (old, Reply::Null),
            Action::Set { only: Only::IfPresent, .. } if !there => (old, Reply::Null),
            Action::Set { value, until, .. } => {
                let deadline_ms = match until {
                    Until::Forever => None,
                    Until::Keep => old.deadline_ms,
                    Until::AfterMs(ms) => Some(now_ms + ms),
                    Until::AtMs(at_ms) => Some(*at_ms),
                };
                (State::of(value, deadline_ms), Reply::ok())
            }
            Action::Incr => old.incremented(1),
            Action::IncrBy(step) => old.incremented(*step),
            Action::Append(more) => {
                let value = [old.value.as_deref().unwrap_or_default(), more].concat();
                let length = Reply::Int(value.len() as i64);
                (State::of(&value, old.deadline_ms), length)
            }
            Action::ExpireMs(_) | Action::ExpireAtMs(_) if !there => (old, flag(false)),
            Action::ExpireMs(ms) if *ms <= 0 => (State::default(), flag(true)),
            Action::ExpireMs(ms) => (State { deadline_ms: Some(now_ms + *ms as u64), ..old }, flag(true)),
            Action::ExpireAtMs(at_ms) => (State { deadline_ms: Some(*at_ms), ..old }, flag(true)),
            Action::Persist => {
                let had = old.deadline_ms.is_some();
                (State { deadline_ms: None, ..old }, flag(had))
            }
            Action::PTtl | Action::PExpireTime => {
                let base_ms = if matches!(action, Action::PTtl) { now_ms } else { 0 };
                let answer = match (there, old.deadline_ms) {
                    (false, _) => -2,
                    (true, None) => -1,
                    (true, Some(deadline_ms)) => (deadline_ms - base_ms) as i64,
                };
                (old, Reply::Int(answer))
            }
        }
    }

    fn incremented(self, step: i64) -> (State, Reply) {
        match number(self.value.as_deref().unwrap_or(b"0")) {
            Ok(number) => {
                let text = (number + step).to_string();
                (State::of(text.as_bytes(), self.deadline_ms), Reply::Int(number + step))
            }
            Err(_) => (self, Reply::Error("ERR value is not an integer or out of range".into())),
        }
    }
}
