//! What becomes of links: made, greeted, late, lost. What a lost one owes is asked again if nothing can have changed by
//! it, and answered an error otherwise.

use super::cluster::Next;
use super::detours::Stray;
use super::fault::Fault;
use super::router::{Asked, LOOK_US, Router, Server, Whose};
use super::row::Loss;
use crate::engine::Engine;
use crate::engine::event::Effects;
use crate::engine::figures::{self, ServerFigures};
use crate::protocol::resp::Output;
use crate::types::{ConnId, LinkId, Now};
use crate::upstream::{Late, Link, Unanswered};

/// Between looks while only unused links are waited for.
pub(super) const IDLE_LOOK_US: u64 = 1_000_000;

impl Router {
    /// The error of a request whose server cannot be asked.
    pub fn unreachable(&mut self, server: u32) -> String {
        let server = &mut self.servers[server as usize];
        server.figures.unanswered += 1;
        format!("ERR upstream {} unreachable", server.name)
    }

    /// The error of a request that a lost connection leaves.
    pub fn lost(&mut self, server: u32, may_be_done: bool) -> String {
        if !may_be_done {
            return self.unreachable(server);
        }
        let server = &mut self.servers[server as usize];
        server.figures.unanswered += 1;
        format!("ERR upstream {} lost: outcome unknown", server.name)
    }

    /// Ends a link; what it owes is dealt with in the next look.
    pub fn end_link(&mut self, row: u32, why: Loss, effects: &mut Effects) {
        match self.detach(row) {
            Some(conn) => effects.kill.push(conn),
            None => effects.hang_up.push(LinkId { index: row, attempt: self.rows[row as usize].attempt }),
        }
        self.fallen.push((row, why));
    }

    /// When links want to be looked at.
    pub fn deadline(&self) -> Option<u64> {
        if !self.fallen.is_empty() || self.own.has_orphans() {
            return Some(0);
        }
        self.next_look_us.into_iter().chain(self.cluster_due_us()).chain(self.probe_due_us()).min()
    }
}

impl Engine {
    /// A connection to a server is there.
    pub(in crate::engine) fn dialled(&mut self, now: Now, link: LinkId, conn: ConnId, effects: &mut Effects) {
        let router = self.router.as_deref_mut().expect("who dials has a router");
        let Some(row) = router.row_of_dial(link) else { return effects.kill.push(conn) };
        router.attach(row, conn);
        router.reached(router.rows[row as usize].server, true);
        let link_row = &mut router.rows[row as usize];
        // Another that was started in its place may know of CLIENT TRACKING.
        router.servers[link_row.server as usize].tracks |= !link_row.tracks();
        link_row.link.as_mut().expect("it is there between events").connected(now.mono_us, &link_row.options);
        router.announce(row, effects);
    }

    /// It cannot be made. What waits for it is answered with the next look: this may come when nothing can be answered.
    pub(in crate::engine) fn dial_failed(&mut self, link: LinkId, reason: String) {
        let router = self.router.as_deref_mut().expect("who dials has a router");
        if let Some(row) = router.row_of_dial(link) {
            router.fallen.push((row, Loss::Dial(reason)));
        }
    }

    /// A connection is gone that is no client's.
    pub(in crate::engine) fn link_lost(&mut self, conn: ConnId) {
        let Some(router) = self.router.as_deref_mut() else { return };
        if let Some(row) = router.row_of(conn) {
            router.detach(row);
            router.fallen.push((row, Loss::Ended));
            self.forget_copies_of(row);
        }
    }

    /// The server sends no more.
    pub(in crate::engine) fn link_ended(&mut self, conn: ConnId, effects: &mut Effects) {
        if self.router.as_deref().is_some_and(|router| router.row_of(conn).is_some()) {
            effects.kill.push(conn);
            self.link_lost(conn);
        }
    }

    /// A whole output of a link went out, or what was announced meanwhile could not be fetched.
    pub(in crate::engine) fn link_sent(&mut self, conn: ConnId, effects: &mut Effects) {
        let Some(router) = self.router.as_deref() else { return };
        if router.row_of(conn).is_some_and(|row| router.rows[row as usize].announced) {
            effects.ready.push(conn);
        }
    }

    /// What a link has to send.
    pub(in crate::engine) fn take_link_output(&mut self, conn: ConnId) -> Option<Output> {
        let router = self.router.as_deref_mut()?;
        let row = router.row_of(conn)?;
        let row = &mut router.rows[row as usize];
        row.announced = false;
        let mut output = self.spare_outputs.pop().unwrap_or_default();
        let link = row.link.as_mut().expect("it is there between events");
        if link.take_output(&row.options, &mut output) {
            return Some(output);
        }
        self.spare_outputs.push(output);
        None
    }

