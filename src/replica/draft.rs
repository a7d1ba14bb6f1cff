//! A draft: a fold that has not left yet, and who waits for which part of it.
//!
//! Operations may join only while it has not left. To join one that is under way would not be linearizable: a write of
//! it may have been acknowledged in between.
//!
//! What joins is put into the order in which it came, and what follows from an earlier run is not asked for: behind a
//! plain SET a read answers that SET's value; behind increments it answers their running total, which the returned
//! total gives by subtracting what came later. Operations that wait together are concurrent unless they are of one
//! connection, and that one's order is kept, so each reply is one that some order explains.

use super::fold::{Fold, Kind};
use crate::keyspace::command::Request;
use crate::protocol::command::Command;
use crate::protocol::resp::{Arg, Args, Output, Proto, Reply, number_of, parse_i64};
use crate::types::{KeyHash, Slot};
use std::ops::Range;

/// Past so many members, or bytes, whoever asks for more waits.
const MEMBERS_MAX: usize = 16 * 1024;
const BYTES_MAX: usize = 1 << 20;

/// What of a run's answer is a member's.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// The value that the run's GET found.
    Read,
    /// The total so far of a run of increments, this one (`step`) included.
    Sum { step: i64, so_far: i64 },
    /// A read behind increments.
    SumRead { so_far: i64 },
    /// A SET; it may have been overwritten by the next before it left.
    Set { value: Arg },
    /// A read behind a SET.
    SetRead { value: Arg },
    /// The whole answer.
    Whole,
}

/// Somebody who waits, and for what.
#[derive(Debug)]
pub struct Member<W> {
    pub who: W,
    pub proto: Proto,
    command: Command,
    run: u32,
    part: Part,
}

#[cfg(feature = "faults")]
impl<W> Member<W> {
    pub(super) fn reads(&self) -> bool {
        matches!(self.part, Part::Read)
    }

    /// Another that reads what this one reads.
    pub(super) fn beside(&self, who: W, proto: Proto) -> Member<W> {
        Member { who, proto, command: Command::Get, run: self.run, part: Part::Read }
    }
}

/// See the module. `W` says who waits.
#[derive(Debug)]
pub struct Draft<W> {
    pub fold: Box<Fold>,
    pub members: Vec<Member<W>>,
}

impl<W> Default for Draft<W> {
    fn default() -> Draft<W> {
        Draft { fold: Box::default(), members: Vec::new() }
    }
}

/// What an operation is to a fold.
enum Sort {
    Read,
    Sum(i64),
    Set,
    Other,
}

/// INCRBYFLOAT is not among the sums: its additions round, so their order shows. Nor is any SET with an option.
fn sort(request: &Request) -> Sort {
    let step = |text: &[u8]| parse_i64(text).map_or(Sort::Other, Sort::Sum);
    match request.command {
        Command::Get | Command::MGet => Sort::Read,
        Command::Set | Command::MSet if request.args.len() == 3 && !request.args.is_body(2) => Sort::Set,
        Command::Incr => Sort::Sum(1),
        Command::Decr => Sort::Sum(-1),
        Command::IncrBy => step(request.args.get(2)),
        Command::DecrBy => match step(request.args.get(2)) {
            Sort::Sum(i64::MIN) => Sort::Other,
            Sort::Sum(step) => Sort::Sum(-step),
            other => other,
        },
        _ => Sort::Other,
    }
}

