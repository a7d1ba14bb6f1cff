//! Owns: one core's loop: wait, handle, perform. One `io_uring_enter` a turn does all of submitting and waiting.
//! Knows: the ring, the sockets, the mailbox, the log's disk, the engine's events and effects.
//! Must never know: what is in the bytes that it carries.
//! Read first: this file, then `storage.rs` (what it does for the log) and `drain.rs` (how it ends).

mod alarm;
mod dials;
mod drain;
mod sealed;
mod storage;

use super::Ring;
use super::arrivals::Arrivals;
use super::clock::Clock;
use super::cpu_time::CpuTime;
use super::dialler::Dialler;
use super::disk::{Disk, DiskOptions, LoadError, Loader, Switch};
use super::listener::Listener;
use super::mailbox::{Mail, Mailbox};
use super::pace::{Gather, Pace};
use super::scrape::Scrape;
use super::sockets::{SendOutcome, Sockets};
use super::tls::{Secure, Sessions};
use super::uring::{Chunk, Completion, Features, Payload, RingConfig, RingError, Wait};
use crate::engine::{Departure, Effects, Engine, Event, Gate, Ledger, ShellCounts};
use crate::types::{ConnId, CoreId, Now};
use drain::{DRAIN_QUIET_US, Drain};
use std::collections::VecDeque;
use std::io::{self, PipeReader};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Listeners are numbered from here; the ring keeps the tokens of each kind of operation apart.
const TOKEN_LISTENER: u64 = 0;
const TOKEN_CONTROL: u64 = 0;
/// After an accept that failed for want of descriptors: try again so much later, instead of spinning.
const ACCEPT_RETRY_US: u64 = 100_000;
/// While letters wait for room in a full mailbox, look again this often.
const MAIL_RETRY: Duration = Duration::from_micros(200);

/// How often a core that has its keys looks whether the others have theirs.
const OTHERS_LOAD_US: u64 = 1_000;

/// Between the main thread and all workers.
#[derive(Default)]
pub struct Control {
    /// Set before a worker's pipe is written: the process ends.
    pub stopping: AtomicBool,
    /// A core has ended before it was asked to, and answers nobody.
    pub failed: AtomicBool,
    /// Turns of all workers, for the watchdog, by core.
    pub turns: Vec<AtomicU64>,
    /// Where cores put their figures, if anybody may want them.
    pub scrape: Option<Scrape>,
}

/// What a worker is made with, besides its engine.
pub struct WorkerOptions {
    pub cpu: Option<usize>,
    pub ring: RingConfig,
    pub min_wait_us: u32,
    pub spin_us: u32,
    pub zero_copy_bytes_min: usize,
    /// Listening sockets. Those that serve all cores are given to one, which places each connection.
    pub listeners: Vec<Listener>,
    /// Where changes are logged at first; none: nowhere.
    pub log: Option<(Loader, DiskOptions)>,
    /// By pool of servers, what makes connections to it secret.
    pub secure: Arc<[Option<Secure>]>,
    pub switch: Arc<Switch>,
    pub mailbox: Mailbox,
    pub ledger: Arc<Ledger>,
    pub clock: Clock,
    pub control: Arc<Control>,
    /// Written to whenever the worker is to look at the control, or to prove that it turns.
    pub alarm: PipeReader,
    /// Called when a client asks the server to end.
    pub on_shutdown: Box<dyn Fn() + Send>,
}

