//! Engines without a shell, clients on them, and letters that the test carries.

use coldplate::engine::{
    Batch, Effects, Engine, EngineOptions, Event, Host, HostReport, Ledger, Settings, ShellCounts,
};
use coldplate::keyspace::ShardOptions;
use coldplate::routing::{SlotTable, slot_of};
use coldplate::types::{ConnId, CoreId, Now};
use std::sync::Arc;

const EPOCH_US: u64 = 1_700_000_000_000_000;

struct Still;

impl Host for Still {
    fn report(&self) -> HostReport {
        HostReport::default()
    }
    fn set_log_level(&self, _: &str) {}
}

/// A connection: where it is, and what it has received.
pub struct Peer {
    pub core: usize,
    pub conn: ConnId,
    pub received: Vec<u8>,
    pub reads: bool,
}

pub struct Rig {
    pub engines: Vec<Engine>,
    table: Arc<SlotTable>,
    pub peers: Vec<Peer>,
    pub mono_us: u64,
    ledger: Arc<Ledger>,
    /// Letters under way: from, to, and what.
    mail: Vec<(usize, usize, Box<Batch>)>,
}

impl Rig {
    pub fn new(cores: usize) -> Rig {
        let ledger = Arc::new(Ledger::new(cores));
        let table = Arc::new(SlotTable::compile(cores, 64, &[]).expect("some cores"));
        let engine = |core| {
            Engine::new(EngineOptions {
                core: CoreId(core as u16),
                table: Arc::clone(&table),
                ledger: Arc::clone(&ledger),
                shard: ShardOptions { hash_seed: [1, 2, 3, 4], draw_seed: 5, place: slot_of },
                settings: Settings { client_output_bytes_max: 64 * 1024, ..Settings::default() },
                host: Arc::new(Still),
            })
        };
        Rig {
            engines: (0..cores).map(engine).collect(),
            table,
            peers: Vec::new(),
            mono_us: 1,
            ledger,
            mail: Vec::new(),
        }
    }

    /// A new connection of a core, counted around; with `HELLO 3` if asked for.
    pub fn connect(&mut self, core: usize, resp3: bool) -> usize {
        let (peer, core) = (self.peers.len(), core % self.engines.len());
        let conn = ConnId { index: peer as u32, generation: 1 };
        self.peers.push(Peer { core, conn, received: Vec::new(), reads: true });
        while self.ledger.place_connection().index() != core {}
        self.turn(core, |now, engine, effects| {
            engine.handle(now, Event::Opened { conn, peer: "peer:1".into(), local: String::new() }, effects);
        });
        if resp3 {
            assert!(self.ask(peer, "HELLO 3").starts_with("%7"));
        }
        peer
    }

    /// The same, gone.
    pub fn disconnect(&mut self, peer: usize) {
        let Peer { core, conn, .. } = self.peers[peer];
        self.turn(core, |now, engine, effects| engine.handle(now, Event::Lost { conn }, effects));
        self.settle();
    }

    pub fn turn(&mut self, core: usize, events: impl FnOnce(Now, &mut Engine, &mut Effects)) {
        let now = Now { mono_us: self.mono_us, unix_us: EPOCH_US + self.mono_us };
        let (engine, mut effects) = (&mut self.engines[core], Effects::default());
        engine.turn_begins(now, &mut effects);
        events(now, engine, &mut effects);
        if engine.deadline().is_some_and(|at_us| at_us <= now.mono_us) {
            engine.handle(now, Event::Tick, &mut effects);
        }
        engine.turn_ends(now, ShellCounts::default());
        for peer in self.peers.iter_mut().filter(|peer| peer.core == core && peer.reads) {
            while let Some(output) = engine.take_output(peer.conn) {
                peer.received.extend_from_slice(&output.flatten());
                engine.handle(now, Event::Sent { conn: peer.conn, output }, &mut effects);
            }
        }
        for to in (0..self.engines.len()).filter(|to| *to != core) {
            let batch = self.engines[core].take_mail(CoreId(to as u16));
            self.mail.extend(batch.map(|batch| (core, to, batch)));
        }
    }

    /// One turn of a core, with the letters that are there; whether there was anything to do.
    pub fn run(&mut self, core: usize) -> bool {
        self.run_with(core, |_| true)
    }

    /// The same with letters of some cores only: those of two cores stay in order, whatever others do.
    pub fn run_with(&mut self, core: usize, delivered: impl Fn(usize) -> bool) -> bool {
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

    /// One turn of each core; whether there was anything to do.
    pub fn step(&mut self) -> bool {
        let busy: Vec<bool> = (0..self.engines.len()).map(|core| self.run(core)).collect();
        busy.contains(&true)
    }

    pub fn settle(&mut self) {
        while self.step() {}
    }

    pub fn send(&mut self, peer: usize, line: &str) {
        let bytes = encode(line);
        let Peer { core, conn, .. } = self.peers[peer];
        self.turn(core, |now, engine, effects| {
            engine.handle(now, Event::Received { chunks: &[(conn, &bytes)] }, effects);
        });
    }

    /// What a connection has received since it was asked last.
    pub fn heard(&mut self, peer: usize) -> String {
        String::from_utf8(std::mem::take(&mut self.peers[peer].received)).expect("these replies are text")
    }

    /// Sends a request and waits for all it brings, everywhere.
    pub fn ask(&mut self, peer: usize, line: &str) -> String {
        self.send(peer, line);
        self.settle();
        self.heard(peer)
    }

    pub fn ok(&mut self, peer: usize, line: &str) {
        assert_eq!(self.ask(peer, line), "+OK\r\n", "{line}");
    }

    pub fn owner(&self, key: &str) -> usize {
        self.table.owner(slot_of(key.as_bytes())).index()
    }

    /// A key that lives on a core.
    pub fn key_of(&self, core: usize) -> String {
        let mut keys = (0..).map(|n| format!("key{n}"));
        keys.find(|key| self.owner(key) == core % self.engines.len()).expect("each core has keys")
    }

    pub fn info(&mut self, peer: usize, field: &str) -> u64 {
        let info = self.ask(peer, "INFO");
        let line = info.split("\r\n").find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{field} is missing: {info}"))
    }
}

/// A request of words; `""` is an empty one.
pub fn encode(line: &str) -> Vec<u8> {
    let words: Vec<&str> = line.split(' ').map(|word| if word == "\"\"" { "" } else { word }).collect();
    let mut text = format!("*{}\r\n", words.len());
    words.iter().for_each(|word| text += &format!("${}\r\n{word}\r\n", word.len()));
    text.into_bytes()
}

pub fn invalidate(keys: &[&str]) -> String {
    let bulks: String = keys.iter().map(|key| format!("${}\r\n{key}\r\n", key.len())).collect();
    format!(">2\r\n$10\r\ninvalidate\r\n*{}\r\n{bulks}", keys.len())
}

pub const FORGET: &str = ">2\r\n$10\r\ninvalidate\r\n_\r\n";

/// On one, two and three cores, with each core as the one whose keys are used.
pub fn everywhere(case: impl Fn(&mut Rig, &str)) {
    for cores in 1..=3 {
        for owner in 0..cores {
            let mut rig = Rig::new(cores);
            let key = rig.key_of(owner);
            case(&mut rig, &key);
        }
    }
}
