//! How far the cores are with reading their keys from the log, for INFO, the terminal and systemd.

/// Of all cores together. Where keys have other cores now every core reads everything, and each reading counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub loaded_bytes: u64,
    pub total_bytes: u64,
    pub keys: u64,
}

impl Progress {
    pub fn percent(self) -> f64 {
        match self.total_bytes {
            0 => 100.0,
            total => self.loaded_bytes as f64 / total as f64 * 100.0,
        }
    }

    /// How many seconds are left, at the pace of those that have passed. While none has, one, as Redis says.
    pub fn eta_s(self, elapsed_s: u64) -> u64 {
        let left_bytes = u128::from(self.total_bytes.saturating_sub(self.loaded_bytes));
        match elapsed_s {
            0 => 1,
            _ => (u128::from(elapsed_s) * left_bytes / (u128::from(self.loaded_bytes) + 1)) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left takes as long as what is done has taken, in proportion; nothing divides by zero.
    #[test]
    fn the_rest_goes_on_at_the_same_pace() {
        let progress = |loaded_bytes, total_bytes| Progress { loaded_bytes, total_bytes, keys: 0 };
        assert_eq!((progress(0, 0).percent(), progress(0, 0).eta_s(7)), (100.0, 0));
        assert_eq!((progress(0, 1000).percent(), progress(0, 1000).eta_s(0)), (0.0, 1));
        assert_eq!((progress(249, 1000).percent(), progress(249, 1000).eta_s(10)), (24.9, 30));
        assert_eq!((progress(1000, 1000).percent(), progress(1000, 1000).eta_s(10)), (100.0, 0));
        assert_eq!(progress(1, u64::MAX).eta_s(2), u64::MAX - 1, "products may be large");
    }
}
