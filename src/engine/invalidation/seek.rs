//! Whether the connection that another redirects to exists. If its id is one that another core gave, that core is asked,
//! and CLIENT TRACKING begins when it has answered: what stands behind it waits, as it waits for any request.

use super::super::Engine;
use super::super::event::Effects;
use super::super::letter::Note;
use super::super::sessions::Client;
use super::Word;
use super::options::redirect_in;
use crate::protocol::command::{Command, Spec};
use crate::protocol::resp::Args;
use crate::types::{ConnId, CoreId, Now};

/// What is known of the connection that `by` wants to redirect to. In a transaction it was asked for when the request was
/// queued, and stays known until the next one begins.
struct Sought {
    by: ConnId,
    id: u64,
    /// `None`: not answered yet.
    found: Option<bool>,
}

#[derive(Default)]
pub(in super::super) struct Seeks(Vec<Sought>);

impl Seeks {
    pub fn forget(&mut self, by: ConnId) {
        self.0.retain(|sought| sought.by != by);
    }

    fn find(&mut self, by: ConnId, id: u64) -> Option<&mut Sought> {
        self.0.iter_mut().find(|sought| sought.by == by && sought.id == id)
    }
}

impl Engine {
    /// Asks another core about the connection that a request redirects to, unless it is known; true: the request waits.
    pub(in super::super) fn must_seek(
        &mut self,
        conn: ConnId,
        client: &mut Client,
        spec: Option<&'static Spec>,
        args: &Args,
    ) -> bool {
        let is_another = spec.is_none_or(|spec| spec.command != Command::ClientTracking);
        if is_another || client.is_routed || !client.authenticated {
            return false;
        }
        let Some(id) = redirect_in(args).filter(|id| *id > 0).map(|id| id as u64) else { return false };
        let core = self.core_of_id(id);
        if core == self.core || self.invalidation.seeks.find(conn, id).is_some() {
            return false;
        }
        self.invalidation.seeks.0.push(Sought { by: conn, id, found: None });
        self.post.note(core, Note::Invalidation(Word::Seek { id, by: conn }));
        client.seeks = true;
        true
    }

    /// Whether there is a connection with this id, when CLIENT TRACKING runs.
    pub(super) fn is_there(&mut self, conn: ConnId, id: i64) -> bool {
        let id = id.max(0) as u64;
        if id == 0 || self.core_of_id(id) == self.core {
            return self.sessions.conn_of(id).is_some();
        }
        let found = self.invalidation.seeks.find(conn, id).and_then(|sought| sought.found);
        if !self.program_runs() {
            self.invalidation.seeks.forget(conn);
        }
        found.unwrap_or(false)
    }

    /// Another core asks whether a connection of this one exists.
    pub(super) fn seek(&mut self, from: CoreId, id: u64, by: ConnId) {
        let found = self.sessions.conn_of(id).is_some();
        self.post.note(from, Note::Invalidation(Word::Sought { id, by, found }));
    }

    /// The other core has answered: the request that waits runs.
    pub(super) fn sought(&mut self, now: Now, (id, by): (u64, ConnId), found: bool, effects: &mut Effects) {
        let Some(sought) = self.invalidation.seeks.find(by, id) else { return };
        sought.found = Some(found);
        if let Some(client) = self.sessions.get_mut(by) {
            client.seeks = false;
        }
        self.resume(now, by, effects);
    }

    /// The core that gave a connection its id.
    pub(super) fn core_of_id(&self, id: u64) -> CoreId {
        CoreId(((id - 1) % self.cores as u64) as u16)
    }
}
