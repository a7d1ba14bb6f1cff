//! What a server answers, to `coldplate bench` or to the router: counted in any pieces as in one, read as a tree and as a
//! cluster, and told in the words of RESP2.

use crate::pieces::{cut, expand};
use crate::wire::first;
use coldplate::load::cluster::Nodes;
use coldplate::load::endpoint::Endpoint;
use coldplate::load::reply::{Outcome, Replies};
use coldplate::protocol::resp::{Value as Answer, in_resp2};
use coldplate::types::{SLOTS, Slot};

/// The first byte cuts the rest.
pub fn replies(data: &[u8]) {
    let Some((&seed, stream)) = data.split_first() else { return };
    let stream = expand(stream);
    let whole = count(&[&stream]);
    assert_eq!(count(&cut(&stream, seed)), whole);
    if let Some(reply) = first(&stream).filter(|reply| !reply.contains(&b'>')) {
        let (seen, good) = count(&[reply]);
        let one = matches!(&seen[..], [(_, _, bytes)] if *bytes == reply.len() as u64);
        assert!(one || !good, "{seen:?} of {}", reply.escape_ascii());
        [false, true].into_iter().for_each(|pairs| reword(reply, pairs));
    }
    read(&stream, seed);
}

/// In other words it is one reply still, and those have no others.
fn reword(reply: &[u8], pairs: bool) {
    let Some(older) = in_resp2(reply, pairs) else { return };
    let told = || format!("{} told as {}", reply.escape_ascii(), older.escape_ascii());
    assert_eq!(first(&older), Some(&older[..]), "{}", told());
    assert_eq!(in_resp2(&older, false).as_ref(), Some(&older), "{}", told());
}

/// A reply, the text of an error, and how many bytes it had.
type Seen = (&'static str, Vec<u8>, u64);

/// The replies, and whether what followed was none.
fn count(pieces: &[&[u8]]) -> (Vec<Seen>, bool) {
    let (mut replies, mut seen) = (Replies::default(), Vec::new());
    let mut each = |outcome: Outcome, bytes: u64| {
        let (kind, text) = match outcome {
            Outcome::Value => ("value", Vec::new()),
            Outcome::Miss => ("miss", Vec::new()),
            Outcome::Error(text) => ("error", text.to_vec()),
        };
        seen.push((kind, text, bytes));
    };
    let good = pieces.iter().all(|piece| replies.feed(piece, &mut each).is_ok());
    (seen, good)
}

fn read(stream: &[u8], seed: u8) {
    let Ok(Some((answer, taken))) = Answer::parse(stream) else { return };
    let wire = &stream[..taken];
    assert!(matches!(Answer::parse(wire), Ok(Some((again, all))) if again == answer && all == taken));
    // Two of its beginnings, one of which lacks little.
    for missing in [1 + usize::from(seed % 3), 1 + usize::from(seed) * taken / 256] {
        let short = &wire[..taken - missing.min(taken)];
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
