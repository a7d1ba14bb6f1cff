//! LOLWUT: a cold plate on its cores, and the version.

use super::connection::REDIS_VERSION;
use crate::engine::sessions::Client;
use crate::protocol::resp::{Args, parse_i64};

const COLUMNS: usize = 40;
/// Redis takes arguments for its own pictures; these bound ours.
const COLUMNS_MAX: i64 = 1000;
/// From cold to hot.
const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];

/// LOLWUT [VERSION version] [columns]
pub fn lolwut(client: &mut Client, cores: usize, args: &Args) {
    let from = if args.len() > 2 && args.get(1).eq_ignore_ascii_case(b"version") { 2 } else { 0 };
    if from == 2 && parse_i64(args.get(2)).is_none() {
        return client.answer(|reply| reply.error("ERR value is not an integer or out of range"));
    }
    // Without a version Redis reads no further.
    let columns = args.try_get(from + 1).filter(|_| from == 2).map_or(Some(COLUMNS as i64), parse_i64);
    let Some(columns) = columns else {
        return client.answer(|reply| reply.error("ERR value is not an integer or out of range"));
    };
    let text = picture(columns.clamp(1, COLUMNS_MAX) as usize, cores);
    client.answer(|reply| reply.verbatim("txt", text.as_bytes()));
}

/// Heat rises from one core in the middle and is spread until the plate is even.
fn picture(columns: usize, cores: usize) -> String {
    let mut text = String::new();
    for row in 0..6 {
        for column in 0..columns {
            let from_middle = (column as f64 + 0.5 - columns as f64 / 2.0).abs() / columns as f64 * 2.0;
            let width = 0.12 + f64::from(5 - row) * 0.2;
            let heat = (-(from_middle / width).powi(2)).exp() * (0.2 + f64::from(row) * 0.16);
            text.push(SHADES[(heat * SHADES.len() as f64).min(SHADES.len() as f64 - 1.0) as usize]);
        }
        text.push('\n');
    }
    text += &"▔".repeat(columns);
    let plural = if cores == 1 { "core" } else { "cores" };
    format!("{text}\nOne hot key under a cold plate, {cores} {plural}. Redis ver. {REDIS_VERSION}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The picture is as wide as asked, hottest in the middle of its last row, and ends with the version.
    #[test]
    fn the_picture_fits() {
        let text = picture(41, 2);
        let rows: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
        assert!(rows[..7].iter().all(|row| row.len() == 41));
        assert_eq!((rows[5][20], rows[5][0]), ('█', ' '));
        assert!(text.ends_with(&format!("2 cores. Redis ver. {REDIS_VERSION}\n")));
    }
}
