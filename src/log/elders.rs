//! The segments that are full, from the oldest on, and how they go: each is cleaned, then said to be dead by the header of
//! a later one, and taken away once that header is on stable storage. So whatever the power takes, a start finds either a
//! whole chain or one that says from where on it counts.
//!
//! Segments are written in ages, about three at a time. An item says in which of the last four ages its key was last
//! logged, so that of a segment's records those are logged once more that count for its age, and no other.
//!
//! Decided here, done by whoever has the files: [`Elders::turn`] says what, and hears what came of it.
//!
//! A log of first-in, first-out segments needs no index of what lies where: a record counts if its key was last logged in
//! the age of its segment. Nobody forks, nothing stops, and how large the log gets is a matter of when the next segment's turn
//! comes. (Rosenblum, Ousterhout, "The Design and Implementation of a Log-Structured File System", 1992, clean by benefit
//! and cost; here the oldest goes first, since any other order would bring back what was removed.)

use super::name::SegmentName;
use std::collections::VecDeque;

/// Cleaning goes on by so many bytes for each byte that is written, and for each microsecond: where little is written it
/// takes 64 MB/s, where much is written twice what that is.
const BYTES_A_BYTE: u64 = 2;
const BYTES_A_US: u64 = 64;
/// What is logged once more is a part of what is gone through: with less room than four times that a turn does not begin.
const ROOM_PART: u64 = 4;
/// Segments that a log may have beyond its bound: the one that is written, and the one that is cleaned.
const SEGMENTS_FREE: u64 = 2;
/// An age ends with so large a part of all that is there.
const AGE_PART: u64 = 3;
/// How many ages may be in the log: as many as an item's bits tell apart.
const AGES_MAX: u64 = 4;
/// What earlier runs wrote.
const AGE_EARLIER: u64 = 0;

/// Until the loader has said how many frames a segment has, nobody finds all of them in it.
const FRAMES_UNKNOWN: u64 = u64::MAX;

/// A segment that takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elder {
    pub name: SegmentName,
    pub bytes: u64,
    pub age: u64,
    /// How many of its frames were loaded, if an earlier run wrote it.
    pub frames: u64,
}

impl Elder {
    /// Whether an earlier run wrote it, so that it has to be read: of what this one wrote the engine has a list.
    pub fn is_earlier(&self) -> bool {
        self.age == AGE_EARLIER
    }
}

/// How much of a log is cleaned at a time.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// What a turn goes through at most for time that has passed.
    pub passed_bytes_max: u64,
    /// What a turn goes through at most. More than a turn at full load writes, or the log would outgrow its bound.
    pub turn_bytes_max: u64,
    /// With less room a turn does not begin.
    pub room_bytes_min: u64,
    /// What is owed at most.
    pub credit_bytes_max: u64,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            // A few tens of microseconds.
            passed_bytes_max: 32 * 1024,
            turn_bytes_max: 512 * 1024,
            room_bytes_min: 16 * 1024,
            credit_bytes_max: 256 * 1024 * 1024,
        }
    }
}

/// What a turn is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Nothing,
    /// What was logged once more of this one is durable: it counts no more.
    Forget(Elder),
    /// Go through so many bytes of the oldest. Behind its last [`Elders::gone_through`] is to be called, and where it cannot
    /// be read [`Elders::stick`].
    GoThrough(Elder, u64),
}

/// See the module.
pub struct Elders {
    pace: Pace,
    /// By what the log may be larger than what counts in it.
    amplification: u64,
    segment_bytes: u64,
    alive: VecDeque<Elder>,
    alive_bytes: u64,
    /// What is logged now is of this age, and so much of it lies in segments that are full.
    age: u64,
    age_bytes: u64,
    /// The oldest has been gone through, and counts until this frame is durable.
    cleaned_at: Option<u64>,
    /// No header says so yet.
    dead: Vec<(SegmentName, u64)>,
    /// The header of a segment says so.
    stated: Vec<(SegmentName, u64)>,
    /// There is more than there may be.
    is_too_much: bool,
    /// All that is logged so far is to be cleaned, once another age has begun.
    is_asked: bool,
    /// The last segment that is to be cleaned however much there is.
    clean_to: Option<SegmentName>,
    credit: u64,
    room_bytes: u64,
    seen_us: u64,
    seen_bytes: u64,
    /// One could not be read; it stays.
    stuck: bool,
}

