//! PUBSUB: who listens to what, over all cores. A channel may have listeners on several of them and is named once.

use super::super::Engine;
use super::super::event::HostReport;
use super::super::gather::{Gather, Report};
use super::super::ingress::Call;
use super::super::sessions::Client;
use crate::keyspace::glob;
use crate::protocol::command::Command;
use crate::protocol::resp::{Args, Reply};
use crate::session::ChannelKind;
use std::collections::BTreeSet;

/// What the parts of the cores add up to.
pub enum Survey {
    /// Names, each once and in order.
    Names(BTreeSet<Vec<u8>>),
    /// How many names there are; a name is told from others by its hash.
    Distinct(Vec<u64>),
    /// How many listen to each of these.
    Listeners { names: Vec<Vec<u8>>, counts: Vec<u64> },
}

impl Survey {
    fn new(command: Command, args: &Args) -> Survey {
        match command {
            Command::PubSubNumPat => Survey::Distinct(Vec::new()),
            Command::PubSubNumSub | Command::PubSubShardNumSub => {
                let names: Vec<Vec<u8>> = args.iter().skip(2).map(<[u8]>::to_vec).collect();
                Survey::Listeners { counts: vec![0; names.len()], names }
            }
            _ => Survey::Names(BTreeSet::new()),
        }
    }
}

impl Report for Survey {
    /// Takes the part of one core, as [`Engine::survey_part`] wrote it.
    fn add(&mut self, _: u32, mut part: &[u8]) {
        match self {
            Survey::Names(names) => {
                while !part.is_empty() {
                    let (bytes, rest) = part.split_at(size_of::<u64>());
                    let (name, rest) = rest.split_at(read_u64(bytes) as usize);
                    names.insert(name.to_vec());
                    part = rest;
                }
            }
            Survey::Distinct(hashes) => hashes.extend(read_all(part)),
            Survey::Listeners { counts, .. } => {
                counts.iter_mut().zip(read_all(part)).for_each(|(sum, count)| *sum += count);
            }
        }
    }

    fn encode(self: Box<Self>, reply: &mut Reply, _: &dyn Fn() -> HostReport) {
        match *self {
            Survey::Names(names) => {
                reply.array(names.len());
                names.iter().for_each(|name| reply.bulk(name));
            }
            Survey::Distinct(hashes) => reply.integer(distinct(hashes) as i64),
            Survey::Listeners { names, counts } => {
                reply.array(names.len() * 2);
                for (name, count) in names.iter().zip(counts) {
                    reply.bulk(name);
                    reply.integer(count as i64);
                }
            }
        }
    }
}

/// How many different hashes there are.
pub fn distinct(mut hashes: Vec<u64>) -> usize {
    hashes.sort_unstable();
    hashes.dedup();
    hashes.len()
}

fn read_u64(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}

/// The numbers of a part.
pub fn read_all(part: &[u8]) -> impl Iterator<Item = u64> {
    part.chunks_exact(size_of::<u64>()).map(read_u64)
}

impl Engine {
    pub(in super::super) fn survey(&mut self, call: &mut Call, client: &mut Client, command: Command, args: &mut Args) {
        let one_pattern = matches!(command, Command::PubSubChannels | Command::PubSubShardChannels);
        if one_pattern && args.len() > 3 {
            let name = String::from_utf8_lossy(args.get(1)).into_owned();
            let error = format!("ERR unknown subcommand or wrong number of arguments for '{name}'. Try PUBSUB HELP.");
            return client.answer(|reply| reply.error(&error));
        }
        let gather = Gather::report(self.cores, Survey::new(command, args));
        self.everywhere(call, client, command, args, gather);
    }

    /// What this core knows of what was asked.
    pub(in super::super) fn survey_part(&self, command: Command, args: &Args, reply: &mut Reply) {
        let kind = match command {
            Command::PubSubNumPat => ChannelKind::Pattern,
            Command::PubSubShardChannels | Command::PubSubShardNumSub => ChannelKind::Shard,
            _ => ChannelKind::Plain,
        };
        let channels = &self.pubsub.channels[kind as usize];
        match command {
            Command::PubSubNumPat => channels.iter().for_each(|pattern| reply.raw(&pattern.hash.0.to_le_bytes())),
            Command::PubSubNumSub | Command::PubSubShardNumSub => {
                for name in args.iter().skip(2) {
                    let found = channels.get(self.shard.hash(name), name);
                    let count = found.map_or(0, |channel| channel.conns.len() as u64);
                    reply.raw(&count.to_le_bytes());
                }
            }
            _ => {
                let pattern = args.try_get(2);
                let wanted = |name: &[u8]| pattern.is_none_or(|pattern| glob::matches(pattern, name));
                for channel in channels.iter().filter(|channel| wanted(&channel.name)) {
                    reply.raw(&(channel.name.len() as u64).to_le_bytes());
                    reply.raw(&channel.name);
                }
            }
        }
    }

    /// Names of each kind that connections of this core listen to: how many, and their hashes.
    pub(in super::super) fn listened(&self) -> ([u64; 3], Vec<u8>) {
        let channels = &self.pubsub.channels;
        let hashes = channels.iter().flat_map(|channels| channels.iter().map(|channel| channel.hash.0));
        let mut bytes = Vec::new();
        hashes.for_each(|hash| bytes.extend_from_slice(&hash.to_le_bytes()));
        ([0, 1, 2].map(|kind: usize| channels[kind].len() as u64), bytes)
    }
}
