//! The connections of one core, and what happens to them besides requests.

use super::event::Effects;
use super::gather::Gather;
use super::{Engine, SPARE_OUTPUTS_MAX};
use crate::protocol::resp::{Output, Proto, Reply};
use crate::session::{Profile, Session};
use crate::types::{ConnId, CoreId, Now};
use std::collections::BTreeMap;

/// How long ready replies wait for awaited ones of the same connection at most.
const HOLD_US: u64 = 500;
/// Past so many bytes they do not wait.
const HOLD_BYTES_MAX: usize = 64 * 1024;

pub type Client = Session<Gather>;

#[derive(Default)]
struct Row {
    generation: u32,
    client: Option<Box<Client>>,
}

/// All connections, by [`ConnId`]. The shell picks the rows; the generation tells tenants of a row apart.
pub struct Sessions {
    rows: Vec<Row>,
    /// Clients that are gone and whose transactions still run.
    shadows: Vec<(ConnId, Box<Client>)>,
    open: usize,
    ids: BTreeMap<u64, ConnId>,
    next_id: u64,
    id_step: u64,
}

impl Sessions {
    pub fn new(core: CoreId, cores: usize) -> Sessions {
        Sessions {
            rows: Vec::new(),
            shadows: Vec::new(),
            open: 0,
            ids: BTreeMap::new(),
            next_id: u64::from(core.0) + 1,
            id_step: cores as u64,
        }
    }

    pub fn len(&self) -> usize {
        self.open
    }

    pub fn is_empty(&self) -> bool {
        self.open == 0
    }

    #[cfg(feature = "faults")]
    pub fn shadows(&self) -> usize {
        self.shadows.len()
    }

    /// A client id that no other connection of the process has or will have.
    fn next_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += self.id_step;
        id
    }

    fn insert(&mut self, conn: ConnId, client: Client) {
        let index = conn.index as usize;
        if self.rows.len() <= index {
            self.rows.resize_with(index + 1, Row::default);
        }
        self.ids.insert(client.id, conn);
        self.rows[index] = Row { generation: conn.generation, client: Some(Box::new(client)) };
        self.open += 1;
    }

    #[inline]
    pub fn get_mut(&mut self, conn: ConnId) -> Option<&mut Box<Client>> {
        let row = self.rows.get_mut(conn.index as usize).filter(|row| row.generation == conn.generation)?;
        row.client.as_mut()
    }

    /// The connection with this id.
    pub fn conn_of(&self, id: u64) -> Option<ConnId> {
        self.ids.get(&id).copied()
    }

    /// Takes a client out while its requests run; [`Sessions::put`] brings it back.
    #[inline]
    pub fn take(&mut self, conn: ConnId) -> Option<Box<Client>> {
        let row = self.rows.get_mut(conn.index as usize).filter(|row| row.generation == conn.generation);
        match row.and_then(|row| row.client.take()) {
            None if !self.shadows.is_empty() => self.take_shadow(conn),
            client => client,
        }
    }

    #[cold]
    fn take_shadow(&mut self, conn: ConnId) -> Option<Box<Client>> {
        let row = self.shadows.iter().position(|(shadow, _)| *shadow == conn)?;
        Some(self.shadows.swap_remove(row).1)
    }

    #[inline]
    pub fn put(&mut self, conn: ConnId, client: Box<Client>) {
        if client.gone {
            return self.shadows.push((conn, client));
        }
        self.rows[conn.index as usize].client = Some(client);
    }

    fn remove(&mut self, conn: ConnId) -> Option<Box<Client>> {
        let client = self.take(conn)?;
        self.ids.remove(&client.id);
        self.open -= 1;
        Some(client)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (ConnId, &mut Box<Client>)> {
        self.rows.iter_mut().zip(0..).filter_map(|(row, index)| {
            let generation = row.generation;
            row.client.as_mut().map(|client| (ConnId { index, generation }, client))
        })
    }
}

impl Engine {
    pub(super) fn opened(&mut self, now: Now, conn: ConnId, peer: String, local: String, effects: &mut Effects) {
        let profile = Profile { peer, local, opened: now, ..Profile::default() };
        let id = self.sessions.next_id();
        let mut client = Session::new(id, now, profile, self.settings.requirepass.is_empty());
        client.server_loads = self.journal.loading;
        client.is_routed = self.router.is_some();
        client.review();
        if self.ledger.connections() > self.settings.maxclients {
            self.stats.connections_refused += 1;
            Reply { out: &mut client.output, proto: Proto::Resp2 }.error("ERR max number of clients reached");
            client.closing = true;
        } else {
            self.stats.connections_opened += 1;
        }
        let refused = client.closing;
        self.sessions.insert(conn, client);
        if refused {
            let mut client = self.sessions.take(conn).expect("it was just inserted");
            self.announce(now, conn, &mut client, effects);
            self.sessions.put(conn, client);
        }
    }

