//! Requests on the hot keys of other cores: from the copy here if it is current, else together with others in one fold.

use super::super::Engine;
use super::super::event::Effects;
use super::super::ingress::Call;
use super::super::letter::{Note, Ticket};
use super::super::sessions::Client;
use super::Home;
use crate::keyspace::EventClasses;
use crate::keyspace::command::{Request, apply_for};
use crate::protocol::command::{Command, flags::flag, spec};
use crate::protocol::resp::{Output, Proto};
use crate::replica::Fold;
use crate::types::{CoreId, Now};

/// For so long after a fold of another core a key counts as written from several.
const CONTENDED_US: u64 = 2_000;

impl Engine {
    /// Runs an operation on another core's key if that key is hot here. False: it is not.
    #[inline]
    pub(in super::super) fn operate_hot(&mut self, call: &Call, client: &mut Client, request: &mut Request) -> bool {
        if self.hot.cache.is_empty() {
            return false;
        }
        let (epoch, settings) = (self.hot.epoch(), &self.settings);
        #[cfg(not(feature = "faults"))]
        let may_use_copy = |client: &mut Client| client.may_use_copy(request.hash, epoch);
        #[cfg(feature = "faults")]
        let blind = self.hot.cache.fault == Some(crate::replica::Fault::IgnoreOwnWrite);
        #[cfg(feature = "faults")]
        let may_use_copy = |client: &mut Client| client.may_use_copy(request.hash, epoch) || blind;
        let Some(entry) = self.hot.cache.get(request.hash, request.args.get(1)) else { return false };
        if matches!(request.command, Command::Get | Command::MGet)
            && may_use_copy(client)
            // Where misses are told, the owner tells them.
            && let Some(copy) = entry.read(call.now.unix_ms(), || !settings.key_events.has(EventClasses::KEY_MISS))
        {
            let counts = &mut self.shard.counts;
            *(if copy.is_absent() { &mut counts.misses } else { &mut counts.hits }) += 1;
            client.answer(|reply| copy.answer(reply));
            return true;
        }
        let ticket = Ticket::new(call.conn, client.queue.wait(client.is_muted()), 0);
        self.join(Home::Core, client, ticket, client.proto, request);
        true
    }

    /// Sends a part of a reply that is gathered, of another core's key, by its fold if the key is hot here.
    pub(in super::super) fn ask_part(&mut self, client: &mut Client, ticket: Ticket, request: &mut Request) -> bool {
        let hot = self.hot.cache.get(request.hash, request.args.get(1)).is_some();
        if hot {
            self.join(Home::Core, client, ticket, Proto::Resp2, request);
        }
        hot
    }

    /// Whether an operation on a key of this core has to wait until the next turn: because an earlier one of its
    /// connection does, or for fairness.
    ///
    /// A write from another core travels for a turn or two. Were those from here served at once, this core's clients would
    /// come round two or three times while the others' come round once, and this core would carry most of the key's load
    /// for no better reason than that its clients are near. So while others write too, writes from here wait in a draft of
    /// their own; like any other it is one operation for however many wait.
    #[inline]
    pub(in super::super) fn waits_its_turn(&mut self, now: Now, client: &Client, request: &Request) -> bool {
        if self.hot.own.is_empty() {
            return false;
        }
        let Some(entry) = self.hot.own.get(request.hash, request.args.get(1)) else { return false };
        let contended = now.mono_us < entry.contended_us + CONTENDED_US;
        client.order.awaits(request.hash) || contended && spec(request.command).has(flag::WRITE)
    }

    /// When a turn begins, before anything else: serves what waited for it.
    pub(in super::super) fn serve_own_folds(&mut self, now: Now, effects: &mut Effects) {
        for fold in std::mem::take(&mut self.hot.own_folds) {
            let Some(mut fold) = self.fold_waits(self.core, fold) else { continue };
            let shard = &mut self.shard;
            fold.serve(|crowd, request, reply| apply_for(crowd, shard, now.unix_ms(), request, reply));
            self.fold_returned(now, fold, effects);
        }
    }

    /// Has an operation on a hot key wait in the key's draft.
    pub(in super::super) fn join(
        &mut self,
        home: Home,
        client: &mut Client,
        ticket: Ticket,
        proto: Proto,
        request: &mut Request,
    ) {
        client.order.asked(request.hash);
        self.hot.drafts(home).join(request.hash, ticket, proto, request);
    }

    /// A fold is back from the key's owner.
    pub(in super::super) fn fold_returned(&mut self, now: Now, fold: Box<Fold>, effects: &mut Effects) {
        let home = if self.table.owner(fold.slot) == self.core { Home::Here } else { Home::Core };
        match self.land_fold(now, home, fold, effects) {
            Some((_, fold)) if home == Home::Here => self.hot.own_folds.push(fold),
            Some((owner, fold)) => self.post.note(owner, Note::Fold(fold)),
            None => {}
        }
    }

    /// A fold is served: each who waits in it gets its reply. What of it has to be served again is handed out.
    pub(in super::super) fn land_fold(
        &mut self,
        now: Now,
        home: Home,
        fold: Box<Fold>,
        effects: &mut Effects,
    ) -> Option<(CoreId, Box<Fold>)> {
        let hash = fold.hash;
        let mut landing = self.hot.drafts(home).land(fold);
        let mut scratch = Output::default();
        while let Some(conn) = landing.peek().map(|ticket| ticket.conn()) {
            let mut client = self.sessions.take(conn);
            if let Some(client) = &mut client {
                self.lend_output(client);
            }
            let mut answered = 0;
            while landing.peek().is_some_and(|ticket| ticket.conn() == conn)
                && let Some((member, output, range)) = landing.next(&mut scratch)
            {
                answered += 1;
                // The connection may be gone: then nobody waits for the answer.
                if let Some(client) = &mut client {
                    client.order.answered(hash);
                    self.fill(client, member.who, output, range);
                }
            }
            scratch.clear();
            if let Some(client) = client {
                self.settle(now, conn, client, effects);
            }
            if answered == 0 {
                break;
            }
        }
        self.hot.drafts(home).landed(landing)
    }
}
