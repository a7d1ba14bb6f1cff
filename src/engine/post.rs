//! The letters of the current turn, a batch for each other core, and the buffers they are written in.

use super::invalidation::{What, Word};
use super::letter::{Batch, Note, Ticket};
use super::pubsub::Message;
use crate::keyspace::command::Request;
use crate::protocol::resp::{Output, Proto};
use crate::types::{ConnId, CoreId};
use std::sync::Arc;

/// Past so many requests for one core, or past the bytes that the settings allow, connections that ask for more wait
/// until the batch is gone.
const BATCH_REQUESTS_MAX: u32 = 8192;
/// Empty batches kept for a core. As many come from it as go to it, each with its buffers.
const SPARE_BATCHES_MAX: usize = 4;

#[derive(Default)]
struct Tray {
    batch: Box<Batch>,
    #[expect(clippy::vec_box, reason = "batches travel boxed; unboxing one to keep it would allocate its box again")]
    spare: Vec<Box<Batch>>,
}

/// A tray for each core, this one's unused.
pub struct Post {
    trays: Vec<Tray>,
    batch_bytes_max: usize,
    /// What is asked for is part of a transaction that has locked its slots.
    pub holds_locks: bool,
    pub sent: u64,
}

impl Post {
    pub fn new(cores: usize, batch_bytes_max: usize) -> Post {
        Post { trays: (0..cores).map(|_| Tray::default()).collect(), batch_bytes_max, holds_locks: false, sent: 0 }
    }

    /// Adds a request for its key's owner.
    #[inline]
    pub fn ask(&mut self, owner: CoreId, ticket: Ticket, proto: Proto, request: &mut Request) {
        self.ask_heeded(owner, ticket, proto, 0, request);
    }

    /// The same, with bits of what the owner is to heed.
    #[inline]
    pub fn ask_heeded(&mut self, owner: CoreId, ticket: Ticket, proto: Proto, heed: u8, request: &mut Request) {
        self.sent += 1;
        self.trays[owner.index()].batch.push(ticket, proto, self.holds_locks, heed, request);
    }

    /// The batch that answers to `core` are written to.
    pub fn batch(&mut self, core: CoreId) -> &mut Batch {
        &mut self.trays[core.index()].batch
    }

    /// Adds a word about keys that are hot, or that clients keep.
    pub fn note(&mut self, core: CoreId, note: Note) {
        self.trays[core.index()].batch.notes.push(note);
    }

    /// Adds a word about somebody who begins or ends to listen to prefixes.
    pub fn listener(&mut self, core: CoreId, word: Word) {
        self.trays[core.index()].batch.listeners.push(word);
    }

    /// Adds a word for all whom it concerns there: keys have changed.
    pub fn stale(&mut self, core: CoreId, word: Word) {
        self.trays[core.index()].batch.push_stale(word, self.batch_bytes_max);
    }

    /// Adds a word for connection `to` of that core, which is told in the place of `by` of this one.
    pub fn redirect(&mut self, core: CoreId, (to, by): (u64, ConnId), what: &What) {
        self.trays[core.index()].batch.push_redirected((to, by), what, self.batch_bytes_max);
    }

    /// Adds a message for those who listen there; with a ticket, its publisher is told how many they are.
    pub fn message(&mut self, core: CoreId, message: Arc<Message>, ticket: Option<Ticket>) {
        self.sent += 1;
        let bytes = message.len_bytes();
        self.trays[core.index()].batch.push_message(Note::Message(message, ticket), bytes);
    }

    /// Adds requests that monitors there are to see.
    pub fn requests_seen(&mut self, core: CoreId, lines: Arc<Output>) {
        let bytes = lines.len_bytes();
        self.trays[core.index()].batch.push_message(Note::Requests(lines), bytes);
    }

    /// Whether a batch has grown so large that requests should wait: its core does not keep up.
    pub fn is_full(&self) -> bool {
        self.trays
            .iter()
            .any(|tray| tray.batch.asked() >= BATCH_REQUESTS_MAX || tray.batch.asked_bytes() >= self.batch_bytes_max)
    }

    pub fn take(&mut self, to: CoreId) -> Option<Box<Batch>> {
        let tray = &mut self.trays[to.index()];
        if tray.batch.is_empty() {
            return None;
        }
        let next = tray.spare.pop().unwrap_or_default();
        Some(std::mem::replace(&mut tray.batch, next))
    }

    /// What lies here rests on changes that will not last.
    pub fn taint(&mut self) {
        self.trays.iter_mut().filter(|tray| !tray.batch.is_empty()).for_each(|tray| tray.batch.tainted = true);
    }

    /// Undoes [`Post::take`]: nothing was added meanwhile.
    pub fn put_back(&mut self, to: CoreId, batch: Box<Batch>) {
        let tray = &mut self.trays[to.index()];
        assert!(tray.batch.is_empty(), "undelivered letters go back before new ones are written");
        tray.batch = batch;
    }

    /// Keeps a batch that was read, for letters to the core that it came from.
    pub fn recycle(&mut self, from: CoreId, mut batch: Box<Batch>) {
        let tray = &mut self.trays[from.index()];
        if tray.spare.len() < SPARE_BATCHES_MAX {
            batch.clear();
            tray.spare.push(batch);
        }
    }
}
