//! The directory of the log: who may write there, what is there, and what each core does with it at the start.

use super::config::Log;
use crate::engine::Ledger;
use crate::log::{Catalog, Chain, SegmentHeader, SegmentName, unfinished_name};
use crate::routing::SlotTable;
use crate::runtime::disk::folder::{Contents, FOLDER, FileError, LOCK, hold};
use crate::runtime::disk::{self, DiskOptions, LoadError, Loader, Order};
use crate::types::CoreId;
use crossbeam_channel::Sender;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
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
    /// The run counts only once it is whole.
    anew: bool,
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
        let (keeper, keeper_thread) = disk::start_keeper().map_err(failed)?;
        Ok(Storage {
            run: 0,
            anew: false,
            moves: false,
            _lock: lock,
            keeper,
            keeper_thread,
            catalog: Catalog::default(),
            layout: table.digest(),
            segment_bytes: log.segment_bytes,
            amplification: log.amplification,
            cores: table.cores() as u16,
            dir,
        })
    }

    /// Finds out what there is to load, and takes away what counts no more.
    pub fn find(&mut self, table: &SlotTable) -> Result<(), LoadError> {
        let contents = Contents::list(&self.dir)?;
        self.catalog = disk::find(&self.dir, &contents)?;
        self.moves = !self.catalog.is_placed_by(self.layout, table.cores());
        self.run = contents.next_run();
        let dead = self.catalog.dead.iter().map(SegmentName::to_string);
        // What says that a run is nothing is the last to go.
        let names = dead.chain(contents.unfinished.iter().map(|run| unfinished_name(*run)));
        for path in names.map(|name| self.dir.join(name)) {
            self.keeper.send(Order::Remove { path }).expect("the keeper ends behind the last who asks");
        }
        Ok(())
    }

    /// Begins a run that has nothing to do with what is there. Nothing of it counts before it is whole, and then nothing
    /// else does.
    pub fn begin_anew(&mut self, secrets: &[u64], switches: u64) -> Result<Vec<DiskOptions>, FileError> {
        let contents = Contents::list(&self.dir)?;
        self.run = contents.next_run().max(self.run + 1);
        let marker = self.dir.join(unfinished_name(self.run));
        File::create_new(&marker).map_err(FileError::on(&marker))?;
        disk::sync_dir(&self.dir).map_err(FileError::on(&self.dir))?;
        (self.catalog, self.moves, self.anew) = (Catalog::default(), false, true);
        let segments = contents.segments.iter().map(SegmentName::to_string);
        let markers = contents.unfinished.iter().map(|run| unfinished_name(*run));
        let outlived: Vec<PathBuf> = segments.chain(markers).map(|name| self.dir.join(name)).collect();
        let cores = (0..self.cores).map(CoreId).zip(secrets);
        let anew = cores.map(|(core, secret)| {
            let options = self.disk_of(core, *secret, switches);
            let next = SegmentHeader { runs_from: self.run, ..options.next };
            DiskOptions { next, outlived: Some(outlived.clone()), marker: Some(marker.clone()), ..options }
        });
        Ok(anew.collect())
    }

    /// Whether the log began while the server ran.
    pub fn is_anew(&self) -> bool {
        self.anew
    }

    /// All cores have ended, and the log that they began is whole: it counts from now on.
    pub fn finish_anew(&self, ledger: &Arc<Ledger>, switches: u64) {
        let (marker, ledger) = (self.dir.join(unfinished_name(self.run)), Arc::clone(ledger));
        let order = Order::Finish { marker, ledger, switches };
        self.keeper.send(order).expect("the keeper ends behind the last who asks");
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

    /// What a core writes its log with, that is on since these switches. The secret is a random number.
    pub fn disk_of(&self, core: CoreId, secret: u64, switches: u64) -> DiskOptions {
        let name = SegmentName { run: self.run, core, number: 0 };
        let own = self.catalog.chains.iter().filter(|chain| chain.core() == core && !self.moves);
        let earlier: Vec<_> = own.flat_map(Chain::segments).map(|segment| (segment.name, segment.file_bytes)).collect();
        let found = self.catalog.chains.iter().flat_map(Chain::segments);
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
            outlived: self.moves.then(|| found.map(|segment| self.dir.join(segment.name.to_string())).collect()),
            marker: None,
            switches,
        }
    }
}
