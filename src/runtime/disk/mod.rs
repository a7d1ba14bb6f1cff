//! Owns: one core's log on disk: the segment that it writes, what of it is on stable storage, the next segment, the old ones.
//! Knows: files, frames as bytes, which of them were synced, how much room the log may take.
//! Must never know: commands, keys, connections; what changed is the engine's to say, who waits for it the gate's.
//! Read first: this file (a turn's writes and syncs), then `cleaning.rs` (old segments), `loader.rs` (the start).
//!
//! Frames are written by a plain write at the turn's end, into blocks that exist: 4 µs into the page cache, where a write
//! through the ring is handed to a thread of the kernel's on ext4. They are brought to stable storage through the ring, so
//! that the core goes on meanwhile; one sync is under way at a time and takes with it all that was written before. Measured
//! with 8 KiB a commit: so 81 to 86 µs and 34 to 40 of CPU, with O_DIRECT and registered buffers 76 to 84 and 32 to 37; but
//! those pad each commit to 4 KiB, and need a second way for `everysec`, whose replies leave before the sync.

mod cleaning;
mod ending;
pub mod folder;
mod keeper;
mod loader;
mod outlived;
mod reader;
mod spare;
mod switch;
mod sync;
#[cfg(test)]
mod tests;

pub use keeper::{Order, start as start_keeper, sync_dir};
pub use loader::{LoadError, Loader, find};
use spare::Spare;
pub use switch::Switch;

use super::Ring;
use crate::engine::{Engine, Fsync, LogCounts, Sealed};
use crate::log::{Account, Elders, FRAME_HEADER_BYTES, HEADER_BYTES, Outlived, Pace, SegmentHeader, SegmentName};
use crate::types::Now;
use cleaning::Cleaning;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Between syncs under `everysec`.
const SYNC_US: u64 = 1_000_000;
/// How soon to look for a file that the keeper makes.
const LOOK_US: u64 = 1_000;
/// While a segment is cleaned and nothing else happens, how often.
const CLEAN_US: u64 = 500;
/// While all keys are logged anew and nothing else happens, how often so many bytes of them are.
const REWRITE_US: u64 = 100;
const REWRITE_BYTES: u64 = 64 * 1024;
/// After so long without a frame the last one is said to be durable.
const MARK_US: u64 = 1_000_000;
const MARK_BYTES: u64 = FRAME_HEADER_BYTES as u64;

/// What a core's log is opened with.
pub struct DiskOptions {
    pub dir: PathBuf,
    pub segment_bytes: u64,
    /// By what the log may be larger than what counts in it.
    pub amplification: u64,
    /// Segments of earlier runs that go on counting, and their bytes.
    pub earlier: Vec<(SegmentName, u64)>,
    /// The chain that this core goes on with: its name's number is that of the next segment.
    pub next: SegmentHeader,
    pub keeper: Sender<Order>,
    /// Files of earlier runs that count no more once all cores have written their keys anew; none: they go on counting.
    pub outlived: Option<Vec<PathBuf>>,
    /// What is there as long as this run is not finished, and nothing of it counts; none: it goes on with what earlier runs
    /// have left.
    pub marker: Option<PathBuf>,
    /// Since which switches this log is on: see [`crate::engine::Ledger::log_switches`].
    pub switches: u64,
}

/// A file that takes frames.
struct Segment {
    name: SegmentName,
    file: File,
    bytes: u64,
    /// Where the next frame goes.
    at: u64,
    nonce: u64,
}

impl Segment {
    /// Writes the next frame, for which there is room; its number and its bytes.
    fn put(&mut self, engine: &mut Engine) -> io::Result<(u64, u64)> {
        let Sealed { sequence, frame_bytes, bytes } = engine.seal_log(self.nonce, self.at, self.bytes);
        self.file.write_all_at(bytes, self.at)?;
        self.at += frame_bytes as u64;
        engine.log_written();
        Ok((sequence, frame_bytes as u64))
    }
}

