//! From a word to the client: which connection is told, and how it is written behind what that one is owed.
//!
//! Called between requests only, when every output ends with a whole reply or with replies still awaited.

use super::super::Engine;
use super::super::event::Effects;
use super::super::letter::Note;
use super::super::sessions::Client;
use super::{Broadcast, Fault, Stale, Word, mark_of};
use crate::protocol::resp::{Proto, Reply};
use crate::session::Tracker;
use crate::types::{ConnId, CoreId, Now};
use std::sync::Arc;

/// Where RESP2 connections hear of it, as messages.
const CHANNEL: &[u8] = b"__redis__:invalidate";

/// What a client is to forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Keys(Vec<Arc<[u8]>>),
    All,
}

impl What {
    /// Bytes of the keys that it names.
    pub fn key_bytes(&self) -> usize {
        match self {
            What::Keys(keys) => keys.iter().map(|key| key.len() + size_of_val(key)).sum(),
            What::All => 0,
        }
    }

    fn encode(&self, reply: &mut Reply) {
        if reply.proto == Proto::Resp3 {
            reply.push(2);
            reply.bulk(b"invalidate");
        } else {
            reply.array(3);
            reply.bulk(b"message");
            reply.bulk(CHANNEL);
        }
        match self {
            What::All => reply.null(),
            What::Keys(keys) => {
                reply.array(keys.len());
                keys.iter().for_each(|key| reply.bulk(key));
            }
        }
    }
}

/// Whether a connection that others redirect to can be told in its protocol: in RESP2, if it listens to [`CHANNEL`].
fn can_be_told(client: &Client) -> bool {
    client.proto == Proto::Resp3 || !client.subscriptions.is_empty()
}

/// A message that stands for itself.
fn encode_broken(reply: &mut Reply, to: u64) {
    reply.push(2);
    reply.bulk(b"tracking-redir-broken");
    reply.integer(to as i64);
}

impl Engine {
    /// Connections of this core have read keys that have changed: one message a key, as in Redis.
    pub(super) fn tell_readers(&mut self, now: Now, stale: Vec<Stale>, effects: &mut Effects) {
        for Stale { key, readers } in stale {
            let what = What::Keys(vec![key]);
            for conn in readers {
                if self.tracks(conn, |tracker| !tracker.bcast) {
                    self.tell_tracker(now, conn, &what, effects);
                }
            }
        }
    }

    /// Keys with a prefix have changed: one message with all of them.
    pub(super) fn tell_prefix(&mut self, now: Now, broadcast: &Broadcast, effects: &mut Effects) {
        let all = What::Keys(broadcast.keys.iter().map(|(key, _)| Arc::clone(key)).collect());
        for conn in self.invalidation.prefixes.here(&broadcast.prefix).to_vec() {
            if self.invalidation.commits(Fault::LoopBack) || !self.tracks(conn, |tracker| tracker.noloop) {
                self.tell_tracker(now, conn, &all, effects);
                continue;
            }
            let own = mark_of(self.core, conn);
            let others = broadcast.keys.iter().filter(|(_, mark)| *mark != own);
            let keys: Vec<Arc<[u8]>> = others.map(|(key, _)| Arc::clone(key)).collect();
            if !keys.is_empty() {
                self.tell_tracker(now, conn, &What::Keys(keys), effects);
            }
        }
    }

    /// All keys are gone: everybody with CLIENT TRACKING is told.
    pub(super) fn tell_all(&mut self, now: Now, effects: &mut Effects) {
        if self.invalidation.clients == 0 {
            return;
        }
        let tracking = self.sessions.iter_mut().filter(|(_, client)| client.tracker.is_some());
        let conns: Vec<ConnId> = tracking.map(|(conn, _)| conn).collect();
        for conn in conns {
            self.tell_tracker(now, conn, &What::All, effects);
        }
    }

    /// Whether a connection tracks in such a way. Rows of the table outlive the mode that they were written in.
    fn tracks(&mut self, conn: ConnId, way: impl Fn(&Tracker) -> bool) -> bool {
        let tracker = self.sessions.get_mut(conn).and_then(|client| client.tracker.as_deref());
        tracker.is_some_and(way)
    }

