//! The servers: which of them has which keys, who is up, and what each believes of the others.

use super::Setup;
use super::tracking::Tracking;
use super::wire::Wire;
use crate::model::State;
use crate::request::KEYS;
use crate::rng::Rng;
use crate::world::World;
use coldplate::routing::slot_of;
use coldplate::types::SLOTS;
use std::collections::BTreeMap;

pub struct Node {
    pub address: String,
    pub shard: usize,
    pub up: bool,
    /// Nobody answers at its address, not even that nobody is there.
    pub dark: bool,
    pub loading: bool,
    /// It believes that a part of its cluster is gone.
    pub cluster_down: bool,
    /// Who it believes has slots that it has not, and which node is the primary of each shard.
    pub owners: BTreeMap<usize, usize>,
    pub primaries: Vec<usize>,
}

/// Servers with the same keys.
pub struct Shard {
    pub store: BTreeMap<Vec<u8>, State>,
    pub primary: usize,
    pub members: Vec<usize>,
}

/// A slot in which there are keys.
pub struct Place {
    pub owner: usize,
    /// Its keys are on their way there, one by one.
    pub moving: Option<usize>,
    /// It has moved, and does not again.
    pub settled: bool,
    /// Shards that have had it, and those to which it has moved key by key.
    pub been: Vec<usize>,
    pub awaited: Vec<usize>,
}

/// What happens by itself at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A replica takes over.
    Promote {
        shard: usize,
    },
    Rise {
        node: usize,
    },
    /// A slot goes on to the next.
    MoveOn {
        slot: usize,
    },
    Loaded {
        node: usize,
    },
    /// A server hears what its cluster is like.
    Hear {
        node: usize,
    },
    /// A connection is made, or refused.
    Connect {
        link: usize,
        made: bool,
    },
}

/// How often what the hazards are about came to pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub served: usize,
    pub moved: usize,
    pub asked: usize,
    pub again: usize,
    pub down: usize,
    pub loading: usize,
    pub promoted: usize,
    pub lost: usize,
    pub cut: usize,
    pub refused: usize,
    pub hung: usize,
    pub late: usize,
    pub pushes: usize,
    pub expired: usize,
    pub past: usize,
    /// What copies have answered.
    pub copy_reads: usize,
    /// What clients were told.
    pub unknown: usize,
    pub not_done: usize,
}

pub struct Fleet {
    pub setup: Setup,
    pub nodes: Vec<Node>,
    pub shards: Vec<Shard>,
    pub wires: Vec<Wire>,
    /// By slot, those of the keys of all runs.
    pub places: BTreeMap<usize, Place>,
    pub agenda: Vec<(u64, Deed)>,
    /// Nothing new befalls anybody.
    pub calm: bool,
    /// Nothing is left of what has befallen: no request may be an error.
    pub healed: bool,
    pub counts: Counts,
    pub tracking: Tracking,
    /// The event at which servers do what they do, and their time.
    pub event: u64,
    pub now_ms: u64,
    /// What servers have done, a line each.
    pub log: Vec<String>,
}

/// Of server number `node`.
pub fn address_of(node: usize) -> String {
    format!("10.0.0.{}:7000", node + 1)
}

impl Fleet {
    pub fn new(setup: &Setup, rng: &mut Rng) -> Fleet {
        let Setup { shards, replicas, .. } = *setup;
        let count = shards * (1 + replicas);
        // The first nodes are primaries: a configuration names those.
        let shard_of = |node: usize| node % shards;
        let mut fleet = Fleet {
            setup: setup.clone(),
            nodes: Vec::new(),
            shards: Vec::new(),
            wires: Vec::new(),
            places: BTreeMap::new(),
            agenda: Vec::new(),
            calm: false,
            healed: false,
            counts: Counts::default(),
            tracking: Tracking::default(),
            event: 0,
            now_ms: 0,
            log: Vec::new(),
        };
        for shard in 0..shards {
            let members = (0..count).filter(|node| shard_of(*node) == shard).collect();
            fleet.shards.push(Shard { store: BTreeMap::new(), primary: shard, members });
        }
        for key in KEYS {
            let owner = rng.below(shards);
            let place = Place { owner, moving: None, settled: false, been: vec![owner], awaited: Vec::new() };
            fleet.places.insert(slot_of(key.as_bytes()).index(), place);
        }
        for node in 0..count {
            fleet.nodes.push(Node {
                address: address_of(node),
                shard: shard_of(node),
                up: true,
                dark: false,
                loading: false,
                cluster_down: false,
                owners: BTreeMap::new(),
                primaries: Vec::new(),
            });
        }
        fleet.all_hear();
        fleet
    }

