//! What clients take of memory together: `maxmemory-clients`.
//!
//! While there is a limit, each core keeps the sum of its own clients, counted anew when one of them has done something,
//! and the ledger has the sum over cores. Past the limit a core closes its largest clients, until it is down to its own
//! bytes less the excess, and never below its fair share: so the cores with the most go first. Without a limit nothing is
//! counted. Who has said CLIENT NO-EVICT counts and stays.

use super::Engine;
use super::event::Effects;
use super::sessions::Client;
use super::settings::{SettingError, parse_bytes};
use crate::types::ConnId;

/// What all clients may take; no bytes and no share of `maxmemory` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientsLimit {
    Bytes(u64),
    /// Of `maxmemory`.
    Percent(u64),
}

impl Default for ClientsLimit {
    fn default() -> ClientsLimit {
        ClientsLimit::Bytes(0)
    }
}

impl ClientsLimit {
    /// Bytes with Redis's units, or whole percent.
    pub fn parse(text: &[u8]) -> Result<ClientsLimit, SettingError> {
        const NEITHER: SettingError = SettingError::Refused("argument must be a memory or percent value");
        const TOO_MUCH: SettingError = SettingError::Refused("percentage argument must be less or equal to 100");
        let text = std::str::from_utf8(text).map_err(|_| NEITHER)?;
        let Some(percent) = text.strip_suffix('%') else {
            let bytes = parse_bytes(text).ok_or(NEITHER)?;
            // Redis keeps a share as a negative number of bytes, and takes more than fits for one.
            return if i64::try_from(bytes).is_ok() { Ok(ClientsLimit::Bytes(bytes)) } else { Err(TOO_MUCH) };
        };
        let is_number = !percent.is_empty() && percent.bytes().all(|byte| byte.is_ascii_digit());
        match percent.parse::<u64>() {
            Ok(0) if is_number => Ok(ClientsLimit::Bytes(0)),
            Ok(percent) if is_number && percent <= 100 => Ok(ClientsLimit::Percent(percent)),
            Ok(_) if is_number => Err(TOO_MUCH),
            _ => Err(NEITHER),
        }
    }

    pub fn print(self) -> String {
        match self {
            ClientsLimit::Bytes(bytes) => bytes.to_string(),
            ClientsLimit::Percent(percent) => format!("{percent}%"),
        }
    }

    /// In bytes; 0 for no limit.
    fn bytes(self, maxmemory_bytes: u64) -> u64 {
        match self {
            ClientsLimit::Bytes(bytes) => bytes,
            ClientsLimit::Percent(percent) => (u128::from(maxmemory_bytes) * u128::from(percent) / 100) as u64,
        }
    }
}

/// One core's clients in sum.
#[derive(Default)]
pub struct ClientMemory {
    /// Over all cores; 0 for no limit, and then nothing is counted.
    limit_bytes: u64,
    own_bytes: u64,
    /// Clients are to be closed in the next turn.
    pub is_over: bool,
}

impl ClientMemory {
    pub fn is_limited(&self) -> bool {
        self.limit_bytes > 0
    }
}

impl Engine {
    /// Puts a changed limit to work.
    pub(super) fn limit_clients(&mut self) {
        self.client_memory.limit_bytes = self.settings.clients_limit.bytes(self.settings.maxmemory_bytes);
        self.client_memory.is_over = self.client_memory.is_limited();
        if !self.client_memory.is_limited() {
            self.client_memory.own_bytes = 0;
            self.ledger.set_client_bytes(self.core, 0);
        }
    }

    /// A client has asked, been answered or been told something.
    pub(super) fn count_client(&mut self, client: &mut Client) {
        let bytes = if client.closing { 0 } else { client.memory_bytes() as u64 };
        let before = std::mem::replace(&mut client.profile.counted_bytes, bytes);
        self.client_memory.own_bytes = (self.client_memory.own_bytes + bytes).saturating_sub(before);
        if bytes > before {
            self.ledger.set_client_bytes(self.core, self.client_memory.own_bytes);
            self.client_memory.is_over |= self.excess_bytes() > 0;
        }
    }

    fn excess_bytes(&self) -> u64 {
        self.ledger.client_bytes().saturating_sub(self.client_memory.limit_bytes)
    }

    /// Once a turn, before its events, and with each tick while there is a limit.
    #[cold]
    pub(super) fn close_largest(&mut self, effects: &mut Effects) {
        self.client_memory.is_over = false;
        let mut largest: Vec<(u64, ConnId)> = Vec::new();
        let mut own_bytes = 0;
        for (conn, client) in self.sessions.iter_mut().filter(|(_, client)| !client.closing) {
            let bytes = client.memory_bytes() as u64;
            client.profile.counted_bytes = bytes;
            own_bytes += bytes;
            if !client.profile.no_evict {
                largest.push((bytes, conn));
            }
        }
        self.client_memory.own_bytes = own_bytes;
        self.ledger.set_client_bytes(self.core, own_bytes);
        let fair_bytes = self.client_memory.limit_bytes / self.cores as u64;
        let kept_bytes = own_bytes.saturating_sub(self.excess_bytes()).max(fair_bytes);
        largest.sort_unstable_by_key(|(bytes, _)| *bytes);
        while self.client_memory.own_bytes > kept_bytes
            && let Some((bytes, conn)) = largest.pop()
        {
            let Some(client) = self.sessions.get_mut(conn) else { continue };
            log::warn!("closing {}: clients take more than maxmemory-clients, it takes {bytes}", client.profile.peer);
            client.closing = true;
            client.profile.counted_bytes = 0;
            effects.kill.push(conn);
            self.client_memory.own_bytes -= bytes;
            self.stats.clients_evicted += 1;
        }
        self.ledger.set_client_bytes(self.core, self.client_memory.own_bytes);
    }

    /// A connection is gone.
    pub(super) fn forget_bytes(&mut self, client: &mut Client) {
        let bytes = std::mem::take(&mut client.profile.counted_bytes);
        self.client_memory.own_bytes = self.client_memory.own_bytes.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_one_of_maxmemory() {
        let limit = |text: &str| ClientsLimit::parse(text.as_bytes()).expect(text);
        assert_eq!(limit("7%").bytes(6 << 20), (6 << 20) * 7 / 100);
        assert_eq!(limit("100%").bytes(u64::MAX), u64::MAX);
        assert_eq!((limit("5%").bytes(0), limit("0%"), limit("3mb").bytes(0)), (0, ClientsLimit::Bytes(0), 3 << 20));
    }
}
