//! A core's log as the shell keeps it: `runtime/disk/mod.rs` step by step, on a medium that can be made to fail.

use crate::elders::Cleaning;
use crate::elders::Found as Elder;
use crate::faults::{Fault, Planted};
use crate::medium::Medium;
use crate::outlived::Found;
use crate::rng::Rng;
use coldplate::engine::{Engine, Fsync, Sealed};
use coldplate::log::{Account, FRAME_HEADER_BYTES, HEADER_BYTES, Outlived, SegmentHeader, SegmentName};

/// The shell's times, shorter, since little time passes here.
const SYNC_US: u64 = 20_000;
const ASK_AGAIN_US: u64 = 10_000;
const CLEAN_US: u64 = 500;
const REWRITE_US: u64 = 100;
/// A key or two at a time.
const REWRITE_BYTES: u64 = 64;
const MARK_US: u64 = 50_000;
const MARK_BYTES: usize = FRAME_HEADER_BYTES;

/// What a turn works with.
pub struct Hands<'a> {
    pub medium: &'a mut Medium,
    pub rng: &'a mut Rng,
    pub planted: &'a mut Planted,
    pub event: u64,
    pub now_us: u64,
    /// Events that the disk takes at most for what it is asked.
    pub delay_max: usize,
    pub make_delay_max: usize,
}

impl Hands<'_> {
    pub fn due(&mut self) -> u64 {
        self.event + self.rng.between(0, self.delay_max) as u64
    }
}

pub(crate) struct Segment {
    pub(crate) name: SegmentName,
    bytes: usize,
    at: usize,
    nonce: u64,
}

pub(crate) enum Spare {
    Asked { bytes: usize },
    There { bytes: usize },
    Failed { again_us: u64, bytes: usize },
}

/// A sync that is under way.
struct Sync {
    covers: u64,
    files: Vec<SegmentName>,
    due: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Up(u64),
    Short(u64),
    Failed,
}

/// A disk that is about to fail, and at what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ailment {
    Write,
    Sync,
}

pub struct DiskOptions {
    pub segment_bytes: usize,
    pub amplification: u64,
    pub earlier: Vec<Elder>,
    pub next: SegmentHeader,
    pub outlived: Option<Found>,
    /// The run counts once it is whole.
    pub marker: Option<u64>,
    pub switches: u64,
}

pub struct Disk {
    fsync: Fsync,
    segment_bytes: usize,
    pub(crate) next: SegmentHeader,
    cleaning: Cleaning,
    pub(crate) segment: Option<Segment>,
    pub(crate) spare: Spare,
    /// A file to take over.
    free: Option<SegmentName>,
    pub(crate) left: Vec<SegmentName>,
    sync: Option<Sync>,
    pub(crate) written: u64,
    written_bytes: u64,
    pub(crate) durable: u64,
    last_sync_us: u64,
    seen_written: u64,
    mark_us: Option<u64>,
    pub(crate) outlived: Outlived<Found>,
    pub(crate) marker: Option<u64>,
    pub(crate) finish_us: u64,
    pub(crate) switches: u64,
    /// The next operation of that kind fails.
    pub ailment: Option<Ailment>,
    pub failed: bool,
    pub segments: usize,
}

/// Nothing that is written now will last.
pub(crate) struct Broken;

impl Disk {
    /// Waits for the first segment.
    pub fn open(options: DiskOptions, engine: &mut Engine, hands: &mut Hands) -> Disk {
        let mut disk = Disk::new(options, engine, hands);
        hands.medium.hurry();
        hands.medium.keep(0);
        disk.look_for_spare(engine, hands);
        disk
    }

    pub fn new(options: DiskOptions, engine: &mut Engine, hands: &mut Hands) -> Disk {
        let segment_bytes = options.segment_bytes;
        let mut disk = Disk {
            fsync: engine.fsync(),
            segment_bytes,
            next: options.next,
            cleaning: Cleaning::new(&options.earlier, segment_bytes as u64, options.amplification, engine),
            segment: None,
            spare: Spare::Failed { again_us: 0, bytes: segment_bytes },
            free: None,
            left: Vec::new(),
            sync: None,
            written: 0,
            written_bytes: 0,
            durable: 0,
            last_sync_us: 0,
            seen_written: 0,
            mark_us: None,
            outlived: Outlived::new(options.outlived),
            marker: options.marker,
            finish_us: 0,
            switches: options.switches,
            ailment: None,
            failed: false,
            segments: 0,
        };
        disk.ask(segment_bytes, hands);
        disk
    }

