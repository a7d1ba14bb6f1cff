//! A link's life with a server that is played by hand.

use super::*;

fn options() -> LinkOptions {
    LinkOptions {
        greeting: Vec::new(),
        greeting_replies: 0,
        connect_timeout_us: 1000,
        request_timeout_us: 5000,
        idle_timeout_us: 0,
        in_flight_max: 4,
        in_flight_bytes_max: 1000,
        reply_bounds: ReplyBounds::default(),
    }
}

fn greeted() -> LinkOptions {
    LinkOptions { greeting: b"AUTH".to_vec(), greeting_replies: 2, ..options() }
}

fn ready(options: &LinkOptions) -> Link<u32> {
    let mut link = Link::default();
    link.dials(0, options);
    link.connected(0, options);
    link
}

fn ask(link: &mut Link<u32>, of: u32, text: &str) -> bool {
    link.ask(0, of, |out| out.bytes.extend_from_slice(text.as_bytes()))
}

fn sent(link: &mut Link<u32>, options: &LinkOptions) -> String {
    let mut output = Output::default();
    link.take_output(options, &mut output);
    String::from_utf8(output.flatten()).expect("text")
}

/// All that comes of some bytes, as words.
fn heard(link: &mut Link<u32>, bytes: &str) -> Result<Vec<String>, LinkError> {
    let (mut rest, mut seen) = (bytes.as_bytes(), Vec::new());
    while !rest.is_empty() {
        let (taken, answer) = link.receive(7, rest)?;
        rest = &rest[taken..];
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        match answer {
            Some(Answer::Reply { of, bytes, request, .. }) => {
                let mut again = Output::default();
                request.append_to(&mut again);
                seen.push(format!("{of}: {} {}", text(&again.flatten()), text(bytes.as_slice())));
            }
            Some(Answer::Push { bytes }) => seen.push(format!("push {}", text(bytes))),
            Some(Answer::Greeted) => seen.push("greeted".to_owned()),
            None => {}
        }
    }
    Ok(seen)
}

/// Proves that what is asked in one turn leaves as one, and that replies find their requests however they are cut.
#[test]
fn replies_find_their_requests() {
    let options = options();
    let mut link = ready(&options);
    assert!(ask(&mut link, 1, "GET a|"), "the first has to be announced");
    assert!(!ask(&mut link, 2, "GET b|"));
    assert_eq!(sent(&mut link, &options), "GET a|GET b|");
    assert!(ask(&mut link, 3, "GET c|"));
    assert_eq!(heard(&mut link, "+one\r\n+t").unwrap(), ["1: GET a| +one"]);
    assert_eq!(sent(&mut link, &options), "GET c|");
    assert_eq!(heard(&mut link, "wo\r\n$5\r\nthree\r\n").unwrap(), ["2: GET b| +two", "3: GET c| $5\r\nthree"]);
    assert_eq!(link.in_flight(), 0);
    assert_eq!(sent(&mut link, &options), "");
}

#[test]
fn nothing_is_sent_before_the_greeting_is_accepted() {
    let options = greeted();
    let mut link = Link::default();
    link.dials(0, &options);
    assert!(!ask(&mut link, 1, "GET a|") && !link.wants_send());
    link.connected(0, &options);
    assert_eq!(sent(&mut link, &options), "AUTH");
    assert_eq!(sent(&mut link, &options), "");
    assert!(!ask(&mut link, 2, "GET b|"));
    assert_eq!(heard(&mut link, "+OK\r\n+OK\r\n").unwrap(), ["greeted"]);
    assert_eq!(sent(&mut link, &options), "GET a|GET b|");
}

#[test]
fn a_server_that_breaks_the_protocol_is_an_error() {
    let refused = || {
        let mut link = Link::default();
        link.dials(0, &greeted());
        link.connected(0, &greeted());
        link
    };
    let mut link = refused();
    assert_eq!(heard(&mut link, "+OK\r\n"), Err(LinkError::Unasked), "the greeting was not sent yet");
    let mut link = refused();
    sent(&mut link, &greeted());
    let text = "WRONGPASS invalid username-password pair or user is disabled.";
    assert_eq!(heard(&mut link, &format!("-{text}\r\n")), Err(LinkError::Refused { text: text.into() }));
    let mut link = ready(&options());
    assert_eq!(heard(&mut link, "+OK\r\n"), Err(LinkError::Unasked));
    let mut link = ready(&options());
    ask(&mut link, 1, "GET a|");
    assert_eq!(heard(&mut link, "+OK\r\n"), Err(LinkError::Unasked), "it was not sent yet");
    let mut link = ready(&options());
    ask(&mut link, 1, "GET a|");
    sent(&mut link, &options());
    assert_eq!(heard(&mut link, "+OK\r\n+OK\r\n"), Err(LinkError::Unasked));
    let mut link = ready(&options());
    assert!(matches!(heard(&mut link, "HTTP/1.1"), Err(LinkError::NoReply(_))));
}

