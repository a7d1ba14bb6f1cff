//! A fold: operations on one hot key on their way to the key's owner, and back with the answers.
//!
//! It is a list of runs, each an ordinary operation that stands for one request or for many. The owner applies them in
//! order like any letter's; of what they stand for it need know only the number, for counts and keyspace events. A run of
//! many that is refused ends the fold: the core that sent it then asks for the members one by one, in their order.

use super::Copy;
use crate::keyspace::command::{Crowd, Request};
use crate::protocol::command::Command;
use crate::protocol::resp::{Arg, Args, Output, Proto, Reply};
use crate::types::{KeyHash, Slot};
use std::ops::Range;

/// What a run stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any number of reads: one GET.
    Reads,
    /// Increments of one sign: one INCRBY of their sum.
    Sum,
    /// Plain SETs: the last of them.
    Set,
    /// One request, as it came.
    Single,
}

/// One operation at the owner.
#[derive(Debug)]
pub(super) struct Run {
    pub kind: Kind,
    pub command: Command,
    pub proto: Proto,
    /// Its arguments among the fold's; the first stands for the command's name and is never read.
    pub args: Range<u32>,
    /// Of a [`Kind::Sum`].
    pub sum: i64,
    /// Whose replies hang on it.
    pub crowd: Crowd,
    /// Where its answer ends, once it is served.
    answer_end: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Fold {
    pub slot: Slot,
    pub hash: KeyHash,
    /// The key, then whatever arguments the runs have.
    pub(super) text: Vec<u8>,
    key_bytes: u32,
    pub(super) args: Vec<Arg>,
    pub(super) bodies: Vec<Vec<u8>>,
    pub(super) runs: Vec<Run>,
    /// Whether a fresh copy is of use to whoever asks.
    pub wants_copy: bool,
    served: usize,
    answers: Output,
    /// The owner's present: the value when the fold was served.
    pub copy: Option<Copy>,
}

impl Fold {
    /// Makes an empty fold for a key, in the memory of a used one.
    pub(super) fn begin(&mut self, key: &[u8], slot: Slot, hash: KeyHash) {
        (self.slot, self.hash) = (slot, hash);
        self.text.clear();
        self.text.extend_from_slice(key);
        self.key_bytes = key.len() as u32;
        self.args.clear();
        self.bodies.clear();
        self.runs.clear();
        self.answers.clear();
        (self.served, self.wants_copy, self.copy) = (0, false, None);
    }

    pub fn key(&self) -> &[u8] {
        &self.text[..self.key_bytes as usize]
    }

    /// Number of operations that the owner is asked for.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Bytes that travel, for bounds.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.bodies.iter().map(Vec::len).sum::<usize>()
    }

    pub(super) fn push_text(&mut self, bytes: &[u8]) -> Arg {
        let at = self.text.len();
        self.text.extend_from_slice(bytes);
        Arg::text(at, bytes.len())
    }

    /// Adds a run whose arguments are the key and `rest`.
    pub(super) fn push_run(&mut self, kind: Kind, command: Command, proto: Proto, rest: &[Arg]) -> usize {
        let first = self.args.len() as u32;
        self.args.extend([Arg::text(0, 0), Arg::text(0, self.key_bytes as usize)]);
        self.args.extend_from_slice(rest);
        let args = first..self.args.len() as u32;
        self.runs.push(Run { kind, command, proto, args, sum: 0, crowd: Crowd::ONE, answer_end: 0 });
        self.runs.len() - 1
    }

    /// Adds a request as it came. Bodies move.
    pub(super) fn push_single(&mut self, proto: Proto, request: &mut Request) -> usize {
        let mut rest = Vec::with_capacity(request.args.len() - 2);
        for index in 2..request.args.len() {
            rest.push(match request.args.take_body(index) {
                Some(body) => {
                    let arg = Arg::body(self.bodies.len(), body.len());
                    self.bodies.push(body);
                    arg
                }
                None => self.push_text(request.args.get(index)),
            });
        }
        self.push_run(Kind::Single, request.command, proto, &rest)
    }

    /// Writes the sums down, which are known only now. The fold leaves.
    pub(super) fn seal(&mut self) {
        for row in 0..self.runs.len() {
            if let Run { kind: Kind::Sum, command, sum, .. } = self.runs[row] {
                let step = self.push_step(command, sum);
                let first = self.args.len() as u32;
                self.args.extend([Arg::text(0, 0), Arg::text(0, self.key_bytes as usize)]);
                self.args.extend(step);
                self.runs[row].args = first..self.args.len() as u32;
            }
        }
    }

    /// What an increment has behind its key, as its command writes it.
    pub(super) fn push_step(&mut self, command: Command, step: i64) -> Option<Arg> {
        let step = match command {
            Command::Incr | Command::Decr => return None,
            Command::DecrBy => -step,
            _ => step,
        };
        Some(self.push_text(itoa::Buffer::new().format(step).as_bytes()))
    }

    /// For the owner: applies the runs in order, up to the first refused one that stands for many.
    pub fn serve(&mut self, mut apply: impl FnMut(Crowd, &mut Request, &mut Reply)) {
        let Fold { runs, args, text, bodies, answers, .. } = self;
        for run in runs.iter_mut() {
            let from = answers.bytes.len();
            let args = Args::new(text, &args[run.args.start as usize..run.args.end as usize], bodies);
            let mut request = Request { command: run.command, args, slot: self.slot, hash: self.hash, hint: None };
            apply(run.crowd, &mut request, &mut Reply { out: answers, proto: run.proto });
            if run.crowd.is_many() && answers.bytes[from] == b'-' {
                answers.bytes.truncate(from);
                return;
            }
            run.answer_end = answers.bytes.len() as u32;
            self.served += 1;
        }
    }

    /// The next run is served: its answer is what `encode` writes.
    pub(super) fn serve_next(&mut self, encode: impl FnOnce(&mut Output)) {
        encode(&mut self.answers);
        self.runs[self.served].answer_end = self.answers.bytes.len() as u32;
        self.served += 1;
    }

    /// How many of the runs were served; those behind were not applied.
    pub(super) fn served(&self) -> usize {
        self.served
    }

    /// The answer to a served run.
    pub(super) fn answer(&self, run: usize) -> (&Output, Range<usize>) {
        let from = if run == 0 { 0 } else { self.runs[run - 1].answer_end as usize };
        (&self.answers, from..self.runs[run].answer_end as usize)
    }
}
