//! Is there an order in which one server alone, doing these steps one after the other, would have answered so?
//!
//! The search of `linear.rs`, over all keys at once: a transaction is one step. The steps of one connection on the same
//! key happen in their order; those on different keys may be under way together.

use crate::deed::{KeySet, Op};
use crate::resp::Reply;
use crate::whole::{Whole, is_look_all};
use std::collections::HashSet;

/// Places after which a search is given up.
const PLACES_MAX: usize = 40_000;

#[derive(Clone, Debug)]
pub enum Kind {
    Plain(Op),
    /// The commands, and the keys that are watched until then.
    Exec(Vec<Op>, KeySet),
    Watch(usize),
    /// One key each: it happens where the client is, and brings nothing else into an order.
    Unwatch(KeySet),
}

/// What happens at once, or seems to.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its connection.
    pub lane: usize,
    pub kind: Kind,
    /// All keys that it has to do with.
    pub keys: KeySet,
    /// When its last byte was delivered, and when its whole reply was read, in events of the world. What was not answered
    /// may have happened, or not.
    pub asked: u64,
    pub answered: Option<u64>,
    pub answer: Option<Reply>,
    /// The clock at both.
    pub clock_ms: (u64, u64),
    /// Its answer was lost, and may have been that it cannot be done; what was asked behind it may have been done.
    pub may_be_refused: bool,
    /// Meanwhile what all keys are together was not known, since some of them may not last.
    pub is_vague: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Serializable,
    Impossible,
    /// The search was given up.
    Undecided,
}

/// How far a search is: which steps are done, and what they led to.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Place {
    done: Vec<u64>,
    whole: Whole,
}

impl Place {
    fn is_done(&self, step: usize) -> bool {
        self.done[step / 64] & 1 << (step % 64) != 0
    }
}

struct Search<'a> {
    steps: &'a [Step],
    /// For each step the earlier ones of its connection that come before it.
    before: Vec<Vec<usize>>,
}

/// Checks steps that stand in the order in which they were asked.
pub fn check(steps: &[Step]) -> Verdict {
    let before = |step: usize| {
        let Step { lane, keys, .. } = steps[step];
        (0..step).filter(|earlier| steps[*earlier].lane == lane && steps[*earlier].keys & keys != 0).collect()
    };
    Search { steps, before: (0..steps.len()).map(before).collect() }.run()
}

/// The answer, by its event, without which the history so far could still be explained.
pub fn first_impossible(steps: &[Step]) -> Option<u64> {
    let mut events: Vec<u64> = steps.iter().filter_map(|step| step.answered).collect();
    events.sort_unstable();
    let at = events.partition_point(|until| check(&up_to(steps, *until)) != Verdict::Impossible);
    events.get(at).copied()
}

/// The history as it was known at an event.
fn up_to(steps: &[Step], until: u64) -> Vec<Step> {
    let mut known: Vec<Step> = steps.iter().filter(|step| step.asked <= until).cloned().collect();
    for step in known.iter_mut().filter(|step| step.answered.is_some_and(|event| event > until)) {
        (step.answered, step.answer) = (None, None);
    }
    known
}

