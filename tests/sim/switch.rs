//! The log is switched off and on while the server runs, as `server/logs.rs` and `runtime/worker/storage.rs` do it, and what
//! a start would find meanwhile: the last log that was whole, or nothing, and never a half one.

use crate::disk::{Disk, DiskOptions, Standing};
use crate::history::Failure;
use crate::loading::read_all;
use crate::medium::Medium;
use crate::outlived::Found;
use crate::world::World;
use coldplate::log::{Catalog, Kind, Replay, SegmentHeader, SegmentName, Step};
use coldplate::routing::slot_of;
use coldplate::types::CoreId;
use std::collections::BTreeMap;

/// How often and how long the end waits for a log to be whole.
const LOG_RESTS_MAX: usize = 4;
const LOG_REST_US: u64 = 60_000;

/// Keys with their values and expiries.
type Keys = BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>;

/// See the module.
#[derive(Default)]
pub struct Switch {
    run: u64,
    /// What each core goes on with.
    logs: Vec<Option<DiskOptions>>,
    /// The switches of a log that is not whole; 0: it is.
    begins: u64,
    /// Cores that are still to end the last log that was whole, the keys of those that have, and whether all did well.
    ending: usize,
    ended_keys: usize,
    lasted: bool,
    /// What a start finds while there is no log, or none that is whole. None: nobody knows.
    kept: Option<Keys>,
}

impl World {
    /// Whether what is acknowledged is there after a start.
    pub fn is_logged(&self) -> bool {
        self.ledger.has_log() && self.switch.begins == 0
    }

    /// Switches the log, the one way or the other.
    pub fn switch_logs(&mut self) {
        let on = !self.ledger.has_log();
        let switches = self.ledger.next_switches(on);
        self.event += 1;
        self.reached.switches += 1;
        if !on {
            if self.switch.begins == 0 {
                let cores = self.cores.len();
                (self.switch.ending, self.switch.ended_keys, self.switch.lasted) = (cores, 0, true);
                self.switch.kept = None;
            }
            self.switch.logs.clear();
            return self.ledger.switch_log(switches);
        }
        let run = self.medium.next_run().max(self.switch.run + 1);
        let segments = self.medium.segments().iter().map(|segment| segment.name).collect();
        let found = Found { segments, unfinished: self.medium.unfinished() };
        self.medium.mark(run);
        let (segment_bytes, layout) = (self.scenario.segment_bytes, self.table.digest());
        let mut logs = Vec::new();
        for core in 0..self.cores.len() {
            let name = SegmentName { run, core: CoreId(core as u16), number: 0 };
            let first = SegmentHeader::first(name, self.rng.next(), segment_bytes as u64);
            let next = SegmentHeader { cores: self.cores.len() as u16, layout, runs_from: run, ..first };
            let (outlived, marker) = (Some(found.clone()), Some(run));
            let options =
                DiskOptions { segment_bytes, amplification: 3, earlier: Vec::new(), next, outlived, marker, switches };
            logs.push(Some(options));
        }
        (self.switch.run, self.switch.begins, self.switch.logs) = (run, switches, logs);
        self.ledger.expect_rewriting(switches);
        self.ledger.switch_log(switches);
    }

    /// Switches the log on if it is off, and lets it become whole, if its disk allows it.
    pub fn await_log(&mut self) -> Result<(), Failure> {
        self.medium.full &= self.is_logged();
        if !self.ledger.has_log() {
            self.switch_logs();
        }
        for _ in 0..LOG_RESTS_MAX {
            if self.is_logged() {
                break;
            }
            self.pass(LOG_REST_US);
            self.rest()?;
        }
        Ok(())
    }

    /// A core goes on with another log, or with none.
    pub fn follow_switch(&mut self, core: usize) {
        let (there, switches) = (&self.cores[core], self.ledger.log_switches());
        if there.log_switches == switches || there.disk.as_ref().is_some_and(Disk::waits) {
            return;
        }
        self.cores[core].log_switches = switches;
        if self.cores[core].disk.is_some() {
            self.end_log(core);
        }
        if let Some(options) = self.switch.logs.get_mut(core).and_then(Option::take) {
            self.with_disk(core, |disk, engine, hands| {
                *disk = Some(Disk::new(options, engine, hands));
                engine.begin_log();
                engine.begin_rewrite();
            });
        }
        self.note_refusals();
    }

