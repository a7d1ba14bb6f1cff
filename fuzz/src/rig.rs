//! Some engines without a shell, clients on each, and a clock that the input turns.

use coldplate::engine::{
    Batch, DebugAccess, Effects, Engine, EngineOptions, Event, Host, HostReport, HotSettings, Ledger, Settings,
    ShellCounts,
};
use coldplate::heat::Thresholds;
use coldplate::keyspace::ShardOptions;
use coldplate::protocol::resp::{Input, Limits, Output};
use coldplate::routing::{SlotTable, slot_of};
use coldplate::types::{ConnId, CoreId, Now};
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

pub const CORES_MAX: usize = 3;
pub const CLIENTS: usize = 4;
const EPOCH_US: u64 = 1_700_000_000_000_000;
/// Turns until everything has come to rest; no input needs a tenth of it.
const TURNS_MAX: usize = 100_000;
/// Numbers that would have a value take more memory than a fuzzer may, unless they are past what any value may have.
const COSTLY: std::ops::Range<i64> = 1 << 20..1 << 33;
/// LCS takes time by the product of its values.
const LCS_MAX: usize = 2;
/// What one input sends at most: bounds what monitors and subscribers are told of it, too.
const SENT_BYTES_MAX: usize = 1 << 19;

struct NoHost;

impl Host for NoHost {
    fn report(&self) -> HostReport {
        HostReport::default()
    }
    fn set_log_level(&self, _: &str) {}
}

struct Core {
    engine: Engine,
    effects: Effects,
    inbox: VecDeque<(CoreId, Box<Batch>)>,
    /// Outputs that have gone out, of which the engine is told in its next turn.
    sent: Vec<(ConnId, Output)>,
}

pub struct Client {
    pub core: usize,
    conn: ConnId,
    pub open: bool,
    /// All that it was sent since it was opened.
    pub received: Vec<u8>,
    /// What it has asked, to know what that would cost.
    asked: Input,
}

/// Some cores, their clients, and the time that they share.
pub struct Rig {
    cores: Vec<Core>,
    ledger: Arc<Ledger>,
    pub clients: Vec<Client>,
    mono_us: u64,
    lcs_left: usize,
    sent_bytes: usize,
}

fn table(cores: usize) -> Arc<SlotTable> {
    static TABLES: [OnceLock<Arc<SlotTable>>; CORES_MAX + 1] = [const { OnceLock::new() }; CORES_MAX + 1];
    let compile = || Arc::new(SlotTable::compile(cores, 16, &[]).expect("some cores"));
    Arc::clone(TABLES[cores].get_or_init(compile))
}

impl Rig {
    /// Where `hot`, keys are hot as soon as a window sees them.
    pub fn new(cores: usize, hot: bool, settings: Settings) -> Rig {
        let ledger = Arc::new(Ledger::new(cores));
        let thresholds = Thresholds { promote_ops: 5.0, promote_share: 0.0, demote_part: 0.25 };
        let hot_settings = HotSettings { on: hot, window_us: 10_000, thresholds, ..HotSettings::default() };
        let core = |core| {
            let engine = Engine::new(EngineOptions {
                core: CoreId(core as u16),
                table: table(cores),
                ledger: Arc::clone(&ledger),
                shard: ShardOptions { hash_seed: [1, 2, 3, 4], draw_seed: 5, place: slot_of },
                settings: Settings { hot: hot_settings.clone(), debug: DebugAccess::Everybody, ..settings.clone() },
                host: Arc::new(NoHost),
            });
            Core { engine, effects: Effects::default(), inbox: VecDeque::new(), sent: Vec::new() }
        };
        let cores = (0..cores).map(core).collect();
        let mut rig = Rig { cores, ledger, clients: Vec::new(), mono_us: 1_000_000, lcs_left: LCS_MAX, sent_bytes: 0 };
        (0..CLIENTS).for_each(|_| rig.open());
        rig
    }

    fn open(&mut self) {
        let (number, core) = (self.clients.len(), self.clients.len() % self.cores.len());
        let conn = ConnId { index: number as u32, generation: 1 };
        self.ledger.take_place(CoreId(core as u16));
        self.clients.push(Client { core, conn, open: true, received: Vec::new(), asked: Input::new() });
        let peer = format!("10.0.0.{number}:{number}");
        self.turn(core, |now, engine, effects| {
            engine.handle(now, Event::Opened { conn, peer, local: "10.0.0.9:6379".into() }, effects);
        });
    }

    /// Loses a client's connection and opens another in its place.
    pub fn replace(&mut self, client: usize) {
        self.lose(client);
        let Client { core, conn, .. } = self.clients[client];
        let conn = ConnId { generation: conn.generation + 1, ..conn };
        self.ledger.take_place(CoreId(core as u16));
        self.clients[client] = Client { core, conn, open: true, received: Vec::new(), asked: Input::new() };
        self.turn(core, |now, engine, effects| {
            engine.handle(now, Event::Opened { conn, peer: "10.0.0.8:1".into(), local: String::new() }, effects);
        });
    }

    fn lose(&mut self, client: usize) {
        let Client { core, conn, open, .. } = self.clients[client];
        if open {
            self.clients[client].open = false;
            self.turn(core, |now, engine, effects| engine.handle(now, Event::Lost { conn }, effects));
        }
    }

    pub fn pass(&mut self, us: u64) {
        self.mono_us += us;
    }

    pub fn now_ms(&self) -> u64 {
        self.now().unix_ms()
    }

