//! What clients make of what they read: replies that change what they keep or listen to, and everything unasked.

use crate::cache::Asked;
use crate::client::Awaited;
use crate::deed::{Deed, Op};
use crate::faults::Fault;
use crate::history::{Failure, Record};
use crate::model::{Action, Until};
use crate::push::{Ear, Push};
use crate::request::{KEYS, Replies, Request, Role};
use crate::resp::Reply;
use crate::world::World;

/// The error of a client that wants another one to be told, which is gone.
const NO_PROXY: &str = "ERR The client ID you want redirect to does not exist";

impl World {
    /// Takes note of a request that leaves; what it is asked under, or none if nobody answers it.
    pub fn notes(&mut self, client: usize, link: usize, record: usize, request: &Request) -> Option<Awaited> {
        let resp3 = self.clients[client].resp3;
        let mut awaited = Awaited { record, resp3, asked: None, confirms: None };
        match &request.role {
            Role::Listen { ear, on, names } => {
                let all = if names.is_empty() { self.news.names(link, *ear) } else { names.clone() };
                all.iter().for_each(|name| self.news.ask(link, record, *ear, *on, name));
                awaited.confirms = Some(all.len().max(1));
            }
            Role::Publish { ear, channel, payload } => match &mut self.clients[client].queued_news {
                Some(queued) => queued.push((*ear, channel.clone(), payload.clone())),
                None => self.news.publish(record, None, link, (*ear, channel, payload)),
            },
            Role::Multi => self.clients[client].queued_news = Some(Vec::new()),
            Role::Exec => {
                let queued = self.clients[client].queued_news.take().unwrap_or_default();
                for (place, (ear, channel, payload)) in queued.iter().enumerate() {
                    self.news.publish(record, Some(place), link, (*ear, channel, payload));
                }
            }
            Role::Tracking(mode) => self.clients[client].cache.ask(mode),
            Role::Caching => self.clients[client].cache.caching = true,
            Role::Replies(_) | Role::ClientId | Role::None => {}
        }
        awaited.asked = self.asked(client, request);
        self.clients[client].wants_reply(request).then_some(awaited)
    }

    /// What is to be kept of its reply, where clients keep anything.
    fn asked(&mut self, client: usize, request: &Request) -> Option<Box<Asked>> {
        if !self.scenario.tracking {
            return None;
        }
        let cache = &mut self.clients[client].cache;
        match request.deed()? {
            Deed::Multi => cache.begin_multi(),
            Deed::Queue(op) => cache.queue(op),
            Deed::Step(op) => return Some(Box::new(cache.asks(Some(op)))),
            Deed::Exec => return Some(Box::new(cache.asks(None))),
            // What was queued is not asked for.
            Deed::Discard => drop(cache.asks(None)),
            Deed::Watch(_) | Deed::Unwatch => cache.caching = false,
        }
        None
    }

    /// A reply has come that is of the right kind.
    pub fn take_reply(&mut self, client: usize, awaited: &Awaited) -> Result<(), Failure> {
        let record = &self.history.records[awaited.record];
        let (Some(reply), asked_at) = (record.reply.clone(), record.asked.unwrap_or(0)) else { return Ok(()) };
        match &record.request.role {
            Role::Tracking(mode) => {
                let mode = mode.clone();
                let good = reply == Reply::ok();
                if !good && reply != Reply::Error(NO_PROXY.into()) {
                    return Err(Failure::new(format!("CLIENT TRACKING was answered {}", reply.brief())));
                }
                let alive = mode.redirect.is_none_or(|(link, _)| self.clients.iter().any(|proxy| proxy.stays_on(link)));
                self.clients[client].cache.answered(&mode, good && alive);
            }
            Role::ClientId => {
                if let Reply::Int(id) = reply {
                    self.clients[client].id = Some(id);
                }
            }
            _ => {
                if let Some(asked) = &awaited.asked {
                    self.clients[client].cache.learn(asked, asked_at, &reply);
                }
            }
        }
        Ok(())
    }

    /// Something has come that is no reply.
    pub fn take_push(&mut self, client: usize, link: usize, push: Push) -> Result<(), Failure> {
        match push {
            Push::Forget(keys) => self.take_forget(client, link, keys),
            Push::Broken => {
                self.clients[client].cache.lose_ear();
                Ok(())
            }
            Push::Confirm { ear, on, name } => self.take_confirm(client, link, (ear, on, name)),
            Push::Message { ear, name, channel, payload } => {
                if self.planted.strikes(Fault::DropMessage) {
                    return Ok(());
                }
                let mut heard = vec![(ear, name, channel, payload)];
                if self.planted.strikes(Fault::RepeatMessage) {
                    heard.push(heard[0].clone());
                }
                if let Some(late) = self.late_message.take_if(|(to, ..)| *to == link) {
                    heard.push(late.1);
                } else if self.late_message.is_none() && self.planted.strikes(Fault::SwapMessages) {
                    self.late_message = heard.pop().map(|message| (link, message));
                }
                self.reached.messages += heard.len();
                for (ear, name, channel, payload) in heard {
                    self.news.hear(link, ear, &name, (&channel, &payload))?;
                }
                Ok(())
            }
        }
    }

    /// A message that never came because nothing came behind it: its fault was none.
    pub fn take_late_message(&mut self) -> Result<(), Failure> {
        match self.late_message.take() {
            Some((link, (ear, name, channel, payload))) => self.news.hear(link, ear, &name, (&channel, &payload)),
            None => Ok(()),
        }
    }

