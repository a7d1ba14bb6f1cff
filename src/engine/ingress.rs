//! From received bytes to operations: the first requests of all connections that a turn brings are parsed and looked up
//! as one group (`group.rs`), then run, connection by connection; what a connection sent beyond them follows in groups
//! of its own.

use super::Engine;
use super::admin;
use super::event::Effects;
use super::group::{GROUP_KEYS_MAX, Group, Item, Parsed, Place, Reader, Source};
use super::hot::Home;
use super::letter::Ticket;
use super::refusals::may_listener;
use super::sessions::Client;
use super::slow::{self, Stopwatch};
use super::upstream::Passed;
use crate::keyspace::command::{Request, apply};
use crate::protocol::command::{Command, Group as Chapter, Spec, flags::flag};
use crate::protocol::resp::Args;
use crate::types::{ConnId, CoreId, Now};
use std::ops::Range;

/// Replies of one connection that may be awaited from other cores; past it its requests wait.
const QUEUE_REPLIES_MAX: usize = 1024;

/// What a request runs with, besides its client: the turn's time, whose it is, and what the shell must do about it.
pub(super) struct Call<'a> {
    pub now: Now,
    pub conn: ConnId,
    pub effects: &'a mut Effects,
}

/// The first requests of received bytes, parsed and not run yet.
struct Head {
    items: Range<usize>,
    parsed_bytes: usize,
    parsed: Parsed,
    authenticated: bool,
}

/// What became of a request of a group.
enum Ran {
    Whole,
    /// It ran, and was counted apart.
    Counted,
    /// It has begun and takes more turns.
    Began,
    /// It may not run yet.
    Waits,
}

/// The heads of the chunks that are handled together, and the group that they are parsed into.
#[derive(Default)]
pub(super) struct Heads {
    group: Group,
    heads: Vec<Option<Head>>,
}

impl Engine {
    pub(super) fn received(&mut self, now: Now, mut chunks: &[(ConnId, &[u8])], effects: &mut Effects) {
        let Heads { mut group, mut heads } = std::mem::take(&mut self.heads);
        while !chunks.is_empty() {
            group.clear();
            for (conn, bytes) in chunks {
                heads.push(self.parse_head(*conn, bytes, &mut group));
                if group.len() >= GROUP_KEYS_MAX {
                    break;
                }
            }
            self.look_up_group(&mut group);
            let (now_chunks, later) = chunks.split_at(heads.len());
            for ((conn, bytes), head) in now_chunks.iter().zip(heads.drain(..)) {
                self.received_chunk(&mut Call { now, conn: *conn, effects }, bytes, head, &group);
            }
            chunks = later;
        }
        self.heads = Heads { group, heads };
    }

    /// Parses the first requests of a chunk, if it begins with a request and could run at once as things stand.
    #[inline]
    fn parse_head(&mut self, conn: ConnId, bytes: &[u8], group: &mut Group) -> Option<Head> {
        let client = self.sessions.get_mut(conn)?;
        if client.closing || client.stalled || client.is_tied || !client.input.is_empty() {
            return None;
        }
        let (first, reader) = (group.len(), Reader::of(client));
        let mut source = Source::Chunk { bytes, parsed: 0 };
        let parsed = self.parse_into(group, reader, &mut source);
        let Source::Chunk { parsed: parsed_bytes, .. } = source else { unreachable!("it was a chunk") };
        Some(Head { items: first..group.len(), parsed_bytes, parsed, authenticated: reader.authenticated })
    }

    fn received_chunk(&mut self, call: &mut Call, bytes: &[u8], head: Option<Head>, group: &Group) {
        self.stats.input_bytes += bytes.len() as u64;
        self.stats.receives += 1;
        let Some(mut client) = self.sessions.take(call.conn) else {
            self.stats.input_bytes -= bytes.len() as u64;
            return self.link_received(call.now, call.conn, bytes, call.effects);
        };
        client.last_active_us = call.now.mono_us;
        if client.closing {
            // Nothing is read behind a QUIT or a protocol error.
        } else if client.stalled || !client.input.is_empty() {
            // What an earlier chunk left may have made the head no beginning of a request: it is parsed again.
            client.input.keep(bytes);
            if !client.stalled {
                self.run_held(call, &mut client);
            }
        } else {
            let holds = self.waits.pause.is_none() && !client.is_tied;
            let head = head.filter(|head| holds && head.authenticated == client.authenticated);
            self.run_chunk(call, &mut client, bytes, head, group);
        }
        self.finish(call, client);
    }

