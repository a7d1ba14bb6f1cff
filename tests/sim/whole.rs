//! What all keys together must do, as one value: the specification that whole histories are checked against.
//!
//! Expiries are dates, so time has a part in it only where it lets keys lapse, which is asked for apart.

use crate::deed::{Bits, KeySet, Op};
use crate::model::{Action, Bytes, State};
use crate::request::KEYS;
use crate::resp::Reply;
use std::rc::Rc;

/// A key that a connection watches, and whether it has changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Watch {
    lane: usize,
    key: usize,
    changed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Whole {
    keys: Vec<State>,
    /// In order, so that equal states are equal.
    watches: Vec<Watch>,
}

impl Default for Whole {
    fn default() -> Whole {
        Whole { keys: vec![State::default(); KEYS.len()], watches: Vec::new() }
    }
}

impl Whole {
    /// Whether all keys are the same, whoever watches them.
    pub fn shows_the_same(&self, other: &Whole) -> bool {
        self.keys == other.keys
    }

    /// The states that time can have made of this one, for what looks at `keys` somewhere between two readings of the
    /// clock: each of them is looked at by its own core, at its own moment.
    pub fn aged(&self, keys: KeySet, (first_ms, last_ms): (u64, u64)) -> Vec<Whole> {
        let mut states = vec![self.clone()];
        for key in (0..KEYS.len()).filter(|key| keys & 1 << key != 0) {
            let Some(deadline_ms) = self.keys[key].deadline_ms.filter(|at_ms| *at_ms <= last_ms) else { continue };
            let lapsed = states.iter().cloned().map(|mut state| {
                state.change(key, State::default());
                state
            });
            let lapsed: Vec<Whole> = lapsed.collect();
            if deadline_ms <= first_ms {
                states = lapsed;
            } else {
                states.extend(lapsed);
            }
        }
        states
    }

    fn change(&mut self, key: usize, state: State) {
        self.keys[key] = state;
        self.watches.iter_mut().filter(|watch| watch.key == key).for_each(|watch| watch.changed = true);
    }

    fn remove(&mut self, key: usize) -> bool {
        let there = self.is_there(key);
        if there {
            self.change(key, State::default());
        }
        there
    }

    fn is_there(&self, key: usize) -> bool {
        self.keys[key].value.is_some()
    }

    pub fn watch(&mut self, lane: usize, key: usize) {
        if self.watches.iter().all(|watch| (watch.lane, watch.key) != (lane, key)) {
            self.watches.push(Watch { lane, key, changed: false });
            self.watches.sort_unstable();
        }
    }

    /// Ends the watches of a connection on some keys; whether one of them has changed.
    pub fn unwatch(&mut self, lane: usize, keys: KeySet) -> bool {
        let ends = |watch: &Watch| watch.lane == lane && keys & 1 << watch.key != 0;
        let changed = self.watches.iter().any(|watch| ends(watch) && watch.changed);
        self.watches.retain(|watch| !ends(watch));
        changed
    }

    /// Does one command; answers its reply.
    pub fn apply(&mut self, op: &Op) -> Reply {
        match op {
            Op::One(key, action) => self.apply_to_one(*key, action),
            Op::MGet(keys) => Reply::Array(keys.iter().map(|key| self.shown(*key)).collect()),
            Op::Del(keys) => Reply::Int(keys.iter().map(|key| i64::from(self.remove(*key))).sum()),
            Op::Exists(keys) => Reply::Int(keys.iter().map(|key| i64::from(self.is_there(*key))).sum()),
            Op::MSet(pairs) => {
                self.put_all(pairs);
                Reply::ok()
            }
            Op::MSetNx(pairs) if pairs.iter().any(|(key, _)| self.is_there(*key)) => Reply::Int(0),
            Op::MSetNx(pairs) => {
                self.put_all(pairs);
                Reply::Int(1)
            }
            Op::Rename { from, to, only_new } => self.rename(*from, *to, *only_new),
            Op::Copy { from, to, replace } => {
                let copies = self.is_there(*from) && (*replace || !self.is_there(*to));
                if copies {
                    self.change(*to, self.keys[*from].clone());
                }
                Reply::Int(i64::from(copies))
            }
            Op::Combine { bits, to, sources } => {
                let value = self.combined(*bits, sources);
                let bytes = value.len() as i64;
                if bytes == 0 {
                    self.remove(*to);
                } else {
                    self.change(*to, State { value: Some(Rc::from(value)), deadline_ms: None });
                }
                Reply::Int(bytes)
            }
            Op::DbSize => Reply::Int((0..KEYS.len()).filter(|key| self.is_there(*key)).count() as i64),
            Op::Keys => self.names(),
            Op::Lcs(one, other) => Reply::Int(self.common(*one, *other)),
            Op::FlushAll | Op::FlushDb => {
                for key in 0..KEYS.len() {
                    self.remove(key);
                }
                Reply::ok()
            }
        }
    }

