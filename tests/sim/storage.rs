//! What a turn does for the log, as `runtime/worker/storage.rs` does it; how a server ends all at once, and what it comes
//! back with.

use crate::boot::House;
use crate::client::Client;
use crate::disk::{Ailment, Disk, DiskOptions, Hands, Standing};
use crate::faults::Fault;
use crate::history::Failure;
use crate::link::State;
use crate::loading::{Loaded, read_all};
use crate::medium::{Loss, Medium};
use crate::outlived::Found;
use crate::turn::Core;
use crate::world::World;
use coldplate::engine::Departure;
use coldplate::log::{Catalog, Chain, Replay, Segment, SegmentHeader, SegmentName, Step};
use coldplate::types::CoreId;

/// Frames as they lie on the medium: segment, offset, length, sequence, and what each says is durable.
type Frames = Vec<(SegmentName, u64, usize, u64, u64)>;
/// Bytes in a segment, from where on and how many.
type Place = (SegmentName, usize, usize);

/// Frames for which a planted fault trusts a disk that has room again.
const STAYS_OPEN: u64 = 20;

impl World {
    /// Every core logs its changes from now on, behind what was loaded.
    pub fn begin_logs(&mut self, loaded: Loaded) {
        if !self.scenario.logs {
            return;
        }
        let (catalog, moves) = (&loaded.catalog, loaded.moves);
        let run = catalog.chains.iter().map(Chain::run).chain(catalog.dead.iter().map(|name| name.run)).max();
        let run = run.unwrap_or(0) + 1;
        self.ledger.expect_loading(0, moves);
        let segments = catalog.chains.iter().flat_map(Chain::segments).map(|segment| segment.name).collect();
        let found = Found { segments, unfinished: Vec::new() };
        for core in 0..self.cores.len() {
            let name = SegmentName { run, core: CoreId(core as u16), number: 0 };
            let first = SegmentHeader::first(name, self.rng.next(), self.scenario.segment_bytes as u64);
            let next = SegmentHeader { cores: self.cores.len() as u16, layout: self.table.digest(), ..first };
            let (segment_bytes, outlived) = (self.scenario.segment_bytes, moves.then(|| found.clone()));
            let earlier = loaded.earlier(core);
            let switches = self.ledger.log_switches();
            let marker = None;
            let options = DiskOptions { segment_bytes, amplification: 3, earlier, next, outlived, marker, switches };
            self.cores[core].log_switches = switches;
            self.with_disk(core, |disk, engine, hands| {
                *disk = Some(Disk::open(options, engine, hands));
                engine.begin_log();
                if moves {
                    engine.begin_rewrite();
                } else if !hands.planted.is(Fault::TrustTail) {
                    loaded.log_again(core, hands.medium, engine);
                }
            });
            self.ledger.core_loaded();
        }
        for dead in loaded.catalog.dead {
            self.medium.remove(dead, self.event);
        }
    }

    pub fn with_disk<T>(
        &mut self,
        core: usize,
        with: impl FnOnce(&mut Option<Disk>, &mut coldplate::engine::Engine, &mut Hands) -> T,
    ) -> T {
        let now_us = self.now(core).mono_us;
        let World { medium, rng, planted, event, scenario, cores, .. } = self;
        let (delay_max, make_delay_max) = (scenario.sync_delay_max, scenario.make_delay_max);
        let mut hands = Hands { medium, rng, planted, event: *event, now_us, delay_max, make_delay_max };
        let there = &mut cores[core];
        with(&mut there.disk, &mut there.engine, &mut hands)
    }

    /// Whether a core's disk has something to tell it, or waits for a time that has come.
    pub fn disk_has_news(&self, core: usize) -> bool {
        let (there, now_us) = (&self.cores[core], self.now(core).mono_us);
        let follows = self.scenario.logs && there.log_switches != self.ledger.log_switches();
        let has_news = |disk: &Disk| disk.has_news(&there.engine, &self.medium, self.event, now_us);
        let buries = core == 0
            && !self.ledger.is_rewriting(there.log_switches)
            && there.disk.as_ref().is_some_and(|disk| disk.can_bury(now_us));
        buries || follows || there.disk.as_ref().is_some_and(has_news)
    }

    /// When a core's disk wants a turn although nothing happens.
    pub fn disk_deadline(&self, core: usize) -> Option<u64> {
        let there = &self.cores[core];
        let disk = there.disk.as_ref()?;
        disk.deadline(&there.engine).into_iter().chain(disk.cleans_at(&there.engine, self.now(core).mono_us)).min()
    }

