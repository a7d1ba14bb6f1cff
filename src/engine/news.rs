//! Telling clients when a key turns hot or cool: HOTKEYS NOTIFY, a push message of RESP3; and channels (`pubsub/`).
//!
//! The owner decides at the end of a turn and tells all cores; each core writes to those of its connections that
//! listen at the start of its next turn, when every output ends with a whole reply or with replies still awaited. A push
//! then stands behind what is awaited, never inside a reply. A client that does not read loses pushes, which are counted.

use super::Engine;
use super::event::Effects;
use super::ledger::Interest;
use super::letter::Note;
use super::sessions::Client;
use crate::protocol::resp::{Proto, Reply};
use crate::types::{ConnId, Now};
use std::sync::Arc;

/// News that one core tells in a turn; what exceeds it is lost.
const NEWS_MAX: usize = 1024;

/// A key has turned hot, or cool.
#[derive(Debug)]
pub struct News {
    pub key: Box<[u8]>,
    pub hot: bool,
    pub reason: String,
}

impl News {
    fn encode(&self, reply: &mut Reply) {
        reply.push(4);
        reply.bulk(b"hotkeys");
        reply.bulk(if self.hot { b"hot" } else { b"cool" });
        reply.bulk(&self.key);
        reply.bulk(self.reason.as_bytes());
    }
}

/// What one core has yet to tell.
#[derive(Default)]
pub struct NewsDesk {
    /// Each with whether this core has decided it, and so tells the channels too.
    news: Vec<(Arc<News>, bool)>,
    /// False: none of this core's connections listens.
    pub heard: bool,
}

impl NewsDesk {
    pub fn is_empty(&self) -> bool {
        self.news.is_empty()
    }
}

impl Engine {
    /// For the owner of a key, when it has decided: tells all cores.
    pub(super) fn spread_news(&mut self, key: &[u8], hot: bool, reason: String) {
        let news = Arc::new(News { key: key.into(), hot, reason });
        for core in self.other_cores() {
            self.post.note(core, Note::News(Arc::clone(&news)));
        }
        self.hear_news(news, true);
    }

    pub(super) fn hear_news(&mut self, news: Arc<News>, own: bool) {
        let heard = self.desk.heard || own && self.ledger.anyone_has(Interest::Messages);
        if !heard {
            return;
        }
        if self.desk.news.len() >= NEWS_MAX {
            self.stats.pushes_lost += 1;
            return;
        }
        self.desk.news.push((news, own));
    }

    /// Once a turn, before its events.
    #[inline]
    pub(super) fn tell_news(&mut self, now: Now, effects: &mut Effects) {
        if !self.desk.is_empty() {
            self.tell_listeners(now, effects);
        }
    }

    #[inline(never)]
    fn tell_listeners(&mut self, now: Now, effects: &mut Effects) {
        let news = std::mem::take(&mut self.desk.news);
        let listens = |client: &Client| client.hears_heat && client.proto == Proto::Resp3 && !client.closing;
        let all = self.sessions.iter_mut();
        let listeners: Vec<ConnId> = all.filter(|(_, client)| listens(client)).map(|(conn, _)| conn).collect();
        self.desk.heard = !listeners.is_empty();
        for conn in listeners {
            let Some(mut client) = self.sessions.take(conn) else { continue };
            for (news, _) in &news {
                let told = client.hand_within(self.settings.client_output_bytes_max, |reply| news.encode(reply));
                self.stats.pushes_lost += u64::from(!told);
            }
            self.announce(now, conn, &mut client, effects);
            self.sessions.put(conn, client);
        }
        for (news, _) in news.iter().filter(|(_, own)| *own) {
            self.publish_news(now, news, effects);
        }
    }

    /// As with keyspace notifications there is a channel by key, which says what and why, and one by event, which says
    /// which key.
    fn publish_news(&mut self, now: Now, news: &News, effects: &mut Effects) {
        let event = if news.hot { "hot" } else { "cool" };
        let why = format!("{event}: {}", news.reason);
        self.broadcast(now, &[b"__hotkey@0__:", &*news.key].concat(), why.as_bytes(), effects);
        self.broadcast(now, format!("__hotkeyevent@0__:{event}").as_bytes(), &news.key, effects);
    }
}
