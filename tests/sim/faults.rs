//! Faults that the world can plant between an engine and its surroundings, one a run. A checker that misses one is no
//! checker: `main.rs` looks for seeds under which each is caught.

use crate::model::{Action, Only, Until};
use crate::request::{Request, TOTAL};
use crate::resp::{Reply, read};
use crate::rng::Rng;
use crate::swarm::{Hazard, Plan};
use coldplate::engine::{Batch, Engine, InvalidationFault, MessageFault, TransactionFault, UpstreamFault};
use coldplate::keyspace::command::Request as Letter;
use coldplate::replica;
use std::collections::HashMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A batch of letters never arrives.
    DropBatch,
    /// The requests of a batch arrive twice.
    RepeatBatch,
    /// Two batches of one pair of cores change places.
    ReorderBatches,
    /// Two neighbouring replies of a connection change places.
    SwapReplies,
    /// A GET answers what an earlier GET of that key saw.
    StaleRead,
    /// A SET is acknowledged and goes elsewhere.
    LoseWrite,
    /// The bytes of an INCR are lost.
    LoseIncr,
    /// The bytes of an INCR arrive twice.
    RepeatIncr,
    /// The clock of one core gains on the others.
    FastClock,
    /// A core is not told that a send is done.
    LoseSent,
    /// A core that has mail is not woken.
    LoseWake,
    /// Engines know of no limit on memory.
    NoLimit,
    /// Where memory is short, room is made between turns and not before each write.
    EvictLate,
    /// A core is not told that the server ends.
    LoseDrain,
    /// A key outlives a restart.
    KeepKey,
    /// A message, or an invalidation, does not reach its reader.
    DropMessage,
    DropForget,
    /// A message is read twice.
    RepeatMessage,
    /// Two messages of a connection change places.
    SwapMessages,
    /// Something leaves a core before what it rests on is durable.
    LeaveEarly,
    /// Whoever waits for a disk that is past help, or full, is let go with its answer.
    LetGo,
    /// The other cores do not hear of it.
    ForgetTaint,
    /// A core whose disk is full takes writes all the same.
    AcceptShort,
    /// A disk that has room again is trusted with what it has not got.
    StayOpen,
    /// What failed to become durable is shown all the same.
    TrustAtOnce,
    /// The last frames of a run are served, and the next one's log does not vouch for them.
    TrustTail,
    /// An old segment counts no more, and what counted in it never gets to a new one.
    RenewNothing,
    /// A torn frame is taken for whole.
    TakeTorn,
    /// What was damaged is passed over as if it had been torn.
    ForgiveDamage,
    /// Inside the engine, from the start: see `replica::Fault`.
    PublishLate,
    JoinSent,
    PublishBeforeApply,
    IgnoreOwnWrite,
    /// The same in its transactions.
    InTransactions(TransactionFault),
    /// In CLIENT TRACKING.
    InTracking(InvalidationFault),
    /// In messages.
    InMessages(MessageFault),
    /// On the way to servers and back.
    InUpstream(UpstreamFault),
}

