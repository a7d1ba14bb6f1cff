//! Owns: what this core does about hot keys, its own and those of others.
//! Knows: heat (which keys), replicas (copies, folds), the shard, sessions, the post.
//! Must never know: how keys are counted, how operations combine, how versions are kept.
//! Read first: `holder.rs` (a request on another core's hot key), `keeper.rs` (this core's own hot keys).

mod holder;
mod keeper;
mod policy;

pub use policy::{HotPolicy, HotSettings};

use super::letter::Ticket;
use crate::heat::{Board, Heat, HeatOptions};
use crate::replica::{Cache, Directory, Entry, Fold};
use crate::types::{CoreId, KeyHash};

/// Operations that a core looks at in a window, as far as it has so many. A key at three hundredths of the load, which
/// is what promotion asks by default, is then seen sixty times, and looking costs a core less than half a percent.
const SAMPLES_A_WINDOW: u32 = 2048;

/// Where a hot key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    Here,
    Core,
    Server,
}

/// One core's part in all hot keys.
pub(super) struct Hot {
    /// What this core ingests.
    pub heat: Heat,
    /// What all cores report of the keys of this one.
    pub board: Board,
    /// Hot keys of this core.
    pub directory: Directory,
    /// Hot keys of the others.
    pub cache: Cache<Ticket>,
    /// Operations of this core's connections on its own hot keys that wait their turn.
    pub own: Cache<Ticket>,
    /// Hot keys that other servers have.
    pub upstream: Cache<Ticket>,
    /// Folds of `own` that will be served when the next turn begins.
    #[expect(clippy::vec_box, reason = "folds travel boxed")]
    own_folds: Vec<Box<Fold>>,
    /// Folds served in this turn; they go back when it ends.
    served: Vec<(CoreId, Box<Fold>)>,
    changed: Vec<KeyHash>,
    /// A report has come since the last decision.
    reported: bool,
    cpu_us: u64,
    touched_us: u64,
    /// As the settings say.
    pub counting: bool,
    #[cfg(feature = "faults")]
    late: bool,
    pub promoted: u64,
    pub demoted: u64,
}

impl Hot {
    pub fn new(core: CoreId, cores: usize, seed: u64, settings: &HotSettings) -> Hot {
        let seed = seed ^ u64::from(core.0) << 32;
        Hot {
            heat: Heat::new(HeatOptions {
                seed,
                window_us: settings.window_us,
                samples_per_window: SAMPLES_A_WINDOW,
                report_ops_min: settings.report_ops_min(cores),
                ..HeatOptions::default()
            }),
            board: Board::new(cores, settings.window_us),
            directory: Directory::default(),
            cache: Cache::default(),
            own: Cache::default(),
            upstream: Cache::default(),
            own_folds: Vec::new(),
            served: Vec::new(),
            changed: Vec::new(),
            reported: false,
            cpu_us: 0,
            touched_us: 0,
            counting: settings.on,
            #[cfg(feature = "faults")]
            late: false,
            promoted: 0,
            demoted: 0,
        }
    }

    fn drafts(&mut self, home: Home) -> &mut Cache<Ticket> {
        match home {
            Home::Here => &mut self.own,
            Home::Core => &mut self.cache,
            Home::Server => &mut self.upstream,
        }
    }

    /// What this core has of a hot key of others.
    pub fn entry(&mut self, hash: KeyHash, key: &[u8]) -> Option<&mut Entry<Ticket>> {
        let Hot { cache, upstream, .. } = self;
        cache.get(hash, key).or_else(|| upstream.get(hash, key))
    }

    /// The number of the latest installation of a hot key.
    pub fn epoch(&self) -> u64 {
        self.cache.epoch() + self.upstream.epoch()
    }

    /// Whether operations wait for the next turn, which should then not be long.
    pub fn wants_turn(&self) -> bool {
        !self.own_folds.is_empty()
    }

    /// Whether any operation may wait in a draft.
    pub fn may_hold(&self) -> bool {
        !(self.cache.is_empty() && self.own.is_empty() && self.upstream.is_empty())
    }

    /// Whether a draft has grown so large that requests should wait until it has left.
    pub fn is_full(&self) -> bool {
        self.cache.is_full() || self.own.is_full() || self.upstream.is_full()
    }
}

#[cfg(feature = "faults")]
impl super::Engine {
    /// Has this core's handling of hot keys go wrong from now on.
    pub fn plant(&mut self, fault: crate::replica::Fault) {
        self.hot.cache.fault = Some(fault);
    }

    /// Folds sent to others, folds that waited for a turn here, and reads answered from copies, so far.
    pub fn hot_counts(&self) -> (u64, u64, u64) {
        let [cache, upstream] = [&self.hot.cache, &self.hot.upstream];
        (cache.folds + upstream.folds, self.hot.own.folds, cache.hits() + upstream.hits())
    }
}
