//! What an owner knows of the keys that cores report to it, and which of them it decides to make hot.

use super::policy::{Decision, Limits, Reason, Thresholds};
use super::rates::{Rates, Report};
use crate::types::{CoreId, KeyHash, Slot};
use hashbrown::HashTable;

/// The most keys that a board knows; past it the coolest go. More than the keys that can be hot, so that those that
/// may become hot are known too, and at 40 bytes a core and key at most 10 MiB on each of 64 cores.
pub const WARM_MAX: usize = 4096;
/// When a board is full, this part of it goes at once: finding the coolest means looking at all.
const TRIM_PART: usize = 8;
/// A core that has not reported a key for so many windows no longer uses it.
const SILENT_WINDOWS: u64 = 3;
/// The first reports of a core count whole, later ones are averaged: the very first may cover a part of a window only.
const WHOLE_REPORTS: u8 = 2;
/// A newcomer displaces hot keys only if it is so many times as hot, or two equals would take turns for ever.
const DISPLACE_FACTOR: f64 = 2.0;

/// A key that some core reported lately.
pub struct Warm {
    pub key: Box<[u8]>,
    pub slot: Slot,
    pub hash: KeyHash,
    /// Whether the last decision was to promote it.
    pub hot: bool,
    /// What each core ingests of it, averaged over windows.
    pub by_core: Vec<Rates>,
    /// Since when it is hot, or is not.
    pub since_us: u64,
    /// Why it is hot, or is not; None if it never came near.
    pub reason: Option<Reason>,
    heard: Vec<Heard>,
}

/// When a core last reported a key, and how often without falling silent.
#[derive(Clone, Copy, Default)]
struct Heard {
    at_us: u64,
    reports: u8,
}

impl Warm {
    /// What all cores together ingest of it.
    pub fn rates(&self) -> Rates {
        self.by_core.iter().fold(Rates::default(), |sum, rates| sum.plus(*rates))
    }

    fn hear(&mut self, from: CoreId, now_us: u64, rates: Rates) {
        let (heard, known) = (&mut self.heard[from.index()], &mut self.by_core[from.index()]);
        *known = if heard.reports < WHOLE_REPORTS { rates } else { known.averaged(rates) };
        heard.reports = heard.reports.saturating_add(1);
        heard.at_us = now_us;
    }

    /// Forgets what cores said that have fallen silent since; the time at which the next will have.
    fn hush(&mut self, now_us: u64, silence_us: u64) -> Option<u64> {
        let mut next_us = None;
        for (heard, rates) in self.heard.iter_mut().zip(&mut self.by_core).filter(|(heard, _)| heard.reports > 0) {
            let silent_us = heard.at_us.saturating_add(silence_us);
            if silent_us <= now_us {
                (*heard, *rates) = (Heard::default(), Rates::default());
            } else {
                next_us = sooner(next_us, Some(silent_us));
            }
        }
        next_us
    }

    fn turn(&mut self, hot: bool, now_us: u64, reason: Reason) {
        (self.hot, self.since_us, self.reason) = (hot, now_us, Some(reason));
    }
}

/// A key as a decision weighs it.
#[derive(Clone, Copy)]
struct Contender {
    hash: KeyHash,
    ops: f64,
    bytes: u64,
    reason: Reason,
}

/// What an owner knows of the keys that cores report to it.
pub struct Board {
    warm: HashTable<Warm>,
    cores: usize,
    silence_us: u64,
    deadline_us: Option<u64>,
}

impl Board {
    /// A board for reports from so many cores, one a window.
    pub fn new(cores: usize, window_us: u64) -> Board {
        let silence_us = window_us.saturating_mul(SILENT_WINDOWS);
        Board { warm: HashTable::new(), cores, silence_us, deadline_us: None }
    }

