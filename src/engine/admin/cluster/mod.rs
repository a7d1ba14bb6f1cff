//! Owns: the process as a cluster of its cores, or as one node in front of others: CLUSTER, READONLY, READWRITE, ASKING, and what a node's port narrows.
//! Knows: who owns which slot, the port that a client came in by.
//! Must never know: listening sockets, how slots were placed; that is decided before the engine starts.
//! Read first: `facade.rs` (who the nodes are and how they are told), then `cluster` below.
//!
//! Nothing is redirected: a request for another core's key is served by letter on any port, and so are several keys of
//! several slots. Clients that send each key to its owner's port cost no letter; the others lose nothing.

mod facade;
mod router;
mod slot_stats;

pub use facade::{Endpoint, Facade};

use super::super::ingress::Call;
use super::super::scatter::CHECKED;
use super::super::sessions::Client;
use super::{SYNTAX, flush_option, scan};
use crate::engine::Engine;
use crate::protocol::command::Command;
use crate::protocol::resp::{Args, Reply, parse_i64, quoting};
use crate::routing::slot_of;
use crate::types::{SLOTS, Slot};
use facade::View;

const DISABLED: &str = "ERR This instance has cluster support disabled";
const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";

impl Engine {
    /// Runs a command of cluster-aware clients. Where nothing is announced they hear what Redis says with its cluster
    /// switched off; KEYSLOT answers all the same, since slots place keys here too.
    pub(in crate::engine) fn cluster(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        command: Command,
        args: &mut Args,
    ) {
        if command == Command::ClusterKeySlot {
            return client.answer(|reply| reply.integer(i64::from(slot_of(args.get(2)).0)));
        }
        if self.settings.cluster.is_none() {
            if self.router.is_some() {
                return self.tell_router(client, command, args);
            }
            return client.answer(|reply| reply.error(DISABLED));
        }
        match command {
            Command::ReadOnly | Command::ReadWrite | Command::Asking => client.answer(|reply| reply.ok()),
            Command::ClusterCountKeysInSlot | Command::ClusterGetKeysInSlot => {
                self.keys_in_slot(call, client, command, args);
            }
            Command::ClusterSlotStats => self.slot_stats(call, client, args),
            _ => self.tell_cluster(client, command, args),
        }
    }

    /// What every core knows by itself.
    fn tell_cluster(&self, client: &mut Client, command: Command, args: &Args) {
        let Some(facade) = self.settings.cluster.as_deref() else { return };
        let local = client.profile.local.clone();
        let view = View::new(facade, &self.table, self.is_node(client).then_some(self.core), &local);
        let reason = "each node is a core of one process, and its configuration places the slots";
        client.answer(|reply| tell(&view, command, args, reason, reply));
    }

    /// COUNTKEYSINSLOT slot, GETKEYSINSLOT slot count: asked of the slot's owner.
    fn keys_in_slot(&mut self, call: &mut Call, client: &mut Client, command: Command, args: &mut Args) {
        match slot_and_count(command, args) {
            Ok((slot, _)) => self.on_core(call, client, self.table.owner(slot), command, args),
            Err(error) => client.answer(|reply| reply.error(error)),
        }
    }

    /// This core's part, of a slot that is its own.
    pub(in crate::engine) fn keys_in_slot_part(&self, command: Command, args: &Args, reply: &mut Reply) {
        let (slot, count) = slot_and_count(command, args).expect(CHECKED);
        let here = self.shard.slot_len(slot);
        if command == Command::ClusterCountKeysInSlot {
            return reply.integer(here as i64);
        }
        reply.array(here.min(count));
        self.shard.slot_keys(slot).take(count).for_each(|key| reply.bulk(key));
    }

    /// Whether a client came in by the port of its core's node.
    pub(in crate::engine) fn is_node(&self, client: &Client) -> bool {
        let facade = self.settings.cluster.as_deref();
        facade.is_some_and(|facade| facade.listens(self.core) == facade::port_of(&client.profile.local))
    }

    /// A command on all keys that came in by a node's port concerns that node's keys alone: clients ask every node and
    /// add the answers up.
    pub(super) fn keys_of_node(&mut self, call: &mut Call, client: &mut Client, command: Command, args: &mut Args) {
        let checked = match command {
            Command::Scan => scan::Scan::parse(args, 1).map(|_| ()).map_err(String::into_bytes),
            Command::FlushAll | Command::FlushDb => flush_option(args),
            _ => Ok(()),
        };
        if let Err(error) = checked {
            return client.answer(|reply| reply.error_bytes(&error));
        }
        match command {
            // With one core to go through, the cursor ends where this core's keys do.
            Command::Scan => client.answer(|reply| self.scan_part(call.now, args, 1, reply)),
            _ => self.on_core(call, client, self.core, command, args),
        }
    }
}

/// What a view of the cluster says. `reason`: why nothing changes it.
fn tell(view: &View, command: Command, args: &Args, reason: &str, reply: &mut Reply) {
    match command {
        Command::ClusterInfo => reply.verbatim("txt", view.info().as_bytes()),
        Command::ClusterNodes => reply.verbatim("txt", view.nodes().as_bytes()),
        Command::ClusterMyId => reply.bulk(view.my_id().as_bytes()),
        Command::ClusterMyShardId => reply.bulk(view.my_shard_id().as_bytes()),
        Command::ClusterSlots => view.slots(reply),
        Command::ClusterShards => view.shards(reply),
        Command::ClusterLinks => reply.array(0),
        Command::ClusterReplicas | Command::ClusterSlaves | Command::ClusterCountFailureReports => {
            if !view.knows(args.get(2)) {
                reply.error_bytes(&quoting("ERR Unknown node ", args.get(2), ""));
            } else if command == Command::ClusterCountFailureReports {
                reply.integer(0);
            } else {
                reply.array(0);
            }
        }
        _ => {
            let name = String::from_utf8_lossy(args.get(1)).to_ascii_uppercase();
            reply.error(&format!("ERR CLUSTER {name} is not supported: {reason}"));
        }
    }
}

/// Whether a command is on all keys.
pub(super) fn is_on_keys(command: Command) -> bool {
    use Command::{DbSize, FlushAll, FlushDb, Keys, RandomKey, Scan};
    matches!(command, DbSize | FlushAll | FlushDb | Keys | RandomKey | Scan)
}

fn slot_and_count(command: Command, args: &Args) -> Result<(Slot, usize), &'static str> {
    let number = |at: usize| args.try_get(at).map_or(Some(0), parse_i64).ok_or(NOT_AN_INTEGER);
    let (slot, count) = (number(2)?, number(3)?);
    let invalid = match command {
        Command::ClusterCountKeysInSlot => "ERR Invalid slot",
        _ => "ERR Invalid slot or number of keys",
    };
    let slot = u16::try_from(slot).ok().filter(|slot| usize::from(*slot) < SLOTS).ok_or(invalid)?;
    Ok((Slot(slot), usize::try_from(count).map_err(|_| invalid)?))
}
