//! Commands that carry values from keys to keys, or decide by several keys whether to write: read first, then write.
//!
//! Each is two rounds of operations on one key, which run where those keys live, here or on other cores. What comes
//! between is decided here. The keys are this command's alone meanwhile: all are on this core, or their slots are locked.

use crate::keyspace::command::{BitOp, LcsOptions, bitop, lcs};
use crate::protocol::command::{Command, Spec, arity_text};
use crate::protocol::resp::{Args, Output, OwnedArgs, Reply, number_of, parse_i64};

const SYNTAX: &str = "ERR syntax error";
const NO_SUCH_KEY: &str = "ERR no such key";

/// An operation on one key: its command, and its arguments from the command's name on.
pub struct Part {
    pub command: Command,
    pub args: OwnedArgs,
}

/// What a command does next.
pub enum Step {
    Ask(Vec<Part>),
    Answer(Box<dyn FnOnce(&mut Reply)>),
}

/// One such command, under way.
pub struct Move {
    pub spec: &'static Spec,
    args: OwnedArgs,
    kind: Kind,
    /// Rounds of operations that were asked for.
    rounds: usize,
}

enum Kind {
    Rename {
        only_new: bool,
    },
    Copy {
        replace: bool,
    },
    MSetNx,
    BitOp(BitOp),
    /// Options are read when the keys have been, as in Redis: a key that is missing is told of all the same.
    Lcs(Result<LcsOptions, &'static str>),
}

/// Whether a command is one of these.
pub fn is_move(command: Command) -> bool {
    matches!(
        command,
        Command::Rename | Command::RenameNx | Command::Copy | Command::MSetNx | Command::BitOp | Command::Lcs
    )
}

impl Move {
    /// Reads a command's options. The error is its reply.
    pub fn new(spec: &'static Spec, args: &mut Args) -> Result<Move, String> {
        let kind = match spec.command {
            Command::Rename => Kind::Rename { only_new: false },
            Command::RenameNx => Kind::Rename { only_new: true },
            Command::Copy => Kind::Copy { replace: copy_options(args)? },
            Command::MSetNx if args.len().is_multiple_of(2) => return Err(arity_text(spec)),
            Command::MSetNx => Kind::MSetNx,
            Command::BitOp => Kind::BitOp(BitOp::parse(args)?),
            Command::Lcs => Kind::Lcs(LcsOptions::parse(args)),
            other => unreachable!("{other:?} moves nothing"),
        };
        Ok(Move { spec, args: OwnedArgs::take(args), kind, rounds: 0 })
    }

