//! A fold on its way to the server that has its key: asked leg by leg, answered run by run, landed as one. So are reads that
//! no fold takes; they have one leg.

use super::super::router::{Asked, Router, Whose};
use super::super::row::LinkWay;
use super::reads::coalesced;
use super::{Leg, Made};
use crate::engine::Engine;
use crate::engine::event::Effects;
use crate::engine::hot::Home;
use crate::engine::letter::Ticket;
use crate::engine::upstream::forward::{encode_as, push_words};
use crate::protocol::command::spec;
use crate::protocol::resp::{Output, Proto, number_of};
use crate::replica::{Cell, Copy, Fold, Round, Term};
use crate::types::{KeyHash, Now};
use crate::upstream::topology::Hops;
use std::ops::Range;
use std::sync::Arc;

/// A copy is made anew after so long, whatever its server says of it: so that the server sees that its key is used, and
/// that a link which is dead and does not know it vouches for nothing.
const COPY_LIFE_MS: u64 = 1000;

/// What came of a run.
pub enum Reply {
    /// From the server.
    Its(Vec<u8>),
    /// An error in its place.
    Ours(Vec<u8>),
}

/// What is on its way.
pub enum Cargo {
    Fold(Box<Fold>),
    Reads(Round<Ticket>),
}

/// See the module.
pub struct Flight {
    cargo: Cargo,
    cell: Arc<Cell>,
    pool: usize,
    writes: bool,
    /// The version at which a copy may be made of it.
    version: Option<u64>,
    asked: Now,
    /// Of the leg that is under way; and how many are missing.
    pub replies: Vec<Option<Reply>>,
    missing: usize,
    pub proto: Proto,
    tracks: bool,
    /// By which link a run was answered, and what the last one was.
    row: Option<u32>,
    read: Vec<u8>,
    /// What the server said of how long the key lives; none: it did not.
    life_ms: Option<i64>,
    /// The key may have changed since it was read.
    pub is_stale: bool,
}

/// Nothing, which takes no memory.
impl Default for Cargo {
    fn default() -> Cargo {
        Cargo::Reads(Round { key: Box::default(), hash: KeyHash::default(), reads: Vec::new() })
    }
}

impl Cargo {
    fn key(&self) -> (KeyHash, &[u8]) {
        match self {
            Cargo::Fold(fold) => (fold.hash, fold.key()),
            Cargo::Reads(round) => (round.hash, &round.key),
        }
    }

    /// Which of its runs are asked now, whether those are the last, and the requests that they make unnecessary: reads, and
    /// writes.
    fn leg(&self) -> (Range<usize>, bool, (u64, u64)) {
        match self {
            Cargo::Fold(fold) => {
                let leg = fold.leg();
                (leg.clone(), leg.end == fold.runs(), fold.spares(leg))
            }
            Cargo::Reads(round) => (0..round.reads.len(), true, (coalesced(round), 0)),
        }
    }

    /// The version of the protocol in which its replies can be told to all who wait: of a fold's the first is enough.
    fn proto(&self) -> Proto {
        match self {
            Cargo::Fold(_) => Proto::Resp2,
            Cargo::Reads(round) => round.proto(),
        }
    }

    fn reads(&self, run: usize) -> bool {
        match self {
            Cargo::Fold(fold) => fold.reads(run),
            Cargo::Reads(_) => true,
        }
    }

    /// Writes a run as the request that asks for it.
    fn encode(&mut self, run: usize, out: &mut Output) {
        match self {
            Cargo::Fold(fold) => {
                let mut request = fold.request(run);
                encode_as(spec(request.command).name.as_bytes(), &mut request.args, out);
            }
            Cargo::Reads(round) => out.bytes.extend_from_slice(&round.reads[run].request),
        }
    }
}

impl Flight {
    /// Whether it has read this key already.
    pub fn has_read(&self, key: &[u8]) -> bool {
        self.row.is_some() && self.cargo.key().1 == key
    }

