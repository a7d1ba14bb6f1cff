//! Owns: what each key command does to a shard and answers, one file a family.
//! Knows: the shard's primitives, arguments, replies, error texts.
//! Must never know: which core it runs on, whether the key is hot or logged, who asked.
//! Read first: `string.rs`, whose GET and SET are the shape of all others.

mod bitfield;
mod bitop;
mod bits;
mod counter;
mod crowd;
mod dump;
mod expiry;
mod generic;
mod lcs;
mod moves;
mod object;
mod options;
mod string;
#[cfg(test)]
mod tests;

pub use bitop::{BitOp, bitop};
pub use crowd::{Crowd, apply_for};
pub use generic::{SCAN_END, ScanFilter, ScanPlace};
pub use lcs::{LcsOptions, lcs};

use super::shard::{Key, NewValue, Shard};
use super::slab::ItemRef;
use crate::protocol::command::{Command, spec};
use crate::protocol::resp::{Args, Reply};
use crate::types::{KeyHash, Slot};

pub(super) const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
const NOT_A_FLOAT: &str = "ERR value is not a valid float";
const SYNTAX: &str = "ERR syntax error";
const TOO_LONG: &str = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
/// What a write answers when memory is short and nothing may be evicted.
pub const OUT_OF_MEMORY: &str = "OOM command not allowed when used memory > 'maxmemory'.";

/// What a write answers while the log cannot be written.
pub const LOG_FAILED: &str = "MISCONF Errors writing to the log: see INFO persistence and the server's own log";

/// What a read of a key answers whose last change may not last.
pub const IN_DOUBT: &str =
    "MISCONF Errors writing to the log: whether the last change of this key will last is not known yet";

/// One operation on one key: `args[1]` is the key. Commands on several keys arrive here key by key.
pub struct Request<'a> {
    pub command: Command,
    pub args: Args<'a>,
    pub slot: Slot,
    pub hash: KeyHash,
    pub hint: Option<ItemRef>,
}

impl<'a> Request<'a> {
    #[inline]
    fn key(&self) -> Key<'_> {
        Key { bytes: self.args.get(1), slot: self.slot, hash: self.hash, hint: self.hint }
    }

    /// Moves a large argument out; the store keeps it as it is, without a copy.
    fn take_value(&mut self, index: usize) -> Option<Vec<u8>> {
        self.args.take_body(index)
    }

    /// The argument as a value to store: the body taken from it, or its bytes.
    fn value<'b>(&'b self, index: usize, body: Option<Vec<u8>>) -> NewValue<'b> {
        body.map_or_else(|| NewValue::Bytes(self.args.get(index)), NewValue::Owned)
    }

    /// The name that error texts carry.
    fn name(&self) -> &'static str {
        spec(self.command).name
    }
}

/// Applies one operation to the shard that owns its key and encodes the answer.
#[inline]
pub fn apply(shard: &mut Shard, now_ms: u64, request: &mut Request, reply: &mut Reply) {
    if request.command == Command::Get {
        return string::get(shard, now_ms, request, reply);
    }
    apply_other(shard, now_ms, request, reply);
}

#[inline(never)]
fn apply_other(shard: &mut Shard, now_ms: u64, request: &mut Request, reply: &mut Reply) {
    if let Some(refusal) = shard.refusal(request.command, request.hash) {
        return refuse(shard, request.command, refusal, reply);
    }
    let from = reply.out.bytes.len();
    apply_family(shard, now_ms, request, reply);
    if reply.out.bytes.get(from) == Some(&b'-') && !is_part(request.command) {
        shard.counts.tally.failed(request.command);
        shard.counts.tally.error(&reply.out.bytes[from..]);
    }
}

/// Answers why an operation may not run.
fn refuse(shard: &mut Shard, command: Command, refusal: &str, reply: &mut Reply) {
    if !is_part(command) {
        shard.counts.tally.taken_back(command);
        shard.counts.tally.error(refusal.as_bytes());
    }
    reply.error(refusal);
}