    /// Writes what the turn has changed.
    pub fn log(&mut self, core: usize) {
        self.hear_of_switch();
        self.follow_switch(core);
        if self.cores[core].disk.is_none() {
            return;
        }
        let switches = self.cores[core].log_switches;
        let buries = core == 0 && !self.ledger.is_rewriting(switches);
        let (standing, rewritten, buried) = self.with_disk(core, |disk, engine, hands| {
            let disk = disk.as_mut().expect("it was there just now");
            let standing = disk.turn(engine, hands);
            (standing, disk.is_newly_rewritten(), buries && !disk.failed && disk.bury_outlived(engine, hands))
        });
        if rewritten {
            self.ledger.core_rewritten(switches);
        }
        if buried {
            self.ledger.bury_outlived(switches);
            self.reached.buried += 1;
        }
        let outlived = self.ledger.has_outlived(switches);
        if !outlived {
            let forget = |disk: &mut Option<Disk>, hands: &mut Hands| {
                disk.as_mut().expect("it was there just now").forget_outlived(hands);
            };
            self.with_disk(core, |disk, _, hands| forget(disk, hands));
        }
        let disk = self.cores[core].disk.as_ref().expect("it was there just now");
        let standing = if disk.failed { Standing::Failed } else { standing };
        self.stand(core, standing);
    }

    pub fn hear_of_disk(&mut self, core: usize) {
        let synced = |disk: &mut Option<Disk>, engine: &mut coldplate::engine::Engine, hands: &mut Hands| {
            disk.as_mut().and_then(|disk| disk.synced(engine, hands))
        };
        if let Some(standing) = self.with_disk(core, synced) {
            self.stand(core, standing);
        }
    }

    /// Lets go of what may leave now.
    pub fn stand(&mut self, core: usize, standing: Standing) {
        let there = &mut self.cores[core];
        match standing {
            Standing::Up(position) => {
                if there.given_up.take_if(|given_up| *given_up <= position).is_some() {
                    there.engine.trust();
                }
                there.gate.open(position);
                if !there.engine.refuses_writes() {
                    there.gate.recover();
                }
            }
            Standing::Short(position) if there.given_up.is_some() => there.gate.waive(position),
            Standing::Short(position) if there.gate.holds(position) => {
                self.reached.short_disks += 1;
                self.give_up(core, position);
            }
            Standing::Failed if there.given_up != Some(u64::MAX) => {
                self.reached.failed_disks += 1;
                self.give_up(core, u64::MAX);
                self.cores[core].engine.log_failed();
            }
            Standing::Short(_) | Standing::Failed => {}
        }
        self.note_refusals();
    }

    pub fn note_refusals(&mut self) {
        let refuses = self.cores.iter().any(|core| core.engine.refuses_writes());
        self.history.refuse(refuses, self.event);
    }

    /// Who waits for an answer that rests on frames up to `position` loses the connection, and nobody waits for them any
    /// more.
    fn give_up(&mut self, core: usize, position: u64) {
        self.gave_up = true;
        self.event += 1;
        self.cores[core].given_up = Some(position);
        if self.planted.is(Fault::LetGo) {
            return self.cores[core].gate.open(position);
        }
        let forgets = self.planted.is(Fault::ForgetTaint);
        let trusts = self.planted.is(Fault::TrustAtOnce);
        let there = &mut self.cores[core];
        for departure in there.gate.give_up() {
            match departure {
                Departure::Output(conn) => there.effects.kill.push(conn),
                Departure::Letters(to, mut batch) => {
                    batch.tainted = !forgets;
                    there.gate.hold(0, Departure::Letters(to, batch));
                }
            }
        }
        there.engine.give_up_answers(&mut there.effects);
        if trusts {
            there.engine.trust();
        }
        if self.planted.is(Fault::StayOpen) {
            return there.gate.open(position.saturating_add(STAYS_OPEN));
        }
        there.gate.waive(position);
    }

    /// Sends what has waited long enough.
    pub fn release(&mut self, core: usize) {
        while let Some(departure) = self.cores[core].gate.let_go() {
            match departure {
                Departure::Output(conn) => {
                    let link = self.cores[core].link(conn);
                    if let Some(flight) = link.and_then(|link| self.links[link].flight.as_mut()) {
                        flight.held = false;
                    }
                }
                Departure::Letters(name, batch) => {
                    let to = name.index();
                    if self.mail_for(to) >= self.scenario.mailbox_batches {
                        self.cores[core].gate.put_back(name, batch);
                        self.cores[core].mail_is_stuck = true;
                        self.reached.full_mailboxes += 1;
                        return;
                    }
                    self.dispatch(CoreId(core as u16), to, batch);
                }
            }
        }
    }

