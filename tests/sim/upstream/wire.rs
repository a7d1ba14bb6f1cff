//! Connections that cores make to servers: dialled, heard, answered piece by piece, and ended by either side.

use super::fleet::{Deed, Fleet};
use crate::history::Failure;
use crate::link::{Link, State};
use crate::resp::brief;
use crate::swarm::Hazard;
use crate::turn::Core;
use crate::world::World;
use coldplate::engine::{Effects, Event};
use coldplate::types::{LinkId, Now};
use std::collections::VecDeque;

/// What a server knows of who asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peer {
    pub known: bool,
    pub resp3: bool,
    pub readonly: bool,
    pub asking: bool,
    /// It is told when what it has asked for changes.
    pub tracks: bool,
}

/// What is said, when it leaves at the earliest, and of a push which it is.
pub struct Said {
    due_us: u64,
    bytes: Vec<u8>,
    push: Option<usize>,
}

/// A connection as its server has it.
pub struct Wire {
    pub link: usize,
    pub node: usize,
    input: Vec<u8>,
    peer: Peer,
    /// Replies and pushes, in order.
    pub out: VecDeque<Said>,
    /// It reads nothing, or says nothing, until then.
    pub deaf_until_us: u64,
    pub mute_until_us: u64,
    /// It ends after so many more bytes of replies.
    pub ends_after: Option<usize>,
    /// It ends as soon as something was done for it, which nobody is told.
    pub dies_next: bool,
    /// Its server has ended it, or has seen its end.
    pub over: bool,
    /// The core has ended it, and the server is about to see that.
    left: bool,
}

impl Wire {
    fn new(link: usize, node: usize, known: bool) -> Wire {
        Wire {
            link,
            node,
            input: Vec::new(),
            peer: Peer { known, ..Peer::default() },
            out: VecDeque::new(),
            deaf_until_us: 0,
            mute_until_us: 0,
            ends_after: None,
            dies_next: false,
            over: false,
            left: false,
        }
    }

    /// When it goes on by itself.
    pub fn times(&self) -> impl Iterator<Item = u64> + '_ {
        let front_us = self.out.front().map(|said| said.due_us);
        let times = front_us.into_iter().chain([self.mute_until_us, self.deaf_until_us]);
        times.filter(|due_us| !self.over && *due_us < u64::MAX)
    }

    /// Says something behind all else that is said.
    pub fn says(&mut self, due_us: u64, bytes: Vec<u8>, push: Option<usize>) {
        let due_us = self.out.back().map_or(0, |said| said.due_us).max(due_us);
        self.out.push_back(Said { due_us, bytes, push });
    }

    /// It neither hears nor speaks any more.
    pub fn is_stuck(&self) -> bool {
        self.deaf_until_us == u64::MAX || self.mute_until_us == u64::MAX
    }
}

impl World {
    /// A core connects to servers, and gives up connecting.
    pub fn perform_dials(&mut self, core: usize, effects: &mut Effects) {
        for link in effects.hang_up.drain(..) {
            let dialled =
                |there: &&mut Link| there.core == core && there.state == State::Dialling && there.dial == Some(link);
            if let Some(there) = self.links.iter_mut().find(dialled) {
                there.state = State::Closed;
            }
        }
        for dial in effects.dial.drain(..) {
            self.dial(core, dial.link, &dial.address);
        }
    }

    fn dial(&mut self, core: usize, id: LinkId, address: &str) {
        let (link, now_us) = (self.links.len(), self.clock_us);
        self.links.push(Link { state: State::Dialling, dial: Some(id), ..Link::new(core) });
        let fleet = self.fleet.as_mut().expect("nobody else is dialled");
        let node = fleet.nodes.iter().position(|node| node.address == *address);
        let node = node.unwrap_or_else(|| panic!("there is no server at {address}"));
        self.links[link].node = node;
        let (up, dark) = (fleet.nodes[node].up, fleet.nodes[node].dark);
        let beset = fleet.setup.has(Hazard::Undialled) && !fleet.calm && self.rng.chance(30);
        let way = if beset { self.rng.below(4) } else { 0 };
        let fleet = self.fleet.as_mut().expect("it was there");
        fleet.note(self.event, format!("{address} is dialled at {now_us} us as link {link:3}"));
        match way {
            _ if dark => fleet.counts.hung += 1,
            // It goes on for ever, or for longer than anybody waits, or for a while.
            1 => fleet.counts.hung += 1,
            2 => {
                let us = self.rng.between(1, 2 * fleet.setup.connect_timeout_ms as usize * 1000) as u64;
                fleet.plan(now_us + us, Deed::Connect { link, made: true });
            }
            3 => {
                fleet.counts.refused += 1;
                self.links[link].made = Some(false);
            }
            _ => self.connect_wire(link, up),
        }
    }