/// What a turn brings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    pub now_us: u64,
    /// Bytes written so far, and those of the current segment.
    pub written_bytes: u64,
    pub current_bytes: u64,
    /// About how many bytes all that counts takes.
    pub live_bytes: u64,
    /// What can be written for certain: what is cleaned on a disk that is full must not wait for room, since clients
    /// would wait behind it.
    pub room_bytes: u64,
    pub durable: u64,
}

impl Elders {
    /// The age of what is logged first.
    pub const AGE_FIRST: u64 = AGE_EARLIER + 1;

    /// Begins with what earlier runs wrote, names and bytes.
    pub fn new(found: Vec<(SegmentName, u64)>, segment_bytes: u64, amplification: u64, pace: Pace) -> Elders {
        Elders {
            pace,
            amplification,
            segment_bytes,
            alive_bytes: found.iter().map(|(_, bytes)| bytes).sum(),
            alive: found
                .into_iter()
                .map(|(name, bytes)| Elder { name, bytes, age: AGE_EARLIER, frames: FRAMES_UNKNOWN })
                .collect(),
            age: Elders::AGE_FIRST,
            age_bytes: 0,
            cleaned_at: None,
            dead: Vec::new(),
            stated: Vec::new(),
            is_too_much: false,
            is_asked: false,
            clean_to: None,
            credit: 0,
            room_bytes: 0,
            seen_us: 0,
            seen_bytes: 0,
            stuck: false,
        }
    }

    /// So many frames of an earlier run's segments were loaded: all of them have to be read once more.
    pub fn loaded(&mut self, frames: &[(SegmentName, u64)]) {
        for elder in &mut self.alive {
            elder.frames = frames.binary_search_by_key(&elder.name, |(name, _)| *name).map_or(0, |at| frames[at].1);
        }
    }

    /// A segment is full.
    pub fn push(&mut self, name: SegmentName, bytes: u64) {
        self.alive.push_back(Elder { name, bytes, age: self.age, frames: 0 });
        self.alive_bytes += bytes;
        self.age_bytes += bytes;
    }

    /// The oldest that counts, if it is not the current one.
    pub fn oldest(&self) -> Option<SegmentName> {
        self.alive.front().map(|elder| elder.name)
    }

    /// The same, if an earlier run wrote it.
    pub fn reads_next(&self) -> Option<SegmentName> {
        self.alive.front().filter(|elder| elder.is_earlier()).map(|elder| elder.name)
    }

    /// Bytes of all files that are there.
    pub fn bytes(&self) -> u64 {
        let gone: u64 = self.dead.iter().chain(&self.stated).map(|(_, bytes)| bytes).sum();
        self.alive_bytes + gone
    }

    /// All that is logged so far is to be cleaned: at once, if this run has written nothing yet.
    pub fn ask_for_round(&mut self, has_written: bool) {
        match has_written {
            true => self.is_asked = true,
            false => self.clean_to = self.alive.back().map(|elder| elder.name),
        }
    }

    /// Whether a segment should begin, and with it an age: the current one is full, or nothing older is left to be cleaned.
    pub fn wants_age(&self, segment_is_full: bool) -> bool {
        let oldest = self.alive.front().map_or(self.age, |elder| elder.age);
        let has_part = (self.age_bytes + self.segment_bytes) * AGE_PART >= self.alive_bytes + self.segment_bytes;
        let is_due = self.is_asked || self.is_too_much && oldest == self.age || segment_is_full && has_part;
        is_due && self.age + 1 < oldest + AGES_MAX && !self.stuck
    }

    /// A segment has begun, and all that was logged before lies in these. Answers of what age is what is logged from now on.
    pub fn begin_age(&mut self) -> u64 {
        (self.age, self.age_bytes) = (self.age + 1, 0);
        if std::mem::take(&mut self.is_asked) {
            self.clean_to = self.alive.back().map(|elder| elder.name);
        }
        self.age
    }

