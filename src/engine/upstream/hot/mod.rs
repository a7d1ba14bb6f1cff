//! Owns: hot keys that other servers have: reads of them from copies, the rest of them folded, and what keeps copies true.
//! Knows: this core's links, its entries of hot keys, the cells that all cores share.
//! Must never know: which keys are hot and why; how operations combine.
//! Read first: `requests.rs` (what a request meets), `flight.rs` (a fold on its way), `coherence.rs` (why a copy is current),
//! `reads.rs` (keys that are no strings).

mod coherence;
mod flight;
mod reads;
mod requests;

pub use coherence::Fence;
pub use flight::Flight;
pub use requests::Meets;

use crate::replica::{Cell, Recent};
use crate::types::{KeyHash, Now};
use std::sync::Arc;

/// Which part of a flight a reply is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// The reply to a run, by its place in the leg.
    Run(u32),
    /// For how long the key lives.
    Life,
}

/// A copy, and the link that vouches for it; none does once that is lost.
pub struct Made {
    pub row: Option<u32>,
    /// Who has the key, and the reads that its copies had answered when that was last looked at.
    pub server: u32,
    pub hits: u64,
    pub hash: KeyHash,
    pub key: Box<[u8]>,
    pub bytes: usize,
    /// Where an old value is better than none: the reply, when it was asked for, and at which version.
    pub kept: Option<(Vec<u8>, Now, u64)>,
}

/// A write that goes its own way, or several that are one request: the cells that it holds.
#[derive(Default)]
struct Bar {
    requests: u32,
    cells: Vec<Arc<Cell>>,
}

/// See the module. One core's part.
#[derive(Default)]
pub struct Hot {
    pub flights: Vec<Option<Box<Flight>>>,
    free_flights: Vec<u32>,
    /// Flights with all replies of their leg.
    pub ripe: Vec<u32>,
    pub made: Vec<Made>,
    pub fences: Vec<Fence>,
    /// Reads that no fold takes, of hot keys.
    pub recent: Recent,
    bars: Vec<Bar>,
    free_bars: Vec<u32>,
    /// What is asked now belongs to this bar; 0: to none.
    pub bar: u32,
}

impl Hot {
    /// A write on hot keys begins that no fold has in it; answers the number of its bar.
    pub fn bar(&mut self, cells: Vec<Arc<Cell>>) -> u32 {
        cells.iter().for_each(|cell| cell.begin_write());
        let number = self.free_bars.pop().unwrap_or_else(|| {
            self.bars.push(Bar::default());
            self.bars.len() as u32
        });
        // The one reference is that of who sends its requests.
        self.bars[number as usize - 1] = Bar { requests: 1, cells };
        number
    }

    /// A write is on these too, or begins with it; answers the number of its bar.
    pub fn widen(&mut self, bar: u32, cells: Vec<Arc<Cell>>) -> u32 {
        let Some(of) = bar.checked_sub(1).map(|row| &mut self.bars[row as usize]) else { return self.bar(cells) };
        for cell in cells {
            if !of.cells.iter().any(|known| Arc::ptr_eq(known, &cell)) {
                cell.begin_write();
                of.cells.push(cell);
            }
        }
        bar
    }

    /// Another request belongs to it.
    #[inline]
    pub fn hold(&mut self, bar: u32) {
        if bar != 0 {
            self.bars[bar as usize - 1].requests += 1;
        }
    }

    /// One of its requests is answered, or all of them are sent. With the last the write ends.
    #[inline]
    pub fn release(&mut self, bar: u32) {
        if bar != 0 {
            self.release_one(bar);
        }
    }

    #[cold]
    fn release_one(&mut self, number: u32) {
        let bar = &mut self.bars[number as usize - 1];
        bar.requests -= 1;
        if bar.requests == 0 {
            bar.cells.drain(..).for_each(|cell| cell.end_write());
            self.free_bars.push(number);
        }
    }

    pub fn add(&mut self, flight: Box<Flight>) -> u32 {
        let number = self.free_flights.pop().unwrap_or_else(|| {
            self.flights.push(None);
            self.flights.len() as u32 - 1
        });
        self.flights[number as usize] = Some(flight);
        number
    }

    pub fn remove(&mut self, number: u32) -> Box<Flight> {
        self.free_flights.push(number);
        self.flights[number as usize].take().expect("a flight lands once")
    }

    pub fn flight(&mut self, number: u32) -> &mut Flight {
        self.flights[number as usize].as_mut().expect("it is under way")
    }

    pub fn in_flight(&mut self) -> impl Iterator<Item = &mut Flight> {
        self.flights.iter_mut().filter_map(|flight| flight.as_deref_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A write that became several requests ends with the last reply, whichever that is.
    #[test]
    fn a_bar_ends_with_its_last_request() {
        let (mut hot, cell) = (Hot::default(), Arc::new(Cell::shared(0)));
        let before = cell.settled();
        let bar = hot.bar(vec![Arc::clone(&cell)]);
        (0..2).for_each(|_| hot.hold(bar));
        for _ in 0..2 {
            hot.release(bar);
            assert_eq!(cell.settled(), None);
        }
        hot.release(bar);
        assert!(cell.settled().is_some() && cell.settled() != before);
        assert_eq!(hot.bar(Vec::new()), bar, "its number is free again");
    }
}
