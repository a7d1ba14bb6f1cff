//! The ledger: who subscribed and was told so is told every message from then on, and counts come out even.

use crate::ledger::{Interest, Ledger};
use crate::types::CoreId;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

const PUBLISHER: CoreId = CoreId(0);
const LISTENER: CoreId = CoreId(1);

/// A SUBSCRIBE on one core, and a PUBLISH on another by somebody who has heard of its confirmation: through a socket or
/// a letter, which order as much as a flag does. Answers whether every such PUBLISH saw the listener.
fn play(confirm_first: bool) {
    let (ledger, confirmed) = (Arc::new(Ledger::new(2)), Arc::new(AtomicBool::new(false)));
    let listener = {
        let (ledger, confirmed) = (Arc::clone(&ledger), Arc::clone(&confirmed));
        thread::spawn(move || {
            if confirm_first {
                confirmed.store(true, Ordering::Release);
            }
            ledger.set_interest(LISTENER, Interest::Messages, true);
            if !confirm_first {
                confirmed.store(true, Ordering::Release);
            }
        })
    };
    let heard_of = confirmed.load(Ordering::Acquire);
    // As PUBLISH does: one look at the sum, and only then at the cores.
    let told = ledger.anyone_has(Interest::Messages) && ledger.has_interest(LISTENER, Interest::Messages);
    assert!(told || !heard_of, "a confirmed listener is not told");
    listener.join().unwrap();
}

#[test]
fn no_confirmed_listener_is_missed() {
    loom::model(|| play(false));
}

/// The canary: the confirmation leaves ahead of the byte.
#[test]
#[should_panic(expected = "a confirmed listener is not told")]
fn a_confirmation_ahead_of_the_byte_is_noticed() {
    loom::model(|| play(true));
}

/// Somebody else who stops listening at the same time hides nobody, and the sum comes out even.
#[test]
fn one_who_leaves_hides_nobody() {
    loom::model(|| {
        let ledger = Arc::new(Ledger::new(2));
        ledger.set_interest(PUBLISHER, Interest::Messages, true);
        let listener = {
            let ledger = Arc::clone(&ledger);
            thread::spawn(move || {
                ledger.set_interest(LISTENER, Interest::Messages, true);
                assert!(ledger.anyone_has(Interest::Messages), "its own interest counts");
                ledger.set_interest(LISTENER, Interest::Requests, true);
            })
        };
        ledger.set_interest(PUBLISHER, Interest::Messages, false);
        let seen = ledger.anyone_has(Interest::Messages);
        assert!(!seen || ledger.has_interest(LISTENER, Interest::Messages), "the sum is never ahead of the byte");
        listener.join().unwrap();
        for interest in [Interest::Messages, Interest::Requests] {
            assert!(ledger.anyone_has(interest) && ledger.has_interest(LISTENER, interest));
            assert!(!ledger.has_interest(PUBLISHER, interest));
        }
    });
}

/// Two cores with two tracked keys each and three allowed: together they take out the one that is too many.
#[test]
fn claims_take_no_more_than_there_is() {
    loom::model(|| {
        let ledger = Arc::new(Ledger::new(2));
        let play = |ledger: &Ledger| {
            ledger.count_tracked(0, 2);
            usize::from(ledger.claim_tracked_above(3))
        };
        let other = {
            let ledger = Arc::clone(&ledger);
            thread::spawn(move || play(&ledger))
        };
        let own = play(&ledger);
        assert_eq!(own + other.join().unwrap(), 1);
    });
}
