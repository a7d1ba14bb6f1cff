//! The segments of a simulated log that are full, and how they go: `runtime/disk/elders.rs` and `cleaner.rs`, on the medium.

use crate::disk::Hands;
use crate::faults::Fault;
use crate::medium::Medium;
use coldplate::engine::Engine;
use coldplate::log::{Chain, Replay, SegmentName, Step};
use std::collections::VecDeque;

const BYTES_A_BYTE: u64 = 2;
const BYTES_A_US: u64 = 64;
/// Less than in the shell, so that a small segment takes some turns.
const PASSED_BYTES_MAX: u64 = 1024;
const TURN_BYTES_MAX: u64 = 4 * 1024;
const ROOM_PART: u64 = 4;
const ROOM_BYTES_MIN: u64 = 4 * 1024;
const CREDIT_BYTES_MAX: u64 = 1024 * 1024;
const SEGMENTS_FREE: u64 = 2;
const AGE_PART: u64 = 3;
const AGES_MAX: u64 = 4;
const AGE_EARLIER: u64 = 0;
const AGE_FIRST: u64 = 1;

/// A segment of an earlier run, its bytes, and how many frames of it were loaded.
pub struct Found {
    pub name: SegmentName,
    pub bytes: u64,
    pub frames: u64,
}

struct Elder {
    name: SegmentName,
    bytes: u64,
    age: u64,
    /// Of an earlier run's.
    frames: u64,
}

pub struct Elders {
    amplification: u64,
    segment_bytes: u64,
    alive: VecDeque<Elder>,
    alive_bytes: u64,
    age: u64,
    age_bytes: u64,
    cleaner: Option<Replay>,
    cleaned_at: Option<u64>,
    dead: Vec<SegmentName>,
    stated: Vec<SegmentName>,
    is_too_much: bool,
    is_asked: bool,
    clean_to: Option<SegmentName>,
    credit: u64,
    room_bytes: u64,
    seen_us: u64,
    seen_bytes: u64,
    stuck: bool,
}

/// What a turn brings.
pub struct Turn {
    pub written_bytes: u64,
    pub current_bytes: u64,
    pub room_bytes: u64,
    pub durable: u64,
}

