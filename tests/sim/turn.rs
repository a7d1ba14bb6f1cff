//! One core's turn, step by step as `runtime/worker/mod.rs` does it, on simulated connections and mailboxes.

use crate::disk::Disk;
use crate::faults::{Fault, repeat};
use crate::link::{Completion, Flight, State};
use crate::world::World;
use coldplate::engine::{Batch, Departure, Effects, Engine, Event, Gate, ShellCounts};
use coldplate::types::{ConnId, CoreId, Now};
use std::collections::VecDeque;
use std::ops::Range;

/// By how much a core may grow past its last value in a turn: a table of a slot, and what sizes are rounded up to.
const GROWTH_BYTES_MAX: usize = 2_000;

/// A row of a core's connections; rows are used again, and the generation tells their tenants apart.
#[derive(Default)]
pub struct Row {
    generation: u32,
    link: Option<usize>,
}

pub struct Core {
    pub engine: Engine,
    pub effects: Effects,
    pub mailbox: VecDeque<(CoreId, Box<Batch>)>,
    pub mail_is_stuck: bool,
    /// Where it logs its changes, if it does.
    pub disk: Option<Disk>,
    /// Since which switches that is so.
    pub log_switches: u64,
    pub gate: Gate,
    /// Who waited for frames up to this one was let down, and they are not durable yet.
    pub given_up: Option<u64>,
    /// The fault of a lost wake: it has mail and does not know.
    pub deaf: bool,
    /// A planted fault.
    pub clock_gain_us: u64,
    /// How far its clock is ahead of the slowest that may be.
    pub skew_us: u64,
    /// It stops until this event.
    pub stalled_until: u64,
    pub turns: usize,
    rows: Vec<Row>,
}

impl Core {
    pub fn new(engine: Engine, cores: usize) -> Core {
        Core {
            engine,
            effects: Effects::default(),
            mailbox: VecDeque::new(),
            mail_is_stuck: false,
            disk: None,
            log_switches: 0,
            gate: Gate::new(cores),
            given_up: None,
            deaf: false,
            clock_gain_us: 0,
            skew_us: 0,
            stalled_until: 0,
            turns: 0,
            rows: Vec::new(),
        }
    }

    pub fn link(&self, conn: ConnId) -> Option<usize> {
        let row = self.rows.get(conn.index as usize)?;
        row.link.filter(|_| row.generation == conn.generation)
    }

    fn open(&mut self, link: usize) -> ConnId {
        let index = self.rows.iter().position(|row| row.link.is_none()).unwrap_or_else(|| {
            self.rows.push(Row::default());
            self.rows.len() - 1
        });
        let row = &mut self.rows[index];
        (row.generation, row.link) = (row.generation + 1, Some(link));
        ConnId { index: index as u32, generation: row.generation }
    }
}

impl World {
    pub fn now(&self, core: usize) -> Now {
        let Core { clock_gain_us, skew_us, .. } = self.cores[core];
        let mono_us = self.clock_us + skew_us + clock_gain_us;
        Now { mono_us, unix_us: World::EPOCH_US + mono_us }
    }

    /// Whether anything would wake this core.
    pub fn has_work(&self, core: usize) -> bool {
        let due = self.cores[core].engine.deadline().is_some_and(|at_us| at_us <= self.now(core).mono_us);
        let mail = !self.cores[core].mailbox.is_empty() && !self.cores[core].deaf;
        due || mail
            || self.cores[core].mail_is_stuck
            || self.disk_has_news(core)
            || self.cores[core].engine.wants_turn()
            || self.live_links(core).any(|link| self.links[link].completions().next().is_some())
    }

