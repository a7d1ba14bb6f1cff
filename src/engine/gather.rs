//! Replies of several parts: what is known so far, and how the whole is encoded.
//!
//! A part is what a core answered, encoded. Which parts make which reply is decided here alone.

use super::admin::info;
use super::event::HostReport;
use super::stats::Stats;
use crate::keyspace::command::is_part;
use crate::protocol::command::Command;
use crate::protocol::resp::{Output, Proto, Reply, number_of};
use std::ops::Range;

/// What stands in front of a line for its order.
pub const ORDER_BYTES: usize = 20;
/// Why a part of a count or an array begins with a number: our own encoder wrote it.
const OURS: &str = "a part of a count is a number";

/// What the parts add up to.
enum Sum {
    /// Integers are added: DEL, EXISTS, DBSIZE...
    Count(i64),
    /// OK if each part was: MSET, FLUSHALL, CONFIG SET...
    Ok,
    /// Arrays are joined: KEYS.
    Array { elements: usize, body: Output },
    /// One part that is no null, the one of core `wanted` if possible: RANDOMKEY.
    Any { wanted: u32, found: Option<Output> },
    /// Lines are put in order by what stands in front of each, [`ORDER_BYTES`], which is left out: CLIENT LIST.
    Lines(Vec<u8>),
    /// The counts of each core: INFO.
    Info { rows: Vec<(u32, Stats)>, request: Box<info::InfoRequest> },
    /// Answers to a round of a command that moves values, in the order of its parts: the engine goes on with them.
    Round(Vec<Output>),
    /// Whatever else is put together from records: HOTKEYS, SLOWLOG, PUBSUB, LATENCY, MEMORY...
    Report(Box<dyn Report>),
    /// CLIENT KILL addr:port, which answers OK or an error.
    Killed(i64),
}

/// A reply that is put together from each core's records.
pub trait Report: Send {
    /// Takes what core number `core` answered.
    fn add(&mut self, core: u32, bytes: &[u8]);
    /// Encodes the whole.
    fn encode(self: Box<Self>, reply: &mut Reply, host: &dyn Fn() -> HostReport);
}

/// A reply that waits for `left` parts.
pub struct Gather {
    left: usize,
    sum: Sum,
    /// What the client spoke when it asked; by the time of the answer HELLO or RESET may have changed that.
    proto: Proto,
    /// The first error among the parts; it is the whole reply.
    error: Option<Vec<u8>>,
    /// The command, if the whole may be an error that no part has counted.
    command: Option<Command>,
}

impl Gather {
    fn new(parts: usize, sum: Sum) -> Gather {
        Gather { left: parts, sum, proto: Proto::Resp2, error: None, command: None }
    }
    /// For replies that differ by version. Counts, arrays and OK do not.
    pub fn in_proto(self, proto: Proto) -> Gather {
        Gather { proto, ..self }
    }
    pub fn of(self, command: Command) -> Gather {
        Gather { command: Some(command), ..self }
    }
    /// The command that has failed, should the whole be an error: errors of parts were counted where they were encoded,
    /// but for those of operations on one key of several.
    pub fn culprit(&self) -> Option<Command> {
        self.command.filter(|command| self.error.is_none() || is_part(*command))
    }
    pub fn count(parts: usize) -> Gather {
        Gather::new(parts, Sum::Count(0))
    }
    pub fn ok(parts: usize) -> Gather {
        Gather::new(parts, Sum::Ok)
    }
    pub fn array(parts: usize) -> Gather {
        Gather::new(parts, Sum::Array { elements: 0, body: Output::default() })
    }
    pub fn any(parts: usize, wanted: u32) -> Gather {
        Gather::new(parts, Sum::Any { wanted, found: None })
    }
    pub fn lines(parts: usize) -> Gather {
        Gather::new(parts, Sum::Lines(Vec::new()))
    }
    pub fn killed(parts: usize) -> Gather {
        Gather::new(parts, Sum::Killed(0))
    }
    pub fn round(parts: usize) -> Gather {
        Gather::new(parts, Sum::Round(vec![Output::default(); parts]))
    }
    pub fn is_round(&self) -> bool {
        matches!(self.sum, Sum::Round(_))
    }
    /// What a round was answered.
    pub fn take_round(&mut self) -> Vec<Output> {
        match &mut self.sum {
            Sum::Round(answers) => std::mem::take(answers),
            _ => unreachable!("only a round is taken"),
        }
    }
    pub fn info(parts: usize, request: info::InfoRequest) -> Gather {
        Gather::new(parts, Sum::Info { rows: Vec::with_capacity(parts), request: Box::new(request) })
    }
    pub fn report(parts: usize, report: impl Report + 'static) -> Gather {
        Gather::new(parts, Sum::Report(Box::new(report)))
    }

