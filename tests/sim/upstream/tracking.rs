//! CLIENT TRACKING as servers have it: who has asked for which key, and what they are told when it changes; and what
//! somebody writes past the router, of which it hears in no other way.
//!
//! Where nobody does, a key is linearizable whatever copies there are. Of a key that is written past the router a read may be
//! old: until all who were to be told of the change have heard of it, or their connections are gone.

use super::fleet::Fleet;
use crate::history::{Failure, Record};
use crate::model::{Action, Bytes, Only, Until};
use crate::request::{KEYS, TOTAL};
use crate::resp::Reply;
use crate::swarm::Hazard;
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};

/// Something that a connection is told, and when its core has heard of it.
struct Told {
    link: usize,
    key: Vec<u8>,
    heard: Option<u64>,
}

/// A key's value, from an event on.
struct Version {
    value: Option<Bytes>,
    from: u64,
    /// What came then was written past the router; and who was told of it, by the places in the list.
    past: bool,
    told: std::ops::Range<usize>,
}

#[derive(Default)]
pub struct Tracking {
    /// Connections by their links, with keys.
    interest: BTreeSet<(usize, Vec<u8>)>,
    told: Vec<Told>,
    /// Those that are still to be written to their connections.
    news: Vec<usize>,
    /// All that keys ever held, and which shard has each.
    versions: BTreeMap<Vec<u8>, Vec<Version>>,
    homes: BTreeMap<Vec<u8>, usize>,
}

impl Fleet {
    /// A connection has asked for a key.
    pub fn remember(&mut self, wire: usize, key: &[u8]) {
        self.tracking.interest.insert((self.wires[wire].link, key.to_vec()));
    }

    /// Does something to a key, for a connection or past all of them.
    pub fn act(&mut self, shard: usize, key: Vec<u8>, action: &Action, by: Option<usize>) -> Reply {
        self.expire(shard, &key);
        let store = &mut self.shards[shard].store;
        let old = store.get(&key).cloned().unwrap_or_default();
        let (state, reply) = old.apply(self.now_ms, action);
        if by.is_some() {
            self.tracking.homes.insert(key.clone(), shard);
        }
        if state == old {
            return reply;
        }
        match &state.value {
            None => store.remove(&key),
            Some(_) => store.insert(key.clone(), state.clone()),
        };
        let first = self.tracking.told.len();
        self.key_changes(shard, &key, by);
        let version =
            Version { value: state.value, from: self.event, past: by.is_none(), told: first..self.tracking.told.len() };
        let versions = self.tracking.versions.entry(key).or_default();
        versions.push(version);
        reply
    }

    /// A key whose time is over is noticed when it is asked for, and all are told who have asked for it.
    pub fn expire(&mut self, shard: usize, key: &[u8]) {
        let store = &mut self.shards[shard].store;
        if store.get(key).is_some_and(|state| state.at(self.now_ms).value.is_none()) {
            store.remove(key);
            self.counts.expired += 1;
            self.key_changes(shard, key, None);
        }
    }

    /// Tells all who have asked a shard for a key, but for the one that has changed it.
    pub fn key_changes(&mut self, shard: usize, key: &[u8], by: Option<usize>) {
        let of = |(link, _): &&(usize, Vec<u8>)| {
            self.wires.iter().any(|wire| wire.link == *link && self.nodes[wire.node].shard == shard)
        };
        let gone: Vec<_> = self.tracking.interest.iter().filter(|(_, of)| of == key).filter(of).cloned().collect();
        for row in gone {
            self.tracking.interest.remove(&row);
            if by.is_none_or(|wire| self.wires[wire].link != row.0) {
                self.tracking.news.push(self.tracking.told.len());
                self.tracking.told.push(Told { link: row.0, key: row.1, heard: None });
            }
        }
    }

    /// A core has heard of something.
    pub fn heard(&mut self, told: usize, event: u64) {
        self.tracking.told[told].heard.get_or_insert(event);
    }

    /// A core knows that a connection is gone.
    pub fn knows_gone(&mut self, link: usize, event: u64) {
        self.tracking.interest.retain(|(of, _)| *of != link);
        for told in self.tracking.told.iter_mut().filter(|told| told.link == link) {
            told.heard.get_or_insert(event);
        }
    }

    /// Keys that somebody has written past the router.
    pub fn keys_written_past(&self) -> Vec<usize> {
        let past = |key: &&str| {
            self.tracking.versions.get(key.as_bytes()).is_some_and(|versions| versions.iter().any(|of| of.past))
        };
        (0..KEYS.len()).filter(|key| past(&KEYS[*key])).collect()
    }

