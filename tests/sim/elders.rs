//! Goes through the old segments of a simulated log: `runtime/disk/cleaning.rs`, on the medium.

use crate::disk::Hands;
use crate::faults::Fault;
use crate::medium::Medium;
use coldplate::engine::Engine;
use coldplate::log::{Account, Chain, Due, Elder, Elders, Pace, Replay, SegmentName, Step};

/// Less than in the shell, so that a small segment takes some turns.
const PACE: Pace =
    Pace { passed_bytes_max: 1024, turn_bytes_max: 4 * 1024, room_bytes_min: 4 * 1024, credit_bytes_max: 1024 * 1024 };

/// A segment of an earlier run, its bytes, and how many frames of it were loaded.
pub struct Found {
    pub name: SegmentName,
    pub bytes: u64,
    pub frames: u64,
}

pub struct Cleaning {
    pub elders: Elders,
    replay: Option<Replay>,
}

impl Cleaning {
    pub fn new(found: &[Found], segment_bytes: u64, amplification: u64, engine: &mut Engine) -> Cleaning {
        engine.begin_age(Elders::AGE_FIRST);
        let names = found.iter().map(|found| (found.name, found.bytes)).collect();
        let mut elders = Elders::new(names, segment_bytes, amplification, PACE);
        let frames: Vec<(SegmentName, u64)> = found.iter().map(|found| (found.name, found.frames)).collect();
        elders.loaded(&frames);
        Cleaning { elders, replay: None }
    }

    pub fn begin_age(&mut self, engine: &mut Engine) {
        engine.begin_age(self.elders.begin_age());
    }

    /// Cleans for a while, if there is too much.
    pub fn turn(&mut self, engine: &mut Engine, hands: &mut Hands, account: &Account) {
        match self.elders.turn(account) {
            Due::Nothing => {}
            Due::Forget(elder) => {
                if !elder.is_earlier() {
                    engine.forget_segment(elder.name.number);
                }
            }
            Due::GoThrough(elder, bytes) => match self.go_through(engine, hands, &elder, bytes) {
                Some(false) => {}
                Some(true) => self.elders.gone_through(engine.log_position()),
                None => {
                    self.replay = None;
                    self.elders.stick();
                }
            },
        }
    }

    /// True at the end of it; none if it cannot be read.
    fn go_through(&mut self, engine: &mut Engine, hands: &mut Hands, elder: &Elder, bytes: u64) -> Option<bool> {
        // What it has of it is thrown away.
        if hands.planted.is(Fault::RenewNothing) {
            self.replay = None;
            return Some(true);
        }
        if !elder.is_earlier() {
            let listed = engine.renew_listed(elder.age, elder.name.number, bytes, elder.bytes);
            return Some(listed.expect("what this run wrote is listed"));
        }
        if elder.frames == 0 {
            return Some(true);
        }
        let mut replay = match self.replay.take() {
            Some(replay) => replay,
            None => open(hands.medium, elder.name)?,
        };
        let is_through = go_through(&mut replay, hands.medium, bytes, |step| {
            if let Step::Frame(frame) = step {
                engine.renew(elder.age, frame.records());
            }
        })?;
        if is_through {
            return (replay.summary().frames == elder.frames).then_some(true);
        }
        self.replay = Some(replay);
        Some(false)
    }
}

fn open(medium: &Medium, name: SegmentName) -> Option<Replay> {
    let segment = medium.segments().into_iter().find(|segment| segment.name == name).expect("what counts is there");
    segment.header.is_ok().then(|| Replay::new(Chain::of(segment)))
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
