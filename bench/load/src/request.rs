//! Request bytes. Each verb is one template whose key digits are patched in place: a request costs one copy and a few
//! divisions, and no pool of prepared batches competes with the server for the shared cache.

use std::str::FromStr;

use crate::keys::{Rng, Stream};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Resp,
    Memcache,
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "resp" => Ok(Self::Resp),
            "memcache" => Ok(Self::Memcache),
            _ => Err("expected resp or memcache".to_owned()),
        }
    }
}

/// What a batch is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    Incr,
    /// So many SETs for so many GETs, in random order.
    SetGet {
        sets: u32,
        gets: u32,
    },
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "get" => Ok(Self::SetGet { sets: 0, gets: 1 }),
            "set" => Ok(Self::SetGet { sets: 1, gets: 0 }),
            "incr" => Ok(Self::Incr),
            _ => match text.split_once(':').map(|(sets, gets)| (sets.parse::<u16>(), gets.parse::<u16>())) {
                Some((Ok(sets), Ok(gets))) if (sets, gets) != (0, 0) => {
                    Ok(Self::SetGet { sets: sets.into(), gets: gets.into() })
                }
                _ => Err("expected get, set, incr or SETS:GETS".to_owned()),
            },
        }
    }
}

/// At least so many digits a key number, so that key lengths do not change between one million keys and ten.
const DIGITS_MIN: usize = 7;

#[derive(Clone)]
struct Template {
    bytes: Vec<u8>,
    digits_at: usize,
}

impl Template {
    fn append(&self, digits: usize, key: u64, out: &mut Vec<u8>) {
        let at = out.len() + self.digits_at;
        out.extend_from_slice(&self.bytes);
        write_digits(&mut out[at..at + digits], key);
    }
}

fn write_digits(field: &mut [u8], mut number: u64) {
    for digit in field.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// The three verbs, ready for one key name and one value length.
#[derive(Clone)]
pub struct Verbs {
    digits: usize,
    get: Template,
    set: Template,
    incr: Template,
}

impl Verbs {
    /// `value` must hold neither CR nor LF when the protocol is memcache's.
    pub fn new(protocol: Protocol, key_prefix: &str, key_count: u64, value: &[u8]) -> Self {
        let digits = key_count.saturating_sub(1).to_string().len().max(DIGITS_MIN);
        let key = format!("{key_prefix}{}", "0".repeat(digits));
        let template = |verb: &str, number: &[u8], value: Option<&[u8]>| {
            let bytes = match protocol {
                Protocol::Resp => resp(&[Some(verb.as_bytes()), Some(key.as_bytes()), value]),
                Protocol::Memcache => memcache(verb, &key, number, value),
            };
            // The number of arguments is known, so the key's place is too: its first occurrence after the verb.
            let verb_at = verb.len();
            let key_at = find(&bytes[verb_at..], key.as_bytes()).expect("the key was just written") + verb_at;
            Template { bytes, digits_at: key_at + key_prefix.len() }
        };
        let (get, set, incr) = match protocol {
            Protocol::Resp => ("GET", "SET", "INCR"),
            Protocol::Memcache => ("get", "set", "incr"),
        };
        Self {
            digits,
            get: template(get, b"", None),
            set: template(set, b"", Some(value)),
            incr: template(incr, b" 1", None),
        }
    }

    /// Digits of a key's number.
    pub fn digits(&self) -> usize {
        self.digits
    }

    pub fn set(&self, key: u64, out: &mut Vec<u8>) {
        self.set.append(self.digits, key, out);
    }

    /// Appends one request of the mix for the stream's next key.
    pub fn append(&self, mix: Mix, stream: &mut Stream, out: &mut Vec<u8>) {
        let template = match mix {
            Mix::Incr => &self.incr,
            Mix::SetGet { sets: 0, .. } => &self.get,
            Mix::SetGet { gets: 0, .. } => &self.set,
            Mix::SetGet { sets, gets } if stream.rng().below(u64::from(sets + gets)) < u64::from(sets) => &self.set,
            Mix::SetGet { .. } => &self.get,
        };
        template.append(self.digits, stream.next_key(), out);
    }
}

/// A printable value of `value_bytes`, random so that no server can compress or share it.
pub fn value(value_bytes: usize, seed: u64) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut rng = Rng::new(seed);
    (0..value_bytes).map(|_| LETTERS[(rng.next_u64() % 64) as usize]).collect()
}

/// A RESP array of the arguments that are there.
pub fn resp(arguments: &[Option<&[u8]>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", arguments.iter().flatten().count()).into_bytes();
    for argument in arguments.iter().flatten() {
        out.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn memcache(verb: &str, key: &str, number: &[u8], value: Option<&[u8]>) -> Vec<u8> {
    let mut out = format!("{verb} {key}").into_bytes();
    match value {
        None => out.extend_from_slice(number),
        Some(value) => {
            out.extend_from_slice(format!(" 0 0 {}\r\n", value.len()).as_bytes());
            out.extend_from_slice(value);
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Distribution, Keyspace};

    /// Proves the bytes of every verb in both protocols, digits patched in.
    #[test]
    fn verbs_are_the_protocols_bytes() {
        for (protocol, get, set, incr) in [
            (
                Protocol::Resp,
                "*2\r\n$3\r\nGET\r\n$9\r\nk-0000042\r\n",
                "*3\r\n$3\r\nSET\r\n$9\r\nk-0000042\r\n$2\r\nxy\r\n",
                "*2\r\n$4\r\nINCR\r\n$9\r\nk-0000042\r\n",
            ),
            (Protocol::Memcache, "get k-0000042\r\n", "set k-0000042 0 0 2\r\nxy\r\n", "incr k-0000042 1\r\n"),
        ] {
            let verbs = Verbs::new(protocol, "k-", 100, b"xy");
            for (template, expected) in [(&verbs.get, get), (&verbs.set, set), (&verbs.incr, incr)] {
                let mut out = b"before".to_vec();
                template.append(verbs.digits, 42, &mut out);
                assert_eq!(String::from_utf8_lossy(&out), format!("before{expected}"));
            }
        }
    }

    /// Proves the ratio of a mix over many requests, within a tenth.
    #[test]
    fn mix_keeps_its_ratio() {
        let verbs = Verbs::new(Protocol::Memcache, "k", 100, b"v");
        let mut stream = Stream::new(Keyspace::new(100, Distribution::Uniform, None, 1), 1);
        let mut out = Vec::new();
        for _ in 0..11_000 {
            verbs.append("1:10".parse().unwrap(), &mut stream, &mut out);
        }
        let sets = out.iter().filter(|&&byte| byte == b's').count();
        assert!((900..1_100).contains(&sets), "{sets} of 11000");
    }

    #[test]
    fn bad_words_are_refused() {
        for text in ["", "getx", "1:", "0:0", ":1", "-1:3"] {
            assert!(text.parse::<Mix>().is_err(), "{text}");
        }
        assert!("http".parse::<Protocol>().is_err());
    }
}
