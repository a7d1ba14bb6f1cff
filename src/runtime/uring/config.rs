//! What a ring is asked for, and what it turned out to have.

use std::time::Duration;

/// The shape of one ring. The defaults suit a server core with some thousands of connections.
#[derive(Clone, Debug)]
pub struct RingConfig {
    /// Submission entries; a turn that queues more costs a second system call.
    pub entries: u32,
    /// Completion entries; a turn that completes more makes the kernel allocate.
    pub completions: u32,
    /// A kernel thread that submits, instead of a system call a turn.
    pub sqpoll: Option<SqPoll>,
    /// Busy polling of the network queues while waiting, in microseconds; 0 is off.
    pub napi_busy_poll_us: u32,
    /// Receive buffers, a power of two up to 32768, shared by all receives of the ring.
    pub buffers: u16,
    pub buffer_bytes: u32,
    /// Consume buffers piece by piece, where the kernel can.
    pub incremental: bool,
    /// Accepted for the sake of the configuration; never in use, for the reason in `mod.rs`.
    pub bundles: bool,
}

impl Default for RingConfig {
    fn default() -> Self {
        RingConfig {
            entries: 1024,
            completions: 4096,
            sqpoll: None,
            napi_busy_poll_us: 0,
            buffers: 256,
            buffer_bytes: 16 * 1024,
            incremental: true,
            bundles: false,
        }
    }
}

/// The submission thread of a ring.
#[derive(Clone, Copy, Debug)]
pub struct SqPoll {
    /// How long it polls without work before it sleeps.
    pub idle_ms: u32,
    /// The CPU it stays on; it takes all of that CPU while it polls.
    pub cpu: Option<u32>,
}

/// What was asked for, found and is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    pub defer_taskrun: bool,
    pub coop_taskrun: bool,
    pub sqpoll: bool,
    /// Submission without the index array (Linux 6.6).
    pub no_sqarray: bool,
    /// The ring's descriptor is registered, which spares its lookup in each enter.
    pub registered_ring: bool,
    /// `Wait::min_wait_us` is honoured (Linux 6.12).
    pub min_wait: bool,
    pub incremental: bool,
    pub bundles: bool,
    pub send_zero_copy: bool,
    pub msg_ring: bool,
    pub napi_busy_poll: bool,
}

/// How one `enter` waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wait {
    /// Return once this many completions are there; 0 submits and returns.
    pub completions: u32,
    /// For how long to hope for more than one completion. Without it, or where the kernel has no minimum wait, the
    /// first completion ends the wait: a plain wait for several would delay the few that are there without a bound.
    pub min_wait_us: u32,
    /// Return after this long with nothing; `None` waits for as long as it takes.
    pub timeout: Option<Duration>,
}

/// How one payload leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// Let the device read the payload in place. Its completion then waits for the peer's acknowledgement. TCP only: a
    /// Unix socket answers `EOPNOTSUPP`. Ignored where the kernel lacks it.
    pub zero_copy: bool,
    /// More follows at once, so a partly filled segment may wait for it (`MSG_MORE`). Ignored where nothing is copied.
    pub more: bool,
}

/// Which lasting operation a token was given to; one token may name one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Armed {
    Accept,
    Receive,
    Poll,
}