/// See the module.
pub struct Disk {
    dir: PathBuf,
    fsync: Fsync,
    segment_bytes: u64,
    next: SegmentHeader,
    keeper: Sender<Order>,
    made: (Sender<io::Result<File>>, Receiver<io::Result<File>>),
    cleaning: Cleaning,
    segment: Option<Segment>,
    spare: Spare,
    /// Files to take over: nothing in them counts any more.
    free: Vec<SegmentName>,
    /// Segments that were left with frames that no sync has covered.
    left: Vec<File>,
    /// What syncs that are under way cover: descriptors stay open until they end.
    syncing: Vec<File>,
    syncs_pending: u32,
    covers: u64,
    written: u64,
    durable: u64,
    last_sync_us: u64,
    /// Somebody asked for one.
    owes_sync: bool,
    /// What was written when it was last looked, and when to say that it is durable.
    seen_written: u64,
    mark_us: Option<u64>,
    /// Files of earlier runs.
    outlived: Outlived<Vec<PathBuf>>,
    marker: Option<PathBuf>,
    /// When to ask for the end of the marker again.
    finish_us: u64,
    switches: u64,
    /// The log cannot be written any more; the server's own log says why.
    failed: bool,
    pub counts: LogCounts,
}

/// What the log asks of its core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// What rests on frames up to this one may leave.
    Up(u64),
    /// There is no room for the next segment, and what rests on frames up to this one waits for it: nobody knows for how
    /// long.
    Short(u64),
    /// Nothing that is written now will last.
    Failed,
}

impl Disk {
    /// Waits for the first segment. Where there is no room for it the server starts all the same, and refuses writes.
    pub fn open(options: DiskOptions, engine: &mut Engine) -> Disk {
        let mut disk = Disk::new(options, engine);
        let made = disk.made.1.recv().expect("the keeper answers each order");
        disk.take_made(engine, made, 0);
        disk
    }

    /// Asks for the first segment.
    pub fn new(options: DiskOptions, engine: &mut Engine) -> Disk {
        let sealed = options.next.first_sequence - 1;
        let elders = Elders::new(options.earlier, options.segment_bytes, options.amplification, Pace::default());
        let mut disk = Disk {
            dir: options.dir,
            fsync: engine.fsync(),
            segment_bytes: options.segment_bytes,
            next: options.next,
            keeper: options.keeper,
            made: bounded(1),
            cleaning: Cleaning::new(elders, engine),
            segment: None,
            spare: Spare::Failed { again_us: 0, bytes: options.segment_bytes },
            free: Vec::new(),
            left: Vec::new(),
            syncing: Vec::new(),
            syncs_pending: 0,
            covers: 0,
            written: sealed,
            durable: sealed,
            last_sync_us: 0,
            owes_sync: false,
            seen_written: sealed,
            mark_us: None,
            outlived: Outlived::new(options.outlived),
            marker: options.marker,
            finish_us: 0,
            switches: options.switches,
            failed: false,
            counts: LogCounts::default(),
        };
        disk.ask(disk.segment_bytes);
        disk
    }

    /// So many frames of earlier runs' segments were loaded, in the order of their names.
    pub fn loaded(&mut self, frames: &[(SegmentName, u64)]) {
        self.cleaning.elders.loaded(frames);
    }

    /// Writes what has changed, and begins to bring it to stable storage where it is due. Called at a turn's end.
    pub fn turn(&mut self, engine: &mut Engine, ring: &mut Ring, now: Now) -> Standing {
        let now_us = now.mono_us;
        if self.failed {
            return Standing::Failed;
        }
        self.fsync = engine.fsync();
        self.look_for_spare(engine, now_us);
        self.clean(engine, now_us);
        if self.has_room_to_rewrite(engine) {
            engine.rewrite_more(self.rewrite_bytes());
        }
        if let Err(error) = self.write(engine) {
            return self.fail("write", &error);
        }
        if !engine.is_loading() && engine.is_rewritten() && self.is_begun() {
            self.outlived.rewritten(engine.log_position());
        }
        self.owes_sync |= engine.take_wish_to_sync();
        if let Err(error) = self.mark(engine, now_us) {
            return self.fail("write", &error);
        }
        let due = match self.fsync {
            _ if self.owes_sync || !self.left.is_empty() => true,
            _ if self.outlived.is_rewritten() || self.cleaning.elders.waits() => true,
            Fsync::Always => true,
            Fsync::EverySecond => now_us >= self.last_sync_us + SYNC_US,
            Fsync::Never => false,
        };
        if due && self.written > self.durable && self.syncs_pending == 0 {
            let synced = match self.fsync {
                Fsync::Always => self.sync_here(engine, now),
                _ => self.sync(ring, now_us),
            };
            if let Err(error) = synced {
                return self.fail("sync", &error);
            }
        }
        match self.spare {
            Spare::Failed { .. } if engine.log_position() > self.written => Standing::Short(engine.log_position()),
            _ => self.standing(),
        }
    }

