//! What a client may leave unread: `client-output-buffer-limit`.
//!
//! Replies need no such limit, since requests wait for their client to read; one that is set holds for them as well.
//! Messages do not wait, so a client that falls too far behind is disconnected, as in Redis: at the hard limit at once,
//! past the soft limit after its seconds.

use super::super::Engine;
use super::super::event::Effects;
use super::super::sessions::Client;
use super::super::settings::{SettingError, parse_bytes};
use crate::protocol::resp::{Output, parse_i64};
use crate::types::{ConnId, Now};
use std::collections::VecDeque;

/// What clients of one class may leave unread; 0 for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimit {
    pub hard_bytes: u64,
    pub soft_bytes: u64,
    pub soft_s: u64,
}

/// The limits of the classes that Redis tells apart. A monitor is a normal client; where those have no limit, which is
/// the default, that of listeners holds for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimits {
    pub normal: OutputLimit,
    pub replica: OutputLimit,
    pub pubsub: OutputLimit,
}

impl Default for OutputLimits {
    fn default() -> OutputLimits {
        OutputLimits {
            normal: OutputLimit::default(),
            replica: OutputLimit { hard_bytes: 256 << 20, soft_bytes: 64 << 20, soft_s: 60 },
            pubsub: OutputLimit { hard_bytes: 32 << 20, soft_bytes: 8 << 20, soft_s: 60 },
        }
    }
}

impl OutputLimits {
    /// As CONFIG GET shows them.
    pub fn print(&self) -> String {
        let classes = [("normal", self.normal), ("slave", self.replica), ("pubsub", self.pubsub)];
        let print = |(name, limit): (&str, OutputLimit)| {
            format!("{name} {} {} {}", limit.hard_bytes, limit.soft_bytes, limit.soft_s)
        };
        classes.map(print).join(" ")
    }

    /// Takes the limits of the classes that are named; of several mistakes none is applied.
    pub fn set(&mut self, value: &[u8]) -> Result<(), SettingError> {
        let words: Vec<&[u8]> = if value.is_empty() { Vec::new() } else { value.split(|byte| *byte == b' ').collect() };
        if !words.len().is_multiple_of(4) {
            return Err(SettingError::Refused("Wrong number of arguments in buffer limit configuration."));
        }
        let mut changed = *self;
        for words in words.chunks(4) {
            let class = match words[0].to_ascii_lowercase().as_slice() {
                b"normal" => &mut changed.normal,
                b"slave" | b"replica" => &mut changed.replica,
                b"pubsub" => &mut changed.pubsub,
                _ => {
                    let words = "Invalid client class specified in buffer limit configuration.";
                    return Err(SettingError::Refused(words));
                }
            };
            *class = OutputLimit::parse(words).ok_or(SettingError::Refused(
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
            ))?;
        }
        *self = changed;
        Ok(())
    }

    /// Whether clients that only ask have a limit.
    #[inline]
    pub fn bound_replies(&self) -> bool {
        self.normal.hard_bytes | self.normal.soft_bytes != 0
    }

    /// The limit of a client, if it is sent what it does not ask for.
    fn of(&self, client: &Client) -> OutputLimit {
        let normal = self.normal;
        match client.subscriptions.is_empty() && !client.hears {
            false => self.pubsub,
            true if client.monitors && normal == OutputLimit::default() => self.pubsub,
            true => normal,
        }
    }
}

impl OutputLimit {
    fn parse(words: &[&[u8]]) -> Option<OutputLimit> {
        let bytes = |word: &[u8]| std::str::from_utf8(word).ok().and_then(parse_bytes);
        let soft_s = parse_i64(words[3]).and_then(|seconds| u64::try_from(seconds).ok())?;
        Some(OutputLimit { hard_bytes: bytes(words[1])?, soft_bytes: bytes(words[2])?, soft_s })
    }
}

/// Clients past their soft limit, in the order in which they came there: since when, and whose time is up when.
#[derive(Default)]
pub struct Deaf {
    queue: VecDeque<(u64, u64, ConnId)>,
}

impl Deaf {
    /// When the first of them is to be looked at.
    pub fn due_us(&self) -> Option<u64> {
        self.queue.front().map(|(_, due_us, _)| *due_us)
    }
}

impl Engine {
    /// Called when something has become of a client, while there are such limits.
    #[cold]
    pub(in super::super) fn bound_client(
        &mut self,
        now: Now,
        conn: ConnId,
        client: &mut Client,
        effects: &mut Effects,
    ) {
        if self.settings.output_limits.bound_replies() {
            self.bound_unread(now, conn, client, effects);
        }
        if self.client_memory.is_limited() {
            self.count_client(client);
        }
    }

