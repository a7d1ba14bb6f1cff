//! One operation that stands for several requests: counted, and told of, as if each of them had been applied.

use super::{Request, apply, is_part};
use crate::keyspace::event::EventClasses;
use crate::keyspace::shard::Shard;
use crate::protocol::resp::Reply;

/// The requests that an operation stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crowd {
    /// Of its own kind.
    pub alike: u32,
    /// Reads of what these have written.
    pub reads: u32,
}

impl Crowd {
    /// One, which is the operation itself.
    pub const ONE: Crowd = Crowd { alike: 1, reads: 0 };

    pub fn is_many(self) -> bool {
        self.alike + self.reads > 1
    }
}

/// As [`apply`], for all of them. One that is refused does not count: what it stands for is asked again.
pub fn apply_for(crowd: Crowd, shard: &mut Shard, now_ms: u64, request: &mut Request, reply: &mut Reply) {
    let (told, hits, misses) = (shard.events.len(), shard.counts.hits, shard.counts.misses);
    let from = reply.out.bytes.len();
    apply(shard, now_ms, request, reply);
    if !crowd.is_many() {
        return;
    }
    if reply.out.bytes.get(from) == Some(&b'-') {
        if !is_part(request.command) {
            shard.counts.tally.asked_again(request.command, &reply.out.bytes[from..]);
        }
        return;
    }
    let others = crowd.alike as usize - 1;
    shard.counts.hits += (shard.counts.hits - hits) * others as u64 + u64::from(crowd.reads);
    shard.counts.misses += (shard.counts.misses - misses) * others as u64;
    // That a key has expired, or is new, is told once.
    let own = |class| class == EventClasses::STRING || class == EventClasses::KEY_MISS;
    if let Some(event) = shard.events[told..].last().filter(|event| own(event.class)).cloned() {
        shard.events.extend(std::iter::repeat_n(event, others));
    }
}
