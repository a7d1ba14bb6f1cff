//! What a core holds of the hot keys of others: a copy each, and the operations that wait for the owner.
//!
//! While a key has an entry here, every operation of this core's connections on it goes through the entry, so that the
//! operations of one connection stay in order. An entry that is to leave stays until nobody waits in it.

use super::draft::{Draft, Member, again, reply_of};
use super::fold::Fold;
use super::reads::{Joins, Question, Reads, Round};
use super::{Cell, Copy};
use crate::keyspace::command::Request;
use crate::protocol::resp::{Output, Proto};
use crate::types::{CoreId, KeyHash, Slot};
use hashbrown::HashTable;
use std::ops::Range;
use std::sync::Arc;

/// Bits of the filter in front of the table: most keys are not hot, and one bit tells so.
const FILTER_BITS: usize = 4096;
/// Bits of the hash that neither a table of entries nor its tags use much.
const FILTER_SHIFT: u32 = 40;

/// The news that a key is hot, from its owner.
#[derive(Debug)]
pub struct Install {
    pub key: Box<[u8]>,
    pub slot: Slot,
    pub hash: KeyHash,
    pub owner: CoreId,
    pub cell: Arc<Cell>,
    /// `None`: reads of this key are not to be answered from copies.
    pub copy: Option<Copy>,
    /// Whether operations on it may be combined.
    pub combines: bool,
}

/// A fresh copy of a hot key, from its owner.
#[derive(Debug)]
pub struct Refresh {
    pub key: Arc<[u8]>,
    pub hash: KeyHash,
    pub copy: Copy,
}

/// One hot key of another core.
#[derive(Debug)]
pub struct Entry<W> {
    news: Install,
    draft: Draft<W>,
    /// Who waits for the fold that is under way. One at a time: what comes meanwhile is the next.
    flight: Option<Vec<Member<W>>>,
    spare: Draft<W>,
    /// Where another server has the key: reads that no draft takes.
    pub reads: Reads<W>,
    listed: bool,
    leaving: bool,
    /// When another core last sent a fold of this key; only of use where the key is this core's own.
    pub contended_us: u64,
    pub hits: u64,
    pub folds: u64,
    pub members: u64,
}

/// A fold that has come back, with those who wait for it.
#[derive(Debug)]
pub struct Landing<W> {
    fold: Box<Fold>,
    members: Vec<Member<W>>,
    served: usize,
}

impl<W> Landing<W> {
    /// The next member and its reply, in their order; `None` once all that were served have theirs.
    pub fn next<'a>(&'a mut self, scratch: &'a mut Output) -> Option<(&'a Member<W>, &'a Output, Range<usize>)> {
        let member = self.members.get(self.served)?;
        let (output, range) = reply_of(&self.fold, member, scratch)?;
        self.served += 1;
        Some((member, output, range))
    }

    /// Whom the next reply is for.
    pub fn peek(&self) -> Option<&W> {
        self.members.get(self.served).map(|member| &member.who)
    }
}

impl<W> Entry<W> {
    pub fn copy(&self) -> Option<&Copy> {
        self.news.copy.as_ref()
    }

    pub fn cell(&self) -> &Arc<Cell> {
        &self.news.cell
    }

    /// Whether operations on it may be combined.
    pub fn combines(&self) -> bool {
        self.news.combines
    }

    /// Forgets the copy. True: it was current.
    pub fn drop_copy(&mut self) -> bool {
        self.news.copy.take().is_some_and(|copy| copy.version == self.news.cell.version())
    }

    /// The copy, if it is current. A read that takes it takes effect here.
    #[inline]
    pub fn read(&mut self, now_ms: u64, may_miss: impl FnOnce() -> bool) -> Option<&Copy> {
        let copy = self.news.copy.as_ref()?;
        if copy.version != self.news.cell.version() || !copy.is_unexpired(now_ms) || copy.is_absent() && !may_miss() {
            return None;
        }
        self.hits += 1;
        self.news.copy.as_ref()
    }

    fn is_idle(&self) -> bool {
        self.flight.is_none() && self.draft.is_empty() && self.reads.is_idle()
    }

    fn is_full(&self) -> bool {
        self.draft.is_full() || self.reads.is_full()
    }
}

/// All entries of one core.
#[derive(Debug)]
pub struct Cache<W> {
    table: HashTable<Box<Entry<W>>>,
    filter: Box<[u64; FILTER_BITS / 64]>,
    /// Entries with operations that have not left.
    waiting: Vec<KeyHash>,
    /// The same of reads that no draft takes; an entry may stand here twice.
    reading: Vec<KeyHash>,
    epoch: u64,
    full: bool,
    #[cfg(feature = "faults")]
    pub fault: Option<super::Fault>,
    /// Of entries that have left.
    past_hits: u64,
    pub folds: u64,
    pub members: u64,
}

