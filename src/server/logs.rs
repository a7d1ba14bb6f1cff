//! The log of all cores, which CONFIG SET appendonly switches on and off while the server runs.

use super::boot::random;
use super::config::Log;
use super::storage::{Storage, StorageError};
use crate::engine::Ledger;
use crate::routing::SlotTable;
use crate::runtime::disk::{DiskOptions, Loader, Switch};
use crate::types::CoreId;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Why the log cannot be begun.
#[derive(Debug, thiserror::Error)]
enum BeginError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    File(#[from] crate::runtime::disk::folder::FileError),
    #[error("a secret for it: {0}")]
    Secret(#[from] io::Error),
}

/// See the module.
pub struct Logs {
    dir: PathBuf,
    config: Log,
    table: Arc<SlotTable>,
    ledger: Arc<Ledger>,
    switch: Arc<Switch>,
    /// The directory, held from the first log on.
    storage: Mutex<Option<Storage>>,
}

impl Logs {
    /// Finds what the cores have to load, if the log is on as the server starts.
    pub fn open(config: &Log, table: Arc<SlotTable>, ledger: Arc<Ledger>) -> Result<Logs, StorageError> {
        let mut storage = None;
        if config.appendonly {
            let mut found = Storage::open(&config.dir, config, &table)?;
            found.find(&table)?;
            ledger.expect_loading(found.loading_bytes(), found.moves());
            storage = Some(found);
        }
        let (dir, config) = (config.dir.clone(), config.clone());
        Ok(Logs { dir, config, table, ledger, switch: Arc::default(), storage: Mutex::new(storage) })
    }

    /// Where cores find what they go on with.
    pub fn switch(&self) -> Arc<Switch> {
        Arc::clone(&self.switch)
    }

    /// What a core starts with.
    pub fn at_start(&self, core: CoreId) -> io::Result<Option<(Loader, DiskOptions)>> {
        let storage = self.storage();
        let Some(storage) = storage.as_ref() else { return Ok(None) };
        let disk = storage.disk_of(core, random()?, self.ledger.log_switches());
        Ok(Some((storage.loader_of(core), disk)))
    }

    fn storage(&self) -> MutexGuard<'_, Option<Storage>> {
        // Whoever panicked here has ended its core, and all end.
        self.storage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has all cores begin a log or end it; false if it cannot be begun. Its files stay where it is ended.
    pub fn switch_log(&self, on: bool) -> bool {
        let mut storage = self.storage();
        if on == self.ledger.has_log() {
            return true;
        }
        let switches = self.ledger.next_switches(on);
        if !on {
            self.switch.set_log(switches, Vec::new(), &self.ledger);
            log::info!("CONFIG SET: the log in {} ends", self.dir.display());
            return true;
        }
        match self.begin(&mut storage, switches) {
            Ok(disks) => {
                self.ledger.expect_rewriting(switches);
                self.switch.set_log(switches, disks, &self.ledger);
                log::info!("CONFIG SET: a log begins in {}, and counts once all keys are in it", self.dir.display());
                true
            }
            Err(error) => {
                log::error!("CONFIG SET appendonly yes: {error}");
                false
            }
        }
    }

    fn begin(&self, storage: &mut Option<Storage>, switches: u64) -> Result<Vec<DiskOptions>, BeginError> {
        let secrets: Vec<u64> = (0..self.table.cores()).map(|_| random()).collect::<Result<_, _>>()?;
        let storage = match storage {
            Some(storage) => storage,
            None => storage.insert(Storage::open(&self.dir, &self.config, &self.table)?),
        };
        Ok(storage.begin_anew(&secrets, switches)?)
    }

    /// All cores have ended. Waits until all that was asked of the files is done.
    pub fn close(&self) {
        self.switch.close();
        let Some(storage) = self.storage().take() else { return };
        let switches = self.ledger.log_switches();
        if self.ledger.is_beginning_log() && !self.ledger.is_rewriting(switches) && storage.is_anew() {
            storage.finish_anew(&self.ledger, switches);
        }
        storage.close();
    }
}
