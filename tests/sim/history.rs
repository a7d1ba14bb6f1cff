//! All requests of a run with their times and replies, and the verdict on them key by key.

use crate::deed::{Deed, set_of};
use crate::linear::{Operation, Verdict, check, first_impossible};
use crate::model::Action;
use crate::request::{KEYS, Request, Shape, TOTAL};
use crate::resp::Reply;
use crate::serial::{self, Kind, Step};
use std::fmt::Write;

/// What a reply says of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// What it is.
    Plain,
    /// It was not done, and will not be.
    NotDone,
    /// It may have been done, or a part of it, or may yet be.
    Unknown,
}

/// Which requests of a connection happen in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    All,
    /// Those that are answered: what nobody hears of may have been an error.
    Answered,
    /// Of those the ones on one key: what is asked of several may be sent to wait, alone.
    Singles,
    None,
}

/// A request and what became of it. Times are events of the world.
pub struct Record {
    pub link: usize,
    pub core: usize,
    pub request: Request,
    /// Its last byte was given to its core; none if it never was.
    pub asked: Option<u64>,
    /// The turns that each core had taken by then.
    pub turns: Vec<usize>,
    pub answered: Option<u64>,
    pub reply: Option<Reply>,
    pub fate: Fate,
}

/// Something that must not happen, in words, with the trace that shows it.
#[derive(Clone, Debug)]
pub struct Failure {
    pub what: String,
    pub trace: String,
}

impl Failure {
    pub fn new(what: impl Into<String>) -> Failure {
        Failure { what: what.into(), trace: String::new() }
    }
}

/// Lanes of those that keep no order with others.
const LANES_ALONE: usize = 1_000_000;

#[derive(Default)]
pub struct History {
    pub records: Vec<Record>,
    /// Readings of each core's clock: from which event on, and milliseconds.
    clocks: Vec<Vec<(u64, u64)>>,
    /// How far two of them were apart at most.
    skew_ms: u64,
    /// Keys may vanish.
    pub evicts: bool,
    /// Keys whose search was given up.
    pub undecided: usize,
    /// From when to when writes were refused somewhere for want of a disk, and when the server began anew.
    refusals: Vec<(u64, Option<u64>)>,
    falls: Vec<u64>,
    pub order: Order,
    /// Keys that others have written too: they are looked at elsewhere.
    pub passed_over: Vec<usize>,
}

impl History {
    pub fn new(evicts: bool) -> History {
        History { evicts, ..History::default() }
    }

    pub fn clock_reads(&mut self, core: usize, event: u64, unix_ms: u64) {
        if self.clocks.len() <= core {
            self.clocks.resize_with(core + 1, Vec::new);
        }
        let clock = &mut self.clocks[core];
        if clock.last().is_none_or(|(_, last_ms)| *last_ms != unix_ms) {
            clock.push((event, unix_ms));
        }
    }

    pub fn skewed(&mut self, ms: u64) {
        self.skew_ms = self.skew_ms.max(ms);
    }

    /// The reading of a core's clock that holds at an event, by its index.
    fn reading(&self, core: usize, event: u64) -> usize {
        self.clocks[core].partition_point(|(from, _)| *from <= event).saturating_sub(1)
    }

    /// The readings from one event to another, or to the end. A key lives by its owner's clock; a copy on another core,
    /// whose clock may be behind, shows it for that much longer as long as its owner has not met it.
    fn readings(&self, home: usize, asked: u64, answered: Option<u64>) -> (usize, usize) {
        let clock = &self.clocks[home];
        let first = self.reading(home, asked);
        let behind_ms = clock[first].1 - self.skew_ms;
        let first = clock.partition_point(|(_, unix_ms)| *unix_ms <= behind_ms).max(1) - 1;
        (first, answered.map_or(clock.len() - 1, |event| self.reading(home, event)))
    }

    /// The same for all cores, in milliseconds.
    fn span_ms(&self, asked: u64, answered: Option<u64>) -> (u64, u64) {
        let first = (0..self.clocks.len()).map(|core| self.clocks[core][self.reading(core, asked)].1).min();
        let last = |core: usize| {
            let clock = &self.clocks[core];
            clock[answered.map_or(clock.len() - 1, |event| self.reading(core, event))].1
        };
        (first.unwrap_or(0), (0..self.clocks.len()).map(last).max().unwrap_or(0))
    }

