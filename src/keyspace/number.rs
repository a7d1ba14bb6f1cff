//! The 80-bit floats of INCRBYFLOAT, as Redis reads and writes them.

use rustc_apfloat::ieee::X87DoubleExtended;
use rustc_apfloat::{Float, Round, Status};

/// The x87 extended precision float that Redis computes INCRBYFLOAT in on this processor family: 64 bits of
/// mantissa, so that 3.0 + 1.1 is 4.1 and replies agree to the letter.
#[derive(Clone, Copy, Debug)]
pub struct Float80(X87DoubleExtended);

/// Redis takes longer text for no number.
const FLOAT_TEXT_BYTES_MAX: usize = 5 * 1024 - 1;
/// No text of that length has digits enough to bring a larger exponent back into range, so larger ones are cut to it.
const EXPONENT_MAX: i64 = 100_000;
const FRACTION_DIGITS: u32 = 17;
const MANTISSA_BITS: i32 = 63;
const EXPONENT_BIAS: i32 = 16_383;

impl Float80 {
    /// A decimal or hexadecimal float, or infinity, in the whole of `text`, as C's `strtold` reads it; not a NaN,
    /// nothing that overflows or vanishes.
    pub fn parse(text: &[u8]) -> Option<Float80> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= FLOAT_TEXT_BYTES_MAX)?;
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let infinite = unsigned.eq_ignore_ascii_case("inf") || unsigned.eq_ignore_ascii_case("infinity");
        let magnitude = if infinite { X87DoubleExtended::INFINITY } else { Magnitude::split(unsigned)?.value()? };
        Some(Float80(if text.starts_with('-') { -magnitude } else { magnitude }))
    }

    /// The sum, unless it is infinite or not a number.
    pub fn checked_add(self, other: Float80) -> Option<Float80> {
        let sum = (self.0 + other.0).value;
        sum.is_finite().then_some(Float80(sum))
    }

    /// Decimal, 17 digits after the point at most, trailing zeros dropped: C's `%.17Lf`, tidied.
    pub fn to_text(self) -> String {
        let bits = self.0.to_bits();
        let negative = bits >> 79 & 1 == 1;
        let exponent = (bits >> 64) as i32 & 0x7fff;
        // value = mantissa * 2^shift, exactly; a subnormal has the exponent of the smallest normal.
        let (mantissa, shift) = (bits as u64, exponent.max(1) - EXPONENT_BIAS - MANTISSA_BITS);
        let mut digits = if shift >= 0 {
            let mut digits = decimal_shifted(mantissa, shift as u32);
            digits.push_str(&"0".repeat(FRACTION_DIGITS as usize));
            digits
        } else {
            round_shifted(u128::from(mantissa) * 10u128.pow(FRACTION_DIGITS), shift.unsigned_abs()).to_string()
        };
        if digits.len() <= FRACTION_DIGITS as usize {
            digits.insert_str(0, &"0".repeat(FRACTION_DIGITS as usize + 1 - digits.len()));
        }
        let (whole, fraction) = digits.split_at(digits.len() - FRACTION_DIGITS as usize);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        let text = format!("{whole}{point}{fraction}");
        if negative && text != "0" { format!("-{text}") } else { text }
    }
}

/// The parts of an unsigned float's text.
struct Magnitude<'a> {
    hexadecimal: bool,
    /// Digits around at most one point.
    mantissa: &'a str,
    exponent: i64,
}

