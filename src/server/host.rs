//! What the machine says of this process, read from `/proc` when asked: INFO's memory and CPU, and what exists.
//!
//! A file that is missing or unreadable (a container without `/proc`) counts as zero: INFO must answer anyway.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use super::config::cpus_parse;

/// The kernel counts CPU time for user space in hundredths of a second on every architecture that has io_uring.
const TICK_US: u64 = 10_000;

/// What does not change while the process runs, and the way to what does.
#[derive(Clone, Debug)]
pub struct Host {
    run_id: String,
    executable: PathBuf,
    os: String,
    memory_total_bytes: u64,
}

/// CPU time of the whole process, all its threads, ended ones too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTime {
    pub user_us: u64,
    pub system_us: u64,
}

/// Resident memory of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resident {
    pub now_bytes: u64,
    pub peak_bytes: u64,
}

impl Host {
    /// Reads what stays the same; draws a new run id.
    pub fn read() -> std::io::Result<Self> {
        let mut random = [0u8; 20];
        fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        let name = |file: &str| read(file).trim().to_owned();
        let (kernel, release) = (name("/proc/sys/kernel/ostype"), name("/proc/sys/kernel/osrelease"));
        Ok(Self {
            run_id: random.iter().map(|byte| format!("{byte:02x}")).collect(),
            executable: std::env::current_exe().unwrap_or_default(),
            os: format!("{kernel} {release} {}", std::env::consts::ARCH),
            memory_total_bytes: kilobytes(&read("/proc/meminfo"), "MemTotal:"),
        })
    }

    /// 40 hexadecimal digits, new at every start, as Redis's `run_id`.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    pub fn executable(&self) -> &std::path::Path {
        &self.executable
    }

    /// `Linux 6.12.1 x86_64`, as Redis's `os`.
    pub fn os(&self) -> &str {
        &self.os
    }

    pub fn memory_total_bytes(&self) -> u64 {
        self.memory_total_bytes
    }

    pub fn pid(&self) -> u32 {
        std::process::id()
    }

    /// Exact only to what each thread has not yet handed in: some tens of pages, since Linux 6.2.
    pub fn resident(&self) -> Resident {
        let status = read("/proc/self/status");
        Resident { now_bytes: kilobytes(&status, "VmRSS:"), peak_bytes: kilobytes(&status, "VmHWM:") }
    }

    pub fn cpu_time(&self) -> CpuTime {
        cpu_time(&read("/proc/self/stat"))
    }
}

/// The CPUs that this process may run on and that are switched on, ascending; never empty.
pub fn cpus_available() -> Vec<usize> {
    let status = read("/proc/self/status");
    let allowed = field(&status, "Cpus_allowed_list:").and_then(cpus_parse).unwrap_or_default();
    // The mask may name CPUs that the machine could have and has not.
    let online = cpus_parse(read("/sys/devices/system/cpu/online").trim());
    let exists = |cpu: &usize| online.as_ref().is_none_or(|online| online.contains(cpu));
    let cpus: Vec<usize> = allowed.into_iter().filter(exists).collect();
    if !cpus.is_empty() {
        return cpus;
    }
    (0..std::thread::available_parallelism().map_or(1, usize::from)).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The rest of the line that begins with `name`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// A line such as `VmRSS:     1234 kB`, in bytes.
fn kilobytes(text: &str, name: &str) -> u64 {
    let kb = field(text, name).and_then(|value| value.split(' ').next()?.parse::<u64>().ok());
    kb.unwrap_or(0).saturating_mul(1024)
}

/// Fields 14 and 15 of `/proc/self/stat`, counted after the name, which may itself hold blanks and brackets.
fn cpu_time(stat: &str) -> CpuTime {
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = after_name.split_whitespace().skip(11);
    let mut next_us = || fields.next().and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or(0).saturating_mul(TICK_US);
    CpuTime { user_us: next_us(), system_us: next_us() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves that a process named to confuse the reader is still read right.
    #[test]
    fn cpu_time_skips_any_name() {
        let stat = "42 (a ) (b) 1 2) S 1 42 42 0 -1 4194560 100 0 0 0 7 3 0 0 20 0 1 0 5 6 7";
        assert_eq!(cpu_time(stat), CpuTime { user_us: 70_000, system_us: 30_000 });
        assert_eq!(cpu_time(""), CpuTime::default());
    }

    /// Proves the line format of `/proc/self/status`, and that a missing line is zero.
    #[test]
    fn kilobytes_are_bytes() {
        let status = "Name:\tcoldplate\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(kilobytes(status, "VmRSS:"), 1 << 20);
        assert_eq!(kilobytes(status, "VmHWM:"), 2 << 20);
        assert_eq!(kilobytes(status, "VmSwap:"), 0);
    }

    /// Proves that this very process can be read: the paths and fields exist on a real kernel.
    #[test]
    fn this_machine_answers() {
        let host = Host::read().expect("/dev/urandom is there");
        assert_eq!(host.run_id().len(), 40);
        assert!(host.run_id().bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(host.run_id(), Host::read().expect("/dev/urandom is there").run_id());
        assert!(host.os().starts_with("Linux "));
        assert!(host.memory_total_bytes() > host.resident().now_bytes);
        assert!(host.resident().peak_bytes > 0);
        assert!(!cpus_available().is_empty());
        assert!(host.executable().is_absolute());
    }
}
