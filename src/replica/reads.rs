//! Reads of a hot key that no fold takes, since no shard here could run them: of hashes, lists, sets and the like, which
//! other servers have. What is known of such a request are its bytes; so whoever asks with the same ones waits for one
//! reply, and of each reply there is a copy.
//!
//! What waits together leaves together, as a [`Round`], one of a key at a time, and is asked in its order. Who has asked
//! something in it joins nothing that stands before that: so the requests of one connection stay in order.

use crate::protocol::resp::{Proto, in_resp2};
use crate::types::{KeyHash, Now};
use hashbrown::HashTable;
use std::sync::Arc;

/// Copies of one key's replies: what asks for many different things is seldom asked the same.
const COPIES_MAX: usize = 1024;
/// Different things that wait to be asked together.
const READS_MAX: usize = 256;
/// Past so many who wait, or bytes that they ask, whoever asks for more waits.
const MEMBERS_MAX: usize = 16 * 1024;
const BYTES_MAX: usize = 1 << 20;
/// Requests that are remembered to see whether they come again.
const RECENT: usize = 4096;

const UNTOLD: &[u8] = b"-ERR upstream: a reply that RESP2 has no words for\r\n";

/// A request of which there may be copies: its bytes, and a hash of them.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub bytes: &'a [u8],
    pub hash: u64,
    /// Pairs in its reply's array are elements of it in RESP2.
    pub paired: bool,
}

/// How a read waits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Joins {
    /// The number of what its client has asked last.
    pub behind: Option<u32>,
    /// A copy of its reply is of use.
    pub keeps: bool,
}

/// A server's reply, in both versions of the protocol.
#[derive(Clone, Debug)]
pub struct Told {
    is: Proto,
    paired: bool,
    reply: Arc<Vec<u8>>,
    /// In RESP2, once somebody has asked for that.
    older: Option<Arc<Vec<u8>>>,
}

impl Told {
    pub fn new(reply: Vec<u8>, is: Proto, paired: bool) -> Told {
        Told { is, paired, reply: Arc::new(reply), older: None }
    }

    /// Whether it can be told in that version: what came in the first one cannot be told in the other.
    fn suits(&self, proto: Proto) -> bool {
        self.is == Proto::Resp3 || proto == Proto::Resp2
    }

    pub fn is_error(&self) -> bool {
        matches!(self.reply[0], b'-' | b'!')
    }

    /// As a client is told it.
    pub fn told(&mut self, proto: Proto) -> &Arc<Vec<u8>> {
        let Told { is, paired, reply, older } = self;
        match (*is, proto) {
            (Proto::Resp3, Proto::Resp2) => {
                older.get_or_insert_with(|| Arc::new(in_resp2(reply, *paired).unwrap_or_else(|| UNTOLD.to_vec())))
            }
            _ => reply,
        }
    }

    /// Memory that it may come to take: as much again in RESP2.
    pub fn bytes(&self) -> usize {
        2 * self.reply.len()
    }
}

/// What makes a copy current.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    /// The cell's, when it was asked.
    pub version: u64,
    pub asked: Now,
    pub expiry_ms: u64,
    /// Who vouches for it, by a number of the caller's.
    pub by: u32,
}

#[derive(Debug)]
struct Copy {
    request: Box<[u8]>,
    hash: u64,
    told: Told,
    term: Term,
    vouched: bool,
}

impl Copy {
    fn bytes(&self) -> usize {
        self.request.len() + self.told.bytes()
    }

    fn is_current(&self, version: u64, now_ms: u64) -> bool {
        self.vouched && self.term.version == version && now_ms < self.term.expiry_ms
    }
}

/// A request that is asked once, and who waits for its reply.
#[derive(Debug)]
pub struct Read<W> {
    pub request: Box<[u8]>,
    pub hash: u64,
    pub paired: bool,
    /// A copy of its reply is of use.
    pub keeps: bool,
    pub members: Vec<(W, Proto)>,
}

impl<W> Read<W> {
    fn asks(&self, question: &Question) -> bool {
        self.hash == question.hash && *self.request == *question.bytes
    }

    pub fn question(&self) -> Question<'_> {
        Question { bytes: &self.request, hash: self.hash, paired: self.paired }
    }

    /// A version in which all who wait can be told.
    pub fn proto(&self) -> Proto {
        let is_new = self.members.iter().any(|(_, proto)| *proto == Proto::Resp3);
        if is_new { Proto::Resp3 } else { Proto::Resp2 }
    }
}

/// Reads of one key that are asked together.
#[derive(Debug)]
pub struct Round<W> {
    pub key: Box<[u8]>,
    pub hash: KeyHash,
    pub reads: Vec<Read<W>>,
}