    /// Goes on with a connection's held requests, when what stalled them has eased.
    pub(super) fn resume(&mut self, now: Now, conn: ConnId, effects: &mut Effects) {
        let Some(mut client) = self.sessions.take(conn) else { return };
        let mut call = Call { now, conn, effects };
        if client.stalled && !client.closing {
            client.stalled = self.must_stall(conn, &mut client);
            if !client.stalled {
                self.run_held(&mut call, &mut client);
            }
        }
        self.finish(&mut call, client);
    }

    /// Puts a client back and tells the shell what became of it.
    fn finish(&mut self, call: &mut Call, mut client: Box<Client>) {
        if client.ended && !client.stalled {
            client.closing = true;
        }
        let pause = client.stalled && client.input.held_bytes() > self.settings.client_waiting_bytes_max;
        let resume = !client.stalled || client.input.held_bytes() <= self.settings.client_waiting_bytes_max / 2;
        if pause && !client.paused || client.paused && resume {
            client.paused = pause;
            call.effects.receive.push((call.conn, !pause));
        }
        self.announce(call.now, call.conn, &mut client, call.effects);
        self.sessions.put(call.conn, client);
    }

    #[inline]
    fn run_chunk(&mut self, call: &mut Call, client: &mut Client, bytes: &[u8], head: Option<Head>, group: &Group) {
        self.lend_output(client);
        let mut source = Source::Chunk { bytes, parsed: head.as_ref().map_or(0, |head| head.parsed_bytes) };
        if head.is_none_or(|head| self.run_items(call, client, &mut source, (group, head.items), head.parsed)) {
            self.run(call, client, &mut source);
        }
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
        self.lend_output(client);
        if self.resume_long(call, client, &mut input) {
            self.run(call, client, &mut Source::Held(&mut input));
        }
        if !client.closing {
            client.input = input;
        }
    }

    /// Runs requests of one source until it has no whole one left or the client must wait.
    fn run(&mut self, call: &mut Call, client: &mut Client, source: &mut Source) {
        let mut group = std::mem::take(&mut self.group);
        loop {
            group.clear();
            let parsed = self.parse_into(&mut group, Reader::of(client), source);
            self.look_up_group(&mut group);
            let items = 0..group.len();
            if !self.run_items(call, client, source, (&group, items), parsed) {
                break;
            }
        }
        self.group = group;
    }

    /// Runs requests that were looked up, all from one source; true when its next ones may be parsed.
    fn run_items(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        source: &mut Source,
        (group, items): (&Group, Range<usize>),
        parsed: Parsed,
    ) -> bool {
        if client.authenticated {
            self.count_group(group, items.clone(), source);
        }
        let watch = self.stopwatch(call.now);
        let mut ran = items.start..items.start;
        for item in group.items(items) {
            // Nearly every request is an operation on one key and nothing is to be done about it but to run it.
            if let (Some(spec), Some(place)) = (item.spec, item.place)
                && client.plain
                && !(item.overtakes || watch.minds_each())
            {
                client.last_command = spec.name;
                self.operate(call, client, spec.command, place, source.args(group, item));
                client.command_ends();
                ran.end += 1;
                continue;
            }
            match self.run_item(call, client, source, (group, item), watch) {
                Ran::Whole => ran.end += 1,
                Ran::Counted => {}
                Ran::Waits => break,
                Ran::Began => {
                    let us = self.look(watch);
                    self.count_ran(group.specs(ran.clone()), ran.len(), us);
                    return false;
                }
            }
            if client.closing {
                break;
            }
        }
        if !watch.singly {
            let us = self.look(watch);
            self.count_ran(group.specs(ran.clone()), ran.len(), us);
            if us >= watch.threshold_us {
                self.slow_group(call, client, source, (group, ran), us);
            }
        }
        if let Source::Held(input) = source {
            input.release();
        }
        match parsed {
            _ if client.closing || client.stalled => {}
            Parsed::Full => client.stalled = self.must_stall(call.conn, client),
            Parsed::Short => return false,
            Parsed::Malformed(error) => self.refuse(client, &error),
        }
        !client.closing && !client.stalled
    }

