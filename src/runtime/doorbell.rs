//! Whether a core sleeps, and the ring that wakes it: how a letter and the sleep of the core that it is for do not miss
//! each other. Two steps on each side, and a fence between them: the sleeper says that it sleeps, then looks for mail;
//! the sender puts mail, then looks whether the other sleeps. So at least one of them sees the other.

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicI32, Ordering, fence};
use std::os::fd::RawFd;
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering, fence};

const NO_RING: RawFd = -1;

/// Alone on its cache lines: others read it with each letter.
#[repr(align(128))]
pub struct Doorbell {
    asleep: AtomicBool,
    ring: AtomicI32,
}

impl Default for Doorbell {
    fn default() -> Doorbell {
        Doorbell { asleep: AtomicBool::new(false), ring: AtomicI32::new(NO_RING) }
    }
}

impl Doorbell {
    /// Names the ring that wakes the core.
    pub fn attach(&self, ring: RawFd) {
        self.ring.store(ring, Ordering::Release);
    }

    /// For a sender that has put mail: the ring to wake if the core sleeps. Of senders at the same time one gets it.
    #[inline]
    pub fn press(&self) -> Option<RawFd> {
        // Pairs with the fence in `lie_down`.
        fence(Ordering::SeqCst);
        // An exchange that fails writes nothing, so who comes second does not touch what the sleeper may say next.
        let woken = self.asleep.load(Ordering::Relaxed)
            && self.asleep.compare_exchange(true, false, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let ring = if woken { self.ring.load(Ordering::Acquire) } else { NO_RING };
        (ring != NO_RING).then_some(ring)
    }

    /// The core is about to sleep. False: there is mail, so it must not.
    #[inline]
    pub fn lie_down(&self, is_empty: impl FnOnce() -> bool) -> bool {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if is_empty() {
            return true;
        }
        self.asleep.store(false, Ordering::Relaxed);
        false
    }

    /// The core is awake.
    #[inline]
    pub fn get_up(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }
}