impl Elders {
    pub fn new(found: Vec<Found>, segment_bytes: u64, amplification: u64, engine: &mut Engine) -> Elders {
        engine.begin_age(AGE_FIRST);
        let elder = |Found { name, bytes, frames }| Elder { name, bytes, age: AGE_EARLIER, frames };
        let alive: VecDeque<Elder> = found.into_iter().map(elder).collect();
        Elders {
            amplification,
            segment_bytes,
            alive_bytes: alive.iter().map(|elder| elder.bytes).sum(),
            alive,
            age: AGE_FIRST,
            age_bytes: 0,
            cleaner: None,
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

    pub fn push(&mut self, name: SegmentName, bytes: u64) {
        self.alive.push_back(Elder { name, bytes, age: self.age, frames: 0 });
        self.alive_bytes += bytes;
        self.age_bytes += bytes;
    }

    pub fn oldest(&self) -> Option<SegmentName> {
        self.alive.front().map(|elder| elder.name)
    }

    /// The oldest, if it is an earlier run's.
    pub fn reads_next(&self) -> Option<SegmentName> {
        self.alive.front().filter(|elder| elder.age == AGE_EARLIER).map(|elder| elder.name)
    }

    pub fn ask_for_round(&mut self, has_written: bool) {
        match has_written {
            true => self.is_asked = true,
            false => self.clean_to = self.alive.back().map(|elder| elder.name),
        }
    }

    pub fn wants_age(&self, segment_is_full: bool) -> bool {
        let oldest = self.alive.front().map_or(self.age, |elder| elder.age);
        let has_part = (self.age_bytes + self.segment_bytes) * AGE_PART >= self.alive_bytes + self.segment_bytes;
        let is_due = self.is_asked || self.is_too_much && oldest == self.age || segment_is_full && has_part;
        is_due && self.age + 1 < oldest + AGES_MAX && !self.stuck
    }

    pub fn begin_age(&mut self, engine: &mut Engine) {
        (self.age, self.age_bytes) = (self.age + 1, 0);
        engine.begin_age(self.age);
        if std::mem::take(&mut self.is_asked) {
            self.clean_to = self.alive.back().map(|elder| elder.name);
        }
    }

    /// Cleans for a while, if there is too much.
    pub fn turn(&mut self, engine: &mut Engine, hands: &mut Hands, turn: &Turn) {
        let (us, bytes) = (hands.now_us.saturating_sub(self.seen_us), turn.written_bytes - self.seen_bytes);
        (self.seen_us, self.seen_bytes) = (hands.now_us, turn.written_bytes);
        if self.stuck {
            return;
        }
        if let Some(position) = self.cleaned_at {
            if turn.durable >= position {
                self.cleaned_at = None;
                let Elder { name, bytes, age, .. } = self.alive.pop_front().expect("the oldest was cleaned");
                if age != AGE_EARLIER {
                    engine.forget_segment(name.number);
                }
                self.alive_bytes -= bytes;
                self.dead.push(name);
            }
            self.credit = self.earned(0, bytes);
            return;
        }
        self.room_bytes = turn.room_bytes;
        self.is_too_much = self.alive_bytes + turn.current_bytes
            > self.amplification * engine.live_log_bytes() + SEGMENTS_FREE * self.segment_bytes;
        if !self.cleans() {
            self.credit = 0;
            return;
        }
        self.credit = self.earned(us, bytes);
        if self.clean(engine, hands).is_none() {
            (self.stuck, self.cleaner) = (true, None);
        }
    }

    fn earned(&self, us: u64, bytes: u64) -> u64 {
        let passed = us.saturating_mul(BYTES_A_US).min(PASSED_BYTES_MAX);
        (self.credit + passed + bytes * BYTES_A_BYTE).min(CREDIT_BYTES_MAX)
    }

    fn cleans(&self) -> bool {
        if self.room_bytes < ROOM_BYTES_MIN {
            return false;
        }
        let is_in_the_way = |elder: &Elder| self.is_asked && self.age + 1 >= elder.age + AGES_MAX;
        let is_due = |elder: &Elder| {
            self.is_too_much || is_in_the_way(elder) || self.clean_to.is_some_and(|last| elder.name <= last)
        };
        self.alive.front().is_some_and(|elder| elder.age < self.age && is_due(elder))
    }

    /// None: it cannot be read.
    fn clean(&mut self, engine: &mut Engine, hands: &mut Hands) -> Option<()> {
        let &Elder { name, bytes, age, .. } = self.alive.front().expect("the caller has seen it");
        let share = self.credit.min(TURN_BYTES_MAX).min(self.room_bytes / ROOM_PART);
        self.credit -= share;
        let is_through = match age {
            // What it has of it is thrown away.
            _ if hands.planted.is(Fault::RenewNothing) => true,
            AGE_EARLIER => self.read(engine, hands, share)?,
            _ => engine.renew_listed(age, name.number, share, bytes).expect("what this run wrote is listed"),
        };
        if is_through {
            self.cleaner = None;
            self.cleaned_at = Some(engine.log_position());
        }
        Some(())
    }

    /// Goes through about so much of an earlier run's; true at its end.
    fn read(&mut self, engine: &mut Engine, hands: &mut Hands, share: u64) -> Option<bool> {
        let &Elder { name, age, frames, .. } = self.alive.front().expect("the caller has seen it");
        if frames == 0 {
            return Some(true);
        }
        if self.cleaner.is_none() {
            let segment = hands.medium.segments().into_iter().find(|segment| segment.name == name);
            let segment = segment.expect("what counts is there");
            if segment.header.is_err() {
                return None;
            }
            self.cleaner = Some(Replay::new(Chain::of(segment)));
        }
        let replay = self.cleaner.as_mut().expect("it was made just now");
        let is_through = go_through(replay, hands.medium, share, |step| {
            if let Step::Frame(frame) = step {
                engine.renew(age, frame.records());
            }
        })?;
        let is_whole = !is_through || replay.summary().frames == frames;
        is_whole.then_some(is_through)
    }

    pub fn waits(&self) -> bool {
        self.cleaned_at.is_some()
    }

    pub fn goes_on(&self, may_begin: bool) -> bool {
        let begins = may_begin && self.is_asked && self.wants_age(false);
        !self.stuck && (self.cleaned_at.is_some() || self.cleans() || begins)
    }

    pub fn has_much_to_say(&self) -> bool {
        self.dead.len() >= 2
    }

    pub fn state(&mut self) {
        self.stated.append(&mut self.dead);
    }

    pub fn take_buried(&mut self) -> Vec<SegmentName> {
        self.stated.drain(..).collect()
    }
}

/// Reads about so many bytes of a chain; true at its end, none if it cannot be read.
fn go_through(replay: &mut Replay, medium: &Medium, bytes: u64, mut take: impl FnMut(Step)) -> Option<bool> {
    let mut left = bytes;
    while left > 0 {
        let done = match replay.advance().ok()? {
            Step::Read { name, offset } => {
                let count = medium.read(name, offset, replay.space());
                replay.filled(count);
                count as u64 / 8
            }
            Step::End => return Some(true),
            step @ Step::Frame(frame) => {
                take(step);
                frame.bytes()
            }
        };
        left = left.saturating_sub(done.max(64));
    }
    Some(false)
}
