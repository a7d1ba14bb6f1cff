//! Time and mishap: clocks, mail that travels, cores that stop, and the end of one life of the server and the next.

use crate::boot::House;
use crate::client::Client;
use crate::faults::Fault;
use crate::history::History;
use crate::messages::News;
use crate::request::KEYS;
use crate::resp::Reply;
use crate::world::World;
use coldplate::engine::{Batch, Effects, Event};
use coldplate::routing::slot_of;
use coldplate::types::{ConnId, CoreId};

/// A batch on its way.
pub struct Parcel {
    from: CoreId,
    to: usize,
    batch: Box<Batch>,
    /// From this event on it can arrive.
    due: u64,
}

impl World {
    /// Time passes, for all cores alike.
    pub fn pass(&mut self, us: u64) {
        self.event += 1;
        self.clock_us += us;
        for core in 0..self.cores.len() {
            self.cores[core].clock_gain_us += self.planted.clock_gain_us(core, us);
        }
        self.read_clocks();
    }

    /// Notes what each core's clock says, its skew included and a planted gain left out.
    fn read_clocks(&mut self) {
        for core in 0..self.cores.len() {
            let us = World::EPOCH_US + self.clock_us + self.cores[core].skew_us;
            self.history.clock_reads(core, self.event, us / 1000);
        }
        let skews = || self.cores.iter().map(|core| core.skew_us);
        let (least, most) = (skews().min().unwrap_or(0), skews().max().unwrap_or(0));
        self.history.skewed((most - least).div_ceil(1000));
    }

    /// The clocks of cores are apart from the beginning on.
    pub fn skew_clocks(&mut self) {
        let beset = if self.scenario.skew_us_max > 0 { self.cores.len() } else { 0 };
        for core in 0..beset {
            self.cores[core].skew_us = self.rng.between(0, self.scenario.skew_us_max) as u64;
        }
    }

    /// What may befall the world between two steps.
    pub fn weather(&mut self) {
        let scenario = &self.scenario;
        if scenario.jump_us_max > 0 && self.rng.chance(2) {
            let core = self.rng.below(self.cores.len());
            self.event += 1;
            self.cores[core].skew_us += self.rng.between(1, self.scenario.jump_us_max) as u64;
            self.reached.jumps += 1;
            self.read_clocks();
        }
        if self.scenario.stall_max > 0 && self.rng.chance(1) {
            let core = self.rng.below(self.cores.len());
            self.cores[core].stalled_until = self.event + self.rng.between(10, self.scenario.stall_max) as u64;
            self.reached.stalls += 1;
        }
        self.wear_disks();
        self.deliver(false);
    }

    pub fn is_stalled(&self, core: usize) -> bool {
        self.cores[core].stalled_until > self.event
    }

    /// Nothing goes on but by what waits: it does.
    pub fn clear_up(&mut self) -> bool {
        let syncs = self.cores.iter_mut().filter_map(|core| core.disk.as_mut()).filter(|disk| disk.waits());
        let syncing = syncs.map(|disk| disk.hurry()).count() > 0 || self.medium.hurry();
        let waited = syncing || !self.parcels.is_empty() || (0..self.cores.len()).any(|core| self.is_stalled(core));
        self.cores.iter_mut().for_each(|core| core.stalled_until = 0);
        self.deliver(true);
        waited
    }

    /// Batches in a mailbox or on their way there.
    pub fn mail_for(&self, to: usize) -> usize {
        self.cores[to].mailbox.len() + self.parcels.iter().filter(|parcel| parcel.to == to).count()
    }

    /// A batch leaves. Those of two cores stay in order.
    pub fn dispatch(&mut self, from: CoreId, to: usize, batch: Box<Batch>) {
        let before =
            self.parcels.iter().filter(|parcel| parcel.from == from && parcel.to == to).map(|parcel| parcel.due);
        let before = before.max().unwrap_or(0);
        let delayed = self.scenario.mail_delay_max > 0 && self.rng.chance(30);
        if !delayed && before == 0 {
            return self.cores[to].mailbox.push_back((from, batch));
        }
        let delay = if delayed { self.rng.between(1, self.scenario.mail_delay_max) as u64 } else { 0 };
        self.reached.delayed += 1;
        self.parcels.push(Parcel { from, to, batch, due: before.max(self.event + delay) });
    }

    /// Mail arrives whose time has come, or all of it.
    pub fn deliver(&mut self, all: bool) {
        let (event, mut at) = (self.event, 0);
        self.medium.keep(event);
        while at < self.parcels.len() {
            if all || self.parcels[at].due <= event {
                let Parcel { from, to, batch, .. } = self.parcels.remove(at);
                self.cores[to].mailbox.push_back((from, batch));
            } else {
                at += 1;
            }
        }
    }

    /// The server has ended in order and comes back with another number of cores, half as much to do, and the keys that
    /// it kept: none, as long as it keeps them in memory alone.
    pub fn come_back(&mut self) {
        self.scenario.restarts -= 1;
        self.scenario.cores = self.rng.between(1, 2 * self.scenario.cores).min(16);
        self.scenario.turn = (0..self.scenario.cores).map(|_| self.rng.pick(&[10, 60, 100])).collect();
        let hash_seed = [self.rng.next(), self.rng.next(), self.rng.next(), self.rng.next()];
        let House { cores, table, ledger, max_bytes } = House::new(&self.scenario, hash_seed[0], hash_seed, self.fault);
        (self.cores, self.table, self.ledger, self.max_bytes) = (cores, table, ledger, max_bytes);
        self.requests_left = self.scenario.requests / 2;
        self.history = History::new(self.history.evicts);
        (self.news, self.draining) = (News::default(), false);
        (self.links, self.first_live_link) = (Vec::new(), 0);
        self.clients = (0..self.scenario.clients).map(|_| Client::new()).collect();
        self.reached.restarts += 1;
        self.skew_clocks();
        self.pass(1_000_000);
        self.keep_key();
    }

    /// The fault of a store that is not empty when the server comes back: one key holds what it held before.
    fn keep_key(&mut self) {
        let held = KEYS.into_iter().zip(&self.at_rest).find_map(|(key, reply)| match reply {
            Reply::Bulk(value) => Some((key, value.clone())),
            _ => None,
        });
        let Some((key, value)) = held.filter(|_| self.planted.strikes(Fault::KeepKey)) else { return };
        let core = self.table.owner(slot_of(key.as_bytes()));
        let auth: &[u8] = if self.scenario.password { b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n" } else { b"" };
        let head = format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n", key.len(), value.len());
        let bytes = [auth, head.as_bytes(), &value[..], b"\r\n"].concat();
        let (now, conn) = (self.now(core.index()), ConnId { index: 1000, generation: 1 });
        self.ledger.take_place(core);
        for event in [
            Event::Opened { conn, peer: "before".into(), local: "before".into() },
            Event::Received { chunks: &[(conn, &bytes)] },
            Event::Lost { conn },
        ] {
            self.cores[core.index()].engine.handle(now, event, &mut Effects::default());
        }
    }
}
