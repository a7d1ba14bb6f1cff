//! A server's replies on their way home: each to the slot that waits for it, byte for byte.

use super::router::{Asked, Loss};
use crate::engine::Engine;
use crate::engine::event::Effects;
use crate::engine::letter::Ticket;
use crate::protocol::resp::Output;
use crate::session::Fill;
use crate::types::{ConnId, Now};
use crate::upstream::Answer;

impl Engine {
    /// Takes bytes that came from a server.
    pub(in crate::engine) fn link_received(&mut self, now: Now, conn: ConnId, bytes: &[u8], effects: &mut Effects) {
        let Some(router) = self.router.as_deref_mut() else { return };
        // A link that was given up still receives until it is closed.
        let Some(row) = router.row_of(conn) else { return };
        let mut link = router.rows[row as usize].link.take().expect("it is there between events");
        let (mut rest, mut errors, mut answered, mut greeted, mut failure) = (bytes, 0, false, false, None);
        while !rest.is_empty() {
            match link.receive(now.mono_us, rest) {
                Ok((taken, answer)) => {
                    rest = &rest[taken..];
                    match answer {
                        Some(Answer::Reply { of: Asked { ticket, .. }, bytes, kind, .. }) => {
                            answered = true;
                            if kind == b'-' {
                                errors += 1;
                                self.shard.counts.tally.error(&bytes[1..bytes.len() - 2]);
                            }
                            self.bring_home(ticket, bytes);
                        }
                        Some(Answer::Greeted) => greeted = true,
                        Some(Answer::Push { .. }) | None => {}
                    }
                }
                Err(error) => {
                    failure = Some(error.to_string());
                    break;
                }
            }
        }
        let router = self.router.as_deref_mut().expect("it was there just now");
        let link_row = &mut router.rows[row as usize];
        let has_room = link.has_room(&link_row.options);
        link_row.link = Some(link);
        link_row.proven |= answered;
        let server = &mut router.servers[link_row.server as usize];
        server.figures.errors += errors;
        if answered || greeted {
            server.health.succeeded();
        }
        let waiting = if has_room { std::mem::take(&mut link_row.waiting) } else { Vec::new() };
        match failure {
            Some(why) => self.give_up(row, Loss::GivenUp(why), effects),
            None if greeted => router.announce(row, effects),
            None => {}
        }
        self.settle_touched(now, effects);
        self.let_go_on(now, waiting, effects);
    }

    /// Puts a reply into its slot. Whoever calls settles the clients that were touched when all is put back.
    #[inline]
    pub(super) fn bring_home(&mut self, ticket: Ticket, bytes: &[u8]) {
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
        for conn in waiting {
            if let Some(client) = self.sessions.get_mut(conn) {
                client.congested = false;
                self.resume(now, conn, effects);
            }
        }
    }
}
