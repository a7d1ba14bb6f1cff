//! Reads of hot keys that no fold takes, since no shard here could run them: from a copy of the reply, or together with others
//! who ask the same. See `replica/reads.rs` for what waits, `flight.rs` for how it is asked.

use super::flight::{Cargo, Flight, Reply};
use super::requests::{Meets, wait};
use crate::engine::Engine;
use crate::engine::event::Effects;
use crate::engine::ingress::Call;
use crate::engine::letter::Ticket;
use crate::engine::sessions::Client;
use crate::engine::upstream::forward::push_words;
use crate::heat::Access;
use crate::protocol::command::passage::{Passage, Steady, passage};
use crate::protocol::resp::{Args, Proto};
use crate::replica::{Joins, Question, Read, Round, SHARED_BYTES_MIN, Term, Told};
use crate::types::{KeyHash, Now};
use std::borrow::Cow;
use std::sync::Arc;

/// A longer request is asked for by itself.
const REQUEST_BYTES_MAX: usize = 4096;

/// Requests that a round makes unnecessary.
pub(super) fn coalesced(round: &Round<Ticket>) -> u64 {
    round.reads.iter().map(|read| read.members.len() as u64 - 1).sum()
}

/// A request as it is sent on; none if a part of it would have to be copied that is large.
fn as_sent<'a>(args: &Args<'a>) -> Option<Cow<'a, [u8]>> {
    let received = args.as_received().map(Cow::Borrowed);
    received.or_else(|| {
        let words: Vec<&[u8]> = args.iter().collect();
        let mut bytes = Vec::new();
        push_words(&mut bytes, &words);
        (!args.has_bodies()).then_some(Cow::Owned(bytes))
    })
}

impl Engine {
    /// A read of a key that no draft takes. Those of one client on one key stay in order: what is answered from a copy, or goes
    /// its own way, has none of them before it that waits here.
    pub(super) fn meet_read(
        &mut self,
        call: &Call,
        client: &mut Client,
        passage: &'static Passage,
        args: &Args,
    ) -> Meets {
        let key = args.get(1);
        let (hash, epoch) = (self.shard.hash(key), self.hot.epoch());
        let behind = client.order.last_read(hash);
        let Some(entry) = self.hot.upstream.get(hash, key) else { return Meets::Nothing };
        if client.order.awaits(hash) {
            return wait(client);
        }
        if behind.is_none() && !client.may_use_copy(hash, epoch) {
            // Behind what goes its own way it does so, too: else each such request would be waited for.
            return if client.awaits_alone() { Meets::HotKeys } else { wait(client) };
        }
        let router = self.router.as_deref_mut().expect("requests are passed on where there is a router");
        // A server that does not may know the first version of the protocol only, in which all are told.
        let told = client.proto == Proto::Resp2 || router.says_what_changes(key);
        let bytes = as_sent(args).filter(|bytes| told && bytes.len() <= REQUEST_BYTES_MAX);
        let Some(bytes) = bytes else {
            return if behind.is_some() { wait(client) } else { Meets::HotKeys };
        };
        let paired = passage.steady(args) == Steady::Paired;
        let question = Question { bytes: &bytes, hash: self.shard.hash(&bytes).0, paired };
        let version = entry.cell().version();
        if behind.is_none()
            && let Some(told) = entry.reads.current(&question, version, call.now.unix_ms(), client.proto)
        {
            let reply = told.told(client.proto);
            client.answer(|out| match reply.len() < SHARED_BYTES_MIN {
                true => out.raw(reply),
                false => out.out.push_shared_reply(Arc::clone(reply)),
            });
            entry.reads.hits += 1;
            entry.reads.uncounted += 1;
            return Meets::HotKey;
        }
        if !entry.reads.has_room_for(&question, entry.combines()) {
            return if behind.is_some() { wait(client) } else { Meets::HotKeys };
        }
        let keeps = entry.reads.knows(&question) || router.hot.recent.sees_again(question.hash);
        let ticket = Ticket::new(call.conn, client.queue.wait(client.is_muted()), 0);
        let number =
            self.hot.upstream.join_read((hash, key), &question, Joins { behind, keeps }, (ticket, client.proto));
        client.order.asked_read(hash, number);
        Meets::HotKey
    }