impl<W> Default for Cache<W> {
    fn default() -> Cache<W> {
        Cache {
            table: HashTable::new(),
            filter: Box::new([0; FILTER_BITS / 64]),
            waiting: Vec::new(),
            reading: Vec::new(),
            epoch: 0,
            full: false,
            #[cfg(feature = "faults")]
            fault: None,
            past_hits: 0,
            folds: 0,
            members: 0,
        }
    }
}

fn filter_place(hash: KeyHash) -> (usize, u64) {
    let bit = (hash.0 >> FILTER_SHIFT) as usize % FILTER_BITS;
    (bit / 64, 1 << (bit % 64))
}

impl<W> Cache<W> {
    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Reads that copies have answered.
    pub fn hits(&self) -> u64 {
        self.past_hits + self.iter().map(|entry| entry.hits + entry.reads.hits).sum::<u64>()
    }

    /// The number of the latest installation: what a connection asked before it may have gone by a letter of its own.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    pub fn iter(&self) -> impl Iterator<Item = &Entry<W>> {
        self.table.iter().map(|entry| &**entry)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry<W>> {
        self.table.iter_mut().map(|entry| &mut **entry)
    }

    /// The entry of a key, if it is hot.
    #[inline]
    pub fn get(&mut self, hash: KeyHash, key: &[u8]) -> Option<&mut Entry<W>> {
        let (word, bit) = filter_place(hash);
        if self.filter[word] & bit == 0 {
            return None;
        }
        self.table
            .find_mut(hash.0, |entry| entry.news.hash == hash && *entry.news.key == *key)
            .map(|entry| &mut **entry)
    }

    /// Has an operation on a hot key wait for the key's owner.
    ///
    /// # Panics
    /// If the key has no entry.
    pub fn join(&mut self, hash: KeyHash, who: W, proto: Proto, request: &mut Request) {
        let key = request.args.get(1);
        let entry = self.table.find_mut(hash.0, |entry| entry.news.hash == hash && *entry.news.key == *key);
        let entry = entry.expect("a key that has an entry");
        #[cfg(feature = "faults")]
        if self.fault == Some(super::Fault::JoinSent)
            && request.command == crate::protocol::command::Command::Get
            && let Some(members) = &mut entry.flight
            && members.last().is_some_and(|last| last.reads())
        {
            let member = members.last().expect("one was there just now").beside(who, proto);
            return members.push(member);
        }
        if entry.draft.is_empty() {
            entry.draft.begin(&entry.news.key, entry.news.slot, entry.news.hash);
        }
        entry.draft.join(who, proto, request, entry.news.combines);
        entry.members += 1;
        self.members += 1;
        self.full |= entry.draft.is_full();
        if !std::mem::replace(&mut entry.listed, true) {
            self.waiting.push(hash);
        }
    }

    /// Whether operations wait for [`Cache::depart`].
    pub fn is_waiting(&self) -> bool {
        !(self.waiting.is_empty() && self.reading.is_empty())
    }

    /// Whether a draft has grown so large that requests should wait until it has left.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// A key is hot: from now on its operations go through an entry. Also renews one that is there.
    pub fn install(&mut self, news: Install) {
        self.epoch += 1;
        if let Some(entry) = self.get(news.hash, &news.key) {
            entry.reads.forget_copies();
            (entry.news, entry.leaving) = (news, false);
            return;
        }
        let (word, bit) = filter_place(news.hash);
        self.filter[word] |= bit;
        let entry = Entry {
            draft: Draft::default(),
            flight: None,
            spare: Draft::default(),
            reads: Reads::default(),
            listed: false,
            leaving: false,
            contended_us: 0,
            hits: 0,
            folds: 0,
            members: 0,
            news,
        };
        self.table.insert_unique(entry.news.hash.0, Box::new(entry), |entry| entry.news.hash.0);
    }

    /// Takes a fresh copy of a hot key.
    pub fn refresh(&mut self, news: Refresh) {
        if let Some(entry) = self.get(news.hash, &news.key).filter(|entry| !entry.leaving) {
            entry.news.copy = Some(news.copy);
        }
    }

    /// A key is hot no more: its copy goes at once, its entry as soon as nobody waits in it.
    pub fn remove(&mut self, hash: KeyHash, key: &[u8]) {
        let Some(entry) = self.get(hash, key) else { return };
        (entry.leaving, entry.news.copy) = (true, None);
        entry.reads.forget_copies();
        if entry.is_idle() {
            self.drop_entry(hash, key);
        }
    }

