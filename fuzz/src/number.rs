//! Numbers: integers, the floats of INCRBYFLOAT, bytes with units, lists of CPUs. What is read is printed and read back.

use coldplate::keyspace::number::Float80;
use coldplate::protocol::resp::parse_i64;
use coldplate::server::config::{bytes_parse, bytes_print, cpus_parse, cpus_print};

/// Digits of the largest float, its sign, its point, and the digits behind that.
const FLOAT_TEXT_BYTES_MAX: usize = 4933 + 2 + 17;
/// Redis takes no longer text for a float.
const FLOAT_INPUT_BYTES_MAX: usize = 5119;

/// A number's text, or two for a sum, parted by a NUL.
pub fn number(data: &[u8]) {
    let parts: Vec<&[u8]> = data.splitn(2, |byte| *byte == 0).collect();
    for part in &parts {
        integer(part);
        float(part);
        if let Ok(text) = std::str::from_utf8(part) {
            with_units(text);
        }
    }
    let floats: Vec<Float80> = parts.iter().filter_map(|part| Float80::parse(part)).collect();
    if let [a, b] = floats[..] {
        let sum = a.checked_add(b).map(Float80::to_text);
        assert_eq!(sum, b.checked_add(a).map(Float80::to_text), "a sum has no order");
        assert!(sum.is_none_or(|text| text.len() <= FLOAT_TEXT_BYTES_MAX));
    }
}

fn integer(text: &[u8]) {
    let canonical = |number: &i64| number.to_string().as_bytes() == text;
    let expected = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).filter(canonical);
    assert_eq!(parse_i64(text), expected);
}

fn float(text: &[u8]) {
    let parsed = Float80::parse(text);
    let zero = Float80::parse(b"0").expect("a number");
    if let Some(number) = parsed.filter(|number| number.checked_add(zero).is_some()) {
        let printed = number.to_text();
        assert!(printed.len() <= FLOAT_TEXT_BYTES_MAX, "{} bytes", printed.len());
        let again = Float80::parse(printed.as_bytes()).expect("what is printed is a number");
        assert_eq!(again.to_text(), printed);
    }
    let Ok(text) = std::str::from_utf8(text) else { return assert!(parsed.is_none()) };
    if text.contains(['x', 'X', 'n', 'N']) || text.len() > FLOAT_INPUT_BYTES_MAX {
        return;
    }
    let double = text.parse::<f64>().ok();
    assert!(parsed.is_none() || double.is_some(), "no decimal number");
    let Some(double) = double.filter(|double| double.is_finite() && (1e-300..1e300).contains(&double.abs())) else {
        return;
    };
    let printed = parsed.expect("well within range").to_text();
    if double.abs() > 1e-3 {
        let near: f64 = printed.parse().expect("a number");
        assert!(((near - double) / double).abs() < 1e-13, "{near} {double}");
    }
}

fn with_units(text: &str) {
    if let Some(bytes) = bytes_parse(text) {
        assert_eq!(bytes_parse(&bytes_print(bytes)), Some(bytes));
    }
    if let Some(cpus) = cpus_parse(text) {
        let wide: Vec<u64> = cpus.iter().map(|cpu| *cpu as u64).collect();
        assert_eq!(cpus_parse(&cpus_print(&wide)), Some(cpus));
    }
}
