//! Keyspace notifications: what happens to the keys of this core, published where clients may listen for it. The shard
//! notes it down in order while anything of it is wanted; behind each event of the engine it is told.

use super::Engine;
use super::event::Effects;
use super::ledger::Interest;
use super::pubsub::Fault;
use crate::keyspace::EventClasses;
use crate::types::Now;

impl Engine {
    #[cold]
    #[inline(never)]
    pub(super) fn publish_key_events(&mut self, now: Now, effects: &mut Effects) {
        let mut events = Vec::new();
        self.shard.take_events(&mut events);
        if self.pubsub.commits(Fault::LoseEvent) {
            events.pop();
        }
        if self.pubsub.commits(Fault::ReverseEvents) {
            events.reverse();
        }
        if !self.ledger.anyone_has(Interest::Messages) {
            return;
        }
        let classes = self.settings.key_events;
        for event in events {
            if classes.has(EventClasses::KEYSPACE) {
                let channel = [b"__keyspace@0__:", &*event.key].concat();
                self.broadcast(now, &channel, event.name.as_bytes(), effects);
            }
            if classes.has(EventClasses::KEYEVENT) {
                let channel = [b"__keyevent@0__:", event.name.as_bytes()].concat();
                self.broadcast(now, &channel, &event.key, effects);
            }
        }
    }
}
