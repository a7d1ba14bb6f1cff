//! Commands on several keys: taken apart into operations on one key, run where each key lives, put together.
//!
//! MGET becomes an array header and a reply a key, in order; the others become one sum. What is on this core runs in one
//! go, up to 32,768 keys; a longer command runs in slices of so many, one a turn. Parts on other cores travel as letters
//! like any operation.

use super::Engine;
use super::event::Host;
use super::gather::Gather;
use super::group::{GROUP_KEYS_MAX, Place};
use super::hot::Home;
use super::ingress::Call;
use super::invalidation::mark_of;
use super::letter::Ticket;
use super::sessions::Client;
use crate::keyspace::command::Request;
use crate::protocol::command::{Command, Spec, Tally, arity_text};
use crate::protocol::resp::{Arg, Args, Output, Proto, Reply};
use crate::routing::slot_of;
use crate::types::Slot;
use std::ops::Range;
use std::sync::Arc;

/// Keys of one command that run in one turn; a command on more goes on in the next, so that nobody waits for it.
const SLICE_KEYS_MAX: usize = 32 * 1024;

/// A command on several keys, under way.
pub(super) struct Several {
    spec: &'static Spec,
    stride: usize,
    /// The first of the keys that have not run.
    next: usize,
    keys: usize,
    /// `None` for MGET, whose replies are no sum.
    whole: Option<Whole>,
    /// Keys of it share a slot, so its parts travel together, past copies and folds: see [`shares_slots`]. So do those of
    /// a client whom owners heed.
    together: bool,
    /// What owners are to heed.
    heed: u8,
}

/// Whether two keys of a command lie in one slot. What it does to the keys of a slot is one step: all of it travels in
/// one batch, and neither a copy nor a fold, which leaves when it may, has a part in it.
pub(super) fn shares_slots(args: &Args, stride: usize) -> bool {
    let mut slots: Vec<Slot> = (1..args.len()).step_by(stride).map(|at| slot_of(args.get(at))).collect();
    slots.sort_unstable();
    slots.windows(2).any(|pair| pair[0] == pair[1])
}

impl Engine {
    /// Runs a command on several keys, all of them at once.
    pub(super) fn several(&mut self, call: &Call, client: &mut Client, spec: &'static Spec, args: &mut Args) {
        if let Some(mut several) = self.start_several(client, spec, args.len()) {
            several.together |= self.hot.may_hold() && shares_slots(args, several.stride);
            self.advance(call, client, &mut several, args, usize::MAX);
            if several.together {
                // Its letters are on their way: no copy answers this client before they have been answered.
                client.hold_copies();
            }
        }
    }

    /// Begins a command on several keys; `None` if it was refused.
    pub(super) fn start_several(&mut self, client: &mut Client, spec: &'static Spec, args: usize) -> Option<Several> {
        let stride = usize::from(spec.keys.step);
        let keys = (args - 1) / stride;
        if keys * stride != args - 1 {
            self.shard.counts.tally.failed(spec.command);
            self.shard.counts.tally.error(b"ERR");
            client.answer(|reply| reply.error(&arity_text(spec)));
            return None;
        }
        let whole = match spec.command {
            Command::MGet => {
                client.answer(|reply| reply.array(keys));
                None
            }
            Command::MSet => Some(Whole::open(client, Gather::ok(keys).of(Command::MSet), self.cores == 1)),
            _ => Some(Whole::open(client, Gather::count(keys), self.cores == 1)),
        };
        let (together, heed) = (self.is_heeded(client), self.heed_of(client, spec));
        Some(Several { spec, stride, next: 0, keys, whole, together, heed })
    }

    /// Runs the next slice of a command; true when that was the last.
    pub(super) fn advance_slice(
        &mut self,
        call: &Call,
        client: &mut Client,
        several: &mut Several,
        args: &mut Args,
    ) -> bool {
        self.advance(call, client, several, args, SLICE_KEYS_MAX)
    }

    fn advance(
        &mut self,
        call: &Call,
        client: &mut Client,
        several: &mut Several,
        args: &mut Args,
        keys_max: usize,
    ) -> bool {
        let end = several.next.saturating_add(keys_max).min(several.keys);
        let (range, command, together) = (several.next..end, several.spec.command, several.together);
        let heed = several.heed;
        several.next = end;
        match &mut several.whole {
            None => self.each_key(args, several.stride, range, |engine, _, place, part| {
                engine.count_heat(command, place, &part);
                if together {
                    return engine.operate_apart(call, client, command, place, part);
                }
                engine.operate(call, client, command, place, part);
            }),
            Some(whole) => {
                let mut scratch = Output::default();
                self.each_key(args, several.stride, range, |engine, index, place, part| {
                    engine.count_heat(command, place, &part);
                    engine.part_of(call, client, whole, &mut scratch, (command, index, place, together, heed), part);
                });
            }
        }
        let done = several.next == several.keys;
        if let (true, Some(whole)) = (done, several.whole.take_if(|_| done)) {
            self.close_whole(client, whole);
        }
        done
    }

