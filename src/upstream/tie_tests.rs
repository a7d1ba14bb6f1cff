//! Ties against what a server would have of the connection.

use super::*;
use crate::protocol::command::passage::passage;
use crate::protocol::resp::{Args, Limits, parse};
use proptest::prelude::*;

/// The server of a key is its first byte; `-` is none.
fn call_of(request: &str) -> Call<u8> {
    let words: Vec<&str> = request.split(' ').collect();
    let sent = words
        .iter()
        .fold(format!("*{}\r\n", words.len()), |sent, word| sent + &format!("${}\r\n{word}\r\n", word.len()));
    let mut places = Vec::new();
    parse(sent.as_bytes(), &Limits::default(), &mut places).expect("it is well formed").expect("it is whole");
    let args = Args::new(sent.as_bytes(), &places, &mut []);
    let passage = passage(&args).expect("it may pass");
    let mut servers: Vec<u8> = passage.keys(&args).map(|place| words[place].as_bytes()[0]).collect();
    if passage.goes == Goes::Channels {
        servers = words[1..].iter().map(|channel| channel.as_bytes()[0]).collect();
    }
    servers.dedup();
    let server = match servers[..] {
        [] => Target::Any,
        [server] => Target::One(server),
        _ => Target::Several,
    };
    Call { passage, holds: passage.holds(&args), server, is_resp3: false, is_awaiting: false, is_one: false }
}

fn ask(tie: &mut Tie<u8>, request: &str) -> Turn<u8> {
    tie.ask(&call_of(request))
}

fn own(server: u8) -> Turn<u8> {
    Turn::Own { server: Some(server), begins: false }
}

fn begins(server: u8) -> Turn<u8> {
    Turn::Own { server: Some(server), begins: true }
}

/// Asks each and compares; what went over the own connection is answered at once.
fn play(tie: &mut Tie<u8>, story: &[(&str, Turn<u8>)]) {
    for (request, turn) in story {
        assert_eq!(ask(tie, request), *turn, "{request}");
        if matches!(turn, Turn::Own { .. } | Turn::Discard { .. }) {
            tie.answered(call_of(request).holds);
        }
    }
}

#[test]
fn most_requests_make_no_tie() {
    let mut tie = Tie::default();
    play(&mut tie, &[("GET a1", Turn::Shared), ("MGET a1 b1", Turn::Shared), ("PING", Turn::Shared)]);
    play(&mut tie, &[("UNWATCH", Turn::Ok), ("UNSUBSCRIBE", Turn::Unsubscribed)]);
    play(&mut tie, &[("EXEC", Turn::Error(EXEC_ALONE)), ("DISCARD", Turn::Error(DISCARD_ALONE))]);
    assert!(tie.is_free());
}

/// Proves that a transaction goes to the server of its first key, and that MULTI is not sent before there is one.
#[test]
fn a_transaction_takes_a_connection_with_its_first_key() {
    let mut tie = Tie::default();
    play(&mut tie, &[("MULTI", Turn::Ok), ("EXEC", Turn::Empty), ("MULTI", Turn::Ok), ("DISCARD", Turn::Ok)]);
    assert!(tie.is_free());
    play(&mut tie, &[("MULTI", Turn::Ok), ("MULTI", Turn::Error(NESTED)), ("WATCH a", Turn::Error(WATCH_INSIDE))]);
    assert!(!tie.is_free() && !tie.can_be_given_back());
    play(&mut tie, &[("SET a1 x", begins(b'a')), ("PING", own(b'a')), ("BLPOP a2 0", own(b'a')), ("MULTI", own(b'a'))]);
    assert!(!tie.can_be_given_back());
    assert_eq!(ask(&mut tie, "EXEC"), own(b'a'));
    assert!(!tie.can_be_given_back(), "its reply is awaited");
    tie.answered(Holds::Ends);
    assert!(tie.can_be_given_back());
    tie.gave_back();
    assert!(tie.is_free());
    play(&mut tie, &[("MULTI", Turn::Ok), ("GET b", begins(b'b')), ("DISCARD", own(b'b'))]);
    assert!(tie.can_be_given_back());
}

