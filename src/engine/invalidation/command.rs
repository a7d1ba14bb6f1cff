//! CLIENT TRACKING and its kin: a connection says what it wants to be told, and asks what it has said.

use super::super::Engine;
use super::super::event::Effects;
use super::super::gather::Gather;
use super::super::ingress::Call;
use super::super::letter::{Note, Ticket};
use super::super::sessions::Client;
use super::options::{self, NO_SUCH_CLIENT};
use super::{Fault, Trial, Word, mark_of};
use crate::keyspace::command::Request;
use crate::protocol::command::{Command, Spec, spec};
use crate::protocol::resp::Args;
use crate::session::Tracker;
use crate::types::{ConnId, CoreId, Now};

impl Engine {
    pub(in super::super) fn tracking(&mut self, call: &Call, client: &mut Client, command: Command, args: &Args) {
        match command {
            Command::ClientTracking => self.client_tracking(call.conn, client, args),
            Command::ClientCaching => {
                let set = options::set_caching(args.get(2), client.tracker.as_deref_mut());
                client.answer(|reply| match set {
                    Ok(()) => reply.ok(),
                    Err(error) => reply.error(error),
                });
            }
            Command::ClientGetRedir => {
                let redirect = redirect_of(client);
                client.answer(|reply| reply.integer(redirect));
            }
            _ => tracking_info(client),
        }
    }

    fn client_tracking(&mut self, conn: ConnId, client: &mut Client, args: &Args) {
        let asked = options::parse(args, client.tracker.as_deref());
        let sought = asked.redirect.map(|id| (id, self.seek_here(id)));
        if let Some((_, Some(false))) = sought {
            return client.answer(|reply| reply.error(NO_SUCH_CLIENT));
        }
        // Another core has to be asked about the one to redirect to. Until it has answered, what the connection asks next
        // waits. A transaction goes on, and takes it to be there: what it reads must not go untold.
        let elsewhere = sought.filter(|(_, found)| found.is_none()).map(|(id, _)| id as u64);
        let (listens, reply) = match asked.outcome {
            Err(error) if elsewhere.is_none() => return client.answer(|reply| reply.error_bytes(&error)),
            Err(error) => (Vec::new(), [b"-", &error[..], b"\r\n"].concat()),
            Ok(tracker) => {
                self.begin_trial(conn, client, elsewhere.is_some());
                (self.set_tracker(conn, client, tracker.map(Box::new)), b"+OK\r\n".to_vec())
            }
        };
        let others = if listens.is_empty() { 0 } else { self.cores - 1 };
        let parts = others + usize::from(elsewhere.is_some());
        if parts == 0 {
            return client.answer(|reply| reply.ok());
        }
        let number = client.queue.gather(Gather::ok(parts), client.is_muted());
        // No copy answers either before all cores know who listens: it would be as of before they did.
        client.order.hold(client.queue.numbers().end);
        let ticket = Ticket::new(conn, number, 0);
        self.spread_prefixes(listens, Some(ticket));
        if let Some(id) = elsewhere {
            let (core, trial) = (self.core_of_id(id), self.invalidation.tries);
            self.post.note(core, Note::Invalidation(Word::Seek { id, reply, ticket, trial }));
        }
    }

    fn spread_prefixes(&mut self, prefixes: Vec<Vec<u8>>, ticket: Option<Ticket>) {
        if prefixes.is_empty() {
            return;
        }
        for core in self.other_cores() {
            self.post.listener(core, Word::Listen { prefixes: prefixes.clone(), ticket });
        }
    }

    /// What was tried before is no longer of interest: this is what the connection has asked for.
    fn begin_trial(&mut self, conn: ConnId, client: &mut Client, tries: bool) {
        self.invalidation.trials.retain(|trial| trial.conn != conn);
        if tries {
            self.invalidation.tries += 1;
            let (number, before) = (self.invalidation.tries, client.tracker.clone());
            self.invalidation.trials.push(Trial { conn, number, before });
            if !self.program_runs() {
                (client.on_trial, client.stalled) = (true, true);
            }
        }
    }

    /// Whether there is a connection with this id; `None` if another core would know.
    fn seek_here(&self, id: i64) -> Option<bool> {
        let id = id.max(0) as u64;
        if id == 0 || self.core_of_id(id) == self.core {
            return Some(self.sessions.conn_of(id).is_some());
        }
        None
    }

    /// Another core asks whether a connection of this one exists.
    pub(super) fn seek(&mut self, from: CoreId, id: u64, reply: &[u8], ticket: Ticket, trial: u64) {
        let found = self.sessions.conn_of(id).is_some();
        let missing = [b"-", NO_SUCH_CLIENT.as_bytes(), b"\r\n"].concat();
        let reply = if found { reply } else { &missing };
        self.shard.counts.tally.answered(Command::ClientTracking, reply);
        self.post.batch(from).answer(ticket, |out| out.bytes.extend_from_slice(reply));
        self.post.note(from, Note::Invalidation(Word::Sought { by: ticket.conn(), trial, found }));
    }

    /// The other core has answered: if there is no such connection, the asking one goes back to what it had, unless it
    /// has asked for something else since.
    pub(super) fn end_trial(&mut self, now: Now, (conn, trial): (ConnId, u64), found: bool, effects: &mut Effects) {
        let trials = &mut self.invalidation.trials;
        let Some(row) = trials.iter().position(|known| known.conn == conn && known.number == trial) else { return };
        let trial = trials.swap_remove(row);
        let Some(mut client) = self.sessions.take(conn) else { return };
        if !found {
            let listens = self.set_tracker(conn, &mut client, trial.before);
            self.spread_prefixes(listens, None);
        }
        client.on_trial = false;
        self.sessions.put(conn, client);
        self.resume(now, conn, effects);
    }

