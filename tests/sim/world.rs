//! The world of one run: engines, clients, the clock, and a scheduler that decides by its seed who goes next.
//!
//! Each engine is driven as its worker drives it (`turn.rs`). Time stands still but for the steps that move it. A core
//! turns only when something would wake it, so a wake-up that is forgotten shows. What else befalls it is in `weather.rs`.

use crate::boot::House;
use crate::client::Client;
use crate::deed::Deed;
use crate::events;
use crate::faults::{Fault, Planted};
use crate::history::{Failure, History, Order, Record};
use crate::link::Link;
use crate::loading::Loaded;
use crate::medium::Medium;
use crate::messages::News;
use crate::push::Ear;
use crate::reached::Reached;
use crate::request::{Author, KEYS, Request};
use crate::resp::Reply;
use crate::rng::Rng;
use crate::scenario::{Cut, Scenario};
use crate::script::Playwright;
use crate::swarm::Plan;
use crate::switch::Switch;
use crate::turn::Core;
use crate::upstream::{Counts, Fleet};
use crate::weather::Parcel;
use coldplate::engine::Ledger;
use coldplate::keyspace::Policy;
use coldplate::log::SegmentName;
use coldplate::routing::{SlotTable, slot_of};
use std::sync::Arc;

/// Steps of the busy part of a run, and of coming to rest: far more than any run that does not go in circles takes.
const STEPS_MAX: usize = 6_000;
const SETTLE_STEPS_MAX: usize = 400_000;
/// Ticks that engines may ask for until everything that can expire has.
const IDLE_TURNS_MAX: usize = 2_000;
/// Ticks after which memory that is still short is past help.
const SHORT_TURNS_MAX: usize = 200;
/// How long the power waits for a moment at which a core has something to lose.
const PATIENCE_STEPS: usize = 300;
/// Turns of every core within which whatever is asked is answered, where clients read at once. A thousand runs come to 44.
const WAIT_TURNS_MAX: usize = 150;
/// While coming to rest, clients have at least so much room and read at once.
const SETTLE_SOCKET_BYTES: usize = 64 * 1024;

pub struct World {
    pub plan: Plan,
    /// Requests, or scripts of them, that were drawn.
    pub units: usize,
    pub rng: Rng,
    pub scenario: Scenario,
    pub planted: Planted,
    pub fault: Option<Fault>,
    pub ledger: Arc<Ledger>,
    pub table: Arc<SlotTable>,
    pub cores: Vec<Core>,
    /// The servers that they are put in front of.
    pub fleet: Option<Fleet>,
    /// Batches on their way, those of two cores in their order.
    pub parcels: Vec<Parcel>,
    pub links: Vec<Link>,
    /// All before it are closed.
    pub first_live_link: usize,
    pub clients: Vec<Client>,
    pub author: Author,
    pub playwright: Playwright,
    pub requests_left: usize,
    pub history: History,
    pub news: News,
    /// The fault of swapped messages: one that is held back until the next.
    pub late_message: Option<(usize, (Ear, String, String, String))>,
    /// What all keys held when the world was last at rest.
    pub at_rest: Vec<Reply>,
    /// Counts what happens; the times of the history.
    pub event: u64,
    pub clock_us: u64,
    /// The files of all logs.
    pub medium: Medium,
    pub switch: Switch,
    /// A disk failed or is full, so that clients were let down since the server began.
    pub gave_up: bool,
    /// The log is damaged: the server does not come back.
    pub refused: bool,
    /// A segment in which a bit has turned.
    pub rotten: Option<SegmentName>,
    /// `maxmemory`.
    pub max_bytes: u64,
    /// More memory was taken than there may be.
    pub overrun: Option<String>,
    pub draining: bool,
    pub digest: u64,
    pub reached: Reached,
}

/// How a run went.
pub struct Outcome {
    pub reached: Reached,
    pub result: Result<(), Failure>,
    pub requests: usize,
    pub undecided: usize,
    pub digest: u64,
    /// Requests, or scripts of them, that were drawn.
    pub units: usize,
}

/// Plays one seed, with a planted fault or without: as many lives as it has.
pub fn play(plan: &Plan, fault: Option<Fault>) -> Outcome {
    let mut world = World::new(plan, fault);
    let (mut requests, mut undecided) = (0, 0);
    loop {
        let mut result = world.live();
        if let (Err(failure), Some(fleet)) = (&mut result, &world.fleet) {
            failure.trace += &format!("{}\n{}", world.history.trace(|_| true), fleet.log.join("\n"));
        }
        requests += world.history.records.len();
        undecided += world.history.undecided;
        (world.reached.removed, world.reached.taken_over) = (world.medium.removed, world.medium.taken_over);
        world.reached.servers = world.fleet.as_ref().map_or(Counts::default(), |fleet| fleet.counts);
        world.reached.servers.copy_reads = world.reached.copy_reads as usize;
        if result.is_err() || world.refused || world.scenario.restarts == 0 {
            let World { digest, reached, units, .. } = world;
            return Outcome { result, reached, requests, undecided, digest, units };
        }
        world.come_back();
    }
}