    /// Called when something was added to what a client has to read without its asking, or, where clients that only ask
    /// have a limit, at all.
    #[cold]
    pub(in super::super) fn bound_unread(
        &mut self,
        now: Now,
        conn: ConnId,
        client: &mut Client,
        effects: &mut Effects,
    ) {
        let limit = self.settings.output_limits.of(client);
        let unread_bytes = client.unread_bytes();
        if limit.hard_bytes > 0 && unread_bytes >= limit.hard_bytes {
            self.drop_deaf(conn, client, effects);
        } else if limit.soft_bytes > 0 && unread_bytes >= limit.soft_bytes && client.deaf_since_us == 0 {
            client.deaf_since_us = now.mono_us.max(1);
            let due_us = client.deaf_since_us.saturating_add(limit.soft_s.saturating_mul(1_000_000));
            self.pubsub.deaf.queue.push_back((client.deaf_since_us, due_us, conn));
        }
    }

    /// A client past its soft limit has read something: perhaps enough.
    #[cold]
    pub(in super::super) fn hears_again(&mut self, conn: ConnId) {
        let Some(mut client) = self.sessions.take(conn) else { return };
        if client.unread_bytes() < self.settings.output_limits.of(&client).soft_bytes {
            client.deaf_since_us = 0;
        }
        self.sessions.put(conn, client);
    }

    /// Once a turn, before its events: closes clients that have been past their soft limit for too long.
    pub(in super::super) fn close_deaf(&mut self, now: Now, effects: &mut Effects) {
        while let Some((since_us, due_us, conn)) = self.pubsub.deaf.queue.front().copied()
            && due_us <= now.mono_us
        {
            self.pubsub.deaf.queue.pop_front();
            let Some(mut client) = self.sessions.take(conn) else { continue };
            let limit = self.settings.output_limits.of(&client);
            let due_us = since_us.saturating_add(limit.soft_s.saturating_mul(1_000_000));
            // Another entry is about a later time if it has read enough in between.
            if client.deaf_since_us == since_us && !client.closing {
                if limit.soft_bytes == 0 {
                    client.deaf_since_us = 0;
                } else if due_us <= now.mono_us {
                    self.drop_deaf(conn, &mut client, effects);
                } else {
                    self.pubsub.deaf.queue.push_back((since_us, due_us, conn));
                }
            }
            self.sessions.put(conn, client);
        }
    }

    fn drop_deaf(&mut self, conn: ConnId, client: &mut Client, effects: &mut Effects) {
        log::warn!("client {} ({}) is closed: it does not read what it is sent", client.id, client.profile.peer);
        (client.closing, client.close_requested) = (true, true);
        client.output = Output::default();
        effects.kill.push(conn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_set_by_class_and_printed_as_in_redis() {
        let mut limits = OutputLimits::default();
        assert_eq!(limits.print(), "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60");
        for (value, printed) in [
            ("pubsub 1mb 2k 3", "normal 0 0 0 slave 268435456 67108864 60 pubsub 1048576 2000 3"),
            ("Replica 1 2 3 NORMAL 7 0 0", "normal 7 0 0 slave 1 2 3 pubsub 1048576 2000 3"),
            ("", "normal 7 0 0 slave 1 2 3 pubsub 1048576 2000 3"),
        ] {
            assert_eq!(limits.set(value.as_bytes()), Ok(()));
            assert_eq!(limits.print(), printed);
        }
    }

    // The words of redis-server 7.0.
    #[test]
    fn limits_are_refused_whole() {
        for (value, words) in [
            ("pubsub 1 2", "Wrong number of arguments in buffer limit configuration."),
            ("pubsub 1 2 3 bogus 1 2 3", "Invalid client class specified in buffer limit configuration."),
            ("master 1 2 3", "Invalid client class specified in buffer limit configuration."),
            ("pubsub 1x 2 3", "Error in hard, soft or soft_seconds setting in buffer limit configuration."),
            ("pubsub 1 2 -3", "Error in hard, soft or soft_seconds setting in buffer limit configuration."),
        ] {
            let mut limits = OutputLimits::default();
            assert_eq!(limits.set(value.as_bytes()), Err(SettingError::Refused(words)), "{value}");
            assert_eq!(limits, OutputLimits::default());
        }
    }
}
