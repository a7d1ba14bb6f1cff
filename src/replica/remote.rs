//! A fold whose key another server has: which of its runs may be asked together, and what their replies are.
//!
//! What a run of many that is refused leaves to be asked again must not be overtaken by the runs behind it, so those are
//! not asked before it is answered. Reads are not asked again: what refuses one refuses all.

use super::copy::{Copy, SHARED_BYTES_MIN};
use super::fold::{Fold, Kind, Run};
use crate::keyspace::command::Request;
use crate::protocol::command::{flags::flag, spec};
use crate::protocol::resp::{Args, Proto, Reply, number_of};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// A server that keeps to the protocol never makes this necessary.
const NO_SUM: &[u8] = b"-ERR upstream: a reply that is no sum\r\n";
const NULL: [&[u8]; 2] = [b"$-1\r\n", b"_\r\n"];

impl Fold {
    /// The runs to be asked next, in their order.
    pub fn leg(&self) -> Range<usize> {
        let ends = |run: &Run| run.crowd.is_many() && run.kind != Kind::Reads;
        let left = &self.runs[self.served()..];
        let runs = left.iter().position(ends).map_or(left.len(), |at| at + 1);
        self.served()..self.served() + runs
    }

    /// A run as the request that asks for it. Large arguments may be taken out of it: it is asked once.
    pub fn request(&mut self, run: usize) -> Request<'_> {
        let Fold { runs, args, text, bodies, slot, hash, .. } = self;
        let run = &runs[run];
        let args = Args::new(text, &args[run.args.start as usize..run.args.end as usize], bodies);
        Request { command: run.command, args, slot: *slot, hash: *hash, hint: None }
    }

    /// The requests that some runs make unnecessary: reads, and writes.
    pub fn spares(&self, runs: Range<usize>) -> (u64, u64) {
        let runs = &self.runs[runs];
        let of = |run: &Run| match run.kind {
            Kind::Reads => (run.crowd.alike - 1, 0),
            Kind::Sum | Kind::Set | Kind::Single => (run.crowd.reads, run.crowd.alike - 1),
        };
        let add = |sum: (u64, u64), of: (u32, u32)| (sum.0 + u64::from(of.0), sum.1 + u64::from(of.1));
        runs.iter().map(of).fold((0, 0), add)
    }

    /// Whether a run changes nothing.
    pub fn reads(&self, run: usize) -> bool {
        !spec(self.runs[run].command).has(flag::WRITE)
    }

    /// Whether it is a GET and nothing else, however often.
    pub fn gets(&self) -> bool {
        self.runs.iter().all(|run| run.kind == Kind::Reads)
    }

    /// Takes the server's reply to the next run, in the version of the protocol in which it was asked. False: a run of many
    /// was refused; it and those behind it are to be asked again, one by one.
    pub fn answered(&mut self, reply: &[u8], proto: Proto) -> bool {
        let run = &self.runs[self.served()];
        let refused = reply[0] == b'-';
        if refused && run.crowd.is_many() && run.kind != Kind::Reads {
            return false;
        }
        if run.kind == Kind::Sum && reply[0] != b'-' && number_of(reply, b':').is_none() {
            self.fail_next(NO_SUM);
            return true;
        }
        let wanted = if run.kind == Kind::Single { run.proto } else { Proto::Resp2 };
        let reply = in_version(reply, proto, wanted);
        self.serve_next(|answers| {
            if reply.len() < SHARED_BYTES_MIN || reply[0] != b'$' {
                return answers.bytes.extend_from_slice(&reply);
            }
            answers.push_shared_reply(Arc::new(reply.into_owned()));
        });
        true
    }

    /// Answers all runs, which have to be GETs, from a copy.
    pub fn answer_from(&mut self, copy: &Copy) {
        while self.served() < self.runs() {
            self.serve_next(|answers| copy.answer(&mut Reply { out: answers, proto: Proto::Resp2 }));
        }
    }

    /// Whoever waits for the next run gets this error.
    pub fn fail_next(&mut self, error: &[u8]) {
        self.serve_next(|answers| answers.bytes.extend_from_slice(error));
    }
}

