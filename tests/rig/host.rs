//! The machine that the engines see: a clock that somebody moves, and a configuration file.

use coldplate::engine::{Host, HostReport, RewriteError};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Settings as they were written, each with its value.
type Written = Vec<(String, Vec<u8>)>;

#[derive(Default)]
pub struct Stage {
    /// The rig sets the time, sleeping moves it, and each look at it does by one step.
    pub us: AtomicU64,
    pub step_us: AtomicU64,
    /// The configuration file, if there is one.
    pub file: Mutex<Option<Written>>,
}

impl Host for Stage {
    fn elapsed_us(&self) -> u64 {
        let step_us = self.step_us.load(Ordering::Relaxed);
        self.us.fetch_add(step_us, Ordering::Relaxed) + step_us
    }
    fn sleep(&self, us: u64) {
        self.us.fetch_add(us, Ordering::Relaxed);
    }
    fn rewrite_config(&self, settings: &[(&str, Vec<u8>)]) -> Result<(), RewriteError> {
        let mut file = self.file.lock().expect("one thread");
        let written = file.as_mut().ok_or(RewriteError::NoFile)?;
        *written = settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Ok(())
    }
    fn report(&self) -> HostReport {
        HostReport { run_id: "0123456789abcdef0123456789abcdef01234567".into(), ..HostReport::default() }
    }
    fn set_log_level(&self, _: &str) {}
}
