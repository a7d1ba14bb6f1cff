//! The passages of our own commands. Name, arity, flags and keys are the table's; where a request goes is said here.

use super::{Goes, Holds, Join, Passage, Place, Split, Steady, foreign};
use crate::protocol::command::Command::{self, *};
use crate::protocol::command::lookup::SPEC_OF_COMMAND;
use crate::protocol::command::spec::Spec;

pub(super) static OWN: [Passage; Command::ALL.len()] = passages();

const fn passages() -> [Passage; Command::ALL.len()] {
    let mut passages = [Passage::UNKNOWN; Command::ALL.len()];
    let mut i = 0;
    while i < passages.len() {
        passages[i] = passage(SPEC_OF_COMMAND[i]);
        i += 1;
    }
    passages
}

const fn passage(spec: &Spec) -> Passage {
    let keys = spec.keys;
    Passage {
        name: spec.name,
        command: Some(spec.command),
        arity: spec.arity,
        flags: spec.flags,
        place: if keys.is_none() { Place::Nowhere } else { Place::range(keys.first, keys.last, keys.step) },
        goes: if keys.is_none() { goes(spec.command) } else { Goes::Keys },
        split: split(spec.command),
        holds: holds(spec.command),
        // A fold takes those on strings; others say how long a key lives, or how it lies in memory.
        steady: Steady::No,
        subcommands: match spec.command {
            Script => foreign::SCRIPT,
            Function => foreign::FUNCTION,
            _ => &[],
        },
    }
}

/// Where a request without keys goes. Most are about the connection or the process that the client talks to.
const fn goes(command: Command) -> Goes {
    match command {
        FunctionList | Monitor => Goes::Any,
        // Servers have commands that we have not, and clients of clusters look there for keys.
        Command | CommandCount | CommandInfo | CommandList | CommandDocs => Goes::Any,
        CommandGetKeys | CommandGetKeysAndFlags => Goes::Any,
        Keys | PubSubChannels | PubSubShardChannels => Goes::All(Join::Lists),
        DbSize | PubSubNumPat => Goes::All(Join::Sum),
        PubSubNumSub | PubSubShardNumSub => Goes::All(Join::Pairs),
        FlushAll | FlushDb | ScriptFlush | FunctionFlush => Goes::All(Join::Same),
        ScriptExists => Goes::All(Join::Each),
        Scan => Goes::All(Join::Cursor),
        RandomKey => Goes::All(Join::Key),
        Publish | Subscribe | Unsubscribe => Goes::Channels,
        PSubscribe | PUnsubscribe => Goes::Patterns,
        Wait | LastSave | Save | BgSave | BgRewriteAof | ReplicaOf | SlaveOf | Failover => Goes::Never,
        _ => Goes::Nowhere,
    }
}

const fn split(command: Command) -> Split {
    match command {
        MGet => Split::Elements,
        Del | Unlink | Exists | Touch => Split::Sum,
        MSet => Split::Pairs,
        _ => Split::No,
    }
}

const fn holds(command: Command) -> Holds {
    match command {
        Multi => Holds::Begins,
        Exec | Discard => Holds::Ends,
        Watch => Holds::Watches,
        Unwatch => Holds::Unwatches,
        Subscribe | PSubscribe | SSubscribe => Holds::Listens,
        Unsubscribe | PUnsubscribe | SUnsubscribe => Holds::Unlistens,
        Monitor => Holds::Monitors,
        ClientTracking => Holds::TracksIfTold,
        ClientCaching | ClientTrackingInfo | ClientGetRedir => Holds::OfTracking,
        Reset => Holds::Resets,
        _ => Holds::Nothing,
    }
}

#[cfg(test)]
pub(super) fn check_constructors() {
    for (made, compiled) in passages().iter().zip(&OWN) {
        assert_eq!(format!("{made:?}"), format!("{compiled:?}"));
    }
}
