//! What a core's view of its traffic is worth: accuracy, cost in windows, and silence, all in virtual time.

use super::*;
use crate::types::{CoreId, KeyHash, Slot};
use proptest::prelude::*;

const WINDOW_US: u64 = 100_000;

fn hash_of(key: u64) -> KeyHash {
    let word = (key ^ key >> 30).wrapping_add(0x5eed).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    KeyHash((word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb))
}

fn ingest(heat: &mut Heat, key: u64, access: Access, bytes: u64) {
    if heat.counts() {
        heat.sample(&key.to_le_bytes(), Slot(0), hash_of(key), access, bytes);
    }
}

fn started(options: HeatOptions) -> Heat {
    let mut heat = Heat::new(options);
    heat.turn(0);
    heat
}

fn end(heat: &mut Heat, now_us: u64) -> Vec<Report> {
    let mut reports = Vec::new();
    assert!(heat.window_ends(now_us, 50_000, &mut reports), "no window ends at {now_us}");
    reports
}

/// Keys in an order without rhythm, all equally often.
fn uniform(op: u64, keys: u64) -> u64 {
    hash_of(op ^ 1 << 40).0 % keys
}

/// A key with 1 % of a million operations per second, among a million keys that have the rest, is the only one reported.
#[test]
fn a_heavy_key_is_found_among_noise() {
    let mut heat = started(HeatOptions::default());
    for window in 1..=5 {
        for op in 0..100_000 {
            let key = if op % 100 == 0 { 1 << 50 } else { uniform(window * 100_000 + op, 1_000_000) };
            ingest(&mut heat, key, Access::Read, 64);
        }
        let reports = end(&mut heat, window * WINDOW_US);
        assert_eq!(reports.iter().map(|report| report.hash).collect::<Vec<_>>(), [hash_of(1 << 50)]);
        assert_eq!(heat.load_ops(), 1e6);
    }
    let ops = heat.top(1)[0].rates.ops();
    assert!((9_000.0..11_000.0).contains(&ops), "{ops}");
}

/// While all operations are looked at, rates are exact: reads, writes, bytes, and CPU by the model.
#[test]
fn rates_are_exact_at_low_load() {
    let mut heat = started(HeatOptions::default());
    for op in 0..4_000 {
        let access = if op % 10 == 0 { Access::Write } else { Access::Read };
        ingest(&mut heat, op % 2, access, if op % 2 == 0 { 1024 } else { 0 });
    }
    let reports = end(&mut heat, WINDOW_US);
    let rates_of = |key| reports.iter().find(|report| report.hash == hash_of(key)).map(|report| report.rates);
    // Even keys: all writes, and twice the worth of odd ones, as each operation moves a KiB.
    let cpu_us = 50_000.0 * 10.0;
    let even = Rates { reads: 16_000.0, writes: 4_000.0, bytes: 20_480_000.0, cpu_us: cpu_us * 2.0 / 3.0 };
    let odd = Rates { reads: 20_000.0, writes: 0.0, bytes: 0.0, cpu_us: cpu_us / 3.0 };
    for (got, wanted) in [(rates_of(0), even), (rates_of(1), odd)] {
        let got = got.expect("both keys are reported");
        assert!((got.cpu_us - wanted.cpu_us).abs() < 1e-3, "{got:?}");
        assert_eq!(Rates { cpu_us: 0.0, ..got }, Rates { cpu_us: 0.0, ..wanted });
    }
}

/// The load rises a hundredfold and falls again: sampling adapts, and the rates of keys that have a tenth of the load
/// each stay within a tenth of the truth in every window, the one of the jump included.
#[test]
fn rates_stay_true_when_the_load_jumps() {
    let mut heat = started(HeatOptions::default());
    let mut sampled = 0;
    for (window, ops) in [5_000, 500_000, 500_000, 500_000, 5_000, 5_000].into_iter().enumerate() {
        sampled = 0;
        for op in 0..ops {
            let key = uniform(op, 10);
            if heat.counts() {
                sampled += 1;
                heat.sample(&key.to_le_bytes(), Slot(0), hash_of(key), Access::Read, 64);
            }
        }
        let reports = end(&mut heat, (window as u64 + 1) * WINDOW_US);
        assert!(sampled < 60_000, "{sampled} samples in window {window}");
        assert_eq!(heat.load_ops(), ops as f64 * 10.0);
        // The window after the fall starts with the gap of before: few samples, and no claim to a tenth.
        if window != 4 {
            assert_eq!(reports.len(), 10);
            for report in reports {
                let truth = (0..ops).filter(|op| hash_of(uniform(*op, 10)) == report.hash).count() as f64 * 10.0;
                let off = (report.rates.ops() / truth - 1.0).abs();
                assert!(off < 0.1, "window {window}: {off}");
            }
        }
    }
    assert_eq!(sampled, 5_000);
}

