//! Simulated clients: they write requests, read replies in order, and hang up in several ways.

use crate::cache::{Asked, Cache};
use crate::deed::Deed;
use crate::history::{Failure, Fate, Record};
use crate::link::Link;
use crate::push::{Ear, push_of};
use crate::request::{Replies, Request};
use crate::resp::{Reply, brief, read};
use crate::scenario::Scenario;
use crate::world::World;
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

/// Connections that one run makes at most, so that ever new ones cannot hide that old ones starve.
const LINKS_MAX: usize = 40;

/// How a client takes leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leave {
    Stays,
    /// It has sent QUIT, or closed its side: every reply must come, then the end.
    AwaitsEnd,
}

/// A reply that is to come.
pub struct Awaited {
    pub record: usize,
    /// The version that it will be in.
    pub resp3: bool,
    /// What its client will keep of it.
    pub asked: Option<Box<Asked>>,
    /// Confirmations that stand for it and are to come.
    pub confirms: Option<usize>,
}

pub struct Client {
    pub link: Option<usize>,
    buffer: Vec<u8>,
    pub unanswered: VecDeque<Awaited>,
    /// What it will ask next, before anything else.
    script: VecDeque<Request>,
    pub resp3: bool,
    leave: Leave,
    pub replies: Replies,
    pub cache: Cache,
    /// Its connection's id, once it has asked.
    pub id: Option<i64>,
    /// It has begun to listen to something.
    pub listens: bool,
    /// What it will publish with the next EXEC.
    pub queued_news: Option<Vec<(Ear, String, String)>>,
}

impl Client {
    pub fn new() -> Client {
        Client {
            link: None,
            buffer: Vec::new(),
            unanswered: VecDeque::new(),
            script: VecDeque::new(),
            resp3: false,
            leave: Leave::Stays,
            replies: Replies::On,
            cache: Cache::default(),
            id: None,
            listens: false,
            queued_news: None,
        }
    }

    /// Whether this is its connection, and it means to keep it.
    pub fn stays_on(&self, link: usize) -> bool {
        self.link == Some(link) && self.leave == Leave::Stays
    }
}

impl World {
    /// A client does its next step: connects, sends some requests, or hangs up.
    pub fn client_acts(&mut self, client: usize) {
        if self.clients[client].link.is_none() {
            if self.links.iter().filter(|link| link.dial.is_none()).count() < LINKS_MAX {
                self.connect(client);
            }
            return;
        }
        if self.clients[client].leave != Leave::Stays {
            return;
        }
        if self.rng.chance(self.scenario.hang_up) {
            return self.hang_up(client);
        }
        if self.scenario.impatient && self.awaits_exec(client) && self.rng.chance(20) {
            return self.reset(client);
        }
        let room = self.scenario.unanswered_max.saturating_sub(self.clients[client].unanswered.len());
        let burst = self.rng.between(1, self.scenario.burst_max).min(room).min(self.requests_left);
        for _ in 0..burst {
            if let Some(request) = self.next_request(client) {
                self.send(client, request);
            }
        }
        self.requests_left -= burst;
    }

    fn next_request(&mut self, client: usize) -> Option<Request> {
        if !self.scenario.is_scripted() || self.scenario.chatter && client % 2 == 1 {
            let chats = self.scenario.chatter && client % 2 == 1;
            let request = if chats { self.author.chat() } else { self.author.draw(&mut self.rng) };
            return self.is_wanted().then_some(request);
        }
        let now_ms = (World::EPOCH_US + self.clock_us) / 1000;
        if self.clients[client].script.is_empty() {
            let reads = self.scenario.readers && client % 2 == 1;
            let script = match () {
                _ if self.scenario.tracking => self.tracking_script(client, now_ms),
                _ if self.scenario.messages => self.messages_script(client),
                _ if self.scenario.wide => self.wide_script(),
                _ => self.playwright.script(&mut self.rng, now_ms, reads),
            };
            if self.is_wanted() {
                self.clients[client].script.extend(script);
            }
        }
        self.clients[client].script.pop_front()
    }

