//! Operations on a few keys, and the requests that they are.

use crate::pieces::run_bytes;
use arbitrary::Arbitrary;

/// One of eight; half of them share a slot.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Key(u8);

impl Key {
    pub fn bytes(self) -> Vec<u8> {
        format!("{}k{}", if self.0 & 4 == 0 { "" } else { "{t}" }, self.0 % 4).into_bytes()
    }
}

#[derive(Arbitrary, Clone, Debug)]
pub enum Data {
    Small(i8),
    Number(i64),
    Text(Vec<u8>),
    Run {
        byte: u8,
        bytes: u8,
    },
    /// Up to what is a record of its own, and comes in a buffer of its own.
    Large {
        byte: u8,
        code: u8,
    },
}

impl Data {
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Data::Small(number) => number.to_string().into_bytes(),
            Data::Number(number) => number.to_string().into_bytes(),
            Data::Text(text) => text.clone(),
            Data::Run { byte, bytes } => vec![*byte; usize::from(*bytes)],
            Data::Large { byte, code } => vec![*byte; run_bytes(*code)],
        }
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Condition {
    None,
    Nx,
    Xx,
}

/// When a key is to expire.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Expiry {
    None,
    Keep,
    Seconds(u8),
    Milliseconds(u16),
    /// Counted from now, sent as a time.
    At(i16),
}

impl Expiry {
    /// The option with its number; nothing of what would be refused.
    fn words(self, now_ms: u64) -> Vec<Vec<u8>> {
        match self {
            Expiry::None => vec![],
            Expiry::Keep => vec![b"KEEPTTL".to_vec()],
            Expiry::Seconds(s) => vec![b"EX".to_vec(), (u64::from(s) + 1).to_string().into_bytes()],
            Expiry::Milliseconds(ms) => vec![b"PX".to_vec(), (u64::from(ms) + 1).to_string().into_bytes()],
            Expiry::At(ms) => {
                vec![b"PXAT".to_vec(), now_ms.saturating_add_signed(i64::from(ms)).to_string().into_bytes()]
            }
        }
    }

    pub fn at_ms(self, now_ms: u64, kept_ms: Option<u64>) -> Option<u64> {
        match self {
            Expiry::None => None,
            Expiry::Keep => kept_ms,
            Expiry::Seconds(s) => Some(now_ms + (u64::from(s) + 1) * 1000),
            Expiry::Milliseconds(ms) => Some(now_ms + u64::from(ms) + 1),
            Expiry::At(ms) => Some(now_ms.saturating_add_signed(i64::from(ms))),
        }
    }
}

#[derive(Arbitrary, Clone, Debug)]
pub enum Op {
    Get(Key),
    Set { key: Key, value: Data, condition: Condition, get: bool, expiry: Expiry },
    SetNx(Key, Data),
    GetSet(Key, Data),
    GetDel(Key),
    GetEx { key: Key, expiry: Expiry },
    Append(Key, Data),
    StrLen(Key),
    GetRange(Key, i16, i16),
    SetRange(Key, u8, Data),
    IncrBy(Key, i64),
    Incr(Key),
    Decr(Key),
    Del(Vec<Key>),
    Exists(Vec<Key>),
    MSet(Vec<(Key, Data)>),
    MSetNx(Vec<(Key, Data)>),
    MGet(Vec<Key>),
    Rename { from: Key, to: Key, only_new: bool },
    Copy { from: Key, to: Key, replace: bool },
    Expire(Key, i16),
    Persist(Key),
    PTtl(Key),
    SetBit(Key, u8, bool),
    GetBit(Key, u8),
    BitCount(Key),
    DbSize,
    FlushAll,
}

fn each(name: &str, keys: &[Key]) -> Vec<Vec<u8>> {
    [name.into()].into_iter().chain(keys.iter().map(|key| key.bytes())).collect()
}

fn pairs(name: &str, pairs: &[(Key, Data)]) -> Vec<Vec<u8>> {
    let pairs = pairs.iter().flat_map(|(key, value)| [key.bytes(), value.bytes()]);
    [name.into()].into_iter().chain(pairs).collect()
}

