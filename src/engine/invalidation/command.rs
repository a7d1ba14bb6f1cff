//! CLIENT TRACKING and its kin: a connection says what it wants to be told, and asks what it has said.

use super::super::Engine;
use super::super::gather::Gather;
use super::super::ingress::Call;
use super::super::letter::Ticket;
use super::super::sessions::Client;
use super::options::{self, NO_SUCH_CLIENT};
use super::{Fault, Word, mark_of};
use crate::keyspace::command::Request;
use crate::protocol::command::{Command, Spec, spec};
use crate::protocol::resp::Args;
use crate::session::Tracker;
use crate::types::{ConnId, CoreId};

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
        if let Some(id) = asked.redirect
            && !self.is_there(conn, id)
        {
            return client.answer(|reply| reply.error(NO_SUCH_CLIENT));
        }
        let listens = match asked.outcome {
            Err(error) => return client.answer(|reply| reply.error_bytes(&error)),
            Ok(tracker) => self.set_tracker(conn, client, tracker.map(Box::new)),
        };
        if listens.is_empty() || self.cores == 1 {
            return client.answer(|reply| reply.ok());
        }
        let number = client.queue.gather(Gather::ok(self.cores - 1), client.is_muted());
        // No copy answers either before all cores know who listens: it would be as of before they did.
        client.order.hold(client.queue.numbers().end);
        let ticket = Ticket::new(conn, number, 0);
        for core in self.other_cores() {
            self.post.listener(core, Word::Listen { prefixes: listens.clone(), ticket });
        }
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
        self.invalidation.seeks.forget(conn);
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
