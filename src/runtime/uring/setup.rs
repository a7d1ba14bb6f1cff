//! Makes a ring with the best of what the kernel offers, and says what that was.

use super::config::{Features, RingConfig};
use super::error::RingError;
use super::{kernel, probe};
use io_uring::types::Napi;
use io_uring::{Builder, IoUring, Probe, opcode};
use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// Since when the order of a ring's completions is that in which buffers were filled (see `mod.rs`).
const INCREMENTAL_SINCE: (u32, u32) = (6, 15);

/// A ring as the kernel made it.
pub(super) struct Setup {
    pub io: IoUring,
    /// The index that stands for the ring's descriptor in `io_uring_enter`.
    pub registered: Option<RawFd>,
    /// All but the buffers' part.
    pub features: Features,
    /// Whether the kernel is new enough for incremental buffers to be sound.
    pub incremental: bool,
}

pub(super) fn build(config: &RingConfig) -> Result<Setup, RingError> {
    let (io, mut features) = match config.sqpoll {
        Some(_) => (build_polled(config)?, Features { sqpoll: true, ..Features::default() }),
        None => build_deferred(config)?,
    };
    let mut operations = Probe::new();
    let submitter = io.submitter();
    submitter
        .register_probe(&mut operations)
        .map_err(|source| RingError::System { call: "io_uring_register(PROBE)", source })?;
    if config.napi_busy_poll_us > 0 {
        let mut napi = Napi::new().set_busy_poll_timeout(config.napi_busy_poll_us).set_prefer_busy_poll(true);
        features.napi_busy_poll = submitter.register_napi(&mut napi).is_ok();
    }
    features.min_wait = io.params().is_feature_min_timeout();
    features.send_zero_copy = operations.is_supported(opcode::SendZc::CODE);
    features.msg_ring = operations.is_supported(opcode::MsgRingData::CODE);
    let registered = kernel::register_ring(io.as_raw_fd()).ok();
    features.registered_ring = registered.is_some();
    let incremental = probe::kernel_release().is_ok_and(|(_, version)| version >= INCREMENTAL_SINCE);
    Ok(Setup { io, registered, features, incremental })
}

/// Task work runs in this thread's own enters only; it costs no interrupt, and needs one thread to submit.
fn build_deferred(config: &RingConfig) -> Result<(IoUring, Features), RingError> {
    let deferred = Features { defer_taskrun: true, ..Features::default() };
    let attempts = [
        Features { no_sqarray: true, ..deferred },
        deferred,
        Features { coop_taskrun: true, ..Features::default() },
        Features::default(),
    ];
    let mut refused = io::Error::from_raw_os_error(libc::EINVAL);
    for features in attempts {
        let mut builder = builder(config);
        if features.defer_taskrun {
            builder.setup_single_issuer().setup_defer_taskrun();
        }
        if features.no_sqarray {
            builder.setup_no_sqarray();
        }
        if features.coop_taskrun {
            builder.setup_coop_taskrun();
        }
        match builder.build(config.entries) {
            Ok(io) => return Ok((io, features)),
            // An unknown flag; older kernels lack it.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => refused = error,
            Err(error) => return Err(probe::explain(error)),
        }
    }
    Err(probe::explain(refused))
}

fn build_polled(config: &RingConfig) -> Result<IoUring, RingError> {
    let sqpoll = config.sqpoll.expect("called with a submission thread only");
    let mut builder = builder(config);
    builder.setup_sqpoll(sqpoll.idle_ms);
    if let Some(cpu) = sqpoll.cpu {
        builder.setup_sqpoll_cpu(cpu);
    }
    builder.build(config.entries).map_err(|source| match source.raw_os_error() {
        Some(libc::EINVAL | libc::EAGAIN) => RingError::SubmissionThread { cpu: sqpoll.cpu, source },
        _ => probe::explain(source),
    })
}

fn builder(config: &RingConfig) -> Builder {
    let mut builder = IoUring::builder();
    // SUBMIT_ALL: one bad entry must not hold back those behind it. CLAMP: too large a size becomes the largest.
    builder.setup_cqsize(config.completions.max(config.entries)).setup_submit_all().setup_clamp().dontfork();
    builder
}
