//! What a tie makes of a request, and the request on its way over its client's own connection.

use super::super::forward::{encode, push_words};
use super::super::places::{Refusal, Spot, Way};
use super::super::router::{Asked, Router, Whose};
use super::super::row::LinkWay;
use super::{Kind, NoRow};
use crate::engine::Engine;
use crate::engine::event::Effects;
use crate::engine::ingress::Call;
use crate::engine::invalidation::redirect_in;
use crate::engine::letter::Ticket;
use crate::engine::sessions::Client;
use crate::protocol::command::Command;
use crate::protocol::command::passage::{self, Goes, Holds, Passage};
use crate::protocol::resp::{Args, Output, Proto};
use crate::routing::slot_of;
use crate::types::{ConnId, Now, Slot};
use crate::upstream::topology::Hops;
use crate::upstream::{ABORTED, Call as TieCall, Target, Turn};

/// The server of keys that are here.
const HERE: u32 = u32::MAX;

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passed {
    /// It is answered here.
    No,
    Yes,
    /// It may not be sent before something of its client is answered.
    Waits,
}

/// Whether a command of our own table may need a connection of its own.
#[inline]
pub fn ties(command: Command) -> bool {
    passage::of(command).holds != Holds::Nothing
}

impl Router {
    /// Where a request's keys or channels are. Replicas do not count: what is held, is held at a primary.
    fn target_of(&self, passage: &'static Passage, holds: Holds, args: &Args) -> Result<Target<u32>, Refusal> {
        let only = &self.pools[0];
        let is_several = only.cluster.is_some() || only.servers.len() > 1;
        match passage.goes {
            Goes::Never => Err(Refusal::OneServer),
            Goes::Nowhere if holds == Holds::Tracks && !self.is_one => Err(Refusal::Tracking),
            Goes::Nowhere if holds == Holds::Tracks && redirect_in(args).is_some() => Err(Refusal::Redirection),
            Goes::Any if holds == Holds::Monitors && is_several => Err(Refusal::OneServer),
            Goes::Patterns if holds == Holds::Listens && only.placement.is_some() && is_several => {
                Err(Refusal::Patterns)
            }
            Goes::Any | Goes::Patterns | Goes::Nowhere => Ok(Target::Any),
            Goes::Channels if only.cluster.is_some() => Ok(Target::Any),
            Goes::Channels => Ok(self.target_of_channels(holds, args)),
            Goes::All(_) if is_several => Ok(Target::Several),
            Goes::All(_) => Ok(Target::One(only.servers[0])),
            Goes::Keys if passage.keys(args).first().is_none() => Ok(Target::Any),
            Goes::Keys => match self.way_of_keys(passage, args, false) {
                Way::To(Spot { server, .. }) => Ok(Target::One(server)),
                Way::Here => Ok(Target::One(HERE)),
                Way::Refused(refusal) => Err(refusal),
                _ => Ok(Target::Several),
            },
        }
    }

    fn target_of_channels(&self, holds: Holds, args: &Args) -> Target<u32> {
        let names = if matches!(holds, Holds::Listens | Holds::Unlistens) { args.len() } else { args.len().min(2) };
        let mut servers = (1..names).map(|name| self.place(0, args.get(name), false).server);
        let Some(first) = servers.next() else { return Target::Any };
        if servers.all(|server| server == first) { Target::One(first) } else { Target::Several }
    }
}

impl Engine {
    /// Whether a request for other servers may need a connection of its own, so that none is parsed behind it before it is
    /// sent. The names of all that may are BLPOP and its kin, XREAD, SCRIPT KILL.
    #[inline]
    pub(in crate::engine) fn ties_stranger(&self, args: &Args) -> bool {
        let name = args.try_get(0).unwrap_or_default();
        let may = self.router.is_some()
            && match name.first().map(u8::to_ascii_lowercase) {
                Some(b'b' | b'x') => true,
                Some(b's') => name.len() == b"script".len(),
                Some(b'f') => name.len() == b"function".len(),
                _ => false,
            };
        may && passage::passage(args).is_ok_and(|passage| passage.holds(args) != Holds::Nothing)
    }

    /// A request that was refused for its arity or its name spoils a transaction.
    #[cold]
    pub(in crate::engine::upstream) fn refused_inside(&mut self, conn: ConnId) {
        let router = self.router.as_deref_mut().expect("there is a router");
        if let Some(bond) = router.own.bonds.get_mut(&conn) {
            bond.tie.refused();
        }
    }