impl Search<'_> {
    fn run(&self) -> Verdict {
        let start = Place { done: vec![0; self.steps.len().div_ceil(64)], whole: Whole::default() };
        let mut seen = HashSet::from([start.clone()]);
        let mut open = vec![start];
        while let Some(place) = open.pop() {
            let undone = |step: &usize| !place.is_done(*step);
            let first_answer = (0..self.steps.len()).filter(undone).filter_map(|step| self.steps[step].answered).min();
            let Some(first_answer) = first_answer else { return Verdict::Serializable };
            if seen.len() > PLACES_MAX {
                return Verdict::Undecided;
            }
            for next in self.nexts(&place, first_answer) {
                if seen.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
        Verdict::Impossible
    }

    /// The places one step further, the most promising last.
    fn nexts(&self, place: &Place, first_answer: u64) -> Vec<Place> {
        let may_be_next = |step: &usize| {
            !place.is_done(*step)
                && self.steps[*step].asked <= first_answer
                && self.before[*step].iter().all(|earlier| place.is_done(*earlier))
        };
        let mut steps: Vec<usize> = (0..self.steps.len()).filter(may_be_next).collect();
        steps.sort_by_key(|step| std::cmp::Reverse(self.steps[*step].answered.unwrap_or(u64::MAX)));
        let mut nexts = Vec::new();
        for step in steps {
            for whole in self.steps[step].outcomes(&place.whole) {
                // What changes nothing whenever it happens can as well happen now: no choice is lost.
                let harmless = self.steps[step].is_only_a_look() && whole.shows_the_same(&place.whole);
                let mut next = Place { done: place.done.clone(), whole };
                next.done[step / 64] |= 1 << (step % 64);
                if harmless {
                    return vec![next];
                }
                nexts.push(next);
            }
        }
        nexts
    }
}

impl Step {
    /// Whether it reads, or is known to have changed no key.
    fn is_only_a_look(&self) -> bool {
        match (&self.kind, &self.answer) {
            (Kind::Unwatch(_), _) | (Kind::Exec(..), Some(Reply::Null)) => true,
            (Kind::Plain(op), Some(answer)) => is_look_all(op, answer),
            (Kind::Exec(ops, _), Some(Reply::Array(answers))) => {
                ops.iter().zip(answers).all(|(op, answer)| is_look_all(op, answer))
            }
            _ => false,
        }
    }

    /// The states behind it that fit its answer.
    fn outcomes(&self, before: &Whole) -> Vec<Whole> {
        let mut outcomes = before.aged(self.keys, self.clock_ms);
        let refused = if self.may_be_refused { outcomes.clone() } else { Vec::new() };
        match &self.kind {
            Kind::Plain(_) if self.answer.as_ref().is_some_and(Reply::is_refusal) => {}
            Kind::Plain(op) => outcomes.retain_mut(|whole| {
                let reply = whole.apply(op);
                self.answer.as_ref().is_none_or(|answer| op.says(&reply, answer))
            }),
            Kind::Watch(key) => outcomes.iter_mut().for_each(|whole| whole.watch(self.lane, *key)),
            Kind::Unwatch(keys) => {
                for whole in &mut outcomes {
                    whole.unwatch(self.lane, *keys);
                }
            }
            Kind::Exec(ops, watched) => {
                let ended = refused.into_iter().map(|mut whole| {
                    whole.unwatch(self.lane, *watched);
                    whole
                });
                let ran = outcomes.into_iter().flat_map(|whole| self.executed(ops, *watched, whole));
                return ran.chain(ended).collect();
            }
        }
        outcomes.extend(refused);
        outcomes
    }

    fn is_answered(&self, reply: &Reply) -> bool {
        self.answer.as_ref().is_none_or(|answer| answer == reply)
    }

    fn executed(&self, ops: &[Op], watched: KeySet, mut whole: Whole) -> Vec<Whole> {
        let changed = whole.unwatch(self.lane, watched);
        let answers = match &self.answer {
            _ if changed => return if self.is_answered(&Reply::Null) { vec![whole] } else { Vec::new() },
            Some(Reply::Array(answers)) if answers.len() == ops.len() => Some(answers),
            None => None,
            // What broke its watch did not last.
            Some(Reply::Null) if self.is_vague => return vec![whole],
            Some(_) => return Vec::new(),
        };
        let mut states = vec![whole];
        for (at, op) in ops.iter().enumerate() {
            // A key can lapse between two commands: they run when their owners get to them.
            states = states.iter().flat_map(|whole| whole.aged(op.keys(), self.clock_ms)).collect();
            let is_vague = self.is_vague && matches!(op, Op::DbSize | Op::Keys);
            if is_vague || answers.is_some_and(|answers| answers[at].is_refusal()) {
                continue;
            }
            states.retain_mut(|whole| {
                let reply = whole.apply(op);
                answers.is_none_or(|answers| op.says(&reply, &answers[at]))
            });
        }
        states
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deed::set_of;
    use crate::model::{Action, Only, Until};

    fn step(lane: usize, kind: Kind, (asked, answered): (u64, u64), answer: Reply) -> Step {
        let keys = match &kind {
            Kind::Plain(op) => op.keys(),
            Kind::Exec(ops, watched) => ops.iter().fold(*watched, |set, op| set | op.keys()),
            Kind::Watch(key) => set_of(&[*key]),
            Kind::Unwatch(keys) => *keys,
        };
        Step {
            lane,
            kind,
            keys,
            asked,
            answered: Some(answered),
            answer: Some(answer),
            clock_ms: (0, 0),
            may_be_refused: false,
            is_vague: false,
        }
    }
    fn set(key: usize, value: &[u8]) -> Op {
        Op::One(key, Action::Set { value: value.into(), until: Until::Forever, only: Only::Always })
    }
    fn get(key: usize) -> Op {
        Op::One(key, Action::Get)
    }
    fn bulk(value: &[u8]) -> Reply {
        Reply::Bulk(value.to_vec())
    }
    fn oks(count: usize) -> Reply {
        Reply::Array(vec![Reply::ok(); count])
    }

    /// Nobody sees one half of a transaction without the other, in whatever order it looks.
    #[test]
    fn half_a_transaction_is_impossible() {
        let writes = step(0, Kind::Exec(vec![set(1, b"x"), set(2, b"x")], 0), (1, 20), oks(2));
        let looks = |first: Reply, second: Reply| {
            [writes.clone(), step(1, Kind::Plain(get(1)), (2, 3), first), step(1, Kind::Plain(get(2)), (4, 5), second)]
        };
        assert_eq!(check(&looks(bulk(b"x"), bulk(b"x"))), Verdict::Serializable);
        assert_eq!(check(&looks(Reply::Null, Reply::Null)), Verdict::Serializable);
        assert_eq!(check(&looks(Reply::Null, bulk(b"x"))), Verdict::Serializable);
        assert_eq!(check(&looks(bulk(b"x"), Reply::Null)), Verdict::Impossible);
        let both = |first: Reply, second: Reply| {
            let answer = Reply::Array(vec![first, second]);
            [writes.clone(), step(1, Kind::Exec(vec![get(1), get(2)], 0), (2, 3), answer)]
        };
        assert_eq!(check(&both(bulk(b"x"), bulk(b"x"))), Verdict::Serializable);
        assert_eq!(check(&both(Reply::Null, bulk(b"x"))), Verdict::Impossible);
    }

    /// Two transactions cannot each be first.
    #[test]
    fn a_circle_is_impossible() {
        let crossed = |key: usize, other: usize, lane: usize, seen: Reply| {
            let answer = Reply::Array(vec![Reply::ok(), seen]);
            step(lane, Kind::Exec(vec![set(key, b"x"), get(other)], 0), (1, 9), answer)
        };
        let one = crossed(1, 2, 0, Reply::Null);
        assert_eq!(check(&[one.clone(), crossed(2, 1, 1, bulk(b"x"))]), Verdict::Serializable);
        assert_eq!(check(&[one, crossed(2, 1, 1, Reply::Null)]), Verdict::Impossible);
    }

    /// EXEC answers null if, and only if, a watched key was changed since WATCH.
    #[test]
    fn an_abort_has_its_reason() {
        let history = |writer: (u64, u64), answer: Reply| {
            [
                step(0, Kind::Watch(1), (1, 4), Reply::ok()),
                step(1, Kind::Plain(set(1, b"y")), writer, Reply::ok()),
                step(0, Kind::Exec(vec![set(1, b"x")], set_of(&[1])), (9, 12), answer),
            ]
        };
        let mut before = history((2, 3), Reply::Null);
        assert_eq!(check(&before), Verdict::Serializable, "the watch may have come first");
        before.swap(0, 1);
        (before[0].asked, before[0].answered) = (0, Some(0));
        assert_eq!(check(&before), Verdict::Impossible, "the write came first");
        assert_eq!(check(&history((5, 6), Reply::Null)), Verdict::Serializable);
        assert_eq!(check(&history((5, 6), oks(1))), Verdict::Impossible, "the change was missed");
        assert_eq!(check(&history((13, 14), Reply::Null)), Verdict::Impossible, "nothing had changed");
        assert_eq!(check(&history((13, 14), oks(1))), Verdict::Serializable);
    }

    /// A transaction whose reply was never seen has happened whole or not at all.
    #[test]
    fn a_lost_transaction_is_whole_or_nothing() {
        let mut lost = step(0, Kind::Exec(vec![set(1, b"x"), set(2, b"x")], 0), (1, 2), Reply::Null);
        (lost.answered, lost.answer) = (None, None);
        let looks = |first: Reply, second: Reply| {
            let answer = Reply::Array(vec![first, second]);
            [lost.clone(), step(1, Kind::Exec(vec![get(1), get(2)], 0), (3, 4), answer)]
        };
        assert_eq!(check(&looks(bulk(b"x"), bulk(b"x"))), Verdict::Serializable);
        assert_eq!(check(&looks(Reply::Null, Reply::Null)), Verdict::Serializable);
        assert_eq!(check(&looks(bulk(b"x"), Reply::Null)), Verdict::Impossible);
    }

    /// A key that has lapsed is gone for whoever looks later, and its watchers are told.
    #[test]
    fn a_lapse_is_a_change() {
        let until = Until::AtMs(10);
        let write = Op::One(1, Action::Set { value: (*b"x").into(), until, only: Only::Always });
        let history = |clock_ms: (u64, u64), answer: Reply| {
            let mut exec = step(0, Kind::Exec(vec![get(2)], set_of(&[1])), (5, 6), answer);
            exec.clock_ms = clock_ms;
            [
                step(0, Kind::Plain(write.clone()), (1, 2), Reply::ok()),
                step(0, Kind::Watch(1), (3, 4), Reply::ok()),
                exec,
            ]
        };
        let ran = Reply::Array(vec![Reply::Null]);
        for (clock_ms, may_run, may_abort) in [((5, 9), true, false), ((5, 10), true, true), ((10, 11), false, true)] {
            assert_eq!(check(&history(clock_ms, ran.clone())) == Verdict::Serializable, may_run, "{clock_ms:?}");
            assert_eq!(check(&history(clock_ms, Reply::Null)) == Verdict::Serializable, may_abort, "{clock_ms:?}");
        }
    }
}
