//! This core's own hot keys: deciding which they are, serving folds, and keeping the copies of others true.

use super::super::Engine;
use super::super::group::Place;
use super::super::letter::Note;
use crate::heat::{Access, Decision, Reason, Report};
use crate::keyspace::command::apply_for;
use crate::keyspace::{Key, Shard, Value, interest};
use crate::protocol::command::{Command, flags::flag, spec};
use crate::protocol::resp::Args;
use crate::replica::{Cell, Copy, Fold, Install, Refresh, Row};
use crate::types::{CoreId, KeyHash, Now, Slot};
use std::sync::Arc;

/// Bytes of an operation beside its arguments and its reply: heads and line ends.
const BYTES_FRAMING: u64 = 32;
/// A key with at least so many reads a write has fresh copies sent to it that come unasked, if they are no larger.
const PUSH_READS_A_WRITE: f64 = 4.0;
const PUSH_BYTES_MAX: u64 = 4096;
/// While memory is short, hot keys are touched this often: a small cache may turn over within milliseconds.
const TOUCH_US: u64 = 1000;

impl Engine {
    /// Counts a part of a command on several keys.
    #[inline]
    pub(in super::super) fn count_heat(&mut self, command: Command, place: Place, args: &Args) {
        if self.next_sample(1).is_some() {
            self.sample_heat(command, place, args);
        }
    }

    /// Counts up to `count` operations that this core took in; the place of the next one among them to be sampled.
    #[inline]
    pub(in super::super) fn next_sample(&mut self, count: usize) -> Option<usize> {
        if !self.hot.counting {
            return None;
        }
        self.hot.heat.counts_up_to(count as u32).map(|at| at as usize)
    }

    #[inline(never)]
    pub(in super::super) fn sample_heat(&mut self, command: Command, place: Place, args: &Args) {
        let access = if spec(command).has(flag::WRITE) { Access::Write } else { Access::Read };
        self.sample_access(access, place, args);
    }

    pub(in super::super) fn sample_access(&mut self, access: Access, place: Place, args: &Args) {
        let bytes = args.iter().map(|arg| arg.len() as u64).sum::<u64>() + BYTES_FRAMING;
        self.hot.heat.sample(args.get(1), place.slot, place.hash, access, bytes);
    }

    /// Once a turn, before its events: at a window's end each owner hears what this core sees of its keys.
    pub(in super::super) fn report_heat(&mut self, now: Now) {
        if !self.hot.counting {
            return;
        }
        self.hot.heat.turn(now.mono_us);
        let mut reports = Vec::new();
        let cpu_us = self.shell.cpu_us.saturating_sub(self.hot.cpu_us);
        if !self.hot.heat.window_ends(now.mono_us, cpu_us, &mut reports) {
            return;
        }
        self.hot.cpu_us = self.shell.cpu_us;
        for report in reports {
            let owner = self.table.owner(report.slot);
            if owner == self.core {
                self.take_report(now, self.core, report);
            } else {
                self.post.note(owner, Note::Report(report));
            }
        }
    }

    pub(in super::super) fn take_report(&mut self, now: Now, from: CoreId, report: Report) {
        if self.hot.counting {
            self.hot.reported = true;
            self.hot.board.report(from, now.mono_us, report);
        }
    }

    /// Serves another core's fold. It goes back when the turn ends, with a copy that is current then.
    pub(in super::super) fn serve_fold(&mut self, now: Now, from: CoreId, mut fold: Box<Fold>) {
        self.stats.letters_served += 1;
        #[cfg(feature = "faults")]
        if self.hot.cache.fault == Some(crate::replica::Fault::PublishBeforeApply) {
            fold.copy = Some(copy_of(&mut self.shard, fold.key(), fold.slot, fold.hash, now.unix_ms()));
        }
        let shard = &mut self.shard;
        fold.serve(|crowd, request, reply| apply_for(crowd, shard, now.unix_ms(), request, reply));
        if let Some(row) = self.hot.directory.get(fold.hash) {
            row.folds += 1;
        }
        if let Some(entry) = self.hot.own.get(fold.hash, fold.key()) {
            entry.contended_us = now.mono_us;
        }
        self.hot.served.push((from, fold));
    }