/// Proves that keys of two servers spoil a transaction as a server's refusal does, and that its server hears of the end.
#[test]
fn a_transaction_stays_on_one_server() {
    let mut tie = Tie::default();
    let story = [("MULTI", Turn::Ok), ("SET a1 x", begins(b'a')), ("SET b1 x", Turn::Error(CROSSES))];
    let end = [("SET a2 x", Turn::Error(ABORTED)), ("EXEC", Turn::Discard { begins: false })];
    play(&mut tie, &story);
    play(&mut tie, &end);
    assert!(tie.can_be_given_back());
    tie.gave_back();
    play(&mut tie, &[("MULTI", Turn::Ok), ("MGET a b", Turn::Error(CROSSES)), ("EXEC", Turn::Error(ABORTED))]);
    assert!(tie.is_free());
    play(
        &mut tie,
        &[("MULTI", Turn::Ok), ("GET a", begins(b'a')), ("FLUSHALL", Turn::Error(UNFIT)), ("DISCARD", own(b'a'))],
    );
    play(&mut tie, &[("MULTI", Turn::Ok), ("GET a", begins(b'a'))]);
    assert_eq!(tie.ask(&Call { is_one: true, ..call_of("FLUSHALL") }), own(b'a'), "one server has all keys");
    tie.answered(Holds::Nothing);
    play(&mut tie, &[("EXEC", own(b'a'))]);
    for request in ["CONFIG GET x", "SELECT 1", "SUBSCRIBE a", "MONITOR", "KEYS a*", "CLIENT ID", "SWAPDB 0 1"] {
        play(&mut tie, &[("MULTI", Turn::Ok), (request, Turn::Error(UNFIT)), ("EXEC", Turn::Error(ABORTED))]);
    }
    play(&mut tie, &[("MULTI", Turn::Ok)]);
    tie.refused();
    play(&mut tie, &[("EXEC", Turn::Error(ABORTED))]);
}

/// Proves that what is read behind a watch is read behind it, and that each way to end a watch does.
#[test]
fn a_watch_holds_the_connection() {
    let mut tie = Tie::default();
    play(
        &mut tie,
        &[("WATCH a1", own(b'a')), ("GET a1", own(b'a')), ("GET b1", Turn::Shared), ("WATCH b", Turn::Error(CROSSES))],
    );
    assert!(!tie.can_be_given_back());
    play(&mut tie, &[("MGET a1 b1", Turn::Shared)]);
    assert_eq!(ask(&mut tie, "GET a1"), own(b'a'));
    assert_eq!(ask(&mut tie, "MGET a1 b1"), Turn::Wait);
    tie.answered(Holds::Nothing);
    play(&mut tie, &[("UNWATCH", own(b'a'))]);
    assert!(tie.can_be_given_back());
    // The first watch may go elsewhere; a second is bound to the first.
    for (watches, may_move) in [(1, true), (2, false)] {
        let mut tie = tie.clone();
        (1..watches).for_each(|_| play(&mut tie, &[("WATCH a1", own(b'a'))]));
        assert_eq!(ask(&mut tie, "WATCH a1"), own(b'a'));
        assert_eq!(tie.may_move(Holds::Watches), may_move);
    }
    // A transaction of nothing is one all the same: a watched key may have changed.
    for end in ["EXEC", "DISCARD"] {
        play(&mut tie, &[("WATCH a1", own(b'a')), ("MULTI", Turn::Ok), (end, begins(b'a'))]);
        assert!(tie.can_be_given_back());
    }
    let spoiled = [("WATCH a1", own(b'a')), ("MULTI", Turn::Ok), ("GET b", Turn::Error(CROSSES))];
    play(&mut tie, &spoiled);
    play(&mut tie, &[("EXEC", Turn::Discard { begins: true })]);
    assert!(tie.can_be_given_back());
}

/// Proves that nothing passes a request that blocks, and that none is sent before what it must not overtake is answered.
#[test]
fn order_is_kept_over_two_connections() {
    let mut tie = Tie::default();
    assert_eq!(tie.ask(&Call { is_awaiting: true, ..call_of("BLPOP a 0") }), Turn::Wait);
    assert!(tie.is_free());
    assert_eq!(ask(&mut tie, "BLPOP a 0"), own(b'a'));
    for request in ["GET b", "PING", "MULTI", "RESET", "BLPOP a 0"] {
        assert_eq!(ask(&mut tie, request), Turn::Wait, "{request}");
    }
    assert!(tie.may_move(Holds::Blocks) && !tie.may_move(Holds::Ends) && !tie.can_be_given_back());
    tie.moves(b'b');
    tie.answered(Holds::Blocks);
    assert!(tie.can_be_given_back());
    tie.gave_back();
    assert_eq!(ask(&mut tie, "XREAD BLOCK 0 STREAMS a $"), own(b'a'));
    tie.answered(Holds::Blocks);
    assert_eq!(ask(&mut tie, "XREAD STREAMS a $"), own(b'a'), "it is not given back yet");
    tie.answered(Holds::Nothing);
    tie.gave_back();
    assert_eq!(ask(&mut tie, "MULTI"), Turn::Ok);
    assert_eq!(tie.ask(&Call { is_awaiting: true, ..call_of("GET a") }), Turn::Wait);
    assert_eq!(ask(&mut tie, "GET a"), begins(b'a'));
    assert!(!tie.may_move(Holds::Nothing));
}