impl Fault {
    pub const ALL: [Fault; 75] = [
        Fault::DropBatch,
        Fault::RepeatBatch,
        Fault::ReorderBatches,
        Fault::SwapReplies,
        Fault::StaleRead,
        Fault::LoseWrite,
        Fault::LoseIncr,
        Fault::RepeatIncr,
        Fault::FastClock,
        Fault::LoseSent,
        Fault::LoseWake,
        Fault::NoLimit,
        Fault::EvictLate,
        Fault::LoseDrain,
        Fault::KeepKey,
        Fault::DropMessage,
        Fault::DropForget,
        Fault::RepeatMessage,
        Fault::SwapMessages,
        Fault::LeaveEarly,
        Fault::LetGo,
        Fault::ForgetTaint,
        Fault::AcceptShort,
        Fault::StayOpen,
        Fault::TrustAtOnce,
        Fault::TrustTail,
        Fault::RenewNothing,
        Fault::TakeTorn,
        Fault::ForgiveDamage,
        Fault::PublishLate,
        Fault::JoinSent,
        Fault::PublishBeforeApply,
        Fault::IgnoreOwnWrite,
        Fault::InTransactions(TransactionFault::GrantTwice),
        Fault::InTransactions(TransactionFault::IgnoreLocks),
        Fault::InTransactions(TransactionFault::KeepCopies),
        Fault::InTransactions(TransactionFault::UnlockEarly),
        Fault::InTransactions(TransactionFault::MissChanges),
        Fault::InTransactions(TransactionFault::ImagineChanges),
        Fault::InTransactions(TransactionFault::LoseSecondPart),
        Fault::InTransactions(TransactionFault::StopWithClient),
        Fault::InTransactions(TransactionFault::ForgetWaiting),
        Fault::InTransactions(TransactionFault::KeepRefused),
        Fault::InTransactions(TransactionFault::KeepAbandoned),
        Fault::InTracking(InvalidationFault::ForgetReader),
        Fault::InTracking(InvalidationFault::SettleLate),
        Fault::InTracking(InvalidationFault::AnswerFromCopies),
        Fault::InTracking(InvalidationFault::LoseStale),
        Fault::InTracking(InvalidationFault::LoseBroadcast),
        Fault::InTracking(InvalidationFault::LoseListener),
        Fault::InTracking(InvalidationFault::LoseFlush),
        Fault::InTracking(InvalidationFault::ForgetSpared),
        Fault::InTracking(InvalidationFault::OvertakeReplies),
        Fault::InTracking(InvalidationFault::MuteAuthors),
        Fault::InTracking(InvalidationFault::LoopBack),
        Fault::InTracking(InvalidationFault::KeepCaching),
        Fault::InMessages(MessageFault::ForgetInterest),
        Fault::InMessages(MessageFault::DropInterest),
        Fault::InMessages(MessageFault::LoseMessage),
        Fault::InMessages(MessageFault::RepeatMessage),
        Fault::InMessages(MessageFault::StayListening),
        Fault::InMessages(MessageFault::Miscount),
        Fault::InMessages(MessageFault::LosePattern),
        Fault::InMessages(MessageFault::LoseEvent),
        Fault::InMessages(MessageFault::ReverseEvents),
        Fault::InUpstream(UpstreamFault::AskWritesAgain),
        Fault::InUpstream(UpstreamFault::FollowNothing),
        Fault::InUpstream(UpstreamFault::ShiftReplies),
        Fault::InUpstream(UpstreamFault::ForgetAsking),
        Fault::InUpstream(UpstreamFault::OvertakeMoves),
        Fault::InUpstream(UpstreamFault::ForgetLater),
        Fault::InUpstream(UpstreamFault::ForgetWaiting),
        Fault::InUpstream(UpstreamFault::NoBound),
        Fault::InUpstream(UpstreamFault::ForgetBar),
        Fault::InUpstream(UpstreamFault::IgnorePushes),
    ];

    /// A fault that the engine itself is to commit.
    fn inside(self) -> Option<replica::Fault> {
        match self {
            Fault::PublishLate => Some(replica::Fault::PublishLate),
            Fault::JoinSent => Some(replica::Fault::JoinSent),
            Fault::PublishBeforeApply => Some(replica::Fault::PublishBeforeApply),
            Fault::IgnoreOwnWrite => Some(replica::Fault::IgnoreOwnWrite),
            _ => None,
        }
    }

    /// Has an engine commit it, if it is one of the engine's.
    pub fn plant(self, engine: &mut Engine) {
        match self {
            Fault::InTransactions(fault) => engine.plant_in_transactions(fault),
            Fault::InTracking(fault) => engine.plant_in_invalidation(fault),
            Fault::InMessages(fault) => engine.plant_in_messages(fault),
            Fault::InUpstream(fault) => engine.plant_in_upstream(fault),
            _ => self.inside().into_iter().for_each(|fault| engine.plant(fault)),
        }
    }

    /// The seeds that it shows under: their first, and their distance.
    pub fn seeds(self) -> (u64, usize) {
        use Fault::*;
        match self {
            InTransactions(_) => (4, 8),
            InTracking(_) | DropForget => (2, 8),
            InMessages(_) | DropMessage | RepeatMessage | SwapMessages => (6, 16),
            NoLimit | EvictLate => (24, 32),
            // A slot has to move between two requests of one pipeline.
            InUpstream(UpstreamFault::OvertakeMoves) => (12_281, 1),
            _ => (0, 1),
        }
    }
}

impl Fault {
    /// The run of a seed in which it can show.
    pub fn plan(self, seed: u64) -> Plan {
        if matches!(self, Fault::InUpstream(_)) { Plan::before_servers(seed) } else { Plan::of(seed) }
    }

    /// What has to beset a run so that it can show there.
    pub fn needs(self) -> Option<Hazard> {
        match self {
            Fault::LeaveEarly => Some(Hazard::Power),
            Fault::LetGo | Fault::ForgetTaint | Fault::TrustAtOnce => Some(Hazard::Ailing),
            Fault::AcceptShort | Fault::StayOpen => Some(Hazard::Full),
            Fault::RenewNothing => Some(Hazard::Segments),
            Fault::TakeTorn => Some(Hazard::Torn),
            Fault::ForgiveDamage | Fault::TrustTail => Some(Hazard::Rot),
            Fault::InUpstream(UpstreamFault::AskWritesAgain) => Some(Hazard::Severed),
            Fault::InUpstream(UpstreamFault::FollowNothing) => Some(Hazard::Moves),
            Fault::InUpstream(UpstreamFault::ForgetBar) => Some(Hazard::Storm),
            Fault::InUpstream(UpstreamFault::IgnorePushes) => Some(Hazard::Past),
            Fault::InUpstream(
                UpstreamFault::ForgetAsking | UpstreamFault::OvertakeMoves | UpstreamFault::ForgetLater,
            ) => Some(Hazard::Migration),
            _ => None,
        }
    }
}

