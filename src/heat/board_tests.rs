//! What an owner decides from reports: promotion, demotion, displacement and the limits, in virtual time.

use super::*;
use crate::types::{CoreId, KeyHash, Slot};

const WINDOW_US: u64 = 100_000;
const LOAD: f64 = 100_000.0;

struct Owner {
    board: Board,
    now_us: u64,
    limits: Limits,
    load_ops: f64,
    /// None: nothing is to be replicated.
    thresholds: Option<Thresholds>,
    copy_bytes: u64,
}

impl Owner {
    fn new() -> Owner {
        Owner {
            board: Board::new(2, WINDOW_US),
            now_us: 1_000_000,
            limits: Limits::default(),
            load_ops: LOAD,
            thresholds: Some(Thresholds { promote_share: 0.002, ..Thresholds::default() }),
            copy_bytes: 100,
        }
    }

    fn report(&mut self, core: u16, key: u64, ops: f64) {
        let rates = Rates { reads: ops, ..Rates::default() };
        let report = Report { key: key.to_le_bytes().into(), slot: Slot(1), hash: KeyHash(key), rates };
        self.board.report(CoreId(core), self.now_us, report);
    }

    fn decide(&mut self) -> Vec<Decision> {
        let (thresholds, copy_bytes) = (self.thresholds, self.copy_bytes);
        self.board.decide(self.now_us, self.load_ops, &self.limits, |_| thresholds, |_, _, _| copy_bytes)
    }

    /// A window in which core 0 reports these rates: keys demoted, keys promoted.
    fn window(&mut self, rates: &[(u64, f64)]) -> (Vec<u64>, Vec<u64>) {
        self.now_us += WINDOW_US;
        rates.iter().for_each(|(key, ops)| self.report(0, *key, *ops));
        let (mut demoted, mut promoted) = (Vec::new(), Vec::new());
        for decision in self.decide() {
            match decision {
                Decision::Promote { hash, .. } => promoted.push(hash.0),
                Decision::Demote { hash, .. } => demoted.push(hash.0),
            }
        }
        (demoted, promoted)
    }

    fn reason(&self, key: u64) -> Option<Reason> {
        self.board.get(KeyHash(key)).and_then(|warm| warm.reason)
    }
}

fn nothing() -> (Vec<u64>, Vec<u64>) {
    (vec![], vec![])
}

/// A key is promoted from 1,000 ops/s on at its first report, whoever reports how much of it, and not below.
#[test]
fn promotes_at_the_floor() {
    let mut owner = Owner::new();
    owner.report(1, 3, 400.0);
    assert_eq!(owner.window(&[(1, 1000.0), (2, 999.0), (3, 600.0)]), (vec![], vec![1, 3]));
    let warm = owner.board.get(KeyHash(3)).expect("it was reported");
    assert!(warm.hot && warm.since_us == owner.now_us && warm.slot == Slot(1));
    assert_eq!(warm.by_core.iter().map(Rates::ops).collect::<Vec<_>>(), [600.0, 400.0]);
    assert_eq!(warm.reason, Some(Reason::Rate { ops: 1000.0, floor: 1000.0, share: 200.0 }));
    assert!(!owner.board.get(KeyHash(2)).expect("it is warm").hot && owner.reason(2).is_none());
}

/// Of a core with a million operations per second the share of 0.2 % asks for 2,000.
#[test]
fn promotes_at_the_share() {
    let mut owner = Owner { load_ops: 1e6, ..Owner::new() };
    assert_eq!(owner.window(&[(1, 1999.0), (2, 2000.0)]), (vec![], vec![2]));
}

/// A hot key stays hot down to a quarter of what promotion asks; what it was demoted for can be asked.
#[test]
fn demotes_at_a_quarter() {
    let mut owner = Owner::new();
    assert_eq!(owner.window(&[(1, 4000.0)]), (vec![], vec![1]));
    assert_eq!(owner.window(&[(1, 250.0)]), nothing());
    // Later reports are averaged: 250, then 249.
    assert_eq!(owner.window(&[(1, 250.0)]), nothing());
    assert_eq!(owner.window(&[(1, 248.0)]), (vec![1], vec![]));
    assert_eq!(owner.reason(1), Some(Reason::Cooled { ops: 249.0, floor: 250.0 }));
    assert_eq!(owner.board.get(KeyHash(1)).map(|warm| warm.since_us), Some(owner.now_us));
}

/// A rate that swings between the thresholds changes nothing, in either mode.
#[test]
fn does_not_flap_between_the_thresholds() {
    let mut owner = Owner::new();
    owner.window(&[(1, 1000.0)]);
    for window in 0..50 {
        let ops = if window % 2 == 0 { 260.0 } else { 990.0 };
        assert_eq!(owner.window(&[(1, ops), (2, ops)]), nothing());
    }
}

/// Reports after the second are averaged with what is known, half and half.
#[test]
fn rates_are_averaged() {
    let mut owner = Owner::new();
    for (reported, known) in [(100.0, 100.0), (800.0, 800.0), (400.0, 600.0), (0.0, 300.0)] {
        owner.window(&[(1, reported)]);
        assert_eq!(owner.board.get(KeyHash(1)).map(|warm| warm.rates().ops()), Some(known));
    }
}

