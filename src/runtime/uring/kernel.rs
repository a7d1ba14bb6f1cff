//! The three system calls that the io-uring crate does not offer in the form needed here.
//!
//! The crate keeps the index of a registered ring descriptor in a short-lived `Submitter`, which would have to borrow
//! the ring for good; with the index in our own hands one enter spares the lookup of the descriptor.

use io_uring::EnterFlags;
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

const REGISTER_RING_FDS: libc::c_uint = 20;
const UNREGISTER_RING_FDS: libc::c_uint = 21;

/// `struct io_uring_getevents_arg`.
#[repr(C)]
struct WaitArgument {
    signal_mask: u64,
    signal_mask_bytes: u32,
    min_wait_us: u32,
    timeout: u64,
}

/// `struct __kernel_timespec`.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

/// `struct io_uring_rsrc_update`.
#[repr(C)]
struct RingUpdate {
    offset: u32,
    reserved: u32,
    data: u64,
}

const _: () = assert!(size_of::<WaitArgument>() == 24 && size_of::<Timespec>() == 16 && size_of::<RingUpdate>() == 16);

/// What one `io_uring_enter` does.
pub(super) struct Enter {
    pub submit: u32,
    pub wait: u32,
    pub flags: EnterFlags,
    pub min_wait_us: u32,
    pub timeout: Option<Duration>,
}

/// Calls `io_uring_enter`; `fd` is an index when the flags say that the ring is registered.
pub(super) fn enter(fd: RawFd, call: &Enter) -> io::Result<()> {
    let timeout = call.timeout.map(|timeout| Timespec {
        seconds: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        nanoseconds: i64::from(timeout.subsec_nanos()),
    });
    let argument = WaitArgument {
        signal_mask: 0,
        signal_mask_bytes: 0,
        min_wait_us: call.min_wait_us,
        timeout: timeout.as_ref().map_or(0, |timeout| std::ptr::from_ref(timeout) as u64),
    };
    let flags = call.flags | EnterFlags::EXT_ARG;
    // SAFETY: `argument` and the `timeout` it points at live until the call returns, and have the kernel's layout.
    // Entries that this submits were checked where they were pushed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_io_uring_enter,
            fd,
            call.submit,
            call.wait,
            flags.bits(),
            std::ptr::from_ref(&argument),
            size_of::<WaitArgument>(),
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Registers the calling thread's ring descriptor with itself; returns its index.
pub(super) fn register_ring(ring: RawFd) -> io::Result<RawFd> {
    let mut update = RingUpdate { offset: u32::MAX, reserved: 0, data: ring as u64 };
    register(ring, REGISTER_RING_FDS, &mut update)?;
    Ok(update.offset as RawFd)
}

/// Gives the index back. Until then the thread holds the ring open, even after its descriptor is closed.
pub(super) fn unregister_ring(ring: RawFd, index: RawFd) -> io::Result<()> {
    register(ring, UNREGISTER_RING_FDS, &mut RingUpdate { offset: index as u32, reserved: 0, data: 0 })
}

fn register(ring: RawFd, operation: libc::c_uint, update: &mut RingUpdate) -> io::Result<()> {
    // SAFETY: `update` is one entry of the kernel's layout, valid for reads and writes through the call.
    let result =
        unsafe { libc::syscall(libc::SYS_io_uring_register, ring, operation, std::ptr::from_mut(update), 1u32) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