impl<W> Draft<W> {
    /// Begins anew for a key.
    pub fn begin(&mut self, key: &[u8], slot: Slot, hash: KeyHash) {
        self.fold.begin(key, slot, hash);
        self.members.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub fn is_full(&self) -> bool {
        self.members.len() >= MEMBERS_MAX || self.fold.bytes() >= BYTES_MAX
    }

    /// Takes an operation in. Without `combines` it travels along by itself, in its place.
    pub fn join(&mut self, who: W, proto: Proto, request: &mut Request, combines: bool) {
        let sort = if combines || request.command == Command::Get { sort(request) } else { Sort::Other };
        let (run, part) = match sort {
            Sort::Read => self.join_read(combines),
            Sort::Sum(step) => self.join_sum(request.command, step),
            Sort::Set => self.join_set(request),
            Sort::Other => (self.fold.push_single(proto, request), Part::Whole),
        };
        self.members.push(Member { who, proto, command: request.command, run: run as u32, part });
    }

    /// The last run, if what comes next may combine with it.
    fn last(&self) -> Option<(usize, Kind)> {
        let run = self.fold.runs.last()?;
        Some((self.fold.runs.len() - 1, run.kind))
    }

    fn join_read(&mut self, combines: bool) -> (usize, Part) {
        self.fold.wants_copy = true;
        let (run, part) = match self.last().filter(|_| combines) {
            Some((run, Kind::Reads)) => (run, Part::Read),
            Some((run, Kind::Sum)) => (run, Part::SumRead { so_far: self.fold.runs[run].sum }),
            Some((run, Kind::Set)) => (run, Part::SetRead { value: self.set_value(run) }),
            Some((_, Kind::Single)) | None => {
                return (self.fold.push_run(Kind::Reads, Command::Get, Proto::Resp2, &[]), Part::Read);
            }
        };
        let crowd = &mut self.fold.runs[run].crowd;
        *(if matches!(part, Part::Read) { &mut crowd.alike } else { &mut crowd.reads }) += 1;
        (run, part)
    }

    /// Increments of different signs do not mix: a partial total might overflow where the whole does not.
    fn join_sum(&mut self, command: Command, step: i64) -> (usize, Part) {
        if let Some((run, Kind::Sum)) = self.last()
            && let Some(so_far) = self.fold.runs[run].sum.checked_add(step)
            && (self.fold.runs[run].sum < 0) == (step < 0)
        {
            self.fold.runs[run].sum = so_far;
            self.fold.runs[run].crowd.alike += 1;
            self.fold.runs[run].command = Command::IncrBy;
            return (run, Part::Sum { step, so_far });
        }
        // Alone it stays what it is: should it fail, that is counted for its own command.
        let run = self.fold.push_run(Kind::Sum, command, Proto::Resp2, &[]);
        self.fold.runs[run].sum = step;
        (run, Part::Sum { step, so_far: step })
    }

    fn join_set(&mut self, request: &Request) -> (usize, Part) {
        let value = self.fold.push_text(request.args.get(2));
        if let Some((run, Kind::Set)) = self.last() {
            let last = self.fold.runs[run].args.end as usize - 1;
            self.fold.args[last] = value;
            self.fold.runs[run].crowd.alike += 1;
            self.fold.runs[run].command = Command::Set;
            return (run, Part::Set { value });
        }
        let run = self.fold.push_run(Kind::Set, request.command, Proto::Resp2, &[value]);
        (run, Part::Set { value })
    }

    fn set_value(&self, run: usize) -> Arg {
        self.fold.args[self.fold.runs[run].args.end as usize - 1]
    }

    /// The fold leaves; its members stay and wait.
    pub fn seal(mut self) -> (Box<Fold>, Vec<Member<W>>) {
        self.fold.seal();
        (self.fold, self.members)
    }
}

/// What a member is told, once its fold is back: a range of `scratch`, or of the fold's own answers. `None`: its run was
/// not applied, ask again by [`again`]. An error that answers a run is for all of its members.
pub(super) fn reply_of<'a, W>(
    fold: &'a Fold,
    member: &Member<W>,
    scratch: &'a mut Output,
) -> Option<(&'a Output, Range<usize>)> {
    let run = member.run as usize;
    if run >= fold.served() {
        return None;
    }
    let (answers, range) = fold.answer(run);
    if answers.bytes[range.start] == b'-' {
        return Some((answers, range));
    }
    let from = scratch.bytes.len();
    let mut reply = Reply { out: scratch, proto: member.proto };
    let total = |range: Range<usize>| number_of(&answers.bytes[range], b':').expect("a sum answers a number");
    match member.part {
        // A null is the only reply that differs by version; reads are asked for in the older one.
        Part::Read if member.proto == Proto::Resp3 && answers.bytes[range.clone()] == *b"$-1\r\n" => reply.null(),
        Part::Read | Part::Set { .. } | Part::Whole => return Some((answers, range)),
        Part::Sum { so_far, .. } => reply.integer(total(range).wrapping_sub(fold.runs[run].sum - so_far)),
        Part::SumRead { so_far } => {
            let value = total(range).wrapping_sub(fold.runs[run].sum - so_far);
            reply.bulk(itoa::Buffer::new().format(value).as_bytes());
        }
        Part::SetRead { value } => reply.bulk(Args::new(&fold.text, &[value], &mut []).get(0)),
    }
    Some((scratch, from..scratch.bytes.len()))
}

/// A draft of the members whose runs were not applied, each by itself, in their order.
pub(super) fn again<W>(mut fold: Box<Fold>, members: impl Iterator<Item = Member<W>>) -> Draft<W> {
    let mut draft = Draft::default();
    let (slot, hash) = (fold.slot, fold.hash);
    draft.begin(fold.key(), slot, hash);
    for member in members {
        let reads = matches!(member.part, Part::Read | Part::SumRead { .. } | Part::SetRead { .. });
        let run = match member.part {
            Part::Read | Part::SumRead { .. } | Part::SetRead { .. } => {
                draft.fold.wants_copy = true;
                draft.fold.push_run(Kind::Reads, Command::Get, Proto::Resp2, &[])
            }
            Part::Sum { step, .. } => {
                let step = draft.fold.push_step(member.command, step);
                draft.fold.push_run(Kind::Single, member.command, Proto::Resp2, step.as_slice())
            }
            Part::Set { value } => {
                let value = draft.fold.push_text(Args::new(&fold.text, &[value], &mut []).get(0));
                draft.fold.push_run(Kind::Single, member.command, Proto::Resp2, &[value])
            }
            Part::Whole => {
                let Fold { runs, args, text, bodies, .. } = &mut *fold;
                let run = &runs[member.run as usize];
                let args = Args::new(text, &args[run.args.start as usize..run.args.end as usize], bodies);
                let mut request = Request { command: run.command, args, slot, hash, hint: None };
                draft.fold.push_single(run.proto, &mut request)
            }
        };
        let part = if reads { Part::Read } else { Part::Whole };
        draft.members.push(Member { run: run as u32, part, ..member });
    }
    draft
}