/// Why a worker cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error(transparent)]
    Ring(#[from] RingError),
    #[error("cannot pin a thread to CPU {cpu}; name another with --cores, or use --pin off")]
    Pin { cpu: usize },
    #[error("io_uring_enter: {0}")]
    Enter(io::Error),
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// One core's thread.
pub struct Worker {
    core: CoreId,
    engine: Engine,
    ring: Ring,
    sockets: Sockets,
    dialler: Dialler,
    sessions: Sessions,
    mailbox: Mailbox,
    ledger: Arc<Ledger>,
    clock: Clock,
    control: Arc<Control>,
    pace: Pace,
    spin_us: u32,
    listeners: Vec<Listener>,
    alarm: PipeReader,
    /// Which question after this core's figures was the last that it has answered.
    scrapes: u64,
    on_shutdown: Box<dyn Fn() + Send>,
    effects: Effects,
    arrivals: Arrivals,
    /// Accepted connections for cores whose mailbox is full.
    unplaced: VecDeque<(CoreId, OwnedFd)>,
    linger_until_us: Option<u64>,
    /// What is left to load.
    loader: Option<Loader>,
    /// Where changes are logged; none: nowhere.
    disk: Option<Disk>,
    switch: Arc<Switch>,
    /// Since when that is so: see [`Ledger::log_switches`].
    log_switches: u64,
    gate: Gate,
    /// What rests on frames up to this one was given up, and has not become durable since.
    given_up: Option<u64>,
    mail_is_stuck: bool,
    receives: u32,
    wakes: u64,
    cpu: CpuTime,
    drain: Drain,
}

impl Worker {
    /// Pins the calling thread and opens its ring: from here on the worker stays on this thread.
    pub fn new(engine: impl FnOnce() -> Engine, options: WorkerOptions) -> Result<Worker, WorkerError> {
        if let Some(cpu) = options.cpu
            && !core_affinity::set_for_current(core_affinity::CoreId { id: cpu })
        {
            return Err(WorkerError::Pin { cpu });
        }
        let mut ring = Ring::new(&options.ring)?;
        options.mailbox.attach(ring.fd());
        ring.poll(options.alarm.as_raw_fd(), TOKEN_CONTROL);
        for (index, listener) in options.listeners.iter().enumerate() {
            ring.accept(listener.fd.as_raw_fd(), TOKEN_LISTENER + index as u64);
        }
        let (gate, log_switches) = (Gate::new(options.mailbox.cores()), options.ledger.log_switches());
        let mut engine = engine();
        let (loader, disk) = options.log.map(|(loader, disk)| (loader, Disk::open(disk, &mut engine))).unzip();
        if disk.is_some() {
            engine.begin_loading();
        }
        Ok(Worker {
            core: options.mailbox.core(),
            engine,
            ring,
            sockets: Sockets::new(options.zero_copy_bytes_min),
            dialler: Dialler::new(options.secure),
            sessions: Sessions::default(),
            mailbox: options.mailbox,
            ledger: options.ledger,
            clock: options.clock,
            control: options.control,
            pace: Pace::new(options.min_wait_us),
            spin_us: options.spin_us,
            listeners: options.listeners,
            alarm: options.alarm,
            scrapes: 0,
            on_shutdown: options.on_shutdown,
            effects: Effects::default(),
            arrivals: Arrivals::default(),
            unplaced: VecDeque::new(),
            linger_until_us: None,
            loader,
            disk,
            switch: options.switch,
            log_switches,
            gate,
            given_up: None,
            mail_is_stuck: false,
            receives: 0,
            wakes: 0,
            cpu: CpuTime::of_this_thread(),
            drain: Drain::Serving,
        })
    }

    pub fn features(&self) -> Features {
        self.ring.features()
    }

    /// Serves until the process is asked to end and every client has its answers.
    pub fn run(mut self) -> Result<(), WorkerError> {
        let mut now = self.clock.now();
        loop {
            let wait = self.plan_wait(now);
            self.ring.enter(wait).map_err(WorkerError::Enter)?;
            self.mailbox.get_up();
            now = self.clock.now();
            self.engine.turn_begins(now, &mut self.effects);
            self.load(now)?;
            self.take_mail(now);
            self.take_completions(now);
            if self.engine.deadline().is_some_and(|deadline| deadline <= now.mono_us) {
                self.engine.handle(now, Event::Tick, &mut self.effects);
            }
            let counts = self.counts(now);
            self.engine.turn_ends(now, counts, &mut self.effects);
            self.log(now);
            self.perform(now);
            self.pace.turn(now.mono_us, std::mem::take(&mut self.receives));
            self.control.turns[self.core.index()].fetch_add(1, Ordering::Relaxed);
            if self.drain != Drain::Serving && self.is_drained(now) {
                self.finish_log();
                return Ok(());
            }
        }
    }

    /// How the next enter waits: not at all while there is mail, else for as many completions as are worth it.
    fn plan_wait(&mut self, now: Now) -> Wait {
        let sends = std::mem::take(&mut self.sockets.sends);
        if self.loader.is_some() || self.spins() {
            return Wait::default();
        }
        let gather = self.pace.gather(self.engine.awaiting());
        // A core that gathers looks into its mailbox soon by itself, so nobody has to spend a wake-up on it.
        let may_sleep = match gather {
            Some(_) => self.mailbox.waiting() == 0,
            None => !self.engine.wants_turn() && self.mailbox.lie_down(),
        };
        if !may_sleep {
            return Wait::default();
        }
        let others_load = self.engine.is_loading().then_some(now.mono_us + OTHERS_LOAD_US);
        let disk = self.disk.as_ref().and_then(|disk| disk.deadline(&self.engine, now.mono_us));
        let deadlines = [self.engine.deadline(), self.accept_again_us(), self.linger_until_us, disk, others_load];
        let mut timeout =
            deadlines.into_iter().flatten().min().map(|at_us| Duration::from_micros(at_us.saturating_sub(now.mono_us)));
        if self.mail_is_stuck {
            // Whatever waits for room in the post cannot go on before that.
            timeout = Some(MAIL_RETRY);
        } else if !self.unplaced.is_empty() {
            timeout = Some(timeout.unwrap_or(MAIL_RETRY).min(MAIL_RETRY));
        }
        if self.drain != Drain::Serving {
            let quiet = Duration::from_micros(DRAIN_QUIET_US);
            timeout = Some(timeout.unwrap_or(quiet).min(quiet));
        }
        let Gather { receives, us: gather_us } = gather.unwrap_or(Gather { receives: 1, us: 0 });
        if gather.is_some() {
            let end = Duration::from_micros(u64::from(gather_us));
            timeout = Some(timeout.unwrap_or(end).min(end));
        }
        // Nearly all sends complete while they are submitted; the wait is for the requests behind them.
        Wait { completions: sends + receives, min_wait_us: gather_us, timeout }
    }

    /// Whether to poll instead of sleeping: for some time after the last request.
    fn spins(&self) -> bool {
        self.spin_us > 0 && self.clock.now().mono_us < self.pace.last_receive_us() + u64::from(self.spin_us)
    }

    fn take_completions(&mut self, now: Now) {
        while let Some(completion) = self.ring.next() {
            match completion {
                Completion::Received { token, result, armed } => self.received(now, token, result, armed),
                Completion::Sent { token, payload, result } => self.sent(now, token, payload, result),
                Completion::Accepted { token, result, armed } => self.accepted(now, token, result, armed),
                Completion::Connected { token, result } => self.connected(now, token, result),
                Completion::Woken => self.wakes += 1,
                Completion::NotWoken { ring_fd } => self.ring.wake(ring_fd),
                Completion::Readable { result, armed, .. } => self.alarmed(now, result.is_ok(), armed),
                Completion::Synced { token, result } => self.synced(now, token, result),
            }
        }
        self.hand_over(now);
    }

    #[inline]
    fn received(&mut self, now: Now, token: u64, result: io::Result<Option<Chunk>>, armed: bool) {
        let conn = self.sockets.conn(token);
        let mut ended = false;
        match result {
            Ok(Some(chunk)) => {
                if let Some(conn) = conn.filter(|conn| self.sockets.is_open(*conn)) {
                    self.receives += 1;
                    if self.sockets.is_first_in(conn, self.pace.window()) {
                        self.pace.connection_active();
                    }
                    self.arrivals.push(conn, chunk);
                    if self.arrivals.is_full() {
                        self.hand_over(now);
                    }
                } else {
                    self.ring.recycle(chunk);
                }
            }
            Ok(None) => {
                ended = true;
                self.hand_over(now);
                if let Some(conn) = conn.filter(|conn| self.sockets.is_open(*conn)) {
                    self.ended(now, conn);
                }
            }
            Err(error) if is_passing(&error) => {}
            Err(_) => {
                ended = true;
                self.hand_over(now);
                if let Some(conn) = conn.filter(|conn| self.sockets.is_open(*conn)) {
                    self.effects.kill.push(conn);
                }
            }
        }
        if let (false, Some(conn)) = (armed, conn) {
            self.sockets.receive_ended(&mut self.ring, conn, ended);
        }
    }

    #[inline]
    fn sent(&mut self, now: Now, token: u64, payload: Payload, result: io::Result<usize>) {
        let conn = self.sockets.conn(token).expect("a row outlives its sends");
        match self.sockets.sent(&mut self.ring, conn, payload, result) {
            SendOutcome::UnderWay => {}
            SendOutcome::Whole(output) => {
                self.engine.handle(now, Event::Sent { conn, output }, &mut self.effects);
                self.sealed_sent(conn);
                if self.sockets.is_due_to_close(conn) {
                    // Whether it closes now depends on what the engine may have made ready: see `perform`.
                    self.effects.close.push(conn);
                }
            }
            SendOutcome::Broken => self.effects.kill.push(conn),
        }
    }

    fn accepted(&mut self, now: Now, token: u64, result: io::Result<OwnedFd>, armed: bool) {
        let listener = &mut self.listeners[token as usize];
        match result {
            Ok(socket) if self.drain == Drain::Serving => {
                if !armed {
                    self.ring.accept(listener.fd.as_raw_fd(), token);
                }
                let core =
                    if listener.keeps { self.ledger.take_place(self.core) } else { self.ledger.place_connection() };
                if core == self.core {
                    self.open(now, socket);
                } else {
                    self.unplaced.push_back((core, socket));
                }
            }
            Ok(socket) => drop(socket),
            Err(_) if armed || self.drain != Drain::Serving => {}
            Err(error) if is_passing(&error) || error.raw_os_error() == Some(libc::ECONNABORTED) => {
                self.ring.accept(listener.fd.as_raw_fd(), token);
            }
            Err(error) => {
                log::warn!("accept: {error}; trying again in {} ms", ACCEPT_RETRY_US / 1000);
                listener.again_us = Some(now.mono_us + ACCEPT_RETRY_US);
            }
        }
    }

    fn open(&mut self, now: Now, socket: OwnedFd) {
        let conn = self.sockets.open(&mut self.ring, socket);
        let (peer, local) = self.sockets.names(conn);
        self.engine.handle(now, Event::Opened { conn, peer, local }, &mut self.effects);
    }

    fn take_mail(&mut self, now: Now) {
        for _ in 0..self.mailbox.waiting() {
            match self.mailbox.take() {
                Some(Mail::Letters { from, batch }) => {
                    self.engine.handle(now, Event::Mail { from, batch }, &mut self.effects);
                }
                Some(Mail::Connection { socket }) if self.drain == Drain::Serving => self.open(now, socket),
                Some(Mail::Connection { .. }) => self.ledger.drop_connection(self.core),
                None => break,
            }
        }
    }

    fn perform(&mut self, now: Now) {
        let mut effects = std::mem::take(&mut self.effects);
        for (conn, wanted) in effects.receive.drain(..) {
            self.sockets.want_receive(&mut self.ring, conn, wanted);
        }
        self.mail_is_stuck = false;
        self.release();
        for conn in effects.ready.drain(..) {
            self.send_ready(conn);
        }
        for conn in effects.close.drain(..) {
            self.sockets.close_when_sent(conn);
            self.send_ready(conn);
            if self.is_live(conn) && self.sockets.is_due_to_close(conn) {
                self.engine.handle(now, Event::Lost { conn }, &mut self.effects);
                self.sockets.linger(&mut self.ring, conn, now.mono_us);
                self.linger_until_us.get_or_insert(now.mono_us);
            }
        }
        for conn in effects.kill.drain(..) {
            self.kill(now, conn);
        }
        self.perform_dials(now, &mut effects);
        if std::mem::take(&mut effects.shutdown) {
            (self.on_shutdown)();
        }
        // The buffers are used again; nothing above makes new effects.
        self.effects = effects;
        if self.linger_until_us.is_some() {
            self.linger_until_us = self.sockets.end_lingering(&mut self.ring, now.mono_us);
        }
        self.accept_again(now);
        self.send_mail();
    }

    fn is_live(&self, conn: ConnId) -> bool {
        self.sockets.conn(Sockets::token(conn)) == Some(conn)
    }

    /// When the first listener that ran out of descriptors is due.
    fn accept_again_us(&self) -> Option<u64> {
        self.listeners.iter().filter_map(|listener| listener.again_us).min()
    }

    fn accept_again(&mut self, now: Now) {
        for (listener, token) in self.listeners.iter_mut().zip(TOKEN_LISTENER..) {
            if listener.again_us.is_some_and(|at_us| at_us <= now.mono_us) {
                listener.again_us = None;
                self.ring.accept(listener.fd.as_raw_fd(), token);
            }
        }
    }

    fn send_mail(&mut self) {
        let position = self.engine.log_position();
        for core in (0..self.mailbox.cores()).map(|core| CoreId(core as u16)) {
            if core == self.core {
                continue;
            }
            // One batch to a core waits at a time; more joins the next.
            if self.gate.holds_letters(core) {
                continue;
            }
            let Some(batch) = self.engine.take_mail(core) else { continue };
            if self.gate.holds(position) {
                self.gate.hold(position, Departure::Letters(core, batch));
                continue;
            }
            match self.mailbox.put(core, Mail::Letters { from: self.core, batch }) {
                Ok(ring) => self.wake(ring),
                Err(Mail::Letters { batch, .. }) => {
                    self.engine.return_mail(core, batch);
                    self.mail_is_stuck = true;
                }
                Err(Mail::Connection { .. }) => unreachable!("letters come back as letters"),
            }
        }
        while let Some((core, socket)) = self.unplaced.pop_front() {
            match self.mailbox.put(core, Mail::Connection { socket }) {
                Ok(ring) => self.wake(ring),
                Err(Mail::Connection { socket }) => {
                    self.unplaced.push_front((core, socket));
                    break;
                }
                Err(Mail::Letters { .. }) => unreachable!("a connection comes back as a connection"),
            }
        }
    }

    fn wake(&mut self, ring: Option<RawFd>) {
        if let Some(ring) = ring {
            self.ring.wake(ring);
        }
    }

    fn counts(&mut self, now: Now) -> ShellCounts {
        if let Some(us) = self.cpu.sample(now.mono_us) {
            self.pace.spent(us);
        }
        ShellCounts { enters: self.ring.enters(), wakes: self.wakes, cpu_us: self.cpu.us(), log: self.log_counts() }
    }
}

/// Errors that say nothing about the connection: buffers ran out, an operation was cancelled to pause.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::ECANCELED | libc::EINTR | libc::EAGAIN))
}