    /// Whether each read of those keys shows what was there, or was there until it could be known that it is no more.
    pub fn check_past(&self, records: &[Record]) -> Result<(), Failure> {
        for key in self.keys_written_past() {
            for record in records {
                let (Some(asked), Some(answered), Some(reply)) = (record.asked, record.answered, &record.reply) else {
                    continue;
                };
                let answers = record.request.parts.iter().zip(record.request.answers(reply));
                for (_, answer) in answers.filter(|((part, action), _)| *part == key && matches!(action, Action::Get)) {
                    let shown = match answer {
                        Some(Reply::Bulk(value)) => Some(value),
                        Some(Reply::Null) => None,
                        _ => continue,
                    };
                    if !self.may_show(key, shown.as_deref(), (asked, answered), records) {
                        let what = format!(
                            "{} at event {asked} to {answered} shows what was known to be old",
                            record.request.text()
                        );
                        return Err(Failure { what, trace: String::new() });
                    }
                }
            }
        }
        Ok(())
    }

    fn may_show(&self, key: usize, shown: Option<&[u8]>, (asked, answered): (u64, u64), records: &[Record]) -> bool {
        let versions = &self.tracking.versions[KEYS[key].as_bytes()];
        if shown.is_none() && asked <= self.known_by(key, &versions[0], records) {
            return true;
        }
        // The last of several SETs may be all that a server sees of them.
        let writes = |record: &&Record| {
            let sets = |(part, action): &(usize, Action)| {
                *part == key && matches!(action, Action::Set { value, .. } if Some(&**value) == shown)
            };
            record.request.parts.iter().any(sets)
        };
        let beside = |record: &Record| {
            record.asked.is_some_and(|at| at <= answered) && record.answered.is_none_or(|at| at >= asked)
        };
        if records.iter().filter(writes).any(beside) {
            return true;
        }
        versions.iter().enumerate().any(|(at, version)| {
            let until = versions.get(at + 1).map_or(u64::MAX, |next| self.known_by(key, next, records));
            version.value.as_deref() == shown && version.from <= answered && asked <= until
        })
    }

    /// From which event on nobody may be shown what was there before a version.
    fn known_by(&self, key: usize, version: &Version, records: &[Record]) -> u64 {
        if version.past {
            let told = &self.tracking.told[version.told.clone()];
            return told.iter().map(|told| told.heard.unwrap_or(u64::MAX)).max().unwrap_or(0).max(version.from);
        }
        // It may be any of the writes that were under way then.
        let writes = records.iter().filter(|record| {
            let on_key = record.request.parts.iter().any(|(part, action)| *part == key && !action.is_look());
            on_key && record.asked.is_some_and(|asked| asked <= version.from)
        });
        let ends = writes
            .map(|record| record.answered.filter(|_| record.fate != crate::history::Fate::Unknown).unwrap_or(u64::MAX));
        ends.filter(|end| *end >= version.from).max().unwrap_or(version.from)
    }
}

impl World {
    /// Writes what was told to the connections, each behind what is there; some of it later.
    pub fn tell_trackers(&mut self) {
        let fleet = self.fleet.as_mut().expect("there are servers");
        for number in std::mem::take(&mut fleet.tracking.news) {
            let Told { link, key, .. } = &fleet.tracking.told[number];
            let Some(wire) = fleet.wires.iter_mut().find(|wire| wire.link == *link && !wire.over) else { continue };
            let mut push = format!(">2\r\n$10\r\ninvalidate\r\n*1\r\n${}\r\n", key.len()).into_bytes();
            push.extend_from_slice(key);
            push.extend_from_slice(b"\r\n");
            let delay_us = if self.rng.chance(40) { self.rng.between(1, 20_000) as u64 } else { 0 };
            fleet.counts.pushes += 1;
            wire.says(self.clock_us + delay_us, push, Some(number));
        }
    }

    /// Somebody writes to a server past the router.
    pub fn write_past(&mut self) {
        use Hazard::{Circles, Failover, Migration, Moves, Onward};
        let event = self.event;
        let fleet = self.fleet.as_mut().expect("there are servers");
        if fleet.setup.has_any(&[Moves, Onward, Migration, Circles, Failover]) {
            return;
        }
        let key = self.rng.between(1, KEYS.len() - 1);
        let name = KEYS[key].as_bytes().to_vec();
        let Some(shard) = fleet.tracking.homes.get(&name).copied() else { return };
        debug_assert_ne!(key, TOTAL);
        if !fleet.nodes[fleet.shards[shard].primary].up {
            return;
        }
        let action = match self.rng.below(3) {
            0 => Action::Del,
            _ => {
                let value = format!("past{event}.{}", self.rng.below(1000)).into_bytes().into();
                Action::Set { value, until: Until::Forever, only: Only::Always }
            }
        };
        fleet.event = event;
        fleet.note(event, format!("{action:?} of {} past the router", KEYS[key]));
        fleet.act(shard, name, &action, None);
        fleet.counts.past += 1;
        self.tell_trackers();
    }
}
