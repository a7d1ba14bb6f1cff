//! Which requests took long on this core: SLOWLOG.
//!
//! The engine reads no clock; [`Host::elapsed_us`](super::Host::elapsed_us) is one that it may look at. Looking at it for
//! each request would cost a tenth of a pipelined GET, so it is looked at once a **group**, after it: what began it is the
//! look before, or the turn's time. A group of 32 that stays below the threshold holds no slow request, and nearly all
//! do. Of one that does not, a request alone is the slow one; among several the largest is named, with the time of the
//! group, and for a second the core then looks after each request. With a threshold below a millisecond it always does.
//!
//! What is timed is what this core does for its own clients. A letter served for another core is not: its client is
//! unknown here. A request that runs in slices is timed slice by slice.

use super::Engine;
use super::figures::mode;
use super::ingress::Call;
use super::ledger::Interest;
use super::sessions::Client;
use crate::protocol::command::{Command, Spec};
use crate::protocol::resp::{Arg, Args};
use crate::types::Now;
use std::collections::VecDeque;

/// Below this threshold requests are timed one by one.
const GROUPS_FROM_US: u64 = 1_000;
/// For so long after a slow group, too.
const SINGLY_US: u64 = 1_000_000;
/// As in Redis: so many arguments of an entry, and bytes of each, are kept.
const ARGS_MAX: usize = 32;
const ARG_BYTES_MAX: usize = 128;

/// A request that took long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Unique over all cores.
    pub id: u64,
    pub unix_us: u64,
    pub duration_us: u64,
    pub args: Vec<Vec<u8>>,
    pub peer: String,
    pub name: Vec<u8>,
    /// What was done about its first key, as bits of [`mode`].
    pub mode: u32,
}

/// What took long on one core, newest last.
#[derive(Default)]
pub struct SlowLog {
    entries: VecDeque<Entry>,
    logged: u64,
    /// When the clock was last looked at.
    seen_us: u64,
    singly_until_us: u64,
}

impl SlowLog {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Newest first.
    pub fn newest(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().rev()
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }

    fn push(&mut self, entry: Entry, len_max: usize) {
        self.logged += 1;
        self.entries.push_back(entry);
        let surplus = self.entries.len().saturating_sub(len_max);
        self.entries.drain(..surplus);
    }
}

/// How the requests of a group are timed.
#[derive(Clone, Copy)]
pub struct Stopwatch {
    /// Whether the clock is looked at.
    looks: bool,
    /// What takes so long is slow: for SLOWLOG or for LATENCY.
    pub threshold_us: u64,
    pub singly: bool,
    /// Somebody watches (MONITOR): requests are written down.
    pub monitored: bool,
}

impl Stopwatch {
    /// Whether something is to be done about each request besides running it.
    #[inline]
    pub fn minds_each(self) -> bool {
        self.singly || self.monitored
    }
}

impl Engine {
    #[inline]
    pub(super) fn stopwatch(&mut self, now: Now) -> Stopwatch {
        let threshold_us = self.settings.slow_us();
        self.slow.seen_us = self.slow.seen_us.max(now.mono_us);
        let eager = threshold_us < GROUPS_FROM_US || now.mono_us < self.slow.singly_until_us;
        let monitored = self.ledger.anyone_has(Interest::Requests);
        Stopwatch { looks: self.settings.looks_at_clock(), threshold_us, singly: eager, monitored }
    }

    /// Looks at the clock: the time since the last look.
    #[inline]
    pub(super) fn look(&mut self, watch: Stopwatch) -> u64 {
        if !watch.looks {
            return 0;
        }
        let now_us = self.host.elapsed_us();
        let spent_us = now_us.saturating_sub(self.slow.seen_us);
        self.slow.seen_us = self.slow.seen_us.max(now_us);
        spent_us
    }

    /// Looks at the clock for requests that are timed apart from the group that they are in: the time since the last look.
    pub(super) fn lap_us(&mut self, now: Now) -> u64 {
        let watch = self.stopwatch(now);
        self.look(watch)
    }

    /// Charges a group again with what it had taken before them.
    pub(super) fn charge_group(&mut self, us: u64) {
        self.slow.seen_us = self.slow.seen_us.saturating_sub(us);
    }

    /// Looks at the clock after work that is no request of a client, so that none is charged with it.
    pub(super) fn skip_lap(&mut self) {
        if self.settings.looks_at_clock() {
            self.slow.seen_us = self.slow.seen_us.max(self.host.elapsed_us());
        }
    }

    /// A group was slow, and this is its largest request.
    #[cold]
    pub(super) fn log_group(
        &mut self,
        call: &Call,
        client: &Client,
        spec: Option<&'static Spec>,
        args: &Args,
        us: u64,
    ) {
        self.slow.singly_until_us = call.now.mono_us + SINGLY_US;
        self.log_slow(call, client, spec, args, us);
    }

