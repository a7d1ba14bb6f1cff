//! Counts of one core, as INFO adds and shows them.

use bytemuck::{Pod, Zeroable};

/// One core's figures. It travels between cores as it lies in memory.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Stats {
    pub connections: u64,
    pub connections_opened: u64,
    pub connections_refused: u64,
    /// Closed because clients took too much together.
    pub clients_evicted: u64,
    pub commands: u64,
    pub hits: u64,
    pub misses: u64,
    pub expired: u64,
    pub evicted: u64,
    pub keys: u64,
    pub expiring: u64,
    pub used_bytes: u64,
    pub letters_sent: u64,
    pub letters_served: u64,
    pub input_bytes: u64,
    pub output_bytes: u64,
    /// Chunks received, and outputs handed to the shell.
    pub receives: u64,
    pub sends: u64,
    /// In the last moments, a second.
    pub commands_rate: u64,
    pub input_rate: u64,
    pub output_rate: u64,
    /// The most bytes that keys have taken, those that tables take, and those of clients' buffers.
    pub peak_bytes: u64,
    pub table_bytes: u64,
    pub client_bytes: u64,
    /// Changes of keys.
    pub changes: u64,
    /// Clients that a command keeps waiting.
    pub blocked: u64,
    pub errors: u64,
    pub enters: u64,
    pub wakes: u64,
    pub cpu_us: u64,
    pub slots: u64,
    /// Keys of this core that are hot, and those that cores report and that are not.
    pub hot_keys: u64,
    pub warm_keys: u64,
    pub promotions: u64,
    pub demotions: u64,
    /// Reads of other cores' hot keys that a copy here answered.
    pub replica_hits: u64,
    /// Folds sent to other cores, and the operations in them.
    pub folds: u64,
    pub fold_members: u64,
    /// CLIENT TRACKING: connections that have it on, keys of this core that were read, by how many each in sum, and
    /// prefixes for which this core counts.
    pub tracking_clients: u64,
    pub tracked_keys: u64,
    pub tracked_items: u64,
    pub tracked_prefixes: u64,
    /// HOTKEYS NOTIFY: pushes that clients did not get because they do not read.
    pub pushes_lost: u64,
    /// Names that connections of this core listen to. A sum over cores counts some of them twice.
    pub channels: u64,
    pub patterns: u64,
    pub shard_channels: u64,
    /// The log: cores that have one, that refuse writes because of it, that load keys from it, that write it anew.
    pub logs: u64,
    pub logs_failed: u64,
    pub logs_loading: u64,
    pub logs_rewriting: u64,
    /// Keys that were loaded, and those left out because they had expired.
    pub loaded: u64,
    pub loaded_expired: u64,
    pub log_frames: u64,
    pub log_bytes: u64,
    pub log_syncs: u64,
    pub log_disk_bytes: u64,
}

impl Stats {
    /// Letters that hot keys did not cost: all reads from copies, and all operations of a fold but one.
    pub fn letters_saved(&self) -> u64 {
        self.replica_hits + self.fold_members.saturating_sub(self.folds)
    }

    /// As it travels.
    pub fn as_bytes(&self) -> &[u8] {
        bytemuck::bytes_of(self)
    }

    /// # Panics
    /// If these are no figures: another core wrote them, in this process.
    pub fn from_bytes(bytes: &[u8]) -> Stats {
        bytemuck::pod_read_unaligned(bytes)
    }

    /// Field by field.
    pub fn plus(mut self, other: Stats) -> Stats {
        let (sum, other): (&mut [u64], &[u64]) = (
            bytemuck::cast_slice_mut(std::slice::from_mut(&mut self)),
            bytemuck::cast_slice(std::slice::from_ref(&other)),
        );
        for (sum, other) in sum.iter_mut().zip(other) {
            *sum = sum.wrapping_add(*other);
        }
        self
    }
}
