//! From received bytes to operations: parse a group of pipelined requests, look all of their keys up, run them.
//!
//! A group is parsed whole before its first request runs. In between, each key's table and then its item are asked
//! for, so that the group waits for memory about once; over a million keys that halves the cost of a request.

use super::Engine;
use super::event::Effects;
use super::keys::shares_slots;
use super::letter::Ticket;
use super::long;
use super::sessions::Client;
use super::slow;
use crate::keyspace::ItemRef;
use crate::keyspace::command::{Request, apply};
use crate::protocol::command::{Command, CommandError, Spec, flags::flag, resolve};
use crate::protocol::resp::{Arg, Args, Frame, Input, ProtocolError, parse};
use crate::routing::slot_of;
use crate::types::{ConnId, CoreId, KeyHash, Now, Slot};
use std::ops::Range;

/// Requests of a group: enough to overlap the memory accesses that a core can have under way.
const GROUP_REQUESTS_MAX: usize = 32;
/// Replies of one connection that may be awaited from other cores; past it its requests wait.
const QUEUE_REPLIES_MAX: usize = 1024;

const NOAUTH: &str = "NOAUTH Authentication required.";

/// What a request runs with, besides its client: the turn's time, whose it is, and what the shell must do about it.
pub(super) struct Call<'a> {
    pub now: Now,
    pub conn: ConnId,
    pub effects: &'a mut Effects,
}

/// Where a key lives and where a probe saw it.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub slot: Slot,
    pub hash: KeyHash,
    pub owner: CoreId,
    pub hint: Option<ItemRef>,
}

/// One parsed request of a group.
struct Item {
    /// Where its bytes are: an offset of the received bytes, or a row of [`Group::frames`] for a held one.
    at: usize,
    args: Range<u32>,
    /// `None` when it names no command, or has the wrong number of arguments.
    spec: Option<&'static Spec>,
    /// Set for an operation on one key.
    place: Option<Place>,
    /// It waits until the client's requests on hot keys have been answered: those are on their way to an owner together
    /// with others, and it would overtake them.
    overtakes: bool,
}

impl Item {
    #[inline]
    fn is_long(&self, client: &Client) -> bool {
        client.authenticated && long::is_long(self.spec, self.args.len())
    }
}

/// A group of parsed requests. One serves all connections of the engine in turn.
#[derive(Default)]
pub(super) struct Group {
    items: Vec<Item>,
    args: Vec<Arg>,
    frames: Vec<Frame>,
}

impl Group {
    fn clear(&mut self) {
        self.items.clear();
        self.args.clear();
        self.frames.clear();
    }
}

/// The bytes that a group is parsed from.
enum Source<'a> {
    Chunk { bytes: &'a [u8], parsed: usize },
    Held(&'a mut Input),
}

impl Source<'_> {
    #[inline]
    fn args<'b>(&'b mut self, group: &'b Group, at: usize, args: &Range<u32>) -> Args<'b> {
        let args = &group.args[args.start as usize..args.end as usize];
        match self {
            Source::Chunk { bytes, .. } => Args::new(&bytes[at..], args, &mut []),
            Source::Held(input) => input.args(group.frames[at], args),
        }
    }

    /// Has the last request of a group parsed again later.
    fn put_back(&mut self, group: &Group, item: &Item) {
        match self {
            Source::Chunk { parsed, .. } => *parsed = item.at,
            Source::Held(input) => {
                let args = &group.args[item.args.start as usize..item.args.end as usize];
                input.put_back(group.frames[item.at], args);
            }
        }
    }
}

/// Whether a command goes past folds: one on the keys of all cores, or on several of one slot.
fn may_overtake(spec: &'static Spec, args: &Args) -> bool {
    use Command::{DbSize, Del, Exists, FlushAll, FlushDb, Keys, MGet, MSet, RandomKey, Scan, Touch, Unlink};
    match spec.command {
        DbSize | FlushAll | FlushDb | Keys | RandomKey | Scan => true,
        MGet | MSet | Del | Unlink | Exists | Touch => {
            !long::is_long(Some(spec), args.len()) && shares_slots(args, usize::from(spec.keys.step))
        }
        _ => false,
    }
}

/// Why a group has no more requests.
enum Parsed {
    /// It is full; there may be more.
    Full,
    /// What is left is no whole request.
    Short,
    Malformed(ProtocolError),
}

