//! The version of a hot key: no read misses an acknowledged write.

use crate::cell::Cell;
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

/// A copy as the mailbox brings it: the version it was made at, and the value.
type Mail = Mutex<Option<(u64, u64)>>;

/// An owner that writes 1 and 2, acknowledging each, and a reader that begins with a copy of 0. `steps` is the order
/// in which the owner publishes and acknowledges.
fn play(acknowledge_first: bool) {
    let (cell, mail) = (Arc::new(Cell::default()), Arc::new(Mail::default()));
    let acknowledged = Arc::new(AtomicU64::new(0));
    let owner = {
        let (cell, mail, acknowledged) = (Arc::clone(&cell), Arc::clone(&mail), Arc::clone(&acknowledged));
        thread::spawn(move || {
            for value in 1..=2 {
                if acknowledge_first {
                    acknowledged.store(value, Ordering::Release);
                }
                let version = cell.advance();
                *mail.lock().unwrap() = Some((version, value));
                if !acknowledge_first {
                    // Whatever carries the reply orders as much as this: a socket's lock, a mailbox.
                    acknowledged.store(value, Ordering::Release);
                }
            }
        })
    };
    let mut copy = (1, 0);
    for _ in 0..2 {
        let heard_of = acknowledged.load(Ordering::Acquire);
        if copy.0 == cell.version() {
            assert!(copy.1 >= heard_of, "{copy:?} answers a read behind write {heard_of}");
        }
        copy = mail.lock().unwrap().take().unwrap_or(copy);
    }
    owner.join().unwrap();
}

#[test]
fn no_read_misses_an_acknowledged_write() {
    loom::model(|| play(false));
}

/// The canary: what must not be done is noticed.
#[test]
#[should_panic(expected = "answers a read behind write")]
fn a_reply_ahead_of_the_version_is_noticed() {
    loom::model(|| play(true));
}

/// Once retired, no copy is current, whoever heard of it how.
#[test]
fn a_retired_cell_has_no_copies() {
    loom::model(|| {
        let (cell, told) = (Arc::new(Cell::default()), Arc::new(AtomicBool::new(false)));
        let owner = {
            let (cell, told) = (Arc::clone(&cell), Arc::clone(&told));
            thread::spawn(move || {
                cell.advance();
                cell.retire();
                told.store(true, Ordering::Release);
            })
        };
        let told = told.load(Ordering::Acquire);
        assert!(!told || cell.version() > 2, "no copy was made at it");
        owner.join().unwrap();
    });
}

/// A write over a link of one core, beside a core that reads over its own and keeps a copy. The server is what both links
/// lead to. `holds`: the write is counted while it is under way.
fn write_elsewhere(holds: bool) {
    let (cell, server) = (Arc::new(Cell::shared(0)), Arc::new(Mutex::new(0)));
    let acknowledged = Arc::new(AtomicU64::new(0));
    let writer = {
        let (cell, server, acknowledged) = (Arc::clone(&cell), Arc::clone(&server), Arc::clone(&acknowledged));
        thread::spawn(move || {
            if holds { cell.begin_write() } else { cell.invalidate() }
            *server.lock().unwrap() = 1;
            if holds {
                cell.end_write();
            }
            acknowledged.store(1, Ordering::Release);
        })
    };
    let version = cell.settled();
    let value = *server.lock().unwrap();
    let copy = version.filter(|version| *version == cell.version());
    let heard_of = acknowledged.load(Ordering::Acquire);
    eprintln!("{copy:?} {value} {heard_of} {holds}");
    if copy.is_some_and(|version| version == cell.version()) {
        assert!(value >= heard_of, "a copy of {value} answers a read behind write {heard_of}");
    }
    writer.join().unwrap();
}

#[test]
fn no_copy_misses_an_acknowledged_write_to_a_server() {
    loom::model(|| write_elsewhere(true));
}

/// The canary: to move the version only as the write begins is not enough.
#[test]
#[should_panic(expected = "answers a read behind write")]
fn a_write_that_nobody_counts_is_noticed() {
    loom::model(|| write_elsewhere(false));
}
