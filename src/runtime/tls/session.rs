//! One connection's session: sealed bytes in and plain ones out, and the other way. It does no I/O.

use crate::protocol::resp::Output;
use rustls::ClientConnection;
use std::io::{Read, Write};

/// Room that is asked for at once for what was opened: a record.
const OPENED_BYTES: usize = 16 * 1024;

/// What bytes from the server have come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// All is well so far.
    On,
    /// The server sends no more.
    End,
}

pub struct Session {
    tls: ClientConnection,
    /// The handshake is not over.
    pub shakes_hands: bool,
}

impl Session {
    pub(super) fn new(mut tls: ClientConnection) -> Session {
        // What may wait is bounded where it is asked for; here it is sent at once.
        tls.set_buffer_limit(None);
        Session { tls, shakes_hands: true }
    }

    /// Takes sealed bytes, and appends what was in them. An error ends the session, and says why in words for people.
    pub fn open(&mut self, mut sealed: &[u8], plain: &mut Vec<u8>) -> Result<Opened, String> {
        while !sealed.is_empty() {
            let taken = self.tls.read_tls(&mut sealed).map_err(|error| error.to_string())?;
            let state = self.tls.process_new_packets().map_err(|error| error.to_string())?;
            let mut left = state.plaintext_bytes_to_read();
            while left > 0 {
                let (from, room) = (plain.len(), left.min(OPENED_BYTES));
                plain.resize(from + room, 0);
                let read = self.tls.reader().read(&mut plain[from..]).map_err(|error| error.to_string())?;
                plain.truncate(from + read);
                left -= read;
            }
            if state.peer_has_closed() || taken == 0 {
                return Ok(Opened::End);
            }
        }
        Ok(Opened::On)
    }

    /// Whether the handshake has ended just now.
    pub fn has_shaken_hands(&mut self) -> bool {
        let now = self.shakes_hands && !self.tls.is_handshaking();
        self.shakes_hands &= !now;
        now
    }

    /// Whether there are sealed bytes to send that nobody has asked for.
    pub fn wants_send(&self) -> bool {
        self.tls.wants_write()
    }

    /// Seals an output, behind what the session itself has to say; the same buffers hold what is to be sent.
    pub fn seal(&mut self, output: &mut Output) {
        let mut from = 0;
        for shared in &output.shared {
            self.write(&output.bytes[from..shared.at]);
            self.write(&shared.value[shared.range.clone()]);
            from = shared.at;
        }
        self.write(&output.bytes[from..]);
        output.clear();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut output.bytes).expect("a buffer takes everything");
        }
    }

    fn write(&mut self, plain: &[u8]) {
        self.tls.writer().write_all(plain).expect("there is no limit to what may wait");
    }
}