    fn shown(&self, key: usize) -> Reply {
        self.keys[key].value.as_ref().map_or(Reply::Null, |value| Reply::Bulk(value.to_vec()))
    }

    fn put_all(&mut self, pairs: &[(usize, Bytes)]) {
        for (key, value) in pairs {
            self.change(*key, State { value: Some(Rc::clone(value)), deadline_ms: None });
        }
    }

    fn apply_to_one(&mut self, key: usize, action: &Action) -> Reply {
        // No date is before time 0: what has lapsed was taken care of.
        let (state, reply) = self.keys[key].apply(0, action);
        if !is_look(action, &reply) {
            self.change(key, state);
        }
        reply
    }

    fn rename(&mut self, from: usize, to: usize, only_new: bool) -> Reply {
        if !self.is_there(from) {
            return Reply::Error("ERR no such key".into());
        }
        if only_new && self.is_there(to) {
            return Reply::Int(0);
        }
        if from != to {
            let state = self.keys[from].clone();
            self.change(from, State::default());
            self.change(to, state);
        }
        if only_new { Reply::Int(1) } else { Reply::ok() }
    }

    /// The names of all keys, in order.
    fn names(&self) -> Reply {
        let there = (0..KEYS.len()).filter(|key| self.is_there(*key));
        let mut names: Vec<Vec<u8>> = there.map(|key| KEYS[key].as_bytes().to_vec()).collect();
        names.sort_unstable();
        Reply::Array(names.into_iter().map(Reply::Bulk).collect())
    }

    /// The length of the longest common subsequence of two values.
    fn common(&self, one: usize, other: usize) -> i64 {
        let value = |key: usize| self.keys[key].value.as_deref().unwrap_or(b"");
        let mut row = vec![0i64; value(other).len() + 1];
        for byte in value(one) {
            let mut diagonal = 0;
            for (at, with) in value(other).iter().enumerate() {
                let longest = if byte == with { diagonal + 1 } else { row[at].max(row[at + 1]) };
                diagonal = std::mem::replace(&mut row[at + 1], longest);
            }
        }
        row[value(other).len()]
    }

    fn combined(&self, bits: Bits, sources: &[usize]) -> Vec<u8> {
        let sources: Vec<&[u8]> = sources.iter().map(|key| self.keys[*key].value.as_deref().unwrap_or(b"")).collect();
        let bytes = sources.iter().map(|source| source.len()).max().unwrap_or(0);
        let at = |source: &[u8], place: usize| source.get(place).copied().unwrap_or(0);
        let fold = |place: usize| {
            let all = sources.iter().map(|source| at(source, place));
            match bits {
                Bits::And => all.reduce(|a, b| a & b),
                Bits::Or => all.reduce(|a, b| a | b),
                Bits::Xor => all.reduce(|a, b| a ^ b),
                Bits::Not => all.map(|byte| !byte).next(),
            }
        };
        (0..bytes).map(|place| fold(place).unwrap_or(0)).collect()
    }
}

/// Whether a command that was answered so has changed nothing, whenever it was done.
pub fn is_look_all(op: &Op, reply: &Reply) -> bool {
    match op {
        _ if reply.is_refusal() => true,
        Op::One(_, action) => is_look(action, reply),
        Op::MGet(_) | Op::Exists(_) | Op::DbSize | Op::Keys | Op::Lcs(..) => true,
        Op::MSet(_) | Op::Combine { .. } | Op::FlushAll | Op::FlushDb => false,
        Op::Rename { from, to, .. } if from == to => true,
        Op::Del(_) | Op::MSetNx(_) | Op::Rename { .. } | Op::Copy { .. } => {
            matches!(reply, Reply::Int(0) | Reply::Error(_))
        }
    }
}

fn is_look(action: &Action, reply: &Reply) -> bool {
    match action {
        Action::Get | Action::Exists | Action::PTtl | Action::PExpireTime => true,
        Action::GetSet(_) => false,
        _ => matches!(reply, Reply::Int(0) | Reply::Null | Reply::Error(_)),
    }
}
