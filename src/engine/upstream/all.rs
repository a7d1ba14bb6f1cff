//! Requests about all keys: each server that has any is asked, of every pool that routes lead to, and this one if they lead
//! here.

use super::join::{How, Joined, cursor_of};
use super::options::PoolKind;
use super::places::{Refusal, Way};
use super::router::Router;
use crate::engine::Engine;
use crate::engine::admin::{flush_option, scan::Scan};
use crate::engine::gather::Gather;
use crate::engine::ingress::Call;
use crate::engine::letter::Ticket;
use crate::engine::scatter::is_about_all_keys;
use crate::engine::sessions::Client;
use crate::protocol::command::Command;
use crate::protocol::command::passage::{Join, Passage};
use crate::protocol::resp::{Arg, Args};
use crate::routing::Routes;
use crate::types::CoreId;

/// Where keys may lie.
pub struct Reach {
    /// In pools, the one of keys that no route names first.
    pools: Vec<usize>,
    /// In this server.
    here: bool,
}

impl Reach {
    pub fn of(routes: &Routes<Option<usize>>) -> Reach {
        let mut reach = Reach { pools: Vec::new(), here: false };
        for target in routes.targets() {
            match target {
                Some(pool) if !reach.pools.contains(&pool) => reach.pools.push(pool),
                Some(_) => {}
                None => reach.here = true,
            }
        }
        reach
    }
}

impl Router {
    pub(super) fn way_to_all(&self, passage: &'static Passage, args: &Args, join: Join) -> Way {
        let command = passage.command;
        let is_on_keys = command.is_some_and(is_about_all_keys);
        let is_of_channels = passage.name.starts_with("pubsub");
        let here = is_on_keys && self.reach.here;
        // Messages are those of the first.
        let pools = if is_of_channels { &[0][..] } else { &self.reach.pools };
        if let ([pool], false) = (pools, here)
            && self.pools[*pool].kind == PoolKind::Single
        {
            return self.way_to_any();
        }
        if join == Join::Cursor {
            return self.page_of(args);
        }
        let mut servers = Vec::new();
        for pool in pools {
            let of_pool = self.servers_with_keys(*pool);
            if of_pool.is_empty() {
                return Way::Refused(Refusal::NoMap);
            }
            servers.extend(of_pool.into_iter().filter(|server| !self.left_out.contains(server)));
        }
        if servers.is_empty() {
            servers = pools.iter().flat_map(|pool| self.servers_with_keys(*pool)).collect();
        }
        let how = if join == Join::Key { How::Key(self.draw() % servers.len()) } else { How::By(join) };
        if here { Way::ToEachAndHere(servers, how) } else { Way::ToEach(servers, how) }
    }

    /// A number for a choice that does not matter.
    fn draw(&self) -> usize {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        turn
    }

    /// Where SCAN goes on. A server that is left out is passed over: its keys are elsewhere.
    fn page_of(&self, args: &Args) -> Way {
        let servers = self.reach.pools.iter().flat_map(|pool| self.servers_with_keys(*pool)).map(Some);
        let places: Vec<Option<u32>> = servers.chain(self.reach.here.then_some(None)).collect();
        let Some((at, cursor)) = cursor_of(args.get(1)) else { return Way::Refused(Refusal::Cursor) };
        if at as usize >= places.len() {
            return Way::Refused(if places.is_empty() { Refusal::NoMap } else { Refusal::Cursor });
        }
        let has_keys = |place: &u64| places[*place as usize].is_none_or(|server| !self.left_out.contains(&server));
        let end = places.len() as u64;
        let Some(place) = (at..end).find(has_keys) else { return Way::PastAll };
        let cursor = if place == at { cursor } else { 0 };
        let how = How::Page { server: place, next: (place + 1..end).find(has_keys) };
        match places[place as usize] {
            Some(server) => Way::Page { server, cursor, how },
            None => Way::PageHere { cursor, how },
        }
    }
}

impl Engine {
    /// Why a request about all keys cannot be about this server's.
    pub(super) fn check_here(command: Option<Command>, args: &Args) -> Result<(), Vec<u8>> {
        match command {
            Some(Command::FlushAll | Command::FlushDb) => flush_option(args),
            _ => Ok(()),
        }
    }

    /// Asks all cores as parts of a reply, of which servers give the first `servers`.
    pub(super) fn ask_cores(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        command: Command,
        args: &mut Args,
        (slot, servers): (u32, u32),
    ) {
        for core in (0..self.cores as u16).map(CoreId) {
            let ticket = Ticket::new(call.conn, slot, servers + u32::from(core.0));
            self.on_core_as_part(call, client, core, command, args, ticket);
        }
    }

    /// A page of SCAN of this server's own keys.
    pub(super) fn page_here(&mut self, call: &mut Call, client: &mut Client, args: &Args, cursor: u64, how: How) {
        let (mut text, mut places) = args.flatten();
        let digits = cursor.to_string();
        places[1] = Arg::text(text.len(), digits.len());
        text.extend_from_slice(digits.as_bytes());
        let mut no_bodies = [];
        let mut args = Args::new(&text, &places, &mut no_bodies);
        let core = match Scan::parse(&args, self.cores) {
            Ok(scan) => scan.core,
            Err(error) => return client.answer(|reply| reply.error(&error)),
        };
        let joined = Joined::new(how, 1, "embedded");
        let slot = client.queue.gather(Gather::report(1, joined), client.is_muted());
        self.on_core_as_part(call, client, core, Command::Scan, &mut args, Ticket::new(call.conn, slot, 0));
        client.queue.settle(&mut client.output);
    }
}