    /// Takes one core's report on one of this owner's keys. [`decide`](Board::decide) after a batch of them.
    pub fn report(&mut self, from: CoreId, now_us: u64, report: Report) {
        assert!(from.index() < self.cores, "core {} reports to a board of {} cores", from.0, self.cores);
        self.deadline_us = sooner(self.deadline_us, Some(now_us.saturating_add(self.silence_us)));
        if let Some(warm) = self.warm.find_mut(report.hash.0, |warm| warm.hash == report.hash) {
            return warm.hear(from, now_us, report.rates);
        }
        if self.warm.len() >= WARM_MAX && !self.trim(report.rates.ops()) {
            return;
        }
        let mut warm = Warm {
            key: report.key,
            slot: report.slot,
            hash: report.hash,
            hot: false,
            by_core: vec![Rates::default(); self.cores],
            since_us: now_us,
            reason: None,
            heard: vec![Heard::default(); self.cores],
        };
        warm.hear(from, now_us, report.rates);
        self.warm.insert_unique(warm.hash.0, warm, |warm| warm.hash.0);
    }

    /// Decides which keys become hot and which no longer are: demotions first, then promotions, hottest first.
    ///
    /// `load_ops` are the operations per second of this core, what a share is a part of. `thresholds` says what is asked
    /// of a key, None if it is never to be replicated; `bytes` says what a copy of it would take. When `limits` are
    /// reached, a newcomer displaces the coolest hot keys only if it is at least twice as hot as each.
    pub fn decide(
        &mut self,
        now_us: u64,
        load_ops: f64,
        limits: &Limits,
        thresholds: impl Fn(&[u8]) -> Option<Thresholds>,
        bytes: impl Fn(Slot, KeyHash, &[u8]) -> u64,
    ) -> Vec<Decision> {
        let (mut demotions, mut hot, mut newcomers) = (Vec::new(), Vec::new(), Vec::new());
        let silence_us = self.silence_us;
        self.deadline_us = None;
        for warm in self.warm.iter_mut() {
            self.deadline_us = sooner(self.deadline_us, warm.hush(now_us, silence_us));
            let ops = warm.rates().ops();
            let size = || bytes(warm.slot, warm.hash, &warm.key);
            match weigh(warm.hot, ops, load_ops, thresholds(&warm.key), limits, size) {
                Verdict::Fits(bytes, reason) => {
                    let contender = Contender { hash: warm.hash, ops, bytes, reason };
                    if warm.hot { hot.push(contender) } else { newcomers.push(contender) }
                }
                Verdict::Out(reason) if warm.hot => {
                    demotions.push(Decision::Demote { hash: warm.hash, reason });
                    warm.turn(false, now_us, reason);
                }
                Verdict::Out(reason @ (Reason::TooLarge | Reason::Off)) => warm.reason = Some(reason),
                // Not hot and not near: what was said of it when it cooled still holds, that it was crowded out does not.
                Verdict::Out(_) => warm.reason = warm.reason.filter(|reason| matches!(reason, Reason::Cooled { .. })),
            }
        }
        let promotions = self.share_out(now_us, limits, hot, newcomers, &mut demotions);
        self.warm.retain(|warm| warm.hot || warm.heard.iter().any(|heard| heard.reports > 0));
        demotions.extend(promotions);
        demotions
    }

