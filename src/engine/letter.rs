//! Letters: operations that travel to the core that owns their key, and the answers that travel back.
//!
//! A batch holds all letters of one pair of cores and one turn, requests and answers, as plain bytes in buffers
//! that are used again: writing one is a copy of a fixed head and the arguments. Large arguments and large values
//! travel by reference beside them.

use super::invalidation::{What, Word};
use super::news::News;
use super::pubsub::Message;
use super::transaction::{LockRequest, Outcome};
use crate::heat::Report;
use crate::keyspace::command::Request;
use crate::protocol::command::Command;
use crate::protocol::resp::{Arg, Args, Output, Proto};
use crate::replica::{Fold, Install, Refresh};
use crate::types::{ConnId, KeyHash, Slot};
use bytemuck::{Pod, Zeroable};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// Where an answer belongs: a connection of the asking core, its reply slot, and the part of that reply.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Ticket {
    conn_index: u32,
    conn_generation: u32,
    pub slot: u32,
    pub part: u32,
}

impl Ticket {
    pub fn new(conn: ConnId, slot: u32, part: u32) -> Ticket {
        Ticket { conn_index: conn.index, conn_generation: conn.generation, slot, part }
    }

    pub fn conn(self) -> ConnId {
        ConnId { index: self.conn_index, generation: self.conn_generation }
    }
}

/// In front of a request's argument lengths (32 bits each) and bytes.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct RequestHead {
    ticket: Ticket,
    hash: u64,
    slot: u16,
    command: u8,
    /// Bits: who asks, and what the owner is to heed.
    flags: u8,
    args: u32,
}

/// In front of an answer's bytes.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct AnswerHead {
    ticket: Ticket,
    bytes: u32,
}

/// The asking client speaks RESP3.
const RESP3: u8 = 1;
/// It runs a transaction that has locked the slot.
const HOLDS_LOCK: u8 = 2;
/// It keeps what it reads, and is told when that changes.
pub const READER: u8 = 4;
/// It is not told of what it changes itself.
pub const AUTHOR: u8 = 8;

const REQUEST_HEAD_BYTES: usize = size_of::<RequestHead>();
const ANSWER_HEAD_BYTES: usize = size_of::<AnswerHead>();
/// An argument of this length in a letter is a body that travels beside it.
const BODY: u32 = u32::MAX;
/// Buffers past this are not kept for the next batch.
const KEPT_BYTES_MAX: usize = 256 * 1024;

/// What cores tell each other besides: about hot keys, about keys that clients keep, and what clients listen to.
pub enum Note {
    /// Operations on a hot key, for its owner.
    Fold(Box<Fold>),
    /// The same on its way back.
    Folded(Box<Fold>),
    /// How much a core sees of a key that the other owns.
    Report(Report),
    /// A key of the sender's is hot.
    Install(Box<Install>),
    /// What it holds now.
    Refresh(Box<Refresh>),
    /// It is hot no more.
    Remove {
        hash: KeyHash,
        key: Box<[u8]>,
    },
    /// The same for clients that listen.
    News(Arc<News>),
    /// A transaction needs slots of the receiver's.
    Lock(Box<LockRequest>),
    /// What became of that, by the transaction's number.
    Locked(u32, Outcome),
    Unlock(u32),
    /// About keys that clients keep.
    Invalidation(Word),
    /// For those who listen to its channel; the ticket is its publisher's, if that waits to hear how many there are.
    Message(Arc<Message>, Option<Ticket>),
    /// For monitors.
    Requests(Arc<Output>),
    /// Memory is short, and the receiver holds more than its share: it is to have a turn.
    Short,
}

