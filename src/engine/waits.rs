//! Clients that wait for time to pass: WAIT parks one, CLIENT PAUSE lets all of them wait.
//!
//! A parked client has an open reply slot and is stalled, so what it asks meanwhile waits behind. While clients are
//! paused, each group of requests is one request, looked at before it runs: the hot path knows nothing of all this.

use super::Engine;
use super::event::Effects;
use super::ingress::Call;
use super::sessions::Client;
use crate::protocol::command::{Command, Spec, flags::flag};
use crate::protocol::resp::{Output, Proto, Reply};
use crate::types::{ConnId, Now};

const UNBLOCKED: &str = "UNBLOCKED client unblocked via CLIENT UNBLOCK";

/// Requests that wait, and until when, in [`Now::mono_us`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    pub until_us: u64,
    /// All of them; else those that write.
    pub all: bool,
}

/// A client whose command waits.
struct Parked {
    conn: ConnId,
    /// The reply slot that it waits at.
    slot: u32,
    /// `None`: until somebody unblocks it.
    until_us: Option<u64>,
}

/// The waits of one core.
#[derive(Default)]
pub struct Waits {
    pub pause: Option<Pause>,
    parked: Vec<Parked>,
}

/// How a wait ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As if its time were up.
    Timeout,
    Error,
}

impl Waits {
    /// When the first of them ends.
    pub fn deadline(&self) -> Option<u64> {
        let parked = self.parked.iter().filter_map(|parked| parked.until_us);
        parked.chain(self.pause.map(|pause| pause.until_us)).min()
    }

    /// Whether a request waits until the pause is over.
    pub fn holds(&self, spec: Option<&'static Spec>, client: &Client) -> bool {
        let (Some(pause), Some(spec)) = (self.pause, spec) else { return self.pause.is_some_and(|pause| pause.all) };
        // In Redis PUBLISH and the like wait as well: they are replicated.
        let writes = |spec: &Spec| spec.has(flag::WRITE | flag::MAY_REPLICATE);
        let queued = client.multi.iter().flat_map(|multi| &multi.requests);
        pause.all
            || writes(spec)
            || spec.command == Command::Exec && queued.into_iter().any(|queued| writes(queued.spec))
    }
}

/// Whether a command may park its client or pause all: what follows is looked at when it has run.
#[inline]
pub fn may_park(command: Command) -> bool {
    matches!(command, Command::Wait | Command::ClientPause | Command::ClientUnpause | Command::ClientTracking)
}

impl Engine {
    /// Parks a client until a time. One that has hung up meanwhile is gone.
    pub(super) fn park(&mut self, call: &mut Call, client: &mut Client, until_us: Option<u64>) {
        let (conn, slot) = (call.conn, client.queue.wait(client.is_muted()));
        client.parked = true;
        client.stalled = true;
        self.waits.parked.push(Parked { conn, slot, until_us });
        if client.ended {
            call.effects.kill.push(conn);
        }
    }

    /// Begins a pause, or makes one longer: the later end and the stricter kind hold, as in Redis. When the server ends,
    /// nobody waits any more.
    pub(super) fn pause(&mut self, pause: Pause) {
        if self.draining {
            return;
        }
        let old = self.waits.pause.unwrap_or(pause);
        self.waits.pause = Some(Pause { until_us: pause.until_us.max(old.until_us), all: pause.all || old.all });
        // As in Redis, no key goes by itself meanwhile.
        self.shard.keeps_expired = true;
    }

    pub(super) fn unpause(&mut self, now: Now, effects: &mut Effects) {
        if self.waits.pause.take().is_none() {
            return;
        }
        self.shard.keeps_expired = false;
        let stalled: Vec<ConnId> = self.sessions.iter_mut().filter(|(_, c)| c.stalled).map(|(conn, _)| conn).collect();
        for conn in stalled {
            self.resume(now, conn, effects);
        }
    }

    /// Ends a pause whose time has come, before the events of a turn: what another core sends after its end is not paused.
    #[inline]
    pub(super) fn end_pause(&mut self, now: Now, effects: &mut Effects) {
        if self.waits.pause.is_some_and(|pause| pause.until_us <= now.mono_us) {
            self.unpause(now, effects);
        }
    }

    /// Ends the waits whose time has come.
    pub(super) fn end_waits(&mut self, now: Now, effects: &mut Effects) {
        self.end_pause(now, effects);
        while let Some(at) = self.waits.parked.iter().position(|p| p.until_us.is_some_and(|us| us <= now.mono_us)) {
            self.unpark(now, at, Ending::Timeout, effects);
        }
    }

    /// Ends all waits: the server is about to.
    pub(super) fn end_all_waits(&mut self, now: Now, effects: &mut Effects) {
        self.unpause(now, effects);
        while !self.waits.parked.is_empty() {
            self.unpark(now, 0, Ending::Timeout, effects);
        }
    }

    /// Ends the wait of the client of that number; false if it does not wait here.
    pub(super) fn unblock(&mut self, now: Now, id: u64, ending: Ending, effects: &mut Effects) -> bool {
        let sessions = &mut self.sessions;
        let is_it = |parked: &Parked| sessions.get_mut(parked.conn).is_some_and(|client| client.id == id);
        let Some(at) = self.waits.parked.iter().position(is_it) else {
            return self.unblock_own(now, id, ending == Ending::Error, effects);
        };
        self.unpark(now, at, ending, effects);
        true
    }

    /// A connection is gone, and its wait with it.
    pub(super) fn forget_wait(&mut self, conn: ConnId) {
        self.waits.parked.retain(|parked| parked.conn != conn);
    }

    fn unpark(&mut self, now: Now, at: usize, ending: Ending, effects: &mut Effects) {
        let Parked { conn, slot, .. } = self.waits.parked.swap_remove(at);
        let Some(mut client) = self.sessions.take(conn) else { return };
        let mut output = Output::default();
        let mut reply = Reply { out: &mut output, proto: Proto::Resp2 };
        match ending {
            // No replica has acknowledged anything.
            Ending::Timeout => reply.integer(0),
            Ending::Error => {
                self.shard.counts.tally.failed(Command::Wait);
                self.shard.counts.tally.error(UNBLOCKED.as_bytes());
                reply.error(UNBLOCKED);
            }
        }
        client.parked = false;
        self.lend_output(&mut client);
        client.queue.fill(slot, &output, 0..output.bytes.len(), &mut client.output);
        self.settle(now, conn, client, effects);
    }
}
