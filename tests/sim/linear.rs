//! Is there an order in which one key alone, doing these operations one after the other, would have answered so?
//!
//! The search of Wing and Gong with Lowe's memory: take any operation that was asked before every open one was
//! answered, do it, go on; a place met before (how far each connection is, and the state) is not searched again. The
//! operations of one connection happen in their order, which is promised and makes places few.
//!
//! Expiry makes time a choice: an operation may happen at any reading of the clock between its question and its
//! answer, and readings never go back along the order.

use crate::model::{Action, State};
use crate::resp::Reply;
use std::collections::HashSet;
use std::ops::RangeInclusive;

/// Places after which a search is given up. Random histories take a few per operation.
const PLACES_MAX: usize = 20_000;

/// One operation on the key.
#[derive(Clone, Debug)]
pub struct Operation {
    pub conn: usize,
    pub action: Action,
    /// When its last byte was delivered, in events of the world.
    pub asked: u64,
    /// When its whole reply was read; none if the client never saw it: it may have happened, or not.
    pub answered: Option<u64>,
    /// What it answered, as far as that is known.
    pub answer: Option<Reply>,
    /// The clock readings, by index, that it can have happened at.
    pub readings: RangeInclusive<usize>,
    /// It is one part of a request, of which others may have been refused.
    pub is_part: bool,
    /// Its answer was lost, and may have been that it cannot be done; what was asked behind it may have been done.
    pub may_be_refused: bool,
}

impl Operation {
    /// Whether it reads, or is known to have changed nothing.
    fn is_only_a_look(&self) -> bool {
        match (&self.action, &self.answer) {
            (Action::Get | Action::Exists | Action::PTtl | Action::PExpireTime, _) => true,
            (_, Some(answer)) if answer.is_refusal() => !self.is_part,
            (Action::GetSet(_), _) => false,
            (_, answer) => matches!(answer, Some(Reply::Int(0) | Reply::Null | Reply::Error(_))),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Linearizable,
    Impossible,
    /// The search was given up.
    Undecided,
}

/// How far a search is.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Place {
    /// Operations done, by connection.
    done: Vec<u32>,
    state: State,
    /// The clock reading of the last operation.
    reading: usize,
}

struct Search<'a> {
    /// The operations of each connection in their order.
    lanes: Vec<Vec<&'a Operation>>,
    clock_ms: &'a [u64],
    /// Memory is short: a key may vanish at any time, and no other.
    evicts: bool,
}

/// Checks the operations on one key; `clock_ms` are the readings of the clock, ascending. Those of a connection
/// stand in their order. With `evicts` a key may vanish at any time, but never turn back into what it was.
pub fn check(operations: &[Operation], clock_ms: &[u64], evicts: bool) -> Verdict {
    let mut conns: Vec<usize> = operations.iter().map(|operation| operation.conn).collect();
    conns.sort_unstable();
    conns.dedup();
    let lane = |conn: &usize| operations.iter().filter(|operation| operation.conn == *conn).collect();
    Search { lanes: conns.iter().map(lane).collect(), clock_ms, evicts }.run()
}

/// The answer, by its event, without which the history so far could still be explained: where to start reading.
pub fn first_impossible(operations: &[Operation], clock_ms: &[u64], evicts: bool) -> Option<u64> {
    let mut events: Vec<u64> = operations.iter().filter_map(|operation| operation.answered).collect();
    events.sort_unstable();
    let known = |until: &u64| check(&up_to(operations, *until), clock_ms, evicts);
    let at = events.partition_point(|until| known(until) != Verdict::Impossible);
    events.get(at).copied()
}

/// The history as it was known at an event.
fn up_to(operations: &[Operation], until: u64) -> Vec<Operation> {
    let mut known: Vec<Operation> = operations.iter().filter(|operation| operation.asked <= until).cloned().collect();
    for operation in known.iter_mut().filter(|operation| operation.answered.is_some_and(|event| event > until)) {
        (operation.answered, operation.answer) = (None, None);
    }
    known
}

