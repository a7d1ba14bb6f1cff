//! The ring: operations go in, one `enter` a turn, completions come out.

use super::buffers::{self, Buffers, Chunk};
use super::completion::{Completion, Operation, Payload, accepted, is_transient, outcome};
use super::config::{Armed, Features, RingConfig, SendOptions, Wait};
use super::connects::Connects;
use super::error::RingError;
use super::kernel::{self, Enter};
use super::sends::Sends;
use super::setup::{self, Setup};
use io_uring::squeue::Flags;
use io_uring::types::{CancelBuilder, Fd, FsyncFlags};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue};
use socket2::SockAddr;
use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::ops::Range;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Ends a wait that has a minimum but no maximum: without any, the kernel would return empty-handed after the minimum.
const WAIT_MAX: Duration = Duration::from_secs(3600);
/// How often, and how long each time, a dropped ring waits for the kernel to let go of its memory.
const DRAIN_TURNS: u32 = 50;
const DRAIN_TURN: Duration = Duration::from_millis(5);

/// One thread's io_uring, with its receive buffers. Never leaves the thread that made it.
///
/// A turn is: queue operations, `enter`, then `next` until `None`. Descriptors are looked up by the kernel when `enter`
/// submits, in the order of the calls, so a descriptor must stay open until then: close it with [`Ring::close`].
pub struct Ring {
    io: IoUring,
    registered: Option<RawFd>,
    features: Features,
    buffers: Buffers,
    sends: Sends,
    connects: Connects,
    /// Receives whose last completion is still to come: the kernel may write to the buffers for them.
    receives: usize,
    /// Entries that found the submission queue full even after a flush; always older than those queued later.
    backlog: VecDeque<squeue::Entry>,
    /// This turn's completions, copied out at once so that the queue's head moves once.
    turn: Vec<cqueue::Entry>,
    turn_at: usize,
    enters: u64,
    /// Neither `Send` nor `Sync`: the kernel insists on one submitter.
    not_send: PhantomData<*mut ()>,
}

impl Ring {
    pub fn new(config: &RingConfig) -> Result<Ring, RingError> {
        let Setup { io, registered, mut features, incremental } = setup::build(config)?;
        let incremental = config.incremental && incremental;
        let buffers = Buffers::new(&io, config.buffers, config.buffer_bytes, incremental).inspect_err(|_| {
            unregister(&io, registered);
        })?;
        features.incremental = buffers.incremental();
        let turn = Vec::with_capacity(io.params().cq_entries() as usize);
        Ok(Ring {
            io,
            registered,
            features,
            buffers,
            sends: Sends::default(),
            connects: Connects::default(),
            receives: 0,
            backlog: VecDeque::new(),
            turn,
            turn_at: 0,
            enters: 0,
            not_send: PhantomData,
        })
    }

    pub fn features(&self) -> Features {
        self.features
    }

    /// The descriptor that another thread's ring gives to `wake`. Valid while this ring lives.
    pub fn fd(&self) -> RawFd {
        self.io.as_raw_fd()
    }

    /// System calls made by this ring so far.
    pub fn enters(&self) -> u64 {
        self.enters
    }

    /// Sends whose payload has not come back.
    pub fn in_flight_sends(&self) -> usize {
        self.sends.in_flight()
    }

    /// Accepts connections until an [`Completion::Accepted`] says that it is no longer armed.
    pub fn accept(&mut self, fd: RawFd, token: u64) {
        let entry = opcode::AcceptMulti::new(Fd(fd)).flags(libc::SOCK_CLOEXEC).build();
        // SAFETY: a multishot accept points at no memory.
        unsafe { self.push(entry.user_data(Operation::Accept.user_data(token))) };
    }

    /// Receives until a [`Completion::Received`] says that it is no longer armed.
    pub fn receive(&mut self, fd: RawFd, token: u64) {
        let entry = opcode::RecvMulti::new(Fd(fd), buffers::GROUP).build();
        let entry = entry.user_data(Operation::Receive.user_data(token));
        self.receives += 1;
        // SAFETY: the entry names the buffer group, whose memory stays mapped while `receives` is not 0.
        unsafe { self.push(entry) };
    }

