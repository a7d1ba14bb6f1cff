//! Owns: one core's logic, whole: connections, shard, letters. Events go in, effects come out.
//! Knows: every layer to its left; this is the only place where the siblings meet.
//! Must never know: sockets, rings, threads, clocks, randomness; the same engine runs under the simulator.
//! Read first: `event.rs` (the vocabulary), `ingress.rs` (bytes to operations), `owner.rs` (letters).

mod admin;
mod census;
mod client_memory;
mod durations;
mod event;
mod figures;
mod gate;
mod gather;
mod group;
mod hot;
mod hot_session;
mod ingress;
mod invalidation;
mod journal;
mod keys;
mod latency;
mod ledger;
mod letter;
mod loading;
mod long;
mod memory;
mod monitor;
mod news;
mod notify;
mod owner;
mod percentiles;
mod post;
mod pubsub;
mod pulse;
mod refusals;
mod scatter;
mod sessions;
mod settings;
mod slow;
mod snapshot;
mod stats;
mod transaction;
mod upstream;
mod waits;

pub use admin::cluster::{Endpoint, Facade};
pub use client_memory::ClientsLimit;
pub use event::{Dial, Effects, Event, Host, HostReport, LogCounts, RewriteError, ShellCounts};
pub use gate::{Departure, Gate};
pub use hot::{HotPolicy, HotSettings};
#[cfg(feature = "faults")]
pub use invalidation::Fault as InvalidationFault;
pub use journal::{Fsync, Sealed};
pub use ledger::Ledger;
pub use letter::Batch;
pub use loading::Progress;
pub use percentiles::Percentiles;
#[cfg(feature = "faults")]
pub use pubsub::Fault as MessageFault;
pub use pubsub::OutputLimits;
pub use settings::{DebugAccess, SettingError, Settings, Standing};
pub use snapshot::Snapshot;
pub use stats::Stats;
#[cfg(feature = "faults")]
pub use transaction::Fault as TransactionFault;
#[cfg(feature = "faults")]
pub use upstream::Fault as UpstreamFault;
pub use upstream::{PoolKind, PoolOptions, ReadPolicy, ServerOptions, Upstreams};

use crate::keyspace::{Shard, ShardOptions};
use crate::protocol::resp::{Arg, Limits, Output};
use crate::routing::SlotTable;
use crate::types::{ConnId, CoreId, Now};
use client_memory::ClientMemory;
use durations::Durations;
use group::{Group, Place};
use hot::Hot;
use hot_session::HotSession;
use ingress::Heads;
use invalidation::Invalidation;
use journal::Journal;
use latency::LatencyEvents;
use letter::Envelope;
use long::Long;
use monitor::Monitors;
use news::NewsDesk;
use post::Post;
use pubsub::PubSub;
use pulse::{Counted, Pulse};
use sessions::Sessions;
use slow::SlowLog;
use std::collections::VecDeque;
use std::sync::Arc;
use transaction::Transactions;
use upstream::Router;
use waits::Waits;

/// Between ticks while something needs time: expiries, idle clients.
const TICK_US: u64 = 100_000;
/// Expiries that one tick reads at most: about a millisecond.
const SWEEP_ITEMS_MAX: usize = 100_000;
/// Outputs kept to be filled again.
const SPARE_OUTPUTS_MAX: usize = 64;

/// What an engine is made with.
pub struct EngineOptions {
    pub core: CoreId,
    /// Which core owns which slot; the same on all cores.
    pub table: Arc<SlotTable>,
    pub ledger: Arc<Ledger>,
    pub shard: ShardOptions,
    pub settings: Settings,
    pub host: Arc<dyn Host + Send + Sync>,
}

/// One core.
pub struct Engine {
    core: CoreId,
    cores: usize,
    table: Arc<SlotTable>,
    ledger: Arc<Ledger>,
    host: Arc<dyn Host + Send + Sync>,
    shard: Shard,
    sessions: Sessions,
    post: Post,
    hot: Hot,
    /// What HOTKEYS START began.
    hot_session: Option<Box<HotSession>>,
    transactions: Transactions,
    journal: Journal,
    /// Where keys are that other servers have; none: all are here.
    router: Option<Box<Router>>,
    /// What clients of CLIENT TRACKING keep.
    invalidation: Invalidation,
    /// Operations of this core's clients may need more than to be run: see [`Engine::attend`].
    attentive: bool,
    /// Whether what a client leaves unread, or what it takes, has a limit.
    bounds_clients: bool,
    client_memory: ClientMemory,
    settings: Settings,
    limits: Limits,
    heads: Heads,
    group: Group,
    envelopes: Vec<Envelope>,
    letter_args: Vec<Arg>,
    letter_places: Vec<Place>,
    spare_outputs: Vec<Output>,
    /// Stalled connections that go on in the next turn: the post was full, or a long request is under way.
    waiting_for_turn: Vec<ConnId>,
    long: Vec<Long>,
    desk: NewsDesk,
    pubsub: PubSub,
    monitors: Monitors,
    slow: SlowLog,
    durations: Durations,
    latency: LatencyEvents,
    waits: Waits,
    pulse: Pulse,
    /// The most bytes that its keys have taken.
    peak_bytes: u64,
    /// DEBUG SET-ACTIVE-EXPIRE 0 stops the sweep.
    sweeps: bool,
    /// How often DEBUG CHANGE-REPL-ID was called.
    replication_changes: u64,
    /// Connections whose ready replies are held for awaited ones, and until when; in order of time.
    held: VecDeque<(u64, ConnId)>,
    /// Connections that await replies from other cores.
    awaiting: usize,
    stats: Stats,
    /// What [`Engine::sets`] was at the last CONFIG RESETSTAT.
    sets_before: u64,
    shell: ShellCounts,
    next_tick_us: u64,
    /// When this core evicts next while memory is short.
    next_eviction_us: u64,
    draining: bool,
}