impl World {
    /// The Unix time at which runs begin.
    pub const EPOCH_US: u64 = 1_700_000_000_000_000;

    fn new(plan: &Plan, fault: Option<Fault>) -> World {
        let mut rng = Rng::new(plan.seed);
        let mut scenario = plan.scenario(&mut rng);
        let planted = Planted::new(fault, &mut rng);
        plan.apply(&mut scenario);
        let hash_seed = [rng.next(), rng.next(), rng.next(), rng.next()];
        let House { cores, table, ledger, max_bytes } = House::new(&scenario, plan.seed, hash_seed, fault);
        let fleet = scenario.upstream.as_ref().map(|setup| Fleet::new(setup, &mut rng));
        let mut world = World {
            plan: plan.clone(),
            units: 0,
            cores,
            fleet,
            parcels: Vec::new(),
            links: Vec::new(),
            first_live_link: 0,
            clients: (0..scenario.clients).map(|_| Client::new()).collect(),
            author: Author::new(&scenario),
            playwright: Playwright::new(&scenario, &mut rng),
            requests_left: scenario.requests,
            history: History::new(scenario.room_bytes.is_some() && scenario.policy != Policy::NoEviction),
            news: News::default(),
            late_message: None,
            at_rest: Vec::new(),
            event: 0,
            clock_us: 1_000_000,
            medium: Medium::default(),
            switch: Switch::default(),
            gave_up: false,
            refused: false,
            rotten: None,
            max_bytes,
            overrun: None,
            draining: false,
            digest: plan.seed,
            reached: Reached::default(),
            rng,
            scenario,
            planted,
            fault,
            ledger,
            table,
        };
        world.history.order = world.scenario.upstream.as_ref().map_or(Order::All, |setup| setup.order());
        world.skew_clocks();
        world.begin_logs(Loaded::default());
        world.pass(0);
        world
    }

    /// From the first request to the last connection's end, and the verdict.
    fn live(&mut self) -> Result<(), Failure> {
        self.run()?;
        self.check()
    }

    fn run(&mut self) -> Result<(), Failure> {
        let mut rests_left = self.scenario.rests;
        let (mut cuts_left, mut patience) = (self.scenario.power_cuts, None);
        for _ in 0..STEPS_MAX {
            if self.requests_left == 0 {
                break;
            }
            if self.requests_left < self.scenario.requests * rests_left / (self.scenario.rests + 1) {
                rests_left -= 1;
                self.rest()?;
            }
            if self.requests_left < self.scenario.requests * cuts_left / (self.scenario.power_cuts + 1) {
                cuts_left -= 1;
                patience = Some(if self.rng.chance(50) { 0 } else { PATIENCE_STEPS });
            }
            if self.falls(&mut patience) {
                self.fall()?;
                if self.refused {
                    return Ok(());
                }
            }
            self.step()?;
        }
        self.scenario.socket_bytes = self.scenario.socket_bytes.max(SETTLE_SOCKET_BYTES);
        self.rest()?;
        if self.scenario.logs {
            self.await_log()?;
            self.fall()?;
            if self.refused {
                return Ok(());
            }
            self.rest()?;
        }
        for core in &self.cores {
            let (folds, own_folds, copy_reads) = core.engine.hot_counts();
            self.reached.folds += folds;
            self.reached.own_folds += own_folds;
            self.reached.copy_reads += copy_reads;
        }
        if self.fleet.is_none() {
            self.idle()?;
        }
        let keys = self.rest()?;
        let kept: usize = self.cores.iter().map(|core| core.engine.keys()).sum();
        let kept = kept + self.fleet.as_ref().map_or(0, Fleet::keys);
        if kept != keys + self.planted.makes_keys() {
            return Err(Failure::new(format!("{kept} keys are kept and {keys} are shown")));
        }
        let used_bytes: usize = self.cores.iter().map(|core| core.engine.used_bytes()).sum();
        let may_stay = self.scenario.room_bytes.is_none() || !self.evicts_all() || keys == 0;
        if !may_stay && used_bytes as u64 > self.max_bytes {
            return Err(Failure::new(format!("{used_bytes} bytes are used in the end, of {}", self.max_bytes)));
        }
        self.end()
    }

    /// Whether the power fails now: if it is due, and most is to lose or none of its patience is left.
    fn falls(&self, patience: &mut Option<usize>) -> bool {
        let Some(steps) = patience else { return false };
        if *steps > 0 && !self.is_exposed() {
            *steps -= 1;
            return false;
        }
        *patience = None;
        true
    }

