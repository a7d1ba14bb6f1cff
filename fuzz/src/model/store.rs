//! The map, and what it answers: each command as its documentation says, with no thought for speed.

use super::op::{Condition, Data, Expiry, Key, Op};
use crate::wire::bulk;
use std::collections::HashMap;

#[derive(Clone)]
struct Entry {
    value: Vec<u8>,
    expires_ms: Option<u64>,
}

#[derive(Default)]
pub struct Store {
    entries: HashMap<Vec<u8>, Entry>,
    pub now_ms: u64,
    /// Who asks speaks RESP3.
    pub resp3: bool,
}

const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";

fn integer(number: i64) -> Vec<u8> {
    format!(":{number}\r\n").into_bytes()
}

fn yes(yes: bool) -> Vec<u8> {
    integer(i64::from(yes))
}

fn ok() -> Vec<u8> {
    b"+OK\r\n".to_vec()
}

fn error(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// What too few arguments are answered.
pub fn wrong_number(name: &str) -> Vec<u8> {
    error(&format!("-ERR wrong number of arguments for '{name}' command\r\n"))
}

impl Store {
    pub fn apply(&mut self, op: &Op) -> Vec<u8> {
        let now_ms = self.now_ms;
        self.entries.retain(|_, entry| entry.expires_ms.is_none_or(|at_ms| at_ms > now_ms));
        if let Some(name) = op.is_short() {
            return wrong_number(name);
        }
        match op {
            Op::Get(key) => self.text(self.value(*key)),
            Op::Set { key, value, condition, get, expiry } => self.set(*key, value, *condition, *get, *expiry),
            Op::SetNx(key, value) => {
                let new = self.value(*key).is_none();
                if new {
                    self.put(*key, value.bytes(), None);
                }
                yes(new)
            }
            Op::GetSet(key, value) => {
                let reply = self.text(self.value(*key));
                self.put(*key, value.bytes(), None);
                reply
            }
            Op::GetDel(key) => {
                let reply = self.text(self.value(*key));
                self.entries.remove(&key.bytes());
                reply
            }
            Op::GetEx { key, expiry } => self.get_ex(*key, *expiry),
            Op::Append(key, value) => self.edit(*key, |old| old.extend(value.bytes())),
            Op::StrLen(key) => integer(self.value(*key).map_or(0, |value| value.len() as i64)),
            Op::GetRange(key, start, end) => self.range(*key, (*start).into(), (*end).into()),
            Op::SetRange(key, offset, value) => self.set_range(*key, (*offset).into(), &value.bytes()),
            Op::IncrBy(key, step) => self.add(*key, *step),
            Op::Incr(key) => self.add(*key, 1),
            Op::Decr(key) => self.add(*key, -1),
            Op::Expire(key, ms) => self.expire(*key, (*ms).into()),
            Op::Persist(key) => {
                let expiry = self.entries.get_mut(&key.bytes()).map(|entry| entry.expires_ms.take());
                yes(expiry.flatten().is_some())
            }
            Op::PTtl(key) => integer(match self.entries.get(&key.bytes()).map(|entry| entry.expires_ms) {
                None => -2,
                Some(None) => -1,
                Some(Some(at_ms)) => (at_ms - now_ms) as i64,
            }),
            Op::SetBit(key, at, on) => self.set_bit(*key, (*at).into(), *on),
            Op::GetBit(key, at) => yes(self.bit(*key, (*at).into())),
            Op::BitCount(key) => {
                let ones = |value: &[u8]| value.iter().map(|byte| i64::from(byte.count_ones())).sum();
                integer(self.value(*key).map_or(0, ones))
            }
            other => self.apply_to_several(other),
        }
    }

    fn apply_to_several(&mut self, op: &Op) -> Vec<u8> {
        match op {
            Op::Del(keys) => {
                integer(keys.iter().map(|key| i64::from(self.entries.remove(&key.bytes()).is_some())).sum())
            }
            Op::Exists(keys) => integer(keys.iter().filter(|key| self.value(**key).is_some()).count() as i64),
            Op::MSet(values) => {
                values.iter().for_each(|(key, value)| self.put(*key, value.bytes(), None));
                ok()
            }
            Op::MSetNx(values) => {
                let new = values.iter().all(|(key, _)| self.value(*key).is_none());
                if new {
                    values.iter().for_each(|(key, value)| self.put(*key, value.bytes(), None));
                }
                yes(new)
            }
            Op::MGet(keys) => {
                let texts = keys.iter().flat_map(|key| self.text(self.value(*key)));
                format!("*{}\r\n", keys.len()).into_bytes().into_iter().chain(texts).collect()
            }
            Op::Rename { from, to, only_new } => self.rename(*from, *to, *only_new),
            Op::Copy { from, to, replace } => self.copy(*from, *to, *replace),
            Op::DbSize => integer(self.entries.len() as i64),
            Op::FlushAll => {
                self.entries.clear();
                ok()
            }
            other => panic!("{other:?} is about one key"),
        }
    }

    fn value(&self, key: Key) -> Option<&[u8]> {
        self.entries.get(&key.bytes()).map(|entry| &entry.value[..])
    }

    fn put(&mut self, key: Key, value: Vec<u8>, expires_ms: Option<u64>) {
        self.entries.insert(key.bytes(), Entry { value, expires_ms });
    }

    fn text(&self, value: Option<&[u8]>) -> Vec<u8> {
        match value {
            None if self.resp3 => b"_\r\n".to_vec(),
            None => b"$-1\r\n".to_vec(),
            Some(value) => {
                let mut reply = Vec::new();
                bulk(&mut reply, value);
                reply
            }
        }
    }

    fn set(&mut self, key: Key, value: &Data, condition: Condition, get: bool, expiry: Expiry) -> Vec<u8> {
        let old = self.entries.get(&key.bytes()).cloned();
        let refused = match condition {
            Condition::None => false,
            Condition::Nx => old.is_some(),
            Condition::Xx => old.is_none(),
        };
        if !refused {
            let kept_ms = old.as_ref().and_then(|entry| entry.expires_ms);
            self.put(key, value.bytes(), expiry.at_ms(self.now_ms, kept_ms));
        }
        match (get, refused) {
            (true, _) => self.text(old.as_ref().map(|entry| &entry.value[..])),
            (false, true) => self.text(None),
            (false, false) => ok(),
        }
    }

    fn get_ex(&mut self, key: Key, expiry: Expiry) -> Vec<u8> {
        let reply = self.text(self.value(key));
        let now_ms = self.now_ms;
        if let Some(entry) = self.entries.get_mut(&key.bytes()) {
            match expiry {
                Expiry::None => {}
                Expiry::Keep => entry.expires_ms = None,
                other => entry.expires_ms = other.at_ms(now_ms, None),
            }
        }
        reply
    }

    /// Changes a value, made where there is none, and answers its length.
    fn edit(&mut self, key: Key, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let entry = self.entries.entry(key.bytes()).or_insert(Entry { value: Vec::new(), expires_ms: None });
        change(&mut entry.value);
        integer(entry.value.len() as i64)
    }

    fn range(&self, key: Key, start: i64, end: i64) -> Vec<u8> {
        let value = self.value(key).unwrap_or_default();
        let bytes = value.len() as i64;
        let place = |at: i64| if at < 0 { (at + bytes).max(0) } else { at };
        let backwards = start < 0 && end < 0 && start > end;
        let (start, end) = (place(start), place(end).min(bytes - 1));
        let part = if backwards || start > end { &[] } else { &value[start as usize..=end as usize] };
        self.text(Some(part))
    }

    fn set_range(&mut self, key: Key, offset: usize, patch: &[u8]) -> Vec<u8> {
        if patch.is_empty() {
            return integer(self.value(key).map_or(0, |value| value.len() as i64));
        }
        let end = offset + patch.len();
        self.edit(key, |value| {
            value.resize(value.len().max(end), 0);
            value[offset..end].copy_from_slice(patch);
        })
    }

    fn add(&mut self, key: Key, step: i64) -> Vec<u8> {
        let text = self.value(key).unwrap_or(b"0");
        let canonical = |number: &i64| number.to_string().as_bytes() == text;
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).filter(canonical);
        let Some(number) = number else { return error(NOT_AN_INTEGER) };
        let Some(sum) = number.checked_add(step) else {
            return error("-ERR increment or decrement would overflow\r\n");
        };
        self.edit(key, |value| *value = sum.to_string().into_bytes());
        integer(sum)
    }

    fn expire(&mut self, key: Key, ms: i64) -> Vec<u8> {
        let at_ms = self.now_ms.saturating_add_signed(ms);
        yes(self.entries.get_mut(&key.bytes()).map(|entry| entry.expires_ms = Some(at_ms)).is_some())
    }

    fn bit(&self, key: Key, at: usize) -> bool {
        self.value(key).and_then(|value| value.get(at / 8)).is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1)
    }

    fn set_bit(&mut self, key: Key, at: usize, on: bool) -> Vec<u8> {
        let old = self.bit(key, at);
        self.edit(key, |value| {
            value.resize(value.len().max(at / 8 + 1), 0);
            let mask = 0x80 >> (at % 8);
            value[at / 8] = if on { value[at / 8] | mask } else { value[at / 8] & !mask };
        });
        yes(old)
    }

    fn rename(&mut self, from: Key, to: Key, only_new: bool) -> Vec<u8> {
        let Some(entry) = self.entries.get(&from.bytes()).cloned() else { return error("-ERR no such key\r\n") };
        if only_new && self.value(to).is_some() {
            return integer(0);
        }
        self.entries.remove(&from.bytes());
        self.entries.insert(to.bytes(), entry);
        if only_new { integer(1) } else { ok() }
    }

    fn copy(&mut self, from: Key, to: Key, replace: bool) -> Vec<u8> {
        if from.bytes() == to.bytes() {
            return error("-ERR source and destination objects are the same\r\n");
        }
        let Some(entry) = self.entries.get(&from.bytes()).cloned() else { return integer(0) };
        if !replace && self.value(to).is_some() {
            return integer(0);
        }
        self.entries.insert(to.bytes(), entry);
        integer(1)
    }
}