impl Engine {
    pub fn new(options: EngineOptions) -> Engine {
        let cores = options.ledger.cores();
        assert!(options.core.index() < cores, "a core has a row in the ledger");
        let mut engine = Engine {
            core: options.core,
            cores,
            shard: Shard::new(&options.shard),
            sessions: Sessions::new(options.core, cores),
            hot: Hot::new(options.core, cores, options.shard.draw_seed, &options.settings.hot),
            hot_session: None,
            transactions: Transactions::default(),
            journal: Journal::default(),
            router: options.settings.upstreams.as_ref().map(|all| Box::new(Router::new(all, options.shard.draw_seed))),
            invalidation: Invalidation::new(cores),
            attentive: false,
            bounds_clients: false,
            client_memory: ClientMemory::default(),
            post: Post::new(cores, options.settings.letters_bytes_max),
            limits: Limits::default(),
            heads: Heads::default(),
            group: Group::default(),
            envelopes: Vec::new(),
            letter_args: Vec::new(),
            letter_places: Vec::new(),
            spare_outputs: Vec::new(),
            waiting_for_turn: Vec::new(),
            long: Vec::new(),
            desk: NewsDesk::default(),
            pubsub: PubSub::default(),
            monitors: Monitors::default(),
            slow: SlowLog::default(),
            durations: Durations::default(),
            latency: LatencyEvents::default(),
            waits: Waits::default(),
            pulse: Pulse::default(),
            peak_bytes: 0,
            sweeps: true,
            replication_changes: 0,
            held: VecDeque::new(),
            awaiting: 0,
            stats: Stats { slots: options.table.slots_of(options.core).count() as u64, ..Stats::default() },
            sets_before: 0,
            shell: ShellCounts::default(),
            next_tick_us: 0,
            next_eviction_us: 0,
            draining: false,
            settings: options.settings,
            table: options.table,
            ledger: options.ledger,
            host: options.host,
        };
        engine.apply_settings();
        engine
    }

    /// Takes one event; what has to be done about it is added to `effects`.
    pub fn handle(&mut self, now: Now, event: Event, effects: &mut Effects) {
        match event {
            Event::Received { chunks } => self.received(now, chunks, effects),
            Event::Mail { from, batch } => self.mail(now, from, batch, effects),
            Event::Sent { conn, output } => self.sent(now, conn, output, effects),
            Event::Opened { conn, peer, local } => self.opened(now, conn, peer, local, effects),
            Event::Ended { conn } => self.ended(now, conn, effects),
            Event::Lost { conn } => self.lost(conn),
            Event::Dialled { link, conn } => self.dialled(now, link, conn, effects),
            Event::DialFailed { link, reason } => self.dial_failed(link, reason),
            Event::Tick => self.tick(now, effects),
            Event::Drain => self.drain(now, effects),
        }
        self.run_errands(now, effects);
        self.tell_what_happened(now, effects);
    }

    /// Called once before the events of a turn.
    pub fn turn_begins(&mut self, now: Now, effects: &mut Effects) {
        self.refresh_allowance();
        self.end_pause(now, effects);
        self.report_heat(now);
        self.serve_own_folds(now, effects);
        self.track_turn(now);
        self.tell_news(now, effects);
        self.tell_invalidations(now, effects);
        self.release_held(now, effects);
        self.close_deaf(now, effects);
        if self.client_memory.is_over {
            self.close_largest(effects);
        }
        if !self.waiting_for_turn.is_empty() {
            for conn in std::mem::take(&mut self.waiting_for_turn) {
                if let Some(client) = self.sessions.get_mut(conn) {
                    client.waits_for_turn = false;
                }
                self.resume(now, conn, effects);
            }
        }
        self.run_errands(now, effects);
        self.tell_what_happened(now, effects);
    }