    /// Whether any key may go where memory is short.
    pub fn evicts_all(&self) -> bool {
        matches!(self.scenario.policy, Policy::AllKeysLru | Policy::AllKeysLfu | Policy::AllKeysRandom)
    }

    /// Comes to rest: nobody waits for anything, and nobody keeps what is not so. Answers how many keys there are.
    pub fn rest(&mut self) -> Result<usize, Failure> {
        let socket_bytes = self.scenario.socket_bytes;
        self.scenario.socket_bytes = socket_bytes.max(SETTLE_SOCKET_BYTES);
        if self.fleet.is_some() {
            self.rest_before_servers()?;
        } else {
            self.settle()?;
        }
        self.take_late_message()?;
        let store = self.read_all_keys()?;
        self.end_rest();
        self.check_kept(&store)?;
        if let Some(overrun) = self.overrun.take() {
            return Err(Failure::new(overrun));
        }
        self.scenario.socket_bytes = socket_bytes;
        self.at_rest = store;
        Ok(self.at_rest.iter().filter(|value| matches!(value, Reply::Bulk(_))).count())
    }

    fn check(&mut self) -> Result<(), Failure> {
        self.news.check(&self.history.records)?;
        if self.scenario.key_events {
            events::check(&self.news, &self.history.records)?;
        }
        if let Some(fleet) = &self.fleet {
            self.history.passed_over = fleet.keys_written_past();
            fleet.check_past(&self.history.records)?;
        }
        let waited = self.reached.longest_wait;
        let Scenario { readers, cut, mail_delay_max, stall_max, logs, .. } = self.scenario;
        let at_once = readers && cut == Cut::Whole && mail_delay_max == 0 && stall_max == 0 && !logs;
        if at_once && waited > WAIT_TURNS_MAX {
            return Err(Failure::new(format!("a request was not answered while each core turned {waited} times")));
        }
        // Where the number of cores changes all clocks are alike.
        let home =
            |key: &str| if self.scenario.recounts { 0 } else { self.table.owner(slot_of(key.as_bytes())).index() };
        let homes = KEYS.map(home);
        if self.scenario.transactions || self.scenario.tracking {
            self.count_execs();
            self.history.check_whole(&homes)
        } else {
            self.history.check(&homes)
        }
    }

    fn count_execs(&mut self) {
        let is_exec = |record: &&Record| matches!(record.request.deed, Some(Deed::Exec)) && record.asked.is_some();
        for record in self.history.records.iter().filter(is_exec) {
            match record.reply {
                Some(Reply::Null) => self.reached.execs_called_off += 1,
                Some(_) => self.reached.execs_ran += 1,
                None => self.reached.execs_lost += 1,
            }
        }
    }

    /// One step of the busy part: somebody, drawn, does something.
    fn step(&mut self) -> Result<(), Failure> {
        self.weather();
        if self.fleet.is_some() {
            self.trouble();
            let wires = self.busy_wires();
            if !wires.is_empty() && self.rng.chance(60) {
                let wire = self.rng.pick(&wires);
                self.wire_acts(wire)?;
            }
        }
        match self.rng.below(10) {
            0..5 => {
                let core = self.rng.below(self.cores.len());
                let awake = self.has_work(core) && self.rng.chance(self.scenario.turn[core]);
                if (awake || self.rng.chance(self.scenario.idle_turn)) && !self.is_stalled(core) {
                    self.turn(core);
                }
            }
            5 => {
                let client = self.rng.below(self.clients.len());
                self.client_acts(client);
            }
            6..8 => {
                let client = self.rng.below(self.clients.len());
                if self.can_read(client) && self.rng.chance(self.scenario.read) {
                    self.client_reads(client)?;
                }
            }
            _ if self.first_live_link < self.links.len() => {
                let link = self.rng.between(self.first_live_link, self.links.len() - 1);
                self.carry(link);
            }
            _ => {}
        }
        if self.rng.chance(self.scenario.clock) {
            let us = self.rng.between(1, self.scenario.clock_us_max);
            self.pass(us as u64);
        }
        Ok(())
    }

    fn carry(&mut self, link: usize) {
        let movable = self.links[link].movable(self.scenario.socket_bytes);
        if movable > 0 {
            let bytes = self.scenario.cut.draw(&mut self.rng, movable);
            self.links[link].move_bytes(bytes);
        }
    }

    /// Goes on, with nothing new and without time, until nobody has anything to do; then nobody may be waiting.
    fn settle(&mut self) -> Result<(), Failure> {
        self.quiesce()?;
        self.check_answered()
    }

