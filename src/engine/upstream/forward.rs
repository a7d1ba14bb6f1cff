//! A request on its way out: its bytes on the links of the servers that it is for.

use super::hot::Meets;
use super::join::{How, Joined};
use super::own::Passed;
use super::places::{Part, Refusal, Spot, Way};
use super::router::{Asked, Router, Whose};
use super::row::LinkWay;
use crate::engine::Engine;
use crate::engine::gather::Gather;
use crate::engine::group::Place;
use crate::engine::ingress::Call;
use crate::engine::letter::Ticket;
use crate::engine::sessions::Client;
use crate::protocol::command::passage::{Holds, Passage, of as passage_of, passage};
use crate::protocol::command::{Command, CommandError, Spec};
use crate::protocol::resp::{Args, Output, Proto, Reply, Shared};
use crate::types::Slot;
use crate::upstream::topology::Hops;
use std::sync::Arc;

impl Engine {
    /// Whether a request has to wait until all that its client asked before is answered: it changes the version of the
    /// protocol, and with it the link.
    pub(in crate::engine) fn must_follow(&self, client: &Client, spec: Option<&'static Spec>) -> bool {
        let changes = spec.is_some_and(|spec| matches!(spec.command, Command::Hello | Command::Reset));
        changes && client.is_routed && !client.queue.is_empty()
    }

    /// Whether a request may have to wait that is parsed behind others.
    pub(in crate::engine) fn may_put_back(&self) -> bool {
        !self.hot.upstream.is_empty() || self.router.as_deref().is_some_and(Router::is_wary)
    }

