//! A client that needs a connection to a server for itself: since when, for what, and until when.
//!
//! Nearly all requests share links. A transaction, a watch, a subscription and a request that blocks make something of the
//! connection that they travel on, so a client that sends one is tied to a connection of its own, to one server: that of
//! the first key. What this says of a request is decided when it is sent, not when it is answered: requests of one
//! connection are run in order, so their effects are known, but for subscriptions, which are counted by their replies, and
//! for CLIENT TRACKING, which a server may refuse.
//!
//! | while | a request for the tied server | for another server |
//! |---|---|---|
//! | MULTI | goes there and is queued | is refused and spoils the transaction |
//! | WATCH | goes there, so that it is read behind the watch | shares a link |
//! | it blocks | waits | waits |
//! | it is subscribed, RESP2 | goes there, which refuses most | goes there, which refuses it |
//! | it is subscribed, RESP3 | goes there | shares a link |
//! | MONITOR | shares a link | shares a link |
//! | CLIENT TRACKING | goes there | there is none |

use crate::protocol::command::Command;
use crate::protocol::command::passage::{Goes, Holds, Passage};

pub const CROSSES: &str = "CROSSSLOT Keys in request don't hash to the same slot";
/// A redirect cannot be followed inside of what began elsewhere. A client that tries again finds the new server.
pub const MOVED_AWAY: &str = "TRYAGAIN The slot has moved to another server, try the transaction again";
pub const ABORTED: &str = "EXECABORT Transaction discarded because of previous errors.";
const NESTED: &str = "ERR MULTI calls can not be nested";
const WATCH_INSIDE: &str = "ERR WATCH inside MULTI is not allowed";
const EXEC_ALONE: &str = "ERR EXEC without MULTI";
const DISCARD_ALONE: &str = "ERR DISCARD without MULTI";
/// It would say something to one server, or of one, that concerns others as well.
const UNFIT: &str = "ERR upstream cannot run this command inside MULTI";
const OTHER_CHANNELS: &str = "ERR upstream cannot subscribe to channels of several servers on one connection";

/// A request, as far as ties go. `S` names a server.
#[derive(Clone, Copy, Debug)]
pub struct Call<S> {
    pub passage: &'static Passage,
    pub holds: Holds,
    pub server: Target<S>,
    /// The client speaks RESP3.
    pub is_resp3: bool,
    /// Requests of this client are unanswered that share links. What comes behind them must not overtake them on a
    /// connection of its own.
    pub is_awaiting: bool,
    /// One server has all keys, so that what concerns all servers concerns that one.
    pub is_one: bool,
}

/// Where a request's keys or channels are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target<S> {
    /// It names none, or any server will do.
    Any,
    One(S),
    /// On several servers, or in several slots of a cluster.
    Several,
}

/// What is to be done with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn<S> {
    /// It goes as if there were no tie.
    Shared,
    /// It goes over the client's own connection to this server; `None`: any will do, to which [`Tie::took`] then ties it.
    /// `begins`: MULTI goes before it, whose reply is for nobody.
    Own {
        server: Option<S>,
        begins: bool,
    },
    /// It is asked about again when something of this client was answered.
    Wait,
    /// The answer is known. The connection hears nothing.
    Ok,
    /// An EXEC of nothing: an empty array.
    Empty,
    /// The client is not subscribed: the answer to an UNSUBSCRIBE of nothing.
    Unsubscribed,
    Error(&'static str),
    /// DISCARD goes over the client's own connection, its reply is for nobody, and the client gets [`ABORTED`]. `begins`:
    /// MULTI goes before it.
    Discard {
        begins: bool,
    },
    /// RESET, which the caller answers. The connection, if there is one, is closed: what it was told is forgotten.
    Drop,
}

/// What the loss of a client's own connection means for the client, whose requests under way get errors besides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// No more than that.
    Requests,
    /// It believes that it hears of all messages. It has to be closed, as if its server were lost.
    Client,
}

