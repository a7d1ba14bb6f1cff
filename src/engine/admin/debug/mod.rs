//! Owns: DEBUG, as far as test harnesses ask it of a server of strings.
//! Knows: keys, the asking client's address; `enable-debug-command` says whose DEBUG is run.
//! Must never know: a way to crash the server.
//! Read first: `wish` below, then `data.rs`.
//!
//! What changes nothing here is answered OK, so that a harness that sets it for its own types goes on: the packed
//! threshold of lists, resizing of reply buffers, checksums of dumps.

mod data;
mod protocol;

use super::super::ingress::Call;
use super::super::sessions::Client;
use crate::engine::Engine;
use crate::engine::settings::DebugAccess;
use crate::protocol::command::Command;
use crate::protocol::resp::{Args, quoting};

const REFUSED: &str = "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run \
                       it from a local connection, otherwise you need to set this option in the configuration file, and \
                       then restart the server.";
const RELOAD_OPTIONS: &str = "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.";
/// DEBUG SLEEP stops its core; a harness sleeps for seconds.
const SLEEP_S_MAX: f64 = 3600.0;

/// Subcommands with what they do, for DEBUG HELP.
const HELP: &[(&str, &str)] = &[
    ("CHANGE-REPL-ID", "Change master_replid as INFO shows it."),
    ("DIGEST", "Answer one number for all keys and values, the same as Redis's."),
    ("DIGEST-VALUE <key> [<key> ...]", "Answer one number for each key's value."),
    ("ERROR <string>", "Answer this error."),
    ("LOADAOF", "As RELOAD: nothing is on disk that could be loaded."),
    ("LOG <message>", "Write a message to the server's log."),
    ("OBJECT <key>", "Describe the value of a key."),
    ("POPULATE <count> [<prefix>] [<size>]", "Set keys <prefix>:0, <prefix>:1, ... that do not exist."),
    (
        "PROTOCOL <type>",
        "Answer an example: string, integer, double, bignum, null, array, set, map, attrib, push, \
                         verbatim, true or false.",
    ),
    ("QUICKLIST-PACKED-THRESHOLD <size>", "Answer OK: there are no lists."),
    ("RELOAD [NOFLUSH] [MERGE]", "Remove expired keys, which is all that saving and loading them would change."),
    ("REPLYBUFFER PEAK-RESET-TIME|RESIZING <value>", "Answer OK: reply buffers are sized by what is in them."),
    ("SDSLEN <key>", "Answer the lengths of a key and its value."),
    ("SET-ACTIVE-EXPIRE <0|1>", "Stop or start removing expired keys that nobody asks for."),
    ("SLEEP <seconds>", "Stop the core that was asked. Decimals allowed."),
    ("STRINGMATCH-LEN <pattern> <string>", "Answer 1 if the pattern matches, else 0."),
];

/// What a request of DEBUG is, once its name and number of arguments are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Help,
    /// Answered where it arrives.
    Error,
    Log,
    Protocol,
    Sleep,
    Matches,
    /// Nothing to do.
    Fine,
    /// The same on every core.
    ChangeId,
    Reload,
    ActiveExpire,
    Populate,
    /// Put together from all cores.
    Digest,
    DigestValue,
    /// Asked of the owner of a key.
    Object,
    Lengths,
}

/// The subcommand, or none if there is none of that name that takes so many arguments.
fn wish(args: &Args) -> Option<Wish> {
    let name = args.get(1).to_ascii_lowercase();
    let wish = match (name.as_slice(), args.len()) {
        (b"help", 2) => Wish::Help,
        (b"error", 3) => Wish::Error,
        (b"log", 3) => Wish::Log,
        (b"protocol", 3) => Wish::Protocol,
        (b"sleep", 3) => Wish::Sleep,
        (b"stringmatch-len", 4) => Wish::Matches,
        (b"quicklist-packed-threshold" | b"set-skip-checksum-validation" | b"pause-cron", 3)
        | (b"set-disable-deny-scripts", 3)
        | (b"replybuffer", 4) => Wish::Fine,
        (b"change-repl-id", 2) => Wish::ChangeId,
        (b"reload", _) | (b"loadaof", 2) => Wish::Reload,
        (b"set-active-expire", 3) => Wish::ActiveExpire,
        (b"populate", 3..=5) => Wish::Populate,
        (b"digest", 2) => Wish::Digest,
        (b"digest-value", _) => Wish::DigestValue,
        (b"object", 3) => Wish::Object,
        (b"sdslen", 3) => Wish::Lengths,
        _ => return None,
    };
    Some(wish)
}

