//! Mailboxes: how cores hand each other letters and connections.
//!
//! One bounded crossbeam channel a core. A core that is about to sleep says so; whoever then puts something into
//! its mailbox wakes it through its own ring's next submission, so that a letter costs no system call of its own. A
//! busy core is never woken: it looks into its mailbox each turn.

use crate::engine::Batch;
use crate::types::CoreId;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::os::fd::{OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering, fence};

/// Something for a core.
pub enum Mail {
    Letters {
        from: CoreId,
        batch: Box<Batch>,
    },
    /// A connection that was accepted elsewhere and belongs to this core.
    Connection {
        socket: OwnedFd,
    },
}

/// Whether a core sleeps, and the ring that wakes it. Alone on its cache line: others read it with each letter.
#[repr(align(128))]
struct Doorbell {
    asleep: AtomicBool,
    ring: AtomicI32,
}

const NO_RING: RawFd = -1;

/// One core's mailbox, and the way into those of the others.
pub struct Mailbox {
    own: CoreId,
    inbox: Receiver<Mail>,
    others: Vec<Sender<Mail>>,
    doorbells: Arc<[Doorbell]>,
}

/// A mailbox for each core, each holding up to `capacity` batches or connections.
pub fn mailboxes(cores: usize, capacity: usize) -> Vec<Mailbox> {
    let doorbells: Arc<[Doorbell]> =
        (0..cores).map(|_| Doorbell { asleep: AtomicBool::new(false), ring: AtomicI32::new(NO_RING) }).collect();
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..cores).map(|_| bounded(capacity)).unzip();
    let build = |(core, inbox)| Mailbox {
        own: CoreId(core as u16),
        inbox,
        others: senders.clone(),
        doorbells: Arc::clone(&doorbells),
    };
    receivers.into_iter().enumerate().map(build).collect()
}

impl Mailbox {
    pub fn core(&self) -> CoreId {
        self.own
    }

    pub fn cores(&self) -> usize {
        self.others.len()
    }

    /// Names the ring that wakes this core.
    pub fn attach(&self, ring: RawFd) {
        self.doorbells[self.own.index()].ring.store(ring, Ordering::Release);
    }

    /// Number of things that wait; a turn takes so many, so that mail cannot starve the ring.
    #[inline]
    pub fn waiting(&self) -> usize {
        self.inbox.len()
    }

    #[inline]
    pub fn take(&self) -> Option<Mail> {
        self.inbox.try_recv().ok()
    }

    /// Puts mail into another core's box. `Ok(Some(ring))`: that core sleeps, wake it through this ring. A full box,
    /// or one whose core has ended, gives the mail back.
    pub fn put(&self, to: CoreId, mail: Mail) -> Result<Option<RawFd>, Mail> {
        match self.others[to.index()].try_send(mail) {
            Ok(()) => {}
            Err(TrySendError::Full(mail) | TrySendError::Disconnected(mail)) => return Err(mail),
        }
        // Pairs with the fence in `lie_down`: either this load sees the sleeper, or the sleeper sees the mail.
        fence(Ordering::SeqCst);
        let doorbell = &self.doorbells[to.index()];
        if doorbell.asleep.load(Ordering::Relaxed) && doorbell.asleep.swap(false, Ordering::AcqRel) {
            let ring = doorbell.ring.load(Ordering::Acquire);
            return Ok((ring != NO_RING).then_some(ring));
        }
        Ok(None)
    }

    /// Says that this core is about to sleep. False: there is mail, so it must not.
    #[inline]
    pub fn lie_down(&self) -> bool {
        let doorbell = &self.doorbells[self.own.index()];
        doorbell.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.inbox.is_empty() {
            return true;
        }
        doorbell.asleep.store(false, Ordering::Relaxed);
        false
    }

    /// Says that this core is awake.
    #[inline]
    pub fn get_up(&self) {
        self.doorbells[self.own.index()].asleep.store(false, Ordering::Relaxed);
    }
}
