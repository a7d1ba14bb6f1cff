//! How all that is no string is laid out, as far as finding its end takes: a row of parts for each type and opcode.
//!
//! The numbers are those of Redis up to version 12 of the format (Redis 8.0), and of Valkey, which parts from Redis at
//! version 80 (Valkey 9.0). Neither gives a number another meaning later, so a newer file can be read as far as it holds
//! nothing new.

/// Strings and lengths are as in `form.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Text,
    /// So many lengths, one behind the other.
    Lengths(u8),
    Bytes(u8),
    /// A float as text, behind one byte with its length; three values of that byte are floats themselves.
    Score,
    /// A length, and these parts so many times.
    Times(&'static [Part]),
    /// What a module wrote, each part behind a length that says its kind, up to a kind that ends them.
    Module,
}

use Part::{Bytes, Lengths, Module, Score, Text, Times};

pub const TYPE_STRING: u8 = 0;
pub const EXPIRES_MS: u8 = 252;
pub const EXPIRES_S: u8 = 253;
pub const DATABASE: u8 = 254;
pub const END: u8 = 255;

/// What stands behind a number that is neither a string's nor one of the above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A key, and a value of this type.
    Value(&'static str, &'static [Part]),
    /// No key; what it is called, if that should be told.
    Other(Option<&'static str>, &'static [Part]),
}

/// Milliseconds since 1970.
const TIME: Part = Bytes(8);
/// A stream's ID where it is not two lengths.
const RAW_ID: Part = Bytes(16);
const STREAM_NODES: Part = Times(&[Text, Text]);
const PENDING: Part = Times(&[RAW_ID, TIME, Lengths(1)]);
/// A name, when it was seen, what is pending; since the third version also when it was active.
const CONSUMERS: Part = Times(&[Text, TIME, Times(&[RAW_ID])]);
const CONSUMERS_3: Part = Times(&[Text, TIME, TIME, Times(&[RAW_ID])]);

/// Entries and the last ID; since the second version also the first, the largest deleted, and how many were ever added.
const STREAM: &[Part] = &[STREAM_NODES, Lengths(3), Times(&[Text, Lengths(2), PENDING, CONSUMERS])];
const STREAM_2: &[Part] = &[STREAM_NODES, Lengths(8), Times(&[Text, Lengths(3), PENDING, CONSUMERS])];
const STREAM_3: &[Part] = &[STREAM_NODES, Lengths(8), Times(&[Text, Lengths(3), PENDING, CONSUMERS_3])];

/// `None`: nobody has told what this number means.
pub fn layout(number: u8, is_valkey: bool) -> Option<Layout> {
    let value = |kind, parts| Some(Layout::Value(kind, parts));
    let quiet = |parts| Some(Layout::Other(None, parts));
    match number {
        1 | 14 => value("list", &[Times(&[Text])]),
        10 => value("list", &[Text]),
        // Each node is a list pack or one large string, and a length says which.
        18 => value("list", &[Times(&[Lengths(1), Text])]),
        2 => value("set", &[Times(&[Text])]),
        11 | 20 => value("set", &[Text]),
        3 => value("zset", &[Times(&[Text, Score])]),
        5 => value("zset", &[Times(&[Text, Bytes(8)])]),
        12 | 17 => value("zset", &[Text]),
        4 => value("hash", &[Times(&[Text, Text])]),
        9 | 13 | 16 => value("hash", &[Text]),
        // Fields that expire: Valkey writes when behind each, Redis before each and, since its release, the soonest first.
        22 if is_valkey => value("hash", &[Times(&[Text, Text, TIME])]),
        22 => value("hash", &[Times(&[Lengths(1), Text, Text])]),
        23 if !is_valkey => value("hash", &[Text]),
        24 if !is_valkey => value("hash", &[TIME, Times(&[Lengths(1), Text, Text])]),
        25 if !is_valkey => value("hash", &[TIME, Text]),
        15 => value("stream", STREAM),
        19 => value("stream", STREAM_2),
        21 => value("stream", STREAM_3),
        7 => value("module value", &[Lengths(1), Module]),
        // Slots on their way to this node; what modules have to say about the next key.
        243 if is_valkey => quiet(&[Text, Times(&[Lengths(2)])]),
        243 => quiet(&[Times(&[Bytes(4), Module])]),
        // The keys of a slot.
        244 => quiet(&[Lengths(3)]),
        245 => Some(Layout::Other(Some("function library"), &[Text])),
        247 => Some(Layout::Other(Some("module data"), &[Lengths(3), Module])),
        // How long idle, how often used; a fact about the file; the keys of a database.
        248 => quiet(&[Lengths(1)]),
        249 => quiet(&[Bytes(1)]),
        250 => quiet(&[Text, Text]),
        251 => quiet(&[Lengths(2)]),
        _ => None,
    }
}