/// The fault of a run, and how many chances it lets pass before it strikes, once.
pub struct Planted {
    fault: Option<Fault>,
    chances: usize,
    /// What GETs answered before, by key.
    read_before: HashMap<usize, Vec<u8>>,
    pub struck: bool,
}

impl Planted {
    pub fn new(fault: Option<Fault>, rng: &mut Rng) -> Planted {
        let mut chances = if fault.is_some() { rng.below(12) } else { 0 };
        if fault == Some(Fault::KeepKey) {
            // No run comes back more than once.
            chances = 0;
        }
        Planted { fault, chances, read_before: HashMap::new(), struck: false }
    }

    /// Whether it is this one, which strikes all the time.
    pub fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Whether this chance for `fault` is the one.
    pub fn strikes(&mut self, fault: Fault) -> bool {
        if self.fault != Some(fault) || self.struck {
            return false;
        }
        if self.chances > 0 {
            self.chances -= 1;
            return false;
        }
        self.struck = true;
        true
    }

    /// How much further than the others the clock of a core is.
    pub fn clock_gain_us(&mut self, core: usize, elapsed_us: u64) -> u64 {
        if core == 0 && self.fault == Some(Fault::FastClock) {
            self.struck = true;
            return elapsed_us / 2;
        }
        0
    }

    /// The bytes of a request as they leave the client.
    pub fn encode(&mut self, request: &Request, to: &mut Vec<u8>) {
        let total = matches!(request.parts[..], [(TOTAL, Action::Incr)]);
        if total && self.strikes(Fault::LoseIncr) {
            return;
        }
        if total && self.strikes(Fault::RepeatIncr) {
            request.encode(to);
        }
        let plain = Some((Until::Forever, Only::Always));
        let write = match &request.parts[..] {
            [(_, Action::Set { until, only, .. })] => Some((*until, *only)),
            _ => None,
        };
        if write == plain && self.strikes(Fault::LoseWrite) {
            let mut elsewhere = request.clone();
            elsewhere.words[1] = b"elsewhere".to_vec();
            return elsewhere.encode(to);
        }
        request.encode(to);
    }

    /// The bytes of an output as they leave the server.
    pub fn output(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        if self.fault != Some(Fault::SwapReplies) || self.struck {
            return bytes;
        }
        // Only a beginning that reads alike under both versions is looked at; there are enough of them.
        let (Ok(Some((one, first))), true) = (read(&bytes, true), bytes[0] != b'%') else { return bytes };
        let Ok(Some((other, second))) = read(&bytes[first..], true) else { return bytes };
        if one == other || !self.strikes(Fault::SwapReplies) {
            return bytes;
        }
        let (head, tail) = bytes.split_at(first);
        [&tail[..second], head, &tail[second..]].concat()
    }

    /// A reply as the client sees it.
    pub fn reply(&mut self, request: &Request, reply: Reply) -> Reply {
        let ([(key, Action::Get)], Reply::Bulk(value)) = (&request.parts[..], &reply) else { return reply };
        if self.fault != Some(Fault::StaleRead) {
            return reply;
        }
        if let Some(before) = self.read_before.get(key).filter(|before| *before != value).cloned()
            && self.strikes(Fault::StaleRead)
        {
            return Reply::Bulk(before);
        }
        self.read_before.insert(*key, value.clone());
        reply
    }

    /// Whether a key is one that a struck fault itself has made.
    pub fn makes_keys(&self) -> usize {
        usize::from(self.fault == Some(Fault::LoseWrite) && self.struck)
    }
}

/// Adds the requests of a batch to it once more.
pub fn repeat(batch: &mut Batch) {
    let (mut envelopes, mut args) = (Vec::new(), Vec::new());
    batch.open(&mut envelopes, &mut args);
    let mut copy = Batch::default();
    for round in 0..2 {
        // Bodies move with their first reading, so a batch that has some is repeated without them.
        for envelope in envelopes.iter().filter(|envelope| round == 0 || envelope.bodies.is_empty()) {
            let args = batch.args(envelope, &args);
            let (command, slot, hash) = (envelope.command, envelope.slot, envelope.hash);
            let mut letter = Letter { command, args, slot, hash, hint: None };
            copy.push(envelope.ticket, envelope.proto, envelope.holds_lock, envelope.heed, &mut letter);
        }
    }
    let (output, answers) = batch.answers();
    for (ticket, range) in answers {
        copy.answer(ticket, |out| out.append(output, range));
    }
    copy.notes = std::mem::take(&mut batch.notes);
    copy.listeners = std::mem::take(&mut batch.listeners);
    *batch = copy;
}
