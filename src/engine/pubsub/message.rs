//! A message on its way: from whoever publishes it to the listeners of this core, and by a letter to each other core
//! that has any.
//!
//! A message is given to each listener as soon as it is here: no reply of another connection is ever half written between
//! two requests, but for a request that takes several turns, whose messages wait for its end. So messages of one
//! publisher reach each listener in order: here at once, elsewhere in the order of letters.

use super::super::Engine;
use super::super::event::Effects;
use super::super::gather::Gather;
use super::super::ingress::Call;
use super::super::keys::Whole;
use super::super::ledger::Interest;
use super::super::letter::Ticket;
use super::super::sessions::Client;
use super::Fault;
use crate::keyspace::glob;
use crate::protocol::resp::{Args, Output, Proto, Reply};
use crate::session::ChannelKind;
use crate::types::{ConnId, CoreId, KeyHash, Now};
use std::sync::Arc;

/// What is sent to a channel.
pub struct Message {
    kind: ChannelKind,
    hash: KeyHash,
    channel: Box<[u8]>,
    /// A large one goes out to all listeners from this one place.
    payload: Arc<Vec<u8>>,
}

impl Message {
    /// Bytes that it adds to a batch.
    pub fn len_bytes(&self) -> usize {
        self.channel.len() + self.payload.len()
    }

    fn encode(&self, reply: &mut Reply) {
        reply.push(3);
        reply.bulk(if self.kind == ChannelKind::Shard { b"smessage" } else { b"message" });
        reply.bulk(&self.channel);
        reply.bulk_shared(Arc::clone(&self.payload), 0..self.payload.len());
    }

    fn encode_matched(&self, pattern: &[u8], reply: &mut Reply) {
        reply.push(4);
        reply.bulk(b"pmessage");
        reply.bulk(pattern);
        reply.bulk(&self.channel);
        reply.bulk_shared(Arc::clone(&self.payload), 0..self.payload.len());
    }
}

/// The publisher, if it is a connection of this core: while its request runs it is not among the sessions.
type Publisher<'a> = Option<(ConnId, &'a mut Client)>;

impl Engine {
    /// PUBLISH and SPUBLISH: the reply is the sum of what each core has told.
    pub(super) fn publish_command(&mut self, call: &mut Call, client: &mut Client, kind: ChannelKind, args: &mut Args) {
        if !self.ledger.anyone_has(Interest::Messages) {
            return client.answer(|reply| reply.integer(0));
        }
        let hash = self.shard.hash(args.get(1));
        let channel = args.get(1).into();
        let payload = args.take_body(2).unwrap_or_else(|| args.get(2).to_vec());
        let message = Arc::new(Message { kind, hash, channel, payload: Arc::new(payload) });
        let here = self.deliver_message(call.now, &message, Some((call.conn, client)), call.effects);
        let others = self.interested_cores(Interest::Messages);
        if others.is_empty() {
            return client.answer(|reply| reply.integer(here));
        }
        let mut whole = Whole::open(client, Gather::count(others.len() + 1), false);
        let number = whole.number.expect("with other cores a slot was opened");
        for core in others {
            let ticket = Ticket::new(call.conn, number, u32::from(core.0));
            self.post.message(core, Arc::clone(&message), Some(ticket));
        }
        let here = if self.pubsub.commits(Fault::Miscount) { 0 } else { here };
        let mut part = Output::default();
        Reply { out: &mut part, proto: Proto::Resp2 }.integer(here);
        whole.add(client, u32::from(self.core.0), &part);
        self.close_whole(client, whole);
    }

    /// Sends what the server itself has to say to a channel, to all who listen on all cores. Called when no client is
    /// apart from the sessions, or one that is not to hear it.
    pub(in super::super) fn broadcast(&mut self, now: Now, channel: &[u8], payload: &[u8], effects: &mut Effects) {
        if !self.ledger.anyone_has(Interest::Messages) {
            return;
        }
        let (kind, hash) = (ChannelKind::Plain, self.shard.hash(channel));
        let message = Arc::new(Message { kind, hash, channel: channel.into(), payload: Arc::new(payload.to_vec()) });
        self.deliver_message(now, &message, None, effects);
        for core in self.interested_cores(Interest::Messages) {
            self.post.message(core, Arc::clone(&message), None);
        }
    }