    fn end_log(&mut self, core: usize) {
        let (lasts, was_whole) = self.with_disk(core, |disk, engine, hands| {
            let mut disk = disk.take().expect("it was there just now");
            (disk.finish(engine, hands), disk.marker.is_none())
        });
        let position = self.cores[core].engine.log_position();
        if lasts {
            self.stand(core, Standing::Up(position));
        } else if self.cores[core].given_up.is_none() {
            self.stand(core, Standing::Failed);
        }
        let there = &mut self.cores[core];
        there.engine.end_log();
        there.given_up = None;
        there.gate.reset();
        // Of a log that became whole as it was switched off nobody knows how much of it did.
        if self.switch.ending > 0 {
            self.switch.lasted &= lasts && was_whole;
            self.switch.ended_keys += self.cores[core].engine.keys();
            self.switch.ending -= 1;
            if self.switch.ending == 0 && self.switch.lasted {
                self.note_kept();
            }
        }
    }

    /// The last core has ended a log that was whole: all that they had is in it.
    fn note_kept(&mut self) {
        let kept = keys_in(&self.medium.settled());
        let now_ms = (0..self.cores.len()).map(|core| self.now(core).unix_ms()).max().unwrap_or(0);
        // What has expired was left out when the log was loaded, and is in it all the same.
        let live = |keys: &Keys| keys.values().filter(|(_, at_ms)| at_ms.is_none_or(|at_ms| at_ms > now_ms)).count();
        let had = self.switch.ended_keys;
        if self.rotten.is_none() && !kept.as_ref().is_some_and(|keys| live(keys) <= had && had <= keys.len()) {
            let text = |key: &Vec<u8>| String::from_utf8_lossy(key).into_owned();
            let found =
                kept.as_ref().map(|keys| keys.iter().map(|(key, (_, at))| (text(key), *at)).collect::<Vec<_>>());
            self.overrun = Some(format!("at {now_ms} of {had} keys in a log that was switched off are {found:?}"));
        }
        self.switch.kept = kept;
    }

    /// What the keeper has done for a log that is whole.
    pub fn hear_of_switch(&mut self) {
        for switches in self.medium.take_finished() {
            self.ledger.bury_outlived(switches);
            if switches == self.switch.begins && switches == self.ledger.log_switches() {
                self.switch.begins = 0;
                self.reached.begun_anew += 1;
            }
            // It counts from now on, whatever there was.
            self.switch.kept = None;
        }
    }

    /// Whatever ends the server now, a start finds what the last whole log had.
    pub fn look_at_disk(&mut self) {
        self.hear_of_switch();
        let Some(kept) = &self.switch.kept else { return };
        if self.is_logged() || self.rotten.is_some() || self.overrun.is_some() {
            return;
        }
        self.reached.looks += 1;
        for (how, medium) in [("killed", self.medium.written()), ("without power", self.medium.settled())] {
            let found = keys_in(&medium);
            if found.as_ref() != Some(kept) {
                let (found, kept) = (found.map(|keys| keys.len()), kept.len());
                self.overrun = Some(format!("{how}, a server finds {found:?} keys where {kept} were kept"));
                return;
            }
        }
    }

    /// The server has begun anew, with all of its log.
    pub fn forget_switch(&mut self) {
        self.switch = Switch { run: self.switch.run, ..Switch::default() };
    }
}

/// What a start makes of a disk; none if it refuses it.
fn keys_in(medium: &Medium) -> Option<Keys> {
    let mut keys = Keys::new();
    for chain in Catalog::new(medium.segments(), &medium.unfinished()).ok()?.chains {
        let read = read_all(&mut Replay::new(chain), medium, |step| {
            let Step::Frame(frame) = step else { return };
            for record in frame.records() {
                match record.kind {
                    Kind::Put => drop(keys.insert(record.key.to_vec(), (record.value.to_vec(), record.expiry_ms))),
                    Kind::Remove => drop(keys.remove(record.key)),
                    Kind::Clear => keys.retain(|key, _| {
                        let slot = slot_of(key).index();
                        record.value.get(slot / 8).is_none_or(|byte| byte >> (slot % 8) & 1 == 0)
                    }),
                }
            }
        });
        read.ok()?;
    }
    Some(keys)
}
