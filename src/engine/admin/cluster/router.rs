//! CLUSTER in front of an existing engine: the router as one node that has all slots, at the address that a client has asked
//! on. So clients that know clusters send it everything, and whatever keys lie on is followed here.

use super::facade::{Endpoint, Facade, View, port_of};
use crate::engine::Engine;
use crate::engine::sessions::Client;
use crate::protocol::command::{Command, spec};
use crate::protocol::resp::Args;
use crate::routing::SlotTable;
use crate::types::CoreId;

/// Of a client that came over a Unix socket, which has no address to be told.
const IP_OTHERWISE: &str = "127.0.0.1";

impl Engine {
    pub(super) fn tell_router(&self, client: &mut Client, command: Command, args: &Args) {
        let router = self.router.as_deref().expect("it is asked of a router");
        match command {
            Command::ReadOnly | Command::ReadWrite | Command::Asking => client.answer(|reply| reply.ok()),
            Command::ClusterCountKeysInSlot | Command::ClusterGetKeysInSlot | Command::ClusterSlotStats => {
                let text = router.one_server(spec(command).name);
                client.answer(|reply| reply.error(&text));
            }
            _ => {
                let report = self.host.report();
                let port = Some(port_of(&client.profile.local)).filter(|port| *port != 0).unwrap_or(report.port);
                let facade = Facade {
                    first_port: port,
                    announced_port: port,
                    front_port: port,
                    ip: None,
                    ip_otherwise: IP_OTHERWISE.to_owned(),
                    hostname: None,
                    endpoint: Endpoint::Ip,
                    seed: report.run_id,
                };
                let table = SlotTable::contiguous(1, &[]).expect("one core can have all slots");
                let local = client.profile.local.clone();
                let view = View::new(&facade, &table, Some(CoreId(0)), &local);
                let reason = "this is a router, and the servers behind it place the slots";
                client.answer(|reply| super::tell(&view, command, args, reason, reply));
            }
        }
    }
}
