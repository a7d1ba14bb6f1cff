//! Connections under TLS, between the sockets and the engine: the engine sees none that is not ready, and plain bytes only.

use super::Worker;
use crate::engine::Event;
use crate::protocol::resp::Output;
use crate::runtime::tls::News;
use crate::types::{ConnId, Now};

impl Worker {
    /// What has arrived goes to the engine.
    pub(super) fn hand_over(&mut self, now: Now) {
        if self.sessions.is_empty() {
            return self.arrivals.hand_over(now, &mut self.ring, &mut self.engine, &mut self.effects);
        }
        let mut news = Vec::new();
        self.arrivals.unseal(&self.ring, &mut self.sessions, &mut news);
        for (conn, what) in &news {
            match what {
                News::Ready => {
                    if let Some(link) = self.dialler.ended(*conn) {
                        self.engine.handle(now, Event::Dialled { link, conn: *conn }, &mut self.effects);
                    }
                }
                News::WantsSend => self.effects.ready.push(*conn),
                News::Ended | News::Failed(_) => {}
            }
        }
        self.arrivals.hand_over(now, &mut self.ring, &mut self.engine, &mut self.effects);
        for (conn, what) in news {
            match what {
                News::Ready | News::WantsSend => {}
                News::Ended => self.ended(now, conn),
                News::Failed(reason) => self.sealed_failed(now, conn, reason),
            }
        }
    }

    /// A peer sends no more.
    pub(super) fn ended(&mut self, now: Now, conn: ConnId) {
        if self.sessions.shakes_hands(conn) {
            return self.sealed_failed(now, conn, "the server has ended the handshake".to_owned());
        }
        self.engine.handle(now, Event::Ended { conn }, &mut self.effects);
    }

    /// A session cannot go on; nor can its connection.
    pub(super) fn sealed_failed(&mut self, now: Now, conn: ConnId, reason: String) {
        let reason = format!("TLS: {reason}");
        match self.dialler.ended(conn) {
            Some(link) => self.engine.handle(now, Event::DialFailed { link, reason }, &mut self.effects),
            None => log::warn!("connection to {}: {reason}", self.sockets.names(conn).0),
        }
        self.effects.kill.push(conn);
    }

    /// What is ready to be sent on a connection.
    #[inline]
    pub(super) fn output_of(&mut self, conn: ConnId) -> Option<Output> {
        if self.sessions.is_empty() {
            return self.engine.take_output(conn);
        }
        self.sessions.output(conn, || self.engine.take_output(conn))
    }

    /// A whole output was sent. What the session has to say came up meanwhile.
    #[inline]
    pub(super) fn sealed_sent(&mut self, conn: ConnId) {
        if self.sessions.get(conn).is_some_and(|session| session.wants_send()) {
            self.effects.ready.push(conn);
        }
    }

    /// Closes on the spot.
    pub(super) fn kill(&mut self, now: Now, conn: ConnId) {
        if !self.is_live(conn) {
            return;
        }
        match self.dialler.ended(conn) {
            Some(link) => {
                let reason = "TLS: the connection was lost in the handshake".to_owned();
                self.engine.handle(now, Event::DialFailed { link, reason }, &mut self.effects);
            }
            None => self.engine.handle(now, Event::Lost { conn }, &mut self.effects),
        }
        self.sessions.remove(conn);
        self.sockets.end(&mut self.ring, conn);
    }
}