/// The tie of one client; the default is none.
#[derive(Clone, Debug)]
pub struct Tie<S> {
    server: Option<S>,
    /// Any server would have done, and one was taken.
    is_taken: bool,
    multi: Multi,
    /// Requests to watch since the last end of all watches.
    watches: u32,
    is_monitor: bool,
    /// The server has said that it tracks.
    is_tracked: bool,
    /// Of SUBSCRIBE and PSUBSCRIBE together, and of SSUBSCRIBE, as the last confirmation counts them.
    subscriptions: [u64; 2],
    /// Requests that have not been answered: all, those that block, those that subscribe or unsubscribe.
    awaited: u32,
    blocking: u32,
    subscribing: u32,
    /// The same of those that switch tracking.
    switching: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Multi {
    No,
    /// MULTI was answered, and is not sent before it is known where to.
    Held,
    Sent,
    /// A request in it was refused here: EXEC will not run it. `sent`: the server knows of the transaction.
    Spoiled {
        sent: bool,
    },
}

impl<S> Default for Tie<S> {
    fn default() -> Tie<S> {
        Tie {
            server: None,
            is_taken: false,
            multi: Multi::No,
            watches: 0,
            is_monitor: false,
            is_tracked: false,
            subscriptions: [0; 2],
            awaited: 0,
            blocking: 0,
            subscribing: 0,
            switching: 0,
        }
    }
}

impl<S: Copy + PartialEq> Tie<S> {
    /// Whether there is neither a connection nor anything that will need one.
    #[inline]
    pub fn is_free(&self) -> bool {
        !self.is_taken && self.multi == Multi::No
    }

    /// Whether the connection can be given to somebody else: nothing is left of what it was told. A caller that asks behind
    /// each answer has it back as soon as can be.
    pub fn can_be_given_back(&self) -> bool {
        let is_idle = self.awaited == 0 && self.multi == Multi::No && self.watches == 0;
        self.is_taken && is_idle && self.subscriptions == [0; 2] && !self.is_monitor && !self.is_tracked
    }

    /// The connection is no longer this client's.
    pub fn gave_back(&mut self) {
        assert!(self.can_be_given_back(), "a connection is given back as it was taken");
        (self.server, self.is_taken) = (None, false);
    }

    /// Which server was taken for a request that any would have done for.
    pub fn took(&mut self, server: S) {
        assert!(
            self.is_taken && self.server.is_none_or(|known| known == server),
            "a client has one connection of its own"
        );
        self.server = Some(server);
    }

    /// What is to be done with the next request. The caller does it: the tie believes that it was sent.
    pub fn ask(&mut self, call: &Call<S>) -> Turn<S> {
        if self.blocking > 0 {
            return Turn::Wait;
        }
        if call.holds == Holds::Resets {
            *self = Tie::default();
            return Turn::Drop;
        }
        if self.multi != Multi::No { self.ask_inside(call) } else { self.ask_outside(call) }
    }

    fn ask_outside(&mut self, call: &Call<S>) -> Turn<S> {
        match call.holds {
            Holds::Begins => {
                self.multi = Multi::Held;
                Turn::Ok
            }
            Holds::Ends => Turn::Error(if is_exec(call) { EXEC_ALONE } else { DISCARD_ALONE }),
            Holds::Unwatches if self.watches == 0 => Turn::Ok,
            Holds::Unlistens if !self.is_taken => Turn::Unsubscribed,
            Holds::Untracks if !self.tracks() => Turn::Ok,
            Holds::OfTracking if !self.tracks() => Turn::Shared,
            Holds::Nothing => self.ask_plainly(call),
            holds => {
                let turn = self.own(call);
                if matches!(turn, Turn::Own { .. }) {
                    self.holds(holds);
                }
                turn
            }
        }
    }

    /// A request that needs no connection of its own, but may have to follow those that do.
    fn ask_plainly(&mut self, call: &Call<S>) -> Turn<S> {
        let is_elsewhere = match call.server {
            Target::One(server) => self.server != Some(server),
            Target::Any => !self.is_told_first(call),
            Target::Several => true,
        };
        // A read behind a watch is read behind it also where only a part of it is of that server.
        if self.watches > 0 && self.awaited > 0 && call.server == Target::Several {
            return Turn::Wait;
        }
        let is_confined = self.is_subscribed() && !call.is_resp3;
        // What monitors is shown requests among its replies, and would have to tell them apart.
        if !self.is_taken || self.is_monitor || is_elsewhere && !is_confined {
            return Turn::Shared;
        }
        self.awaited += 1;
        Turn::Own { server: self.server, begins: false }
    }

