//! Owns: messages: which connections of this core listen to what, and how what is published reaches them.
//! Knows: sessions, the ledger's word on which cores listen, the post.
//! Must never know: keys; what the server itself publishes comes as a channel and a payload.
//! Read first: this file (SUBSCRIBE and its kin), then `message.rs` (PUBLISH).

mod channels;
mod fault;
mod message;
mod survey;
mod unread;

pub use fault::Fault;
pub use message::Message;
pub use survey::{distinct, read_all};
pub use unread::OutputLimits;

use super::Engine;
use super::ingress::Call;
use super::ledger::Interest;
use super::sessions::Client;
use crate::protocol::command::{Command, introspect};
use crate::protocol::resp::Args;
use crate::session::ChannelKind;
use crate::types::ConnId;
use channels::Channels;
use unread::Deaf;

/// What the connections of one core listen to.
#[derive(Default)]
pub(super) struct PubSub {
    /// By [`ChannelKind`].
    channels: [Channels; 3],
    pub deaf: Deaf,
    #[cfg(feature = "faults")]
    fault: Option<Fault>,
}

impl PubSub {
    pub fn is_empty(&self) -> bool {
        self.channels.iter().all(Channels::is_empty)
    }
}

impl Engine {
    /// Runs a command about channels.
    pub(super) fn pubsub(&mut self, call: &mut Call, client: &mut Client, command: Command, args: &mut Args) {
        use ChannelKind::{Pattern, Plain, Shard};
        match command {
            Command::Subscribe => self.subscribe(call.conn, client, Plain, args),
            Command::PSubscribe => self.subscribe(call.conn, client, Pattern, args),
            Command::SSubscribe => self.subscribe(call.conn, client, Shard, args),
            Command::Unsubscribe => self.unsubscribe(call.conn, client, Plain, args),
            Command::PUnsubscribe => self.unsubscribe(call.conn, client, Pattern, args),
            Command::SUnsubscribe => self.unsubscribe(call.conn, client, Shard, args),
            Command::Publish => self.publish_command(call, client, Plain, args),
            Command::SPublish => self.publish_command(call, client, Shard, args),
            Command::PubSubHelp => client.answer(|reply| introspect::help(Command::PubSub, reply)),
            _ => self.survey(call, client, command, args),
        }
    }

    fn subscribe(&mut self, conn: ConnId, client: &mut Client, kind: ChannelKind, args: &Args) {
        for name in args.iter().skip(1) {
            if !client.subscriptions.contains(kind, name) {
                let hash = self.shard.hash(name);
                let name = self.pubsub.channels[kind as usize].join(hash, name, conn);
                client.subscriptions.insert(kind, name);
            }
            confirm(client, kind, true, Some(name));
        }
        let told = !self.pubsub.commits(Fault::ForgetInterest);
        self.ledger.set_interest(self.core, Interest::Messages, told);
    }

    fn unsubscribe(&mut self, conn: ConnId, client: &mut Client, kind: ChannelKind, args: &Args) {
        if args.len() > 1 {
            for name in args.iter().skip(1) {
                self.leave(conn, client, kind, name);
                confirm(client, kind, false, Some(name));
            }
        } else if client.subscriptions.count(kind) == 0 {
            confirm(client, kind, false, None);
        } else {
            for name in client.subscriptions.names(kind) {
                self.leave(conn, client, kind, &name);
                confirm(client, kind, false, Some(&name));
            }
        }
        let listens = !self.pubsub.is_empty() && !self.pubsub.commits(Fault::DropInterest);
        self.ledger.set_interest(self.core, Interest::Messages, listens);
    }

    fn leave(&mut self, conn: ConnId, client: &mut Client, kind: ChannelKind, name: &[u8]) {
        let stays = self.pubsub.commits(Fault::StayListening) && !client.gone;
        if client.subscriptions.remove(kind, name) && !stays {
            self.pubsub.channels[kind as usize].leave(self.shard.hash(name), name, conn);
        }
    }

    /// Ends all that a connection listens to, without a word: RESET, or it is gone.
    pub(super) fn stop_listening(&mut self, conn: ConnId, client: &mut Client) {
        self.stop_monitor(conn, client);
        if client.subscriptions.is_empty() {
            return;
        }
        for kind in ChannelKind::ALL {
            for name in client.subscriptions.names(kind) {
                self.leave(conn, client, kind, &name);
            }
        }
        self.ledger.set_interest(self.core, Interest::Messages, !self.pubsub.is_empty());
    }
}

/// Tells a client what it listens to now: a push, so that CLIENT REPLY does not mute it.
fn confirm(client: &mut Client, kind: ChannelKind, on: bool, name: Option<&[u8]>) {
    let word: &[u8] = match (kind, on) {
        (ChannelKind::Plain, true) => b"subscribe",
        (ChannelKind::Plain, false) => b"unsubscribe",
        (ChannelKind::Pattern, true) => b"psubscribe",
        (ChannelKind::Pattern, false) => b"punsubscribe",
        (ChannelKind::Shard, true) => b"ssubscribe",
        (ChannelKind::Shard, false) => b"sunsubscribe",
    };
    let own = &client.subscriptions;
    let count = match kind {
        ChannelKind::Shard => own.count(kind),
        _ => own.count(ChannelKind::Plain) + own.count(ChannelKind::Pattern),
    };
    client.push(|reply| {
        reply.push(3);
        reply.bulk(word);
        match name {
            Some(name) => reply.bulk(name),
            None => reply.null(),
        }
        reply.integer(count as i64);
    });
}
