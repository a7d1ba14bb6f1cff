//! What a core does for its links: it connects, and says how that went.

use super::Worker;
use crate::engine::{Effects, Event};
use crate::types::{LinkId, Now};
use std::io;

impl Worker {
    /// Begins to connect where the engine wants it, and gives up where it does not any more. What fails at once is told as
    /// the rest is, behind the turn's other events.
    pub(super) fn perform_dials(&mut self, now: Now, effects: &mut Effects) {
        for link in effects.hang_up.drain(..) {
            if let Some(conn) = self.dialler.hang_up(&mut self.ring, &mut self.sockets, link) {
                self.sessions.remove(conn);
            }
        }
        let (engine, own) = (&mut self.engine, &mut self.effects);
        let mut failed = |link: LinkId, error: io::Error| {
            engine.handle(now, Event::DialFailed { link, reason: error.to_string() }, own);
        };
        for dial in effects.dial.drain(..) {
            if let Err(error) = self.dialler.dial(&mut self.ring, &mut self.sockets, &dial) {
                failed(dial.link, error);
            }
        }
        self.dialler.go_on(&mut self.ring, &mut self.sockets, failed);
    }

    /// A connection is made, or cannot be.
    pub(super) fn connected(&mut self, now: Now, token: u64, result: io::Result<()>) {
        let conn = self.sockets.conn(token).expect("a row outlives its connect");
        let made = self.sockets.connected(&mut self.ring, conn, result.is_ok());
        if result.is_ok() && made {
            match self.dialler.session(conn) {
                Some(Ok(session)) => {
                    // It is told of when the handshake is over, which begins with what the session has to send.
                    self.sessions.add(conn, session);
                    return self.effects.ready.push(conn);
                }
                Some(Err(error)) => return self.sealed_failed(now, conn, error.to_string()),
                None => {}
            }
        }
        let Some(link) = self.dialler.ended(conn) else { return };
        let event = match result {
            Ok(()) if made => Event::Dialled { link, conn },
            Ok(()) => return,
            Err(error) => Event::DialFailed { link, reason: error.to_string() },
        };
        self.engine.handle(now, event, &mut self.effects);
    }
}