    /// By which link it is asked, once its server has said that it does not say what changes.
    pub fn way_without_tracking(&self) -> LinkWay {
        LinkWay::hot(false, self.cargo.proto())
    }

    /// Whether it was answered by such a link.
    pub fn is_by(&self, by: impl Fn(u32) -> bool) -> bool {
        self.row.is_some_and(by)
    }
}

impl Router {
    /// What a key that is only read had when its server could be reached, if nobody has changed it since and it is not too
    /// old to be answered.
    fn old_value(&mut self, now: Now, fold: &Fold, flight: &Flight) -> Option<Vec<u8>> {
        let made = self.hot.made.iter().find(|made| made.hash == fold.hash && *made.key == *fold.key())?;
        let (reply, asked, version) = made.kept.as_ref().filter(|_| fold.gets())?;
        let (server, reply) = (made.server, reply.clone());
        self.may_be_old(now, flight, (*asked, *version), server).then_some(reply)
    }

    /// Whether what was asked then, at that version, may be answered although its server cannot be reached.
    pub fn may_be_old(&mut self, now: Now, flight: &Flight, (asked, version): (Now, u64), server: u32) -> bool {
        let stale_ms = self.pools[flight.pool].hot_stale_ms;
        let max_us = (COPY_LIFE_MS + stale_ms) * 1000;
        let may = stale_ms > 0 && version == flight.cell.version() && now.mono_us - asked.mono_us <= max_us;
        self.servers[server as usize].figures.stale += u64::from(may);
        may
    }
}

impl Engine {
    /// When a turn ends: sends the folds on their way that wait for other servers.
    pub(in crate::engine) fn send_folds(&mut self, now: Now, effects: &mut Effects) {
        if self.hot.upstream.is_empty() {
            return;
        }
        for round in self.hot.upstream.depart_reads() {
            self.take_off_reads(now, round, effects);
        }
        let mut folds = Vec::new();
        self.hot.upstream.depart(|_, fold| folds.push(fold));
        for fold in folds {
            self.take_off(now, fold, effects);
        }
        self.settle_touched(now, effects);
    }

    fn take_off(&mut self, now: Now, mut fold: Box<Fold>, effects: &mut Effects) {
        let entry =
            self.hot.upstream.get(fold.hash, fold.key()).expect("an entry stays while a fold of it is under way");
        if fold.gets()
            && let Some(copy) = entry.read(now.unix_ms(), || true)
        {
            // It came while these waited.
            fold.answer_from(copy);
            let again = self.land_fold(now, Home::Server, fold, effects);
            return assert!(again.is_none(), "a copy answers every read");
        }
        let cell = Arc::clone(entry.cell());
        let writes = (0..fold.runs()).any(|run| !fold.reads(run));
        let (replicates, _) = self.settings.hot.treatment(fold.key());
        let version = cell.settled().filter(|_| fold.gets() && replicates);
        if writes {
            cell.begin_write();
        }
        self.send_off(now, Cargo::Fold(fold), cell, (writes, version), effects);
    }

    pub(super) fn send_off(
        &mut self,
        now: Now,
        cargo: Cargo,
        cell: Arc<Cell>,
        (writes, version): (bool, Option<u64>),
        effects: &mut Effects,
    ) {
        let router = self.router.as_deref_mut().expect("there is a router");
        let pool = router.routes.find(cargo.key().1).expect("only keys of other servers have entries there");
        let flight = Flight {
            cargo,
            cell,
            pool,
            writes,
            version,
            asked: now,
            replies: Vec::new(),
            missing: 0,
            proto: Proto::Resp2,
            tracks: false,
            row: None,
            read: Vec::new(),
            life_ms: None,
            is_stale: false,
        };
        let number = router.hot.add(Box::new(flight));
        self.ask_leg(now, number, effects);
    }

