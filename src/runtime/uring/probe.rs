//! Asks the system, before anything is started, whether io_uring can be had, and says what to change if not.

use super::error::RingError;
use io_uring::{IoUring, Probe, opcode};
use std::ffi::CStr;
use std::io;

/// The oldest kernel with all that the rings need: multishot receive, provided buffer rings, deferred task work.
const KERNEL_MIN: (u32, u32) = (6, 1);
const KERNEL_MIN_TEXT: &str = "6.1";

/// A system on which rings work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelReport {
    /// As `uname -r` prints it.
    pub release: String,
    /// Its first two numbers.
    pub version: (u32, u32),
}

/// Checks kernel, sysctl, permission and operations by making a small ring and closing it again.
pub fn probe() -> Result<KernelReport, RingError> {
    let (release, version) = kernel_release()?;
    if version < KERNEL_MIN {
        return Err(RingError::KernelTooOld { found: release, needed: KERNEL_MIN_TEXT });
    }
    let io = IoUring::new(8).map_err(explain)?;
    let mut operations = Probe::new();
    io.submitter()
        .register_probe(&mut operations)
        .map_err(|source| RingError::System { call: "io_uring_register(PROBE)", source })?;
    let needed = [
        ("ACCEPT", opcode::AcceptMulti::CODE),
        ("RECV", opcode::RecvMulti::CODE),
        ("SEND", opcode::Send::CODE),
        ("ASYNC_CANCEL", opcode::AsyncCancel::CODE),
        ("CLOSE", opcode::Close::CODE),
        ("POLL_ADD", opcode::PollAdd::CODE),
        ("MSG_RING", opcode::MsgRingData::CODE),
    ];
    let missing: Vec<_> =
        needed.iter().filter(|(_, code)| !operations.is_supported(*code)).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        return Err(RingError::OperationsMissing { operations: missing, needed: KERNEL_MIN_TEXT });
    }
    Ok(KernelReport { release, version })
}

/// Raises the soft limit on descriptors to at least `wanted`, the hard one too where that is permitted. Returns the
/// soft limit now in force.
pub fn raise_descriptor_limit(wanted: u64) -> Result<u64, RingError> {
    let system = |call| move |source| RingError::System { call, source };
    let (soft, hard) = limit(libc::RLIMIT_NOFILE).map_err(system("getrlimit(RLIMIT_NOFILE)"))?;
    if soft >= wanted {
        return Ok(soft);
    }
    let raised = libc::rlimit { rlim_cur: wanted, rlim_max: hard.max(wanted) };
    // SAFETY: the limit is read during the call only.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raised) } == 0 {
        return Ok(wanted);
    }
    let source = io::Error::last_os_error();
    if hard < wanted {
        Err(RingError::Descriptors { hard, wanted })
    } else {
        Err(system("setrlimit(RLIMIT_NOFILE)")(source))
    }
}

/// The running kernel's release and the two numbers that it starts with.
pub(super) fn kernel_release() -> Result<(String, (u32, u32)), RingError> {
    // SAFETY: `utsname` is arrays of characters, for which zeroes are valid.
    let mut name: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: `name` is valid for writes.
    if unsafe { libc::uname(&mut name) } != 0 {
        return Err(RingError::System { call: "uname", source: io::Error::last_os_error() });
    }
    // SAFETY: a successful uname terminates each of its strings within its array.
    let release = unsafe { CStr::from_ptr(name.release.as_ptr()) }.to_string_lossy().into_owned();
    let version = parse_version(&release);
    Ok((release, version))
}

/// What an error of `io_uring_setup` means on this system.
pub(super) fn explain(source: io::Error) -> RingError {
    explain_with(source, io_uring_disabled(), || limit(libc::RLIMIT_MEMLOCK))
}

fn explain_with(source: io::Error, disabled: u32, locked: impl FnOnce() -> io::Result<(u64, u64)>) -> RingError {
    match source.raw_os_error() {
        Some(libc::ENOSYS) => RingError::NotImplemented,
        Some(libc::EPERM | libc::EACCES) if disabled > 0 => RingError::Disabled { value: disabled },
        Some(libc::EPERM | libc::EACCES) => RingError::NotPermitted,
        Some(libc::ENOMEM) => match locked() {
            Ok((soft, hard)) => RingError::LockedMemory { soft, hard },
            Err(source) => RingError::System { call: "getrlimit(RLIMIT_MEMLOCK)", source },
        },
        _ => RingError::System { call: "io_uring_setup", source },
    }
}

/// 0 allows all, 1 a group, 2 nobody. Kernels before 6.6 have no such file and allow all.
fn io_uring_disabled() -> u32 {
    let text = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

fn parse_version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|digits| digits.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Soft and hard.
fn limit(resource: libc::__rlimit_resource_t) -> io::Result<(u64, u64)> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for writes.
    if unsafe { libc::getrlimit(resource, &mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((limit.rlim_cur, limit.rlim_max))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves that a release is read up to its second number whatever follows.
    #[test]
    fn versions() {
        for (release, version) in
            [("6.1.0-13-amd64", (6, 1)), ("6.18.44-fc-v657", (6, 18)), ("7.0-rc1", (7, 0)), ("5", (5, 0)), ("", (0, 0))]
        {
            assert_eq!(parse_version(release), version, "{release}");
        }
    }

    /// Proves that each cause of a refusal is told with what to change, by explaining planted error numbers.
    #[test]
    fn explanations() {
        let text = |errno, disabled| {
            explain_with(io::Error::from_raw_os_error(errno), disabled, || Ok((65_536, u64::MAX))).to_string()
        };
        assert!(text(libc::ENOSYS, 0).contains("CONFIG_IO_URING"));
        assert!(text(libc::EPERM, 2).contains("sysctl kernel.io_uring_disabled=0"));
        assert!(text(libc::EPERM, 1).contains("kernel.io_uring_group"));
        assert!(text(libc::EPERM, 0).contains("seccomp"));
        let memory = text(libc::ENOMEM, 0);
        for part in ["RLIMIT_MEMLOCK", "65536 bytes, soft", "unlimited bytes, hard", "LimitMEMLOCK=", "ulimit -l"] {
            assert!(memory.contains(part), "{memory}");
        }
        assert!(text(libc::EMFILE, 0).contains("io_uring_setup"));
    }

    /// Proves that this machine, which runs the tests, passes, and that its limit can be read and kept.
    #[test]
    fn this_system() {
        assert!(probe().expect("tests need io_uring").version >= KERNEL_MIN);
        let (soft, _) = limit(libc::RLIMIT_NOFILE).unwrap();
        assert_eq!(raise_descriptor_limit(1).unwrap(), soft);
        let refused = raise_descriptor_limit(u64::MAX).unwrap_err().to_string();
        assert!(refused.contains("LimitNOFILE=") || refused.contains("setrlimit"), "{refused}");
    }
}