    /// Passes on a request that needs its client's own connection; none: it goes as if there were none.
    pub(in crate::engine::upstream) fn pass_on_alone(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        (passage, holds): (&'static Passage, Holds),
        args: &mut Args,
    ) -> Option<Passed> {
        if passage.command == Some(Command::Quit) {
            return Some(Passed::No);
        }
        let router = self.router.as_deref_mut().expect("there is a router");
        if matches!(passage.goes, Goes::All(_)) && !(client.is_tied || router.is_one) {
            return None;
        }
        let server = match router.target_of(passage, holds, args) {
            Ok(server) => server,
            Err(refusal) => {
                self.refused_inside(call.conn);
                self.refuse_to_pass(client, passage, refusal);
                return Some(Passed::Yes);
            }
        };
        let request = TieCall {
            passage,
            holds,
            server,
            is_resp3: client.proto == Proto::Resp3,
            is_awaiting: !client.queue.is_empty(),
            is_one: router.is_one,
        };
        let bond = router.own.bonds.entry(call.conn).or_default();
        let before = bond.tie.clone();
        let turn = bond.tie.ask(&request);
        let passed = self.take_turn(call, client, (passage, holds), args, turn);
        let passed = match passed {
            Ok(passed) => passed,
            Err(text) => {
                let router = self.router.as_deref_mut().expect("there is a router");
                let bond = router.own.bonds.get_mut(&call.conn).expect("it was there just now");
                bond.tie = before;
                bond.tie.refused();
                self.answer_here(client, &text);
                Some(Passed::Yes)
            }
        };
        let router = self.router.as_deref_mut().expect("there is a router");
        router.own.tell(call.conn, client);
        passed
    }

    /// Does what the tie has said; an error is the client's, and the tie has been told something untrue.
    fn take_turn(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        (passage, holds): (&'static Passage, Holds),
        args: &mut Args,
        turn: Turn<u32>,
    ) -> Result<Option<Passed>, String> {
        match turn {
            Turn::Shared => {
                if passage.command == Some(Command::Hello) {
                    self.change_version(call, client, args);
                }
                return Ok(None);
            }
            Turn::Wait => return Ok(Some(Passed::Waits)),
            Turn::Unsubscribed => return Ok(Some(Passed::No)),
            Turn::Drop => {
                self.drop_own(call, client);
                return Ok(Some(Passed::No));
            }
            Turn::Ok => client.answer(|reply| reply.ok()),
            Turn::Empty => client.answer(|reply| reply.array(0)),
            Turn::Error(text) => self.answer_here(client, text),
            Turn::Own { server, begins } => {
                if server == Some(HERE) {
                    let router = self.router.as_deref().expect("there is a router");
                    return Err(Refusal::Embedded.text(&router.pools[0].name, passage.name));
                }
                let row = self.own_row(call, client, server, begins)?;
                self.learn_id(call, client, row);
                let is_subscription = matches!(holds, Holds::Listens | Holds::Unlistens);
                let names = if is_subscription { args.len() as u32 - 1 } else { 0 };
                // As in Redis, CLIENT REPLY does not mute what a subscription answers.
                let slot = client.queue.wait(client.is_muted() && !is_subscription);
                let ticket = Ticket::new(call.conn, slot, names);
                let key = passage.keys(args).first().map_or(Slot(0), |key| slot_of(args.get(key)));
                let reads = passage.is_read();
                self.bar_for_own(client, holds, reads);
                self.ask_own(call, client, (row, key), (ticket, Kind::Reply(holds), reads), |out| encode(args, out));
                self.end_bar();
            }
            Turn::Discard { begins } => {
                let row = self.own_row(call, client, None, begins)?;
                self.ask_own_silently(call, client, row, Kind::Ends, &[b"DISCARD"]);
                self.answer_here(client, ABORTED);
            }
        }
        Ok(Some(Passed::Yes))
    }

    fn answer_here(&mut self, client: &mut Client, text: &str) {
        self.shard.counts.tally.error(text.as_bytes());
        client.answer(|reply| reply.error(text));
    }

    /// The client's own connection, in its version, with a transaction begun if that is asked for.
    fn own_row(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        server: Option<u32>,
        begins: bool,
    ) -> Result<u32, String> {
        let router = self.router.as_deref_mut().expect("there is a router");
        let bond = router.own.bonds.get(&call.conn).expect("whoever has asked has one");
        let row = match bond.row {
            Some(row) => row,
            None => {
                let server = server.unwrap_or_else(|| router.any_server(0));
                let way = (server, client.proto);
                let row = router.take_own(call.now.mono_us, way, call.conn, call.effects);
                let row = row.map_err(|none| router.why_none(none, server))?;
                let bond = router.own.bonds.get_mut(&call.conn).expect("it was there just now");
                bond.tie.took(server);
                (bond.row, bond.speaks) = (Some(row), client.proto);
                row
            }
        };
        self.speak(call, client, row, client.proto);
        if begins {
            self.ask_own_silently(call, client, row, Kind::Begins, &[b"MULTI"]);
        }
        Ok(row)
    }

    /// Before a request that blocks: CLIENT UNBLOCK has to name it.
    fn learn_id(&mut self, call: &mut Call, client: &mut Client, row: u32) {
        let router = self.router.as_deref_mut().expect("there is a router");
        let blocks = router.own.bonds.get(&call.conn).is_some_and(|bond| bond.tie.is_blocking());
        let own = router.rows[row as usize].own_mut().expect("it is a client's own");
        if blocks && own.id.is_none() {
            own.id = Some(0);
            self.ask_own_silently(call, client, row, Kind::Names, &[b"CLIENT", b"ID"]);
        }
    }

    /// Ends the wait of a client at a server, as that server does; false: it does not wait there.
    pub(in crate::engine) fn unblock_own(&mut self, now: Now, id: u64, fails: bool, effects: &mut Effects) -> bool {
        let Some(conn) = self.sessions.conn_of(id) else { return false };
        let Some(router) = self.router.as_deref_mut() else { return false };
        let Some(bond) = router.own.bonds.get(&conn).filter(|bond| bond.tie.is_blocking()) else { return false };
        let Some(row) = bond.row.map(|row| &router.rows[row as usize]) else { return false };
        let Some(name) = row.own().and_then(|own| own.id).filter(|id| *id > 0) else { return false };
        let way = LinkWay::of(Proto::Resp2, 0);
        let Some(link) = router.link_to(now.mono_us, row.server, way, effects) else { return false };
        let (name, ending) = (name.to_string(), if fails { &b"ERROR"[..] } else { b"TIMEOUT" });
        let asked = Asked { whose: Whose::Asking, again: true, ..Asked::default() };
        let words = [b"CLIENT", &b"UNBLOCK"[..], name.as_bytes(), ending];
        router.ask(now.mono_us, link, asked, |out| push_words(&mut out.bytes, &words), effects);
        true
    }

    /// Has a connection speak the client's version.
    fn speak(&mut self, call: &mut Call, client: &mut Client, row: u32, proto: Proto) {
        let router = self.router.as_deref_mut().expect("there is a router");
        let own = router.rows[row as usize].own_mut().expect("it is a client's own");
        if own.proto != proto {
            own.proto = proto;
            let version: &[u8] = if proto == Proto::Resp3 { b"3" } else { b"2" };
            self.ask_own_silently(call, client, row, Kind::Speaks(proto), &[b"HELLO", version]);
        }
    }

    /// HELLO is answered here, and holds for what the client hears of its server as well.
    fn change_version(&mut self, call: &mut Call, client: &mut Client, args: &Args) {
        let router = self.router.as_deref().expect("there is a router");
        let row = router.own.bonds.get(&call.conn).and_then(|bond| bond.row);
        let proto = match args.try_get(1) {
            Some(b"2") => Proto::Resp2,
            Some(b"3") => Proto::Resp3,
            _ => return,
        };
        if let Some(row) = row {
            self.speak(call, client, row, proto);
        }
    }

    fn drop_own(&mut self, call: &mut Call, client: &mut Client) {
        let router = self.router.as_deref_mut().expect("there is a router");
        let bond = router.own.bonds.remove(&call.conn);
        if let Some(row) = bond.and_then(|bond| bond.row) {
            router.close_own(row, call.effects);
        }
        router.own.tell(call.conn, client);
    }

    fn ask_own_silently(&mut self, call: &mut Call, client: &mut Client, row: u32, kind: Kind, words: &[&[u8]]) {
        // The reply slot of what comes behind: messages before it may stand in front of that.
        let of = (Ticket::new(call.conn, client.queue.numbers().end, 0), kind, false);
        self.ask_own(call, client, (row, Slot(0)), of, |out| push_words(&mut out.bytes, words));
    }

    fn ask_own(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        (row, slot): (u32, Slot),
        (ticket, kind, reads): (Ticket, Kind, bool),
        encode: impl FnOnce(&mut Output),
    ) {
        let router = self.router.as_deref_mut().expect("there is a router");
        let server = router.rows[row as usize].server;
        let pool = router.servers[server as usize].pool as u16;
        let (whose, proto) = (Whose::Own(ticket, kind), client.proto);
        let bar = router.hot.bar;
        router.hot.hold(bar);
        let asked = Asked { whose, reads, again: true, pool, slot, hops: Hops::default(), proto, tracks: false, bar };
        if router.ask(call.now.mono_us, row, asked, encode, call.effects) && client.congested == 0 {
            router.await_room(row, call.conn, client);
        }
    }
}

impl Router {
    /// What a client is told that cannot have a connection.
    pub(super) fn why_none(&mut self, none: NoRow, server: u32) -> String {
        let pool = &self.pools[self.servers[server as usize].pool];
        match none {
            NoRow::Resting => self.unreachable(server),
            NoRow::Full => format!(
                "ERR upstream {}: {} connections are clients' own, and no more may be (own_connections_max)",
                pool.name, pool.own_max
            ),
        }
    }
}
