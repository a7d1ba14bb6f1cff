//! Two engines without a shell, two clients on each, and a clock that the test turns by hand.

use coldplate::engine::{
    Batch, Effects, Engine, EngineOptions, Event, Host, HostReport, Ledger, RewriteError, Settings, ShellCounts,
};
use coldplate::keyspace::ShardOptions;
use coldplate::routing::{SlotTable, slot_of};
use coldplate::types::{ConnId, CoreId, Now};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

pub const CORES: usize = 2;
const EPOCH_US: u64 = 1_700_000_000_000_000;

/// Settings as they were written, each with its value.
pub type Written = Vec<(String, Vec<u8>)>;

/// A clock that sleeping moves, and a file of settings.
#[derive(Default)]
pub struct Stage {
    pub us: AtomicU64,
    pub file: Mutex<Option<Written>>,
}

impl Host for Stage {
    fn elapsed_us(&self) -> u64 {
        self.us.load(Ordering::Relaxed)
    }
    fn sleep(&self, us: u64) {
        self.us.fetch_add(us, Ordering::Relaxed);
    }
    fn rewrite_config(&self, settings: &[(&str, Vec<u8>)]) -> Result<(), RewriteError> {
        let mut file = self.file.lock().expect("one thread");
        let written = file.as_mut().ok_or(RewriteError::NoFile)?;
        *written = settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Ok(())
    }
    fn report(&self) -> HostReport {
        HostReport { run_id: "0123456789abcdef0123456789abcdef01234567".into(), ..HostReport::default() }
    }
    fn set_log_level(&self, _: &str) {}
}

pub struct Rig {
    pub engines: Vec<Engine>,
    pub stage: Arc<Stage>,
    pub mono_us: u64,
    /// What each client of each core has received.
    pub received: Vec<[Vec<u8>; 3]>,
    pub killed: Vec<(usize, ConnId)>,
}

impl Rig {
    pub fn new() -> Rig {
        let stage = Arc::new(Stage::default());
        let ledger = Arc::new(Ledger::new(CORES));
        let table = Arc::new(SlotTable::compile(CORES, 64, &[]).expect("two cores"));
        let engine = |core| {
            Engine::new(EngineOptions {
                core: CoreId(core as u16),
                table: Arc::clone(&table),
                ledger: Arc::clone(&ledger),
                shard: ShardOptions { hash_seed: [1, 2, 3, 4], draw_seed: 5, place: slot_of },
                settings: Settings::default(),
                host: Arc::clone(&stage) as Arc<dyn Host + Send + Sync>,
            })
        };
        let mut rig = Rig {
            engines: (0..CORES).map(engine).collect(),
            stage: Arc::clone(&stage),
            mono_us: 1_000_000,
            received: vec![Default::default(); CORES],
            killed: Vec::new(),
        };
        for core in 0..CORES {
            for client in 0..2 {
                rig.open((core, client), "127.0.0.1:5");
            }
        }
        rig
    }

    pub fn open(&mut self, (core, client): (usize, usize), peer: &str) {
        self.turn(core, |now, engine, effects| {
            let opened = Event::Opened { conn: Rig::conn(client), peer: peer.into(), local: String::new() };
            engine.handle(now, opened, effects);
        });
    }

    pub fn conn(client: usize) -> ConnId {
        ConnId { index: client as u32, generation: 1 }
    }

    /// One turn of a core; what it has for its clients is taken.
    pub fn turn(&mut self, core: usize, events: impl FnOnce(Now, &mut Engine, &mut Effects)) {
        self.mono_us = self.mono_us.max(self.stage.elapsed_us());
        let now = Now { mono_us: self.mono_us, unix_us: EPOCH_US + self.mono_us };
        self.stage.us.fetch_max(now.mono_us, Ordering::Relaxed);
        let (engine, mut effects) = (&mut self.engines[core], Effects::default());
        engine.turn_begins(now, &mut effects);
        events(now, engine, &mut effects);
        if engine.deadline().is_some_and(|at_us| at_us <= now.mono_us) {
            engine.handle(now, Event::Tick, &mut effects);
        }
        engine.turn_ends(now, ShellCounts::default());
        for client in 0..3 {
            while let Some(output) = engine.take_output(Rig::conn(client)) {
                self.received[core][client].extend_from_slice(&output.flatten());
                engine.handle(now, Event::Sent { conn: Rig::conn(client), output }, &mut effects);
            }
        }
        self.killed.extend(effects.kill.drain(..).map(|conn| (core, conn)));
    }

    /// Turns until no letter is under way.
    pub fn settle(&mut self) {
        loop {
            let mut mail: Vec<(usize, usize, Box<Batch>)> = Vec::new();
            for (from, to) in [(0, 1), (1, 0)] {
                mail.extend(self.engines[from].take_mail(CoreId(to as u16)).map(|batch| (from, to, batch)));
            }
            let waits = |engine: &Engine| engine.wants_turn() || engine.deadline() == Some(0);
            if mail.is_empty() && !self.engines.iter().any(waits) {
                return;
            }
            for core in 0..CORES {
                let own: Vec<_> = mail.extract_if(.., |(_, to, _)| *to == core).collect();
                self.turn(core, |now, engine, effects| {
                    for (from, _, batch) in own {
                        engine.handle(now, Event::Mail { from: CoreId(from as u16), batch }, effects);
                    }
                });
            }
        }
    }

    /// Lets time pass on both cores.
    pub fn pass(&mut self, us: u64) {
        self.mono_us += us;
        (0..CORES).for_each(|core| self.turn(core, |_, _, _| {}));
        self.settle();
    }

    /// Lets time pass as a shell does: a core turns when it has asked to, or has mail.
    pub fn sleep(&mut self, us: u64) {
        let until_us = self.mono_us + us;
        loop {
            let due = (0..CORES).filter_map(|core| Some((self.engines[core].deadline()?, core)));
            let Some((at_us, core)) = due.min().filter(|(at_us, _)| *at_us <= until_us) else { break };
            self.mono_us = self.mono_us.max(at_us);
            self.turn(core, |_, _, _| {});
            self.settle();
        }
        self.mono_us = until_us;
    }

    /// Sends requests, a line each, as one pipeline; answers what comes of it.
    pub fn say(&mut self, (core, client): (usize, usize), lines: &str) -> String {
        self.received[core][client].clear();
        let bytes: String = lines.lines().map(|line| format!("{line}\r\n")).collect();
        self.turn(core, |now, engine, effects| {
            engine.handle(now, Event::Received { chunks: &[(Rig::conn(client), bytes.as_bytes())] }, effects);
        });
        self.settle();
        self.heard((core, client))
    }

    pub fn heard(&self, (core, client): (usize, usize)) -> String {
        String::from_utf8(self.received[core][client].clone()).expect("these replies are text")
    }

    pub fn info(&mut self, section: &str) -> String {
        self.say((1, 1), &format!("INFO {section}"))
    }
}

/// The first client of core 0 does things, the second one of core 1 looks at them.
pub const A: (usize, usize) = (0, 0);
pub const B: (usize, usize) = (0, 1);
pub const FAR: (usize, usize) = (1, 0);