    /// Ends a link; what it owes is dealt with in the next look.
    pub(super) fn give_up(&mut self, row: u32, why: Loss, effects: &mut Effects) {
        let router = self.router.as_deref_mut().expect("there is a router");
        router.end_link(row, why, effects);
        self.forget_copies_of(row);
    }

    /// Looks at the links: gives up those that are late, and deals with what lost ones owe.
    pub(in crate::engine) fn look_after_links(&mut self, now: Now, effects: &mut Effects) {
        let Some(router) = self.router.as_deref() else { return };
        if router.next_look_us.is_some_and(|due_us| due_us <= now.mono_us) {
            self.find_late_links(now, effects);
        }
        self.end_orphans(effects);
        while let Some((row, loss)) = self.router.as_deref_mut().and_then(|router| router.fallen.pop()) {
            self.deal_with_loss(now, row, &loss, effects);
        }
        if self.draining && self.sessions.is_empty() {
            return self.close_links(effects);
        }
        self.ask_again_later(now, effects);
        self.ask_for_maps(now, effects);
        self.probe_left_out(now, effects);
    }

    fn find_late_links(&mut self, now: Now, effects: &mut Effects) {
        let router = self.router.as_deref_mut().expect("there is a router");
        let (mut late, mut soon, mut later) = (Vec::new(), false, false);
        for (row, number) in router.rows.iter().zip(0u32..) {
            let link: &Link<Asked> = row.link.as_ref().expect("it is there between events");
            let is_patient = router.own.is_patient(row);
            match link.late(now.mono_us, &row.options) {
                Some(what) if !is_patient => late.push((number, what)),
                _ if link.is_down() || is_patient => {}
                Some(_) => unreachable!("it was late"),
                None if !link.is_ready() || link.in_flight() > 0 => soon = true,
                None => later |= row.options.idle_timeout_us > 0,
            }
        }
        router.next_look_us = match (soon, later) {
            (true, _) => Some(now.mono_us + LOOK_US),
            (false, true) => Some(now.mono_us + IDLE_LOOK_US),
            (false, false) => None,
        };
        for (row, what) in late {
            let why = match what {
                Late::Connecting => Loss::Dial("no connection in time".to_owned()),
                Late::Answering => Loss::GivenUp("no reply in time".to_owned()),
                Late::Idle => Loss::Idle,
            };
            self.give_up(row, why, effects);
        }
    }

    /// What a lost link owes is asked again or answered an error; who waited for room on it goes on.
    fn deal_with_loss(&mut self, now: Now, row: u32, loss: &Loss, effects: &mut Effects) {
        let router = self.router.as_deref_mut().expect("there is a router");
        let link_row = &mut router.rows[row as usize];
        let (server, proven, tracks) = (link_row.server, link_row.proven, link_row.tracks());
        let mut unanswered = Vec::new();
        let link = link_row.link.as_mut().expect("it is there between events");
        if !link.is_down() {
            link.lose(|left| unanswered.push(left));
        }
        let waiting = std::mem::take(&mut link_row.waiting);
        let of = &mut router.servers[server as usize];
        // One that knows nothing of CLIENT TRACKING is none the worse.
        let declines = tracks && !proven && matches!(loss, Loss::Ended | Loss::GivenUp(_));
        of.tracks &= !declines;
        let fails = match loss {
            Loss::Idle => false,
            Loss::GivenUp(_) if declines => false,
            Loss::Ended => !proven || !unanswered.is_empty(),
            Loss::Dial(_) | Loss::GivenUp(_) => true,
        };
        if declines {
            log::info!("upstream {}: copies of hot keys are not kept: {}", of.name, loss.text());
        }
        if fails {
            of.health.failed(now.mono_us);
            log::warn!("upstream {}: {}", of.name, loss.text());
            router.reached(server, false);
        }
        if fails && router.place_anew(server) {
            self.keys_have_moved();
        }
        let router = self.router.as_deref_mut().expect("there is a router");
        if router.rows[row as usize].own().is_some() {
            router.end_fences();
            self.own_lost(now, row, unanswered, effects);
            return self.let_go_on(now, waiting, effects);
        }
        for left in unanswered {
            self.make_good(now, row, left, loss, effects);
        }
        self.go_round(now, effects);
        self.router.as_deref_mut().expect("there is a router").end_fences();
        self.settle_touched(now, effects);
        self.let_go_on(now, waiting, effects);
    }

