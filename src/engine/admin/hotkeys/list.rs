//! HOTKEYS LIST: the hot keys of all cores, hottest first.

use super::{field, text_field};
use crate::engine::Engine;
use crate::engine::figures::{self, KeyFigures, mode};
use crate::heat::Warm;
use crate::protocol::resp::Reply;
use crate::types::Now;

/// A key that some core keeps an eye on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotKey {
    pub owner: u32,
    pub figures: KeyFigures,
    pub key: Vec<u8>,
}

/// Writes keys for [`read_keys`].
pub fn write_keys(keys: &[HotKey], out: &mut Vec<u8>) {
    for HotKey { figures, key, .. } in keys {
        figures::write(out, figures);
        out.extend_from_slice(key);
    }
}

/// Reads all keys that `owner` has written.
pub fn read_keys(owner: u32, mut bytes: &[u8]) -> Vec<HotKey> {
    let mut keys = Vec::new();
    while !bytes.is_empty() {
        let figures: KeyFigures = figures::read(&mut bytes);
        let key = figures::take(&mut bytes, figures.key_bytes as usize).to_vec();
        keys.push(HotKey { owner, figures, key });
    }
    keys
}

/// Sorts; what is equally hot in an order that repeats.
pub fn hottest_first(keys: &mut [HotKey]) {
    keys.sort_unstable_by(|a, b| b.figures.ops.cmp(&a.figures.ops).then_with(|| a.key.cmp(&b.key)));
}

pub fn encode(mut keys: Vec<HotKey>, reply: &mut Reply) {
    hottest_first(&mut keys);
    reply.array(keys.len());
    for HotKey { owner, figures, key } in &keys {
        reply.map(9);
        text_field(reply, "key", key);
        field(reply, "owner", u64::from(*owner));
        text_field(reply, "mode", mode::name(figures.mode).as_bytes());
        field(reply, "ops", figures.ops);
        field(reply, "reads", figures.reads);
        field(reply, "writes", figures.writes);
        field(reply, "bytes", figures.bytes);
        field(reply, "copies", u64::from(figures.copies));
        field(reply, "since-ms", figures.since_ms);
    }
}

impl Engine {
    /// This core's hot keys, hottest first.
    pub(in crate::engine) fn hot_keys(&self, now: Now, count_max: usize) -> Vec<HotKey> {
        self.watched_keys(now, count_max, |warm| warm.hot)
    }

    /// This core's keys that others report and that pass, hottest first.
    pub(super) fn watched_keys(&self, now: Now, count_max: usize, passes: impl Fn(&Warm) -> bool) -> Vec<HotKey> {
        let warm = self.hot.board.iter().filter(|warm| passes(warm));
        let mut keys: Vec<HotKey> = warm.map(|warm| self.hot_key(now, warm)).collect();
        hottest_first(&mut keys);
        keys.truncate(count_max);
        keys
    }

    fn hot_key(&self, now: Now, warm: &Warm) -> HotKey {
        let rates = warm.rates();
        let mode = self.mode(warm);
        let figures = KeyFigures {
            ops: rates.ops().round() as u64,
            reads: rates.reads.round() as u64,
            writes: rates.writes.round() as u64,
            bytes: rates.bytes.round() as u64,
            since_ms: now.mono_us.saturating_sub(warm.since_us) / 1000,
            copies: if mode & mode::REPLICATED != 0 { self.cores as u32 - 1 } else { 0 },
            mode,
            key_bytes: warm.key.len() as u64,
        };
        HotKey { owner: u32::from(self.core.0), figures, key: warm.key.to_vec() }
    }

    /// What is done about a key, as bits of [`mode`].
    pub(super) fn mode(&self, warm: &Warm) -> u32 {
        let (replicated, folded) = if warm.hot { self.settings.hot.treatment(&warm.key) } else { (false, false) };
        (if replicated { mode::REPLICATED } else { 0 }) | (if folded { mode::FOLDED } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::resp::{Output, Proto};

    /// Keys of two cores come back from their bytes and leave in one list, hottest first, as maps of nine.
    #[test]
    fn keys_of_all_cores_become_one_list() {
        let row = |owner, ops, key: &[u8]| {
            let figures = KeyFigures { ops, mode: 3, key_bytes: key.len() as u64, ..KeyFigures::default() };
            HotKey { owner, figures, key: key.to_vec() }
        };
        let rows = [row(0, 5, b"five"), row(0, 1, b""), row(1, 9, b"nine\r\n")];
        let mut keys = Vec::new();
        for owner in 0..2 {
            let mut bytes = Vec::new();
            let own: Vec<HotKey> = rows.iter().filter(|row| row.owner == owner).cloned().collect();
            write_keys(&own, &mut bytes);
            assert_eq!(read_keys(owner, &bytes), own);
            keys.extend(own);
        }
        let mut out = Output::default();
        encode(keys, &mut Reply { out: &mut out, proto: Proto::Resp3 });
        let text = String::from_utf8(out.flatten()).expect("the keys are text");
        assert!(
            text.starts_with("*3\r\n%9\r\n$3\r\nkey\r\n$6\r\nnine\r\n\r\n$5\r\nowner\r\n:1\r\n$4\r\nmode\r\n"),
            "{text}"
        );
        assert!(text.find("five").expect("it is listed") < text.find("$0\r\n").expect("so is this"));
        assert_eq!(text.matches("replicated,folded").count(), 3);
    }
}