impl Engine {
    pub(super) fn received(&mut self, now: Now, conn: ConnId, bytes: &[u8], effects: &mut Effects) {
        self.stats.input_bytes += bytes.len() as u64;
        let Some(mut client) = self.sessions.take(conn) else { return };
        client.last_active_us = now.mono_us;
        if client.closing {
            // Nothing is read behind a QUIT or a protocol error.
        } else if client.stalled || !client.input.is_empty() {
            client.input.keep(bytes);
            if !client.stalled {
                self.run_held(&mut Call { now, conn, effects }, &mut client);
            }
        } else {
            self.run_chunk(&mut Call { now, conn, effects }, &mut client, bytes);
        }
        self.finish(now, conn, client, effects);
    }

    /// Goes on with a connection's held requests, when what stalled them has eased.
    pub(super) fn resume(&mut self, now: Now, conn: ConnId, effects: &mut Effects) {
        let Some(mut client) = self.sessions.take(conn) else { return };
        if client.stalled && !client.closing {
            client.stalled = self.must_stall(conn, &mut client);
            if !client.stalled {
                self.run_held(&mut Call { now, conn, effects }, &mut client);
            }
        }
        self.finish(now, conn, client, effects);
    }

    /// Puts a client back and tells the shell what became of it.
    fn finish(&mut self, now: Now, conn: ConnId, mut client: Box<Client>, effects: &mut Effects) {
        if client.ended && !client.stalled {
            client.closing = true;
        }
        let pause = client.stalled && client.input.held_bytes() > self.settings.client_waiting_bytes_max;
        let resume = !client.stalled || client.input.held_bytes() <= self.settings.client_waiting_bytes_max / 2;
        if pause && !client.paused || client.paused && resume {
            client.paused = pause;
            effects.receive.push((conn, !pause));
        }
        self.announce(now, conn, &mut client, effects);
        self.sessions.put(conn, client);
    }

    #[inline]
    fn run_chunk(&mut self, call: &mut Call, client: &mut Client, bytes: &[u8]) {
        let mut source = Source::Chunk { bytes, parsed: 0 };
        self.run(call, client, &mut source);
        let Source::Chunk { parsed, .. } = source else { unreachable!("it was a chunk") };
        if parsed < bytes.len() && !client.closing {
            client.input.keep(&bytes[parsed..]);
            if !client.stalled {
                // Rarely more than an incomplete request; an inline one with quotes is rewritten here and runs.
                self.run_held(call, client);
            }
        }
    }

    fn run_held(&mut self, call: &mut Call, client: &mut Client) {
        let mut input = std::mem::take(&mut client.input);
        if self.resume_long(call, client, &mut input) {
            self.run(call, client, &mut Source::Held(&mut input));
        }
        if !client.closing {
            client.input = input;
        }
    }

    fn refuse(&mut self, client: &mut Client, error: &ProtocolError) {
        client.answer(|reply| reply.protocol_error(error));
        client.closing = true;
        client.input = Input::new();
        self.stats.errors += 1;
    }

    /// Runs requests of one source until it has no whole one left or the client must wait.
    fn run(&mut self, call: &mut Call, client: &mut Client, source: &mut Source) {
        let mut group = std::mem::take(&mut self.group);
        self.lend_output(client);
        loop {
            group.clear();
            let parsed = self.parse_group(client, source, &mut group);
            self.look_up(&mut group);
            if client.authenticated {
                self.count_group(&group, source);
            }
            let watch = self.stopwatch(call.now);
            let mut ran = 0;
            for item in &group.items {
                if let (true, Source::Held(input), Some(spec)) = (item.is_long(client), &mut *source, item.spec) {
                    let held = (group.frames[item.at], &group.args[item.args.start as usize..item.args.end as usize]);
                    if self.start_long(call, client, input, spec, held) {
                        continue;
                    }
                    self.group = group;
                    return;
                }
                if item.overtakes && !client.order.is_empty() {
                    source.put_back(&group, item);
                    client.stalled = true;
                    break;
                }
                let args = source.args(&group, item.at, &item.args);
                self.execute(call, client, item, args);
                ran += 1;
                if watch.singly
                    && let Some(us) = self.lap(watch)
                {
                    let args = source.args(&group, item.at, &item.args);
                    self.log_slow(call, client, item.spec, &args, us);
                }
                if client.closing {
                    break;
                }
            }
            if !watch.singly
                && let Some(us) = self.lap(watch)
            {
                self.slow_group(call, client, source, &group.items[..ran], &group, us);
            }
            if let Source::Held(input) = source {
                input.release();
            }
            match parsed {
                _ if client.closing || client.stalled => break,
                Parsed::Full => {
                    client.stalled = self.must_stall(call.conn, client);
                    if client.stalled {
                        break;
                    }
                }
                Parsed::Short => break,
                Parsed::Malformed(error) => {
                    self.refuse(client, &error);
                    break;
                }
            }
        }
        self.group = group;
    }