/// Whether an operation of this command is one of several that make one request. Its error is counted where the whole is
/// answered, since several of them may be refused.
pub fn is_part(command: Command) -> bool {
    use Command::{BitOp, Copy, Lcs, MSet, MSetNx, Rename, RenameNx};
    matches!(command, BitOp | Copy | Lcs | MSet | MSetNx | Rename | RenameNx)
}

/// Finds the family of a command. Inlined: it has one caller.
#[inline(always)]
fn apply_family(shard: &mut Shard, now_ms: u64, request: &mut Request, reply: &mut Reply) {
    match request.command {
        Command::Get | Command::MGet => string::get(shard, now_ms, request, reply),
        Command::Set => string::set(shard, now_ms, request, reply),
        Command::MSet => string::put(shard, now_ms, request, reply),
        Command::SetNx => string::set_nx(shard, now_ms, request, reply),
        Command::SetEx | Command::PSetEx => string::set_ex(shard, now_ms, request, reply),
        Command::GetSet => string::get_set(shard, now_ms, request, reply),
        Command::GetDel => string::get_del(shard, now_ms, request, reply),
        Command::GetEx => string::get_ex(shard, now_ms, request, reply),
        Command::Append => string::append(shard, now_ms, request, reply),
        Command::StrLen => string::str_len(shard, now_ms, request, reply),
        Command::GetRange | Command::SubStr => string::get_range(shard, now_ms, request, reply),
        Command::SetRange => string::set_range(shard, now_ms, request, reply),
        Command::Incr | Command::Decr | Command::IncrBy | Command::DecrBy => {
            counter::add(shard, now_ms, request, reply)
        }
        Command::IncrByFloat => counter::add_float(shard, now_ms, request, reply),
        Command::Del | Command::Unlink => generic::delete(shard, now_ms, request, reply),
        Command::Exists => generic::exists(shard, now_ms, request, reply),
        Command::Touch => generic::touch(shard, now_ms, request, reply),
        Command::Type => generic::kind(shard, now_ms, request, reply),
        Command::Expire | Command::PExpire | Command::ExpireAt | Command::PExpireAt => {
            expiry::expire(shard, now_ms, request, reply)
        }
        Command::Ttl | Command::PTtl | Command::ExpireTime | Command::PExpireTime => {
            expiry::remaining(shard, now_ms, request, reply)
        }
        Command::ObjectEncoding | Command::ObjectFreq | Command::ObjectIdleTime | Command::ObjectRefCount => {
            object::object(shard, now_ms, request, reply)
        }
        Command::Rename | Command::RenameNx | Command::Copy => moves::carry(shard, now_ms, request, reply),
        Command::MSetNx => moves::set_new(shard, now_ms, request, reply),
        Command::BitOp => moves::combine(shard, now_ms, request, reply),
        Command::Lcs => string::get(shard, now_ms, request, reply),
        Command::MemoryUsage => object::usage(shard, now_ms, request, reply),
        Command::Persist => expiry::persist(shard, now_ms, request, reply),
        other => apply_rare(other, shard, now_ms, request, reply),
    }
}

/// What is left of [`apply_other`]: bits and dumps.
fn apply_rare(command: Command, shard: &mut Shard, now_ms: u64, request: &Request, reply: &mut Reply) {
    match command {
        Command::SetBit => bits::set_bit(shard, now_ms, request, reply),
        Command::GetBit => bits::get_bit(shard, now_ms, request, reply),
        Command::BitCount => bits::bit_count(shard, now_ms, request, reply),
        Command::BitPos => bits::bit_pos(shard, now_ms, request, reply),
        Command::BitField | Command::BitFieldRo => bitfield::bit_field(shard, now_ms, request, reply),
        Command::Dump => dump::dump(shard, now_ms, request, reply),
        Command::Restore => dump::restore(shard, now_ms, request, reply),
        other => unreachable!("{other:?} is no operation on one key"),
    }
}