    /// What is to be cleaned now, if there is too much.
    pub fn turn(&mut self, account: &Account) -> Due {
        let &Account { now_us, written_bytes, current_bytes, live_bytes, room_bytes, durable } = account;
        let (us, bytes) = (now_us.saturating_sub(self.seen_us), written_bytes - self.seen_bytes);
        (self.seen_us, self.seen_bytes) = (now_us, written_bytes);
        if self.stuck {
            return Due::Nothing;
        }
        if let Some(position) = self.cleaned_at {
            self.credit = self.earned(0, bytes);
            return if durable >= position { self.forget_oldest() } else { Due::Nothing };
        }
        self.room_bytes = room_bytes;
        self.is_too_much =
            self.alive_bytes + current_bytes > self.amplification * live_bytes + SEGMENTS_FREE * self.segment_bytes;
        if !self.cleans() {
            self.credit = 0;
            return Due::Nothing;
        }
        self.credit = self.earned(us, bytes);
        let share = self.credit.min(self.pace.turn_bytes_max).min(self.room_bytes / ROOM_PART);
        self.credit -= share;
        Due::GoThrough(*self.alive.front().expect("it was seen just now"), share)
    }

    fn forget_oldest(&mut self) -> Due {
        self.cleaned_at = None;
        let elder = self.alive.pop_front().expect("the oldest was cleaned");
        self.alive_bytes -= elder.bytes;
        self.dead.push((elder.name, elder.bytes));
        Due::Forget(elder)
    }

    /// The oldest has been gone through, and what of it counts is in frames up to this one.
    pub fn gone_through(&mut self, position: u64) {
        self.cleaned_at = Some(position);
    }

    /// The oldest cannot be read: it stays, and with it all others.
    pub fn stick(&mut self) {
        self.stuck = true;
    }

    fn earned(&self, us: u64, bytes: u64) -> u64 {
        let passed = us.saturating_mul(BYTES_A_US).min(self.pace.passed_bytes_max);
        (self.credit + passed).saturating_add(bytes.saturating_mul(BYTES_A_BYTE)).min(self.pace.credit_bytes_max)
    }

    /// Whether the oldest is to be gone through now.
    fn cleans(&self) -> bool {
        if self.room_bytes < self.pace.room_bytes_min {
            return false;
        }
        // An age that is asked for may have to wait for the oldest to go.
        let is_in_the_way = |elder: &Elder| self.is_asked && self.age + 1 >= elder.age + AGES_MAX;
        let is_due = |elder: &Elder| {
            self.is_too_much || is_in_the_way(elder) || self.clean_to.is_some_and(|last| elder.name <= last)
        };
        self.alive.front().is_some_and(|elder| elder.age < self.age && is_due(elder))
    }

    /// Whether something waits for what was written to be durable.
    pub fn waits(&self) -> bool {
        self.cleaned_at.is_some()
    }

    /// Whether cleaning is under way or asked for.
    pub fn is_busy(&self) -> bool {
        !self.stuck && (self.cleaned_at.is_some() || self.is_asked || self.cleans())
    }

    /// Whether a turn would go on with it though nothing else happens; `may_begin`: there is a segment to begin an age with.
    pub fn goes_on(&self, may_begin: bool) -> bool {
        let begins = may_begin && self.is_asked && self.wants_age(false);
        !self.stuck && (self.cleaned_at.is_some() || self.cleans() || begins)
    }

    /// Whether so many are dead that a new segment may begin early, to say so.
    pub fn has_much_to_say(&self) -> bool {
        self.dead.len() >= 2
    }

    /// A header on stable storage says which are dead.
    pub fn state(&mut self) {
        self.stated.append(&mut self.dead);
    }

    /// Those whose death is on stable storage, and their bytes.
    pub fn take_buried(&mut self) -> Vec<(SegmentName, u64)> {
        std::mem::take(&mut self.stated)
    }
}
