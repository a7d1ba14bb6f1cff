//! Between the start of the cores and the moment when all have their keys: clients are answered LOADING, and systemd and
//! the terminal are told how far it is.

use super::notify;
use crate::engine::{Ledger, Progress};
use signal_hook::iterator::Signals;
use std::time::{Duration, Instant};

/// A small log is read in a few milliseconds, and who waits for the server should not wait much longer.
const LOOK: Duration = Duration::from_millis(2);
/// Between two messages, and before the first.
const TELL: Duration = Duration::from_secs(1);
/// From each message on systemd waits for so long for the next: a file is synced as it is opened, which can take a while.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns once all cores have their keys, or with the signal that came before.
pub fn await_keys(ledger: &Ledger, signals: &mut Signals) -> Option<i32> {
    let mut told = Instant::now();
    while ledger.is_loading() {
        if let Some(signal) = signals.pending().next() {
            return Some(signal);
        }
        std::thread::sleep(LOOK);
        if told.elapsed() >= TELL {
            told = Instant::now();
            let text = describe(ledger.loading_progress());
            log::info!("{text}");
            notify::starting(&text, PATIENCE);
        }
    }
    None
}

fn describe(progress: Progress) -> String {
    let Progress { loaded_bytes, total_bytes, keys } = progress;
    let mib = |bytes: u64| bytes >> 20;
    let percent = progress.percent().floor();
    format!("loading: {percent} %, {} of {} MiB of the log, {keys} keys", mib(loaded_bytes), mib(total_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::CoreId;
    use signal_hook::consts::SIGUSR2;

    /// A per cent is not there before it is done.
    #[test]
    fn progress_in_words() {
        let progress = Progress { loaded_bytes: 999 << 20, total_bytes: 1000 << 20, keys: 12 };
        assert_eq!(describe(progress), "loading: 99 %, 999 of 1000 MiB of the log, 12 keys");
    }

    /// A signal ends the wait, and so does the last core.
    #[test]
    fn what_ends_the_wait() {
        let ledger = Ledger::new(2);
        let mut signals = Signals::new([SIGUSR2]).expect("it may be caught");
        ledger.expect_loading(10, false);
        signal_hook::low_level::raise(SIGUSR2).expect("it was registered");
        assert_eq!(await_keys(&ledger, &mut signals), Some(SIGUSR2));
        for core in 0..2 {
            ledger.set_loaded(CoreId(core), 5, 1);
            ledger.core_loaded();
        }
        assert_eq!(await_keys(&ledger, &mut signals), None);
        assert_eq!(ledger.loading_progress(), Progress { loaded_bytes: 10, total_bytes: 10, keys: 2 });
    }
}
