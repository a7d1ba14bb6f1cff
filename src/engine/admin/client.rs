//! CLIENT: what connections say about themselves, and the list of them.

use super::SYNTAX;
use crate::engine::Engine;
use crate::engine::event::Effects;
use crate::engine::gather::ORDER_BYTES;
use crate::engine::invalidation::redirect_of;
use crate::engine::sessions::Client;
use crate::protocol::command::Command;
use crate::protocol::resp::{Args, Proto, parse_i64, quoting};
use crate::session::{ChannelKind, Tracker};
use crate::types::Now;
use std::fmt::Write;

pub const INVALID_NAME: &str = "ERR Client names cannot contain spaces, newlines or special characters.";

/// Names go into the lines of CLIENT LIST, so they hold printable characters without a space.
pub fn valid_name(name: &[u8]) -> bool {
    name.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

/// The subcommands that concern the asking connection alone.
pub fn own(now: Now, client: &mut Client, command: Command, args: &Args) {
    match command {
        Command::ClientId => {
            let id = client.id as i64;
            client.answer(|reply| reply.integer(id));
        }
        Command::ClientInfo => {
            let asked = (client.id, framed_bytes(args));
            let line = line(now, client, asked, false);
            client.answer(|reply| reply.verbatim("txt", line.as_bytes()));
        }
        Command::ClientGetName => {
            let name = client.profile.name.clone();
            client.answer(|reply| if name.is_empty() { reply.null() } else { reply.bulk(&name) });
        }
        Command::ClientSetName => {
            let fine = valid_name(args.get(2));
            if fine {
                client.profile.name = args.get(2).to_vec();
            }
            client.answer(|reply| if fine { reply.ok() } else { reply.error(INVALID_NAME) });
        }
        Command::ClientSetInfo => set_info(client, args),
        Command::ClientNoEvict | Command::ClientNoTouch => {
            let on = match args.get(2).to_ascii_lowercase().as_slice() {
                b"on" => true,
                b"off" => false,
                _ => return client.answer(|reply| reply.error(SYNTAX)),
            };
            let profile = &mut client.profile;
            *(if command == Command::ClientNoEvict { &mut profile.no_evict } else { &mut profile.no_touch }) = on;
            client.answer(|reply| reply.ok());
        }
        other => unreachable!("{other:?} concerns more than the asking connection"),
    }
}

fn set_info(client: &mut Client, args: &Args) {
    let value = args.get(3);
    let field = match args.get(2).to_ascii_lowercase().as_slice() {
        b"lib-name" => &mut client.profile.library_name,
        b"lib-ver" => &mut client.profile.library_version,
        _ => {
            let error = quoting("ERR Unrecognized option '", args.get(2), "'");
            return client.answer(|reply| reply.error_bytes(&error));
        }
    };
    if !valid_name(value) {
        let error = quoting("ERR ", args.get(2), " cannot contain spaces, newlines or special characters.");
        return client.answer(|reply| reply.error_bytes(&error));
    }
    *field = value.to_vec();
    client.answer(|reply| reply.ok());
}

/// What a request takes as it is sent.
fn framed_bytes(args: &Args) -> usize {
    let line = |number: usize| "*\r\n".len() + number.to_string().len();
    line(args.len()) + args.iter().map(|arg| line(arg.len()) + arg.len() + "\r\n".len()).sum::<usize>()
}

/// Redis's letters for what a connection is, in Redis's order. Whether a watched key has changed is known at its owner
/// alone, so that has none.
fn flags(client: &Client, paused: bool) -> String {
    let profile = &client.profile;
    let tracked = |which: fn(&Tracker) -> bool| client.tracker.as_deref().is_some_and(which);
    let letters = [
        ('O', client.monitors),
        ('P', !client.subscriptions.is_empty()),
        ('x', client.multi.is_some()),
        ('b', client.parked || paused && client.stalled),
        ('t', client.tracker.is_some()),
        ('R', tracked(|tracker| tracker.broken)),
        ('B', tracked(|tracker| tracker.bcast)),
        ('c', client.closing),
        ('U', profile.peer.starts_with('/')),
        ('e', profile.no_evict),
        ('T', profile.no_touch),
    ];
    let flags: String = letters.into_iter().filter(|(_, holds)| *holds).map(|(letter, _)| letter).collect();
    if flags.is_empty() { "N".into() } else { flags }
}

/// A connection as a line of CLIENT LIST. Fields that mean nothing here are left at Redis's neutral values. `asked` is who
/// asks, and the bytes of its request, which lie in the buffer while it runs.
fn line(now: Now, client: &Client, (asking, asked_bytes): (u64, usize), paused: bool) -> String {
    let profile = &client.profile;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let age_s = now.mono_us.saturating_sub(profile.opened.mono_us) / 1_000_000;
    let idle_s = now.mono_us.saturating_sub(client.last_active_us) / 1_000_000;
    let flags = flags(client, paused);
    let asks = client.id == asking;
    let held = client.input.held_bytes() + if asks { asked_bytes } else { 0 };
    let awaited = client.queue.len().saturating_sub(usize::from(asks));
    let output = client.output.len_bytes() + client.queue.stashed_bytes();
    let (unsent, memory) = (output + client.sending_bytes, client.memory_bytes());
    let (queued, multi) = client.multi.as_ref().map_or((-1, 0), |m| (m.requests.len() as i64, m.bytes()));
    let mut line = String::with_capacity(320);
    write!(
        line,
        "id={} addr={} laddr={} fd={} name={} age={age_s} idle={idle_s} flags={flags} db=0 sub={} psub={} ssub={} \
         multi={queued} qbuf={held} qbuf-free=0 argv-mem=0 multi-mem={multi} rbs={} rbp=0 obl={output} oll={} \
         omem={unsent} tot-mem={memory} \
         events=r cmd={} user=default redir={} resp={} lib-name={} lib-ver={}",
        client.id,
        profile.peer,
        profile.local,
        client.id,
        text(&profile.name),
        client.subscriptions.count(ChannelKind::Plain),
        client.subscriptions.count(ChannelKind::Pattern),
        client.subscriptions.count(ChannelKind::Shard),
        client.output.bytes.capacity(),
        awaited,
        client.last_command,
        redirect_of(client),
        if client.proto == Proto::Resp3 { 3 } else { 2 },
        text(&profile.library_name),
        text(&profile.library_version),
    )
    .expect("writing to a string succeeds");
    line.push('\n');
    line
}

/// CLIENT LIST [TYPE normal|master|replica|pubsub] [ID id ...]
pub struct ListFilter {
    ids: Option<Vec<i64>>,
    class: Option<Class>,
}

impl ListFilter {
    pub fn parse(args: &Args) -> Result<ListFilter, Vec<u8>> {
        match args.try_get(2) {
            None => Ok(ListFilter { ids: None, class: None }),
            Some(option) if option.eq_ignore_ascii_case(b"type") && args.len() == 4 => {
                Ok(ListFilter { ids: None, class: Some(Class::parse(args.get(3))?) })
            }
            Some(option) if option.eq_ignore_ascii_case(b"id") && args.len() > 3 => {
                let ids: Option<Vec<i64>> = (3..args.len()).map(|at| parse_i64(args.get(at))).collect();
                Ok(ListFilter { ids: Some(ids.ok_or("ERR Invalid client ID")?), class: None })
            }
            Some(_) => Err(SYNTAX.into()),
        }
    }
}

/// The types of connections that Redis tells apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Normal,
    /// It listens to channels.
    PubSub,
    /// No connection here.
    Replication,
}

