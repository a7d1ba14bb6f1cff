//! A server's replies on their way home: each to the slot that waits for it, byte for byte.

use super::cluster::Next;
use super::detours::Stray;
use super::fault::Fault;
use super::own::Kind;
use super::router::{Asked, Whose};
use super::row::Loss;
use crate::engine::Engine;
use crate::engine::event::Effects;
use crate::engine::letter::Ticket;
use crate::protocol::resp::{Output, Proto, Reply};
use crate::session::Fill;
use crate::types::{ConnId, Now};
use crate::upstream::topology::Redirect;
use crate::upstream::{Answer, Bytes, Request};
use std::sync::Arc;

/// How slowly the mean of a server's times follows them.
const TIMES: u64 = 16;

/// What a server's bytes leave to be done when all of them were read.
#[derive(Default)]
pub(super) struct Rest {
    /// Requests that go elsewhere.
    pub moves: Vec<(Asked, Output, Next)>,
    /// A cluster's map.
    map: Option<Vec<u8>>,
    pub keys_have_moved: bool,
    pub errors: u64,
    pub answered: bool,
    pub greeted: bool,
    pub failure: Option<String>,
}

impl Engine {
    /// Takes bytes that came from a server.
    pub(in crate::engine) fn link_received(&mut self, now: Now, conn: ConnId, bytes: &[u8], effects: &mut Effects) {
        let Some(router) = self.router.as_deref_mut() else { return };
        // A link that was given up still receives until it is closed.
        let Some(row) = router.row_of(conn) else { return };
        if router.rows[row as usize].own().is_some() {
            return self.own_received(now, row, bytes, effects);
        }
        let mut link = router.rows[row as usize].link.take().expect("it is there between events");
        let server = router.rows[row as usize].server;
        let redirects = router.pools[router.servers[server as usize].pool].cluster.is_some();
        let (mut left, mut rest) = (bytes, Rest::default());
        while !left.is_empty() {
            let (taken, answer) = match link.receive(now.mono_us, left) {
                Ok(read) => read,
                Err(error) => {
                    rest.failure = Some(error.to_string());
                    break;
                }
            };
            left = &left[taken..];
            match answer {
                Some(Answer::Reply { of, bytes, kind, request, asked_us }) => {
                    rest.answered = true;
                    self.time_answer(server, now.mono_us - asked_us);
                    if kind == b'-' && of.whose.is_a_clients() {
                        rest.errors += 1;
                        let error = bytes.as_slice();
                        if redirects && self.redirect(now, server, of, error, &request, &mut rest) {
                            continue;
                        }
                        self.shard.counts.tally.error(&error[1..error.len() - 2]);
                    }
                    if of.hops.any() {
                        self.detour_ends(&of);
                    }
                    match of.whose {
                        Whose::Client(ticket) => {
                            self.release_bar(&of);
                            self.bring_bytes_home(ticket, bytes);
                        }
                        Whose::Fold(flight, leg) => self.flight_answered(&of, (flight, leg), row, bytes.as_slice()),
                        Whose::Map => rest.map = Some(bytes.as_slice().to_vec()),
                        Whose::Asking if self.is_no_return(server, bytes.as_slice()) => {
                            rest.failure = Some("it loads its keys yet".into());
                            break;
                        }
                        Whose::Asking | Whose::Own(..) => {}
                    }
                }
                Some(Answer::Greeted) => rest.greeted = true,
                Some(Answer::Push { bytes }) => self.hear(row, bytes),
                None => {}
            }
        }
        let router = self.router.as_deref_mut().expect("it was there just now");
        let link_row = &mut router.rows[row as usize];
        let has_room = link.has_room(&link_row.options);
        link_row.link = Some(link);
        let waiting = if has_room { std::mem::take(&mut link_row.waiting) } else { Vec::new() };
        self.finish_receiving(now, row, rest, effects);
        self.settle_touched(now, effects);
        self.let_go_on(now, waiting, effects);
    }

