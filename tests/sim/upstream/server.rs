//! What a server answers: a small exact model of Redis, with the slots of a cluster.

use super::PASSWORD;
use super::fleet::Fleet;
use super::wire::Peer;
use crate::model::{Action, Only, Until};
use crate::resp::Reply;
use coldplate::routing::slot_of;

/// How the replies to a request's parts become one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joins {
    One,
    Array,
    Sum,
    Ok,
}

type Parts = Vec<(Vec<u8>, Action)>;

impl Fleet {
    /// Does a request that has come to a node, and answers its reply.
    pub fn serve(&mut self, wire: usize, peer: &mut Peer, words: &[Vec<u8>]) -> Result<Vec<u8>, String> {
        let node = self.wires[wire].node;
        let name = words[0].to_ascii_uppercase();
        let asks = std::mem::take(&mut peer.asking);
        if let Some(reply) = self.admit(node, peer, &name, words) {
            return Ok(reply);
        }
        let Some((parts, joins)) = parts_of(&name, words) else {
            return Err(format!("a server was asked {}", String::from_utf8_lossy(&words.join(&b' '))));
        };
        if self.nodes[node].loading {
            self.counts.loading += 1;
            return Ok(b"-LOADING Redis is loading the dataset in memory\r\n".to_vec());
        }
        let shard = self.nodes[node].shard;
        if self.setup.is_cluster()
            && let Some(error) = self.redirect(node, asks, peer.readonly, &parts)
        {
            return Ok(format!("-{error}\r\n").into_bytes());
        }
        self.counts.served += 1;
        let mut replies = Vec::new();
        for (key, action) in parts {
            replies.push(self.act(shard, key.clone(), &action, Some(wire)));
            if peer.tracks && action.is_look() {
                self.remember(wire, &key);
            }
        }
        let mut out = Vec::new();
        encode(&joined(joins, replies), peer.resp3, &mut out);
        Ok(out)
    }

    /// What is said about the connection, or the server.
    fn admit(&mut self, node: usize, peer: &mut Peer, name: &[u8], words: &[Vec<u8>]) -> Option<Vec<u8>> {
        let ok = || Some(b"+OK\r\n".to_vec());
        let is = |at: usize, text: &str| words.get(at).is_some_and(|word| word.eq_ignore_ascii_case(text.as_bytes()));
        match name {
            b"AUTH" if words.last().is_some_and(|word| word == PASSWORD) => {
                peer.known = true;
                ok()
            }
            b"HELLO" if is(1, "3") => {
                peer.known |= is(2, "AUTH") && words.last().is_some_and(|word| word == PASSWORD);
                if !peer.known {
                    return Some(b"-NOAUTH HELLO must be called with the client already authenticated\r\n".to_vec());
                }
                peer.resp3 = true;
                Some(b"%1\r\n$5\r\nproto\r\n:3\r\n".to_vec())
            }
            _ if !peer.known => Some(b"-NOAUTH Authentication required.\r\n".to_vec()),
            b"READONLY" if self.setup.is_cluster() => {
                peer.readonly = true;
                ok()
            }
            b"ASKING" if self.setup.is_cluster() => {
                peer.asking = true;
                ok()
            }
            b"CLUSTER" if self.setup.is_cluster() && is(1, "SHARDS") && self.setup.knows_shards => {
                Some(self.shards_reply(node))
            }
            b"CLUSTER" if self.setup.is_cluster() && is(1, "SLOTS") => Some(self.slots_reply(node)),
            b"CLUSTER" => Some(b"-ERR unknown subcommand 'SHARDS'. Try CLUSTER HELP.\r\n".to_vec()),
            b"CLIENT" if is(1, "TRACKING") && is(2, "ON") && is(3, "NOLOOP") && peer.resp3 => {
                peer.tracks = true;
                ok()
            }
            b"PING" => Some(b"+PONG\r\n".to_vec()),
            b"ECHO" => {
                let mut out = Vec::new();
                encode(&Reply::Bulk(words[1].clone()), peer.resp3, &mut out);
                Some(out)
            }
            _ => None,
        }
    }

    /// The error by which a node of a cluster sends a request elsewhere, if it is not its own.
    fn redirect(&mut self, node: usize, asks: bool, readonly: bool, parts: &Parts) -> Option<String> {
        let slot = slot_of(&parts[0].0).index();
        if parts.iter().any(|(key, _)| slot_of(key).index() != slot) {
            return Some("CROSSSLOT Keys in request don't hash to the same slot".into());
        }
        let (shard, owner) = (self.nodes[node].shard, self.owner(slot));
        if self.nodes[node].cluster_down {
            self.counts.down += 1;
            return Some("CLUSTERDOWN The cluster is down".into());
        }
        let several = parts.iter().any(|(key, _)| *key != parts[0].0);
        let has = |fleet: &Fleet, (key, _): &(Vec<u8>, Action)| fleet.is_there(shard, key);
        let missing = parts.iter().filter(|part| !has(self, part)).count();
        let moving = self.places.get(&slot).and_then(|place| place.moving);
        if self.is_primary(node) {
            if owner == shard {
                let to = moving.filter(|_| missing > 0)?;
                if missing < parts.len() {
                    return self.try_again();
                }
                self.counts.asked += 1;
                return Some(format!("ASK {slot} {}", self.nodes[self.shards[to].primary].address));
            }
            if moving == Some(shard) && asks {
                return if several && missing > 0 { self.try_again() } else { None };
            }
        }
        let reads = parts.iter().all(|(_, action)| action.is_look());
        if owner == shard && readonly && reads && moving.is_none() {
            return None;
        }
        self.counts.moved += 1;
        let to = self.believed_primary(node, self.believed_owner(node, slot));
        Some(format!("MOVED {slot} {}", self.nodes[to].address))
    }