    /// Sends the range of the payload, and owns it until [`Completion::Sent`] returns it; of a shared one sent without a
    /// copy it keeps a share longer, until the peer has acknowledged it. Several sends on one socket at a time may
    /// interleave; a server keeps one in flight.
    ///
    /// # Panics
    /// If the range does not lie in the payload.
    pub fn send(&mut self, fd: RawFd, token: u64, payload: Payload, range: Range<usize>, options: SendOptions) {
        let send = self.sends.start(token, payload, range);
        // WAITALL: the kernel goes on after a short write, instead of a completion and a new send for each part.
        let zero_copy = options.zero_copy && self.features.send_zero_copy;
        // What is held back for more is not acknowledged, and for bytes with one owner more comes only after that.
        let more = options.more && !zero_copy;
        let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL | if more { libc::MSG_MORE } else { 0 };
        let entry = if zero_copy {
            opcode::SendZc::new(Fd(fd), send.start, send.bytes).flags(flags).build()
        } else {
            opcode::Send::new(Fd(fd), send.start, send.bytes).flags(flags).build()
        };
        // SAFETY: the entry points into a payload that `sends` keeps, unmoved and unchanged, until the completion that
        // the kernel posts when it needs it no more (for a zero-copy send, the notification).
        unsafe { self.push(entry.user_data(Operation::Send.user_data(u64::from(send.index)))) };
    }

    /// Connects a socket. It may be shut down or closed meanwhile; [`Completion::Connected`] comes in any case.
    pub fn connect(&mut self, fd: RawFd, token: u64, address: SockAddr) {
        let (index, start, bytes) = self.connects.start(token, address);
        let entry = opcode::Connect::new(Fd(fd), start, bytes).build();
        // SAFETY: the entry points at an address that `connects` keeps, unmoved, until the completion.
        unsafe { self.push(entry.user_data(Operation::Connect.user_data(u64::from(index)))) };
    }

    /// Ends the connects of a token: each completes, with `ECANCELED` unless it was done.
    pub fn cancel_connect(&mut self, token: u64) {
        if let Some(index) = self.connects.row_of(token) {
            let target = CancelBuilder::user_data(Operation::Connect.user_data(u64::from(index)));
            // SAFETY: a cancellation points at no memory.
            unsafe { self.push_quiet(opcode::AsyncCancel2::new(target).build()) };
        }
    }

    /// Ends what was armed with this token. Its last completion is still delivered, not armed, with `ECANCELED` unless
    /// it ended by itself in the meantime.
    pub fn cancel(&mut self, what: Armed, token: u64) {
        let target = CancelBuilder::user_data(Operation::from(what).user_data(token)).all();
        // SAFETY: a cancellation points at no memory.
        unsafe { self.push_quiet(opcode::AsyncCancel2::new(target).build()) };
    }

    /// Closes behind everything queued before, without waiting for it. Operations in flight keep the socket itself
    /// alive: cancel the receive, or shut the socket down, if the peer is to notice.
    pub fn close(&mut self, fd: OwnedFd) {
        // SAFETY: a close points at no memory; the descriptor was given away by its owner.
        unsafe { self.push_quiet(opcode::Close::new(Fd(fd.into_raw_fd())).build()) };
    }

    /// Reports each time that the descriptor becomes readable, until a [`Completion::Readable`] says that it is no
    /// longer armed. For a socket, an eventfd or a pipe that is read by other means.
    pub fn poll(&mut self, fd: RawFd, token: u64) {
        let entry = opcode::PollAdd::new(Fd(fd), libc::POLLIN as u32).multi(true).build();
        // SAFETY: a poll points at no memory.
        unsafe { self.push(entry.user_data(Operation::Poll.user_data(token))) };
    }

    /// Brings what was written to a file to stable storage, as fdatasync does; its length and its blocks too. The
    /// descriptor must stay open until [`Completion::Synced`].
    pub fn sync(&mut self, fd: RawFd, token: u64) {
        let entry = opcode::Fsync::new(Fd(fd)).flags(FsyncFlags::DATASYNC).build();
        // SAFETY: a sync points at no memory.
        unsafe { self.push(entry.user_data(Operation::Sync.user_data(token))) };
    }

    /// Ends the wait of another thread's ring: it gets one [`Completion::Woken`]. Without effect if that ring is gone;
    /// [`Completion::NotWoken`] if it is there and cannot be told.
    pub fn wake(&mut self, ring_fd: RawFd) {
        let woken = Operation::Woken.user_data(0);
        let wake = Operation::Wake.user_data(u64::from(ring_fd as u32));
        // SAFETY: a message of two numbers points at no memory.
        unsafe { self.push_silent(opcode::MsgRingData::new(Fd(ring_fd), 0, woken, None).build(), wake) };
    }