    /// A turn's end.
    pub fn turn(&mut self, engine: &mut Engine, hands: &mut Hands) -> Standing {
        if self.failed {
            return Standing::Failed;
        }
        self.look_for_spare(engine, hands);
        self.clean(engine, hands);
        if self.has_room_to_rewrite(engine) {
            engine.rewrite_more(REWRITE_BYTES);
        }
        if self.write(engine, hands).is_err() {
            return self.fail();
        }
        if engine.is_rewritten() && self.is_begun() {
            self.outlived.rewritten(engine.log_position());
        }
        if self.mark(engine, hands).is_err() {
            return self.fail();
        }
        let due = match self.fsync {
            _ if !self.left.is_empty() => true,
            _ if self.outlived.is_rewritten() || self.cleaning.elders.waits() => true,
            Fsync::Always => true,
            Fsync::EverySecond => hands.now_us >= self.last_sync_us + SYNC_US,
            Fsync::Never => false,
        };
        if due && self.written > self.durable && self.sync.is_none() {
            let segment = self.segment.as_ref().expect("what was written is in a segment").name;
            let mut files = std::mem::take(&mut self.left);
            files.push(segment);
            (self.sync, self.last_sync_us) =
                (Some(Sync { covers: self.written, files, due: hands.due() }), hands.now_us);
            // Under `always` the shell waits for it in the turn.
            if hands.delay_max == 0 {
                self.take_sync(engine, hands);
            }
        }
        match self.spare {
            _ if self.failed => Standing::Failed,
            Spare::Failed { .. } if engine.log_position() > self.written => Standing::Short(engine.log_position()),
            _ => self.standing(),
        }
    }

    fn standing(&self) -> Standing {
        match self.fsync {
            _ if self.failed => Standing::Failed,
            Fsync::Always => Standing::Up(self.durable),
            Fsync::EverySecond | Fsync::Never => Standing::Up(self.written),
        }
    }

    fn fail(&mut self) -> Standing {
        self.failed = true;
        Standing::Failed
    }

    fn clean(&mut self, engine: &mut Engine, hands: &mut Hands) {
        if self.outlived.is_settled() {
            // As BGREWRITEAOF asks.
            if hands.rng.chance(2) {
                self.cleaning.elders.ask_for_round(self.segment.is_some());
            }
            let account = Account {
                now_us: hands.now_us,
                live_bytes: engine.live_log_bytes(),
                written_bytes: self.written_bytes,
                current_bytes: self.segment.as_ref().map_or(0, |segment| segment.at as u64),
                room_bytes: self.room_bytes(engine),
                durable: self.durable,
            };
            self.cleaning.turn(engine, hands, &account);
        }
        for (name, bytes) in self.cleaning.elders.take_buried() {
            match bytes == self.segment_bytes as u64 && self.free.is_none() {
                true => self.free = Some(name),
                false => {
                    let due = hands.due();
                    hands.medium.remove(name, due);
                }
            }
        }
    }

    fn room_bytes(&self, engine: &Engine) -> u64 {
        match self.spare {
            _ if engine.has_frame() => 0,
            Spare::There { .. } => self.segment_bytes as u64,
            _ => self.segment.as_ref().map_or(0, |segment| (segment.bytes - segment.at) as u64),
        }
    }

    fn has_room_to_rewrite(&self, engine: &Engine) -> bool {
        !engine.is_rewritten() && self.room_bytes(engine) >= 2 * REWRITE_BYTES
    }

    fn goes_on_rewriting(&self, engine: &Engine) -> bool {
        !self.failed && (engine.is_rewritten() || self.has_room_to_rewrite(engine))
    }

    pub(crate) fn write(&mut self, engine: &mut Engine, hands: &mut Hands) -> Result<(), Broken> {
        if self.fsync == Fsync::Always && self.sync.is_some() {
            return Ok(());
        }
        if !self.is_begun() && matches!(self.spare, Spare::There { .. }) {
            self.begin_segment(engine, hands)?;
        }
        let is_full = self.segment.as_ref().is_some_and(|segment| segment.at > segment.bytes / 8 * 7);
        let ages = self.cleaning.elders.wants_age(is_full) && !engine.has_frame();
        if (ages || self.cleaning.elders.has_much_to_say())
            && self.segment.is_some()
            && matches!(self.spare, Spare::There { .. })
        {
            self.begin_segment(engine, hands)?;
            if ages {
                self.cleaning.begin_age(engine);
            }
        }
        while let Some(bytes) = engine.fill_log() {
            if !self.has_room_for(engine, bytes, hands)? {
                break;
            }
            let (sequence, bytes) = self.put(engine, hands)?;
            (self.written, self.written_bytes) = (sequence, self.written_bytes + bytes as u64);
        }
        Ok(())
    }

