//! Owns: HOTKEYS, the commands by which people look at hot keys.
//! Knows: what each core's heat, board, directory and cache can tell, and how that is put together into a reply.
//! Must never know: how keys are counted, what is decided about them, how copies are kept.
//! Read first: `list.rs`.

mod explain;
mod list;
mod session;

pub use list::{HotKey, hottest_first, read_keys, write_keys};

use super::SYNTAX;
use crate::engine::Engine;
use crate::engine::event::HostReport;
use crate::engine::gather::{self, Gather};
use crate::engine::ingress::Call;
use crate::engine::sessions::Client;
use crate::protocol::command::Command;
use crate::protocol::resp::{Args, Proto, Reply};
use crate::types::Now;
use explain::Explain;
use session::Report;

/// A HOTKEYS reply that gathers the parts of all cores.
pub enum Heat {
    List(Vec<HotKey>),
    Explain(Explain),
    Get(Report),
}

impl gather::Report for Heat {
    fn add(&mut self, core: u32, bytes: &[u8]) {
        match self {
            Heat::List(keys) => keys.extend(read_keys(core, bytes)),
            Heat::Explain(explain) => explain.add(bytes),
            Heat::Get(report) => report.add(core, bytes),
        }
    }

    fn encode(self: Box<Self>, reply: &mut Reply, host: &dyn Fn() -> HostReport) {
        match *self {
            Heat::List(keys) => list::encode(keys, reply),
            Heat::Explain(explain) => explain.encode(reply),
            Heat::Get(report) => report.encode(reply, host),
        }
    }
}

impl Engine {
    /// Runs a subcommand on all cores, unless it is refused or there is nothing to do.
    pub(super) fn hotkeys(&mut self, call: &mut Call, client: &mut Client, command: Command, args: &mut Args) {
        let cores = self.cores;
        let gather = match command {
            Command::HotkeysStart => self.check_start(args).map(|()| Gather::ok(cores)),
            Command::HotkeysReset => self.check_reset().map(|()| Gather::ok(cores)),
            Command::HotkeysStop if !self.is_tracking() => return client.answer(|reply| reply.null()),
            Command::HotkeysStop => Ok(Gather::ok(cores)),
            _ => Ok(Gather::report(cores, self.hotkeys_request(call.now, command, args))),
        };
        match gather {
            Ok(gather) => {
                let gather = gather.in_proto(client.proto);
                self.everywhere(call, client, command, args, gather);
            }
            Err(error) => client.answer(|reply| reply.error(error)),
        }
    }

    /// NOTIFY ON|OFF
    pub(super) fn hotkeys_notify(&mut self, client: &mut Client, args: &Args) {
        let on = match args.get(2).to_ascii_lowercase().as_slice() {
            b"on" if client.proto == Proto::Resp2 => {
                let error = "ERR HOTKEYS NOTIFY sends push messages, which RESP2 does not have; say HELLO 3 first";
                return client.answer(|reply| reply.error(error));
            }
            b"on" => true,
            b"off" => false,
            _ => return client.answer(|reply| reply.error(SYNTAX)),
        };
        client.hears_heat = on;
        self.desk.heard |= on;
        client.answer(|reply| reply.ok());
    }

    /// What a request is to be answered with once all cores have done their parts.
    fn hotkeys_request(&self, now: Now, command: Command, args: &Args) -> Heat {
        match command {
            Command::HotkeysGet => Heat::Get(self.report_request(now)),
            Command::HotkeysList => Heat::List(Vec::new()),
            Command::HotkeysExplain => Heat::Explain(self.explain_request(args.get(2))),
            other => unreachable!("{other:?} gathers no heat"),
        }
    }

    /// This core's part.
    pub(in crate::engine) fn hotkeys_part(&mut self, now: Now, command: Command, args: &Args, reply: &mut Reply) {
        match command {
            Command::HotkeysList => write_keys(&self.hot_keys(now, usize::MAX), &mut reply.out.bytes),
            Command::HotkeysExplain => self.explain_part(now, args.get(2), &mut reply.out.bytes),
            Command::HotkeysGet => self.report_part(now, &mut reply.out.bytes),
            Command::HotkeysStart | Command::HotkeysStop | Command::HotkeysReset => {
                match command {
                    Command::HotkeysStart => self.start_part(now, args),
                    Command::HotkeysStop => self.stop_part(now),
                    _ => self.end_hot_session(),
                }
                reply.ok();
            }
            other => unreachable!("{other:?} gathers no heat"),
        }
    }
}

/// A name and its number.
fn field(reply: &mut Reply, name: &str, value: u64) {
    reply.bulk(name.as_bytes());
    reply.integer(i64::try_from(value).unwrap_or(i64::MAX));
}

/// A name and its text.
fn text_field(reply: &mut Reply, name: &str, value: &[u8]) {
    reply.bulk(name.as_bytes());
    reply.bulk(value);
}