    /// What is left to be done when a link is back in its place.
    #[inline]
    pub(super) fn finish_receiving(&mut self, now: Now, row: u32, mut rest: Rest, effects: &mut Effects) {
        let router = self.router.as_deref_mut().expect("there is a router");
        let link_row = &mut router.rows[row as usize];
        let server = link_row.server;
        // To a greeting a server answers also while it loads its keys: one that is left out has to answer a request.
        let proves = rest.answered && rest.failure.is_none() || rest.greeted && !router.left_out.contains(&server);
        let first = proves && !link_row.proven;
        link_row.proven |= proves;
        router.servers[server as usize].figures.errors += rest.errors;
        if first {
            router.servers[server as usize].health.succeeded();
            router.reached(server, true);
            rest.keys_have_moved |= router.place_anew(server);
        }
        if rest.greeted && rest.failure.is_none() {
            router.announce(row, effects);
        }
        if let Some(why) = rest.failure {
            self.give_up(row, Loss::GivenUp(why), effects);
        }
        if let Some(map) = rest.map {
            self.take_map(now, server, &map, effects);
        }
        if rest.keys_have_moved {
            self.keys_have_moved();
        }
        for (asked, request, next) in rest.moves {
            match next {
                Next::Ask { .. } | Next::Later { .. } => {
                    self.send_around(now, Stray { asked, request, next }, effects);
                }
                Next::Error(text) => self.answer_error(&asked, &text),
                Next::Reply => unreachable!("the client has it"),
            }
        }
        self.go_round(now, effects);
        self.router.as_deref_mut().expect("there is a router").end_fences();
    }

    /// Whether an error sends its request elsewhere.
    #[cold]
    fn redirect(
        &mut self,
        now: Now,
        server: u32,
        mut of: Asked,
        reply: &[u8],
        request: &Request,
        rest: &mut Rest,
    ) -> bool {
        let Some(redirect) = Redirect::parse(reply) else { return false };
        let router = self.router.as_deref_mut().expect("there is a router");
        if router.commits(Fault::FollowNothing) {
            return false;
        }
        let (next, moved) = router.follow(now.mono_us, server, &mut of, &redirect);
        rest.keys_have_moved |= moved;
        if matches!(next, Next::Reply) {
            return false;
        }
        let mut again = Output::default();
        request.append_to(&mut again);
        rest.moves.push((of, again, next));
        true
    }

    #[inline]
    fn time_answer(&mut self, server: u32, us: u64) {
        let server = &mut self.router.as_deref_mut().expect("there is a router").servers[server as usize];
        server.answers_us = (server.answers_us * (TIMES - 1) + us) / TIMES;
        server.times.add(us * 1000, 1);
    }

    /// Puts a reply into its slot; a large one is sent from where it lies.
    #[inline]
    fn bring_bytes_home(&mut self, ticket: Ticket, bytes: Bytes) {
        match bytes {
            Bytes::Lent(bytes) => self.bring_home(ticket, bytes),
            Bytes::Owned(bytes) => self.bring_large_home(ticket, Arc::new(bytes)),
        }
    }

    #[cold]
    pub(super) fn bring_large_home(&mut self, ticket: Ticket, value: Arc<Vec<u8>>) {
        let Some(client) = self.sessions.get_mut(ticket.conn()) else { return };
        let mut reply = Output::default();
        reply.push_shared_reply(Arc::clone(&value));
        let client = &mut **client;
        let part = matches!(client.queue.fill(ticket.slot, &reply, 0..3, &mut client.output), Fill::Part(_));
        self.router.as_deref_mut().expect("there is a router").touched.push(ticket.conn());
        if part {
            self.gather_part(ticket, &value);
        }
    }