    /// When a turn ends: what waits is answered by copies that came meanwhile, as far as no one's order is in the way; the
    /// rest of it is asked.
    pub(super) fn take_off_reads(&mut self, now: Now, mut round: Round<Ticket>, effects: &mut Effects) {
        let entry = self.hot.upstream.get(round.hash, &round.key).expect("an entry stays while reads wait in it");
        let cell = Arc::clone(entry.cell());
        let mut answered = Vec::new();
        for read in &round.reads {
            let question = read.question();
            let told = entry.reads.current(&question, cell.version(), now.unix_ms(), read.proto());
            let Some(told) = told else { break };
            answered.push(told.clone());
            entry.reads.hits += read.members.len() as u64;
            entry.reads.uncounted += read.members.len() as u64;
        }
        let (hash, reads) = (round.hash, round.reads.drain(..answered.len()).collect());
        if round.reads.is_empty() {
            self.hot.upstream.reads_landed(hash, &round.key);
        } else {
            let (replicates, _) = self.settings.hot.treatment(&round.key);
            let keeps = replicates && round.reads.iter().any(|read| read.keeps);
            let version = cell.settled().filter(|_| keeps);
            self.send_off(now, Cargo::Reads(round), cell, (false, version), effects);
        }
        self.answer_reads(hash, reads, answered);
    }

    /// Reads are answered: copies are kept of the replies, and who waits gets them.
    pub(super) fn land_reads(&mut self, now: Now, round: Round<Ticket>, flight: &mut Flight) {
        let term = self.term_of(flight);
        let mut replies = Vec::with_capacity(round.reads.len());
        for (read, reply) in round.reads.iter().zip(std::mem::take(&mut flight.replies)) {
            replies.push(match reply.expect("none is missing") {
                Reply::Its(bytes) => {
                    let told = Told::new(bytes, flight.proto, read.paired);
                    if let Some(term) = term.filter(|_| read.keeps && !told.is_error()) {
                        self.keep_reply((round.hash, &round.key), read, &told, term);
                    }
                    told
                }
                Reply::Ours(error) => self
                    .old_reply(now, (round.hash, &round.key), read, flight)
                    .unwrap_or_else(|| Told::new(error, Proto::Resp2, false)),
            });
        }
        self.hot.upstream.reads_landed(round.hash, &round.key);
        self.answer_reads(round.hash, round.reads, replies);
    }

    fn keep_reply(&mut self, (hash, key): (KeyHash, &[u8]), read: &Read<Ticket>, told: &Told, term: Term) {
        if self.has_room_for_copies(read.request.len() + told.bytes())
            && let Some(entry) = self.hot.upstream.get(hash, key)
        {
            entry.reads.keep(&read.question(), told.clone(), term);
        }
    }

    /// What was replied when the server could be reached, where an old value is better than none.
    fn old_reply(
        &mut self,
        now: Now,
        (hash, key): (KeyHash, &[u8]),
        read: &Read<Ticket>,
        flight: &Flight,
    ) -> Option<Told> {
        let (told, term) = self.hot.upstream.get(hash, key)?.reads.last(&read.question(), read.proto())?;
        let told = told.clone();
        let router = self.router.as_deref_mut().expect("there is a router");
        let server = router.rows[term.by as usize].server;
        router.may_be_old(now, flight, (term.asked, term.version), server).then_some(told)
    }

    fn answer_reads(&mut self, hash: KeyHash, reads: Vec<Read<Ticket>>, replies: Vec<Told>) {
        for (read, mut told) in reads.into_iter().zip(replies) {
            for (ticket, proto) in read.members {
                // The client may be gone: then nobody waits for the reply.
                let Some(client) = self.sessions.get_mut(ticket.conn()) else { continue };
                client.order.read_answered(hash);
                let reply = told.told(proto);
                match reply.len() < SHARED_BYTES_MIN {
                    true => self.bring_home(ticket, reply),
                    false => self.bring_large_home(ticket, Arc::clone(reply)),
                }
            }
        }
    }

    /// Adds reads that copies of replies have answered to their servers' figures.
    pub(in super::super) fn count_read_hits(&mut self) {
        let Some(router) = self.router.as_deref_mut() else { return };
        for entry in self.hot.upstream.iter_mut() {
            let hits = std::mem::take(&mut entry.reads.uncounted);
            if let Some(by) = entry.reads.latest_by().filter(|_| hits > 0) {
                router.servers[router.rows[by as usize].server as usize].figures.hot_hits += hits;
            }
        }
    }

    /// Counts a request for heat that only servers understand: only what copies may answer has any use of it.
    #[cold]
    pub(in crate::engine) fn sample_abroad(&mut self, args: &Args) {
        let Ok(passage) = passage(args) else { return };
        if passage.steady(args) == Steady::No || !self.is_elsewhere(args.get(1)) {
            return;
        }
        let place = self.place(args.get(1));
        self.sample_access(Access::Read, place, args);
    }
}