    fn take_confirm(
        &mut self,
        client: usize,
        link: usize,
        (ear, on, name): (Ear, bool, Option<String>),
    ) -> Result<(), Failure> {
        let failed = |what: String| Err(Failure::new(format!("connection {link}: {what}")));
        let text = format!("{} {}", ear.command(on), name.as_deref().unwrap_or("-"));
        let Some(awaited) = self.clients[client].unanswered.front_mut() else {
            return failed(format!("{text} is confirmed and was not asked for"));
        };
        let (record, left) = (awaited.record, awaited.confirms.as_mut());
        let (asked, names) = match &self.history.records[record].request.role {
            Role::Listen { ear, on, names } => ((*ear, *on), names),
            _ => return failed(format!("{text} is confirmed in the place of another reply")),
        };
        let named = names.is_empty() || name.as_ref().is_some_and(|name| names.contains(name));
        let Some(left) = left.filter(|_| asked == (ear, on) && named) else {
            return failed(format!("{text} is confirmed and something else was asked for"));
        };
        *left -= 1;
        let done = *left == 0;
        if let Some(name) = &name {
            self.news.confirm(link, record, ear, on, name, self.event);
        }
        if done {
            self.clients[client].unanswered.pop_front();
            self.clients[client].listens |= on;
            let record = &mut self.history.records[record];
            (record.answered, record.reply) = (Some(self.event), Some(Reply::ok()));
        }
        Ok(())
    }

    /// Keys have changed, or all of them.
    fn take_forget(&mut self, client: usize, link: usize, keys: Option<Vec<usize>>) -> Result<(), Failure> {
        if self.planted.strikes(Fault::DropForget) {
            return Ok(());
        }
        for other in 0..self.clients.len() {
            let (direct, proxy) = (other == client, self.clients[client].listens);
            let cache = &mut self.clients[other].cache;
            if !direct && !cache.hears_on(link) {
                continue;
            }
            self.reached.told += 1;
            let Some(keys) = &keys else {
                cache.forget_all();
                continue;
            };
            match cache.forget(keys, direct && !proxy) {
                Err(key) => {
                    let what = format!("connection {link} is told of {:?}, which it does not keep", KEYS[key]);
                    return Err(Failure { what, trace: self.history.trace(|_| true) });
                }
                Ok(since) if direct && self.clients[client].cache.is_spared_own() => {
                    let own = since.iter().find(|(key, since)| !self.is_changed_by_others(link, *key, *since));
                    if let Some((key, _)) = own {
                        let what =
                            format!("connection {link} with NOLOOP is told of its own change to {:?}", KEYS[*key]);
                        return Err(Failure { what, trace: self.history.trace(|_| true) });
                    }
                }
                Ok(_) => {}
            }
        }
        Ok(())
    }

    /// Whether anybody else can have changed a key since an event, or time has.
    fn is_changed_by_others(&self, link: usize, key: usize, since: u64) -> bool {
        let expires = |op: &Op| match op {
            Op::One(_, Action::Set { until, .. }) => matches!(until, Until::AtMs(_) | Until::AfterMs(_)),
            Op::One(_, action) => matches!(action, Action::ExpireAtMs(_)),
            _ => false,
        };
        let records = &self.history.records;
        // A key may take its expiry along, so one on any key counts.
        let lapses = records.iter().any(|record| record.request.op().is_some_and(|op| expires(&op)));
        let ended = |at: usize| {
            let ends = |record: &&Record| matches!(record.request.deed, Some(Deed::Exec | Deed::Discard));
            let mut behind = records[at..].iter().filter(|record| record.link == records[at].link);
            match records[at].request.deed {
                Some(Deed::Queue(_)) => behind.find(ends),
                _ => behind.next(),
            }
        };
        let changes = |at: usize| {
            let writes = records[at].request.op().is_some_and(|op| op.keys() & 1 << key != 0 && !op.is_look());
            let runs = ended(at).filter(|end| end.asked.is_some());
            writes
                && records[at].link != link
                && runs.is_some_and(|end| end.answered.is_none_or(|event| event >= since))
        };
        lapses || (0..records.len()).any(changes)
    }

    /// With nothing under way: what clients keep is what the store has.
    pub fn check_kept(&mut self, store: &[Reply]) -> Result<(), Failure> {
        for client in &self.clients {
            self.reached.kept += client.cache.kept();
            if let Some((key, value)) = client.cache.stale(store) {
                let (link, mode) = (client.link.unwrap_or_default(), &client.cache.mode);
                let (kept, now) = (value.brief(), store[key].brief());
                let what = format!("connection {link} keeps {kept} for {:?}, which is {now}; {mode:?}", KEYS[key]);
                return Err(Failure { what, trace: self.history.trace(|_| true) });
            }
        }
        Ok(())
    }

    /// A connection hangs up: who was told by way of it, and who listened there, can count on nothing more.
    pub fn lose_link(&mut self, link: usize) {
        self.news.leave(link, self.event);
        self.clients.iter_mut().filter(|client| client.cache.hears_on(link)).for_each(|client| client.cache.lose_ear());
    }
}

impl crate::client::Client {
    /// Whether a request is answered, by what its client has asked of CLIENT REPLY.
    fn wants_reply(&mut self, request: &Request) -> bool {
        match (&request.role, self.replies) {
            (Role::Replies(Replies::On), _) => {
                self.replies = Replies::On;
                true
            }
            (Role::Replies(Replies::Off), _) => {
                self.replies = Replies::Off;
                false
            }
            (Role::Replies(Replies::SkipNext), Replies::Off) => false,
            (Role::Replies(Replies::SkipNext), _) => {
                self.replies = Replies::SkipNext;
                false
            }
            // Confirmations come in any case.
            (Role::Listen { .. }, _) => true,
            (_, Replies::SkipNext) => {
                self.replies = Replies::On;
                false
            }
            (_, replies) => replies == Replies::On,
        }
    }
}