    pub fn get(&self, hash: KeyHash) -> Option<&Warm> {
        self.warm.find(hash.0, |warm| warm.hash == hash)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Warm> {
        self.warm.iter()
    }

    /// Forgets a key that the owner demoted for reasons of its own; the next report on it begins anew.
    pub fn cool(&mut self, hash: KeyHash) {
        if let Ok(entry) = self.warm.find_entry(hash.0, |warm| warm.hash == hash) {
            entry.remove();
        }
    }

    /// Forgets all keys.
    pub fn clear(&mut self) {
        self.warm.clear();
        self.deadline_us = None;
    }

    /// The earliest time at which [`decide`](Board::decide) should run though nobody reports: some core will have
    /// fallen silent about some key. None when no key is warm.
    pub fn deadline(&self) -> Option<u64> {
        if self.warm.is_empty() { None } else { self.deadline_us }
    }

    /// Gives the limits to the hottest: demotes what no longer fits, promotes what does, and notes who was crowded out.
    fn share_out(
        &mut self,
        now_us: u64,
        limits: &Limits,
        mut hot: Vec<Contender>,
        mut newcomers: Vec<Contender>,
        demotions: &mut Vec<Decision>,
    ) -> Vec<Decision> {
        hot.sort_unstable_by(hottest_first);
        newcomers.sort_unstable_by(hottest_first);
        let mut leaving = Vec::new();
        let mut used = hot.iter().fold(0_u64, |sum, contender| sum.saturating_add(contender.bytes));
        while hot.len() > limits.keys_max || used > limits.bytes_max {
            let Some(coolest) = hot.pop() else { break };
            used = hot.iter().fold(0_u64, |sum, contender| sum.saturating_add(contender.bytes));
            leaving.push(coolest.hash);
        }
        let (mut promotions, mut promoted) = (Vec::new(), 0);
        for newcomer in newcomers {
            let mut count = hot.len();
            let mut bytes_left = used;
            let fits = |count: usize, used: u64| {
                count + promoted < limits.keys_max && used.saturating_add(newcomer.bytes) <= limits.bytes_max
            };
            while !fits(count, bytes_left) && count > 0 && newcomer.ops >= DISPLACE_FACTOR * hot[count - 1].ops {
                count -= 1;
                bytes_left -= hot[count].bytes;
            }
            if !fits(count, bytes_left) {
                self.set_reason(newcomer.hash, Reason::Crowded);
                continue;
            }
            leaving.extend(hot.drain(count..).map(|displaced| displaced.hash));
            used = bytes_left + newcomer.bytes;
            promoted += 1;
            let (hash, reason) = (newcomer.hash, newcomer.reason);
            promotions.push(Decision::Promote { hash, reason });
            self.turn(hash, true, now_us, reason);
        }
        for hash in leaving {
            demotions.push(Decision::Demote { hash, reason: Reason::Crowded });
            self.turn(hash, false, now_us, Reason::Crowded);
        }
        promotions
    }

    fn turn(&mut self, hash: KeyHash, hot: bool, now_us: u64, reason: Reason) {
        if let Some(warm) = self.warm.find_mut(hash.0, |warm| warm.hash == hash) {
            warm.turn(hot, now_us, reason);
        }
    }

    fn set_reason(&mut self, hash: KeyHash, reason: Reason) {
        if let Some(warm) = self.warm.find_mut(hash.0, |warm| warm.hash == hash) {
            warm.reason = Some(reason);
        }
    }

    /// Makes room on a full board, by dropping the coolest keys that are neither hot nor as hot as a newcomer.
    fn trim(&mut self, newcomer_ops: f64) -> bool {
        let idle = self.warm.iter().filter(|warm| !warm.hot);
        let mut rates: Vec<f64> = idle.map(|warm| warm.rates().ops()).filter(|ops| *ops < newcomer_ops).collect();
        if rates.is_empty() {
            return false;
        }
        let last = (WARM_MAX / TRIM_PART).min(rates.len()) - 1;
        let (_, bound, _) = rates.select_nth_unstable_by(last, f64::total_cmp);
        let bound = *bound;
        self.warm.retain(|warm| warm.hot || warm.rates().ops() > bound);
        true
    }
}

/// What becomes of a key while others are left out of account.
enum Verdict {
    /// It may be hot and would take so many bytes.
    Fits(u64, Reason),
    Out(Reason),
}

fn weigh(
    hot: bool,
    ops: f64,
    load_ops: f64,
    thresholds: Option<Thresholds>,
    limits: &Limits,
    size: impl Fn() -> u64,
) -> Verdict {
    let Some(thresholds) = thresholds else { return Verdict::Out(Reason::Off) };
    let floor = if hot { thresholds.demote_below(load_ops) } else { thresholds.promote_from(load_ops) };
    // A key that nobody uses is not hot, even where nothing is asked.
    if ops < floor || ops <= 0.0 {
        return Verdict::Out(Reason::Cooled { ops, floor });
    }
    let bytes = size();
    if bytes > limits.bytes_max {
        return Verdict::Out(Reason::TooLarge);
    }
    let share = thresholds.share_ops(load_ops);
    Verdict::Fits(bytes, Reason::Rate { ops, floor: thresholds.promote_ops, share })
}

fn hottest_first(a: &Contender, b: &Contender) -> std::cmp::Ordering {
    b.ops.total_cmp(&a.ops).then(a.hash.0.cmp(&b.hash.0))
}

fn sooner(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}