impl Class {
    fn parse(kind: &[u8]) -> Result<Class, Vec<u8>> {
        match kind.to_ascii_lowercase().as_slice() {
            b"normal" => Ok(Class::Normal),
            b"pubsub" => Ok(Class::PubSub),
            b"master" | b"replica" | b"slave" => Ok(Class::Replication),
            _ => Err(quoting("ERR Unknown client type '", kind, "'")),
        }
    }

    fn of(client: &Client) -> Class {
        if client.subscriptions.is_empty() { Class::Normal } else { Class::PubSub }
    }
}

/// CLIENT KILL addr:port, or CLIENT KILL [ID id] [TYPE t] [USER u] [ADDR a] [LADDR a] [SKIPME yes|no]
pub struct KillFilter {
    /// The form with an address alone, which answers OK or an error and may kill the asking connection.
    pub old_form: bool,
    id: Option<u64>,
    class: Option<Class>,
    peer: Option<String>,
    local: Option<String>,
    skip_me: bool,
}

impl KillFilter {
    pub fn parse(args: &Args) -> Result<KillFilter, Vec<u8>> {
        let mut filter =
            KillFilter { old_form: args.len() == 3, id: None, class: None, peer: None, local: None, skip_me: true };
        let text = |at: usize| String::from_utf8_lossy(args.get(at)).into_owned();
        if filter.old_form {
            (filter.peer, filter.skip_me) = (Some(text(2)), false);
            return Ok(filter);
        }
        for at in (2..args.len()).step_by(2) {
            if at + 1 == args.len() {
                return Err(SYNTAX.into());
            }
            match args.get(at).to_ascii_lowercase().as_slice() {
                b"id" => {
                    let id = parse_i64(args.get(at + 1)).filter(|id| *id > 0);
                    filter.id = Some(id.ok_or("ERR client-id should be greater than 0")? as u64);
                }
                b"type" => filter.class = Some(Class::parse(args.get(at + 1))?),
                b"addr" => filter.peer = Some(text(at + 1)),
                b"laddr" => filter.local = Some(text(at + 1)),
                b"user" if args.get(at + 1) == b"default" => {}
                b"user" => return Err(quoting("ERR No such user '", args.get(at + 1), "'")),
                b"skipme" if args.get(at + 1).eq_ignore_ascii_case(b"yes") => filter.skip_me = true,
                b"skipme" if args.get(at + 1).eq_ignore_ascii_case(b"no") => filter.skip_me = false,
                _ => return Err(SYNTAX.into()),
            }
        }
        Ok(filter)
    }

