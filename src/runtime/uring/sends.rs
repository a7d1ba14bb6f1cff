//! Payloads in flight: the kernel reads them, so nobody else may move, change or free them until it is done.

use super::completion::Payload;
use io_uring::cqueue;
use std::ops::Range;
use std::sync::Arc;

/// The most bytes that one send takes, as for any `write` on Linux.
const SEND_BYTES_MAX: usize = 0x7fff_f000;
const NONE: u32 = u32::MAX;

/// A slab of payloads; its indices travel as user data. Grows to the most sends ever in flight, then allocates no more.
#[derive(Default)]
pub(super) struct Sends {
    slots: Vec<Slot>,
    /// The first of the chain of free slots, plus one; 0 ends it.
    free: u32,
    busy: usize,
}

enum Slot {
    Free { next: u32 },
    Busy(InFlight),
}

struct InFlight {
    token: u64,
    payload: Payload,
    /// A zero-copy send's result, until its notification lets the payload go.
    result: i32,
    /// The owner knows the result; what is here is a share that the kernel still reads.
    told: bool,
}

/// A send whose result is there.
pub(super) struct Finished {
    pub token: u64,
    pub payload: Payload,
    pub result: i32,
}

/// What the submission entry of a new send needs.
pub(super) struct Started {
    pub index: u32,
    pub start: *const u8,
    pub bytes: u32,
}

impl Sends {
    /// Takes the payload, at least until `complete` returns it. The pointer stays valid that long: the slab never touches a
    /// payload, and moving a `Vec` or `Arc` (when the slab grows) does not move the bytes that it owns.
    ///
    /// # Panics
    /// If the range does not lie in the payload.
    pub fn start(&mut self, token: u64, payload: Payload, range: Range<usize>) -> Started {
        // Before a slot is taken, so that a caller's mistake strands nothing.
        assert!(range.start <= range.end && range.end <= payload.as_slice().len(), "{range:?} is not in the payload");
        let index = self.vacate();
        let slot = &mut self.slots[index as usize];
        *slot = Slot::Busy(InFlight { token, payload, result: 0, told: false });
        let Slot::Busy(send) = slot else { unreachable!("assigned in the line above") };
        let bytes = &send.payload.as_slice()[range];
        self.busy += 1;
        Started { index, start: bytes.as_ptr(), bytes: bytes.len().min(SEND_BYTES_MAX) as u32 }
    }

    /// Accounts for one completion of a send; returns what its owner is to know, once.
    ///
    /// A zero-copy send has two: its result, and the notification that the kernel is done with the payload, which waits for
    /// the peer's acknowledgement, 40 ms where that is delayed. A shared payload's owner is told with the first, so that
    /// what follows is not held up; a share stays here. An owned payload comes back with the second.
    pub fn complete(&mut self, index: u32, result: i32, flags: u32) -> Option<Finished> {
        let slot = &mut self.slots[index as usize];
        let Slot::Busy(send) = slot else { panic!("a completion for send {index}, which is not in flight") };
        if !cqueue::notif(flags) {
            send.result = result;
            if cqueue::more(flags) {
                let Payload::Shared(value) = &send.payload else { return None };
                send.told = true;
                return Some(Finished { token: send.token, payload: Payload::Shared(Arc::clone(value)), result });
            }
        }
        let Slot::Busy(send) = std::mem::replace(slot, Slot::Free { next: self.free }) else {
            unreachable!("matched above")
        };
        self.free = index + 1;
        self.busy -= 1;
        (!send.told).then_some(Finished { token: send.token, payload: send.payload, result: send.result })
    }

    pub fn in_flight(&self) -> usize {
        self.busy
    }

    fn vacate(&mut self) -> u32 {
        if self.free == 0 {
            let index = u32::try_from(self.slots.len()).ok().filter(|&index| index < NONE);
            self.slots.push(Slot::Free { next: 0 });
            return index.expect("fewer sends than descriptors, and those are fewer than 2^32");
        }
        let index = self.free - 1;
        let Slot::Free { next } = self.slots[index as usize] else { panic!("slot {index} is free and busy") };
        self.free = next;
        index
    }
}
