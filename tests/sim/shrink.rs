//! Makes a run that fails smaller: less that besets it, fewer clients, cores and requests, as long as it still fails.

use crate::history::Failure;
use crate::swarm::{Hazard, Plan};
use crate::world::Outcome;

/// Runs that one search may take.
const RUNS_MAX: usize = 400;

pub struct Shrunk {
    pub plan: Plan,
    pub failure: Failure,
    /// Requests that it asks.
    pub requests: usize,
    pub runs: usize,
}

struct Search<'a> {
    best: Shrunk,
    /// Units that the best plan draws.
    units: usize,
    play: &'a dyn Fn(&Plan) -> Outcome,
}

/// Shrinks a plan that failed so.
pub fn shrink(plan: &Plan, outcome: Outcome, play: &dyn Fn(&Plan) -> Outcome) -> Shrunk {
    let failure = outcome.result.expect_err("only what fails is shrunk");
    let best = Shrunk { plan: plan.clone(), failure, requests: outcome.requests, runs: 0 };
    let mut search = Search { best, units: outcome.units, play };
    loop {
        let before = search.best.plan.clone();
        search.spare_hazards();
        search.cut();
        search.skip();
        if search.best.plan == before || search.best.runs >= RUNS_MAX {
            return search.best;
        }
    }
}

impl Search<'_> {
    /// Takes a plan over if it fails as well; any failure will do.
    fn try_plan(&mut self, plan: Plan) -> bool {
        if self.best.runs >= RUNS_MAX {
            return false;
        }
        self.best.runs += 1;
        let outcome = (self.play)(&plan);
        let Err(failure) = outcome.result else { return false };
        self.units = outcome.units;
        self.best = Shrunk { plan, failure, requests: outcome.requests, runs: self.best.runs };
        true
    }

    fn spare_hazards(&mut self) {
        for hazard in Hazard::ALL {
            let mut plan = self.best.plan.clone();
            if !plan.without.contains(&hazard) {
                plan.without.push(hazard);
                plan.without.sort_unstable();
                self.try_plan(plan);
            }
        }
    }

    /// Fewer requests from some point on, fewer clients, fewer cores.
    fn cut(&mut self) {
        let mut share = 2;
        while share <= 16 {
            let units = self.best.plan.requests.unwrap_or(self.units).min(self.units);
            let plan = Plan { requests: Some(units - units / share), ..self.best.plan.clone() };
            if units / share == 0 || !self.try_plan(plan) {
                share *= 2;
            }
        }
        for most in 1..6 {
            if self.best.plan.clients.is_none_or(|clients| clients > most)
                && self.try_plan(Plan { clients: Some(most), ..self.best.plan.clone() })
            {
                break;
            }
        }
        for most in 1..6 {
            if self.best.plan.cores.is_none_or(|cores| cores > most)
                && self.try_plan(Plan { cores: Some(most), ..self.best.plan.clone() })
            {
                break;
            }
        }
    }

    /// Leaves out ranges of what is asked, from halves down to single ones.
    fn skip(&mut self) {
        let mut length = self.units / 2;
        while length > 0 && self.best.runs < RUNS_MAX {
            let mut from = 0;
            while from < self.units && self.best.runs < RUNS_MAX {
                let range = (from, from + length);
                if (range.0..range.1).any(|unit| !self.best.plan.skips(unit)) {
                    let mut plan = self.best.plan.clone();
                    plan.skip = merged(&plan.skip, range);
                    self.try_plan(plan);
                }
                from += length;
            }
            length /= 2;
        }
    }
}

/// Ranges in their order, those that touch as one.
fn merged(ranges: &[(usize, usize)], more: (usize, usize)) -> Vec<(usize, usize)> {
    let mut all = [ranges, &[more]].concat();
    all.sort_unstable();
    let mut merged: Vec<(usize, usize)> = Vec::new();
    for (from, to) in all {
        match merged.last_mut().filter(|last| last.1 >= from) {
            Some(last) => last.1 = last.1.max(to),
            None => merged.push((from, to)),
        }
    }
    merged
}

#[test]
fn ranges_that_touch_are_one() {
    assert_eq!(merged(&[(0, 2), (8, 9)], (2, 4)), [(0, 4), (8, 9)]);
    assert_eq!(merged(&[(0, 2), (8, 9)], (1, 8)), [(0, 9)]);
    assert_eq!(merged(&[], (3, 4)), [(3, 4)]);
}