impl<W> Round<W> {
    /// A version in which all who wait can be told.
    pub fn proto(&self) -> Proto {
        let is_new = self.reads.iter().any(|read| read.proto() == Proto::Resp3);
        if is_new { Proto::Resp3 } else { Proto::Resp2 }
    }
}

/// One hot key's.
#[derive(Debug)]
pub struct Reads<W> {
    copies: HashTable<Copy>,
    copied_bytes: usize,
    draft: Vec<Read<W>>,
    members: usize,
    bytes: usize,
    /// The number of the draft's first read, among all that there ever were.
    first: u32,
    is_under_way: bool,
    /// The version of the latest copy, and who vouched for it.
    latest: Option<(u64, u32)>,
    pub hits: u64,
    /// Hits that are in nobody's figures yet.
    pub uncounted: u64,
}

impl<W> Default for Reads<W> {
    fn default() -> Reads<W> {
        Reads {
            copies: HashTable::new(),
            copied_bytes: 0,
            draft: Vec::new(),
            members: 0,
            bytes: 0,
            first: 0,
            is_under_way: false,
            latest: None,
            hits: 0,
            uncounted: 0,
        }
    }
}

impl<W> Reads<W> {
    pub fn is_idle(&self) -> bool {
        !self.is_under_way && self.draft.is_empty()
    }

    /// Whether anybody waits for the others to land.
    pub fn waits(&self) -> bool {
        !self.draft.is_empty()
    }

    /// Whether this may wait to be asked.
    pub fn has_room_for(&self, question: &Question, combines: bool) -> bool {
        self.draft.len() < READS_MAX || combines && self.draft.iter().any(|read| read.asks(question))
    }

    pub fn is_full(&self) -> bool {
        self.members >= MEMBERS_MAX || self.bytes >= BYTES_MAX
    }

    /// The current copy of a reply, if there is one. A read that takes it takes effect here.
    pub fn current(&mut self, question: &Question, version: u64, now_ms: u64, proto: Proto) -> Option<&mut Told> {
        let copy = self.find(question)?;
        (copy.is_current(version, now_ms) && copy.told.suits(proto)).then_some(&mut copy.told)
    }

    /// What was replied last, by whom it was vouched for and when; whether that is current is not said.
    pub fn last(&mut self, question: &Question, proto: Proto) -> Option<(&Told, Term)> {
        let copy = self.find(question)?;
        copy.told.suits(proto).then_some((&copy.told, copy.term))
    }

    /// Whether this was asked before: there is a copy, of whatever age, or somebody waits for one.
    pub fn knows(&mut self, question: &Question) -> bool {
        self.draft.iter().any(|read| read.asks(question)) || self.find(question).is_some()
    }

    fn find(&mut self, question: &Question) -> Option<&mut Copy> {
        self.copies.find_mut(question.hash, |copy| copy.hash == question.hash && *copy.request == *question.bytes)
    }

    /// Has somebody wait for a reply; the number of what it joins, which is another's read if they may be combined.
    pub fn join(
        &mut self,
        question: &Question,
        Joins { behind, keeps }: Joins,
        combines: bool,
        member: (W, Proto),
    ) -> u32 {
        // What has left already is no longer in the way.
        let from = behind.map_or(0, |number| (number.wrapping_sub(self.first) as i32).max(0) as usize);
        let alike = self.draft.iter().skip(from).position(|read| read.asks(question));
        let joined = alike.filter(|_| combines);
        let at = joined.map_or(self.draft.len(), |at| from + at);
        if joined.is_none() {
            let Question { bytes, hash, paired } = *question;
            self.bytes += bytes.len();
            self.draft.push(Read { request: bytes.into(), hash, paired, keeps, members: Vec::new() });
        }
        self.draft[at].keeps |= keeps;
        self.draft[at].members.push(member);
        self.members += 1;
        self.first.wrapping_add(at as u32)
    }

    /// What has waited leaves, unless others are under way.
    pub fn depart(&mut self) -> Option<Vec<Read<W>>> {
        if self.is_under_way || self.draft.is_empty() {
            return None;
        }
        self.is_under_way = true;
        self.first = self.first.wrapping_add(self.draft.len() as u32);
        (self.members, self.bytes) = (0, 0);
        Some(std::mem::take(&mut self.draft))
    }

    /// What was under way is answered.
    pub fn landed(&mut self) {
        self.is_under_way = false;
    }