    /// Adds part number `part`: `range` of `output`. True when it was the last one.
    pub fn add(&mut self, part: u32, output: &Output, range: Range<usize>) -> bool {
        self.left -= 1;
        let bytes = &output.bytes[range.clone()];
        match &mut self.sum {
            Sum::Info { rows, request } => {
                let (stats, rest) = bytes.split_at(size_of::<Stats>());
                let stats: Stats = bytemuck::pod_read_unaligned(stats);
                let mut rest = request.add_listened(&stats, rest);
                request.census.add(&mut rest);
                request.servers.add(&mut rest);
                request.add_hot_keys(part, rest);
                rows.push((part, stats));
            }
            Sum::Report(report) => report.add(part, bytes),
            Sum::Lines(text) => text.extend_from_slice(bytes),
            Sum::Round(answers) => answers[part as usize].append(output, range),
            _ if bytes.first() == Some(&b'-') => {
                self.error.get_or_insert_with(|| bytes.to_vec());
            }
            Sum::Count(sum) | Sum::Killed(sum) => *sum += number_of(bytes, b':').expect(OURS),
            Sum::Ok => {}
            Sum::Array { elements, body } => {
                let header_bytes = bytes.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                *elements += number_of(&bytes[..header_bytes], b'*').expect(OURS) as usize;
                body.append(output, range.start + header_bytes..range.end);
            }
            Sum::Any { wanted, found } => {
                let null = matches!(bytes, [b'_', ..] | [b'$', b'-', ..]);
                if !null && (found.is_none() || *wanted == part) {
                    let mut whole = Output::default();
                    whole.append(output, range);
                    *found = Some(whole);
                }
            }
        }
        self.left == 0
    }

    /// Encodes the whole reply.
    pub fn encode(self, reply: &mut Reply, host: &dyn Fn() -> HostReport) {
        if let Some(error) = self.error {
            return reply.raw(&error);
        }
        reply.proto = self.proto;
        match self.sum {
            Sum::Count(sum) => reply.integer(sum),
            Sum::Killed(0) => reply.error("ERR No such client"),
            Sum::Ok | Sum::Killed(_) => reply.ok(),
            Sum::Array { elements, body } => {
                reply.array(elements);
                reply.out.append(&body, 0..body.bytes.len());
            }
            Sum::Any { found: Some(found), .. } => reply.out.append(&found, 0..found.bytes.len()),
            Sum::Any { found: None, .. } => reply.null(),
            Sum::Lines(text) => {
                let mut lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
                lines.sort_unstable();
                let shown: Vec<&[u8]> = lines.iter().map(|line| &line[ORDER_BYTES..]).collect();
                reply.verbatim("txt", &shown.concat());
            }
            Sum::Round(_) => unreachable!("the engine goes on with a round"),
            Sum::Report(report) => report.encode(reply, host),
            Sum::Info { mut rows, request } => {
                rows.sort_unstable_by_key(|(core, _)| *core);
                let rows: Vec<Stats> = rows.into_iter().map(|(_, stats)| stats).collect();
                reply.verbatim("txt", info::text(&request, &rows, &host()).as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A pipeline of RANDOMKEY and HELLO 3 got RESP3's null for the former once its parts came in behind the latter.
    #[test]
    fn the_reply_is_in_the_version_of_the_request() {
        for (asked, null) in [(Proto::Resp2, "$-1\r\n"), (Proto::Resp3, "_\r\n")] {
            let (mut part, mut whole) = (Output::default(), Output::default());
            part.bytes.extend_from_slice(b"$-1\r\n");
            let mut gather = Gather::any(1, 0).in_proto(asked);
            assert!(gather.add(0, &part, 0..5));
            let now = if asked == Proto::Resp2 { Proto::Resp3 } else { Proto::Resp2 };
            gather.encode(&mut Reply { out: &mut whole, proto: now }, &|| unreachable!("no INFO"));
            assert_eq!(whole.flatten(), null.as_bytes());
        }
    }
}
