//! Passing over what is laid out in parts, in however many pieces it comes, without keeping any of it.

use super::error::Fault;
use super::form::{self, Form};
use super::layout::Part;

/// Where a walk stands: in which rows of parts, one inside the other.
#[derive(Debug, Default)]
pub struct Walk {
    rows: Vec<Row>,
    /// Bytes to be passed over before the next part.
    skip: u64,
}

#[derive(Debug)]
struct Row {
    parts: &'static [Part],
    at: usize,
    /// How many times more, this one included.
    times: u64,
}

/// What is at the start of the bytes, and how many of them say so.
enum Step {
    /// More bytes have to come first.
    Wait,
    /// So many bytes are done with, and so many behind them.
    Pass(usize, u64),
    /// These parts follow, so many times.
    Enter(usize, &'static [Part], u64),
    /// A module's part; another may follow.
    Again(usize, &'static [Part]),
}

impl Walk {
    pub fn new(parts: &'static [Part]) -> Self {
        Self { rows: vec![Row { parts, at: 0, times: 1 }], skip: 0 }
    }

    /// Goes as far as the bytes do: how many it passed, and whether the end is reached. A fault is where it stopped.
    pub fn pass(&mut self, bytes: &[u8]) -> (usize, Result<bool, Fault>) {
        let mut at = 0;
        loop {
            let passed = self.skip.min((bytes.len() - at) as u64);
            self.skip -= passed;
            at += passed as usize;
            if self.skip > 0 {
                return (at, Ok(false));
            }
            let Some(row) = self.rows.last_mut() else { return (at, Ok(true)) };
            let Some(part) = row.parts.get(row.at) else {
                row.times -= 1;
                row.at = 0;
                if row.times == 0 {
                    self.rows.pop();
                }
                continue;
            };
            match step(*part, &bytes[at..]) {
                Err(fault) => return (at, Err(fault)),
                Ok(Step::Wait) => return (at, Ok(false)),
                Ok(Step::Pass(taken, skip)) => {
                    row.at += 1;
                    at += taken;
                    self.skip = skip;
                }
                Ok(Step::Enter(taken, parts, times)) => {
                    row.at += 1;
                    at += taken;
                    if times > 0 {
                        self.rows.push(Row { parts, at: 0, times });
                    }
                }
                Ok(Step::Again(taken, parts)) => {
                    at += taken;
                    self.rows.push(Row { parts, at: 0, times: 1 });
                }
            }
        }
    }
}

fn step(part: Part, bytes: &[u8]) -> Result<Step, Fault> {
    Ok(match part {
        Part::Bytes(count) => Step::Pass(0, u64::from(count)),
        Part::Text => match Form::read(bytes)? {
            Some((form, taken)) => Step::Pass(taken, form.bytes()),
            None => Step::Wait,
        },
        Part::Score => match bytes.first() {
            Some(253..) => Step::Pass(1, 0),
            Some(count) => Step::Pass(1, u64::from(*count)),
            None => Step::Wait,
        },
        Part::Lengths(count) => lengths(count, bytes)?,
        Part::Times(parts) => match form::length(bytes)? {
            Some((times, taken)) => Step::Enter(taken, parts, times),
            None => Step::Wait,
        },
        Part::Module => match form::length(bytes)? {
            Some((0, taken)) => Step::Pass(taken, 0),
            Some((1 | 2, taken)) => Step::Again(taken, &[Part::Lengths(1)]),
            Some((3, taken)) => Step::Again(taken, &[Part::Bytes(4)]),
            Some((4, taken)) => Step::Again(taken, &[Part::Bytes(8)]),
            Some((5, taken)) => Step::Again(taken, &[Part::Text]),
            Some((kind, _)) => return Err(Fault::ModulePart(kind)),
            None => Step::Wait,
        },
    })
}

/// All of them, or none yet: they are a few bytes.
fn lengths(count: u8, bytes: &[u8]) -> Result<Step, Fault> {
    let mut at = 0;
    for _ in 0..count {
        match form::length(&bytes[at..])? {
            Some((_, taken)) => at += taken,
            None => return Ok(Step::Wait),
        }
    }
    Ok(Step::Pass(at, 0))
}
