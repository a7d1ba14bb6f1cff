//! Anonymous memory that the kernel shares: page-aligned, zeroed, never copied into a forked child.

use std::io;
use std::ptr::{self, NonNull};

/// One mapping. It is unmapped on drop, unless `leak` gave it away.
pub(super) struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}

impl Mapping {
    /// Maps `bytes` (above 0) and touches every page, so that no page fault lies in wait on the hot path.
    pub fn new(bytes: usize) -> io::Result<Mapping> {
        assert!(bytes > 0);
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice touches no existing memory.
        let start = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast::<u8>()).expect("the kernel maps nothing at address 0 unasked");
        // SAFETY: the range is the mapping made above. A failure only costs a forked child some memory.
        unsafe { libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_DONTFORK) };
        Ok(Mapping { start, bytes })
    }

    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Keeps the memory mapped for the life of the process.
    pub fn leak(&mut self) {
        self.bytes = 0;
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.bytes > 0 {
            // SAFETY: this value alone owns the mapping, and its owner drops it after the kernel's last use.
            unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
        }
    }
}
