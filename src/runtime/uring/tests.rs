//! Each test drives real rings over socket pairs and loopback. None sleeps: all wait in `enter`.

mod buffers;
mod connects;
mod lasting;
mod rings;
mod sends;

use super::{Completion, Ring, RingConfig, Wait};
use std::time::Duration;

/// Small enough that a few kilobytes reach every bound.
fn config() -> RingConfig {
    RingConfig { entries: 64, completions: 256, buffers: 8, buffer_bytes: 1024, ..RingConfig::default() }
}

/// Both ways of consuming buffers; on a kernel without the incremental one, the same way twice.
fn both(test: impl Fn(Ring)) {
    for incremental in [true, false] {
        test(Ring::new(&RingConfig { incremental, ..config() }).unwrap());
    }
}

fn ring() -> Ring {
    Ring::new(&config()).unwrap()
}

/// Long enough for any machine; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// The next completion, waiting for it if need be.
fn await_one(ring: &mut Ring) -> Completion {
    if let Some(completion) = ring.next() {
        return completion;
    }
    for _ in 0..3 {
        ring.enter(Wait { completions: 1, min_wait_us: 0, timeout: Some(PATIENCE) }).unwrap();
        if let Some(completion) = ring.next() {
            return completion;
        }
    }
    panic!("nothing completed within {PATIENCE:?}");
}

/// The bytes of the next receive, recycled; `None` at the end of the stream.
fn await_bytes(ring: &mut Ring) -> Option<Vec<u8>> {
    let Completion::Received { result, .. } = await_one(ring) else { panic!("not a receive") };
    let chunk = result.unwrap()?;
    let bytes = ring.bytes(&chunk).to_vec();
    assert_eq!(bytes.len(), chunk.len());
    ring.recycle(chunk);
    Some(bytes)
}