#[test]
fn a_subscription_holds_the_connection() {
    let mut tie = Tie::default();
    assert_eq!(ask(&mut tie, "SUBSCRIBE a1 a2"), own(b'a'));
    assert_eq!(ask(&mut tie, "GET b"), own(b'a'), "the server refuses it");
    tie.subscribed(false, 1);
    tie.subscribed(false, 2);
    tie.answered(Holds::Listens);
    tie.answered(Holds::Nothing);
    play(&mut tie, &[("PING", own(b'a')), ("SUBSCRIBE b1", Turn::Error(OTHER_CHANNELS)), ("PSUBSCRIBE b*", own(b'a'))]);
    play(&mut tie, &[("SSUBSCRIBE b1", Turn::Error(CROSSES)), ("SSUBSCRIBE a1", own(b'a'))]);
    let resp3 = Call { is_resp3: true, ..call_of("GET b") };
    assert_eq!(tie.ask(&resp3), Turn::Shared);
    tie.subscribed(true, 1);
    play(&mut tie, &[("UNSUBSCRIBE", own(b'a'))]);
    tie.subscribed(false, 0);
    assert!(!tie.can_be_given_back(), "one of the other kind is left");
    play(&mut tie, &[("SUNSUBSCRIBE", own(b'a'))]);
    tie.subscribed(true, 0);
    assert!(tie.can_be_given_back());
    play(&mut tie, &[("MONITOR", own(b'a')), ("GET b", Turn::Shared), ("GET a", Turn::Shared)]);
    assert!(!tie.can_be_given_back());
    play(&mut tie, &[("RESET", Turn::Drop)]);
    assert!(tie.is_free());
}

/// Proves that a request that any server will do for takes one, and that its transaction stays there.
#[test]
fn any_server_is_one_server_from_then_on() {
    let mut tie = Tie::default();
    play(&mut tie, &[("MULTI", Turn::Ok)]);
    assert_eq!(ask(&mut tie, "PING"), Turn::Own { server: None, begins: true });
    tie.took(b'c');
    assert_eq!(ask(&mut tie, "GET a"), Turn::Error(CROSSES));
    assert_eq!(ask(&mut tie, "EXEC"), Turn::Discard { begins: false });
}

/// Proves that what is read stays on one connection while a server says what has changed of it, as far as it has agreed to,
/// and that what it says comes before the answers behind it.
#[test]
fn tracking_begins_and_ends_when_the_server_says_so() {
    let mut tie = Tie::default();
    let (on, off) = ("CLIENT TRACKING ON BCAST", "CLIENT TRACKING OFF");
    play(&mut tie, &[(off, Turn::Ok), ("CLIENT GETREDIR", Turn::Shared)]);
    assert_eq!(ask(&mut tie, on), Turn::Own { server: None, begins: false });
    tie.took(b'a');
    assert_eq!(ask(&mut tie, "GET a"), own(b'a'));
    tie.answered(Holds::Tracks);
    tie.answered(Holds::Nothing);
    assert!(tie.can_be_given_back(), "it was refused");
    tie.gave_back();
    ask(&mut tie, on);
    tie.took(b'a');
    tie.does(Holds::Tracks);
    tie.answered(Holds::Tracks);
    let own = own(b'a');
    play(
        &mut tie,
        &[("GET a", own), ("PING", own), ("CLIENT CACHING YES", own), ("EVAL x 0", own), ("TIME", Turn::Shared)],
    );
    play(
        &mut tie,
        &[
            ("MULTI", Turn::Ok),
            ("CLIENT CACHING NO", begins(b'a')),
            (off, Turn::Error(UNFIT)),
            ("GET a", Turn::Error(ABORTED)),
        ],
    );
    play(&mut tie, &[("EXEC", Turn::Discard { begins: false })]);
    assert!(!tie.can_be_given_back() && !tie.is_blocking() && !tie.hears());
    assert_eq!(tie.clone().lost(), Loss::Client);
    assert_eq!(ask(&mut tie, off), own);
    tie.does(Holds::Untracks);
    tie.answered(Holds::Untracks);
    assert!(tie.can_be_given_back());
}

