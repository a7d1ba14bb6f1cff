//! The segment to come: it is made while the current one fills, so that a write never waits for a directory or for zeros.

use super::{Disk, Order};
use crate::engine::{Engine, Fsync};
use crate::log::SegmentName;
use std::fs::File;
use std::io;
use std::path::PathBuf;

/// How soon to ask again for a file that could not be made.
const ASK_AGAIN_US: u64 = 1_000_000;

/// Dead segments that are kept. About one dies for each that begins.
const FREE_MAX: usize = 1;

/// Why the next segment is not there yet.
pub(super) enum Spare {
    /// Asked for, with so many bytes.
    Asked {
        bytes: u64,
    },
    There {
        file: File,
        bytes: u64,
    },
    /// It could not be made; ask again then. It has to be as large: a smaller one does not mean that there is room.
    Failed {
        again_us: u64,
        bytes: u64,
    },
}

impl Disk {
    pub(super) fn path(&self, name: SegmentName) -> PathBuf {
        self.dir.join(name.to_string())
    }

    pub(super) fn ask(&mut self, bytes: u64) {
        let zeros = self.fsync == Fsync::Always;
        let free = if bytes == self.segment_bytes { self.free.pop() } else { None };
        let free = free.map(|name| self.path(name));
        let order = Order::Make { path: self.path(self.next.name), bytes, zeros, free, to: self.made.0.clone() };
        self.keeper.send(order).expect("the keeper ends after the last core");
        self.spare = Spare::Asked { bytes };
    }

    /// Keeps a dead segment for the next to come, or takes it away.
    pub(super) fn let_go(&mut self, name: SegmentName, bytes: u64) {
        if bytes == self.segment_bytes && self.free.len() < FREE_MAX {
            return self.free.push(name);
        }
        self.keeper.send(Order::Remove { path: self.path(name) }).expect("the keeper ends after the last core");
    }

    pub(super) fn drop_spare(&mut self) {
        // The keeper does one thing after the other, so the name is free before it is taken again.
        let order = Order::Remove { path: self.path(self.next.name) };
        self.keeper.send(order).expect("the keeper ends after the last core");
    }

    pub(super) fn look_for_spare(&mut self, engine: &mut Engine, now_us: u64) {
        match self.spare {
            Spare::Asked { .. } => {
                if let Ok(made) = self.made.1.try_recv() {
                    self.take_made(engine, made, now_us);
                }
            }
            Spare::Failed { again_us, bytes } if now_us >= again_us => self.ask(bytes),
            _ => {}
        }
    }

    pub(super) fn take_made(&mut self, engine: &mut Engine, made: io::Result<File>, now_us: u64) {
        let Spare::Asked { bytes } = self.spare else { unreachable!("nothing else was asked for") };
        match made {
            Ok(file) => {
                self.spare = Spare::There { file, bytes };
                if engine.refuses_writes() {
                    log::info!("the log in {} has room again", self.dir.display());
                }
                engine.log_recovered();
            }
            Err(error) => {
                if !engine.refuses_writes() {
                    let path = self.path(self.next.name);
                    log::error!("cannot make {}: {error}; writes are refused until there is room", path.display());
                }
                self.spare = Spare::Failed { again_us: now_us + ASK_AGAIN_US, bytes };
                engine.log_is_short();
            }
        }
    }
}
