//! Running a program: its requests one after the other, each as if it came alone, but past copies and folds.

use super::super::Engine;
use super::super::gather::Gather;
use super::super::hot::Home;
use super::super::ingress::Call;
use super::super::invalidation::mark_of;
use super::super::letter::Ticket;
use super::super::sessions::Client;
use super::coordinator::Program;
use super::footprint::Footprint;
use super::locks::{Waiting, WaitingRequest};
use super::moves::{Move, Part, Step, is_move};
use super::{Errand, Fault};
use crate::keyspace::command::Request;
use crate::protocol::command::{Command, Spec};
use crate::protocol::resp::{Args, Output, OwnedArgs, Proto, Reply};
use crate::routing::slot_of;
use crate::session::{Queued, ReplyMode};
use crate::types::{ConnId, CoreId, Slot};

impl Engine {
    /// Runs a command that is one step over all of its keys, if it has to be run as a program; false: it is an ordinary one.
    pub(in super::super) fn run_as_one(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        spec: &'static Spec,
        args: &mut Args,
    ) -> bool {
        let is_program = match spec.command {
            command if is_move(command) => true,
            _ if self.transactions.runs || self.cores == 1 => false,
            Command::FlushAll | Command::FlushDb => !self.is_node(client),
            Command::MSet => {
                let mut slots = spec.keys.positions(args.len()).map(|at| slot_of(args.get(at)));
                slots.next().is_some_and(|first| slots.any(|slot| slot != first))
            }
            _ => false,
        };
        if is_program {
            let mut footprint = Footprint::default();
            footprint.add(spec, args);
            let queued = Queued { spec, args: OwnedArgs::take(args) };
            self.start(call, client, Program::new(vec![queued], false), footprint);
        }
        is_program
    }

    /// Runs a program, or runs it on; false: it awaits answers from other cores. `holds`: all of its slots are locked for
    /// it; otherwise they are on one core, and none is.
    pub(super) fn run_program(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        program: &mut Program,
        holds: bool,
    ) -> bool {
        let reply_mode = client.reply_mode;
        if program.muted {
            client.reply_mode = ReplyMode::Off;
        }
        self.transactions.runs = true;
        self.post.holds_locks = holds;
        let ended = self.run_requests(call, client, program);
        self.transactions.runs = false;
        self.post.holds_locks = false;
        if program.muted {
            client.reply_mode = reply_mode;
        }
        // Its letters are on their way: no copy answers this client before they have been answered.
        client.hold_copies();
        ended
    }

    fn run_requests(&mut self, call: &mut Call, client: &mut Client, program: &mut Program) -> bool {
        if !std::mem::replace(&mut program.begun, true) && program.is_exec {
            self.write_down_exec(call.now, client, program.requests.as_mut_slice());
            client.answer(|reply| reply.array(program.count));
        }
        if let Some((number, mut step)) = program.pending.take()
            && !self.advance_move(call, client, number, &mut step)
        {
            program.pending = Some((number, step));
            return false;
        }
        let group_us = if program.is_exec { self.lap_us(call.now) } else { 0 };
        let mut goes_on = true;
        while goes_on && let Some(mut queued) = program.requests.next() {
            goes_on = self.run_request(call, client, program, &mut queued);
            if program.is_exec {
                self.request_of_exec_ran(call, client, &mut queued);
            }
        }
        self.charge_group(group_us);
        goes_on
    }

    /// False: it awaits answers from other cores, and is the program's pending one.
    fn run_request(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        program: &mut Program,
        queued: &mut Queued,
    ) -> bool {
        let (spec, mut args) = (queued.spec, queued.args.args());
        if !is_move(spec.command) {
            self.run_one(call, client, spec, args);
            return true;
        }
        match Move::new(spec, &mut args) {
            Err(error) => {
                self.shard.counts.tally.answered(spec.command, format!("-{error}").as_bytes());
                client.answer(|reply| reply.error(&error));
            }
            Ok(mut step) => {
                let number = client.queue.gather(Gather::round(0), client.is_muted());
                if !self.advance_move(call, client, number, &mut step) {
                    program.pending = Some((number, step));
                    return false;
                }
            }
        }
        true
    }

    /// Counts, times and logs a request that EXEC ran as one that came alone. Of one that awaits answers, what it took
    /// until then.
    fn request_of_exec_ran(&mut self, call: &Call, client: &Client, queued: &mut Queued) {
        let us = self.lap_us(call.now);
        self.count_run_of_exec(queued.spec.command, 1, us * 1000);
        if us >= self.settings.slow_us() {
            self.log_slow(call, client, Some(queued.spec), &queued.args.args(), us);
        }
    }

    fn run_one(&mut self, call: &mut Call, client: &mut Client, spec: &'static Spec, args: Args) {
        if spec.single_key {
            let place = self.place(args.get(1));
            self.count_heat(spec.command, place, &args);
            return self.operate(call, client, spec.command, place, args);
        }
        self.execute_other(call, client, Some(spec), args);
    }

