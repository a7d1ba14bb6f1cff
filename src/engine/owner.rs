//! Letters: requests of other cores for keys that live here, and answers to requests of ours.

use super::Engine;
use super::event::Effects;
use super::group::GROUP_KEYS_MAX;
use super::invalidation::mark_of;
use super::letter::{Batch, Envelope, Note, Ticket};
use super::scatter::is_about_all_keys;
use super::sessions::Client;
use super::transaction::{Errand, Fault, Holder};
use crate::keyspace::command::{Request, apply};
use crate::keyspace::{ItemRef, Key};
use crate::protocol::command::{Command, spec};
use crate::protocol::resp::{Arg, Output, Reply};
use crate::session::Fill;
use crate::types::{ConnId, CoreId, Now};
use std::ops::Range;

impl Engine {
    pub(super) fn mail(&mut self, now: Now, from: CoreId, mut batch: Box<Batch>, effects: &mut Effects) {
        self.hear_of_failure(&batch, effects);
        for word in std::mem::take(&mut batch.listeners) {
            self.take_word(now, from, word, effects);
        }
        self.serve(now, from, &mut batch, effects);
        self.skip_lap();
        self.deliver(now, &batch, effects);
        for note in std::mem::take(&mut batch.notes) {
            self.take_note(now, from, note, effects);
        }
        self.post.recycle(from, batch);
        self.skip_lap();
    }

    fn take_note(&mut self, now: Now, from: CoreId, note: Note, effects: &mut Effects) {
        match note {
            Note::Fold(fold) => {
                if let Some(fold) = self.fold_waits(from, fold) {
                    self.serve_fold(now, from, fold);
                }
            }
            Note::Folded(fold) => self.fold_returned(now, fold, effects),
            Note::Report(report) => self.take_report(now, from, report),
            Note::Install(news) => self.install_hot(*news),
            Note::Refresh(news) => self.hot.cache.refresh(*news),
            Note::Remove { hash, key } => self.remove_hot(hash, &key),
            Note::News(news) => self.hear_news(news, false),
            Note::Message(message, ticket) => self.take_message(now, from, &message, ticket, effects),
            Note::Requests(lines) => self.show(now, &lines, effects),
            Note::Short => {}
            Note::Lock(request) => self.transactions.errand(Errand::Lock(from, *request)),
            Note::Locked(number, outcome) => {
                self.transactions.errand(Errand::Locked { number, core: from, outcome });
            }
            Note::Unlock(number) => self.transactions.errand(Errand::Unlock(Holder { core: from, number })),
            Note::Invalidation(word) => self.take_word(now, from, word, effects),
        }
    }

    /// Applies the requests of a batch and writes the answers into the batch that goes back.
    fn serve(&mut self, now: Now, from: CoreId, batch: &mut Batch, effects: &mut Effects) {
        let (mut envelopes, mut args) = (std::mem::take(&mut self.envelopes), std::mem::take(&mut self.letter_args));
        batch.open(&mut envelopes, &mut args);
        self.stats.letters_served += envelopes.len() as u64;
        let mut places = std::mem::take(&mut self.letter_places);
        for group in envelopes.chunks(GROUP_KEYS_MAX) {
            places.clear();
            places.extend(group.iter().map(|envelope| self.place_here(envelope.slot, envelope.hash)));
            self.look_up(&mut places);
            for (envelope, place) in group.iter().zip(&places) {
                self.serve_one(now, from, batch, envelope, &args, place.hint, effects);
            }
        }
        self.letter_places = places;
        envelopes.clear();
        args.clear();
        (self.envelopes, self.letter_args) = (envelopes, args);
    }