#[test]
fn messages_come_before_the_answer_to_a_ping() {
    let mut tie = Tie::default();
    assert_eq!(ask(&mut tie, "SUBSCRIBE a"), own(b'a'));
    let third = |request| Call { is_resp3: true, ..call_of(request) };
    assert_eq!([tie.ask(&third("PING")), tie.ask(&third("ECHO x"))], [own(b'a'), Turn::Shared]);
}

/// Proves what a lost connection leaves: no transaction that runs in half, no client that waits for messages for ever.
#[test]
fn a_lost_connection_is_noticed() {
    let lost = |story: &[&str]| {
        let mut tie = Tie::default();
        for request in story {
            ask(&mut tie, request);
        }
        let loss = tie.lost();
        (loss, tie)
    };
    assert_eq!(lost(&["BLPOP a 0"]).0, Loss::Requests);
    assert!(lost(&["BLPOP a 0"]).1.is_free());
    for story in [&["SUBSCRIBE a"][..], &["MONITOR"], &["WATCH a"]] {
        assert_eq!(lost(story).0, Loss::Client, "{story:?}");
    }
    for story in
        [&["MULTI", "GET a"][..], &["WATCH a", "MULTI"], &["WATCH a", "MULTI", "GET a"], &["MULTI", "GET a", "GET b"]]
    {
        let (loss, mut tie) = lost(story);
        assert_eq!(loss, Loss::Requests, "{story:?}");
        play(&mut tie, &[("GET a", Turn::Error(ABORTED)), ("EXEC", Turn::Error(ABORTED))]);
        assert!(tie.is_free());
    }
    assert!(lost(&["MULTI", "GET a", "EXEC"]).1.is_free());
}

/// What a server has of one connection.
#[derive(Default)]
struct Server {
    multi: bool,
    queued: Vec<u8>,
    watching: bool,
}

impl Server {
    fn hear(&mut self, request: &str, begins: bool) {
        if begins {
            assert!(!self.multi, "MULTI before {request} is nested");
            self.multi = true;
        }
        match request.split(' ').next().unwrap_or("") {
            "EXEC" | "DISCARD" => {
                assert!(self.multi, "{request} without MULTI");
                *self = Server::default();
            }
            "WATCH" if !self.multi => self.watching = true,
            "UNWATCH" if !self.multi => self.watching = false,
            _ if self.multi => self.queued.extend(request.as_bytes().get(4)),
            _ => {}
        }
    }
}

const REQUESTS: [&str; 12] = [
    "MULTI",
    "EXEC",
    "DISCARD",
    "WATCH a",
    "WATCH b",
    "UNWATCH",
    "GET a",
    "GET b",
    "MGET a b",
    "PING",
    "BLPOP a 0",
    "FLUSHALL",
];

proptest! {
    /// Proves, by a server that remembers, that a connection is given back only as it was taken; that no server hears EXEC
    /// without MULTI or MULTI twice, and that one transaction has the keys of one server. Answers come late, or at once.
    #[test]
    fn a_connection_is_given_back_as_it_was_taken(
        story in proptest::collection::vec((0..REQUESTS.len(), any::<bool>(), 0..40u8), 0..60)
    ) {
        let mut tie = Tie::default();
        let mut server = Server::default();
        let mut awaited = std::collections::VecDeque::new();
        for (request, answers, luck) in story {
            let request = REQUESTS[request];
            let call = call_of(request);
            match tie.ask(&call) {
                Turn::Own { server: None, begins } => {
                    tie.took(b'a');
                    server.hear(request, begins);
                    awaited.push_back(call.holds);
                }
                Turn::Own { server: Some(at), begins } => {
                    prop_assert!(call.server == Target::Any || call.server == Target::One(at));
                    server.hear(request, begins);
                    awaited.push_back(call.holds);
                }
                Turn::Discard { begins } => {
                    server.hear("DISCARD", begins);
                    awaited.push_back(Holds::Ends);
                }
                Turn::Wait => prop_assert!(!awaited.is_empty()),
                _ => {}
            }
            server.queued.iter().for_each(|key| assert!(server.queued[0] == *key || ![key, &server.queued[0]].iter().all(|key| b"ab".contains(key))));
            if luck == 0 {
                tie.lost();
                server = Server::default();
                awaited.clear();
            }
            while answers && let Some(holds) = awaited.pop_front() {
                tie.answered(holds);
            }
            if tie.can_be_given_back() {
                prop_assert!(!server.multi && !server.watching && awaited.is_empty());
                tie.gave_back();
            }
        }
    }
}
