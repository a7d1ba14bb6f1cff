//! What cores tell each other without letters: a few numbers a core, each written by one core and read by all.
//!
//! Of the rows only sums decide anything (the memory limit, where a connection lands), so plain relaxed loads do. What
//! cores want to hear of is stored with release and loaded with acquire: see [`Ledger::set_interest`].

use super::loading::Progress;
use crate::types::CoreId;
#[cfg(loom)]
use loom::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

/// One core's row, alone on its cache lines.
#[repr(align(128))]
#[derive(Default)]
struct Row {
    used_bytes: AtomicU64,
    client_bytes: AtomicU64,
    connections: AtomicU64,
    /// Read from the log so far, and the keys that this has come to.
    loaded_bytes: AtomicU64,
    loaded_keys: AtomicU64,
}

/// Alone on its cache lines: whoever tracks no keys never touches it.
#[repr(align(128))]
#[derive(Default)]
struct Tracked(AtomicU64);

/// What a core may want to hear of from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Messages: some connection listens to a channel.
    Messages = 1,
    /// Requests: some connection is a monitor.
    Requests = 2,
}

/// The interests of some cores, a byte each. Rarely written and read with each message, so apart from the rows.
#[repr(align(128))]
struct Interests([AtomicU8; 128]);

/// How many cores have which interest: nearly always none, which one load tells.
#[repr(align(128))]
#[derive(Default)]
struct Interested {
    messages: AtomicU32,
    requests: AtomicU32,
}

/// A row a core.
pub struct Ledger {
    rows: Box<[Row]>,
    /// Keys that clients of CLIENT TRACKING have read, over all cores.
    tracked_keys: Tracked,
    interests: Box<[Interests]>,
    interested: Interested,
    loading: Loading,
    logs: Logs,
}

/// What cores do once, as the server starts.
#[derive(Default)]
struct Loading {
    /// Cores that are not done yet.
    cores: AtomicU32,
    /// What all cores have to read.
    bytes: AtomicU64,
}

/// The log of all cores: which one it is, and whether it is whole.
#[repr(align(128))]
#[derive(Default)]
struct Logs {
    /// How often it was switched on or off, and in the lowest bit whether it is on: see [`Ledger::switch_log`].
    switches: AtomicU64,
    /// Cores whose keys are not all in the log of these switches, in the lowest 16 bits.
    rewriting: AtomicU64,
    /// Until it is on stable storage that what was logged before these switches counts no more, the lowest bit is set.
    outlived: AtomicU64,
}

const REWRITING_BITS: u32 = 16;

impl Ledger {
    pub fn new(cores: usize) -> Ledger {
        Ledger {
            rows: (0..cores).map(|_| Row::default()).collect(),
            tracked_keys: Tracked::default(),
            interests: (0..cores.div_ceil(128)).map(|_| Interests(std::array::from_fn(|_| AtomicU8::new(0)))).collect(),
            interested: Interested::default(),
            loading: Loading::default(),
            logs: Logs::default(),
        }
    }

    pub fn cores(&self) -> usize {
        self.rows.len()
    }

    /// All cores will read their keys from the log, so many bytes together, and write them to a new one if `rewrite`.
    /// Called before they start.
    pub fn expect_loading(&self, bytes: u64, rewrite: bool) {
        self.loading.bytes.store(bytes, Ordering::Relaxed);
        self.loading.cores.store(self.cores() as u32, Ordering::Relaxed);
        let switches = self.next_switches(true);
        if rewrite {
            self.expect_rewriting(switches);
        }
        self.switch_log(switches);
    }

    /// Publishes how far a core has read.
    pub fn set_loaded(&self, core: CoreId, bytes: u64, keys: u64) {
        let row = &self.rows[core.index()];
        row.loaded_bytes.store(bytes, Ordering::Relaxed);
        row.loaded_keys.store(keys, Ordering::Relaxed);
    }

    /// How far all cores have read.
    pub fn loading_progress(&self) -> Progress {
        let sum = |of: fn(&Row) -> &AtomicU64| self.rows.iter().map(|row| of(row).load(Ordering::Relaxed)).sum();
        Progress {
            loaded_bytes: sum(|row| &row.loaded_bytes),
            total_bytes: self.loading.bytes.load(Ordering::Relaxed),
            keys: sum(|row| &row.loaded_keys),
        }
    }

