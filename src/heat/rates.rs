//! The words of heat: what an operation does to a key, and how much of that happens in a second.

use crate::types::{KeyHash, Slot};

/// What an operation does to its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// Rates per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Operations that only read.
    pub reads: f64,
    /// Operations that write.
    pub writes: f64,
    /// Bytes of requests and replies.
    pub bytes: f64,
    /// Microseconds of CPU: the key's part of what its cores used, as apportioned by [`Heat`](super::Heat).
    pub cpu_us: f64,
}

impl Rates {
    /// Reads and writes together.
    pub fn ops(&self) -> f64 {
        self.reads + self.writes
    }

    /// The rates of both together.
    pub fn plus(self, other: Rates) -> Rates {
        Rates {
            reads: self.reads + other.reads,
            writes: self.writes + other.writes,
            bytes: self.bytes + other.bytes,
            cpu_us: self.cpu_us + other.cpu_us,
        }
    }

    /// The rates scaled by a factor.
    pub fn times(self, factor: f64) -> Rates {
        Rates {
            reads: self.reads * factor,
            writes: self.writes * factor,
            bytes: self.bytes * factor,
            cpu_us: self.cpu_us * factor,
        }
    }

    /// Half of the old and half of the new: an average whose memory halves with every window.
    pub(super) fn averaged(self, newer: Rates) -> Rates {
        self.plus(newer).times(0.5)
    }
}

/// How hot one core found a key in one window.
#[derive(Clone, Debug)]
pub struct Report {
    pub key: Box<[u8]>,
    pub slot: Slot,
    pub hash: KeyHash,
    pub rates: Rates,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums, factors and averages touch every field, shown with four different values.
    #[test]
    fn every_field_takes_part() {
        let rates = Rates { reads: 1.0, writes: 2.0, bytes: 3.0, cpu_us: 4.0 };
        assert_eq!(rates.ops(), 3.0);
        assert_eq!(rates.plus(rates), rates.times(2.0));
        assert_eq!(rates.averaged(rates.times(3.0)), Rates { reads: 2.0, writes: 4.0, bytes: 6.0, cpu_us: 8.0 });
    }
}