    /// Whether writes are refused somewhere, at this event.
    pub fn refuse(&mut self, refuses: bool, event: u64) {
        match self.refusals.last_mut().filter(|(_, to)| to.is_none()) {
            None if refuses => self.refusals.push((event, None)),
            Some((_, to)) if !refuses => *to = Some(event),
            _ => {}
        }
    }

    pub fn fell(&mut self, event: u64) {
        self.refuse(false, event);
        self.falls.push(event);
    }

    /// Whether what was asked at an event, and not answered, may have been refused before the server began anew.
    fn may_refuse(&self, asked: u64) -> bool {
        let fall = self.falls.iter().find(|fall| **fall >= asked).copied().unwrap_or(u64::MAX);
        self.refuses_within(asked, fall)
    }

    fn refuses_within(&self, asked: u64, end: u64) -> bool {
        self.refusals.iter().any(|(from, to)| *from <= end && to.is_none_or(|to| to >= asked))
    }

    fn operations(&self, key: usize, home: usize) -> Vec<Operation> {
        let mut operations = Vec::new();
        for record in &self.records {
            let Some(asked) = record.asked.filter(|_| record.fate != Fate::NotDone) else { continue };
            let unknown = record.fate == Fate::Unknown;
            let answered = record.answered.filter(|_| !unknown);
            let answers = match &record.reply {
                Some(reply) if !unknown => record.request.answers(reply),
                _ => vec![None; record.request.parts.len()],
            };
            let (first, last) = self.readings(home, asked, answered);
            let alone = match self.order {
                Order::All => false,
                Order::Answered => answered.is_none(),
                Order::Singles => answered.is_none() || record.request.parts.len() > 1,
                Order::None => true,
            };
            for ((_, action), answer) in record.request.parts.iter().zip(answers).filter(|((part, _), _)| *part == key)
            {
                operations.push(Operation {
                    conn: if alone { LANES_ALONE + operations.len() } else { record.link },
                    action: action.clone(),
                    asked,
                    answered,
                    answer,
                    readings: first..=last,
                    is_part: record.request.parts.len() > 1,
                    may_be_refused: answered.is_none() && self.may_refuse(asked),
                });
            }
        }
        operations
    }

    /// Checks every key.
    pub fn check(&mut self, homes: &[usize]) -> Result<(), Failure> {
        for (key, name) in KEYS.iter().enumerate() {
            if self.passed_over.contains(&key) {
                continue;
            }
            let operations = self.operations(key, homes[key]);
            let clock_ms: Vec<u64> = self.clocks[homes[key]].iter().map(|(_, unix_ms)| *unix_ms).collect();
            let failed = match check(&operations, &clock_ms, self.evicts) {
                Verdict::Linearizable => None,
                Verdict::Undecided => {
                    self.undecided += 1;
                    None
                }
                Verdict::Impossible => {
                    let event = first_impossible(&operations, &clock_ms, self.evicts).unwrap_or_default();
                    Some(format!("no order explains the replies on key {name:?} that came up to event {event}"))
                }
            };
            let counts = key == TOTAL
                && !self.evicts
                && !self.records.iter().any(|record| record.request.shape == Shape::Flushed);
            let failed = failed.or_else(|| if counts { counted_wrong(&operations) } else { None });
            if let Some(what) = failed {
                return Err(Failure {
                    what,
                    trace: self.trace(|request| request.parts.iter().any(|(part, _)| *part == key)),
                });
            }
        }
        Ok(())
    }