    /// Runs one request, whatever it is.
    #[inline(never)]
    fn run_item(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        source: &mut Source,
        (group, item): (&Group, &Item),
        watch: Stopwatch,
    ) -> Ran {
        if let (true, Source::Held(input), Some(spec)) = (client.plain && item.is_long(client), &mut *source, item.spec)
        {
            let ended = self.start_long(call, client, input, spec, (group.frame(item), group.parsed(item)));
            return if ended { Ran::Counted } else { Ran::Began };
        }
        if item.overtakes && (!client.order.is_empty() || self.waits.holds(item.spec, client)) {
            source.put_back(group, item);
            client.stalled = true;
            return Ran::Waits;
        }
        if client.is_routed && client.stalled && source.takes_back(group, item) {
            source.put_back(group, item);
            return Ran::Waits;
        }
        let seeks = item.may_wait && self.must_seek(call.conn, client, item.spec, &source.args(group, item));
        let waits = seeks || item.may_wait && self.must_follow(client, item.spec);
        let passed = match client.is_routed && !waits {
            true => self.pass_on(call, client, (item.spec, item.place), source.args(group, item)),
            false => Passed::No,
        };
        if waits || passed == Passed::Waits {
            source.put_back(group, item);
            client.stalled = true;
            return Ran::Waits;
        }
        if passed == Passed::No {
            if watch.monitored {
                self.write_down(call.now, client, item.spec, &source.args(group, item));
            }
            self.execute(call, client, item.spec, item.place, source.args(group, item));
        }
        if watch.singly {
            let us = self.look(watch);
            self.count_ran(item.spec.into_iter(), 1, us);
            if us >= watch.threshold_us {
                self.log_slow(call, client, item.spec, &source.args(group, item), us);
            }
        }
        Ran::Whole
    }

    /// A group took long: its largest request goes to the log.
    #[cold]
    fn slow_group(
        &mut self,
        call: &Call,
        client: &Client,
        source: &mut Source,
        (group, ran): (&Group, Range<usize>),
        us: u64,
    ) {
        let weight = |item: &&Item| (item.overtakes, slow::weight(group.parsed(item)));
        let Some(item) = group.items(ran).iter().max_by_key(weight) else { return };
        let args = source.args(group, item);
        self.log_group(call, client, item.spec, &args, us);
    }

    /// Whether a client's requests must wait: nobody reads its replies, too many are awaited, or the post is full.
    fn must_stall(&mut self, conn: ConnId, client: &mut Client) -> bool {
        let unread = client.output.len_bytes() + client.queue.stashed_bytes() > self.settings.client_output_bytes_max;
        let awaited = client.queue.len() > QUEUE_REPLIES_MAX;
        let post_full = self.cores > 1 && self.post.is_full() || self.hot.is_full() || self.is_log_full();
        client.settles &= !client.queue.is_empty();
        if post_full && !unread && !awaited {
            self.wait_for_turn(conn, client);
        }
        unread
            || awaited
            || post_full
            || client.parked
            || client.seeks
            || client.congested > 0
            || client.settles
            || client.transaction.is_some()
    }

    /// Has a stalled client looked at again in the next turn.
    pub(super) fn wait_for_turn(&mut self, conn: ConnId, client: &mut Client) {
        if !client.waits_for_turn {
            client.waits_for_turn = true;
            self.waiting_for_turn.push(conn);
        }
    }

    #[inline]
    fn execute(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        spec: Option<&'static Spec>,
        place: Option<Place>,
        args: Args,
    ) {
        match (spec, place) {
            (Some(spec), Some(place)) if client.plain || client.is_routed && client.may_operate() => {
                client.last_command = spec.name;
                self.operate(call, client, spec.command, place, args);
            }
            _ => self.execute_other(call, client, spec, args),
        }
        client.command_ends();
    }