    fn try_again(&mut self) -> Option<String> {
        self.counts.again += 1;
        Some("TRYAGAIN Multiple keys request during rehashing of slot".into())
    }
}

/// What a request does to which keys. None: this model does not know it.
fn parts_of(name: &[u8], words: &[Vec<u8>]) -> Option<(Parts, Joins)> {
    let value = |at: usize| words.get(at).map(|word| word.as_slice().into());
    let number = |at: usize| std::str::from_utf8(words.get(at)?).ok()?.parse::<i64>().ok();
    let each = |action: Action| words[1..].iter().map(|key| (key.clone(), action.clone())).collect();
    let set = |value, only| Action::Set { value, until: Until::Forever, only };
    let action = match (name, words.len()) {
        (b"MGET", 2..) => return Some((each(Action::Get), Joins::Array)),
        (b"DEL", 2..) => return Some((each(Action::Del), Joins::Sum)),
        (b"EXISTS", 2..) => return Some((each(Action::Exists), Joins::Sum)),
        (b"MSET", 3..) => {
            let part = |pair: &[Vec<u8>]| (pair[0].clone(), set(pair[1].as_slice().into(), Only::Always));
            return Some((words[1..].chunks(2).map(part).collect(), Joins::Ok));
        }
        (b"GET", 2) | (b"HGET", 3) => Action::Get,
        (b"GETDEL", 2) => Action::GetDel,
        (b"INCR", 2) => Action::Incr,
        (b"INCRBY", 3) => Action::IncrBy(number(2)?),
        (b"PTTL", 2) => Action::PTtl,
        (b"SET", 3) => set(value(2)?, Only::Always),
        (b"HMSET", 4) => set(value(3)?, Only::Always),
        (b"SET", 4) if words[3] == b"NX" => set(value(2)?, Only::IfAbsent),
        (b"SET", 4) if words[3] == b"XX" => set(value(2)?, Only::IfPresent),
        (b"SET", 5) if words[3].eq_ignore_ascii_case(b"PX") => {
            Action::Set { value: value(2)?, until: Until::AfterMs(number(4)? as u64), only: Only::Always }
        }
        (b"SET", 5) if words[3] == b"KEEPTTL" && words[4] == b"XX" => {
            Action::Set { value: value(2)?, until: Until::Keep, only: Only::IfPresent }
        }
        (b"PEXPIRE", 3) => Action::ExpireMs(number(2)?),
        (b"PERSIST", 2) => Action::Persist,
        (b"PEXPIRETIME", 2) => Action::PExpireTime,
        (b"SETNX", 3) => Action::SetNx(value(2)?),
        (b"GETSET", 3) => Action::GetSet(value(2)?),
        (b"APPEND", 3) => Action::Append(value(2)?),
        _ => return None,
    };
    Some((vec![(words[1].clone(), action)], Joins::One))
}

fn joined(joins: Joins, mut replies: Vec<Reply>) -> Reply {
    match joins {
        Joins::One => replies.pop().expect("a request has a part"),
        Joins::Array => Reply::Array(replies),
        Joins::Sum => Reply::Int(replies.iter().filter(|reply| **reply == Reply::Int(1)).count() as i64),
        Joins::Ok => Reply::ok(),
    }
}

fn encode(reply: &Reply, resp3: bool, out: &mut Vec<u8>) {
    match reply {
        Reply::Simple(text) => out.extend_from_slice(format!("+{text}\r\n").as_bytes()),
        Reply::Error(text) => out.extend_from_slice(format!("-{text}\r\n").as_bytes()),
        Reply::Int(value) => out.extend_from_slice(format!(":{value}\r\n").as_bytes()),
        Reply::Null => out.extend_from_slice(if resp3 { b"_\r\n" } else { b"$-1\r\n" }),
        Reply::Bulk(bytes) => {
            out.extend_from_slice(format!("${}\r\n", bytes.len()).as_bytes());
            out.extend_from_slice(bytes);
            out.extend_from_slice(b"\r\n");
        }
        Reply::Array(elements) => {
            out.extend_from_slice(format!("*{}\r\n", elements.len()).as_bytes());
            elements.iter().for_each(|element| encode(element, resp3, out));
        }
        Reply::Map(_) | Reply::Push(_) => unreachable!("no command of this model answers one"),
    }
}
