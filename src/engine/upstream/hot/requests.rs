//! A request of a client while keys of other servers are hot: from the copy here, into the key's draft, or on its own way.

use super::super::fault::Fault;
use super::super::router::Router;
use crate::engine::Engine;
use crate::engine::group::Place;
use crate::engine::hot::Home;
use crate::engine::ingress::Call;
use crate::engine::letter::Ticket;
use crate::engine::sessions::Client;
use crate::keyspace::command::Request;
use crate::protocol::command::Command;
use crate::protocol::command::passage::{Goes, Holds, Passage, Steady};
use crate::protocol::resp::Args;
use crate::replica::Cell;
use std::sync::Arc;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meets {
    /// It is sent on like any other.
    Nothing,
    /// The same, and until it is answered its client gets nothing from copies.
    HotKeys,
    /// It is answered, or waits in a draft.
    HotKey,
    /// It waits until what its client has asked is answered: one of them went, or is to go, another way than the other.
    Requests,
}

impl Router {
    /// Whether another server has this key.
    pub fn has_elsewhere(&self, key: &[u8]) -> bool {
        self.routes.find(key).is_some()
    }

    /// Whether the server of this key says what has changed of what it was asked.
    pub(super) fn says_what_changes(&self, key: &[u8]) -> bool {
        let spot = self.routes.find(key).map(|pool| self.place(pool, key, false));
        spot.is_some_and(|spot| self.servers[spot.server as usize].tracks)
    }
}

impl Engine {
    /// Looks whether a request is about hot keys. A client's requests on one of them stay in order: those of one key, as
    /// strings go, wait in its draft; a request of any other kind waits until all drafts have answered.
    #[inline(never)]
    pub(in super::super) fn meet_hot_keys(
        &mut self,
        call: &Call,
        client: &mut Client,
        (passage, place): (&'static Passage, Option<Place>),
        args: &mut Args,
    ) -> Meets {
        let (Some(place), Some(command)) = (place, passage.command) else {
            return match passage.steady(args) {
                Steady::No => self.meet_several(client, passage, args),
                Steady::Yes | Steady::Paired => self.meet_read(call, client, passage, args),
            };
        };
        let epoch = self.hot.epoch();
        let Some(entry) = self.hot.upstream.get(place.hash, args.get(1)) else { return Meets::Nothing };
        if client.order.last_read(place.hash).is_some() {
            return wait(client);
        }
        if !client.order.awaits(place.hash) {
            if !client.may_use_copy(place.hash, epoch) {
                return wait(client);
            }
            if command == Command::Get
                && let Some(copy) = entry.read(call.now.unix_ms(), || true)
            {
                client.answer(|reply| copy.answer(reply));
                return Meets::HotKey;
            }
        }
        let ticket = Ticket::new(call.conn, client.queue.wait(client.is_muted()), 0);
        let mut request = Request { command, args: args.lend(), slot: place.slot, hash: place.hash, hint: None };
        self.join(Home::Server, client, ticket, client.proto, &mut request);
        Meets::HotKey
    }

    /// The same for a request that no draft takes.
    fn meet_several(&mut self, client: &mut Client, passage: &'static Passage, args: &Args) -> Meets {
        let writes = !passage.is_read();
        let mut cells: Vec<Arc<Cell>> = Vec::new();
        let mut keys = passage.keys(args).peekable();
        let concerns_all = match passage.goes {
            Goes::Keys if keys.peek().is_some() => false,
            Goes::Keys | Goes::All(_) => true,
            Goes::Any | Goes::Channels | Goes::Patterns | Goes::Nowhere | Goes::Never => return Meets::Nothing,
        };
        if concerns_all {
            cells = self.cells_of_all();
        }
        for key in keys {
            let key = args.get(key);
            if let Some(entry) = self.hot.upstream.get(self.shard.hash(key), key) {
                cells.push(Arc::clone(entry.cell()));
            }
        }
        if cells.is_empty() {
            return Meets::Nothing;
        }
        if !client.order.is_empty() {
            return wait(client);
        }
        if writes {
            self.begin_bar(cells);
        }
        Meets::HotKeys
    }

    /// A request goes over its client's own connection: a transaction may write any hot key, and so may what is known to
    /// write. What blocks is left to its server to tell of: no copy would be made for as long as anybody waits.
    pub(in super::super) fn bar_for_own(&mut self, client: &mut Client, holds: Holds, reads: bool) {
        if self.hot.upstream.is_empty() {
            return;
        }
        client.hold_copies();
        if holds == Holds::Ends || holds == Holds::Nothing && !reads {
            self.begin_bar(self.cells_of_all());
        }
    }

    pub(super) fn cells_of_all(&self) -> Vec<Arc<Cell>> {
        self.hot.upstream.iter().map(|entry| Arc::clone(entry.cell())).collect()
    }

    /// What is asked from here on, until [`Engine::end_bar`], is a write on these.
    fn begin_bar(&mut self, cells: Vec<Arc<Cell>>) {
        let router = self.router.as_deref_mut().expect("requests are passed on where there is a router");
        if !router.commits(Fault::ForgetBar) {
            router.hot.bar = router.hot.bar(cells);
        }
    }

    /// All requests of a write are sent.
    #[inline]
    pub(in super::super) fn end_bar(&mut self) {
        let hot = &mut self.router.as_deref_mut().expect("there is a router").hot;
        let bar = std::mem::take(&mut hot.bar);
        hot.release(bar);
    }
}

pub(super) fn wait(client: &mut Client) -> Meets {
    client.stalled = true;
    client.settles = true;
    Meets::Requests
}
