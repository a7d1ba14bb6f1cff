//! What rings a core from outside of the cores: the end of the process, the watchdog, and who wants to see its figures.

use super::drain::Drain;
use super::{TOKEN_CONTROL, Worker};
use crate::types::Now;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;

impl Worker {
    pub(super) fn alarmed(&mut self, now: Now, readable: bool, armed: bool) {
        if readable {
            // So this does not block; how often it was written does not matter.
            let _ = self.alarm.read(&mut [0; 64]);
        }
        if !armed {
            self.ring.poll(self.alarm.as_raw_fd(), TOKEN_CONTROL);
        }
        if let Some(scrape) = &self.control.scrape {
            scrape.answer(self.core, &mut self.scrapes, || self.engine.snapshot(now));
        }
        if self.control.stopping.load(Ordering::Acquire) && self.drain == Drain::Serving {
            self.start_drain(now);
        }
    }
}