    /// Whether a core has changes that wait for a segment, or for a sync that is to cover two.
    pub fn is_exposed(&self) -> bool {
        let exposed = |core: &Core| core.disk.as_ref().is_some_and(|disk| core.engine.has_frame() || disk.has_left());
        self.cores.iter().any(exposed)
    }

    /// What may befall disks between two steps.
    pub fn wear_disks(&mut self) {
        self.medium.keep(self.event);
        if self.scenario.switches && self.rng.below(300) == 0 {
            self.switch_logs();
        }
        if self.scenario.switches && self.rng.below(40) == 0 {
            self.look_at_disk();
        }
        if self.scenario.fills_disk && self.rng.below(200) == 0 {
            self.medium.full = !self.medium.full;
        }
        // Mostly where there are earlier runs, which are read again in pieces.
        if self.scenario.rots && self.rng.below(if self.reads_next().is_empty() { 2000 } else { 200 }) == 0 {
            self.rot();
        }
        if self.scenario.failures > 0 && self.rng.below(400) == 0 {
            self.scenario.failures -= 1;
            let (core, ailment) = (self.rng.below(self.cores.len()), self.rng.pick(&[Ailment::Write, Ailment::Sync]));
            if let Some(disk) = &mut self.cores[core].disk {
                disk.ailment = Some(ailment);
            }
        }
    }

    /// The server ends while everybody is busy, and comes back with what its logs have. Who asked something that was not
    /// answered does not know what became of it.
    pub fn fall(&mut self) -> Result<(), Failure> {
        if !self.is_logged() {
            // Nobody was promised anything.
            self.look_at_disk();
            return Ok(());
        }
        self.event += 1;
        self.history.fell(self.event);
        self.lose_everybody();
        if self.scenario.kills {
            self.medium.lose_process();
        } else {
            let loss = if self.scenario.tears { Loss::Sectors } else { Loss::Later };
            self.medium.lose_power(loss, &mut self.rng);
        }
        self.medium.full = false;
        self.reached.segments += self.cores.iter().flat_map(|core| &core.disk).map(|disk| disk.segments).sum::<usize>();
        self.reached.power_cuts += 1;
        if self.scenario.recounts {
            self.recount();
        }
        self.come_back_with_logs()
    }

    fn lose_everybody(&mut self) {
        for client in 0..self.clients.len() {
            if let Some(link) = self.clients[client].link {
                self.lose_link(link);
            }
            self.clients[client] = Client::new();
        }
        self.links.iter_mut().for_each(|link| link.state = State::Closed);
        self.first_live_link = self.links.len();
        self.parcels.clear();
        self.gave_up = false;
    }

    /// Another number of cores from now on.
    fn recount(&mut self) {
        self.scenario.cores = self.rng.between(1, 2 * self.scenario.cores).min(16);
        self.scenario.turn = (0..self.scenario.cores).map(|_| self.rng.pick(&[10, 60, 100])).collect();
    }

    fn come_back_with_logs(&mut self) -> Result<(), Failure> {
        let hash_seed = [self.rng.next(), self.rng.next(), self.rng.next(), self.rng.next()];
        let house = House::new(&self.scenario, hash_seed[0], hash_seed, self.fault);
        let before = std::mem::replace(&mut self.cores, house.cores);
        (self.table, self.ledger, self.max_bytes) = (house.table, house.ledger, house.max_bytes);
        for (core, before) in self.cores.iter_mut().zip(before) {
            (core.clock_gain_us, core.skew_us, core.turns) = (before.clock_gain_us, before.skew_us, before.turns);
        }
        self.forget_switch();
        self.pass(0);
        if self.scenario.rots && self.rng.chance(20) {
            self.rot();
        }
        let counted = Catalog::sort_out(self.medium.segments(), &self.medium.unfinished()).chains;
        let is_rotten = |segment: &Segment| Some(segment.name) == self.rotten;
        // One that had been cleaned counts no more.
        let rotten = counted.iter().flat_map(Chain::segments).any(is_rotten);
        if self.planted.is(Fault::TakeTorn) {
            mend_torn(&mut self.medium);
        }
        match (self.load(), rotten) {
            (Ok(loaded), false) => {
                self.begin_logs(loaded);
                Ok(())
            }
            (Err(_), true) => {
                self.reached.refusals += 1;
                self.refused = true;
                Ok(())
            }
            (Ok(_), true) => Err(Failure::new("a log with a bit turned is served")),
            (Err(error), false) => Err(Failure::new(format!("a log that nobody damaged is refused: {error}"))),
        }
    }

