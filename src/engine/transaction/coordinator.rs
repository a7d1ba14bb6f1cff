//! A transaction at the core of its client: it asks the owners for their locks, runs its program, and lets go.
//!
//! It asks all of them at once and does not wait where others are in its way: then it lets go of what it has and asks
//! again, one core after the other in order, and waits at each. Whoever waits while it holds something has asked in order,
//! so nobody waits in a circle; and locks that wait are served first come, first served, so nobody waits for ever.

use super::super::Engine;
use super::super::event::Effects;
use super::super::ingress::Call;
use super::super::letter::Note;
use super::super::sessions::Client;
use super::footprint::Footprint;
use super::locks::{Holder, LockRequest, SlotSet};
use super::moves::Move;
use super::{Errand, Fault, Outcome};
use crate::session::Queued;
use crate::types::{ConnId, CoreId, Now};

/// Requests that run in order.
pub struct Program {
    pub requests: std::vec::IntoIter<Queued>,
    pub count: usize,
    /// Their replies are the elements of one.
    pub is_exec: bool,
    /// The client wants no reply.
    pub muted: bool,
    /// The one that waits for the answers to a round of its operations, and its reply slot.
    pub pending: Option<(u32, Move)>,
    pub begun: bool,
}

impl Program {
    pub fn new(requests: Vec<Queued>, is_exec: bool) -> Program {
        let count = requests.len();
        Program { requests: requests.into_iter(), count, is_exec, muted: false, pending: None, begun: false }
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// All cores were asked; so many have not answered.
    Asking {
        left: usize,
    },
    /// The cores before this row have granted theirs; this one was asked.
    InOrder {
        row: usize,
    },
    Running,
}

pub struct Transaction {
    pub number: u32,
    pub conn: ConnId,
    locks: Vec<(CoreId, SlotSet)>,
    granted: Vec<bool>,
    stage: Stage,
    changed: bool,
    watches: bool,
    /// Its client is gone before it ran: what is granted is let go.
    abandoned: bool,
    pub program: Program,
}

impl Engine {
    /// Runs a program at once if that is safe, or has its client wait until its slots are locked.
    pub(in super::super) fn start(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        mut program: Program,
        footprint: Footprint,
    ) {
        program.muted = client.is_muted();
        let moves = footprint.moves;
        let locks = footprint.locks(self);
        let watches = program.is_exec && !client.watched.is_empty();
        // Requests on one slot that only do their work wait for others in a row, and run in a row.
        let alone = match &locks[..] {
            [] => true,
            [(core, slots)]
                if *core == self.core && !self.transactions.locks.is_in_the_way(slots, (*core, call.conn)) =>
            {
                true
            }
            [(_, slots)] => slots.is_one() && !(watches || moves),
            _ => false,
        };
        if alone {
            let as_watched = !watches || self.is_as_watched(call.now, (self.core, call.conn));
            if watches {
                self.unwatch(call.conn, client);
            }
            return if as_watched {
                let ended = self.run_program(call, client, &mut program, false);
                assert!(ended, "on one core nothing is awaited");
                client.push_aside();
            } else {
                self.write_down_exec(call.now, client, &mut []);
                client.answer(|reply| reply.null_array());
            };
        }
        let number = self.transactions.next_number;
        self.transactions.next_number = number.wrapping_add(1);
        client.transaction = Some(number);
        client.stalled = true;
        let transaction = Transaction {
            number,
            conn: call.conn,
            granted: vec![false; locks.len()],
            stage: Stage::Asking { left: locks.len() },
            locks,
            changed: false,
            watches,
            abandoned: false,
            program,
        };
        self.transactions.under_way.insert(number, transaction);
        self.transactions.errand(Errand::Begin(number));
    }

    /// Does what has come up about transactions, while no client is in the middle of a request.
    #[inline]
    pub(in super::super) fn run_errands(&mut self, now: Now, effects: &mut Effects) {
        while let Some(errand) = self.transactions.errands.pop_front() {
            self.run_errand(now, errand, effects);
        }
    }

    #[inline(never)]
    fn run_errand(&mut self, now: Now, errand: Errand, effects: &mut Effects) {
        match errand {
            Errand::Begin(number) => {
                let Some(transaction) = self.transactions.under_way.get_mut(&number) else { return };
                let locks = transaction.locks.len();
                if locks == 1 {
                    // It holds nothing while it waits.
                    transaction.stage = Stage::InOrder { row: 0 };
                    return self.ask_for_lock(number, 0, true);
                }
                for lock in 0..locks {
                    self.ask_for_lock(number, lock, false);
                }
            }
            Errand::Lock(from, request) => self.take_lock(now, from, request),
            Errand::Locked { number, core, outcome } => self.lock_answered(now, (number, core), outcome, effects),
            Errand::GoOn(number) => self.go_on(now, number, effects),
            Errand::Unlock(holder) => self.unlock(now, holder, effects),
        }
    }

    fn ask_for_lock(&mut self, number: u32, lock: usize, waits: bool) {
        let transaction = &self.transactions.under_way[&number];
        let (core, slots) = transaction.locks[lock].clone();
        let Transaction { conn, watches, .. } = *transaction;
        let request = LockRequest { number, conn, slots, waits, watches };
        if core == self.core {
            self.transactions.errand(Errand::Lock(core, request));
        } else {
            self.post.note(core, Note::Lock(Box::new(request)));
        }
    }

