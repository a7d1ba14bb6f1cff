//! Received chunks of a turn, until there are enough of them: the engine looks the keys of all of them up together.

use super::Ring;
use super::tls::{News, Sessions};
use super::uring::Chunk;
use crate::engine::{Effects, Engine, Event};
use crate::types::{ConnId, Now};
use std::ops::Range;

/// Chunks that are handed over at once. At pipeline 1 each is one request; more do not overlap any better.
const CHUNKS_MAX: usize = 32;

/// Memory that is kept for what is opened next.
const PLAIN_BYTES_KEPT: usize = 1 << 20;

#[derive(Default)]
pub struct Arrivals {
    chunks: Vec<(ConnId, Chunk)>,
    /// What was in sealed chunks, and which of them that is.
    plain: Vec<u8>,
    opened: Vec<(usize, Range<usize>)>,
}

impl Arrivals {
    pub fn push(&mut self, conn: ConnId, chunk: Chunk) {
        self.chunks.push((conn, chunk));
    }

    pub fn is_full(&self) -> bool {
        self.chunks.len() >= CHUNKS_MAX
    }

    /// Opens those that are under TLS.
    pub fn unseal(&mut self, ring: &Ring, sessions: &mut Sessions, news: &mut Vec<(ConnId, News)>) {
        for (at, (conn, chunk)) in self.chunks.iter().enumerate() {
            let opened = sessions.open(*conn, ring.bytes(chunk), &mut self.plain, news);
            self.opened.extend(opened.map(|range| (at, range)));
        }
    }

    /// Hands them to the engine, in the order in which they came, and their buffers back to the ring.
    pub fn hand_over(&mut self, now: Now, ring: &mut Ring, engine: &mut Engine, effects: &mut Effects) {
        let mut bytes: [(ConnId, &[u8]); CHUNKS_MAX] = [(ConnId { index: 0, generation: 0 }, &[]); CHUNKS_MAX];
        for ((conn, chunk), bytes) in self.chunks.iter().zip(&mut bytes) {
            *bytes = (*conn, ring.bytes(chunk));
        }
        for (at, range) in self.opened.drain(..) {
            bytes[at].1 = &self.plain[range];
        }
        engine.handle(now, Event::Received { chunks: &bytes[..self.chunks.len()] }, effects);
        for (_, chunk) in self.chunks.drain(..) {
            ring.recycle(chunk);
        }
        if !self.plain.is_empty() {
            self.plain.clear();
            self.plain.shrink_to(PLAIN_BYTES_KEPT);
        }
    }
}
