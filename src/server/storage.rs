//! The directory of the log: who may write there, what is there, and what each core does with it at the start.

use super::config::Log;
use crate::log::{Catalog, Chain, SegmentHeader, SegmentName};
use crate::routing::SlotTable;
use crate::runtime::disk::folder::{FOLDER, LOCK, hold};
use crate::runtime::disk::{self, DiskOptions, LoadError, Loader, Order};
use crate::types::CoreId;
use crossbeam_channel::Sender;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("the log cannot be kept in {}: {source}; make it writable, choose another with --dir, or use --appendonly no", .dir.display())]
    Io { dir: PathBuf, source: io::Error },
    #[error("{} is another server's log; choose another directory with --dir", .dir.display())]
    InUse { dir: PathBuf },
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// The log of all cores.
pub struct Storage {
    dir: PathBuf,
    /// Locked as long as the server runs.
    _lock: File,
    keeper: Sender<Order>,
    keeper_thread: JoinHandle<()>,
    catalog: Catalog,
    /// What there is was written under another table: every core reads all of it, and writes its keys anew.
    moves: bool,
    run: u64,
    layout: u64,
    segment_bytes: u64,
    amplification: u64,
    cores: u16,
}

impl Storage {
    pub fn open(work_dir: &Path, log: &Log, table: &SlotTable) -> Result<Storage, StorageError> {
        let dir = work_dir.join(FOLDER);
        let failed = |source| StorageError::Io { dir: dir.clone(), source };
        std::fs::create_dir_all(&dir).map_err(failed)?;
        let lock = File::create(dir.join(LOCK)).map_err(failed)?;
        if !hold(&lock).map_err(failed)? {
            return Err(StorageError::InUse { dir });
        }
        disk::sync_dir(&dir).and_then(|()| disk::sync_dir(work_dir)).map_err(failed)?;
        let catalog = disk::find(&dir)?;
        let (keeper, keeper_thread) = disk::start_keeper().map_err(failed)?;
        for dead in &catalog.dead {
            keeper.send(Order::Remove { path: dir.join(dead.to_string()) }).expect("the keeper has just started");
        }
        let layout = table.digest();
        let segments = || catalog.chains.iter().flat_map(Chain::segments);
        let dead_run = catalog.dead.iter().map(|name| name.run).max();
        Ok(Storage {
            run: segments().map(|segment| segment.name.run).chain(dead_run).max().unwrap_or(0) + 1,
            moves: !catalog.is_placed_by(layout, table.cores()),
            _lock: lock,
            keeper,
            keeper_thread,
            catalog,
            layout,
            segment_bytes: log.segment_bytes,
            amplification: log.amplification,
            cores: table.cores() as u16,
            dir,
        })
    }

    /// Waits until all that was asked of the keeper is done. The cores have ended.
    pub fn close(self) {
        drop(self.keeper);
        if self.keeper_thread.join().is_err() {
            log::error!("the thread that keeps the log's files panicked");
        }
    }

    /// Whether all keys are written anew, because other cores have them now.
    pub fn moves(&self) -> bool {
        self.moves
    }

    /// What all cores have to read, each its share or all of it.
    pub fn loading_bytes(&self) -> u64 {
        (0..self.cores).map(|core| self.loader_of(CoreId(core)).bytes()).sum()
    }

    /// What a core reads.
    pub fn loader_of(&self, core: CoreId) -> Loader {
        let chains = self.catalog.chains.iter().filter(|chain| self.moves || chain.core() == core);
        Loader::new(self.dir.clone(), chains.cloned().collect(), self.moves)
    }

    /// What a core writes its log with. The secret is a random number.
    pub fn disk_of(&self, core: CoreId, secret: u64) -> DiskOptions {
        let name = SegmentName { run: self.run, core, number: 0 };
        let own = self.catalog.chains.iter().filter(|chain| chain.core() == core && !self.moves);
        let earlier: Vec<_> = own.flat_map(Chain::segments).map(|segment| (segment.name, segment.file_bytes)).collect();
        let found = self.catalog.chains.iter().flat_map(Chain::segments).map(|segment| segment.name);
        DiskOptions {
            dir: self.dir.clone(),
            segment_bytes: self.segment_bytes,
            amplification: self.amplification,
            earlier,
            next: SegmentHeader {
                cores: self.cores,
                layout: self.layout,
                ..SegmentHeader::first(name, secret, self.segment_bytes)
            },
            keeper: self.keeper.clone(),
            outlived: self.moves.then(|| found.collect()),
        }
    }
}