/// A core on which nothing happens asks for no tick: not before its first operation, and not once its candidates have
/// faded. What comes after a long silence starts a window of its own.
#[test]
fn idle_heat_has_no_deadline() {
    let mut heat = Heat::new(HeatOptions::default());
    assert_eq!(heat.deadline(), None);
    heat.turn(5);
    assert_eq!(heat.deadline(), None);
    (0..400).for_each(|_| ingest(&mut heat, 1, Access::Read, 0));
    assert_eq!(heat.deadline(), Some(5 + WINDOW_US));
    let mut reports = Vec::new();
    assert!(!heat.window_ends(4 + WINDOW_US, 0, &mut reports), "its time has not come");
    let mut windows = 0;
    while let Some(now_us) = heat.deadline() {
        heat.turn(now_us);
        end(&mut heat, now_us);
        windows += 1;
        assert!(windows < 20, "a candidate never fades");
    }
    assert!(windows > 1, "a candidate is gone at once");
    assert!(!heat.window_ends(u64::MAX, 0, &mut reports), "nothing is to be said");

    let now_us = 60_000_000;
    heat.turn(now_us);
    assert_eq!(heat.load_ops(), 0.0);
    (0..1000).for_each(|_| ingest(&mut heat, 1, Access::Read, 0));
    heat.turn(now_us + 10);
    assert_eq!(heat.deadline(), Some(now_us + WINDOW_US));
    assert_eq!(end(&mut heat, now_us + WINDOW_US)[0].rates.reads, 10_000.0);
}

/// Rates in `top` halve with each silent window, and a reset forgets at once.
#[test]
fn heat_decays_and_can_be_reset() {
    let mut heat = started(HeatOptions::default());
    (0..1000).for_each(|_| ingest(&mut heat, 1, Access::Write, 0));
    assert_eq!(end(&mut heat, WINDOW_US).len(), 1);
    assert_eq!(heat.top(5)[0].rates.writes, 10_000.0);
    assert!(end(&mut heat, 2 * WINDOW_US).is_empty(), "a key that is not used is not reported");
    assert_eq!(heat.top(5)[0].rates.writes, 5_000.0);
    heat.reset();
    assert!(heat.top(5).is_empty());
    assert_eq!((heat.deadline(), heat.load_ops()), (None, 0.0));
}

/// What is worth a report can change; the next window goes by it.
#[test]
fn the_least_that_is_reported_can_change() {
    let mut heat = started(HeatOptions { report_ops_min: 1000.0, ..HeatOptions::default() });
    for (window, ops_min, reported) in [(1, 1000.0, 0), (2, 100.0, 1), (3, 5000.0, 0)] {
        heat.set_report_ops_min(ops_min);
        (0..50).for_each(|_| ingest(&mut heat, 1, Access::Read, 0));
        assert_eq!(end(&mut heat, window * WINDOW_US).len(), reported, "500 operations per second, {ops_min} asked");
    }
}

/// Keys longer than the bound are counted in the load only.
#[test]
fn very_long_keys_are_no_candidates() {
    let mut heat = started(HeatOptions::default());
    for (byte, len) in [(1, KEY_BYTES_MAX), (2, KEY_BYTES_MAX + 1)] {
        for _ in 0..100 {
            assert!(heat.counts());
            heat.sample(&vec![byte; len], Slot(0), hash_of(u64::from(byte)), Access::Read, 0);
        }
    }
    let reports = end(&mut heat, WINDOW_US);
    assert_eq!((reports.len(), &reports[0].key[..]), (1, &[1; KEY_BYTES_MAX][..]));
    assert_eq!(heat.load_ops(), 2000.0);
}

