//! What earlier runs left, where its keys have other cores now, or where the log begins anew while the server runs: it
//! counts until all cores have written all keys anew.
//!
//! Keys that have moved are in this run as they are in what it was loaded from, so both count, and a header says at the
//! end that only this one does. A log that begins anew has nothing to do with what is there. All its headers say that they
//! make an end of that, and a [marker](unfinished_name) that they say nothing yet: the end of that one file is the end of
//! all that was before.

use super::spare::Spare;
use super::{Disk, Order};
use crate::engine::{Engine, Ledger};
#[cfg(doc)]
use crate::log::unfinished_name;
use crate::types::CoreId;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// How soon to try again where a marker could not be taken away.
const FINISH_AGAIN_US: u64 = 1_000_000;

impl Disk {
    /// Whether there is a header that makes an end of what was before, if one is needed: also where there is no key, and
    /// nothing else to write.
    pub(super) fn is_begun(&self) -> bool {
        self.marker.is_none() || self.segment.is_some()
    }

    /// Whether all keys of this core are in its own log, durable, for the first time since it was asked.
    pub fn is_newly_rewritten(&mut self) -> bool {
        self.outlived.is_newly_done(self.durable)
    }

    /// What earlier runs left counts no more.
    pub fn forget_outlived(&mut self) {
        let Some(files) = self.outlived.take() else { return };
        if self.marker.take().is_some() && self.next.name.core == CoreId(0) {
            log::info!("the log in {} is whole", self.dir.display());
            self.take_away(files);
        }
    }

    /// So that nothing is left of them, from the first on.
    fn take_away(&self, files: Vec<PathBuf>) {
        for path in files {
            self.keeper.send(Order::Remove { path }).expect("the keeper ends after the last core");
        }
    }

    /// All cores have their keys in their own logs: says so durably, then takes away what was before. Answers whether that
    /// was possible yet. Where the log begins anew, it is the keeper who says so.
    pub fn bury_outlived(&mut self, engine: &mut Engine, ledger: &Arc<Ledger>, now_us: u64) -> io::Result<bool> {
        if !self.outlived.is_done() {
            return Ok(false);
        }
        if let Some(marker) = &self.marker {
            if now_us >= self.finish_us {
                let (marker, ledger, switches) = (marker.clone(), Arc::clone(ledger), self.switches);
                let order = Order::Finish { marker, ledger, switches };
                self.keeper.send(order).expect("the keeper ends after the last core");
                self.finish_us = now_us + FINISH_AGAIN_US;
            }
            return Ok(false);
        }
        if !matches!(self.spare, Spare::There { .. }) {
            return Ok(false);
        }
        let files = self.outlived.take().expect("it was done just now");
        self.next.runs_from = self.next.name.run;
        self.begin_segment(engine)?;
        self.take_away(files);
        Ok(true)
    }
}
