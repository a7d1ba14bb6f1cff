//! Keys and values as the load generator sends them, drawn the same in every run.

pub const VALUE: &[u8; 32] = b"thirty-two bytes of no interest.";

/// xorshift64*, seeded: two runs draw the same keys.
pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Draw {
        Draw(seed | 1)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D);
        ((u128::from(drawn) * u128::from(bound)) >> 64) as u64
    }
}

/// 15 bytes, for numbers below ten million.
pub fn key(number: u64) -> String {
    format!("memtier-{number:07}")
}