/// A key that becomes hot at any moment of a window, on a core that already works, is promoted within 250 ms.
#[test]
fn from_cold_to_promoted_in_a_quarter_second() {
    for onset_ms in (0..100).step_by(5) {
        let (mut heat, mut board) = (started(HeatOptions::default()), Board::new(1, WINDOW_US));
        let onset_us = 300_000 + onset_ms * 1000;
        let mut promoted_us = None;
        for now_us in (0..1_000_000).step_by(1000) {
            heat.turn(now_us);
            (0..100).for_each(|op| ingest(&mut heat, uniform(now_us + op, 1_000_000), Access::Read, 64));
            if now_us >= onset_us {
                (0..2).for_each(|_| ingest(&mut heat, 1 << 50, Access::Read, 64));
            }
            let mut reports = Vec::new();
            if heat.window_ends(now_us, 1000, &mut reports) {
                reports.drain(..).for_each(|report| board.report(CoreId(0), now_us, report));
                let asked = |_: &[u8]| Some(Thresholds { promote_share: 0.01, ..Thresholds::default() });
                let decisions = board.decide(now_us, heat.load_ops(), &Limits::default(), asked, |_, _, _| 64);
                if !decisions.is_empty() {
                    promoted_us = promoted_us.or(Some(now_us));
                }
            }
        }
        let took_us = promoted_us.expect("it is promoted").saturating_sub(onset_us);
        assert!((1..250_000).contains(&took_us), "{took_us} us from {onset_ms} ms into the window");
    }
}

/// Where all keys are the same none is reported, at loads whose gaps are 1, 12 and 122.
#[test]
fn uniform_traffic_promotes_nothing() {
    for ops in [8_000, 100_000, 1_000_000] {
        let mut heat = started(HeatOptions::default());
        for window in 1..=5 {
            (0..ops).for_each(|op| ingest(&mut heat, uniform(window * ops + op, 1_000_000), Access::Read, 64));
            let reports = end(&mut heat, window * WINDOW_US);
            assert!(reports.is_empty(), "{} keys at {ops} operations a window", reports.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Whatever comes, in whatever order, memory stays under what the options allow.
    #[test]
    fn memory_stays_bounded(
        seed in any::<u64>(),
        keys in 1_u64..100_000,
        len in 1_usize..2 * KEY_BYTES_MAX,
        windows in prop::collection::vec((0_u64..5_000, 0_u64..300_000), 1..8),
    ) {
        let options = HeatOptions { seed, candidates_max: 16, samples_per_window: 500, ..HeatOptions::default() };
        let mut heat = started(options);
        let bound = heat.memory_bytes() + 16 * KEY_BYTES_MAX;
        let (mut now_us, mut reports) = (0, Vec::new());
        for (ops, pause_us) in windows {
            for op in 0..ops {
                if heat.counts() {
                    let key = uniform(op ^ seed, keys);
                    heat.sample(&key.to_le_bytes().repeat(len / 8 + 1)[..len], Slot(0), hash_of(key), Access::Read, u64::MAX);
                }
            }
            now_us += pause_us;
            heat.turn(now_us);
            heat.window_ends(now_us, u64::MAX, &mut reports);
            prop_assert!(reports.len() <= 16 && heat.top(100).len() <= 16);
            prop_assert!(heat.memory_bytes() <= bound, "{} bytes, {bound} allowed", heat.memory_bytes());
        }
    }
}

/// A key that comes out of nowhere and has most of the load is told of within milliseconds; the window behind that is whole.
#[test]
fn a_loud_newcomer_does_not_wait() {
    let mut heat = started(HeatOptions::default());
    let (mut reports, mut ends) = (Vec::new(), Vec::new());
    for op in 0..20_000 {
        let now_us = op * 10;
        heat.turn(now_us);
        if heat.window_ends(now_us, 1_000, &mut reports) {
            ends.push(now_us);
            assert_eq!(reports.first().map(|report| report.hash), Some(hash_of(1 << 50)));
            let ops = reports[0].rates.ops();
            assert!((45_000.0..55_000.0).contains(&ops), "{ops}");
        }
        let key = if op % 2 == 0 { 1 << 50 } else { uniform(op, 1_000_000) };
        ingest(&mut heat, key, Access::Read, 64);
    }
    assert_eq!(ends, [9_990, 109_990]);
    // Once it has been quiet for a whole window, so does its return.
    heat.turn(210_000);
    end(&mut heat, 300_000);
    end(&mut heat, 400_000);
    (0..600).for_each(|_| ingest(&mut heat, 1 << 50, Access::Read, 64));
    assert!(heat.window_ends(404_000, 1_000, &mut reports));
}

/// Many keys that come at once are no such key.
#[test]
fn a_crowd_of_newcomers_waits() {
    let mut heat = started(HeatOptions::default());
    for op in 0..9_999 {
        heat.turn(op * 10);
        assert!(!heat.window_ends(op * 10, 1_000, &mut Vec::new()));
        ingest(&mut heat, op % 5, Access::Read, 64);
    }
}
