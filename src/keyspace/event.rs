//! What happens to keys, under the names of Redis's keyspace events, for whoever publishes it.
//!
//! Commands tell what they did where they do it. While nobody asked, telling is one branch; otherwise events wait here,
//! in order, until they are taken. There are as many as a turn's commands, sweeps and evictions make.

use super::shard::{Shard, stored_key};
use super::slab::ItemRef;
use std::fmt;

/// A set of classes of events, and of the two channels that they are published in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventClasses(u16);

impl EventClasses {
    pub const NONE: EventClasses = EventClasses(0);
    /// Each event in its key's channel.
    pub const KEYSPACE: EventClasses = EventClasses(1 << 0);
    /// Each event in its name's channel.
    pub const KEYEVENT: EventClasses = EventClasses(1 << 1);
    pub const GENERIC: EventClasses = EventClasses(1 << 2);
    pub const STRING: EventClasses = EventClasses(1 << 3);
    pub const EXPIRED: EventClasses = EventClasses(1 << 8);
    pub const EVICTED: EventClasses = EventClasses(1 << 9);
    pub const KEY_MISS: EventClasses = EventClasses(1 << 11);
    pub const NEW: EventClasses = EventClasses(1 << 13);

    /// What `A` stands for: every class but key misses and new keys.
    const ALL: EventClasses = EventClasses(0b1_0111_1111_1100);
    /// Letters and bits, in the order in which Redis prints them. Some classes are of types that are not here.
    const LETTERS: [(char, u16); 14] = [
        ('g', 1 << 2),
        ('$', 1 << 3),
        ('l', 1 << 4),
        ('s', 1 << 5),
        ('h', 1 << 6),
        ('z', 1 << 7),
        ('x', 1 << 8),
        ('e', 1 << 9),
        ('t', 1 << 10),
        ('d', 1 << 12),
        ('n', 1 << 13),
        ('K', 1 << 0),
        ('E', 1 << 1),
        ('m', 1 << 11),
    ];

    /// Reads the value of `notify-keyspace-events`; `None` if a letter in it means nothing.
    pub fn parse(letters: &str) -> Option<EventClasses> {
        letters.chars().try_fold(EventClasses::NONE, |all, letter| {
            let bits = match letter {
                'A' => EventClasses::ALL.0,
                _ => EventClasses::LETTERS.iter().find(|(known, _)| *known == letter)?.1,
            };
            Some(EventClasses(all.0 | bits))
        })
    }

    /// Whether any of these is in the set.
    #[inline]
    pub fn has(self, classes: EventClasses) -> bool {
        self.0 & classes.0 != 0
    }
}

impl EventClasses {
    /// Letters that stand for exactly these.
    pub fn letters(self) -> String {
        self.shortened_by(EventClasses::ALL.0)
    }

    /// `A` for all that it stands for, which takes the place of these letters; then the others.
    fn shortened_by(self, bits: u16) -> String {
        let all = self.0 & EventClasses::ALL.0 == EventClasses::ALL.0;
        let left = if all { self.0 & !bits } else { self.0 };
        let others = EventClasses::LETTERS.iter().filter(|(_, bit)| left & bit != 0);
        all.then_some('A').into_iter().chain(others.map(|(letter, _)| *letter)).collect()
    }
}

/// As Redis shows them: there `A` takes the place of `n` too.
impl fmt::Display for EventClasses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shortened_by(EventClasses::ALL.0 | EventClasses::NEW.0))
    }
}

/// Something that happened to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEvent {
    pub class: EventClasses,
    pub name: &'static str,
    pub key: Box<[u8]>,
}

impl Shard {
    /// Which events are told from now on. None are without one of the two channels.
    pub fn set_event_classes(&mut self, classes: EventClasses) {
        let published = classes.has(EventClasses(EventClasses::KEYSPACE.0 | EventClasses::KEYEVENT.0));
        self.event_classes = if published { classes } else { EventClasses::NONE };
    }

    /// Whether events wait to be taken.
    #[inline]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Moves what happened since the last call to the end of `into`, in order.
    pub fn take_events(&mut self, into: &mut Vec<KeyEvent>) {
        into.append(&mut self.events);
    }

    /// Tells of an event, if its class is asked for.
    #[inline]
    pub fn notify(&mut self, class: EventClasses, name: &'static str, key: &[u8]) {
        if self.event_classes.has(class) {
            keep(&mut self.events, class, name, key);
        }
    }

    /// As [`Shard::notify`] for an item that no request has named.
    pub(super) fn notify_item(&mut self, class: EventClasses, name: &'static str, item: ItemRef) {
        if self.event_classes.has(class) {
            keep(&mut self.events, class, name, stored_key(&self.slab, &self.large, item));
        }
    }
}

#[cold]
#[inline(never)]
fn keep(events: &mut Vec<KeyEvent>, class: EventClasses, name: &'static str, key: &[u8]) {
    events.push(KeyEvent { class, name, key: key.into() });
}
