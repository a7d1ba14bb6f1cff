//! Requests on so many keys that they take more than one turn: they stay in their client's input until they end.
//!
//! Meanwhile the client is stalled like one whose replies nobody reads, so its later requests wait their turn.

use super::Engine;
use super::ingress::Call;
use super::keys::Several;
use super::ledger::Interest;
use super::sessions::Client;
use crate::protocol::command::{Command, Spec};
use crate::protocol::resp::{Arg, Frame, Input};
use crate::types::ConnId;

/// A request with more arguments than this may take several turns.
const ARGS_MAX: usize = 64 * 1024;

/// A request under way, and where its bytes are held.
pub(super) struct Long {
    conn: ConnId,
    frame: Frame,
    args: Vec<Arg>,
    several: Several,
}

/// Whether a request is one that takes several turns.
pub(super) fn is_long(spec: Option<&'static Spec>, args: usize) -> bool {
    let on_keys = |spec: &Spec| {
        matches!(
            spec.command,
            Command::MGet | Command::MSet | Command::Del | Command::Unlink | Command::Exists | Command::Touch
        )
    };
    args > ARGS_MAX && spec.is_some_and(on_keys)
}

impl Engine {
    /// Begins a long request; true when it has ended already. Otherwise the input must keep its frame.
    pub(super) fn start_long(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        input: &mut Input,
        spec: &'static Spec,
        (frame, args): (Frame, &[Arg]),
    ) -> bool {
        if self.ledger.anyone_has(Interest::Requests) {
            self.write_down(call.now, client, Some(spec), &input.args(frame, args));
        }
        self.count_run(spec.command, 1, 0);
        client.last_command = spec.name;
        let Some(several) = self.start_several(client, spec, args.len()) else { return true };
        self.advance_long(call, client, input, Long { conn: call.conn, frame, args: args.to_vec(), several })
    }

    /// Goes on with the client's long request, if it has one; true when it has none any more.
    pub(super) fn resume_long(&mut self, call: &mut Call, client: &mut Client, input: &mut Input) -> bool {
        let Some(row) = self.long.iter().position(|long| long.conn == call.conn) else { return true };
        let long = self.long.swap_remove(row);
        let ended = self.advance_long(call, client, input, long);
        if ended {
            input.release();
        }
        ended
    }

    /// A connection is gone, and with it its long request.
    pub(super) fn forget_long(&mut self, conn: ConnId) {
        self.long.retain(|long| long.conn != conn);
    }

    fn advance_long(&mut self, call: &mut Call, client: &mut Client, input: &mut Input, mut long: Long) -> bool {
        let mut args = input.args(long.frame, &long.args);
        let watch = self.stopwatch(call.now);
        let done = self.advance_slice(call, client, &mut long.several, &mut args);
        let us = self.look(watch);
        if us >= watch.threshold_us {
            self.log_slow(call, client, Some(long.several.spec()), &args, us);
        }
        if done {
            client.command_ends();
            self.request_ends(client, long.several.spec());
            client.midway = false;
            client.push_aside();
            return true;
        }
        client.midway = true;
        self.long.push(long);
        client.stalled = true;
        self.wait_for_turn(call.conn, client);
        false
    }
}
