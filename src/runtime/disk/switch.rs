//! How the log is switched on and off while the cores run: what each opens its next log with lies here until it comes to
//! fetch it, at the end of a turn.

use super::DiskOptions;
use crate::engine::Ledger;
use crate::types::CoreId;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// See the module.
#[derive(Default)]
pub struct Switch {
    set: Mutex<Set>,
}

/// What holds since the log was last switched.
#[derive(Default)]
struct Set {
    /// [`Ledger::log_switches`] since then.
    switches: u64,
    /// By core; none: it has no log, or has fetched it.
    logs: Vec<Option<DiskOptions>>,
}

impl Switch {
    fn set(&self) -> MutexGuard<'_, Set> {
        // Whoever panicked here has left it whole.
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log of these switches is this one, or none.
    pub fn set_log(&self, switches: u64, logs: Vec<DiskOptions>, ledger: &Ledger) {
        let mut set = self.set();
        *set = Set { switches, logs: logs.into_iter().map(Some).collect() };
        ledger.switch_log(switches);
    }

    /// What a core goes on with, and since which switches.
    pub fn fetch(&self, core: CoreId) -> (u64, Option<DiskOptions>) {
        let mut set = self.set();
        let log = set.logs.get_mut(core.index()).and_then(Option::take);
        (set.switches, log)
    }

    /// No core comes any more.
    pub fn close(&self) {
        self.set().logs.clear();
    }
}
