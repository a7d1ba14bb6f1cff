//! HOTKEYS EXPLAIN: the owner says what it decided about a key and why, every core what that has saved there.

use super::{field, text_field};
use crate::engine::Engine;
use crate::engine::figures::{self, CoreRates, Explanation, mode};
use crate::protocol::resp::Reply;
use crate::routing::slot_of;
use crate::types::{KeyHash, Now};

/// The reply while its parts come in.
pub struct Explain {
    key: Vec<u8>,
    slot: u16,
    owner: u16,
    sum: Explanation,
    rates: Vec<CoreRates>,
    why: Vec<u8>,
}

impl Explain {
    pub fn add(&mut self, mut bytes: &[u8]) {
        let part: Explanation = figures::read(&mut bytes);
        self.sum.hits += part.hits;
        self.sum.folds += part.folds;
        self.sum.members += part.members;
        self.sum.copies += part.copies;
        if part.owns == 1 {
            (self.sum.mode, self.sum.since_ms) = (part.mode, part.since_ms);
            self.rates = (0..part.cores).map(|_| figures::read(&mut bytes)).collect();
            self.why = figures::take(&mut bytes, part.why_bytes as usize).to_vec();
        }
    }

    pub fn encode(self, reply: &mut Reply) {
        let Explanation { hits, folds, members, copies, .. } = self.sum;
        reply.map(11);
        text_field(reply, "key", &self.key);
        field(reply, "slot", u64::from(self.slot));
        field(reply, "owner", u64::from(self.owner));
        text_field(reply, "mode", mode::name(self.sum.mode).as_bytes());
        text_field(reply, "why", &self.why);
        reply.bulk(b"since-ms");
        if self.sum.mode & mode::COOL != 0 {
            reply.null()
        } else {
            reply.integer(self.sum.since_ms as i64)
        }
        reply.bulk(b"rates");
        reply.array(self.rates.len());
        for CoreRates { core, reads, writes } in &self.rates {
            reply.map(3);
            field(reply, "core", *core);
            field(reply, "reads", *reads);
            field(reply, "writes", *writes);
        }
        field(reply, "copies", copies);
        field(reply, "hits", hits);
        field(reply, "folds", folds);
        field(reply, "letters-saved", hits + members.saturating_sub(folds));
    }
}

impl Engine {
    pub(super) fn explain_request(&self, key: &[u8]) -> Explain {
        let slot = slot_of(key);
        Explain {
            key: key.to_vec(),
            slot: slot.0,
            owner: self.table.owner(slot).0,
            sum: Explanation { mode: mode::COOL, ..Explanation::default() },
            rates: Vec::new(),
            why: Vec::new(),
        }
    }

    /// This core's part: what its copy and its folds did, and, of its own key, what it knows.
    pub(super) fn explain_part(&mut self, now: Now, key: &[u8], out: &mut Vec<u8>) {
        let hash = self.shard.hash(key);
        let mut part = Explanation::default();
        if let Some(entry) = self.hot.entry(hash, key) {
            (part.hits, part.folds, part.members) = (entry.hits + entry.reads.hits, entry.folds, entry.members);
            part.copies = u64::from(entry.copy().is_some() || entry.reads.copies() > 0);
        }
        if self.table.owner(slot_of(key)) != self.core {
            return figures::write(out, &part);
        }
        let (why, rates) = self.explain_own(now, key, hash, &mut part);
        (part.owns, part.cores, part.why_bytes) = (1, rates.len() as u64, why.len() as u64);
        figures::write(out, &part);
        rates.iter().for_each(|rates| figures::write(out, rates));
        out.extend_from_slice(why.as_bytes());
    }

    fn explain_own(&self, now: Now, key: &[u8], hash: KeyHash, part: &mut Explanation) -> (String, Vec<CoreRates>) {
        let hot = &self.settings.hot;
        let Some(warm) = self.hot.board.get(hash).filter(|warm| *warm.key == *key) else {
            part.mode = mode::COOL;
            let why = if !hot.on {
                "hot keys are off".to_string()
            } else if hot.thresholds(key).is_none() {
                crate::heat::Reason::Off.to_string()
            } else {
                format!("no core reports it: each sees less than {:.0} ops/s of it", hot.report_ops_min(self.cores))
            };
            return (why, Vec::new());
        };
        part.mode = self.mode(warm);
        part.since_ms = now.mono_us.saturating_sub(warm.since_us) / 1000;
        let why = warm.reason.map_or_else(
            || {
                let asked = hot.thresholds(key).map_or(0.0, |asked| asked.promote_from(self.hot.heat.load_ops()));
                format!("{:.0} ops/s, below the {asked:.0} ops/s that make a key hot", warm.rates().ops())
            },
            |reason| reason.to_string(),
        );
        let rates = warm.by_core.iter().zip(0..).filter(|(rates, _)| rates.ops() > 0.0);
        let rates = rates.map(|(rates, core)| CoreRates {
            core,
            reads: rates.reads.round() as u64,
            writes: rates.writes.round() as u64,
        });
        (why, rates.collect())
    }
}
