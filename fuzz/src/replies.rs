//! What a server answers to `coldplate bench`: counted in any pieces as in one, read as a tree, and read as a cluster.

use crate::pieces::{cut, expand};
use crate::wire::first;
use coldplate::load::answer::Answer;
use coldplate::load::cluster::Nodes;
use coldplate::load::endpoint::Endpoint;
use coldplate::load::reply::{Outcome, Replies};
use coldplate::types::{SLOTS, Slot};

/// The first byte cuts the rest.
pub fn replies(data: &[u8]) {
    let Some((&seed, stream)) = data.split_first() else { return };
    let stream = expand(stream);
    let whole = count(&[&stream]);
    assert_eq!(count(&cut(&stream, seed)), whole);
    if let Some(reply) = first(&stream).filter(|reply| !reply.contains(&b'>')) {
        let (seen, good) = count(&[reply]);
        let one = matches!(&seen[..], [(_, bytes)] if *bytes == reply.len() as u64);
        assert!(one || !good, "{seen:?} of {}", reply.escape_ascii());
    }
    read(&stream);
}

/// The replies with the bytes of each, and whether what followed was none.
fn count(pieces: &[&[u8]]) -> (Vec<(String, u64)>, bool) {
    let (mut replies, mut seen) = (Replies::default(), Vec::new());
    let mut each = |outcome: Outcome, bytes: u64| {
        let text = match outcome {
            Outcome::Value => "value".to_owned(),
            Outcome::Miss => "miss".to_owned(),
            Outcome::Error(text) => format!("error {}", text.escape_ascii()),
        };
        seen.push((text, bytes));
    };
    let good = pieces.iter().all(|piece| replies.feed(piece, &mut each).is_ok());
    (seen, good)
}

fn read(stream: &[u8]) {
    let Ok(Some((answer, taken))) = Answer::parse(stream) else { return };
    let wire = &stream[..taken];
    assert_eq!(Answer::parse(wire), Ok(Some((answer.clone(), taken))));
    for missing in [1, 2, 3, taken / 2, taken] {
        let short = &wire[..taken.saturating_sub(missing)];
        assert_eq!(Answer::parse(short), Ok(None), "{}", short.escape_ascii());
    }
    place(&answer);
}

/// Whatever CLUSTER SLOTS and MOVED say, each slot has a node that exists.
fn place(answer: &Answer) {
    let asked = Endpoint::Tcp("127.0.0.1".into(), 7000);
    let mut nodes = Nodes::from_slots(answer, &asked).unwrap_or_else(|| Nodes::single(asked));
    let mut told = vec![answer];
    while let Some(answer) = told.pop() {
        told.extend(answer.list());
        if let Answer::Error(text) = answer {
            let from = text.len() % nodes.all().len();
            nodes.moved(text.as_bytes(), from);
        }
    }
    // All of them would take longer than all the rest.
    for slot in (0..SLOTS).step_by(101).chain([SLOTS - 1]) {
        assert!(nodes.owner(Slot(slot as u16)) < nodes.all().len());
    }
}
