//! Which percentiles INFO latencystats shows: `latency-tracking-info-percentiles`.

use super::settings::SettingError;

const NO_NUMBER: &str = "Invalid latency-tracking-info-percentiles parameters";
const NO_SHARE: &str = "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]";

#[derive(Clone, Debug, PartialEq)]
pub struct Percentiles(Vec<f64>);

impl Default for Percentiles {
    fn default() -> Percentiles {
        Percentiles(vec![50.0, 99.0, 99.9])
    }
}

impl Percentiles {
    /// Numbers with one blank between them, or nothing.
    pub fn parse(text: &[u8]) -> Result<Percentiles, SettingError> {
        let text = std::str::from_utf8(text).map_err(|_| SettingError::Refused(NO_NUMBER))?;
        if text.is_empty() {
            return Ok(Percentiles(Vec::new()));
        }
        let read = |word: &str| match word.parse::<f64>() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
            Ok(percent) if !percent.is_nan() => Err(SettingError::Refused(NO_SHARE)),
            _ => Err(SettingError::Refused(NO_NUMBER)),
        };
        text.split(' ').map(read).collect::<Result<_, _>>().map(Percentiles)
    }

    /// As CONFIG GET shows them.
    pub fn print(&self) -> String {
        self.iter().map(|(_, name)| name).collect::<Vec<_>>().join(" ")
    }

    /// Each with its name: at most six digits behind the point, and no zero at the end.
    pub fn iter(&self) -> impl Iterator<Item = (f64, String)> {
        let name = |percent: f64| {
            let digits = format!("{percent:.6}");
            digits.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        self.0.iter().map(move |percent| (*percent, name(*percent)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What redis-server 7.0 shows of the same texts.
    #[test]
    fn percentiles_are_read_and_shown_as_in_redis() {
        for (text, shown) in [
            ("", ""),
            ("50", "50"),
            ("0.0 50.0 100.0", "0 50 100"),
            ("99.99 12.5000", "99.99 12.5"),
            ("1e1 99.123456789", "10 99.123457"),
        ] {
            assert_eq!(Percentiles::parse(text.as_bytes()).expect(text).print(), shown);
        }
        for (text, words) in [("10 a", NO_NUMBER), ("nan", NO_NUMBER), (" 5", NO_NUMBER), ("5 101", NO_SHARE)] {
            assert_eq!(Percentiles::parse(text.as_bytes()).expect_err(text).to_string(), words);
        }
        assert_eq!(Percentiles::default().print(), "50 99 99.9");
    }
}
