//! Floating-point numbers as Redis 7.0 prints them: C's `%.17g`.

/// Significant digits: enough that each number reads back as itself (though 0.1 gets more than it needs).
const DIGITS: i32 = 17;

/// `inf`, `-inf`, `nan`, or `%.17g`.
pub(super) fn format(value: f64) -> String {
    if value.is_nan() {
        // C prints the sign of a NaN, which says nothing.
        return String::from("nan");
    }
    if value.is_infinite() {
        return String::from(if value > 0.0 { "inf" } else { "-inf" });
    }
    let scientific = format!("{:.*e}", DIGITS as usize - 1, value);
    let (mantissa, exponent) = scientific.split_once('e').expect("`e` formatting has an exponent");
    let exponent: i32 = exponent.parse().expect("and the exponent is a small integer");
    if (-4..DIGITS).contains(&exponent) {
        let decimals = usize::try_from(DIGITS - 1 - exponent).expect("the exponent is below the digits");
        return without_trailing_zeros(&format!("{value:.decimals$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", without_trailing_zeros(mantissa), exponent.abs())
}

fn without_trailing_zeros(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}
