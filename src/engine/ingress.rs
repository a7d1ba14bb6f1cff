//! From received bytes to operations: parse a group of pipelined requests, look all of their keys up, run them.
//!
//! A group is parsed whole before its first request runs. In between, each key's table and then its item are asked
//! for, so that the group waits for memory about once; over a million keys that halves the cost of a request.

use super::Engine;
use super::event::Effects;
use super::letter::Ticket;
use super::sessions::Client;
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
const QUEUE_REPLIES_MAX: usize = 16 * 1024;

const NOAUTH: &str = "NOAUTH Authentication required.";

/// Where a key lives and where a probe saw it.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub slot: Slot,
    pub hash: KeyHash,
    pub owner: CoreId,
    pub hint: Option<ItemRef>,
}

/// What kind of request it is.
#[derive(Clone, Copy)]
enum Kind {
    /// Names no command, or has the wrong number of arguments.
    Refused,
    /// An operation on one key.
    Key(&'static Spec, Place),
    /// Several keys, all keys, or none.
    Other(&'static Spec),
}

/// Where a request's bytes are.
#[derive(Clone, Copy)]
enum At {
    /// At this offset of the received bytes.
    Chunk(usize),
    /// Held back in the connection's input.
    Held(Frame),
}

struct Item {
    at: At,
    args: Range<usize>,
    kind: Kind,
}

/// A group of parsed requests. One serves all connections of the engine in turn.
#[derive(Default)]
pub(super) struct Group {
    items: Vec<Item>,
    args: Vec<Arg>,
}

/// The bytes that a group is parsed from.
enum Source<'a> {
    Chunk { bytes: &'a [u8], parsed: usize },
    Held(&'a mut Input),
}

impl Source<'_> {
    fn args<'b>(&'b mut self, at: At, args: &'b [Arg]) -> Args<'b> {
        match (self, at) {
            (Source::Chunk { bytes, .. }, At::Chunk(from)) => Args::new(&bytes[from..], args, &mut []),
            (Source::Held(input), At::Held(frame)) => input.args(frame, args),
            _ => unreachable!("a group has one source"),
        }
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
                client = self.run_held(now, conn, client, effects);
            }
        } else {
            client = self.run_chunk(now, conn, client, bytes, effects);
        }
        self.finish(conn, client, effects);
    }

    /// Goes on with a connection's held requests, when what stalled them has eased.
    pub(super) fn resume(&mut self, now: Now, conn: ConnId, effects: &mut Effects) {
        let Some(mut client) = self.sessions.take(conn) else { return };
        if client.stalled && !client.closing {
            client.stalled = self.must_stall(conn, &client);
            if !client.stalled {
                client = self.run_held(now, conn, client, effects);
            }
        }
        self.finish(conn, client, effects);
    }

    /// Puts a client back and tells the shell what became of it.
    fn finish(&mut self, conn: ConnId, mut client: Box<Client>, effects: &mut Effects) {
        if client.ended && !client.stalled {
            client.closing = true;
        }
        let pause = client.stalled && client.input.held_bytes() > self.settings.client_waiting_bytes_max;
        let resume = !client.stalled || client.input.held_bytes() <= self.settings.client_waiting_bytes_max / 2;
        if pause && !client.paused || client.paused && resume {
            client.paused = pause;
            effects.receive.push((conn, !pause));
        }
        self.announce(conn, &mut client, effects);
        self.sessions.put(conn, client);
    }

    fn run_chunk(
        &mut self,
        now: Now,
        conn: ConnId,
        mut client: Box<Client>,
        bytes: &[u8],
        effects: &mut Effects,
    ) -> Box<Client> {
        let mut source = Source::Chunk { bytes, parsed: 0 };
        client = self.run(now, conn, client, &mut source, effects);
        let Source::Chunk { parsed, .. } = source else { unreachable!("it was a chunk") };
        if parsed < bytes.len() && !client.closing {
            client.input.keep(&bytes[parsed..]);
            if !client.stalled {
                // Rarely more than an incomplete request; an inline one with quotes is rewritten here and runs.
                client = self.run_held(now, conn, client, effects);
            }
        }
        client
    }

    fn run_held(&mut self, now: Now, conn: ConnId, mut client: Box<Client>, effects: &mut Effects) -> Box<Client> {
        let mut input = std::mem::take(&mut client.input);
        client = self.run(now, conn, client, &mut Source::Held(&mut input), effects);
        client.input = input;
        client
    }

    fn refuse(&mut self, client: &mut Client, error: &ProtocolError) {
        client.answer(|reply| reply.protocol_error(error));
        client.closing = true;
        client.input = Input::new();
        self.stats.errors += 1;
    }