    fn now(&self) -> Now {
        Now { mono_us: self.mono_us, unix_us: EPOCH_US + self.mono_us }
    }

    /// Hands over what a client sends, unless running it would cost more than a fuzzer has: then false, and nothing more
    /// may be sent this way.
    pub fn send(&mut self, client: usize, bytes: &[u8]) -> bool {
        self.sent_bytes += bytes.len();
        if self.clients[client].open && (self.sent_bytes > SENT_BYTES_MAX || self.is_costly(client, bytes)) {
            return false;
        }
        self.deliver(client, bytes);
        true
    }

    /// Hands over what a client sends, whatever it is.
    pub fn deliver(&mut self, client: usize, bytes: &[u8]) {
        let Client { core, conn, open, .. } = self.clients[client];
        if open && !bytes.is_empty() {
            self.turn(core, |now, engine, effects| {
                engine.handle(now, Event::Received { chunks: &[(conn, bytes)] }, effects);
            });
        }
    }

    /// Whether the bytes complete a request that asks for much memory or time.
    fn is_costly(&mut self, client: usize, bytes: &[u8]) -> bool {
        let (input, mut args) = (&mut self.clients[client].asked, Vec::new());
        input.keep(bytes);
        while let Ok(Some(frame)) = input.next(&Limits::default(), &mut args) {
            let request = input.args(frame, &args);
            let name = request.try_get(0).unwrap_or_default().to_ascii_lowercase();
            let number = |word: &[u8]| {
                let word = std::str::from_utf8(word.strip_prefix(b"#").unwrap_or(word)).ok();
                word.and_then(|word| word.parse::<i64>().ok())
            };
            let (costs, places) = match name.as_slice() {
                b"setrange" | b"setbit" => (COSTLY, 2..3),
                b"bitfield" => (COSTLY, 1..usize::MAX),
                b"debug" => (1000..i64::MAX, 1..usize::MAX),
                b"lcs" if self.lcs_left == 0 => return true,
                _ => (0..0, 0..0),
            };
            self.lcs_left -= usize::from(name == b"lcs");
            let in_place = request.iter().enumerate().filter(|(place, _)| places.contains(place));
            if in_place.filter_map(|(_, word)| number(word)).any(|number| costs.contains(&number)) {
                return true;
            }
            args.clear();
        }
        input.release();
        false
    }

    /// One turn of a core, as its worker takes it; then what it asks for is done.
    fn turn(&mut self, core: usize, events: impl FnOnce(Now, &mut Engine, &mut Effects)) {
        let now = self.now();
        let Core { engine, effects, inbox, sent } = &mut self.cores[core];
        engine.turn_begins(now, effects);
        for (conn, output) in sent.drain(..) {
            engine.handle(now, Event::Sent { conn, output }, effects);
        }
        while let Some((from, batch)) = inbox.pop_front() {
            engine.handle(now, Event::Mail { from, batch }, effects);
        }
        events(now, engine, effects);
        if engine.deadline().is_some_and(|at_us| at_us <= now.mono_us) {
            engine.handle(now, Event::Tick, effects);
        }
        engine.turn_ends(now, ShellCounts::default(), effects);
        self.perform(core);
    }

    /// What a worker does with the effects of a turn: sends, then closes, then hands letters over.
    fn perform(&mut self, core: usize) {
        let mut effects = std::mem::take(&mut self.cores[core].effects);
        let client = |conn: ConnId| self.clients.iter().position(|c| c.core == core && c.conn == conn && c.open);
        let ready: Vec<usize> = effects.ready.drain(..).filter_map(client).collect();
        let closed: Vec<usize> = effects.close.drain(..).filter_map(client).collect();
        let killed: Vec<usize> = effects.kill.drain(..).filter_map(client).collect();
        for at in ready.into_iter().chain(closed.iter().copied()) {
            let (Client { conn, received, .. }, own) = (&mut self.clients[at], &mut self.cores[core]);
            if let Some(output) = own.engine.take_output(*conn) {
                received.extend_from_slice(&output.flatten());
                own.sent.push((*conn, output));
            }
        }
        for to in (0..self.cores.len()).filter(|to| *to != core) {
            if let Some(batch) = self.cores[core].engine.take_mail(CoreId(to as u16)) {
                self.cores[to].inbox.push_back((CoreId(core as u16), batch));
            }
        }
        closed.into_iter().chain(killed).for_each(|client| self.lose(client));
    }

    /// Turns cores until none has anything to do at this time.
    pub fn settle(&mut self) {
        for _ in 0..TURNS_MAX {
            let awake = |core: &Core| {
                let due = core.engine.deadline().is_some_and(|at_us| at_us <= self.mono_us);
                due || core.engine.wants_turn() || !core.sent.is_empty() || !core.inbox.is_empty()
            };
            match self.cores.iter().position(awake) {
                Some(core) => self.turn(core, |_, _, _| {}),
                None => return,
            }
        }
        panic!("the cores do not come to rest");
    }

    /// Has all cores end: every connection is closed and every place given back.
    pub fn end(mut self) {
        for core in 0..self.cores.len() {
            self.turn(core, |now, engine, effects| engine.handle(now, Event::Drain, effects));
        }
        self.settle();
        self.pass(1_000_000);
        self.settle();
        let open: usize = self.cores.iter().map(|core| core.engine.connections()).sum();
        assert_eq!((open, self.ledger.connections()), (0, 0), "connections and places left behind");
    }
}
