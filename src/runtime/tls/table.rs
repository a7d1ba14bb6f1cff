//! The sessions of a core, by connection.

use super::session::{Opened, Session};
use crate::protocol::resp::Output;
use crate::types::ConnId;
use std::ops::Range;

/// What has become of a session while its bytes were opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The handshake is over: the connection may be used.
    Ready,
    /// It has something to say of its own.
    WantsSend,
    /// The server sends no more.
    Ended,
    /// It cannot go on.
    Failed(String),
}

/// Few connections of a core are under TLS: those to servers.
#[derive(Default)]
pub struct Sessions {
    rows: Vec<(ConnId, Session)>,
}

impl Sessions {
    /// Whether no connection is under TLS: all that plain ones pay.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn add(&mut self, conn: ConnId, session: Session) {
        self.rows.push((conn, session));
    }

    pub fn remove(&mut self, conn: ConnId) {
        self.rows.retain(|(of, _)| *of != conn);
    }

    pub fn get(&mut self, conn: ConnId) -> Option<&mut Session> {
        self.rows.iter_mut().find(|(of, _)| *of == conn).map(|(_, session)| session)
    }

    /// Whether a connection is under TLS and not ready to be used.
    pub fn shakes_hands(&self, conn: ConnId) -> bool {
        self.rows.iter().any(|(of, session)| *of == conn && session.shakes_hands)
    }

    /// Opens what has come on a connection, if it is under TLS: where in `plain` that lies, and what became of the session.
    pub fn open(
        &mut self,
        conn: ConnId,
        sealed: &[u8],
        plain: &mut Vec<u8>,
        news: &mut Vec<(ConnId, News)>,
    ) -> Option<Range<usize>> {
        let session = self.get(conn)?;
        let from = plain.len();
        let opened = session.open(sealed, plain);
        if session.has_shaken_hands() && opened.is_ok() {
            news.push((conn, News::Ready));
        }
        if session.wants_send() {
            news.push((conn, News::WantsSend));
        }
        match opened {
            Ok(Opened::On) => {}
            Ok(Opened::End) => news.push((conn, News::Ended)),
            Err(reason) => news.push((conn, News::Failed(reason))),
        }
        Some(from..plain.len())
    }

    /// What a connection has to send: the engine's output, sealed if it is under TLS, and what its session adds.
    pub fn output(&mut self, conn: ConnId, take: impl FnOnce() -> Option<Output>) -> Option<Output> {
        let Some(session) = self.get(conn) else { return take() };
        let output = if session.shakes_hands { None } else { take() };
        if output.is_none() && !session.wants_send() {
            return None;
        }
        let mut output = output.unwrap_or_default();
        session.seal(&mut output);
        Some(output)
    }
}
