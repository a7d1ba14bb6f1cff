//! Proves over random courses of events, with letters under way for as long as chance wants, what PUBLISH promises: each
//! message reaches all who listened from before it was sent until after it was answered, and nobody who listened at no
//! time in between, once each; one publisher's messages come in their order; and the replies count exactly what came.

use super::rig::{Client, Rig, request};
use std::collections::BTreeMap;

const CORES: usize = 3;
const SEEDS: u64 = 60;
const STEPS: usize = 600;
/// What listeners listen to, by kind: the first two are channels, the last is a pattern that matches both.
const NAMES: [&str; 3] = ["a", "b", "[ab]"];

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }
}

/// From which step on somebody listens and, if that has ended, until when.
type Time = (usize, Option<usize>);

struct Publication {
    channel: usize,
    sent: usize,
    answered: Option<usize>,
}

#[derive(Default)]
struct Course {
    step: usize,
    /// By publisher, in order of sending.
    published: BTreeMap<Client, Vec<Publication>>,
    told: i64,
    /// By listener and name.
    listened: BTreeMap<(Client, usize), Vec<Time>>,
    /// By listener: name, publisher and number of each message.
    heard: BTreeMap<Client, Vec<(usize, Client, usize)>>,
}

impl Course {
    fn listen(&mut self, rig: &mut Rig, client: Client, name: usize) {
        let times = self.listened.entry((client, name)).or_default();
        let pattern = if name == 2 { "P" } else { "" };
        let listens = times.last().is_some_and(|(_, until)| until.is_none());
        if listens {
            times.last_mut().expect("it listens").1 = Some(self.step);
            rig.send(client, &request(&[&format!("{pattern}UNSUBSCRIBE"), NAMES[name]]));
        } else {
            times.push((self.step, None));
            rig.send(client, &request(&[&format!("{pattern}SUBSCRIBE"), NAMES[name]]));
        }
    }

    fn publish(&mut self, rig: &mut Rig, client: Client, channel: usize) {
        let own = self.published.entry(client).or_default();
        let payload = format!("{},{},{}", client.0, client.1, own.len());
        own.push(Publication { channel, sent: self.step, answered: None });
        rig.send(client, &request(&["PUBLISH", NAMES[channel], &payload]));
    }

    /// Takes letters from their senders, and notes what clients were told.
    fn look(&mut self, rig: &mut Rig) {
        rig.post();
        for (client, own) in &mut self.published {
            let text = rig.take(*client);
            for count in text.split_whitespace() {
                let publication = own.iter_mut().find(|publication| publication.answered.is_none());
                publication.expect("one reply each").answered = Some(self.step);
                self.told += count.trim_start_matches(':').parse::<i64>().expect("a number");
            }
        }
        for (client, heard) in &mut self.heard {
            let text = rig.take(*client);
            for message in text.split('*').filter(|message| message.contains("message ")) {
                let words: Vec<&str> = message.split_whitespace().filter(|word| !word.starts_with('$')).collect();
                let name = if words[1] == "pmessage" { 2 } else { usize::from(words[2] == "b") };
                let id: Vec<usize> = words[words.len() - 1].split(',').map(|n| n.parse().expect("a number")).collect();
                heard.push((name, (id[0], id[1] as u32), id[2]));
            }
        }
    }

    fn judge(&self) {
        let heard_count: usize = self.heard.values().map(Vec::len).sum();
        assert_eq!(self.told, heard_count as i64, "the replies add up to what was heard");
        for ((listener, name), times) in &self.listened {
            let heard = self.heard[listener].iter().filter(|(by, _, _)| by == name);
            let mut by_publisher: BTreeMap<Client, Vec<usize>> = BTreeMap::new();
            heard.for_each(|(_, publisher, number)| by_publisher.entry(*publisher).or_default().push(*number));
            for (publisher, own) in &self.published {
                let heard = by_publisher.remove(publisher).unwrap_or_default();
                assert!(heard.is_sorted_by(|a, b| a < b), "{publisher:?} to {listener:?}: {heard:?}");
                for (number, publication) in own.iter().enumerate() {
                    let (sent, answered) = (publication.sent, publication.answered.expect("all was answered"));
                    let matches = *name == 2 || *name == publication.channel;
                    let all_along =
                        times.iter().any(|(from, until)| *from < sent && until.is_none_or(|until| until > answered));
                    let sometime =
                        times.iter().any(|(from, until)| *from <= answered && until.is_none_or(|until| until >= sent));
                    match heard.binary_search(&number) {
                        Ok(_) => assert!(matches && sometime, "{listener:?} heard {publisher:?}'s {number}"),
                        Err(_) => assert!(!(matches && all_along), "{listener:?} missed {publisher:?}'s {number}"),
                    }
                }
            }
        }
    }
}

#[test]
fn whoever_listens_hears_each_message_once_and_in_order() {
    for seed in 0..SEEDS {
        let (mut rig, mut dice, mut course) = (Rig::new(CORES), Dice(seed), Course::default());
        let mut clients = |row: u32| -> Vec<Client> {
            (0..CORES).flat_map(|core| [(core, row), (core, row + 1)]).map(|client| rig.open(client)).collect()
        };
        let (listeners, publishers) = (clients(1), clients(3));
        course.heard = listeners.iter().map(|client| (*client, Vec::new())).collect();
        for step in 0..STEPS {
            course.step = step;
            let draw = dice.below(10);
            if draw < 2 {
                course.listen(&mut rig, listeners[dice.below(listeners.len())], dice.below(3));
            } else if draw < 5 {
                course.publish(&mut rig, publishers[dice.below(publishers.len())], dice.below(2));
            } else {
                rig.carry(dice.below(CORES), dice.below(CORES));
            }
            course.look(&mut rig);
        }
        course.step = STEPS;
        rig.settle();
        course.look(&mut rig);
        assert!(course.told > 100, "seed {seed}: a course in which little is heard proves little");
        course.judge();
    }
}
