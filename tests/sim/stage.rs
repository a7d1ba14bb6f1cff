//! What clients ask by their parts: those who track keys, those who are told in their place, listeners, speakers, and
//! those who want no replies for a while.

use crate::cache::Mode;
use crate::push::{Ear, INVALIDATIONS};
use crate::request::{Replies, Request, Role, Shape};
use crate::resp::Reply;
use crate::world::World;

/// What the part of a client is, where parts differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Plain,
    /// Keeps what it reads.
    Keeper,
    /// Is told in the place of keepers.
    Proxy,
    /// Listens and, if its protocol allows, speaks.
    Listener,
    Speaker,
}

/// Prefixes that a client listens to together.
const PREFIXES: [&[&str]; 6] = [&[], &["a"], &["{s}"], &["a", "{s}"], &["long", "b", "c"], &["{s}1", "{s}2"]];
const CHANNELS: [&str; 4] = ["news", "news:1", "talk", "{s}1"];
const PATTERNS: [&str; 3] = ["news*", "*", "t*"];
const KEY_PATTERNS: [&str; 4] = ["__keyspace@0__:*", "__keyspace@0__:{s}*", "__key*", "__keyevent@0__:*"];
const KEY_CHANNELS: [&str; 4] =
    ["__keyspace@0__:a", "__keyspace@0__:total", "__keyevent@0__:set", "__keyevent@0__:expired"];

/// A request of a few words that is answered so.
fn words(words: &[&str], shape: Shape) -> Request {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    Request::new(&words, shape, Vec::new())
}

fn ok() -> Shape {
    Shape::Exactly(Reply::ok())
}

impl World {
    pub fn part(&self, client: usize) -> Part {
        match client % 3 {
            // Who reads all keys at the end has no part.
            _ if client >= self.scenario.clients => Part::Plain,
            1 if self.scenario.tracking => Part::Keeper,
            2 if self.scenario.tracking && self.scenario.redirects => Part::Proxy,
            2 if self.scenario.tracking => Part::Keeper,
            1 | 2 if self.scenario.messages => Part::Listener,
            _ if self.scenario.messages => Part::Speaker,
            _ => Part::Plain,
        }
    }

    /// What a client asks as soon as it is connected.
    pub fn greet(&mut self, client: usize) {
        let part = self.part(client);
        if self.scenario.password {
            if self.rng.chance(20) {
                let refused = Reply::Error("NOAUTH Authentication required.".into());
                self.send(client, words(&["GET", "a"], Shape::Exactly(refused)));
            }
            if self.rng.chance(20) {
                let refused = "WRONGPASS invalid username-password pair or user is disabled.";
                self.send(client, words(&["AUTH", "guess"], Shape::Exactly(Reply::Error(refused.into()))));
            }
            if self.rng.chance(30) {
                return self.send(client, Request::hello(true).with_words(&["AUTH", "default", "secret"]));
            }
            self.send(client, words(&["AUTH", "secret"], ok()));
        }
        // A keeper that nobody is told for has to be told itself, which RESP2 cannot.
        let must = part == Part::Keeper && !self.scenario.redirects;
        if must || self.rng.chance(self.scenario.resp3) {
            self.send(client, Request::hello(true));
        } else if self.rng.chance(10) {
            self.send(client, Request::hello(false));
        }
        if part == Part::Proxy {
            self.send(client, words(&["CLIENT", "ID"], Shape::Number).with_role(Role::ClientId));
            self.send(client, listen(Ear::Plain, true, vec![INVALIDATIONS.into()]));
        }
    }

    pub fn tracking_script(&mut self, client: usize, now_ms: u64) -> Vec<Request> {
        match self.part(client) {
            Part::Keeper => self.keeper_script(client, now_ms),
            // In RESP2 it may only listen.
            Part::Proxy if !self.clients[client].resp3 => Vec::new(),
            _ => self.playwright.script(&mut self.rng, now_ms, false),
        }
    }

    fn keeper_script(&mut self, client: usize, now_ms: u64) -> Vec<Request> {
        if self.rng.chance(if self.clients[client].cache.mode.on { 4 } else { 60 }) {
            return self.change_mode(client);
        }
        let mode = self.clients[client].cache.mode.clone();
        let mut script = self.playwright.script(&mut self.rng, now_ms, true);
        let transaction = self.rng.chance(25);
        if transaction {
            script = self.playwright.transaction(&mut self.rng, now_ms);
        } else if self.rng.chance(20) {
            script = self.playwright.script(&mut self.rng, now_ms, false);
        }
        if (mode.optin || mode.optout) && self.rng.chance(60) {
            let word = if mode.optin { "YES" } else { "NO" };
            // Where the proxy turns out to be gone, nothing is tracked and this is refused.
            let shape = if mode.redirect.is_some() { Shape::Any } else { ok() };
            let at = script.iter().position(|request| request.is_multi()).unwrap_or(0);
            script.insert(at, words(&["CLIENT", "CACHING", word], shape).with_role(Role::Caching));
        }
        script
    }