    /// Passes a request on to the servers that it is for, if it is for any.
    pub(in crate::engine) fn pass_on(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        (spec, place): (Option<&'static Spec>, Option<Place>),
        mut args: Args,
    ) -> Passed {
        if !client.authenticated {
            return Passed::No;
        }
        let passage = match spec.map_or_else(|| passage(&args), |spec| Ok(passage_of(spec.command))) {
            Ok(passage) => passage,
            Err(error) => {
                self.shard.counts.tally.error(&error.text());
                if let CommandError::WrongArity { spec } = &error {
                    self.shard.counts.tally.rejected(spec.command);
                }
                client.answer(|reply| error.write(reply));
                client.command_ends();
                if client.is_tied {
                    self.refused_inside(call.conn);
                }
                return Passed::Yes;
            }
        };
        let holds = passage.holds(&args);
        let alone = match client.is_tied || holds != Holds::Nothing {
            true => self.pass_on_alone(call, client, (passage, holds), &mut args),
            false => None,
        };
        match alone {
            Some(Passed::Yes) => return self.has_passed(client, passage),
            Some(not) => return not,
            None => {}
        }
        let meets = match self.hot.upstream.is_empty() {
            true => Meets::Nothing,
            false => self.meet_hot_keys(call, client, (passage, place), &mut args),
        };
        match meets {
            Meets::Requests => return Passed::Waits,
            Meets::HotKey => {}
            Meets::Nothing | Meets::HotKeys => {
                let sent = self.send_on(call, client, passage, &mut args);
                if meets == Meets::HotKeys {
                    client.goes_alone();
                    self.end_bar();
                }
                if !sent {
                    return Passed::No;
                }
            }
        }
        self.has_passed(client, passage)
    }

    #[inline]
    fn has_passed(&mut self, client: &mut Client, passage: &'static Passage) -> Passed {
        if passage.command.is_none() {
            // What is in our own table is counted where it was parsed.
            self.stats.commands += 1;
        }
        client.last_command = if passage.is_known() { passage.name } else { "unknown" };
        client.command_ends();
        Passed::Yes
    }

    /// False: it is answered here.
    #[inline]
    fn send_on(&mut self, call: &mut Call, client: &mut Client, passage: &'static Passage, args: &mut Args) -> bool {
        let router = self.router.as_deref().expect("requests are passed on where there is a router");
        match router.way_of(passage, args) {
            Way::Here => return false,
            Way::To(spot) => self.send_to(call, client, spot, passage, args),
            Way::Refused(refusal) => self.refuse_to_pass(client, passage, refusal),
            way => self.send_to_several(call, client, passage, args, way),
        }
        true
    }

    /// Asks a server in a client's name.
    #[inline]
    fn send_to(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        spot: Spot,
        passage: &'static Passage,
        args: &mut Args,
    ) {
        let router = self.router.as_deref_mut().expect("there is a router");
        let way = LinkWay::of(client.proto, call.conn.index);
        let Some(row) = router.link_to(call.now.mono_us, spot.server, way, call.effects) else {
            let text = router.unreachable(spot.server);
            self.shard.counts.tally.error(text.as_bytes());
            return client.answer(|reply| reply.error(&text));
        };
        let ticket = Ticket::new(call.conn, client.queue.wait(client.is_muted()), 0);
        self.ask(call, client, (row, spot.slot), ticket, passage, |out| encode(args, out));
        if spot.is_guess {
            wait_for_word(client);
        }
    }

    /// Asks by a link; the client waits if that has no room for more.
    #[inline]
    fn ask(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        (row, slot): (u32, Slot),
        ticket: Ticket,
        passage: &'static Passage,
        encode: impl FnOnce(&mut Output),
    ) {
        let router = self.router.as_deref_mut().expect("there is a router");
        let server = router.rows[row as usize].server;
        let pool = router.servers[server as usize].pool as u16;
        let (whose, reads, proto) = (Whose::Client(ticket), passage.is_read(), client.proto);
        let bar = router.hot.bar;
        router.hot.hold(bar);
        let asked = Asked { whose, reads, again: false, pool, slot, hops: Hops::default(), proto, tracks: false, bar };
        if router.ask(call.now.mono_us, row, asked, encode, call.effects) {
            router.await_room(row, call.conn, client);
        }
    }

    /// Asks several servers; their replies become one.
    #[cold]
    fn send_to_several(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        passage: &'static Passage,
        args: &mut Args,
        way: Way,
    ) {
        let whole = || (0..args.len()).collect::<Vec<usize>>();
        let here = matches!(way, Way::ToEachAndHere(..));
        if let (true, Err(error)) = (here, Engine::check_here(passage.command, args)) {
            return client.answer(|reply| reply.error_bytes(&error));
        }
        let (parts, how, cursor) = match way {
            Way::PageHere { cursor, how } => return self.page_here(call, client, args, cursor, how),
            Way::PastAll => return client.answer(end_of_scan),
            Way::ToEach(servers, how) | Way::ToEachAndHere(servers, how) => {
                (servers.into_iter().map(|server| part_of(server, whole())).collect(), how, None)
            }
            Way::InParts(mut parts, how) => {
                parts.iter_mut().for_each(|part| part.args.insert(0, 0));
                (parts, how, None)
            }
            Way::Page { server, cursor, how } => (vec![part_of(server, whole())], how, Some(cursor)),
            Way::Here | Way::To(_) | Way::Refused(_) => unreachable!("one server or none"),
        };
        if args.has_bodies() && matches!(how, How::By(_)) {
            // One would move into the first part, and all need it.
            let (text, places) = args.flatten();
            return self.send_parts(
                call,
                client,
                passage,
                &mut Args::new(&text, &places, &mut []),
                (&parts, how, cursor),
                here,
            );
        }
        self.send_parts(call, client, passage, args, (&parts, how, cursor), here);
    }

    fn send_parts(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        passage: &'static Passage,
        args: &mut Args,
        (parts, how, cursor): (&[Part], How, Option<u64>),
        here: bool,
    ) {
        let router = self.router.as_deref().expect("there is a router");
        let all = parts.len() + if here { self.cores } else { 0 };
        let joined = Joined::new(how, all, &router.pools[0].name);
        let slot = client.queue.gather(Gather::report(all, joined), client.is_muted());
        for (part, number) in parts.iter().zip(0..) {
            let ticket = Ticket::new(call.conn, slot, number);
            let router = self.router.as_deref_mut().expect("there is a router");
            let way = LinkWay::of(client.proto, call.conn.index);
            match router.link_to(call.now.mono_us, part.spot.server, way, call.effects) {
                Some(row) => {
                    let encode = |out: &mut Output| encode_part(args, part, cursor, out);
                    self.ask(call, client, (row, part.spot.slot), ticket, passage, encode);
                }
                None => {
                    let text = router.unreachable(part.spot.server);
                    self.add_error(client, ticket, &text);
                }
            }
        }
        if let (true, Some(command)) = (here, passage.command) {
            self.ask_cores(call, client, command, args, (slot, parts.len() as u32));
        }
        client.queue.settle(&mut client.output);
        if parts.iter().any(|part| part.spot.is_guess) {
            wait_for_word(client);
        }
    }

    /// A part of a reply is an error.
    fn add_error(&mut self, client: &mut Client, ticket: Ticket, text: &str) {
        let mut error = Output::default();
        Reply { out: &mut error, proto: Proto::Resp2 }.error(text);
        self.shard.counts.tally.error(text.as_bytes());
        if client.queue.part(ticket.slot).add(ticket.part, &error, 0..error.bytes.len()) {
            self.complete(client, ticket.slot);
        }
    }

    #[cold]
    pub(super) fn refuse_to_pass(&mut self, client: &mut Client, passage: &'static Passage, refusal: Refusal) {
        let router = self.router.as_deref().expect("there is a router");
        let text = refusal.text(&router.pools[0].name, passage.name);
        self.shard.counts.tally.error(text.as_bytes());
        client.answer(|reply| reply.error(&text));
    }
}

impl Router {
    /// The error of a command that is about one server.
    pub(in crate::engine) fn one_server(&self, name: &str) -> String {
        Refusal::OneServer.text(&self.pools[0].name, name)
    }
}

/// Whoever is asked because nobody knows better may come to have the slot itself, after it has sent the first of two requests
/// elsewhere and before it sees the second. So there is no second.
#[cold]
fn wait_for_word(client: &mut Client) {
    client.stalled = true;
    client.settles = true;
}

fn end_of_scan(reply: &mut Reply) {
    reply.array(2);
    reply.bulk(b"0");
    reply.array(0);
}

fn part_of(server: u32, args: Vec<usize>) -> Part {
    Part { spot: Spot::of(server), args }
}

/// Writes a request as it came, where that is the usual way; large arguments are sent from where they lie.
#[inline]
pub(super) fn encode(args: &mut Args, out: &mut Output) {
    if let Some(bytes) = args.as_received() {
        return out.bytes.extend_from_slice(bytes);
    }
    push_length(&mut out.bytes, b'*', args.len());
    for index in 0..args.len() {
        encode_arg(args, index, out);
    }
}

/// Writes a request whose name stands for itself.
pub(super) fn encode_as(name: &[u8], args: &mut Args, out: &mut Output) {
    push_length(&mut out.bytes, b'*', args.len());
    push_word(&mut out.bytes, name);
    for index in 1..args.len() {
        encode_arg(args, index, out);
    }
}

/// Writes some of a request's arguments as a request; of SCAN, with a cursor in the place of the one that came.
fn encode_part(args: &mut Args, part: &Part, cursor: Option<u64>, out: &mut Output) {
    push_length(&mut out.bytes, b'*', part.args.len());
    for index in &part.args {
        match cursor {
            Some(cursor) if *index == 1 => push_word(&mut out.bytes, cursor.to_string().as_bytes()),
            _ => encode_arg(args, *index, out),
        }
    }
}

fn encode_arg(args: &mut Args, index: usize, out: &mut Output) {
    push_length(&mut out.bytes, b'$', args.get(index).len());
    match args.take_body(index) {
        Some(body) => {
            let (at, range) = (out.bytes.len(), 0..body.len());
            out.shared.push(Shared { at, value: Arc::new(body), range });
        }
        None => out.bytes.extend_from_slice(args.get(index)),
    }
    out.bytes.extend_from_slice(b"\r\n");
}

/// Writes a request of the router's own.
pub(super) fn push_words(bytes: &mut Vec<u8>, words: &[&[u8]]) {
    push_length(bytes, b'*', words.len());
    words.iter().for_each(|word| push_word(bytes, word));
}

fn push_word(bytes: &mut Vec<u8>, word: &[u8]) {
    push_length(bytes, b'$', word.len());
    bytes.extend_from_slice(word);
    bytes.extend_from_slice(b"\r\n");
}

fn push_length(bytes: &mut Vec<u8>, kind: u8, length: usize) {
    bytes.push(kind);
    bytes.extend_from_slice(length.to_string().as_bytes());
    bytes.extend_from_slice(b"\r\n");
}