    /// Gives back room, a piece a turn.
    fn clean(&mut self, engine: &mut Engine, now_us: u64) {
        let account = Account {
            now_us,
            written_bytes: self.counts.bytes,
            current_bytes: self.segment.as_ref().map_or(0, |segment| segment.at),
            live_bytes: engine.live_log_bytes(),
            room_bytes: self.room_bytes(engine),
            durable: self.durable,
        };
        if self.outlived.is_settled() && !engine.is_loading() {
            if engine.take_wish_to_clean() {
                self.cleaning.elders.ask_for_round(self.segment.is_some());
            }
            self.cleaning.turn(engine, &self.dir, &account);
        }
        for (name, bytes) in self.cleaning.elders.take_buried() {
            self.let_go(name, bytes);
        }
        let current = self.segment.as_ref().map_or(0, |segment| segment.bytes);
        let free = self.free.len() as u64 * self.segment_bytes;
        self.counts.disk_bytes = self.cleaning.elders.bytes() + current + free;
        self.counts.cleans = u64::from(self.cleaning.elders.is_busy());
    }

    /// What can be written for certain.
    fn room_bytes(&self, engine: &Engine) -> u64 {
        match self.spare {
            _ if engine.has_frame() => 0,
            Spare::There { .. } => self.segment_bytes,
            _ => self.segment.as_ref().map_or(0, |segment| segment.bytes - segment.at),
        }
    }

    /// Whether more keys can be logged anew: without room clients would wait behind them.
    fn has_room_to_rewrite(&self, engine: &Engine) -> bool {
        !engine.is_rewritten() && self.room_bytes(engine) >= 2 * self.rewrite_bytes()
    }

    /// How much of them at a time, if no segment is smaller than that.
    fn rewrite_bytes(&self) -> u64 {
        REWRITE_BYTES.min(self.segment_bytes / 4)
    }

    fn standing(&self) -> Standing {
        match self.fsync {
            _ if self.failed => Standing::Failed,
            Fsync::Always => Standing::Up(self.durable),
            Fsync::EverySecond | Fsync::Never => Standing::Up(self.written),
        }
    }

    fn write(&mut self, engine: &mut Engine) -> io::Result<()> {
        // What waits for a sync anyway waits in memory, where more joins it, and no page changes while it is written back.
        if self.fsync == Fsync::Always && self.syncs_pending > 0 {
            return Ok(());
        }
        if !self.is_begun() && matches!(self.spare, Spare::There { .. }) {
            self.begin_segment(engine)?;
        }
        // A frame that waits for room was filled in an age, and lies in a segment of it.
        let is_full = self.segment.as_ref().is_some_and(|segment| segment.at > segment.bytes / 8 * 7);
        let ages = self.cleaning.elders.wants_age(is_full) && !engine.has_frame();
        if (ages || self.cleaning.elders.has_much_to_say())
            && self.segment.is_some()
            && matches!(self.spare, Spare::There { .. })
        {
            self.begin_segment(engine)?;
            if ages {
                self.cleaning.begin_age(engine);
            }
        }
        while let Some(bytes) = engine.fill_log() {
            let Some(segment) = self.room_for(engine, bytes as u64)? else { break };
            let (sequence, frame_bytes) = segment.put(engine)?;
            self.counts.frames += 1;
            self.counts.bytes += frame_bytes;
            self.written = sequence;
        }
        Ok(())
    }

    /// Behind the last frame says that it is durable, once nothing has been written for a while: a frame that nothing says
    /// that of would pass for one that was being written when the power failed.
    fn mark(&mut self, engine: &mut Engine, now_us: u64) -> io::Result<()> {
        if self.written != self.seen_written {
            (self.seen_written, self.mark_us) = (self.written, Some(now_us + MARK_US));
        }
        if self.mark_us.is_some_and(|at_us| now_us >= at_us) { self.write_mark(engine) } else { Ok(()) }
    }

    fn write_mark(&mut self, engine: &mut Engine) -> io::Result<()> {
        if self.may_mark(engine)
            && let Some(segment) = &mut self.segment
        {
            let (sequence, _) = segment.put(engine)?;
            (self.written, self.seen_written, self.mark_us) = (sequence, sequence, None);
        }
        Ok(())
    }

    /// Whether the last frame can be said to be durable: not where there is no room, nor past a frame that waits for some.
    fn may_mark(&self, engine: &Engine) -> bool {
        let has_room = self.segment.as_ref().is_some_and(|segment| segment.at + MARK_BYTES <= segment.bytes);
        self.durable >= self.written && has_room && !engine.has_frame()
    }

