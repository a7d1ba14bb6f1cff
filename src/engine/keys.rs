//! Commands on several keys: taken apart into operations on one key, run where each key lives, put together.
//!
//! MGET becomes an array header and a reply a key, in order; the others become one sum. What is on this core runs
//! in one go. Parts on other cores travel as letters like any operation.

use super::Engine;
use super::gather::Gather;
use super::ingress::{Call, Place};
use super::letter::Ticket;
use super::sessions::Client;
use crate::keyspace::command::{Request, apply};
use crate::protocol::command::{Command, Spec, arity_text};
use crate::protocol::resp::{Arg, Args, Output, Proto, Reply};

/// Keys that are looked up together before the first of them is used.
const GROUP_KEYS_MAX: usize = 32;

impl Engine {
    pub(super) fn several(&mut self, call: &Call, client: &mut Client, spec: &'static Spec, args: &mut Args) {
        let stride = usize::from(spec.keys.step);
        let keys = (args.len() - 1) / stride;
        if keys * stride != args.len() - 1 {
            self.stats.errors += 1;
            return client.answer(|reply| reply.error(&arity_text(spec)));
        }
        if spec.command == Command::MGet {
            client.answer(|reply| reply.array(keys));
            return self.each_key(args, stride, |engine, _, place, part| {
                engine.operate(call, client, Command::MGet, place, part);
            });
        }
        let gather = if spec.command == Command::MSet { Gather::ok(keys) } else { Gather::count(keys) };
        let mut whole = Whole::open(client, gather, self.cores == 1);
        let mut scratch = Output::default();
        self.each_key(args, stride, |engine, index, place, part| {
            let mut request =
                Request { command: spec.command, args: part, slot: place.slot, hash: place.hash, hint: place.hint };
            if place.owner == engine.core {
                scratch.clear();
                apply(
                    &mut engine.shard,
                    call.now.unix_ms(),
                    &mut request,
                    &mut Reply { out: &mut scratch, proto: Proto::Resp2 },
                );
                whole.add(client, index as u32, &scratch);
            } else {
                let number = whole.number.expect("with other cores a slot was opened");
                engine.post.ask(place.owner, Ticket::new(call.conn, number, index as u32), Proto::Resp2, &mut request);
            }
        });
        self.close_whole(client, whole);
    }

    /// Hands out a command's keys one by one, each with its value if there is one, looked up in groups.
    fn each_key(&mut self, args: &mut Args, stride: usize, mut each: impl FnMut(&mut Engine, usize, Place, Args)) {
        let all: &[Arg] = args.places();
        let mut places: Vec<Place> = Vec::with_capacity(GROUP_KEYS_MAX);
        for (group, keys) in all[1..].chunks(GROUP_KEYS_MAX * stride).enumerate() {
            places.clear();
            for key in 0..keys.len() / stride {
                places.push(self.place(args.get(1 + (group * GROUP_KEYS_MAX + key) * stride)));
            }
            for place in places.iter().filter(|place| place.owner == self.core) {
                self.shard.prefetch_entry(place.slot, place.hash);
            }
            for place in places.iter_mut().filter(|place| place.owner == self.core) {
                place.hint = self.shard.probe(place.slot, place.hash);
            }
            for (key, (place, parts)) in places.iter().zip(keys.chunks(stride)).enumerate() {
                let mut part = [all[0]; 3];
                part[1..=stride].copy_from_slice(parts);
                each(self, group * GROUP_KEYS_MAX + key, *place, args.narrow(&part[..=stride]));
            }
        }
    }

    /// Encodes a whole reply if its last part has come; otherwise its slot waits.
    pub(super) fn close_whole(&mut self, client: &mut Client, whole: Whole) {
        match whole {
            Whole { gather: Some(gather), .. } => {
                let host = &self.host;
                client.answer(|reply| gather.encode(reply, &|| host.report()));
            }
            Whole { number: Some(number), complete: true, .. } => {
                self.complete(client, number);
                client.queue.settle(&mut client.output);
            }
            _ => {}
        }
    }

    /// Encodes the reply of a slot whose last part has come.
    pub(super) fn complete(&self, client: &mut Client, number: u32) {
        let (host, proto) = (&self.host, client.proto);
        client.queue.complete(number, |out, gather| gather.encode(&mut Reply { out, proto }, &|| host.report()));
    }
}

/// A reply in parts while its command runs: gathered right here, or in a slot where other cores' parts arrive too.
pub(super) struct Whole {
    gather: Option<Gather>,
    pub number: Option<u32>,
    complete: bool,
}

impl Whole {
    pub fn open(client: &mut Client, gather: Gather, here_only: bool) -> Whole {
        if here_only {
            return Whole { gather: Some(gather), number: None, complete: false };
        }
        let number = client.queue.gather(gather, client.is_muted());
        Whole { gather: None, number: Some(number), complete: false }
    }

    /// Adds a part that this core answered.
    pub fn add(&mut self, client: &mut Client, part: u32, output: &Output) {
        let range = 0..output.bytes.len();
        self.complete = match (&mut self.gather, self.number) {
            (Some(gather), _) => gather.add(part, output, range),
            (None, Some(number)) => client.queue.part(number).add(part, output, range),
            (None, None) => unreachable!("a whole is here or in a slot"),
        };
    }
}