    /// A connection is made, if its server is up.
    pub fn connect_wire(&mut self, link: usize, made: bool) {
        if self.links[link].state != State::Dialling {
            return;
        }
        let fleet = self.fleet.as_mut().expect("who connects has a fleet");
        let node = self.links[link].node;
        let made = made && fleet.nodes[node].up;
        fleet.counts.refused += usize::from(!made);
        self.links[link].made = Some(made);
        if made {
            fleet.wires.push(Wire::new(link, node, !fleet.setup.password));
        }
    }

    /// A core hears what has become of a dial.
    pub fn dial_ends(
        &mut self,
        core: usize,
        now: Now,
        link: usize,
        open: impl FnOnce(&mut Core) -> coldplate::types::ConnId,
    ) {
        let (id, made) = (self.links[link].dial.expect("it was dialled"), self.links[link].made.expect("it has ended"));
        let event = if made {
            let conn = open(&mut self.cores[core]);
            (self.links[link].conn, self.links[link].state) = (Some(conn), State::Open);
            Event::Dialled { link: id, conn }
        } else {
            self.links[link].state = State::Closed;
            Event::DialFailed { link: id, reason: "Connection refused".into() }
        };
        let Core { engine, effects, .. } = &mut self.cores[core];
        engine.handle(now, event, effects);
    }

    /// Connections at which a server finds something to do.
    pub fn busy_wires(&self) -> Vec<usize> {
        let Some(fleet) = &self.fleet else { return Vec::new() };
        (0..fleet.wires.len()).filter(|wire| self.hears(*wire) || self.speaks(*wire)).collect()
    }

    fn hears(&self, wire: usize) -> bool {
        let wire = &self.fleet.as_ref().expect("there are wires").wires[wire];
        let link = &self.links[wire.link];
        let news = !link.to_client.is_empty() || link.state == State::Closed;
        !wire.over && news && wire.deaf_until_us <= self.clock_us
    }

    fn speaks(&self, wire: usize) -> bool {
        let wire = &self.fleet.as_ref().expect("there are wires").wires[wire];
        let due = wire.out.front().is_some_and(|said| said.due_us <= self.clock_us);
        !wire.over && self.links[wire.link].state != State::Closed && due && wire.mute_until_us <= self.clock_us
    }

    /// A server reads what came on a connection, or sends some of what it has to say there.
    pub fn wire_acts(&mut self, wire: usize) -> Result<(), Failure> {
        match (self.hears(wire), self.speaks(wire)) {
            (true, true) if self.rng.chance(50) => self.wire_hears(wire),
            (_, true) => {
                self.wire_speaks(wire);
                Ok(())
            }
            (true, false) => self.wire_hears(wire),
            (false, false) => Ok(()),
        }
    }

    fn wire_hears(&mut self, number: usize) -> Result<(), Failure> {
        let fleet = self.fleet.as_mut().expect("there are wires");
        let wire = &mut fleet.wires[number];
        let link = &mut self.links[wire.link];
        if link.state == State::Closed && !std::mem::replace(&mut wire.left, true) {
            // What was on its way still comes, though nobody waits for replies any more, or is lost.
            if self.rng.chance(50) {
                link.move_bytes(link.movable(usize::MAX));
            } else {
                link.to_client.clear();
            }
        }
        let bytes = self.scenario.cut.draw(&mut self.rng, link.to_client.len());
        wire.input.extend(link.to_client.drain(..bytes));
        wire.over |= link.state == State::Closed && link.to_client.is_empty();
        self.serve_wire(number)
    }

    /// Does what has come whole.
    pub fn serve_wire(&mut self, number: usize) -> Result<(), Failure> {
        let failed = |what: String| Failure::new(format!("connection to server {number}: {what}"));
        let mut served = false;
        while let Some((words, length)) =
            parse(&self.fleet.as_ref().expect("there are wires").wires[number].input).map_err(failed)?
        {
            let fleet = self.fleet.as_mut().expect("there are wires");
            fleet.wires[number].input.drain(..length);
            let (node, mut peer) = (fleet.wires[number].node, fleet.wires[number].peer);
            (fleet.event, fleet.now_ms) = (self.event, (World::EPOCH_US + self.clock_us) / 1000);
            let reply = fleet.serve(number, &mut peer, &words).map_err(failed)?;
            let text = words.iter().map(|word| brief(word)).collect::<Vec<_>>().join(" ");
            let (link, address) = (fleet.wires[number].link, fleet.nodes[node].address.clone());
            fleet.note(self.event, format!("{address} link {link:3}  {text}  =>  {}", brief(&reply)));
            let delay_us = match fleet.setup.has(Hazard::Late) && !fleet.calm && self.rng.chance(10) {
                true => self.rng.between(1, 2 * fleet.setup.request_timeout_ms as usize * 1000) as u64,
                false => 0,
            };
            fleet.counts.late += usize::from(delay_us > 0);
            let wire = &mut fleet.wires[number];
            (wire.peer, served) = (peer, true);
            wire.says(self.clock_us + delay_us, reply, None);
            self.tell_trackers();
        }
        let fleet = self.fleet.as_mut().expect("there are wires");
        if served && fleet.wires[number].dies_next {
            self.end_wire(number, true);
            return Ok(());
        }
        // What was asked for clients that have left is still awaited.
        let core = self.links[fleet.wires[number].link].core;
        let clients = self.links.iter().filter(|link| link.dial.is_none() && link.core == core).count();
        let waiting = fleet.wires[number].out.iter().filter(|said| said.push.is_none()).count();
        let hot = if self.scenario.hot_window_us.is_some() { clients * self.scenario.unanswered_max + 9 } else { 0 };
        let most = fleet.in_flight_max(clients).saturating_add(hot);
        match waiting > most {
            true => Err(failed(format!("{waiting} requests are under way, where {most} may be"))),
            false => Ok(()),
        }
    }