    fn drop_entry(&mut self, hash: KeyHash, key: &[u8]) {
        let found = self.table.find_entry(hash.0, |entry| entry.news.hash == hash && *entry.news.key == *key);
        let Ok(found) = found else { return };
        let (entry, _) = found.remove();
        self.past_hits += entry.hits + entry.reads.hits;
        self.filter.fill(0);
        for entry in &self.table {
            let (word, bit) = filter_place(entry.news.hash);
            self.filter[word] |= bit;
        }
    }

    /// Hands out the folds that can leave, each with its owner. Call when a turn ends.
    pub fn depart(&mut self, mut post: impl FnMut(CoreId, Box<Fold>)) {
        self.full = false;
        for hash in std::mem::take(&mut self.waiting) {
            // Keys with the same hash share a listing; each looks after itself.
            for entry in self.table.iter_hash_mut(hash.0).filter(|entry| entry.news.hash == hash) {
                entry.listed = false;
                if entry.flight.is_some() || entry.draft.is_empty() {
                    // Listed again when its fold lands.
                    continue;
                }
                let (fold, members) = std::mem::replace(&mut entry.draft, std::mem::take(&mut entry.spare)).seal();
                entry.flight = Some(members);
                entry.folds += 1;
                self.folds += 1;
                post(entry.news.owner, fold);
            }
        }
        self.full = self.table.iter().any(|entry| entry.is_full());
    }

    /// Has somebody wait for the reply to a read that no draft takes: see [`Reads::join`].
    ///
    /// # Panics
    /// If the key has no entry.
    pub fn join_read(
        &mut self,
        (hash, key): (KeyHash, &[u8]),
        question: &Question,
        joins: Joins,
        member: (W, Proto),
    ) -> u32 {
        let entry = self.get(hash, key).expect("a key that has an entry");
        let number = entry.reads.join(question, joins, entry.news.combines, member);
        let full = entry.is_full();
        self.full |= full;
        if self.reading.last() != Some(&hash) {
            self.reading.push(hash);
        }
        number
    }

    /// Hands out the reads that can leave. Call when a turn ends, before [`Cache::depart`].
    pub fn depart_reads(&mut self) -> Vec<Round<W>> {
        let mut rounds = Vec::new();
        for hash in std::mem::take(&mut self.reading) {
            for entry in self.table.iter_hash_mut(hash.0).filter(|entry| entry.news.hash == hash) {
                if let Some(reads) = entry.reads.depart() {
                    rounds.push(Round { key: entry.news.key.clone(), hash, reads });
                }
            }
        }
        rounds
    }

    /// Reads of a key are answered.
    pub fn reads_landed(&mut self, hash: KeyHash, key: &[u8]) {
        let entry = self.get(hash, key).expect("an entry stays while reads of it are under way");
        entry.reads.landed();
        let (waits, idle, leaving) = (entry.reads.waits(), entry.is_idle(), entry.leaving);
        if waits {
            self.reading.push(hash);
        }
        if idle && leaving {
            self.drop_entry(hash, key);
        }
    }

    /// Takes a fold that its owner has served: a fresh copy is kept, those who wait are handed out with it.
    pub fn land(&mut self, mut fold: Box<Fold>) -> Landing<W> {
        let copy = fold.copy.take();
        let entry = self.get(fold.hash, fold.key()).expect("an entry stays while a fold of it is under way");
        if let (Some(copy), false) = (copy, entry.leaving) {
            entry.news.copy = Some(copy);
        }
        // It is under way until it has landed: who gets a reply may have the entry removed meanwhile.
        let members = std::mem::take(entry.flight.as_mut().expect("a fold lands once"));
        Landing { fold, members, served: 0 }
    }

    /// Ends a landing. If its owner refused a part of it, what is left leaves again, ahead of what has come since.
    pub fn landed(&mut self, landing: Landing<W>) -> Option<(CoreId, Box<Fold>)> {
        let Landing { mut fold, mut members, served } = landing;
        let (hash, key) = (fold.hash, fold.key().to_vec());
        let entry = self.get(hash, &key).expect("an entry stays while a fold of it is under way");
        if served < members.len() {
            let (fold, members) = again(fold, members.drain(served..)).seal();
            entry.flight = Some(members);
            return Some((entry.news.owner, fold));
        }
        members.clear();
        fold.begin(&[], Slot(0), KeyHash(0));
        entry.flight = None;
        entry.spare = Draft { fold, members };
        let (waits, idle, leaving) = (!entry.draft.is_empty(), entry.is_idle(), entry.leaving);
        if waits && !std::mem::replace(&mut entry.listed, true) {
            self.waiting.push(hash);
        }
        if idle && leaving {
            self.drop_entry(hash, &key);
        }
        None
    }
}