    /// Counts a group's operations for heat, all at once: few of them are looked at.
    #[inline]
    fn count_group(&mut self, group: &Group, source: &mut Source) {
        let count = group.items.len();
        let mut from = 0;
        while from < count
            && let Some(at) = self.next_sample(count - from)
        {
            let item = &group.items[from + at];
            from += at + 1;
            if let (Some(spec), Some(place)) = (item.spec, item.place) {
                self.sample_heat(spec.command, place, &source.args(group, item.at, &item.args));
            }
        }
    }

    /// A group took long: its largest request goes to the log.
    #[cold]
    fn slow_group(&mut self, call: &Call, client: &Client, source: &mut Source, ran: &[Item], group: &Group, us: u64) {
        let weight = |item: &&Item| {
            (item.overtakes, slow::weight(&group.args[item.args.start as usize..item.args.end as usize]))
        };
        let Some(item) = ran.iter().max_by_key(weight) else { return };
        let args = source.args(group, item.at, &item.args);
        self.log_group(call, client, item.spec, &args, us);
    }

    /// Second and third step of the look-up; the first was asking for the heads of the tables while parsing.
    #[inline]
    fn look_up(&self, group: &mut Group) {
        for place in group.items.iter().filter_map(|item| item.place.as_ref()) {
            if place.owner == self.core {
                self.shard.prefetch_entry(place.slot, place.hash);
            }
        }
        for place in group.items.iter_mut().filter_map(|item| item.place.as_mut()) {
            if place.owner == self.core {
                place.hint = self.shard.probe(place.slot, place.hash);
            }
        }
    }

    /// Whether a client's requests must wait: nobody reads its replies, too many are awaited, or the post is full.
    fn must_stall(&mut self, conn: ConnId, client: &mut Client) -> bool {
        let unread = client.output.len_bytes() + client.queue.stashed_bytes() > self.settings.client_output_bytes_max;
        let awaited = client.queue.len() > QUEUE_REPLIES_MAX;
        let post_full = self.cores > 1 && (self.post.is_full() || self.hot.is_full());
        if post_full && !unread && !awaited {
            self.wait_for_turn(conn, client);
        }
        unread || awaited || post_full
    }

    /// Has a stalled client looked at again in the next turn.
    pub(super) fn wait_for_turn(&mut self, conn: ConnId, client: &mut Client) {
        if !client.waits_for_turn {
            client.waits_for_turn = true;
            self.waiting_for_turn.push(conn);
        }
    }

    #[inline]
    fn parse_group(&mut self, client: &Client, source: &mut Source, group: &mut Group) -> Parsed {
        let mut limits = self.limits;
        limits.authenticated = client.authenticated;
        while group.items.len() < GROUP_REQUESTS_MAX {
            let first = group.args.len();
            let at = match source {
                Source::Chunk { bytes, parsed } => match parse(&bytes[*parsed..], &limits, &mut group.args) {
                    Ok(Some(taken)) => {
                        let at = *parsed;
                        *parsed += taken;
                        at
                    }
                    Ok(None) => return Parsed::Short,
                    Err(error) => return Parsed::Malformed(error),
                },
                Source::Held(input) => match input.next(&limits, &mut group.args) {
                    Ok(Some(frame)) => {
                        group.frames.push(frame);
                        group.frames.len() - 1
                    }
                    Ok(None) => return Parsed::Short,
                    Err(error) => return Parsed::Malformed(error),
                },
            };
            if group.args.len() == first {
                continue;
            }
            let range = first as u32..group.args.len() as u32;
            let args = source.args(group, at, &range);
            let spec = resolve(&args).ok();
            let keyed = spec.is_some_and(|spec| spec.keys.first == 1 && spec.keys.last == 1);
            let place = keyed.then(|| self.place(args.get(1)));
            let overtakes = !keyed && self.hot.may_hold() && spec.is_some_and(|spec| may_overtake(spec, &args));
            let item = Item { at, args: range, spec, place, overtakes };
            // What follows may be parsed under wider limits, or must wait, once this one has run.
            let ends_group = !client.authenticated || item.is_long(client) || overtakes;
            group.items.push(item);
            if ends_group {
                return Parsed::Full;
            }
        }
        Parsed::Full
    }