    /// Asks again what nothing can have changed by, or what was never sent; answers an error otherwise.
    fn make_good(&mut self, now: Now, row: u32, left: Unanswered<Asked>, loss: &Loss, effects: &mut Effects) {
        let router = self.router.as_deref_mut().expect("there is a router");
        let server = router.rows[row as usize].server;
        let Unanswered { of: asked, sent, request } = left;
        match asked.whose {
            Whose::Client(_) | Whose::Fold(..) | Whose::Own(..) => {}
            Whose::Map => return router.map_unanswered(server),
            Whose::Asking => return,
        }
        let harmless = asked.reads || !sent || router.commits(Fault::AskWritesAgain);
        let may = harmless && !asked.again && !router.servers[server as usize].health.is_ejected();
        let declined = asked.tracks && !router.servers[server as usize].tracks;
        if may && (matches!(loss, Loss::Ended | Loss::Idle) || declined && !sent) {
            let mut again = Asked { again: true, ..asked };
            if let (true, Whose::Fold(flight, _)) = (declined, asked.whose) {
                let way = router.hot.flight(flight).way_without_tracking();
                (again.tracks, again.proto) = (way.tracks, way.proto);
            }
            let server = match router.pools[usize::from(asked.pool)].cluster {
                Some(_) => router.spot_of_slot(usize::from(asked.pool), asked.slot, asked.reads).server,
                None => server,
            };
            let way = again.way();
            // At once, though a server that fails rests: this is how one that was started anew is found.
            router.dial_anyway(now.mono_us, server, way, effects);
            if asked.hops.any() || router.detours.concern(&asked) {
                again.hops.resend();
                let next = Next::Ask { server, asking: false };
                return self.send_around(now, Stray { asked: again, request, next }, effects);
            }
            return self.ask_again(now, server, again, false, &request, effects);
        }
        let text = router.lost(server, sent && !asked.reads);
        self.answer_error(&asked, &text);
    }

    /// The process ends, and nobody is left who could ask.
    fn close_links(&mut self, effects: &mut Effects) {
        let router = self.router.as_deref_mut().expect("there is a router");
        for row in 0..router.rows.len() as u32 {
            let attempt = router.rows[row as usize].attempt;
            match router.detach(row) {
                Some(conn) => effects.kill.push(conn),
                None => effects.hang_up.push(LinkId { index: row, attempt }),
            }
            let link = router.rows[row as usize].link.as_mut().expect("it is there between events");
            link.lose(|_| {});
        }
        router.detours.clear();
        router.later.clear();
        router.next_look_us = None;
    }

    /// What this core has had to do with each server, for INFO.
    pub(in crate::engine) fn write_servers(&mut self, out: &mut Vec<u8>) {
        self.count_hits(|_| true);
        self.count_read_hits();
        let servers: &[Server] = self.router.as_deref().map_or(&[], |router| &router.servers);
        figures::write(out, &(servers.len() as u64));
        let Some(router) = self.router.as_deref() else { return };
        for (server, number) in servers.iter().zip(0u32..) {
            let rows = || router.rows.iter().filter(|row| row.server == number);
            let pool = &router.pools[server.pool].name;
            let record = ServerFigures {
                requests: server.figures.requests,
                errors: server.figures.errors,
                unanswered: server.figures.unanswered,
                redirects: server.figures.redirects,
                in_flight: rows().filter_map(|row| row.link.as_ref()).map(|link| link.in_flight() as u64).sum(),
                connections: rows().filter(|row| row.conn.is_some()).count() as u64,
                dials: server.figures.dials,
                ejections: server.health.ejections,
                ejected: u64::from(server.health.is_ejected()),
                hot_hits: server.figures.hot_hits,
                coalesced: server.figures.coalesced,
                folded: server.figures.folded,
                stale: server.figures.stale,
                pool_bytes: pool.len() as u64,
                name_bytes: server.name.len() as u64,
                buckets: server.times.filled().count() as u64,
            };
            figures::write(out, &record);
            out.extend_from_slice(pool.as_bytes());
            out.extend_from_slice(server.name.as_bytes());
            server.times.filled().for_each(|(bucket, count)| figures::write(out, &[bucket, count]));
        }
    }

    /// CONFIG RESETSTAT.
    pub(in crate::engine) fn reset_servers(&mut self) {
        self.router.iter_mut().flat_map(|router| &mut router.servers).for_each(Server::forget_figures);
    }

    /// Whether links are to be closed: nobody is left who could ask.
    pub(in crate::engine) fn has_links_to_close(&self) -> bool {
        let Some(router) = self.router.as_deref() else { return false };
        self.draining && self.sessions.is_empty() && router.rows.iter().any(|row| !row.is_down())
    }
}

impl Loss {
    fn text(&self) -> &str {
        match self {
            Loss::Ended => "connection lost",
            Loss::Dial(reason) | Loss::GivenUp(reason) => reason,
            Loss::Idle => "unused",
        }
    }
}
