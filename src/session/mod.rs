//! Owns: one client connection as a protocol peer: what it sent, what it is owed, how it wants to be answered.
//! Knows: bytes held back, replies in request order, protocol version, name, idle time.
//! Must never know: sockets, which core owns a key, what a command does.
//! Read first: `queue.rs` (replies in order), then this file's `Session`.

mod multi;
mod order;
mod queue;
mod subscriptions;
mod tracker;
mod watched;

pub use multi::{Multi, Queued};
pub use order::Order;
pub use queue::{Fill, ReplyQueue};
pub use subscriptions::{ChannelKind, Subscriptions};
pub use tracker::Tracker;
pub use watched::Watched;

use crate::protocol::resp::{Input, Output, Proto, Reply};
use crate::types::{KeyHash, Now};

/// What may be lost, and waits for the end of a reply.
const ASIDE_BYTES_MAX: usize = 64 * 1024;
/// What a name that a client listens to, or a key that it watches, takes besides its own bytes, here and in the tables in
/// which it is found.
const ROW_BYTES: usize = 96;

/// Whether replies reach the client (CLIENT REPLY).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ReplyMode {
    #[default]
    On,
    Off,
    /// The next command's reply is dropped, then the mode is `On`.
    SkipNext,
    /// The reply of the command that runs now is dropped.
    Skip,
}

/// What CLIENT LIST shows and no hot path touches.
#[derive(Debug, Default)]
pub struct Profile {
    pub name: Vec<u8>,
    pub library_name: Vec<u8>,
    pub library_version: Vec<u8>,
    pub peer: String,
    pub local: String,
    pub opened: Now,
    pub no_evict: bool,
    pub no_touch: bool,
    /// What it takes, as it was last counted.
    pub counted_bytes: u64,
}

/// A place in what a session has encoded.
#[derive(Clone, Copy)]
pub struct Mark {
    ready: usize,
    stashed: usize,
}

/// One client connection. `G` is what the engine gathers for a reply that has several parts.
pub struct Session<G> {
    /// Unique in the process, never used again.
    pub id: u64,
    pub input: Input,
    /// Ready to be sent, in request order.
    pub output: Output,
    pub queue: ReplyQueue<G>,
    pub order: Order,
    pub proto: Proto,
    pub authenticated: bool,
    /// Operations on one key run without a further look at the client: see [`Session::review`].
    pub plain: bool,
    pub reply_mode: ReplyMode,
    /// Set between MULTI and EXEC.
    pub multi: Option<Box<Multi>>,
    /// The keys that it watches.
    pub watched: Watched,
    /// The transaction that it waits for; nothing else of it runs meanwhile.
    pub transaction: Option<u32>,
    /// Set once the connection ends after what it is owed: QUIT, a protocol error, the peer's end of stream.
    pub closing: bool,
    /// The connection is lost, and a transaction of it still runs.
    pub gone: bool,
    /// The peer sends no more; once no request waits, `closing`.
    pub ended: bool,
    /// The shell was told to close.
    pub close_requested: bool,
    /// The shell was told that output is ready and has not fetched it yet.
    pub announced: bool,
    /// Ready output waits for replies that are still awaited.
    pub held: bool,
    /// It is counted among those that await replies.
    pub awaits: bool,
    /// The shell was told to stop receiving.
    pub paused: bool,
    /// Requests wait in `input` until the queue or the output has drained.
    pub stalled: bool,
    /// Stalled until the next turn only.
    pub waits_for_turn: bool,
    /// Its command waits for time to pass (WAIT), or blocks at a server; stalled meanwhile.
    pub parked: bool,
    /// Its CLIENT TRACKING waits for another core's word; stalled meanwhile.
    pub seeks: bool,
    /// Its requests may be for other servers.
    pub is_routed: bool,
    /// It has a connection of its own to a server, or is about to need one: each request is looked at by itself.
    pub is_tied: bool,
    /// What it has not asked for comes on that connection.
    pub hears: bool,
    /// So many links to servers have no room for what it asks; stalled meanwhile.
    pub congested: u32,
    /// Its keys may have another server than before: stalled until it has all replies.
    pub settles: bool,
    /// The server is not ready: keys are being loaded.
    pub server_loads: bool,
    /// It asked to be told when keys turn hot or cool.
    pub hears_heat: bool,
    /// CLIENT TRACKING, while it is on.
    pub tracker: Option<Box<Tracker>>,
    /// It did not read, and invalidations were not written: it is to be told to forget all keys once it reads.
    pub owes_forget: bool,
    /// It is shown all requests (MONITOR).
    pub monitors: bool,
    /// The channels that it listens to.
    pub subscriptions: Subscriptions,
    /// It is in the middle of a reply: a request of it takes several turns, or a program of it publishes something now.
    pub midway: bool,
    /// What nobody asked for and came in the middle of a reply, or of a transaction, whose replies may be one: it stands
    /// behind the end.
    pub aside: Output,
    /// Bytes that the shell has taken and not yet sent.
    pub sending_bytes: usize,
    /// Since when it has been past the soft limit of what it may leave unread; 0: it is not.
    pub deaf_since_us: u64,
    pub last_active_us: u64,
    pub last_command: &'static str,
    pub profile: Box<Profile>,
}