    /// Runs one key of a command whose reply is a sum: here into the sum, or by letter.
    fn part_of(
        &mut self,
        call: &Call,
        client: &mut Client,
        whole: &mut Whole,
        scratch: &mut Output,
        (command, index, place, together, heed): (Command, usize, Place, bool, u8),
        args: Args,
    ) {
        let mut request = Request { command, args, slot: place.slot, hash: place.hash, hint: place.hint };
        self.track(&request, 0);
        let together = together || self.program_runs();
        let ticket = |whole: &Whole| {
            let number = whole.number.expect("with other cores a slot was opened");
            Ticket::new(call.conn, number, index as u32)
        };
        if self.is_locked_out(call.conn, place.owner, place.slot) {
            self.wait_here(client, ticket(whole), Proto::Resp2, heed, &mut request);
        } else if place.owner != self.core {
            let ticket = ticket(whole);
            if together || !self.ask_part(client, ticket, &mut request) {
                self.post.ask_heeded(place.owner, ticket, Proto::Resp2, heed, &mut request);
            }
        } else if !together && self.waits_its_turn(call.now, client, &request) {
            self.join(Home::Here, client, ticket(whole), Proto::Resp2, &mut request);
        } else {
            scratch.clear();
            let mut reply = Reply { out: scratch, proto: Proto::Resp2 };
            let asker = mark_of(self.core, call.conn);
            self.apply_heeded(call.now, (heed, asker), &mut request, &mut reply);
            whole.add(client, index as u32, scratch);
        }
    }

    /// Hands out a command's keys one by one, each with its value if there is one, looked up in groups.
    fn each_key(
        &mut self,
        args: &mut Args,
        stride: usize,
        range: Range<usize>,
        mut each: impl FnMut(&mut Engine, usize, Place, Args),
    ) {
        let all: &[Arg] = args.places();
        let mut places: Vec<Place> = Vec::with_capacity(GROUP_KEYS_MAX);
        let keys = &all[1 + range.start * stride..1 + range.end * stride];
        for (first, keys) in (range.start..).step_by(GROUP_KEYS_MAX).zip(keys.chunks(GROUP_KEYS_MAX * stride)) {
            places.clear();
            for key in 0..keys.len() / stride {
                places.push(self.place(args.get(1 + (first + key) * stride)));
            }
            self.look_up(&mut places);
            for (key, (place, parts)) in places.iter().zip(keys.chunks(stride)).enumerate() {
                let mut part = [all[0]; 3];
                part[1..=stride].copy_from_slice(parts);
                each(self, first + key, *place, args.narrow(&part[..=stride]));
            }
        }
    }

    /// Encodes a whole reply if its last part has come; otherwise its slot waits.
    pub(super) fn close_whole(&mut self, client: &mut Client, whole: Whole) {
        match whole {
            Whole { gather: Some(gather), .. } => {
                let (host, tally) = (&self.host, &mut self.shard.counts.tally);
                client.answer(|reply| encode_counted(gather, reply, tally, host));
            }
            Whole { number: Some(number), complete: true, .. } => {
                self.complete(client, number);
                client.queue.settle(&mut client.output);
            }
            _ => {}
        }
    }

    /// Encodes the reply of a slot whose last part has come.
    pub(super) fn complete(&mut self, client: &mut Client, number: u32) {
        if client.queue.part(number).is_round() {
            return self.round_answered(client);
        }
        let (host, proto, tally) = (&self.host, client.proto, &mut self.shard.counts.tally);
        client.queue.complete(number, |out, gather| encode_counted(gather, &mut Reply { out, proto }, tally, host));
    }
}

/// Encodes a whole reply and counts it, if it is an error that nobody has counted.
fn encode_counted(gather: Gather, reply: &mut Reply, tally: &mut Tally, host: &Arc<dyn Host + Send + Sync>) {
    let (from, culprit) = (reply.out.bytes.len(), gather.culprit());
    gather.encode(reply, &|| host.report());
    if let Some(command) = culprit {
        tally.answered(command, &reply.out.bytes[from..]);
    }
}

impl Several {
    pub fn spec(&self) -> &'static Spec {
        self.spec
    }
}

/// A reply in parts while its command runs: gathered right here, or in a slot where other cores' parts arrive too.
pub(super) struct Whole {
    gather: Option<Gather>,
    pub number: Option<u32>,
    complete: bool,
}

impl Whole {
    pub fn open(client: &mut Client, gather: Gather, here_only: bool) -> Whole {
        if here_only {
            return Whole { gather: Some(gather), number: None, complete: false };
        }
        let number = client.queue.gather(gather, client.is_muted());
        Whole { gather: None, number: Some(number), complete: false }
    }

    /// Adds a part that this core answered.
    pub fn add(&mut self, client: &mut Client, part: u32, output: &Output) {
        let range = 0..output.bytes.len();
        self.complete = match (&mut self.gather, self.number) {
            (Some(gather), _) => gather.add(part, output, range),
            (None, Some(number)) => client.queue.part(number).add(part, output, range),
            (None, None) => unreachable!("a whole is here or in a slot"),
        };
    }
}
