//! Clients that keep what they read and drop what they are told of, over random histories: turns of the cores, letters,
//! requests and time come in any order. When all is quiet, each value that a client keeps is the key's value.

use crate::rig::{Client, Rig};
use crate::{connect, start};
use std::collections::{HashMap, VecDeque};

const KEYS: u64 = 8;

/// What comes down a connection.
#[derive(Debug)]
enum Reply {
    Text(String),
    Null,
    Array(Vec<Reply>),
    Push(Vec<Reply>),
}

/// Takes one reply off the front, if all of it is there.
fn take(bytes: &mut &str) -> Option<Reply> {
    let (line, rest) = bytes.split_once("\r\n")?;
    *bytes = rest;
    let (mark, head) = line.split_at(1);
    let count = head.parse::<usize>();
    let mut items = |count: usize| (0..count).map(|_| take(bytes)).collect::<Option<Vec<Reply>>>();
    match (mark, count) {
        ("_", _) => Some(Reply::Null),
        ("*", Ok(count)) => items(count).map(Reply::Array),
        (">", Ok(count)) => items(count).map(Reply::Push),
        ("$", Ok(count)) => {
            let text = bytes.get(..count)?;
            *bytes = bytes.get(count + 2..)?;
            Some(Reply::Text(text.to_string()))
        }
        _ => Some(Reply::Text(line.to_string())),
    }
}

/// A client: what it has asked and not been answered, and what it keeps.
struct Cache {
    peer: Client,
    noloop: bool,
    /// Received, and not a whole reply yet.
    heard: String,
    asked: VecDeque<Vec<String>>,
    /// Requests between MULTI and EXEC.
    queued: Option<VecDeque<Vec<String>>>,
    kept: HashMap<String, Option<String>>,
    told: usize,
}

impl Cache {
    fn ask(&mut self, rig: &mut Rig, line: &str) {
        self.asked.push_back(line.split(' ').map(str::to_string).collect());
        rig.tell(self.peer, line);
    }

    fn listen(&mut self, rig: &mut Rig) {
        self.heard += &rig.heard(self.peer);
        let text = std::mem::take(&mut self.heard);
        let (mut rest, mut whole) = (text.as_str(), text.as_str());
        while let Some(reply) = take(&mut rest) {
            whole = rest;
            match reply {
                Reply::Push(push) => self.forget(&push),
                reply => self.answered(reply),
            }
        }
        self.heard = whole.to_string();
    }

    fn forget(&mut self, push: &[Reply]) {
        self.told += 1;
        match &push[1] {
            Reply::Array(keys) => {
                for key in keys {
                    let Reply::Text(key) = key else { panic!("{push:?}") };
                    self.kept.remove(key);
                }
            }
            _ => self.kept.clear(),
        }
    }

    fn answered(&mut self, reply: Reply) {
        let words = self.asked.pop_front().expect("each reply was asked for");
        match (words[0].as_str(), reply) {
            ("MULTI", _) => self.queued = Some(VecDeque::new()),
            ("EXEC", Reply::Array(replies)) => {
                let queued = self.queued.take().expect("EXEC comes behind MULTI");
                assert!(!replies.iter().any(|reply| matches!(reply, Reply::Push(_))), "{replies:?}");
                queued.into_iter().zip(replies).for_each(|(words, reply)| self.learn(&words, reply));
            }
            (_, reply) => match &mut self.queued {
                Some(queued) => queued.push_back(words),
                None => self.learn(&words, reply),
            },
        }
    }

