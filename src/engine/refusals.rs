//! Requests that do not get to run, and those that ran and failed: what is answered, and what is counted.

use super::Engine;
use super::sessions::Client;
use crate::protocol::command::{Command, CommandError, Spec, flags::flag, resolve};
use crate::protocol::resp::{Args, Input, ProtocolError};
use crate::session::Mark;
use crate::types::ConnId;

const NOAUTH: &str = "NOAUTH Authentication required.";

/// Whether a client may not ask for it, as things stand.
pub(super) fn is_turned_away(client: &Client, spec: &Spec) -> bool {
    !client.authenticated && !spec.has(flag::NO_AUTH) || client.is_confined() && !may_listener(spec.command)
}

/// Whether a client that does little besides listening may ask for it.
pub(super) fn may_listener(command: Command) -> bool {
    use Command::{PSubscribe, PUnsubscribe, Ping, Quit, Reset, SSubscribe, SUnsubscribe, Subscribe, Unsubscribe};
    matches!(
        command,
        Ping | Quit | Reset | Subscribe | Unsubscribe | PSubscribe | PUnsubscribe | SSubscribe | SUnsubscribe
    )
}

impl Engine {
    /// Bytes that are no request end the connection.
    pub(super) fn refuse(&mut self, client: &mut Client, error: &ProtocolError) {
        client.answer(|reply| reply.protocol_error(error));
        client.closing = true;
        client.input = Input::new();
        self.shard.counts.tally.error(b"ERR");
    }

    /// A request that names no command or has the wrong number of arguments (`spec` is none), or a stranger's.
    #[cold]
    pub(super) fn turn_away(&mut self, conn: ConnId, client: &mut Client, spec: Option<&'static Spec>, args: &Args) {
        let tally = &mut self.shard.counts.tally;
        if let Some(spec) = spec {
            tally.taken_back(spec.command);
            tally.error(NOAUTH.as_bytes());
            return self.answer_refusal(conn, client, spec.command, NOAUTH.as_bytes());
        }
        // As in Redis, strangers learn this too.
        let error = resolve(args).expect_err("it was refused when it was parsed");
        tally.error(&error.text());
        match &error {
            CommandError::WrongArity { spec } => {
                tally.rejected(spec.command);
                self.answer_refusal(conn, client, spec.command, &error.text());
            }
            _ => {
                self.refuse_queueing(client);
                client.answer(|reply| error.write(reply));
            }
        }
        // CLIENT CACHING is for one request, also for one that is refused, but for those of CLIENT.
        let is_clients = matches!(&error, CommandError::WrongArity { spec } if spec.name.starts_with("client|"));
        if let Some(tracker) = client.tracker.as_mut().filter(|_| !is_clients && client.multi.is_none()) {
            tracker.caching = false;
        }
    }

    /// A refused request between MULTI and EXEC spoils the transaction; a refused EXEC ends it.
    fn answer_refusal(&mut self, conn: ConnId, client: &mut Client, command: Command, error: &[u8]) {
        if command == Command::Exec {
            return self.refuse_exec(conn, client, &String::from_utf8_lossy(error));
        }
        self.refuse_queueing(client);
        client.answer(|reply| reply.error_bytes(error));
    }

    /// Turns a request away that needs keys which are still being loaded.
    #[cold]
    pub(super) fn turn_away_while_loading(&mut self, conn: ConnId, client: &mut Client, spec: &'static Spec) -> bool {
        let Some(error) = self.refusal_while_loading(spec) else { return false };
        self.shard.counts.tally.taken_back(spec.command);
        self.shard.counts.tally.error(error.as_bytes());
        self.answer_refusal(conn, client, spec.command, error.as_bytes());
        true
    }

    /// A request that a client may not make while it listens.
    #[cold]
    pub(super) fn turn_away_listener(&mut self, conn: ConnId, client: &mut Client, spec: &'static Spec) {
        let error = format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
            spec.name
        );
        self.shard.counts.tally.taken_back(spec.command);
        self.shard.counts.tally.error(error.as_bytes());
        self.answer_refusal(conn, client, spec.command, error.as_bytes());
    }

    /// Counts a request that was queued, or refused instead. It is counted as one that ran where it arrived, and again when
    /// EXEC runs it.
    pub(super) fn count_queued(&mut self, client: &Client, mark: Mark, spec: &'static Spec) {
        match client.error_since(mark) {
            Some(line) => {
                self.shard.counts.tally.error(line);
                self.shard.counts.tally.taken_back(spec.command);
            }
            None => {
                self.shard.counts.tally.put_off(spec.command);
                self.durations.put_off(spec.command);
            }
        }
    }

    /// Counts a request that was answered an error on the spot. Operations on keys are counted where they run.
    #[inline]
    pub(super) fn count_failure(&mut self, client: &Client, mark: Mark, spec: &'static Spec) {
        if let Some(line) = client.error_since(mark) {
            self.shard.counts.tally.failed(spec.command);
            self.shard.counts.tally.error(line);
        }
    }
}
