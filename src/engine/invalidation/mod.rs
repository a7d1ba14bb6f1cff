//! Owns: CLIENT TRACKING: who keeps which keys, and telling them when these change.
//! Knows: the shard's changes, sessions, the post.
//! Must never know: how keys change, how hot keys are copied.
//! Read first: this page, then `readers.rs` (by key), `prefixes.rs` (by prefix), `delivery.rs` (to the client).
//!
//! The owner of a key keeps the table of connections that have read it: a letter says when its reader wants to be told,
//! and such a client's operations go past copies and folds, so that the owner sees each. A change takes the key's row out
//! and its readers are told by one word for each core, when the turn ends; those of this core when the next turn begins.
//!
//! **Nobody keeps a stale value unknowingly.** A read is in the table when its answer is written, in the same turn. A
//! change after it finds the row; the word about it leaves in the same batch as the answer or in a later one, batches of
//! two cores stay in order, and in each, answers are read before notes. So the word comes behind the value, and the push
//! stands behind the reply in the client's own queue, even if that one still waits for something else. A change before a
//! read is settled before the read enters the table ([`Engine::remember_reader`]), so that it cannot take the new row
//! with it. Copies and folds answer only clients in BCAST mode: a copy is current until the cell's version moves on, which is
//! before the word about a change leaves, and a fold goes back before it, so that no older value comes behind the word.
//! With REDIRECT the word travels to another connection, and may overtake the reply on its way to the client, as in Redis.
//!
//! **FLUSHALL** runs core by core. Only when all have flushed is everybody told to forget all keys, in one word: what was
//! asked before stands before that word in the queue of its client, and what is asked behind it finds flushed keys.

mod command;
mod delivery;
mod fault;
mod options;
mod prefixes;
mod readers;
mod seek;

pub use command::redirect_of;
pub use delivery::What;
pub use fault::Fault;
pub use options::redirect_in;

use super::Engine;
use super::event::Effects;
use super::letter::{AUTHOR, Note, READER, Ticket};
use super::sessions::Client;
use crate::keyspace::command::{Request, apply};
use crate::keyspace::{Changes, Mark, interest};
use crate::protocol::command::{Spec, flags::flag};
use crate::protocol::resp::Reply;
use crate::types::{ConnId, CoreId, KeyHash, Now};
use prefixes::{Broadcast, Prefixes};
use readers::{Readers, Row};
use seek::Seeks;
use std::sync::Arc;

/// Rows that one turn takes out of the table at most when it is too long.
const EVICTIONS_MAX: usize = 1000;

/// What cores tell each other about it.
pub enum Word {
    /// Keys that connections there have read have changed.
    Stale(Vec<Stale>),
    /// So have keys with a prefix that somebody there listens to.
    Broadcast(Arc<Broadcast>),
    /// A flush that was asked for there is done here.
    Flushed,
    /// It is done everywhere.
    Forget,
    /// Somebody here listens to these prefixes; the ticket is answered.
    Listen {
        prefixes: Vec<Vec<u8>>,
        ticket: Ticket,
    },
    /// Nobody here does any more.
    Deaf {
        prefix: Vec<u8>,
    },
    /// For the connection with this id, instead of that one of the sender's.
    Redirected {
        to: u64,
        by: ConnId,
        what: What,
    },
    /// There is no such connection.
    Broken {
        to: u64,
        by: ConnId,
    },
    /// Is there? Connection `by` wants to redirect to it.
    Seek {
        id: u64,
        by: ConnId,
    },
    Sought {
        id: u64,
        by: ConnId,
        found: bool,
    },
}

impl Word {
    /// Bytes of the keys that it is about, and of their readers.
    pub fn key_bytes(&self) -> usize {
        match self {
            Word::Stale(rows) => rows.iter().map(|row| row.key.len() + size_of_val(&row.readers[..])).sum(),
            Word::Broadcast(broadcast) => broadcast.keys.iter().map(|(key, _)| key.len() + size_of::<Mark>()).sum(),
            _ => 0,
        }
    }
}

/// A key that has changed, and connections of one core that have read it.
pub struct Stale {
    pub key: Arc<[u8]>,
    pub readers: Vec<ConnId>,
}

/// A connection as the number that a change carries.
pub(super) fn mark_of(core: CoreId, conn: ConnId) -> Mark {
    let mark = 1 << 80 | u128::from(core.0) << 64 | u128::from(conn.index) << 32 | u128::from(conn.generation);
    Mark(mark)
}

fn core_of(mark: u128) -> CoreId {
    CoreId((mark >> 64) as u16)
}

fn conn_of(mark: u128) -> ConnId {
    ConnId { index: (mark >> 32) as u32, generation: mark as u32 }
}

