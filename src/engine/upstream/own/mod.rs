//! Owns: connections that one client has for itself while it holds something of a server: who has which, how many there
//! are, and what becomes of them.
//! Knows: ties, and the table of links in which such connections stand beside those that are shared.
//! Must never know: what a transaction does, who published a message.
//! Read first: `requests.rs` (what a tie makes of a request), then `replies.rs` (what comes on such a connection).

mod replies;
mod requests;
mod rows;

pub use requests::{Passed, ties};
pub use rows::{NoRow, OwnRow};

use super::row::Row;
use crate::engine::sessions::Client;
use crate::protocol::command::passage::Holds;
use crate::protocol::resp::Proto;
use crate::types::ConnId;
use crate::upstream::Tie;
use std::collections::BTreeMap;

/// What a request on a connection of its own is, as far as its reply goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The client gets it. The ticket's part says of a subscription how many channels it names.
    Reply(Holds),
    /// MULTI before the first request of a transaction: nobody gets the reply, and it has to be OK.
    Begins,
    /// DISCARD in the place of an EXEC that was refused here.
    Ends,
    /// HELLO, since the client has changed the version.
    Speaks(Proto),
    /// ASKING.
    Asking,
    /// CLIENT ID.
    Names,
}

/// One client's tie, and its connection once it has one.
#[derive(Default)]
pub struct Bond {
    pub tie: Tie<u32>,
    pub row: Option<u32>,
    /// What has come of the reply to a subscription, and how many confirmations of it are missing, once it is known.
    gathered: Vec<u8>,
    missing: Option<u64>,
    /// Channels, patterns and channels of SSUBSCRIBE, as far as confirmed.
    counts: [u64; 3],
    /// The version in which its server speaks.
    speaks: Proto,
    /// Messages wait in front of the reply slot of this number.
    behind: Option<u32>,
}

/// All of one core.
#[derive(Default)]
pub struct Own {
    bonds: BTreeMap<ConnId, Box<Bond>>,
    /// Connections that were given back, the latest last.
    idle: Vec<u32>,
    /// Rows of the table of links that have no connection.
    free: Vec<u32>,
    /// Connections whose clients are gone.
    orphans: Vec<u32>,
}

impl Own {
    pub fn has_orphans(&self) -> bool {
        !self.orphans.is_empty()
    }

    /// Whether nobody minds how long a connection is silent: it waits for its client, or its server was asked to wait.
    pub fn is_patient(&self, row: &Row) -> bool {
        let holder = row.own().and_then(|own| own.holder);
        let link = row.link.as_ref().filter(|link| link.is_ready());
        let (Some(holder), Some(link)) = (holder, link) else { return false };
        link.in_flight() == 0 || self.bonds.get(&holder).is_some_and(|bond| bond.tie.is_blocking())
    }

    /// Called when a tie may have changed: what the session is to know of it.
    fn tell(&mut self, conn: ConnId, client: &mut Client) {
        let bond = self.bonds.get(&conn).filter(|bond| !bond.tie.is_free() || bond.row.is_some());
        client.is_tied = bond.is_some();
        client.hears = bond.is_some_and(|bond| bond.tie.hears());
        client.parked = bond.is_some_and(|bond| bond.tie.is_blocking());
        client.stalled |= client.parked;
        if bond.is_none() {
            self.bonds.remove(&conn);
        }
    }
}
