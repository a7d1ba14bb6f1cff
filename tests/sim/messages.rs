//! What was published, who listened, and what each listener heard: is that what was promised?
//!
//! A message that is published after the confirmation of a subscription was read, and answered before the end of that
//! subscription was asked for, is heard exactly once; one that overlaps either may be heard, once at most; no other is.
//! A listener hears the messages of one publisher in the order in which they were published, whatever the channels. And
//! PUBLISH counts exactly those who were told: each who heard, and none but those who left before they could.

use crate::history::{Failure, Record};
use crate::push::Ear;
use crate::resp::Reply;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Asked,
    Confirmed(u64),
    Ended,
}

/// A name that a connection listens to, from one SUBSCRIBE to the next UNSUBSCRIBE.
pub struct Subscription {
    pub link: usize,
    pub ear: Ear,
    pub name: String,
    /// Records of the commands that begin and end it.
    begun_by: usize,
    ended_by: Option<usize>,
    stage: Stage,
    /// Channels and payloads in their order.
    heard: Vec<(String, String)>,
    /// Its connection hangs up, from this event on.
    left: Option<u64>,
}

struct Publication {
    /// The record of its command or of the EXEC that it was part of, and its place in that one.
    record: usize,
    place: Option<usize>,
    link: usize,
    ear: Ear,
    channel: String,
    payload: String,
}

#[derive(Default)]
pub struct News {
    pub subscriptions: Vec<Subscription>,
    publications: Vec<Publication>,
    /// By connection, what it was handed, in order: publications by their numbers.
    handed: BTreeMap<usize, Vec<usize>>,
}

/// Whether a name covers a channel. The only wildcard that is used is a star at the end.
fn covers(ear: Ear, name: &str, channel: &str) -> bool {
    match (ear, name.strip_suffix('*')) {
        (Ear::Pattern, Some(start)) => channel.starts_with(start),
        _ => name == channel,
    }
}

impl Subscription {
    /// Since when whatever happens is heard, if it is still listening and will go on to the end.
    pub fn lasting_since(&self) -> Option<u64> {
        match self.stage {
            Stage::Confirmed(event) if self.ended_by.is_none() && self.left.is_none() => Some(event),
            _ => None,
        }
    }

    pub fn heard(&self) -> &[(String, String)] {
        &self.heard
    }

    fn asked(&self, records: &[Record]) -> Option<u64> {
        records[self.begun_by].asked
    }

    fn has_heard(&self, publication: &Publication) -> bool {
        self.heard.iter().any(|(_, payload)| *payload == publication.payload)
    }

    fn listens_to(&self, publication: &Publication) -> bool {
        let same = matches!(self.ear, Ear::Shard) == matches!(publication.ear, Ear::Shard);
        same && covers(self.ear, &self.name, &publication.channel)
    }

    /// Whether it has to hear, and whether it may.
    fn expects(&self, publication: &Publication, records: &[Record]) -> (bool, bool) {
        let Record { asked, answered, .. } = &records[publication.record];
        let (Some(asked), true) = (*asked, self.listens_to(publication)) else { return (false, false) };
        let ends = self.ended_by.and_then(|record| records[record].asked);
        let ends = [ends, self.left].into_iter().flatten().min();
        let in_time = self.left.is_none() && answered.is_some_and(|answered| ends.is_none_or(|ends| answered < ends));
        let begins = self.asked(records);
        let may = begins.is_some_and(|begins| answered.is_none_or(|answered| answered >= begins));
        let confirmed = match self.stage {
            Stage::Asked => None,
            Stage::Confirmed(event) => Some(event),
            // Its end was read, so its beginning was too; when does not matter here, see `confirm`.
            Stage::Ended => records[self.begun_by].answered,
        };
        (in_time && confirmed.is_some_and(|confirmed| confirmed < asked), may)
    }
}

impl News {
    /// A connection asks to listen, or no more, by this record; nothing begins or ends if it is so already.
    pub fn ask(&mut self, link: usize, record: usize, ear: Ear, on: bool, name: &str) {
        let same =
            |one: &&mut Subscription| one.link == link && one.ear == ear && one.name == name && one.ended_by.is_none();
        match self.subscriptions.iter_mut().find(same) {
            Some(known) if !on => known.ended_by = Some(record),
            None if on => self.subscriptions.push(Subscription {
                link,
                ear,
                name: name.to_string(),
                begun_by: record,
                ended_by: None,
                stage: Stage::Asked,
                heard: Vec::new(),
                left: None,
            }),
            _ => {}
        }
    }

    /// The names that a connection listens to once all that it asked for is done.
    pub fn names(&self, link: usize, ear: Ear) -> Vec<String> {
        let own = |one: &&Subscription| one.link == link && one.ear == ear && one.ended_by.is_none();
        self.subscriptions.iter().filter(own).map(|one| one.name.clone()).collect()
    }

    /// The confirmation of a command was read.
    pub fn confirm(&mut self, link: usize, record: usize, ear: Ear, on: bool, name: &str, event: u64) {
        let own = self.subscriptions.iter_mut().filter(|one| one.link == link && one.ear == ear && one.name == name);
        for one in own {
            if on && one.begun_by == record {
                one.stage = Stage::Confirmed(event);
            }
            if !on && one.ended_by == Some(record) {
                one.stage = Stage::Ended;
            }
        }
    }

