//! Groups: requests that are parsed, and their keys looked up, together before the first of them runs.
//!
//! A look-up reads a table's head, then an entry, then the item, and each is asked for before the next is needed. Over
//! many keys the group waits for memory about once instead of each request three times; over a million keys that halves
//! the cost of a request. The requests of one pipeline make a group; so do the first requests of all connections that a
//! turn brings, the keys of one command, and the letters of a batch.

use super::Engine;
use super::keys::shares_slots;
use super::long;
use super::scatter::is_about_all_keys;
use super::sessions::Client;
use super::transaction::is_move;
use super::upstream;
use super::waits::may_park;
use crate::keyspace::ItemRef;
use crate::protocol::command::{Command, Spec, resolve};
use crate::protocol::resp::{Arg, Args, Frame, Input, ProtocolError, parse};
use crate::routing::slot_of;
use crate::types::{CoreId, KeyHash, Slot};
use std::ops::Range;

/// Keys that are looked up together: enough to overlap the memory accesses that a core can have under way.
pub(super) const GROUP_KEYS_MAX: usize = 32;
/// Requests of one source that are parsed before the first of them runs.
pub(super) const SOURCE_REQUESTS_MAX: usize = 32;

/// Where a key lives and where a probe saw it.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub slot: Slot,
    pub hash: KeyHash,
    pub owner: CoreId,
    pub hint: Option<ItemRef>,
}

/// One parsed request of a group.
pub(super) struct Item {
    /// Where its bytes are: an offset of the received bytes, or a row of [`Group::frames`] for a held one.
    at: usize,
    args: Range<u32>,
    /// `None` when it names no command, or has the wrong number of arguments.
    pub spec: Option<&'static Spec>,
    /// Of an operation on one key.
    pub place: Option<Place>,
    /// It may have to wait: until the client's requests on hot keys have been answered, which are on their way to an owner
    /// together with others and which it would overtake; or because clients are paused.
    pub overtakes: bool,
    /// Its client may have to wait, for locks or for time to pass, or is to be watched, before the next one runs.
    pub may_wait: bool,
}

impl Item {
    #[inline]
    pub fn is_long(&self, client: &Client) -> bool {
        client.authenticated && long::is_long(self.spec, self.args.len())
    }
}

/// A group of parsed requests, from one source or several.
#[derive(Default)]
pub(super) struct Group {
    items: Vec<Item>,
    args: Vec<Arg>,
    frames: Vec<Frame>,
}

impl Group {
    pub fn clear(&mut self) {
        self.items.clear();
        self.args.clear();
        self.frames.clear();
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn items(&self, range: Range<usize>) -> &[Item] {
        &self.items[range]
    }

    /// The commands of items.
    #[inline]
    pub fn specs(&self, range: Range<usize>) -> impl Iterator<Item = &'static Spec> {
        self.items[range].iter().filter_map(|item| item.spec)
    }

    /// An item's arguments as they were parsed.
    #[inline]
    pub fn parsed(&self, item: &Item) -> &[Arg] {
        &self.args[item.args.start as usize..item.args.end as usize]
    }

    /// The frame of an item whose source is held bytes.
    pub fn frame(&self, item: &Item) -> Frame {
        self.frames[item.at]
    }
}

/// The bytes that requests are parsed from.
pub(super) enum Source<'a> {
    Chunk { bytes: &'a [u8], parsed: usize },
    Held(&'a mut Input),
}

impl Source<'_> {
    #[inline]
    pub fn args<'b>(&'b mut self, group: &'b Group, item: &Item) -> Args<'b> {
        let args = group.parsed(item);
        match self {
            Source::Chunk { bytes, .. } => Args::new(&bytes[item.at..], args, &mut []),
            Source::Held(input) => input.args(group.frames[item.at], args),
        }
    }

    /// Whether a request can be put back.
    pub fn takes_back(&self, group: &Group, item: &Item) -> bool {
        match self {
            Source::Chunk { .. } => true,
            Source::Held(input) => input.is_last(group.frames[item.at]),
        }
    }

    /// Has its last parsed request parsed again later.
    pub fn put_back(&mut self, group: &Group, item: &Item) {
        match self {
            Source::Chunk { parsed, .. } => *parsed = item.at,
            Source::Held(input) => input.put_back(group.frames[item.at], group.parsed(item)),
        }
    }
}

/// Who sent what is parsed.
#[derive(Clone, Copy)]
pub(super) struct Reader {
    pub authenticated: bool,
    /// Each of its requests may have to wait for those before it.
    pub singly: bool,
}

impl Reader {
    #[inline]
    pub fn of(client: &Client) -> Reader {
        Reader { authenticated: client.authenticated, singly: client.is_tied }
    }
}

/// Why a source gave no more requests.
pub(super) enum Parsed {
    /// It gave as many as one may; there may be more.
    Full,
    /// What is left is no whole request.
    Short,
    Malformed(ProtocolError),
}

/// Whether a command goes past folds: one on the keys of all cores, or on several of one slot. Behind CLIENT TRACKING
/// all of them do.
fn may_overtake(spec: &'static Spec, args: &Args) -> bool {
    use Command::{
        BitOp, ClientTracking, Copy, Del, Exec, Exists, Lcs, MGet, MSet, MSetNx, Rename, RenameNx, Touch, Unlink, Watch,
    };
    match spec.command {
        ClientTracking => true,
        command if is_about_all_keys(command) => true,
        Exec | Rename | RenameNx | Copy | MSetNx | MSet | BitOp | Lcs | Watch => true,
        MGet | Del | Unlink | Exists | Touch => {
            !long::is_long(Some(spec), args.len()) && shares_slots(args, usize::from(spec.keys.step))
        }
        _ => false,
    }
}

