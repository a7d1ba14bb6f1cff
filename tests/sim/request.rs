//! Requests that clients make: their bytes, what they do to which key, and what kind of reply they must get.

use crate::cache::Mode;
use crate::deed::{Deed, Op};
use crate::model::{Action, Bytes, Only, Until};
use crate::push::Ear;
use crate::resp::{Reply, brief};
use crate::rng::Rng;
use crate::scenario::Scenario;
use crate::swarm::Hazard;
use crate::upstream::Setup;

/// The keys of all runs. The first is only ever incremented; some share a slot by their hash tag.
pub const KEYS: [&str; 9] = ["total", "a", "b", "{s}1", "{s}2", "long key name with spaces", "c", "{s}3", "d"];
/// The key that sees nothing but INCR.
pub const TOTAL: usize = 0;

/// What kind of reply a request must get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// What the parts' actions answer, one part: any reply that a model gives.
    Single,
    /// An array of one reply a part.
    Each,
    /// A count over the parts.
    Count,
    /// OK for all parts.
    AllOk,
    /// Whatever the checker of the whole takes.
    Any,
    /// Exactly this.
    Exactly(Reply),
    /// OK for all parts, whatever they found.
    Flushed,
    /// As many as there are keys, at most: DBSIZE.
    Integer,
    /// Any number that is not negative.
    Number,
    /// What HELLO tells: a map, or its RESP2 likeness.
    Hello { resp3: bool },
}

/// What CLIENT REPLY asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replies {
    On,
    Off,
    SkipNext,
}

/// What a request is to its client, besides what it does to keys.
#[derive(Clone, Debug)]
pub enum Role {
    None,
    Tracking(Mode),
    Caching,
    ClientId,
    Multi,
    Exec,
    /// To begin or end listening to names; none: to all of a kind.
    Listen {
        ear: Ear,
        on: bool,
        names: Vec<String>,
    },
    Publish {
        ear: Ear,
        channel: String,
        payload: String,
    },
    Replies(Replies),
}

#[derive(Clone, Debug)]
pub struct Request {
    pub words: Vec<Vec<u8>>,
    pub shape: Shape,
    /// Key, by its place in [`KEYS`], and what is done to it.
    pub parts: Vec<(usize, Action)>,
    pub inline: bool,
    /// What it is where all keys are one object.
    pub deed: Option<Deed>,
    pub role: Role,
}

impl Request {
    pub fn new(words: &[&[u8]], shape: Shape, parts: Vec<(usize, Action)>) -> Request {
        let words = words.iter().map(|word| word.to_vec()).collect();
        Request { words, shape, parts, inline: false, deed: None, role: Role::None }
    }

    pub fn with_role(self, role: Role) -> Request {
        Request { role, ..self }
    }

    pub fn with_words(mut self, words: &[&str]) -> Request {
        self.words.extend(words.iter().map(|word| word.as_bytes().to_vec()));
        self
    }

    pub fn is_multi(&self) -> bool {
        matches!(self.deed, Some(Deed::Multi))
    }

    pub fn hello(resp3: bool) -> Request {
        Request::new(&[b"HELLO", if resp3 { b"3" } else { b"2" }], Shape::Hello { resp3 }, Vec::new())
    }

    pub fn quit() -> Request {
        Request::new(&[b"QUIT"], Shape::Exactly(Reply::ok()), Vec::new())
    }

    pub fn get(key: usize) -> Request {
        Request::new(&[b"GET", KEYS[key].as_bytes()], Shape::Single, vec![(key, Action::Get)])
    }

    /// Says the same in words that servers alone understand: a key is a hash as well, whose only field is `f`. In lower case it
    /// is another question to whoever does not understand it.
    fn goes_abroad(&mut self, lower: bool) {
        let name: &[u8] = match (&self.words[0][..], self.words.len()) {
            (b"GET", 2) if lower => b"hget",
            (b"GET", 2) => b"HGET",
            (b"SET", 3) => b"HMSET",
            _ => return,
        };
        self.words[0] = name.to_vec();
        self.words.insert(2, b"f".to_vec());
    }