    pub fn publish(&mut self, record: usize, place: Option<usize>, link: usize, told: (Ear, &str, &str)) {
        let (ear, channel, payload) = (told.0, told.1.to_string(), told.2.to_string());
        self.publications.push(Publication { record, place, link, ear, channel, payload });
    }

    /// A message was read.
    pub fn hear(&mut self, link: usize, ear: Ear, name: &str, (channel, payload): (&str, &str)) -> Result<(), Failure> {
        let listens = |one: &&mut Subscription| {
            one.link == link && one.ear == ear && one.name == name && matches!(one.stage, Stage::Confirmed(_))
        };
        let Some(listener) = self.subscriptions.iter_mut().find(listens) else {
            let what = format!("connection {link} does not listen to {name:?} and hears {payload:?} on {channel:?}");
            return Err(Failure::new(what));
        };
        listener.heard.push((channel.to_string(), payload.to_string()));
        if !covers(ear, name, channel) {
            return Err(Failure::new(format!("connection {link} hears {channel:?} by {name:?}")));
        }
        // What the server says of keys.
        if channel.starts_with("__") {
            return Ok(());
        }
        let known = self.publications.iter().position(|one| one.payload == payload && one.channel == channel);
        let Some(number) = known else {
            return Err(Failure::new(format!("connection {link} hears {payload:?} on {channel:?}: nobody said so")));
        };
        self.handed.entry(link).or_default().push(number);
        Ok(())
    }

    /// A connection hangs up: from now on it may miss what it listens to.
    pub fn leave(&mut self, link: usize, event: u64) {
        self.subscriptions.iter_mut().filter(|one| one.link == link).for_each(|one| {
            one.left.get_or_insert(event);
        });
    }

    pub fn check(&self, records: &[Record]) -> Result<(), Failure> {
        self.check_order()?;
        for publication in &self.publications {
            self.check_heard(publication, records)?;
            self.check_count(publication, records)?;
        }
        Ok(())
    }

    fn check_order(&self) -> Result<(), Failure> {
        for (link, handed) in &self.handed {
            let mut last: BTreeMap<usize, usize> = BTreeMap::new();
            for number in handed {
                let publication = &self.publications[*number];
                let before = last.insert(publication.link, *number).unwrap_or(0);
                if before > *number {
                    let (one, other) = (&self.publications[before].payload, &publication.payload);
                    let what = format!("connection {link} hears {other:?} behind {one:?}, which was published later");
                    return Err(Failure { what, trace: self.trace(publication) });
                }
            }
        }
        Ok(())
    }

    fn check_heard(&self, publication: &Publication, records: &[Record]) -> Result<(), Failure> {
        for one in &self.subscriptions {
            let times = one.heard.iter().filter(|(_, payload)| *payload == publication.payload).count();
            let (must, may) = one.expects(publication, records);
            if times > 1 || times == 0 && must || times > 0 && !may {
                let due = if must {
                    "once"
                } else if may {
                    "once at most"
                } else {
                    "never"
                };
                let (link, payload) = (one.link, &publication.payload);
                let what = format!("connection {link} hears {payload:?} {times} times by {:?}, due {due}", one.name);
                return Err(Failure { what, trace: self.trace(publication) });
            }
        }
        Ok(())
    }

    fn check_count(&self, publication: &Publication, records: &[Record]) -> Result<(), Failure> {
        let count = match (&records[publication.record].reply, publication.place) {
            (Some(Reply::Int(count)), None) => *count as usize,
            (Some(Reply::Array(counts)), Some(place)) => match counts.get(place) {
                Some(Reply::Int(count)) => *count as usize,
                _ => return Err(Failure::new(format!("{:?} was answered without a count", publication.payload))),
            },
            _ => return Ok(()),
        };
        let heard = self.subscriptions.iter().filter(|one| one.has_heard(publication)).count();
        let lost = |one: &&Subscription| {
            one.left.is_some() && one.expects(publication, records).1 && !one.has_heard(publication)
        };
        let lost = self.subscriptions.iter().filter(lost).count();
        if (heard..=heard + lost).contains(&count) {
            return Ok(());
        }
        let what = format!("{count} were told {:?}, and {heard} to {} heard", publication.payload, heard + lost);
        Err(Failure { what, trace: self.trace(publication) })
    }

    fn trace(&self, publication: &Publication) -> String {
        let listening = self.subscriptions.iter().filter(|one| one.listens_to(publication));
        let line = |one: &Subscription| {
            let (link, ear, name, stage) = (one.link, one.ear, &one.name, one.stage);
            let heard = one.has_heard(publication);
            format!("connection {link} {ear:?} {name:?} {stage:?} left {:?} heard {heard}", one.left)
        };
        let lines: Vec<String> = listening.map(line).collect();
        format!("{} on {:?}:\n{}", publication.payload, publication.channel, lines.join("\n"))
    }
}