    /// The same, and somebody may be waiting for time to pass.
    pub fn quiesce(&mut self) -> Result<(), Failure> {
        for _ in 0..SETTLE_STEPS_MAX {
            self.deliver(false);
            let can_turn = |core: &usize| self.has_work(*core) && !self.is_stalled(*core);
            let cores: Vec<usize> = (0..self.cores.len()).filter(can_turn).collect();
            let readers: Vec<usize> = (0..self.clients.len()).filter(|client| self.can_read(*client)).collect();
            let carriers: Vec<usize> = (self.first_live_link..self.links.len())
                .filter(|link| self.links[*link].movable(self.scenario.socket_bytes) > 0)
                .collect();
            let wires = self.busy_wires();
            let choices = cores.len() + readers.len() + carriers.len() + wires.len();
            if choices == 0 && !self.clear_up() {
                return Ok(());
            }
            match self.rng.below(choices.max(1)) {
                _ if choices == 0 => {}
                // The slow stay slow, unless nobody else has anything to do.
                choice if choice < cores.len() => {
                    if choices == 1 || self.rng.chance(self.scenario.turn[cores[choice]].max(1)) {
                        self.turn(cores[choice]);
                    }
                }
                choice if choice < cores.len() + readers.len() => self.client_reads(readers[choice - cores.len()])?,
                choice if choice < choices - wires.len() => {
                    self.carry(carriers[choice - cores.len() - readers.len()]);
                }
                choice => self.wire_acts(wires[choice + wires.len() - choices])?,
            }
        }
        let carriers = (0..self.links.len()).filter(|link| self.links[*link].movable(usize::MAX) > 0).count();
        let (cores, wires) = ((0..self.cores.len()).filter(|core| self.has_work(*core)).count(), self.busy_wires());
        let what = format!("{cores} cores, {carriers} streams and the servers' connections {wires:?} go on and on");
        Err(Failure::new(format!("the world does not come to rest: {what}")))
    }

    /// Lets time pass from deadline to deadline until no engine wants any.
    fn idle(&mut self) -> Result<(), Failure> {
        let mut short_turns = 0;
        for _ in 0..IDLE_TURNS_MAX {
            let wait = |core: usize| {
                let deadlines = [self.cores[core].engine.deadline(), self.disk_deadline(core)];
                let at_us = deadlines.into_iter().flatten().min()?;
                Some((at_us.saturating_sub(self.now(core).mono_us), core))
            };
            let Some((wait_us, core)) = (0..self.cores.len()).filter_map(wait).min() else { return Ok(()) };
            // Memory that is short and cannot be made stays so.
            short_turns += usize::from(self.cores[core].engine.is_short());
            if short_turns > SHORT_TURNS_MAX {
                return Ok(());
            }
            self.pass(wait_us);
            self.turn(core);
            // What lapsed is told, which takes turns of its own.
            self.settle()?;
            let deadline = self.cores[core].engine.deadline();
            if deadline.is_some_and(|at_us| at_us <= self.now(core).mono_us) {
                return Err(Failure::new(format!("core {core} asks for a time that has passed, again and again")));
            }
        }
        Err(Failure::new("the engines ask for time for ever"))
    }

    /// Reads every key by a new connection, as part of the history.
    fn read_all_keys(&mut self) -> Result<Vec<Reply>, Failure> {
        self.clients.push(Client::new());
        let client = self.clients.len() - 1;
        self.connect(client);
        let first = self.history.records.len();
        for key in 0..KEYS.len() {
            self.send(client, Request::get(key));
        }
        self.settle()?;
        let (replies, let_down) =
            (self.history.records[first..].iter().map(|record| record.reply.clone()), self.gave_up);
        let told = |reply: Option<Reply>| match reply {
            // A disk has failed while it was asked.
            None if let_down => Reply::Null,
            reply => reply.expect("at rest everything is answered"),
        };
        Ok(replies.map(told).collect())
    }

    /// Asks all cores to end: every connection is closed and every place given back.
    fn end(&mut self) -> Result<(), Failure> {
        self.draining = true;
        for core in 0..self.cores.len() {
            if !self.planted.strikes(Fault::LoseDrain) {
                self.drain(core);
            }
        }
        self.settle()?;
        let open: usize = self.cores.iter().map(|core| core.engine.connections()).sum();
        let places = self.ledger.connections();
        if open > 0 || places > 0 {
            return Err(Failure::new(format!("{open} connections and {places} places are left behind")));
        }
        self.check_hung_up()?;
        let left: usize = self.cores.iter().map(|core| core.engine.transactions_left()).sum();
        if left > 0 {
            return Err(Failure::new(format!(
                "{left} locks, waiting operations, programs or watched keys are left behind"
            )));
        }
        Ok(())
    }
}
