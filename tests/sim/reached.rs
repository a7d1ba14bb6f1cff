//! What a run came to, so that one can see that runs come to what they are about.

use crate::upstream::Counts;

/// How often a run came to the bounds that it is about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reached {
    pub full_mailboxes: usize,
    pub paused_receives: usize,
    pub full_posts: usize,
    pub hang_ups: usize,
    /// Folds that left, folds that waited for a turn of their own core, and reads that copies answered.
    pub folds: u64,
    pub own_folds: u64,
    pub copy_reads: u64,
    /// Turns that every core took while a request was under way, at most.
    pub longest_wait: usize,
    /// What became of EXECs.
    pub execs_ran: usize,
    pub execs_called_off: usize,
    pub execs_lost: usize,
    /// Values that clients kept when the world had come to rest, and keys that they were told of.
    pub kept: usize,
    pub told: usize,
    pub messages: usize,
    pub refused: usize,
    pub jumps: usize,
    pub stalls: usize,
    pub delayed: usize,
    pub restarts: usize,
    pub power_cuts: usize,
    /// Disks that were full for their core, and that failed; segments that began, files that were taken away, and logs of
    /// other cores that were outlived.
    pub short_disks: usize,
    pub failed_disks: usize,
    /// Writes that were refused for it, and connections that were closed.
    pub unlogged: usize,
    pub let_down: usize,
    pub segments: usize,
    pub removed: usize,
    pub taken_over: usize,
    pub buried: usize,
    /// How often a log was switched off or on, that one became whole, and that it was looked at before.
    pub switches: usize,
    pub begun_anew: usize,
    pub looks: usize,
    /// Runs that ended before a damaged log.
    pub refusals: usize,
    /// What befell the servers in front of which it was.
    pub servers: Counts,
}
