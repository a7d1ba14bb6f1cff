//! The CPU time of the server that is measured, where it runs on this machine.

use std::fs;

use super::cluster::Nodes;
use super::endpoint::{Client, Login};
use crate::protocol::resp::Value;

/// The kernel counts CPU time for user space in hundredths of a second.
const TICK_US: u64 = 10_000;
/// A process and a server of the same age within so much are the same.
const AGE_S_SLACK: f64 = 3.0;

/// The processes behind a load, or why they cannot be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers(Result<Vec<u32>, String>);

/// What a run cost its servers.
#[derive(Clone, Debug, PartialEq)]
pub enum Cost {
    Measured {
        pids: Vec<u32>,
        cpu_us: u64,
    },
    /// Why there is no figure.
    Unknown(String),
}

impl Servers {
    /// Asks each node who it is. Never a reason not to run: a server without INFO only goes unmeasured.
    pub fn find(nodes: &Nodes, login: &Login) -> Self {
        let mut pids = Vec::new();
        for node in nodes.all() {
            let found = Client::connect(node, login)
                .map_err(|error| error.to_string())
                .and_then(|mut client| pid_of(&mut client));
            match found {
                Ok(pid) => pids.push(pid),
                Err(reason) => return Self(Err(reason)),
            }
        }
        pids.sort_unstable();
        pids.dedup();
        Self(Ok(pids))
    }

    /// CPU time so far of all of them.
    pub fn cpu_us(&self) -> Option<u64> {
        self.0.as_ref().ok()?.iter().map(|pid| Some(parse_stat(&stat(*pid))?.cpu_us)).sum()
    }

    pub fn cost(&self, before_us: Option<u64>, after_us: Option<u64>) -> Cost {
        match (&self.0, before_us, after_us) {
            (Ok(pids), Some(before), Some(after)) => {
                Cost::Measured { pids: pids.clone(), cpu_us: after.saturating_sub(before) }
            }
            (Err(reason), ..) => Cost::Unknown(reason.clone()),
            _ => Cost::Unknown("its process ended during the run".to_owned()),
        }
    }
}

fn pid_of(client: &mut Client) -> Result<u32, String> {
    if !client.is_local() {
        return Err(format!("{} is on another machine", client.endpoint()));
    }
    let info = match client.ask("INFO", &["INFO", "server"]).map_err(|error| error.to_string())? {
        Value::Text(text) => String::from_utf8_lossy(&text).into_owned(),
        _ => return Err(format!("{} does not answer INFO", client.endpoint())),
    };
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let named = field(&info, "process_id:").and_then(|pid| pid.parse().ok());
    let pid = named.ok_or_else(|| format!("{} does not tell its process_id", client.endpoint()))?;
    if is_same(&info, &stat(pid), &uptime) {
        Ok(pid)
    } else {
        Err(format!("process {pid} of {} is not to be seen from here", client.endpoint()))
    }
}

/// Whether the process of that number is the server: in another container the same number is somebody else.
fn is_same(info: &str, stat: &str, machine_uptime: &str) -> bool {
    let server_s = field(info, "uptime_in_seconds:").and_then(|age| age.parse::<f64>().ok());
    let machine_s = machine_uptime.split(' ').next().and_then(|age| age.parse::<f64>().ok());
    match (server_s, machine_s, parse_stat(stat)) {
        (Some(server_s), Some(machine_s), Some(process)) => {
            let process_s = machine_s - process.start_ticks as f64 / (1_000_000.0 / TICK_US as f64);
            (process_s - server_s).abs() < AGE_S_SLACK
        }
        _ => false,
    }
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn stat(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default()
}

struct Process {
    cpu_us: u64,
    start_ticks: u64,
}

/// Fields 14, 15 and 22 of `/proc/PID/stat`, counted behind the name, which may hold blanks and brackets.
fn parse_stat(stat: &str) -> Option<Process> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    Some(Process { cpu_us: (number(11)? + number(12)?) * TICK_US, start_ticks: number(19)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a ) b) S 1 42 42 0 -1 4194560 100 0 0 0 7 3 0 0 20 0 1 0 5000 6 7";

    /// Proves the reading of a process's line, and that a missing one is no zero.
    #[test]
    fn a_process_is_read() {
        let process = parse_stat(STAT).expect("a whole line");
        assert_eq!((process.cpu_us, process.start_ticks), (100_000, 5_000));
        assert!(parse_stat("").is_none());
    }

    /// Proves that a process of the right number and the wrong age is somebody else.
    #[test]
    fn a_namesake_is_not_the_server() {
        let info = "# Server\r\nprocess_id:42\r\nuptime_in_seconds:100\r\n";
        assert!(is_same(info, STAT, "150.00 20.00\n"));
        assert!(!is_same(info, STAT, "900.00 20.00\n"));
        assert!(!is_same(info, "", "150.00 20.00\n"));
        assert!(!is_same("", STAT, "150.00 20.00\n"));
    }
}