    /// Tells a connection that tracks, or the one that it redirects to.
    fn tell_tracker(&mut self, now: Now, conn: ConnId, what: &What, effects: &mut Effects) {
        let Some(client) = self.sessions.get_mut(conn) else { return };
        let Some(to) = client.tracker.as_ref().map(|tracker| tracker.redirect) else { return };
        if to == 0 {
            // A RESP2 connection cannot be told of anything that it has not asked.
            if client.proto == Proto::Resp3 {
                self.write(now, conn, what, effects);
            }
            return;
        }
        let core = self.core_of_id(to);
        if core == self.core {
            return self.tell_redirected(now, core, to, conn, what, effects);
        }
        self.post.redirect(core, (to, conn), what);
    }

    /// Connection `by` of core `from` redirects to `to`, which is one of this core's.
    pub(super) fn tell_redirected(
        &mut self,
        now: Now,
        from: CoreId,
        to: u64,
        by: ConnId,
        what: &What,
        effects: &mut Effects,
    ) {
        let conn = self.sessions.conn_of(to);
        match conn.and_then(|conn| self.sessions.get_mut(conn)).filter(|client| !client.closing) {
            Some(client) => {
                if let (true, Some(conn)) = (can_be_told(client), conn) {
                    self.write(now, conn, what, effects);
                }
            }
            None if from == self.core => self.tell_broken(now, to, by, effects),
            None => self.post.note(from, Note::Invalidation(Word::Broken { to, by })),
        }
    }

    /// The connection that `by` redirects to is gone.
    pub(super) fn tell_broken(&mut self, now: Now, to: u64, by: ConnId, effects: &mut Effects) {
        let Some(client) = self.sessions.get_mut(by) else { return };
        let Some(tracker) = client.tracker.as_mut().filter(|tracker| tracker.redirect == to) else { return };
        tracker.broken = true;
        if client.proto == Proto::Resp3 {
            self.put_message(now, by, effects, |reply| encode_broken(reply, to));
        }
    }

    /// Writes an invalidation. A client that does not read is told later to forget all keys: so nothing is lost, and what
    /// is kept for it has a bound.
    fn write(&mut self, now: Now, conn: ConnId, what: &What, effects: &mut Effects) {
        let told = self.put_message(now, conn, effects, |reply| what.encode(reply));
        if let (false, Some(client)) = (told, self.sessions.get_mut(conn)) {
            client.owes_forget = !self.invalidation.commits(Fault::ForgetSpared);
        }
    }

    /// Something was sent: a client that did not read before may take the word that it was spared.
    pub(in super::super) fn settle_forget(&mut self, now: Now, conn: ConnId, effects: &mut Effects) {
        let Some(client) = self.sessions.get_mut(conn) else { return };
        client.owes_forget = false;
        if can_be_told(client) {
            self.write(now, conn, &What::All, effects);
        }
    }

    /// Puts a message behind all that a client is owed; false if that is too much already.
    fn put_message(&mut self, now: Now, conn: ConnId, effects: &mut Effects, encode: impl FnOnce(&mut Reply)) -> bool {
        let Some(mut client) = self.sessions.take(conn) else { return true };
        let fits = if client.closing || client.gone {
            // Nothing is left to be forgotten there.
            true
        } else {
            self.lend_output(&mut client);
            if self.invalidation.commits(Fault::OvertakeReplies) {
                encode(&mut Reply { out: &mut client.output, proto: client.proto });
                true
            } else {
                !client.owes_forget && client.hand_within(self.settings.client_output_bytes_max, encode)
            }
        };
        self.announce(now, conn, &mut client, effects);
        self.sessions.put(conn, client);
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::resp::Output;

    fn text(what: &What, proto: Proto) -> String {
        let mut out = Output::default();
        what.encode(&mut Reply { out: &mut out, proto });
        String::from_utf8(out.flatten()).expect("it is text")
    }

    // The bytes of redis-server 7.0.
    #[test]
    fn words_are_those_of_redis() {
        let keys = What::Keys(vec![b"a"[..].into(), b"bc"[..].into()]);
        assert_eq!(text(&keys, Proto::Resp3), ">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$2\r\nbc\r\n");
        assert_eq!(text(&What::All, Proto::Resp3), ">2\r\n$10\r\ninvalidate\r\n_\r\n");
        let resp2 = "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n";
        assert_eq!(text(&keys, Proto::Resp2), format!("{resp2}*2\r\n$1\r\na\r\n$2\r\nbc\r\n"));
        assert_eq!(text(&What::All, Proto::Resp2), format!("{resp2}$-1\r\n"));
    }
}