    /// What the server has said before it answers this, the client has to hear before the answer.
    fn is_told_first(&self, call: &Call<S>) -> bool {
        let is_ping = call.passage.command == Some(Command::Ping);
        self.tracks() && (is_ping || call.passage.goes != Goes::Nowhere) || self.is_subscribed() && is_ping
    }

    fn ask_inside(&mut self, call: &Call<S>) -> Turn<S> {
        match (call.holds, self.multi) {
            (Holds::Ends, multi) => self.end(multi, is_exec(call)),
            (Holds::Begins, Multi::Held | Multi::Spoiled { .. }) => Turn::Error(NESTED),
            (Holds::Watches, Multi::Held | Multi::Spoiled { .. }) => Turn::Error(WATCH_INSIDE),
            (Holds::Begins | Holds::Watches, _) => self.own(call),
            (Holds::Listens | Holds::Unlistens | Holds::Monitors, _) => self.spoil(UNFIT),
            _ if !(is_fit(call) || call.holds == Holds::OfTracking && self.tracks()) => self.spoil(UNFIT),
            // It is refused with all that follows, whatever it is.
            (_, Multi::Spoiled { .. }) => Turn::Error(ABORTED),
            (_, multi) => match self.own(call) {
                Turn::Own { server, .. } => {
                    self.multi = Multi::Sent;
                    Turn::Own { server, begins: multi == Multi::Held }
                }
                Turn::Error(text) => self.spoil(text),
                turn => turn,
            },
        }
    }

    /// EXEC or DISCARD. Either forgets what is watched.
    fn end(&mut self, multi: Multi, is_exec: bool) -> Turn<S> {
        self.multi = Multi::No;
        let tells = multi == Multi::Sent || self.watches > 0 || matches!(multi, Multi::Spoiled { sent: true });
        self.watches = 0;
        if tells {
            self.awaited += 1;
        }
        match multi {
            Multi::Spoiled { .. } if is_exec => match tells {
                true => Turn::Discard { begins: multi == Multi::Spoiled { sent: false } },
                false => Turn::Error(ABORTED),
            },
            // Of a transaction that the server knows nothing of it hears whole: a watch may have failed.
            _ if tells => Turn::Own {
                server: self.server,
                begins: multi == Multi::Held || multi == Multi::Spoiled { sent: false },
            },
            _ if is_exec => Turn::Empty,
            _ => Turn::Ok,
        }
    }

    /// It goes over the client's own connection, if it may go there.
    fn own(&mut self, call: &Call<S>) -> Turn<S> {
        let wanted = match call.server {
            Target::Any => None,
            Target::One(server) => Some(server),
            Target::Several => return Turn::Error(crosses(call)),
        };
        let is_elsewhere = self.is_taken && wanted.is_some_and(|wanted| self.server.is_some_and(|own| own != wanted));
        if is_elsewhere {
            return Turn::Error(crosses(call));
        }
        if !self.is_taken && call.is_awaiting {
            return Turn::Wait;
        }
        self.is_taken = true;
        self.server = self.server.or(wanted);
        self.awaited += 1;
        Turn::Own { server: self.server, begins: false }
    }

    fn holds(&mut self, holds: Holds) {
        match holds {
            Holds::Watches => self.watches += 1,
            Holds::Unwatches => self.watches = 0,
            Holds::Monitors => self.is_monitor = true,
            Holds::Blocks => self.blocking += 1,
            Holds::Listens | Holds::Unlistens => self.subscribing += 1,
            Holds::Tracks | Holds::Untracks => self.switching += 1,
            _ => {}
        }
    }

    fn spoil(&mut self, text: &'static str) -> Turn<S> {
        self.multi = Multi::Spoiled { sent: matches!(self.multi, Multi::Sent | Multi::Spoiled { sent: true }) };
        Turn::Error(text)
    }

    /// A request that the caller refuses itself, for its arity or its name, spoils a transaction as on a server.
    pub fn refused(&mut self) {
        if self.multi != Multi::No {
            self.spoil("");
        }
    }