impl<'a> Search<'a> {
    fn run(&self) -> Verdict {
        let start = Place { done: vec![0; self.lanes.len()], state: State::default(), reading: 0 };
        let mut seen = HashSet::from([start.clone()]);
        let mut open = vec![start];
        while let Some(place) = open.pop() {
            if self.is_complete(&place) {
                return Verdict::Linearizable;
            }
            if seen.len() > PLACES_MAX {
                return Verdict::Undecided;
            }
            for next in self.nexts(&place) {
                if seen.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
        Verdict::Impossible
    }

    fn next(&self, place: &Place, lane: usize) -> Option<&'a Operation> {
        self.lanes[lane].get(place.done[lane] as usize).copied()
    }

    /// Whether every operation that was answered is done.
    fn is_complete(&self, place: &Place) -> bool {
        (0..self.lanes.len()).all(|lane| self.next(place, lane).is_none_or(|operation| operation.answered.is_none()))
    }

    /// The places one operation further, the most promising last.
    fn nexts(&self, place: &Place) -> Vec<Place> {
        let answered = |lane| self.next(place, lane).and_then(|operation| operation.answered).unwrap_or(u64::MAX);
        let first_answer = (0..self.lanes.len()).map(answered).min().unwrap_or(u64::MAX);
        let mut lanes: Vec<usize> = (0..self.lanes.len())
            .filter(|lane| self.next(place, *lane).is_some_and(|operation| operation.asked <= first_answer))
            .collect();
        lanes.sort_unstable_by_key(|lane| std::cmp::Reverse(answered(*lane)));
        let mut nexts = Vec::new();
        for lane in lanes {
            let operation = self.next(place, lane).expect("lanes without a next one were left out");
            for (state, reading) in self.outcomes(place, operation) {
                let mut done = place.done.clone();
                done[lane] += 1;
                // What changes nothing whenever it happens, and moves no time, can as well happen now: no choice is lost.
                let harmless = reading == place.reading && state == place.state && operation.is_only_a_look();
                let next = Place { done, state, reading };
                if harmless {
                    return vec![next];
                }
                nexts.push(next);
            }
        }
        nexts
    }

    /// The states behind an operation that fit its answer, each with the earliest reading that leads there.
    fn outcomes(&self, place: &Place, operation: &Operation) -> Vec<(State, usize)> {
        let mut outcomes: Vec<(State, usize)> = Vec::new();
        for reading in place.reading.max(*operation.readings.start())..=*operation.readings.end() {
            let there = place.state.at(self.clock_ms[reading]);
            let vanished = (self.evicts && there.value.is_some()).then(State::default);
            for before in [Some(there), vanished].into_iter().flatten() {
                for state in self.states_behind(&before, reading, operation) {
                    if outcomes.iter().all(|(known, _)| *known != state) {
                        outcomes.push((state, reading));
                    }
                }
            }
            if !operation.action.is_timed() && place.state.deadline_ms.is_none_or(|at| at <= self.clock_ms[reading]) {
                break;
            }
        }
        outcomes
    }
}

impl Search<'_> {
    /// The states that an operation can lead to from one, if it fits there.
    fn states_behind(&self, before: &State, reading: usize, operation: &Operation) -> Vec<State> {
        let (state, reply) = before.apply(self.clock_ms[reading], &operation.action);
        match &operation.answer {
            // A refused write has done nothing; of several in one request some may have been done.
            Some(answer) if answer.is_refusal() && operation.is_part => vec![before.clone(), state],
            Some(answer) if answer.is_refusal() => vec![before.clone()],
            Some(answer) if *answer != reply => Vec::new(),
            None if operation.may_be_refused && state != *before => vec![before.clone(), state],
            _ => vec![state],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Only, Until};

    fn op(conn: usize, action: Action, asked: u64, answered: u64, answer: Reply) -> Operation {
        let (answered, answer) = (Some(answered), Some(answer));
        Operation { conn, action, asked, answered, answer, readings: 0..=0, is_part: false, may_be_refused: false }
    }
    fn set(value: &[u8], until: Until) -> Action {
        Action::Set { value: value.into(), until, only: Only::Always }
    }
    fn bulk(value: &[u8]) -> Reply {
        Reply::Bulk(value.to_vec())
    }

    /// Two writes at once may happen either way round, but both readers must agree on it.
    #[test]
    fn concurrent_writes_take_either_order_but_one() {
        let writes =
            [op(0, set(b"a", Until::Forever), 1, 9, Reply::ok()), op(1, set(b"b", Until::Forever), 2, 8, Reply::ok())];
        let reads = |first: &[u8], second: &[u8]| {
            let reads = [op(2, Action::Get, 10, 11, bulk(first)), op(3, Action::Get, 12, 13, bulk(second))];
            [&writes[..], &reads].concat()
        };
        assert_eq!(check(&reads(b"a", b"a"), &[0], false), Verdict::Linearizable);
        assert_eq!(check(&reads(b"b", b"b"), &[0], false), Verdict::Linearizable);
        assert_eq!(check(&reads(b"a", b"b"), &[0], false), Verdict::Impossible);
    }

    /// A read that begins after a write was answered must see it.
    #[test]
    fn a_stale_read_is_impossible() {
        let history = [op(0, set(b"a", Until::Forever), 1, 2, Reply::ok()), op(1, Action::Get, 3, 4, Reply::Null)];
        assert_eq!(check(&history, &[0], false), Verdict::Impossible);
    }

    /// An operation whose reply was never seen may have happened, or not.
    #[test]
    fn an_unanswered_write_may_or_may_not_be_seen() {
        for seen in [bulk(b"a"), Reply::Null] {
            let mut lost = op(0, set(b"a", Until::Forever), 1, 2, Reply::ok());
            (lost.answered, lost.answer) = (None, None);
            assert_eq!(check(&[lost, op(1, Action::Get, 3, 4, seen)], &[0], false), Verdict::Linearizable);
        }
    }

    /// Where memory is short a key may vanish, but not come back, and a refused write was not done.
    #[test]
    fn an_evicted_key_stays_away() {
        let write = op(0, set(b"a", Until::Forever), 1, 2, Reply::ok());
        let gone = op(1, Action::Get, 3, 4, Reply::Null);
        let back = op(1, Action::Get, 5, 6, bulk(b"a"));
        let refused = op(2, set(b"b", Until::Forever), 3, 4, Reply::Error("OOM command not allowed".into()));
        let new = op(1, Action::Get, 5, 6, bulk(b"b"));
        assert_eq!(check(&[write.clone(), gone.clone()], &[0], false), Verdict::Impossible);
        assert_eq!(check(&[write.clone(), gone.clone()], &[0], true), Verdict::Linearizable);
        assert_eq!(check(&[write.clone(), gone, back.clone()], &[0], true), Verdict::Impossible);
        assert_eq!(check(&[write.clone(), refused.clone(), back], &[0], false), Verdict::Linearizable);
        assert_eq!(check(&[write.clone(), refused.clone(), new.clone()], &[0], true), Verdict::Impossible);
        let part = Operation { is_part: true, ..refused };
        assert_eq!(check(&[write, part, new], &[0], true), Verdict::Linearizable);
    }

    /// The operations of one connection keep their order even when all are under way together.
    #[test]
    fn a_pipeline_keeps_its_order() {
        let history = [op(0, Action::Get, 1, 8, bulk(b"a")), op(0, set(b"a", Until::Forever), 2, 9, Reply::ok())];
        assert_eq!(check(&history, &[0], false), Verdict::Impossible);
    }

    /// A removal whose answer is unknown may be the one that a later reader needs, though nothing was there at first.
    #[test]
    fn an_unknown_answer_is_kept_for_later() {
        let mut removal = op(2, Action::Del, 1, 9, Reply::Int(0));
        removal.answer = None;
        let history = [
            removal,
            op(0, set(b"a", Until::Forever), 2, 3, Reply::ok()),
            op(0, Action::Get, 4, 5, bulk(b"a")),
            op(1, Action::Get, 6, 7, Reply::Null),
        ];
        assert_eq!(check(&history, &[0], false), Verdict::Linearizable);
    }

    /// A key is gone from its deadline on and not a reading of the clock before.
    #[test]
    fn expiry_takes_effect_at_its_time() {
        let clock_ms = [100, 105, 110];
        let history = |reading: usize, answer: Reply| {
            let write = op(0, set(b"a", Until::AfterMs(10)), 1, 2, Reply::ok());
            let mut read = op(1, Action::Get, 3, 4, answer);
            read.readings = reading..=reading;
            [write, read]
        };
        assert_eq!(check(&history(1, bulk(b"a")), &clock_ms, false), Verdict::Linearizable);
        assert_eq!(check(&history(1, Reply::Null), &clock_ms, false), Verdict::Impossible);
        assert_eq!(check(&history(2, Reply::Null), &clock_ms, false), Verdict::Linearizable);
        assert_eq!(check(&history(2, bulk(b"a")), &clock_ms, false), Verdict::Impossible);
    }
}
