//! What befalls servers and the connections to them.

use super::fleet::{Deed, Fleet};
use crate::request::KEYS;
use crate::rng::Rng;
use crate::swarm::Hazard;
use crate::world::World;
use coldplate::routing::slot_of;

impl World {
    /// What may befall the servers between two steps.
    pub fn trouble(&mut self) {
        self.keep_agenda();
        let Some(fleet) = self.fleet.as_mut().filter(|fleet| !fleet.calm) else { return };
        for trouble in fleet.setup.troubles.clone() {
            let fleet = self.fleet.as_mut().expect("it was there");
            let (event, now_us, rng) = (self.event, self.clock_us, &mut self.rng);
            match trouble {
                Hazard::Moves if rng.chance(2) => fleet.move_slot(event, now_us, rng),
                Hazard::Onward if rng.chance(3) => fleet.move_on(Fleet::some_slot(rng), event, now_us, rng),
                Hazard::Migration if rng.chance(3) => fleet.migrate(event, now_us, rng),
                Hazard::Circles if rng.chance(1) => fleet.mislead(event, now_us, rng),
                Hazard::Loading if rng.chance(1) && rng.chance(50) => fleet.load(event, now_us, rng),
                Hazard::Failover | Hazard::Outage if rng.chance(1) && rng.chance(30) => self.fell_node(trouble),
                Hazard::Past if rng.chance(3) => self.write_past(),
                Hazard::Severed if rng.chance(2) => self.sever(),
                Hazard::Late if rng.chance(1) && rng.chance(30) => fleet.silence(now_us, rng),
                _ => {}
            }
            self.tell_trackers();
        }
    }

    /// A server is gone. One of a cluster has somebody to take its place, if anybody is left.
    fn fell_node(&mut self, trouble: Hazard) {
        let (event, now_us) = (self.event, self.clock_us);
        let fleet = self.fleet.as_mut().expect("there are servers");
        let node = self.rng.below(fleet.nodes.len());
        let node = if self.rng.chance(60) { fleet.shards[fleet.nodes[node].shard].primary } else { node };
        if fleet.nodes.iter().any(|node| !node.up) {
            return;
        }
        let shard = fleet.nodes[node].shard;
        let led = fleet.is_primary(node);
        if trouble == Hazard::Failover && led && self.rng.chance(25) && fleet.shards[shard].members.len() > 1 {
            return fleet.swap(shard, event, now_us, &mut self.rng);
        }
        fleet.nodes[node].up = false;
        fleet.nodes[node].dark = self.rng.chance(30);
        fleet.note(event, format!("{} is gone", fleet.nodes[node].address));
        let mut later = |low_ms: usize, high_ms: usize| now_us + 1000 * self.rng.between(low_ms, high_ms) as u64;
        let (promoted_us, risen_us) = (later(2, 60), later(20, 300));
        if trouble == Hazard::Failover && led {
            fleet.plan(promoted_us, Deed::Promote { shard });
        }
        for other in 0..fleet.nodes.len() {
            // Some see that a shard is down, and that it is not any more.
            fleet.plan(later(0, 30), Deed::Hear { node: other });
            fleet.plan(later(60, 200), Deed::Hear { node: other });
        }
        fleet.plan(risen_us, Deed::Rise { node });
        if self.rng.chance(40) {
            fleet.nodes[node].loading = true;
            fleet.plan(risen_us + 1000 * self.rng.between(1, 60) as u64, Deed::Loaded { node });
        }
        let abruptly = self.rng.chance(70);
        for wire in 0..self.fleet.as_ref().expect("there are servers").wires.len() {
            if self.fleet.as_ref().expect("there are servers").wires[wire].node == node {
                self.end_wire(wire, abruptly);
            }
        }
    }

    /// A connection is lost: at once, in the middle of a reply, or when all that has come is done and not answered.
    fn sever(&mut self) {
        let fleet = self.fleet.as_mut().expect("there are servers");
        let live: Vec<usize> = (0..fleet.wires.len()).filter(|wire| !fleet.wires[*wire].over).collect();
        if live.is_empty() {
            return;
        }
        let wire = self.rng.pick(&live);
        match self.rng.below(4) {
            0 => self.end_wire(wire, true),
            1 => self.end_wire(wire, false),
            2 => {
                let bytes = self.rng.between(1, 30);
                fleet.wires[wire].ends_after.get_or_insert(bytes);
            }
            _ => {
                fleet.wires[wire].mute_until_us = u64::MAX;
                fleet.wires[wire].dies_next = true;
            }
        }
    }
}

impl Fleet {
    fn some_slot(rng: &mut Rng) -> usize {
        slot_of(rng.pick(&KEYS).as_bytes()).index()
    }

    fn other_shard(&self, than: usize, rng: &mut Rng) -> Option<usize> {
        let others = self.shards.len().checked_sub(1).filter(|others| *others > 0)?;
        Some((than + 1 + rng.below(others)) % self.shards.len())
    }

    /// Others hear of a change sooner or later, or never.
    fn spread(&mut self, now_us: u64, rng: &mut Rng) {
        for node in 0..self.nodes.len() {
            if rng.chance(60) {
                self.plan(now_us + rng.between(0, 50_000) as u64, Deed::Hear { node });
            }
        }
    }

