//! Reads the log back at the start, a piece a turn, so that the core answers meanwhile that it is loading.

use super::folder::{Contents, FileError};
use super::reader::Reader;
use crate::engine::Engine;
use crate::log::{Catalog, Chain, LogError, Replay, SegmentName, Step, Summary, Tail, Verdict};
use crate::types::Now;
use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a turn loads before it looks at its connections.
const TURN: Duration = Duration::from_millis(2);
/// Records between two looks at the clock.
const LOOK_RECORDS: usize = 256;

/// Why keys cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the log in {dir} is damaged: {source}. Nothing of it is served; `coldplate log check {dir}` shows more", dir = .dir.display())]
    Log { dir: PathBuf, source: LogError },
    #[error("{} has been damaged since it was loaded: {found} frames of {expected} are whole", .path.display())]
    Frames { path: PathBuf, expected: u64, found: u64 },
}

/// What the segments of a directory are together.
pub fn find(dir: &Path, contents: &Contents) -> Result<Catalog, LoadError> {
    let segments = contents.open(dir)?;
    Catalog::new(segments, &contents.unfinished).map_err(|source| LoadError::Log { dir: dir.to_path_buf(), source })
}

/// The chains that one core reads, in their order.
pub struct Loader {
    dir: PathBuf,
    chains: VecDeque<Chain>,
    replay: Option<Replay>,
    file: Option<(SegmentName, File)>,
    /// Bytes of all chains, and of those that are done with.
    bytes: u64,
    done_bytes: u64,
    /// Its keys are all written anew, because other cores have some of them now.
    moves: bool,
    tail: Tail,
    /// Of each segment, how many frames it has.
    frames: Vec<(SegmentName, u64)>,
    records: u64,
    began: Instant,
}

impl Loader {
    pub fn new(dir: PathBuf, chains: Vec<Chain>, moves: bool) -> Loader {
        let bytes = chains.iter().flat_map(Chain::segments).map(|segment| segment.file_bytes).sum();
        let (chains, began) = (chains.into(), Instant::now());
        Loader {
            dir,
            chains,
            replay: None,
            file: None,
            bytes,
            done_bytes: 0,
            moves,
            tail: Tail::default(),
            frames: Vec::new(),
            records: 0,
            began,
        }
    }

    /// What there is to read.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What of it is done with.
    pub fn loaded_bytes(&self) -> u64 {
        self.done_bytes + self.replay.as_ref().map_or(0, |replay| replay.progress().0)
    }

    /// Of each segment, how many frames were read.
    pub fn frames(&self) -> &[(SegmentName, u64)] {
        &self.frames
    }

    /// Loads for a while; true once all is loaded, and changes are logged from there on.
    pub fn turn(&mut self, engine: &mut Engine, now: Now) -> Result<bool, LoadError> {
        let until = Instant::now() + TURN;
        loop {
            if self.replay.is_none() {
                let Some(chain) = self.chains.pop_front() else {
                    let seconds = self.began.elapsed().as_secs_f64();
                    log::info!("loaded {} keys from {} records in {seconds:.2} s", engine.keys(), self.records);
                    engine.begin_log();
                    if self.moves {
                        engine.begin_rewrite();
                    } else {
                        self.log_tail_again(engine)?;
                    }
                    return Ok(true);
                };
                self.replay = Some(Replay::new(chain));
            }
            if self.step(engine, now)? && Instant::now() >= until {
                return Ok(false);
            }
        }
    }

    /// Logs the keys of frames that nothing vouches for, in one turn: all of them stand in one frame, and a FLUSHALL among
    /// them is not apart from what came behind it.
    fn log_tail_again(&self, engine: &mut Engine) -> Result<(), LoadError> {
        for name in self.tail.segments() {
            Reader::open(&self.dir, name)?.read(u64::MAX, |frame| {
                if self.tail.has(&frame) {
                    frame.records().for_each(|record| engine.log_again(&record));
                }
            })?;
        }
        Ok(())
    }

    /// Reads a piece, or applies a frame; true if it is time to look at the clock.
    fn step(&mut self, engine: &mut Engine, now: Now) -> Result<bool, LoadError> {
        let replay = self.replay.as_mut().expect("a chain is read");
        let step = replay.advance().map_err(|source| LoadError::Log { dir: self.dir.clone(), source })?;
        match step {
            Step::Read { name, offset } => {
                let path = self.dir.join(name.to_string());
                if self.file.as_ref().is_none_or(|(open, _)| *open != name) {
                    let file = File::open(&path).map_err(FileError::on(&path))?;
                    // Who was killed may have left it in memory only, and what is served from now on has to last.
                    file.sync_data().map_err(FileError::on(&path))?;
                    self.file = Some((name, file));
                }
                let (_, file) = self.file.as_ref().expect("it was opened just now");
                let bytes = file.read_at(replay.space(), offset).map_err(FileError::on(&path))?;
                replay.filled(bytes);
                Ok(true)
            }
            Step::Frame(frame) => {
                let before = self.records;
                self.tail.pass(&frame);
                match self.frames.last_mut() {
                    Some((name, frames)) if *name == frame.name => *frames += 1,
                    _ => self.frames.push((frame.name, 1)),
                }
                for record in frame.records() {
                    engine.load(now, &record);
                    self.records += 1;
                }
                Ok(before / LOOK_RECORDS as u64 != self.records / LOOK_RECORDS as u64)
            }
            Step::End => {
                report(&replay.summary());
                self.done_bytes += replay.progress().1;
                self.replay = None;
                Ok(true)
            }
        }
    }
}

fn report(summary: &Summary) {
    // A file that was made and never begun says nothing.
    if let Verdict::Torn(torn) = &summary.verdict
        && torn.bytes > 0
    {
        log::warn!("{torn}. Nobody was promised it: the server ended while it was written");
    }
}
