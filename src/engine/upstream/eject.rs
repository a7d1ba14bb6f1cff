//! Keys of a server that fails, placed on the others of its pool until it answers again; as twemproxy does with
//! `auto_eject_hosts`. Each core finds out by itself, as each twemproxy would: for a moment two may place a key apart.

use super::router::{Asked, Router, Whose};
use super::row::LinkWay;
use crate::engine::Engine;
use crate::engine::event::Effects;
use crate::protocol::resp::Proto;
use crate::types::Now;

/// By which link a server that is left out is asked whether it is back.
const WAY: LinkWay = LinkWay::of(Proto::Resp2, 0);

impl Router {
    /// A server has answered or failed. True: keys lie elsewhere now.
    pub fn place_anew(&mut self, server: u32) -> bool {
        let of = &mut self.servers[server as usize];
        let (pool, fails) = (of.pool, of.health.is_ejected());
        if self.pools[pool].cluster.is_some() {
            // Whoever is asked for slots that nobody is known to have may be another one now.
            return std::mem::replace(&mut of.rests, fails) != fails;
        }
        if !self.pools[pool].auto_eject || fails == self.left_out.contains(&server) {
            return false;
        }
        if fails {
            self.left_out.push(server);
        } else {
            self.left_out.retain(|left_out| *left_out != server);
        }
        log::warn!(
            "upstream {}: its keys are {}",
            of.name,
            if fails { "placed on other servers" } else { "its own again" }
        );
        let (of, left_out) = (&mut self.pools[pool], &self.left_out);
        let Some(placement) = &of.placement else { return false };
        // Where none is left, keys stay where they were.
        let Ok(anew) = placement.among(|at| !left_out.contains(&of.servers[at])) else { return false };
        of.placement = Some(anew);
        true
    }

    /// When a server that is left out is asked next. One that is being asked is not waited for here.
    pub fn probe_due_us(&self) -> Option<u64> {
        let rests = |server: &&u32| self.may_probe(**server);
        self.left_out.iter().filter(rests).map(|server| self.servers[*server as usize].health.tries_at_us()).min()
    }

    /// Whether its link awaits nothing.
    fn may_probe(&self, server: u32) -> bool {
        let link = self.link_of(server, WAY).and_then(|row| self.rows[row as usize].link.as_ref());
        link.is_none_or(|link| link.is_down() || link.is_ready() && link.in_flight() == 0)
    }
}

impl Engine {
    /// Whether a server that was asked if it is back says that it is not yet.
    pub(super) fn is_no_return(&self, server: u32, reply: &[u8]) -> bool {
        let router = self.router.as_deref().expect("there is a router");
        router.left_out.contains(&server) && reply.starts_with(b"-LOADING")
    }

    /// Asks servers that are left out whether they are back; nobody else asks them anything.
    pub(super) fn probe_left_out(&mut self, now: Now, effects: &mut Effects) {
        let router = self.router.as_deref_mut().expect("there is a router");
        if router.probe_due_us().is_none_or(|due_us| due_us > now.mono_us) {
            return;
        }
        for server in router.left_out.clone() {
            if !router.may_probe(server) || !router.servers[server as usize].health.may_try(now.mono_us) {
                continue;
            }
            let Some(row) = router.link_to(now.mono_us, server, WAY, effects) else { continue };
            // A link that was there has to prove itself again.
            router.rows[row as usize].proven = false;
            let asked = Asked { whose: Whose::Asking, reads: true, again: true, ..Asked::default() };
            router.ask(now.mono_us, row, asked, |out| out.bytes.extend_from_slice(b"*1\r\n$4\r\nPING\r\n"), effects);
        }
    }
}