    /// Once a turn, behind its events and before anything leaves: decides, makes the copies of what has changed stale,
    /// and sends folds on their way.
    pub(in super::super) fn publish(&mut self, now: Now) {
        if self.shard.is_short() && now.mono_us >= self.hot.touched_us + TOUCH_US {
            self.touch_hot_keys(now);
        }
        let due = self.hot.board.deadline().is_some_and(|at_us| at_us <= now.mono_us);
        if std::mem::take(&mut self.hot.reported) || due {
            self.decide(now);
        }
        let mut served = std::mem::take(&mut self.hot.served);
        for (_, fold) in &mut served {
            let row = self.hot.directory.get(fold.hash).filter(|row| row.replicates && *row.key == *fold.key());
            if self.transactions.locks_slot(fold.slot) {
                fold.copy = None;
            } else if fold.wants_copy && fold.copy.is_none() && row.is_some_and(|row| !row.pushes) {
                fold.copy = Some(copy_of(&mut self.shard, fold.key(), fold.slot, fold.hash, now.unix_ms()));
            }
        }
        self.advance_versions(now);
        for (from, mut fold) in served.drain(..) {
            if let (Some(copy), Some(row)) = (&mut fold.copy, self.hot.directory.get(fold.hash)) {
                copy.version = row.cell.version();
            }
            self.post.note(from, Note::Folded(fold));
        }
        self.hot.served = served;
        let post = &mut self.post;
        self.hot.cache.depart(|owner, fold| {
            post.sent += 1;
            post.note(owner, Note::Fold(fold));
        });
        let own_folds = &mut self.hot.own_folds;
        self.hot.own.depart(|_, fold| own_folds.push(fold));
    }

    /// Makes all copies of what this turn has changed stale, and sends fresh ones of keys that are read much and written
    /// little: asking for them would take every core a fold after each write.
    fn advance_versions(&mut self, now: Now) {
        if !self.shard.has_changes() {
            return;
        }
        #[cfg(feature = "faults")]
        if self.is_late() {
            return;
        }
        let mut changed = std::mem::take(&mut self.hot.changed);
        self.shard.take_changes(&mut changed);
        changed.sort_unstable_by_key(|hash| hash.0);
        changed.dedup();
        for hash in changed.drain(..) {
            let Some(row) = self.hot.directory.get(hash) else { continue };
            if !row.pushes || self.transactions.locks_slot(row.slot) {
                row.cell.advance();
                continue;
            }
            let copy = copy_of(&mut self.shard, &row.key, row.slot, hash, now.unix_ms());
            let (copy, key) = (copy.at(row.cell.advance()), Arc::clone(&row.key));
            row.bytes = copy.bytes() as u64;
            if row.bytes > PUSH_BYTES_MAX {
                row.pushes = false;
                continue;
            }
            for core in self.other_cores() {
                let news = Refresh { key: Arc::clone(&key), hash, copy: copy.clone() };
                self.post.note(core, Note::Refresh(Box::new(news)));
            }
        }
        self.hot.changed = changed;
    }

    /// The fault of a late publication, every other time.
    #[cfg(feature = "faults")]
    fn is_late(&mut self) -> bool {
        self.hot.late = !self.hot.late && self.hot.cache.fault == Some(crate::replica::Fault::PublishLate);
        self.hot.late
    }

    fn decide(&mut self, now: Now) {
        let load_ops = self.hot.heat.load_ops();
        let (settings, shard) = (&self.settings.hot, std::cell::RefCell::new(&mut self.shard));
        let bytes = |slot: Slot, hash: KeyHash, key: &[u8]| {
            copy_of(&mut shard.borrow_mut(), key, slot, hash, now.unix_ms()).bytes() as u64
        };
        let thresholds = |key: &[u8]| settings.thresholds(key);
        let decisions = self.hot.board.decide(now.mono_us, load_ops, &settings.limits, thresholds, bytes);
        for decision in decisions {
            match decision {
                Decision::Promote { hash, reason } => self.promote(now, hash, reason),
                Decision::Demote { hash, reason } => self.demote(hash, reason),
            }
        }
        self.touch_hot_keys(now);
        self.choose_pushes();
    }

    /// Reads that copies answer leave no trace at the owner: without one, eviction would take the hottest keys first.
    fn touch_hot_keys(&mut self, now: Now) {
        self.hot.touched_us = now.mono_us;
        for row in self.hot.directory.iter() {
            let key = Key { bytes: &row.key, slot: row.slot, hash: row.hash, hint: None };
            if let Some(item) = self.shard.find(&key, now.unix_ms()) {
                self.shard.touch(item);
            }
        }
    }

    /// Once a window: settles how the copies of each hot key are kept fresh.
    fn choose_pushes(&mut self) {
        for row in self.hot.directory.iter_mut() {
            let rates = self.hot.board.get(row.hash).map(|warm| warm.rates()).unwrap_or_default();
            row.pushes =
                row.replicates && row.bytes <= PUSH_BYTES_MAX && rates.reads >= PUSH_READS_A_WRITE * rates.writes;
        }
    }