/// One core's part of it.
pub(super) struct Invalidation {
    /// Connections of this core with CLIENT TRACKING on.
    pub clients: u64,
    pub readers: Readers,
    pub prefixes: Prefixes,
    changes: Changes,
    /// Stale keys for each core.
    outbox: Vec<Vec<Stale>>,
    /// What this core's own connections are told when the next turn begins.
    desk: Vec<Word>,
    /// How often each core has flushed because of what was asked here.
    flushes: Vec<u64>,
    flushed: u64,
    /// Rows of the table as the ledger has them.
    published: u64,
    /// The table is still too long.
    long: bool,
    pub(super) seeks: Seeks,
    #[cfg(feature = "faults")]
    fault: Option<Fault>,
}

impl Invalidation {
    pub fn new(cores: usize) -> Invalidation {
        Invalidation {
            clients: 0,
            readers: Readers::default(),
            prefixes: Prefixes::default(),
            changes: Changes::default(),
            outbox: (0..cores).map(|_| Vec::new()).collect(),
            desk: Vec::new(),
            flushes: vec![0; cores],
            flushed: 0,
            published: 0,
            long: false,
            seeks: Seeks::default(),
            #[cfg(feature = "faults")]
            fault: None,
        }
    }

    /// Whether there is something to do in the next turn.
    pub fn wants_turn(&self) -> bool {
        !self.desk.is_empty() || self.long
    }

    /// Nobody reads or listens, and nothing is left to be told.
    fn is_idle(&self) -> bool {
        self.readers.is_empty() && self.prefixes.is_empty() && self.published == 0
    }

    /// Notes whom the change of a key concerns, but for whoever made it.
    fn expose(&mut self, row: Row, mark: Mark) {
        if self.commits(Fault::MuteAuthors) && mark != Mark::default() {
            return;
        }
        let loops = self.commits(Fault::LoopBack);
        for reader in row.readers.into_iter().filter(|reader| *reader != mark.0 || loops) {
            let stale = &mut self.outbox[core_of(reader).index()];
            match stale.last_mut().filter(|last| Arc::ptr_eq(&last.key, &row.key)) {
                Some(last) => last.readers.push(conn_of(reader)),
                None => stale.push(Stale { key: Arc::clone(&row.key), readers: vec![conn_of(reader)] }),
            }
        }
    }
}

impl Engine {
    /// Whether owners have to know of a client's operations, which then go past copies and folds. It is the same for all
    /// that the client asks between one CLIENT TRACKING and the next, so that none of it overtakes another.
    #[inline]
    pub(super) fn is_heeded(&self, client: &Client) -> bool {
        let from_copies = self.invalidation.commits(Fault::AnswerFromCopies);
        client.tracker.as_ref().is_some_and(|tracker| tracker.is_heeded() && !from_copies)
    }

    /// What the owner of a key must heed in a command of this client: bits of a letter's flags.
    pub(super) fn heed_of(&self, client: &Client, spec: &Spec) -> u8 {
        let Some(tracker) = &client.tracker else { return 0 };
        let reads = spec.has(flag::READONLY) && tracker.remembers();
        (u8::from(reads) * READER) | (u8::from(tracker.noloop) * AUTHOR)
    }

    /// Applies an operation of a client that is heeded as the bits of `heed` say.
    #[inline]
    pub(super) fn apply_heeded(
        &mut self,
        now: Now,
        (heed, asker): (u8, Mark),
        request: &mut Request,
        reply: &mut Reply,
    ) {
        self.begin_heeded(heed, asker);
        apply(&mut self.shard, now.unix_ms(), request, reply);
        if heed != 0 {
            self.end_heeded(heed, asker, request);
        }
    }

    /// Before an operation of somebody whom the owner heeds.
    pub(super) fn begin_heeded(&mut self, heed: u8, asker: Mark) {
        if heed & AUTHOR != 0 {
            self.shard.mark(asker);
        }
    }

    /// Behind it, and before its answer leaves.
    pub(super) fn end_heeded(&mut self, heed: u8, asker: Mark, request: &Request) {
        self.shard.mark(Mark::default());
        let forgets = self.invalidation.commits(Fault::ForgetReader) && core_of(asker.0) != self.core;
        if heed & READER != 0 && !forgets {
            self.remember_reader(asker, request.hash, request.args.get(1));
        }
    }

    fn remember_reader(&mut self, reader: Mark, hash: KeyHash, key: &[u8]) {
        if !self.invalidation.commits(Fault::SettleLate) {
            self.settle_changes();
        }
        let (new, displaced) = self.invalidation.readers.remember(hash, key, reader.0);
        if new {
            self.shard.watch(hash, interest::READERS);
        }
        if let Some(row) = displaced {
            self.invalidation.expose(row, Mark::default());
        }
    }

    /// Finds out whom the changes so far concern.
    fn settle_changes(&mut self) {
        if !self.shard.has_told() {
            return;
        }
        let mut changes = std::mem::take(&mut self.invalidation.changes);
        self.shard.swap_told(&mut changes);
        for (change, key) in changes.iter() {
            if change.read
                && let Some(row) = self.invalidation.readers.remove(change.hash)
            {
                self.invalidation.expose(row, change.mark);
            }
            self.invalidation.prefixes.collect(key, change.mark);
        }
        changes.clear();
        self.invalidation.changes = changes;
    }

