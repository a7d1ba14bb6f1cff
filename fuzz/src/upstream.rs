//! What a server answers to a router: replies end at the same bytes in any pieces as at once, and a link hands out each as
//! it came, to whoever asked for it.

use crate::pieces::{cut, expand};
use crate::wire::first;
use coldplate::protocol::resp::{Framed, Framing, Output, ReplyBounds};
use coldplate::upstream::{Answer, Link, LinkOptions};

/// Requests that are on their way.
const ASKED: usize = 16;

/// The first byte cuts the rest.
pub fn upstream(data: &[u8]) {
    let Some((&seed, stream)) = data.split_first() else { return };
    let stream = expand(stream);
    let whole = replies(&[&stream]);
    assert_eq!(replies(&cut(&stream, seed)), whole);
    let read: usize = whole.0.iter().map(|(reply, _)| reply.len()).sum();
    let joined: Vec<u8> = whole.0.iter().flat_map(|(reply, _)| reply.clone()).collect();
    assert_eq!(joined, stream[..read]);
    if let Some(reply) = first(&stream) {
        let ours = whole.0.first().map(|(reply, _)| &reply[..]);
        assert!(ours.is_none_or(|ours| ours == reply), "{} in {}", reply.escape_ascii(), stream.escape_ascii());
        assert!(ours.is_some() || whole.1 || reply.contains(&b'>'), "{}", reply.escape_ascii());
    }
    by_link(&cut(&stream, seed), &whole.0);
}

/// The replies with their kinds, and whether what followed was none.
fn replies(pieces: &[&[u8]]) -> (Vec<(Vec<u8>, u8)>, bool) {
    let bounds = ReplyBounds { line_bytes_max: 1000, bulk_bytes_max: 100_000, reply_bytes_max: 140_000 };
    let (mut framing, mut held, mut seen) = (Framing::new(bounds), Vec::new(), Vec::new());
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            match framing.advance(rest) {
                Ok(Framed::Whole { bytes, kind }) => {
                    held.extend_from_slice(&rest[..bytes]);
                    seen.push((std::mem::take(&mut held), kind));
                    rest = &rest[bytes..];
                }
                Ok(Framed::Short) => {
                    held.extend_from_slice(rest);
                    rest = &[];
                }
                Err(_) => return (seen, true),
            }
        }
    }
    (seen, false)
}

/// Replies reach those who asked, in order and to the byte; nobody gets more than one.
fn by_link(pieces: &[&[u8]], whole: &[(Vec<u8>, u8)]) {
    let options = LinkOptions {
        greeting: Vec::new(),
        greeting_replies: 0,
        connect_timeout_us: 1,
        request_timeout_us: 1,
        idle_timeout_us: 0,
        in_flight_max: ASKED,
        in_flight_bytes_max: 1 << 20,
        reply_bounds: ReplyBounds { line_bytes_max: 1000, bulk_bytes_max: 100_000, reply_bytes_max: 140_000 },
    };
    let mut link = Link::default();
    link.dials(0, &options);
    link.connected(0, &options);
    for of in 0..ASKED {
        link.ask(0, of, |out| out.bytes.push(of as u8));
    }
    link.take_output(&options, &mut Output::default());
    let mut expected = whole.iter().filter(|(_, kind)| *kind != b'>').map(|(reply, _)| reply).zip(0..ASKED);
    let mut answered = 0;
    'pieces: for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            let Ok((taken, answer)) = link.receive(0, rest) else { break 'pieces };
            rest = &rest[taken..];
            if let Some(Answer::Reply { of, bytes, request, .. }) = answer {
                let mut asked = Output::default();
                request.append_to(&mut asked);
                assert_eq!(asked.bytes, [of as u8]);
                assert_eq!(Some((bytes.as_slice(), of)), expected.next().map(|(reply, of)| (&reply[..], of)));
                answered += 1;
            }
        }
    }
    let mut left = Vec::new();
    link.lose(|unanswered| left.push(unanswered.of));
    // A reply too many ends the link behind the last one.
    assert_eq!(left, (answered..ASKED).collect::<Vec<_>>());
}
