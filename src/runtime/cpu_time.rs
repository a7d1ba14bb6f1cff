//! The CPU time of a worker's thread.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// How often it is read: that is a system call.
const SAMPLE_US: u64 = 100_000;

pub struct CpuTime {
    /// Its first number is nanoseconds on the CPU. Absent where the kernel does not account them.
    file: Option<File>,
    us: u64,
    read_at_us: u64,
}

impl CpuTime {
    pub fn of_this_thread() -> CpuTime {
        CpuTime { file: File::open("/proc/thread-self/schedstat").ok(), us: 0, read_at_us: 0 }
    }

    /// Microseconds up to the last sample.
    pub fn us(&self) -> u64 {
        self.us
    }

    /// Reads it if a sample is due; the microseconds since the last one.
    pub fn sample(&mut self, now_us: u64) -> Option<u64> {
        if now_us < self.read_at_us + SAMPLE_US {
            return None;
        }
        self.read_at_us = now_us;
        let mut text = [0; 64];
        let bytes = self.file.as_ref()?.read_at(&mut text, 0).ok()?;
        let digits = text[..bytes].split(|byte| *byte == b' ').next()?;
        let ns: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let before_us = std::mem::replace(&mut self.us, ns / 1000);
        Some(self.us - before_us)
    }
}
