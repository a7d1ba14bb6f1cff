//! One core's log as its engine knows it: what is to be written, how far it is durable, and how keys come back from it.
//!
//! Keys are logged, not commands: a frame has each key that changed since the last one, as it is now, so that a turn is in
//! the log as a whole or not at all, and with it each transaction of one core. It is filled where keys change: see
//! `keyspace/dirty.rs`.

use super::event::Effects;
use super::sessions::Client;
use super::{Batch, Engine};
use crate::keyspace::{ItemRef, SoilPlace};
use crate::log::{Kind, RECORD_HEADER_BYTES, Record, zeros_behind};
use crate::protocol::command::{Spec, flags::flag};
use crate::types::{ConnId, Now, SLOTS, Slot};
use std::collections::VecDeque;

/// What a write waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Its frame is on stable storage.
    Always,
    /// The kernel has its frame, which survives the process; once a second it is brought to stable storage.
    EverySecond,
    /// The kernel has its frame.
    Never,
}

impl Fsync {
    /// All of them under Redis's words.
    pub const ALL: [(&str, Fsync); 3] =
        [("always", Fsync::Always), ("everysec", Fsync::EverySecond), ("no", Fsync::Never)];

    pub fn parse(word: &str) -> Option<Fsync> {
        Fsync::ALL.iter().find(|(name, _)| *name == word).map(|(_, fsync)| *fsync)
    }

    pub fn name(self) -> &'static str {
        Fsync::ALL[self as usize].0
    }
}

/// Past so many bytes of names of changed keys that wait to be logged, requests wait: the disk does not keep up.
const DIRT_BYTES_MAX: usize = 8 << 20;
/// A frame takes no more values once it is so large. What is left is in the next.
const FRAME_BYTES: usize = 256 << 20;
/// Lists of segments whose memory is kept.
const LISTS_KEPT_MAX: usize = 2;

pub(super) const LOADING: &str = "LOADING Redis is loading the dataset in memory";

/// A frame as it is written.
pub struct Sealed<'a> {
    pub sequence: u64,
    /// Where it ends; zeros follow.
    pub frame_bytes: usize,
    pub bytes: &'a [u8],
}

/// The items of a segment's puts, in their order: four bytes a record, which spares whoever cleans it from reading it.
struct Listed {
    /// The segment's number.
    segment: u64,
    items: Vec<ItemRef>,
    /// How many of them have been gone through.
    seen: usize,
}

/// See the module.
#[derive(Default)]
pub struct Journal {
    /// Changes are logged.
    pub is_on: bool,
    /// What is logged now is of this age.
    age: u64,
    /// What was written in this run, and was not cleaned yet.
    listed: VecDeque<Listed>,
    /// The memory of lists that were forgotten, for those to come: a list that grows anew is moved and cleared many times.
    lists: Vec<Vec<ItemRef>>,
    /// Frames that were handed out, and up to which they are durable.
    sealed: u64,
    durable: u64,
    /// How far all keys have been logged once more; none: that is not under way.
    rewrite: Option<SoilPlace>,
    wishes_to_clean: bool,
    wishes_to_sync: bool,
    /// Of the keys in the log: brought back, and left out because they have expired.
    pub loaded: u64,
    pub loaded_expired: u64,
    pub loading: bool,
}

impl Engine {
    /// Logs changes from now on, behind what was loaded. A new chain's first frame is number 1.
    pub fn begin_log(&mut self) {
        self.journal.is_on = true;
        self.shard.keep_dirt(true);
        self.shard.begin_age(self.journal.age);
    }

    /// Changes are logged no more. What was in doubt is as good as what is in memory only, and writes are taken.
    pub fn end_log(&mut self) {
        let Journal { loaded, loaded_expired, loading, .. } = self.journal;
        self.journal = Journal { loaded, loaded_expired, loading, ..Journal::default() };
        self.shard.keep_dirt(false);
        self.shard.trust();
        self.shard.refuse_writes(false);
    }

    /// What a write waits for, as things stand.
    pub fn fsync(&self) -> Fsync {
        self.settings.fsync
    }

    /// Puts what has changed into a frame; answers how long the frame is, unless there is nothing to write.
    pub fn fill_log(&mut self) -> Option<usize> {
        let (table, core) = (&self.table, self.core);
        self.shard.fill_frame(FRAME_BYTES, || bits_of(table.slots_of(core)))
    }

    /// Whether a frame was filled and not written yet.
    pub fn has_frame(&self) -> bool {
        self.shard.has_frame()
    }