impl<'a> Magnitude<'a> {
    /// `None` when the text is no float.
    fn split(text: &'a str) -> Option<Magnitude<'a>> {
        let digits = text.strip_prefix("0x").or(text.strip_prefix("0X"));
        let hexadecimal = digits.is_some();
        let exponent_marks = if hexadecimal { ['p', 'P'] } else { ['e', 'E'] };
        let (mantissa, exponent) = match digits.unwrap_or(text).split_once(exponent_marks) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (digits.unwrap_or(text), 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_digit = |b: u8| if hexadecimal { b.is_ascii_hexdigit() } else { b.is_ascii_digit() };
        let fine = !(whole.is_empty() && fraction.is_empty()) && whole.bytes().chain(fraction.bytes()).all(is_digit);
        fine.then_some(Magnitude { hexadecimal, mantissa, exponent })
    }

    /// `None` when it is past the largest float, or rounds to zero without being zero.
    fn value(&self) -> Option<X87DoubleExtended> {
        if self.mantissa.bytes().all(|b| matches!(b, b'0' | b'.')) {
            return Some(X87DoubleExtended::ZERO);
        }
        // The parser below wants an exponent behind hexadecimal digits, where C does not.
        let (prefix, mark) = if self.hexadecimal { ("0x", 'p') } else { ("", 'e') };
        let text = format!("{prefix}{}{mark}{}", self.mantissa, self.exponent);
        let parsed = X87DoubleExtended::from_str_r(&text, Round::NearestTiesToEven).ok()?;
        let fits = !parsed.status.contains(Status::OVERFLOW) && !parsed.value.is_zero();
        fits.then_some(parsed.value)
    }
}

/// Digits behind an optional sign, cut to what makes a difference.
fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let magnitude = digits.parse::<i64>().map_or(EXPONENT_MAX, |exponent| exponent.min(EXPONENT_MAX));
    Some(if text.starts_with('-') { -magnitude } else { magnitude })
}

/// `value / 2^shift`, to the nearest, ties to even.
fn round_shifted(value: u128, shift: u32) -> u128 {
    if shift >= 128 {
        return 0;
    }
    let (whole, rest) = (value >> shift, value & ((1 << shift) - 1));
    let half = 1u128 << (shift - 1);
    whole + u128::from(rest > half || rest == half && whole & 1 == 1)
}

/// The decimal digits of `mantissa * 2^shift`, for shifts up to 16 K: schoolbook, in limbs of nine digits.
fn decimal_shifted(mantissa: u64, shift: u32) -> String {
    const LIMB: u64 = 1_000_000_000;
    let mut limbs = vec![mantissa % LIMB, mantissa / LIMB % LIMB, mantissa / LIMB / LIMB];
    let mut left = shift;
    while left > 0 {
        let step = left.min(30);
        let mut carry = 0;
        for limb in &mut limbs {
            let product = (*limb << step) + carry;
            (*limb, carry) = (product % LIMB, product / LIMB);
        }
        while carry > 0 {
            limbs.push(carry % LIMB);
            carry /= LIMB;
        }
        left -= step;
    }
    let text: String = limbs.iter().rev().map(|limb| format!("{limb:09}")).collect();
    let trimmed = text.trim_start_matches('0');
    if trimmed.is_empty() { "0".to_string() } else { trimmed.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Sums as redis-server 7.0 prints them on x86-64.
    #[test]
    fn floats_add_and_print_as_redis_does() {
        for (a, b, sum) in [
            ("3.0", "1.1", "4.1"),
            ("10.5", "0.1", "10.6"),
            ("5.0e3", "200", "5200"),
            ("0", "1.23", "1.23"),
            ("1", "-1", "0"),
            ("0.1", "0.2", "0.3"),
            ("-0", "0", "0"),
            ("1e20", "1", "100000000000000000000"),
            ("1e-10", "0", "0.0000000001"),
            ("1e-30", "0", "0"),
            ("17179869184", "1.5", "17179869185.5"),
            ("0x10", "0", "16"),
            ("0x1p3", "-0X1.8", "6.5"),
            ("+0x.8", "0x8.", "8.5"),
            ("5.", ".5", "5.5"),
            ("1E+2", "-1e-1", "99.9"),
            ("1e-4940", "0", "0"),
            ("0e99999999999999999999", "0x0p99999999999999999999", "0"),
        ] {
            let parse = |text: &str| Float80::parse(text.as_bytes()).expect(text);
            assert_eq!(parse(a).checked_add(parse(b)).expect("finite").to_text(), sum, "{a} + {b}");
        }
        assert_eq!(Float80::parse(b"1e4000").map(|f| f.to_text().len()), Some(4000));
        assert_eq!(
            Float80::parse(format!("1.{}", "0".repeat(5117)).as_bytes()).map(Float80::to_text),
            Some("1".into())
        );
    }

    #[test]
    fn what_is_no_float() {
        let no_digits = ["", ".", "e5", "0x", "0x.", "x1", "abc", "nan", "+", "-"];
        let strays =
            [" 1", "1 ", "\t1", "1\0", "1e", "1e+", "0x1p", "--1", "+-1", "++1", "1.2.3", "1_0", "0x1e+1", "infi"];
        let out_of_range = ["1e5000", "1e-6000", "0x1p16384", "1e99999999999999999999", "0x1p-99999999999999999999"];
        for text in no_digits.iter().chain(&strays).chain(&out_of_range) {
            assert!(Float80::parse(text.as_bytes()).is_none(), "{text:?}");
        }
        assert!(Float80::parse(format!("1.{}", "0".repeat(5118)).as_bytes()).is_none());
        let infinity = Float80::parse(b"inf").expect("infinity parses, as with strtold");
        assert!(infinity.checked_add(Float80::parse(b"1").expect("one")).is_none());
    }
}