    /// A request over the own connection was answered, in whole: a SUBSCRIBE once for all of its channels.
    pub fn answered(&mut self, holds: Holds) {
        assert!(self.awaited > 0, "only what was asked is answered");
        self.awaited -= 1;
        match holds {
            Holds::Blocks => self.blocking = self.blocking.saturating_sub(1),
            Holds::Listens | Holds::Unlistens => self.subscribing = self.subscribing.saturating_sub(1),
            Holds::Tracks | Holds::Untracks => self.switching = self.switching.saturating_sub(1),
            _ => {}
        }
    }

    /// A request is about to be answered, and the server has done what it asked for.
    pub fn does(&mut self, holds: Holds) {
        match holds {
            Holds::Tracks => self.is_tracked = true,
            Holds::Untracks => self.is_tracked = false,
            _ => {}
        }
    }

    /// A confirmation of a subscription, or of its end: how many there are now. `shard`: of SSUBSCRIBE's.
    pub fn subscribed(&mut self, shard: bool, count: u64) {
        self.subscriptions[usize::from(shard)] = count;
    }

    /// Whether a redirect of this request may be followed: nothing else is held where it went. Else the client gets
    /// [`MOVED_AWAY`].
    pub fn may_move(&self, holds: Holds) -> bool {
        let is_alone = self.awaited == 1 && !matches!(self.multi, Multi::Sent | Multi::Spoiled { sent: true });
        is_alone
            && self.subscriptions == [0; 2]
            && !(self.is_monitor || self.tracks())
            && match holds {
                Holds::Blocks | Holds::Nothing | Holds::Listens => self.watches == 0,
                Holds::Watches => self.watches == 1,
                _ => false,
            }
    }

    /// The request that was alone moves to another server.
    pub fn moves(&mut self, server: S) {
        assert_eq!(self.awaited, 1, "what is held cannot move");
        self.server = Some(server);
    }

    /// The connection is lost. What was watched may have changed: a transaction will not run.
    pub fn lost(&mut self) -> Loss {
        let heard = self.hears() || self.tracks();
        let multi = match self.multi {
            Multi::No => Multi::No,
            Multi::Held if self.watches == 0 => Multi::Held,
            _ => Multi::Spoiled { sent: false },
        };
        // Outside of MULTI nothing can tell it that its watch is gone.
        let closes = heard || self.watches > 0 && self.multi == Multi::No;
        *self = Tie { multi, ..Tie::default() };
        if closes { Loss::Client } else { Loss::Requests }
    }

    /// A request that blocks is unanswered.
    pub fn is_blocking(&self) -> bool {
        self.blocking > 0
    }

    /// What nobody asked for comes, or soon may.
    pub fn hears(&self) -> bool {
        self.is_monitor || self.is_subscribed()
    }

    pub fn is_monitor(&self) -> bool {
        self.is_monitor
    }

    /// Channels and patterns that were confirmed; `shard`: those of SSUBSCRIBE.
    pub fn subscriptions(&self, shard: bool) -> u64 {
        self.subscriptions[usize::from(shard)]
    }

    /// The server says what has changed of what it was asked for, or soon may.
    fn tracks(&self) -> bool {
        self.is_tracked || self.switching > 0
    }

    fn is_subscribed(&self) -> bool {
        self.subscriptions != [0; 2] || self.subscribing > 0
    }
}

fn is_exec<S>(call: &Call<S>) -> bool {
    call.passage.command == Some(Command::Exec)
}

/// What is wrong with a request for another server, or for several.
fn crosses<S>(call: &Call<S>) -> &'static str {
    let is_channel = matches!(call.holds, Holds::Listens | Holds::Unlistens) && call.passage.goes != Goes::Keys;
    if is_channel { OTHER_CHANNELS } else { CROSSES }
}

/// Whether it means the same to one server as to all, and changes nothing of the connection.
fn is_fit<S>(call: &Call<S>) -> bool {
    use Command::{Echo, Ping, Time, Unwatch};
    let harmless = matches!(call.passage.command, Some(Ping | Echo | Time | Unwatch));
    let to_all = call.is_one && matches!(call.passage.goes, Goes::All(_));
    matches!(call.passage.goes, Goes::Keys | Goes::Any | Goes::Channels) || to_all || harmless
}

#[cfg(test)]
#[path = "tie_tests.rs"]
mod tests;