impl<G> Session<G> {
    pub fn new(id: u64, now: Now, profile: Profile, authenticated: bool) -> Session<G> {
        Session {
            id,
            input: Input::new(),
            output: Output::default(),
            queue: ReplyQueue::default(),
            order: Order::default(),
            proto: Proto::Resp2,
            authenticated,
            plain: authenticated,
            reply_mode: ReplyMode::On,
            multi: None,
            watched: Watched::default(),
            transaction: None,
            closing: false,
            gone: false,
            ended: false,
            close_requested: false,
            announced: false,
            held: false,
            awaits: false,
            paused: false,
            stalled: false,
            waits_for_turn: false,
            parked: false,
            seeks: false,
            is_routed: false,
            is_tied: false,
            hears: false,
            congested: 0,
            settles: false,
            server_loads: false,
            hears_heat: false,
            tracker: None,
            owes_forget: false,
            monitors: false,
            subscriptions: Subscriptions::default(),
            midway: false,
            aside: Output::default(),
            sending_bytes: 0,
            deaf_since_us: 0,
            last_active_us: now.mono_us,
            last_command: "NULL",
            profile: Box::new(profile),
        }
    }

    /// Whether the reply to the command that runs now is dropped.
    #[inline]
    pub fn is_muted(&self) -> bool {
        matches!(self.reply_mode, ReplyMode::Off | ReplyMode::Skip)
    }

    /// Encodes the reply to the command that runs now: straight into the output, or behind the replies that
    /// are still awaited.
    #[inline(always)]
    pub fn answer<R>(&mut self, encode: impl FnOnce(&mut Reply) -> R) -> R {
        let proto = self.proto;
        if self.is_muted() {
            return encode(&mut Reply { out: &mut Output::default(), proto });
        }
        if self.queue.is_empty() {
            return encode(&mut Reply { out: &mut self.output, proto });
        }
        self.queue.ready(|out| encode(&mut Reply { out, proto }))
    }

    /// Encodes a message that answers nothing, behind all that was asked so far; CLIENT REPLY does not mute it.
    pub fn push(&mut self, encode: impl FnOnce(&mut Reply)) {
        let proto = self.proto;
        if self.queue.is_empty() {
            return encode(&mut Reply { out: &mut self.output, proto });
        }
        self.queue.ready(|out| encode(&mut Reply { out, proto }));
    }

    /// Adds what nobody asked for, behind what was asked so far and never inside a reply.
    pub fn hand(&mut self, push: &Output) {
        let whole = 0..push.bytes.len();
        if self.is_midway() {
            return self.aside.append(push, whole);
        }
        self.push(|reply| reply.out.append(push, whole));
    }

    /// As [`Session::hand`], unless the client has so much to read already; false: it has.
    pub fn hand_within(&mut self, output_bytes_max: usize, encode: impl FnOnce(&mut Reply)) -> bool {
        let proto = self.proto;
        if self.is_midway() {
            let fits = self.aside.len_bytes() < ASIDE_BYTES_MAX;
            if fits {
                encode(&mut Reply { out: &mut self.aside, proto });
            }
            return fits;
        }
        let fits = self.output.len_bytes() + self.queue.stashed_bytes() <= output_bytes_max;
        if fits {
            self.push(encode);
        }
        fits
    }

    fn is_midway(&self) -> bool {
        self.midway || self.transaction.is_some()
    }

    /// Called at the end of a reply of many turns, or of a transaction: what was put aside stands behind it.
    pub fn push_aside(&mut self) {
        if !self.aside.is_empty() {
            let aside = std::mem::take(&mut self.aside);
            self.push(|reply| reply.out.append(&aside, 0..aside.bytes.len()));
        }
    }