    /// What is no operation on one key, and what is refused.
    #[inline(never)]
    pub(super) fn execute_other(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        spec: Option<&'static Spec>,
        mut args: Args,
    ) {
        let Some(spec) = spec.filter(|spec| client.authenticated || spec.has(flag::NO_AUTH)) else {
            return self.turn_away(call.conn, client, spec, &args);
        };
        let mark = client.mark();
        if client.is_confined() && !may_listener(spec.command) && !self.program_runs() {
            return self.turn_away_listener(call.conn, client, spec);
        }
        if !self.program_runs() {
            client.last_command = spec.name;
        }
        if client.server_loads && self.turn_away_while_loading(call.conn, client, spec) {
            return;
        }
        if client.multi.is_some() && self.queue(call.conn, client, spec, &mut args) {
            return self.count_queued(client, mark, spec);
        }
        if self.run_as_one(call, client, spec, &mut args) {
            return self.request_ends(client, spec);
        }
        match spec.command {
            Command::Multi | Command::Exec | Command::Discard | Command::Watch | Command::Unwatch => {
                self.transact(call, client, spec.command, &mut args);
            }
            Command::MGet | Command::MSet | Command::Del | Command::Unlink | Command::Exists | Command::Touch => {
                self.several(call, client, spec, &mut args);
                return self.request_ends(client, spec);
            }
            Command::ObjectEncoding | Command::ObjectFreq | Command::ObjectIdleTime | Command::ObjectRefCount => {
                self.object(call, client, spec.command, args);
                return self.request_ends(client, spec);
            }
            Command::MemoryUsage if admin::memory::usage_fits(&args) => {
                self.object(call, client, spec.command, args);
                return self.request_ends(client, spec);
            }
            Command::Monitor => self.start_monitor(call.conn, client),
            _ if spec.group == Chapter::PubSub => self.pubsub(call, client, spec.command, &mut args),
            _ => self.administer(call, client, spec.command, &mut args),
        }
        self.request_ends(client, spec);
        client.review();
        self.count_failure(client, mark, spec);
    }

    /// An operation on one key that stands behind a subcommand's name. To ask about a key is no use of it, so it adds
    /// no heat.
    fn object(&mut self, call: &Call, client: &mut Client, command: Command, mut args: Args) {
        let place = self.place(args.get(2));
        let places = [args.places()[0], args.places()[2]];
        let Place { slot, hash, owner, hint } = place;
        let mut request = Request { command, args: args.narrow(&places), slot, hash, hint };
        self.dispatch_for(call, client, owner, &mut request);
    }

    /// Runs an operation on one key, here or by letter.
    #[inline(always)]
    pub(super) fn operate(&mut self, call: &Call, client: &mut Client, command: Command, place: Place, args: Args) {
        let mut request = Request { command, args, slot: place.slot, hash: place.hash, hint: place.hint };
        if self.attentive {
            return self.operate_attentively(call, client, place.owner, request);
        }
        if place.owner == self.core && self.hot.own.is_empty() && !self.transactions.is_active() {
            return self.dispatch_apart(call, client, place.owner, &mut request);
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
        if self.is_heeded(client) {
            return self.dispatch_heeded(call, client, place.owner, &mut request);
        }
        if self.transactions.is_active() && self.detour(call, client, place.owner, &mut request) {
            return;
        }
        self.dispatch_apart(call, client, place.owner, &mut request);
    }

    /// As [`Engine::operate`], uncounted.
    #[inline]
    pub(super) fn dispatch(&mut self, call: &Call, client: &mut Client, owner: CoreId, request: &mut Request) {
        if self.transactions.is_active() && self.detour(call, client, owner, request) {
            return;
        }
        if owner == self.core {
            if self.waits_its_turn(call.now, client, request) {
                let ticket = Ticket::new(call.conn, client.queue.wait(client.is_muted()), 0);
                return self.join(Home::Here, client, ticket, client.proto, request);
            }
        } else if self.operate_hot(call, client, request) {
            return;
        }
        self.dispatch_apart(call, client, owner, request);
    }

    /// As [`Engine::dispatch`], past copies and folds: here, or by a letter of its own.
    #[inline(always)]
    pub(super) fn dispatch_apart(&mut self, call: &Call, client: &mut Client, owner: CoreId, request: &mut Request) {
        if owner == self.core {
            let shard = &mut self.shard;
            return client.answer(|reply| apply(shard, call.now.unix_ms(), request, reply));
        }
        let number = client.queue.wait(client.is_muted());
        self.post.ask(owner, Ticket::new(call.conn, number, 0), client.proto, request);
    }
}