/// When the limit is reached, a newcomer gets in only with twice the rate of the coolest.
#[test]
fn displaces_only_at_twice() {
    let mut owner = Owner { limits: Limits { keys_max: 2, ..Limits::default() }, ..Owner::new() };
    assert_eq!(owner.window(&[(1, 2000.0), (2, 3000.0), (3, 1500.0)]), (vec![], vec![2, 1]));
    assert_eq!(owner.reason(3), Some(Reason::Crowded));
    assert_eq!(owner.window(&[(1, 2000.0), (2, 3000.0), (3, 3999.0)]), nothing());
    assert_eq!(owner.window(&[(1, 2000.0), (2, 3000.0), (4, 4000.0)]), (vec![1], vec![4]));
    assert_eq!(owner.reason(1), Some(Reason::Crowded));
    // The displaced key is as hot as before, and has to wait.
    assert_eq!(owner.window(&[(1, 2000.0), (2, 3000.0), (4, 4000.0)]), nothing());
    // It cools: at an average of 1,005 it is still crowded out, at 507 it no longer comes near.
    for reason in [Some(Reason::Crowded), None] {
        owner.window(&[(1, 10.0), (2, 3000.0), (4, 4000.0)]);
        assert_eq!(owner.reason(1), reason);
    }
}

/// Keys and bytes of hot keys stay within their limits, the hottest first, also when limits shrink or copies grow.
#[test]
fn limits_hold() {
    let rates: Vec<(u64, f64)> = (1..=20).map(|key| (key, 1000.0 + key as f64)).collect();
    let mut owner = Owner { limits: Limits { keys_max: 8, bytes_max: 500 }, ..Owner::new() };
    assert_eq!(owner.window(&rates), (vec![], vec![20, 19, 18, 17, 16]));
    owner.copy_bytes = 200;
    assert_eq!(owner.window(&rates), (vec![16, 17, 18], vec![]));
    owner.limits.keys_max = 1;
    assert_eq!(owner.window(&rates), (vec![19], vec![]));
    owner.copy_bytes = 501;
    assert_eq!(owner.window(&rates), (vec![20], vec![]));
    assert_eq!(owner.reason(20), Some(Reason::TooLarge));
    owner.copy_bytes = 0;
    owner.limits.keys_max = 0;
    assert_eq!(owner.window(&rates), nothing());
}

/// A key that nobody reports counts as cold after three windows: the board asks to be called then, demotes it, and
/// forgets it. A core that falls silent alone takes its part away.
#[test]
fn silent_keys_cool() {
    let mut owner = Owner::new();
    assert_eq!(owner.board.deadline(), None);
    owner.report(1, 1, 300.0);
    assert_eq!(owner.window(&[(1, 900.0)]), (vec![], vec![1]));
    let heard_us = owner.now_us;
    assert_eq!(owner.board.deadline(), Some(heard_us - WINDOW_US + 3 * WINDOW_US));
    owner.now_us = heard_us + 2 * WINDOW_US;
    assert!(owner.decide().is_empty());
    assert_eq!(owner.board.get(KeyHash(1)).map(|warm| warm.rates().ops()), Some(900.0));
    owner.now_us = owner.board.deadline().expect("a key is warm");
    assert_eq!(owner.now_us, heard_us + 3 * WINDOW_US);
    let reason = Reason::Cooled { ops: 0.0, floor: 250.0 };
    assert_eq!(owner.decide(), [Decision::Demote { hash: KeyHash(1), reason }]);
    assert!(owner.board.get(KeyHash(1)).is_none() && owner.board.iter().next().is_none());
    assert_eq!(owner.board.deadline(), None);
}

/// Without thresholds a key is never promoted, and a hot one is demoted.
#[test]
fn a_policy_can_switch_replication_off() {
    let mut owner = Owner::new();
    owner.window(&[(1, 5000.0)]);
    owner.thresholds = None;
    assert_eq!(owner.window(&[(1, 5000.0), (2, 5000.0)]), (vec![1], vec![]));
    assert_eq!((owner.reason(1), owner.reason(2)), (Some(Reason::Off), Some(Reason::Off)));
}

/// A key that was cooled from outside begins anew; a cleared board knows nothing.
#[test]
fn keys_can_be_forgotten() {
    let mut owner = Owner::new();
    owner.window(&[(1, 5000.0), (2, 5000.0)]);
    owner.board.cool(KeyHash(1));
    assert!(owner.board.get(KeyHash(1)).is_none());
    assert_eq!(owner.window(&[(1, 5000.0), (2, 5000.0)]), (vec![], vec![1]));
    owner.board.clear();
    assert_eq!((owner.board.iter().count(), owner.board.deadline()), (0, None));
}

/// Past its bound a board drops the coolest, never a hot key, and takes no newcomer that is cooler than all.
#[test]
fn the_coolest_leave_a_full_board() {
    let mut owner = Owner::new();
    assert_eq!(owner.window(&[(0, 1000.0)]), (vec![], vec![0]));
    // Promoted at a thousand, now the coolest of all.
    owner.window(&[(0, 251.0)]);
    (1..WARM_MAX as u64).for_each(|key| owner.report(0, key, 300.0 + key as f64 / 100.0));
    assert_eq!(owner.board.iter().count(), WARM_MAX);
    owner.report(0, 1 << 40, 300.0);
    assert!(owner.board.get(KeyHash(1 << 40)).is_none(), "it is cooler than all");
    owner.report(0, 1 << 41, 900.0);
    assert!(owner.board.get(KeyHash(1 << 41)).is_some() && owner.board.get(KeyHash(0)).is_some());
    assert!(owner.board.get(KeyHash(1)).is_none() && owner.board.get(KeyHash(WARM_MAX as u64 - 1)).is_some());
    for key in 0..3 * WARM_MAX as u64 {
        owner.report(1, 1 << 42 | key, 500.0 + key as f64);
        assert!(owner.board.iter().count() <= WARM_MAX);
    }
    // All pass the thresholds; the limit of 256 is for the hottest, for which the first key has to go.
    let (demoted, promoted) = owner.window(&[]);
    assert_eq!((demoted, promoted.len()), (vec![0], Limits::default().keys_max));
}