    fn wire_speaks(&mut self, number: usize) {
        let fleet = self.fleet.as_mut().expect("there are wires");
        let wire = &mut fleet.wires[number];
        let said = wire.out.front_mut().expect("it has something to say");
        let bytes = self.scenario.cut.draw(&mut self.rng, said.bytes.len()).min(wire.ends_after.unwrap_or(usize::MAX));
        let link = &mut self.links[wire.link];
        link.to_server.extend(said.bytes.drain(..bytes));
        if said.bytes.is_empty() {
            let said = wire.out.pop_front().expect("it was just said");
            link.requests.extend(said.push.map(|push| (link.to_server.len(), push)));
        }
        let Some(left) = wire.ends_after else { return };
        wire.ends_after = Some(left - bytes);
        if left == bytes {
            self.fleet.as_mut().expect("it was there").counts.cut += 1;
            self.end_wire(number, false);
        }
    }

    /// A server ends a connection: in order, or so that what is on its way to the core is lost.
    pub fn end_wire(&mut self, number: usize, abruptly: bool) {
        let fleet = self.fleet.as_mut().expect("there are wires");
        let wire = &mut fleet.wires[number];
        if std::mem::replace(&mut wire.over, true) {
            return;
        }
        wire.out.clear();
        fleet.counts.lost += 1;
        let link = &mut self.links[wire.link];
        if abruptly {
            link.hang_up();
        } else {
            link.ended = true;
            link.to_client.clear();
        }
        let (node, number) = (&fleet.nodes[wire.node].address, wire.link);
        let text = format!("{node} ends link {number:3}{}", if abruptly { " abruptly" } else { "" });
        fleet.note(self.event, text);
    }
}

/// Slots of one request at most.
const SLOTS_MAX: usize = 5;

impl Fleet {
    /// Requests that a server may owe on one connection. Who finds no room has asked by then, in a cluster for each slot of
    /// his; and besides clients the router asks for the map, once more after two seconds.
    fn in_flight_max(&self, clients: usize) -> usize {
        let maps = 1 + self.setup.request_timeout_ms as usize / 2000;
        let (parts, maps) = if self.setup.is_cluster() { (SLOTS_MAX, maps) } else { (1, 0) };
        let own = self.setup.in_flight_max.saturating_add(parts * clients + maps - 1);
        // What goes elsewhere does not ask for room there.
        if self.setup.troubles.is_empty() { own } else { own.saturating_mul(2 * self.nodes.len()) }
    }
}

/// A request, and its length.
type Parsed = (Vec<Vec<u8>>, usize);

/// The first request of some bytes, and its length. Servers are asked in arrays of bulks alone.
fn parse(bytes: &[u8]) -> Result<Option<Parsed>, String> {
    let mut at = 0;
    let line = |at: &mut usize, kind: u8| -> Result<Option<usize>, String> {
        let Some(end) = bytes[*at..].windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
        let text = &bytes[*at..*at + end];
        let number = text.strip_prefix(&[kind]).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        *at += end + 2;
        number.map(Some).ok_or_else(|| format!("{} where a length is due", brief(text)))
    };
    let Some(count) = line(&mut at, b'*')? else { return Ok(None) };
    let mut words = Vec::new();
    for _ in 0..count {
        let Some(length) = line(&mut at, b'$')? else { return Ok(None) };
        let Some(word) = bytes.get(at..at + length + 2) else { return Ok(None) };
        let Some(word) = word.strip_suffix(b"\r\n") else { return Err(format!("{} without an end", brief(word))) };
        words.push(word.to_vec());
        at += length + 2;
    }
    if words.is_empty() { Err("an empty request".into()) } else { Ok(Some((words, at))) }
}