    fn live_links(&self, core: usize) -> impl Iterator<Item = usize> + '_ {
        let live = move |link: &usize| self.links[*link].core == core && self.links[*link].state != State::Closed;
        (self.first_live_link..self.links.len()).filter(live)
    }

    pub fn turn(&mut self, core: usize) {
        let now = self.now(core);
        self.cores[core].deaf = false;
        self.cores[core].turns += 1;
        self.event += 1;
        self.digest = self.digest.rotate_left(7) ^ (self.event << 8 | core as u64) ^ now.mono_us << 32;
        let mut work: Vec<(usize, Completion)> = Vec::new();
        for link in self.live_links(core) {
            work.extend(self.links[link].completions().map(|completion| (link, completion)));
        }
        self.rng.shuffle(&mut work);
        if !work.is_empty() && self.rng.chance(50) {
            work.truncate(self.rng.between(1, work.len()));
        }
        let Core { engine, effects, .. } = &mut self.cores[core];
        engine.turn_begins(now, effects);
        let (short, before_bytes) = (engine.is_short(), engine.used_bytes());
        let evicts_late = self.planted.is(Fault::EvictLate);
        if evicts_late {
            engine.look_away_from_memory(true);
        }
        self.take_mail(core, now);
        self.hear_of_disk(core);
        let mut arrivals = Vec::new();
        for (link, completion) in work {
            if completion != Completion::Received || self.rng.chance(20) {
                self.hand_over(core, now, &mut arrivals);
            }
            self.complete(core, now, link, completion, &mut arrivals);
        }
        self.hand_over(core, now, &mut arrivals);
        let Core { engine, effects, .. } = &mut self.cores[core];
        if evicts_late {
            engine.look_away_from_memory(false);
        }
        if engine.deadline().is_some_and(|deadline| deadline <= now.mono_us) {
            engine.handle(now, Event::Tick, effects);
        }
        engine.turn_ends(now, ShellCounts::default(), effects);
        let bytes = engine.used_bytes();
        // Each write makes room first; what is left of it is the last value.
        let most_bytes = before_bytes + self.scenario.large_bytes_max + GROWTH_BYTES_MAX;
        if short && self.evicts_all() && bytes > most_bytes {
            self.overrun = Some(format!("memory was short, and core {core} grew from {before_bytes} to {bytes} bytes"));
        }
        self.log(core);
        self.perform(core, now);
        // A time long past is how an engine says that connections wait for room in its post.
        self.reached.full_posts += usize::from(self.cores[core].engine.deadline() == Some(0) && now.mono_us > 0);
    }

    fn handle(&mut self, core: usize, now: Now, event: Event) {
        let Core { engine, effects, .. } = &mut self.cores[core];
        engine.handle(now, event, effects);
    }

    fn complete(
        &mut self,
        core: usize,
        now: Now,
        link: usize,
        completion: Completion,
        arrivals: &mut Vec<(usize, Range<usize>)>,
    ) {
        if completion == Completion::Dialled {
            return self.dial_ends(core, now, link, |core| core.open(link));
        }
        if completion == Completion::Accepted {
            let conn = self.cores[core].open(link);
            (self.links[link].conn, self.links[link].state) = (Some(conn), State::Open);
            return self.handle(core, now, Event::Opened { conn, peer: format!("sim:{link}"), local: "sim:0".into() });
        }
        let conn = self.links[link].conn.expect("an open connection has a name");
        match completion {
            Completion::Accepted | Completion::Dialled => unreachable!("it was dealt with above"),
            Completion::Received => self.receive(link, arrivals),
            Completion::Ended => {
                self.links[link].end_told = true;
                self.handle(core, now, Event::Ended { conn });
            }
            Completion::Reset => self.cores[core].effects.kill.push(conn),
            Completion::Sent => {
                if self.planted.strikes(Fault::LoseSent) {
                    self.links[link].sent_is_lost = true;
                    return;
                }
                let flight = self.links[link].flight.take().expect("a flight has landed");
                self.handle(core, now, Event::Sent { conn, output: flight.output });
                if self.links[link].close_when_sent {
                    self.cores[core].effects.close.push(conn);
                }
            }
        }
    }

    /// Bytes have come in; they are handed over together with those of other connections.
    fn receive(&mut self, link: usize, arrivals: &mut Vec<(usize, Range<usize>)>) {
        self.event += 1;
        let there = &mut self.links[link];
        let bytes = there.receive_bytes(self.scenario.cut, &mut self.rng);
        if !there.receive_wanted {
            there.late_receives -= 1;
        }
        let from = there.received;
        there.received += bytes;
        while let Some(&(_, record)) = there.requests.front().filter(|(end, _)| *end <= from + bytes) {
            there.requests.pop_front();
            if there.dial.is_some() {
                self.fleet.as_mut().expect("it has said so").heard(record, self.event);
                continue;
            }
            let record = &mut self.history.records[record];
            record.asked = Some(self.event);
            record.turns = self.cores.iter().map(|core| core.turns).collect();
        }
        arrivals.push((link, from..from + bytes));
    }

    fn hand_over(&mut self, core: usize, now: Now, arrivals: &mut Vec<(usize, Range<usize>)>) {
        let links = &self.links;
        let chunk = |(link, range): (usize, Range<usize>)| {
            (links[link].conn.expect("an open connection has a name"), &links[link].to_server[range])
        };
        let chunks: Vec<(ConnId, &[u8])> = arrivals.drain(..).map(chunk).collect();
        let Core { engine, effects, .. } = &mut self.cores[core];
        engine.handle(now, Event::Received { chunks: &chunks }, effects);
    }

    fn take_mail(&mut self, core: usize, now: Now) {
        let waiting = self.cores[core].mailbox.len();
        let taken = if waiting > 0 && self.rng.chance(50) { self.rng.between(1, waiting) } else { waiting };
        for _ in 0..taken {
            let Some((from, mut batch)) = self.cores[core].mailbox.pop_front() else { break };
            if batch.requests() > 0 && self.planted.strikes(Fault::RepeatBatch) {
                repeat(&mut batch);
            }
            self.handle(core, now, Event::Mail { from, batch });
        }
    }

    pub fn perform(&mut self, core: usize, now: Now) {
        let mut effects = std::mem::take(&mut self.cores[core].effects);
        for (conn, wanted) in effects.receive.drain(..) {
            if let Some(link) = self.cores[core].link(conn) {
                self.links[link].receive_wanted = wanted;
                self.reached.paused_receives += usize::from(!wanted);
                self.links[link].late_receives = if wanted { 0 } else { self.rng.below(2) };
            }
        }
        self.cores[core].mail_is_stuck = false;
        self.release(core);
        for conn in effects.ready.drain(..) {
            self.send_ready(core, conn);
        }
        for conn in effects.close.drain(..) {
            if let Some(link) = self.cores[core].link(conn) {
                self.links[link].close_when_sent = true;
                self.send_ready(core, conn);
                if self.links[link].flight.is_none() {
                    self.close(core, now, conn, link);
                }
            }
        }
        for conn in effects.kill.drain(..) {
            if let Some(link) = self.cores[core].link(conn) {
                self.close(core, now, conn, link);
            }
        }
        if self.fleet.is_some() {
            self.perform_dials(core, &mut effects);
        }
        self.send_mail(core);
    }

    fn close(&mut self, core: usize, now: Now, conn: ConnId, link: usize) {
        self.handle(core, now, Event::Lost { conn });
        self.cores[core].rows[conn.index as usize].link = None;
        if let Some(fleet) = &mut self.fleet {
            fleet.knows_gone(link, self.event);
        }
        self.links[link].state = State::Closed;
        while self.links.get(self.first_live_link).is_some_and(|link| link.state == State::Closed) {
            self.first_live_link += 1;
        }
    }

    fn send_ready(&mut self, core: usize, conn: ConnId) {
        let Some(link) = self.cores[core].link(conn) else { return };
        if self.links[link].flight.is_some() {
            return;
        }
        if let Some(output) = self.cores[core].engine.take_output(conn) {
            let bytes = output.flatten();
            let bytes = if self.links[link].dial.is_none() { self.planted.output(bytes) } else { bytes };
            let position = self.cores[core].engine.log_position();
            let held = self.cores[core].gate.holds(position) && self.fault != Some(Fault::LeaveEarly);
            self.links[link].flight = Some(Flight { output, bytes, sent: 0, held });
            if held {
                self.cores[core].gate.hold(position, Departure::Output(conn));
            }
        }
    }

    fn send_mail(&mut self, core: usize) {
        let position = self.cores[core].engine.log_position();
        for to in (0..self.cores.len()).filter(|to| *to != core) {
            let (from, name) = (CoreId(core as u16), CoreId(to as u16));
            if self.cores[core].gate.holds_letters(name) {
                continue;
            }
            let Some(batch) = self.cores[core].engine.take_mail(name) else { continue };
            if self.cores[core].gate.holds(position) && self.fault != Some(Fault::LeaveEarly) {
                self.cores[core].gate.hold(position, Departure::Letters(name, batch));
                continue;
            }
            if self.mail_for(to) >= self.scenario.mailbox_batches {
                self.cores[core].engine.return_mail(name, batch);
                self.cores[core].mail_is_stuck = true;
                self.reached.full_mailboxes += 1;
                continue;
            }
            if self.planted.strikes(Fault::DropBatch) {
                continue;
            }
            self.dispatch(from, to, batch);
            let mailbox = &mut self.cores[to].mailbox;
            if let Some(before) = mailbox.iter().rev().skip(1).position(|(sender, _)| *sender == from)
                && self.planted.strikes(Fault::ReorderBatches)
            {
                let last = mailbox.len() - 1;
                mailbox.swap(last, last - 1 - before);
            }
            if self.planted.strikes(Fault::LoseWake) {
                self.cores[to].deaf = true;
            }
        }
    }

    /// Asks a core to end.
    pub fn drain(&mut self, core: usize) {
        let now = self.now(core);
        self.handle(core, now, Event::Drain);
        self.perform(core, now);
    }
}
