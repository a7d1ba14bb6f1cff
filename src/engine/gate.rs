//! Under `fsync = always` nothing leaves a core before what it rests on is on stable storage: not replies to writes, nor
//! replies to reads that saw them, nor letters to other cores, which pass on what they saw. One position of the log
//! decides for all that a turn has to say: a turn's writes are made durable together anyway.

use super::letter::Batch;
use crate::types::{ConnId, CoreId};
use std::collections::VecDeque;

/// What leaves a core.
pub enum Departure {
    /// The output of a connection, which the shell keeps.
    Output(ConnId),
    Letters(CoreId, Box<Batch>),
}

/// What has to wait, in the order in which it will leave.
#[derive(Default)]
pub struct Gate {
    held: VecDeque<(u64, Departure)>,
    durable: u64,
    /// What rests on positions up to here does not wait for now, safe or not.
    waived: u64,
    /// Batches that are held, by core.
    letters: Vec<u32>,
}

impl Gate {
    pub fn new(cores: usize) -> Gate {
        Gate { letters: vec![0; cores], ..Gate::default() }
    }

    /// Whether what rests on this position of the log has to wait.
    #[inline]
    pub fn holds(&self, position: u64) -> bool {
        position > self.durable.max(self.waived)
    }

    /// Whether letters to a core wait, which no later ones may overtake.
    pub fn holds_letters(&self, to: CoreId) -> bool {
        self.letters[to.index()] > 0
    }

    /// Lets something wait until the log is durable up to `position`.
    pub fn hold(&mut self, position: u64, departure: Departure) {
        if let Departure::Letters(to, _) = &departure {
            self.letters[to.index()] += 1;
        }
        self.held.push_back((position, departure));
    }

    /// The log is durable up to here.
    pub fn open(&mut self, durable: u64) {
        self.durable = self.durable.max(durable);
    }

    /// The log can do nothing for what rests on positions up to here: it leaves as it is, until [`recover`](Self::recover).
    pub fn waive(&mut self, position: u64) {
        self.waived = self.waived.max(position);
    }

    /// The log takes changes again, and some of them may come to a position that was waived.
    #[inline]
    pub fn recover(&mut self) {
        self.waived = 0;
    }

    /// There is another log from now on, or none. What waits was safe, or given up: all of it may leave.
    pub fn reset(&mut self) {
        self.held.iter_mut().for_each(|(position, _)| *position = 0);
        (self.durable, self.waived) = (0, 0);
    }

    /// The next that may leave.
    pub fn let_go(&mut self) -> Option<Departure> {
        let &(position, _) = self.held.front()?;
        if self.holds(position) {
            return None;
        }
        let (_, departure) = self.held.pop_front()?;
        if let Departure::Letters(to, _) = &departure {
            self.letters[to.index()] -= 1;
        }
        Some(departure)
    }

    /// Letters that found a mailbox full: they are the first to leave once it has room.
    pub fn put_back(&mut self, to: CoreId, batch: Box<Batch>) {
        self.letters[to.index()] += 1;
        self.held.push_front((0, Departure::Letters(to, batch)));
    }

    /// Takes out all that may not leave yet: it may never be durable.
    pub fn give_up(&mut self) -> Vec<Departure> {
        let durable = self.durable;
        let (given_up, stays): (Vec<_>, Vec<_>) = self.held.drain(..).partition(|(position, _)| *position > durable);
        self.held.extend(stays);
        let given_up: Vec<Departure> = given_up.into_iter().map(|(_, departure)| departure).collect();
        for departure in &given_up {
            if let Departure::Letters(to, _) = departure {
                self.letters[to.index()] -= 1;
            }
        }
        given_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conn(index: u32) -> ConnId {
        ConnId { index, generation: 1 }
    }

    fn leaving(gate: &mut Gate) -> Vec<String> {
        std::iter::from_fn(|| gate.let_go())
            .map(|departure| match departure {
                Departure::Output(conn) => format!("output {}", conn.index),
                Departure::Letters(to, _) => format!("letters {}", to.0),
            })
            .collect()
    }

    /// A position that was waived is one like others once the log takes changes again.
    #[test]
    fn what_was_waived_is_held_again() {
        let mut gate = Gate::new(1);
        gate.waive(2);
        assert!(!gate.holds(2) && gate.holds(3));
        gate.open(1);
        assert!(!gate.holds(2), "the log has not said that it takes changes");
        gate.recover();
        assert!(!gate.holds(1) && gate.holds(2));
    }

    /// Positions of another log begin anew, and what waited for those of the last leaves.
    #[test]
    fn another_log_counts_anew() {
        let mut gate = Gate::new(2);
        gate.hold(5, Departure::Letters(CoreId(1), Box::default()));
        gate.open(5);
        gate.reset();
        assert!(gate.holds(1) && gate.holds_letters(CoreId(1)));
        assert_eq!(leaving(&mut gate), ["letters 1"]);
    }

    /// What waits leaves in its order, when its position has come; letters are known to wait until they have left.
    #[test]
    fn nothing_leaves_before_its_time() {
        let mut gate = Gate::new(2);
        assert!(!gate.holds(0) && gate.holds(1));
        gate.hold(1, Departure::Output(conn(1)));
        gate.hold(1, Departure::Letters(CoreId(1), Box::default()));
        gate.hold(2, Departure::Output(conn(2)));
        assert!(leaving(&mut gate).is_empty() && gate.holds_letters(CoreId(1)) && !gate.holds_letters(CoreId(0)));
        gate.open(1);
        assert_eq!(leaving(&mut gate), ["output 1", "letters 1"]);
        assert!(!gate.holds_letters(CoreId(1)) && !gate.holds(1) && gate.holds(2));
        gate.put_back(CoreId(1), Box::default());
        assert!(gate.holds_letters(CoreId(1)));
        gate.open(0);
        assert_eq!(leaving(&mut gate), ["letters 1"]);
        gate.hold(1, Departure::Output(conn(3)));
        assert_eq!(gate.give_up().len(), 1, "what may leave stays");
        assert_eq!(leaving(&mut gate), ["output 3"]);
        gate.open(9);
        assert!(leaving(&mut gate).is_empty());
    }
}
