//! The shared memory limit, as each core sees it.

use super::letter::Note;
use super::{Engine, TICK_US};
use crate::keyspace::{Allowance, Policy};
use crate::types::{CoreId, Now};

/// Between two rounds of evictions while there is more to evict.
const ROUND_US: u64 = 1_000;

impl Engine {
    /// Works out what this shard may use: while all cores together are past `maxmemory`, each gives back in turn,
    /// and none below its fair share, so that a core with few keys never pays for one with many.
    pub(super) fn refresh_allowance(&mut self) {
        let limit = self.settings.maxmemory_bytes;
        if limit == 0 {
            return;
        }
        let own = self.shard.used_bytes() as u64;
        self.ledger.set_used_bytes(self.core, own);
        let excess = self.ledger.used_bytes().saturating_sub(limit);
        let fair = limit / self.cores as u64;
        self.shard.set_allowance(Allowance { over: excess > 0, bytes: own.saturating_sub(excess).max(fair) });
    }

    /// When this core has to evict next without a write that asks for it; `None`: memory is not short.
    pub(super) fn shrink_due_us(&self) -> Option<u64> {
        self.shard.is_short().then_some(self.next_eviction_us)
    }

    /// Evicts without being asked by a write: a server over its limit comes down to it though its clients only read. As in
    /// Redis no key goes while clients are paused.
    pub(super) fn shrink(&mut self, now: Now) {
        if self.shrink_due_us().is_none_or(|due_us| now.mono_us < due_us) {
            return;
        }
        let more =
            self.waits.pause.is_none() && self.timed_cycle(now, "eviction-cycle", |engine| engine.shard.shrink());
        self.next_eviction_us = now.mono_us + if more { ROUND_US } else { TICK_US };
        if self.settings.maxmemory_policy == Policy::NoEviction {
            return;
        }
        // Cores that hold more than their share must give back, and may be asleep.
        let fair = self.settings.maxmemory_bytes / self.cores as u64;
        for core in (0..self.cores).map(|core| CoreId(core as u16)).filter(|core| *core != self.core) {
            if self.ledger.used_bytes_of(core) > fair {
                self.post.note(core, Note::Short);
            }
        }
    }

    /// Bytes that the keys of this core take.
    #[cfg(feature = "faults")]
    pub fn used_bytes(&self) -> usize {
        self.shard.used_bytes()
    }

    /// Whether memory is short, as far as this core knows.
    #[cfg(feature = "faults")]
    pub fn is_short(&self) -> bool {
        self.shard.is_short()
    }

    /// The fault of writes that make no room: from here on memory does not seem short, until it is looked at again.
    #[cfg(feature = "faults")]
    pub fn look_away_from_memory(&mut self, away: bool) {
        match away {
            true => self.shard.set_allowance(Allowance::default()),
            false => self.refresh_allowance(),
        }
    }

    /// Puts changed settings to work on this core.
    pub(super) fn apply_settings(&mut self) {
        // Of two clients who switch it at once, one is right on all cores.
        self.settings.appendonly = self.ledger.has_log();
        if self.hot.counting && !self.settings.hot.on {
            self.demote_all();
        }
        self.hot.counting = self.settings.hot.on;
        self.hot.heat.set_report_ops_min(self.settings.hot.report_ops_min(self.cores));
        self.shard.set_policy(self.settings.maxmemory_policy, self.settings.maxmemory_samples);
        self.shard.set_event_classes(self.settings.key_events);
        if self.settings.maxmemory_bytes == 0 {
            self.shard.set_allowance(Allowance::default());
        }
        self.refresh_allowance();
        self.limit_clients();
        self.bounds_clients = self.settings.output_limits.bound_replies() || self.client_memory.is_limited();
        self.limits.bulk_bytes_max = self.settings.proto_max_bulk_bytes;
        self.limits.request_bytes_max = self.settings.client_query_bytes_max;
    }
}