    /// Writes the next frame, or a part of it; its number and its bytes.
    fn put(&mut self, engine: &mut Engine, hands: &mut Hands) -> Result<(u64, usize), Broken> {
        let segment = self.segment.as_mut().expect("there was room just now");
        let Sealed { sequence, frame_bytes, bytes } =
            engine.seal_log(segment.nonce, segment.at as u64, segment.bytes as u64);
        if self.ailment == Some(Ailment::Write) {
            let count = hands.rng.between(0, bytes.len());
            hands.medium.write(segment.name, segment.at, &bytes[..count]);
            return Err(Broken);
        }
        hands.medium.write(segment.name, segment.at, bytes);
        segment.at += frame_bytes;
        engine.log_written();
        Ok((sequence, frame_bytes))
    }

    fn mark(&mut self, engine: &mut Engine, hands: &mut Hands) -> Result<(), Broken> {
        if self.written != self.seen_written {
            (self.seen_written, self.mark_us) = (self.written, Some(hands.now_us + MARK_US));
        }
        if self.mark_us.is_none_or(|at_us| hands.now_us < at_us) || !self.may_mark(engine) {
            return Ok(());
        }
        let (sequence, _) = self.put(engine, hands)?;
        (self.written, self.seen_written, self.mark_us) = (sequence, sequence, None);
        Ok(())
    }

    /// Whether a mark could be set, were it time.
    fn may_mark(&self, engine: &Engine) -> bool {
        let has_room = self.segment.as_ref().is_some_and(|segment| segment.at + MARK_BYTES <= segment.bytes);
        self.durable >= self.written && !engine.has_frame() && has_room
    }

