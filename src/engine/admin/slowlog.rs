//! SLOWLOG, and HOTKEYS SLOW: the same with a seventh field, what was done about the request's key.
//!
//! The seventh field has a command of its own because clients read SLOWLOG's entries by position, and some (go-redis) read
//! just six of them and take a seventh for the next entry.

use super::super::event::HostReport;
use super::super::figures::{self, SlowFigures, mode};
use super::super::gather::{Gather, Report};
use super::super::ingress::Call;
use super::super::scatter::CHECKED;
use super::super::sessions::Client;
use super::super::slow::Entry;
use crate::engine::Engine;
use crate::protocol::command::Command;
use crate::protocol::resp::{Args, Reply, parse_i64, quoting};

const COUNT_DEFAULT: usize = 10;
const BAD_COUNT: &str = "ERR count should be greater than or equal to -1";

/// A reply while its parts come in.
pub struct Slow {
    entries: Vec<Entry>,
    /// Entries that all cores have, for LEN.
    len: u64,
    len_max: u64,
    count: usize,
    shape: Shape,
}

enum Shape {
    Len,
    Get,
    WithMode,
}

impl Report for Slow {
    fn add(&mut self, _: u32, mut bytes: &[u8]) {
        self.len += figures::read::<u64>(&mut bytes);
        while !bytes.is_empty() {
            self.entries.push(read(&mut bytes));
        }
    }

    fn encode(mut self: Box<Self>, reply: &mut Reply, _: &dyn Fn() -> HostReport) {
        if let Shape::Len = self.shape {
            return reply.integer(self.len.min(self.len_max) as i64);
        }
        self.entries.sort_unstable_by_key(|entry| std::cmp::Reverse((entry.unix_us, entry.id)));
        self.entries.truncate(self.count.min(self.len_max as usize));
        reply.array(self.entries.len());
        for entry in &self.entries {
            reply.array(if let Shape::WithMode = self.shape { 7 } else { 6 });
            reply.integer(entry.id as i64);
            reply.integer((entry.unix_us / 1_000_000) as i64);
            reply.integer(entry.duration_us as i64);
            reply.array(entry.args.len());
            entry.args.iter().for_each(|arg| reply.bulk(arg));
            reply.bulk(entry.peer.as_bytes());
            reply.bulk(&entry.name);
            if let Shape::WithMode = self.shape {
                reply.bulk(mode::name(entry.mode).as_bytes());
            }
        }
    }
}

/// `SLOWLOG GET [count]` and `HOTKEYS SLOW [count]`: how many entries, all of them for -1.
fn count(command: Command, args: &Args) -> Result<usize, Vec<u8>> {
    match args.try_get(2) {
        _ if args.len() > 3 => {
            let help = if command == Command::SlowLogGet { "'. Try SLOWLOG HELP." } else { "'. Try HOTKEYS HELP." };
            Err(quoting("ERR unknown subcommand or wrong number of arguments for '", args.get(1), help))
        }
        None => Ok(COUNT_DEFAULT),
        Some(count) => match parse_i64(count) {
            Some(-1) => Ok(usize::MAX),
            count => count.and_then(|count| usize::try_from(count).ok()).ok_or(BAD_COUNT.into()),
        },
    }
}

impl Engine {
    pub(super) fn slowlog(&mut self, call: &mut Call, client: &mut Client, command: Command, args: &mut Args) {
        let cores = self.cores;
        let slow = |shape, count| {
            let len_max = self.settings.slowlog_len_max;
            Gather::report(cores, Slow { entries: Vec::new(), len: 0, len_max, count, shape })
        };
        let gather = match command {
            Command::SlowLogLen => Ok(slow(Shape::Len, 0)),
            Command::SlowLogGet => count(command, args).map(|count| slow(Shape::Get, count)),
            Command::HotkeysSlow => count(command, args).map(|count| slow(Shape::WithMode, count)),
            _ => Ok(Gather::ok(cores)),
        };
        match gather {
            Ok(gather) => self.everywhere(call, client, command, args, gather.in_proto(client.proto)),
            Err(error) => client.answer(|reply| reply.error_bytes(&error)),
        }
    }

    /// This core's part.
    pub(in crate::engine) fn slowlog_part(&mut self, command: Command, args: &Args, reply: &mut Reply) {
        let out = &mut reply.out.bytes;
        match command {
            Command::SlowLogReset => {
                self.slow.clear();
                reply.ok();
            }
            Command::SlowLogLen => figures::write(out, &(self.slow.len() as u64)),
            _ => {
                figures::write(out, &(self.slow.len() as u64));
                let count = count(command, args).expect(CHECKED);
                self.slow.newest().take(count).for_each(|entry| write(entry, out));
            }
        }
    }
}

fn write(entry: &Entry, out: &mut Vec<u8>) {
    let head = SlowFigures {
        id: entry.id,
        unix_us: entry.unix_us,
        duration_us: entry.duration_us,
        mode: entry.mode,
        args: entry.args.len() as u32,
        peer_bytes: entry.peer.len() as u32,
        name_bytes: entry.name.len() as u32,
    };
    figures::write(out, &head);
    out.extend_from_slice(entry.peer.as_bytes());
    out.extend_from_slice(&entry.name);
    for arg in &entry.args {
        figures::write(out, &(arg.len() as u64));
        out.extend_from_slice(arg);
    }
}

fn read(bytes: &mut &[u8]) -> Entry {
    let head: SlowFigures = figures::read(bytes);
    let peer = String::from_utf8_lossy(figures::take(bytes, head.peer_bytes as usize)).into_owned();
    let name = figures::take(bytes, head.name_bytes as usize).to_vec();
    let arg = |bytes: &mut &[u8]| {
        let len = figures::read::<u64>(bytes) as usize;
        figures::take(bytes, len).to_vec()
    };
    let args = (0..head.args).map(|_| arg(bytes)).collect();
    Entry { id: head.id, unix_us: head.unix_us, duration_us: head.duration_us, args, peer, name, mode: head.mode }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries come back from their bytes as they were.
    #[test]
    fn entries_round_trip() {
        let entry = |id, args: &[&str]| Entry {
            id,
            unix_us: 5,
            duration_us: 7,
            args: args.iter().map(|arg| arg.as_bytes().to_vec()).collect(),
            peer: "127.0.0.1:9".into(),
            name: b"n".to_vec(),
            mode: 3,
        };
        let entries = [entry(1, &["GET", ""]), entry(2, &[])];
        let mut out = Vec::new();
        entries.iter().for_each(|entry| write(entry, &mut out));
        let mut bytes = &out[..];
        assert_eq!([read(&mut bytes), read(&mut bytes)], entries);
        assert!(bytes.is_empty());
    }
}