    /// Turns a connection's tracking on, off or into something else; the prefixes that it listens to.
    pub(in super::super) fn set_tracker(
        &mut self,
        conn: ConnId,
        client: &mut Client,
        tracker: Option<Box<Tracker>>,
    ) -> Vec<Vec<u8>> {
        // What was asked past copies is on its way: no copy answers before that has been answered.
        client.hold_copies();
        let before = std::mem::replace(&mut client.tracker, tracker);
        let now = client.tracker.as_deref();
        self.invalidation.clients += u64::from(now.is_some());
        self.invalidation.clients -= u64::from(before.is_some());
        let listens: Vec<Vec<u8>> = now.map_or(Vec::new(), |now| now.prefixes.iter().cloned().collect());
        if !listens.is_empty() {
            // What has changed so far is not for who listens from here on.
            self.settle_changes();
        }
        for prefix in &listens {
            self.invalidation.prefixes.add_here(prefix, self.core, conn);
        }
        self.forget_prefixes(conn, before.as_deref(), now);
        self.shard.watch_every(!self.invalidation.prefixes.is_empty());
        self.attend();
        listens
    }

    /// Has a connection listen no more to prefixes that it has left.
    fn forget_prefixes(&mut self, conn: ConnId, before: Option<&Tracker>, now: Option<&Tracker>) {
        let Some(before) = before else { return };
        let left = before.prefixes.iter().filter(|prefix| !now.is_some_and(|now| now.prefixes.contains(*prefix)));
        for prefix in left {
            if self.invalidation.prefixes.remove_here(prefix, conn) {
                self.invalidation.prefixes.remove_core(prefix, self.core);
                for core in self.other_cores() {
                    self.post.listener(core, Word::Deaf { prefix: prefix.clone() });
                }
            }
        }
    }

    /// A connection is gone.
    pub(in super::super) fn forget_tracker(&mut self, conn: ConnId, client: &mut Client) {
        if client.tracker.is_some() {
            self.set_tracker(conn, client, None);
        }
        self.invalidation.trials.retain(|trial| trial.conn != conn);
    }

    /// Somebody of core `from` listens.
    pub(super) fn add_prefixes(&mut self, from: CoreId, prefixes: &[Vec<u8>]) {
        self.settle_changes();
        let told = if self.invalidation.commits(Fault::LoseListener) { &[] } else { prefixes };
        for prefix in told {
            self.invalidation.prefixes.add_core(prefix, from);
        }
        self.shard.watch_every(!self.invalidation.prefixes.is_empty());
    }

    pub(super) fn drop_prefix(&mut self, from: CoreId, prefix: &[u8]) {
        self.invalidation.prefixes.remove_core(prefix, from);
        self.shard.watch_every(!self.invalidation.prefixes.is_empty());
    }

    /// Runs an operation of a client that tracks: its owner heeds what it asks, and neither a copy nor a fold has a part
    /// in it.
    pub(in super::super) fn dispatch_heeded(
        &mut self,
        call: &Call,
        client: &mut Client,
        owner: CoreId,
        request: &mut Request,
    ) {
        let heed = self.heed_of(client, spec(request.command));
        if self.is_locked_out(call.conn, owner, request.slot) {
            return self.wait_for_slot(call, client, heed, request);
        }
        if owner == self.core {
            let asker = mark_of(self.core, call.conn);
            return client.answer(|reply| self.apply_heeded(call.now, (heed, asker), request, reply));
        }
        let number = client.queue.wait(client.is_muted());
        self.post.ask_heeded(owner, Ticket::new(call.conn, number, 0), client.proto, heed, request);
    }

    /// Behind each request: CLIENT CACHING is for one request that is not itself one of CLIENT, or for one transaction.
    pub(in super::super) fn request_ends(&self, client: &mut Client, spec: &'static Spec) {
        let goes_on = self.program_runs() || client.multi.is_some() || client.transaction.is_some();
        if let Some(tracker) = &mut client.tracker
            && !goes_on
            && !spec.name.starts_with("client")
            && !self.invalidation.commits(Fault::KeepCaching)
        {
            tracker.caching = false;
        }
    }
}

/// The connection that is told instead of this one; 0 for none, -1 if nobody is told.
pub fn redirect_of(client: &Client) -> i64 {
    client.tracker.as_ref().map_or(-1, |tracker| tracker.redirect as i64)
}

fn tracking_info(client: &mut Client) {
    let flags = client.tracker.as_ref().map_or(vec!["off"], |tracker| tracker.flags());
    let prefixes: Vec<Vec<u8>> =
        client.tracker.as_ref().map_or(Vec::new(), |tracker| tracker.prefixes.iter().cloned().collect());
    let redirect = redirect_of(client);
    client.answer(|reply| {
        reply.map(3);
        reply.bulk(b"flags");
        reply.set(flags.len());
        flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
        reply.bulk(b"redirect");
        reply.integer(redirect);
        reply.bulk(b"prefixes");
        reply.array(prefixes.len());
        prefixes.iter().for_each(|prefix| reply.bulk(prefix));
    });
}
