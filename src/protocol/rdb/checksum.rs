//! The checksum of Redis's files and dumps: CRC64 as Jones chose it.

use crc::{CRC_64_REDIS, Crc, Digest, Table};

static CHECKSUM: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

pub fn checksum(bytes: &[u8]) -> u64 {
    CHECKSUM.checksum(bytes)
}

/// The checksum of bytes that come one after the other.
pub struct Checksum(Digest<'static, u64, Table<16>>);

impl Default for Checksum {
    fn default() -> Self {
        Self(CHECKSUM.digest())
    }
}

impl Checksum {
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Of all that was added so far.
    pub fn value(&self) -> u64 {
        self.0.clone().finalize()
    }
}
