//! What comes on a connection that one client has for itself: replies, and messages between them. All of it reaches the
//! client byte for byte.
//!
//! A subscription is answered by a confirmation for each of its channels, in the third version by pushes. They are
//! gathered in the one reply slot that it has, so that its client's other replies stay in order.

use super::super::answers::Rest;
use super::super::cluster::Next;
use super::super::router::{Asked, Whose};
use super::{Bond, Kind};
use crate::engine::Engine;
use crate::engine::event::Effects;
use crate::engine::letter::Ticket;
use crate::protocol::command::passage::Holds;
use crate::protocol::resp::{Input, Output, Proto, number_of};
use crate::types::{ConnId, Now};
use crate::upstream::topology::Redirect;
use crate::upstream::{Heard, Link, Loss, MOVED_AWAY, Unanswered};

/// Kinds of channels, as [`Bond::counts`] has them, each with the words of its confirmations and of its messages.
const CHANNELS: [[&[u8]; 3]; 3] = [
    [b"subscribe", b"unsubscribe", b"message"],
    [b"psubscribe", b"punsubscribe", b"pmessage"],
    [b"ssubscribe", b"sunsubscribe", b"smessage"],
];

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sort {
    Reply,
    /// Nobody asked for it now.
    Message,
    /// How many channels there are now, of which kind.
    Confirmation {
        kind: usize,
        count: u64,
    },
}

/// What became of a frame.
enum Taken {
    /// It answers nothing, or not all.
    Aside,
    /// The oldest request has its reply.
    Answered,
    /// The oldest request goes to another server.
    Moves(Asked, Next),
    Wrong(&'static str),
}

impl Engine {
    pub(in crate::engine::upstream) fn own_received(
        &mut self,
        now: Now,
        row: u32,
        bytes: &[u8],
        effects: &mut Effects,
    ) {
        let router = self.router.as_deref_mut().expect("there is a router");
        let mut link = router.rows[row as usize].link.take().expect("it is there between events");
        let holder = router.rows[row as usize].own().and_then(|own| own.holder);
        let (mut rest, mut moves) = (Rest::default(), None);
        let read = self.read_own(now, (row, holder), &mut link, bytes, (&mut rest, &mut moves));
        rest.failure = read.err();
        let router = self.router.as_deref_mut().expect("it was there just now");
        let of = &mut router.rows[row as usize];
        let waiting = if link.has_room(&of.options) { std::mem::take(&mut of.waiting) } else { Vec::new() };
        of.link = Some(link);
        self.finish_receiving(now, row, rest, effects);
        if let (Some(conn), Some((asked, request, next))) = (holder, moves) {
            self.move_own(now, conn, asked, &request, next, effects);
        }
        if let Some(conn) = holder {
            self.review_tie(now, conn, effects);
            self.bound_hearer(now, conn, effects);
        }
        self.settle_touched(now, effects);
        self.let_go_on(now, waiting, effects);
    }