    /// Goes through the rounds of a command that moves values; false: a round awaits answers from other cores. An error that
    /// it answers is counted here, and none of its parts.
    fn advance_move(&mut self, call: &mut Call, client: &mut Client, number: u32, step: &mut Move) -> bool {
        loop {
            let answers = client.queue.part(number).take_round();
            match step.next(&answers) {
                Step::Answer(answer) => {
                    let (proto, tally) = (client.proto, &mut self.shard.counts.tally);
                    client.queue.complete(number, |out, _| {
                        let from = out.bytes.len();
                        answer(&mut Reply { out, proto });
                        tally.answered(step.spec.command, &out.bytes[from..]);
                    });
                    client.queue.settle(&mut client.output);
                    return true;
                }
                Step::Ask(mut parts) => {
                    let writes = parts.last().is_some_and(|part| part.command == Command::Rename);
                    if writes && self.transactions.commits(Fault::LoseSecondPart) {
                        parts.pop();
                    }
                    *client.queue.part(number) = Gather::round(parts.len());
                    let (heed, mut answered) = (self.heed_of(client, step.spec), false);
                    for (index, part) in parts.into_iter().enumerate() {
                        answered = self.ask_part_of_move(call, client, (number, index as u32), heed, part);
                    }
                    if !answered {
                        return false;
                    }
                }
            }
        }
    }

    /// Runs a part here, or posts it; true when all parts have been answered.
    fn ask_part_of_move(
        &mut self,
        call: &Call,
        client: &mut Client,
        (number, index): (u32, u32),
        heed: u8,
        part: Part,
    ) -> bool {
        let Part { command, mut args } = part;
        let args = args.args();
        let place = self.place(args.get(1));
        let mut request = Request { command, args, slot: place.slot, hash: place.hash, hint: None };
        if place.owner != self.core {
            let ticket = Ticket::new(call.conn, number, index);
            self.post.ask_heeded(place.owner, ticket, Proto::Resp2, heed, &mut request);
            return false;
        }
        let mut out = Output::default();
        let mut reply = Reply { out: &mut out, proto: Proto::Resp2 };
        let asker = mark_of(self.core, call.conn);
        self.apply_heeded(call.now, (heed, asker), &mut request, &mut reply);
        client.queue.part(number).add(index, &out, 0..out.bytes.len())
    }

    /// A round of a client's command has been answered; it goes on as soon as no client is in the middle of a request.
    pub(in super::super) fn round_answered(&mut self, client: &Client) {
        let number = client.transaction.expect("only a transaction has rounds");
        self.transactions.errand(Errand::GoOn(number));
    }

    /// Runs an operation whose slot may be locked, or that is part of a program. False: it is an ordinary one.
    #[cold]
    pub(in super::super) fn detour(
        &mut self,
        call: &Call,
        client: &mut Client,
        owner: CoreId,
        request: &mut Request,
    ) -> bool {
        if self.is_locked_out(call.conn, owner, request.slot) {
            self.wait_for_slot(call, client, 0, request);
            return true;
        }
        if self.transactions.runs {
            self.dispatch_apart(call, client, owner, request);
        }
        self.transactions.runs
    }

    /// Whether an operation of this core's client has to wait for its slot, which then is this core's.
    #[inline]
    pub(in super::super) fn is_locked_out(&self, conn: ConnId, owner: CoreId, slot: Slot) -> bool {
        self.transactions.is_active() && owner == self.core && self.has_to_wait(conn, Some(slot))
    }

    /// Has such an operation wait for its slot.
    pub(in super::super) fn wait_for_slot(
        &mut self,
        call: &Call,
        client: &mut Client,
        heed: u8,
        request: &mut Request,
    ) {
        let ticket = Ticket::new(call.conn, client.queue.wait(client.is_muted()), 0);
        self.wait_here(client, ticket, client.proto, heed, request);
    }

    /// Whether an operation of this core's client has to wait here; `None`: one on the keys of all slots.
    pub(in super::super) fn has_to_wait(&self, conn: ConnId, slot: Option<Slot>) -> bool {
        !self.post.holds_locks && self.transactions.locks.must_wait(self.core, conn, slot)
    }

    /// Whether a program runs: what is part of it goes past copies and folds.
    pub(in super::super) fn program_runs(&self) -> bool {
        self.transactions.runs
    }

    /// Has an operation of this core's client wait for its slot: behind what the client has in the key's draft, if anything.
    pub(in super::super) fn wait_here(
        &mut self,
        client: &mut Client,
        ticket: Ticket,
        proto: Proto,
        heed: u8,
        request: &mut Request,
    ) {
        let in_draft =
            client.order.awaits(request.hash) && self.hot.own.get(request.hash, request.args.get(1)).is_some();
        if in_draft {
            self.join(Home::Here, client, ticket, proto, request);
        } else {
            self.wait_for_unlock(self.core, ticket, proto, heed, request);
        }
    }

    /// Keeps an operation until its slot is unlocked.
    pub(in super::super) fn wait_for_unlock(
        &mut self,
        from: CoreId,
        ticket: Ticket,
        proto: Proto,
        heed: u8,
        request: &mut Request,
    ) {
        let Request { command, slot, hash, .. } = *request;
        let args = OwnedArgs::take(&mut request.args);
        self.transactions.locks.wait(Waiting::Request(WaitingRequest {
            from,
            ticket,
            proto,
            heed,
            command,
            slot,
            hash,
            args,
        }));
    }
}