    fn has_room_for(&mut self, engine: &mut Engine, bytes: usize, hands: &mut Hands) -> Result<bool, Broken> {
        let fits = |segment: &Segment| segment.at + bytes <= segment.bytes;
        if !self.segment.as_ref().is_some_and(fits) {
            match &self.spare {
                Spare::There { bytes: room } if HEADER_BYTES + bytes <= *room => self.begin_segment(engine, hands)?,
                Spare::There { .. } => {
                    let due = hands.due();
                    hands.medium.remove(self.next.name, due);
                    self.ask(HEADER_BYTES + bytes, hands);
                    return Ok(false);
                }
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    pub(crate) fn begin_segment(&mut self, engine: &mut Engine, hands: &mut Hands) -> Result<(), Broken> {
        let Spare::There { bytes } = self.spare else { unreachable!("the caller has seen it") };
        let oldest = self.cleaning.elders.oldest().or(self.segment.as_ref().map(|segment| segment.name));
        let none_dead = SegmentName { run: 0, number: 0, ..self.next.name };
        let oldest = if self.outlived.is_settled() { oldest.unwrap_or(self.next.name) } else { none_dead };
        let header = SegmentHeader {
            oldest_run: oldest.run,
            oldest: oldest.number,
            first_sequence: self.written + 1,
            durable: self.durable,
            segment_bytes: bytes as u64,
            ..self.next
        };
        self.segments += 1;
        hands.medium.write(header.name, 0, &header.encode());
        match self.ailment {
            Some(Ailment::Write) => {
                hands.medium.fail_sync(header.name, hands.rng);
                return Err(Broken);
            }
            Some(Ailment::Sync) if hands.rng.chance(30) => {
                hands.medium.fail_sync(header.name, hands.rng);
                return Err(Broken);
            }
            _ => hands.medium.sync(header.name),
        }
        self.cleaning.elders.state();
        self.next.name.number += 1;
        let segment = Segment { name: header.name, bytes, at: HEADER_BYTES, nonce: header.nonce() };
        engine.begin_segment(header.name.number);
        if let Some(left) = self.segment.replace(segment) {
            self.cleaning.elders.push(left.name, left.bytes as u64);
            self.left.push(left.name);
        }
        self.ask(self.segment_bytes, hands);
        Ok(())
    }

    fn ask(&mut self, bytes: usize, hands: &mut Hands) {
        let due = hands.event + hands.rng.between(0, hands.make_delay_max) as u64;
        let free = if bytes == self.segment_bytes { self.free.take() } else { None };
        hands.medium.make(self.next.name, bytes, free, due);
        self.spare = Spare::Asked { bytes };
    }

    pub fn look_for_spare(&mut self, engine: &mut Engine, hands: &mut Hands) {
        match self.spare {
            Spare::Asked { bytes } => match hands.medium.take_made(self.next.name) {
                Some(true) => {
                    self.spare = Spare::There { bytes };
                    engine.log_recovered();
                }
                Some(false) => {
                    self.spare = Spare::Failed { again_us: hands.now_us + ASK_AGAIN_US, bytes };
                    if !hands.planted.is(Fault::AcceptShort) {
                        engine.log_is_short();
                    }
                }
                None => {}
            },
            Spare::Failed { again_us, bytes } if hands.now_us >= again_us => {
                self.ask(bytes, hands);
            }
            _ => {}
        }
    }

    /// Whether its core has to turn, or would soon.
    pub fn has_news(&self, engine: &Engine, medium: &Medium, event: u64, now_us: u64) -> bool {
        let waits = engine.log_position() > self.written || self.mark_us.is_some() || !self.is_begun();
        self.sync.as_ref().is_some_and(|sync| sync.due <= event)
            || self.outlived.waits() && self.goes_on_rewriting(engine)
            || matches!(self.spare, Spare::Asked { .. }) && waits && !self.failed && medium.has_made(self.next.name)
            || self.deadline(engine).is_some_and(|at_us| at_us <= now_us)
    }

    /// When to turn although nothing happens.
    pub fn deadline(&self, engine: &Engine) -> Option<u64> {
        if self.failed {
            return None;
        }
        let spare = match self.spare {
            Spare::Failed { again_us, .. } => Some(again_us),
            _ => None,
        };
        let sync = self.fsync == Fsync::EverySecond && self.written > self.durable && self.sync.is_none();
        let mark = self.mark_us.filter(|_| self.may_mark(engine));
        sync.then_some(self.last_sync_us + SYNC_US).into_iter().chain(spare).chain(mark).min()
    }

    /// When to go on with cleaning, if that is under way. What it waits for besides wakes its core by itself.
    pub fn cleans_at(&self, engine: &Engine, now_us: u64) -> Option<u64> {
        let waits = self.failed || self.sync.is_some() || engine.log_position() > self.written;
        let may_begin = self.segment.is_some() && matches!(self.spare, Spare::There { .. });
        let rewrites = self.has_room_to_rewrite(engine) && !self.failed;
        let cleans = (!waits && self.cleaning.elders.goes_on(may_begin)).then_some(now_us + CLEAN_US);
        rewrites.then_some(now_us + REWRITE_US).into_iter().chain(cleans).min()
    }

    /// Takes the end of a sync whose time has come.
    pub fn synced(&mut self, engine: &mut Engine, hands: &mut Hands) -> Option<Standing> {
        self.sync.as_ref().filter(|sync| sync.due <= hands.event)?;
        self.take_sync(engine, hands);
        Some(self.standing())
    }

    fn take_sync(&mut self, engine: &mut Engine, hands: &mut Hands) {
        let Some(Sync { covers, files, .. }) = self.sync.take() else { return };
        if self.ailment == Some(Ailment::Sync) {
            files.iter().for_each(|name| hands.medium.fail_sync(*name, hands.rng));
            self.fail();
        }
        if !self.failed {
            files.iter().for_each(|name| hands.medium.sync(*name));
            self.durable = covers;
            engine.log_durable(covers);
        }
    }

    /// Whether a sync is under way, or due, that has to cover segments before the current one.
    pub fn has_left(&self) -> bool {
        !self.left.is_empty() || self.sync.as_ref().is_some_and(|sync| sync.files.len() > 1)
    }

    /// The segment of an earlier run that is cleaned next.
    pub fn reads_next(&self) -> Option<SegmentName> {
        self.cleaning.elders.reads_next()
    }

    pub fn waits(&self) -> bool {
        self.sync.is_some()
    }

    /// Nothing else goes on: the sync ends.
    pub fn hurry(&mut self) {
        if let Some(sync) = &mut self.sync {
            sync.due = 0;
        }
    }
}
