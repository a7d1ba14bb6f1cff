//! Counts of one core, as INFO adds and shows them.

use bytemuck::{Pod, Zeroable};

/// One core's figures. It travels between cores as it lies in memory.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Stats {
    pub connections: u64,
    pub connections_opened: u64,
    pub connections_refused: u64,
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
    pub errors: u64,
    pub enters: u64,
    pub wakes: u64,
    pub cpu_us: u64,
    pub slots: u64,
}

impl Stats {
    /// Field by field.
    pub fn plus(mut self, other: Stats) -> Stats {
        let (sum, other): (&mut [u64], &[u64]) = (
            bytemuck::cast_slice_mut(std::slice::from_mut(&mut self)),
            bytemuck::cast_slice(std::slice::from_ref(&other)),
        );
        for (sum, other) in sum.iter_mut().zip(other) {
            *sum += other;
        }
        self
    }
}