/// Whether an address is one of this machine.
fn is_local(peer: &str) -> bool {
    let host = peer.rsplit_once(':').map_or(peer, |(host, _)| host).trim_matches(['[', ']']);
    // An IPv4 client of an IPv6 socket.
    let host = host.strip_prefix("::ffff:").unwrap_or(host);
    let parts: Vec<&str> = host.split('.').collect();
    let is_ip4 = parts.len() == 4 && parts.iter().all(|part| part.parse::<u8>().is_ok());
    peer.starts_with('/') || host == "::1" || is_ip4 && parts[0] == "127"
}

impl Engine {
    pub(super) fn debug(&mut self, call: &mut Call, client: &mut Client, args: &mut Args) {
        let allowed = match self.settings.debug {
            DebugAccess::Nobody => false,
            DebugAccess::Local => is_local(&client.profile.peer),
            DebugAccess::Everybody => true,
        };
        if !allowed {
            return client.answer(|reply| reply.error(REFUSED));
        }
        let Some(wish) = wish(args) else {
            let error =
                quoting("ERR unknown subcommand or wrong number of arguments for '", args.get(1), "'. Try DEBUG HELP.");
            return client.answer(|reply| reply.error_bytes(&error));
        };
        match wish {
            Wish::Help => help(client),
            Wish::Error => client.answer(|reply| reply.error_bytes(args.get(2))),
            Wish::Log => {
                log::warn!("DEBUG LOG: {}", String::from_utf8_lossy(args.get(2)).escape_debug());
                client.answer(|reply| reply.ok());
            }
            Wish::Protocol => client.answer(|reply| protocol::example(args.get(2), reply)),
            Wish::Sleep => {
                self.host.sleep((seconds(args.get(2)) * 1e6) as u64);
                client.answer(|reply| reply.ok());
            }
            Wish::Matches => {
                let matches = crate::keyspace::glob::matches(args.get(2), args.get(3));
                client.answer(|reply| reply.integer(i64::from(matches)));
            }
            Wish::Fine => client.answer(|reply| reply.ok()),
            Wish::Object | Wish::Lengths => {
                let owner = self.place(args.get(2)).owner;
                self.on_core(call, client, owner, Command::Debug, args);
            }
            _ => match self.debug_gather(wish, args) {
                Ok(gather) => self.everywhere(call, client, Command::Debug, args, gather.in_proto(client.proto)),
                Err(error) => client.answer(|reply| reply.error(error)),
            },
        }
    }
}

fn help(client: &mut Client) {
    client.answer(|reply| {
        reply.array(3 + 2 * HELP.len());
        reply.simple("DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
        for (usage, summary) in HELP {
            reply.simple(usage);
            reply.simple(&format!("    {summary}"));
        }
        reply.simple("HELP");
        reply.simple("    Print this help.");
    });
}

/// As C reads a number: as far as it is one, else 0.
fn seconds(text: &[u8]) -> f64 {
    let text = std::str::from_utf8(text).unwrap_or_default().trim();
    let seconds = (0..=text.len()).rev().find_map(|end| text.get(..end)?.parse::<f64>().ok());
    seconds.filter(|seconds| seconds.is_finite()).unwrap_or(0.0).clamp(0.0, SLEEP_S_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_unix_sockets_are_local() {
        for peer in ["127.0.0.1:5", "127.9.9.9:5", "[::1]:5", "[::ffff:127.0.0.1]:5", "/run/c.sock:0"] {
            assert!(is_local(peer), "{peer}");
        }
        for peer in ["10.0.0.1:5", "[2001:db8::1]:5", "", "127.0.0.1.example:5", "peer:1"] {
            assert!(!is_local(peer), "{peer}");
        }
    }

    #[test]
    fn seconds_are_read_as_in_c() {
        for (text, wanted) in
            [("0.25", 0.25), ("1x", 1.0), ("x", 0.0), ("-3", 0.0), ("", 0.0), ("inf", 0.0), ("1e9", 3600.0)]
        {
            assert_eq!(seconds(text.as_bytes()), wanted, "{text}");
        }
    }
}
