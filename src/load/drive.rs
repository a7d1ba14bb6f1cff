//! One thread's load: many clients on one epoll. Requests leave as replies come in, or when they are due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};

use super::cluster::Nodes;
use super::command::{Command, Template, Turns};
use super::data::Values;
use super::endpoint::{Client, Login};
use super::error::LoadError;
use super::keys::KeyStream;
use super::link::{Link, Operation, Pending};
use super::pace::Pace;
use super::reply::Outcome;
use super::tally::{Interval, Tally, Verdict};

const READ_BYTES: usize = 64 * 1024;
const EVENTS_MAX: usize = 256;
/// Operations drawn for a node of a cluster that has no room; a client draws no more while one of its pools is full.
const POOL_MAX: usize = 256;
/// How long replies are awaited when the run is over.
const DRAIN_NS: u64 = 10_000_000_000;
const SECOND_NS: u64 = 1_000_000_000;
/// In the place of a node's connection: there is none.
const NO_LINK: usize = usize::MAX;

/// What all threads of a run share.
pub struct Workload {
    pub commands: Vec<Command>,
    pub templates: Vec<Template>,
    pub rows: usize,
    pub pipeline: usize,
    pub cluster: bool,
    pub login: Login,
    /// The run ends then, however much is left; None: when every client has sent what it has to.
    pub time_ns: Option<u64>,
}

/// One of memtier's clients: a stream of operations, and a connection to each node.
pub struct LoadClient {
    pub keys: KeyStream,
    pub values: Values,
    pub turns: Turns,
    /// Operations still to be drawn.
    pub left: u64,
    pub pace: Option<Pace>,
    /// By node, the place of its link.
    links: Vec<usize>,
    /// Drawn, but its node's pool is full.
    held: Option<Operation>,
    /// The thread's alarm knows when its next operation is due.
    alarmed: bool,
}

impl LoadClient {
    pub fn new(keys: KeyStream, values: Values, turns: Turns, left: u64, pace: Option<Pace>) -> Self {
        Self { keys, values, turns, left, pace, links: Vec::new(), held: None, alarmed: false }
    }
}

/// What a thread hands back.
pub struct Outturn {
    pub tally: Tally,
    pub elapsed_ns: u64,
    /// Operations of an open loop that were due before the end and not sent.
    pub overdue: u64,
}

pub struct Drive<'a> {
    load: &'a Workload,
    epoll: rustix::fd::OwnedFd,
    clients: Vec<LoadClient>,
    links: Vec<Link>,
    nodes: Nodes,
    tally: Tally,
    alarms: BinaryHeap<Reverse<(u64, usize)>>,
    buffer: Vec<u8>,
    /// Requests sent and not answered.
    pending: u64,
    /// No more operations are sent; what is under way is awaited.
    over: bool,
    key: Vec<u8>,
}

impl<'a> Drive<'a> {
    /// Connects each client to each node; nothing is sent before [`run`](Self::run).
    pub fn connect(load: &'a Workload, nodes: Nodes, clients: Vec<LoadClient>) -> Result<Self, LoadError> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|errno| LoadError::Poll(errno.into()))?;
        let mut drive = Self {
            load,
            epoll,
            clients,
            links: Vec::new(),
            nodes,
            tally: Tally::new(load.rows),
            alarms: BinaryHeap::new(),
            buffer: vec![0; READ_BYTES],
            pending: 0,
            over: false,
            key: Vec::new(),
        };
        for client in 0..drive.clients.len() {
            for node in 0..drive.nodes.all().len() {
                drive.open(client, node)?;
            }
        }
        Ok(drive)
    }

    fn open(&mut self, client: usize, node: usize) -> Result<usize, LoadError> {
        let socket = Client::connect(&self.nodes.all()[node], &self.load.login)?.into_load()?;
        let place = self.links.len();
        epoll::add(&self.epoll, &socket, EventData::new_u64(place as u64), EventFlags::IN)
            .map_err(|errno| LoadError::Poll(errno.into()))?;
        self.links.push(Link::new(socket, client, node, self.load.pipeline));
        let links = &mut self.clients[client].links;
        links.resize(links.len().max(node + 1), NO_LINK);
        links[node] = place;
        Ok(place)
    }

