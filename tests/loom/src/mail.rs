//! The doorbell: no core sleeps while it has mail.

use crate::doorbell::Doorbell;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Notify};
use loom::thread;
use std::os::fd::RawFd;

const RING: RawFd = 7;

/// One core's doorbell, its mail as a count, and what stands for its ring: something that one can wait for. The count
/// orders less than the channel does that it stands for, so what holds here holds there.
struct Core {
    doorbell: Doorbell,
    mail: AtomicUsize,
    ring: Notify,
}

impl Core {
    fn new() -> Arc<Core> {
        let core = Core { doorbell: Doorbell::default(), mail: AtomicUsize::new(0), ring: Notify::new() };
        core.doorbell.attach(RING);
        Arc::new(core)
    }

    /// As a worker's turns: sleeps unless there is mail, until all letters are taken.
    fn take(&self, letters: usize) {
        let mut taken = 0;
        while taken < letters {
            if self.doorbell.lie_down(|| self.mail.load(Ordering::Relaxed) == taken) {
                self.ring.wait();
            }
            self.doorbell.get_up();
            taken = self.mail.load(Ordering::Relaxed);
        }
    }

    fn put(&self) {
        self.mail.fetch_add(1, Ordering::Relaxed);
        if let Some(ring) = self.doorbell.press() {
            assert_eq!(ring, RING);
            self.ring.notify();
        }
    }
}

/// Every interleaving of loops takes minutes; those of up to two interruptions take seconds.
fn interrupted_twice(play: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(play);
}

/// One letter, and one core that is about to sleep. `look_first`: the sender looks whether it sleeps too early.
fn play(look_first: bool) {
    let core = Core::new();
    let sender = {
        let core = Arc::clone(&core);
        thread::spawn(move || {
            let early = look_first.then(|| core.doorbell.press()).flatten();
            core.mail.fetch_add(1, Ordering::Relaxed);
            if look_first { early } else { core.doorbell.press() }
        })
    };
    let sleeps = core.doorbell.lie_down(|| core.mail.load(Ordering::Relaxed) == 0);
    let rung = sender.join().unwrap();
    assert!(!sleeps || rung == Some(RING), "a letter is slept through");
}

#[test]
fn no_letter_is_slept_through() {
    loom::model(|| play(false));
}

/// The canary: what must not be done is noticed.
#[test]
#[should_panic(expected = "a letter is slept through")]
fn a_look_ahead_of_the_letter_is_noticed() {
    loom::model(|| play(true));
}

/// One sender, two letters: the core may sleep before, between and behind them. Loom reports a sleep without end.
#[test]
fn no_letter_of_two_is_slept_through() {
    interrupted_twice(|| {
        let core = Core::new();
        let sender = {
            let core = Arc::clone(&core);
            thread::spawn(move || (0..2).for_each(|_| core.put()))
        };
        core.take(2);
        sender.join().unwrap();
    });
}

/// Two senders at the same time: one of them wakes the core, and no letter is left.
#[test]
fn two_senders_wake_the_core() {
    interrupted_twice(|| {
        let core = Core::new();
        let senders = [0, 1].map(|_| {
            let core = Arc::clone(&core);
            thread::spawn(move || core.put())
        });
        core.take(2);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

/// A core that sleeps is woken by one sender and not by each: a wake-up costs the sleeper a turn.
#[test]
fn one_of_two_senders_wakes() {
    loom::model(|| {
        let core = Core::new();
        assert!(core.doorbell.lie_down(|| true));
        let other = {
            let core = Arc::clone(&core);
            thread::spawn(move || core.doorbell.press().is_some())
        };
        let own = core.doorbell.press().is_some();
        assert!(own != other.join().unwrap());
    });
}