    /// Tells the shell what became of a client in this call: output to send, or the end.
    ///
    /// While replies of the same pipeline are still awaited from other cores, the ready ones are held, so that they
    /// leave in one send: a send costs more than all of a pipeline's commands. Held replies leave after [`HOLD_US`].
    pub(super) fn announce(&mut self, now: Now, conn: ConnId, client: &mut Client, effects: &mut Effects) {
        if client.awaits == client.queue.is_empty() {
            client.awaits = !client.awaits;
            self.awaiting = if client.awaits { self.awaiting + 1 } else { self.awaiting - 1 };
        }
        if !client.output.is_empty() && !client.announced {
            if client.queue.is_empty() || client.closing || client.output.len_bytes() >= HOLD_BYTES_MAX {
                client.announced = true;
                client.held = false;
                effects.ready.push(conn);
            } else if !client.held {
                client.held = true;
                self.held.push_back((now.mono_us + HOLD_US, conn));
            }
        }
        if self.bounds_clients && !client.close_requested {
            self.bound_client(now, conn, client, effects);
        }
        if client.closing && client.queue.is_empty() && !client.close_requested {
            client.close_requested = true;
            effects.close.push(conn);
        }
    }

    pub(super) fn sent(&mut self, now: Now, conn: ConnId, mut output: Output, effects: &mut Effects) {
        if self.spare_outputs.len() < SPARE_OUTPUTS_MAX {
            output.clear();
            self.spare_outputs.push(output);
        }
        let Some(client) = self.sessions.get_mut(conn) else { return self.link_sent(conn, effects) };
        client.sending_bytes = 0;
        // What was announced while that send was in flight could not be fetched, so it is announced again.
        if client.announced {
            effects.ready.push(conn);
        }
        let (deaf, stalled) = (client.deaf_since_us != 0, client.stalled);
        if client.owes_forget {
            self.settle_forget(now, conn, effects);
        }
        if deaf {
            self.hears_again(conn);
        }
        if stalled {
            self.resume(now, conn, effects);
        }
    }

    /// Lets replies go that were held for too long.
    pub(super) fn release_held(&mut self, now: Now, effects: &mut Effects) {
        while let Some((due_us, conn)) = self.held.front().copied()
            && due_us <= now.mono_us
        {
            self.held.pop_front();
            let Some(client) = self.sessions.get_mut(conn) else { continue };
            if std::mem::take(&mut client.held) && !client.output.is_empty() && !client.announced {
                client.announced = true;
                effects.ready.push(conn);
            }
        }
    }

    /// An empty output for a client that has something to say; idle clients hold no buffer.
    #[inline]
    pub(super) fn lend_output(&mut self, client: &mut Client) {
        if client.output.bytes.capacity() == 0
            && let Some(output) = self.spare_outputs.pop()
        {
            client.output = output;
        }
    }

    pub(super) fn ended(&mut self, now: Now, conn: ConnId, effects: &mut Effects) {
        let Some(mut client) = self.sessions.take(conn) else { return self.link_ended(conn, effects) };
        client.ended = true;
        if client.parked {
            // As in Redis: who waits and hangs up is gone.
            effects.kill.push(conn);
        }
        if !client.stalled {
            client.closing = true;
        }
        self.announce(now, conn, &mut client, effects);
        self.sessions.put(conn, client);
    }

    pub(super) fn lost(&mut self, conn: ConnId) {
        if let Some(mut client) = self.sessions.remove(conn) {
            self.forget_tracker(conn, &mut client);
            self.stop_listening(conn, &mut client);
            self.awaiting -= usize::from(std::mem::take(&mut client.awaits));
            self.forget_long(conn);
            self.forget_wait(conn);
            self.untie(conn, &mut client);
            self.forget_bytes(&mut client);
            self.ledger.drop_connection(self.core);
            self.unwatch(conn, &mut client);
            if self.abandon(&client) {
                client.gone = true;
                self.sessions.put(conn, client);
            }
        } else {
            self.link_lost(conn);
        }
    }

    /// Forgets a client that is gone, when its transaction has ended.
    pub(super) fn lay_to_rest(&mut self, conn: ConnId) {
        if let Some(client) = self.sessions.take_shadow(conn) {
            self.awaiting -= usize::from(client.awaits);
        }
    }

    /// Closes clients that have asked nothing for too long, are owed nothing, and listen to nothing.
    pub(super) fn close_idle(&mut self, now: Now, effects: &mut Effects) {
        let idle_us = self.settings.timeout_s * 1_000_000;
        for (conn, client) in self.sessions.iter_mut() {
            let idle = now.mono_us.saturating_sub(client.last_active_us) > idle_us;
            let listens = client.monitors || client.hears || !client.subscriptions.is_empty();
            if idle && !listens && client.is_settled() && !client.closing {
                client.closing = true;
                effects.kill.push(conn);
            }
        }
    }

    /// Answers what has come, takes nothing more, and closes each connection when it has its answers.
    pub(super) fn drain(&mut self, now: Now, effects: &mut Effects) {
        self.draining = true;
        self.end_all_waits(now, effects);
        let open: Vec<ConnId> = self.sessions.iter_mut().map(|(conn, _)| conn).collect();
        for conn in open {
            effects.receive.push((conn, false));
            self.ended(now, conn, effects);
        }
    }
}
