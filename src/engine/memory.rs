//! The shared memory limit, as each core sees it.

use super::Engine;
use crate::keyspace::Allowance;

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

    /// Puts changed settings to work on this core.
    pub(super) fn apply_settings(&mut self) {
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
        self.limits.bulk_bytes_max = self.settings.proto_max_bulk_bytes;
        self.limits.request_bytes_max = self.settings.client_query_bytes_max;
    }
}
