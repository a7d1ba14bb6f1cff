//! Numbers as memtier_benchmark prints them.

/// Bytes with a unit: `1.23MB`.
pub fn size(bytes: f64) -> String {
    match bytes {
        bytes if bytes >= (1_u64 << 30) as f64 => format!("{:.2}GB", bytes / (1_u64 << 30) as f64),
        bytes if bytes >= (1_u64 << 20) as f64 => format!("{:.2}MB", bytes / (1_u64 << 20) as f64),
        bytes if bytes >= 1024.0 => format!("{:.2}KB", bytes / 1024.0),
        bytes => format!("{bytes:.0}B"),
    }
}

/// A percentile with no more decimals than it needs, three at most: `p50`, `p99.9`.
pub fn percentile(percentile: f64) -> String {
    let digits = format!("{percentile:.3}");
    format!("p{}", digits.trim_end_matches('0').trim_end_matches('.'))
}

/// A command's row in a table: `Sets`, `Incrs`.
pub fn row(name: &str) -> String {
    let (first, rest) = name.split_at(name.chars().next().map_or(0, char::len_utf8));
    format!("{}{}s", first.to_uppercase(), rest.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_short() {
        assert_eq!([0.0, 1_023.0, 2_048.0, 3e6, 5e9].map(size), ["0B", "1023B", "2.00KB", "2.86MB", "4.66GB"]);
        assert_eq!([50.0, 99.9, 99.99, 99.999, 0.0].map(percentile), ["p50", "p99.9", "p99.99", "p99.999", "p0"]);
        assert_eq!(["SET", "incrby", ""].map(row), ["Sets", "Incrbys", "s"]);
    }
}
