//! The segments that are full, from the oldest on, and how they go: each is cleaned, then said to be dead by the header of
//! a later one, and taken away once that header is on stable storage. So whatever the power takes, a start finds either a
//! whole chain or one that says from where on it counts.

use super::cleaner::Cleaner;
use crate::engine::Engine;
use crate::log::SegmentName;
use std::collections::VecDeque;
use std::path::Path;

/// Cleaning goes on by so many bytes for each byte that is written, and for each microsecond: where little is written it
/// takes 64 MB/s, where much is written twice what that is.
const BYTES_A_BYTE: u64 = 2;
const BYTES_A_US: u64 = 64;
/// What a turn goes through at most: a few tens of microseconds.
const TURN_BYTES_MAX: u64 = 32 * 1024;
/// Segments that a log may have beyond its bound: the one that is written, and the one that is cleaned.
const SEGMENTS_FREE: u64 = 2;

/// See the module.
pub struct Elders {
    /// By what the log may be larger than what counts in it.
    amplification: u64,
    segment_bytes: u64,
    alive: VecDeque<(SegmentName, u64)>,
    alive_bytes: u64,
    cleaner: Option<Cleaner>,
    /// The oldest has been gone through, and counts until this frame is durable.
    cleaned_at: Option<u64>,
    /// No header says so yet.
    dead: Vec<(SegmentName, u64)>,
    /// The header of a segment says so, whose first frame has this number.
    stated: Vec<(SegmentName, u64)>,
    stated_at: u64,
    /// There is too much, or somebody asked: a round begins with the next segment.
    wants_round: bool,
    /// The last segment of the round. What was logged before it began lies in these segments, and what was logged since in
    /// later ones; a round comes to its end before the next begins.
    round_to: Option<SegmentName>,
    credit: u64,
    seen_us: u64,
    seen_bytes: u64,
    /// One could not be read; it stays.
    stuck: bool,
}

/// What a turn brings.
pub struct Turn<'a> {
    pub dir: &'a Path,
    pub now_us: u64,
    /// Bytes written so far, and those of the current segment.
    pub written_bytes: u64,
    pub current_bytes: u64,
    pub durable: u64,
}

impl Elders {
    pub fn new(found: Vec<(SegmentName, u64)>, segment_bytes: u64, amplification: u64) -> Elders {
        Elders {
            amplification,
            segment_bytes,
            alive_bytes: found.iter().map(|(_, bytes)| bytes).sum(),
            alive: found.into(),
            cleaner: None,
            cleaned_at: None,
            dead: Vec::new(),
            stated: Vec::new(),
            stated_at: 0,
            wants_round: false,
            round_to: None,
            credit: 0,
            seen_us: 0,
            seen_bytes: 0,
            stuck: false,
        }
    }

    /// A segment is full.
    pub fn push(&mut self, name: SegmentName, bytes: u64) {
        self.alive.push_back((name, bytes));
        self.alive_bytes += bytes;
    }

    /// The oldest that counts, if it is not the current one.
    pub fn oldest(&self) -> Option<SegmentName> {
        self.alive.front().map(|(name, _)| *name)
    }

    /// Bytes of all files that are there.
    pub fn bytes(&self) -> u64 {
        let gone: u64 = self.dead.iter().chain(&self.stated).map(|(_, bytes)| bytes).sum();
        self.alive_bytes + gone
    }

    /// All that is logged so far is to be cleaned.
    pub fn ask_for_round(&mut self) {
        self.wants_round = true;
    }

    /// Whether a segment should begin, so that a round can.
    pub fn wants_segment(&self) -> bool {
        self.wants_round && self.round_to.is_none() && !self.stuck
    }

    /// A segment has begun, and all that was logged before lies in these.
    pub fn begin_round(&mut self, engine: &mut Engine) {
        engine.begin_round();
        self.wants_round = false;
        self.round_to = self.alive.back().map(|(name, _)| *name);
    }

    /// Cleans for a while, if there is too much.
    pub fn turn(&mut self, engine: &mut Engine, turn: &Turn) {
        let (us, bytes) = (turn.now_us - self.seen_us, turn.written_bytes - self.seen_bytes);
        (self.seen_us, self.seen_bytes) = (turn.now_us, turn.written_bytes);
        if self.stuck {
            return;
        }
        if let Some(position) = self.cleaned_at {
            if turn.durable >= position {
                self.cleaned_at = None;
                let (name, bytes) = self.alive.pop_front().expect("the oldest was cleaned");
                self.alive_bytes -= bytes;
                self.dead.push((name, bytes));
            }
            return;
        }
        let goes_on = matches!((self.round_to, self.alive.front()), (Some(last), Some((first, _))) if *first <= last);
        if !goes_on {
            self.round_to = None;
            self.wants_round |= self.is_too_much(engine, turn);
            return;
        }
        let earned = us.saturating_mul(BYTES_A_US).saturating_add(bytes.saturating_mul(BYTES_A_BYTE));
        self.credit = (self.credit.saturating_add(earned)).min(TURN_BYTES_MAX);
        if let Err(error) = self.clean(engine, turn.dir) {
            log::error!("the log cannot be cleaned, and grows: {error}");
            (self.stuck, self.cleaner) = (true, None);
        }
    }

    fn is_too_much(&self, engine: &Engine, turn: &Turn) -> bool {
        self.alive_bytes + turn.current_bytes
            > self.amplification * engine.live_log_bytes() + SEGMENTS_FREE * self.segment_bytes
    }

    fn clean(&mut self, engine: &mut Engine, dir: &Path) -> Result<(), super::LoadError> {
        let (name, _) = *self.alive.front().expect("the caller has seen it");
        if self.cleaner.is_none() {
            self.cleaner = Cleaner::open(dir, name)?;
        }
        let Some(cleaner) = &mut self.cleaner else {
            self.cleaned_at = Some(0);
            return Ok(());
        };
        if cleaner.turn(engine, std::mem::take(&mut self.credit))? {
            self.cleaner = None;
            // What was noted just now is in the next frame.
            self.cleaned_at = Some(engine.log_position());
        }
        Ok(())
    }

    /// Whether something waits for what was written to be durable.
    pub fn waits(&self) -> bool {
        self.cleaned_at.is_some() || !self.stated.is_empty()
    }

    /// Whether cleaning is under way or asked for.
    pub fn is_busy(&self) -> bool {
        self.cleaned_at.is_some() || self.round_to.is_some() || self.wants_segment()
    }

    /// Whether so many are dead that a new segment may begin early, to say so.
    pub fn has_much_to_say(&self) -> bool {
        self.stated.is_empty() && self.dead.len() >= 2
    }

    /// A header says which are dead. Its segment's first frame will have this number.
    pub fn state(&mut self, first_sequence: u64) {
        self.stated.append(&mut self.dead);
        self.stated_at = first_sequence;
    }

    /// Those whose death is on stable storage.
    pub fn take_buried(&mut self, durable: u64) -> Vec<SegmentName> {
        if self.stated.is_empty() || durable < self.stated_at {
            return Vec::new();
        }
        self.stated.drain(..).map(|(name, _)| name).collect()
    }
}