    /// Where the next reply will be encoded.
    #[inline]
    pub fn mark(&self) -> Mark {
        Mark { ready: self.output.bytes.len(), stashed: self.queue.stash().len() }
    }

    /// What was encoded first since then, if that is an error. Of what was encoded both ways, the ready part came first.
    #[inline]
    pub fn error_since(&self, mark: Mark) -> Option<&[u8]> {
        let ready = self.output.bytes.get(mark.ready..).filter(|bytes| !bytes.is_empty());
        let first = ready.or_else(|| self.queue.stash().get(mark.stashed..));
        first.filter(|bytes| bytes.first() == Some(&b'-'))
    }

    /// Whether a copy may answer a request on this key: what the connection asked of it before has been answered.
    /// `epoch` is the number of the latest hot key installed on this core.
    #[inline]
    pub fn may_use_copy(&mut self, hash: KeyHash, epoch: u64) -> bool {
        self.order.is_past(epoch, self.queue.numbers()) && !self.order.awaits(hash)
    }

    /// Whether a request that went its own way past copies is unanswered.
    pub fn awaits_alone(&self) -> bool {
        self.order.awaits_alone(self.queue.numbers())
    }

    /// Letters that go past folds are on their way: no copy answers until what was asked so far has been answered.
    pub fn hold_copies(&mut self) {
        self.order.hold(self.queue.numbers().end);
    }

    /// A request went its own way to the server that has hot keys: no copy answers until it has been answered, and what
    /// follows may go that way as well.
    pub fn goes_alone(&mut self) {
        self.order.hold_behind_alone(self.queue.numbers().end);
    }

    /// Whether it may do little besides listening: it listens to channels and speaks RESP2, where a message looks like a
    /// reply.
    pub fn is_confined(&self) -> bool {
        self.proto == Proto::Resp2 && !self.subscriptions.is_empty()
    }

    /// Whether its operations on one key run without a further look at it, if they are not for other servers.
    pub fn may_operate(&self) -> bool {
        self.authenticated && self.multi.is_none() && !self.is_confined() && !self.server_loads
    }

    /// Works out [`Session::plain`], after whatever may have changed who the client is, what it listens to, or whether it
    /// queues for a transaction.
    pub fn review(&mut self) {
        self.plain = !self.is_routed && self.may_operate();
    }

    /// Ends the command: SKIP counts for one.
    #[inline]
    pub fn command_ends(&mut self) {
        match self.reply_mode {
            ReplyMode::On | ReplyMode::Off => {}
            ReplyMode::SkipNext => self.reply_mode = ReplyMode::Skip,
            ReplyMode::Skip => self.reply_mode = ReplyMode::On,
        }
    }

    /// Bytes that the client has not read, as far as is known here.
    pub fn unread_bytes(&self) -> u64 {
        let unsent = self.output.len_bytes() + self.queue.stashed_bytes() + self.aside.len_bytes();
        (unsent + self.sending_bytes) as u64
    }

    /// Bytes of its buffers.
    pub fn buffer_bytes(&self) -> usize {
        self.input.capacity_bytes() + self.output.bytes.capacity() + self.queue.stashed_bytes()
    }

    /// All that it takes: itself, its buffers, what it has queued, keys that it watches, and names that it listens to.
    pub fn memory_bytes(&self) -> usize {
        let own = size_of::<Self>() + size_of::<Profile>() + self.profile.name.len();
        let multi = self.multi.as_ref().map_or(0, |multi| multi.bytes());
        let prefixes = self.tracker.iter().flat_map(|tracker| &tracker.prefixes);
        let prefixes: usize = prefixes.map(|prefix| ROW_BYTES + prefix.len()).sum();
        let buffers = self.buffer_bytes() + self.sending_bytes + self.aside.len_bytes();
        own + buffers + multi + self.watched.bytes() + prefixes + self.subscriptions.bytes()
    }

    /// Back to a new connection's state (RESET); what is owed stays, and as in Redis 7.0 NO-EVICT does.
    pub fn reset(&mut self, authenticated: bool) {
        self.proto = Proto::Resp2;
        self.authenticated = authenticated;
        self.reply_mode = ReplyMode::On;
        self.hears_heat = false;
        self.multi = None;
        self.profile.name.clear();
        self.profile.no_touch = false;
    }

    /// Whether everything that was asked has been answered and handed to the shell.
    pub fn is_settled(&self) -> bool {
        self.queue.is_empty() && self.output.is_empty()
    }
}