/// A reply of a command on strings in another version of the protocol: nulls differ, alone and in an array.
fn in_version(reply: &[u8], is: Proto, wanted: Proto) -> Cow<'_, [u8]> {
    let (null, wanted_null) = (NULL[is as usize], NULL[wanted as usize]);
    if is == wanted {
        return Cow::Borrowed(reply);
    }
    if reply == null {
        return Cow::Borrowed(wanted_null);
    }
    if reply[0] != b'*' {
        return Cow::Borrowed(reply);
    }
    // Of those commands only BITFIELD has an array, of numbers and nulls.
    let mut text = Vec::with_capacity(reply.len() * 2);
    for line in reply.split_inclusive(|byte| *byte == b'\n') {
        text.extend_from_slice(if line == null { wanted_null } else { line });
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::super::draft::Draft;
    use super::*;
    use crate::protocol::command::Command;
    use crate::protocol::resp::{Arg, Output};
    use crate::types::{KeyHash, Slot};

    fn drafted(operations: &[(Command, &[&str])]) -> Draft<usize> {
        let mut draft = Draft::default();
        draft.begin(b"k", Slot(3), KeyHash(9));
        for ((command, rest), who) in operations.iter().zip(0..) {
            let words: Vec<&str> = ["X", "k"].iter().chain(*rest).copied().collect();
            let (mut at, mut places) = (0, Vec::new());
            for word in &words {
                places.push(Arg::text(at, word.len()));
                at += word.len();
            }
            let text = words.concat();
            let args = Args::new(text.as_bytes(), &places, &mut []);
            let mut request = Request { command: *command, args, slot: Slot(3), hash: KeyHash(9), hint: None };
            draft.join(who, Proto::Resp2, &mut request, true);
        }
        draft
    }

    fn asked(fold: &mut Fold, run: usize) -> String {
        let request = fold.request(run);
        let words: Vec<_> = request.args.iter().skip(1).map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
        format!("{} {}", spec(request.command).name, words.join(" "))
    }

    fn replies(draft: &Draft<usize>, fold: &Fold) -> Vec<String> {
        let mut scratch = Output::default();
        let reply = |member| {
            scratch.clear();
            let (output, range) = super::super::draft::reply_of(fold, member, &mut scratch)?;
            Some(String::from_utf8_lossy(&output.bytes[range]).trim_end().replace("\r\n", " "))
        };
        draft.members.iter().map_while(reply).collect()
    }

    /// Runs are asked together up to one that what follows hangs on; then those behind it.
    #[test]
    fn what_may_be_refused_ends_a_leg() {
        use Command::{Get, Incr, Set, StrLen};
        let operations: &[(Command, &[&str])] =
            &[(Get, &[]), (Get, &[]), (StrLen, &[]), (Incr, &[]), (Incr, &[]), (Get, &[]), (Set, &["v"])];
        let (mut fold, members) = drafted(operations).seal();
        assert_eq!((fold.runs(), fold.leg(), fold.gets()), (4, 0..3, false));
        assert_eq!((fold.spares(0..3), fold.spares(3..4)), ((2, 1), (0, 0)));
        let texts: Vec<String> = (0..4).map(|run| asked(&mut fold, run)).collect();
        assert_eq!(texts, ["get k", "strlen k", "incrby k 2", "set k v"]);
        assert_eq!((0..4).map(|run| fold.reads(run)).collect::<Vec<_>>(), [true, true, false, false]);
        for reply in [&b"_\r\n"[..], b":0\r\n", b":7\r\n"] {
            assert!(fold.answered(reply, Proto::Resp3));
        }
        assert_eq!(fold.leg(), 3..4);
        assert!(fold.answered(b"+OK\r\n", Proto::Resp3));
        let draft = Draft { fold: Box::default(), members };
        assert_eq!(replies(&draft, &fold), ["$-1", "$-1", ":0", ":6", ":7", "$1 7", "+OK"]);
    }

    /// A refusal is not for many; an error of reads is, and so is one that says that nobody knows.
    #[test]
    fn errors_go_to_whom_they_concern() {
        use Command::{Get, Incr};
        let operations: &[(Command, &[&str])] = &[(Get, &[]), (Get, &[]), (Incr, &[]), (Incr, &[]), (Get, &[])];
        let (mut fold, members) = drafted(operations).seal();
        assert!(fold.answered(b"-WRONGTYPE no\r\n", Proto::Resp3));
        assert!(!fold.answered(b"-ERR overflow\r\n", Proto::Resp3));
        let draft = Draft { fold: Box::default(), members };
        assert_eq!(replies(&draft, &fold), ["-WRONGTYPE no"; 2]);
        fold.fail_next(b"-ERR lost\r\n");
        assert_eq!(replies(&draft, &fold)[2..], ["-ERR lost"; 3]);
    }

    #[test]
    fn nulls_are_those_of_the_version() {
        let text = |reply: &str, is, wanted| String::from_utf8(in_version(reply.as_bytes(), is, wanted).into_owned());
        for (old, new) in
            [("$-1\r\n", "_\r\n"), ("*3\r\n:1\r\n$-1\r\n:2\r\n", "*3\r\n:1\r\n_\r\n:2\r\n"), (":1\r\n", ":1\r\n")]
        {
            assert_eq!(text(old, Proto::Resp2, Proto::Resp3).as_deref(), Ok(new));
            assert_eq!(text(new, Proto::Resp3, Proto::Resp2).as_deref(), Ok(old));
        }
    }
}
