//! Engines without a shell: some cores, clients on them, letters that the test carries, and a clock that it turns by
//! hand. `host.rs`: the machine that the engines see.

#![allow(dead_code, reason = "each test is a program of its own and needs a part of this")]

pub mod host;

use coldplate::engine::{Batch, Dial, Effects, Engine, EngineOptions, Event, Host, Ledger, Settings, ShellCounts};
use coldplate::keyspace::ShardOptions;
use coldplate::routing::{SlotTable, slot_of};
use coldplate::types::{ConnId, CoreId, LinkId, Now};
use host::Stage;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

const EPOCH_US: u64 = 1_700_000_000_000_000;

/// A client: its core, and its number there.
pub type Client = (usize, u32);

pub fn conn((_, index): Client) -> ConnId {
    ConnId { index, generation: 1 }
}

/// A request of words.
pub fn request(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len());
    for word in words {
        bytes += &format!("${}\r\n{word}\r\n", word.len());
    }
    bytes.into_bytes()
}

/// Requests in the way that one types them: a line each, and what stands in single quotes is one word.
pub fn lines(text: &str) -> Vec<u8> {
    text.lines().flat_map(|line| request(&split(line))).collect()
}

fn split(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        let quoted = at % 2 == 1;
        if quoted { words.push(part) } else { words.extend(part.split_whitespace()) }
    }
    words
}

/// Some cores, their clients, and the time they share.
pub struct Rig {
    pub engines: Vec<Engine>,
    pub stage: Arc<Stage>,
    pub mono_us: u64,
    /// CPU time that each core is said to have used.
    pub cpu_us: u64,
    pub table: Arc<SlotTable>,
    ledger: Arc<Ledger>,
    /// Clients since the beginning.
    pub opened: u32,
    /// What each client has received since it was last looked at.
    received: BTreeMap<Client, Vec<u8>>,
    /// Clients that read nothing, and those whose connection the engine has ended.
    pub deaf: BTreeSet<Client>,
    pub killed: Vec<Client>,
    /// Connections to servers that cores want, and those that they want no more.
    pub dials: Vec<(usize, Dial)>,
    pub hung_up: Vec<(usize, LinkId)>,
    /// Batches under way: from, to, and what. Those of two cores stay in order.
    mail: Vec<(usize, usize, Box<Batch>)>,
    /// Batches that have left since the beginning.
    pub batches: usize,
}

impl Rig {
    pub fn new(cores: usize) -> Rig {
        Rig::with(cores, Settings::default())
    }

    pub fn with(cores: usize, settings: Settings) -> Rig {
        Rig::placed(SlotTable::compile(cores, 64, &[]).expect("some cores"), settings)
    }

    /// The same with slots where a table has them.
    pub fn placed(table: SlotTable, settings: Settings) -> Rig {
        let (cores, table) = (table.cores(), Arc::new(table));
        let (ledger, stage) = (Arc::new(Ledger::new(cores)), Arc::new(Stage::default()));
        let engine = |core| {
            Engine::new(EngineOptions {
                core: CoreId(core as u16),
                table: Arc::clone(&table),
                ledger: Arc::clone(&ledger),
                shard: ShardOptions { hash_seed: [1, 2, 3, 4], draw_seed: 5, place: slot_of },
                settings: settings.clone(),
                host: Arc::clone(&stage) as Arc<dyn Host + Send + Sync>,
            })
        };
        Rig {
            engines: (0..cores).map(engine).collect(),
            stage,
            mono_us: 1,
            cpu_us: 0,
            table,
            ledger,
            opened: 0,
            received: BTreeMap::new(),
            deaf: BTreeSet::new(),
            killed: Vec::new(),
            dials: Vec::new(),
            hung_up: Vec::new(),
            mail: Vec::new(),
            batches: 0,
        }
    }

    pub fn open(&mut self, client: Client) -> Client {
        let (core, index) = client;
        self.open_between(client, &format!("10.0.{core}.{index}:{index}"), "")
    }

