//! Why a copy of another server's key is current.
//!
//! **Writes through this router**, by whichever core: the cell that all cores share counts those under way. A copy is made
//! of a read that was sent while there were none, if none has begun until it was answered; and each write moves the
//! version before it is sent and before its reply leaves. So no read follows an acknowledged write and misses it.
//!
//! **Writes by others**: the link that a copy was read by is one on which the server remembers each key that it was asked
//! for (CLIENT TRACKING), and on which it says so when one has changed. It carries nothing but folds of hot keys, so it
//! needs no OPTIN, which takes a second request with each read. Replies and such pushes come in the order in which things
//! happened; so a push between a key's value and the reply that ends its flight tells of a change behind that value. The
//! first core that hears of a change moves the version for all. With the link its copies go.
//!
//! **A key turns hot.** What was asked before went its own way, and is in no count. So a cell begins with one write under
//! way for each core, which that core ends when all that it had asked by then is answered. A write that is asked once more
//! is in that count no longer: it is one on all keys that are hot by then.

use super::super::fault::Fault;
use super::super::router::{Asked, Router, Whose};
use super::super::row::Row;
use super::Made;
use crate::engine::Engine;
use crate::protocol::resp::Value;
use crate::replica::{Cell, Install};
use crate::types::KeyHash;
use std::sync::Arc;

/// A longer push is not read: it may be about any key.
const PUSH_BYTES_MAX: usize = 64 * 1024;

/// A key that has turned hot, and what of this core's requests was under way then: by link, how many had been asked.
pub struct Fence {
    cell: Arc<Cell>,
    rows: Vec<(u32, u64)>,
}

impl Asked {
    /// Whether it may change hot keys, by no fold.
    fn may_write_past(&self) -> bool {
        !self.reads && matches!(self.whose, Whose::Client(_))
    }
}

impl Router {
    /// Ends the fences behind which all is answered.
    pub fn end_fences(&mut self) {
        if self.hot.fences.is_empty() {
            return;
        }
        let rows = &self.rows;
        let answered = |row: u32| {
            let row = &rows[row as usize];
            row.asked - row.link.as_ref().map_or(0, |link| link.in_flight() as u64)
        };
        self.hot.fences.retain_mut(|fence| {
            fence.rows.retain(|(row, asked)| answered(*row) < *asked);
            if fence.rows.is_empty() {
                fence.cell.end_write();
            }
            !fence.rows.is_empty()
        });
    }
}

impl Engine {
    /// A key of another server is hot.
    pub(in crate::engine) fn install_upstream(&mut self, news: Install) {
        let router = self.router.as_deref_mut().expect("its keys are elsewhere");
        // Nobody waits for what blocks.
        let is_busy = |row: &Row| row.link.as_ref().is_some_and(|link| link.in_flight() > 0);
        let busy = |row: &Row| is_busy(row) && !(row.own().is_some() && router.own.is_patient(row));
        let rows = router.rows.iter().zip(0..).filter(|(row, _)| busy(row)).map(|(row, number)| (number, row.asked));
        router.hot.fences.push(Fence { cell: Arc::clone(&news.cell), rows: rows.collect() });
        let Router { hot, detours, later, .. } = router;
        for asked in detours.waiting().chain(later.iter_mut().map(|(_, asked, _)| asked)) {
            if asked.may_write_past() {
                asked.bar = hot.widen(asked.bar, vec![Arc::clone(&news.cell)]);
            }
        }
        router.end_fences();
        self.hot.upstream.install(news);
    }

    /// A request is asked once more, elsewhere or later.
    pub(in super::super) fn widen_bar(&mut self, asked: &mut Asked) {
        if !self.hot.upstream.is_empty() && asked.may_write_past() {
            let cells = self.cells_of_all();
            asked.bar = self.router.as_deref_mut().expect("there is a router").hot.widen(asked.bar, cells);
        }
    }

    /// It is hot no more.
    pub(in crate::engine) fn remove_upstream(&mut self, hash: KeyHash, key: &[u8]) {
        self.count_hits(|made| made.hash == hash);
        self.count_read_hits();
        let router = self.router.as_deref_mut().expect("its keys are elsewhere");
        router.hot.made.retain(|made| made.hash != hash || *made.key != *key);
        self.hot.upstream.remove(hash, key);
    }

    /// Adds reads that copies have answered to their servers' figures.
    pub(in super::super) fn count_hits(&mut self, of: impl Fn(&Made) -> bool) {
        let Some(router) = self.router.as_deref_mut() else { return };
        for made in router.hot.made.iter_mut().filter(|made| of(made)) {
            if let Some(entry) = self.hot.upstream.get(made.hash, &made.key) {
                let hits = entry.hits - std::mem::replace(&mut made.hits, entry.hits);
                router.servers[made.server as usize].figures.hot_hits += hits;
            }
        }
    }

    /// A link is lost: nobody says any more when what was read by it changes.
    pub(in super::super) fn forget_copies_of(&mut self, row: u32) {
        self.forget_copies(|made| made == row);
    }

    /// Keys have other servers than before.
    pub(in super::super) fn forget_all_copies(&mut self) {
        self.forget_copies(|_| true);
    }

    fn forget_copies(&mut self, by: impl Fn(u32) -> bool) {
        let hot = &mut self.router.as_deref_mut().expect("there is a router").hot;
        for made in hot.made.iter_mut().filter(|made| made.row.is_some_and(&by)) {
            made.row = None;
            if let Some(entry) = self.hot.upstream.get(made.hash, &made.key) {
                entry.drop_copy();
            }
        }
        hot.made.retain(|made| made.row.is_some() || made.kept.is_some());
        self.hot.upstream.iter_mut().for_each(|entry| entry.reads.disown(&by));
        for flight in hot.in_flight() {
            flight.is_stale |= flight.is_by(&by);
        }
    }

    /// A server says something that nobody has asked for.
    pub(in super::super) fn hear(&mut self, row: u32, push: &[u8]) {
        if self.router.as_deref().is_some_and(|router| router.commits(Fault::IgnorePushes)) {
            return;
        }
        if push.len() > PUSH_BYTES_MAX {
            return self.forget_copies_of(row);
        }
        let Ok(Some((push, _))) = Value::parse(push) else { return };
        let [Value::Text(kind), what] = push.list() else { return };
        if kind != b"invalidate" {
            return;
        }
        if *what == Value::Nothing {
            return self.forget_copies_of(row);
        }
        for key in what.list() {
            if let Value::Text(key) = key {
                self.key_has_changed(key);
            }
        }
    }

    fn key_has_changed(&mut self, key: &[u8]) {
        let hash = self.shard.hash(key);
        if let Some(entry) = self.hot.upstream.get(hash, key)
            && entry.drop_copy() | entry.reads.has_copies_at(entry.cell().version())
        {
            // Cores that hear of it later have lost their copies by then, so they do not move it once more.
            entry.cell().invalidate();
        }
        let hot = &mut self.router.as_deref_mut().expect("there is a router").hot;
        for flight in hot.in_flight().filter(|flight| flight.has_read(key)) {
            flight.is_stale = true;
        }
    }
}
