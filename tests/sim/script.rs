//! Clients that make transactions: what each asks comes in scripts, from WATCH to EXEC, of commands over a few keys.

use crate::deed::{Bits, Deed, Op};
use crate::model::{Action, Bytes, Only, Until};
use crate::request::{KEYS, Request, Role, Shape};
use crate::resp::Reply;
use crate::rng::Rng;
use crate::scenario::Scenario;

/// Keys that one run is about at most: more, and transactions seldom meet.
const KEYS_MAX: usize = 4;
/// The same where clients keep what they read: of fewer keys nothing is ever kept for long.
const KEPT_KEYS_MAX: usize = 7;
/// How far ahead expiries lie at most.
const EXPIRY_MS_MAX: usize = 20;

/// Writes scripts; every value in them is its own.
pub struct Playwright {
    keys: Vec<usize>,
    large: usize,
    large_bytes_max: usize,
    written: usize,
    /// What counts all keys is asked, and no key lapses, since a lapsed one may be counted until it is met.
    counts: bool,
}

impl Playwright {
    pub fn new(scenario: &Scenario, rng: &mut Rng) -> Playwright {
        let mut keys: Vec<usize> = (1..KEYS.len()).collect();
        if scenario.transactions || scenario.tracking {
            rng.shuffle(&mut keys);
            let most = if scenario.tracking { KEPT_KEYS_MAX } else { KEYS_MAX };
            keys.truncate(rng.between(2, most));
        }
        let Scenario { large, large_bytes_max, counts, .. } = *scenario;
        Playwright { keys, large, large_bytes_max, written: 0, counts }
    }

    /// The next requests of a client, which it sends one after the other.
    pub fn script(&mut self, rng: &mut Rng, now_ms: u64, reads: bool) -> Vec<Request> {
        let mut script = match rng.below(10) {
            _ if reads => vec![step(Op::One(self.key(rng), Action::Get))],
            0..4 => self.transaction(rng, now_ms),
            4..6 => vec![step(self.over_keys(rng))],
            _ => vec![step(self.on_one(rng, now_ms))],
        };
        script.iter_mut().for_each(|request| request.inline = rng.chance(5));
        script
    }

    pub fn transaction(&mut self, rng: &mut Rng, now_ms: u64) -> Vec<Request> {
        let mut script = Vec::new();
        if rng.chance(40) {
            let watched: Vec<usize> = (0..rng.between(1, 2)).map(|_| self.key(rng)).collect();
            let mut words = vec![b"WATCH".to_vec()];
            words.extend(watched.iter().map(|key| KEYS[*key].as_bytes().to_vec()));
            script.push(request(words, Deed::Watch(watched)));
            script.extend((0..rng.below(3)).map(|_| step(self.on_one(rng, now_ms))));
            if rng.chance(5) {
                script.push(request(vec![b"UNWATCH".to_vec()], Deed::Unwatch));
            }
        }
        script.push(request(vec![b"MULTI".to_vec()], Deed::Multi));
        for _ in 0..rng.between(1, 5) {
            let op = match rng.below(10) {
                0..2 if self.counts => self.over_all(rng),
                0..2 => self.in_parts(rng),
                2..5 => self.over_keys(rng),
                _ => self.on_one(rng, now_ms),
            };
            script.push(request(op.words(), Deed::Queue(op)));
        }
        let end = if rng.chance(10) { (&b"DISCARD"[..], Deed::Discard) } else { (&b"EXEC"[..], Deed::Exec) };
        script.push(request(vec![end.0.to_vec()], end.1));
        script
    }

    fn key(&self, rng: &mut Rng) -> usize {
        rng.pick(&self.keys)
    }

    fn some_keys(&self, rng: &mut Rng) -> Vec<usize> {
        (0..rng.between(2, 3)).map(|_| self.key(rng)).collect()
    }

    fn value(&mut self, rng: &mut Rng) -> Bytes {
        self.written += 1;
        if rng.chance(30) {
            return self.written.to_string().into_bytes().into();
        }
        let mut value = format!("v{}.", self.written).into_bytes();
        if rng.chance(self.large) {
            value.resize(rng.between(1000, self.large_bytes_max), b'x');
        }
        value.into()
    }

    fn pairs(&mut self, rng: &mut Rng) -> Vec<(usize, Bytes)> {
        (0..rng.between(1, 3)).map(|_| (self.key(rng), self.value(rng))).collect()
    }

    /// One step wherever its keys live.
    fn over_keys(&mut self, rng: &mut Rng) -> Op {
        let (from, to) = (self.key(rng), self.key(rng));
        match rng.below(20) {
            0..5 => Op::MSet(self.pairs(rng)),
            5..8 => Op::MSetNx(self.pairs(rng)),
            8..12 => Op::Rename { from, to, only_new: false },
            12..14 => Op::Rename { from, to, only_new: true },
            14..17 if from != to => Op::Copy { from, to, replace: rng.chance(60) },
            17..19 => {
                let bits = rng.pick(&[Bits::And, Bits::Or, Bits::Xor, Bits::Not]);
                let sources = if bits == Bits::Not { vec![from] } else { self.some_keys(rng) };
                Op::Combine { bits, to, sources }
            }
            19 => Op::FlushAll,
            _ => Op::Rename { from, to, only_new: false },
        }
    }

    /// One step inside a transaction only.
    fn in_parts(&mut self, rng: &mut Rng) -> Op {
        let keys = self.some_keys(rng);
        match rng.below(4) {
            0..2 => Op::MGet(keys),
            2 => Op::Del(keys),
            _ => Op::Exists(keys),
        }
    }

    /// What one step has to say of all keys, or of two that it only reads.
    fn over_all(&mut self, rng: &mut Rng) -> Op {
        match rng.below(10) {
            0..3 => Op::DbSize,
            3..6 => Op::Keys,
            6..8 => Op::Lcs(self.key(rng), self.key(rng)),
            8 => Op::FlushDb,
            _ => self.in_parts(rng),
        }
    }

    fn on_one(&mut self, rng: &mut Rng, now_ms: u64) -> Op {
        let value = self.value(rng);
        let at_ms = now_ms + rng.below(EXPIRY_MS_MAX) as u64;
        let set = |until: Until, only: Only| Action::Set { value: value.clone(), until, only };
        let action = match rng.below(24) {
            0..8 => Action::Get,
            8..12 => set(Until::Forever, Only::Always),
            12 if !self.counts => set(Until::AtMs(at_ms), Only::Always),
            13 => set(Until::Keep, Only::IfPresent),
            14 => set(Until::Forever, Only::IfAbsent),
            15..17 => Action::Incr,
            17 => Action::Append(value),
            18 => Action::GetSet(value),
            19 => Action::GetDel,
            20 => Action::Del,
            21 if !self.counts => Action::ExpireAtMs(at_ms),
            22 => Action::PExpireTime,
            _ if rng.chance(50) => Action::Persist,
            _ => Action::Exists,
        };
        Op::One(self.key(rng), action)
    }
}

fn step(op: Op) -> Request {
    request(op.words(), Deed::Step(op))
}

fn request(words: Vec<Vec<u8>>, deed: Deed) -> Request {
    let shape = match deed {
        Deed::Step(_) | Deed::Exec => Shape::Any,
        Deed::Queue(_) => Shape::Exactly(Reply::Simple("QUEUED".into())),
        Deed::Multi | Deed::Discard | Deed::Watch(_) | Deed::Unwatch => Shape::Exactly(Reply::ok()),
    };
    Request { words, shape, parts: Vec::new(), inline: false, deed: Some(deed), role: Role::None }
}