    /// Asks for the next runs of a flight.
    fn ask_leg(&mut self, now: Now, number: u32, effects: &mut Effects) {
        let router = self.router.as_deref_mut().expect("there is a router");
        let mut flight = router.hot.flights[number as usize].take().expect("it is under way");
        let spot = router.place(flight.pool, flight.cargo.key().1, false);
        let tracks = router.servers[spot.server as usize].tracks;
        let life_ms = router.pools[flight.pool].hot_copy_ms;
        let way = LinkWay::hot(tracks, flight.cargo.proto());
        let row = router.link_to(now.mono_us, spot.server, way, effects);
        let (leg, is_last, (coalesced, folded)) = flight.cargo.leg();
        let figures = &mut router.servers[spot.server as usize].figures;
        (figures.coalesced, figures.folded) = (figures.coalesced + coalesced, figures.folded + folded);
        // Without a word of the server's a copy lives for as long as the configuration says.
        flight.version = flight.version.filter(|_| tracks || life_ms > 0);
        let asks_life = flight.version.is_some() && is_last;
        flight.missing = leg.len() + usize::from(asks_life);
        flight.replies.resize_with(leg.len(), || None);
        flight.proto = way.proto;
        let asked = |leg: Leg, reads: bool| Asked {
            whose: Whose::Fold(number, leg),
            reads,
            again: false,
            pool: flight.pool as u16,
            slot: spot.slot,
            hops: Hops::default(),
            proto: way.proto,
            tracks,
            bar: 0,
        };
        let Some(row) = row else {
            let text = format!("-{}\r\n", router.unreachable(spot.server)).into_bytes();
            flight.replies = leg.map(|_| Some(Reply::Ours(text.clone()))).collect();
            (flight.missing, flight.version) = (0, None);
            router.hot.flights[number as usize] = Some(flight);
            return router.hot.ripe.push(number);
        };
        for (run, part) in leg.zip(0..) {
            let asked = asked(Leg::Run(part), flight.cargo.reads(run));
            router.ask(now.mono_us, row, asked, |out| flight.cargo.encode(run, out), effects);
        }
        if asks_life {
            let key = flight.cargo.key().1;
            let encode = |out: &mut Output| push_words(&mut out.bytes, &[b"PTTL", key]);
            router.ask(now.mono_us, row, asked(Leg::Life, true), encode, effects);
        }
        router.hot.flights[number as usize] = Some(flight);
    }

    /// A server has answered a part of a flight, by this link.
    pub(in super::super) fn flight_answered(
        &mut self,
        asked: &Asked,
        (number, leg): (u32, Leg),
        row: u32,
        reply: &[u8],
    ) {
        let flight = self.router.as_deref_mut().expect("there is a router").hot.flight(number);
        match leg {
            Leg::Run(part) => {
                // All that are missing come by one link, but for what a lost one leaves to another.
                flight.is_stale |= flight.row.is_some_and(|other| other != row);
                (flight.row, flight.proto, flight.tracks) = (Some(row), asked.proto, asked.tracks);
                flight.replies[part as usize] = Some(Reply::Its(reply.to_vec()));
            }
            Leg::Life => {
                flight.is_stale |= flight.row != Some(row);
                flight.life_ms = number_of(reply, b':');
            }
        }
        self.leg_shrinks(number);
    }

    /// Nobody has answered it, nor will.
    pub(in super::super) fn flight_unanswered(&mut self, number: u32, leg: Leg, error: &[u8]) {
        let flight = self.router.as_deref_mut().expect("there is a router").hot.flight(number);
        if let Leg::Run(part) = leg {
            flight.replies[part as usize] = Some(Reply::Ours(error.to_vec()));
        }
        flight.is_stale = true;
        self.leg_shrinks(number);
    }

    fn leg_shrinks(&mut self, number: u32) {
        let hot = &mut self.router.as_deref_mut().expect("there is a router").hot;
        let flight = hot.flight(number);
        flight.missing -= 1;
        if flight.missing == 0 {
            hot.ripe.push(number);
        }
    }