    fn change_mode(&mut self, client: usize) -> Vec<Request> {
        let off = Request::tracking(Mode::default());
        if self.clients[client].cache.mode.on && self.rng.chance(20) {
            return vec![off];
        }
        let mut mode = Mode { on: true, noloop: self.rng.chance(30), ..Mode::default() };
        match self.rng.below(6) {
            0 => mode.optin = true,
            1 => mode.optout = true,
            2..4 => {
                mode.bcast = true;
                mode.prefixes = self.rng.pick(&PREFIXES).to_vec();
            }
            _ => {}
        }
        if self.scenario.redirects && (!self.clients[client].resp3 || self.rng.chance(60)) {
            let proxies = self.clients.iter().filter(|proxy| proxy.listens);
            let known: Vec<(usize, i64)> = proxies.filter_map(|proxy| Some((proxy.link?, proxy.id?))).collect();
            if known.is_empty() {
                return vec![words(&["PING"], Shape::Exactly(Reply::Simple("PONG".into())))];
            }
            mode.redirect = Some(self.rng.pick(&known));
        }
        vec![off, Request::tracking(mode)]
    }

    pub fn messages_script(&mut self, client: usize) -> Vec<Request> {
        let link = self.clients[client].link.expect("only a connected client asks");
        let listens = [Ear::Plain, Ear::Pattern, Ear::Shard].iter().any(|ear| !self.news.names(link, *ear).is_empty());
        let bound = listens && !self.clients[client].resp3;
        match self.part(client) {
            Part::Listener if bound || self.rng.chance(40) => vec![self.listen_or_leave(link)],
            _ => match self.rng.below(10) {
                0..5 => vec![self.speech()],
                5 => {
                    let queued = Shape::Exactly(Reply::Simple("QUEUED".into()));
                    let mut script = vec![words(&["MULTI"], ok()).with_role(Role::Multi)];
                    for _ in 0..self.rng.between(1, 3) {
                        script.push(Request { shape: queued.clone(), ..self.speech() });
                    }
                    script.push(words(&["EXEC"], Shape::Any).with_role(Role::Exec));
                    script
                }
                _ => vec![self.author.draw(&mut self.rng)],
            },
        }
    }

    fn speech(&mut self) -> Request {
        let payload = self.author.token();
        let channel = self.rng.pick(&CHANNELS);
        let ear = if self.rng.chance(30) { Ear::Shard } else { Ear::Plain };
        let command = if ear == Ear::Shard { "SPUBLISH" } else { "PUBLISH" };
        let (channel, role) =
            (channel.to_string(), Role::Publish { ear, channel: channel.into(), payload: payload.clone() });
        words(&[command, &channel, &payload], Shape::Number).with_role(role)
    }

    fn listen_or_leave(&mut self, link: usize) -> Request {
        let ear = self.rng.pick(&[Ear::Plain, Ear::Plain, Ear::Pattern, Ear::Pattern, Ear::Shard]);
        let known = self.news.names(link, ear);
        if !known.is_empty() && self.rng.chance(25) {
            let names = if self.rng.chance(30) { Vec::new() } else { vec![known[self.rng.below(known.len())].clone()] };
            return listen(ear, false, names);
        }
        let names = (0..self.rng.between(1, 2)).map(|_| {
            let of_keys = self.scenario.key_events && self.rng.chance(40);
            match ear {
                Ear::Plain if of_keys => self.rng.pick(&KEY_CHANNELS),
                Ear::Pattern if of_keys => self.rng.pick(&KEY_PATTERNS),
                Ear::Pattern => self.rng.pick(&PATTERNS),
                _ => self.rng.pick(&CHANNELS),
            }
        });
        listen(ear, true, names.map(str::to_string).collect())
    }

    /// Requests of the usual kind, some of which nobody answers.
    pub fn wide_script(&mut self) -> Vec<Request> {
        let mode = |word: &str, replies: Replies, shape: Shape| {
            words(&["CLIENT", "REPLY", word], shape).with_role(Role::Replies(replies))
        };
        match self.rng.below(20) {
            0 => {
                let mut script = vec![mode("OFF", Replies::Off, Shape::Any)];
                script.extend((0..self.rng.between(0, 4)).map(|_| self.author.draw(&mut self.rng)));
                script.push(mode("ON", Replies::On, ok()));
                script
            }
            1 => vec![mode("SKIP", Replies::SkipNext, Shape::Any), self.author.draw(&mut self.rng)],
            2 if self.rng.chance(50) => vec![self.author.flush(&mut self.rng)],
            _ => vec![self.author.draw(&mut self.rng)],
        }
    }
}

fn listen(ear: Ear, on: bool, names: Vec<String>) -> Request {
    let mut texts = vec![ear.command(on)];
    texts.extend(names.iter().map(String::as_str));
    words(&texts, Shape::Any).with_role(Role::Listen { ear, on, names: names.clone() })
}

impl Request {
    fn tracking(mode: Mode) -> Request {
        let shape = if mode.redirect.is_some() { Shape::Any } else { ok() };
        let request = Request { words: mode.words(), ..words(&[], shape) };
        request.with_role(Role::Tracking(mode))
    }
}
