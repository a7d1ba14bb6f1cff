//! Which slots of which cores a program of requests touches.

use super::super::Engine;
use super::locks::SlotSet;
use super::moves::is_move;
use crate::protocol::command::{Command, Spec};
use crate::protocol::resp::Args;
use crate::routing::slot_of;
use crate::types::{CoreId, Slot};

/// What a program needs.
#[derive(Default)]
pub struct Footprint {
    slots: Vec<Slot>,
    /// The keys of all cores.
    everything: bool,
    /// A command of it reads before it writes.
    pub moves: bool,
}

impl Footprint {
    pub fn add(&mut self, spec: &'static Spec, args: &Args) {
        use Command::{DbSize, FlushAll, FlushDb, Keys, RandomKey, Scan};
        self.everything |= matches!(spec.command, DbSize | FlushAll | FlushDb | Keys | RandomKey | Scan);
        self.moves |= is_move(spec.command);
        self.slots.extend(spec.keys.positions(args.len()).map(|at| slot_of(args.get(at))));
    }

    pub fn add_slots(&mut self, slots: &[Slot]) {
        self.slots.extend_from_slice(slots);
    }

    /// What is to be locked, core by core in order.
    pub fn locks(mut self, engine: &Engine) -> Vec<(CoreId, SlotSet)> {
        if self.everything {
            return CoreId::all(engine.cores).map(|core| (core, SlotSet::All)).collect();
        }
        self.slots.sort_unstable();
        self.slots.dedup();
        let mut locks: Vec<(CoreId, SlotSet)> = Vec::new();
        for slot in self.slots {
            let owner = engine.table.owner(slot);
            match locks.iter_mut().find(|(core, _)| *core == owner) {
                Some((_, SlotSet::These(slots))) => slots.push(slot),
                _ => locks.push((owner, SlotSet::These(vec![slot]))),
            }
        }
        locks.sort_unstable_by_key(|(core, _)| *core);
        locks
    }
}
