//! Mailboxes: how cores hand each other letters and connections.
//!
//! One bounded crossbeam channel a core. A core that is about to sleep says so; whoever then puts something into
//! its mailbox wakes it through its own ring's next submission, so that a letter costs no system call of its own. A
//! busy core is never woken: it looks into its mailbox each turn.

use super::doorbell::Doorbell;
use crate::engine::Batch;
use crate::types::CoreId;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::os::fd::{OwnedFd, RawFd};
use std::sync::Arc;

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

/// One core's mailbox, and the way into those of the others.
pub struct Mailbox {
    own: CoreId,
    inbox: Receiver<Mail>,
    others: Vec<Sender<Mail>>,
    doorbells: Arc<[Doorbell]>,
}

/// A mailbox for each core, each holding up to `capacity` batches or connections.
pub fn mailboxes(cores: usize, capacity: usize) -> Vec<Mailbox> {
    let doorbells: Arc<[Doorbell]> = (0..cores).map(|_| Doorbell::default()).collect();
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
        self.doorbells[self.own.index()].attach(ring);
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
        Ok(self.doorbells[to.index()].press())
    }

    /// Says that this core is about to sleep. False: there is mail, so it must not.
    #[inline]
    pub fn lie_down(&self) -> bool {
        self.doorbells[self.own.index()].lie_down(|| self.inbox.is_empty())
    }

    /// Says that this core is awake.
    #[inline]
    pub fn get_up(&self) {
        self.doorbells[self.own.index()].get_up();
    }
}
