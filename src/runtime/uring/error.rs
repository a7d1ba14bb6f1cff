//! Why a ring cannot be had, in words that say what to change.

use std::io;

/// What is missing for io_uring on this system, or wrong with what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    #[error("Linux {found} is too old: io_uring is used here as of Linux {needed}; boot a newer kernel")]
    KernelTooOld { found: String, needed: &'static str },

    #[error(
        "this kernel has no io_uring (io_uring_setup: function not implemented); it was built without CONFIG_IO_URING, \
         or a sandbox hides the system call: allow io_uring_setup, io_uring_enter and io_uring_register in its seccomp profile"
    )]
    NotImplemented,

    #[error(
        "io_uring is disabled: /proc/sys/kernel/io_uring_disabled is {value}; allow it with `sysctl kernel.io_uring_disabled=0`\
         {}", if *.value == 1 { ", or add this user to the group of kernel.io_uring_group" } else { "" }
    )]
    Disabled { value: u32 },

    #[error(
        "io_uring_setup is not permitted although kernel.io_uring_disabled is 0: a seccomp profile or security module refuses it; \
         allow io_uring_setup, io_uring_enter and io_uring_register (for Docker: `--security-opt seccomp=PROFILE`)"
    )]
    NotPermitted,

    #[error(
        "no memory for a ring: the limit on locked memory (RLIMIT_MEMLOCK) is {} bytes, soft, and {} bytes, hard; \
         raise it with `LimitMEMLOCK=infinity` in the systemd unit or `ulimit -l unlimited` in the shell", Limit(*.soft), Limit(*.hard)
    )]
    LockedMemory { soft: u64, hard: u64 },

    #[error("this kernel's io_uring lacks {}; boot Linux {needed} or later", .operations.join(", "))]
    OperationsMissing { operations: Vec<&'static str>, needed: &'static str },

    #[error(
        "{wanted} file descriptors are needed, but the limit (RLIMIT_NOFILE) is {hard}; \
         raise it with `LimitNOFILE={wanted}` in the systemd unit or `ulimit -n {wanted}` in the shell"
    )]
    Descriptors { hard: u64, wanted: u64 },

    #[error(
        "{buffers} receive buffers of {buffer_bytes} bytes: the number must be a power of two up to 32768, the size at least 64"
    )]
    Buffers { buffers: u16, buffer_bytes: u32 },

    #[error("the submission thread cannot start on CPU {}: {source}", .cpu.map_or("any".to_owned(), |cpu| cpu.to_string()))]
    SubmissionThread { cpu: Option<u32>, source: io::Error },

    #[error("{call}: {source}")]
    System { call: &'static str, source: io::Error },
}

/// A resource limit, whose largest value means that there is none.
struct Limit(u64);

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 == u64::MAX { f.write_str("unlimited") } else { self.0.fmt(f) }
    }
}