    /// Puts a reply into its slot. Whoever calls settles the clients that were touched when all is put back.
    #[inline]
    pub(super) fn bring_home(&mut self, ticket: Ticket, bytes: &[u8]) {
        let shifted = self.router.as_deref_mut().and_then(|router| router.shifted(bytes));
        let bytes = shifted.as_deref().unwrap_or(bytes);
        // The client may be gone: then nobody waits for the reply.
        let Some(client) = self.sessions.get_mut(ticket.conn()) else { return };
        if client.output.bytes.capacity() == 0
            && let Some(output) = self.spare_outputs.pop()
        {
            client.output = output;
        }
        let client = &mut **client;
        let part = match client.queue.fill_bytes(ticket.slot, bytes, &mut client.output) {
            Fill::Done => false,
            Fill::Part(_) => true,
        };
        let router = self.router.as_deref_mut().expect("there is a router");
        if router.touched.last() != Some(&ticket.conn()) {
            router.touched.push(ticket.conn());
        }
        if part {
            self.gather_part(ticket, bytes);
        }
    }

    /// Answers in the place of a server.
    pub(super) fn answer_error(&mut self, asked: &Asked, text: &str) {
        let mut error = Output::default();
        Reply { out: &mut error, proto: Proto::Resp2 }.error(text);
        if asked.hops.any() {
            self.detour_ends(asked);
        }
        match asked.whose {
            Whose::Client(ticket) | Whose::Own(ticket, Kind::Reply(_)) => {
                self.shard.counts.tally.error(text.as_bytes());
                self.release_bar(asked);
                self.bring_home(ticket, &error.bytes);
            }
            Whose::Fold(flight, leg) => self.flight_unanswered(flight, leg, &error.bytes),
            Whose::Own(..) | Whose::Asking | Whose::Map => {}
        }
    }

    /// A request that was sent around has ended.
    #[cold]
    fn detour_ends(&mut self, asked: &Asked) {
        if asked.whose.is_a_clients() {
            self.router.as_deref_mut().expect("there is a router").detours.answered(asked);
        }
    }

    /// A part of a write on hot keys has ended.
    #[inline]
    pub(super) fn release_bar(&mut self, asked: &Asked) {
        if asked.bar != 0 {
            self.router.as_deref_mut().expect("there is a router").hot.release(asked.bar);
        }
    }

    #[cold]
    fn gather_part(&mut self, ticket: Ticket, bytes: &[u8]) {
        let Some(mut client) = self.sessions.take(ticket.conn()) else { return };
        let mut part = Output::default();
        part.bytes.extend_from_slice(bytes);
        if client.queue.part(ticket.slot).add(ticket.part, &part, 0..bytes.len()) {
            self.complete(&mut client, ticket.slot);
        }
        self.sessions.put(ticket.conn(), client);
    }

    /// Tells the shell what is ready for clients that got replies, and lets those go on that waited for them.
    pub(super) fn settle_touched(&mut self, now: Now, effects: &mut Effects) {
        self.fly_on(now, effects);
        let router = self.router.as_deref_mut().expect("there is a router");
        let mut touched = std::mem::take(&mut router.touched);
        for conn in touched.drain(..) {
            if let Some(client) = self.sessions.take(conn) {
                self.settle(now, conn, client, effects);
            }
        }
        let router = self.router.as_deref_mut().expect("there is a router");
        // What settling has touched meanwhile was settled in its own turn.
        if router.touched.is_empty() {
            router.touched = touched;
        }
    }

    /// Clients that waited for room on a link go on.
    pub(super) fn let_go_on(&mut self, now: Now, waiting: Vec<ConnId>, effects: &mut Effects) {
        if self.router.as_deref().is_some_and(|router| router.commits(Fault::ForgetWaiting)) {
            return;
        }
        for conn in waiting {
            if let Some(client) = self.sessions.get_mut(conn) {
                client.congested -= 1;
                if client.congested == 0 {
                    self.resume(now, conn, effects);
                }
            }
        }
    }
}