    #[cold]
    pub(super) fn log_slow(&mut self, call: &Call, client: &Client, spec: Option<&'static Spec>, args: &Args, us: u64) {
        let (Some(spec), len_max) = (spec, self.settings.slowlog_len_max) else { return };
        self.note_command_latency(call.now, spec, us);
        if u64::try_from(self.settings.slowlog_slower_than_us).map_or(true, |threshold_us| us < threshold_us) {
            return;
        }
        let key = spec.keys.positions(args.len()).next().map(|at| args.get(at));
        let entry = Entry {
            id: self.slow.logged * self.cores as u64 + u64::from(self.core.0),
            unix_us: call.now.unix_us,
            duration_us: us,
            args: shown(spec.command, args),
            peer: client.profile.peer.clone(),
            name: client.profile.name.clone(),
            mode: key.map_or(mode::COOL, |key| self.mode_of(key)),
        };
        self.slow.push(entry, len_max as usize);
    }

    /// What is done about a key, as far as this core knows.
    fn mode_of(&mut self, key: &[u8]) -> u32 {
        let hash = self.shard.hash(key);
        let here = self.hot.directory.get(hash).is_some_and(|row| *row.key == *key);
        if !here && self.hot.entry(hash, key).is_none() {
            return mode::COOL;
        }
        let (replicated, folded) = self.settings.hot.treatment(key);
        (if replicated { mode::REPLICATED } else { 0 }) | (if folded { mode::FOLDED } else { 0 })
    }
}

/// How much of a request there is to do, as far as its arguments tell.
pub fn weight(args: &[Arg]) -> usize {
    args.iter().map(|arg| arg.len() + size_of::<u64>()).sum()
}

/// Arguments as an entry keeps them: cut as Redis cuts them, secrets left out.
fn shown(command: Command, args: &Args) -> Vec<Vec<u8>> {
    let places = args.places();
    let kept = if places.len() > ARGS_MAX { ARGS_MAX - 1 } else { places.len() };
    let mut shown: Vec<Vec<u8>> = Vec::with_capacity(kept + 1);
    for (at, place) in places.iter().enumerate().take(kept) {
        // A large argument has moved into the store; its length is known still.
        let (arg, len) = (args.get(at), place.len());
        let mut text = arg[..arg.len().min(ARG_BYTES_MAX)].to_vec();
        if is_secret(command, args, at) {
            text = b"(redacted)".to_vec();
        } else if len > text.len() {
            text.extend_from_slice(format!("... ({} more bytes)", len - text.len()).as_bytes());
        }
        shown.push(text);
    }
    if kept < places.len() {
        shown.push(format!("... ({} more arguments)", places.len() - kept).into_bytes());
    }
    shown
}

pub(super) fn is_secret(command: Command, args: &Args, at: usize) -> bool {
    let named = |at: usize, name: &str| args.try_get(at).is_some_and(|arg| arg.eq_ignore_ascii_case(name.as_bytes()));
    match command {
        Command::Auth => at > 0,
        Command::Hello => (at > 2 && named(at - 1, "auth")) || (at > 3 && named(at - 2, "auth")),
        Command::ConfigSet => at > 2 && at % 2 == 1 && named(at - 1, "requirepass"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_of(command: Command, words: &[&str]) -> Vec<String> {
        let mut at = 0;
        let mut args = Vec::new();
        for word in words {
            args.push(Arg::text(at, word.len()));
            at += word.len();
        }
        let text = words.concat();
        let shown = shown(command, &Args::new(text.as_bytes(), &args, &mut []));
        shown.into_iter().map(|arg| String::from_utf8(arg).expect("it is text")).collect()
    }

    /// Exactly 32 arguments of 128 bytes stay as they are; what exceeds that is cut and counted.
    #[test]
    fn arguments_are_cut_as_in_redis() {
        let (fits, long) = ("x".repeat(128), "x".repeat(130));
        assert_eq!(shown_of(Command::MGet, &[&fits[..]; 32]), vec![fits.clone(); 32]);
        let cut = shown_of(Command::MGet, &[&long[..]; 33]);
        assert_eq!(
            (cut.len(), &cut[30][128..], cut[31].as_str()),
            (32, "... (2 more bytes)", "... (2 more arguments)")
        );
    }

    #[test]
    fn secrets_are_left_out() {
        let gone = "(redacted)";
        assert_eq!(shown_of(Command::Auth, &["AUTH", "u", "p"]), ["AUTH", gone, gone]);
        let hello = shown_of(Command::Hello, &["hello", "3", "AUTH", "u", "p", "SETNAME", "n"]);
        assert_eq!(hello, ["hello", "3", "AUTH", gone, gone, "SETNAME", "n"]);
        let set = shown_of(Command::ConfigSet, &["config", "set", "RequirePass", "p", "timeout", "1"]);
        assert_eq!(set, ["config", "set", "RequirePass", gone, "timeout", "1"]);
    }

    /// The log keeps the newest, and a bound that was lowered holds from the next entry on.
    #[test]
    fn the_log_has_a_bound() {
        let mut log = SlowLog::default();
        for id in 0..10 {
            let entry = Entry {
                id,
                unix_us: 0,
                duration_us: 0,
                args: Vec::new(),
                peer: String::new(),
                name: Vec::new(),
                mode: 0,
            };
            log.push(entry, if id < 9 { 5 } else { 2 });
        }
        assert_eq!(log.newest().map(|entry| entry.id).collect::<Vec<_>>(), [9, 8]);
    }
}