    /// Counts what is drawn; false if the plan leaves this one out.
    fn is_wanted(&mut self) -> bool {
        self.units += 1;
        !self.plan.skips(self.units - 1)
    }

    pub fn connect(&mut self, client: usize) {
        let core = self.ledger.place_connection().index();
        self.clients[client] = Client { link: Some(self.links.len()), ..Client::new() };
        self.links.push(Link::new(core));
        self.greet(client);
    }

    pub fn send(&mut self, client: usize, request: Request) {
        let link = self.clients[client].link.expect("only a connected client sends");
        if let crate::request::Shape::Hello { resp3 } = request.shape {
            self.clients[client].resp3 = resp3;
        }
        let there = &mut self.links[link];
        self.planted.encode(&request, &mut there.to_server);
        let record = self.history.records.len();
        there.requests.push_back((there.to_server.len(), record));
        let core = there.core;
        if let Some(awaited) = self.notes(client, link, record, &request) {
            self.clients[client].unanswered.push_back(awaited);
        }
        self.history.records.push(Record {
            link,
            core,
            request,
            asked: None,
            turns: Vec::new(),
            answered: None,
            reply: None,
            fate: Fate::Plain,
        });
    }

    /// What a reply says of its request, if it is an error of servers or of the way there.
    fn fate(&mut self, record: usize, reply: &Reply) -> Fate {
        let Some(fleet) = &mut self.fleet else { return Fate::Plain };
        fleet.fate(&self.history.records[record].request, reply)
    }

    fn hang_up(&mut self, client: usize) {
        self.reached.hang_ups += 1;
        let link = self.clients[client].link.expect("only a connected client hangs up");
        self.lose_link(link);
        match self.rng.below(3) {
            0 => {
                self.send(client, Request::quit());
                self.clients[client].leave = Leave::AwaitsEnd;
            }
            1 => {
                if self.rng.chance(30) {
                    // Half a request ahead of the end: nobody answers it.
                    self.links[link].to_server.extend_from_slice(b"*2\r\n$3\r\nGET\r\n$1");
                }
                self.links[link].ended = true;
                self.clients[client].leave = Leave::AwaitsEnd;
            }
            _ => self.reset(client),
        }
    }

    /// Leaves at once, whatever is under way.
    fn reset(&mut self, client: usize) {
        let link = self.clients[client].link.expect("only a connected client leaves");
        self.lose_link(link);
        self.links[link].hang_up();
        self.clients[client] = Client::new();
    }

    fn awaits_exec(&self, client: usize) -> bool {
        let mut unanswered = self.clients[client].unanswered.iter();
        unanswered.any(|awaited| matches!(self.history.records[awaited.record].request.deed, Some(Deed::Exec)))
    }

    /// Whether a client would find something to read.
    pub fn can_read(&self, client: usize) -> bool {
        let link = self.clients[client].link.map(|link| &self.links[link]);
        link.is_some_and(|link| !link.to_client.is_empty() || link.is_at_end())
    }

    pub fn client_reads(&mut self, client: usize) -> Result<(), Failure> {
        let Some(link) = self.clients[client].link else { return Ok(()) };
        self.event += 1;
        let bytes = self.scenario.cut.draw(&mut self.rng, self.links[link].to_client.len());
        self.clients[client].buffer.extend(self.links[link].to_client.drain(..bytes));
        self.read_replies(client, link)?;
        if self.links[link].is_at_end() {
            self.read_end(client, link)?;
        }
        Ok(())
    }

