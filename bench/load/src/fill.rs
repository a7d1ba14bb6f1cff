//! Sets every key once, and proves it by the server's own count.

use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use crate::drive::{Drive, Source, connect};
use crate::error::{Error, Result};
use crate::request::{Protocol, Verbs};

const BATCH_COUNT: u64 = 64;
const CONNECTIONS: u64 = 16;
/// Ten million keys take a slow server under a minute.
const FILL_SECS_MAX: u64 = 600;

struct Sequence {
    verbs: Verbs,
    next: u64,
    end: u64,
}

impl Source for Sequence {
    fn next_batch(&mut self, out: &mut Vec<u8>) -> u32 {
        let end = self.end.min(self.next + BATCH_COUNT);
        (self.next..end).for_each(|key| self.verbs.set(key, out));
        let count = end - self.next;
        self.next = end;
        count as u32
    }
}

/// The server must start empty: `key_count` afterwards is the proof that each key was stored and none evicted.
pub fn fill(address: &str, protocol: Protocol, verbs: &Verbs, key_count: u64) -> Result<()> {
    let part = |index: u64| key_count * index / CONNECTIONS;
    let sources = (0..CONNECTIONS)
        .map(|index| Sequence { verbs: verbs.clone(), next: part(index), end: part(index + 1) })
        .collect();
    let outturn = Drive::connect(address, protocol, sources)?.run(Duration::from_secs(FILL_SECS_MAX))?;
    if outturn.errors > 0 {
        return Err(Error::Fill { errors: outturn.errors, first: outturn.first_error.unwrap_or_default() });
    }
    let got = stored_count(address, protocol)?;
    if got == key_count { Ok(()) } else { Err(Error::KeyCount { got, expected: key_count }) }
}

/// How many keys the server says it holds.
pub fn stored_count(address: &str, protocol: Protocol) -> Result<u64> {
    let mut stream = connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let (question, mark): (&[u8], &str) = match protocol {
        Protocol::Resp => (b"*1\r\n$6\r\nDBSIZE\r\n", ":"),
        Protocol::Memcache => (b"stats\r\n", "STAT curr_items "),
    };
    stream.write_all(question)?;
    let mut line = String::new();
    let mut lines = BufReader::new(stream);
    loop {
        line.clear();
        lines.read_line(&mut line)?;
        match line.trim_end().strip_prefix(mark).map(str::parse) {
            Some(Ok(count)) => return Ok(count),
            None if line.starts_with("STAT ") => {}
            _ => return Err(Error::NotAReply { line }),
        }
    }
}
