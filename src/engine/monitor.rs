//! MONITOR: every request that a client of any core runs, shown to the clients that asked for it.
//!
//! Each core looks once a group of pipelined requests whether anybody watches, at one word that all cores share and that
//! nearly never changes. If so it writes each request down before it runs (a large value is moved into the store by the
//! run), and behind the event shows all of them to its own monitors and sends them to the cores that have others. A monitor
//! sees the requests of one connection in their order; those of different cores come as they come.

use super::Engine;
use super::event::Effects;
use super::ledger::Interest;
use super::refusals::is_turned_away;
use super::sessions::Client;
use super::slow::is_secret;
use super::transaction::is_queued;
use crate::protocol::command::{Command, Spec, flags::flag, spec};
use crate::protocol::resp::{Arg, Args, Output};
use crate::session::Queued;
use crate::types::{ConnId, Now};
use std::io::Write;
use std::sync::Arc;

/// The monitors of one core, and what they are yet to be shown.
#[derive(Default)]
pub(super) struct Monitors {
    conns: Vec<ConnId>,
    lines: Output,
}

impl Monitors {
    pub fn has_lines(&self) -> bool {
        !self.lines.is_empty()
    }
}

impl Engine {
    /// MONITOR. As in Redis, a second one is not even answered.
    pub(super) fn start_monitor(&mut self, conn: ConnId, client: &mut Client) {
        if client.monitors {
            return;
        }
        client.monitors = true;
        self.monitors.conns.push(conn);
        self.ledger.set_interest(self.core, Interest::Requests, true);
        client.answer(|reply| reply.ok());
    }

    pub(super) fn stop_monitor(&mut self, conn: ConnId, client: &mut Client) {
        if client.monitors {
            client.monitors = false;
            self.monitors.conns.retain(|known| *known != conn);
            self.ledger.set_interest(self.core, Interest::Requests, !self.monitors.conns.is_empty());
        }
    }

    /// Writes down a request that is about to run. What is refused unseen, and what administers the server, is not shown.
    #[cold]
    pub(super) fn write_down(&mut self, now: Now, client: &Client, spec: Option<&'static Spec>, args: &Args) {
        let Some(spec) = spec else { return };
        // What is queued is shown when it runs, and EXEC behind it.
        let later = client.multi.is_some() && is_queued(spec.command) || spec.command == Command::Exec;
        if later || spec.has(flag::ADMIN | flag::SKIP_MONITOR) || is_turned_away(client, spec) {
            return;
        }
        self.write_line(now, client, spec, args);
    }

    /// Writes down a transaction as it begins, or an EXEC that runs none.
    pub(super) fn write_down_exec(&mut self, now: Now, client: &Client, requests: &mut [Queued]) {
        if !self.ledger.anyone_has(Interest::Requests) {
            return;
        }
        for queued in requests {
            if !queued.spec.has(flag::ADMIN | flag::SKIP_MONITOR) {
                self.write_line(now, client, queued.spec, &queued.args.args());
            }
        }
        let exec = [Arg::text(0, 4)];
        self.write_line(now, client, spec(Command::Exec), &Args::new(b"exec", &exec, &mut []));
    }

    fn write_line(&mut self, now: Now, client: &Client, spec: &'static Spec, args: &Args) {
        let line = &mut self.monitors.lines.bytes;
        let peer = match client.profile.peer.strip_suffix(":0").filter(|peer| peer.starts_with('/')) {
            Some(path) => format!("unix:{path}"),
            None => client.profile.peer.clone(),
        };
        let (seconds, us) = (now.unix_us / 1_000_000, now.unix_us % 1_000_000);
        line.extend_from_slice(format!("+{seconds}.{us:06} [0 {peer}]").as_bytes());
        for (at, arg) in args.iter().enumerate() {
            line.extend_from_slice(b" \"");
            escape(line, if is_secret(spec.command, args, at) { b"(redacted)" } else { arg });
            line.push(b'"');
        }
        line.extend_from_slice(b"\r\n");
    }

    /// Behind an event whose requests were written down: shows them on all cores.
    #[cold]
    pub(super) fn show_requests(&mut self, now: Now, effects: &mut Effects) {
        let lines = Arc::new(std::mem::take(&mut self.monitors.lines));
        for core in self.interested_cores(Interest::Requests) {
            self.post.requests_seen(core, Arc::clone(&lines));
        }
        self.show(now, &lines, effects);
    }

    /// Shows requests, of this core or another, to the monitors of this one.
    pub(super) fn show(&mut self, now: Now, lines: &Output, effects: &mut Effects) {
        for conn in self.monitors.conns.clone() {
            let Some(mut client) = self.sessions.take(conn) else { continue };
            self.hand_over(now, conn, &mut client, lines, effects);
            self.announce(now, conn, &mut client, effects);
            self.sessions.put(conn, client);
        }
    }
}

/// Bytes as Redis quotes them.
fn escape(line: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        match byte {
            b'\\' | b'"' => line.extend_from_slice(&[b'\\', *byte]),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            0x07 => line.extend_from_slice(b"\\a"),
            0x08 => line.extend_from_slice(b"\\b"),
            b' '..=b'~' => line.push(*byte),
            _ => write!(line, "\\x{byte:02x}").expect("writing to memory succeeds"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_quoted_as_in_redis() {
        let mut line = Vec::new();
        escape(&mut line, b"a \"b\"\\\r\n\t\x07\x08\x00\x7f\xff~");
        assert_eq!(line, br#"a \"b\"\\\r\n\t\a\b\x00\x7f\xff~"#);
    }
}