    /// The same with addresses: the client's, and the one that it came to.
    pub fn open_between(&mut self, client: Client, peer: &str, local: &str) -> Client {
        self.opened += 1;
        self.received.insert(client, Vec::new());
        self.ledger.take_place(CoreId(client.0 as u16));
        self.turn(client.0, |now, engine, effects| {
            let opened = Event::Opened { conn: conn(client), peer: peer.into(), local: local.into() };
            engine.handle(now, opened, effects);
        });
        client
    }

    /// Makes the connection to a server that a core wants; what it sends there is heard as if a client were told it.
    pub fn accept(&mut self, dial: &(usize, Dial), index: u32) -> Client {
        let link = (dial.0, index);
        self.received.insert(link, Vec::new());
        self.turn(dial.0, |now, engine, effects| {
            engine.handle(now, Event::Dialled { link: dial.1.link, conn: conn(link) }, effects);
        });
        link
    }

    /// The same, and it cannot be made.
    pub fn refuse(&mut self, dial: &(usize, Dial)) {
        self.turn(dial.0, |now, engine, effects| {
            let failed = Event::DialFailed { link: dial.1.link, reason: "Connection refused".into() };
            engine.handle(now, failed, effects);
        });
        self.settle();
    }

    pub fn lose(&mut self, client: Client) {
        self.turn(client.0, |now, engine, effects| engine.handle(now, Event::Lost { conn: conn(client) }, effects));
        self.received.remove(&client);
        self.settle();
    }

    pub fn now(&self) -> Now {
        Now { mono_us: self.mono_us, unix_us: EPOCH_US + self.mono_us }
    }

    /// One turn of a core; what it has for its clients is taken.
    pub fn turn(&mut self, core: usize, events: impl FnOnce(Now, &mut Engine, &mut Effects)) {
        self.mono_us = self.mono_us.max(self.stage.us.load(Ordering::Relaxed));
        self.stage.us.store(self.mono_us, Ordering::Relaxed);
        let (now, mut effects) = (self.now(), Effects::default());
        let engine = &mut self.engines[core];
        engine.turn_begins(now, &mut effects);
        events(now, engine, &mut effects);
        if engine.deadline().is_some_and(|at_us| at_us <= now.mono_us) {
            engine.handle(now, Event::Tick, &mut effects);
        }
        engine.turn_ends(now, ShellCounts { cpu_us: self.cpu_us, ..ShellCounts::default() }, &mut effects);
        for (client, received) in self.received.range_mut((core, 0)..(core + 1, 0)) {
            if self.deaf.contains(client) {
                // The first output is in flight, and never arrives.
                continue;
            }
            while let Some(output) = engine.take_output(conn(*client)) {
                received.extend_from_slice(&output.flatten());
                engine.handle(now, Event::Sent { conn: conn(*client), output }, &mut effects);
            }
        }
        self.dials.extend(effects.dial.into_iter().map(|dial| (core, dial)));
        self.hung_up.extend(effects.hang_up.into_iter().map(|link| (core, link)));
        for ended in effects.kill.into_iter().chain(effects.close) {
            engine.handle(now, Event::Lost { conn: ended }, &mut Effects::default());
            self.killed.push((core, ended.index));
        }
    }

    /// Takes what cores have for each other on its way.
    pub fn post(&mut self) {
        let cores = self.engines.len();
        for (from, to) in (0..cores).flat_map(|from| (0..cores).map(move |to| (from, to))) {
            if let Some(batch) = self.engines[from].take_mail(CoreId(to as u16)) {
                self.mail.push((from, to, batch));
                self.batches += 1;
            }
        }
    }

    /// One turn of a core with all letters that are there for it; whether there was anything to do.
    pub fn run(&mut self, core: usize) -> bool {
        self.run_with(core, |_| true)
    }

