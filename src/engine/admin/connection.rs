//! What a client says about its own connection: PING, HELLO, AUTH, SELECT, CLIENT REPLY, TIME.

use super::SYNTAX;
use super::client::valid_name;
use crate::engine::Engine;
use crate::engine::sessions::Client;
use crate::protocol::command::{Command, arity_text, spec};
use crate::protocol::resp::{Args, Proto, Reply, parse_i64, quoting};
use crate::session::ReplyMode;
use crate::types::{ConnId, Now};

/// The Redis version whose behaviour clients may count on; they choose features by it.
pub const REDIS_VERSION: &str = "7.0.15";
const WRONGPASS: &str = "WRONGPASS invalid username-password pair or user is disabled.";

pub fn ping(client: &mut Client, args: &Args) {
    match args.len() {
        1 | 2 if client.is_confined() => client.answer(|reply| {
            reply.array(2);
            reply.bulk(b"pong");
            reply.bulk(args.try_get(1).unwrap_or_default());
        }),
        1 => client.answer(|reply| reply.simple("PONG")),
        2 => client.answer(|reply| reply.bulk(args.get(1))),
        _ => client.answer(|reply| reply.error(&arity_text(spec(Command::Ping)))),
    }
}

pub fn select(client: &mut Client, args: &Args, cluster: bool) {
    client.answer(|reply| match parse_i64(args.get(1)) {
        Some(0) => reply.ok(),
        Some(index) if cluster && i32::try_from(index).is_ok() => {
            reply.error("ERR SELECT is not allowed in cluster mode");
        }
        Some(index) if i32::try_from(index).is_ok() => reply.error("ERR DB index is out of range"),
        Some(_) => reply.error(&format!("ERR value is out of range, value must between {} and {}", i32::MIN, i32::MAX)),
        None => reply.error("ERR value is not an integer or out of range"),
    });
}

pub fn time(client: &mut Client, now: Now) {
    let (seconds, microseconds) = (now.unix_us / 1_000_000, now.unix_us % 1_000_000);
    client.answer(|reply| {
        reply.array(2);
        reply.bulk(seconds.to_string().as_bytes());
        reply.bulk(microseconds.to_string().as_bytes());
    });
}

pub fn reply_mode(client: &mut Client, args: &Args) {
    match args.get(2).to_ascii_lowercase().as_slice() {
        b"on" => {
            client.reply_mode = ReplyMode::On;
            client.answer(|reply| reply.ok());
        }
        b"off" => client.reply_mode = ReplyMode::Off,
        b"skip" if client.reply_mode != ReplyMode::Off => client.reply_mode = ReplyMode::SkipNext,
        b"skip" => {}
        _ => client.answer(|reply| reply.error(SYNTAX)),
    }
}

/// Compares in a time that does not tell how much of the password was right.
fn same_secret(given: &[u8], wanted: &[u8]) -> bool {
    let mut differ = given.len() ^ wanted.len();
    for (index, byte) in given.iter().enumerate() {
        differ |= usize::from(byte ^ wanted.get(index).copied().unwrap_or(0));
    }
    differ == 0
}

impl Engine {
    pub(in crate::engine) fn reset(&mut self, conn: ConnId, client: &mut Client) {
        self.unwatch(conn, client);
        self.forget_tracker(conn, client);
        self.stop_listening(conn, client);
        client.reset(self.settings.requirepass.is_empty());
        client.answer(|reply| reply.simple("RESET"));
    }

    pub(in crate::engine) fn auth(&mut self, client: &mut Client, args: &Args) {
        if args.len() > 3 {
            return client.answer(|reply| reply.error(SYNTAX));
        }
        if args.len() == 2 && self.settings.requirepass.is_empty() {
            return client.answer(|reply| {
                reply.error(
                    "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
                );
            });
        }
        let (user, password) =
            if args.len() == 3 { (args.get(1), args.get(2)) } else { (&b"default"[..], args.get(1)) };
        let right = self.is_right(user, password);
        client.authenticated |= right;
        client.answer(|reply| if right { reply.ok() } else { reply.error(WRONGPASS) });
    }

    fn is_right(&self, user: &[u8], password: &[u8]) -> bool {
        let open = self.settings.requirepass.is_empty();
        user == b"default" && (open || same_secret(password, &self.settings.requirepass))
    }

    /// HELLO [version [AUTH user password] [SETNAME name]]. As in Redis, options before a wrong one have taken effect.
    pub(in crate::engine) fn hello(&mut self, client: &mut Client, args: &Args) {
        let proto = match args.try_get(1).map(parse_i64) {
            None => client.proto,
            Some(Some(2)) => Proto::Resp2,
            Some(Some(3)) => Proto::Resp3,
            Some(Some(_)) => return client.answer(|reply| reply.error("NOPROTO unsupported protocol version")),
            Some(None) => {
                return client.answer(|reply| reply.error("ERR Protocol version is not an integer or out of range"));
            }
        };
        let mut at = 2;
        while at < args.len() {
            let left = args.len() - at - 1;
            if args.get(at).eq_ignore_ascii_case(b"auth") && left >= 2 {
                if !self.is_right(args.get(at + 1), args.get(at + 2)) {
                    return client.answer(|reply| reply.error(WRONGPASS));
                }
                client.authenticated = true;
                at += 3;
            } else if args.get(at).eq_ignore_ascii_case(b"setname") && left >= 1 {
                if !valid_name(args.get(at + 1)) {
                    return client.answer(|reply| reply.error(super::client::INVALID_NAME));
                }
                client.profile.name = args.get(at + 1).to_vec();
                at += 2;
            } else {
                let error = quoting("ERR Syntax error in HELLO option '", args.get(at), "'");
                return client.answer(|reply| reply.error_bytes(&error));
            }
        }
        if !client.authenticated {
            return client.answer(|reply| {
                reply.error(
                    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
                );
            });
        }
        client.proto = proto;
        client.hears_heat &= proto == Proto::Resp3;
        let (id, mode) = (client.id as i64, if self.settings.cluster.is_some() { "cluster" } else { "standalone" });
        client.answer(|reply| greet(reply, id, mode));
    }
}

fn greet(reply: &mut Reply, id: i64, mode: &str) {
    let version = if reply.proto == Proto::Resp3 { 3 } else { 2 };
    reply.map(7);
    reply.bulk(b"server");
    reply.bulk(b"redis");
    reply.bulk(b"version");
    reply.bulk(REDIS_VERSION.as_bytes());
    reply.bulk(b"proto");
    reply.integer(version);
    reply.bulk(b"id");
    reply.integer(id);
    reply.bulk(b"mode");
    reply.bulk(mode.as_bytes());
    reply.bulk(b"role");
    reply.bulk(b"master");
    reply.bulk(b"modules");
    reply.array(0);
}
