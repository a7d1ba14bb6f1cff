//! The owner's side of transactions: granting locks, and serving what waited for them.

use super::super::Engine;
use super::super::event::Effects;
use super::super::invalidation::mark_of;
use super::super::letter::Note;
use super::locks::{Holder, LockRequest, Waiting, WaitingRequest};
use super::{Errand, Fault, Outcome};
use crate::keyspace::Key;
use crate::keyspace::command::{Request, apply, apply_for};
use crate::protocol::command::Command;
use crate::protocol::resp::{Output, Reply};
use crate::replica::Fold;
use crate::types::{ConnId, CoreId, Now};

impl Engine {
    pub(super) fn take_lock(&mut self, now: Now, from: CoreId, request: LockRequest) {
        let granted_twice = self.transactions.commits(Fault::GrantTwice);
        let locks = &mut self.transactions.locks;
        if !locks.is_in_the_way(&request.slots, (from, request.conn)) || granted_twice {
            locks.hold(Holder { core: from, number: request.number }, request.slots.clone());
            self.lock_is_held(now, from, &request);
        } else if request.waits {
            locks.wait(Waiting::Lock(from, request));
        } else {
            self.answer_lock(from, request.number, Outcome::Refused);
        }
    }

    /// A lock is held: it is granted, unless a key that the transaction watches has changed. True if it is.
    fn lock_is_held(&mut self, now: Now, from: CoreId, request: &LockRequest) -> bool {
        let as_watched = !request.watches || self.is_as_watched(now, (from, request.conn));
        if as_watched {
            // No copy on any core may show a state before the transaction while another key of it shows one behind.
            let kept = self.transactions.commits(Fault::KeepCopies);
            for row in self.hot.directory.iter().filter(|row| request.slots.contains(row.slot) && !kept) {
                row.cell.advance();
            }
            self.answer_lock(from, request.number, Outcome::Granted);
        } else {
            self.transactions.locks.release(Holder { core: from, number: request.number });
            self.answer_lock(from, request.number, Outcome::Changed);
        }
        as_watched
    }

    fn answer_lock(&mut self, from: CoreId, number: u32, outcome: Outcome) {
        if from == self.core {
            self.transactions.errand(Errand::Locked { number, core: from, outcome });
        } else {
            self.post.note(from, Note::Locked(number, outcome));
        }
    }

    /// A fold of a locked key waits; it comes back as the argument if the key is not.
    #[inline]
    pub(in super::super) fn fold_waits(&mut self, from: CoreId, fold: Box<Fold>) -> Option<Box<Fold>> {
        if self.transactions.locks.is_idle() || !self.transactions.locks.fold_must_wait(fold.slot) {
            return Some(fold);
        }
        self.transactions.locks.wait(Waiting::Fold(from, fold));
        None
    }

    /// A transaction has ended here: what waited for it is served, in the order in which it came. Clients go on only when
    /// all of it has been: otherwise they might pass their own requests.
    pub(super) fn unlock(&mut self, now: Now, holder: Holder, effects: &mut Effects) {
        self.transactions.locks.release(holder);
        let (mut answered, mut landed) = (Vec::new(), Vec::new());
        let mut again = true;
        while std::mem::take(&mut again) {
            for waiting in self.transactions.locks.take_ready() {
                match waiting {
                    Waiting::Request(_) if self.transactions.commits(Fault::ForgetWaiting) => {}
                    Waiting::Request(request) => answered.extend(self.serve_waiting(now, request, effects)),
                    Waiting::Fold(from, mut fold) if from == self.core => {
                        let shard = &mut self.shard;
                        fold.serve(|crowd, request, reply| apply_for(crowd, shard, now.unix_ms(), request, reply));
                        landed.push(fold);
                    }
                    Waiting::Fold(from, fold) => self.serve_fold(now, from, fold),
                    Waiting::Lock(from, request) => again |= !self.lock_is_held(now, from, &request),
                }
            }
        }
        for conn in answered {
            if let Some(client) = self.sessions.take(conn) {
                self.settle(now, conn, client, effects);
            }
        }
        for fold in landed {
            self.fold_returned(now, fold, effects);
        }
    }

    /// Applies an operation that waited and answers it; the connection, if it is one of this core's.
    fn serve_waiting(&mut self, now: Now, waiting: WaitingRequest, effects: &mut Effects) -> Option<ConnId> {
        let on_one_key = waiting.slot().is_some();
        let WaitingRequest { from, ticket, proto, heed, command, slot, hash, mut args } = waiting;
        let asker = mark_of(from, ticket.conn());
        let (mut out, args) = (Output::default(), args.args());
        let mut reply = Reply { out: &mut out, proto };
        if command == Command::Watch {
            // Without a key its client watches nothing any more.
            if args.len() > 1 {
                let key = Key { bytes: args.get(1), slot, hash, hint: None };
                self.watch_key(now, (from, ticket.conn()), &key);
            }
            reply.ok();
        } else if on_one_key {
            let mut request = Request { command, args, slot, hash, hint: None };
            self.apply_heeded(now, (heed, asker), &mut request, &mut reply);
        } else {
            self.part(now, None, command, &args, &mut reply, effects);
        }
        let range = 0..out.bytes.len();
        if from != self.core {
            self.post.batch(from).answer(ticket, |whole| whole.append(&out, range));
            return None;
        }
        let mut client = self.sessions.take(ticket.conn())?;
        self.lend_output(&mut client);
        self.fill(&mut client, ticket, &out, range);
        self.sessions.put(ticket.conn(), client);
        Some(ticket.conn())
    }
}