    /// Segments of earlier runs that are cleaned next.
    fn reads_next(&self) -> Vec<SegmentName> {
        self.cores.iter().filter_map(|core| core.disk.as_ref()?.reads_next()).collect()
    }

    /// Turns a bit of what is known to be durable by what is behind it, if there is any; or of what a later run has logged
    /// once more, where it has to do no harm.
    fn rot(&mut self) {
        let medium = self.medium.settled();
        let Ok(catalog) = Catalog::new(medium.segments(), &medium.unfinished()) else { return };
        let mut chains: Vec<(Chain, Frames)> = Vec::new();
        for chain in catalog.chains {
            let mut frames: Frames = Vec::new();
            let all = read_all(&mut Replay::new(chain.clone()), &medium, |step| {
                if let Step::Frame(frame) = step {
                    let length = frame_bytes(frame.bytes());
                    frames.push((frame.name, frame.offset, length, frame.sequence, frame.durable));
                }
            });
            if all.is_err() {
                return;
            }
            chains.push((chain, frames));
        }
        let mut places: Vec<(Place, bool)> = Vec::new();
        let layout = self.table.digest();
        let is_same = chains.iter().all(|(chain, _)| chain.has_layout(layout));
        for (at, (chain, frames)) in chains.iter().enumerate() {
            let goes_on = |(later, frames): &(Chain, Frames)| later.core() == chain.core() && !frames.is_empty();
            let is_logged_again = is_same && chains[at + 1..].iter().any(goes_on);
            let known = known_to(chain, frames);
            let ends: Vec<usize> = (1..frames.len()).filter(|at| frames[*at].0 != frames[at - 1].0).collect();
            for (at, (name, offset, length, sequence, _)) in frames.iter().enumerate() {
                let place = (*name, *offset as usize, *length);
                if *sequence <= known {
                    // Nothing behind it in its file speaks for the last.
                    let times = if ends.contains(&(at + 1)) { 20 } else { 1 };
                    places.extend(std::iter::repeat_n((place, true), times));
                    places.push(((*name, 0, 64), true));
                } else if is_logged_again {
                    places.extend(std::iter::repeat_n((place, false), 40));
                }
            }
        }
        // What a cleaner is about to read.
        let old = self.reads_next();
        if self.rng.chance(50) && places.iter().any(|((name, ..), _)| old.contains(name)) {
            places.retain(|((name, ..), _)| old.contains(name));
        }
        if places.is_empty() {
            return;
        }
        let ((name, from, length), is_known) = places[self.rng.below(places.len())];
        let (at, bit) = (from + self.rng.below(length), self.rng.below(8) as u8);
        self.medium.rot(name, at, bit);
        // Two could hide each other.
        self.scenario.rots = false;
        self.rotten = is_known.then_some(name);
    }
}

/// Up to which frame something in a chain says that they are durable.
fn known_to(chain: &Chain, frames: &Frames) -> u64 {
    let headers = chain.segments().iter().flat_map(|segment| &segment.header);
    let stated = headers.map(|header| header.durable).max().unwrap_or(0);
    // A header behind a torn end does not count: its segment may be one of what was dropped.
    let last = frames.last().map_or(0, |(.., sequence, _)| *sequence);
    frames.iter().map(|(.., durable)| *durable).max().unwrap_or(0).max(stated).min(last)
}

fn frame_bytes(payload: u64) -> usize {
    use coldplate::log::{FRAME_ALIGN, FRAME_HEADER_BYTES};
    (FRAME_HEADER_BYTES + payload as usize).next_multiple_of(FRAME_ALIGN)
}

/// The fault of a reader that takes a torn frame for whole: gives it the checksum that it would have.
fn mend_torn(medium: &mut Medium) {
    use coldplate::log::{Fault, Verdict};
    let Ok(catalog) = Catalog::new(medium.segments(), &medium.unfinished()) else { return };
    for chain in catalog.chains {
        let mut replay = Replay::new(chain);
        if read_all(&mut replay, medium, |_| ()).is_err() {
            continue;
        }
        if let Verdict::Torn(torn) = replay.summary().verdict
            && let Fault::Checksum { expected, .. } = torn.fault
        {
            let crc_at = torn.offset as usize + 28;
            medium.tamper(torn.name, |bytes| bytes[crc_at..crc_at + 4].copy_from_slice(&expected.to_le_bytes()));
        }
    }
}
