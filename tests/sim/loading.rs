//! How a core gets its keys back: `runtime/disk/loader.rs`, on the medium.

use crate::elders::Found;
use crate::faults::Fault;
use crate::medium::Medium;
use crate::world::World;
use coldplate::engine::Engine;
use coldplate::log::{Catalog, Chain, LogError, Replay, SegmentName, Step, Tail};
use std::collections::BTreeMap;

/// What all cores found.
#[derive(Default)]
pub struct Loaded {
    pub catalog: Catalog,
    /// Keys have moved between cores.
    pub moves: bool,
    /// Of each segment, how many frames it has.
    frames: BTreeMap<SegmentName, u64>,
    tails: Vec<Tail>,
}

impl World {
    /// Each core reads what it needs.
    pub fn load(&mut self) -> Result<Loaded, LogError> {
        let catalog = Catalog::new(self.medium.segments(), &self.medium.unfinished())?;
        let moves = !catalog.is_placed_by(self.table.digest(), self.cores.len());
        let (mut frames, mut tails) = (BTreeMap::new(), Vec::new());
        let forgives = self.planted.is(Fault::ForgiveDamage);
        for core in 0..self.cores.len() {
            let now = self.now(core);
            let mut tail = Tail::default();
            let reads = |chain: &&Chain| moves || chain.core().index() == core;
            for chain in catalog.chains.iter().filter(reads) {
                for segment in chain.segments() {
                    self.medium.sync(segment.name);
                }
                let mut replay = if forgives { Replay::forgiving(chain.clone()) } else { Replay::new(chain.clone()) };
                let engine = &mut self.cores[core].engine;
                read_all(&mut replay, &self.medium, |step| {
                    if let Step::Frame(frame) = step {
                        *frames.entry(frame.name).or_default() += 1;
                        tail.pass(&frame);
                        frame.records().for_each(|record| engine.load(now, &record));
                    }
                })?;
            }
            tails.push(tail);
        }
        Ok(Loaded { catalog, moves, frames, tails })
    }
}

impl Loaded {
    /// The segments of earlier runs that a core goes on with.
    pub fn earlier(&self, core: usize) -> Vec<Found> {
        let own = self.catalog.chains.iter().filter(|chain| chain.core().index() == core && !self.moves);
        let found = own.flat_map(Chain::segments);
        let frames = |name| self.frames.get(&name).copied().unwrap_or(0);
        found.map(|one| Found { name: one.name, bytes: one.file_bytes, frames: frames(one.name) }).collect()
    }

    /// Logs the keys once more that nothing vouches for.
    pub fn log_again(&self, core: usize, medium: &Medium, engine: &mut Engine) {
        let Some(tail) = self.tails.get(core) else { return };
        let found = medium.segments();
        for name in tail.segments() {
            let segment = found.iter().find(|segment| segment.name == name).expect("it was read just now").clone();
            let log_again = |step: Step| {
                if let Step::Frame(frame) = step
                    && tail.has(&frame)
                {
                    frame.records().for_each(|record| engine.log_again(&record));
                }
            };
            read_all(&mut Replay::new(Chain::of(segment)), medium, log_again).expect("it was sound just now");
        }
    }
}

/// Reads a chain to its end.
pub fn read_all(replay: &mut Replay, medium: &Medium, mut take: impl FnMut(Step)) -> Result<(), LogError> {
    loop {
        match replay.advance()? {
            Step::Read { name, offset } => {
                let count = medium.read(name, offset, replay.space());
                replay.filled(count);
            }
            Step::End => return Ok(()),
            step @ Step::Frame(_) => take(step),
        }
    }
}