    /// A core has its keys.
    pub fn core_loaded(&self) {
        self.loading.cores.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether any core lacks keys.
    pub fn is_loading(&self) -> bool {
        self.loading.cores.load(Ordering::Acquire) > 0
    }

    /// What the number of switches will be once the log is on, or off, anew.
    pub fn next_switches(&self, on: bool) -> u64 {
        (self.log_switches() | 1) + 1 + u64::from(on)
    }

    /// All cores are to write their keys to the log of these switches, which are to come.
    pub fn expect_rewriting(&self, switches: u64) {
        self.logs.rewriting.store(switches << REWRITING_BITS | self.cores() as u64, Ordering::Release);
        self.logs.outlived.store(switches << 1 | 1, Ordering::Release);
    }

    /// The log has been switched so often. One at a time calls this.
    pub fn switch_log(&self, switches: u64) {
        self.logs.switches.store(switches, Ordering::Release);
    }

    /// How often the log has been switched, a number that is odd while it is on. Cores follow one by one.
    #[inline]
    pub fn log_switches(&self) -> u64 {
        self.logs.switches.load(Ordering::Acquire)
    }

    /// Whether the log is on, or will be as soon as all cores have followed.
    pub fn has_log(&self) -> bool {
        self.log_switches() & 1 == 1
    }

    /// A core's keys are all in its log of these switches, on stable storage.
    pub fn core_rewritten(&self, switches: u64) {
        let less = |rewriting: u64| (rewriting >> REWRITING_BITS == switches).then(|| rewriting - 1);
        // Where the log has been switched since, nobody waits for it.
        let _ = self.logs.rewriting.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
    }

    /// Whether any core's keys are not.
    pub fn is_rewriting(&self, switches: u64) -> bool {
        self.logs.rewriting.load(Ordering::Acquire) != switches << REWRITING_BITS
    }

    /// What was logged before these switches counts no more, on stable storage.
    pub fn bury_outlived(&self, switches: u64) {
        let (from, to) = (switches << 1 | 1, switches << 1);
        let _ = self.logs.outlived.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether it may still count.
    pub fn has_outlived(&self, switches: u64) -> bool {
        self.logs.outlived.load(Ordering::Acquire) != switches << 1
    }

    /// Whether all keys are being written to a log that does not count alone yet.
    pub fn is_beginning_log(&self) -> bool {
        self.has_log() && self.logs.outlived.load(Ordering::Acquire) & 1 == 1
    }

    /// Publishes the bytes that a core's keys take; skips the write when nothing changed.
    pub fn set_used_bytes(&self, core: CoreId, bytes: u64) {
        let used = &self.rows[core.index()].used_bytes;
        if used.load(Ordering::Relaxed) != bytes {
            used.store(bytes, Ordering::Relaxed);
        }
    }

    /// The bytes that the keys of all cores take.
    pub fn used_bytes(&self) -> u64 {
        self.rows.iter().map(|row| row.used_bytes.load(Ordering::Relaxed)).sum()
    }

    /// The bytes that the keys of one core take.
    pub fn used_bytes_of(&self, core: CoreId) -> u64 {
        self.rows[core.index()].used_bytes.load(Ordering::Relaxed)
    }

    /// Publishes what a core's clients take.
    pub fn set_client_bytes(&self, core: CoreId, bytes: u64) {
        self.rows[core.index()].client_bytes.store(bytes, Ordering::Relaxed);
    }

    /// What the clients of all cores take, as far as anybody counts.
    pub fn client_bytes(&self) -> u64 {
        self.rows.iter().map(|row| row.client_bytes.load(Ordering::Relaxed)).sum()
    }

    /// Connections over all cores.
    pub fn connections(&self) -> u64 {
        self.rows.iter().map(|row| row.connections.load(Ordering::Relaxed)).sum()
    }

    /// A core's tracked keys were so many and are now so many.
    pub fn count_tracked(&self, before: u64, now: u64) {
        // Wrapping, which is exact in the end: a difference below zero is added as its complement.
        self.tracked_keys.0.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
    }

    /// Takes one of the tracked keys off the sum if there are more than `max`. So cores that look at the same time take
    /// out as many as there are too many, and no more.
    pub fn claim_tracked_above(&self, max: u64) -> bool {
        let less = |keys: u64| (keys > max).then(|| keys - 1);
        self.tracked_keys.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    /// Takes a place on the core with the fewest connections. Called by the one core that accepts for all, so that 50
    /// connections on 2 cores are 25 and 25.
    pub fn place_connection(&self) -> CoreId {
        let fewest = (0..self.rows.len()).min_by_key(|core| self.rows[*core].connections.load(Ordering::Relaxed));
        let core = fewest.expect("there is at least one core");
        self.take_place(CoreId(core as u16))
    }

    /// Takes a place on this core, whatever the others have.
    pub fn take_place(&self, core: CoreId) -> CoreId {
        self.rows[core.index()].connections.fetch_add(1, Ordering::Relaxed);
        core
    }

    /// Gives a place back.
    pub fn drop_connection(&self, core: CoreId) {
        self.rows[core.index()].connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Publishes whether a core has an interest. Called by that core alone, before the reply leaves that a client takes
    /// for the beginning: the store is before the send, and whatever brings the news of that reply to another client and
    /// its request to another core (sockets, letters) orders it before that core's load. So what is asked after a
    /// confirmed SUBSCRIBE or MONITOR reaches it, from whichever core.
    pub fn set_interest(&self, core: CoreId, interest: Interest, wanted: bool) {
        let own = self.interests_of(core);
        let bits = own.load(Ordering::Relaxed);
        let changed = if wanted { bits | interest as u8 } else { bits & !(interest as u8) };
        if changed == bits {
            return;
        }
        own.store(changed, Ordering::Release);
        let count = self.count_of(interest);
        if wanted {
            count.fetch_add(1, Ordering::Release)
        } else {
            count.fetch_sub(1, Ordering::Release)
        };
    }

    /// Whether a core has an interest.
    pub fn has_interest(&self, core: CoreId, interest: Interest) -> bool {
        self.interests_of(core).load(Ordering::Acquire) & interest as u8 != 0
    }

    /// Whether any core has an interest.
    #[inline]
    pub fn anyone_has(&self, interest: Interest) -> bool {
        self.count_of(interest).load(Ordering::Acquire) != 0
    }

    fn interests_of(&self, core: CoreId) -> &AtomicU8 {
        &self.interests[core.index() / 128].0[core.index() % 128]
    }

    #[inline]
    fn count_of(&self, interest: Interest) -> &AtomicU32 {
        match interest {
            Interest::Messages => &self.interested.messages,
            Interest::Requests => &self.interested.requests,
        }
    }
}

// Loom's atomics work only inside its models, which are in tests/loom.
#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    /// What cores say of a log that was switched off meanwhile is not taken for the next.
    #[test]
    fn switches_are_told_apart() {
        let ledger = Ledger::new(2);
        assert!(!ledger.has_log() && !ledger.is_beginning_log());
        let on = |ledger: &Ledger| {
            let switches = ledger.next_switches(true);
            ledger.expect_rewriting(switches);
            ledger.switch_log(switches);
            switches
        };
        let first = on(&ledger);
        ledger.core_rewritten(first);
        ledger.switch_log(ledger.next_switches(false));
        assert!(!ledger.has_log() && !ledger.is_beginning_log());
        let second = on(&ledger);
        assert!(ledger.has_log() && first != second);
        ledger.core_rewritten(first);
        ledger.bury_outlived(first);
        ledger.core_rewritten(second);
        assert!(ledger.is_rewriting(second) && ledger.is_rewriting(first) && ledger.has_outlived(first));
        ledger.core_rewritten(second);
        assert!(!ledger.is_rewriting(second) && ledger.has_outlived(second) && ledger.is_beginning_log());
        ledger.bury_outlived(second);
        assert!(!ledger.has_outlived(second) && ledger.has_outlived(first) && !ledger.is_beginning_log());
    }

    /// Interests of cores and kinds are apart, and one told twice counts once.
    #[test]
    fn interests_are_told_apart() {
        let ledger = Ledger::new(130);
        let (first, last) = (CoreId(0), CoreId(129));
        for _ in 0..2 {
            ledger.set_interest(last, Interest::Messages, true);
            assert!(ledger.has_interest(last, Interest::Messages) && !ledger.has_interest(last, Interest::Requests));
            assert!(!ledger.has_interest(first, Interest::Messages));
            assert!(ledger.anyone_has(Interest::Messages) && !ledger.anyone_has(Interest::Requests));
        }
        ledger.set_interest(last, Interest::Requests, true);
        ledger.set_interest(first, Interest::Messages, true);
        for core in [first, last] {
            assert!(ledger.anyone_has(Interest::Messages));
            ledger.set_interest(core, Interest::Messages, false);
        }
        assert!(!ledger.anyone_has(Interest::Messages) && ledger.has_interest(last, Interest::Requests));
    }
}