    pub fn text(&self) -> String {
        self.words.iter().map(|word| brief(word)).collect::<Vec<_>>().join(" ")
    }

    pub fn encode(&self, to: &mut Vec<u8>) {
        let plain = |word: &Vec<u8>| !word.is_empty() && word.iter().all(u8::is_ascii_graphic);
        // The server takes no longer line than 64 KB.
        let bytes: usize = self.words.iter().map(Vec::len).sum();
        if self.inline && bytes < 60_000 && self.words.iter().all(plain) {
            to.extend_from_slice(&self.words.join(&b' '));
            return to.extend_from_slice(b"\r\n");
        }
        to.extend_from_slice(format!("*{}\r\n", self.words.len()).as_bytes());
        for word in &self.words {
            to.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            to.extend_from_slice(word);
            to.extend_from_slice(b"\r\n");
        }
    }

    /// Whether `reply` is of the kind that this request gets. What it says is for the checkers of keys.
    pub fn fits(&self, reply: &Reply) -> bool {
        match (&self.shape, reply) {
            (Shape::Any, _) => true,
            (Shape::Exactly(expected), _) => reply == expected,
            // One more than the keys: a planted fault may have made one.
            (Shape::Integer, Reply::Int(count)) => (0..=KEYS.len() as i64 + 1).contains(count),
            (Shape::Count, Reply::Int(count)) => (0..=self.parts.len() as i64).contains(count),
            (Shape::AllOk | Shape::Flushed, _) => *reply == Reply::ok(),
            (Shape::Number, Reply::Int(count)) => *count >= 0,
            (Shape::Each, Reply::Array(elements)) => {
                let value = |element: &Reply| matches!(element, Reply::Bulk(_) | Reply::Null);
                elements.len() == self.parts.len() && elements.iter().all(value)
            }
            (Shape::Hello { resp3: true }, Reply::Map(pairs)) => pairs.len() == 7,
            (Shape::Hello { resp3: false }, Reply::Array(elements)) => elements.len() == 14,
            (Shape::Single, _) => self.fits_single(reply),
            _ => false,
        }
    }

    /// Whether it may be refused where memory is short: it writes what could be larger than what was there.
    pub fn is_refusable(&self) -> bool {
        let grows = |action: &Action| {
            use Action::{Append, GetSet, Incr, Set, SetNx};
            matches!(action, Append(_) | GetSet(_) | Incr | Set { .. } | SetNx(_))
        };
        self.parts.iter().any(|(_, action)| grows(action))
    }

    /// Whether it may be refused because changes cannot be logged.
    pub fn writes(&self) -> bool {
        match self.op() {
            Some(op) => !op.is_look(),
            None => self.parts.iter().any(|(_, action)| !action.is_look()),
        }
    }

    fn fits_single(&self, reply: &Reply) -> bool {
        match (&self.parts[0].1, reply) {
            (Action::Get | Action::GetSet(_) | Action::GetDel, Reply::Bulk(_) | Reply::Null) => true,
            (Action::Get | Action::GetSet(_) | Action::GetDel, _) => false,
            (Action::Set { only, .. }, Reply::Null) => *only != Only::Always,
            (Action::Set { .. }, _) => *reply == Reply::ok(),
            (Action::Incr, Reply::Error(text)) => text.starts_with("ERR value is not an integer"),
            (_, Reply::Int(_)) => true,
            _ => false,
        }
    }

    /// What it is where all keys are one object.
    pub fn deed(&self) -> Option<Deed> {
        match (&self.deed, &self.shape, &self.parts[..]) {
            (None, Shape::Single, [(key, action)]) => Some(Deed::Step(Op::One(*key, action.clone()))),
            (deed, ..) => deed.clone(),
        }
    }

    /// The command that it is, at once or as part of a transaction.
    pub fn op(&self) -> Option<Op> {
        match self.deed()? {
            Deed::Step(op) | Deed::Queue(op) => Some(op),
            _ => None,
        }
    }

