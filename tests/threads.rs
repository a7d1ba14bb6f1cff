//! Proves that cores share nothing but what is made for it: engines on threads of their own, mailboxes and doorbells
//! between them, and no ring. Alone it shows that every reply comes and that counters are exact; under ThreadSanitizer, what
//! each thread reads and writes, with nothing of io_uring's to order it.

use coldplate::engine::{Effects, Engine, EngineOptions, Event, Host, HostReport, Ledger, Settings, ShellCounts};
use coldplate::keyspace::ShardOptions;
use coldplate::routing::{SlotTable, slot_of};
use coldplate::runtime::{Mail, Mailbox, mailboxes};
use coldplate::types::{ConnId, CoreId, Now};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const CORES: usize = 2;
const ROUNDS: usize = 60;
/// Reads of the hot key in a round; a round is 10 ms.
const READS: usize = 50;
/// A value that moves between cores by reference.
const LARGE_BYTES: usize = 100_000;
const ROUND_US: u64 = 10_000;
const TURN_US: u64 = 50;
const EPOCH_US: u64 = 1_700_000_000_000_000;

const ASKER: ConnId = ConnId { index: 0, generation: 1 };
const LISTENER: ConnId = ConnId { index: 1, generation: 1 };

struct Machine;

impl Host for Machine {
    fn report(&self) -> HostReport {
        HostReport::default()
    }
    fn set_log_level(&self, _: &str) {}
}

/// What the threads share besides: a clock that moves as they work, how many steps they have behind them, and what ends
/// a core's sleep. Relaxed, so that a tool sees no order between threads but that of the product.
struct World {
    us: AtomicU64,
    steps: AtomicUsize,
    bells: Vec<(SyncSender<()>, Mutex<Receiver<()>>)>,
}

struct Core {
    engine: Engine,
    mailbox: Mailbox,
    effects: Effects,
    world: Arc<World>,
    heard: Vec<u8>,
}

fn request(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len());
    for word in words {
        bytes += &format!("${}\r\n{word}\r\n", word.len());
    }
    bytes.into_bytes()
}

/// A round of one core's client: keys of both cores, a hot key and a hot counter, a large value, messages, and steps
/// over keys of several cores.
fn round(core: usize, round: usize) -> Vec<u8> {
    let (large, others) = (format!("large:{core}"), format!("large:{}", (core + 1) % CORES));
    let (value, copy) = (round.to_string(), format!("copy:{core}"));
    let mut bytes = Vec::new();
    for _ in 0..READS {
        bytes.extend(request(&["GET", "famous"]));
        bytes.extend(request(&["INCR", "counter"]));
    }
    bytes.extend(request(&["SET", "famous", &value]));
    bytes.extend(request(&["SET", &large, &"v".repeat(LARGE_BYTES)]));
    bytes.extend(request(&["GET", &others]));
    bytes.extend(request(&["MSET", "one", &value, "two", &value, "three", &value]));
    bytes.extend(request(&["MGET", "one", "two", "three"]));
    bytes.extend(request(&["COPY", "famous", &copy, "REPLACE"]));
    bytes.extend(request(&["PUBLISH", "news", &value]));
    for words in [&["MULTI"][..], &["INCR", "steps:a"], &["INCR", "steps:b"], &["EXEC"]] {
        bytes.extend(request(words));
    }
    bytes
}

impl Core {
    fn new(mailbox: Mailbox, ledger: &Arc<Ledger>, world: &Arc<World>) -> Core {
        let engine = Engine::new(EngineOptions {
            core: mailbox.core(),
            table: Arc::new(SlotTable::compile(CORES, 64, &[]).expect("some cores")),
            ledger: Arc::clone(ledger),
            shard: ShardOptions { hash_seed: [1, 2, 3, 4], draw_seed: 5, place: slot_of },
            settings: Settings::default(),
            host: Arc::new(Machine),
        });
        // The number of a bell in a ring's place.
        mailbox.attach(i32::from(mailbox.core().0));
        Core { engine, mailbox, effects: Effects::default(), world: Arc::clone(world), heard: Vec::new() }
    }

    fn now(&self, passed_us: u64) -> Now {
        let mono_us = self.world.us.fetch_add(passed_us, Ordering::Relaxed) + passed_us;
        Now { mono_us, unix_us: EPOCH_US + mono_us }
    }

    fn open(&mut self, conn: ConnId) {
        let opened = Event::Opened { conn, peer: "10.0.0.1:1".into(), local: "10.0.0.2:2".into() };
        let now = self.now(0);
        self.engine.handle(now, opened, &mut self.effects);
    }