    /// Keeps a copy of a reply.
    pub fn keep(&mut self, read: &Question, told: Told, term: Term) {
        self.latest = Some((term.version, term.by));
        let fresh = Copy { request: read.bytes.into(), hash: read.hash, told, term, vouched: true };
        let bytes = fresh.bytes();
        if let Some(copy) = self.find(read) {
            let gone = std::mem::replace(copy, fresh).bytes();
            self.copied_bytes = self.copied_bytes + bytes - gone;
            return;
        }
        if self.copies.len() >= COPIES_MAX {
            self.copies.retain(|copy| copy.is_current(term.version, term.asked.unix_ms()));
            self.copied_bytes = self.copies.iter().map(Copy::bytes).sum();
        }
        if self.copies.len() < COPIES_MAX {
            self.copied_bytes += bytes;
            self.copies.insert_unique(fresh.hash, fresh, |copy| copy.hash);
        }
    }

    /// Whether any copy may be current at this version.
    pub fn has_copies_at(&self, version: u64) -> bool {
        self.latest.is_some_and(|(latest, _)| latest == version) && !self.copies.is_empty()
    }

    /// Who vouched for the latest copy.
    pub fn latest_by(&self) -> Option<u32> {
        self.latest.map(|(_, by)| by)
    }

    /// Those who vouch so do so no longer.
    pub fn disown(&mut self, by: impl Fn(u32) -> bool) {
        self.copies.iter_mut().filter(|copy| by(copy.term.by)).for_each(|copy| copy.vouched = false);
    }

    pub fn forget_copies(&mut self) {
        self.copies.clear();
        self.copied_bytes = 0;
    }

    pub fn copies(&self) -> usize {
        self.copies.len()
    }

    /// Memory that copies may take, with both of their wordings.
    pub fn copied_bytes(&self) -> usize {
        self.copied_bytes
    }
}

/// Which requests were seen lately: what is asked once only needs no copy. A place is its hash's; the latest has it, as in
/// the doorkeeper of TinyLFU (Einziger, Friedman, Manes: "TinyLFU", 2017), which a Bloom filter is there.
#[derive(Debug)]
pub struct Recent(Box<[u64; RECENT]>);

impl Default for Recent {
    fn default() -> Recent {
        Recent(Box::new([0; RECENT]))
    }
}

impl Recent {
    /// Whether it was seen; it is from now on.
    pub fn sees_again(&mut self, hash: u64) -> bool {
        std::mem::replace(&mut self.0[hash as usize % RECENT], hash) == hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(bytes: &[u8]) -> Question<'_> {
        Question { bytes, hash: bytes.iter().map(|byte| u64::from(*byte)).sum(), paired: false }
    }

    fn told(text: &str) -> Told {
        Told::new(text.as_bytes().to_vec(), Proto::Resp3, false)
    }

    fn term(version: u64, by: u32) -> Term {
        Term { version, asked: Now::default(), expiry_ms: 1000, by }
    }

    fn waiting(reads: &[Read<u32>]) -> Vec<(&[u8], Vec<u32>)> {
        let members = |read: &Read<u32>| read.members.iter().map(|(who, _)| *who).collect();
        reads.iter().map(|read| (&*read.request, members(read))).collect()
    }

    /// Alike requests are one; and nobody is asked for before what it has asked for earlier.
    #[test]
    fn alike_reads_are_asked_once_in_each_ones_order() {
        let mut reads = Reads::default();
        let mut join = |text: &[u8], behind, who| {
            reads.join(&question(text), Joins { behind, keeps: true }, true, (who, Proto::Resp2))
        };
        assert_eq!([join(b"ab", None, 1), join(b"c", Some(0), 1), join(b"ba", None, 2)], [0, 1, 2]);
        assert_eq!([join(b"c", Some(2), 2), join(b"ab", None, 3), join(b"c", Some(0), 3)], [3, 0, 1]);
        let left = reads.depart().expect("they wait");
        assert_eq!(waiting(&left), [(&b"ab"[..], vec![1, 3]), (b"c", vec![1, 3]), (b"ba", vec![2]), (b"c", vec![2])]);
        // What comes meanwhile waits, whatever it follows.
        assert_eq!(reads.join(&question(b"c"), Joins { behind: Some(3), keeps: true }, true, (2, Proto::Resp2)), 4);
        assert!(reads.depart().is_none() && !reads.is_idle());
        reads.landed();
        assert_eq!(waiting(&reads.depart().expect("one waits")), [(&b"c"[..], vec![2])]);
        reads.landed();
        assert!(reads.is_idle());
    }

    /// Where nothing may be combined each is asked by itself, and a copy is made all the same.
    #[test]
    fn what_may_not_be_combined_is_asked_one_by_one() {
        let mut reads = Reads::default();
        let asked = question(b"a");
        let numbers = [1, 2, 3]
            .map(|who| reads.join(&asked, Joins { behind: None, keeps: who == 2 }, false, (who, Proto::Resp2)));
        assert_eq!(numbers, [0, 1, 2]);
        let left = reads.depart().expect("they wait");
        assert_eq!(left.iter().map(|read| read.keeps).collect::<Vec<_>>(), [false, true, false]);
    }

