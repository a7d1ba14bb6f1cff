//! Owns: HOTKEYS, the commands by which people look at hot keys.
//! Knows: what each core's heat, board, directory and cache can tell, and how that is put together into a reply.
//! Must never know: how keys are counted, what is decided about them, how copies are kept.
//! Read first: `list.rs`.

mod explain;
mod list;

pub use list::{HotKey, hottest_first, read_keys, write_keys};

use crate::engine::Engine;
use crate::engine::event::HostReport;
use crate::protocol::command::Command;
use crate::protocol::resp::{Args, Reply};
use crate::types::Now;
use explain::Explain;

/// A HOTKEYS reply that gathers the parts of all cores.
pub enum Heat {
    List(Vec<HotKey>),
    Explain(Explain),
}

impl Heat {
    /// Takes the part of one core.
    pub fn add(&mut self, core: u32, bytes: &[u8]) {
        match self {
            Heat::List(keys) => keys.extend(read_keys(core, bytes)),
            Heat::Explain(explain) => explain.add(bytes),
        }
    }

    pub fn encode(self, reply: &mut Reply, _: &dyn Fn() -> HostReport) {
        match self {
            Heat::List(keys) => list::encode(keys, reply),
            Heat::Explain(explain) => explain.encode(reply),
        }
    }
}

impl Engine {
    /// What a request is to be answered with once all cores have done their parts.
    pub(in crate::engine) fn hotkeys_request(&mut self, _: Now, command: Command, args: &Args) -> Heat {
        match command {
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
