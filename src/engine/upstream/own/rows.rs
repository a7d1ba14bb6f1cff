//! Connections of one client each: taken, given back, closed.

use super::super::links::IDLE_LOOK_US;
use super::super::router::Router;
use super::super::row::{Loss, Row, Serves};
use crate::engine::Engine;
use crate::engine::event::Effects;
use crate::engine::sessions::Client;
use crate::protocol::resp::Proto;
use crate::types::{ConnId, Now};
use std::sync::Arc;

/// Connections of a pool that wait for their next client, on each core.
const IDLE_MAX: usize = 16;

/// What a row is that is no shared link.
#[derive(Clone, Copy, Debug)]
pub struct OwnRow {
    pub proto: Proto,
    /// None: it waits for its next client, or has no connection.
    pub holder: Option<ConnId>,
    /// What its server calls it; 0: it was asked, and has not said.
    pub id: Option<u64>,
}

/// Why there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoRow {
    /// There are as many as there may be.
    Full,
    /// The server rests.
    Resting,
}

impl Router {
    /// A connection to a server for one client: one that was given back, or a new one.
    pub(super) fn take_own(
        &mut self,
        now_us: u64,
        (server, proto): (u32, Proto),
        holder: ConnId,
        effects: &mut Effects,
    ) -> Result<u32, NoRow> {
        let pool = self.servers[server as usize].pool;
        if let Some(at) = self.own.idle.iter().rposition(|row| self.fits(*row, server, proto)) {
            let row = self.own.idle.remove(at);
            let own = self.rows[row as usize].own_mut().expect("only such are kept");
            own.holder = Some(holder);
            return Ok(row);
        }
        if self.pools[pool].own >= self.pools[pool].own_max && !self.make_room(pool, effects) {
            return Err(NoRow::Full);
        }
        if !self.servers[server as usize].health.may_try(now_us) {
            return Err(NoRow::Resting);
        }
        let options = Arc::clone(&self.pools[pool].own_links[proto as usize]);
        let new = Row::new(server, options, Serves::Own(OwnRow { proto, holder: Some(holder), id: None }));
        let row = match self.own.free.pop() {
            Some(row) => {
                let Row { attempt, asked, .. } = self.rows[row as usize];
                self.rows[row as usize] = Row { attempt, asked, ..new };
                row
            }
            None => {
                self.rows.push(new);
                self.rows.len() as u32 - 1
            }
        };
        self.pools[pool].own += 1;
        self.dial(now_us, row, effects);
        Ok(row)
    }

    fn fits(&self, row: u32, server: u32, proto: Proto) -> bool {
        let of = &self.rows[row as usize];
        of.server == server && of.conn.is_some() && of.own().is_some_and(|own| own.proto == proto)
    }

    /// Closes a connection of a pool that nobody has, if there is one.
    fn make_room(&mut self, pool: usize, effects: &mut Effects) -> bool {
        let of_pool = |row: &u32| self.servers[self.rows[*row as usize].server as usize].pool == pool;
        let Some(at) = self.own.idle.iter().position(of_pool) else { return false };
        let row = self.own.idle.remove(at);
        self.close_own(row, effects);
        true
    }

    /// Ends a connection; its row is free when its loss is dealt with.
    pub(super) fn close_own(&mut self, row: u32, effects: &mut Effects) {
        if let Some(own) = self.rows[row as usize].own_mut() {
            own.holder = None;
        }
        if self.rows[row as usize].is_down() || self.is_fallen(row) {
            return;
        }
        self.end_link(row, Loss::Idle, effects);
    }

    /// The next client may have it: nothing is left of what it was told.
    pub(super) fn give_back(&mut self, now_us: u64, row: u32, effects: &mut Effects) {
        let of = &mut self.rows[row as usize];
        if let Some(own) = of.own_mut() {
            own.holder = None;
        }
        let link = of.link.as_ref().expect("it is there between events");
        let (is_clean, pool) = (link.is_ready() && link.in_flight() == 0, self.servers[of.server as usize].pool);
        let is_usable = of.conn.is_some() && is_clean;
        let of_pool = |row: &&u32| self.servers[self.rows[**row as usize].server as usize].pool == pool;
        if !is_usable || self.own.idle.iter().filter(of_pool).count() >= IDLE_MAX {
            return self.close_own(row, effects);
        }
        self.own.idle.push(row);
        self.next_look_us.get_or_insert(now_us + IDLE_LOOK_US);
    }

    /// A lost connection's row is free again; whose it was.
    pub(super) fn free_own(&mut self, row: u32) -> Option<ConnId> {
        let of = &mut self.rows[row as usize];
        let holder = of.own_mut().and_then(|own| own.holder.take());
        let pool = self.servers[of.server as usize].pool;
        self.pools[pool].own -= 1;
        self.own.idle.retain(|idle| *idle != row);
        self.own.free.push(row);
        holder
    }
}

impl Engine {
    /// A client is gone, and what it held at a server ends with it.
    pub(in crate::engine) fn untie(&mut self, conn: ConnId, client: &mut Client) {
        let Some(router) = self.router.as_deref_mut().filter(|_| client.is_tied) else { return };
        if let Some(row) = router.own.bonds.remove(&conn).and_then(|bond| bond.row) {
            router.own.orphans.push(row);
        }
        (client.is_tied, client.parked) = (false, false);
    }

    /// Closes the connections of clients that are gone.
    pub(in crate::engine::upstream) fn end_orphans(&mut self, effects: &mut Effects) {
        let router = self.router.as_deref_mut().expect("there is a router");
        for row in std::mem::take(&mut router.own.orphans) {
            router.close_own(row, effects);
        }
    }

    /// Whether a client's connection may go to the next one, and if so it does. What the session is to know is told.
    pub(super) fn review_tie(&mut self, now: Now, conn: ConnId, effects: &mut Effects) {
        let router = self.router.as_deref_mut().expect("there is a router");
        if let Some(bond) = router.own.bonds.get_mut(&conn)
            && bond.tie.can_be_given_back()
        {
            bond.tie.gave_back();
            (bond.counts, bond.behind) = ([0; 3], None);
            if let Some(row) = bond.row.take() {
                router.give_back(now.mono_us, row, effects);
            }
        }
        if let Some(client) = self.sessions.get_mut(conn) {
            router.own.tell(conn, client);
        }
    }
}