    /// What each part answered, as far as the reply tells.
    pub fn answers(&self, reply: &Reply) -> Vec<Option<Reply>> {
        let parts = self.parts.len();
        match (&self.shape, reply) {
            (Shape::Each, Reply::Array(elements)) => elements.iter().cloned().map(Some).collect(),
            (Shape::Count, Reply::Int(0)) => vec![Some(Reply::Int(0)); parts],
            (Shape::Count, Reply::Int(count)) if *count == parts as i64 => vec![Some(Reply::Int(1)); parts],
            (Shape::Count | Shape::Flushed, reply) if reply.is_refusal() => vec![Some(reply.clone()); parts],
            (Shape::Single | Shape::AllOk, reply) => vec![Some(reply.clone()); parts],
            _ => vec![None; parts],
        }
    }
}

/// What stands for what on one key where nothing expires.
const PLAIN: [usize; 17] = [0, 1, 2, 17, 17, 18, 6, 7, 8, 9, 10, 11, 0, 9, 11, 6, 8];
/// The same before servers where keys expire.
const EXPIRING: [usize; 17] = [0, 3, 3, 17, 5, 18, 6, 7, 8, 9, 3, 11, 12, 12, 15, 15, 16];

/// Makes requests; every value that it writes is its own.
pub struct Author {
    keys: usize,
    large: usize,
    large_bytes_max: usize,
    narrow: bool,
    /// No request is about all keys, and it is these that are made.
    kinds: Option<&'static [usize; 17]>,
    /// Most requests read, so that copies of hot keys live for a while.
    reads: bool,
    /// All keys are those of servers, which have more commands.
    abroad: bool,
    written: usize,
    drawn: usize,
}

impl Author {
    pub fn new(scenario: &Scenario) -> Author {
        let Scenario { keys, large, large_bytes_max, narrow, .. } = *scenario;
        // Who writes past a router knows of no expiry.
        let expires = |setup: &Setup| setup.expires && !setup.has(Hazard::Past);
        let kinds = scenario.upstream.as_ref().map(|setup| if expires(setup) { &EXPIRING } else { &PLAIN });
        let reads = kinds.is_some() && scenario.hot_window_us.is_some();
        let abroad = scenario.upstream.as_ref().is_some_and(|setup| !setup.keeps_some);
        Author { keys, large, large_bytes_max, narrow, kinds, reads, abroad, written: 0, drawn: 0 }
    }

    fn value(&mut self, rng: &mut Rng) -> Bytes {
        self.written += 1;
        if rng.chance(15) {
            return self.written.to_string().into_bytes().into();
        }
        let mut value = format!("v{}.", self.written).into_bytes();
        if rng.chance(self.large) {
            value.resize(rng.between(1000, self.large_bytes_max), b'x');
        }
        value.into()
    }

    fn key(&self, rng: &mut Rng) -> usize {
        rng.between(1, self.keys - 1)
    }

    pub fn draw(&mut self, rng: &mut Rng) -> Request {
        let mut request = match rng.below(100) {
            0..12 => Request::new(&[b"INCR", KEYS[TOTAL].as_bytes()], Shape::Single, vec![(TOTAL, Action::Incr)]),
            12..36 => Request::get(self.key(rng)),
            _ if self.narrow => Request::get(1),
            _ if self.reads && rng.chance(75) => Request::get(self.key(rng)),
            36..72 => self.single(rng),
            72..90 => self.several(rng),
            90..97 => self.chat(),
            97..99 if self.kinds.is_none() => Request::new(&[b"DBSIZE"], Shape::Integer, Vec::new()),
            _ => Request::new(&[b"PING"], Shape::Exactly(Reply::Simple("PONG".into())), Vec::new()),
        };
        request.inline = rng.chance(5);
        self.drawn += 1;
        // Where most requests read, most of those, so that copies of these replies are made and used.
        if self.abroad && self.drawn % 5 < if self.reads { 4 } else { 2 } {
            request.goes_abroad(self.drawn.is_multiple_of(8));
        }
        request
    }

    /// Words that are said once.
    pub fn token(&mut self) -> String {
        self.written += 1;
        format!("word{}.", self.written)
    }

