//! CLIENT PAUSE, UNPAUSE and UNBLOCK, on every core.

use super::replication::timeout_ms;
use crate::engine::Engine;
use crate::engine::event::Effects;
use crate::engine::waits::{Ending, Pause};
use crate::protocol::command::Command;
use crate::protocol::resp::{Args, Reply, parse_i64};
use crate::types::Now;

/// CLIENT PAUSE timeout [WRITE|ALL]: for how long, and whether all requests wait.
fn pause_options(args: &Args) -> Result<(u64, bool), &'static str> {
    if args.len() > 4 {
        return Err("ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP.");
    }
    let all = match args.try_get(3) {
        None => true,
        Some(mode) if mode.eq_ignore_ascii_case(b"all") => true,
        Some(mode) if mode.eq_ignore_ascii_case(b"write") => false,
        Some(_) => return Err("ERR CLIENT PAUSE mode must be WRITE or ALL"),
    };
    Ok((timeout_ms(args.get(2))?, all))
}

/// CLIENT UNBLOCK client-id [TIMEOUT|ERROR]
fn unblock_options(args: &Args) -> Result<(i64, Ending), &'static str> {
    if args.len() > 4 {
        return Err("ERR unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT HELP.");
    }
    let ending = match args.try_get(3) {
        None => Ending::Timeout,
        Some(reason) if reason.eq_ignore_ascii_case(b"timeout") => Ending::Timeout,
        Some(reason) if reason.eq_ignore_ascii_case(b"error") => Ending::Error,
        Some(_) => return Err("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"),
    };
    Ok((parse_i64(args.get(2)).ok_or("ERR value is not an integer or out of range")?, ending))
}

/// What is wrong with one of these commands.
pub fn check(command: Command, args: &Args) -> Result<(), &'static str> {
    match command {
        Command::ClientPause => pause_options(args).map(|_| ()),
        Command::ClientUnblock => unblock_options(args).map(|_| ()),
        _ => Ok(()),
    }
}

impl Engine {
    /// This core's part.
    pub(super) fn pause_part(
        &mut self,
        now: Now,
        command: Command,
        args: &Args,
        reply: &mut Reply,
        effects: &mut Effects,
    ) {
        const CHECKED: &str = "the core that was asked has checked it";
        match command {
            Command::ClientPause => {
                let (ms, all) = pause_options(args).expect(CHECKED);
                self.pause(Pause { until_us: now.mono_us + ms * 1000, all });
                reply.ok();
            }
            Command::ClientUnpause => {
                self.unpause(now, effects);
                reply.ok();
            }
            _ => {
                let (id, ending) = unblock_options(args).expect(CHECKED);
                let ended = u64::try_from(id).is_ok_and(|id| self.unblock(now, id, ending, effects));
                reply.integer(i64::from(ended));
            }
        }
    }
}
