//! What requests do where all keys together are one object: operations on several keys, and the frame of a transaction.

use crate::model::{Action, Bytes, Only, Until};
use crate::request::KEYS;
use crate::resp::Reply;

/// How BITOP combines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bits {
    And,
    Or,
    Xor,
    Not,
}

/// One command; keys by their places in [`KEYS`].
#[derive(Clone, Debug)]
pub enum Op {
    One(usize, Action),
    MGet(Vec<usize>),
    Del(Vec<usize>),
    Exists(Vec<usize>),
    MSet(Vec<(usize, Bytes)>),
    MSetNx(Vec<(usize, Bytes)>),
    Rename {
        from: usize,
        to: usize,
        only_new: bool,
    },
    Copy {
        from: usize,
        to: usize,
        replace: bool,
    },
    Combine {
        bits: Bits,
        to: usize,
        sources: Vec<usize>,
    },
    FlushAll,
    FlushDb,
    /// Inside a transaction only: outside, cores are asked one by one.
    DbSize,
    Keys,
    Lcs(usize, usize),
}

/// What a request is to its connection.
#[derive(Clone, Debug)]
pub enum Deed {
    /// One step, at once.
    Step(Op),
    Multi,
    Queue(Op),
    Exec,
    Discard,
    Watch(Vec<usize>),
    Unwatch,
}

/// Keys as bits of a number.
pub type KeySet = u16;

pub fn set_of(keys: &[usize]) -> KeySet {
    keys.iter().fold(0, |set, key| set | 1 << key)
}

impl Op {
    /// The keys that it reads or writes.
    pub fn keys(&self) -> KeySet {
        match self {
            Op::One(key, _) => 1 << key,
            Op::MGet(keys) | Op::Del(keys) | Op::Exists(keys) => set_of(keys),
            Op::MSet(pairs) | Op::MSetNx(pairs) => pairs.iter().fold(0, |set, (key, _)| set | 1 << key),
            Op::Rename { from, to, .. } | Op::Copy { from, to, .. } => 1 << from | 1 << to,
            Op::Combine { to, sources, .. } => 1 << to | set_of(sources),
            Op::Lcs(one, other) => 1 << one | 1 << other,
            Op::FlushAll | Op::FlushDb | Op::DbSize | Op::Keys => (1 << KEYS.len()) - 1,
        }
    }

    /// Whether an answer says what it has to: names of keys come in any order.
    pub fn says(&self, due: &Reply, answer: &Reply) -> bool {
        match (self, answer) {
            (Op::Keys, Reply::Array(names)) => {
                let mut names = names.clone();
                names.sort_by_key(|name| if let Reply::Bulk(name) = name { name.clone() } else { Vec::new() });
                *due == Reply::Array(names)
            }
            (Op::MGet(_), Reply::Array(values)) => {
                let fits = |(due, value): (&Reply, &Reply)| value.is_misconf() || due == value;
                matches!(due, Reply::Array(due) if due.len() == values.len() && due.iter().zip(values).all(fits))
            }
            _ => answer == due,
        }
    }

    /// Whether it only looks.
    pub fn is_look(&self) -> bool {
        match self {
            Op::One(_, action) => action.is_look(),
            Op::MGet(_) | Op::Exists(_) | Op::DbSize | Op::Keys | Op::Lcs(..) => true,
            _ => false,
        }
    }

    /// The command as a client writes it.
    pub fn words(&self) -> Vec<Vec<u8>> {
        let keys = |name: &str, keys: &[usize]| {
            let keys = keys.iter().map(|key| KEYS[*key].as_bytes().to_vec());
            std::iter::once(name.into()).chain(keys).collect()
        };
        let pairs = |name: &str, pairs: &[(usize, Bytes)]| {
            let pairs = pairs.iter().flat_map(|(key, value)| [KEYS[*key].as_bytes().to_vec(), value.to_vec()]);
            std::iter::once(name.into()).chain(pairs).collect()
        };
        match self {
            Op::One(key, action) => one(KEYS[*key].as_bytes(), action),
            Op::MGet(of) => keys("MGET", of),
            Op::Del(of) => keys("DEL", of),
            Op::Exists(of) => keys("EXISTS", of),
            Op::MSet(of) => pairs("MSET", of),
            Op::MSetNx(of) => pairs("MSETNX", of),
            Op::Rename { from, to, only_new: false } => keys("RENAME", &[*from, *to]),
            Op::Rename { from, to, only_new: true } => keys("RENAMENX", &[*from, *to]),
            Op::Copy { from, to, replace } => {
                let mut words = keys("COPY", &[*from, *to]);
                words.extend(replace.then(|| b"REPLACE".to_vec()));
                words
            }
            Op::Combine { bits, to, sources } => {
                let mut words = keys("BITOP", &[&[*to][..], sources].concat());
                words.insert(1, format!("{bits:?}").into_bytes());
                words
            }
            Op::FlushAll => vec![b"FLUSHALL".to_vec()],
            Op::FlushDb => vec![b"FLUSHDB".to_vec(), b"ASYNC".to_vec()],
            Op::DbSize => vec![b"DBSIZE".to_vec()],
            Op::Keys => vec![b"KEYS".to_vec(), b"*".to_vec()],
            Op::Lcs(one, other) => {
                let mut words = keys("LCS", &[*one, *other]);
                words.push(b"LEN".to_vec());
                words
            }
        }
    }
}

/// A command on one key. Expiries are dates: when a command runs makes no difference to them.
fn one(key: &[u8], action: &Action) -> Vec<Vec<u8>> {
    let words = |words: &[&[u8]]| words.iter().map(|word| word.to_vec()).collect::<Vec<_>>();
    match action {
        Action::Get => words(&[b"GET", key]),
        Action::Set { value, until, only } => {
            let mut words = words(&[b"SET", key, value]);
            match until {
                Until::Forever => {}
                Until::Keep => words.push(b"KEEPTTL".to_vec()),
                Until::AtMs(at_ms) => words.extend([b"PXAT".to_vec(), at_ms.to_string().into_bytes()]),
                Until::AfterMs(ms) => words.extend([b"PX".to_vec(), ms.to_string().into_bytes()]),
            }
            match only {
                Only::Always => {}
                Only::IfAbsent => words.push(b"NX".to_vec()),
                Only::IfPresent => words.push(b"XX".to_vec()),
            }
            words
        }
        Action::SetNx(value) => words(&[b"SETNX", key, value]),
        Action::GetSet(value) => words(&[b"GETSET", key, value]),
        Action::GetDel => words(&[b"GETDEL", key]),
        Action::Incr => words(&[b"INCR", key]),
        Action::IncrBy(step) => words(&[b"INCRBY", key, step.to_string().as_bytes()]),
        Action::Append(more) => words(&[b"APPEND", key, more]),
        Action::ExpireMs(ms) => words(&[b"PEXPIRE", key, ms.to_string().as_bytes()]),
        Action::ExpireAtMs(at_ms) => words(&[b"PEXPIREAT", key, at_ms.to_string().as_bytes()]),
        Action::Persist => words(&[b"PERSIST", key]),
        Action::Del => words(&[b"DEL", key]),
        Action::Exists => words(&[b"EXISTS", key]),
        Action::PTtl => words(&[b"PTTL", key]),
        Action::PExpireTime => words(&[b"PEXPIRETIME", key]),
    }
}