#[test]
fn a_push_answers_nothing() {
    let mut link = ready(&options());
    ask(&mut link, 1, "GET a|");
    sent(&mut link, &options());
    let seen = heard(&mut link, ">2\r\n+invalidate\r\n_\r\n+one\r\n").unwrap();
    assert_eq!(seen, ["push >2\r\n+invalidate\r\n_", "1: GET a| +one"]);
}

/// Proves that what is lost is told apart by whether the server may have seen it, in order, with its bytes.
#[test]
fn what_is_lost_is_handed_out() {
    let options = options();
    let mut link = ready(&options);
    for (of, text) in [(1, "GET a|"), (2, "SET b|"), (3, "GET c|")] {
        ask(&mut link, of, text);
        if of == 2 {
            sent(&mut link, &options);
            heard(&mut link, "+one\r\n$9\r\nhal").unwrap();
        }
    }
    let mut lost = Vec::new();
    link.lose(|Unanswered { of, sent, request }| {
        lost.push((of, sent, String::from_utf8(request.flatten()).expect("text")));
    });
    assert_eq!(lost, [(2, true, "SET b|".to_owned()), (3, false, "GET c|".to_owned())]);
    assert!(link.is_down());
    link.dials(0, &options);
    link.connected(0, &options);
    ask(&mut link, 4, "GET d|");
    assert_eq!(sent(&mut link, &options), "GET d|");
    assert_eq!(heard(&mut link, "+four\r\n").unwrap(), ["4: GET d| +four"]);
}

#[test]
fn what_takes_too_long_is_late() {
    let options = LinkOptions { idle_timeout_us: 100_000, ..options() };
    let mut link: Link<u32> = Link::default();
    assert_eq!(link.late(1 << 40, &options), None);
    link.dials(0, &options);
    assert_eq!((link.late(999, &options), link.late(1000, &options)), (None, Some(Late::Connecting)));
    link.connected(10, &options);
    assert_eq!((link.late(100_009, &options), link.late(100_010, &options)), (None, Some(Late::Idle)));
    link.ask(20, 1, |out| out.bytes.push(b'x'));
    assert_eq!((link.late(5019, &options), link.late(5020, &options)), (None, Some(Late::Answering)));
    sent(&mut link, &options);
    // It is not silent: a long reply is on its way.
    link.receive(4000, b"$100\r\nabc").unwrap();
    assert_eq!((link.late(8999, &options), link.late(9000, &options)), (None, Some(Late::Answering)));
    // But it takes too long.
    for at_us in (8000..60_000).step_by(4000) {
        assert_eq!(link.late(at_us, &options), None);
        link.receive(at_us, b"x").unwrap();
    }
    assert_eq!(link.late(60_020, &options), Some(Late::Answering));
}

#[test]
fn what_is_in_flight_has_bounds() {
    let options = options();
    let mut link = ready(&options);
    for of in 0..4 {
        ask(&mut link, of, "GET a|");
    }
    assert!(link.is_full(&options) && !link.has_room(&options));
    sent(&mut link, &options);
    heard(&mut link, "+a\r\n").unwrap();
    assert!(!link.is_full(&options) && !link.has_room(&options));
    heard(&mut link, "+a\r\n").unwrap();
    assert!(link.has_room(&options));
    ask(&mut link, 9, &"x".repeat(1000));
    assert!(link.is_full(&options));
}

/// Proves that a link that is never empty keeps no more than what is unanswered.
#[test]
fn answered_requests_are_let_go() {
    let options = LinkOptions { in_flight_bytes_max: 1 << 30, ..options() };
    let mut link = ready(&options);
    let text = "x".repeat(1000);
    ask(&mut link, 0, &text);
    for of in 1..2000 {
        ask(&mut link, of, &text);
        assert_eq!(sent(&mut link, &options).len() % 1000, 0);
        let seen = heard(&mut link, "+a\r\n").unwrap();
        assert!(seen[0].starts_with(&format!("{}: {text}", of - 1)));
        assert!(link.requests.bytes.len() < 3 * ANSWERED_BYTES_MAX);
    }
}