    /// The next frame, sealed for the segment with this nonce, and its number; behind it are as many zeros as
    /// [`zeros_behind`] says for a frame that goes to `at` and ends at `end` at the latest. An empty one only says what is
    /// durable.
    pub fn seal_log(&mut self, nonce: u64, at: u64, end: u64) -> Sealed<'_> {
        let Journal { sealed, durable, .. } = &mut self.journal;
        let frame = self.shard.filled_frame();
        let frame_bytes = frame.seal(*sealed + 1, *durable, nonce).len();
        let bytes = frame.with_zeros(zeros_behind(at + frame_bytes as u64, end));
        Sealed { sequence: *sealed + 1, frame_bytes, bytes }
    }

    /// Frames that are written from now on are this segment's.
    pub fn begin_segment(&mut self, number: u64) {
        let items = self.journal.lists.pop().unwrap_or_default();
        self.journal.listed.push_back(Listed { segment: number, items, seen: 0 });
    }

    /// The frame was written.
    pub fn log_written(&mut self) {
        let Journal { sealed, listed, .. } = &mut self.journal;
        *sealed += 1;
        self.shard.frame_written(listed.back_mut().map(|listed| &mut listed.items));
        if self.settings.fsync != Fsync::Always {
            self.shard.dirt_is_safe();
        }
    }

    /// Frames up to this one are on stable storage.
    pub fn log_durable(&mut self, sequence: u64) {
        self.journal.durable = self.journal.durable.max(sequence);
        if self.journal.durable == self.journal.sealed {
            self.shard.dirt_is_safe();
        }
    }

    /// The frame that what was said until now rests on; not written yet if something has changed since, and not filled yet
    /// if one waits to be written.
    #[inline]
    pub fn log_position(&self) -> u64 {
        self.journal.sealed + u64::from(self.shard.has_frame()) + u64::from(self.shard.is_dirty())
    }

    /// The log cannot be written: nothing changes from now on.
    pub fn log_failed(&mut self) {
        self.shard.refuse_writes(true);
        self.shard.keep_dirt(false);
    }

    /// Who waits for an answer loses the connection: it cannot be known whether what was asked for will last. Nor is it
    /// shown to anybody else.
    pub fn give_up_answers(&mut self, effects: &mut Effects) {
        self.shard.doubt();
        self.hide_doubtful();
        self.post.taint();
        self.lose_those(|client| !client.is_settled(), effects);
    }

    /// Their replies do not leave, also those that are ready.
    fn lose_those(&mut self, are: impl Fn(&Client) -> bool, effects: &mut Effects) {
        let lost = self.sessions.iter_mut().filter(|(_, client)| are(client));
        let conns: Vec<ConnId> = lost.map(|(conn, _)| conn).collect();
        for conn in conns {
            self.lost(conn);
            effects.kill.push(conn);
        }
    }

    /// There is no room for more: nothing changes until there is.
    pub fn log_is_short(&mut self) {
        self.shard.refuse_writes(true);
    }

    pub fn refuses_writes(&self) -> bool {
        self.shard.refuses_writes()
    }

    /// What was given up lasts after all.
    pub fn trust(&mut self) {
        self.shard.trust();
    }

    /// There is room again.
    pub fn log_recovered(&mut self) {
        self.shard.refuse_writes(false);
    }

    /// Logs all keys once more, a piece a turn, so that what was logged before counts no more.
    pub fn begin_rewrite(&mut self) {
        self.journal.rewrite = Some(SoilPlace::default());
    }

    /// Whether all keys have been logged once more, if not yet brought to stable storage.
    pub fn is_rewritten(&self) -> bool {
        self.journal.rewrite.is_none()
    }

    /// The next piece of it, about so many bytes, unless the last one is still to be written. What clients have changed
    /// meanwhile is no reason to wait: they may go on changing.
    pub fn rewrite_more(&mut self, bytes: u64) {
        if let Some(place) = self.journal.rewrite
            && !self.has_frame()
        {
            let record_bytes = self.live_log_bytes() / self.shard.len().max(1) as u64;
            self.journal.rewrite = self.shard.soil(place, bytes / record_bytes.max(1));
        }
    }

    /// Logs what a record is about once more, as it is now. What follows a Clear has to be logged again, too.
    pub fn log_again(&mut self, record: &Record) {
        match record.kind {
            Kind::Clear => self.shard.soil_all(),
            Kind::Put | Kind::Remove => self.shard.soil_key(record.slot, record.key),
        }
    }

    /// Logs the keys of old records once more that were last logged in this age.
    pub fn renew<'a>(&mut self, age: u64, records: impl Iterator<Item = Record<'a>>) {
        let (table, core) = (&self.table, self.core);
        let puts = records.filter(|record| record.kind == Kind::Put && table.owner(record.slot) == core);
        self.shard.soil_old(age, puts.map(|record| (record.slot, record.key)));
    }

    /// The same for the next records of a segment of this run, about the part of it that `share` is of `bytes`; whether none
    /// is left. `None`: nothing is known of this segment, which has to be read.
    pub fn renew_listed(&mut self, age: u64, segment: u64, share: u64, bytes: u64) -> Option<bool> {
        let listed = self.journal.listed.iter_mut().find(|listed| listed.segment == segment)?;
        let count = (listed.items.len() as u64 * share).div_ceil(bytes) as usize;
        let items = &listed.items[listed.seen..];
        let count = count.min(items.len());
        listed.seen += count;
        self.shard.soil_items(age, items, count);
        Some(listed.seen == listed.items.len())
    }

    /// A segment has been cleaned.
    pub fn forget_segment(&mut self, number: u64) {
        let Journal { listed, lists, .. } = &mut self.journal;
        let Some(at) = listed.iter().position(|listed| listed.segment == number) else { return };
        let mut items = listed.remove(at).expect("it was found there").items;
        if lists.len() < LISTS_KEPT_MAX {
            items.clear();
            lists.push(items);
        }
    }

    /// Of what age is what is logged from now on.
    pub fn begin_age(&mut self, age: u64) {
        self.journal.age = age;
        self.shard.begin_age(age);
    }

    pub(super) fn has_log(&self) -> bool {
        self.journal.is_on
    }

    /// What was written is to be brought to stable storage now, as BGSAVE asks.
    pub(super) fn wish_to_sync(&mut self) {
        self.journal.wishes_to_sync = true;
    }

    pub fn take_wish_to_sync(&mut self) -> bool {
        std::mem::take(&mut self.journal.wishes_to_sync)
    }

    /// Everything that counts is to be logged once more, as BGREWRITEAOF asks.
    pub(super) fn wish_to_clean(&mut self) {
        self.journal.wishes_to_clean = true;
    }

    pub fn take_wish_to_clean(&mut self) -> bool {
        std::mem::take(&mut self.journal.wishes_to_clean)
    }

    /// About how many bytes of a log all keys take.
    pub fn live_log_bytes(&self) -> u64 {
        let values = self.shard.used_bytes().saturating_sub(self.shard.table_bytes());
        (values + self.shard.len() * RECORD_HEADER_BYTES) as u64
    }

    /// Whether requests have to wait until the disk has kept up.
    pub(super) fn is_log_full(&self) -> bool {
        self.shard.dirt_bytes() > DIRT_BYTES_MAX
    }

    /// Keys come from the log, and until all cores have theirs only commands that need none run.
    pub fn begin_loading(&mut self) {
        self.journal.loading = true;
    }

    pub fn is_loading(&self) -> bool {
        self.journal.loading
    }

    /// Takes a record of the log, if its slot is this core's now.
    pub fn load(&mut self, now: Now, record: &Record) {
        let Record { kind, slot, key, value, expiry_ms, .. } = *record;
        if kind != Kind::Clear && self.table.owner(slot) != self.core {
            return;
        }
        match kind {
            Kind::Put if expiry_ms.is_some_and(|at_ms| at_ms <= now.unix_ms()) => {
                self.journal.loaded_expired += 1;
                self.shard.unrestore(slot, key);
            }
            Kind::Put => {
                self.journal.loaded += 1;
                self.shard.restore(record);
            }
            Kind::Remove => self.shard.unrestore(slot, key),
            // Of the slots that the shard had then, which may be others than this core's.
            Kind::Clear => slots_in(value).filter(|slot| self.table.owner(*slot) == self.core).for_each(|slot| {
                self.shard.unrestore_slot(slot);
            }),
        }
    }

    /// All cores have their keys: requests run.
    pub fn end_loading(&mut self) {
        self.journal.loading = false;
        for (_, client) in self.sessions.iter_mut() {
            client.server_loads = false;
            client.review();
        }
    }

    /// Why a request may not run while keys are loaded.
    pub(super) fn refusal_while_loading(&self, spec: &Spec) -> Option<&'static str> {
        (self.journal.loading && !spec.has(flag::LOADING)).then_some(LOADING)
    }

    /// A core's log has failed, and what it sends may not last: whoever waits for an answer here loses the connection.
    pub(super) fn hear_of_failure(&mut self, batch: &Batch, effects: &mut Effects) {
        if batch.tainted {
            self.lose_those(|client| client.awaits, effects);
        }
    }
}

/// Slots as they lie in a record, a bit each.
fn bits_of(slots: impl Iterator<Item = Slot>) -> [u8; SLOTS / 8] {
    let mut bits = [0; SLOTS / 8];
    slots.for_each(|slot| bits[slot.index() / 8] |= 1 << (slot.index() % 8));
    bits
}

fn slots_in(bits: &[u8]) -> impl Iterator<Item = Slot> + '_ {
    let has = |slot: &usize| bits.get(slot / 8).is_some_and(|byte| byte >> (slot % 8) & 1 == 1);
    (0..SLOTS).filter(has).map(|slot| Slot(slot as u16))
}
