//! A core's log on a simulated disk: writes that become durable later, and the end of the power, which takes the rest or
//! some of it.

use crate::boot::House;
use crate::client::Client;
use crate::link::State;
use crate::rng::Rng;
use crate::world::World;
use coldplate::engine::Engine;
use coldplate::log::{Catalog, Replay, SEGMENT_BYTES_DEFAULT, Segment, SegmentHeader, SegmentName, Step};
use coldplate::types::{CoreId, Now};

/// The one segment of a log of this world.
fn header() -> SegmentHeader {
    let name = SegmentName { run: 1, core: CoreId(0), number: 0 };
    SegmentHeader::first(name, 7, SEGMENT_BYTES_DEFAULT)
}

#[derive(Default)]
pub struct Disk {
    /// Frames in their order.
    frames: Vec<Vec<u8>>,
    durable: usize,
    /// A sync is under way: what it covers, and the event at which it ends.
    sync: Option<(usize, u64)>,
    /// All keys of its core are durable here: earlier logs count no more.
    pub has_all: bool,
}

impl Disk {
    /// A turn's end: writes what has changed, and begins to make it durable.
    pub fn turn(&mut self, engine: &mut Engine, event: u64, delay_max: usize, rng: &mut Rng) {
        if self.sync.is_some() {
            return;
        }
        while engine.fill_log().is_some() {
            let (_, frame) = engine.seal_log(header().nonce());
            self.frames.push(frame.to_vec());
            engine.log_written();
        }
        if self.frames.len() > self.durable {
            self.sync = Some((self.frames.len(), event + rng.between(0, delay_max) as u64));
        }
    }

    /// Whether a sync has ended that its core has not heard of.
    pub fn has_news(&self, event: u64) -> bool {
        self.sync.is_some_and(|(_, due)| due <= event)
    }

    /// Ends the sync whose time has come; answers how many frames are durable.
    pub fn take_news(&mut self, engine: &Engine, event: u64) -> Option<u64> {
        let (covered, _) = self.sync.take_if(|(_, due)| *due <= event)?;
        self.durable = covered;
        self.has_all |= engine.is_rewritten() && engine.log_position() == covered as u64;
        Some(covered as u64)
    }

    pub fn waits(&self) -> bool {
        self.sync.is_some()
    }

    /// Nothing else goes on: the sync ends.
    pub fn hurry(&mut self) {
        if let Some((_, due)) = &mut self.sync {
            *due = 0;
        }
    }

    /// The power is gone: what was durable is left, and perhaps more.
    pub fn survivors(&self, rng: &mut Rng) -> &[Vec<u8>] {
        let more = rng.between(0, self.frames.len() - self.durable);
        &self.frames[..self.durable + more]
    }
}

impl World {
    /// Every core logs its changes from now on.
    pub fn begin_logs(&mut self) {
        for core in self.cores.iter_mut().filter(|_| self.scenario.logs) {
            core.engine.begin_log();
            core.disk = Some(Disk::default());
        }
    }

    /// The power fails while everybody is busy, and the server comes back with what its logs have. Who asked something
    /// that was not answered does not know what became of it.
    pub fn cut_power(&mut self) {
        if self.cores.iter().all(|core| core.disk.as_ref().is_some_and(|disk| disk.has_all)) {
            self.old_logs.clear();
        }
        for core in &self.cores {
            let disk = core.disk.as_ref().expect("what has no log is not cut off");
            self.old_logs.push(disk.survivors(&mut self.rng).concat());
        }
        for client in 0..self.clients.len() {
            if let Some(link) = self.clients[client].link {
                self.lose_link(link);
            }
            self.clients[client] = Client::new();
        }
        self.links.iter_mut().for_each(|link| link.state = State::Closed);
        self.first_live_link = self.links.len();
        self.parcels.clear();
        self.event += 1;
        let hash_seed = [self.rng.next(), self.rng.next(), self.rng.next(), self.rng.next()];
        let house = House::new(&self.scenario, hash_seed[0], hash_seed, self.fault);
        let before = std::mem::replace(&mut self.cores, house.cores);
        (self.table, self.ledger, self.max_bytes) = (house.table, house.ledger, house.max_bytes);
        for (core, before) in self.cores.iter_mut().zip(before) {
            (core.clock_gain_us, core.skew_us, core.turns) = (before.clock_gain_us, before.skew_us, before.turns);
        }
        for core in 0..self.cores.len() {
            let now = self.now(core);
            for log in &self.old_logs {
                load(&mut self.cores[core].engine, now, log);
            }
        }
        self.begin_logs();
        self.cores.iter_mut().for_each(|core| core.engine.begin_rewrite());
        self.reached.power_cuts += 1;
    }
}

/// Reads a log as `runtime/disk/loader.rs` does.
fn load(engine: &mut Engine, now: Now, frames: &[u8]) {
    let bytes = [&header().encode()[..], frames].concat();
    let segment = Segment::found(header().name, bytes.len() as u64, &bytes);
    let chain = Catalog::new(vec![segment]).expect("it begins as it should").chains.remove(0);
    let mut replay = Replay::new(chain);
    loop {
        match replay.advance().expect("whole frames are read") {
            Step::Read { offset, .. } => {
                let rest = &bytes[offset as usize..];
                let space = replay.space();
                let count = space.len().min(rest.len());
                space[..count].copy_from_slice(&rest[..count]);
                replay.filled(count);
            }
            Step::Frame(frame) => frame.records().for_each(|record| engine.load(now, &record)),
            Step::End => return,
        }
    }
}