    /// The next step, given the answers to the last one's parts in their order.
    pub fn next(&mut self, answers: &[Output]) -> Step {
        if let Some(error) = answers.iter().find(|answer| answer.bytes.first() == Some(&b'-')) {
            return same(error);
        }
        self.rounds += 1;
        let args = self.args.args();
        match (&self.kind, self.rounds) {
            (Kind::Rename { .. }, 1) => Step::Ask(vec![part(Command::Rename, &[args.get(1)]), look_for(args.get(2))]),
            (Kind::Rename { only_new }, 2) => rename(args.get(1), args.get(2), *only_new, answers),
            (Kind::Rename { only_new: false }, _) => answer(|reply| reply.ok()),
            (Kind::Rename { only_new: true }, _) => answer(|reply| reply.integer(1)),
            (Kind::Copy { .. }, 1) => Step::Ask(vec![part(Command::Copy, &[args.get(1)]), look_for(args.get(2))]),
            (Kind::Copy { replace }, 2) => match Payload::of(&answers[0]) {
                Some(payload) if *replace || Payload::of(&answers[1]).is_none() => {
                    Step::Ask(vec![payload.put(Command::Copy, args.get(2))])
                }
                _ => answer(|reply| reply.integer(0)),
            },
            (Kind::MSetNx, 1) => Step::Ask(pairs(&args).map(|at| part(Command::MSetNx, &[args.get(at)])).collect()),
            (Kind::MSetNx, 2) if answers.iter().any(is_one) => answer(|reply| reply.integer(0)),
            (Kind::MSetNx, 2) => {
                Step::Ask(pairs(&args).map(|at| part(Command::MSetNx, &[args.get(at), args.get(at + 1)])).collect())
            }
            (Kind::Copy { .. } | Kind::MSetNx, _) => answer(|reply| reply.integer(1)),
            (Kind::BitOp(_), 1) => Step::Ask((3..args.len()).map(|at| part(Command::BitOp, &[args.get(at)])).collect()),
            (Kind::BitOp(op), 2) => {
                let sources: Vec<&[u8]> = answers.iter().map(|answer| value_of(answer).unwrap_or_default()).collect();
                let mut store = part(Command::BitOp, &[args.get(2)]);
                store.args.push_body(bitop(*op, &sources));
                Step::Ask(vec![store])
            }
            (Kind::BitOp(_), _) => same(&answers[0]),
            (Kind::Lcs(_), 1) => {
                Step::Ask(vec![part(Command::Lcs, &[args.get(1)]), part(Command::Lcs, &[args.get(2)])])
            }
            (Kind::Lcs(Err(error)), _) => {
                let error = *error;
                answer(move |reply| reply.error(error))
            }
            (Kind::Lcs(Ok(options)), _) => {
                let [a, b] = [0, 1].map(|at| value_of(&answers[at]).unwrap_or_default());
                let (options, [a, b]) = (*options, [a.to_vec(), b.to_vec()]);
                answer(move |reply| lcs(&a, &b, &options, reply))
            }
        }
    }
}

fn pairs(args: &Args) -> impl Iterator<Item = usize> + use<> {
    (1..args.len()).step_by(2)
}

fn part(command: Command, args: &[&[u8]]) -> Part {
    let mut owned = OwnedArgs::default();
    owned.push(b"");
    args.iter().for_each(|arg| owned.push(arg));
    Part { command, args: owned }
}

/// Whether a destination exists. Nobody reads it, so nobody is told that it does not, and no client keeps it.
fn look_for(key: &[u8]) -> Part {
    part(Command::Rename, &[key])
}

fn answer(reply: impl FnOnce(&mut Reply) + 'static) -> Step {
    Step::Answer(Box::new(reply))
}

/// An answer that is the reply as it is.
fn same(found: &Output) -> Step {
    let found = found.clone();
    answer(move |reply| reply.out.append(&found, 0..found.bytes.len()))
}

/// RENAME and RENAMENX, once the source was read and the destination looked for.
fn rename(from: &[u8], to: &[u8], only_new: bool, answers: &[Output]) -> Step {
    match Payload::of(&answers[0]) {
        None => answer(|reply| reply.error(NO_SUCH_KEY)),
        Some(_) if only_new && Payload::of(&answers[1]).is_some() => answer(|reply| reply.integer(0)),
        Some(_) if from == to => answer(|reply| reply.ok()),
        // Removed before it is written: events then come in Redis's order.
        Some(payload) => Step::Ask(vec![part(Command::Rename, &[from, b"away"]), payload.put(Command::Rename, to)]),
    }
}

/// COPY source destination [DB db] [REPLACE]: whether to replace.
fn copy_options(args: &Args) -> Result<bool, String> {
    let (mut replace, mut at) = (false, 3);
    while at < args.len() {
        match args.get(at).to_ascii_lowercase().as_slice() {
            b"replace" => replace = true,
            b"db" if at + 1 < args.len() => {
                at += 1;
                match parse_i64(args.get(at)) {
                    Some(0) => {}
                    Some(_) => return Err("ERR DB index is out of range".into()),
                    None => return Err("ERR value is not an integer or out of range".into()),
                }
            }
            _ => return Err(SYNTAX.into()),
        }
        at += 1;
    }
    if args.get(1) == args.get(2) {
        return Err("ERR source and destination objects are the same".into());
    }
    Ok(replace)
}

/// A key's value and expiry on their way to another key.
struct Payload<'a> {
    value: &'a [u8],
    expiry_ms: &'a [u8],
}

impl<'a> Payload<'a> {
    /// As the key's owner answers it: null, or an array of the value and the expiry.
    fn of(answer: &'a Output) -> Option<Payload<'a>> {
        let (value, rest) = bulk(answer, b"*2\r\n".len())?;
        let (expiry_ms, _) = bulk(answer, rest)?;
        Some(Payload { value, expiry_ms })
    }

    fn put(&self, command: Command, to: &[u8]) -> Part {
        let mut part = part(command, &[to]);
        part.args.push_body(self.value.to_vec());
        part.args.push(self.expiry_ms);
        part
    }
}

fn value_of(answer: &Output) -> Option<&[u8]> {
    bulk(answer, 0).map(|(value, _)| value)
}

fn is_one(answer: &Output) -> bool {
    answer.bytes == b":1\r\n"
}

/// The bulk that our own encoder wrote at `at`, and where it ends; `None` for a null.
fn bulk(answer: &Output, at: usize) -> Option<(&[u8], usize)> {
    let bytes = answer.bytes.get(at..)?;
    let line = bytes.iter().position(|byte| *byte == b'\n')? + 1;
    let length = number_of(&bytes[..line], b'$')?;
    let (length, from) = (usize::try_from(length).ok()?, at + line);
    // A large value stands beside the bytes.
    if let Some(shared) = answer.shared.iter().find(|shared| shared.at == from) {
        return Some((&shared.value[shared.range.clone()], from + b"\r\n".len()));
    }
    Some((&answer.bytes[from..from + length], from + length + b"\r\n".len()))
}