/// All letters of one pair of cores and one turn.
#[derive(Default)]
pub struct Batch {
    requests: Vec<u8>,
    request_count: u32,
    bodies: Vec<Vec<u8>>,
    answers: Output,
    answer_count: u32,
    /// Read after the requests, which were written before them if they are on the same key.
    pub notes: Vec<Note>,
    /// Who begins and ends to listen to prefixes: read before the requests, since a connection may ask on at once, and what
    /// it reads then changes. That somebody listens to what was asked before does no harm.
    pub listeners: Vec<Word>,
    /// The sender's log has failed, and what it says here may not last.
    pub tainted: bool,
    /// Messages among the notes, and their bytes.
    messages: u32,
    message_bytes: usize,
    /// Bytes of keys that its notes tell clients to forget.
    stale_bytes: usize,
    /// The same of what is told in the place of others, and for whom that was too much: to whom, in whose place.
    redirected_bytes: usize,
    redirected_all: BTreeSet<(u64, ConnId)>,
}

/// One operation as its letter carries it.
pub struct Envelope {
    pub ticket: Ticket,
    pub command: Command,
    pub proto: Proto,
    /// It is part of a transaction that has locked its slot.
    pub holds_lock: bool,
    /// [`READER`], [`AUTHOR`].
    pub heed: u8,
    pub slot: Slot,
    pub hash: KeyHash,
    /// Its arguments among those that [`Batch::open`] filled in.
    pub args: Range<usize>,
    /// Its bodies, likewise.
    pub bodies: Range<usize>,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.request_count == 0 && self.answer_count == 0 && self.notes.is_empty() && self.listeners.is_empty()
    }

    pub fn requests(&self) -> u32 {
        self.request_count
    }

    /// Requests and messages, for bounds.
    pub fn asked(&self) -> u32 {
        self.request_count + self.messages
    }

    /// Their bytes.
    pub fn asked_bytes(&self) -> usize {
        self.requests.len() + self.bodies.iter().map(Vec::len).sum::<usize>() + self.message_bytes
    }

    /// Adds a note whose reader is some client.
    pub fn push_message(&mut self, note: Note, bytes: usize) {
        self.notes.push(note);
        self.messages += 1;
        self.message_bytes += bytes;
    }

    /// Tells clients there to forget keys. Past `bytes_max` they are told to forget all, in one last word: it is read when
    /// the batch is, so it is about all that changes until then.
    pub fn push_stale(&mut self, word: Word, bytes_max: usize) {
        if self.stale_bytes > bytes_max {
            return;
        }
        self.stale_bytes += word.key_bytes();
        let word = if self.stale_bytes > bytes_max { Word::Forget } else { word };
        self.notes.push(Note::Invalidation(word));
    }

    /// Tells connection `to` there what `by` of the sender's is to forget. Past `bytes_max` that is all, in one last word for
    /// each: see [`Batch::push_stale`].
    pub fn push_redirected(&mut self, (to, by): (u64, ConnId), what: &What, bytes_max: usize) {
        let mut what = what;
        if self.redirected_bytes > bytes_max {
            if !self.redirected_all.insert((to, by)) {
                return;
            }
            what = &What::All;
        }
        self.redirected_bytes += size_of::<Note>() + what.key_bytes();
        self.notes.push(Note::Invalidation(Word::Redirected { to, by, what: what.clone() }));
    }

    /// Forgets the letters and keeps the buffers, unless they grew large.
    pub fn clear(&mut self) {
        self.requests.clear();
        self.requests.shrink_to(KEPT_BYTES_MAX);
        self.bodies.clear();
        self.notes.clear();
        self.listeners.clear();
        self.tainted = false;
        self.answers.clear_keeping(KEPT_BYTES_MAX);
        (self.request_count, self.answer_count) = (0, 0);
        (self.messages, self.message_bytes, self.stale_bytes, self.redirected_bytes) = (0, 0, 0, 0);
        self.redirected_all.clear();
    }

    /// Adds a request. Its first argument, the command's name, stays behind; bodies move.
    pub fn push(&mut self, ticket: Ticket, proto: Proto, holds_lock: bool, heed: u8, request: &mut Request) {
        let argc = request.args.len();
        let head = RequestHead {
            ticket,
            hash: request.hash.0,
            slot: request.slot.0,
            command: request.command as u8,
            flags: (u8::from(proto == Proto::Resp3) * RESP3) | (u8::from(holds_lock) * HOLDS_LOCK) | heed,
            args: argc as u32 - 1,
        };
        self.requests.extend_from_slice(bytemuck::bytes_of(&head));
        let lengths_at = self.requests.len();
        self.requests.resize(lengths_at + (argc - 1) * 4, 0);
        for index in 1..argc {
            let length = match request.args.take_body(index) {
                Some(body) => {
                    self.bodies.push(body);
                    BODY
                }
                None => {
                    let arg = request.args.get(index);
                    self.requests.extend_from_slice(arg);
                    arg.len() as u32
                }
            };
            self.requests[lengths_at + (index - 1) * 4..][..4].copy_from_slice(&length.to_le_bytes());
        }
        self.request_count += 1;
    }

    /// Reads all requests: an envelope each, and their arguments relative to [`Batch::parts`]'s bytes.
    pub fn open(&self, envelopes: &mut Vec<Envelope>, args: &mut Vec<Arg>) {
        let (mut at, mut body) = (0, 0);
        while at < self.requests.len() {
            let head: RequestHead = bytemuck::pod_read_unaligned(&self.requests[at..at + REQUEST_HEAD_BYTES]);
            let lengths_at = at + REQUEST_HEAD_BYTES;
            at = lengths_at + head.args as usize * 4;
            let (first_arg, first_body) = (args.len(), body);
            args.push(Arg::text(0, 0));
            for index in 0..head.args as usize {
                let bytes = &self.requests[lengths_at + index * 4..][..4];
                match u32::from_le_bytes(bytes.try_into().expect("four bytes")) {
                    BODY => {
                        args.push(Arg::body(body - first_body, self.bodies[body].len()));
                        body += 1;
                    }
                    length => {
                        args.push(Arg::text(at, length as usize));
                        at += length as usize;
                    }
                }
            }
            envelopes.push(Envelope {
                ticket: head.ticket,
                command: Command::ALL[usize::from(head.command)],
                proto: if head.flags & RESP3 != 0 { Proto::Resp3 } else { Proto::Resp2 },
                holds_lock: head.flags & HOLDS_LOCK != 0,
                heed: head.flags & (READER | AUTHOR),
                slot: Slot(head.slot),
                hash: KeyHash(head.hash),
                args: first_arg..args.len(),
                bodies: first_body..body,
            });
        }
    }

    /// An envelope's arguments.
    pub fn args<'a>(&'a mut self, envelope: &Envelope, args: &'a [Arg]) -> Args<'a> {
        Args::new(&self.requests, &args[envelope.args.clone()], &mut self.bodies[envelope.bodies.clone()])
    }

    /// Adds an answer, encoded by `encode`.
    pub fn answer<R>(&mut self, ticket: Ticket, encode: impl FnOnce(&mut Output) -> R) -> R {
        let at = self.answers.bytes.len();
        let head = AnswerHead { ticket, bytes: 0 };
        self.answers.bytes.extend_from_slice(bytemuck::bytes_of(&head));
        let result = encode(&mut self.answers);
        let bytes = (self.answers.bytes.len() - at - ANSWER_HEAD_BYTES) as u32;
        self.answers.bytes[at + ANSWER_HEAD_BYTES - 4..][..4].copy_from_slice(&bytes.to_le_bytes());
        self.answer_count += 1;
        result
    }

    /// Hands out all answers, each as a range of [`Batch::answers`].
    pub fn answers(&self) -> (&Output, impl Iterator<Item = (Ticket, Range<usize>)> + '_) {
        let mut at = 0;
        let iter = std::iter::from_fn(move || {
            let head = self.answers.bytes.get(at..at + ANSWER_HEAD_BYTES)?;
            let head: AnswerHead = bytemuck::pod_read_unaligned(head);
            let from = at + ANSWER_HEAD_BYTES;
            at = from + head.bytes as usize;
            Some((head.ticket, from..at))
        });
        (&self.answers, iter)
    }
}