    fn names(&self, client: &Client) -> bool {
        self.class.is_none_or(|class| class == Class::of(client))
            && self.id.is_none_or(|id| id == client.id)
            && self.peer.as_ref().is_none_or(|peer| *peer == client.profile.peer)
            && self.local.as_ref().is_none_or(|local| *local == client.profile.local)
    }
}

impl Engine {
    /// The lines of this core's connections, and of the asking one, which is apart while its requests run.
    pub(in crate::engine) fn client_list(&mut self, now: Now, args: &Args, asking: Option<&Client>) -> String {
        let filter = ListFilter::parse(args).expect("the core that was asked has checked it");
        let asked = (asking.map_or(0, |client| client.id), framed_bytes(args));
        let listed = |client: &Client| {
            filter.class.is_none_or(|class| class == Class::of(client))
                && filter.ids.as_ref().is_none_or(|ids| ids.contains(&(client.id as i64)))
        };
        let paused = self.waits.pause.is_some();
        let others = self.sessions.iter_mut().map(|(_, client)| &**client);
        let shown = others.chain(asking).filter(|client| listed(client));
        // As in Redis the oldest come first.
        let line = |client: &Client| {
            let opened_us = client.profile.opened.mono_us;
            format!("{opened_us:0ORDER_BYTES$}{}", line(now, client, asked, paused))
        };
        shown.map(line).collect()
    }

    /// Ends this core's connections that the filter names; the asking one gets its answer first.
    pub(in crate::engine) fn client_kill(
        &mut self,
        filter: &KillFilter,
        asking: Option<&mut Client>,
        effects: &mut Effects,
    ) -> i64 {
        let mut killed = 0;
        for (conn, client) in self.sessions.iter_mut() {
            if !client.closing && filter.names(client) {
                killed += 1;
                client.closing = true;
                effects.kill.push(conn);
            }
        }
        if let Some(client) = asking.filter(|client| !filter.skip_me && filter.names(client)) {
            killed += 1;
            client.closing = true;
        }
        killed
    }
}
