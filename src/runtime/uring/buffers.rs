//! The provided buffer ring: memory that the kernel receives into, piece by piece where it can.
//!
//! A buffer goes round: *offered* (the kernel may write it), *spent* (it will not again), and offered once more when
//! all chunks cut from it are recycled. Under incremental consumption a buffer yields many chunks before it is spent;
//! each starts where the one before ended, because the kernel fills in the order in which it posts completions.

use super::error::RingError;
use super::mapping::Mapping;
use io_uring::{IoUring, cqueue};
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

/// The one buffer group of a ring.
pub(super) const GROUP: u16 = 0;
const INCREMENTAL: u16 = 2;
/// The kernel's limit on buffers in a group.
const BUFFERS_MAX: u16 = 1 << 15;
const BUFFER_BYTES_MIN: u32 = 64;

/// Distinguishes rings, so that a chunk opens only the buffers it was cut from.
static RINGS: AtomicU32 = AtomicU32::new(0);

/// Received bytes, still in their buffer. Unique: hand it to `Ring::recycle`. A chunk that is dropped instead keeps its
/// buffer out of use until the ring ends, which is safe but shrinks the pool.
#[derive(Debug)]
#[must_use = "a chunk that is not recycled costs the ring a buffer"]
pub struct Chunk {
    ring: u32,
    start: u32,
    bytes: u32,
    buffer: u16,
}

impl Chunk {
    pub fn len(&self) -> usize {
        self.bytes as usize
    }

    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

/// `struct io_uring_buf`. The kernel shares it, hence atomics: it reads the tail at any time and, under incremental
/// consumption, moves the address and length of an offered entry.
#[repr(C)]
struct Entry {
    address: AtomicU64,
    bytes: AtomicU32,
    buffer: AtomicU16,
    /// Unused but in the first entry, where it is the ring's tail.
    tail: AtomicU16,
}

const _: () = assert!(size_of::<Entry>() == 16);

#[derive(Clone, Default)]
struct Buffer {
    /// Bytes that earlier chunks took, from the start of the buffer.
    filled: u32,
    /// Chunks that are not recycled.
    chunks: u32,
    spent: bool,
}

pub(super) struct Buffers {
    ring: u32,
    entries: Mapping,
    memory: Mapping,
    state: Box<[Buffer]>,
    buffer_bytes: u32,
    incremental: bool,
    tail: u16,
    published: u16,
}

impl Buffers {
    /// Maps, registers and offers the buffers. Falls back to whole buffers where `incremental` is refused.
    pub fn new(io: &IoUring, buffers: u16, buffer_bytes: u32, incremental: bool) -> Result<Buffers, RingError> {
        if !buffers.is_power_of_two() || buffers > BUFFERS_MAX || buffer_bytes < BUFFER_BYTES_MIN {
            return Err(RingError::Buffers { buffers, buffer_bytes });
        }
        let map = |bytes| Mapping::new(bytes).map_err(|source| RingError::System { call: "mmap", source });
        let entries = map(usize::from(buffers) * size_of::<Entry>())?;
        let memory = map(usize::from(buffers) * buffer_bytes as usize)?;
        let register = |flags| {
            // SAFETY: the address is that of `buffers` zeroed entries in a mapping of their own. The mapping lives as
            // long as the ring does, or for ever: see `Ring::drop`.
            unsafe {
                io.submitter().register_buf_ring_with_flags(entries.start().as_ptr() as u64, buffers, GROUP, flags)
            }
        };
        let incremental = incremental && register(INCREMENTAL).is_ok();
        if !incremental {
            register(0).map_err(|source| RingError::System { call: "io_uring_register(PBUF_RING)", source })?;
        }
        let mut this = Buffers {
            ring: RINGS.fetch_add(1, Ordering::Relaxed),
            entries,
            memory,
            state: vec![Buffer::default(); usize::from(buffers)].into(),
            buffer_bytes,
            incremental,
            tail: 0,
            published: 0,
        };
        for buffer in 0..buffers {
            this.offer(buffer);
        }
        this.publish();
        Ok(this)
    }

