//! Locks go on as those of a plain model do, which goes through all that is held and all that waits at each look.

use super::super::letter::Ticket;
use super::locks::{Holder, LockRequest, Locks, SlotSet, Waiting, WaitingRequest};
use crate::protocol::command::Command;
use crate::protocol::resp::{OwnedArgs, Proto};
use crate::types::{ConnId, CoreId, KeyHash, Slot};
use proptest::prelude::*;

const CORE: CoreId = CoreId(1);

fn conn(index: u32) -> ConnId {
    ConnId { index, generation: 0 }
}

/// A lock of some slots, or of all, by its number; or an operation on one slot, or on all keys.
#[derive(Clone, Debug)]
enum Who {
    Lock(Vec<u16>, u32),
    Request(Option<u16>, u32),
}

impl Who {
    /// Whether it stands behind one that waits before it.
    fn is_behind(&self, earlier: &Who) -> bool {
        match (self, earlier) {
            (Who::Lock(slots, _), Who::Lock(others, _)) => meet(slots, others),
            (Who::Lock(_, client), Who::Request(_, other)) => client == other,
            (Who::Request(slot, client), Who::Request(other_slot, other)) => {
                client == other && (slot.is_none() || other_slot.is_none())
            }
            (Who::Request(..), Who::Lock(..)) => false,
        }
    }

    fn is_locked_out(&self, held: &[u16]) -> bool {
        match self {
            Who::Lock(slots, _) => meet(slots, held),
            Who::Request(slot, _) => slot.is_some_and(|slot| meet(&[slot], held)),
        }
    }

    fn real(&self, mark: u32) -> Waiting {
        match self {
            Who::Lock(slots, client) => Waiting::Lock(
                CORE,
                LockRequest { number: mark, conn: conn(*client), slots: set(slots), waits: true, watches: false },
            ),
            Who::Request(slot, client) => Waiting::Request(WaitingRequest {
                from: CORE,
                ticket: Ticket::new(conn(*client), mark, 0),
                proto: Proto::Resp2,
                heed: 0,
                command: if slot.is_some() { Command::Get } else { Command::DbSize },
                slot: Slot(slot.unwrap_or(0)),
                hash: KeyHash(0),
                args: OwnedArgs::default(),
            }),
        }
    }
}

/// No slots stand for all.
fn set(slots: &[u16]) -> SlotSet {
    if slots.is_empty() { SlotSet::All } else { SlotSet::These(slots.iter().map(|slot| Slot(*slot)).collect()) }
}

const ALL: u16 = u16::MAX;

fn meet(slots: &[u16], held: &[u16]) -> bool {
    let any = slots.is_empty() || slots.iter().any(|slot| held.contains(slot));
    !held.is_empty() && (any || held.contains(&ALL))
}

fn mark_of(waiting: &Waiting) -> u32 {
    match waiting {
        Waiting::Lock(_, lock) => lock.number,
        Waiting::Request(request) => request.ticket.slot,
        Waiting::Fold(..) => unreachable!("none was put in"),
    }
}

/// See the module.
#[derive(Default)]
struct Model {
    held: Vec<(u32, Vec<u16>)>,
    queue: Vec<(u32, Who)>,
}

impl Model {
    fn held_slots(&self) -> Vec<u16> {
        let slots = |slots: &Vec<u16>| if slots.is_empty() { vec![ALL] } else { slots.clone() };
        self.held.iter().flat_map(|(_, held)| slots(held)).collect()
    }

    fn must_wait(&self, who: &Who) -> bool {
        who.is_locked_out(&self.held_slots()) || self.queue.iter().any(|(_, earlier)| waits_behind(who, earlier))
    }

    fn take_ready(&mut self) -> Vec<u32> {
        let mut ready = Vec::new();
        for (mark, who) in std::mem::take(&mut self.queue) {
            if self.must_wait(&who) {
                self.queue.push((mark, who));
                continue;
            }
            ready.push(mark);
            if let Who::Lock(slots, _) = who {
                self.held.push((mark, slots));
            }
        }
        ready
    }
}

/// Locks of all slots meet whatever waits for any.
fn waits_behind(who: &Who, earlier: &Who) -> bool {
    match (who, earlier) {
        (Who::Lock(..), Who::Lock(others, _)) if others.is_empty() => true,
        _ => who.is_behind(earlier),
    }
}

fn who() -> impl Strategy<Value = Who> {
    let slots = prop::collection::btree_set(0u16..6, 0..3).prop_map(|slots| slots.into_iter().collect::<Vec<u16>>());
    let lock = (slots, 0u32..8).prop_map(|(slots, client)| Who::Lock(slots, client));
    let request =
        (prop::option::weighted(0.85, 0u16..6), 0u32..8).prop_map(|(slot, client)| Who::Request(slot, client));
    prop_oneof![lock, request]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whoever comes waits or not, and goes on, as in the model; `Err` releases one of the locks that are held.
    #[test]
    fn locks_are_those_of_the_model(steps in prop::collection::vec(prop::result::maybe_err(who(), 0usize..8), 1..80)) {
        let (mut locks, mut model) = (Locks::default(), Model::default());
        for (mark, step) in (0u32..).zip(steps) {
            match step {
                Ok(who) => {
                    let waits = match &who {
                        Who::Lock(slots, client) => locks.is_in_the_way(&set(slots), (CORE, conn(*client))),
                        Who::Request(slot, client) => locks.must_wait(CORE, conn(*client), slot.map(Slot)),
                    };
                    prop_assert_eq!(waits, model.must_wait(&who), "{:?}", who);
                    match who {
                        who if waits => {
                            locks.wait(who.real(mark));
                            model.queue.push((mark, who));
                        }
                        Who::Lock(slots, _) => {
                            locks.hold(Holder { core: CORE, number: mark }, set(&slots));
                            model.held.push((mark, slots));
                        }
                        Who::Request(..) => {}
                    }
                }
                Err(choice) if !model.held.is_empty() => {
                    let (number, _) = model.held.swap_remove(choice % model.held.len());
                    locks.release(Holder { core: CORE, number });
                    let ready: Vec<u32> = locks.take_ready().iter().map(mark_of).collect();
                    prop_assert_eq!(ready, model.take_ready());
                }
                Err(_) => {}
            }
            prop_assert_eq!(locks.is_idle(), model.held.is_empty());
        }
    }
}