    /// The same with the letters of some cores only.
    pub fn run_with(&mut self, core: usize, delivered: impl Fn(usize) -> bool) -> bool {
        self.post();
        let own: Vec<_> = self.mail.extract_if(.., |(from, to, _)| *to == core && delivered(*from)).collect();
        let engine = &self.engines[core];
        let any = !own.is_empty() || engine.wants_turn() || engine.deadline() == Some(0);
        self.turn(core, |now, engine, effects| {
            for (from, _, batch) in own {
                engine.handle(now, Event::Mail { from: CoreId(from as u16), batch }, effects);
            }
        });
        any
    }

    /// One turn of a core with the oldest batch that another has sent it, if there is one.
    pub fn carry(&mut self, from: usize, to: usize) -> bool {
        self.post();
        let Some(at) = self.mail.iter().position(|(by, of, _)| (*by, *of) == (from, to)) else { return false };
        let (_, _, batch) = self.mail.remove(at);
        self.turn(to, |now, engine, effects| {
            engine.handle(now, Event::Mail { from: CoreId(from as u16), batch }, effects);
        });
        true
    }

    /// One turn of each core; whether there was anything to do.
    pub fn step(&mut self) -> bool {
        (0..self.engines.len()).fold(false, |any, core| self.run(core) | any)
    }

    /// Turns until no core has anything to do.
    pub fn settle(&mut self) {
        while self.step() {}
    }

    /// Lets time pass that nobody looks at.
    pub fn wait(&mut self, us: u64) {
        self.mono_us += us;
    }

    /// Lets time pass on all cores.
    pub fn pass(&mut self, us: u64) {
        self.mono_us += us;
        (0..self.engines.len()).for_each(|core| self.turn(core, |_, _, _| {}));
        self.settle();
    }

    /// Sends bytes without waiting for what they bring.
    pub fn send(&mut self, client: Client, bytes: &[u8]) {
        self.turn(client.0, |now, engine, effects| {
            engine.handle(now, Event::Received { chunks: &[(conn(client), bytes)] }, effects);
        });
    }

    /// The same with requests as one types them.
    pub fn tell(&mut self, client: Client, text: &str) {
        self.send(client, &lines(text));
    }

    /// Sends a line, or several as one pipeline; answers all that the client has received since it was last looked at.
    pub fn say(&mut self, client: Client, text: &str) -> String {
        self.tell(client, text);
        self.settle();
        self.heard(client)
    }

    pub fn ok(&mut self, client: Client, line: &str) {
        assert_eq!(self.say(client, line), "+OK\r\n", "{line}");
    }

    /// All that a client has received since it was last looked at, to the letter.
    pub fn heard(&mut self, client: Client) -> String {
        let received = std::mem::take(self.received.get_mut(&client).expect("it is open"));
        String::from_utf8(received).expect("these replies are text")
    }

    /// Sends a request of any words; answers what has come since the last look, in one line.
    pub fn ask(&mut self, client: Client, words: &[&str]) -> String {
        self.send(client, &request(words));
        self.settle();
        self.take(client)
    }

    /// All that a client has received since it was last looked at, ends of lines as spaces.
    pub fn take(&mut self, client: Client) -> String {
        self.heard(client).replace("\r\n", " ").trim_end().to_owned()
    }

    /// A number of INFO.
    pub fn figure(&mut self, client: Client, field: &str) -> u64 {
        let info = self.say(client, "INFO");
        let line = info.split("\r\n").find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{field} is missing: {info}"))
    }

    pub fn owner(&self, key: &str) -> usize {
        self.table.owner(slot_of(key.as_bytes())).index()
    }

    /// The keys that live on a core, one by one.
    pub fn keys_of(&self, core: usize) -> impl Iterator<Item = String> {
        (0..).map(|number| format!("key:{number}")).filter(move |key| self.owner(key) == core)
    }

    pub fn key_of(&self, core: usize) -> String {
        self.keys_of(core).next().expect("each core has keys")
    }
}