    /// Keeps what a reply says.
    fn learn(&mut self, words: &[String], reply: Reply) {
        let values = match (words[0].as_str(), reply) {
            ("GET", value) => vec![value],
            ("MGET", Reply::Array(values)) => values,
            // Nothing is told of an own change: what was kept is dropped by oneself.
            _ if self.noloop => {
                words[1..].iter().for_each(|word| {
                    self.kept.remove(word);
                });
                return;
            }
            _ => return,
        };
        for (key, value) in words[1..].iter().zip(values) {
            let value = if let Reply::Text(text) = value { Some(text) } else { None };
            self.kept.insert(key.clone(), value);
        }
    }
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn line(&mut self, step: u64) -> String {
        // Mostly one key, so that it turns hot; two share a slot.
        let mut key = || match self.below(KEYS * 2) {
            key if key < KEYS => format!("{{k}}{}", key.min(2)),
            key => format!("k{key}"),
        };
        let (one, two) = (key(), key());
        match self.below(23) {
            0..=8 => format!("GET {one}"),
            9..=11 => format!("MGET {one} {two}"),
            12..=13 => format!("SET {one} {step}"),
            14 => format!("MSET {one} {step} {two} {step}"),
            15 => format!("DEL {one} {two}"),
            16 => format!("SET {one} {step} PX 20"),
            17 => format!("PEXPIRE {one} 10"),
            18 if self.below(8) == 0 => "FLUSHALL".to_string(),
            18 => format!("GETDEL {one}"),
            19 => format!("RENAME {one} {two}"),
            20 => format!("COPY {one} {two} REPLACE"),
            21 => format!("BITOP AND {one} {two}"),
            _ => format!("APPEND {one} 1"),
        }
    }
}

fn history(seed: u64, cores: usize, hot: bool) -> usize {
    let (mut rig, mut dice) = (start(cores), Dice(seed * 2 + 1));
    let mut caches = Vec::new();
    for (core, mode) in ["", " NOLOOP", " BCAST", " BCAST NOLOOP", "", " NOLOOP"].iter().enumerate() {
        let peer = connect(&mut rig, core, true);
        rig.ok(peer, &format!("CLIENT TRACKING ON{mode}"));
        let noloop = mode.contains("NOLOOP");
        caches.push(Cache {
            peer,
            noloop,
            heard: String::new(),
            asked: VecDeque::new(),
            queued: None,
            kept: HashMap::new(),
            told: 0,
        });
    }
    let plain = connect(&mut rig, 0, false);
    rig.ok(plain, "CONFIG SET tracking-table-max-keys 6");
    if hot {
        rig.ok(plain, "CONFIG SET hot-promote-ops 1 hot-promote-share-permille 0");
    }
    for step in 0..1500 {
        match dice.below(10) {
            0..=3 => {
                let cache = &mut caches[dice.below(6) as usize];
                if dice.below(4) > 0 {
                    cache.ask(&mut rig, &dice.line(step));
                } else {
                    cache.ask(&mut rig, "MULTI");
                    (0..=dice.below(3)).for_each(|_| cache.ask(&mut rig, &dice.line(step)));
                    cache.ask(&mut rig, "EXEC");
                }
            }
            4 => rig.tell(plain, &dice.line(step)),
            5 => rig.mono_us += dice.below(10_000),
            _ => {
                let (core, from) = (dice.below(cores as u64) as usize, dice.below(cores as u64) as usize);
                rig.run_with(core, |sender| sender == from);
            }
        }
        let cache = dice.below(caches.len() as u64) as usize;
        caches[cache].listen(&mut rig);
    }
    rig.mono_us += 1_000_000;
    rig.settle();
    rig.settle();
    rig.heard(plain);
    let told = caches.iter().map(|cache| cache.told).sum();
    for cache in &mut caches {
        cache.listen(&mut rig);
        assert!(cache.asked.is_empty(), "all is answered");
        for (key, kept) in &cache.kept {
            let now = rig.say(plain, &format!("GET {key}"));
            let now = if now == "$-1\r\n" { None } else { now.split("\r\n").nth(1).map(str::to_string) };
            assert_eq!(
                *kept, now,
                "{key} is stale: seed {seed}, {cores} cores, hot {hot}, connection {:?}",
                cache.peer
            );
        }
    }
    told
}

#[test]
fn no_cache_is_stale_in_the_end() {
    let mut told = 0;
    for seed in 1..=40 {
        for cores in 1..=3 {
            told += history(seed, cores, seed % 2 == 0);
        }
    }
    assert!(told > 10_000, "{told}");
}