    /// A slot changes its owner all at once.
    fn move_slot(&mut self, event: u64, now_us: u64, rng: &mut Rng) {
        let slot = Fleet::some_slot(rng);
        let from = self.owner(slot);
        let Some(to) = self.other_shard(from, rng) else { return };
        if self.places[&slot].moving.is_some() {
            return;
        }
        self.hand_over(slot, to, event, now_us, rng);
    }

    /// The same, to one that has not had it yet, and soon to the next.
    pub fn move_on(&mut self, slot: usize, event: u64, now_us: u64, rng: &mut Rng) {
        let place = &self.places[&slot];
        let Some(to) = self.other_shard(place.owner, rng).filter(|to| !place.been.contains(to)) else { return };
        if place.moving.is_none() {
            self.hand_over(slot, to, event, now_us, rng);
            self.plan(now_us + rng.between(0, 3_000) as u64, Deed::MoveOn { slot });
        }
    }

    fn hand_over(&mut self, slot: usize, to: usize, event: u64, now_us: u64, rng: &mut Rng) {
        let from = self.owner(slot);
        for key in self.keys_of(from, slot) {
            self.move_key(&key, from, to);
        }
        let place = self.places.get_mut(&slot).expect("it has keys");
        (place.owner, place.moving, place.settled) = (to, None, true);
        place.been.push(to);
        self.note(event, format!("slot {slot} is shard {to}'s, and was {from}'s"));
        self.shard_hears(from);
        self.shard_hears(to);
        self.spread(now_us, rng);
    }

    /// A slot's keys move one by one, each slot's once, and never to where they have once come from elsewhere in this way: who
    /// was sent there the first time could come too late, and be taken for one that was sent the second time.
    fn migrate(&mut self, event: u64, now_us: u64, rng: &mut Rng) {
        let slot = Fleet::some_slot(rng);
        let (from, place) = (self.owner(slot), &self.places[&slot]);
        let Some(to) = place.moving else {
            let moves = self.setup.has(Hazard::Moves);
            let may = |to: &usize| (moves || !place.settled) && !place.awaited.contains(to);
            let Some(to) = self.other_shard(from, rng).filter(may).filter(|_| rng.chance(30)) else { return };
            self.note(event, format!("slot {slot} begins to move from shard {from} to {to}"));
            let place = self.places.get_mut(&slot).expect("it has keys");
            place.moving = Some(to);
            place.awaited.push(to);
            return;
        };
        let keys = self.keys_of(from, slot);
        if keys.is_empty() {
            return self.hand_over(slot, to, event, now_us, rng);
        }
        let key = &keys[rng.below(keys.len())];
        self.move_key(key, from, to);
        self.note(event, format!("{} moves to shard {to}", String::from_utf8_lossy(key)));
    }

    /// A node believes for a while that a slot belongs to somebody else than it does.
    fn mislead(&mut self, event: u64, now_us: u64, rng: &mut Rng) {
        let (slot, node) = (Fleet::some_slot(rng), self.shards[rng.below(self.shards.len())].primary);
        let (owner, own) = (self.owner(slot), self.nodes[node].shard);
        let Some(wrong) = self.other_shard(owner, rng).filter(|wrong| *wrong != own && owner != own) else { return };
        self.nodes[node].owners.insert(slot, wrong);
        // Two who point at each other make a circle.
        let other = self.shards[wrong].primary;
        self.nodes[other].owners.insert(slot, own);
        self.note(event, format!("{} believes that slot {slot} is shard {wrong}'s", self.nodes[node].address));
        for node in [node, other] {
            self.plan(now_us + rng.between(1_000, 60_000) as u64, Deed::Hear { node });
        }
    }

    fn load(&mut self, event: u64, now_us: u64, rng: &mut Rng) {
        let node = rng.below(self.nodes.len());
        self.nodes[node].loading = true;
        self.note(event, format!("{} is loading", self.nodes[node].address));
        self.plan(now_us + rng.between(500, 80_000) as u64, Deed::Loaded { node });
    }

    /// A replica takes over from a primary that lives.
    fn swap(&mut self, shard: usize, event: u64, now_us: u64, rng: &mut Rng) {
        let before = self.shards[shard].primary;
        let others: Vec<usize> = self.shards[shard].members.iter().copied().filter(|node| *node != before).collect();
        let node = rng.pick(&others);
        self.counts.promoted += 1;
        self.note(event, format!("{} takes over shard {shard} from one that lives", self.nodes[node].address));
        self.shards[shard].primary = node;
        self.shard_hears(shard);
        self.spread(now_us, rng);
    }

    /// A connection is not read, or not answered, for a while or for ever.
    fn silence(&mut self, now_us: u64, rng: &mut Rng) {
        let live: Vec<usize> = (0..self.wires.len()).filter(|wire| !self.wires[*wire].over).collect();
        if live.is_empty() {
            return;
        }
        let longest_us = 3000 * self.setup.request_timeout_ms as usize;
        let until_us = if rng.chance(30) { u64::MAX } else { now_us + rng.between(1, longest_us) as u64 };
        let wire = &mut self.wires[rng.pick(&live)];
        if rng.chance(50) {
            wire.deaf_until_us = until_us;
        } else {
            wire.mute_until_us = until_us;
        }
        self.counts.late += 1;
    }
}
