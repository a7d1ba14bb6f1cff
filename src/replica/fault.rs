//! Faults that tests plant, to prove that they would be noticed. Compiled under the feature `faults` only.

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A read joins a fold that has left already.
    JoinSent,
    /// Replies leave before the versions of what was written advance: those do a turn later.
    PublishLate,
    /// A copy is made before the writes of its turn, and passed off as one made after them.
    PublishBeforeApply,
    /// A copy answers a connection whose own write is still on its way.
    IgnoreOwnWrite,
}