    /// Takes all keys away, each at its own moment as far as this checker is concerned.
    pub fn flush(&mut self, rng: &mut Rng) -> Request {
        let all = (0..KEYS.len()).map(|key| (key, Action::Del)).collect();
        Request::new(&[rng.pick(&[&b"FLUSHALL"[..], b"FLUSHDB"])], Shape::Flushed, all)
    }

    /// A request that no key and no other core takes part in, and whose reply is like no other.
    pub fn chat(&mut self) -> Request {
        self.written += 1;
        let token = format!("echo{}", self.written).into_bytes();
        Request::new(&[b"ECHO", &token], Shape::Exactly(Reply::Bulk(token.clone())), Vec::new())
    }

    fn single(&mut self, rng: &mut Rng) -> Request {
        let key = self.key(rng);
        let name = KEYS[key].as_bytes();
        let value = self.value(rng);
        // Runs before servers are short.
        let ms = if self.kinds.is_some() { rng.between(1, 300) / 10 + 1 } else { rng.between(1, 300) };
        let digits = ms.to_string();
        let one = |words: &[&[u8]], action: Action| Request::new(words, Shape::Single, vec![(key, action)]);
        let set = |until: Until, only: Only| Action::Set { value: value.clone(), until, only };
        let kind = rng.below(17);
        match self.kinds.map_or(kind, |kinds| kinds[kind]) {
            0..3 => one(&[b"SET", name, &value], set(Until::Forever, Only::Always)),
            17 => one(&[b"SET", name, &value, b"NX"], set(Until::Forever, Only::IfAbsent)),
            18 => one(&[b"SET", name, &value, b"XX"], set(Until::Forever, Only::IfPresent)),
            3 => one(&[b"set", name, &value, b"px", digits.as_bytes()], set(Until::AfterMs(ms as u64), Only::Always)),
            4 => one(&[b"SET", name, &value, b"EX", b"1", b"NX"], set(Until::AfterMs(1000), Only::IfAbsent)),
            5 => one(&[b"SET", name, &value, b"KEEPTTL", b"XX"], set(Until::Keep, Only::IfPresent)),
            6 => one(&[b"SETNX", name, &value], Action::SetNx(value.clone())),
            7 => one(&[b"GETSET", name, &value], Action::GetSet(value.clone())),
            8 => one(&[b"GETDEL", name], Action::GetDel),
            9..11 => one(&[b"INCR", name], Action::Incr),
            11 => one(&[b"APPEND", name, b"+more"], Action::Append((&b"+more"[..]).into())),
            12..14 => one(&[b"PEXPIRE", name, digits.as_bytes()], Action::ExpireMs(ms as i64)),
            14 => {
                let seconds = rng.below(2);
                one(&[b"EXPIRE", name, seconds.to_string().as_bytes()], Action::ExpireMs(1000 * seconds as i64))
            }
            15 if rng.chance(50) => one(&[b"PERSIST", name], Action::Persist),
            15 => one(&[b"PEXPIRETIME", name], Action::PExpireTime),
            _ => one(&[b"PTTL", name], Action::PTtl),
        }
    }

    fn several(&mut self, rng: &mut Rng) -> Request {
        let keys: Vec<usize> = (0..rng.between(1, 5)).map(|_| self.key(rng)).collect();
        let (name, shape, action): (&[u8], _, Option<Action>) = match rng.below(5) {
            0..2 => (b"MGET", Shape::Each, Some(Action::Get)),
            2 => (b"DEL", Shape::Count, Some(Action::Del)),
            3 => (b"EXISTS", Shape::Count, Some(Action::Exists)),
            _ => (b"MSET", Shape::AllOk, None),
        };
        let mut request = Request::new(&[name], shape, Vec::new());
        for key in keys {
            request.words.push(KEYS[key].into());
            let action = action.clone().unwrap_or_else(|| {
                let value = self.value(rng);
                request.words.push(value.to_vec());
                Action::Set { value, until: Until::Forever, only: Only::Always }
            });
            request.parts.push((key, action));
        }
        request
    }
}