    /// Whether another server has this key.
    pub(in super::super) fn is_elsewhere(&self, key: &[u8]) -> bool {
        self.router.as_deref().is_some_and(|router| router.has_elsewhere(key))
    }

    /// A key of another core is hot, or of a server that it has watched over.
    pub(in super::super) fn install_hot(&mut self, news: Install) {
        match self.is_elsewhere(&news.key) {
            true => self.install_upstream(news),
            false => self.hot.cache.install(news),
        }
    }

    /// It is hot no more.
    pub(in super::super) fn remove_hot(&mut self, hash: KeyHash, key: &[u8]) {
        match self.is_elsewhere(key) {
            true => self.remove_upstream(hash, key),
            false => self.hot.cache.remove(hash, key),
        }
    }

    /// A key becomes hot: all cores get its cell, and a copy.
    fn promote(&mut self, now: Now, hash: KeyHash, reason: Reason) {
        let Some(warm) = self.hot.board.get(hash) else { return };
        let (key, slot) = (warm.key.clone(), warm.slot);
        let elsewhere = self.is_elsewhere(&key);
        if self.hot.directory.get(hash).is_some() || self.shard.doubts(hash) {
            return;
        }
        let (replicates, combines) = self.settings.hot.treatment(&key);
        let locked = self.transactions.locks_slot(slot);
        let cell = Arc::new(if elsewhere { Cell::shared(self.cores) } else { Cell::default() });
        self.shard.watch(hash, interest::COPIES);
        let copy = copy_of(&mut self.shard, &key, slot, hash, now.unix_ms());
        log::debug!("hot: {} ({reason})", String::from_utf8_lossy(&key));
        for core in self.other_cores() {
            let copy = (replicates && !locked && !elsewhere).then(|| copy.clone().at(cell.version()));
            let (key, cell, owner) = (key.clone(), Arc::clone(&cell), self.core);
            let news = Install { key, slot, hash, owner, cell, copy, combines };
            self.post.note(core, Note::Install(Box::new(news)));
        }
        self.spread_news(&key, true, reason.to_string());
        let own = || Install {
            key: key.clone(),
            slot,
            hash,
            owner: self.core,
            cell: Arc::clone(&cell),
            copy: None,
            combines,
        };
        if elsewhere {
            self.install_upstream(own());
        } else if self.cores > 1 {
            self.hot.own.install(own());
        }
        let bytes = copy.bytes() as u64;
        self.hot.directory.insert(Row {
            key: key.into(),
            slot,
            hash,
            cell,
            replicates,
            pushes: false,
            bytes,
            folds: 0,
        });
        self.hot.promoted += 1;
    }

    /// A key is hot no more: no copy is current from here on, and the others are told to forget it.
    fn demote(&mut self, hash: KeyHash, reason: Reason) {
        let Some(row) = self.hot.directory.remove(hash) else { return };
        self.shard.unwatch(hash, interest::COPIES);
        match self.is_elsewhere(&row.key) {
            true => self.remove_upstream(hash, &row.key),
            false => self.hot.own.remove(hash, &row.key),
        }
        log::debug!("cool: {} ({reason})", String::from_utf8_lossy(&row.key));
        for core in self.other_cores() {
            self.post.note(core, Note::Remove { hash, key: (*row.key).into() });
        }
        self.spread_news(&row.key, false, reason.to_string());
        self.hot.demoted += 1;
    }

    /// No copy of a key in doubt is current, nor any that is under way.
    pub(in super::super) fn hide_doubtful(&mut self) {
        let shard = &self.shard;
        let hot = self.hot.directory.iter().map(|row| row.hash);
        let doubtful: Vec<KeyHash> = hot.filter(|hash| shard.doubts(*hash)).collect();
        for hash in doubtful {
            self.demote(hash, Reason::Off);
        }
    }

    /// Treats no key as hot any more; their counts start anew.
    pub(in super::super) fn demote_all(&mut self) {
        let hot: Vec<KeyHash> = self.hot.directory.iter().map(|row| row.hash).collect();
        for hash in hot {
            self.demote(hash, Reason::Off);
        }
        self.hot.board.clear();
        self.hot.heat.reset();
    }
}

/// The value of a key as it is now; one that has expired is removed on the way.
fn copy_of(shard: &mut Shard, key: &[u8], slot: Slot, hash: KeyHash, now_ms: u64) -> Copy {
    let key = Key { bytes: key, slot, hash, hint: None };
    let Some(item) = shard.find(&key, now_ms) else { return Copy::absent() };
    let expiry_ms = shard.expiry_ms(item);
    match shard.value(item) {
        Value::Bytes(bytes) => Copy::of_bytes(bytes, expiry_ms),
        Value::Shared(value) => Copy::of_shared(Arc::clone(value), expiry_ms),
    }
}
