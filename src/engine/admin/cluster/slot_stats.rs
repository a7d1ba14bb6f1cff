//! CLUSTER SLOT-STATS: how many keys slots hold.
//!
//! The number of keys is all that is told, as in Redis unless its `cluster-slot-stats-enabled` is on: CPU time and bytes
//! would have to be counted slot by slot with every request. HOTKEYS tells by key what is worth knowing of them.

use super::super::super::event::HostReport;
use super::super::super::figures::{self, SlotFigures};
use super::super::super::gather::{Gather, Report};
use super::super::super::ingress::Call;
use super::super::super::scatter::CHECKED;
use super::super::super::sessions::Client;
use super::SYNTAX;
use crate::engine::Engine;
use crate::protocol::command::Command;
use crate::protocol::resp::{Args, Reply, parse_i64, quoting};
use crate::types::SLOTS;
use std::cmp::Reverse;
use std::ops::RangeInclusive;

const BAD_SLOT: &str = "ERR Invalid or out of range slot";
const BAD_LIMIT: &str = "ERR Limit has to lie in between 1 and 16384 (maximum number of slots).";

/// A request, and its rows as they come in.
pub struct SlotStats {
    slots: RangeInclusive<u16>,
    order: Order,
    limit: usize,
    rows: Vec<SlotFigures>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    BySlot,
    FewestKeys,
    MostKeys,
}

impl SlotStats {
    fn parse(args: &Args) -> Result<SlotStats, Vec<u8>> {
        let word = args.get(2).to_ascii_lowercase();
        match word.as_slice() {
            b"slotsrange" if args.len() == 5 => {
                let (from, to) = (slot(args.get(3))?, slot(args.get(4))?);
                if from > to {
                    return Err(
                        format!("ERR Start slot number {from} is greater than end slot number {to}").into_bytes()
                    );
                }
                Ok(SlotStats { slots: from..=to, order: Order::BySlot, limit: SLOTS, rows: Vec::new() })
            }
            b"orderby" => SlotStats::parse_order(args),
            _ => Err(quoting(
                "ERR unknown subcommand or wrong number of arguments for '",
                args.get(1),
                "'. Try CLUSTER HELP.",
            )),
        }
    }

    /// ORDERBY KEY-COUNT [LIMIT limit] [ASC | DESC]
    fn parse_order(args: &Args) -> Result<SlotStats, Vec<u8>> {
        if !args.get(3).eq_ignore_ascii_case(b"key-count") {
            return Err("ERR Unrecognized sort metric for ORDERBY.".into());
        }
        let (mut limit, mut order, mut at) = (None, None, 4);
        while at < args.len() {
            let twice = match (args.get(at).to_ascii_lowercase().as_slice(), args.try_get(at + 1)) {
                (b"limit", Some(value)) => {
                    at += 1;
                    let value = parse_i64(value).and_then(|value| usize::try_from(value).ok());
                    let value = value.filter(|value| (1..=SLOTS).contains(value)).ok_or(BAD_LIMIT)?;
                    limit.replace(value).is_some()
                }
                (b"asc", _) => order.replace(Order::FewestKeys).is_some(),
                (b"desc", _) => order.replace(Order::MostKeys).is_some(),
                _ => return Err(SYNTAX.into()),
            };
            if twice {
                return Err("ERR Multiple filters of the same type are disallowed.".into());
            }
            at += 1;
        }
        let order = order.unwrap_or(Order::MostKeys);
        Ok(SlotStats { slots: 0..=SLOTS as u16 - 1, order, limit: limit.unwrap_or(SLOTS), rows: Vec::new() })
    }

    /// Puts the rows in order and drops what is past the limit.
    fn settle(&mut self) {
        match self.order {
            Order::BySlot => self.rows.sort_unstable_by_key(|row| row.slot),
            Order::FewestKeys => self.rows.sort_unstable_by_key(|row| (row.keys, row.slot)),
            Order::MostKeys => self.rows.sort_unstable_by_key(|row| (Reverse(row.keys), row.slot)),
        }
        self.rows.truncate(self.limit);
    }

    fn show(mut self, reply: &mut Reply) {
        self.settle();
        reply.array(self.rows.len());
        for row in &self.rows {
            reply.array(2);
            reply.integer(row.slot as i64);
            reply.map(1);
            reply.bulk(b"key-count");
            reply.integer(row.keys as i64);
        }
    }
}

impl Report for SlotStats {
    fn add(&mut self, _: u32, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.rows.push(figures::read(&mut bytes));
        }
    }

    fn encode(self: Box<Self>, reply: &mut Reply, _: &dyn Fn() -> HostReport) {
        self.show(reply);
    }
}

fn slot(text: &[u8]) -> Result<u16, Vec<u8>> {
    let slot = parse_i64(text).and_then(|slot| u16::try_from(slot).ok());
    slot.filter(|slot| usize::from(*slot) < SLOTS).ok_or(BAD_SLOT.into())
}