    #[test]
    fn a_copy_is_current_at_its_version_for_its_time_while_somebody_vouches() {
        let (mut reads, asked) = (Reads::<u32>::default(), question(b"hgetall k"));
        assert!(!reads.knows(&asked));
        reads.keep(&asked, told("%0\r\n"), term(7, 3));
        assert!(reads.knows(&asked) && reads.has_copies_at(7) && !reads.has_copies_at(8));
        let current = |reads: &mut Reads<u32>, version, now_ms, proto| {
            let told = reads.current(&asked, version, now_ms, proto)?.told(proto);
            Some(String::from_utf8_lossy(told).into_owned())
        };
        assert_eq!(current(&mut reads, 7, 999, Proto::Resp3).as_deref(), Some("%0\r\n"));
        assert_eq!(current(&mut reads, 7, 999, Proto::Resp2).as_deref(), Some("*0\r\n"));
        assert_eq!(reads.copied_bytes(), 9 + 4 + 4);
        reads.keep(&asked, told("%0\r\n"), term(7, 3));
        assert_eq!(reads.copied_bytes(), 9 + 4 + 4);
        assert_eq!(current(&mut reads, 7, 1000, Proto::Resp3), None);
        assert_eq!(current(&mut reads, 8, 999, Proto::Resp3), None);
        reads.disown(|by| by == 4);
        assert!(current(&mut reads, 7, 999, Proto::Resp3).is_some());
        reads.disown(|by| by == 3);
        assert_eq!(current(&mut reads, 7, 999, Proto::Resp3), None);
        assert!(reads.last(&asked, Proto::Resp3).is_some_and(|(told, term)| !told.is_error() && term.version == 7));
        reads.keep(&asked, told("%0\r\n"), term(8, 4));
        assert!(current(&mut reads, 8, 0, Proto::Resp3).is_some());
        reads.forget_copies();
        assert_eq!((reads.copies(), reads.copied_bytes(), reads.knows(&asked)), (0, 0, false));
    }

    /// A key of which everything is asked for once has no more copies than it may, and those are of the present.
    #[test]
    fn copies_of_the_past_make_room() {
        let mut reads = Reads::<u32>::default();
        for number in 0..2 * COPIES_MAX as u64 {
            let text = number.to_string();
            let asked = Question { bytes: text.as_bytes(), hash: number, paired: false };
            reads.keep(&asked, told("_\r\n"), term(1 + number / COPIES_MAX as u64, 0));
            assert!(reads.copies() <= COPIES_MAX);
        }
        let asked = Question { bytes: b"1500", hash: 1500, paired: false };
        assert!(reads.current(&asked, 2, 0, Proto::Resp3).is_some());
        reads.keep(&question(b"one more"), told("_\r\n"), term(2, 0));
        assert_eq!((reads.copies(), reads.knows(&question(b"one more"))), (COPIES_MAX, false));
        assert_eq!(reads.copied_bytes(), COPIES_MAX * (4 + 3 + 3));
    }

    #[test]
    fn what_comes_again_soon_is_known() {
        let mut recent = Recent::default();
        assert_eq!(
            [5, 5, 5 + RECENT as u64, 5, 5].map(|hash| recent.sees_again(hash)),
            [false, true, false, false, true]
        );
    }

    /// What came in the first version is for those who speak it.
    #[test]
    fn an_old_reply_is_not_told_in_the_new_version() {
        let (mut reads, asked) = (Reads::<u32>::default(), question(b"hgetall k"));
        reads.keep(&asked, Told::new(b"*0\r\n".to_vec(), Proto::Resp2, false), term(7, 3));
        for (proto, is_told) in [(Proto::Resp2, true), (Proto::Resp3, false)] {
            assert_eq!(reads.current(&asked, 7, 0, proto).is_some(), is_told);
            assert_eq!(reads.last(&asked, proto).is_some(), is_told);
        }
        for (who, proto) in [(1, Proto::Resp2), (2, Proto::Resp3)] {
            reads.join(&asked, Joins::default(), true, (who, proto));
        }
        assert_eq!(reads.depart().expect("they wait")[0].proto(), Proto::Resp3);
    }

    #[test]
    fn what_has_no_older_wording_is_an_error() {
        let [mut attribute, error] = ["|1\r\n+a\r\n+b\r\n+c\r\n", "!3\r\nERR\r\n"].map(told);
        assert_eq!(**attribute.told(Proto::Resp2), UNTOLD);
        assert!(error.is_error() && !attribute.is_error());
    }
}
