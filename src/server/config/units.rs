//! Bytes with Redis's units, and lists of CPUs.

/// Past any CPU number that a kernel can be built for (`NR_CPUS` ends at 8192): bounds what `0-4000000000` costs.
const CPU_NUMBER_MAX: usize = 8191;

/// Redis's units: `k`, `m`, `g` are powers of 1000, `kb`, `mb`, `gb` powers of 1024; case does not matter.
const UNITS: [(&str, u64); 7] =
    [("kb", 1 << 10), ("mb", 1 << 20), ("gb", 1 << 30), ("k", 1_000), ("m", 1_000_000), ("g", 1_000_000_000), ("b", 1)];

/// `4gb` -> 4294967296. `None` for anything that is no count of bytes, or too many for 63 bits.
pub fn bytes_parse(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "" => 1,
        unit => UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1,
    };
    number.parse::<u64>().ok()?.checked_mul(factor).filter(|bytes| i64::try_from(*bytes).is_ok())
}

/// The shortest text that [`bytes_parse`] reads back to `bytes`: `4gb`, `1536mb`, `1000`.
pub fn bytes_print(bytes: u64) -> String {
    for (name, shift) in [("gb", 30), ("mb", 20), ("kb", 10)] {
        if bytes > 0 && bytes.trailing_zeros() >= shift {
            return format!("{}{name}", bytes >> shift);
        }
    }
    bytes.to_string()
}

/// `0-3`, `0,2,4` or both mixed, in the order written; repeats are kept, for `constraints` to name.
pub fn cpus_parse(text: &str) -> Option<Vec<usize>> {
    let number = |text: &str| text.trim().parse::<usize>().ok().filter(|cpu| *cpu <= CPU_NUMBER_MAX);
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        if first > last || cpus.len() > CPU_NUMBER_MAX {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

/// The inverse of [`cpus_parse`], runs of three and more written as ranges: `0-3,6,8`.
pub fn cpus_print<T: Copy + Into<u64>>(cpus: &[T]) -> String {
    let cpus: Vec<u64> = cpus.iter().map(|cpu| (*cpu).into()).collect();
    let mut parts = Vec::new();
    let mut rest = cpus.as_slice();
    while let Some(first) = rest.first() {
        let run = rest.iter().zip(*first..).take_while(|(cpu, expected)| **cpu == *expected).count();
        if run >= 2 {
            parts.push(format!("{first}-{}", rest[run - 1]));
        } else {
            parts.push(first.to_string());
        }
        rest = &rest[run..];
    }
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves Redis's units to the letter, and that nonsense and overflow are refused.
    #[test]
    fn bytes_read_as_in_redis() {
        let good = [
            ("0", 0),
            ("1024", 1024),
            ("1b", 1),
            ("1k", 1000),
            ("1kb", 1024),
            ("2M", 2_000_000),
            ("2Mb", 2 << 20),
            ("1g", 1_000_000_000),
            ("4GB", 4 << 30),
        ];
        for (text, bytes) in good {
            assert_eq!(bytes_parse(text), Some(bytes), "{text}");
        }
        for text in ["", "kb", "-1", "1.5gb", "1tb", "1 gb", "9223372036854775808", "18446744073709551615gb", "+1"] {
            assert_eq!(bytes_parse(text), None, "{text}");
        }
    }

    /// Proves that printing loses nothing.
    #[test]
    fn bytes_print_reads_back() {
        for bytes in [0, 1, 1000, 1023, 1024, 1536, 1 << 20, 3 << 29, 4 << 30, i64::MAX as u64] {
            assert_eq!(bytes_parse(&bytes_print(bytes)), Some(bytes));
        }
        assert_eq!(bytes_print(3 << 29), "1536mb");
    }

    /// Proves the three spellings of a CPU list, the refusals, and that printing reads back.
    #[test]
    fn cpus_read_and_print() {
        for (text, cpus, printed) in [
            ("0", vec![0], "0"),
            ("0-3", vec![0, 1, 2, 3], "0-3"),
            ("0,2,4", vec![0, 2, 4], "0,2,4"),
            ("1-2, 7,5", vec![1, 2, 7, 5], "1-2,7,5"),
            ("3,3", vec![3, 3], "3,3"),
        ] {
            assert_eq!(cpus_parse(text), Some(cpus.clone()), "{text}");
            let wide: Vec<u64> = cpus.iter().map(|cpu| *cpu as u64).collect();
            assert_eq!(cpus_print(&wide), printed);
        }
        for text in ["", "a", "1-", "-1", "3-1", "0,,1", "0-4000000000", "8192", "1.5"] {
            assert_eq!(cpus_parse(text), None, "{text}");
        }
    }
}