    /// Goes on with the flights whose legs are answered: to the next leg, or home.
    pub(in super::super) fn fly_on(&mut self, now: Now, effects: &mut Effects) {
        while let Some(number) = self.router.as_deref_mut().and_then(|router| router.hot.ripe.pop()) {
            let router = self.router.as_deref_mut().expect("it was there just now");
            let mut flight = router.hot.remove(number);
            match std::mem::take(&mut flight.cargo) {
                Cargo::Reads(round) => self.land_reads(now, round, &mut flight),
                Cargo::Fold(fold) => self.fold_flies_on(now, fold, flight, effects),
            }
        }
    }

    fn fold_flies_on(&mut self, now: Now, mut fold: Box<Fold>, mut flight: Box<Flight>, effects: &mut Effects) {
        let router = self.router.as_deref_mut().expect("there is a router");
        let mut refused = false;
        for reply in std::mem::take(&mut flight.replies) {
            match reply.expect("none is missing") {
                Reply::Its(bytes) => {
                    refused = !fold.answered(&bytes, flight.proto);
                    flight.read = bytes;
                }
                Reply::Ours(error) => match router.old_value(now, &fold, &flight) {
                    Some(old) => drop(fold.answered(&old, Proto::Resp3)),
                    None => fold.fail_next(&error),
                },
            }
        }
        if !refused && !fold.leg().is_empty() {
            flight.cargo = Cargo::Fold(fold);
            let number = router.hot.add(flight);
            return self.ask_leg(now, number, effects);
        }
        fold.copy = self.copy_of(&fold, &flight);
        if flight.writes {
            flight.cell.end_write();
        }
        // It is over: who waits gets its reply.
        if let Some((_, fold)) = self.land_fold(now, Home::Server, fold, effects) {
            self.take_off(now, fold, effects);
        }
    }

    /// For how long copies of what a flight has read are current, if nothing can have changed since and its server will say
    /// when something does.
    pub(super) fn term_of(&self, flight: &Flight) -> Option<Term> {
        let version = flight.version.filter(|version| *version == flight.cell.version() && !flight.is_stale)?;
        let (row, life_ms) = (flight.row?, flight.life_ms?);
        let router = self.router.as_deref().expect("there is a router");
        let kept_ms = if flight.tracks { COPY_LIFE_MS } else { router.pools[flight.pool].hot_copy_ms };
        let lives_ms = if life_ms < 0 { u64::MAX } else { life_ms as u64 };
        let expiry_ms = flight.asked.unix_ms().saturating_add(lives_ms.min(kept_ms));
        Some(Term { version, asked: flight.asked, expiry_ms, by: row })
    }

    /// Whether copies may take so many bytes more.
    pub(super) fn has_room_for_copies(&self, bytes: usize) -> bool {
        let made = &self.router.as_deref().expect("there is a router").hot.made;
        let replies = self.hot.upstream.iter().map(|entry| entry.reads.copied_bytes()).sum::<usize>();
        let bytes = made.iter().map(|made| made.bytes).sum::<usize>() + replies + bytes;
        bytes as u64 <= self.settings.hot.limits.bytes_max
    }

    fn copy_of(&mut self, fold: &Fold, flight: &Flight) -> Option<Copy> {
        let Term { version, asked, expiry_ms, by } = self.term_of(flight)?;
        let copy = Copy::of_reply(&flight.read, Some(expiry_ms))?;
        let (hash, key) = (fold.hash, fold.key());
        self.count_hits(|made| made.hash == hash);
        let hits = self.hot.upstream.get(hash, key).map_or(0, |entry| entry.hits);
        let router = self.router.as_deref_mut().expect("there is a router");
        router.hot.made.retain(|made| made.hash != hash || *made.key != *key);
        let server = router.rows[by as usize].server;
        let kept = (router.pools[flight.pool].hot_stale_ms > 0).then(|| (flight.read.clone(), asked, version));
        if !self.has_room_for_copies(flight.read.len()) {
            return None;
        }
        let (row, key, bytes) = (Some(by), key.into(), flight.read.len());
        let router = self.router.as_deref_mut().expect("there is a router");
        router.hot.made.push(Made { row, server, hits, hash, key, bytes, kept });
        Some(copy.at(version))
    }
}
