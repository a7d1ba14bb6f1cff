//! What a key must show to be replicated, how much all replicated keys may take, and why a decision was made.

use crate::types::KeyHash;
use std::fmt::{self, Display, Formatter};

/// When a key becomes hot, and when it is no longer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// A key is promoted from so many operations per second on,
    pub promote_ops: f64,
    /// and from so large a part of its core's load on. Both have to be met.
    pub promote_share: f64,
    /// A hot key is demoted below this part of what promotion asks. The distance between the two keeps it from flapping.
    pub demote_part: f64,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds { promote_ops: 1000.0, promote_share: 0.03, demote_part: 0.25 }
    }
}

impl Thresholds {
    /// Operations per second from which a key is promoted, at that load of its core.
    pub fn promote_from(&self, load_ops: f64) -> f64 {
        self.promote_ops.max(self.share_ops(load_ops))
    }

    /// Operations per second below which a hot key is demoted.
    pub fn demote_below(&self, load_ops: f64) -> f64 {
        self.promote_from(load_ops) * self.demote_part
    }

    /// Operations per second that the share asked comes to.
    pub fn share_ops(&self, load_ops: f64) -> f64 {
        self.promote_share * load_ops
    }
}

/// How much all hot keys of one owner may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub keys_max: usize,
    /// Bytes of one copy of each hot key.
    pub bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { keys_max: 256, bytes_max: 64 * 1024 * 1024 }
    }
}

/// Why a key is in its mode. Operations are per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    /// Promoted: it had `ops`, at least the absolute `floor` and what its `share` of the core's load comes to.
    Rate { ops: f64, floor: f64, share: f64 },
    /// Demoted: its `ops` fell below the `floor` that keeps a key hot.
    Cooled { ops: f64, floor: f64 },
    /// Hot enough, but hotter keys fill the limits.
    Crowded,
    /// One copy of it would exceed what all copies may take.
    TooLarge,
    /// Keys of its pattern are not replicated.
    Off,
}

impl Display for Reason {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Rate { ops, floor, share } => {
                write!(
                    f,
                    "{ops:.0} ops/s; asked: {floor:.0} ops/s and {share:.0} ops/s as its share of the core's load"
                )
            }
            Reason::Cooled { ops, floor } => {
                write!(f, "{ops:.0} ops/s, below the {floor:.0} ops/s that keep a key hot")
            }
            Reason::Crowded => f.write_str("hot enough, but hotter keys fill the limits"),
            Reason::TooLarge => f.write_str("a copy of it would take more bytes than all copies may"),
            Reason::Off => f.write_str("keys of its pattern are not replicated"),
        }
    }
}

/// What the owner does next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decision {
    Promote { hash: KeyHash, reason: Reason },
    Demote { hash: KeyHash, reason: Reason },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The larger of floor and share decides, and demotion asks a part of it.
    #[test]
    fn both_thresholds_have_to_be_met() {
        let thresholds = Thresholds { promote_share: 0.002, ..Thresholds::default() };
        assert_eq!((thresholds.promote_from(0.0), thresholds.demote_below(0.0)), (1000.0, 250.0));
        assert_eq!((thresholds.promote_from(1e6), thresholds.demote_below(1e6)), (2000.0, 500.0));
    }

    /// A reason is one line with its numbers.
    #[test]
    fn reasons_read_as_english() {
        let rate = Reason::Rate { ops: 12_345.4, floor: 1000.0, share: 960.0 };
        let text = "12345 ops/s; asked: 1000 ops/s and 960 ops/s as its share of the core's load";
        assert_eq!(rate.to_string(), text);
        let cooled = Reason::Cooled { ops: 180.0, floor: 250.0 };
        assert_eq!(cooled.to_string(), "180 ops/s, below the 250 ops/s that keep a key hot");
    }
}