    /// What happened to all keys as one object, in the order of asking.
    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut links: Vec<usize> = self.records.iter().map(|record| record.link).collect();
        links.sort_unstable();
        links.dedup();
        for link in links {
            let (mut queued, mut watched) = (Vec::new(), 0);
            for record in self.records.iter().filter(|record| record.link == link) {
                let Some(asked) = record.asked else { break };
                let mut add = |kind: Kind, keys: u16| {
                    let clock_ms = self.span_ms(asked, record.answered);
                    let (answered, answer) = (record.answered, record.reply.clone());
                    let may_be_refused = answered.is_none() && self.may_refuse(asked);
                    let is_vague = answered.is_some_and(|answered| self.refuses_within(asked, answered));
                    steps.push(Step {
                        lane: link,
                        kind,
                        keys,
                        asked,
                        answered,
                        answer,
                        clock_ms,
                        may_be_refused,
                        is_vague,
                    });
                };
                match record.request.deed() {
                    None | Some(Deed::Multi) => {}
                    Some(Deed::Step(op)) => add(Kind::Plain(op.clone()), op.keys()),
                    Some(Deed::Queue(op)) => queued.push(op),
                    Some(Deed::Watch(keys)) => {
                        watched |= set_of(&keys);
                        keys.iter().for_each(|key| add(Kind::Watch(*key), set_of(&[*key])));
                    }
                    Some(Deed::Exec) => {
                        let ops = std::mem::take(&mut queued);
                        let keys = ops.iter().fold(watched, |set, op| set | op.keys());
                        add(Kind::Exec(ops, std::mem::take(&mut watched)), keys);
                    }
                    Some(Deed::Discard | Deed::Unwatch) => {
                        queued.clear();
                        let ended = std::mem::take(&mut watched);
                        let keys = (0..KEYS.len()).map(|key| ended & set_of(&[key])).filter(|key| *key != 0);
                        keys.for_each(|key| add(Kind::Unwatch(key), key));
                    }
                }
            }
        }
        steps.sort_by_key(|step| step.asked);
        steps
    }

    /// Checks all keys as one object.
    pub fn check_whole(&mut self, homes: &[usize]) -> Result<(), Failure> {
        let steps = self.steps();
        match serial::check(&steps) {
            serial::Verdict::Serializable => Ok(()),
            serial::Verdict::Undecided => {
                self.undecided += 1;
                Ok(())
            }
            serial::Verdict::Impossible => {
                let event = serial::first_impossible(&steps).unwrap_or_default();
                let what = format!("no order of transactions explains the replies that came up to event {event}");
                let homes = KEYS.iter().zip(homes).map(|(key, core)| format!("{key} on core {core}"));
                let homes = homes.collect::<Vec<_>>().join(", ");
                Err(Failure { what, trace: format!("{homes}\n{}", self.trace(|_| true)) })
            }
        }
    }

    /// The requests on one key, or all, a line each.
    pub fn trace(&self, shows: impl Fn(&Request) -> bool) -> String {
        let mut text = String::from("link core    asked answered  clock ms\n");
        let mut records: Vec<&Record> = self.records.iter().collect();
        records.sort_by_key(|record| record.asked);
        for record in records {
            let Some(asked) = record.asked else { continue };
            if !shows(&record.request) {
                continue;
            }
            let (from_ms, to_ms) = self.span_ms(asked, record.answered);
            let answered = record.answered.map_or("never".into(), |event| event.to_string());
            let reply = record.reply.as_ref().map_or("?".into(), Reply::brief);
            let (link, core, words) = (record.link, record.core, record.request.text());
            let _ =
                writeln!(text, "{link:4} {core:4} {asked:8} {answered:>8}  {from_ms}-{to_ms}  {words}  =>  {reply}");
        }
        text
    }
}

/// Increments of a key that sees nothing else answer 1 to N, each once; those whose reply was lost may fill gaps.
fn counted_wrong(operations: &[Operation]) -> Option<String> {
    let mut seen: Vec<i64> = Vec::new();
    let refused = |operation: &Operation| operation.answer.as_ref().is_some_and(Reply::is_refusal);
    let counts = |operation: &&Operation| matches!(operation.action, Action::Incr) && !refused(operation);
    for operation in operations.iter().filter(counts) {
        match operation.answer {
            Some(Reply::Int(total)) => seen.push(total),
            Some(ref other) => return Some(format!("INCR answered {}", other.brief())),
            None => {}
        }
    }
    let asked = operations.iter().filter(counts).count();
    seen.sort_unstable();
    let twice = seen.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
    match (twice, seen.last()) {
        (Some(total), _) => Some(format!("INCR answered {total} twice")),
        (None, Some(last)) if *last > asked as i64 => Some(format!("INCR answered {last} after {asked} of them")),
        (None, Some(last)) if seen.len() == asked && *last != asked as i64 => {
            Some(format!("{asked} INCRs were answered, the last with {last}"))
        }
        _ => None,
    }
}