    /// The segment that has room for so much; none while the next one is being made.
    fn room_for(&mut self, engine: &mut Engine, bytes: u64) -> io::Result<Option<&mut Segment>> {
        let fits = |segment: &Segment| segment.at + bytes <= segment.bytes;
        if !self.segment.as_ref().is_some_and(fits) {
            match &self.spare {
                Spare::There { bytes: room, .. } if HEADER_BYTES as u64 + bytes <= *room => {
                    self.begin_segment(engine)?
                }
                // One of the usual size does not do: it is given back for a larger.
                Spare::There { .. } => {
                    self.drop_spare();
                    self.ask(HEADER_BYTES as u64 + bytes);
                    return Ok(None);
                }
                _ => return Ok(None),
            }
        }
        Ok(self.segment.as_mut())
    }

    fn begin_segment(&mut self, engine: &mut Engine) -> io::Result<()> {
        let gone = Spare::Failed { again_us: 0, bytes: self.segment_bytes };
        let Spare::There { file, bytes } = std::mem::replace(&mut self.spare, gone) else {
            unreachable!("the caller has seen it");
        };
        let oldest = self.cleaning.elders.oldest().or(self.segment.as_ref().map(|segment| segment.name));
        // What earlier runs left counts, whoever had it, until it is outlived.
        let none_dead = SegmentName { run: 0, number: 0, ..self.next.name };
        let oldest = if self.outlived.is_settled() { oldest.unwrap_or(self.next.name) } else { none_dead };
        let header = SegmentHeader {
            oldest_run: oldest.run,
            oldest: oldest.number,
            first_sequence: self.written + 1,
            durable: self.durable,
            segment_bytes: bytes,
            ..self.next
        };
        file.write_all_at(&header.encode(), 0)?;
        // Before any frame: without it none could be read.
        file.sync_data()?;
        self.cleaning.elders.state();
        self.next.name.number += 1;
        let segment = Segment { name: header.name, file, bytes, at: HEADER_BYTES as u64, nonce: header.nonce() };
        engine.begin_segment(header.name.number);
        if let Some(left) = self.segment.replace(segment) {
            self.cleaning.elders.push(left.name, left.bytes);
            self.left.push(left.file);
        }
        self.ask(self.segment_bytes);
        Ok(())
    }

    /// When to turn although nothing happens, in [`crate::types::Now::mono_us`].
    pub fn deadline(&self, engine: &Engine, now_us: u64) -> Option<u64> {
        if self.failed {
            return None;
        }
        let waits = engine.log_position() > self.written;
        let spare = match self.spare {
            Spare::Asked { .. } if waits || !engine.is_rewritten() || !self.is_begun() => Some(now_us + LOOK_US),
            Spare::Failed { again_us, .. } => Some(again_us),
            _ => None,
        };
        let may_begin = self.segment.is_some() && !matches!(self.spare, Spare::Failed { .. });
        let clean = (!waits && self.cleaning.elders.goes_on(may_begin)).then_some(now_us + CLEAN_US);
        let rewrite = self.has_room_to_rewrite(engine).then_some(now_us + REWRITE_US);
        let bury = self.outlived.is_done().then_some(now_us + LOOK_US);
        let sync = self.fsync == Fsync::EverySecond && self.written > self.durable && self.syncs_pending == 0;
        sync.then_some(self.last_sync_us + SYNC_US)
            .into_iter()
            .chain(spare)
            .chain(clean)
            .chain(rewrite)
            .chain(bury)
            .chain(self.mark_us.filter(|_| self.may_mark(engine)))
            .min()
    }

    /// Takes a sync's completion.
    pub fn synced(&mut self, engine: &mut Engine, unix_s: u64, result: io::Result<()>) -> Standing {
        self.syncs_pending -= 1;
        if let Err(error) = result {
            return self.fail("sync", &error);
        }
        if self.syncs_pending == 0 && !self.failed {
            self.syncing.clear();
            self.durable = self.covers;
            self.counts.synced_unix_s = unix_s;
            engine.log_durable(self.durable);
        }
        self.standing()
    }

    /// After a failed sync nobody knows what the disk has, and a later one that succeeds does not tell.
    pub fn fail(&mut self, what: &str, error: &io::Error) -> Standing {
        if !std::mem::replace(&mut self.failed, true) {
            log::error!(
                "the log in {} failed ({what}: {error}); writes are refused until the log is switched off and on, or \
                 the server is started again",
                self.dir.display()
            );
        }
        Standing::Failed
    }
}