    fn read_replies(&mut self, client: usize, link: usize) -> Result<(), Failure> {
        let mut at = 0;
        while at < self.clients[client].buffer.len() {
            let Client { buffer, unanswered, resp3, .. } = &mut self.clients[client];
            let failed = |what: String| Err(Failure::new(format!("connection {link}: {what}")));
            let resp3 = unanswered.front().map_or(*resp3, |awaited| awaited.resp3);
            let found = read(&buffer[at..], resp3).and_then(|found| match found {
                Some((reply, length)) => Ok(Some((push_of(&reply, resp3)?, reply, length))),
                None => Ok(None),
            });
            let (push, reply, length) = match found {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(error) => return failed(error),
            };
            at += length;
            if let Some(push) = push {
                self.digest = digest(self.digest, self.event, &reply);
                self.take_push(client, link, push)?;
                continue;
            }
            let Some(awaited) = unanswered.pop_front() else {
                return failed(format!("{} answers no request", reply.brief()));
            };
            let fate = self.fate(awaited.record, &reply);
            let record = &mut self.history.records[awaited.record];
            record.fate = fate;
            let reply = self.planted.reply(&record.request, reply);
            let Scenario { room_bytes, ails, fills_disk, .. } = self.scenario;
            let (ails, unlogged) = (ails || fills_disk, reply.hides());
            let refused = match unlogged {
                // Reads of what may not last are, too.
                true => ails && (record.request.writes() || self.gave_up),
                false => room_bytes.is_some() && reply.is_refusal() && record.request.is_refusable(),
            };
            self.reached.refused += usize::from(refused && !unlogged);
            self.reached.unlogged += usize::from(refused && unlogged);
            if !refused && fate == Fate::Plain && !record.request.fits(&reply) {
                return failed(format!("{} was answered {}", record.request.text(), reply.brief()));
            }
            self.digest = digest(self.digest, self.event, &reply);
            (record.answered, record.reply) = (Some(self.event), Some(reply));
            // All cores have taken so many turns meanwhile.
            let waited = self.cores.iter().zip(&record.turns).map(|(core, turns)| core.turns - turns);
            self.reached.longest_wait = self.reached.longest_wait.max(waited.min().unwrap_or(0));
            self.take_reply(client, &awaited)?;
        }
        self.clients[client].buffer.drain(..at);
        Ok(())
    }

    fn read_end(&mut self, client: usize, link: usize) -> Result<(), Failure> {
        // Who waits for an answer while the log fails is let down, on all cores.
        if self.gave_up {
            self.reached.let_down += 1;
            self.lose_link(link);
            self.clients[client] = Client::new();
            return Ok(());
        }
        let there = &self.clients[client];
        let failed = |what: String| Err(Failure::new(format!("connection {link}: {what}")));
        if there.leave == Leave::Stays && !self.draining {
            return failed("it was closed without a reason".into());
        }
        if let Some(awaited) = there.unanswered.front() {
            let text = self.history.records[awaited.record].request.text();
            return failed(format!("it was closed before {text} was answered"));
        }
        self.clients[client] = Client::new();
        Ok(())
    }

    /// With nothing under way any more: everybody has every reply, and those who left were let go.
    pub fn check_answered(&self) -> Result<(), Failure> {
        for client in &self.clients {
            let Some(link) = client.link else { continue };
            if let Some(awaited) = client.unanswered.front() {
                let (text, count) = (self.history.records[awaited.record].request.text(), client.unanswered.len());
                let core = self.links[link].core;
                let what = format!("connection {link} on core {core} waits for {count} replies, first to {text}");
                return Err(Failure::new(what));
            }
            if !client.buffer.is_empty() {
                return Err(Failure::new(format!("connection {link} has read half of {}", brief(&client.buffer))));
            }
            if client.leave == Leave::AwaitsEnd {
                return Err(Failure::new(format!("connection {link} ended and is not closed")));
            }
        }
        Ok(())
    }
}

/// Sums a run up in one number, so that two runs can be compared.
fn digest(before: u64, event: u64, reply: &Reply) -> u64 {
    let mut sum = Sum(before ^ event);
    reply.hash(&mut sum);
    sum.finish()
}

/// The same on every machine, as the standard one need not be.
struct Sum(u64);

impl Hasher for Sum {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0 ^ u64::from_le_bytes(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