    #[expect(clippy::too_many_arguments, reason = "one letter in all its parts, on the hot path of a remote operation")]
    fn serve_one(
        &mut self,
        now: Now,
        from: CoreId,
        batch: &mut Batch,
        envelope: &Envelope,
        args: &[Arg],
        hint: Option<ItemRef>,
        effects: &mut Effects,
    ) {
        let args = batch.args(envelope, args);
        let (ticket, proto, command) = (envelope.ticket, envelope.proto, envelope.command);
        if self.transactions.is_active() && !envelope.holds_lock && self.letter_waits(from, envelope) {
            let mut request = Request { command, args, slot: envelope.slot, hash: envelope.hash, hint };
            return self.wait_for_unlock(from, ticket, proto, envelope.heed, &mut request);
        }
        if !spec(command).keys.names_keys() {
            if command == Command::Unwatch {
                // Nobody waits for an answer.
                return self.unwatch_here((from, ticket.conn()));
            }
            return self.serve_everywhere(now, from, ticket, command, args, effects);
        }
        let mut request = Request { command, args, slot: envelope.slot, hash: envelope.hash, hint };
        if command == Command::Watch {
            let key = Key { bytes: request.args.get(1), slot: request.slot, hash: request.hash, hint };
            self.watch_key(now, (from, ticket.conn()), &key);
            return self.post.batch(from).answer(ticket, |out| Reply { out, proto }.ok());
        }
        if envelope.heed != 0 {
            return self.serve_heeded(now, from, envelope, &mut request);
        }
        let shard = &mut self.shard;
        self.post
            .batch(from)
            .answer(ticket, |out| apply(shard, now.unix_ms(), &mut request, &mut Reply { out, proto }));
    }

    /// For a client that is told when what it reads changes: the reader is known before its answer leaves.
    #[inline(never)]
    fn serve_heeded(&mut self, now: Now, from: CoreId, envelope: &Envelope, request: &mut Request) {
        let (ticket, proto, heed) = (envelope.ticket, envelope.proto, envelope.heed);
        let asker = mark_of(from, ticket.conn());
        self.begin_heeded(heed, asker);
        let shard = &mut self.shard;
        let answers = self.post.batch(from);
        answers.answer(ticket, |out| apply(shard, now.unix_ms(), request, &mut Reply { out, proto }));
        self.end_heeded(heed, asker, request);
    }

    /// Whether another core's request has to wait for a transaction.
    #[cold]
    fn letter_waits(&self, from: CoreId, envelope: &Envelope) -> bool {
        let slot = spec(envelope.command).keys.names_keys().then_some(envelope.slot);
        (slot.is_some() || is_about_all_keys(envelope.command))
            && !self.transactions.commits(Fault::IgnoreLocks)
            && self.transactions.must_wait(from, envelope.ticket.conn(), slot)
    }

    /// Fills the answers of a batch into the reply slots of the connections that asked. Answers of one connection
    /// follow each other, so it is taken out once for all of them.
    fn deliver(&mut self, now: Now, batch: &Batch, effects: &mut Effects) {
        let (output, mut answers) = batch.answers();
        let mut next = answers.next();
        while let Some((first, _)) = &next {
            let conn = first.conn();
            let mut client = self.sessions.take(conn);
            if let Some(client) = &mut client {
                self.lend_output(client);
            }
            while let Some((ticket, range)) = next.take_if(|(ticket, _)| ticket.conn() == conn) {
                // The connection may be gone: then nobody waits for the answer.
                if let Some(client) = &mut client {
                    self.fill(client, ticket, output, range);
                }
                next = answers.next();
            }
            if let Some(client) = client {
                self.settle(now, conn, client, effects);
            }
        }
    }

    #[inline]
    pub(super) fn fill(&mut self, client: &mut Client, ticket: Ticket, output: &Output, range: Range<usize>) {
        if let Fill::Part(gather) = client.queue.fill(ticket.slot, output, range.clone(), &mut client.output)
            && gather.add(ticket.part, output, range)
        {
            self.complete(client, ticket.slot);
        }
    }

    /// Moves what is ready to the output after a run of answers for one connection, and puts it back.
    pub(super) fn settle(&mut self, now: Now, conn: ConnId, mut client: Box<Client>, effects: &mut Effects) {
        let stalled = client.stalled;
        let settled = &mut *client;
        settled.queue.settle(&mut settled.output);
        self.announce(now, conn, &mut client, effects);
        self.sessions.put(conn, client);
        if stalled {
            self.resume(now, conn, effects);
        }
    }
}