    /// Where a key lives; its table is asked for if it is here.
    #[inline]
    pub(super) fn place(&self, key: &[u8]) -> Place {
        let slot = slot_of(key);
        let owner = if self.cores == 1 { self.core } else { self.table.owner(slot) };
        if owner == self.core {
            self.shard.prefetch_table(slot);
        }
        Place { slot, hash: self.shard.hash(key), owner, hint: None }
    }

    #[inline]
    fn execute(&mut self, call: &mut Call, client: &mut Client, item: &Item, args: Args) {
        client.commands += 1;
        self.stats.commands += 1;
        match (item.spec, item.place) {
            (Some(spec), Some(place)) if client.authenticated => {
                client.last_command = spec.name;
                self.operate(call, client, spec.command, place, args);
            }
            _ => self.execute_other(call, client, item.spec, args),
        }
        client.command_ends();
    }

    /// What is no operation on one key, and what is refused.
    #[inline(never)]
    fn execute_other(&mut self, call: &mut Call, client: &mut Client, spec: Option<&'static Spec>, mut args: Args) {
        let Some(spec) = spec else {
            // As in Redis, strangers learn this too.
            self.stats.errors += 1;
            let error = resolve(&args).expect_err("it was refused when it was parsed");
            return client.answer(|reply| CommandError::write(&error, reply));
        };
        if !client.authenticated && !spec.has(flag::NO_AUTH) {
            self.stats.errors += 1;
            return client.answer(|reply| reply.error(NOAUTH));
        }
        client.last_command = spec.name;
        match spec.command {
            Command::MGet | Command::MSet | Command::Del | Command::Unlink | Command::Exists | Command::Touch => {
                self.several(call, client, spec, &mut args);
            }
            Command::ObjectEncoding | Command::ObjectFreq | Command::ObjectIdleTime | Command::ObjectRefCount => {
                self.object(call, client, spec.command, args);
            }
            _ => self.administer(call, client, spec.command, &mut args),
        }
    }

    /// An operation on one key that stands behind a subcommand's name. To ask about a key is no use of it, so it adds
    /// no heat.
    fn object(&mut self, call: &Call, client: &mut Client, command: Command, mut args: Args) {
        let place = self.place(args.get(2));
        let places = [args.places()[0], args.places()[2]];
        let Place { slot, hash, owner, hint } = place;
        let mut request = Request { command, args: args.narrow(&places), slot, hash, hint };
        self.dispatch(call, client, owner, &mut request);
    }

    /// Runs an operation on one key, here or by letter.
    #[inline]
    pub(super) fn operate(&mut self, call: &Call, client: &mut Client, command: Command, place: Place, args: Args) {
        let mut request = Request { command, args, slot: place.slot, hash: place.hash, hint: place.hint };
        if self.tracking.is_some() {
            return self.operate_tracked(call, client, place.owner, request);
        }
        self.dispatch(call, client, place.owner, &mut request);
    }

    /// As [`Engine::operate`], past copies and folds.
    pub(super) fn operate_apart(
        &mut self,
        call: &Call,
        client: &mut Client,
        command: Command,
        place: Place,
        args: Args,
    ) {
        let mut request = Request { command, args, slot: place.slot, hash: place.hash, hint: place.hint };
        self.track(&request, 0);
        self.dispatch_apart(call, client, place.owner, &mut request);
    }

    /// As [`Engine::operate`], uncounted.
    #[inline]
    pub(super) fn dispatch(&mut self, call: &Call, client: &mut Client, owner: CoreId, request: &mut Request) {
        if owner == self.core {
            if self.waits_its_turn(call.now, client, request) {
                let ticket = Ticket::new(call.conn, client.queue.wait(client.is_muted()), 0);
                return self.join(true, client, ticket, client.proto, request);
            }
        } else if self.operate_hot(call, client, request) {
            return;
        }
        self.dispatch_apart(call, client, owner, request);
    }

    /// As [`Engine::dispatch`], past copies and folds: here, or by a letter of its own.
    #[inline(always)]
    fn dispatch_apart(&mut self, call: &Call, client: &mut Client, owner: CoreId, request: &mut Request) {
        if owner == self.core {
            let shard = &mut self.shard;
            return client.answer(|reply| apply(shard, call.now.unix_ms(), request, reply));
        }
        let number = client.queue.wait(client.is_muted());
        self.post.ask(owner, Ticket::new(call.conn, number, 0), client.proto, request);
    }
}
