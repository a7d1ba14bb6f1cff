//! Some engines without a shell, clients on each, and a clock that the test turns by hand.

use coldplate::engine::{
    Batch, Effects, Engine, EngineOptions, Event, Host, HostReport, Ledger, Settings, ShellCounts,
};
use coldplate::keyspace::ShardOptions;
use coldplate::routing::{SlotTable, slot_of};
use coldplate::types::{ConnId, CoreId, Now};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const EPOCH_US: u64 = 1_700_000_000_000_000;

struct NoHost;

impl Host for NoHost {
    fn report(&self) -> HostReport {
        HostReport::default()
    }
    fn set_log_level(&self, _: &str) {}
}

/// A client: its core, and its number there.
pub type Client = (usize, u32);

fn conn((_, index): Client) -> ConnId {
    ConnId { index, generation: 1 }
}

pub fn request(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len());
    for word in words {
        bytes += &format!("${}\r\n{word}\r\n", word.len());
    }
    bytes.into_bytes()
}

/// Some cores, their clients, and the time they share.
pub struct Rig {
    pub engines: Vec<Engine>,
    pub mono_us: u64,
    received: BTreeMap<Client, Vec<u8>>,
    /// Clients that read nothing, and those whose connection the engine has ended.
    pub deaf: BTreeSet<Client>,
    pub killed: Vec<Client>,
}

impl Rig {
    pub fn new(cores: usize) -> Rig {
        Rig::with(cores, Settings::default())
    }

    pub fn with(cores: usize, settings: Settings) -> Rig {
        let ledger = Arc::new(Ledger::new(cores));
        let table = Arc::new(SlotTable::compile(cores, 64, &[]).expect("some cores"));
        let engine = |core| {
            Engine::new(EngineOptions {
                core: CoreId(core as u16),
                table: Arc::clone(&table),
                ledger: Arc::clone(&ledger),
                shard: ShardOptions { hash_seed: [1, 2, 3, 4], draw_seed: 5, place: slot_of },
                settings: settings.clone(),
                host: Arc::new(NoHost),
            })
        };
        let engines = (0..cores).map(engine).collect();
        Rig { engines, mono_us: 1, received: BTreeMap::new(), deaf: BTreeSet::new(), killed: Vec::new() }
    }

    pub fn open(&mut self, client: Client) -> Client {
        let (core, index) = client;
        self.turn(core, |now, engine, effects| {
            let peer = format!("10.0.{core}.{index}:{index}");
            engine.handle(now, Event::Opened { conn: conn(client), peer, local: String::new() }, effects);
        });
        self.received.insert(client, Vec::new());
        client
    }

    pub fn lose(&mut self, client: Client) {
        self.turn(client.0, |now, engine, effects| engine.handle(now, Event::Lost { conn: conn(client) }, effects));
        self.received.remove(&client);
        self.settle();
    }

    pub fn now(&self) -> Now {
        Now { mono_us: self.mono_us, unix_us: EPOCH_US + self.mono_us }
    }

    /// One turn of a core.
    pub fn turn(&mut self, core: usize, events: impl FnOnce(Now, &mut Engine, &mut Effects)) {
        let (now, mut effects) = (self.now(), Effects::default());
        let engine = &mut self.engines[core];
        engine.turn_begins(now, &mut effects);
        events(now, engine, &mut effects);
        if engine.deadline().is_some_and(|at_us| at_us <= now.mono_us) {
            engine.handle(now, Event::Tick, &mut effects);
        }
        engine.turn_ends(now, ShellCounts::default());
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
        for killed in effects.kill.into_iter().chain(effects.close) {
            let client = (core, killed.index);
            engine.handle(now, Event::Lost { conn: killed }, &mut Effects::default());
            self.killed.push(client);
        }
    }

    /// The letters that a core has ready for others.
    pub fn collect(&mut self, from: usize) -> Vec<(usize, Box<Batch>)> {
        let others = (0..self.engines.len()).filter(|to| *to != from);
        others.filter_map(|to| Some((to, self.engines[from].take_mail(CoreId(to as u16))?))).collect()
    }

    pub fn deliver(&mut self, from: usize, to: usize, batch: Box<Batch>) {
        self.turn(to, |now, engine, effects| {
            engine.handle(now, Event::Mail { from: CoreId(from as u16), batch }, effects);
        });
    }

    /// Turns until no letter is under way.
    pub fn settle(&mut self) {
        let cores = self.engines.len();
        loop {
            let mut mail: Vec<(usize, usize, Box<Batch>)> = Vec::new();
            for from in 0..cores {
                mail.extend(self.collect(from).into_iter().map(|(to, batch)| (from, to, batch)));
            }
            let waits = |engine: &Engine| engine.wants_turn() || engine.deadline() == Some(0);
            if mail.is_empty() && !self.engines.iter().any(waits) {
                return;
            }
            for core in 0..cores {
                let own: Vec<_> = mail.extract_if(.., |(_, to, _)| *to == core).collect();
                self.turn(core, |now, engine, effects| {
                    for (from, _, batch) in own {
                        engine.handle(now, Event::Mail { from: CoreId(from as u16), batch }, effects);
                    }
                });
            }
        }
    }

    /// Sends bytes without waiting for what they bring.
    pub fn send(&mut self, client: Client, bytes: &[u8]) {
        self.turn(client.0, |now, engine, effects| {
            engine.handle(now, Event::Received { chunks: &[(conn(client), bytes)] }, effects);
        });
    }

    /// Sends a request and answers all that the client has received since it was last looked at.
    pub fn ask(&mut self, client: Client, words: &[&str]) -> String {
        self.send(client, &request(words));
        self.settle();
        self.take(client)
    }

    /// All that a client has received since it was last looked at, ends of lines as spaces.
    pub fn take(&mut self, client: Client) -> String {
        let received = std::mem::take(self.received.get_mut(&client).expect("it is open"));
        String::from_utf8_lossy(&received).replace("\r\n", " ").trim_end().to_string()
    }
}