impl Engine {
    /// Of the node's own slots, or, on the port that is no node's, of all.
    pub(super) fn slot_stats(&mut self, call: &mut Call, client: &mut Client, args: &mut Args) {
        let mut stats = match SlotStats::parse(args) {
            Ok(stats) => stats,
            Err(error) => return client.answer(|reply| reply.error_bytes(&error)),
        };
        if self.is_node(client) {
            stats.rows = self.slot_rows(&stats);
            return client.answer(|reply| stats.show(reply));
        }
        let gather = Gather::report(self.cores, stats).in_proto(client.proto);
        self.everywhere(call, client, Command::ClusterSlotStats, args, gather);
    }

    fn slot_rows(&self, stats: &SlotStats) -> Vec<SlotFigures> {
        let slots = self.table.slots_of(self.core).filter(|slot| stats.slots.contains(&slot.0));
        slots.map(|slot| SlotFigures { slot: slot.0.into(), keys: self.shard.slot_len(slot) as u64 }).collect()
    }

    /// This core's part: of what is past the limit here, nothing can come before it in the whole.
    pub(in crate::engine) fn slot_stats_part(&self, args: &Args, reply: &mut Reply) {
        let mut stats = SlotStats::parse(args).expect(CHECKED);
        stats.rows = self.slot_rows(&stats);
        stats.settle();
        stats.rows.iter().for_each(|row| figures::write(&mut reply.out.bytes, row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::resp::{Limits, Output, Proto, parse};

    fn parsed(words: &str) -> Result<SlotStats, String> {
        let words: Vec<&str> = words.split(' ').collect();
        let sent: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        let sent = format!("*{}\r\n{sent}", words.len()).into_bytes();
        let mut args = Vec::new();
        parse(&sent, &Limits::default(), &mut args).expect("it is well formed").expect("it is whole");
        SlotStats::parse(&Args::new(&sent, &args, &mut [])).map_err(|e| String::from_utf8(e).expect("text"))
    }

    /// The words are those of Redis 8.2.
    #[test]
    fn refusals() {
        for (words, error) in [
            ("CLUSTER SLOT-STATS SLOTSRANGE 0 16384", BAD_SLOT),
            ("CLUSTER SLOT-STATS SLOTSRANGE x 1", BAD_SLOT),
            ("CLUSTER SLOT-STATS SLOTSRANGE 2 1", "ERR Start slot number 2 is greater than end slot number 1"),
            ("CLUSTER SLOT-STATS ORDERBY cpu-usec", "ERR Unrecognized sort metric for ORDERBY."),
            ("CLUSTER SLOT-STATS ORDERBY KEY-COUNT LIMIT 0", BAD_LIMIT),
            ("CLUSTER SLOT-STATS ORDERBY KEY-COUNT LIMIT x", BAD_LIMIT),
            ("CLUSTER SLOT-STATS ORDERBY KEY-COUNT LIMIT", SYNTAX),
            ("CLUSTER SLOT-STATS ORDERBY KEY-COUNT ASC DESC", "ERR Multiple filters of the same type are disallowed."),
            (
                "CLUSTER slot-Stats SLOTSRANGE 1",
                "ERR unknown subcommand or wrong number of arguments for 'slot-Stats'. Try CLUSTER HELP.",
            ),
        ] {
            assert_eq!(parsed(words).err().as_deref(), Some(error), "{words}");
        }
    }

    /// Parts of two cores, each cut at the limit, make the same whole as all rows would.
    #[test]
    fn parts_make_a_whole() {
        let rows = [(3, 5), (9, 0), (4, 7), (16_000, 7)];
        let reply = |words: &str| {
            let mut stats = parsed(words).expect("it is right");
            for part in rows.chunks(2) {
                let mut of_core = parsed(words).expect("it is right");
                let rows = part.iter().map(|(slot, keys)| SlotFigures { slot: *slot, keys: *keys });
                of_core.rows = rows.filter(|row| of_core.slots.contains(&(row.slot as u16))).collect();
                of_core.settle();
                let mut bytes = Vec::new();
                of_core.rows.iter().for_each(|row| figures::write(&mut bytes, row));
                stats.add(0, &bytes);
            }
            let mut out = Output::default();
            stats.show(&mut Reply { out: &mut out, proto: Proto::Resp3 });
            String::from_utf8(out.flatten()).expect("numbers and names").replace("\r\n", " ")
        };
        let row = |slot: u16, keys: u8| format!("*2 :{slot} %1 $9 key-count :{keys} ");
        let (by_slot, most) = ("CLUSTER SLOT-STATS SLOTSRANGE 4 16383", "CLUSTER SLOT-STATS ORDERBY key-count LIMIT 2");
        assert_eq!(reply(by_slot), format!("*3 {}{}{}", row(4, 7), row(9, 0), row(16_000, 7)));
        assert_eq!(reply(most), format!("*2 {}{}", row(4, 7), row(16_000, 7)));
        assert_eq!(reply(&format!("{most} asc")), format!("*2 {}{}", row(9, 0), row(3, 5)));
    }
}