    /// Submits everything queued and waits, in one system call. Does not wait while completions are left to take.
    pub fn enter(&mut self, wait: Wait) -> io::Result<()> {
        self.buffers.publish();
        self.drain_backlog();
        if self.turn_at == self.turn.len() {
            self.end_turn();
        }
        let submission = self.io.submission();
        let (queued, overflow) = (submission.len() as u32, submission.cq_overflow());
        let asleep = self.features.sqpoll && submission.need_wakeup();
        drop(submission);
        let ready = !self.turn.is_empty() || overflow || !self.io.completion().is_empty();
        let wait = if ready { Wait::default() } else { wait };
        if self.features.sqpoll && !asleep && !overflow && wait.completions == 0 {
            return Ok(());
        }
        // GETEVENTS even without a wait: deferred task work and overflown completions move only under it.
        let mut flags = EnterFlags::GETEVENTS;
        flags.set(EnterFlags::SQ_WAKEUP, asleep);
        let linger = self.features.min_wait && wait.min_wait_us > 0 && wait.completions > 1;
        let call = Enter {
            submit: queued,
            wait: if linger { wait.completions } else { wait.completions.min(1) },
            flags,
            min_wait_us: if linger { wait.min_wait_us } else { 0 },
            timeout: if linger { Some(wait.timeout.unwrap_or(WAIT_MAX)) } else { wait.timeout },
        };
        match self.call(&call) {
            Err(error) if !passing(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes this turn's completions one by one. `None` ends the turn; what arrives meanwhile belongs to the next.
    #[inline]
    #[allow(clippy::should_implement_trait)] // an iterator would keep the ring borrowed while completions are handled
    pub fn next(&mut self) -> Option<Completion> {
        loop {
            let Some(entry) = self.turn.get(self.turn_at) else {
                if self.turn_at > 0 {
                    self.end_turn();
                    return None;
                }
                self.turn.extend(self.io.completion());
                if self.turn.is_empty() {
                    return None;
                }
                continue;
            };
            let (user_data, result, flags) = (entry.user_data(), entry.result(), entry.flags());
            self.turn_at += 1;
            if let Some(completion) = self.complete(user_data, result, flags) {
                return Some(completion);
            }
        }
    }

    /// The received bytes. Borrows the ring, so that the chunk cannot be recycled meanwhile.
    ///
    /// # Panics
    /// If the chunk is another ring's.
    #[inline]
    pub fn bytes(&self, chunk: &Chunk) -> &[u8] {
        self.buffers.bytes(chunk)
    }

    /// Gives the chunk's memory back; the kernel learns of it in the next `enter`.
    ///
    /// # Panics
    /// If the chunk is another ring's.
    #[inline]
    pub fn recycle(&mut self, chunk: Chunk) {
        self.buffers.recycle(chunk);
    }

    fn end_turn(&mut self) {
        self.turn.clear();
        self.turn_at = 0;
    }

    #[inline]
    fn complete(&mut self, user_data: u64, result: i32, flags: u32) -> Option<Completion> {
        let armed = cqueue::more(flags);
        let (operation, token) = Operation::parse(user_data);
        Some(match operation {
            Operation::Receive => Completion::Received { token, result: self.received(result, flags), armed },
            Operation::Send => {
                let send = self.sends.complete(token as u32, result, flags)?;
                Completion::Sent { token: send.token, payload: send.payload, result: outcome(send.result) }
            }
            Operation::Connect => {
                let token = self.connects.complete(token as u32);
                Completion::Connected { token, result: outcome(result).map(drop) }
            }
            Operation::Accept => Completion::Accepted { token, result: accepted(result), armed },
            Operation::Poll => Completion::Readable { token, result: outcome(result).map(drop), armed },
            Operation::Sync => Completion::Synced { token, result: outcome(result).map(drop) },
            Operation::Woken => Completion::Woken,
            Operation::Wake if is_transient(result) => Completion::NotWoken { ring_fd: token as RawFd },
            Operation::Wake | Operation::Quiet => return None,
        })
    }

    #[inline]
    fn received(&mut self, result: i32, flags: u32) -> io::Result<Option<Chunk>> {
        if !cqueue::more(flags) {
            self.receives -= 1;
        }
        match outcome(result) {
            Ok(bytes @ 1..) => Ok(Some(self.buffers.take(flags, bytes as u32))),
            nothing => {
                self.buffers.untouched(flags);
                nothing.map(|_| None)
            }
        }
    }

    /// Queues an operation that reports nothing: success posts no completion, failure one that `next` swallows.
    ///
    /// # Safety
    /// As for `push`.
    unsafe fn push_quiet(&mut self, entry: squeue::Entry) {
        // SAFETY: the caller's promise.
        unsafe { self.push_silent(entry, Operation::Quiet.user_data(0)) };
    }

    /// Queues an operation whose success posts no completion.
    ///
    /// # Safety
    /// As for `push`.
    unsafe fn push_silent(&mut self, entry: squeue::Entry, user_data: u64) {
        // SAFETY: the caller's promise.
        unsafe { self.push(entry.flags(Flags::SKIP_SUCCESS).user_data(user_data)) };
    }

    /// Queues an entry, behind all queued before. A full queue is flushed, which costs a system call.
    ///
    /// # Safety
    /// Memory that the entry points at must stay valid until its last completion, or until `Ring::drop` has drained.
    unsafe fn push(&mut self, entry: squeue::Entry) {
        // SAFETY: the caller's promise.
        if self.backlog.is_empty() && unsafe { self.io.submission().push(&entry) }.is_ok() {
            return;
        }
        self.backlog.push_back(entry);
        self.flush();
        self.drain_backlog();
    }

    /// Moves the backlog to the submission queue, as far as it has room. Entries keep the promise made in `push`.
    fn drain_backlog(&mut self) {
        while let Some(entry) = self.backlog.front() {
            // SAFETY: promised when the entry was pushed.
            if unsafe { self.io.submission().push(entry) }.is_err() {
                return;
            }
            self.backlog.pop_front();
        }
    }

    /// Submits without waiting. A failure leaves the entries queued: the next `enter` tries again and reports it.
    fn flush(&mut self) {
        let flags =
            if self.features.sqpoll { EnterFlags::SQ_WAKEUP | EnterFlags::SQ_WAIT } else { EnterFlags::empty() };
        let submit = self.io.submission().len() as u32;
        let _ = self.call(&Enter { submit, wait: 0, flags, min_wait_us: 0, timeout: None });
    }

    fn call(&mut self, call: &Enter) -> io::Result<()> {
        self.enters += 1;
        match self.registered {
            Some(index) => {
                let flags = call.flags | EnterFlags::REGISTERED_RING;
                kernel::enter(index, &Enter { flags, ..*call })
            }
            None => kernel::enter(self.io.as_raw_fd(), call),
        }
    }

    fn quiet(&self) -> bool {
        self.receives == 0 && self.sends.in_flight() == 0 && self.connects.in_flight() == 0
    }
}

impl Drop for Ring {
    /// Cancels, waits a little, and leaks what the kernel still holds: see `mod.rs`.
    fn drop(&mut self) {
        // SAFETY: a cancellation points at no memory.
        unsafe { self.push_quiet(opcode::AsyncCancel2::new(CancelBuilder::any()).build()) };
        let mut wait = Wait::default();
        for _ in 0..DRAIN_TURNS {
            let entered = self.enter(wait);
            // Dropping them closes accepted descriptors and frees payloads.
            while self.next().is_some() {}
            if self.quiet() || entered.is_err() {
                break;
            }
            wait = Wait { completions: 1, min_wait_us: 0, timeout: Some(DRAIN_TURN) };
        }
        if self.sends.in_flight() > 0 {
            std::mem::forget(std::mem::take(&mut self.sends));
        }
        if self.connects.in_flight() > 0 {
            std::mem::forget(std::mem::take(&mut self.connects));
        }
        if self.receives > 0 {
            self.buffers.leak();
        }
        unregister(&self.io, self.registered);
    }
}

/// Errors of an enter that the next turn repairs: interrupted, timed out, or short of room for completions or memory.
fn passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::ETIME | libc::EBUSY | libc::EAGAIN))
}

fn unregister(io: &IoUring, registered: Option<RawFd>) {
    if let Some(index) = registered {
        // Fails only for an index that is not registered, and this one is, once.
        let _ = kernel::unregister_ring(io.as_raw_fd(), index);
    }
}