    /// Runs requests of one source until it has no whole one left or the client must wait.
    fn run(
        &mut self,
        now: Now,
        conn: ConnId,
        mut client: Box<Client>,
        source: &mut Source,
        effects: &mut Effects,
    ) -> Box<Client> {
        let mut group = std::mem::take(&mut self.group);
        self.lend_output(&mut client);
        loop {
            group.items.clear();
            group.args.clear();
            let parsed = self.parse_group(&client, source, &mut group);
            for item in &mut group.items {
                if let Kind::Key(_, place) = &mut item.kind
                    && place.owner == self.core
                {
                    place.hint = self.shard.probe(place.slot, place.hash);
                }
            }
            for item in &group.items {
                let args = source.args(item.at, &group.args[item.args.clone()]);
                client = self.execute(now, conn, client, item.kind, args, effects);
                if client.closing {
                    break;
                }
            }
            if let Source::Held(input) = source {
                input.release();
            }
            match parsed {
                _ if client.closing => break,
                Parsed::Full => {
                    client.stalled = self.must_stall(conn, &client);
                    if client.stalled {
                        break;
                    }
                }
                Parsed::Short => break,
                Parsed::Malformed(error) => {
                    self.refuse(&mut client, &error);
                    break;
                }
            }
        }
        self.group = group;
        client
    }

    /// Whether a client's requests must wait: nobody reads its replies, too many are awaited, or the post is full.
    fn must_stall(&mut self, conn: ConnId, client: &Client) -> bool {
        let unread = client.output.len_bytes() + client.queue.stashed_bytes() > self.settings.client_output_bytes_max;
        let awaited = client.queue.len() > QUEUE_REPLIES_MAX;
        let post_full = self.cores > 1 && self.post.is_full();
        if post_full && !unread && !awaited {
            self.waiting_for_post.push(conn);
        }
        unread || awaited || post_full
    }

    fn parse_group(&mut self, client: &Client, source: &mut Source, group: &mut Group) -> Parsed {
        let mut limits = self.limits;
        limits.authenticated = client.authenticated;
        while group.items.len() < GROUP_REQUESTS_MAX {
            let first = group.args.len();
            let at = match source {
                Source::Chunk { bytes, parsed } => match parse(&bytes[*parsed..], &limits, &mut group.args) {
                    Ok(Some(taken)) => {
                        let at = At::Chunk(*parsed);
                        *parsed += taken;
                        at
                    }
                    Ok(None) => return Parsed::Short,
                    Err(error) => return Parsed::Malformed(error),
                },
                Source::Held(input) => match input.next(&limits, &mut group.args) {
                    Ok(Some(frame)) => At::Held(frame),
                    Ok(None) => return Parsed::Short,
                    Err(error) => return Parsed::Malformed(error),
                },
            };
            let args = first..group.args.len();
            if args.is_empty() {
                continue;
            }
            let kind = self.classify(&source.args(at, &group.args[args.clone()]));
            group.items.push(Item { at, args, kind });
            if !client.authenticated {
                // What follows may be parsed under wider limits once this one has run.
                return Parsed::Full;
            }
        }
        Parsed::Full
    }

    #[inline]
    fn classify(&self, args: &Args) -> Kind {
        let Ok(spec) = resolve(args) else { return Kind::Refused };
        if spec.keys.first == 1 && spec.keys.last == 1 {
            return Kind::Key(spec, self.place(args.get(1)));
        }
        Kind::Other(spec)
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

    fn execute(
        &mut self,
        now: Now,
        conn: ConnId,
        mut client: Box<Client>,
        kind: Kind,
        mut args: Args,
        effects: &mut Effects,
    ) -> Box<Client> {
        client.commands += 1;
        self.stats.commands += 1;
        match kind {
            Kind::Refused => {
                self.stats.errors += 1;
                if !client.authenticated {
                    client.answer(|reply| reply.error(NOAUTH));
                } else {
                    let error = resolve(&args).expect_err("it was refused when it was parsed");
                    client.answer(|reply| CommandError::write(&error, reply));
                }
            }
            Kind::Key(spec, _) | Kind::Other(spec) if !client.authenticated && !spec.has(flag::NO_AUTH) => {
                self.stats.errors += 1;
                client.answer(|reply| reply.error(NOAUTH));
            }
            Kind::Key(spec, place) => {
                client.last_command = spec.name;
                self.operate(now, conn, &mut client, spec.command, place, args);
            }
            Kind::Other(spec) => {
                client.last_command = spec.name;
                client = match spec.command {
                    Command::MGet
                    | Command::MSet
                    | Command::Del
                    | Command::Unlink
                    | Command::Exists
                    | Command::Touch => {
                        self.several(now, conn, &mut client, spec, &mut args);
                        client
                    }
                    _ => self.administer(now, conn, client, spec.command, &mut args, effects),
                };
            }
        }
        client.command_ends();
        client
    }

    /// Runs an operation on one key, here or by letter.
    #[inline]
    pub(super) fn operate(
        &mut self,
        now: Now,
        conn: ConnId,
        client: &mut Client,
        command: Command,
        place: Place,
        args: Args,
    ) {
        let mut request = Request { command, args, slot: place.slot, hash: place.hash, hint: place.hint };
        if place.owner == self.core {
            let shard = &mut self.shard;
            return client.answer(|reply| apply(shard, now.unix_ms(), &mut request, reply));
        }
        let number = client.queue.wait(client.is_muted());
        self.post.ask(place.owner, Ticket::new(conn, number, 0), client.proto, &mut request);
    }
}
