//! What earlier runs left, where its keys have other cores now: it counts until all cores have written all keys anew.

use super::spare::Spare;
use super::{Disk, Order};
use crate::engine::Engine;
use crate::log::SegmentName;
use std::io;

/// What is left of earlier runs whose keys are written anew.
pub(super) enum Outlived {
    Nothing,
    /// They count until all keys are in this log.
    Waits(Vec<SegmentName>),
    /// All keys are, once this frame is durable.
    Rewritten(Vec<SegmentName>, u64),
    /// Other cores are not done.
    Done(Vec<SegmentName>),
}

impl Disk {
    /// Whether all keys of this core are in its own log, durable, for the first time since it was asked.
    pub fn is_newly_rewritten(&mut self) -> bool {
        match &mut self.outlived {
            Outlived::Rewritten(segments, position) if self.durable >= *position => {
                self.outlived = Outlived::Done(std::mem::take(segments));
                true
            }
            _ => false,
        }
    }

    /// What earlier runs left counts no more.
    pub fn forget_outlived(&mut self) {
        if matches!(self.outlived, Outlived::Done(_)) {
            self.outlived = Outlived::Nothing;
        }
    }

    /// All cores have their keys in their own logs: says so durably, then takes away what was before. Answers whether that
    /// was possible yet.
    pub fn bury_outlived(&mut self, engine: &mut Engine) -> io::Result<bool> {
        let (Outlived::Done(_), Spare::There { .. }) = (&self.outlived, &self.spare) else { return Ok(false) };
        let Outlived::Done(segments) = std::mem::replace(&mut self.outlived, Outlived::Nothing) else {
            unreachable!("it was there just now");
        };
        self.next.runs_from = self.next.name.run;
        self.begin_segment(engine)?;
        for segment in segments {
            self.keeper.send(Order::Remove { path: self.path(segment) }).expect("the keeper ends after the last core");
        }
        Ok(true)
    }
}