    fn lock_answered(&mut self, now: Now, (number, core): (u32, CoreId), outcome: Outcome, effects: &mut Effects) {
        let transaction = self.transactions.under_way.get_mut(&number);
        let transaction = transaction.expect("a transaction stays until its locks are answered");
        let lock = transaction.locks.iter().position(|(asked, _)| *asked == core).expect("that core was asked");
        transaction.granted[lock] = outcome == Outcome::Granted;
        transaction.changed |= outcome == Outcome::Changed;
        let all = transaction.granted.iter().all(|granted| *granted);
        match &mut transaction.stage {
            Stage::Asking { left } => {
                *left -= 1;
                if *left > 0 {
                    return;
                }
            }
            Stage::InOrder { .. } => {}
            Stage::Running => unreachable!("all its locks were answered before it ran"),
        }
        if transaction.changed || transaction.abandoned {
            return self.call_off(now, number, effects);
        }
        if all {
            transaction.stage = Stage::Running;
            return self.go_on(now, number, effects);
        }
        let next = match transaction.stage {
            Stage::InOrder { row } => row + 1,
            _ => {
                if !self.transactions.commits(Fault::KeepRefused) {
                    self.let_go(number);
                }
                0
            }
        };
        let transaction = self.transactions.under_way.get_mut(&number).expect("it was just looked at");
        transaction.stage = Stage::InOrder { row: next };
        self.ask_for_lock(number, next, true);
    }

    /// Gives the locks back that were granted.
    fn let_go(&mut self, number: u32) {
        let transaction = self.transactions.under_way.get_mut(&number).expect("only one that is under way lets go");
        for (granted, (core, _)) in transaction.granted.iter_mut().zip(&transaction.locks) {
            if !std::mem::take(granted) {
                continue;
            }
            if *core == self.core {
                self.transactions.errands.push_back(Errand::Unlock(Holder { core: self.core, number }));
            } else {
                self.post.note(*core, Note::Unlock(number));
            }
        }
    }

    /// Its watched keys have changed, or its client is gone: it does not run.
    fn call_off(&mut self, now: Now, number: u32, effects: &mut Effects) {
        if !(self.transactions.under_way[&number].abandoned && self.transactions.commits(Fault::KeepAbandoned)) {
            self.let_go(number);
        }
        let transaction = self.transactions.under_way.remove(&number).expect("it was just looked at");
        if let (true, Some(client)) = (transaction.program.is_exec, self.sessions.take(transaction.conn)) {
            self.write_down_exec(now, &client, &mut []);
            self.sessions.put(transaction.conn, client);
        }
        self.end(now, transaction, effects, |client| client.answer(|reply| reply.null_array()));
    }

    /// Runs the program on, which holds all of its locks, up to its end or to a command that awaits answers.
    fn go_on(&mut self, now: Now, number: u32, effects: &mut Effects) {
        if !self.transactions.under_way.contains_key(&number) {
            return;
        }
        if self.transactions.commits(Fault::UnlockEarly) {
            self.let_go(number);
        }
        let mut transaction = self.transactions.under_way.remove(&number).expect("it was just looked at");
        let conn = transaction.conn;
        let mut client = self.sessions.take(conn).expect("a client stays until its program has run");
        self.lend_output(&mut client);
        let mut call = Call { now, conn, effects };
        let ended = self.run_program(&mut call, &mut client, &mut transaction.program, true);
        self.sessions.put(conn, client);
        self.transactions.under_way.insert(number, transaction);
        if ended {
            self.let_go(number);
            let transaction = self.transactions.under_way.remove(&number).expect("it was just put back");
            self.end(now, transaction, effects, |_| {});
        }
    }

    /// The client, if it is still there, goes on with what it has asked meanwhile.
    fn end(&mut self, now: Now, transaction: Transaction, effects: &mut Effects, answer: impl FnOnce(&mut Client)) {
        let conn = transaction.conn;
        let Some(mut client) = self.sessions.take(conn) else { return };
        if client.transaction == Some(transaction.number) {
            client.transaction = None;
            if transaction.watches {
                self.unwatch(conn, &mut client);
            }
            answer(&mut client);
            if let Some(tracker) = &mut client.tracker {
                tracker.caching = false;
            }
            client.push_aside();
        }
        self.sessions.put(conn, client);
        self.lay_to_rest(conn);
        self.resume(now, conn, effects);
    }

    /// A client is gone. True: its program is running, and it stays as a shadow until that has ended.
    pub(in super::super) fn abandon(&mut self, client: &Client) -> bool {
        let Some(number) = client.transaction else { return false };
        let transaction = self.transactions.under_way.get_mut(&number).expect("its client waits for it");
        if transaction.stage != Stage::Running {
            transaction.abandoned = true;
            return false;
        }
        let stops = self.transactions.commits(Fault::StopWithClient);
        if stops {
            self.let_go(number);
            self.transactions.under_way.remove(&number);
        }
        !stops
    }
}