    /// The shard of a slot.
    pub fn owner(&self, slot: usize) -> usize {
        self.places.get(&slot).map_or(slot * self.shards.len() / SLOTS, |place| place.owner)
    }

    /// The shard that has a slot as a node sees it, which knows of its own what is so.
    pub fn believed_owner(&self, node: usize, slot: usize) -> usize {
        let (owner, of) = (self.owner(slot), &self.nodes[node]);
        let believed = of.owners.get(&slot).copied().unwrap_or(owner);
        if owner == of.shard || believed == of.shard { owner } else { believed }
    }

    /// The primary of a shard as a node sees it.
    pub fn believed_primary(&self, node: usize, shard: usize) -> usize {
        let believed = self.nodes[node].primaries[shard];
        if believed == node { self.shards[shard].primary } else { believed }
    }

    pub fn is_primary(&self, node: usize) -> bool {
        self.shards[self.nodes[node].shard].primary == node
    }

    /// A node comes to know what is so.
    pub fn hear(&mut self, node: usize) {
        let owners = self.places.iter().map(|(slot, place)| (*slot, place.owner)).collect();
        let primaries = self.shards.iter().map(|shard| shard.primary).collect();
        let lacks = self.shards.iter().any(|shard| !self.nodes[shard.primary].up);
        let of = &mut self.nodes[node];
        (of.owners, of.primaries) = (owners, primaries);
        of.cluster_down = lacks && self.setup.is_cluster() && self.setup.wants_all_slots;
    }

    pub fn all_hear(&mut self) {
        (0..self.nodes.len()).for_each(|node| self.hear(node));
    }

    /// All of a shard's nodes know at once, others sooner or later.
    pub fn shard_hears(&mut self, shard: usize) {
        self.shards[shard].members.clone().into_iter().for_each(|node| self.hear(node));
    }

    /// The keys of a slot that a shard has.
    pub fn keys_of(&self, shard: usize, slot: usize) -> Vec<Vec<u8>> {
        let keys = self.shards[shard].store.keys();
        keys.filter(|key| slot_of(key).index() == slot).cloned().collect()
    }

    pub fn move_key(&mut self, key: &[u8], from: usize, to: usize) {
        // What has expired does not move: by then there may be another value where it would go.
        self.expire(from, key);
        if let Some(state) = self.shards[from].store.remove(key) {
            self.shards[to].store.insert(key.to_vec(), state);
            self.key_changes(from, key, None);
        }
    }

    pub fn plan(&mut self, due_us: u64, deed: Deed) {
        self.agenda.push((due_us, deed));
    }

    pub fn note(&mut self, event: u64, what: String) {
        self.log.push(format!("{event:6} {what}"));
    }

    /// Keys that there are.
    pub fn keys(&self) -> usize {
        let is_there = |state: &&State| state.at(self.now_ms).value.is_some();
        self.shards.iter().map(|shard| shard.store.values().filter(is_there).count()).sum()
    }

    /// Whether a shard has a key, and its time is not over.
    pub fn is_there(&self, shard: usize, key: &[u8]) -> bool {
        self.shards[shard].store.get(key).is_some_and(|state| state.at(self.now_ms).value.is_some())
    }
}

impl World {
    /// Does what is due by itself.
    pub fn keep_agenda(&mut self) {
        let now_us = self.clock_us;
        let Some(fleet) = &mut self.fleet else { return };
        let due: Vec<_> = fleet.agenda.extract_if(.., |(due_us, _)| *due_us <= now_us).collect();
        for (_, deed) in due {
            let event = self.event;
            let fleet = self.fleet.as_mut().expect("it was there");
            match deed {
                Deed::Hear { node } => fleet.hear(node),
                Deed::Loaded { node } => fleet.nodes[node].loading = false,
                Deed::MoveOn { slot } => fleet.move_on(slot, event, now_us, &mut self.rng),
                Deed::Promote { shard } => fleet.promote(shard, event),
                Deed::Rise { node } => fleet.rise(node, event),
                Deed::Connect { link, made } => self.connect_wire(link, made),
            }
            self.tell_trackers();
        }
    }
}

impl Fleet {
    fn promote(&mut self, shard: usize, event: u64) {
        if self.nodes[self.shards[shard].primary].up {
            return;
        }
        let Some(node) = self.shards[shard].members.iter().copied().find(|node| self.nodes[*node].up) else { return };
        self.counts.promoted += 1;
        self.note(event, format!("{} takes over shard {shard}", self.nodes[node].address));
        self.shards[shard].primary = node;
        self.nodes[node].loading = false;
        self.shard_hears(shard);
    }

    fn rise(&mut self, node: usize, event: u64) {
        self.note(event, format!("{} is up", self.nodes[node].address));
        (self.nodes[node].up, self.nodes[node].dark) = (true, false);
        self.all_hear();
    }
}