    pub fn incremental(&self) -> bool {
        self.incremental
    }

    /// Cuts the chunk that a receive's completion describes.
    ///
    /// # Panics
    /// If the completion contradicts the account of its buffer: going on could show one client another's bytes.
    #[inline]
    pub fn take(&mut self, flags: u32, bytes: u32) -> Chunk {
        let buffer = cqueue::buffer_select(flags).expect("received bytes lie in a provided buffer");
        let more = cqueue::buffer_more(flags);
        let state = &mut self.state[usize::from(buffer)];
        let start = state.filled;
        let end = start.checked_add(bytes).expect("two lengths of at most 2^31");
        let room = if more { end < self.buffer_bytes } else { end <= self.buffer_bytes };
        assert!(!state.spent && room, "buffer {buffer} (filled to {start}) cannot have taken {bytes} bytes more");
        state.filled = end;
        state.chunks += 1;
        state.spent = !(self.incremental && more);
        Chunk { ring: self.ring, start, bytes, buffer }
    }

    /// Accounts for a completion without bytes. A whole buffer that it names comes back unused. Under incremental
    /// consumption nothing is spent by nothing, although kernels to 6.18 forget to say so at the end of a stream.
    pub fn untouched(&mut self, flags: u32) {
        if let (false, Some(buffer)) = (self.incremental, cqueue::buffer_select(flags)) {
            self.offer(buffer);
        }
    }

    /// # Panics
    /// If the chunk is another ring's.
    #[inline]
    pub fn bytes(&self, chunk: &Chunk) -> &[u8] {
        assert_eq!(chunk.ring, self.ring, "a chunk of another ring");
        let start = usize::from(chunk.buffer) * self.buffer_bytes as usize + chunk.start as usize;
        debug_assert!(start + chunk.len() <= self.memory.len());
        // SAFETY: `take`, the only maker of chunks, checked that the range lies in its buffer, and there are as many
        // buffers as the mapping holds. The kernel wrote these bytes before it posted the completion and writes them
        // again only after the buffer is offered, which needs this chunk: it cannot be recycled while borrowed.
        unsafe { std::slice::from_raw_parts(self.memory.start().as_ptr().add(start), chunk.len()) }
    }

    /// # Panics
    /// If the chunk is another ring's.
    #[inline]
    pub fn recycle(&mut self, chunk: Chunk) {
        assert_eq!(chunk.ring, self.ring, "a chunk of another ring");
        let state = &mut self.state[usize::from(chunk.buffer)];
        state.chunks -= 1;
        if state.spent && state.chunks == 0 {
            self.offer(chunk.buffer);
        }
    }

    /// Shows the kernel what was offered since the last call.
    #[inline]
    pub fn publish(&mut self) {
        if self.published != self.tail {
            self.published = self.tail;
            self.entries()[0].tail.store(self.tail, Ordering::Release);
        }
    }

    /// Keeps all memory mapped for ever, because a receive may still write to it.
    pub fn leak(&mut self) {
        self.entries.leak();
        self.memory.leak();
    }

    /// Puts a buffer that the kernel does not hold behind the tail. There is room: each buffer is in one place.
    #[inline]
    fn offer(&mut self, buffer: u16) {
        self.state[usize::from(buffer)] = Buffer::default();
        let offset = usize::from(buffer) * self.buffer_bytes as usize;
        let entry = &self.entries()[usize::from(self.tail) & (self.state.len() - 1)];
        entry.address.store((self.memory.start().as_ptr() as usize + offset) as u64, Ordering::Relaxed);
        entry.bytes.store(self.buffer_bytes, Ordering::Relaxed);
        entry.buffer.store(buffer, Ordering::Relaxed);
        self.tail = self.tail.wrapping_add(1);
    }

    #[inline]
    fn entries(&self) -> &[Entry] {
        // SAFETY: the mapping holds this many entries, is page-aligned and was zeroed, which is a valid `Entry`; it is
        // only ever seen as atomics, here and in the kernel.
        unsafe { std::slice::from_raw_parts(self.entries.start().as_ptr().cast::<Entry>(), self.state.len()) }
    }
}
