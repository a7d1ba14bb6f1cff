//! Simulated clients: they write requests, read replies in order, and hang up in several ways.

use crate::deed::Deed;
use crate::history::{Failure, Record};
use crate::link::Link;
use crate::request::Request;
use crate::resp::{Reply, brief, read};
use crate::world::World;
use std::collections::VecDeque;

/// Connections that one run makes at most, so that ever new ones cannot hide that old ones starve.
const LINKS_MAX: usize = 40;

/// How a client takes leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leave {
    Stays,
    /// It has sent QUIT, or closed its side: every reply must come, then the end.
    AwaitsEnd,
}

pub struct Client {
    pub link: Option<usize>,
    buffer: Vec<u8>,
    /// Records whose replies are to come, and the version each will be in.
    unanswered: VecDeque<(usize, bool)>,
    /// What it will ask next, before anything else.
    script: VecDeque<Request>,
    resp3: bool,
    leave: Leave,
}

impl Client {
    pub fn new() -> Client {
        let (unanswered, script) = (VecDeque::new(), VecDeque::new());
        Client { link: None, buffer: Vec::new(), unanswered, script, resp3: false, leave: Leave::Stays }
    }
}

impl World {
    /// A client does its next step: connects, sends some requests, or hangs up.
    pub fn client_acts(&mut self, client: usize) {
        if self.clients[client].link.is_none() {
            if self.links.len() < LINKS_MAX {
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
            let request = self.next_request(client);
            self.send(client, request);
        }
        self.requests_left -= burst;
    }

    fn next_request(&mut self, client: usize) -> Request {
        if self.scenario.chatter && client % 2 == 1 {
            return self.author.chat();
        }
        if !self.scenario.transactions {
            return self.author.draw(&mut self.rng);
        }
        let now_ms = (World::EPOCH_US + self.clock_us) / 1000;
        let script = &mut self.clients[client].script;
        if script.is_empty() {
            let reads = self.scenario.readers && client % 2 == 1;
            script.extend(self.playwright.script(&mut self.rng, now_ms, reads));
        }
        script.pop_front().expect("a script has a beginning")
    }

    pub fn connect(&mut self, client: usize) {
        let core = self.ledger.place_connection().index();
        self.clients[client] = Client { link: Some(self.links.len()), ..Client::new() };
        self.links.push(Link::new(core));
        if self.rng.chance(self.scenario.resp3) {
            self.send(client, Request::hello(true));
        } else if self.rng.chance(10) {
            self.send(client, Request::hello(false));
        }
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
        let resp3 = self.clients[client].resp3;
        self.clients[client].unanswered.push_back((record, resp3));
        self.history.records.push(Record {
            link,
            core: there.core,
            request,
            asked: None,
            turns: Vec::new(),
            answered: None,
            reply: None,
        });
    }

    fn hang_up(&mut self, client: usize) {
        self.reached.hang_ups += 1;
        let link = self.clients[client].link.expect("only a connected client hangs up");
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
        self.links[link].hang_up();
        self.clients[client] = Client::new();
    }

    fn awaits_exec(&self, client: usize) -> bool {
        let mut unanswered = self.clients[client].unanswered.iter();
        unanswered.any(|(record, _)| matches!(self.history.records[*record].request.deed, Some(Deed::Exec)))
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
            let Client { buffer, unanswered, .. } = &mut self.clients[client];
            let failed = |what: String| Err(Failure::new(format!("connection {link}: {what}")));
            let Some(&(record, resp3)) = unanswered.front() else {
                return failed(format!("{} answers no request", brief(&buffer[at..])));
            };
            let found = match read(&buffer[at..], resp3) {
                Ok(found) => found,
                Err(error) => return failed(error),
            };
            let Some((reply, length)) = found else { break };
            unanswered.pop_front();
            at += length;
            let record = &mut self.history.records[record];
            let reply = self.planted.reply(&record.request, reply);
            if !record.request.fits(&reply) {
                return failed(format!("{} was answered {}", record.request.text(), reply.brief()));
            }
            self.digest = digest(self.digest, self.event, &reply);
            (record.answered, record.reply) = (Some(self.event), Some(reply));
            // All cores have taken so many turns meanwhile.
            let waited = self.cores.iter().zip(&record.turns).map(|(core, turns)| core.turns - turns);
            self.reached.longest_wait = self.reached.longest_wait.max(waited.min().unwrap_or(0));
        }
        self.clients[client].buffer.drain(..at);
        Ok(())
    }

    fn read_end(&mut self, client: usize, link: usize) -> Result<(), Failure> {
        let there = &self.clients[client];
        let failed = |what: String| Err(Failure::new(format!("connection {link}: {what}")));
        if there.leave == Leave::Stays && !self.draining {
            return failed("it was closed without a reason".into());
        }
        if let Some((record, _)) = there.unanswered.front() {
            let text = self.history.records[*record].request.text();
            return failed(format!("it was closed before {text} was answered"));
        }
        self.clients[client] = Client::new();
        Ok(())
    }

    /// With nothing under way any more: everybody has every reply, and those who left were let go.
    pub fn check_answered(&self) -> Result<(), Failure> {
        for client in &self.clients {
            let Some(link) = client.link else { continue };
            if let Some((record, _)) = client.unanswered.front() {
                let (text, count) = (self.history.records[*record].request.text(), client.unanswered.len());
                let core = self.links[link].core;
                let what = format!("connection {link} on core {core} waits for {count} replies, first to {text}");
                return Err(Failure::new(what));
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
    let text = format!("{event}{reply:?}");
    text.bytes().fold(before, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}