    /// Behind each event, when every client is back among the sessions: tells those who watch.
    #[inline]
    fn tell_what_happened(&mut self, now: Now, effects: &mut Effects) {
        if self.shard.has_events() {
            self.publish_key_events(now, effects);
        }
        if self.monitors.has_lines() {
            self.show_requests(now, effects);
        }
    }

    /// Called once after the events of a turn, before its effects are performed: what this turn wrote becomes visible
    /// to other cores here, and only then may replies and letters leave.
    pub fn turn_ends(&mut self, now: Now, shell: ShellCounts, effects: &mut Effects) {
        self.send_folds(now, effects);
        self.publish(now);
        self.spread_invalidations();
        self.shell = shell;
        let used_bytes = self.shard.used_bytes() as u64;
        self.peak_bytes = self.peak_bytes.max(used_bytes);
        self.ledger.set_used_bytes(self.core, used_bytes);
        let Stats { commands, input_bytes, output_bytes, .. } = self.stats;
        self.pulse.turn(now, Counted { commands, input_bytes, output_bytes });
    }

    /// When the engine wants its next [`Event::Tick`], in [`Now::mono_us`]; `None`: only when something happens.
    pub fn deadline(&self) -> Option<u64> {
        let ticks = self.shard.expiring() > 0
            || (self.settings.timeout_s > 0 || self.client_memory.is_limited()) && !self.sessions.is_empty();
        let turn = self.shard.has_events()
            || self.invalidation.wants_turn()
            || self.client_memory.is_over
            || self.has_links_to_close()
            || self.hot.upstream.is_waiting();
        if !self.waiting_for_turn.is_empty() || !self.desk.is_empty() || turn {
            return Some(0);
        }
        let tick_us = ticks.then_some(self.next_tick_us).into_iter().chain(self.shrink_due_us());
        let held_us = self.held.front().map(|(due_us, _)| *due_us);
        let cycles = tick_us.chain(held_us).chain(self.hot.board.deadline());
        let links_us = self.router.as_deref().filter(|_| !self.draining || !self.sessions.is_empty());
        let links_us = links_us.and_then(Router::deadline);
        cycles.chain(self.pubsub.deaf.due_us()).chain(self.waits.deadline()).chain(links_us).min()
    }

    /// The output of a connection named in [`Effects::ready`], when no send of it is in flight. It comes back by
    /// [`Event::Sent`].
    pub fn take_output(&mut self, conn: ConnId) -> Option<Output> {
        let Some(session) = self.sessions.get_mut(conn) else { return self.take_link_output(conn) };
        session.announced = false;
        if session.output.is_empty() {
            return None;
        }
        let output = std::mem::take(&mut session.output);
        session.sending_bytes = output.len_bytes();
        self.stats.output_bytes += session.sending_bytes as u64;
        self.stats.sends += 1;
        Some(output)
    }

    /// The letters for another core, if there are any. Letters that cannot be delivered come back by
    /// [`Engine::return_mail`].
    pub fn take_mail(&mut self, to: CoreId) -> Option<Box<Batch>> {
        self.post.take(to)
    }

    /// The other core's mailbox is full: the letters stay here and more join them.
    pub fn return_mail(&mut self, to: CoreId, batch: Box<Batch>) {
        self.post.put_back(to, batch);
    }

    /// Connections that are open on this core.
    pub fn connections(&self) -> usize {
        self.sessions.len()
    }

    /// Whether something waits for the next turn, which may gather but not sleep for long.
    pub fn wants_turn(&self) -> bool {
        self.hot.wants_turn()
    }

    /// Connections that await replies from other cores; most will ask nothing before they have them.
    pub fn awaiting(&self) -> usize {
        self.awaiting
    }

    /// Number of keys of this core, for tests and banners.
    pub fn keys(&self) -> usize {
        self.shard.len()
    }

    fn other_cores(&self) -> impl Iterator<Item = CoreId> + use<> {
        let own = self.core;
        CoreId::all(self.cores).filter(move |core| *core != own)
    }

    fn tick(&mut self, now: Now, effects: &mut Effects) {
        self.end_waits(now, effects);
        self.look_after_links(now, effects);
        self.shrink(now);
        if now.mono_us < self.next_tick_us {
            return;
        }
        // As in Redis, no key goes by itself while clients are paused.
        let still = !self.sweeps || self.waits.pause.is_some();
        let more = !still
            && self.timed_cycle(now, "expire-cycle", |engine| engine.shard.sweep(now.unix_ms(), SWEEP_ITEMS_MAX));
        if self.settings.timeout_s > 0 {
            self.close_idle(now, effects);
        }
        if self.client_memory.is_limited() {
            self.close_largest(effects);
        }
        self.skip_lap();
        self.next_tick_us = now.mono_us + if more { TICK_US / 10 } else { TICK_US };
    }
}