/// Whether a command may need locks on several cores.
fn may_wait(command: Command) -> bool {
    matches!(command, Command::Exec | Command::MSet | Command::FlushAll | Command::FlushDb) || is_move(command)
}

impl Engine {
    /// Parses requests of one source into a group.
    #[inline]
    pub(super) fn parse_into(&self, group: &mut Group, client: Reader, source: &mut Source) -> Parsed {
        let Reader { authenticated, singly } = client;
        let mut limits = self.limits;
        limits.authenticated = authenticated;
        let paused = self.waits.pause.is_some();
        // Of held ones only the last can be put back.
        let single = matches!(source, Source::Held(_)) && self.may_put_back();
        for _ in 0..if single { 1 } else { SOURCE_REQUESTS_MAX } {
            let first = group.args.len();
            let at = match source {
                Source::Chunk { bytes, parsed } => match parse(&bytes[*parsed..], &limits, &mut group.args) {
                    Ok(Some(taken)) => {
                        let at = *parsed;
                        *parsed += taken;
                        at
                    }
                    Ok(None) => return Parsed::Short,
                    Err(error) => return Parsed::Malformed(error),
                },
                Source::Held(input) => match input.next(&limits, &mut group.args) {
                    Ok(Some(frame)) => {
                        group.frames.push(frame);
                        group.frames.len() - 1
                    }
                    Ok(None) => return Parsed::Short,
                    Err(error) => return Parsed::Malformed(error),
                },
            };
            if group.args.len() == first {
                continue;
            }
            let args = first as u32..group.args.len() as u32;
            let mut item = Item { at, args, spec: None, place: None, overtakes: false, may_wait: false };
            self.resolve_item(group, &mut item, source);
            item.overtakes |= paused;
            // What follows may be parsed under wider limits, must wait, or is watched, once this one has run.
            let ends = singly
                || !authenticated
                || item.overtakes
                || item.may_wait
                || long::is_long(item.spec, item.args.len());
            group.items.push(item);
            if ends {
                return Parsed::Full;
            }
        }
        Parsed::Full
    }

    /// Finds an item's command and, for an operation on one key, the key's place.
    #[inline(always)]
    fn resolve_item(&self, group: &Group, item: &mut Item, source: &mut Source) {
        let args = source.args(group, item);
        item.spec = resolve(&args).ok();
        let Some(spec) = item.spec else { return item.may_wait = self.ties_stranger(&args) };
        if spec.single_key {
            item.place = Some(self.place(args.get(1)));
        } else {
            item.overtakes = self.hot.may_hold() && may_overtake(spec, &args);
            // HELLO and RESET end what was the same of the requests before them.
            let is_watched = matches!(spec.command, Command::Monitor | Command::Hello | Command::Reset);
            let ties = self.router.is_some() && upstream::ties(spec.command);
            item.may_wait = may_park(spec.command) || is_watched || ties || self.cores > 1 && may_wait(spec.command);
        }
    }

    /// Where a key lives; its table is asked for if it is here.
    #[inline(always)]
    pub(super) fn place(&self, key: &[u8]) -> Place {
        let slot = slot_of(key);
        let owner = if self.cores == 1 { self.core } else { self.table.owner(slot) };
        if owner == self.core {
            self.shard.prefetch_table(slot);
        }
        Place { slot, hash: self.shard.hash(key), owner, hint: None }
    }

    /// The same for a key that another core knows to live here.
    #[inline]
    pub(super) fn place_here(&self, slot: Slot, hash: KeyHash) -> Place {
        self.shard.prefetch_table(slot);
        Place { slot, hash, owner: self.core, hint: None }
    }

    #[inline]
    pub(super) fn look_up_group(&self, group: &mut Group) {
        self.look_up_in(&mut group.items, |item| item.place.as_mut());
    }

    #[inline]
    pub(super) fn look_up(&self, places: &mut [Place]) {
        self.look_up_in(places, |place| Some(place));
    }

    /// Second and third step of the look-up; the first was asking for the heads of the tables.
    #[inline(always)]
    fn look_up_in<T>(&self, rows: &mut [T], place_of: for<'a> fn(&'a mut T) -> Option<&'a mut Place>) {
        for row in rows.iter_mut() {
            if let Some(place) = place_of(row)
                && place.owner == self.core
            {
                self.shard.prefetch_entry(place.slot, place.hash);
            }
        }
        for row in rows {
            if let Some(place) = place_of(row)
                && place.owner == self.core
            {
                place.hint = self.shard.probe(place.slot, place.hash);
            }
        }
    }

    /// Counts a group's operations for heat, all at once: few of them are looked at.
    #[inline]
    pub(super) fn count_group(&mut self, group: &Group, items: Range<usize>, source: &mut Source) {
        let items = group.items(items);
        let mut from = 0;
        while from < items.len()
            && let Some(at) = self.next_sample(items.len() - from)
        {
            let item = &items[from + at];
            from += at + 1;
            match (item.spec, item.place) {
                (Some(spec), Some(place)) => self.sample_heat(spec.command, place, &source.args(group, item)),
                (None, _) if self.router.is_some() => self.sample_abroad(&source.args(group, item)),
                _ => {}
            }
        }
    }
}