    /// Sends requests; answers all that came once their end has.
    fn ask(&mut self, conn: ConnId, mut requests: Vec<u8>, end: &str) -> Vec<u8> {
        requests.extend(request(&["PING", end]));
        self.turn(&[(conn, &requests)], ROUND_US);
        let last = format!("\r\n{end}\r\n");
        while !self.heard.ends_with(last.as_bytes()) {
            self.turn(&[], TURN_US);
        }
        std::mem::take(&mut self.heard)
    }

    /// Says that one more step is behind this core, and serves until the others are as far.
    fn meet(&mut self, steps: usize) {
        self.world.steps.fetch_add(1, Ordering::Relaxed);
        while self.world.steps.load(Ordering::Relaxed) < steps * CORES {
            self.turn(&[], TURN_US);
        }
    }

    fn turn(&mut self, chunks: &[(ConnId, &[u8])], passed_us: u64) {
        if chunks.is_empty() && !self.engine.wants_turn() && self.mailbox.lie_down() {
            let bell = self.world.bells[self.mailbox.core().index()].1.lock().expect("one thread");
            let _ = bell.recv_timeout(Duration::from_millis(1));
        }
        self.mailbox.get_up();
        let now = self.now(passed_us);
        self.engine.turn_begins(now, &mut self.effects);
        for _ in 0..self.mailbox.waiting() {
            if let Some(Mail::Letters { from, batch }) = self.mailbox.take() {
                self.engine.handle(now, Event::Mail { from, batch }, &mut self.effects);
            }
        }
        if !chunks.is_empty() {
            self.engine.handle(now, Event::Received { chunks }, &mut self.effects);
        }
        if self.engine.deadline().is_some_and(|at_us| at_us <= now.mono_us) {
            self.engine.handle(now, Event::Tick, &mut self.effects);
        }
        self.engine.turn_ends(now, ShellCounts::default(), &mut self.effects);
        for conn in [ASKER, LISTENER] {
            while let Some(output) = self.engine.take_output(conn) {
                if conn == ASKER {
                    self.heard.extend_from_slice(&output.flatten());
                }
                self.engine.handle(now, Event::Sent { conn, output }, &mut self.effects);
            }
        }
        self.send_letters();
    }

    fn send_letters(&mut self) {
        let from = self.mailbox.core();
        for to in (0..CORES as u16).map(CoreId).filter(|to| *to != from) {
            let Some(batch) = self.engine.take_mail(to) else { continue };
            match self.mailbox.put(to, Mail::Letters { from, batch }) {
                Ok(bell) => drop(bell.map(|bell| self.world.bells[bell as usize].0.try_send(()))),
                Err(Mail::Letters { batch, .. }) => self.engine.return_mail(to, batch),
                Err(Mail::Connection { .. }) => unreachable!("letters come back as letters"),
            }
        }
    }

    fn live(mut self) {
        let own = self.mailbox.core().index();
        self.open(ASKER);
        self.open(LISTENER);
        self.turn(&[(LISTENER, &request(&["SUBSCRIBE", "news"]))], TURN_US);
        self.meet(1);
        for number in 0..ROUNDS {
            let replies = self.ask(ASKER, round(own, number), &format!("end-{number}"));
            let text = String::from_utf8_lossy(&replies);
            assert!(!text.starts_with('-') && !text.contains("\r\n-"), "{text}");
        }
        self.meet(2);
        let replies = self.ask(ASKER, request(&["MGET", "counter", "steps:a", "steps:b"]), "done");
        let (counted, steps) = ((CORES * ROUNDS * READS).to_string(), (CORES * ROUNDS).to_string());
        let wanted = [&counted, &steps, &steps].map(|word| format!("${}\r\n{word}\r\n", word.len())).concat();
        assert_eq!(String::from_utf8_lossy(&replies), format!("*3\r\n{wanted}$4\r\ndone\r\n"));
        self.meet(3);
    }
}

#[test]
fn cores_on_threads_share_only_what_is_made_for_it() {
    let ledger = Arc::new(Ledger::new(CORES));
    let bells = (0..CORES)
        .map(|_| {
            let (ring, bell) = sync_channel(1);
            (ring, Mutex::new(bell))
        })
        .collect();
    let world = Arc::new(World { us: AtomicU64::new(1), steps: AtomicUsize::new(0), bells });
    std::thread::scope(|scope| {
        for mailbox in mailboxes(CORES, 64) {
            scope.spawn(|| Core::new(mailbox, &ledger, &world).live());
        }
    });
}