    /// Runs to the end, telling of each second as it ends.
    pub fn run(mut self, stop: &AtomicBool, seconds: &Sender<Interval>) -> Result<Outturn, LoadError> {
        let start = Instant::now();
        let now = || start.elapsed().as_nanos() as u64;
        let (mut second_ends_ns, mut drained_by_ns) = (SECOND_NS, u64::MAX);
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let mut now_ns = now();
        (0..self.clients.len()).for_each(|client| self.fill(client, now_ns));
        loop {
            while now_ns >= second_ends_ns {
                // Nobody listens once the run was given up; the thread ends with it.
                let _ = seconds.send(self.tally.end_second());
                second_ends_ns += SECOND_NS;
            }
            if !self.over && (stop.load(Ordering::Relaxed) || self.load.time_ns.is_some_and(|end| now_ns >= end)) {
                self.over = true;
                drained_by_ns = now_ns + DRAIN_NS;
            }
            if self.pending == 0 && (self.over || self.is_done()) {
                break;
            }
            if now_ns >= drained_by_ns {
                self.give_up();
                break;
            }
            self.wait(self.wake_ns(second_ends_ns, drained_by_ns), now_ns, &mut events)?;
            now_ns = now();
            for event in &events {
                self.ready(event.data.u64() as usize, now_ns);
            }
            self.ring(now_ns);
        }
        let elapsed_ns = now();
        let due_ns = self.load.time_ns.map_or(elapsed_ns, |end| end.min(elapsed_ns));
        let overdue =
            self.clients.iter().filter_map(|client| Some(client.pace.as_ref()?.overdue(due_ns).min(client.left))).sum();
        let _ = seconds.send(self.tally.end_second());
        Ok(Outturn { tally: self.tally, elapsed_ns, overdue })
    }

    fn wake_ns(&self, second_ends_ns: u64, drained_by_ns: u64) -> u64 {
        let alarm_ns = self.alarms.peek().filter(|_| !self.over).map_or(u64::MAX, |Reverse((due_ns, _))| *due_ns);
        let end_ns = self.load.time_ns.filter(|_| !self.over).unwrap_or(u64::MAX);
        second_ends_ns.min(drained_by_ns).min(alarm_ns).min(end_ns)
    }

