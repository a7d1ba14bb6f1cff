//! What is asked of a server that has replicas or is one: ROLE, REPLICAOF, FAILOVER, WAIT. This one has none.

use super::SYNTAX;
use crate::engine::Engine;
use crate::engine::ingress::Call;
use crate::engine::sessions::Client;
use crate::protocol::resp::{Args, parse_i64};

const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
const NO_REPLICATION: &str = "ERR replication is not supported: this server has no replicas and cannot be one";

/// Longer waits than some thousand years last so long.
const TIMEOUT_MS_MAX: u64 = 1 << 47;

pub fn role(client: &mut Client) {
    client.answer(|reply| {
        reply.array(3);
        reply.bulk(b"master");
        reply.integer(0);
        reply.array(0);
    });
}

/// REPLICAOF NO ONE is what it is; any other is refused.
pub fn replica_of(client: &mut Client, args: &Args) {
    let named = |at: usize, name: &str| args.get(at).eq_ignore_ascii_case(name.as_bytes());
    let port = parse_i64(args.get(2)).filter(|port| (0..=65_535).contains(port));
    client.answer(|reply| match port {
        _ if named(1, "no") && named(2, "one") => reply.ok(),
        None => reply.error("ERR Invalid master port"),
        Some(_) => reply.error(NO_REPLICATION),
    });
}

/// FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds], refused as by a Redis without replicas.
pub fn failover(client: &mut Client, args: &Args) {
    let error = failover_error(args);
    client.answer(|reply| reply.error(error));
}

fn failover_error(args: &Args) -> &'static str {
    let named = |at: usize, name: &str| args.get(at).eq_ignore_ascii_case(name.as_bytes());
    if args.len() == 2 && named(1, "abort") {
        return "ERR No failover in progress.";
    }
    let (mut at, mut timed, mut targeted, mut forced) = (1, false, false, false);
    while at < args.len() {
        let left = args.len() - at - 1;
        if named(at, "timeout") && left >= 1 && !timed {
            match parse_i64(args.get(at + 1)) {
                None => return NOT_AN_INTEGER,
                Some(ms) if ms <= 0 => return "ERR FAILOVER timeout must be greater than 0",
                Some(_) => (at, timed) = (at + 2, true),
            }
        } else if named(at, "to") && left >= 2 && !targeted {
            if parse_i64(args.get(at + 2)).is_none() {
                return NOT_AN_INTEGER;
            }
            (at, targeted) = (at + 3, true);
        } else if named(at, "force") && !forced {
            (at, forced) = (at + 1, true);
        } else {
            return SYNTAX;
        }
    }
    "ERR FAILOVER requires connected replicas."
}

/// A time to wait, in milliseconds, as CLIENT PAUSE and WAIT take it; 0 may mean for ever.
pub fn timeout_ms(text: &[u8]) -> Result<u64, &'static str> {
    match parse_i64(text) {
        None => Err("ERR timeout is not an integer or out of range"),
        Some(ms) if ms < 0 => Err("ERR timeout is negative"),
        Some(ms) => Ok((ms as u64).min(TIMEOUT_MS_MAX)),
    }
}

impl Engine {
    /// WAIT numreplicas timeout: as no replica ever acknowledges anything, whoever asks for one waits in vain.
    pub(super) fn wait(&mut self, call: &mut Call, client: &mut Client, args: &Args) {
        let Some(replicas) = parse_i64(args.get(1)) else {
            return client.answer(|reply| reply.error(NOT_AN_INTEGER));
        };
        match timeout_ms(args.get(2)) {
            Err(error) => client.answer(|reply| reply.error(error)),
            // Inside a transaction nobody waits, nor when the server ends.
            Ok(_) if replicas <= 0 || self.program_runs() || self.draining => client.answer(|reply| reply.integer(0)),
            Ok(ms) => {
                let until_us = (ms > 0).then(|| call.now.mono_us + ms * 1000);
                self.park(call, client, until_us);
            }
        }
    }
}