    /// The other cores that want to hear.
    pub(in super::super) fn interested_cores(&self, interest: Interest) -> Vec<CoreId> {
        self.other_cores().filter(|core| self.ledger.has_interest(*core, interest)).collect()
    }

    /// A message from another core; its publisher waits for the number of listeners, unless it is the server.
    pub(in super::super) fn take_message(
        &mut self,
        now: Now,
        from: CoreId,
        message: &Message,
        ticket: Option<Ticket>,
        effects: &mut Effects,
    ) {
        self.stats.letters_served += 1;
        let times = match () {
            _ if self.pubsub.commits(Fault::LoseMessage) => 0,
            _ if self.pubsub.commits(Fault::RepeatMessage) => 2,
            _ => 1,
        };
        let told = (0..times).map(|_| self.deliver_message(now, message, None, effects)).last().unwrap_or(0);
        if let Some(ticket) = ticket {
            self.post.batch(from).answer(ticket, |out| Reply { out, proto: Proto::Resp2 }.integer(told));
        }
    }

    /// Hands a message to the connections of this core that listen; answers how many it was handed to, one that listens
    /// by several patterns counted for each.
    fn deliver_message(&mut self, now: Now, message: &Message, publisher: Publisher, effects: &mut Effects) -> i64 {
        if self.pubsub.is_empty() {
            return 0;
        }
        let channels = std::mem::take(&mut self.pubsub.channels);
        let (mut publisher, mut told) = (publisher, 0);
        if let Some(channel) = channels[message.kind as usize].get(message.hash, &message.channel) {
            told += self.tell(now, &channel.conns, &mut publisher, effects, |reply| message.encode(reply));
        }
        if message.kind == ChannelKind::Plain && !self.pubsub.commits(Fault::LosePattern) {
            let patterns = channels[ChannelKind::Pattern as usize].iter();
            for pattern in patterns.filter(|pattern| glob::matches(&pattern.name, &message.channel)) {
                let encode = |reply: &mut Reply| message.encode_matched(&pattern.name, reply);
                told += self.tell(now, &pattern.conns, &mut publisher, effects, encode);
            }
        }
        self.pubsub.channels = channels;
        told
    }

    /// Writes one push to some connections, encoded once for each version of the protocol.
    fn tell(
        &mut self,
        now: Now,
        conns: &[ConnId],
        publisher: &mut Publisher,
        effects: &mut Effects,
        encode: impl Fn(&mut Reply),
    ) -> i64 {
        let mut encoded: [Option<Output>; 2] = [None, None];
        let mut push = |engine: &mut Engine, conn: ConnId, client: &mut Client, effects: &mut Effects| {
            let proto = client.proto;
            let push = encoded[usize::from(proto == Proto::Resp3)].get_or_insert_with(|| {
                let mut out = Output::default();
                encode(&mut Reply { out: &mut out, proto });
                out
            });
            i64::from(engine.hand_over(now, conn, client, push, effects))
        };
        let mut told = 0;
        for conn in conns {
            if let Some((own, client)) = publisher
                && own == conn
            {
                client.midway = self.program_runs();
                told += push(self, *conn, client, effects);
                client.midway = false;
            } else if let Some(mut client) = self.sessions.take(*conn) {
                told += push(self, *conn, &mut client, effects);
                self.announce(now, *conn, &mut client, effects);
                self.sessions.put(*conn, client);
            }
        }
        told
    }

    /// Adds what nobody asked for to what a client has to read, never inside a reply; false if it is about to be closed.
    pub(in super::super) fn hand_over(
        &mut self,
        now: Now,
        conn: ConnId,
        client: &mut Client,
        push: &Output,
        effects: &mut Effects,
    ) -> bool {
        if client.closing {
            return false;
        }
        self.lend_output(client);
        client.hand(push);
        self.bound_unread(now, conn, client, effects);
        true
    }
}