    /// Once a turn, behind its events: tells each core what concerns its connections.
    #[inline]
    pub(super) fn spread_invalidations(&mut self) {
        if !self.invalidation.is_idle() {
            self.spread_all();
        }
    }

    #[inline(never)]
    fn spread_all(&mut self) {
        self.settle_changes();
        self.limit_readers();
        for core in CoreId::all(self.cores) {
            let stale = std::mem::take(&mut self.invalidation.outbox[core.index()]);
            if !stale.is_empty() {
                self.tell_core(core, Word::Stale(stale));
            }
        }
        for (broadcast, cores) in self.invalidation.prefixes.take_changed() {
            for core in cores {
                self.tell_core(core, Word::Broadcast(Arc::clone(&broadcast)));
            }
        }
    }

    /// Keeps the table of readers within its bound, which is on the sum over cores: whoever reads a key that is taken out
    /// is told that it has changed. Each key too many is claimed by one core.
    fn limit_readers(&mut self) {
        let invalidation = &mut self.invalidation;
        let keys = invalidation.readers.len() as u64;
        if keys != invalidation.published {
            self.ledger.count_tracked(invalidation.published, keys);
            invalidation.published = keys;
        }
        let max = self.settings.tracking_table_keys_max;
        for _ in 0..EVICTIONS_MAX {
            self.invalidation.long =
                max > 0 && !self.invalidation.readers.is_empty() && self.ledger.claim_tracked_above(max);
            if !self.invalidation.long {
                return;
            }
            let dice = self.shard.draw();
            let (hash, row) = self.invalidation.readers.remove_any(dice).expect("it is not empty");
            self.shard.unwatch(hash, interest::READERS);
            self.invalidation.published -= 1;
            self.invalidation.expose(row, Mark::default());
        }
    }

    /// All keys of this core are gone, because of a command that core `asked` has taken.
    pub(super) fn tell_flushed(&mut self, asked: CoreId) {
        self.invalidation.readers.clear();
        if asked == self.core {
            return self.take_flushed(asked);
        }
        self.post.note(asked, Note::Invalidation(Word::Flushed));
    }

    fn take_flushed(&mut self, from: CoreId) {
        self.invalidation.flushes[from.index()] += 1;
        let everywhere = self.invalidation.flushes.iter().copied().min().expect("there is at least one core");
        if everywhere == self.invalidation.flushed {
            return;
        }
        self.invalidation.flushed = everywhere;
        let told = if self.invalidation.commits(Fault::LoseFlush) { 0 } else { self.cores };
        for core in CoreId::all(told) {
            self.tell_core(core, Word::Forget);
        }
    }

    fn tell_core(&mut self, core: CoreId, word: Word) {
        if core != self.core {
            let lost = match word {
                Word::Stale(_) => self.invalidation.commits(Fault::LoseStale),
                Word::Broadcast(_) => self.invalidation.commits(Fault::LoseBroadcast),
                _ => false,
            };
            if lost {
                return;
            }
            return self.post.stale(core, word);
        }
        if self.invalidation.clients > 0 {
            self.invalidation.desk.push(word);
        }
    }

    /// Once a turn, before its events.
    #[inline]
    pub(super) fn tell_invalidations(&mut self, now: Now, effects: &mut Effects) {
        if !self.invalidation.desk.is_empty() {
            for word in std::mem::take(&mut self.invalidation.desk) {
                self.take_word(now, self.core, word, effects);
            }
        }
    }

    /// Takes another core's word, or this one's own.
    pub(super) fn take_word(&mut self, now: Now, from: CoreId, word: Word, effects: &mut Effects) {
        match word {
            Word::Stale(stale) => self.tell_readers(now, stale, effects),
            Word::Broadcast(broadcast) => self.tell_prefix(now, &broadcast, effects),
            Word::Flushed => self.take_flushed(from),
            Word::Forget => self.tell_all(now, effects),
            Word::Listen { prefixes, ticket } => {
                self.add_prefixes(from, &prefixes);
                self.post.batch(from).answer(ticket, |out| out.bytes.extend_from_slice(b"+OK\r\n"));
            }
            Word::Deaf { prefix } => self.drop_prefix(from, &prefix),
            Word::Redirected { to, by, what } => self.tell_redirected(now, from, to, by, &what, effects),
            Word::Broken { to, by } => self.tell_broken(now, to, by, effects),
            Word::Seek { id, by } => self.seek(from, id, by),
            Word::Sought { id, by, found } => self.sought(now, (id, by), found, effects),
        }
    }

    /// Whether operations need more than to be run: a session of HOTKEYS counts them, or clients here are to be told.
    pub(super) fn attend(&mut self) {
        self.attentive = self.hot_session.is_some() || self.invalidation.clients > 0;
    }
}
