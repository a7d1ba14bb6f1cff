//! Owns how hot each key is: what a core counts of the operations it ingests, and what a key's owner decides from it.
//! Knows keys, rates and thresholds; its memory is constant, its time and its seed are arguments.
//! Must never know values, replicas, letters or connections: it says which keys are hot, others act on it.
//! Read first: `rates.rs` (the words), `intake.rs` (what a core counts), then `policy.rs` and `board.rs` (what an owner decides).
//!
//! ```
//! use coldplate::heat::{Access, Board, Decision, Heat, HeatOptions, Limits, Thresholds};
//! use coldplate::types::{CoreId, KeyHash, Slot};
//!
//! let mut heat = Heat::new(HeatOptions::default());
//! heat.turn(0);
//! for _ in 0..5_000 {
//!     if heat.counts() {
//!         heat.sample(b"user:42", Slot(7), KeyHash(0x1234), Access::Read, 100);
//!     }
//! }
//! let (mut reports, mut board) = (Vec::new(), Board::new(1, 100_000));
//! assert!(heat.window_ends(100_000, 2_000, &mut reports));
//! for report in reports {
//!     board.report(CoreId(0), 100_000, report);
//! }
//! let asked = |_: &[u8]| Some(Thresholds::default());
//! let decisions = board.decide(100_000, heat.load_ops(), &Limits::default(), asked, |_, _, _| 100);
//! assert!(matches!(decisions[..], [Decision::Promote { hash: KeyHash(0x1234), .. }]));
//! ```

mod board;
#[cfg(test)]
mod board_tests;
mod candidates;
mod gap;
mod intake;
#[cfg(test)]
mod intake_tests;
mod policy;
mod rates;
mod sketch;

pub use board::{Board, WARM_MAX, Warm};
pub use intake::{Heat, HeatOptions, KEY_BYTES_MAX};
pub use policy::{Decision, Limits, Reason, Thresholds};
pub use rates::{Access, Rates, Report};