    fn read_own(
        &mut self,
        now: Now,
        (row, holder): (u32, Option<ConnId>),
        link: &mut Link<Asked>,
        mut left: &[u8],
        (rest, moves): (&mut Rest, &mut Option<(Asked, Output, Next)>),
    ) -> Result<(), String> {
        while !left.is_empty() {
            let owed = link.owed().copied();
            let (taken, heard) = link.hear(now.mono_us, left).map_err(|error| error.to_string())?;
            left = &left[taken..];
            match heard {
                None => {}
                Some(Heard::Greeted) => rest.greeted = true,
                Some(Heard::Frame { bytes, kind }) => {
                    let conn = holder.ok_or("a reply that nobody asked for")?;
                    rest.answered = true;
                    match self.take_frame(now, (row, conn), owed, (bytes, kind), rest) {
                        Taken::Aside => {}
                        Taken::Answered => {
                            let (asked, _) = link.answer().expect("it was owed");
                            self.release_bar(&asked);
                        }
                        Taken::Wrong(why) => return Err(why.to_owned()),
                        Taken::Moves(asked, next) => {
                            let (_, request) = link.answer().expect("it was owed");
                            let mut again = Output::default();
                            request.append_to(&mut again);
                            *moves = Some((asked, again, next));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn take_frame(
        &mut self,
        now: Now,
        (row, conn): (u32, ConnId),
        owed: Option<Asked>,
        (bytes, kind): (&[u8], u8),
        rest: &mut Rest,
    ) -> Taken {
        let router = self.router.as_deref_mut().expect("there is a router");
        let Some(bond) = router.own.bonds.get_mut(&conn) else { return Taken::Wrong("its client is gone") };
        let of = owed.map(|asked| match asked.whose {
            Whose::Own(ticket, kind) => (ticket, kind),
            _ => unreachable!("only its client asks"),
        });
        match bond.sort(of.map(|(_, kind)| kind), (bytes, kind)) {
            Sort::Message => {
                self.hand_message(conn, of, bytes);
                Taken::Aside
            }
            Sort::Confirmation { kind, count } => self.take_confirmation(conn, of, (kind, count), bytes),
            Sort::Reply => match (owed, of) {
                (Some(asked), Some((ticket, of))) => {
                    self.take_reply(now, row, (asked, ticket, of), (bytes, kind), rest)
                }
                _ => Taken::Wrong("a reply that nobody asked for"),
            },
        }
    }

    fn take_confirmation(
        &mut self,
        conn: ConnId,
        of: Option<(Ticket, Kind)>,
        (kind, count): (usize, u64),
        bytes: &[u8],
    ) -> Taken {
        let router = self.router.as_deref_mut().expect("there is a router");
        let bond = router.own.bonds.get_mut(&conn).expect("it was there just now");
        let before = bond.counts[kind];
        bond.confirmed(kind, count);
        let Some((ticket, Kind::Reply(holds @ (Holds::Listens | Holds::Unlistens)))) = of else {
            // A slot has moved away, and its channels with it.
            self.hand_message(conn, of, bytes);
            return Taken::Aside;
        };
        // One that names no channel is about all of its kind, or there is one that says that there are none.
        let all = if ticket.part > 0 { u64::from(ticket.part) } else { before.max(1) };
        let missing = bond.missing.unwrap_or(all) - 1;
        bond.gathered.extend_from_slice(bytes);
        bond.missing = (missing > 0).then_some(missing);
        if missing > 0 {
            return Taken::Aside;
        }
        bond.tie.answered(holds);
        let gathered = std::mem::take(&mut bond.gathered);
        self.bring_home(ticket, &gathered);
        Taken::Answered
    }

    fn take_reply(
        &mut self,
        now: Now,
        row: u32,
        (mut asked, ticket, of): (Asked, Ticket, Kind),
        (bytes, kind): (&[u8], u8),
        rest: &mut Rest,
    ) -> Taken {
        let router = self.router.as_deref_mut().expect("there is a router");
        let bond = router.own.bonds.get_mut(&ticket.conn()).expect("it was there just now");
        let is_error = kind == b'-';
        let holds = match of {
            Kind::Begins if bytes != b"+OK\r\n" => return Taken::Wrong("MULTI was refused"),
            Kind::Speaks(_) if is_error => return Taken::Wrong("HELLO was refused"),
            Kind::Speaks(proto) => {
                bond.speaks = proto;
                return Taken::Answered;
            }
            Kind::Names => {
                if let (Some(own), Some(id)) = (router.rows[row as usize].own_mut(), number_of(bytes, b':')) {
                    own.id = u64::try_from(id).ok();
                }
                return Taken::Answered;
            }
            Kind::Begins | Kind::Asking => return Taken::Answered,
            Kind::Ends => {
                bond.tie.answered(Holds::Ends);
                return Taken::Answered;
            }
            Kind::Reply(holds) => holds,
        };
        if !is_error {
            bond.tie.does(holds);
            bond.tie.answered(holds);
            self.bring_home(ticket, bytes);
            return Taken::Answered;
        }
        rest.errors += 1;
        let server = router.rows[row as usize].server;
        let is_clusters = router.pools[router.servers[server as usize].pool].cluster.is_some();
        if let Some(redirect) = Redirect::parse(bytes).filter(|_| is_clusters) {
            let may_move = bond.tie.may_move(holds);
            let (next, moved) = router.follow(now.mono_us, server, &mut asked, &redirect);
            rest.keys_have_moved |= moved;
            match next {
                Next::Ask { .. } if may_move => return Taken::Moves(asked, next),
                Next::Ask { .. } => return self.refuse_own(&Asked { bar: 0, ..asked }, MOVED_AWAY),
                Next::Error(text) => return self.refuse_own(&Asked { bar: 0, ..asked }, &text),
                // A client may try again as well as anybody.
                Next::Later { .. } | Next::Reply => {}
            }
        }
        let router = self.router.as_deref_mut().expect("there is a router");
        router.own.bonds.get_mut(&ticket.conn()).expect("it was there just now").tie.answered(holds);
        self.shard.counts.tally.error(&bytes[1..bytes.len() - 2]);
        self.bring_home(ticket, bytes);
        Taken::Answered
    }

    /// Answers in the place of the server.
    fn refuse_own(&mut self, asked: &Asked, text: &str) -> Taken {
        let router = self.router.as_deref_mut().expect("there is a router");
        if let Whose::Own(ticket, Kind::Reply(holds)) = asked.whose
            && let Some(bond) = router.own.bonds.get_mut(&ticket.conn())
        {
            bond.tie.answered(holds);
        }
        self.answer_error(asked, text);
        Taken::Answered
    }

    /// Hands a message to its client: never inside a reply, in front of what is awaited on the same connection, and behind
    /// the messages before it.
    fn hand_message(&mut self, conn: ConnId, of: Option<(Ticket, Kind)>, bytes: &[u8]) {
        let router = self.router.as_deref_mut().expect("there is a router");
        let Some(client) = self.sessions.get_mut(conn) else { return };
        let bond = router.own.bonds.get_mut(&conn).expect("it was there just now");
        let open = client.queue.numbers();
        let is_past = bond.behind.is_none_or(|behind| open.start.wrapping_sub(behind) as i32 >= 0);
        let is_next = of.is_some_and(|(ticket, _)| ticket.slot == open.start);
        if client.queue.is_empty() || is_past && is_next {
            bond.behind = None;
            client.output.bytes.extend_from_slice(bytes);
        } else {
            client.push(|reply| reply.out.bytes.extend_from_slice(bytes));
            bond.behind = Some(client.queue.numbers().end);
        }
        if router.touched.last() != Some(&conn) {
            router.touched.push(conn);
        }
    }

    /// A client that does not read what it hears is closed.
    fn bound_hearer(&mut self, now: Now, conn: ConnId, effects: &mut Effects) {
        if self.sessions.get_mut(conn).is_some_and(|client| client.hears)
            && let Some(mut client) = self.sessions.take(conn)
        {
            self.bound_unread(now, conn, &mut client, effects);
            self.sessions.put(conn, client);
        }
    }

    /// A request that was alone goes to another server, over another connection.
    fn move_own(&mut self, now: Now, conn: ConnId, asked: Asked, request: &Output, next: Next, effects: &mut Effects) {
        let router = self.router.as_deref_mut().expect("there is a router");
        let (Next::Ask { server, asking }, Some(bond)) = (next, router.own.bonds.get_mut(&conn)) else { return };
        bond.tie.moves(server);
        if let Some(row) = bond.row.take() {
            router.give_back(now.mono_us, row, effects);
        }
        let row = match router.take_own(now.mono_us, (server, asked.proto), conn, effects) {
            Ok(row) => row,
            Err(none) => {
                let text = router.why_none(none, server);
                self.refuse_own(&asked, &text);
                return;
            }
        };
        let bond = router.own.bonds.get_mut(&conn).expect("it was there just now");
        (bond.row, bond.speaks) = (Some(row), asked.proto);
        if asking {
            let Whose::Own(ticket, _) = asked.whose else { unreachable!("only its client asks") };
            let before = Asked { whose: Whose::Own(ticket, Kind::Asking), bar: 0, ..asked };
            let encode = |out: &mut Output| out.bytes.extend_from_slice(b"*1\r\n$6\r\nASKING\r\n");
            router.ask(now.mono_us, row, before, encode, effects);
        }
        router.ask(now.mono_us, row, asked, |out| out.append(request, 0..request.bytes.len()), effects);
    }

    /// A connection is lost: its client gets an error for each request under way, and is closed if it would wait for ever.
    pub(in crate::engine::upstream) fn own_lost(
        &mut self,
        now: Now,
        row: u32,
        unanswered: Vec<Unanswered<Asked>>,
        effects: &mut Effects,
    ) {
        let router = self.router.as_deref_mut().expect("there is a router");
        let server = router.rows[row as usize].server;
        let Some(conn) = router.free_own(row) else { return };
        let Some(bond) = router.own.bonds.get_mut(&conn) else { return };
        let loss = bond.tie.lost();
        **bond = Bond { tie: std::mem::take(&mut bond.tie), ..Bond::default() };
        for left in unanswered {
            let router = self.router.as_deref_mut().expect("there is a router");
            let text = router.lost(server, left.sent && !left.of.reads);
            self.answer_error(&left.of, &text);
        }
        self.review_tie(now, conn, effects);
        if loss == Loss::Client
            && let Some(mut client) = self.sessions.take(conn)
        {
            client.closing = true;
            client.input = Input::new();
            self.sessions.put(conn, client);
            let router = self.router.as_deref_mut().expect("there is a router");
            router.touched.push(conn);
        }
        self.settle_touched(now, effects);
    }
}

impl Bond {
    /// What a frame is, while a request of this kind is the oldest.
    fn sort(&self, owed: Option<Kind>, (bytes, kind): (&[u8], u8)) -> Sort {
        let is_subscription = matches!(owed, Some(Kind::Reply(Holds::Listens | Holds::Unlistens)));
        let may_be_told = match kind {
            b'>' => true,
            b'*' => self.speaks == Proto::Resp2 && (is_subscription || self.counts != [0; 3]),
            b'+' if self.tie.is_monitor() && is_shown_request(bytes) => return Sort::Message,
            _ => false,
        };
        if !may_be_told {
            return Sort::Reply;
        }
        let Some((word, name)) = first_words(bytes) else { return Sort::Reply };
        for ([begins, ends, message], number) in CHANNELS.into_iter().zip(0..) {
            if word == message {
                return Sort::Message;
            }
            let is_confirmation = word == begins || word == ends;
            if is_confirmation && let Some(count) = last_number(name) {
                return Sort::Confirmation { kind: number, count };
            }
        }
        if kind == b'>' { Sort::Message } else { Sort::Reply }
    }

    /// A server counts channels and patterns together.
    fn confirmed(&mut self, kind: usize, count: u64) {
        let is_shard = kind == 2;
        let others = if kind == 0 { self.counts[1] } else { self.counts[0] };
        self.counts[kind] = if is_shard { count } else { count.saturating_sub(others) };
        self.tie.subscribed(is_shard, count);
    }
}

/// A line that MONITOR shows: a time, then whose request.
fn is_shown_request(line: &[u8]) -> bool {
    let time = line[1..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    time > 2 && line[1 + time..].starts_with(b" [")
}

/// The first element of an array or push, if it is a bulk, and what follows it.
fn first_words(frame: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = |bytes: &[u8]| bytes.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
    let rest = &frame[line(frame)?..];
    let end = line(rest)?;
    let bytes = usize::try_from(number_of(&rest[..end], b'$')?).ok()?;
    let rest = &rest[end..];
    Some((rest.get(..bytes)?, rest.get(bytes + 2..)?))
}

/// The integer at the end of a confirmation.
fn last_number(rest: &[u8]) -> Option<u64> {
    let from = rest.iter().rposition(|byte| *byte == b':')?;
    u64::try_from(number_of(&rest[from..], b':')?).ok()
}
