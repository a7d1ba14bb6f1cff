//! MEMORY STATS and DOCTOR: what all cores take together. MEMORY USAGE is an operation on its key.

use super::super::gather::{Gather, Report};
use super::super::ingress::Call;
use super::super::sessions::Client;
use super::SYNTAX;
use crate::engine::event::HostReport;
use crate::engine::{Engine, Stats};
use crate::protocol::command::Command;
use crate::protocol::resp::{Args, Reply, parse_i64};

/// Below this there is nothing to say about memory.
const LITTLE_BYTES: u64 = 5 << 20;
/// More resident than used by so much is worth a word.
const RATIO_MAX: f64 = 1.5;
const CLIENT_BYTES_MAX: u64 = 200 << 10;

/// `MEMORY USAGE key [SAMPLES count]`, as far as it can be wrong. A string has nothing to sample.
fn usage_mistake(args: &Args) -> Option<&'static str> {
    for at in (3..args.len()).step_by(2) {
        if !args.get(at).eq_ignore_ascii_case(b"samples") || at + 1 == args.len() {
            return Some(SYNTAX);
        }
        match parse_i64(args.get(at + 1)) {
            None => return Some("ERR value is not an integer or out of range"),
            Some(count) if count < 0 => return Some(SYNTAX),
            Some(_) => {}
        }
    }
    None
}

/// Whether a MEMORY USAGE may ask its key's owner.
pub fn usage_fits(args: &Args) -> bool {
    usage_mistake(args).is_none()
}

/// A reply while its parts come in.
struct Memory {
    doctor: bool,
    total: Stats,
}

impl Report for Memory {
    fn add(&mut self, _: u32, bytes: &[u8]) {
        self.total = self.total.plus(Stats::from_bytes(bytes));
    }

    fn encode(self: Box<Self>, reply: &mut Reply, host: &dyn Fn() -> HostReport) {
        if self.doctor {
            return reply.verbatim("txt", advice(&self.total, &host()).as_bytes());
        }
        stats(&self.total, &host(), reply);
    }
}

fn stats(total: &Stats, host: &HostReport, reply: &mut Reply) {
    let overhead = total.table_bytes + total.client_bytes;
    let dataset = total.used_bytes.saturating_sub(total.table_bytes);
    let counts: [(&str, u64); 15] = [
        ("peak.allocated", total.peak_bytes),
        ("total.allocated", total.used_bytes + total.client_bytes),
        ("startup.allocated", 0),
        ("replication.backlog", 0),
        ("clients.slaves", 0),
        ("clients.normal", total.client_bytes),
        ("cluster.links", 0),
        ("aof.buffer", 0),
        ("lua.caches", 0),
        ("functions.caches", 0),
        ("overhead.total", overhead),
        ("keys.count", total.keys),
        ("keys.bytes-per-key", total.used_bytes / total.keys.max(1)),
        ("dataset.bytes", dataset),
        ("allocator.resident", host.rss_bytes),
    ];
    let percent = |part: u64, whole: u64| part as f64 * 100.0 / whole.max(1) as f64;
    let shares = [
        ("dataset.percentage", percent(dataset, total.used_bytes)),
        ("peak.percentage", percent(total.used_bytes, total.peak_bytes)),
        ("fragmentation", host.rss_bytes as f64 / total.used_bytes.max(1) as f64),
    ];
    let per_db = usize::from(total.keys > 0);
    reply.map(counts.len() + shares.len() + 1 + per_db);
    for (name, count) in counts {
        reply.bulk(name.as_bytes());
        reply.integer(count as i64);
    }
    for (name, share) in shares {
        reply.bulk(name.as_bytes());
        reply.double(share);
    }
    reply.bulk(b"fragmentation.bytes");
    reply.integer(host.rss_bytes as i64 - total.used_bytes as i64);
    if per_db == 1 {
        reply.bulk(b"db.0");
        reply.map(1);
        reply.bulk(b"overhead.hashtable.main");
        reply.integer(total.table_bytes as i64);
    }
}

/// What a person can make of it.
fn advice(total: &Stats, host: &HostReport) -> String {
    if total.used_bytes < LITTLE_BYTES {
        return "There is too little in memory to say anything about it.\n".to_owned();
    }
    let mut text = String::new();
    if host.rss_bytes as f64 > total.used_bytes as f64 * RATIO_MAX {
        text += "- The process holds much more memory than the keys take. Pages of items stay with their core when keys go, \
                 and are filled again before new ones are asked for; receive buffers take some as well.\n";
    }
    if total.peak_bytes as f64 > total.used_bytes as f64 * RATIO_MAX {
        text += "- The keys have taken much more than they do now. What they left is used again first.\n";
    }
    if total.client_bytes / total.connections.max(1) > CLIENT_BYTES_MAX {
        text += "- Clients' buffers are large: some send long pipelines, or do not read. CLIENT LIST names them.\n";
    }
    if text.is_empty() {
        text = "Nothing about memory is out of the ordinary.\n".to_owned();
    }
    text
}

impl Engine {
    pub(super) fn memory(&mut self, call: &mut Call, client: &mut Client, command: Command, args: &mut Args) {
        match command {
            Command::MemoryUsage => {
                let mistake = usage_mistake(args).expect("without one it is an operation on its key");
                client.answer(|reply| reply.error(mistake));
            }
            Command::MemoryPurge => client.answer(|reply| reply.ok()),
            Command::MemoryMallocStats => {
                client.answer(|reply| reply.bulk(b"mimalloc keeps no statistics in this build"));
            }
            _ => {
                let doctor = command == Command::MemoryDoctor;
                let gather = Gather::report(self.cores, Memory { doctor, total: Stats::default() });
                self.everywhere(call, client, command, args, gather.in_proto(client.proto));
            }
        }
    }
}