    fn wait(&self, wake_ns: u64, now_ns: u64, events: &mut Vec<epoll::Event>) -> Result<(), LoadError> {
        events.clear();
        let wait_ns = wake_ns.saturating_sub(now_ns);
        let timeout = Timespec { tv_sec: (wait_ns / SECOND_NS) as i64, tv_nsec: (wait_ns % SECOND_NS) as i64 };
        match epoll::wait(&self.epoll, spare_capacity(events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(LoadError::Poll(errno.into())),
        }
    }

    /// Wakes the clients whose next operation is due.
    fn ring(&mut self, now_ns: u64) {
        while let Some(Reverse((due_ns, client))) = self.alarms.peek().copied() {
            if due_ns > now_ns || self.over {
                break;
            }
            self.alarms.pop();
            self.clients[client].alarmed = false;
            self.fill(client, now_ns);
        }
    }

    fn is_done(&self) -> bool {
        self.clients.iter().all(|client| client.left == 0 && client.held.is_none())
            && self.links.iter().all(|link| link.pool.is_empty())
    }

    /// Something can be read, or written again.
    fn ready(&mut self, place: usize, now_ns: u64) {
        if self.links[place].choked {
            self.send(place);
        }
        let link = &mut self.links[place];
        let Some(socket) = &link.socket else { return };
        match socket.read(&mut self.buffer) {
            Ok(0) => self.fail(place),
            Ok(bytes) => {
                if self.count(place, bytes, now_ns) {
                    self.fill(self.links[place].client, now_ns);
                } else {
                    self.fail(place);
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.fail(place),
        }
    }

    /// Counts the replies in the buffer. False: what came was no reply, or nobody's.
    fn count(&mut self, place: usize, bytes: usize, now_ns: u64) -> bool {
        let Self { load, links, nodes, tally, buffer, .. } = self;
        let Link { replies, pending, node, .. } = &mut links[place];
        let (before, mut surplus) = (pending.len(), 0);
        tally.begin(now_ns);
        let fed = replies.feed(&buffer[..bytes], |outcome, received| {
            let Some(request) = pending.pop_front() else {
                surplus += 1;
                return;
            };
            let command = &load.commands[usize::from(request.command)];
            let verdict = match outcome {
                Outcome::Value if command.counts_hits => Verdict::Hit,
                Outcome::Miss if command.counts_hits => Verdict::Miss,
                Outcome::Value | Outcome::Miss => Verdict::Plain,
                Outcome::Error(error) if load.cluster && error.starts_with(b"MOVED ") => {
                    nodes.moved(error, *node);
                    Verdict::Moved
                }
                Outcome::Error(error) if load.cluster && error.starts_with(b"ASK ") => Verdict::Ask,
                Outcome::Error(error) => {
                    tally.errors.take(error);
                    Verdict::Plain
                }
            };
            tally.reply(command.row, request.since_ns, (u64::from(request.bytes), received), verdict);
        });
        tally.settle();
        self.pending -= (before - pending.len()) as u64;
        fed.is_ok() && surplus == 0
    }

    /// Sends what a client may send now: first what waits for a node, then new operations.
    fn fill(&mut self, client: usize, now_ns: u64) {
        if self.load.cluster {
            for node in 0..self.clients[client].links.len() {
                let place = self.clients[client].links[node];
                while place != NO_LINK && self.has_room(place) && !self.over {
                    let Some(operation) = self.links[place].pool.pop_front() else { break };
                    self.append(place, operation, now_ns);
                }
            }
        }
        while let Some(operation) = self.next(client, now_ns) {
            let Some(place) = self.route(client, &operation) else { break };
            if self.has_room(place) {
                self.append(place, operation, now_ns);
            } else if self.links[place].pool.len() < POOL_MAX {
                self.links[place].pool.push_back(operation);
            } else {
                self.clients[client].held = Some(operation);
                break;
            }
        }
        for node in 0..self.clients[client].links.len() {
            let place = self.clients[client].links[node];
            if place != NO_LINK && self.links[place].wants_to_send() && !self.links[place].choked {
                self.send(place);
            }
        }
        let (over, state) = (self.over, &mut self.clients[client]);
        if let (Some(pace), false, false) = (&state.pace, state.alarmed, over || state.left == 0) {
            let due_ns = pace.due_ns();
            // A client that is late waits for room, and a reply will call it.
            if due_ns > now_ns {
                state.alarmed = true;
                self.alarms.push(Reverse((due_ns, client)));
            }
        }
    }

    fn has_room(&self, place: usize) -> bool {
        self.links[place].pending.len() < self.load.pipeline
    }

    /// The client's next operation, if there is one, it is due, and there is any room for it.
    #[inline]
    fn next(&mut self, client: usize, now_ns: u64) -> Option<Operation> {
        if self.over {
            return None;
        }
        let links = &self.links;
        let state = &mut self.clients[client];
        let room = |place: &usize| *place != NO_LINK && links[*place].pending.len() < self.load.pipeline;
        if !state.links.iter().any(room) {
            return None;
        }
        if state.held.is_some() {
            return state.held.take();
        }
        if state.left == 0 {
            return None;
        }
        let since_ns = match &mut state.pace {
            Some(pace) => pace.take(now_ns)?,
            None => now_ns,
        };
        state.left -= 1;
        let index = state.turns.next();
        let key = state.keys.next(index, self.load.commands[index].pattern);
        Some(Operation { command: index as u16, key, since_ns })
    }

    /// The connection that an operation goes to; None if the client has none left.
    #[inline]
    fn route(&mut self, client: usize, operation: &Operation) -> Option<usize> {
        if !self.load.cluster {
            return Some(self.clients[client].links[0]).filter(|place| *place != NO_LINK);
        }
        let index = usize::from(operation.command);
        let links = &self.clients[client].links;
        let open = links.iter().copied().filter(|place| *place != NO_LINK);
        if self.load.commands[index].keys() == 0 {
            return open.min_by_key(|place| self.links[*place].pending.len());
        }
        let key = self.load.templates[index].key_bytes(operation.key, &mut self.key);
        let node = self.nodes.owner(crate::routing::slot_of(key));
        match links.get(node) {
            Some(place) if *place != NO_LINK => Some(*place),
            // Any node will say where the slot is now, or what is wrong.
            Some(_) => open.min(),
            None => self.open(client, node).ok().or_else(|| {
                self.tally.lose(0);
                self.clients[client].links.resize(node + 1, NO_LINK);
                self.clients[client].links.iter().copied().find(|place| *place != NO_LINK)
            }),
        }
    }

    #[inline]
    fn append(&mut self, place: usize, operation: Operation, now_ns: u64) {
        let link = &mut self.links[place];
        let state = &mut self.clients[link.client];
        let before = link.out.len();
        let index = usize::from(operation.command);
        let pattern = self.load.commands[index].pattern;
        let template = &self.load.templates[index];
        template.append((index, pattern), operation.key, &mut state.keys, &mut state.values, &mut link.out);
        // An open loop counts from when a request was due; otherwise waiting in a pool is no latency of the server's.
        let since_ns = if state.pace.is_some() { operation.since_ns } else { now_ns };
        let bytes = (link.out.len() - before) as u32;
        link.pending.push_back(Pending { since_ns, bytes, command: operation.command });
        self.pending += 1;
    }

    fn send(&mut self, place: usize) {
        let link = &mut self.links[place];
        match link.send() {
            Ok(false) => {}
            Ok(true) => {
                let flags = if link.choked { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
                let watched = match &link.socket {
                    Some(socket) => epoll::modify(&self.epoll, socket, EventData::new_u64(place as u64), flags),
                    None => Ok(()),
                };
                if watched.is_err() {
                    self.fail(place);
                }
            }
            Err(_) => self.fail(place),
        }
    }

    /// A connection is gone: what awaited its replies is lost. A client without connections has nothing more to do.
    fn fail(&mut self, place: usize) {
        let link = &mut self.links[place];
        if link.socket.take().is_none() {
            return;
        }
        self.tally.lose((link.pending.len() + link.pool.len()) as u64);
        self.pending -= link.pending.len() as u64;
        link.pending.clear();
        link.pool.clear();
        link.out.clear();
        let state = &mut self.clients[link.client];
        state.links[link.node] = NO_LINK;
        if state.links.iter().all(|place| *place == NO_LINK) {
            state.left = 0;
            state.held = None;
        }
    }

    /// Counts what was never answered.
    fn give_up(&mut self) {
        for place in 0..self.links.len() {
            if !self.links[place].pending.is_empty() {
                self.fail(place);
            }
        }
    }
}
