//! A server that the tests play: strings, each a hash's only field as well, and CLIENT TRACKING as Redis has it.

use crate::LINK;
use crate::rig::{Client, Rig};
use std::collections::{BTreeMap, BTreeSet};

/// See the module.
#[derive(Default)]
pub struct Scripted {
    pub keys: BTreeMap<String, String>,
    /// Milliseconds that each key with an end has left.
    pub lives: BTreeMap<String, i64>,
    /// Connections, with what each was told to remember; none: it does not track.
    links: BTreeMap<Client, Option<BTreeSet<String>>>,
    /// Those in the second version of the protocol.
    resp3: BTreeSet<Client>,
    /// It knows neither HELLO nor CLIENT TRACKING.
    pub is_old: bool,
    /// Requests that begin so are not answered, nor what stands behind them.
    pub held: Option<&'static str>,
    /// What has come by each connection and is not answered.
    inbox: BTreeMap<Client, Vec<Vec<String>>>,
    /// What was asked since the last look.
    asked: Vec<String>,
    made: u32,
}

impl Scripted {
    /// Accepts connections and answers requests until there are none; what was asked.
    pub fn serve(&mut self, rig: &mut Rig) -> Vec<String> {
        loop {
            rig.settle();
            for dial in std::mem::take(&mut rig.dials) {
                self.made += 1;
                let link = rig.accept(&dial, LINK + self.made);
                self.links.insert(link, None);
            }
            let links: Vec<Client> = self.links.keys().copied().filter(|link| !rig.killed.contains(link)).collect();
            if !links.into_iter().fold(false, |any, link| self.answer(rig, link) | any) {
                return std::mem::take(&mut self.asked);
            }
        }
    }

    /// Answers what one connection has asked; false: nothing.
    fn answer(&mut self, rig: &mut Rig, link: Client) -> bool {
        let mut waiting = self.inbox.remove(&link).unwrap_or_default();
        waiting.extend(requests(&rig.heard(link)));
        let held = |words: &Vec<String>| self.held.is_some_and(|held| words.join(" ").starts_with(held));
        let ready = waiting.iter().position(held).unwrap_or(waiting.len());
        self.inbox.insert(link, waiting.split_off(ready));
        let replies: String = waiting.iter().map(|words| self.reply(rig, link, words)).collect();
        rig.send(link, replies.as_bytes());
        !waiting.is_empty()
    }

    fn reply(&mut self, rig: &mut Rig, link: Client, words: &[String]) -> String {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (tracks, resp3) = (self.links[&link].is_some(), self.resp3.contains(&link));
        if !matches!(words[0], "HELLO" | "CLIENT") {
            self.asked.push(words.join(" "));
        }
        if let (true, Some(key)) = (tracks, words.get(1)) {
            let remembered = self.links.get_mut(&link).and_then(Option::as_mut);
            remembered.expect("it tracks").insert((*key).to_owned());
        }
        match words[..] {
            ["HELLO" | "CLIENT", ..] if self.is_old => "-ERR unknown command\r\n".into(),
            ["HELLO", version, ..] => {
                assert_eq!(version, "3");
                self.resp3.insert(link);
                "%1\r\n+server\r\n+scripted\r\n".into()
            }
            ["CLIENT", ..] => {
                self.links.insert(link, Some(BTreeSet::new()));
                "+OK\r\n".into()
            }
            ["GET" | "get", key] | ["HGET", key, "f"] => match self.keys.get(key) {
                Some(value) => format!("${}\r\n{value}\r\n", value.len()),
                None if resp3 => "_\r\n".into(),
                None => "$-1\r\n".into(),
            },
            // A key is a hash whose only field is `f`, too.
            ["HGETALL", key] => {
                let header = if resp3 { "%1" } else { "*2" };
                let field = |value: &String| format!("{header}\r\n$1\r\nf\r\n${}\r\n{value}\r\n", value.len());
                self.keys.get(key).map_or(format!("{}0\r\n", &header[..1]), field)
            }
            ["HGET", _, field] => format!("${}\r\n{field}\r\n", field.len()),
            ["HSET", key, "f", value] => {
                self.set(rig, key, value, Some(link));
                ":0\r\n".into()
            }
            ["MSET", ref pairs @ ..] => {
                pairs.chunks(2).for_each(|pair| self.set(rig, pair[0], pair[1], Some(link)));
                "+OK\r\n".into()
            }
            ["LPUSH", key, value] => {
                self.set(rig, key, value, Some(link));
                ":1\r\n".into()
            }
            ["MGET", ..] => format!("*{}\r\n{}", words.len() - 1, ":7\r\n".repeat(words.len() - 1)),
            ["PTTL", key] => format!(":{}\r\n", self.lives.get(key).copied().unwrap_or(-1)),
            ["SET" | "set", key, value, ..] => {
                self.set(rig, key, value, Some(link));
                "+OK\r\n".into()
            }
            ["incr" | "INCR", key] => self.add(rig, link, key, "1"),
            ["decr", key] => self.add(rig, link, key, "-1"),
            ["incrby", key, step] => self.add(rig, link, key, step),
            _ => format!("-ERR it does not know {words:?}\r\n"),
        }
    }

    fn add(&mut self, rig: &mut Rig, link: Client, key: &str, step: &str) -> String {
        let value = self.keys.get(key).map_or(Ok(0), |value| value.parse::<i64>());
        let step: i64 = step.parse().expect("a number");
        let Some(sum) = value.ok().and_then(|value| value.checked_add(step)) else {
            return "-ERR value is not an integer or out of range\r\n".into();
        };
        self.set(rig, key, &sum.to_string(), Some(link));
        format!(":{sum}\r\n")
    }

    /// Sets a key, for a connection or for somebody else, and says so to those who remember it.
    pub fn set(&mut self, rig: &mut Rig, key: &str, value: &str, by: Option<Client>) {
        self.keys.insert(key.into(), value.into());
        for (link, remembered) in &mut self.links {
            let Some(remembered) = remembered else { continue };
            if remembered.remove(key) && by != Some(*link) && !rig.killed.contains(link) {
                let push = format!(">2\r\n$10\r\ninvalidate\r\n*1\r\n${}\r\n{key}\r\n", key.len());
                rig.send(*link, push.as_bytes());
            }
        }
    }

    /// Connections that are open: all, or those that track.
    pub fn links(&self, rig: &Rig, tracking: bool) -> Vec<Client> {
        let open = self.links.iter().filter(|(link, _)| !rig.killed.contains(link));
        open.filter(|(_, remembered)| remembered.is_some() == tracking).map(|(link, _)| *link).collect()
    }

    /// The connection that has asked what is held.
    pub fn held_link(&self) -> Client {
        let held = self.inbox.iter().find(|(_, waiting)| !waiting.is_empty());
        *held.expect("something is held").0
    }

    /// Ends a connection.
    pub fn lose(&mut self, rig: &mut Rig, link: Client) {
        self.links.remove(&link);
        self.inbox.remove(&link);
        rig.lose(link);
    }
}

/// The requests in what a connection was sent.
fn requests(text: &str) -> Vec<Vec<String>> {
    let mut lines = text.split("\r\n");
    let mut requests = Vec::new();
    while let Some(count) = lines.next().and_then(|line| line.strip_prefix('*')) {
        let words =
            (0..count.parse().expect("a count")).map(|_| lines.by_ref().nth(1).expect("an argument").to_owned());
        requests.push(words.collect());
    }
    requests
}