impl Op {
    /// The request, word by word.
    pub fn words(&self, now_ms: u64) -> Vec<Vec<u8>> {
        let one = |name: &str, key: &Key| vec![name.into(), key.bytes()];
        let with = |name: &str, key: &Key, word: Vec<u8>| vec![name.into(), key.bytes(), word];
        let number = |number: i64| number.to_string().into_bytes();
        match self {
            Op::Get(key) => one("GET", key),
            Op::Set { key, value, condition, get, expiry } => {
                let mut words = with("SET", key, value.bytes());
                match condition {
                    Condition::None => {}
                    Condition::Nx => words.push(b"NX".to_vec()),
                    Condition::Xx => words.push(b"xx".to_vec()),
                }
                words.extend(get.then(|| b"GET".to_vec()));
                words.extend(expiry.words(now_ms));
                words
            }
            Op::SetNx(key, value) => with("SETNX", key, value.bytes()),
            Op::GetSet(key, value) => with("GETSET", key, value.bytes()),
            Op::GetDel(key) => one("GETDEL", key),
            Op::GetEx { key, expiry: Expiry::Keep } => with("GETEX", key, b"PERSIST".to_vec()),
            Op::GetEx { key, expiry } => [one("GETEX", key), expiry.words(now_ms)].concat(),
            Op::Append(key, value) => with("APPEND", key, value.bytes()),
            Op::StrLen(key) => one("STRLEN", key),
            Op::GetRange(key, start, end) => {
                [with("GETRANGE", key, number((*start).into())), vec![number((*end).into())]].concat()
            }
            Op::SetRange(key, offset, value) => {
                [with("SETRANGE", key, number((*offset).into())), vec![value.bytes()]].concat()
            }
            Op::IncrBy(key, step) => with("INCRBY", key, number(*step)),
            Op::Incr(key) => one("INCR", key),
            Op::Decr(key) => one("DECR", key),
            Op::Del(keys) => each("DEL", keys),
            Op::Exists(keys) => each("EXISTS", keys),
            Op::MSet(values) => pairs("MSET", values),
            Op::MSetNx(values) => pairs("MSETNX", values),
            Op::MGet(keys) => each("MGET", keys),
            Op::Rename { from, to, only_new } => with(if *only_new { "RENAMENX" } else { "RENAME" }, from, to.bytes()),
            Op::Copy { from, to, replace } => {
                let mut words = with("COPY", from, to.bytes());
                words.extend(replace.then(|| b"REPLACE".to_vec()));
                words
            }
            Op::Expire(key, ms) => with("PEXPIRE", key, number((*ms).into())),
            Op::Persist(key) => one("PERSIST", key),
            Op::PTtl(key) => one("PTTL", key),
            Op::SetBit(key, at, on) => [with("SETBIT", key, number((*at).into())), vec![number((*on).into())]].concat(),
            Op::GetBit(key, at) => with("GETBIT", key, number((*at).into())),
            Op::BitCount(key) => one("BITCOUNT", key),
            Op::DbSize => vec!["DBSIZE".into()],
            Op::FlushAll => vec!["FLUSHALL".into()],
        }
    }

    /// Whether it may leave behind what has expired. DBSIZE counts that until it is met again.
    pub fn sets_the_past(&self) -> bool {
        matches!(self, Op::Set { expiry: Expiry::At(ms), .. } if *ms <= 0)
    }

    /// Whether it has too few arguments to be run.
    pub fn is_short(&self) -> Option<&'static str> {
        match self {
            Op::Del(keys) => keys.is_empty().then_some("del"),
            Op::Exists(keys) => keys.is_empty().then_some("exists"),
            Op::MGet(keys) => keys.is_empty().then_some("mget"),
            Op::MSet(values) => values.is_empty().then_some("mset"),
            Op::MSetNx(values) => values.is_empty().then_some("msetnx"),
            _ => None,
        }
    }
}
